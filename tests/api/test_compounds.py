"""Compounds beside grids: the relation reckoned by hand, filters, the card, the table."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from geo.dataset import CityDataset
from geo.db import Viewer
from geo.terms import Role
from tests.api.conftest import AWAY, HOME, World, login_of, two_cities
from tests.cities import ancestors

BASE = f"/api/v1/cities/{HOME}/compounds"
NEARLY = 0.95


def _grid_of(leaf: int) -> int:
    line = ancestors(leaf)
    return line[min(2, len(line) - 1)]


def _reckoned(city: CityDataset) -> dict[int, tuple[str, dict[int, float]]]:
    """Return relation and households by grid of each compound: households stand in buildings."""
    leaf = city.cells.set_index("cell_id")["grid_id"]
    values = city.cell_values
    counted = values[(values["vintage"] == "2026") & (values["measure"] == "households")]
    per_cell = counted.set_index("cell_id")["value"]
    of_grid: dict[int, float] = defaultdict(float)
    for cell, value in per_cell.items():
        of_grid[_grid_of(int(leaf[cell]))] += value
    found = {}
    for compound in city.compounds.itertuples():
        parts: dict[int, float] = defaultdict(float)
        for cell in city.cells.itertuples():
            own = city.buildings[city.buildings["cell_id"] == cell.cell_id]
            if not len(own) or per_cell.get(cell.cell_id, 0) == 0:
                continue
            centre = own.geometry.centroid
            x = (centre.x * own["households"]).sum() / own["households"].sum()
            y = (centre.y * own["households"]).sum() / own["households"].sum()
            if compound.geometry.intersects(type(centre.iloc[0])(x, y)):
                parts[_grid_of(int(cell.grid_id))] += per_cell[cell.cell_id]
        total = sum(parts.values())
        main = max(parts, key=lambda grid: (parts[grid], -grid))
        whole = sum(value for grid, value in parts.items() if value / of_grid[grid] >= NEARLY)
        if parts[main] / total >= NEARLY:
            relation = "equal" if parts[main] / of_grid[main] >= NEARLY else "smaller"
        else:
            relation = "larger" if whole / total >= NEARLY else "crossing"
        found[int(compound.compound_id)] = (relation, dict(parts))
    return found


def _rows(reader: httpx.Client, **query: Any) -> list[dict[str, Any]]:
    answer = reader.get(BASE, params=query)
    assert answer.status_code == 200, answer.text
    rows: list[dict[str, Any]] = answer.json()["items"]
    return rows


def test_the_relation_is_that_of_the_households(world: World) -> None:
    expected = _reckoned(two_cities()[0])
    reader = world.signed(login_of(Role.LEADER, HOME))
    rows = {row["compound"]: row for row in _rows(reader)}
    assert {key: row["relation"] for key, row in rows.items()} == {
        key: relation for key, (relation, _) in expected.items()
    }
    for key, (_, parts) in expected.items():
        assert rows[key]["households"] == sum(parts.values())
        assert rows[key]["grids"] == len(parts)
        card = reader.get(f"{BASE}/{key}").json()
        assert {one["grid"]: one["households"] for one in card["parts"]} == parts
        assert sum(one["share_of_compound"] for one in card["parts"]) == pytest.approx(1.0)


def test_filters_narrow_the_list_and_the_file(reader: httpx.Client) -> None:
    everything = _rows(reader)
    for relation in ("larger", "equal", "smaller", "crossing"):
        few = _rows(reader, relation=relation)
        assert few == [row for row in everything if row["relation"] == relation]
    assert _rows(reader, firm=False) == [row for row in everything if row["firm"] is None]
    assert _rows(reader, firm=True) == [row for row in everything if row["firm"] is not None]
    assert _rows(reader, committee=False) == [row for row in everything if not row["committee"]]
    assert [row["compound"] for row in _rows(reader, type="old_estate")] == [2]
    assert [row["compound"] for row in _rows(reader, grid=2)] == [3]
    file = reader.get(BASE, params={"f": "csv", "firm": False}).text.removeprefix("\ufeff")
    assert [row["compound"] for row in csv.DictReader(io.StringIO(file))] == ["2"]
    assert reader.get(BASE, params={"relation": "beside"}).status_code == 422
    assert reader.get(f"{BASE}/999").status_code == 404


def test_the_table_in_both_languages(reader: httpx.Client) -> None:
    chinese = reader.get(f"/compounds?city={HOME}&lang=zh").text
    assert "松岭花园" in chinese and "小区与网格" in chinese and "老旧小区" in chinese
    english = reader.get(f"/compounds?city={HOME}&lang=en&firm=false").text
    assert "海棠小区" in english and "松岭花园" not in english and "old estate" in english
    assert reader.get(f"/compounds?city={HOME}&relation=beside").status_code == 422
    assert "没有符合条件的小区" in reader.get(f"/compounds?city={HOME}&lang=zh&q=不存在").text


def test_strangers_are_told_how_compounds_lie_and_no_counts(
    world: World, reader: httpx.Client
) -> None:
    leader = world.signed(login_of(Role.LEADER, HOME))
    other = world.signed(login_of(Role.LEADER, AWAY))
    known = {row["compound"]: row for row in leader.get(BASE).json()["items"]}
    for stranger in (reader, other):
        rows = _rows(stranger)
        assert [row["households"] for row in rows] == [None] * len(known)
        assert all(row["relation"] == known[row["compound"]]["relation"] for row in rows)
        assert stranger.get(f"{BASE}/1").json()["parts"] == []
    assert leader.get(f"{BASE}/1").json()["parts"]


def test_the_database_tells_strangers_no_shares(world: World) -> None:
    database = world.migrated.application()
    with database.transaction(Viewer.public(1)) as session:
        assert session.scalar(text("SELECT count(*) FROM net_compound")) == 0
        assert session.scalar(text("SELECT count(*) FROM net_relation")) > 0
    database.close()
