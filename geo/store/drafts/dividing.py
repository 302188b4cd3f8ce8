"""A grid divided into parts of even households, as one can walk: resolved to a split, and done."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from geo.db import Viewer
from geo.errors import InvalidInputError
from geo.redraw.edits import Named, number
from geo.saying import phrase
from geo.store.drafts import checks, editing, rows
from geo.store.drafts.editing import Applied, Versions
from geo.store.holding import hold_cells
from geo.tables import City

DIVIDE: Final = "divide"
FIELDS: Final = frozenset({"grid", "n", "seed", "names", "keep", "below", "kind"})
MOST_PARTS: Final = 100
MOST_CELLS: Final = 20_000
TOLERANCE: Final = 0.05

Progress = Callable[[str, float], None]


def demand(args: Mapping[str, Any]) -> tuple[int, int, int]:
    """Return grid, number of parts and seed of a division.

    Raises
    ------
    InvalidInputError
        If one is missing or no sound number; `field` names it.
    """
    unknown = sorted(set(args) - FIELDS)
    if unknown:
        message = phrase(
            "The edit '%(op)s' knows no '%(unknown)s'; it knows %(listed)s.",
            op=DIVIDE,
            unknown=unknown[0],
            listed=", ".join(sorted(FIELDS)),
        )
        raise InvalidInputError(message, field=unknown[0])
    n, seed = args.get("n"), args.get("seed", 0)
    if not isinstance(n, int) or isinstance(n, bool) or not 2 <= n <= MOST_PARTS:
        raise InvalidInputError(
            phrase("'n' is a number of parts, 2 to %(most)s.", most=MOST_PARTS),
            field="n",
        )
    if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 2**31:
        raise InvalidInputError(phrase("'seed' is a number from 0."), field="seed")
    return number(args, "grid"), n, seed


def divide(
    session: Session,
    viewer: Viewer,
    plan_id: int,
    args: Mapping[str, Any],
    versions: Versions,
    progress: Progress | None = None,
) -> Applied:
    """Divide a leaf grid into `n` contiguous parts of about the same households.

    Parameters
    ----------
    args : mapping
        `grid`, `n`, `seed`; `names`, `keep`, `below` and `kind` as for a split. The log keeps the
        cells of the parts.
    progress : callable, optional
        Takes the step and its share, 0 to 1; what it raises ends the work.

    Raises
    ------
    InvalidInputError
        If so many parts cannot be made; `field` names the value.
    PlanNotFoundError, ForbiddenError, PlanStateError, PlanRuleError
        As for `apply`.
    VersionMissingError, StaleEditError
        As for `apply`.
    """
    # compiled code, loaded by whoever divides alone
    from geo.partition import Wishes
    from geo.partition import divide as divided
    from geo.partition.ground import ground_of

    grid, n, seed = demand(args)
    hold_cells(session, viewer.city_id or 0)
    draft = rows.drawn_on(session, viewer, plan_id)
    scene = rows.scene(session, draft, Named((grid,), filled=True))
    scene.leaf(grid)
    cells = scene.cells_of(grid)
    if not n <= len(cells) <= MOST_CELLS:
        message = phrase(
            "The grid %(grid)s has %(n)s cells: %(least)s to %(most)s can be divided.",
            grid=grid,
            n=len(cells),
            least=n,
            most=MOST_CELLS,
        )
        raise InvalidInputError(message, field="n", cells=len(cells))
    srid = session.scalar(select(City.metre_srid).where(City.city_id == draft.city_id)) or 0
    ground = checks.ground_of(session, draft, cells, srid)
    weight = rows.households(session, draft, cells)
    heft = np.array([weight.get(cell, 0.0) for cell in ground.shapes.index], dtype=np.float64)
    heft = heft if heft.any() else np.ones(len(heft))
    lines = {
        f"{kind}s": checks.near(session, draft, ground, kind, srid)
        for kind in ("barrier", "street")
    }
    found = ground_of(ground.shapes, heft, np.zeros(len(heft), dtype=np.int64), **lines)
    wishes = Wishes(target=(float(heft.sum()) / n,), tolerance=(TOLERANCE,))
    tell = progress or (lambda words, share: None)
    made = divided(
        found.graph, wishes, parts=n, seed=seed,
        progress=lambda step, share: tell(phrase("divide the grids"), share),
    )  # fmt: skip
    labels = found.labels(made.labels)
    names = ground.shapes.index.to_numpy()
    parts = [names[labels == part].tolist() for part in np.unique(labels)]
    rest = {name: args[name] for name in ("names", "keep", "below", "kind") if name in args}
    split = {"grid": grid, "parts": parts, **rest}
    return editing.apply(session, viewer, plan_id, "split", split, versions)
