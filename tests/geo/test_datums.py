"""China's datums: published pairs, the exact way back, the page's own formula, lying on streets."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import get_args

import geopandas as gpd
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from geo.datums import (
    AXIS_M,
    CHINA,
    ECCENTRICITY_SQUARED,
    Datum,
    from_wgs84,
    lies_best,
    shapes_from_wgs84,
    shapes_to_wgs84,
    to_wgs84,
)
from geo.errors import DatumError

SCRIPT = Path(__file__).parents[2] / "api" / "static" / "js" / "map" / "datum.js"
METRES_PER_DEGREE = 111_320.0

#: WGS 84, GCJ-02 and BD-09 of one place. The first two are the pairs that most programs are tested
#: with; BD-09 was computed with another program of the same constants (prcoords 1.0.2).
PUBLISHED = [
    (
        (121.5272106, 31.1774276),
        (121.531541859215, 31.17530398364597),
        (121.53801568643858, 31.181328606874466),
    ),
    (
        (113.912316, 22.543847),
        (113.9171764808363, 22.540796131694766),
        (113.92368472926734, 22.546667437751108),
    ),
    (
        (116.377817, 39.911954),
        (116.38404722455657, 39.91334545536069),
        (116.39045471310828, 39.919575550965874),
    ),
]


def off_m(one: np.ndarray, two: np.ndarray) -> float:
    return float(np.abs(one - two).max()) * METRES_PER_DEGREE


@pytest.mark.parametrize(("wgs84", "gcj02", "bd09"), PUBLISHED)
def test_published_pairs(
    wgs84: tuple[float, float], gcj02: tuple[float, float], bd09: tuple[float, float]
) -> None:
    place = np.array([wgs84])
    for datum, there in (("gcj02", gcj02), ("bd09", bd09)):
        assert off_m(from_wgs84(place, datum), np.array([there])) < 1e-7
        assert off_m(to_wgs84(np.array([there]), datum), place) < 1e-7
    assert (to_wgs84(place, "cgcs2000") == place).all()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.floats(73.5, 134.7), st.floats(18.2, 53.4)), min_size=1, max_size=50),
    st.sampled_from(["gcj02", "bd09"]),
)
def test_the_way_back_is_exact(places: list[tuple[float, float]], datum: Datum) -> None:
    there = from_wgs84(np.array(places), datum)
    again = from_wgs84(to_wgs84(there, datum), datum)
    kink = np.abs(np.array(places)[:, 0] - 105.0) < 1e-10
    assert off_m(again[~kink], there[~kink]) < 1e-8 if (~kink).any() else True
    assert off_m(again, there) < 2e-7


def test_the_shift_is_hundreds_of_metres_and_none_outside_china() -> None:
    places = np.random.default_rng(4).uniform(CHINA[:2], CHINA[2:], (5_000, 2))
    moved = np.hypot(*((from_wgs84(places, "gcj02") - places) * METRES_PER_DEGREE).T)
    assert 300 < np.median(moved) < 700
    cambridge = np.array([[-71.1, 42.37], [139.7, 35.7]])
    assert (from_wgs84(cambridge, "gcj02") == cambridge).all()
    assert (to_wgs84(cambridge, "gcj02") == cambridge).all()


def test_shapes_turn_vertex_by_vertex_and_stay_a_coverage() -> None:
    left, right = shapely.box(120.0, 37.0, 120.01, 37.01), shapely.box(120.01, 37.0, 120.02, 37.01)
    series = gpd.GeoSeries([left, right], index=["a", "b"], crs=4326)
    there = shapes_from_wgs84(series, "bd09")
    assert there.index.tolist() == ["a", "b"]
    assert shapely.coverage_is_valid(there.to_numpy())
    expected = from_wgs84(shapely.get_coordinates(left), "bd09")
    assert (shapely.get_coordinates(there.iloc[0]) == expected).all()
    back = shapes_to_wgs84(there, "bd09")
    assert back.crs == 4326
    assert off_m(*(shapely.get_coordinates(s.to_numpy()) for s in (back, series))) < 1e-8
    assert shapely.get_coordinates(series.iloc[0]).max() == 120.01, "nothing is changed in place"
    point = shapes_from_wgs84(shapely.Point(121.5272106, 31.1774276), "gcj02")
    assert point.x == pytest.approx(121.531541859215, abs=1e-12)


def test_metres_and_unknown_datums_are_refused() -> None:
    with pytest.raises(DatumError, match="not in degrees"):
        to_wgs84(np.array([[500_000.0, 4_160_000.0]]), "gcj02")
    with pytest.raises(DatumError, match="not in degrees"):
        to_wgs84(np.array([[np.nan, 3.0]]), "gcj02")
    with pytest.raises(DatumError, match="none of"):
        from_wgs84(np.array([[120.0, 30.0]]), "beijing54")  # type: ignore[arg-type]
    assert len(get_args(Datum)) == 4


def test_the_page_has_the_same_constants_and_the_same_numbers() -> None:
    text = SCRIPT.read_text(encoding="utf-8")
    assert f"AXIS = {AXIS_M:.0f};" in text
    said = re.search(r"ECCENTRICITY_SQUARED = ([\d.]+);", text)
    assert said is not None
    assert float(said[1]) == pytest.approx(ECCENTRICITY_SQUARED, rel=1e-15)
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node on this machine: the constants alone were compared")
    places = np.random.default_rng(5).uniform((73.5, 18.2), (134.7, 53.4), (500, 2))
    program = (
        f"import {{ toGcj02 }} from {json.dumps(SCRIPT.as_uri())};"
        f"console.log(JSON.stringify({json.dumps(places.tolist())}.map(p => toGcj02(...p))));"
    )
    run = subprocess.run(
        [node, "--no-warnings", "--input-type=module", "--eval", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert off_m(np.array(json.loads(run.stdout)), from_wgs84(places, "gcj02")) < 1e-7


def streets_and_houses(lon: float, lat: float) -> tuple[gpd.GeoSeries, gpd.GeoSeries]:
    """Return streets at uneven distances and houses between them, degrees WGS 84."""
    rng = np.random.default_rng(6)
    at = np.cumsum(rng.uniform(70, 130, 20))
    lines = [shapely.LineString([(x, 0), (x, at[-1])]) for x in at]
    lines += [shapely.LineString([(0, y), (at[-1], y)]) for y in at]
    houses = [
        shapely.box(x + 20, y + 20, right - 20, top - 20)
        for x, right in pairwise(at)
        for y, top in pairwise(at)
    ]
    scale = np.array([METRES_PER_DEGREE * np.cos(np.radians(lat)), METRES_PER_DEGREE])
    streets, buildings = (
        gpd.GeoSeries(shapely.transform(np.array(s), lambda c: c / scale + (lon, lat)), crs=4326)
        for s in (lines, houses)
    )
    return streets, buildings


@pytest.mark.parametrize("datum", ["wgs84", "gcj02", "bd09"])
def test_what_lies_right_on_the_streets_is_found(datum: Datum) -> None:
    streets, buildings = streets_and_houses(117.0, 36.6)
    for shapes in (buildings, streets.iloc[::2]):
        ranking = lies_best(shapes_from_wgs84(shapes, datum), streets)
        assert ranking.index[0] == datum
        assert ranking["certainty"].iloc[0] > 0.9
        assert ranking["misfit"].iloc[0] < 0.02 < ranking["misfit"].iloc[1]
        assert ranking["shift_m"].loc["wgs84"] == 0.0
        assert 300 < ranking["shift_m"].loc["gcj02"] < 700


def test_outside_china_there_is_one_answer_and_points_cannot_tell() -> None:
    streets, buildings = streets_and_houses(24.0, 61.0)
    assert lies_best(buildings, streets).index.tolist() == ["wgs84"]
    with pytest.raises(DatumError, match="Only lines and areas"):
        lies_best(shapely.centroid(buildings.to_numpy()), streets)
    with pytest.raises(DatumError):
        lies_best(buildings, streets.iloc[:0])


def test_what_lies_nowhere_right_is_uncertain() -> None:
    streets, _ = streets_and_houses(117.0, 36.6)
    rng = np.random.default_rng(7)
    corners = rng.uniform((117.0, 36.6), (117.02, 36.62), (300, 2))
    scattered = shapely.box(*corners.T, *(corners + 0.0003).T)
    ranking = lies_best(scattered, streets)
    assert ranking["certainty"].iloc[0] < 0.99
    assert ranking["misfit"].iloc[0] > 0.1
