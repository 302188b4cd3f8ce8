"""A year of requests and reports: everyday ones, hot spots, and planted faults."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from geo.dataset import shaped
from geo.demo import names
from geo.demo.days import Days
from geo.demo.ground import METRE_SRID
from geo.demo.hierarchy import Net
from geo.profiles import Profile

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Array = NDArray[Any]
Rng = np.random.Generator

#: The city's time is UTC + 8.
UTC_OFFSET: Final = np.timedelta64(8, "h")
DEFAULT_SHARE: Final = 0.025
DUPLICATE_SHARE: Final = 0.016
TO_DEPARTMENT: Final = 0.62
#: How often a class occurs; classes that are not named count once.
OFTEN: Final = {
    "E0403": 15.0,
    "E0405": 9.0,
    "E0101": 9.0,
    "E0602": 9.0,
    "E0605": 6.0,
    "E0102": 5.0,
    "E0402": 5.0,
    "E0404": 5.0,
    "C0501": 5.0,
    "C0101": 4.0,
    "E0603": 4.0,
    "E0604": 4.0,
    "E0601": 3.0,
    "C0202": 3.0,
    "C0204": 3.0,
    "C0102": 2.0,
    "E0401": 2.0,
    "E0301": 2.0,
    "E0201": 2.0,
}
#: Classes that occur at the edge of the ground, on the street.
ON_STREET: Final = ("C02", "C0101", "C0102", "E0102", "E0402", "E0403", "E0404", "E0304", "E05")
CHANNELS: Final = {"worker": 0.46, "hotline": 0.27, "report": 0.19, "station": 0.05, "office": 0.03}
#: Where an issue stands on its way: the share of its time from which on it is so.
OPEN_STATES: Final = {
    "reported": 0.0, "accepted": 0.03, "verified": 0.06, "registered": 0.085, "dispatched": 0.12,
    "handled": 0.88, "checked": 0.96,
}  # fmt: skip
NEW_STATES: Final = ("reported", "accepted", "verified")
"""Nobody was sent yet."""
STUCK_SHARE: Final = 0.055
VOID_SHARE: Final = 0.018
#: What halts issues: how often, and for how many days at most.
STUCK_STATES: Final = {
    "parked": (0.22, 33.0), "returned": (0.156, 6.0), "reworked": (0.195, 9.0),
    "postponed": (0.273, 24.0), "suspended": (0.156, 33.0),
}  # fmt: skip
#: A few wait for longer, for a reason that lasts.
OLD_SHARE: Final = 0.0007
OLD_STATES: Final = {"parked": 0.5, "suspended": 0.35, "postponed": 0.15}
LATE_DAYS: Final = 33.0
BY_MONTH: Final = np.array([0.9, 0.75, 0.95, 1.0, 1.05, 1.1, 1.25, 1.25, 1.0, 0.95, 0.9, 0.9])
BY_HOUR: Final = np.array(
    [2, 1, 1, 1, 1, 2, 6, 18, 40, 48, 42, 34, 24, 26, 38, 40, 36, 32, 26, 24, 20, 14, 8, 4]
)


@dataclass(frozen=True)
class Truth:
    """What was planted, so that a finder of hot spots or duplicates can be judged.

    Attributes
    ----------
    hot_spots : DataFrame
        x, y (metres, EPSG:4549), radius_m, category, begins, ends (days, last excluded), trend
        (new, rising, lasting, falling), issues.
    duplicate_of : DataFrame
        issue_id, original_id.
    default_point : tuple of float
        x, y of the city hall, where requests without a place stand.
    """

    hot_spots: pd.DataFrame
    duplicate_of: pd.DataFrame
    default_point: tuple[float, float]


def categories_frame(profile: Profile) -> pd.DataFrame:
    """Return the classes of issues of the country profile."""
    rows = profile.categories
    return shaped(
        "categories",
        {
            "category": [row.code for row in rows],
            "parent": [row.parent for row in rows],
            "name": [row.name.zh for row in rows],
            "name_en": [row.name.en for row in rows],
            "root": [row.root for row in rows],
        },
        METRE_SRID,
    )


def issues_frame(
    count: int,
    cells: gpd.GeoDataFrame,
    homes: Floats,
    buildings: gpd.GeoDataFrame,
    net: Net,
    categories: pd.DataFrame,
    departments: list[int],
    days: Days,
    rng: Rng,
) -> tuple[gpd.GeoDataFrame, Truth]:
    """Draw `count` issues, oldest first.

    Parameters
    ----------
    count : int
    cells : GeoDataFrame
        Cells of the dataset, metres.
    homes : ndarray, shape (cells,)
        Households of each cell.
    buildings : GeoDataFrame
    net : Net
    categories : DataFrame
    departments : list of int
        Organisations in the order of `names.DEPARTMENTS`.
    days : Days
        Whose year of requests it is.
    rng : numpy.random.Generator

    Returns
    -------
    issues : GeoDataFrame
    truth : Truth
    """
    ground = cells.geometry.to_numpy()
    doubled, lost = int(count * DUPLICATE_SHARE), int(count * DEFAULT_SHARE)
    planted, spots = _plant(count, ground, homes, net, days, rng)
    plain = count - doubled - lost - len(planted["cell"])
    everyday = _everyday(plain + lost, homes, buildings, net, categories, days, rng)
    drawn = {key: np.concatenate([everyday[key], planted[key]]) for key in everyday}
    x, y = _points(ground, drawn["cell"], drawn["category"], rng)
    hall, hall_point = _city_hall(buildings, ground)
    without_place = np.sort(rng.permutation(plain + lost)[:lost])
    drawn["cell"][without_place] = hall
    x[without_place], y[without_place] = hall_point
    aside = np.full(len(x), None, dtype=object)
    aside[without_place] = "default_geocode"
    drawn |= {"x": x, "y": y, "aside": aside, "of": np.full(len(x), -1, dtype=np.int64)}
    drawn = _with_duplicates(drawn, doubled, ground, days, rng)
    order = np.lexsort((np.arange(len(drawn["at"])), drawn["at"]))
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    twin = np.flatnonzero(drawn["of"] >= 0)
    duplicate_of = pd.DataFrame(
        {"issue_id": rank[twin] + 1, "original_id": rank[drawn["of"][twin]] + 1}
    )
    frame = _frame({key: values[order] for key, values in drawn.items()}, departments, days, rng)
    return frame, Truth(spots, duplicate_of.sort_values("issue_id", ignore_index=True), hall_point)


def _leaf_codes(categories: pd.DataFrame) -> tuple[Array, Floats]:
    codes = categories.loc[categories["parent"].notna(), "category"].to_numpy().astype(object)
    often = np.array([OFTEN.get(code, 1.0) for code in codes])
    return codes, often / often.sum()


def _everyday(
    count: int,
    homes: Floats,
    buildings: gpd.GeoDataFrame,
    net: Net,
    categories: pd.DataFrame,
    days: Days,
    rng: Rng,
) -> dict[str, Array]:
    """Draw requests as they come: where people live and shop, more in some grids than in others."""
    mood = np.exp(rng.normal(0.0, 0.42, len(net.level)))
    mood *= np.where(net.level == 4, mood[np.maximum(net.parent, 0)], 1.0)
    busy = buildings["use"].isin(["commercial", "office", "medical", "education"]).to_numpy()
    visits = np.bincount(buildings["cell_id"].to_numpy()[busy] - 1, minlength=len(homes)).astype(
        np.float64
    )
    weight = (homes + 5.0 * visits + 0.15) * mood[net.cell_leaf]
    codes, often = _leaf_codes(categories)
    return {
        "cell": _draw(weight, count, rng),
        "category": codes[rng.choice(len(codes), count, p=often)],
        "at": _moments(count, days.first, days.last, rng),
    }


def _draw(weight: Floats, count: int, rng: Rng) -> Ints:
    """Draw `count` indices in proportion to `weight`."""
    total = np.cumsum(weight)
    found: Ints = np.searchsorted(total, rng.random(count) * total[-1]).astype(np.int64)
    return np.minimum(found, len(weight) - 1)


def _moments(count: int, first: np.datetime64, last: np.datetime64, rng: Rng) -> Array:
    """Draw times in UTC: seasons, weekdays and hours of the day in the city's zone."""
    days = np.arange(first, last)
    month = days.astype("datetime64[M]").astype(int) % 12
    weekday = (days.astype("datetime64[D]").astype(int) + 3) % 7
    weight = BY_MONTH[month] * np.where(weekday >= 5, 0.72, 1.0)
    day = days[_draw(weight, count, rng)]
    hour = _draw(BY_HOUR.astype(np.float64), count, rng)
    second = hour * 3600 + rng.integers(0, 3600, count)
    moment: Array = day.astype("datetime64[s]") + second.astype("timedelta64[s]") - UTC_OFFSET
    return moment


