"""Service stations of the made-up city, of several kinds, near the people of their grids."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from geo.dataset import shaped
from geo.demo.division import shared_out
from geo.demo.ground import METRE_SRID
from geo.demo.hierarchy import Net
from geo.demo.people import Organisations
from geo.demo.places import Labels
from geo.profiles import Profile

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Array = NDArray[Any]
Rng = np.random.Generator


@dataclass(frozen=True)
class Kind:
    """How a kind of station occurs: for how many grids one, its floor, seats, hours and title."""

    per_grid: float
    floor_m2: tuple[int, int]
    capacity: tuple[int, int]
    hours: tuple[str, ...]
    title: str


WORKDAYS: Final = "Mo-Fr 08:30-17:30"
KINDS: Final[dict[str, Kind]] = {
    "grid_station": Kind(
        145 / 454, (60, 260), (10, 40), (WORKDAYS, "Mo-Su 08:00-20:00"), "网格服务站"
    ),
    "pioneer_station": Kind(
        25 / 454, (40, 180), (8, 30), ("Mo-Su 08:00-21:00", "24/7"), "先锋驿站"
    ),
    "outdoor_station": Kind(12 / 454, (20, 60), (6, 16), ("24/7",), "户外劳动者驿站"),
    "canteen": Kind(
        18 / 454, (90, 320), (40, 120), ("Mo-Su 07:00-09:00,11:00-13:00,17:00-18:30",), "社区食堂"
    ),
    "day_care": Kind(10 / 454, (150, 500), (15, 45), ("Mo-Sa 08:00-17:00",), "日间照料中心"),
    "clinic": Kind(
        14 / 454, (120, 420), (10, 30), ("Mo-Fr 08:00-17:30; Sa 08:00-12:00",), "卫生服务站"
    ),
    "children_station": Kind(
        8 / 454, (80, 200), (20, 50), ("Mo-Fr 16:00-19:00; Sa-Su 09:00-17:00",), "儿童之家"
    ),
    "meeting_place": Kind(10 / 454, (30, 90), (15, 40), ("Sa 09:00-11:30",), "议事点"),
}
CENTRE_M2: Final = (1_050, 2_400)


def kinds_frame(profile: Profile) -> pd.DataFrame:
    """Return the kinds of stations of the country profile."""
    kinds = profile.station_kinds
    return shaped(
        "station_kinds",
        {
            "kind": [kind.code for kind in kinds],
            "name": [kind.name.zh for kind in kinds],
            "name_en": [kind.name.en for kind in kinds],
            "serves": [kind.serves for kind in kinds],
        },
        METRE_SRID,
    )


def stations_frame(
    net: Net,
    labels: Labels,
    buildings: gpd.GeoDataFrame,
    streets: gpd.GeoDataFrame,
    made: Organisations,
    rng: Rng,
) -> gpd.GeoDataFrame:
    """Place a service centre in each sub-district and community, and stations of the other kinds.

    A station stands at a building of its grid that is near most households; shops and public
    buildings come first. Its address is the nearest named street.
    """
    grid_of = net.cell_leaf[buildings["cell_id"].to_numpy() - 1]
    grid_of = np.where(net.level[grid_of] == 4, net.parent[grid_of], grid_of)
    wishes = _wishes(net, buildings, grid_of, rng)
    chosen: list[int] = []
    rows: list[dict[str, Any]] = []
    spot = _Spots(buildings, grid_of, net)
    for kind, row in wishes:
        building = spot.take(row)
        if building is None:
            continue
        chosen.append(building)
        rows.append(_facts(kind, row, labels, net, made, rng))
    points = shapely.centroid(buildings.geometry.to_numpy()[chosen])
    points = shapely.transform(points, lambda p: np.round(p, 3))
    address = _addresses(points, streets, rng)
    columns = {key: [row[key] for row in rows] for key in rows[0]}
    return shaped(
        "stations",
        {
            **columns,
            "station_id": np.arange(1, len(rows) + 1),
            "name": _distinct(columns["name"]),
            "address": address,
            "cell_id": buildings["cell_id"].to_numpy()[chosen],
            "geometry": points,
        },
        METRE_SRID,
    )


def _wishes(
    net: Net, buildings: gpd.GeoDataFrame, grid_of: Ints, rng: Rng
) -> list[tuple[str, int]]:
    """Which kind of station is wanted in which row of the net."""
    wishes = [("service_centre", int(r)) for r in np.flatnonzero(net.level <= 2)]
    homes = np.bincount(grid_of, weights=buildings["households"], minlength=len(net.level))
    grids = np.flatnonzero((net.level == 3) & (np.bincount(grid_of, minlength=len(homes)) > 0))
    communities = np.unique(net.parent[grids])
    for name, kind in KINDS.items():
        total = max(1, round(kind.per_grid * (net.level == 3).sum()))
        if total >= len(communities):
            weight = np.array([homes[grids[net.parent[grids] == c]].sum() for c in communities])
            share = shared_out(weight, total)
        else:
            share = np.zeros(len(communities), dtype=np.int64)
            share[rng.permutation(len(communities))[:total]] = 1
        for community, count in zip(communities, share, strict=True):
            own = grids[net.parent[grids] == community]
            turns = -(-int(count) // len(own))
            order = np.concatenate([rng.permutation(own) for _ in range(turns)]) if count else own
            wishes += [(name, int(row)) for row in order[: int(count)]]
    return wishes


class _Spots:
    """Buildings that may still take a station, best first, by row of the net."""

    def __init__(self, buildings: gpd.GeoDataFrame, grid_of: Ints, net: Net) -> None:
        self.net = net
        self.grid_of = grid_of
        self.taken: set[int] = set()
        self.place = shapely.get_coordinates(shapely.centroid(buildings.geometry.to_numpy()))
        self.homes = buildings["households"].to_numpy().astype(np.float64) + 0.01
        liked = {"commercial": 0.0, "public": 0.0, "office": 60.0, "residential": 120.0}
        self.dislike = buildings["use"].map(liked).fillna(400.0).to_numpy()
        order = np.argsort(grid_of, kind="stable")
        self._members = dict(
            zip(
                *(lambda u: (u[0].tolist(), np.split(order, u[1][1:])))(
                    np.unique(grid_of[order], return_index=True)
                ),
                strict=True,
            )
        )
        self._below: dict[int, list[int]] = {}
        for row in np.flatnonzero(net.level == 3):
            self._below.setdefault(int(net.parent[row]), []).append(int(row))
            top = int(net.parent[net.parent[row]])
            self._below.setdefault(top, []).append(int(row))

    def take(self, row: int) -> int | None:
        """Return the building for a station of this row of the net; None if there is none left."""
        rows = [row] if self.net.level[row] == 3 else self._below.get(row, [])
        members = np.concatenate(
            [self._members.get(r, np.empty(0, dtype=np.int64)) for r in rows]
        ).astype(np.int64)
        if len(members) == 0:
            return None
        middle = np.average(self.place[members], axis=0, weights=self.homes[members])
        away = np.hypot(*(self.place[members] - middle).T) + self.dislike[members]
        for building in members[np.argsort(away, kind="stable")]:
            if int(building) not in self.taken:
                self.taken.add(int(building))
                return int(building)
        return None


def _facts(
    kind: str, row: int, labels: Labels, net: Net, made: Organisations, rng: Rng
) -> dict[str, Any]:
    """Everything about a station but its place."""
    community = row if net.level[row] <= 2 else int(net.parent[row])
    base = labels.grid[community]
    if kind == "service_centre":
        large = net.level[row] == 1
        floor = rng.integers(*CENTRE_M2) if large else rng.integers(320, 1_500)
        title, hours, seats = "党群服务中心", "Mo-Su 08:30-20:30", int(rng.integers(40, 160))
    else:
        spec = KINDS[kind]
        floor, seats = rng.integers(*spec.floor_m2), int(rng.integers(*spec.capacity))
        title, hours = spec.title, str(rng.choice(list(spec.hours)))
        base += labels.grid[row] if kind == "grid_station" else ""
    stage = str(rng.choice(["open", "building", "planned", "closed"], p=[0.9, 0.04, 0.035, 0.025]))
    return {
        "kind": kind,
        "name": f"{base}{title}",
        "opening_hours": hours,
        "floor_area_m2": float(floor),
        "capacity": seats,
        "stage": "open" if kind == "service_centre" else stage,
        "organisation_id": made.of_row[community],
    }


def _distinct(wanted: list[str]) -> list[str]:
    """Tell names apart that occur more than once: 一号, 二号 ..."""
    frame = pd.Series(wanted)
    turn = frame.groupby(frame).cumcount() + 1
    return [f"{name}{n}号点" if n > 1 else name for name, n in zip(frame, turn, strict=True)]


def _addresses(points: Array, streets: gpd.GeoDataFrame, rng: Rng) -> list[str]:
    lines = streets.geometry.to_numpy()
    found = shapely.STRtree(lines).query_nearest(points, all_matches=False)
    nearest = np.empty(len(points), dtype=np.int64)
    nearest[found[0]] = found[1]
    street = streets["name"].to_numpy()[nearest]
    number = rng.integers(1, 180, len(points))
    return [f"{name}{n}号" for name, n in zip(street, number, strict=True)]
