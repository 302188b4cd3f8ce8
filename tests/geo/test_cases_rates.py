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


def expected(
    dataset: CityDataset, by: Any, cells: pd.DataFrame | None = None
) -> dict[Any, dict[str, int]]:
    """Count by pandas, on the net of the data or of other grids of the cells."""
    rows = dataset.issues.drop(columns="geometry").merge(dataset.issue_lives, on="issue_id")
    net = dataset.cells[["cell_id", "grid_id"]] if cells is None else cells
    rows = rows.merge(net, on="cell_id")
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


POSTED = (
    "INSERT INTO post (city_id, post_id, worker_id, grid_id, role, valid_from, area_1, area_2,"
    " area_3) SELECT :city, 900000 + 10 * g.grid_id + k, w, g.grid_id, 'worker', '2026-01-01',"
    " g.area_1, g.area_2, g.area_3 FROM net_grid AS g, (SELECT worker_id AS w,"
    " row_number() OVER (ORDER BY worker_id) AS k FROM worker WHERE city_id = :city LIMIT 6)"
    " AS x WHERE g.city_id = :city AND g.level = 3"
)
MOVED = (
    "INSERT INTO net (city_id, seq, effective_from, hash) VALUES (:city, 2, '2026-09-01', 'x')",
    (
        "WITH old AS (UPDATE net_cell SET to_seq = 2 WHERE city_id = :city AND grid_id = :source"
        " RETURNING city_id, cell_id) INSERT INTO net_cell (city_id, cell_id, grid_id, from_seq,"
        " to_seq) SELECT city_id, cell_id, :target, 2, 2147483647 FROM old"
    ),
)


@pytest.mark.parametrize("level", [1, 2, 3])
def test_rates_are_those_of_pandas_on_the_net_of_any_date(city: City, level: int) -> None:
    """One unit's ground goes to another grid; before and after, figures are of that net."""
    dataset, session, city_id = city
    grids = dataset.grids.set_index("grid_id")
    leaves = grids[grids["level"] == grids["level"].max()]
    source = int(leaves.index[0])
    target = int(leaves.index[leaves["parent_id"] != leaves["parent_id"].iloc[0]][0])
    cells = dataset.cells[["cell_id", "grid_id"]]
    moved = cells.assign(grid_id=cells["grid_id"].replace({source: target}))
    point = session.begin_nested()
    told = {}
    asked = {"city": city_id, "source": source, "target": target}
    for statement in (POSTED, *MOVED):
        used = {name: value for name, value in asked.items() if f":{name}" in statement}
        session.execute(text(statement), used)
    for day in (date(2026, 8, 31), date(2026, 9, 1)):
        at = service.Asked(city_id, day).moment(session)
        narrow = RateFilter(**PERIOD, by="area", level=level)
        found = cases.rates(session, Viewer(Role.LEADER, city_id, 1), at, narrow)["rows"]
        told[at.seq] = {row["group"]: row for row in found}
    point.rollback()
    assert set(told) == {1, 2}
    for seq, net in ((1, cells), (2, moved)):
        wanted = expected(dataset, level, net)
        assert set(told[seq]) == set(wanted)
        for group, row in told[seq].items():
            for rate in row["rates"] or ():
                over, of = OVER[rate["rate"]]
                counts = wanted[group]
                assert (rate["over"], rate["of"]) == (counts[over], counts[of]), (seq, group)
    lost = {int(grids.loc[one, "parent_id"]) for one in (source, target)}
    silent = {group for group, row in told[1].items() if row["withheld"]}
    if level == 3:
        assert lost <= silent, "the difference of both nets would be the rates of one grid"
        assert told[2][max(lost)]["rates"], "today's are told"
    assert set(told[1]) - silent, "what did not change is told"


def test_nothing_that_is_withheld_is_the_difference_of_what_is_told(city: City) -> None:
    dataset, session, city_id = city
    at = service.Asked(city_id).moment(session)
    parents = dataset.grids.set_index("grid_id")["parent_id"]
    who = Viewer(Role.LEADER, city_id, 1)
    grids = dataset.grids[dataset.grids["level"] == 3]["grid_id"].tolist()
    point = session.begin_nested()
    all_but_one = f"{POSTED} AND g.grid_id <> :few"
    session.execute(text(all_but_one), {"city": city_id, "few": grids[0]})
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
