"""Delivered areas as grids and cells of a first net: mended, named, put under parents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from geo.dataset import shaped
from geo.errors import DeliveryError, InvalidInputError
from geo.files.reading import Delivered
from geo.findings import Finding, Findings, the_rows
from geo.importing.columns import column, numbers, some
from geo.importing.wishes import ImportWish
from geo.repair import Repair, examine
from geo.saying import phrase
from geo.terms import GridKind
from geo.topology import adjacency, boundaries, colours

LARGEST_CHANGE: Final = 0.05
FAULTS: Final = {"invalid_ring", "overlap", "gap", "sliver"}


@dataclass(frozen=True)
class Areas:
    """Areas of one level, mended.

    Attributes
    ----------
    frame : GeoDataFrame
        `row`, `code` (None where none was delivered), `name`, `above_1` .. of the levels above
        (texts), `households` (NaN where none were delivered); mended shapes in metres, on
        0 .. n-1.
    delivered : GeoSeries
        The shapes as they came, on the same index.
    repair : Repair
        Indexed by what the areas are called.
    called : list of str
        What each area is called in messages: its code, else its name.
    """

    frame: gpd.GeoDataFrame
    delivered: gpd.GeoSeries
    repair: Repair
    called: list[str]


def areas_of(delivered: Delivered, wish: ImportWish, metre_srid: int, found: Findings) -> Areas:
    """Read codes, names and parents of delivered areas, and make them a coverage.

    Raises
    ------
    DeliveryError
        If areas have neither code nor name, or codes repeat; all are listed.
    InvalidInputError
        If a decision answers no question.
    """
    label = delivered.label
    frame = delivered.frame.drop(
        index=[row for row in wish.left_out if row in delivered.frame.index]
    )
    found.add(delivered.findings)
    shapes = frame.geometry.to_numpy()
    bare = shapely.is_missing(shapes) | shapely.is_empty(shapes)
    if bare.any():
        rows = some(frame.index[bare])
        found.add(
            [
                Finding(
                    label,
                    "no_shape",
                    the_rows(rows),
                    phrase("%(n)s rows left out", n=int(bare.sum())),
                )
            ]
        )
    frame = frame.loc[~bare].to_crs(metre_srid)
    codes, names = column(frame, "code"), column(frame, "name")
    _demand_identity(label, frame, codes, names)
    called = _called(codes, names)
    outlines = gpd.GeoSeries(frame.geometry.to_numpy(), index=called, crs=metre_srid)
    households = numbers(frame, "households")
    weights = None
    if households.notna().any():
        weights = pd.Series(households.fillna(0.0).to_numpy(), index=called)
    mended = examine(
        outlines,
        largest_change=LARGEST_CHANGE,
        decisions=dict(wish.decisions),
        weights=weights,
    )
    found.add(_findings(label, mended))
    found.figures["repair"] = mended.figures()
    kept = np.isin(called, mended.areas.index.astype(str))
    columns: dict[str, Any] = {
        "row": frame.index.to_numpy(),
        "code": codes.to_numpy(),
        "name": names.fillna(codes).to_numpy(),
        "households": households.to_numpy(),
    }
    for number in range(1, (wish.level or 1)):
        columns[f"above_{number}"] = _above(frame, number, wish)
    table = pd.DataFrame(columns).loc[kept].reset_index(drop=True)
    kept_names = [name for name, one in zip(called, kept, strict=True) if one]
    geometry = mended.areas.loc[kept_names].to_numpy()
    return Areas(
        gpd.GeoDataFrame(table, geometry=geometry, crs=metre_srid),
        gpd.GeoSeries(mended.delivered.loc[kept_names].to_numpy(), crs=metre_srid),
        mended,
        kept_names,
    )


def _above(frame: pd.DataFrame, number: int, wish: ImportWish) -> Any:
    """Return what the grid above at a level is called; `parent` is the one directly above."""
    name = f"level_{number}"
    if name not in frame and number == (wish.level or 1) - 1:
        name = "parent"
    return column(frame, name).to_numpy()


def _demand_identity(
    label: str, frame: pd.DataFrame, codes: pd.Series[Any], names: pd.Series[Any]
) -> None:
    wrong = []
    nothing = (codes.isna() & names.isna()).to_numpy()
    if nothing.any():
        rows = some(frame.index[nothing])
        wrong.append(
            phrase(
                "%(file)s: neither code nor name in rows %(rows)s; map one of the columns",
                file=label,
                rows=rows,
            )
        )
    for code in codes[codes.duplicated() & codes.notna()].unique():
        rows = some(frame.index[(codes == code).to_numpy()])
        wrong.append(
            phrase(
                "%(file)s: code '%(code)s' stands in rows %(rows)s",
                file=label,
                code=code,
                rows=rows,
            )
        )
    if wrong:
        raise DeliveryError(wrong)


def _called(codes: pd.Series[Any], names: pd.Series[Any]) -> list[str]:
    """Return what areas are called, each once."""
    seen: dict[str, int] = {}
    called = []
    for text in codes.fillna(names):
        seen[text] = seen.get(text, 0) + 1
        called.append(text if seen[text] == 1 else f"{text} ({seen[text]})")
    return called


def _findings(label: str, mended: Repair) -> list[Finding]:
    row: Any
    found = [
        Finding(label, row.kind, str(row.subject), row.done, row.size_m2, "m2", row.x, row.y)
        for row in mended.defects.itertuples()
    ]
    for row in mended.changes.itertuples():
        done = phrase(
            "%(before_m2)s m2 before, %(after_m2)s after: %(gained_m2)s gained, %(ceded_m2)s ceded",
            before_m2=f"{row.before_m2:.3f}",
            after_m2=f"{row.after_m2:.3f}",
            gained_m2=f"{row.gained_m2:.6f}",
            ceded_m2=f"{row.ceded_m2:.6f}",
        )
        size = row.gained_m2 + row.ceded_m2
        found.append(Finding(label, "area_changed", str(row.Index), done, size, "m2", row.x, row.y))
    return found


@dataclass(frozen=True)
class FirstNet:
    """Frames of a dataset: grids of all levels from the top, and their cells."""

    grids: pd.DataFrame
    cells: gpd.GeoDataFrame
    leaf_ids: Any
    """Grid of each area."""
    households: pd.Series[float]
    """Households of each cell; NaN where none were delivered."""


def first_net(areas: Areas, level: int, city_name: str, found: Findings, label: str) -> FirstNet:
    """Make the grids and cells of a net whose lowest level are the areas.

    Levels above that were not delivered have one grid, named like the city.
    """
    frame = areas.frame
    parents: Any = [pd.NA] * len(frame)
    tables: list[pd.DataFrame] = []
    key: list[tuple[str, ...]] = [()] * len(frame)
    first = 1
    for number in range(1, level):
        texts = frame[f"above_{number}"].fillna(city_name)
        key = [(*path, str(text)) for path, text in zip(key, texts, strict=True)]
        grouped = pd.Series(key)
        names = list(dict.fromkeys(key))
        ids = {path: first + n for n, path in enumerate(names)}
        above = {path[:-1]: one for path, one in zip(key, parents, strict=True)}
        united = boundaries(
            gpd.GeoSeries(frame.geometry.to_numpy(), crs=frame.crs), grouped.map(ids)
        )
        colour = pd.Series(colours(adjacency(united)), index=united.index)
        tables.append(
            _tier(number, [ids[path] for path in names], [above[path[:-1]] for path in names],
                  [path[-1] for path in names], [None] * len(names), colour)
        )  # fmt: skip
        parents = [ids[path] for path in key]
        first += len(names)
    own = np.arange(first, first + len(frame))
    colour = pd.Series(
        colours(adjacency(gpd.GeoSeries(frame.geometry.to_numpy(), index=own, crs=frame.crs))),
        index=own,
    )
    own_names = _once(frame["name"].astype(str).tolist(), parents, found, label)
    tables.append(_tier(level, own, parents, own_names, frame["code"].tolist(), colour))
    table = pd.concat(tables, ignore_index=True)
    srid = int(frame.crs.to_epsg())
    grids = shaped("grids", {str(name): table[name] for name in table.columns}, srid)
    return _with_cells(areas, grids, own, srid, found, label)


def _tier(
    level: int, ids: Any, parents: Any, names: list[str], codes: Any, colour: pd.Series[Any]
) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "grid_id": np.asarray(ids, dtype=np.int64),
            "level": level,
            "parent_id": pd.array(list(parents), dtype="Int64"),
            "name": names,
            "kind": GridKind.BASIC.value,
            "code": pd.Series(list(codes), dtype=object),
            "colour": colour.reindex(ids).to_numpy(),
        }
    )


def _once(names: list[str], parents: Sequence[Any], found: Findings, label: str) -> list[str]:
    """Return names that differ under one parent."""
    seen: dict[tuple[Any, str], int] = {}
    made = []
    for name, parent in zip(names, parents, strict=True):
        number = seen[(str(parent), name)] = seen.get((str(parent), name), 0) + 1
        made.append(name if number == 1 else f"{name} ({number})")
        if number > 1:
            done = phrase(
                "called '%(what)s': its neighbour under the same grid has this name", what=made[-1]
            )
            found.add([Finding(label, "same_name", name, done)])
    return made


def _with_cells(
    areas: Areas, grids: pd.DataFrame, own: Any, srid: int, found: Findings, label: str
) -> FirstNet:
    frame = areas.frame.assign(grid_id=own)
    pieces = frame.explode(index_parts=False)
    several = pieces.index.value_counts(sort=False).loc[lambda counts: counts > 1]
    found.add(
        Finding(
            label, "parts", areas.called[number], phrase("%(n)s cells made of one area", n=count)
        )
        for number, count in several.items()
    )
    largest = pieces.area.groupby(level=0).transform("max").to_numpy() == pieces.area.to_numpy()
    first = ~pieces.index.duplicated()
    chosen = np.where(np.isin(pieces.index, several.index), largest, first)
    households = pd.Series(np.where(chosen, pieces["households"], 0.0))
    columns = {
        "cell_id": np.arange(1, len(pieces) + 1),
        "grid_id": pieces["grid_id"].to_numpy(),
        "geometry": pieces.geometry.to_numpy(),
    }
    cells = shaped("cells", columns, srid)
    assert isinstance(cells, gpd.GeoDataFrame)  # noqa: S101 - it has a geometry
    households[pieces["households"].isna().to_numpy()] = np.nan
    return FirstNet(grids, cells, own, households)


def demand_decided(mended: Repair) -> None:
    """Refuse areas that contradict each other until somebody has decided.

    Raises
    ------
    DeliveryError
        Listing them with the keys to decide by.
    """
    if len(mended.torn):
        raise DeliveryError(mended.torn["said"].tolist())


def demand_level(level: int | None, most: int) -> int:
    """Return the level that areas are of: the lowest unless said.

    Raises
    ------
    InvalidInputError
        If the city has no such level.
    """
    chosen = level or most
    if chosen > most:
        raise InvalidInputError(
            phrase("The city has levels 1 to %(most)s, no %(chosen)s.", most=most, chosen=chosen),
            field="level",
            reason="no_level",
        )
    return chosen
