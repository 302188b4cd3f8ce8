"""What firms are rated by, reckoned a second time with pandas and shapely from the plain rows.

Hundreds of made-up issues with histories: firms that follow each other, one that comes back, issues
that were another body's when they became late, were suspended, came without a history, or lie at
the edge of a day in the city's zone.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pandas as pd
import pytest
import shapely
from sqlalchemy import text

from geo.terms import Role
from tests.api.conftest import HOME, World, login_of
from tests.cities import COLUMNS, ROWS, cell_at

CITY = f"/api/v1/cities/{HOME}"
ZONE = ZoneInfo("Asia/Shanghai")
SINCE, UNTIL = date(2026, 2, 1), date(2026, 5, 31)
FIRMS = {1: 3, 2: 6, 3: 3}
"""Firm of each compound on the last day."""
STRETCHES = {
    1: [(date(2026, 3, 1), UNTIL)],
    2: [(SINCE, date(2026, 3, 19)), (date(2026, 4, 10), UNTIL)],
    3: [(SINCE, UNTIL)],
}
GROUND = ((0, 0, 2, 2), (3, 1, 5, 4), (5, 0, 7.99, 1), (0, 0, COLUMNS - 0.01, ROWS - 0.01))
"""Where issues lie: around each compound, and anywhere."""
RULE: dict[str, Any] = {
    "criteria": [
        {"code": "told", "title": "诉求", "source": "issue", "points": 1, "most": 30,
         "categories": ["E01"]},
        {"code": "late", "title": "超期", "source": "issue", "points": 2, "most": 60,
         "when": "overdue"},
        {"code": "back", "title": "返工", "source": "issue", "points": 3, "most": 60,
         "when": "reworked"},
        {"code": "again", "title": "重新打开", "source": "issue", "points": 3, "most": 60,
         "when": "reopened", "categories": ["C0101", "E0101"]},
        {"code": "fire", "title": "消防", "source": "inspection", "points": 5, "most": 40,
         "kinds": ["fire"], "results": ["to_mend", "stopped"]},
    ],
    "grades": [["绿", 80], ["黄", 50], ["红", 0]],
    "answer_days": 7, "appeal_days": 15, "valid_days": 90,
}  # fmt: skip


def moment(rng: random.Random) -> datetime:
    """Return a moment around the period, every third one within seconds of local midnight."""
    day = SINCE + timedelta(days=rng.randrange(-20, 130))
    if rng.random() < 1 / 3:
        midnight = datetime.combine(day, time(), ZONE)
        return (midnight + timedelta(seconds=rng.choice([-1, 0, 1]))).astimezone(UTC)
    return datetime.combine(day, time(rng.randrange(24), rng.randrange(60)), UTC)


def made(rng: random.Random) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return issues and their histories; every fourth issue came without one."""
    issues, events = [], []
    for number in range(5001, 5301):
        west, south, east, north = rng.choice(GROUND)
        column, row = rng.uniform(west, east), rng.uniform(south, north)
        reported = moment(rng)
        deadline = reported + timedelta(days=rng.randrange(1, 40)) if rng.random() < 0.8 else None
        handled = reported + timedelta(days=rng.randrange(1, 60)) if rng.random() < 0.6 else None
        suspended = deadline and rng.random() < 0.15 and not handled
        told, kept = number % 4 != 0, rng.random() < 0.35
        one: dict[str, Any] = {
            "issue_id": number, "cell_id": cell_at(column, row), "column": column, "row": row,
            "category": rng.choice(["C0101", "C0102", "E0101", "E01"]), "reported_at": reported,
            "state": rng.choice(["reported", "void", "accepted", "dispatched", "dispatched",
                                 "handled", "closed", "closed"]),
            "set_aside": "duplicate" if rng.random() < 0.08 else None,
            "organisation_id": rng.choice([3, 3, 6, 6, 5, None]), "deadline_at": deadline,
            "handled_at": handled, "closed_at": None,
            "suspended_at": deadline + timedelta(days=rng.choice([-2, 2])) if suspended else None,
            "reworks": rng.randrange(1, 3) if kept else 0,
            "reopens": 1 if rng.random() < 0.5 else 0,
        }  # fmt: skip
        issues.append(one)
        if told:
            events += history(rng, one)
    return issues, events


def history(rng: random.Random, one: dict[str, Any]) -> list[dict[str, Any]]:
    """Return who led an issue when, and when it was sent back and opened again."""
    at, rows = one["reported_at"], []
    for _ in range(rng.randrange(1, 4)):
        at += timedelta(days=rng.randrange(0, 12), minutes=1)
        act = rng.choice(["dispatch", "dispatch", "joint_dispatch", "return", "escalate"])
        body = None if act == "return" else rng.choice([3, 6, 5, None])
        details = {} if act == "return" else {"organisation": body}
        rows.append({"act": act, "at": at, "details": details})
    for act, n in (("rework", one["reworks"]), ("reopen", one["reopens"])):
        for _ in range(n):
            at += timedelta(days=rng.randrange(1, 20), minutes=3)
            rows.append({"act": act, "at": at, "details": {}})
    return [{"issue_id": one["issue_id"], **row} for row in rows]


