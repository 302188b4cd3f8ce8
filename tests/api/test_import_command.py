"""`wangge import city`: what it says to people and programs; it stops before it stores."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from api.cli import app
from geo.errors import InvalidInputError, NotFoundError, RecipeError, WanggeError
from tests.deliveries import deliver, recipe_tables


def toml(value: Any) -> str:
    """Write a value as TOML, tables inline: enough for a recipe."""
    if isinstance(value, dict):
        inner = ", ".join(f"{json.dumps(key)} = {toml(one)}" for key, one in value.items())
        return f"{{ {inner} }}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(toml, value))}]"
    return json.dumps(value, ensure_ascii=False)


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = deliver(tmp_path) / "recipe.toml"
    tables = recipe_tables()
    lines = [f"{key} = {toml(value)}" for key, value in tables.items()]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def run(*call: str) -> Any:
    return CliRunner().invoke(app, ["import", "city", *call])


def failed(*call: str) -> WanggeError:
    result = run(*call)
    assert isinstance(result.exception, WanggeError), result.output
    return result.exception


def test_a_dry_run_needs_no_database_and_tells_people(recipe: Path) -> None:
    result = run(str(recipe), "--dry-run")
    assert result.exit_code == 0, result.output
    said = result.stdout
    assert "Smallton (smallton), metres of EPSG:26986" in said
    assert "2 x Ward, 4 x Block" in said
    assert "households 2024: 40 of 40 placed in cells" in said
    assert "3 of 4 stations, 2 kinds; 1 left out" in said
    assert "Nothing was stored: this was a dry run." in said


def test_a_dry_run_tells_programs(recipe: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    result = run(str(recipe), "--dry-run", "--json", "--report", str(report))
    said = json.loads(result.stdout)
    assert said == json.loads(report.read_text(encoding="utf-8"))
    assert said["stored"] is False
    assert said["levels"] == {"Ward": 2, "Block": 4}
    assert {row["kind"] for row in said["findings"]} >= {"residual", "outside", "moved_in"}


def test_files_may_lie_elsewhere(recipe: Path, tmp_path: Path) -> None:
    away = tmp_path / "recipes"
    away.mkdir()
    moved = recipe.rename(away / "recipe.toml")
    assert "areas.gpkg: no such file" in failed(str(moved), "--dry-run").message
    assert run(str(moved), "--dry-run", "--files", str(tmp_path)).exit_code == 0


def test_what_is_not_there_is_said(recipe: Path, tmp_path: Path) -> None:
    assert isinstance(failed(str(tmp_path / "none.toml")), NotFoundError)
    error = failed(str(recipe), "--files", str(tmp_path / "none"))
    assert isinstance(error, NotFoundError)
    assert "--files" in error.message


def test_a_report_that_cannot_be_written_stops_it_first(recipe: Path, tmp_path: Path) -> None:
    error = failed(str(recipe), "--dry-run", "--report", str(tmp_path / "no" / "report.json"))
    assert isinstance(error, InvalidInputError)
    assert error.data["field"] == "report"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[city", "not TOML"),
        ("[city]\nslug = 'a'", "city.name: "),
        ("\udcff", "not TOML"),
    ],
)
def test_a_broken_recipe_lists_its_places(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "broken.toml"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    error = failed(str(path))
    assert isinstance(error, RecipeError)
    assert words in error.message


def test_an_unknown_profile_is_named_with_those_there_are(recipe: Path) -> None:
    text = recipe.read_text(encoding="utf-8").replace('"intl"', '"moon"')
    recipe.write_text(text, encoding="utf-8")
    assert "'moon' is none of cn, intl" in failed(str(recipe), "--dry-run").message
