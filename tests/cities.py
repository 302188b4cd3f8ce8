"""Tiny cities for tests: small enough to reckon by hand, with every odd case once.

The ground is a lattice of 8 x 5 squares of 100 m in EPSG:4549::

    row 4   1121 1121 1122 | 121  121 | 213 213 213      sub-district 1: communities 11, 12
    row 3   1121 1121 1122 | 121  121 | 212 212 212      sub-district 2: community 21
    row 2   1112 1112 1112 | 121  121 | 212 212 212      grids 111, 112 | 121 | 211, 212, 213
    row 1   1111 1111 1111 | 121  121 | 211 211 211      units 1111, 1112, 1121, 1122
    row 0   1111 1111 1111 | 121  121 | 211 211 211      below the grids of community 11 alone
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any, Final

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from geo.dataset import FRAMES, CityDataset, shaped

METRE_SRID: Final = 4549
CORNER: Final = (540_000.0, 4_165_000.0)
SIDE_M: Final = 100.0
COLUMNS: Final = 8
ROWS: Final = 5

#: Texts that must come back as they went in, never evaluated, marked up or run.
HOSTILE: Final = (
    "{{7*191}}",
    "{% for x in y %}",
    "{#",
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "`${7*191}`",
    "'; DROP TABLE cell; --",
    '=HYPERLINK("http://x")',
    "+1+1",
    "-1",
    "@SUM(A1)",
    "%_\\",
)

#: grid_id -> (level, parent, name, kind, colour)
GRIDS: Final[dict[int, tuple[int, int | None, str, str, int]]] = {
    1: (1, None, "东岚街道", "basic", 0),
    2: (1, None, "西屿街道", "basic", 1),
    11: (2, 1, "松岭社区", "basic", 0),
    12: (2, 1, "海棠社区", "basic", 1),
    21: (2, 2, "望潮社区", "basic", 2),
    111: (3, 11, "第一网格", "basic", 0),
    112: (3, 11, "第二网格", "basic", 1),
    121: (3, 12, "第一网格", "basic", 2),
    211: (3, 21, "第一网格", "basic", 0),
    212: (3, 21, "第二网格", "basic", 3),
    213: (3, 21, "望潮小学专属网格", "dedicated", 4),
    1111: (4, 111, "第1微网格", "basic", 0),
    1112: (4, 111, "第2微网格", "basic", 1),
    1121: (4, 112, "第1微网格", "basic", 2),
    1122: (4, 112, "第2微网格", "basic", 3),
}
LEAVES: Final = (1111, 1112, 1121, 1122, 121, 211, 212, 213)


def tiny_dataset(
    slug: str = "tiny",
    *,
    name: str | None = None,
    hostile: bool = False,
    effective_from: date = date(2026, 1, 1),
) -> CityDataset:
    """Return a city of 15 grids on 4 levels, 40 cells, 48 buildings and 36 issues.

    Parameters
    ----------
    slug : str
        Short name; ids are the same in every tiny city, so that two of them test isolation.
    name : str, optional
        Chinese name.
    hostile : bool, default False
        Give every name, address and duty number one of `HOSTILE`.
    effective_from : date
        First day of the city's first net.
    """
    cells = _cells()
    buildings = _buildings(cells)
    city: dict[str, pd.DataFrame] = {
        "grids": _grids(),
        "cells": cells,
        "buildings": buildings,
        "addresses": _addresses(buildings),
        "vintages": _vintages(),
        "cell_values": _cell_values(buildings),
        "compounds": _compounds(),
        "streets": _streets(),
        "barriers": _barriers(),
        "organisations": _organisations(),
        "compound_bodies": _compound_bodies(),
        "workers": _workers(),
        "posts": _posts(),
        "station_kinds": _station_kinds(),
        "stations": _stations(),
        "categories": _categories(),
        "issues": _issues(),
    }
    if hostile:
        city = {key: _poisoned(key, frame) for key, frame in city.items()}
    identity = {
        "slug": slug,
        "name": HOSTILE[0] if hostile else name or "岚屿市",
        "name_en": HOSTILE[4] if hostile else "Lanyu",
        "profile": "cn",
        "timezone": "Asia/Shanghai",
        "metre_srid": METRE_SRID,
        "county_code": "990101",
        "effective_from": effective_from,
    }
    return CityDataset(**identity, **city)  # type: ignore[arg-type]


def square(column: float, row: float, width: float = 1.0, height: float = 1.0) -> shapely.Polygon:
    """Return a rectangle of the lattice; units of 100 m, metre CRS."""
    x, y = CORNER[0] + column * SIDE_M, CORNER[1] + row * SIDE_M
    return shapely.box(x, y, x + width * SIDE_M, y + height * SIDE_M)


def point(column: float, row: float) -> shapely.Point:
    """Return a point of the lattice; units of 100 m, metre CRS."""
    return shapely.Point(CORNER[0] + column * SIDE_M, CORNER[1] + row * SIDE_M)


def line(*corners: tuple[float, float]) -> shapely.LineString:
    """Return a line through points of the lattice; units of 100 m, metre CRS."""
    return shapely.LineString([point(*corner) for corner in corners])


def cell_at(column: float, row: float) -> int:
    """Return the id of the cell that holds a place of the lattice."""
    return int(row) * COLUMNS + int(column) + 1


def leaf_at(column: int, row: int) -> int:
    """Return the leaf grid of a square of the lattice."""
    if column >= 5:
        return (211, 211, 212, 212, 213)[row]
    if column >= 3:
        return 121
    if row >= 3:
        return 1122 if column == 2 else 1121
    return 1111 if row < 2 else 1112


def ancestors(grid_id: int) -> tuple[int, ...]:
    """Return the grid and its ancestors, from the top."""
    parent = GRIDS[grid_id][1]
    return (*(ancestors(parent) if parent else ()), grid_id)


def _frame(name: str, rows: Iterable[Sequence[Any]]) -> pd.DataFrame:
    """Build the frame `name` from rows in the order of its columns."""
    columns = list(FRAMES[name].columns)
    listed = list(zip(*rows, strict=True))
    return shaped(name, dict(zip(columns, map(list, listed), strict=True)), METRE_SRID)


def _located(name: str, rows: Iterable[Sequence[Any]]) -> gpd.GeoDataFrame:
    frame = _frame(name, rows)
    assert isinstance(frame, gpd.GeoDataFrame)
    return frame


def _grids() -> pd.DataFrame:
    return _frame(
        "grids",
        (
            (grid_id, level, parent, name, kind, None, colour)
            for grid_id, (level, parent, name, kind, colour) in GRIDS.items()
        ),
    )


def _cells() -> gpd.GeoDataFrame:
    return _located(
        "cells",
        (
            (cell_at(column, row), leaf_at(column, row), square(column, row))
            for row in range(ROWS)
            for column in range(COLUMNS)
        ),
    )


def _buildings(cells: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """One building in most cells, two in every fifth, none in the school's."""
    rows: list[Sequence[Any]] = []
    for cell_id in cells["cell_id"]:
        column, row = (cell_id - 1) % COLUMNS, (cell_id - 1) // COLUMNS
        if leaf_at(column, row) == 213:
            continue
        places = [(0.1, 0.1, 0.5, 0.3)] + ([(0.1, 0.6, 0.4, 0.2)] if cell_id % 5 == 0 else [])
        if cell_id % 9 == 0:
            places.append((0.7, 0.7, 0.02, 0.02))
        for dx, dy, width, height in places:
            n = len(rows) + 1
            shop = n % 7 == 0
            rows.append(
                (
                    n,
                    cell_id,
                    f"B{n:04d}",
                    f"{n}号楼" if n % 3 else None,
                    "commercial" if shop else "residential",
                    None if n % 11 == 0 else 1 + n % 6,
                    1 + n % 4,
                    0 if shop else 5 + (n * 13) % 40,
                    square(column + dx, row + dy, width, height),
                )
            )
    return _located("buildings", rows)


