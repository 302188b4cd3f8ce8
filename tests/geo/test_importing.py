"""A small city out of files: every row reckoned by hand, every change said, no half import."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd
import pytest
import shapely
from shapely import MultiLineString, Point, box
from sqlalchemy import text
from sqlalchemy.orm import Session

from geo import boundaries, service
from geo.boundaries import read_delivery
from geo.dataset import CityDataset
from geo.errors import DeliveryError, RecipeError, WanggeError
from geo.findings import Findings
from geo.importing import assemble, digest
from geo.profiles import load_profile
from geo.recipes import recipe_from_tables
from tests import deliveries
from tests.deliveries import area, blocks, bow_tie, deliver, recipe_tables, stations, wards

Change = Callable[[dict[str, Any]], None]


@pytest.fixture(autouse=True)
def without_walls(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is read is tried here; the walls are in test_jail."""
    monkeypatch.setattr(boundaries, "READER", deliveries.read_here)


def imported(
    folder: Path, tables: dict[str, Any] | None = None, **layers: gpd.GeoDataFrame
) -> tuple[CityDataset, Findings]:
    recipe = recipe_from_tables(tables or recipe_tables())
    delivery = read_delivery(recipe, deliver(folder, **layers))
    return assemble(recipe, load_profile("intl"), delivery)


def reasons(folder: Path, tables: dict[str, Any] | None = None, **layers: Any) -> str:
    with pytest.raises(DeliveryError) as caught:
        imported(folder, tables, **layers)
    return "\n".join(caught.value.data["defects"])


def kinds(found: Findings) -> dict[str, list[str]]:
    listed: dict[str, list[str]] = {}
    for entry in found.entries:
        listed.setdefault(entry.kind, []).append(entry.subject)
    return listed


def test_grids_stand_under_their_parents_by_code(tmp_path: Path) -> None:
    city, _ = imported(tmp_path)
    city.check()
    table = city.grids[["grid_id", "level", "parent_id", "name", "code"]]
    assert table.astype(object).where(table.notna(), None).to_numpy().tolist() == [
        [1, 1, None, "West", "A"],
        [2, 1, None, "East", "B"],
        [3, 2, 1, "Block 1", "A1"],
        [4, 2, 1, "Block 2", "A2"],
        [5, 2, 2, "Block 1", "B1"],
        [6, 2, 2, "Block 2", "B2"],
    ]
    assert city.grids.groupby("level")["colour"].nunique().to_dict() == {1: 2, 2: 4}
    assert city.cells["grid_id"].tolist() == [3, 4, 5, 6]
    assert city.levels[["name", "name_en"]].to_numpy().tolist() == [
        ["选区", "Ward"],
        ["街区", "Block"],
    ]


def test_the_outline_that_reaches_too_far_is_kept_and_told(tmp_path: Path) -> None:
    city, found = imported(tmp_path)
    kept = city.source_grids.set_index("code")
    assert kept.loc["A", "residual_m2"] == pytest.approx(10 * 200, abs=0.01)
    assert kept.loc["B", "residual_m2"] == pytest.approx(0, abs=0.01)
    assert kept["grid_id"].to_dict() == {"A": 1, "B": 2}
    figures = found.figures["residuals"]["areas.gpkg:wards"]
    assert figures["lost_m2"] == pytest.approx(2000, abs=0.1)
    assert figures["added_m2"] == pytest.approx(0, abs=0.1)
    assert figures["measure"] == "households"
    homes = city.cell_values.set_index("cell_id")["value"]
    expected = 0.1 * (homes[3] + homes[4])
    assert kept.loc["A", "residual_households"] == pytest.approx(expected, abs=0.01)


def test_counts_fall_on_land_alone_and_add_up(tmp_path: Path) -> None:
    city, found = imported(tmp_path)
    values = city.cell_values.set_index("cell_id")["value"].to_dict()
    assert values[1] == 0, "A1 is a pond"
    assert sum(values.values()) == 40
    assert values[2] == 9, "of the 10 homes of ward A those that are not under its long reach"
    assert abs(values[3] - values[4]) <= 1
    assert found.figures["values"]["households 2024"]["unplaced"] == 0
    assert city.vintages[["vintage", "estimated"]].to_numpy().tolist() == [["2024", True]]


