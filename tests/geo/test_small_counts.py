"""Counts of few households: told to staff, to nobody else, and not to be found as a difference."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from geo import service
from geo.db import Database, Viewer, owner_transaction
from geo.density import LEAST_HOUSEHOLDS
from geo.service import Asked
from geo.store import derived, nets
from geo.store import grids as grid_rows
from geo.tables import NetValue
from geo.terms import Role
from tests.cities import GRIDS, ancestors, tiny_dataset
from tests.conftest import MigratedDatabase

BELOW = {grid: {other for other in GRIDS if grid in ancestors(other)} for grid in GRIDS}


def shrink(session: Session, city: int, grid: int, share: float) -> None:
    """Let a grid have only a share of its households, in all vintages."""
    session.execute(
        text(
            "UPDATE cell_value AS v SET value = round(v.value * :share) FROM net_cell AS n"
            " WHERE v.city_id = :city AND v.measure = 'households' AND n.city_id = v.city_id"
            " AND n.cell_id = v.cell_id AND n.grid_id = ANY (:grids)"
        ),
        {"share": share, "city": city, "grids": sorted(BELOW[grid])},
    )
    derived.refresh_figures(session, city)


def silent(session: Session, city: int, vintage: str = "2026") -> set[int]:
    asked = text("SELECT grid_id FROM net_silent WHERE city_id = :city AND vintage = :vintage")
    return set(session.scalars(asked, {"city": city, "vintage": vintage}))


@pytest.mark.parametrize(
    ("grid", "share", "expected"),
    [
        (211, 1.0, set()),
        (1122, 0.5, {1121, 1122}),
        (1122, 0.0, set()),
        (112, 0.1, {111, 112} | BELOW[111] | BELOW[112]),
        (211, 0.1, {211, 212, 213}),
        (12, 0.1, {11, 12} | BELOW[11] | BELOW[12]),
        (2, 0.1, set(GRIDS)),
    ],
)
def test_a_small_count_silences_its_family_and_all_below(
    session: Session, grid: int, share: float, expected: set[int]
) -> None:
    city = service.load_dataset(session, tiny_dataset())
    shrink(session, city, grid, share)
    counted = set(
        session.scalars(
            select(NetValue.grid_id).where(
                NetValue.measure == "households", NetValue.vintage == "2026"
            )
        )
    )
    assert silent(session, city) == expected & counted
    parking = select(NetValue.told).where(NetValue.measure == "parking")
    assert all(session.scalars(parking))
    assert not derived.stale(session, city)


@pytest.mark.parametrize("seed", range(6))
def test_no_small_count_follows_from_what_is_told(session: Session, seed: int) -> None:
    city = service.load_dataset(session, tiny_dataset())
    rng = np.random.default_rng(seed)
    for grid in rng.choice(sorted(GRIDS), 3, replace=False).tolist():
        shrink(session, city, grid, float(rng.uniform(0.02, 0.6)))
    rows = session.execute(
        select(NetValue.grid_id, NetValue.value, NetValue.told).where(
            NetValue.measure == "households", NetValue.vintage == "2026"
        )
    ).all()
    ids = [row.grid_id for row in rows]
    column = {grid: place for place, grid in enumerate(ids)}
    known = [np.eye(len(ids))[column[row.grid_id]] for row in rows if row.told]
    for parent in ids:
        children = [grid for grid in ids if GRIDS[grid][1] == parent]
        if children:
            sums = np.zeros(len(ids))
            sums[column[parent]] = -1.0
            sums[[column[child] for child in children]] = 1.0
            known.append(sums)
    rank = np.linalg.matrix_rank(np.array(known))
    small = [row.grid_id for row in rows if 0 < row.value < LEAST_HOUSEHOLDS]
    assert small
    for grid in small:
        if len([other for other in ids if GRIDS[other][1] == GRIDS[grid][1]]) == 1:
            continue
        more = np.vstack([*known, np.eye(len(ids))[column[grid]]])
        assert np.linalg.matrix_rank(more) == rank + 1, grid


@pytest.fixture(scope="module")
def small(template: str, new_database: object) -> Iterator[tuple[MigratedDatabase, Database, int]]:
    migrated: MigratedDatabase = new_database(template)  # type: ignore[operator]
    with owner_transaction(migrated.engine) as session:
        city = service.load_dataset(session, tiny_dataset())
        shrink(session, city, 1122, 0.5)
    door = migrated.application()
    yield migrated, door, city
    door.close()


def test_the_wall_hides_small_counts_from_strangers(
    small: tuple[MigratedDatabase, Database, int],
) -> None:
    _, door, city = small
    of = select(NetValue.grid_id).where(
        NetValue.measure == "households", NetValue.vintage == "2026"
    )
    for viewer in (Viewer.public(city), Viewer.public(), Viewer(Role.WORKER, city + 1, 1, (111,))):
        with door.transaction(viewer) as session:
            assert not {1121, 1122} & set(session.scalars(of))
            assert 112 in set(session.scalars(of))
            assert silent(session, city) == {1121, 1122}
    with door.transaction(Viewer(Role.WORKER, city, 1, (111,))) as session:
        assert {1121, 1122} <= set(session.scalars(of))


def test_lists_and_cards_withhold_small_counts_and_say_so(
    small: tuple[MigratedDatabase, Database, int],
) -> None:
    _, door, city = small
    for viewer, told in ((Viewer.public(city), False), (Viewer(Role.LEADER, city, 1), True)):
        with door.transaction(viewer) as session:
            _, card = service.show_grid(session, viewer, Asked(city), 1122)
            assert (card["households"] is not None) is told
            assert card["households_withheld"] is not told
            vintages = {row["vintage"] for row in card["households_by_vintage"]}
            assert vintages == ({"2024", "2026", "2026-S"} if told else {"2026-S"})
            _, above = service.show_grid(session, viewer, Asked(city), 112)
            assert above["households"] > LEAST_HOUSEHOLDS
            assert not above["households_withheld"]
            kept_back = {row["grid"]: row["households"] for row in above["children"]["items"]}
            assert (kept_back[1121] is not None) is told
            school = service.show_grid(session, viewer, Asked(city), 213)[1]
            assert (school["households"], school["households_withheld"]) == (0, False)


def test_what_all_viewers_share_withholds_small_counts_from_all(
    small: tuple[MigratedDatabase, Database, int],
) -> None:
    _, door, city = small
    for viewer in (Viewer.public(city), Viewer(Role.LEADER, city, 1)):
        with door.transaction(viewer) as session:
            at = nets.moment(session, city)
            _, counted = grid_rows.columns(session, at, grid_rows.GridFilter(leaf=True))
            assert counted[1122].households is None
            assert counted[1122].households_withheld
            assert counted[121].households > LEAST_HOUSEHOLDS
