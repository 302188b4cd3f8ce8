"""A city goes in whole and comes out the same; a defect keeps all of it out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import shapely
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from geo import service
from geo.dataset import FRAMES
from geo.errors import (
    CityNotFoundError,
    ConflictError,
    DatasetError,
    InvalidInputError,
    NotFoundError,
    TopologyError,
)
from geo.store import loading
from geo.tables import AreaGrant, City, Issue, NetCell, NetGrid, Post, UserAccount, Worker
from geo.terms import FOREVER
from tests.cities import HOSTILE, tiny_dataset

TABLE_OF = {
    **loading.DIRECT_FRAMES,
    "grids": "grid",
    "cells": "cell",
    "streets": "street",
    "workers": "worker",
    "posts": "post",
    "issues": "issue",
}


def test_every_row_arrives(session: Session) -> None:
    dataset = tiny_dataset()
    city = service.load_dataset(session, dataset)
    counted = loading.counts(session, city)
    for name in FRAMES:
        if name in TABLE_OF:
            assert counted.get(TABLE_OF[name], 0) == len(getattr(dataset, name)), name
    assert counted["net"] == 1
    assert counted["net_cell"] == len(dataset.cells)
    assert counted["net_grid"] == len(dataset.grids)


def test_runs_are_open_and_paths_complete(session: Session) -> None:
    dataset = tiny_dataset()
    city = service.load_dataset(session, dataset)
    runs = session.execute(
        select(NetCell.cell_id, NetCell.grid_id, NetCell.from_seq, NetCell.to_seq).where(
            NetCell.city_id == city
        )
    ).all()
    assert {(row.from_seq, row.to_seq) for row in runs} == {(1, FOREVER)}
    expected = dict(zip(dataset.cells["cell_id"], dataset.cells["grid_id"], strict=True))
    assert {row.cell_id: row.grid_id for row in runs} == expected
    unit = session.get_one(NetGrid, (city, 1122, 1))
    assert (unit.area_1, unit.area_2, unit.area_3, unit.area_4) == (1, 11, 112, 1122)
    assert (unit.area_5, unit.area_6) == (None, None)


def test_issues_and_posts_carry_their_grids_path(session: Session) -> None:
    city = service.load_dataset(session, tiny_dataset())
    for table, column in ((Issue, Issue.owner_grid), (Post, Post.grid_id)):
        rows = session.execute(
            select(table, NetGrid)
            .join(NetGrid, (NetGrid.city_id == table.city_id) & (NetGrid.grid_id == column))
            .where(table.city_id == city)
        ).all()
        assert rows
        for row, grid in rows:
            assert [getattr(row, f"area_{n}") for n in range(1, 7)] == [
                getattr(grid, f"area_{n}") for n in range(1, 7)
            ]


def test_workers_areas_are_their_open_posts_with_ancestors(session: Session) -> None:
    dataset = tiny_dataset()
    city = service.load_dataset(session, dataset)
    stored = {
        row.worker_id: set(row.areas)
        for row in session.scalars(select(Worker).where(Worker.city_id == city))
    }
    parent = dict(zip(dataset.grids["grid_id"], dataset.grids["parent_id"], strict=True))
    expected: dict[int, set[int]] = {worker: set() for worker in dataset.workers["worker_id"]}
    today = session.scalar(select(func.current_date()))
    for post in dataset.posts.itertuples():
        ended = pd.notna(post.valid_to) and post.valid_to.date() <= today
        if pd.notna(post.worker_id) and not ended:
            grid = post.grid_id
            while pd.notna(grid):
                expected[post.worker_id].add(int(grid))
                grid = parent[grid]
    assert stored == expected


def test_geometry_returns_to_the_metre(session: Session) -> None:
    dataset = tiny_dataset()
    city = service.load_dataset(session, dataset)
    rows = session.execute(
        text(
            "SELECT cell_id, ST_AsBinary(ST_Transform(geom, :srid)), area_m2 FROM cell"
            " WHERE city_id = :city ORDER BY cell_id"
        ),
        {"city": city, "srid": dataset.metre_srid},
    ).all()
    cells = dataset.cells.sort_values("cell_id")
    back = shapely.from_wkb([bytes(row[1]) for row in rows])
    moved = np.abs(shapely.get_coordinates(back) - shapely.get_coordinates(cells.geometry))
    assert moved.max() < 1e-6
    assert np.allclose([row[2] for row in rows], cells.geometry.area, rtol=1e-12)


def test_texts_arrive_as_they_were(session: Session) -> None:
    dataset = tiny_dataset("hostile", hostile=True)
    city = service.load_dataset(session, dataset)
    names = set(session.scalars(select(NetGrid.name).where(NetGrid.city_id == city)))
    assert names == set(dataset.grids["name"])
    assert names & set(HOSTILE)


def test_a_second_city_of_the_same_name_is_refused(session: Session) -> None:
    service.load_dataset(session, tiny_dataset())
    with pytest.raises(ConflictError, match="exists already"):
        service.load_dataset(session, tiny_dataset())


def test_a_defect_keeps_the_whole_city_out(session: Session) -> None:
    dataset = tiny_dataset()
    cells = dataset.cells.copy()
    cells.loc[0, "grid_id"] = 999
    with pytest.raises(DatasetError) as caught:
        service.load_dataset(session, replace(dataset, cells=cells))
    assert any("999" in defect for defect in caught.value.data["defects"])
    assert session.scalar(select(func.count()).select_from(City)) == 0


def test_dropping_leaves_the_other_city_and_the_log(session: Session) -> None:
    first = service.load_dataset(session, tiny_dataset("one"))
    second = service.load_dataset(session, tiny_dataset("two"))
    service.create_demo_accounts(session, "one")
    before = loading.counts(session, second)
    service.drop_city(session, "one")
    assert loading.counts(session, first) == {}
    assert loading.counts(session, second) == before
    log = session.scalars(
        text("SELECT action FROM audit WHERE city_id = :city ORDER BY n"), {"city": first}
    ).all()
    assert log[0] == "city.load"
    assert log[-1] == "city.drop"
    with pytest.raises(CityNotFoundError):
        service.drop_city(session, "one")


def test_demo_accounts_stand_in_places_of_the_city(session: Session) -> None:
    city = service.load_dataset(session, tiny_dataset())
    made = service.create_demo_accounts(session, "tiny")
    assert [account["role"] for account in made] == [
        "planner", "worker", "community", "department", "leader", "administrator",
    ]  # fmt: skip
    stored = session.scalars(select(UserAccount).where(UserAccount.city_id == city)).all()
    assert all(account.demo for account in stored)
    assert not any(account.password_hash == service.DEMO_PASSWORD for account in stored)
    worker = next(account for account in stored if account.role == "worker")
    grids = session.scalars(
        select(AreaGrant.grid_id).where(AreaGrant.user_id == worker.user_id)
    ).all()
    held = session.scalars(
        select(Post.grid_id).where(Post.city_id == city, Post.worker_id == worker.worker_id)
    ).all()
    assert list(grids) == list(held)


def test_an_empty_city_has_levels_and_a_proposed_metre_crs(session: Session) -> None:
    city_id = service.create_city(
        session, "new", name="新城", profile="cn", county_code="990102", lon=117.2, lat=36.6
    )
    city = session.get_one(City, city_id)
    assert (city.metre_srid, city.outline, city.timezone) == (4548, None, "Asia/Shanghai")
    assert loading.counts(session, city_id) == {"level": 4}
    report = service.check_city(session, "new")
    assert report["ok"]


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"slug": "New City"}, InvalidInputError),
        ({"timezone": "Mars/Base"}, InvalidInputError),
        ({"metre_srid": 4326}, TopologyError),
        ({"profile": "atlantis"}, NotFoundError),
        ({"lon": 400.0}, TopologyError),
    ],
)
def test_a_city_that_cannot_be_is_refused(
    session: Session, values: dict[str, Any], error: type[Exception]
) -> None:
    good: dict[str, Any] = {
        "slug": "new", "name": "新城", "profile": "cn", "county_code": "990102",
        "lon": 117.2, "lat": 36.6,
    }  # fmt: skip
    with pytest.raises(error):
        service.create_city(session, **(good | values))
    assert session.scalar(select(func.count()).select_from(City)) == 0
