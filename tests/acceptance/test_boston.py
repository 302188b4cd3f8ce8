"""Boston's cases of 2015 as issues: what was recognised, where they lie, what the rates say."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from geo import service
from geo.dataset import FRAMES, CityDataset, empty_frame, shaped
from geo.db import Viewer
from geo.importing.cases import CaseColumns, understand
from geo.importing.city import categories
from geo.profiles import load_profile
from geo.store import cases
from geo.store.cases import RateFilter
from geo.tables import Audit, Issue, NetCell, NetGrid
from geo.terms import Role
from tests.case_counts import OVER, counted
from tests.conftest import MigratedDatabase

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(900)]

ZONE, METRE_SRID = "America/New_York", 26986
COLUMNS = CaseColumns(
    "id", "type", "opened_at", "lon", "lat", target="target_at", closed="closed_at",
    state="status", department="department", channel="source",
)  # fmt: skip
NOW = datetime(2016, 2, 1, tzinfo=UTC)
LONGEST_S = 20.0


@pytest.fixture(scope="module")
def listed(shared_data: Path) -> pd.DataFrame:
    return pd.read_parquet(shared_data / "boston_ma/boston_311_2015.parquet")


@pytest.fixture(scope="module")
def districts(shared_data: Path) -> gpd.GeoDataFrame:
    return gpd.read_file(shared_data / "boston_ma/boston_police_districts.geojson")


def city_of(districts: gpd.GeoDataFrame) -> CityDataset:
    """Return a city of one area with the police districts as its grids, a cell for each piece."""
    profile = load_profile("intl")
    pieces = districts.to_crs(METRE_SRID).explode(ignore_index=True)
    number = {code: place for place, code in enumerate(districts["DISTRICT"], start=2)}
    frames: dict[str, Any] = {name: empty_frame(name, METRE_SRID) for name in FRAMES}
    frames["grids"] = shaped("grids", {
        "grid_id": [1, *number.values()],
        "level": [1, *[2] * len(number)],
        "parent_id": pd.array([pd.NA, *[1] * len(number)], dtype="Int64"),
        "name": ["Boston", *number],
        "kind": ["basic"] * (len(number) + 1),
        "code": [None] * (len(number) + 1),
        "colour": [0] * (len(number) + 1),
    }, METRE_SRID)  # fmt: skip
    frames["cells"] = shaped("cells", {
        "cell_id": np.arange(1, len(pieces) + 1),
        "grid_id": pieces["DISTRICT"].map(number),
        "geometry": pieces.geometry,
    }, METRE_SRID)  # fmt: skip
    frames["categories"] = categories(profile, METRE_SRID)
    return CityDataset(
        slug="boston", name="波士顿", name_en="Boston", profile="intl", timezone=ZONE,
        metre_srid=METRE_SRID, county_code="25025", effective_from=date(2015, 1, 1), **frames,
    )  # fmt: skip


def worked_s(session: Session) -> float:
    """Return the seconds of CPU of this process and of the session's server process.

    Other work on the machine does not count; with a server elsewhere it is the time of the clock.
    """
    pid = session.scalar(select(func.pg_backend_pid()))
    stat = Path(f"/proc/{pid}/stat")
    if not stat.is_file():
        return time.perf_counter()
    ticks = stat.read_text().rpartition(")")[2].split()[11:13]
    return time.process_time() + sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


Boston = tuple[Session, int, dict[str, Any], float]


@pytest.fixture(scope="module")
def boston(
    shared_database: MigratedDatabase, listed: pd.DataFrame, districts: gpd.GeoDataFrame
) -> Iterator[Boston]:
    """The city with its year of cases, what the import said, and its seconds of CPU."""
    with shared_database.engine.connect() as connection:
        outer = connection.begin()
        with Session(connection, join_transaction_mode="create_savepoint") as session:
            city_id = service.load_dataset(session, city_of(districts))
            at = service.Asked(city_id).moment(session)
            began_s = worked_s(session)
            report = cases.take_in(session, at, understand(listed, COLUMNS, ZONE))
            yield session, city_id, report, worked_s(session) - began_s
        outer.rollback()


def test_all_cases_come_in_and_doubtful_ones_are_recognised(boston: Boston) -> None:
    session, city_id, report, took_s = boston
    assert took_s <= LONGEST_S, f"{took_s:.1f} s for {report}"
    assert report["cases"] == 121_145
    assert report["written"] + report["outside"] == 121_145
    assert report["outside"] < 200
    assert 0.13 < report["default_geocodes"] / report["cases"] < 0.15
    assert len(report["default_points"]) == 1
    assert report["impossible_times"] == 197
    assert report["repeats"] == 9_608, "9,607 by the clock on the wall, which was put back once"
    aside = session.scalar(
        select(func.count()).where(Issue.city_id == city_id, Issue.set_aside.is_not(None))
    )
    assert aside == pytest.approx(report["set_aside"], abs=report["outside"])


def test_one_row_of_the_log_for_all(boston: Boston) -> None:
    session, city_id, report, _ = boston
    rows = session.scalars(
        select(Audit.payload).where(Audit.city_id == city_id, Audit.action == "issue.import")
    ).all()
    assert len(rows) == 1
    assert rows[0]["written"] == report["written"]
    assert len(rows[0]["sha256"]) == 64


def test_a_second_import_adds_nothing(boston: Boston, listed: pd.DataFrame) -> None:
    session, city_id, report, _ = boston
    point = session.begin_nested()
    at = service.Asked(city_id).moment(session)
    again = cases.take_in(session, at, understand(listed.head(2_000), COLUMNS, ZONE))
    assert again["written"] == 0
    assert again["known"] == 2_000
    point.rollback()
    assert report["known"] == 0


def test_districts_agree_with_the_record(boston: Boston, listed: pd.DataFrame) -> None:
    session, city_id, _, _ = boston
    found = pd.DataFrame(
        session.execute(
            select(Issue.external, NetGrid.name)
            .join(NetCell, (NetCell.city_id == Issue.city_id) & (NetCell.cell_id == Issue.cell_id))
            .join(
                NetGrid,
                (NetGrid.city_id == Issue.city_id) & (NetGrid.grid_id == NetCell.grid_id),
            )
            .where(
                Issue.city_id == city_id,
                Issue.set_aside.is_distinct_from("default_geocode"),
            )
        ),
        columns=["id", "found"],
    )
    told = listed[listed["police_district"].notna()]
    both = found.merge(told[["id", "police_district"]], on="id")
    same = both["found"] == both["police_district"].str.replace("-", "")
    assert len(both) > 100_000
    assert same.mean() >= 0.993, f"{same.mean():.4%} of {len(both):,}"


@pytest.mark.parametrize("by", ["none", "area", "category", "department", "month"])
def test_rates_of_boston_are_those_of_pandas(boston: Boston, by: str) -> None:
    session, city_id, _, _ = boston
    table = pd.read_sql(
        select(Issue.__table__).where(Issue.city_id == city_id),
        session.connection(),
        dtype_backend="numpy_nullable",
    )
    for name in ("reported_at", "deadline_at", "handled_at", "closed_at", "registered_at",
                 "dispatched_at", "accepted_at", "register_by"):  # fmt: skip
        table[name] = pd.to_datetime(table[name], utc=True)
    rows = table[table["set_aside"].isna()]
    local = rows["reported_at"].dt.tz_convert(ZONE)
    rows = rows.assign(month=local.dt.strftime("%Y-%m"), all="all")[local.dt.year == 2015]
    column = {"none": "all", "area": "area_2", "department": "organisation_id"}.get(by, by)
    at = service.Asked(city_id).moment(session)
    narrow = RateFilter(date(2015, 1, 1), date(2015, 12, 31), by=by, level=2, moment=NOW)
    told = cases.rates(session, Viewer(Role.LEADER, city_id, 1), at, narrow)
    groups = {
        None if pd.isna(key) else key: part for key, part in rows.groupby(column, dropna=False)
    }
    assert {row["group"] for row in told["rows"]} == set(groups)
    assert all(row["withheld"] for row in told["rows"]), "nobody works there"
    counts = cases.counts(session, Viewer(Role.LEADER, city_id, 1), at, narrow)
    for row in counts:
        assert {name: row[name] for pair in OVER.values() for name in pair} == {
            name: value
            for name, value in counted(groups[row["group"]], NOW).items()
            if any(name in pair for pair in OVER.values())
        }
