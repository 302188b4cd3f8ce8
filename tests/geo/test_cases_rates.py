"""Rates of the demo city beside what pandas counts from its frames; who may know which."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import pandas as pd
import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from geo import demo, service
from geo.dataset import CityDataset
from geo.db import Viewer
from geo.errors import ForbiddenError, InvalidInputError
from geo.rates import LEAST_WORKERS
from geo.store import cases
from geo.store.cases import RateFilter
from geo.terms import Role
from tests.case_counts import OVER, counted
from tests.conftest import MigratedDatabase

NOW = datetime(2026, 10, 1, tzinfo=UTC)
PERIOD = {"since": date(2025, 12, 1), "until": date(2026, 5, 31), "moment": NOW}


@pytest.fixture(scope="module")
def city(shared_database: MigratedDatabase) -> Iterator[tuple[CityDataset, Session, int]]:
    """The small demo city in a transaction that is rolled back."""
    dataset = demo.generate(1, size="small")
    with shared_database.engine.connect() as connection:
        outer = connection.begin()
        with Session(connection, join_transaction_mode="create_savepoint") as session:
            yield dataset, session, service.load_dataset(session, dataset)
        outer.rollback()


City = tuple[CityDataset, Session, int]


def expected(dataset: CityDataset, by: Any) -> dict[Any, dict[str, int]]:
    rows = dataset.issues.drop(columns="geometry").merge(dataset.issue_lives, on="issue_id")
    rows = rows.merge(dataset.cells[["cell_id", "grid_id"]], on="cell_id")
    parent = dataset.grids.set_index("grid_id")["parent_id"]
    level = dataset.grids.set_index("grid_id")["level"]
    day = rows["reported_at"].dt.tz_convert("Asia/Shanghai").dt.date
    rows = rows[rows["set_aside"].isna() & (day >= PERIOD["since"]) & (day <= PERIOD["until"])]
    rows = rows.assign(
        month=rows["reported_at"].dt.tz_convert("Asia/Shanghai").dt.strftime("%Y-%m")
    )

    def above(grid: int, wanted: int) -> int:
        while level[grid] > wanted:
            grid = int(parent[grid])
        return grid

    if by == "none":
        return {"all": counted(rows, NOW)}
    if isinstance(by, int):
        rows = rows.assign(key=[above(int(grid), by) for grid in rows["grid_id"]])
    else:
        rows = rows.assign(key=rows[by])
    return {
        None if pd.isna(key) else key: counted(part, NOW)
        for key, part in rows.groupby("key", dropna=False)
    }


@pytest.mark.parametrize(
    ("by", "column", "level"),
    [
        ("none", "none", 1), ("area", 1, 1), ("area", 2, 2), ("area", 3, 3),
        ("department", "organisation_id", 1), ("category", "category", 1), ("month", "month", 1),
    ],
)  # fmt: skip
def test_rates_are_those_of_pandas(city: City, by: str, column: Any, level: int) -> None:
    dataset, session, city_id = city
    at = service.Asked(city_id).moment(session)
    viewer = Viewer(Role.LEADER, city_id, 1)
    told = cases.rates(session, viewer, at, RateFilter(**PERIOD, by=by, level=level))
    wanted = expected(dataset, column)
    assert {row["group"] for row in told["rows"]} == set(wanted)
    seen = 0
    for row in told["rows"]:
        if row["withheld"]:
            assert row["rates"] is None
            continue
        counts = wanted[row["group"]]
        for rate in row["rates"]:
            over, of = OVER[rate["rate"]]
            assert (rate["over"], rate["of"]) == (counts[over], counts[of]), (row["group"], rate)
            assert rate["share"] == (counts[over] / counts[of] if counts[of] else None)
            seen += 1
    assert seen >= 13 or level > 1
    aside = dataset.issues["set_aside"].notna()
    day = dataset.issues["reported_at"].dt.tz_convert("Asia/Shanghai").dt.date
    assert told["set_aside"] == (aside & day.between(PERIOD["since"], PERIOD["until"])).sum()


def test_no_rate_of_few_workers_leaves_the_own_circle(city: City) -> None:
    dataset, session, city_id = city
    at = service.Asked(city_id).moment(session)
    grids = dataset.grids.set_index("grid_id")
    grid = int(grids.index[grids["level"] == 3][0])
    community, top = int(grids.loc[grid, "parent_id"]), int(grids.index[grids["level"] == 1][0])
    narrow = RateFilter(**PERIOD, by="area", level=3)
    for who, own in (
        (Viewer(Role.LEADER, city_id, 1), set()),
        (Viewer(Role.ADMINISTRATOR, city_id, 1), set()),
        (Viewer(Role.WORKER, city_id, 1, (grid,)), {grid}),
        (Viewer(Role.COMMUNITY, city_id, 1, (community,)), None),
        (Viewer(Role.COMMUNITY, city_id, 1, (top,)), None),
    ):
        rows = cases.rates(session, who, at, narrow)["rows"]
        assert rows
        for row in rows:
            few = row["workers"] < LEAST_WORKERS
            if few and own is not None and row["group"] not in own:
                assert row["withheld"]
                assert row["rates"] is None
            if few and (own is None or row["group"] in own):
                assert not row["withheld"]
        export = cases.rates(session, who, at, RateFilter(**PERIOD, by="area", level=3,
                                                          export=True))["rows"]  # fmt: skip
        assert all(row["withheld"] for row in export if row["workers"] < LEAST_WORKERS)


def test_nothing_that_is_withheld_is_the_difference_of_what_is_told(city: City) -> None:
    dataset, session, city_id = city
    at = service.Asked(city_id).moment(session)
    parents = dataset.grids.set_index("grid_id")["parent_id"]
    who = Viewer(Role.LEADER, city_id, 1)
    grids = dataset.grids[dataset.grids["level"] == 3]["grid_id"].tolist()
    posts = (
        "INSERT INTO post (city_id, post_id, worker_id, grid_id, role, valid_from, area_1, area_2,"
        " area_3) SELECT :city, 900000 + 10 * :n + k, w, :grid, 'worker', '2026-01-01',"
        " g.area_1, g.area_2, g.area_3 FROM net_grid AS g, (SELECT worker_id AS w,"
        " row_number() OVER (ORDER BY worker_id) AS k FROM worker WHERE city_id = :city LIMIT 6)"
        " AS x WHERE g.city_id = :city AND g.grid_id = :grid"
    )
    point = session.begin_nested()
    for n, grid in enumerate(grids[1:]):  # all but one have many workers
        session.execute(text(posts), {"city": city_id, "grid": grid, "n": n})
    rows = cases.rates(session, who, at, RateFilter(**PERIOD, by="area", level=3))["rows"]
    point.rollback()
    silent = {row["group"] for row in rows if row["withheld"]}
    assert grids[0] in silent
    for parent in {parents[grid] for grid in silent}:
        assert len([grid for grid in silent if parents[grid] == parent]) >= 2


def test_who_asks_for_rates_and_how(city: City) -> None:
    _, session, city_id = city
    at = service.Asked(city_id).moment(session)
    leader = Viewer(Role.LEADER, city_id, 1)
    for who in (Viewer.public(city_id), Viewer(Role.LEADER, city_id + 1, 1)):
        with pytest.raises(ForbiddenError):
            cases.rates(session, who, at, RateFilter())
    for narrow in (
        RateFilter(by="worker"), RateFilter(by="area", level=9),
        RateFilter(since=date(2026, 2, 1), until=date(2026, 1, 1)),
    ):  # fmt: skip
        with pytest.raises(InvalidInputError):
            cases.rates(session, leader, at, narrow)
