"""The dossier of a plan, gathered from the database for its members."""

from __future__ import annotations

from typing import Any, Final
from zoneinfo import ZoneInfo

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from sqlalchemy.orm import Session

from geo.db import Viewer
from geo.dossier import Content, bundle, parts
from geo.dossier import Side as Drawn
from geo.dossier.content import Lang
from geo.limits_text import limits as in_words
from geo.store import limits
from geo.store.comparing import sides
from geo.store.comparing.reckoning import Laid, lay, told
from geo.store.comparing.sides import Side, net_side, plan_side
from geo.store.drafts import checks, comments, telling
from geo.store.publishing import settling
from geo.store.reading import worded
from geo.tables import City
from geo.topology import boundaries

MOST_COMMENTS: Final = 5000


def dossier(
    session: Session,
    viewer: Viewer,
    plan_id: int,
    *,
    lang: Lang = "zh",
    vintage: str | None = None,
) -> dict[str, bytes]:
    """Return the files of a plan's dossier by name; the same plan gives the same bytes.

    Raises
    ------
    PlanNotFoundError
        If the viewer is a member of no such plan.
    InvalidInputError
        If there is no such vintage.
    """
    return parts(content(session, viewer, plan_id, vintage), lang)


def archive(
    session: Session,
    viewer: Viewer,
    plan_id: int,
    *,
    lang: Lang = "zh",
    vintage: str | None = None,
) -> bytes:
    """Return a plan's dossier as one ZIP file; errors as `dossier`."""
    return bundle(dossier(session, viewer, plan_id, lang=lang, vintage=vintage))


def content(session: Session, viewer: Viewer, plan_id: int, vintage: str | None = None) -> Content:
    """Return what the dossier of a plan is made of; errors as `dossier`."""
    card = telling.show(session, viewer, plan_id)
    plan = plan_side(session, viewer, plan_id, vintage)
    base = net_side(session, plan.at)
    laid = lay(session, base, plan, plan.at, None)
    rules = plan.draft.rules if plan.draft else {}
    impact = told(session, viewer, laid, rules)
    impact["posts"] = {**impact["posts"], "items": _posts(session, viewer, plan_id, plan, impact)}
    changed = frozenset(int(row["grid"]) for row in impact["grids"])
    drawn = {side.name: _drawn(session, side, changed) for side in (base, plan)}
    city = session.get_one(City, plan.at.city_id)
    return Content(
        city=city.name,
        card={
            name: card[name]
            for name in ("plan", "name", "state", "base_seq", "last_edit", "rules", "created_at")
        },
        as_of={
            "day": plan.at.day,
            "net": plan.at.seq,
            "vintage": plan.at.vintage,
            "estimated": plan.at.estimated,
        },
        impact=impact,
        before=drawn[base.name],
        after=drawn[plan.name],
        changed=changed,
        moved=_moved(session, laid),
        limits=_limits(session, plan, changed, drawn[plan.name], city.name),
        comments=[
            {**one, "at": one["at"].astimezone(ZoneInfo(plan.at.timezone))}
            for one in comments.listing(session, viewer, plan_id, limit=MOST_COMMENTS)
        ],
    )


def _posts(
    session: Session, viewer: Viewer, plan_id: int, plan: Side, impact: dict[str, Any]
) -> list[dict[str, Any]]:
    """Return the posts concerned, with their roles in words and where those of ended grids go."""
    said = {one["post"]: one for one in settling.posts(session, viewer, plan_id) if one["settled"]}
    names = plan.grids["name"].to_dict()
    return [
        {
            **one,
            "settled": one["post"] in said,
            "to_grid": goes,
            "to_name": None if goes is None else str(names.get(goes, "")),
        }
        for one in worded(plan.at, impact["posts"]["items"])
        for goes in [said.get(one["post"], {}).get("to_grid")]
    ]


def _drawn(session: Session, side: Side, changed: frozenset[int]) -> Drawn:
    """Return the leaf grids that change, and those that touch them."""
    everything = sides.shapes(session, side, side.leaves, np.unique(side.leaves).tolist())
    own = everything.index.isin(changed)
    near = own.copy()
    if own.any():
        tree = shapely.STRtree(everything.to_numpy())
        near[np.unique(tree.query(everything.to_numpy()[own], predicate="intersects")[1])] = True
    names = side.grids["name"].to_dict()
    shown = everything[near]
    return Drawn(shown, {int(grid): str(names.get(grid, "")) for grid in shown.index})


def _moved(session: Session, laid: Laid) -> gpd.GeoSeries:
    """Return the ground that lies in another leaf grid than before, by both grids."""
    crs = laid.new.at.metre_srid
    moved = (laid.before != laid.after) & (laid.before > 0) & (laid.after > 0)
    if not moved.any() or laid.new.draft is None:
        none = pd.MultiIndex.from_arrays([[], []], names=["old", "new"])
        return gpd.GeoSeries([], index=none, crs=crs)
    cells = laid.cells[moved]
    ground = checks.ground_of(session, laid.new.draft, cells.tolist(), crs).shapes
    pairs = pd.MultiIndex.from_arrays([laid.before[moved], laid.after[moved]])
    number, labels = pd.factorize(pairs, sort=True)
    of_cell = pd.Series(number, index=cells).reindex(ground.index)
    united = boundaries(ground, of_cell)
    index = pd.MultiIndex.from_tuples([labels[int(at)] for at in united.index])
    return gpd.GeoSeries(united.to_numpy(), index=index.set_names(["old", "new"]), crs=crs)


def _limits(
    session: Session, plan: Side, changed: frozenset[int], drawn: Drawn, city: str
) -> dict[int, dict[str, Any]]:
    """Return the limits of grids that change, in words: as published, and as the plan has them."""
    before = limits.of_grids(session, plan.at, sorted(changed)) if changed else {}
    after: dict[int, dict[str, str]] = {}
    leaves = drawn.shapes.index.isin(changed)
    if leaves.any():
        frame = gpd.GeoDataFrame(
            {
                "grid_id": drawn.shapes.index.to_numpy(dtype="int64"),
                "level": 1,
                "parent_id": pd.array([None] * len(drawn.shapes), dtype="Int64"),
                "name": [drawn.names[int(grid)] for grid in drawn.shapes.index],
            },
            geometry=drawn.shapes.to_numpy(),
            crs=drawn.shapes.crs,
        )
        lines = limits.lines_of(session, plan.at.city_id, plan.at.metre_srid)
        said = in_words(frame, lines, city=city)
        for grid, zh, en, own in zip(frame["grid_id"], said["zh"], said["en"], leaves, strict=True):
            if own:
                after[int(grid)] = {"zh": zh, "en": en}
    return {
        grid: {"before": before.get(grid), "after": after.get(grid)} for grid in sorted(changed)
    }
