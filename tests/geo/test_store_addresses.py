"""Addresses in the database: written once, matched, decided, forgotten; compounds beside grids."""

from __future__ import annotations

from collections.abc import Iterator

import geopandas as gpd
import pandas as pd
import pytest
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from geo.db import Viewer, owner_transaction
from geo.errors import ForbiddenError, InvalidInputError, NotFoundError, OutsideCityError
from geo.store import addresses, derived, nets
from geo.tables import Address, City, NetCompound
from geo.terms import Role
from tests.cities import METRE_SRID, cell_at, point
from tests.conftest import MigratedDatabase


@pytest.fixture
def world(fresh_city: MigratedDatabase) -> Iterator[MigratedDatabase]:
    yield fresh_city


def _city(session: Session) -> int:
    return session.scalars(select(City.city_id)).one()


def _viewer(database: MigratedDatabase, role: Role) -> Viewer:
    with owner_transaction(database.engine) as session:
        city = _city(session)
        user = session.scalar(
            text("SELECT user_id FROM user_account WHERE city_id = :city AND role = :role"),
            {"city": city, "role": role.value},
        )
    areas = {Role.WORKER: (111,), Role.COMMUNITY: (11,)}.get(role, ())
    return Viewer(role=role, city_id=city, user_id=user, areas=areas)


def test_the_city_s_addresses_are_there_and_match(world: MigratedDatabase) -> None:
    planner = _viewer(world, Role.PLANNER)
    database = world.application()
    with database.transaction(planner) as session:
        at = nets.moment(session, planner.city_id or 0)
        texts = [
            "松林路４号 2单元301室张三",
            "松岭花园1栋",
            "松林路",
            "环海大路5号",
            "看不见的地方",
            "",
        ]
        found = addresses.match(session, planner, at, texts)
        assert [one["state"] for one in found] == [
            "matched", "matched", "several", "several", "none", "none",
        ]  # fmt: skip
        first = found[0]["candidates"][0]
        assert (first["building"], first["text"], found[0]["cut"]) == (4, "松林路4号", True)
        assert found[1]["candidates"][0]["building"] == 1
        assert "张三" not in str(found)
        assert addresses.count(session, planner) == {"addresses": 49, "decided": 0}
    database.close()


def test_a_decision_is_kept_replaced_and_forgotten(world: MigratedDatabase) -> None:
    planner = _viewer(world, Role.PLANNER)
    database = world.application()
    with database.transaction(planner) as session:
        at = nets.moment(session, planner.city_id or 0)
        made = addresses.decide(session, planner, at, "东门小卖部3单元101室 王某", building=7)
        assert (made["text"], made["building"], made["alias"]) == ("东门小卖部", 7, True)
        again = addresses.match(session, planner, at, ["东门小卖部"])[0]
        assert (again["state"], again["candidates"][0]["building"]) == ("matched", 7)
        other = addresses.decide(session, planner, at, "东门小卖部", address=9)
        assert other["building"] == 9
        assert addresses.count(session, planner)["decided"] == 1
        placed = addresses.decide(session, planner, at, "老码头", place=(made["lon"], made["lat"]))
        assert placed["building"] is None
        addresses.forget(session, planner, other["address"])
        assert addresses.match(session, planner, at, ["东门小卖部"])[0]["state"] == "none"
        with pytest.raises(NotFoundError):
            addresses.forget(session, planner, 4)
        with pytest.raises(NotFoundError):
            addresses.decide(session, planner, at, "老码头", building=999)
        with pytest.raises(OutsideCityError):
            addresses.decide(session, planner, at, "老码头", place=(0.0, 0.0))
        for said, chosen in (("13800138000", {"building": 7}), ("老码头", {}),
                             ("老码头", {"building": 7, "address": 4})):  # fmt: skip
            with pytest.raises(InvalidInputError):
                addresses.decide(session, planner, at, said, **chosen)
    database.close()


@pytest.mark.parametrize("role", [Role.WORKER, Role.COMMUNITY, Role.LEADER, Role.DEPARTMENT])
def test_others_of_the_city_read_and_do_not_decide(world: MigratedDatabase, role: Role) -> None:
    viewer = _viewer(world, role)
    database = world.application()
    with database.transaction(viewer) as session:
        at = nets.moment(session, viewer.city_id or 0)
        assert addresses.match(session, viewer, at, ["松林路4号"])[0]["state"] == "matched"
        with pytest.raises(ForbiddenError):
            addresses.decide(session, viewer, at, "老码头", building=7)
    database.close()


def test_strangers_see_nothing_behind_either_wall(world: MigratedDatabase) -> None:
    with owner_transaction(world.engine) as session:
        city = _city(session)
    public = Viewer.public(city)
    database = world.application()
    with database.transaction(public) as session:
        at = nets.moment(session, city)
        with pytest.raises(ForbiddenError):
            addresses.match(session, public, at, ["松林路4号"])
        assert session.scalar(select(func.count()).select_from(Address)) == 0
        near = session.execute(text("SELECT * FROM addresses_near(ARRAY['松林路/4//'])")).all()
        assert near == []
    database.close()


def test_an_import_adds_only_what_is_new_and_nothing_of_households(
    world: MigratedDatabase,
) -> None:
    texts = ["松林路4号", "松林路4号5单元101室", "新街8号2单元李四", "13800138000", "新街8号"]
    frame = gpd.GeoDataFrame(
        {
            "text": texts,
            "building_id": pd.array([4, 4, None, None, None], dtype="Int64"),
            "cell_id": [cell_at(1, 0)] * 5,
        },
        geometry=[point(1.5, 0.5)] * 5,
        crs=METRE_SRID,
    )
    with owner_transaction(world.engine) as session:
        city = _city(session)
        assert addresses.add(session, city, frame) == 1
        assert addresses.add(session, city, frame) == 0
        kept = session.scalars(select(Address.text).where(Address.text.like("新街%"))).all()
        assert kept == ["新街8号"]
        sure, open_ = addresses.places_of(session, city, {"a": "新街8号", "b": "无名路1号"})
        assert list(sure) == ["a"]
        assert [one.state for one in open_.values()] == ["none"]


def test_compounds_beside_grids(world: MigratedDatabase) -> None:
    with owner_transaction(world.engine) as session:
        city = _city(session)
        rows = session.execute(
            select(
                NetCompound.compound_id, NetCompound.grid_id, NetCompound.households,
                NetCompound.share_of_compound, NetCompound.share_of_grid,
            ).order_by(NetCompound.compound_id, NetCompound.grid_id)
        ).all()  # fmt: skip
        assert {row.grid_id for row in rows} <= {111, 112, 121, 211, 212, 213}
        for compound in {row.compound_id for row in rows}:
            own = [row for row in rows if row.compound_id == compound]
            assert sum(row.share_of_compound for row in own) == pytest.approx(1.0)
            assert all(0 < row.share_of_grid <= 1 for row in own)
        derived.refresh_net(session, city, METRE_SRID, 1)
        assert session.scalar(select(func.count()).select_from(NetCompound)) == len(rows)
