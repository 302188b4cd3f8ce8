"""Official layers of Cambridge and division codes of Shandong, as they were delivered."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import pandas as pd
import pytest
import shapely

from geo.grids import adjacency, coverage_faults
from geo.profiles import load_profile

pytestmark = pytest.mark.acceptance

METRE_SRID = 32619


def layer(shared_data: Path, name: str) -> gpd.GeoSeries:
    file = shared_data / "cambridge_ma" / "cambridge_admin.gpkg"
    return gpd.read_file(file, layer=name).to_crs(METRE_SRID).geometry


@pytest.mark.parametrize(
    ("name", "shapes", "wrong"),
    [
        ("census_blocks_2020", 1044, 0),
        ("census_tracts_2020", 33, 0),
        ("dept_police_response_districts", 117, 0),
        ("census_blockgroups_2020_DIRTY", 87, 17),
        ("wards_precincts_2010_DIRTY", 35, 27),
        ("dept_zipcodes_DIRTY", 5, 4),
    ],
)
def test_faults_of_official_layers_are_those_that_are_known(
    shared_data: Path, name: str, shapes: int, wrong: int
) -> None:
    found = layer(shared_data, name)
    faults = coverage_faults(found)
    assert (len(found), faults.edges["cell"].nunique()) == (shapes, wrong)
    assert faults.clean == (wrong == 0)
    parts = shapely.get_parts(found.to_numpy())
    double = shapely.area(parts).sum() - shapely.area(shapely.union_all(parts))
    assert faults.overlaps["area_m2"].sum() == pytest.approx(double, rel=1e-3, abs=1e-3)


def test_blocks_have_the_neighbours_that_touch_along_a_line(shared_data: Path) -> None:
    blocks = layer(shared_data, "census_blocks_2020")
    found = adjacency(blocks)
    one, two = shapely.STRtree(blocks).query(blocks, predicate="intersects")
    one, two = one[one < two], two[one < two]
    length = shapely.length(
        shapely.intersection(*(blocks.boundary.to_numpy()[k] for k in (one, two)))
    )
    plain = {
        (int(i), int(j)): float(m) for i, j, m in zip(one, two, length, strict=True) if m >= 0.1
    }
    pairs = zip(found.left.tolist(), found.right.tolist(), strict=True)
    assert dict(zip(pairs, found.length_m, strict=True)) == pytest.approx(plain, abs=1e-3)


def test_real_division_codes_follow_the_scheme(shared_data: Path) -> None:
    file = shared_data / "china_admin" / "villages_nbs2023.csv"
    villages = pd.read_csv(file, dtype="str")
    scheme = load_profile("cn").scheme("division")
    segment = scheme.place("community")[2]
    assert len(villages) == 11_436
    for code, name in zip(villages["village_code"], villages["village"], strict=True):
        parsed = scheme.parse(code)
        assert parsed.level == "community"
        assert scheme.format("community", parsed.texts) == code
        number = int(parsed.texts["community"])
        ranges = [span.name for span in segment.ranges if span.first <= number <= span.last]
        assert len(ranges) == 1
        if name.endswith("村民委员会"):
            assert ranges == ["villagers"]