def _plant(
    count: int, ground: Array, homes: Floats, net: Net, days: Days, rng: Rng
) -> tuple[dict[str, Array], pd.DataFrame]:
    """Plant hot spots of one class each, in different communities, with different histories."""
    first, last = days.first, days.last
    histories = [
        ("new", "E0403", 0.0030, last - np.timedelta64(28, "D"), last),
        ("rising", "C0501", 0.0034, last - np.timedelta64(120, "D"), last),
        ("lasting", "E0405", 0.0042, first, last),
        ("falling", "E0101", 0.0026, first, first + np.timedelta64(170, "D")),
    ]
    place = shapely.get_coordinates(shapely.centroid(ground))
    row = net.cell_leaf.copy()
    for _ in range(2):
        row = np.where(net.level[row] > 2, net.parent[row], row)
    communities = rng.permutation(np.flatnonzero(net.level == 2))
    cell, category, at, rows = [], [], [], []
    for turn, (trend, code, share, begins, ends) in enumerate(histories):
        own = np.flatnonzero((row == communities[turn % len(communities)]) & (homes > 0))
        heart = int(own[_draw(homes[own], 1, rng)[0]])
        radius = float(rng.uniform(160.0, 260.0))
        away = np.hypot(*(place - place[heart]).T)
        near = np.flatnonzero((away < radius) & (homes > 0))
        n = int(count * share)
        weight = homes[near] * np.exp(-((away[near] / (0.6 * radius)) ** 2))
        cell.append(near[_draw(weight, n, rng)])
        category.append(np.full(n, code, dtype=object))
        at.append(_shaped_in_time(_moments(n, begins, ends, rng), trend, begins, ends, rng))
        rows.append((*place[heart], radius, code, begins, ends, trend, n))
    columns = ["x", "y", "radius_m", "category", "begins", "ends", "trend", "issues"]
    drawn = {
        "cell": np.concatenate(cell),
        "category": np.concatenate(category),
        "at": np.concatenate(at),
    }
    return drawn, pd.DataFrame(rows, columns=columns)


