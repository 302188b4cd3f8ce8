"""The shipped country profiles are complete, and a broken one names every defect at once."""

from __future__ import annotations

import copy
import tomllib
from dataclasses import FrozenInstanceError
from importlib.resources import files
from typing import Any

import pytest

from geo.crs import metre_srid
from geo.errors import NotFoundError, ProfileError
from geo.profiles import Profile, load_profile, profile_from_tables, profile_names
from geo.terms import GridKind, IssueState

PRESETS = {"db11-2157": 15, "cjt-349": 20, "evaluation": 12, "division": 12}


@pytest.fixture(params=profile_names())
def profile(request: pytest.FixtureRequest) -> Profile:
    return load_profile(request.param)


@pytest.fixture
def tables() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for file in files("geo").joinpath("profile_data", "cn").iterdir():
        found |= tomllib.loads(file.read_text(encoding="utf-8"))
    return copy.deepcopy(found)


def test_both_profiles_are_shipped() -> None:
    assert profile_names() == ("cn", "intl")


def test_a_profile_is_complete(profile: Profile) -> None:
    assert profile.code in profile_names()
    assert profile.scheme().levels == profile.level_codes
    assert metre_srid(120.0, 30.0, profile.metre_family)
    roots = [c.root for c in profile.categories if c.parent is None]
    assert (roots.count("component"), roots.count("event")) == (5, 6)
    parents = {c.parent for c in profile.categories}
    assert all(c.code in parents for c in profile.categories if c.parent is None)
    assert {"worker", "head"} <= {role.code for role in profile.roles}
    assert {*IssueState, *GridKind} <= profile.words.keys()


def test_profiles_know_the_same_words() -> None:
    cn, intl = load_profile("cn"), load_profile("intl")
    assert cn.words.keys() == intl.words.keys()


def test_the_four_presets_have_their_lengths() -> None:
    cn = load_profile("cn")
    assert {code: cn.scheme(code).length for code in PRESETS} == PRESETS


def test_a_profile_cannot_be_changed(profile: Profile) -> None:
    with pytest.raises(FrozenInstanceError):
        profile.levels[0].number = 2  # type: ignore[misc]


def test_unknown_names_say_what_there_is() -> None:
    with pytest.raises(NotFoundError, match="cn, intl"):
        load_profile("../cn")
    with pytest.raises(NotFoundError, match="db11-2157"):
        load_profile("cn").scheme("none")


def test_all_defects_of_form_come_in_one_error(tables: dict[str, Any]) -> None:
    tables["levels"][0]["name"] = {"zh": "街道"}
    tables["levels"][1]["zoom_min"] = "twelve"
    tables["schemes"][0]["colour"] = "red"
    tables["metre_family"] = "feet"
    del tables["words"]
    with pytest.raises(ProfileError) as error:
        profile_from_tables(tables)
    told = "\n".join(error.value.data["defects"])
    for place in ("levels.0.name.en", "levels.1.zoom_min", "schemes.0.colour", "metre_family"):
        assert place in told
    assert "words" in told
    assert len(error.value.data["defects"]) == 5


def test_all_contradictions_come_in_one_error(tables: dict[str, Any]) -> None:
    tables["levels"][1]["zoom_min"] = 13
    tables["levels"][2]["line_px"] = 2.0
    tables["default_scheme"] = "evaluation"
    tables["schemes"][0]["segments"][1]["source"] = "parish"
    tables["schemes"][2]["segments"][3]["ranges"][1]["first"] = 500
    tables["categories"][1]["parent"] = "E01"
    tables["categories"].append(dict(tables["categories"][0]))
    tables["roles"][0]["levels"] = ["galaxy"]
    with pytest.raises(ProfileError) as error:
        profile_from_tables(tables)
    told = "\n".join(error.value.data["defects"])
    for words in (
        "'community' must begin one zoom after",
        "'grid' must have a thinner line",
        "default_scheme: 'evaluation' does not number every level",
        "scheme 'unit-net' numbers",
        "scheme 'cjt-349': segment 'community': ranges overlap",
        "category 'C0101' cannot stand below 'E01'",
        "categories: 'C01' stands twice",
        "role 'worker': there is no level 'galaxy'",
    ):
        assert words in told


@pytest.mark.parametrize("depth", [1, 7])
def test_levels_are_two_to_six_deep(tables: dict[str, Any], depth: int) -> None:
    first = tables["levels"][0]
    tables["levels"] = [first | {"code": f"level_{n}", "number": n} for n in range(1, depth + 1)]
    with pytest.raises(ProfileError):
        profile_from_tables(tables)


def test_a_city_takes_fewer_levels(profile: Profile) -> None:
    top, *_, deepest = profile.level_codes
    taken = profile.take_levels([top, deepest])
    assert [(level.number, level.code) for level in taken] == [(1, top), (2, deepest)]
    assert (taken[0].zoom_min, taken[1].zoom_max) == (0, 22)
    assert taken[0].zoom_max + 1 == taken[1].zoom_min
    with pytest.raises(ProfileError, match="not in order"):
        profile.take_levels([deepest, top])
    with pytest.raises(ProfileError, match="2 to 6"):
        profile.take_levels([top])
    with pytest.raises(ProfileError, match="'galaxy' is not in"):
        profile.take_levels([top, "galaxy"])
