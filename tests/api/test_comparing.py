"""Nets and plans compared by program and on the command line, by who may."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from api.cli import app
from geo.errors import InvalidInputError, PlanNotFoundError
from geo.terms import Role
from tests.api.conftest import HOME, World, login_of
from tests.cities import cell_at
from tests.conftest import MigratedDatabase

CITY = f"/api/v1/cities/{HOME}"
NAME = '=cmd|"<script>alert(1)</script>'


def opened(client: Any) -> int:
    """Open a plan, move two cells, and give a grid a hostile name; return its number."""
    plan: int = client.post(f"{CITY}/plans", json={"name": NAME}).json()["plan"]
    for op, args in (
        ("move", {"cells": [cell_at(5, 1), cell_at(6, 1)], "into": 212}),
        ("rename", {"grid": 212, "name": NAME}),
    ):
        listed = client.get(f"{CITY}/plans/{plan}/grids").json()["items"]
        versions = {str(one["grid"]): one["version"] for one in listed}
        edit = {"op": op, "args": args, "versions": versions}
        done = client.post(f"{CITY}/plans/{plan}/edits", json=edit)
        assert done.status_code == 201, done.text
    return plan


def test_a_plan_is_compared_by_its_members_alone(own_world: World) -> None:
    planner = own_world.sign_in(login_of(Role.PLANNER, HOME))
    leader = own_world.sign_in(login_of(Role.LEADER, HOME))
    plan = opened(planner)
    found = planner.get(f"{CITY}/plans/{plan}/impact").json()
    assert found["cells_moved"] == 2
    assert [one["grid"] for one in found["grids"]] == [211, 212]
    assert found["new"] == {
        "name": f"plan:{plan}", "plan": plan, "version": 2, "seq": 1, "effective_from": None,
    }  # fmt: skip
    assert set(found["as_of"]) >= {"period", "day", "net", "vintage"}
    kept = [planner.get(f"{CITY}/plans/{plan}/dossier") for _ in range(2)]
    assert kept[0].headers["content-type"] == "application/zip"
    assert kept[0].content == kept[1].content
    assert leader.get(f"{CITY}/plans/{plan}/dossier").status_code == 404
    restated = leader.get(f"{CITY}/figures/restated?level=3&net=1&from=2026-01-01&to=2026-06-30")
    assert restated.json()["as_of"]["period"] == ["2026-01-01", "2026-06-30"]
    assert (
        sum(one["cases"] for one in restated.json()["items"]) == restated.json()["total"]["cases"]
    )
    assert leader.get(f"{CITY}/figures/stations?net=9").status_code == 404
    sides = {"old": "net:1", "new": f"plan:{plan}"}
    again = planner.get(f"{CITY}/compare", params=sides).json()
    assert again["crosswalk"] == found["crosswalk"]
    for asked in (f"{CITY}/plans/{plan}/impact", f"{CITY}/compare?old=net:1&new=plan:{plan}"):
        assert leader.get(asked).status_code == 404
    assert leader.get(f"{CITY}/compare?old=net:1&new=2026-06-01").status_code == 200
    assert own_world.client().get(f"{CITY}/compare?old=net:1&new=net:1").status_code == 401


def test_the_crosswalk_as_a_sheet_and_what_names_no_side(own_world: World) -> None:
    planner = own_world.sign_in(login_of(Role.PLANNER, HOME))
    plan = opened(planner)
    sides = {"old": "net:1", "new": f"plan:{plan}", "f": "csv"}
    sheet = planner.get(f"{CITY}/compare", params=sides)
    rows = list(csv.DictReader(io.StringIO(sheet.text.lstrip("\ufeff"))))
    assert {row["new_name"] for row in rows if row["new"] == "212"} == {f"'{NAME}"}
    assert {row["net"] for row in rows} == {"1"}
    for side in ("net", "x:1", "net:1;", "plan:99999999999", "2026-99-99"):
        answer = planner.get(f"{CITY}/compare", params={"old": side, "new": "net:1"})
        assert answer.status_code == 422
    assert planner.get(f"{CITY}/compare?old=net:1&new=net:1&level=6").status_code == 422


def test_the_command_line(
    fresh_city: MigratedDatabase, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DATABASE_URL", fresh_city.app_url)
    monkeypatch.setenv("DATABASE_OWNER_URL", fresh_city.owner_url)

    def run(*call: object) -> Any:
        return CliRunner().invoke(app, ["plan", *map(str, call)])

    planner = ["--as", "planner"]
    plan = json.loads(run("new", "--name", "方案甲", *planner, "--json").stdout)["plan"]
    cells = json.dumps({"cells": [cell_at(5, 1)], "into": 212})
    assert run("edit", plan, "move", "--args", cells, *planner).exit_code == 0
    out = tmp_path / "crosswalk.csv"
    told = run("compare", "net:1", f"plan:{plan}", *planner, "--out", out, "--json")
    assert told.exit_code == 0, told.exception
    found = json.loads(told.stdout)
    assert found["cells_moved"] == 1
    assert len(out.read_text("utf-8-sig").splitlines()) == len(found["crosswalk"]) + 1
    said = run("compare", "net:1", f"plan:{plan}", *planner).stdout
    assert "1 cells with" in said
    assert "8 grids" in said
    again = run("compare", "net:1", "net:1", *planner, "--out", out)
    assert isinstance(again.exception, InvalidInputError)
    stranger = run("compare", "net:1", f"plan:{plan}", "--as", "leader")
    assert isinstance(stranger.exception, PlanNotFoundError)

    place = tmp_path / "dossier.zip"
    told = run("dossier", plan, *planner, "--out", place, "--json")
    assert told.exit_code == 0, told.exception
    with zipfile.ZipFile(place) as archive:
        for one in json.loads(told.stdout)["parts"]:
            assert sha256(archive.read(one["name"])).hexdigest() == one["sha256"]
    taken = run("dossier", plan, *planner, "--out", place)
    assert isinstance(taken.exception, InvalidInputError)
    assert (
        run("dossier", plan, *planner, "--out", tmp_path / "folder", "--lang", "en").exit_code == 0
    )
    assert (tmp_path / "folder" / "manifest.json").is_file()