def _shaped_in_time(
    at: Array, trend: str, begins: np.datetime64, ends: np.datetime64, rng: Rng
) -> Array:
    """Move moments by whole weeks so that a trend rises or falls through its window."""
    if trend not in ("rising", "falling"):
        return at
    weeks = int((ends - begins) / np.timedelta64(7, "D"))
    share = np.arange(1, weeks + 1, dtype=np.float64)
    week = _draw(share if trend == "rising" else share[::-1].copy(), len(at), rng)
    own = (at + UTC_OFFSET - begins.astype("datetime64[s]")) // np.timedelta64(7 * 86400, "s")
    shifted: Array = at + (week - own).astype("timedelta64[s]") * (7 * 86400)
    return shifted


def _points(ground: Array, cell: Ints, category: Array, rng: Rng) -> tuple[Floats, Floats]:
    """Draw places inside cells: at the street for matters of the street, else nearer the house."""
    middle = shapely.get_coordinates(shapely.point_on_surface(ground))
    rings = shapely.get_exterior_ring(ground)
    length = shapely.length(rings)
    shapely.prepare(ground)
    street = np.array([str(code).startswith(ON_STREET) for code in category])
    x, y = middle[cell].T.copy()
    waiting = np.arange(len(cell))
    for _ in range(4):
        own = cell[waiting]
        edge = shapely.get_coordinates(
            shapely.line_interpolate_point(rings[own], rng.random(len(own)) * length[own])
        )
        part = rng.random(len(own))
        part = np.where(street[waiting], 0.72 + 0.25 * part, 0.75 * part)[:, None]
        point = np.round(middle[own] + part * (edge - middle[own]), 2)
        inside = shapely.contains_xy(ground[own], point[:, 0], point[:, 1])
        x[waiting[inside]], y[waiting[inside]] = point[inside].T
        waiting = waiting[~inside]
        if len(waiting) == 0:
            break
    return x, y


def _city_hall(buildings: gpd.GeoDataFrame, ground: Array) -> tuple[int, tuple[float, float]]:
    """Cell and place of the office building nearest the middle of the city."""
    office = buildings.loc[buildings["use"] == "office"]
    office = office if len(office) else buildings
    places = shapely.get_coordinates(shapely.centroid(office.geometry.to_numpy()))
    middle = shapely.get_coordinates(shapely.centroid(ground)).mean(axis=0)
    nearest = int(np.argmin(np.hypot(*(places - middle).T)))
    x, y = np.round(places[nearest], 2)
    return int(office["cell_id"].iloc[nearest]) - 1, (float(x), float(y))


