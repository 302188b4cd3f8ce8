"""Which net a date stands for, and that every figure follows the net that is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import delete, func, insert, select, text, update
from sqlalchemy.orm import Session

from geo import service
from geo.db import Viewer, owner_transaction
from geo.errors import (
    CityNotFoundError,
    GridNotFoundError,
    InvalidInputError,
    NetNotFoundError,
)
from geo.store import derived, grids, nets
from geo.store.grids import GridFilter
from geo.tables import Building, CellValue, Net, NetCell, NetCount, NetGrid, NetValue
from geo.terms import FOREVER
from tests.cities import cell_at, point, tiny_dataset
from tests.conftest import MigratedDatabase

SECOND, THIRD, CANCELLED, FOURTH = (
    date(2026, 7, 1),
    date(2026, 10, 1),
    date(2026, 11, 1),
    date(2099, 1, 1),
)
MOVED = cell_at(3, 2)
"""Given from grid 121 to unit 1112 by the second net; grid 213 ends with the third."""


def publish(session: Session, city: int, seq: int, day: date, *, cancelled: bool = False) -> None:
    session.execute(
        insert(Net).values(
            city_id=city,
            seq=seq,
            effective_from=day,
            hash=bytes([seq]) * 32,
            cancelled_at=datetime(2026, 10, 20, tzinfo=UTC) if cancelled else None,
        )
    )


def change_grid(session: Session, city: int, seq: int, grid: int, **values: object) -> None:
    """Close a grid's run and open the next one with some values changed."""
    run = (NetGrid.city_id == city) & (NetGrid.grid_id == grid) & (NetGrid.to_seq == FOREVER)
    old = dict(session.execute(select(NetGrid.__table__).where(run)).mappings().one())
    session.execute(update(NetGrid).where(run).values(to_seq=seq))
    session.execute(insert(NetGrid).values({**old, "from_seq": seq, **values}))


def move_cell(session: Session, city: int, seq: int, cell: int, grid: int) -> None:
    run = (NetCell.city_id == city) & (NetCell.cell_id == cell) & (NetCell.to_seq == FOREVER)
    session.execute(update(NetCell).where(run).values(to_seq=seq))
    values = {"city_id": city, "cell_id": cell, "from_seq": seq, "grid_id": grid}
    session.execute(insert(NetCell).values(**values))


@pytest.fixture(scope="module")
def several_nets(
    template: str, new_database: Callable[[str], MigratedDatabase]
) -> tuple[MigratedDatabase, int]:
    """A city with four nets, the last cancelled before its date, and one for next century."""
    migrated = new_database(template)
    with owner_transaction(migrated.engine) as session:
        city = service.load_dataset(session, tiny_dataset())
        publish(session, city, 2, SECOND)
        move_cell(session, city, 2, MOVED, 1112)
        for grid in (121, 12, 1112, 111, 11):
            change_grid(session, city, 2, grid, **({"name": "新名"} if grid == 1112 else {}))
        publish(session, city, 3, THIRD)
        for row in range(5, 8):
            move_cell(session, city, 3, cell_at(row, 4), 212)
        ended = (NetGrid.grid_id == 213) & (NetGrid.to_seq == FOREVER)
        session.execute(update(NetGrid).where(ended).values(to_seq=3))
        publish(session, city, 4, CANCELLED, cancelled=True)
        publish(session, city, 5, FOURTH)
        derived.refresh(session, city, 4549)
    return migrated, city


@pytest.fixture
def city(several_nets: tuple[MigratedDatabase, int]) -> int:
    return several_nets[1]


@pytest.fixture
def session(several_nets: tuple[MigratedDatabase, int]) -> Iterator[Session]:
    """A session of the owner whose changes are rolled back."""
    with several_nets[0].engine.connect() as connection:
        outer = connection.begin()
        with Session(connection, join_transaction_mode="create_savepoint") as opened:
            yield opened
        outer.rollback()


@pytest.mark.parametrize(
    ("day", "seq"),
    [
        (date(2026, 1, 1), 1),
        (SECOND - timedelta(days=1), 1),
        (SECOND, 2),
        (THIRD - timedelta(days=1), 2),
        (THIRD, 3),
        (CANCELLED, 3),
        (FOURTH - timedelta(days=1), 3),
        (FOURTH, 5),
    ],
)
def test_the_greatest_uncancelled_net_of_the_day(
    session: Session, city: int, day: date, seq: int
) -> None:
    at = nets.moment(session, city, day)
    assert (at.seq, at.day) == (seq, day)


def test_without_a_day_it_is_today_in_the_citys_zone(session: Session, city: int) -> None:
    for zone in ("Pacific/Kiritimati", "Etc/GMT+12"):
        session.execute(text("UPDATE city SET timezone = :zone"), {"zone": zone})
        today = session.scalar(select(func.date(func.timezone(zone, func.statement_timestamp()))))
        assert nets.moment(session, city).day == today


def test_nothing_there_is_said(session: Session, city: int) -> None:
    with pytest.raises(NetNotFoundError) as early:
        nets.moment(session, city, date(2025, 12, 31))
    assert early.value.data["first"] == "2026-01-01"
    with pytest.raises(CityNotFoundError):
        nets.moment(session, 999)
    with pytest.raises(NetNotFoundError):
        nets.moment_of_net(session, city, 6)
    with pytest.raises(CityNotFoundError):
        nets.moment_of_net(session, 999, 1)
    with pytest.raises(InvalidInputError):
        nets.moment(session, city, None, "1900")


