"""The four maps' figures beside what pandas and geopandas reckon from the dataset alone."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from sqlalchemy.orm import Session

from geo import demo, service
from geo.dataset import CityDataset
from geo.db import Viewer
from geo.density import LEAST_CASES, LEAST_HOUSEHOLDS, SQUARE_SIDES_M
from geo.errors import InvalidInputError
from geo.store import derived
from geo.terms import Role
from tests.cities import tiny_dataset
from tests.conftest import MigratedDatabase
from tests.reckoning import Reckoned

DAY = date(2026, 6, 15)


@cache
def dataset(size: str) -> CityDataset:
    """Return the tiny city or the small demo city."""
    return tiny_dataset("figures") if size == "tiny" else demo.generate(1, size="small")


@pytest.fixture(scope="module", params=["tiny", "small"])
def city(
    request: pytest.FixtureRequest, shared_database: MigratedDatabase
) -> Iterator[tuple[CityDataset, Session, int]]:
    """A city in a transaction that is rolled back: dataset, session, id."""
    found = replace(dataset(request.param), slug=f"figures-{request.param}")
    with shared_database.engine.connect() as connection:
        outer = connection.begin()
        with Session(connection, join_transaction_mode="create_savepoint") as session:
            yield found, session, service.load_dataset(session, found)
        outer.rollback()


def households(city: CityDataset, vintage: str = "2026") -> pd.Series:
    values = city.cell_values
    chosen = values[(values["vintage"] == vintage) & (values["measure"] == "households")]
    found = chosen.set_index("cell_id")["value"]
    return found[found > 0]


def homes(city: CityDataset, vintage: str = "2026") -> gpd.GeoDataFrame:
    """Where the households of each cell stand: the middle of its homes, else within the cell."""
    lived = households(city, vintage)
    buildings = city.buildings[city.buildings["households"] > 0]
    middles = buildings.geometry.to_crs(4326).centroid.to_crs(city.metre_srid)
    weights = buildings["households"].astype(float)
    sums = (
        pd.DataFrame({"x": middles.x * weights, "y": middles.y * weights, "n": weights})
        .groupby(buildings["cell_id"].astype(int))
        .sum()
    )
    inside = city.cells.set_index("cell_id").geometry.representative_point()
    x = (sums["x"] / sums["n"]).reindex(lived.index).fillna(inside.x.reindex(lived.index))
    y = (sums["y"] / sums["n"]).reindex(lived.index).fillna(inside.y.reindex(lived.index))
    frame = pd.DataFrame({"households": lived})
    return gpd.GeoDataFrame(frame, geometry=gpd.points_from_xy(x, y), crs=city.metre_srid)


pytestmark = pytest.mark.filterwarnings("ignore:Geometry is in a geographic CRS")


def reached(
    city: CityDataset, kinds: tuple[str, ...] = (), vintage: str = "2026"
) -> gpd.GeoDataFrame:
    stations = city.stations[city.stations["stage"] == "open"]
    if kinds:
        stations = stations[stations["kind"].isin(kinds)]
    found = homes(city, vintage)
    pairs = [found.geometry.distance(station) for station in stations.geometry]
    found["distance"] = np.min(pairs, axis=0) if pairs else np.inf
    return found


def levels(city: CityDataset) -> list[int]:
    return sorted(city.grids["level"].unique().astype(int))


def grids_at(city: CityDataset, level: int) -> list[int]:
    return [int(grid) for grid in city.grids.loc[city.grids["level"] == level, "grid_id"]]


@pytest.mark.parametrize("vintage", ["2026", "2026-S"])
def test_coverage(city: tuple[CityDataset, Session, int], vintage: str) -> None:
    dataset, session, city_id = city
    truth, right = reached(dataset, vintage=vintage), Reckoned(dataset, DAY)
    near = {limit: truth["distance"] <= limit + 0.005 for limit in (500, 1000)}
    for level in levels(dataset):
        asked = service.Asked(city_id, DAY, vintage)
        at, found = service.coverage(session, asked, level)
        assert at.vintage == vintage
        assert [row["grid"] for row in found["items"]] != []
        assert {row["grid"] for row in found["items"]} == set(grids_at(dataset, level))
        for row in (*found["items"], found["total"]):
            cells = right.cells(row["grid"]) if row["grid"] else set(right.leaf_of_cell.index)
            own = truth[truth.index.isin(cells)]
            assert row["households"] == pytest.approx(own["households"].sum(), abs=0.06)
            for limit in near:
                within = own["households"][near[limit].loc[own.index]].sum()
                assert row[f"within_{limit}_m"] == pytest.approx(within, abs=0.06)
                share = within / own["households"].sum() if len(own) else None
                assert row[f"share_{limit}_m"] == pytest.approx(share, abs=6e-5)
            if len(own):
                mean = np.average(own["distance"], weights=own["households"])
                assert row["mean_distance_m"] == pytest.approx(mean, abs=0.6)


def test_coverage_of_one_kind_and_of_none(city: tuple[CityDataset, Session, int]) -> None:
    dataset, session, city_id = city
    asked = service.Asked(city_id, DAY)
    truth = reached(dataset, ("canteen",))
    _, found = service.coverage(session, asked, 1, ["canteen"])
    near = truth["households"][truth["distance"] <= 1000.005].sum()
    assert found["total"]["within_1000_m"] == pytest.approx(near, abs=0.06)
    with pytest.raises(InvalidInputError):
        service.coverage(session, asked, 1, ["no_such_kind"])
    with pytest.raises(InvalidInputError):
        service.coverage(session, asked, 6)


@pytest.mark.parametrize("side", SQUARE_SIDES_M)
def test_squares_of_coverage_sum_up(city: tuple[CityDataset, Session, int], side: int) -> None:
    dataset, session, city_id = city
    truth = reached(dataset)
    truth["column"] = np.floor(truth.geometry.x / side).astype(int)
    truth["row"] = np.floor(truth.geometry.y / side).astype(int)
    truth["band"] = np.select(
        [truth["distance"] <= 500.005, truth["distance"] <= 1000.005], [0, 1], 2
    )
    _, found = service.coverage_squares(session, service.Asked(city_id, DAY), side)
    told = {
        (column, row): tuple(band[i] for band in found["households"])
        for i, (column, row) in enumerate(
            zip(found["squares"].column, found["squares"].row, strict=True)
        )
    }
    for place, own in truth.groupby(["column", "row"]):
        sums = [own["households"][own["band"] == band].sum() for band in range(3)]
        assert told.pop(place) == pytest.approx(sums, abs=0.06)
    assert told == {}
    for i, band in enumerate(found["band"]):
        values = [one[i] for one in found["households"]]
        assert values[band] == max(values)


def test_patrol_areas(city: tuple[CityDataset, Session, int]) -> None:
    dataset, session, city_id = city
    right = Reckoned(dataset, DAY)
    for level in levels(dataset):
        for role in (None, "worker"):
            _, found = service.patrol_areas(session, service.Asked(city_id, DAY), level, role)
            posts = right.posts if role is None else right.posts[right.posts["role"] == role]
            for row in found["items"]:
                own = posts[posts["grid_id"].isin(right.within(row["grid"]))]
                check_posts(row, own)
            check_posts(found["total"], posts)
            assert sum(found["states"].values()) == len(found["items"])


def check_posts(row: dict[str, Any], own: pd.DataFrame) -> None:
    vacant = own["worker_id"].isna()
    part_time = own["part_time"].astype(bool)
    assert row["posts"] == len(own)
    assert row["vacant"] == vacant.sum()
    assert row["filled"] == (~vacant).sum()
    assert row["part_time"] == (~vacant & part_time).sum()
    assert row["full_time"] == (~vacant & ~part_time).sum()
    assert row["workers"] == own["worker_id"].nunique()
    state = "none" if own.empty else "vacant" if vacant.all() else "part" if vacant.any() else None
    assert row["state"] == (state or "staffed")
    by_role = own.groupby("role").size().to_dict()
    assert {one["role"]: one["posts"] for one in row["roles"]} == by_role


def test_density_of_stations(city: tuple[CityDataset, Session, int]) -> None:
    dataset, session, city_id = city
    right = Reckoned(dataset, DAY)
    for level in levels(dataset):
        _, found = service.station_density(session, service.Asked(city_id, DAY), level)
        for row in found["items"]:
            figures = right.figures(row["grid"])
            ground = right.metre_shapes[row["grid"]].area / 1e6
            assert row["stations"] == figures["stations"]
            assert row["households"] == pytest.approx(figures["households"], abs=0.06)
            assert row["area_km2"] == pytest.approx(ground, abs=6e-4)
            if figures["households"]:
                rate = figures["stations"] / figures["households"] * 1e4
                assert row["per_10000_households"] == pytest.approx(rate, abs=0.006)
            else:
                assert row["per_10000_households"] is None
            assert row["per_km2"] == pytest.approx(figures["stations"] / ground, rel=1e-2, abs=0.01)
    open_now = dataset.stations["stage"] == "open"
    assert found["total"]["stations"] == open_now.sum()
    assert found["total"]["households"] == pytest.approx(households(dataset).sum(), abs=0.06)


def leader(city_id: int) -> Viewer:
    return Viewer(role=Role.LEADER, city_id=city_id, user_id=1)


def counted(dataset: CityDataset, side: int, category: str | None) -> pd.DataFrame:
    parents = dataset.categories.set_index("category")["parent"]
    issues = dataset.issues[dataset.issues["set_aside"].isna()].copy()
    local = issues["reported_at"].dt.tz_convert(ZoneInfo(dataset.timezone))
    issues["month"] = local.dt.strftime("%Y-%m")
    top = issues["category"].map(parents)
    issues["top"] = top.where(top.notna(), issues["category"])
    if category is not None:
        issues = issues[issues["top"] == category]
    issues["column"] = np.floor(issues.geometry.x / side).astype(int)
    issues["row"] = np.floor(issues.geometry.y / side).astype(int)
    found: pd.DataFrame = issues
    return found


@pytest.mark.parametrize("side", SQUARE_SIDES_M)
@pytest.mark.parametrize("category", [None, "C01"])
def test_requests(city: tuple[CityDataset, Session, int], side: int, category: str | None) -> None:
    dataset, session, city_id = city
    issues = counted(dataset, side, category)
    narrow = service.RequestFilter(side_m=side, category=category, since=date(2020, 1, 1))
    _, found = service.map_requests(
        session, leader(city_id), service.Asked(city_id, DAY), replace_months(narrow, dataset)
    )
    months = [f"{month:%Y-%m}" for month in found.months]
    truth = issues.groupby(["month", "column", "row"]).size().to_dict()
    places = list(zip(found.squares.column, found.squares.row, strict=True))
    told = {
        (month, *place): cases
        for month, column in zip(months, found.cases, strict=True)
        for place, cases in zip(places, column, strict=True)
        if cases
    }
    assert told == truth
    stands = homes(dataset)
    squares = zip(
        np.floor(stands.geometry.x / side).astype(int),
        np.floor(stands.geometry.y / side).astype(int),
        strict=True,
    )
    lived = stands.groupby(pd.MultiIndex.from_tuples(list(squares)))["households"].sum()
    shown = dict(zip(places, found.households, strict=True))
    assert {place for place, number in shown.items() if number} == set(lived.index)
    for place, number in lived.items():
        assert shown[place] == pytest.approx(number, abs=0.06)
    for row in found.rows():
        check_square(row)


def replace_months(narrow: service.RequestFilter, dataset: CityDataset) -> service.RequestFilter:
    local = dataset.issues["reported_at"].dt.tz_convert(ZoneInfo(dataset.timezone))
    return replace(narrow, since=local.min().date(), until=local.max().date())


def check_square(row: dict[str, Any]) -> None:
    cases, people = row["cases"], row["households"]
    if cases == 0:
        assert row["shown"] == ("uninhabited" if people <= 0 else "zero")
    elif cases < LEAST_CASES or people < LEAST_HOUSEHOLDS:
        assert row["shown"] == "too_few"
        assert row["per_1000_households"] is None
    else:
        assert row["shown"] == "rate"
        assert row["per_1000_households"] == pytest.approx(1000 * cases / people, abs=0.06)


def test_what_was_set_aside_is_told(city: tuple[CityDataset, Session, int]) -> None:
    dataset, session, city_id = city
    asked, narrow = service.Asked(city_id, DAY), replace_months(service.RequestFilter(), dataset)
    _, found = service.map_requests(session, leader(city_id), asked, narrow)
    aside = dataset.issues["set_aside"].value_counts()
    assert found.left_out == {
        "default_geocode": aside.get("default_geocode", 0),
        "duplicate": aside.get("duplicate", 0),
    }
    everything = sum(map(sum, found.cases)) + sum(found.left_out.values())
    assert everything == len(dataset.issues)
    assert sum(one["cases"] for one in found.categories) == sum(map(sum, found.cases))


def test_larger_squares_are_sums_of_smaller_ones(city: tuple[CityDataset, Session, int]) -> None:
    dataset, session, city_id = city
    sums: list[dict[tuple[int, int], int]] = []
    for side in SQUARE_SIDES_M:
        narrow = replace_months(service.RequestFilter(side_m=side), dataset)
        _, found = service.map_requests(
            session, leader(city_id), service.Asked(city_id, DAY), narrow
        )
        places = zip(found.squares.column, found.squares.row, strict=True)
        sums.append(dict(zip(places, found.frame["cases"].tolist(), strict=True)))
    for small, large in itertools.pairwise(sums):
        added: dict[tuple[int, int], int] = dict.fromkeys(large, 0)
        for (column, row), cases in small.items():
            added[column // 2, row // 2] += cases
        assert added == large


def test_questions_that_cannot_be_answered(city: tuple[CityDataset, Session, int]) -> None:
    _, session, city_id = city
    asked = service.Asked(city_id, DAY)
    for narrow in (
        service.RequestFilter(side_m=300),
        service.RequestFilter(category="no_such"),
        service.RequestFilter(since=date(1900, 1, 1), until=date(2026, 1, 1)),
        service.RequestFilter(since=date(2026, 2, 1), until=date(2026, 1, 1)),
    ):
        with pytest.raises(InvalidInputError):
            service.map_requests(session, leader(city_id), asked, narrow)


def test_without_requests_there_is_still_a_map(city: tuple[CityDataset, Session, int]) -> None:
    _, session, city_id = city
    narrow = service.RequestFilter(since=date(2001, 1, 1), until=date(2001, 2, 1))
    _, found = service.map_requests(session, leader(city_id), service.Asked(city_id, DAY), narrow)
    assert sum(map(sum, found.cases)) == 0
    assert set(found.frame["shown"].astype(str)) == {"zero"}


def test_sizes_follow_from_the_median(city: tuple[CityDataset, Session, int]) -> None:
    dataset, session, city_id = city
    right = Reckoned(dataset, DAY)
    basic = dataset.grids[(dataset.grids["level"] == 3) & (dataset.grids["kind"] == "basic")]
    sizes = {int(grid): right.figures(int(grid))["households"] for grid in basic["grid_id"]}
    median = float(np.median(list(sizes.values())))
    _, found = service.grid_sizes(session, service.Asked(city_id, DAY), 3)
    assert found["median"] == pytest.approx(median, abs=0.06)
    outside = {grid for grid, size in sizes.items() if not median / 2 <= size <= 1.5 * median}
    assert {row["grid"] for row in found["items"]} == outside
    assert found["too_large"] + found["too_small"] == len(outside)


def test_derived_figures_are_not_stale(city: tuple[CityDataset, Session, int]) -> None:
    _, session, city_id = city
    assert derived.stale(session, city_id) == []