def _with_duplicates(
    drawn: dict[str, Array], count: int, ground: Array, days: Days, rng: Rng
) -> dict[str, Array]:
    """Repeat some requests within a day and a few metres, as neighbours do."""
    fit = np.flatnonzero(pd.isna(drawn["aside"]))
    latest = (days.last.astype("datetime64[s]") - UTC_OFFSET) - np.timedelta64(86_400, "s")
    fit = fit[drawn["at"][fit] < latest]
    original = np.sort(fit[rng.permutation(len(fit))[:count]])
    twin = {key: values[original].copy() for key, values in drawn.items()}
    twin["at"] = twin["at"] + rng.integers(600, 86_000, len(original)).astype("timedelta64[s]")
    twin["aside"][:] = "duplicate"
    twin["of"] = original
    moved = np.round(
        np.column_stack([twin["x"], twin["y"]]) + rng.normal(0.0, 4.0, (len(original), 2)), 2
    )
    inside = shapely.contains_xy(ground[twin["cell"]], moved[:, 0], moved[:, 1])
    twin["x"] = np.where(inside, moved[:, 0], twin["x"])
    twin["y"] = np.where(inside, moved[:, 1], twin["y"])
    return {key: np.concatenate([drawn[key], twin[key]]) for key in drawn}


def _frame(
    drawn: dict[str, Array], departments: list[int], days: Days, rng: Rng
) -> gpd.GeoDataFrame:
    """Add channel, life and department, and shape the frame."""
    count = len(drawn["at"])
    state, closed = _lives(drawn, days, rng)
    channel = rng.choice(np.array(list(CHANNELS)), count, p=list(CHANNELS.values()))
    taken = (rng.random(count) < TO_DEPARTMENT) & ~np.isin(state, NEW_STATES)
    organisation = pd.array(_departments(drawn["category"], departments), dtype="Int64")
    organisation[~taken] = pd.NA
    return shaped(
        "issues",
        {
            "issue_id": np.arange(1, count + 1),
            "cell_id": drawn["cell"] + 1,
            "category": drawn["category"],
            "channel": channel,
            "reported_at": drawn["at"],
            "closed_at": closed,
            "state": state,
            "set_aside": drawn["aside"],
            "organisation_id": organisation,
            "geometry": shapely.points(drawn["x"], drawn["y"]),
        },
        METRE_SRID,
    )


def _lives(drawn: dict[str, Array], days: Days, rng: Rng) -> tuple[Array, Array]:
    """State and closing time of each issue at the end of the year.

    Nearly all are closed within days. What is open came in lately, halts for a reason that lasts
    no longer than that reason does, or is one of the few old ones that were put off.
    """
    count = len(drawn["at"])
    urgent = np.array(
        [str(code).startswith(("E05", "E0403", "E0402")) for code in drawn["category"]]
    )
    lasts = np.exp(rng.normal(np.where(urgent, -0.9, 0.75), 0.9))
    closed = drawn["at"] + (lasts * 86_400).astype("timedelta64[s]")
    end = days.last.astype("datetime64[s]") - UTC_OFFSET
    age = (end - drawn["at"]) / np.timedelta64(86_400, "s")
    state = np.full(count, "closed", dtype=object)
    fate = rng.random(count)
    halts, share, most = zip(*((k, *v) for k, v in STUCK_STATES.items()), strict=True)
    halt = rng.choice(len(halts), count, p=np.array(share) / sum(share))
    stuck = (fate < STUCK_SHARE) & (age < np.array(most)[halt]) & (age > 0.8)
    state[stuck] = np.array(halts, dtype=object)[halt[stuck]]
    state[(fate >= STUCK_SHARE) & (fate < STUCK_SHARE + VOID_SHARE)] = "void"
    late = (closed >= end) & (state == "closed")
    way = age / lasts * rng.uniform(0.85, 1.1, count)
    steps = np.searchsorted(list(OPEN_STATES.values())[1:], way[late], side="right")
    state[late] = np.array(list(OPEN_STATES), dtype=object)[steps]
    old = (age >= LATE_DAYS) & ((rng.random(count) < OLD_SHARE) | late) & (state != "void")
    state[old] = rng.choice(np.array(list(OLD_STATES)), int(old.sum()), p=list(OLD_STATES.values()))
    closed = closed.copy()
    closed[state != "closed"] = np.datetime64("NaT")
    return state, closed


def _departments(category: Array, departments: list[int]) -> list[int | None]:
    """Department for each class: the one whose listed code fits longest."""
    fits = {
        prefix: department
        for department, (_, prefixes) in zip(departments, names.DEPARTMENTS, strict=True)
        for prefix in prefixes.split()
    }
    codes, index = np.unique(category.astype(str), return_inverse=True)
    chosen: list[int | None] = []
    for code in codes:
        able = [prefix for prefix in fits if code.startswith(prefix)]
        chosen.append(fits[max(able, key=len)] if able else None)
    return [chosen[i] for i in index]
