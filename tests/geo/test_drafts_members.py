"""Members of one plan: what they say of it, what they keep, areas, and the rules it wishes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import shapely
from sqlalchemy import text

from geo.errors import (
    ForbiddenError,
    GridLockedError,
    GridNotFoundError,
    InvalidInputError,
    NotFoundError,
    PlanNotFoundError,
    PlanRuleError,
    PlanStateError,
)
from geo.store import drafts
from tests.geo.test_drafts import Room, at, city, room

__all__ = ["city", "room"]


def join(room: Room, *rights: str) -> None:
    """Let the administrator be a member."""
    with room.at_work() as session:
        drafts.set_members(
            session, room.planner, room.plan, {room.administrator.user_id or 0: rights}
        )


def shapes(room: Room, cells: list[int]) -> Any:
    """Return the ground of cells, degrees."""
    with room.migrated.engine.connect() as connection:
        found = connection.scalars(
            text("SELECT ST_AsBinary(geom) FROM cell WHERE cell_id = ANY (:cells)"),
            {"cells": cells},
        ).all()
    return shapely.union_all(shapely.from_wkb([bytes(one) for one in found]))


def audited(room: Room) -> list[str]:
    with room.migrated.engine.connect() as connection:
        asked = text("SELECT action FROM audit WHERE object = :what ORDER BY n")
        return list(connection.scalars(asked, {"what": f"plan/{room.plan}"}))


def test_members_talk_of_a_plan_until_it_is_resolved(room: Room) -> None:
    guest = room.administrator
    with room.at_work(guest) as session, pytest.raises(PlanNotFoundError):
        drafts.comments.add(session, guest, room.plan, "看不见")
    join(room)
    with room.at_work(guest) as session:
        first = drafts.comments.add(
            session, guest, room.plan, " 这里归谁？ ", grid=211, place=(120.1, 37.1)
        )
    with room.at_work() as session:
        answer = drafts.comments.add(session, room.planner, room.plan, "归第二格", answers=first)
        again = drafts.comments.add(session, room.planner, room.plan, "或第三格", answers=answer)
        listed = drafts.comments.listing(session, room.planner, room.plan)
        assert [one["comment"] for one in listed] == [first, answer, again] == [1, 2, 3]
        assert [one["answers"] for one in listed] == [None, first, first]
        assert listed[0]["place"] == {"type": "Point", "coordinates": [120.1, 37.1]}
        assert (listed[0]["text"], listed[0]["author_name"]) == ("这里归谁？", "演示管理员")
        drafts.comments.resolve(session, room.planner, room.plan, first)
        drafts.comments.resolve(session, room.planner, room.plan, first)
    with room.at_work(guest) as session:
        seen = drafts.comments.listing(session, guest, room.plan)
        assert seen[0]["resolved_name"] == "演示规划员"
        drafts.comments.resolve(session, guest, room.plan, first, resolved=False)
    with room.at_work() as session:
        assert drafts.comments.listing(session, room.planner, room.plan, after=2) == listed[2:]
        with pytest.raises(NotFoundError):
            drafts.comments.resolve(session, room.planner, room.plan, answer)
        for wrong in ("", " \n", "a\x00b", "字" * 2001):
            with pytest.raises(InvalidInputError):
                drafts.comments.add(session, room.planner, room.plan, wrong)
        with pytest.raises(InvalidInputError):
            drafts.comments.add(session, room.planner, room.plan, "x", place=(200.0, 0.0))
        with pytest.raises(GridNotFoundError):
            drafts.comments.add(session, room.planner, room.plan, "x", grid=999_999)
        with pytest.raises(NotFoundError):
            drafts.comments.add(session, room.planner, room.plan, "x", answers=99)
    assert audited(room)[-5:] == ["plan.comment"] * 3 + ["plan.resolve"] * 2


def test_who_only_looks_on_resolves_the_own_comments_alone(room: Room) -> None:
    join(room)
    guest = room.administrator
    with room.at_work() as session:
        mine = drafts.comments.add(session, room.planner, room.plan, "甲")
    with room.at_work(guest) as session, pytest.raises(ForbiddenError):
        drafts.comments.resolve(session, guest, room.plan, mine)
    with room.at_work(guest) as session:
        own = drafts.comments.add(session, guest, room.plan, "乙")
        drafts.comments.resolve(session, guest, room.plan, own)


def test_what_was_said_of_a_plan_that_is_done_stays(room: Room) -> None:
    with room.at_work() as session:
        drafts.comments.add(session, room.planner, room.plan, "甲", grid=211)
    with room.migrated.engine.begin() as connection:
        put = text("UPDATE plan SET state = 'withdrawn' WHERE plan_id = :plan")
        connection.execute(put, {"plan": room.plan})
    with room.at_work() as session, pytest.raises(PlanStateError):
        drafts.comments.add(session, room.planner, room.plan, "乙")
    with room.at_work() as session:
        assert len(drafts.comments.listing(session, room.planner, room.plan)) == 1
        drafts.delete(session, room.planner, room.plan)
    with room.migrated.engine.connect() as connection:
        left = text("SELECT count(*) FROM plan_comment WHERE plan_id = :plan")
        assert connection.scalar(left, {"plan": room.plan}) == 0


def test_the_database_keeps_comments_for_members(room: Room) -> None:
    with room.at_work() as session:
        drafts.comments.add(session, room.planner, room.plan, "甲")
    with room.at_work(room.administrator) as session:
        asked = text("SELECT count(*) FROM plan_comment WHERE plan_id = :plan")
        assert session.scalar(asked, {"plan": room.plan}) == 0
        names = text("SELECT count(*) FROM plan_people(CAST(:city AS smallint), :plan)")
        assert session.scalar(names, {"city": room.city, "plan": room.plan}) == 0
        forged = text(
            "INSERT INTO plan_comment (city_id, plan_id, comment_id, author_id, text)"
            " VALUES (:city, :plan, 7, :user, 'x')"
        )
        told = {"city": room.city, "plan": room.plan, "user": room.administrator.user_id}
        with pytest.raises(Exception, match="row-level security"), session.begin_nested():
            session.execute(forged, told)


def test_a_kept_grid_is_redrawn_by_nobody_else(room: Room) -> None:
    join(room, "draw")
    guest = room.administrator
    with room.at_work(guest) as session:
        assert drafts.locks.keep(session, guest, room.plan, [212, 211]) == [211, 212]
        assert drafts.locks.keep(session, guest, room.plan, [211]) == []
    with pytest.raises(GridLockedError) as refused:
        room.edit("move", cells=at((5, 1)), into=212)
    assert refused.value.data == {"grid": 211, "locked_by": guest.user_id}
    with room.at_work() as session, pytest.raises(GridLockedError):
        drafts.locks.keep(session, room.planner, room.plan, [213, 211])
    with room.at_work() as session:
        listed = drafts.locks.listing(session, room.planner, room.plan)
        assert [(one["grid"], one["user_name"]) for one in listed] == [
            (211, "演示管理员"), (212, "演示管理员"),
        ]  # fmt: skip
        with pytest.raises(GridNotFoundError):
            drafts.locks.keep(session, room.planner, room.plan, [999_999])
    assert room.edit("rename", viewer=guest, grid=211, name="改").n == 1
    assert room.edit("rename", grid=213, name="别处").n == 2
    with room.at_work(guest) as session:
        assert drafts.locks.give_back(session, guest, room.plan, [212, 213]) == [212]
    with room.at_work() as session:
        assert drafts.locks.give_back(session, room.planner, room.plan, [211]) == [211]
    assert room.edit("move", cells=at((5, 1)), into=212).n == 3
    assert [one for one in audited(room) if "lock" in one] == [
        "plan.lock", "plan.unlock", "plan.unlock",
    ]  # fmt: skip


def test_only_the_author_gives_back_what_others_keep(room: Room) -> None:
    join(room, "draw")
    guest = room.administrator
    with room.at_work() as session:
        drafts.locks.keep(session, room.planner, room.plan, [211])
    with room.at_work(guest) as session, pytest.raises(ForbiddenError):
        drafts.locks.give_back(session, guest, room.plan, [211])


def test_who_may_draw_no_longer_keeps_nothing(room: Room) -> None:
    join(room, "draw")
    guest = room.administrator
    with room.at_work(guest) as session:
        drafts.locks.keep(session, guest, room.plan, [211])
    join(room)
    assert room.edit("rename", grid=211, name="改").n == 1
    with room.at_work(guest) as session, pytest.raises(ForbiddenError):
        drafts.locks.keep(session, guest, room.plan, [212])


def redraw(room: Room, op: str, **args: Any) -> drafts.Applied:
    known = room.versions()
    with room.at_work() as session:
        return drafts.redraw(session, room.planner, room.plan, op, args, known)


def test_a_polygon_and_a_brush_move_the_cells_that_they_take(room: Room) -> None:
    wanted = at((5, 1), (6, 1))
    ground = shapes(room, wanted)
    within = shapely.geometry.mapping(ground.buffer(-1e-5))
    with room.at_work() as session:
        picked = drafts.pick(session, room.planner, room.plan, {"within": within})
        assert picked == {"grids": {211: wanted}, "versions": {211: 0}}
    done = redraw(room, "move", within=within, into=212)
    assert (done.cells, done.touched) == (2, {211: 1, 212: 1})
    with room.at_work() as session:
        kept = drafts.edits(session, room.planner, room.plan)[0]["args"]
    assert kept == {"cells": wanted, "into": 212}
    room.undo()
    way = [list(shapes(room, [cell]).representative_point().coords[0]) for cell in wanted]
    line = {"type": "LineString", "coordinates": way}
    assert redraw(room, "move", along=line, radius_m=2, into=212).cells == 2
    with pytest.raises(InvalidInputError):
        redraw(room, "move", along=line, radius_m=2, of=[213], into=212)
    room.undo()
    assert redraw(room, "release", within=within, by="larger").cells == 2
    for wrong in (
        {"within": within, "along": line, "radius_m": 2, "into": 212},
        {"along": line, "into": 212},
        {"within": within, "cells": wanted, "into": 212},
        {"within": within, "by": "all", "into": 212},
        {"within": {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]},
         "into": 212},
    ):  # fmt: skip
        with pytest.raises(InvalidInputError):
            redraw(room, "move", **wrong)
    with pytest.raises(InvalidInputError):
        redraw(room, "rename", within=within, grid=211, name="x")


def test_an_area_in_an_empty_plan_takes_from_the_reserve(city: Room) -> None:
    plan = city.open(empty=True)
    within = shapely.geometry.mapping(shapes(city, at((5, 1))).buffer(-1e-5))
    with city.at_work() as session:
        reserve = next(iter(drafts.pick(session, city.planner, plan, {"within": within})["grids"]))
        done = drafts.redraw(
            session, city.planner, plan, "draw", {"within": within, "name": "一"}, {}
        )
        assert done.cells == 1
        facts = {one["grid"]: one["kind"] for one in drafts.grids(session, city.planner, plan)}
    assert facts[reserve] == "reserve"


def wish(room: Room, **rules: Any) -> None:
    with room.at_work() as session:
        drafts.set_rules(session, room.planner, room.plan, rules=rules)


def homes(room: Room, *grids: int) -> list[float]:
    with room.at_work() as session:
        listed = drafts.grids(session, room.planner, room.plan)
    by = {one["grid"]: one["households"] for one in listed}
    return [by[grid] for grid in grids]


def test_a_plan_wishes_for_households_near_a_target(room: Room) -> None:
    room.edit("move", cells=at((5, 1)), into=212)
    left, right = homes(room, 211, 212)
    room.undo()
    assert left != right
    wish(room, households_target=left, households_tolerance=0)
    told = room.edit("move", cells=at((5, 1)), into=212).warnings
    assert [(one["rule"], one["grid"], one["target"]) for one in told] == [
        ("households_target", 212, left)
    ]
    room.undo()
    wish(room, households_target=left, households_tolerance=1)
    assert room.edit("move", cells=at((5, 1)), into=212).warnings == []
    room.undo()
    wish(room, households_target=left, households_tolerance=0, refuse=["households_target"])
    with pytest.raises(PlanRuleError):
        room.edit("move", cells=at((5, 1)), into=212)


def test_what_is_dedicated_needs_no_households(room: Room) -> None:
    wish(room, households_min=1e6)
    assert {one["grid"] for one in room.edit("move", cells=at((5, 1)), into=212).warnings} == {
        211, 212,
    }  # fmt: skip
    room.undo()
    room.edit("set_kind", grid=212, kind="dedicated")
    assert {one["grid"] for one in room.edit("move", cells=at((5, 1)), into=212).warnings} == {211}


@pytest.mark.parametrize(
    "rules",
    [
        {"households_min": 500, "households_max": 300},
        {"households_target": 100, "households_min": 200},
        {"households_target": 400, "households_max": 300},
        {"households_tolerance": 1.5},
        {"keep_barriers": ["hedge"]},
        {"keep_barriers": "river"},
        {"keep_compounds": "yes"},
        {"refuse": ["torn"]},
        {"households_max": -1},
        {"unheard_of": 1},
    ],
)
def test_rules_that_make_no_sense_are_refused(room: Room, rules: dict[str, Any]) -> None:
    with room.at_work() as session, pytest.raises(InvalidInputError) as refused:
        drafts.set_rules(session, room.planner, room.plan, rules=rules)
    assert refused.value.data["field"] == "rules"


@pytest.fixture
def river(room: Room) -> Iterator[None]:
    """A river between the rows 1 and 2 of the lattice, with a bridge in column 5."""
    west, south, _, north = shapes(room, at((5, 1), (5, 2))).bounds
    east = shapes(room, at((7, 1))).bounds[2]
    border = shapely.intersection(
        shapes(room, at((5, 1), (6, 1), (7, 1))), shapes(room, at((5, 2), (6, 2), (7, 2)))
    )
    line = shapely.line_merge(border)
    middle = shapely.intersection(shapes(room, at((5, 1))), shapes(room, at((5, 2)))).centroid
    bridge = shapely.LineString([(middle.x, middle.y - 3e-4), (middle.x, middle.y + 3e-4)])
    assert west < east
    assert south < line.centroid.y < north
    with room.migrated.engine.begin() as connection:
        told = {"city": room.city, "line": line.wkt, "bridge": bridge.wkt}
        connection.execute(
            text(
                "INSERT INTO barrier (city_id, barrier_id, kind, geom)"
                " VALUES (:city, 9001, 'river', ST_GeomFromText(:line, 4326))"
            ),
            told,
        )
        connection.execute(
            text(
                "INSERT INTO street (city_id, street_id, kind, from_node, to_node, length_m, geom)"
                " VALUES (:city, 9001, 'residential', 1, 2, 60, ST_GeomFromText(:bridge, 4326))"
            ),
            told,
        )
    yield
    with room.migrated.engine.begin() as connection:
        connection.execute(text("DELETE FROM barrier WHERE barrier_id = 9001"))
        connection.execute(text("DELETE FROM street WHERE street_id = 9001"))


@pytest.mark.usefixtures("river")
def test_a_plan_may_wish_that_no_grid_crosses_a_barrier(room: Room) -> None:
    """A bridge joins both banks on foot, and yet the office wants the river as a border."""
    over = {"cells": at((5, 1)), "into": 212}
    assert room.edit("move", **over).warnings == []
    room.undo()
    wish(room, keep_barriers=["railway"])
    assert room.edit("move", **over).warnings == []
    room.undo()
    wish(room, keep_barriers=["river"])
    told = room.edit("move", **over).warnings
    assert [(one["rule"], one["grid"], one["sides"]) for one in told] == [
        ("barrier_crossed", 212, 2)
    ]
    place = shapely.geometry.shape(told[0]["place"])
    assert place.buffer(1e-6).contains(shapes(room, at((5, 1))))
    room.undo()
    wish(room, keep_barriers=True, refuse=["barrier_crossed"])
    with pytest.raises(PlanRuleError):
        room.edit("move", **over)
    assert room.edit("move", cells=at((5, 3)), into=213).warnings == []