def test_a_net_by_number_stands_for_its_last_day_so_far(session: Session, city: int) -> None:
    days = {seq: nets.moment_of_net(session, city, seq).day for seq in (1, 2, 3, 5)}
    assert days[1] == SECOND - timedelta(days=1)
    assert days[2] == THIRD - timedelta(days=1)
    assert THIRD <= days[3] < FOURTH
    assert days[5] == FOURTH, "a net to come stands for its first day"
    asked = nets.moment_of_net(session, city, 1, date(2026, 2, 1))
    assert (asked.seq, asked.day) == (1, date(2026, 2, 1))


def test_the_list_of_nets_marks_the_living_one(session: Session, city: int) -> None:
    listed = nets.nets(session, city)
    assert [row.seq for row in listed] == [5, 4, 3, 2, 1]
    assert [row.live for row in listed] == [False, False, True, False, False]
    assert [row.cancelled_at is not None for row in listed] == [False, True, False, False, False]


def households(session: Session, city: int, day: date) -> dict[int, float]:
    at = nets.moment(session, city, day)
    page = grids.listing(session, at, GridFilter(), limit=100)
    return {item["grid"]: item["households"] for item in page.items}


def test_figures_follow_the_net(session: Session, city: int) -> None:
    before, after = households(session, city, date(2026, 6, 30)), households(session, city, SECOND)
    moved = session.scalar(
        select(CellValue.value).where(
            CellValue.cell_id == MOVED,
            CellValue.vintage == "2026",
            CellValue.measure == "households",
        )
    )
    assert moved
    for grid, change in ((121, -moved), (12, -moved), (1112, moved), (111, moved), (11, moved)):
        assert after[grid] - before[grid] == change
    assert (before[1], before[21]) == (after[1], after[21])
    third = households(session, city, THIRD)
    assert 213 not in third
    assert third[212] == after[212] + after[213]


def test_cards_and_places_follow_the_net(session: Session, city: int) -> None:
    first, second, third = (
        nets.moment(session, city, day) for day in (date(2026, 6, 30), SECOND, THIRD)
    )
    place = point(3.5, 2.5)
    lon, lat = session.execute(
        text(
            "SELECT ST_X(p), ST_Y(p) FROM (SELECT ST_Transform(ST_SetSRID("
            "ST_MakePoint(:x, :y), 4549), 4326) AS p) AS q"
        ),
        {"x": place.x, "y": place.y},
    ).one()
    assert grids.grids_at(session, first, lon, lat)[1][0] == 121
    assert grids.grids_at(session, second, lon, lat)[1] == [1112, 111, 11, 1]
    card = grids.card(session, second, 1112)
    assert card["name"] == "新名"
    assert [(name["from_seq"], name["name"]) for name in card["names"]] == [
        (1, "第2微网格"),
        (2, "新名"),
    ]
    assert grids.card(session, first, 1112)["name"] == "第2微网格"
    assert grids.card(session, first, 213)["cells"] == 3
    with pytest.raises(GridNotFoundError):
        grids.card(session, third, 213)


def test_levels_count_the_grids_of_the_net(session: Session, city: int) -> None:
    for seq, expected in ((1, [2, 3, 6, 4]), (3, [2, 3, 5, 4]), (None, [0, 0, 0, 0])):
        assert [row.count for row in nets.levels(session, city, seq)] == expected


# ---- derived figures --------------------------------------------------------------------------


def test_derived_figures_follow_from_the_cells(session: Session, city: int) -> None:
    assert derived.stale(session, city) == []


def test_a_changed_cell_value_or_building_shows_until_refreshed(
    session: Session, city: int
) -> None:
    cell = cell_at(0, 0)
    session.execute(
        update(CellValue)
        .where(CellValue.cell_id == cell, CellValue.vintage == "2026")
        .where(CellValue.measure == "households")
        .values(value=CellValue.value + 1)
    )
    found = derived.stale(session, city)
    assert {(table, grid) for table, _, grid in found} == {
        ("net_value", grid) for grid in (1, 11, 111, 1111)
    }
    assert {seq for _, seq, _ in found} == {1, 2, 3, 4, 5}
    session.execute(update(Building).where(Building.building_id == 1).values(cell_id=40))
    assert ("net_count", 3, 212) in derived.stale(session, city)
    derived.refresh_figures(session, city)
    assert derived.stale(session, city) == []


def test_a_missing_or_spare_figure_is_found(session: Session, city: int) -> None:
    session.execute(delete(NetCount).where(NetCount.grid_id == 11, NetCount.seq == 2))
    session.execute(
        insert(NetValue).values(
            city_id=city, seq=1, vintage="2026", measure="parking", grid_id=213, value=5.0
        )
    )
    assert derived.stale(session, city) == [("net_count", 2, 11), ("net_value", 1, 213)]


def test_one_net_can_be_reckoned_alone(session: Session, city: int) -> None:
    session.execute(delete(NetCount))
    derived.refresh_figures(session, city, seq=2)
    seqs = set(session.scalars(select(NetCount.seq)))
    assert seqs == {2}


def test_the_door_says_the_same_as_the_rooms(session: Session, city: int) -> None:
    asked = service.Asked(city, SECOND)
    at, card = service.show_grid(session, Viewer.public(city), asked, 111)
    assert at.seq == 2
    assert card["households"] == households(session, city, SECOND)[111]
    assert service.list_nets(session, city)[2]["live"] is True
    known, shown = service.show_city(session, asked)
    assert known is not None
    assert shown["net"]["seq"] == 2