def test_a_count_becomes_another_by_a_factor(tmp_path: Path) -> None:
    tables = recipe_tables()
    people = {**tables["values"][0], "measure": "people", "times": 2.55}
    tables["values"].append(people)
    city, found = imported(tmp_path, tables)
    city.check()
    totals = city.cell_values.groupby("measure")["value"].sum().to_dict()
    assert totals == {"households": 40, "people": round(2.55 * 30) + round(2.55 * 10)}
    assert found.figures["values"]["people 2024"]["delivered"] == 40
    assert (city.cell_values["value"] % 1 == 0).all()


def test_water_is_taken_from_the_rows_that_are_named(tmp_path: Path) -> None:
    tables = recipe_tables()
    water = {"kind": "water", "file": "areas.gpkg", "layer": "blocks", "where": {"land": "5"}}
    tables["barriers"] = [water, {"kind": "wall", "file": "streets.gpkg", "columns": {}}]
    city, _ = imported(tmp_path, tables)
    city.check()
    assert city.barriers["kind"].tolist() == ["water", "wall", "wall", "wall"]
    assert city.barriers.area.iloc[0] == pytest.approx(20_000, abs=0.1)
    water["where"] = {"land": "7"}
    (tmp_path / "b").mkdir()
    assert "no row has {'land': '7'}" in reasons(tmp_path / "b", tables)


def test_streets_are_joined_where_they_nearly_meet(tmp_path: Path) -> None:
    city, found = imported(tmp_path)
    streets = city.streets
    assert sorted({*streets["from_node"], *streets["to_node"]}) == [1, 2, 3, 4, 5]
    assert streets["to_node"].iloc[0] == streets["from_node"].iloc[1]
    assert streets["kind"].tolist() == ["arterial", "arterial", "local"]
    assert streets["name"].isna().tolist() == [False, False, True]
    listed = kinds(found)
    assert listed["end_moved"] == ["2 (Main St)"]
    assert listed["crossing"] == ["1 (Main St) and 3 (no name)"]


def test_lines_of_two_parts_become_two_streets(tmp_path: Path) -> None:
    apart = deliveries.streets()
    pieces = [
        [deliveries.at(0, 100), deliveries.at(40, 100)],
        [deliveries.at(60, 100), deliveries.at(100, 100)],
    ]
    apart.loc[0, "geometry"] = MultiLineString(pieces)
    city, found = imported(tmp_path, streets=apart)
    assert len(city.streets) == 4
    parts = [entry for entry in found.entries if entry.kind == "parts"]
    assert [entry.done for entry in parts] == ["1 more lines made of parts"]


def test_stations_lie_in_a_cell_or_are_named(tmp_path: Path) -> None:
    city, found = imported(tmp_path)
    table = city.stations[["kind", "name", "cell_id"]]
    assert table.to_numpy().tolist()[0] == ["library", "Main", 1]
    assert table["name"].tolist() == ["Main", "Lido", "pool"]
    listed = kinds(found)
    assert listed["moved_in"] == ["row 3 (pool)"]
    assert listed["outside"] == ["row 4 (Far)"]
    far = next(entry for entry in found.entries if entry.kind == "outside")
    assert far.unit == "m"
    assert far.size == pytest.approx(500, abs=0.1)
    moved = city.stations.geometry.iloc[2]
    assert moved.distance(Point(deliveries.at(205, 50))) == pytest.approx(5.01, abs=0.001)
    assert found.figures["stations"] == {
        "delivered": 4,
        "stations": 3,
        "left_out": 1,
        "kinds": 2,
    }
    assert city.station_kinds["kind"].tolist() == ["library", "pool"]


def test_rows_are_named_by_their_number_in_the_file(tmp_path: Path) -> None:
    lost = stations()
    lost.loc[0, "geometry"] = Point(0, 0)
    lost.loc[1, "geometry"] = None
    _, found = imported(tmp_path, stations=lost)
    listed = kinds(found)
    assert (listed["elsewhere"], listed["no_shape"]) == (["row 1"], ["row 2"])
    assert (listed["moved_in"], listed["outside"]) == (["row 3 (pool)"], ["row 4 (Far)"])


def test_nothing_is_stored_that_the_recipe_does_not_name(tmp_path: Path) -> None:
    city, found = imported(tmp_path)
    said = str(found.as_data())
    for _, frame in city.frames():
        said += frame.drop(columns="geometry", errors="ignore").to_csv()
    assert not any(word in said for word in ("Jane", "Doe", "mayor", "phone", "5550"))


