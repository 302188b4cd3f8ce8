"""TopoJSON decodes back to the coverage, shares each border, and is the same every time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from itertools import pairwise
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from geo.errors import TopologyError
from geo.topojson import encode_topology
from tests.coverages import boundaries_of, nearest_labels, voronoi


def decode(text: bytes, name: str = "grids") -> tuple[dict[str, Any], list[Any]]:
    """Return the document and its shapes, read as the specification says."""
    document = json.loads(text)
    arcs = [np.cumsum(np.array(arc), axis=0) for arc in document["arcs"]]
    scale = np.array(document["transform"]["scale"])
    translate = np.array(document["transform"]["translate"])

    def ring(indexes: list[int]) -> Any:
        pieces = [arcs[k] if k >= 0 else arcs[~k][::-1] for k in indexes]
        for left, right in zip(pieces, [*pieces[1:], pieces[0]], strict=True):
            assert (left[-1] == right[0]).all()
        joined = np.concatenate([pieces[0][:1], *(piece[1:] for piece in pieces)])
        return joined * scale + translate

    shapes: list[Any] = []
    for geometry in document["objects"][name]["geometries"]:
        if geometry["type"] is None:
            shapes.append(None)
            continue
        parts = [geometry["arcs"]] if geometry["type"] == "Polygon" else geometry["arcs"]
        polygons = [shapely.Polygon(ring(p[0]), [ring(hole) for hole in p[1:]]) for p in parts]
        shapes.append(polygons[0] if len(polygons) == 1 else shapely.MultiPolygon(polygons))
    return document, shapes


def city(n_cells: int, n_grids: int, seed: int = 1) -> gpd.GeoDataFrame:
    cells = voronoi(n_cells, seed=seed, bends=0)
    return boundaries_of(cells, nearest_labels(cells, n_grids, seed=seed)).to_crs(4326)


def assert_each_border_once(document: dict[str, Any]) -> None:
    edges = Counter(
        frozenset(map(tuple, pair))
        for arc in document["arcs"]
        for points in [np.cumsum(np.array(arc), axis=0).tolist()]
        for pair in pairwise(points)
    )
    assert max(edges.values()) == 1


@given(st.integers(0, 2**32 - 1), st.integers(2, 25))
@settings(max_examples=20, deadline=None)
def test_rings_come_back_within_half_a_step(seed: int, n_grids: int) -> None:
    shapes = city(300, n_grids, seed)
    document, decoded = decode(encode_topology(shapes, tolerance_m=0, quantization=100_000))
    half = max(document["transform"]["scale"]) / 2
    for before, after in zip(shapes.geometry, decoded, strict=True):
        assert shapely.hausdorff_distance(before.boundary, after.boundary) <= half * 2**0.5 + 1e-12
        assert after.geom_type == before.geom_type
    assert_each_border_once(document)


def test_simplified_neighbours_still_share_every_arc() -> None:
    shapes = city(4000, 60)
    document, decoded = decode(encode_topology(shapes, tolerance_m=40))
    full = json.loads(encode_topology(shapes, tolerance_m=0))
    points = [sum(map(len, d["arcs"])) for d in (document, full)]
    assert points[0] < points[1] / 2
    assert_each_border_once(document)
    used = Counter(
        k if k >= 0 else ~k
        for geometry in document["objects"]["grids"]["geometries"]
        for index in [np.hstack([np.hstack(p) for p in _parts(geometry)])]
        for k in index.tolist()
    )
    assert sorted(used) == list(range(len(document["arcs"])))
    assert set(used.values()) == {1, 2}
    coverage = np.array(decoded, dtype=object)
    assert shapely.coverage_is_valid(coverage)
    assert shapely.area(coverage).sum() == pytest.approx(
        shapely.area(shapely.coverage_union_all(coverage))
    )


def _parts(geometry: dict[str, Any]) -> list[Any]:
    return [geometry["arcs"]] if geometry["type"] == "Polygon" else geometry["arcs"]


def test_enclaves_and_scattered_grids_come_back() -> None:
    box = shapely.box
    outer = box(0, 0, 10, 10) - box(3, 3, 6, 6)
    ring, core = box(3, 3, 6, 6) - box(4, 4, 5, 5), box(4, 4, 5, 5)
    twice = shapely.MultiPolygon([box(10, 0, 12, 5), box(0, 10, 3, 12)])
    rest = shapely.union_all([box(10, 5, 12, 10), box(3, 10, 12, 12)])
    shapes = gpd.GeoDataFrame(geometry=[outer, ring, core, twice, rest], crs=4326)
    document, decoded = decode(encode_topology(shapes, tolerance_m=0, quantization=1201))
    assert_each_border_once(document)
    step = max(document["transform"]["scale"])
    for before, after in zip(shapes.geometry, decoded, strict=True):
        assert after.geom_type == before.geom_type
        assert shapely.hausdorff_distance(before.boundary, after.boundary) <= step
        holes = [len(part.interiors) for part in shapely.get_parts(after)]
        assert holes == [len(part.interiors) for part in shapely.get_parts(before)]
    assert (
        len(document["arcs"][_parts(document["objects"]["grids"]["geometries"][2])[0][0][0]]) == 5
    )


def test_properties_keep_their_types_and_any_text() -> None:
    hostile = ["{{7*191}}", "</script>", '"\\\n', "网格", None]
    shapes = city(100, 5).assign(
        g=np.arange(5),
        n=hostile,
        c=pd.array([0, 1, 2, None, 4], dtype="Int64"),
        x=[0.5, np.nan, 1.0, 2.0, 3.0],
        secret="kept out",
    )
    text = encode_topology(shapes, ["g", "n", "c", "x"], tolerance_m=18, name="leaf")
    document, _ = decode(text, "leaf")
    found = [g["properties"] for g in document["objects"]["leaf"]["geometries"]]
    assert [row["n"] for row in found] == hostile
    assert [row["g"] for row in found] == [0, 1, 2, 3, 4]
    assert found[3]["c"] is None and found[1]["x"] is None
    assert isinstance(found[0]["g"], int) and isinstance(found[0]["x"], float)
    assert list(found[0]) == ["g", "n", "c", "x"]
    geometries = document["objects"]["leaf"]["geometries"]
    assert all(set(geometry) == {"type", "arcs", "properties"} for geometry in geometries)
    assert "网格".encode() in text and b"secret" not in text


def test_the_same_city_gives_the_same_bytes_in_every_process() -> None:
    program = (
        "import hashlib; from tests.geo.test_topojson import city; "
        "from geo.topojson import encode_topology; "
        "print(hashlib.sha256(encode_topology(city(500, 20), tolerance_m=18)).hexdigest())"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": "."},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(told) == 1


def test_a_shape_below_one_step_keeps_its_properties() -> None:
    tiny = shapely.box(0, 0, 1e-6, 1e-6)
    rest = shapely.box(0, 0, 1, 1) - tiny
    shapes = gpd.GeoDataFrame({"g": [1, 2]}, geometry=[tiny, rest], crs=4326)
    document, decoded = decode(encode_topology(shapes, ["g"], tolerance_m=0, quantization=1000))
    assert decoded[0] is None and decoded[1].area == pytest.approx(1, rel=1e-2)
    assert document["objects"]["grids"]["geometries"][0]["properties"] == {"g": 1}


def test_nothing_is_an_empty_topology() -> None:
    document = json.loads(encode_topology(city(50, 3).iloc[:0], tolerance_m=18))
    assert document["type"] == "Topology" and document["arcs"] == []
    assert document["objects"]["grids"]["geometries"] == []


@pytest.mark.parametrize(
    "arguments", [{"tolerance_m": -1.0}, {"tolerance_m": 1.0, "quantization": 1}]
)
def test_wrong_arguments_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(TopologyError):
        encode_topology(city(50, 3), **arguments)


def test_metres_and_points_are_refused() -> None:
    shapes = city(50, 3)
    with pytest.raises(TopologyError, match="EPSG:4326"):
        encode_topology(shapes.to_crs(4549), tolerance_m=18)
    shapes.loc[shapes.index[0], "geometry"] = shapely.Point(120, 37)
    with pytest.raises(TopologyError, match="not polygons"):
        encode_topology(shapes, tolerance_m=18)