def local(at: datetime | pd.Timestamp) -> date:
    return at.astimezone(ZONE).date()


def counted(
    compound: int, shape: shapely.Geometry, issues: pd.DataFrame, events: pd.DataFrame
) -> dict[str, set[tuple[int, date]]]:
    """Return the facts of a compound by criterion: issue and day."""
    firm, days = FIRMS[compound], STRETCHES[compound]
    found: dict[str, set[tuple[int, date]]] = {code: set() for code in ("told", "late", "back",
                                                                        "again")}  # fmt: skip
    inside = issues[[shape.covers(one) for one in issues.point]]
    for one in inside[
        inside.set_aside.isna() & ~inside.state.isin(["reported", "void"])
    ].itertuples():
        own = events[events.issue_id == one.issue_id].sort_values("at")

        def leads(at: datetime, own: pd.DataFrame = own, one: Any = one) -> bool:
            sent = own[own.act.isin(["dispatch", "joint_dispatch", "return", "escalate"])
                       & (own["at"] < at)]  # fmt: skip
            if sent.empty:
                return bool(one.organisation_id == firm)
            last = sent.iloc[-1]
            return bool(last.act != "return" and last.details.get("organisation") == firm)

        def note(code: str, at: datetime, *, whoever: bool = False, one: Any = one) -> None:
            day = local(at)
            if any(a <= day <= b for a, b in days) and (whoever or leads(at)):
                found[code].add((one.issue_id, day))

        if one.category.startswith("E01"):
            note("told", one.reported_at, whoever=True)
        end = one.handled_at if pd.notna(one.handled_at) else one.suspended_at
        if pd.notna(one.deadline_at) and (pd.isna(end) or one.deadline_at < end):
            note("late", one.deadline_at)
        for code, act, n in (("back", "rework", one.reworks), ("again", "reopen", one.reopens)):
            if code == "again" and one.category not in ("C0101", "E0101"):
                continue
            times = list(own[own.act == act]["at"])
            for at in times or [one.reported_at] * min(1, n):
                note(code, at)
    return found


