"""Issues of any period on any net: packed by cell, marked when they change, equal to all read."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pandas as pd
import pytest
from sqlalchemy import insert, text
from sqlalchemy.orm import Session

from geo.db import Viewer, owner_transaction
from geo.errors import ForbiddenError, InvalidInputError, NetNotFoundError
from geo.store import nets, packing, restating
from geo.store.reading import Asked
from geo.store.restating import Period
from geo.tables import Net, NetCell
from geo.terms import FOREVER, Role
from tests.cities import cell_at
from tests.conftest import MigratedDatabase

MOVED = {cell_at(column, row): 212 for column in (5, 6, 7) for row in (0, 1)}
"""Given by the second net from 211 to 212."""
PERIODS = [
    Period(),
    Period(date(2026, 1, 1), date(2026, 12, 31)),
    Period(date(2026, 2, 1), date(2026, 3, 31)),
    Period(date(2026, 2, 11), date(2026, 4, 19)),
    Period(date(2026, 3, 5), date(2026, 3, 5)),
    Period(date(2001, 1, 1), date(2001, 1, 31)),
]


@pytest.fixture
def city(fresh_city: MigratedDatabase) -> tuple[MigratedDatabase, int]:
    """The tiny city with a second net, most of whose issues are packed."""
    with owner_transaction(fresh_city.engine) as session:
        number = int(session.scalar(text("SELECT city_id FROM city")) or 0)
        day = datetime(2026, 7, 1, tzinfo=UTC).date()
        session.execute(
            insert(Net).values(city_id=number, seq=2, effective_from=day, hash=b"2" * 32)
        )
        runs = {"city": number, "cells": list(MOVED)}
        session.execute(
            text("UPDATE net_cell SET to_seq = 2 WHERE city_id = :city AND cell_id = ANY (:cells)"),
            runs,
        )
        session.execute(
            insert(NetCell),
            [
                {"city_id": number, "cell_id": cell, "from_seq": 2, "to_seq": FOREVER,
                 "grid_id": grid}
                for cell, grid in MOVED.items()
            ],
        )  # fmt: skip
    return fresh_city, number


def rows_of(session: Session, city: int, seq: int) -> pd.DataFrame:
    """Return every issue with its day and the grid that its cell lies in on a net."""
    return pd.read_sql(
        text(
            "SELECT i.category, k.parent, i.set_aside, n.grid_id,"
            " (i.reported_at AT TIME ZONE 'Asia/Shanghai')::date AS day"
            " FROM issue AS i JOIN category AS k USING (city_id, category)"
            " JOIN net_cell AS n USING (city_id, cell_id)"
            " WHERE city_id = :city AND from_seq <= :seq AND to_seq > :seq"
        ),
        session.connection(),
        params={"city": city, "seq": seq},
    )


def counted(frame: pd.DataFrame, period: Period, category: str | None = None) -> dict[int, int]:
    """Count rows by grid."""
    frame = frame[frame["set_aside"].isna()]
    if period.since is not None and period.until is not None:
        frame = frame[(frame["day"] >= period.since) & (frame["day"] <= period.until)]
    if category is not None:
        frame = frame[(frame["category"] == category) | (frame["parent"] == category)]
    return {int(grid): int(number) for grid, number in frame["grid_id"].value_counts().items()}


def read_all(session: Session, city: int, seq: int, period: Period) -> dict[int, int]:
    """Count by reading every issue and joining it by its cell."""
    return counted(rows_of(session, city, seq), period)


def stored(session: Session, city: int, seq: int, *more: Any) -> dict[int, int]:
    at = nets.moment_of_net(session, city, seq)
    return restating.by_grid(session, at, None, *more)[0]


def stale(session: Session) -> list[date]:
    return sorted(session.scalars(text("SELECT DISTINCT month FROM issue_stale")))


def test_every_period_on_every_net(city: tuple[MigratedDatabase, int]) -> None:
    migrated, number = city
    with owner_transaction(migrated.engine) as session:
        assert stale(session) == []
        packed = session.scalar(text("SELECT sum(total) FROM issue_month"))
        assert packed == session.scalar(text("SELECT count(*) FROM issue"))
        names = [*session.scalars(text("SELECT DISTINCT category FROM issue ORDER BY 1 LIMIT 2"))]
        parent = session.scalar(
            text("SELECT parent FROM category WHERE category = :x"), {"x": names[0]}
        )
        for seq in (1, 2):
            frame = rows_of(session, number, seq)
            for period in PERIODS:
                for category in (None, *names, parent):
                    found = stored(session, number, seq, period, category)
                    assert found == counted(frame, period, category)
        assert stored(session, number, 1, Period()) != stored(session, number, 2, Period())


def test_a_whole_year_is_read_from_its_own_row(city: tuple[MigratedDatabase, int]) -> None:
    """The row is changed by hand: only questions on whole years without a mark show it."""
    migrated, number = city
    whole = Period(date(2026, 1, 1), date(2026, 12, 31))
    part = Period(date(2026, 1, 1), date(2026, 3, 31))
    with owner_transaction(migrated.engine) as session:
        true, some = stored(session, number, 1, whole), stored(session, number, 1, part)
        assert true != some
        session.execute(text("UPDATE issue_year SET cells = '', issues = '' WHERE year = 2026"))
        assert stored(session, number, 1, whole) == {}
        assert stored(session, number, 1, part) == some
        session.execute(
            text("INSERT INTO issue_stale (city_id, month) VALUES (:city, '2026-02-01')"),
            {"city": number},
        )
        assert stored(session, number, 1, whole) == true
        assert packing.pack_stale(session, number) == [date(2026, 2, 1)]
        assert stored(session, number, 1, whole) == true


def test_what_changes_is_marked_and_counted_at_once(city: tuple[MigratedDatabase, int]) -> None:
    migrated, number = city
    changes = (
        "UPDATE issue SET cell_id = :cell WHERE issue_id = (SELECT min(issue_id) FROM issue)",
        (
            "UPDATE issue SET set_aside = 'duplicate' WHERE issue_id = (SELECT max(issue_id)"
            " FROM issue WHERE set_aside IS NULL)"
        ),
        (
            "UPDATE issue SET reported_at = reported_at + interval '40 days'"
            " WHERE issue_id = (SELECT min(issue_id) FROM issue)"
        ),
    )
    for change in changes:
        with owner_transaction(migrated.engine) as session:
            before = session.scalar(text("SELECT count(*) FROM issue_stale"))
            session.execute(text(change), {"cell": cell_at(5, 0)} if ":cell" in change else {})
            assert session.scalar(text("SELECT count(*) FROM issue_stale")) > before
            for period in PERIODS:
                found = stored(session, number, 2, period)
                assert found == read_all(session, number, 2, period)
    with owner_transaction(migrated.engine) as session:
        marked = stale(session)
        assert packing.pack_stale(session, number) == marked
        assert stale(session) == []
        assert stored(session, number, 2, Period()) == read_all(session, number, 2, Period())
        session.execute(text("UPDATE issue SET reported_at = reported_at + interval '99 days'"))
    assert set(packing.pack_all(migrated.engine)) == {number}
    assert packing.pack_all(migrated.engine) == {}
    with owner_transaction(migrated.engine) as session:
        assert stored(session, number, 2, Period()) == read_all(session, number, 2, Period())
        packing.pack(session, number)
        session.execute(text("UPDATE issue SET state = state"))
        assert stale(session) == [], "what does not change a count is not marked"


def test_a_writer_that_is_not_done_keeps_its_mark(city: tuple[MigratedDatabase, int]) -> None:
    migrated, number = city
    with owner_transaction(migrated.engine) as writer:
        writer.execute(
            text("UPDATE issue SET cell_id = :cell WHERE issue_id = 1"), {"cell": cell_at(6, 1)}
        )
        with owner_transaction(migrated.engine) as packer:
            assert packing.pack_stale(packer, number) == []
    with owner_transaction(migrated.engine) as session:
        assert len(stale(session)) == 1
        assert stored(session, number, 1, Period()) == read_all(session, number, 1, Period())


def test_the_answer_with_its_three_dates_and_who_may_have_it(
    city: tuple[MigratedDatabase, int],
) -> None:
    migrated, number = city
    leader, worker = Viewer(Role.LEADER, number, 5), Viewer(Role.WORKER, number, 2, (111,))
    door = migrated.application()
    period = Period(date(2026, 1, 10), date(2026, 6, 20))
    for seq in (1, 2):
        with door.transaction(leader) as session:
            asked = Asked(number, None, "2026", seq)
            at, days, found = restating.restate(session, leader, asked, 3, period)
            expected = read_all(session, number, seq, period)
        assert (at.seq, at.vintage, days) == (seq, "2026", (period.since, period.until))
        cases = {row["grid"]: row["cases"] for row in found["items"]}
        assert cases[211] == expected.get(211, 0)
        assert cases[111] == expected.get(1111, 0) + expected.get(1112, 0)
        assert found["total"]["cases"] == sum(expected.values())
        assert found["total"]["cases"] == sum(cases.values())
    with door.transaction(worker) as session, pytest.raises(ForbiddenError):
        restating.restate(session, worker, Asked(number), 1, period)
    with door.transaction(leader) as session:
        with pytest.raises(InvalidInputError, match="ten years"):
            restating.restate(
                session, leader, Asked(number), 1, Period(date(1950, 1, 1), date(2026, 1, 1))
            )
        with pytest.raises(InvalidInputError, match="category"):
            restating.restate(session, leader, Asked(number), 1, period, "X99")
        with pytest.raises(NetNotFoundError):
            restating.restate(session, leader, Asked(number, None, None, 9), 1, period)
    with door.transaction(worker) as session:
        assert session.scalar(text("SELECT count(*) FROM issue_month")) == 0
        assert session.scalar(text("SELECT count(*) FROM issue_year")) == 0
    door.close()