def test_the_report_has_places_in_degrees(tmp_path: Path) -> None:
    _, found = imported(tmp_path)
    data = found.as_data()
    assert data["counts"]["residual"] >= 1
    for row in data["findings"]:
        if "lon" in row:
            assert -71.2 < row["lon"] < -71.0
            assert 42.3 < row["lat"] < 42.5


def test_order_of_rows_does_not_matter(tmp_path: Path) -> None:
    one, _ = imported(tmp_path)
    turned = {
        "wards": wards().iloc[::-1].reset_index(drop=True),
        "blocks": blocks().iloc[::-1].reset_index(drop=True),
    }
    (tmp_path / "turned").mkdir()
    two, _ = imported(tmp_path / "turned", **turned)
    assert digest(one) == digest(two)
    moved = blocks()
    moved["land"] = [5.0, 0.0, 8.0, 9.0]
    (tmp_path / "moved").mkdir()
    three, _ = imported(tmp_path / "moved", blocks=moved)
    assert digest(one) != digest(three)


# ---- dirty areas ---------------------------------------------------------------------------------


def test_slips_of_the_pen_are_mended_and_listed(tmp_path: Path) -> None:
    dirty = blocks()
    dirty.loc[dirty["id"] == "A1", "geometry"] = area(0, 0, 100.2, 100)  # overlaps B1 by 20 m2
    dirty.loc[dirty["id"] == "A2", "geometry"] = area(0, 100.1, 100, 200)  # leaves a gap of 10 m2
    city, found = imported(tmp_path, blocks=dirty)
    city.check()
    cells = city.cells.geometry.to_numpy()
    assert shapely.coverage_is_valid(cells)
    assert shapely.area(cells).sum() == pytest.approx(shapely.union_all(cells).area, rel=1e-9)
    listed = kinds(found)
    assert listed["overlap"] == ["A1 and B1"]
    assert "area_changed" in listed
    ground = found.figures["ground"]
    delivered = dirty.area.sum()
    assert ground["area_m2"] == pytest.approx(
        delivered + ground["gained_m2"] - ground["ceded_m2"], abs=0.01
    )


def test_an_area_in_two_parts_is_one_grid_of_two_cells(tmp_path: Path) -> None:
    split = blocks()
    split.loc[split["id"] == "B2", "geometry"] = shapely.union_all(
        [area(100, 100, 200, 200), area(300, 100, 400, 200)]
    )
    city, found = imported(tmp_path, blocks=split)
    city.check()
    assert len(city.cells) == 5
    assert city.cells["grid_id"].value_counts()[6] == 2
    assert kinds(found)["parts"] == ["B2"]
    assert city.cell_values["value"].sum() == 40


def test_a_parent_without_children_stays_an_outline(tmp_path: Path) -> None:
    more = pd.concat([wards(), wards().iloc[[0]].assign(id="C", title="Lake")], ignore_index=True)
    more.loc[2, "geometry"] = area(200, 0, 300, 200)
    city, found = imported(tmp_path, wards=more)
    city.check()
    assert "C" not in city.grids["code"].tolist()
    assert city.source_grids.set_index("code")["grid_id"].isna().to_dict() == {
        "A": False,
        "B": False,
        "C": True,
    }
    assert kinds(found)["no_children"] == ["C"]
    assert kinds(found)["unplaced"] == ["C"]
    assert found.figures["values"]["households 2024"]["unplaced"] == 30


def test_an_outline_that_crosses_itself_is_mended_and_said(tmp_path: Path) -> None:
    crossed = wards()
    crossed.loc[crossed["id"] == "A", "geometry"] = bow_tie(0, 0, 100)
    tables = recipe_tables()
    del tables["values"]
    city, found = imported(tmp_path, tables, wards=crossed)
    city.check()
    assert kinds(found)["invalid_ring"] == ["A"]
    assert city.source_grids.geometry.is_valid.all()


# ---- what is refused -----------------------------------------------------------------------------


def test_codes_that_repeat_are_listed_with_their_rows(tmp_path: Path) -> None:
    twice = blocks()
    twice["id"] = ["B2", "A1", "A1", "B1"]
    assert reasons(tmp_path, blocks=twice) == "areas.gpkg:blocks: code 'A1' stands in rows 2, 3"


def test_codes_that_are_missing_are_listed_with_their_rows(tmp_path: Path) -> None:
    bare = blocks()
    bare["id"] = ["B2", None, " ", "B1"]
    said = reasons(tmp_path, blocks=bare)
    assert "areas.gpkg:blocks: code: nothing, nothing is missing (rows 2, 3)" in said