class Filled:
    """A city of this module's own with made-up issues, bodies and inspections."""

    def __init__(self, world: World) -> None:
        self.keeper = world.signed(login_of(Role.ADMINISTRATOR, HOME))
        self.engine = world.migrated.engine
        rng = random.Random(20260801)
        issues, events = made(rng)
        with self.engine.begin() as connection:
            run = lambda statement, rows: connection.execute(text(statement), rows)  # noqa: E731
            city = connection.scalar(text("SELECT city_id FROM city WHERE slug = :s"), {"s": HOME})
            run("DELETE FROM issue WHERE city_id = :c", {"c": city})
            places = dict(run(
                "SELECT cell_id, ARRAY[ST_XMin(geom), ST_YMin(geom), ST_XMax(geom), ST_YMax(geom)]"
                " FROM cell WHERE city_id = :c", {"c": city}).all())  # fmt: skip
            for one in issues:
                one["city"] = city
                west, south, east, north = places[one["cell_id"]]
                lon = west + (east - west) * (one.pop("column") % 1)
                lat = south + (north - south) * (one.pop("row") % 1)
                one["point"] = shapely.Point(lon, lat)
                one |= {"lon": lon, "lat": lat}
            run("INSERT INTO issue (city_id, issue_id, cell_id, owner_grid, category, channel,"
                " state, reported_at, closed_at, set_aside, organisation_id, geom, deadline_at,"
                " handled_at, suspended_at, reworks, reopens) VALUES (:city, :issue_id,"
                " :cell_id, 1, :category, 'hotline', :state, :reported_at, :closed_at,"
                " :set_aside, :organisation_id, ST_SetSRID(ST_MakePoint(:lon, :lat), 4326),"
                " :deadline_at, :handled_at, :suspended_at, :reworks, :reopens)",
                [{key: one[key] for key in one if key != "point"} for one in issues])  # fmt: skip
            run("INSERT INTO issue_event (city_id, issue_id, at, act, state, details) VALUES"
                " (:city, :issue_id, :at, :act, 'dispatched', CAST(:said AS jsonb))",
                [{**one, "city": city, "said": json.dumps(one["details"])}
                 for one in events])  # fmt: skip
            for firm, since, until in ((6, "2026-01-10", "2026-03-20"), (3, "2026-03-20",
                                       "2026-04-10"), (6, "2026-04-10", "2027-01-01")):  # fmt: skip
                run("INSERT INTO compound_body (city_id, compound_id, role, organisation_id,"
                    " valid_from, valid_to) VALUES (:c, 2, 'firm', :f, :a, :b)",
                    {"c": city, "f": firm, "a": since, "b": until})  # fmt: skip
            self.shapes = {
                number: shapely.from_wkb(bytes(shape)) for number, shape in run(
                    "SELECT compound_id, ST_AsBinary(geom) FROM compound WHERE city_id = :c",
                    {"c": city})
            }  # fmt: skip
            self.inspections = self._inspect(run, city)
        self.issues, self.events = pd.DataFrame(issues), pd.DataFrame(events)

    def _inspect(self, run: Any, city: Any) -> list[dict[str, Any]]:
        rows = []
        for n in range(60):
            rows.append({
                "compound_id": n % 3 + 1, "kind": ("fire", "gas")[n % 2],
                "result": ("passed", "to_mend", "stopped")[n // 3 % 3],
                "held_on": SINCE + timedelta(days=n * 7 % 127 - 3),
                "appealed_on": UNTIL if n % 7 == 0 else None,
                "decided_on": UNTIL if n % 14 == 0 else None,
                "withdrawn_at": datetime(2026, 6, 1, tzinfo=UTC) if n % 11 == 0 else None,
            })  # fmt: skip
            run("INSERT INTO inspection (city_id, compound_id, grid_id, kind, result, held_on,"
                " expires_on, appealed_on, decided_on, withdrawn_at) VALUES (:c, :compound_id, 1,"
                " :kind, :result, :held_on, '2027-06-01', :appealed_on, :decided_on,"
                " :withdrawn_at) ON CONFLICT DO NOTHING", {"c": city, **rows[-1]})  # fmt: skip
        return rows


@pytest.fixture(scope="module")
def filled(module_world: World) -> Filled:
    return Filled(module_world)


def tried(who: httpx.Client, **more: Any) -> httpx.Response:
    wish = {"content": RULE, "since": str(SINCE), "until": str(UNTIL)} | more
    return who.post(f"{CITY}/rating-rules/tried", json=wish)


def test_every_firm_gets_what_a_second_reckoning_says(filled: Filled) -> None:
    answer = tried(filled.keeper)
    assert answer.status_code == 200, answer.text
    rows = {one["compound"]: one for one in answer.json()["items"]}
    assert {number: row["firm"] for number, row in rows.items()} == FIRMS
    everything: Counter[str] = Counter()
    for compound, row in rows.items():
        facts = counted(compound, filled.shapes[compound], filled.issues, filled.events)
        fires = {(one["held_on"], one["result"]) for one in filled.inspections
                 if one["compound_id"] == compound and one["kind"] == "fire"
                 and one["result"] != "passed" and one["withdrawn_at"] is None
                 and (one["appealed_on"] is None or one["decided_on"] is not None)
                 and any(a <= one["held_on"] <= b for a, b in STRETCHES[compound])}  # fmt: skip
        numbers = {code: len(found) for code, found in facts.items()} | {"fire": len(fires)}
        assert {code: cost["facts"] for code, cost in row["cost"].items()} == numbers, compound
        off = sum(min(one["points"] * numbers[one["code"]], one["most"])
                  for one in RULE["criteria"])  # fmt: skip
        assert row["points"] == max(0, 100 - off)
        grade = next(title for title, least in RULE["grades"] if row["points"] >= least)
        assert row["grade"] == grade
        managed = sum((until - since).days + 1 for since, until in STRETCHES[compound])
        assert (row["managed_days"], row["days"]) == (managed, 120)
        everything.update(numbers)
    assert min(everything.values()) >= 2, f"there was something of each to count: {everything}"


def test_a_firm_that_managed_too_few_days_is_not_rated(filled: Filled) -> None:
    rows = tried(filled.keeper, content=RULE | {"least_days": 110}).json()["items"]
    assert {one["compound"]: one["rated"] for one in rows} == {1: False, 2: False, 3: True}


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("content", {"content": RULE | {"grades": [["绿", 80], ["绿", 0]]}}),
        ("content", {"content": RULE | {"criteria": [{**RULE["criteria"][0],
                                                      "categories": ["X99"]}]}}),
        ("content", {"content": RULE | {"criteria": [{**RULE["criteria"][0],
                                                      "title": "电话 13800001234"}]}}),
        ("tried_since", {"until": "2999-01-01"}),
        ("tried_since", {"since": "2024-01-01"}),
        ("tried_since", {"since": "2026-06-01"}),
    ],
)  # fmt: skip
def test_what_cannot_be_tried(filled: Filled, field: str, change: dict[str, Any]) -> None:
    answer = tried(filled.keeper, **change)
    assert (answer.status_code, answer.json()["field"]) == (422, field), answer.text
