"""`wangge rules`: what is set decides at once, is in the log, and can be taken back."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from api.cli import app
from geo.db import owner_transaction
from geo.errors import WanggeError
from geo.store.cases.routing import route
from geo.store.cases.rules import rules_of
from tests.conftest import MigratedDatabase

SUNDAY = datetime(2026, 3, 1, 4, tzinfo=UTC)
LINE = (1, 11, 111)


def test_rules_by_command_line(
    fresh_city: MigratedDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", fresh_city.app_url)
    monkeypatch.setenv("DATABASE_OWNER_URL", fresh_city.owner_url)

    def call(what: str, *words: str) -> Any:
        found = CliRunner().invoke(app, ["rules", what, *words, "--city", "tiny", "--json"])
        if found.exception is not None and not isinstance(found.exception, SystemExit):
            raise found.exception
        assert found.exit_code == 0, found.output
        return json.loads(found.stdout)

    before = call("list")
    with owner_transaction(fresh_city.engine) as session:
        city_id = session.execute(text("SELECT city_id FROM city WHERE slug = 'tiny'")).scalar_one()
        kind, body = session.execute(
            text("SELECT min(category), min(organisation_id) FROM category AS c"
                 " JOIN organisation AS o ON o.city_id = c.city_id WHERE c.city_id = :city"),
            {"city": city_id},
        ).one()  # fmt: skip
        was = rules_of(session, city_id).calendar.works(SUNDAY.date())
    assert not was

    call("limit", kind, "handle", "--amount", "3", "--unit", "clock_hours")
    call("limit", kind, "handle", "--amount", "5", "--unit", "clock_hours")
    call("day", "2026-03-01", "--working", "--note", "赶集")
    call("route", "1", "--name", "周末", "--category", kind, "--weekdays", "67",
         "--hours", "22:00-14:00", "--organisation", str(body))  # fmt: skip
    with owner_transaction(fresh_city.engine) as session:
        rules = rules_of(session, city_id)
        limit = rules.limit(kind, "handle")
        assert limit is not None
        assert (limit.amount, limit.unit.value) == (5.0, "clock_hours")
        assert rules.calendar.works(SUNDAY.date())
        assert route(rules, kind, LINE, SUNDAY).organisation == body
        logged = session.execute(
            text("SELECT object, payload FROM audit WHERE action = 'issue.rules' ORDER BY n")
        ).all()
    assert [row.object for row in logged] == [
        f"limit_rule/{kind}/handle", f"limit_rule/{kind}/handle", "working_calendar/2026-03-01",
        "routing_rule/1",
    ]  # fmt: skip
    assert logged[1].payload["was"]["amount"] == 3
    assert logged[1].payload["now"]["amount"] == 5
    listed = call("list")
    assert {name: len(rows) for name, rows in listed.items()} == {
        name: len(rows) + 1 for name, rows in before.items()
    }

    for words, reason in (
        (("limit", "nothing", "handle", "--amount", "1"), "no category"),
        (("limit", kind, "sleep", "--amount", "1"), "step is one of"),
        (("limit", kind, "handle"), "more than 0"),
        (("day", "soon"), "a day"),
        (("route", "2", "--name", "x", "--weekdays", "08"), "1 .Monday. to 7"),
        (("route", "2", "--name", "x", "--hours", "late"), "HH:MM"),
        (("route", "2", "--name", "x", "--organisation", "99999"), "no organisation"),
        (("route", "2", "--name", "x", "--grid", "99999"), "no grid"),
        (("route", "2", "--off"), "no such rule"),
    ):
        with pytest.raises(WanggeError, match=reason):
            call(*words)

    call("limit", kind, "handle", "--off")
    call("day", "2026-03-01", "--off")
    call("route", "1", "--off")
    assert call("list") == before
