"""A recipe that is wrong says everything that is wrong with it, by place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from geo.errors import RecipeError
from geo.recipes import recipe_from_tables, rewritten
from tests.deliveries import recipe_tables


def said(change: Callable[[dict[str, Any]], None]) -> list[str]:
    tables = recipe_tables()
    change(tables)
    with pytest.raises(RecipeError) as caught:
        recipe_from_tables(tables)
    defects: list[str] = caught.value.data["defects"]
    return defects


def test_a_good_recipe_is_read() -> None:
    recipe = recipe_from_tables(recipe_tables())
    assert recipe.levels[0].label == "areas.gpkg:wards"
    assert recipe.layer_count == 5
    assert recipe.repair.largest_change == 0.05


def drop_city_name(tables: dict[str, Any]) -> None:
    del tables["city"]["name"]
    tables["city"]["slug"] = "Small Ton"
    tables["colour"] = "red"


def test_all_places_are_listed_at_once() -> None:
    lines = said(drop_city_name)
    assert any(line.startswith("city.name: ") for line in lines)
    assert any(line.startswith("city.slug: ") for line in lines)
    assert any(line.startswith("colour: ") for line in lines)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (
            lambda t: t["levels"][1]["columns"].pop("parent"),
            "levels[2].columns: 'parent' is missing",
        ),
        (
            lambda t: t["levels"][0]["columns"].update(parent="id"),
            "levels[1].columns: the top level has no parent",
        ),
        (
            lambda t: t["levels"][0]["columns"].update(mayor="mayor"),
            "levels[1].columns: 'mayor' is not known",
        ),
        (
            lambda t: t["stations"]["columns"].update(phone="tel"),
            "stations.columns: 'phone' is not known",
        ),
        (lambda t: t["values"][0]["columns"].pop("value"), "values[1].columns: 'value' is missing"),
        (
            lambda t: t["levels"][1]["rewrite"].update(title=[["a", "b"]]),
            "levels[2].rewrite.title: there is no such entry in columns",
        ),
        (
            lambda t: t["values"].append({**t["values"][0], "taken_on": "2023-01-01"}),
            "values: vintage '2024' has two dates or names",
        ),
        (
            lambda t: t["values"].append(dict(t["values"][0])),
            "values: 'households' of '2024' stands twice",
        ),
        (
            lambda t: t.update(
                barriers=[{"kind": "water", "file": "w.shp", "columns": {"owner": "o"}}]
            ),
            "barriers[1].columns: 'owner' is not known",
        ),
        (
            lambda t: t["stations"]["kinds"].append({"value": "LIB", "kind": "library"}),
            "stations.kinds: 'LIB' stands twice",
        ),
    ],
)
def test_what_contradicts_itself_is_named(change: Callable[[Any], Any], line: str) -> None:
    assert line in said(change)


@pytest.mark.parametrize("rule", [["(", "x"], ["(a)", r"\2"], ["[", r"\1"]])
def test_rules_that_cannot_work_are_refused(rule: list[str]) -> None:
    lines = said(lambda t: t["levels"][1]["rewrite"].update(name=[rule]))
    assert lines[0].startswith("levels[2].rewrite.name: ")


@pytest.mark.parametrize("srid", [4326, 2249, 999_999])
def test_the_citys_crs_must_be_in_metres(srid: int) -> None:
    lines = said(lambda t: t["city"].update(metre_crs=srid))
    assert lines[0].startswith(f"city.metre_crs: {srid}: ")


def test_one_level_is_no_hierarchy() -> None:
    lines = said(lambda t: t["levels"].pop())
    assert lines[0].startswith("levels: ")


def test_rules_are_tried_in_order_and_must_fit_the_whole() -> None:
    rules = ((r"\d{2}(\d)00", r"Tract \1"), (r"\d{2}(\d)(\d\d)", r"Tract \1.\2"))
    assert rewritten("11200", rules) == "Tract 2"
    assert rewritten("11234", rules) == "Tract 2.34"
    assert rewritten("112345", rules) is None
    assert rewritten("as it is", ()) == "as it is"
