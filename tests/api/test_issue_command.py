"""`wangge issue` on a small city: lists, acts, rates, chores, a batch from a file."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from api.cli import app
from geo.db import owner_transaction
from geo.errors import WanggeError
from geo.store.loading import lonlat
from tests.cities import point, tiny_dataset
from tests.conftest import MigratedDatabase

Run = Callable[..., Any]


@pytest.fixture
def run(fresh_city: MigratedDatabase, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Call a command on a city of its own; return what it answers as JSON."""
    monkeypatch.setenv("DATABASE_URL", fresh_city.app_url)
    monkeypatch.setenv("DATABASE_OWNER_URL", fresh_city.owner_url)

    def call(*words: str) -> Any:
        found = CliRunner().invoke(app, ["issue", *words, "--json"], catch_exceptions=True)
        if found.exception is not None and not isinstance(found.exception, SystemExit):
            raise found.exception
        return json.loads(found.stdout)

    yield call


def test_an_issue_by_command_line(run: Run) -> None:
    listed = run("list", "--as", "administrator", "--limit", "5")
    assert len(listed["items"]) == 5
    assert listed["counts"]["all"] > 5
    again = run("list", "--as", "administrator", "--limit", "5", "--after", listed["next"])
    assert not {one["issue"] for one in again["items"]} & {one["issue"] for one in listed["items"]}
    reported = next(
        one for one in run("list", "--as", "administrator", "--box", "new")["items"]
        if one["state"] == "reported"
    )  # fmt: skip
    number = str(reported["issue"])
    done = run("act", number, "accept", "--as", "administrator")
    assert done["state"] == "accepted"
    shown = run("show", number, "--as", "administrator")
    assert [line["act"] for line in shown["history"]] == ["accept"]
    with pytest.raises(WanggeError, match="stands at another step"):
        run("act", number, "close", "--as", "administrator")
    with pytest.raises(WanggeError, match="Nobody"):
        run("list", "--as", "nobody")
    with pytest.raises(WanggeError, match="a day"):
        run("act", number, "park", "--as", "administrator", "--until", "soon")


def test_rates_and_chores_by_command_line(run: Run) -> None:
    told = run("rates", "--as", "leader", "--from", "2026-01-01", "--to", "2026-12-31")
    assert told["rows"][0]["rates"] is not None or told["rows"][0]["withheld"]
    assert run("escalate", "--city", "tiny") == {"warned": 0, "escalated": 0, "dry_run": True}
    kept = run("retain", "--city", "tiny", "--words-days", "0")
    nothing = dict.fromkeys(("contacts", "photos", "words", "seconds", "messages"), 0)
    assert kept == {**nothing, "dry_run": True}
    with pytest.raises(WanggeError, match="no city"):
        run("retain", "--city", "nowhere")


def test_a_batch_from_a_file(run: Run, tmp_path: Path, fresh_city: MigratedDatabase) -> None:
    with owner_transaction(fresh_city.engine) as session:
        session.execute(
            text(
                "INSERT INTO category (city_id, category, name, name_en, root)"
                " SELECT city_id, 'E06', '其他', 'Other', 'event' FROM city"
            )
        )
    turned = lonlat(tiny_dataset().metre_srid)([point(0.5, 0.5), point(5.5, 2.5)])
    rows = [
        f"A{n},路灯,2026-02-{n % 20 + 1:02d} 08:00:00,{turned[n % 2].x},{turned[n % 2].y},"
        for n in range(40)
    ]
    rows += [
        f"B1,Weeds,2026-03-01 08:00:00,{turned[0].x},{turned[0].y},2026-02-01 08:00:00",
        f"B2,Key persons,2026-03-01 09:00:00,{turned[0].x},{turned[0].y},",
        "B3,Weeds,2026-03-01 08:00:00,0,0,", "B4,Weeds,,1,1,", "B4,Weeds,2026-03-01,x,1,",
    ]  # fmt: skip
    file, columns = tmp_path / "cases.csv", tmp_path / "columns.toml"
    file.write_text("\n".join(["no,kind,at,x,y,done", *rows]), encoding="utf-8")
    columns.write_text(
        'external = "no"\nkind = "kind"\nopened = "at"\nlon = "x"\nlat = "y"\nclosed = "done"\n'
    )
    order = ("import", str(file), "--city", "tiny", "--columns", str(columns))
    told = run(*order)
    assert told["written"] == 42
    assert told["outside"] == 1
    assert told["left_out"] == {"no_time": 1, "no_place": 1}
    assert told["impossible_times"] == 1
    assert told["repeats"] == 20, "of one day, kind and place"
    again = run(*order)
    assert (again["written"], again["known"]) == (0, 42)
    with owner_transaction(fresh_city.engine) as session:
        kinds = dict(
            session.execute(
                text(
                    "SELECT i.external, k.name FROM issue AS i JOIN category AS k"
                    " USING (city_id, category) WHERE i.external IN ('A1', 'B1', 'B2')"
                )
            ).all()
        )
    assert kinds == {"A1": "路灯", "B1": "Weeds", "B2": "其他"}
    columns.write_text('nothing = "no"\n')
    with pytest.raises(WanggeError, match="knows no nothing"):
        run(*order)