def test_children_whose_parent_is_unknown_are_listed(tmp_path: Path) -> None:
    lost = blocks()
    lost["id"] = ["B2", "X1", "A2", "B1"]
    said = reasons(tmp_path, blocks=lost)
    assert "1 codes have no parent in areas.gpkg:wards: 'X1' (parent 'X')" in said


def test_codes_that_fit_no_rule_are_listed(tmp_path: Path) -> None:
    odd = blocks()
    odd["id"] = ["B2", "a-1", "A2", "B1"]
    said = reasons(tmp_path, blocks=odd)
    assert "parent: 'a-1' fits no rule of rewrite (rows 2)" in said
    assert "name: 'a-1' fits no rule of rewrite (rows 2)" in said


def test_areas_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    double = blocks()
    double.loc[1, "geometry"] = area(50, 0, 150, 100)
    said = reasons(tmp_path, blocks=double)
    assert said.startswith("areas.gpkg:blocks: ")
    assert "more than 5%: mend the source; it overlaps" in said
    same = blocks()
    same.loc[1, "geometry"] = area(100, 0, 200, 100)
    (tmp_path / "same").mkdir()
    assert "lies wholly on others" in reasons(tmp_path / "same", blocks=same)


def test_kinds_that_the_recipe_does_not_name_are_listed(tmp_path: Path) -> None:
    more = stations()
    more["type"] = ["LIB", "SPA", "POOL", None]
    said = reasons(tmp_path, stations=more)
    assert said == "stations.geojson: kinds that the recipe does not name: None, SPA"


@pytest.mark.parametrize("homes", [[30, -1], [30, None], ["many", 3]])
def test_counts_must_be_counts(tmp_path: Path, homes: list[Any]) -> None:
    odd = wards()
    odd["homes"] = homes
    assert "value: no count in rows" in reasons(tmp_path, wards=odd)


def _without(*path: str) -> Change:
    def change(tables: dict[str, Any]) -> None:
        for step in path[:-1]:
            tables = tables[step]
        del tables[path[-1]]

    return change


def test_parts_may_be_left_out(tmp_path: Path) -> None:
    tables = recipe_tables()
    for part in ("values", "streets", "stations"):
        del tables[part]
    city, found = imported(tmp_path, tables)
    city.check()
    assert (len(city.streets), len(city.stations), len(city.cell_values)) == (0, 0, 0)
    assert set(found.figures) == {"ground", "residuals"}


def test_a_level_that_the_profile_lacks_is_refused(tmp_path: Path) -> None:
    tables = recipe_tables()
    tables["levels"][0]["like"] = "county"
    with pytest.raises(RecipeError, match="has no level 'county'"):
        imported(tmp_path, tables)
    tables["levels"][0]["like"], tables["levels"][1]["like"] = "grid", "neighbourhood"
    (tmp_path / "b").mkdir()
    with pytest.raises(RecipeError, match="not in order from the top"):
        imported(tmp_path / "b", tables)


# ---- into the database ---------------------------------------------------------------------------


def test_the_small_city_is_sound_in_the_database(session: Session, tmp_path: Path) -> None:
    city, _ = imported(tmp_path)
    assert service.import_city(session, city, digest=digest(city))
    report = service.check_city(session, "smallton")
    assert report["ok"], report["faults"]
    codes = session.scalars(text("SELECT code FROM net_grid ORDER BY grid_id")).all()
    assert codes == ["A", "B", "A1", "A2", "B1", "B2"]


def test_a_failed_import_leaves_nothing(session: Session, tmp_path: Path) -> None:
    city, _ = imported(tmp_path)
    broken = city.stations.assign(geometry=[Point(0, 0)] * len(city.stations))
    damaged = CityDataset(
        **{
            **{name: getattr(city, name) for name in city.__dataclass_fields__},
            "stations": broken.set_crs(city.metre_srid, allow_override=True),
        }
    )
    with pytest.raises(WanggeError, match="outside their cell"), session.begin_nested():
        service.import_city(session, damaged, digest="x")
    for table in ("city", "cell", "grid", "net"):
        count = session.scalar(text("SELECT count(*) FROM " + table))
        assert count == 0, table


def test_box_is_where_it_is_said_to_be() -> None:
    assert area(0, 0, 1, 1).equals(box(*deliveries.CORNER, *(c + 1 for c in deliveries.CORNER)))