def _addresses(buildings: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Numbers on two streets for most buildings, an estate's gate for two; one place has two."""
    rows: list[Sequence[Any]] = []
    for row in buildings.itertuples():
        street = "环海大道" if row.building_id % 2 else "松林路"
        if row.building_id <= 2:
            said = f"环海大道3号松岭花园{row.building_id}号楼"
        else:
            said = f"{street}{row.building_id}号"
        rows.append((row.building_id, said, row.building_id, row.cell_id, row.geometry.centroid))
    rows.append((len(rows) + 1, "老供销社", None, cell_at(6.5, 1.5), point(6.5, 1.5)))
    return _located("addresses", rows)


def _vintages() -> pd.DataFrame:
    return _frame(
        "vintages",
        [
            ("2024", date(2024, 11, 1), False, True, "2024年估算"),
            ("2026", date(2025, 11, 1), False, False, "2026年入库"),
            ("2026-S", date(2026, 7, 1), True, False, "2026年旅游季"),
        ],
    )


def _cell_values(buildings: gpd.GeoDataFrame) -> pd.DataFrame:
    households = buildings.groupby("cell_id")["households"].sum()
    rows: list[Sequence[Any]] = []
    for cell_id, count in households.items():
        rows.append((cell_id, "2026", "households", float(count)))
        if count:
            rows.append((cell_id, "2024", "households", float(count) - 1.0))
            rows.append((cell_id, "2026-S", "households", float(count) * 2.0))
            rows.append((cell_id, "2026", "parking", float(count % 10)))
    return _frame("cell_values", rows)


def _compounds() -> gpd.GeoDataFrame:
    return _located(
        "compounds",
        [
            (1, "松岭花园", "commercial_housing", square(0.05, 0.05, 1.9, 1.9)),
            (2, "海棠小区", "old_estate", square(3.05, 1.05, 1.9, 2.9)),
            (3, "望潮家园", None, square(5.05, 0.05, 2.9, 0.9)),
        ],
    )


def _compound_bodies() -> pd.DataFrame:
    """A firm that left, one that followed it, one that is to come, and a committee."""
    return _frame(
        "compound_bodies",
        [
            (1, "firm", 6, date(2024, 1, 1), date(2026, 3, 1)),
            (1, "firm", 3, date(2026, 3, 1), None),
            (1, "committee", 4, date(2025, 6, 1), None),
            (2, "firm", 6, date(2027, 1, 1), None),
            (3, "firm", 3, date(2020, 1, 1), None),
        ],
    )


def _streets() -> gpd.GeoDataFrame:
    """Two arterials that cross at node 3, a collector, a nameless path."""
    return _located(
        "streets",
        [
            (1, "环海大道", "arterial", 1, 2, line((0, 2.0), (3, 2.0))),
            (2, "环海大道", "arterial", 2, 3, line((3, 2.0), (5, 2.0))),
            (3, "环海大道", "arterial", 3, 4, line((5, 2.0), (8, 2.0))),
            (4, "松林路", "collector", 5, 3, line((5, 0), (5, 2.0))),
            (5, "松林路", "collector", 3, 6, line((5, 2.0), (5, 5))),
            (6, None, "path", 7, 2, line((3, 0), (3, 2.0))),
        ],
    )


def _barriers() -> gpd.GeoDataFrame:
    return _located(
        "barriers",
        [
            (1, "river", "岚河", square(3.0, 4.5, 5.0, 0.2)),
            (2, "railway", "滨海铁路", line((0, 4.9), (8, 4.9))),
            (3, "wall", None, line((2.0, 0.0), (2.0, 1.0))),
            (4, "water", "望潮湖", square(6.2, 3.2, 0.5, 0.5)),
        ],
    )


def _organisations() -> pd.DataFrame:
    return _frame(
        "organisations",
        [
            (1, "东岚街道办事处", "office", None, 1, None, None, None),
            (2, "松岭网格党支部", "branch", 1, 111, None, None, None),
            (3, "安心物业公司", "property_firm", None, None, None, None, None),
            (4, "松岭花园业主委员会", "committee", None, None, 1, None, None),
            (5, "城市管理局", "department", None, None, None, None, None),
            (6, "远山物业公司", "property_firm", None, None, None, None, None),
            (7, "楼宇党支部", "branch", 1, None, None, 30, None),
            (8, "望潮食堂互助会", "club", None, None, None, None, 5),
        ],
    )


def _workers() -> pd.DataFrame:
    names = ("秦望舒", "柳岸晴", "顾云帆", "沈知夏", "陆星河", "白鹭洲", "方晓岚")
    return _frame(
        "workers",
        ((n, f"W{n:03d}", name, n % 2 == 1) for n, name in enumerate(names, start=1)),
    )


def _posts() -> pd.DataFrame:
    """A team, a worker of many grids, part-timers, vacancies, a past and a coming post."""
    begin, none = date(2026, 1, 1), None
    return _frame(
        "posts",
        [
            (1, 1, 111, "worker", begin, none, False),
            (2, 2, 111, "worker", begin, none, True),
            (3, 3, 111, "head", begin, none, False),
            (4, 1, 112, "worker", begin, none, False),
            (5, None, 121, "worker", begin, none, False),
            (6, 4, 211, "worker", date(2025, 1, 1), date(2026, 3, 1), False),
            (7, 5, 211, "worker", date(2026, 3, 1), none, False),
            (8, 6, 11, "head", begin, none, False),
            (9, 7, 2, "contact_leader", begin, none, True),
            (10, 2, 1111, "unit_head", begin, none, True),
            (11, None, 1112, "unit_head", begin, date(2026, 6, 1), False),
            (12, 4, 212, "worker", date(2027, 1, 1), none, False),
        ],
    )


def _station_kinds() -> pd.DataFrame:
    return _frame(
        "station_kinds",
        [
            ("grid_station", "网格服务站", "Grid station", "everyone"),
            ("pioneer_station", "先锋驿站", "Pioneer station", "everyone"),
            ("canteen", "社区食堂", "Community canteen", "older_people"),
        ],
    )


def _stations() -> gpd.GeoDataFrame:
    rows: list[Sequence[Any]] = []
    places: Sequence[tuple[float, float, str, str, str, str | None]] = (
        (0.5, 0.8, "grid_station", "松岭第一网格站", "open", "Mo-Fr 08:30-17:30"),
        (1.5, 3.8, "grid_station", "松岭第二网格站", "open", "Mo-Su 08:00-20:00"),
        (4.5, 2.5, "pioneer_station", "海棠先锋驿站", "open", None),
        (6.5, 0.5, "grid_station", "望潮网格站", "planned", None),
        (7.5, 3.5, "canteen", "望潮食堂", "open", "Mo-Su 10:30-13:00"),
        (7.5, 4.2, "canteen", "旧食堂", "closed", None),
    )
    for n, (column, row, kind, name, stage, hours) in enumerate(places, start=1):
        rows.append(
            (
                n,
                kind,
                name,
                f"环海大道{n}号" if n % 2 else None,
                hours,
                80.0 * n if n != 3 else None,
                20 * n if n != 4 else None,
                stage,
                cell_at(column, row),
                1 if n == 1 else None,
                point(column, row),
            )
        )
    return _located("stations", rows)


def _categories() -> pd.DataFrame:
    return _frame(
        "categories",
        [
            ("C01", None, "公用设施", "Public utilities", "component"),
            ("C0101", "C01", "路灯", "Street lamp", "component"),
            ("C0102", "C01", "井盖", "Manhole cover", "component"),
            ("E01", None, "市容环境", "City appearance", "event"),
            ("E0101", "E01", "暴露垃圾", "Exposed rubbish", "event"),
        ],
    )


def _issues() -> gpd.GeoDataFrame:
    categories = ("C0101", "C0102", "E0101", "E01")
    states = ("reported", "dispatched", "closed", "void")
    rows: list[Sequence[Any]] = []
    start = pd.Timestamp("2026-01-01T16:30:00Z")
    for n in range(1, 37):
        column, row = (n * 3) % COLUMNS + 0.3, (n * 2) % ROWS + 0.4
        reported = start + pd.Timedelta(days=5 * n, hours=n)
        state = states[n % 4]
        aside = {9: "duplicate", 18: "default_geocode", 27: "duplicate"}.get(n)
        rows.append(
            (
                n,
                cell_at(column, row),
                categories[n % 4],
                "hotline" if n % 2 else "patrol",
                reported,
                reported + pd.Timedelta(days=2) if state == "closed" else pd.NaT,
                state,
                aside,
                5 if n % 6 == 0 else None,
                point(column, row),
            )
        )
    return _located("issues", rows)


_POISONED: Final[Mapping[str, tuple[str, ...]]] = {
    "grids": ("name",),
    "buildings": ("name",),
    "vintages": ("name",),
    "compounds": ("name", "community_type"),
    "streets": ("name",),
    "barriers": ("name",),
    "organisations": ("name",),
    "workers": ("name", "duty_number"),
    "station_kinds": ("name", "name_en"),
    "stations": ("name", "address", "opening_hours"),
    "categories": ("name", "name_en"),
}


def _poisoned(key: str, frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame with hostile texts, told apart by a number behind them where needed."""
    frame = frame.copy()
    for column in _POISONED.get(key, ()):
        texts = [
            HOSTILE[n % len(HOSTILE)] + (f" {n}" if n >= len(HOSTILE) else "")
            for n in np.arange(len(frame))
        ]
        frame[column] = pd.Series(texts, dtype=frame[column].dtype)
    return frame
