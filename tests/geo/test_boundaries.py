"""Files are opened by what they are, not by what they are called; a refusal says what to do."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pyogrio
import pytest
import shapely
from shapely import Point, Polygon

from geo import boundaries
from geo.boundaries import AREAL, LINEAR, POINTS, in_metres, read_delivery, read_layer
from geo.errors import DeliveryError, TopologyError
from geo.recipes import Source, recipe_from_tables
from tests import deliveries
from tests.deliveries import METRE_SRID, blocks, deliver, write

CODES = {"code": "id"}


@pytest.fixture(autouse=True)
def without_walls(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is read is tried here; the walls are in test_jail."""
    monkeypatch.setattr(boundaries, "READER", deliveries.read_here)


def refused(
    folder: Path,
    source: Source,
    columns: dict[str, str] | None = None,
    geometry: tuple[str, ...] = AREAL,
) -> str:
    """Return the one reason for which a layer is not read."""
    with pytest.raises(DeliveryError) as caught:
        in_metres(read_layer(folder, source, columns or CODES, geometry), METRE_SRID)
    assert caught.value.code in ("delivery_invalid", "file_refused")
    reasons: list[str] = caught.value.data["defects"]
    return "\n".join(reasons)


@pytest.mark.parametrize("suffix", [".gpkg", ".geojson", ".shp"])
def test_a_layer_comes_in_as_it_is(tmp_path: Path, suffix: str) -> None:
    file = write(blocks(), tmp_path / f"blocks{suffix}")
    read = read_layer(tmp_path, Source(file=file.name), {"code": "id", "weight_0": "land"}, AREAL)
    assert list(read.frame.columns) == ["code", "weight_0", "geometry"]
    assert sorted(read.frame["code"]) == ["A1", "A2", "B1", "B2"]
    assert read.findings == ()
    metres = in_metres(read, METRE_SRID).frame
    assert metres.crs.to_epsg() == METRE_SRID
    assert metres.area.to_numpy() == pytest.approx(10_000.0, abs=1e-3)


def test_equal_vertices_stay_equal(tmp_path: Path) -> None:
    write(blocks(), tmp_path / "blocks.gpkg")
    read = in_metres(read_layer(tmp_path, Source(file="blocks.gpkg"), CODES, AREAL), METRE_SRID)
    assert shapely.coverage_is_valid(read.frame.geometry.to_numpy())


def test_columns_about_persons_are_refused_when_a_recipe_names_them(tmp_path: Path) -> None:
    frame = blocks()
    frame["memo"] = ["13912345678", "15900001111", "18655556666", "13800138000"]
    write(frame, tmp_path / "b.gpkg")
    said = refused(tmp_path, Source(file="b.gpkg"), {"code": "id", "name": "memo"})
    assert "'memo' holds telephone numbers" in said
    assert "139" not in said


def test_columns_that_are_not_named_are_not_read(tmp_path: Path) -> None:
    folder = deliver(tmp_path)
    delivery = read_delivery(recipe_from_tables(deliveries.recipe_tables()), folder)
    seen = {str(column) for layer in delivery.layers() for column in layer.frame.columns}
    assert not seen & {"mayor", "phone"}
    texts = [
        str(value)
        for layer in delivery.layers()
        for column in layer.frame.columns.drop("geometry")
        for value in layer.frame[column]
    ]
    assert not {"Jane Roe", "John Doe", "5550"} & set(texts)


def test_the_third_dimension_is_dropped_and_rows_without_a_shape_are_named(tmp_path: Path) -> None:
    frame = blocks()
    frame["geometry"] = shapely.force_3d(frame.geometry.to_numpy(), 7.0)
    frame.loc[1, "geometry"] = None
    frame.loc[2, "geometry"] = Polygon()
    write(frame, tmp_path / "b.gpkg")
    read = read_layer(tmp_path, Source(file="b.gpkg"), CODES, AREAL)
    assert read.frame.index.tolist() == [1, 4]
    assert not shapely.has_z(read.frame.geometry.to_numpy()).any()
    assert [(f.kind, f.subject, f.done) for f in read.findings] == [
        ("no_shape", "row 2", "left out"),
        ("no_shape", "row 3", "left out"),
    ]
    assert read.frame["code"].tolist() == ["B2", "B1"]


# ---- what is not read, and what is said --------------------------------------------------------


def test_a_missing_file_is_named_with_its_neighbours(tmp_path: Path) -> None:
    write(blocks(), tmp_path / "blocks.gpkg")
    said = refused(tmp_path, Source(file="block.gpkg"))
    assert "no such file" in said
    assert "is it 'blocks.gpkg'?" in said


def test_nothing_outside_the_folder_is_opened(tmp_path: Path) -> None:
    write(blocks(), tmp_path / "blocks.gpkg")
    inner = tmp_path / "inner"
    inner.mkdir()
    assert "outside the folder" in refused(inner, Source(file="../blocks.gpkg"))
    (inner / "link.gpkg").symlink_to(tmp_path / "blocks.gpkg")
    assert "outside the folder" in refused(inner, Source(file="link.gpkg"))


def test_a_missing_layer_is_named_with_those_that_are_there(tmp_path: Path) -> None:
    deliver(tmp_path)
    said = refused(tmp_path, Source(file="areas.gpkg", layer="block"))
    assert "no such layer (is it 'blocks'?); it has ['wards', 'blocks']" in said
    assert "name one of wards, blocks" in refused(tmp_path, Source(file="areas.gpkg"))


def test_missing_columns_are_all_named_at_once(tmp_path: Path) -> None:
    write(blocks(), tmp_path / "b.gpkg")
    said = refused(tmp_path, Source(file="b.gpkg"), {"code": "ID", "name": "label"})
    assert "no column 'ID' (is it 'id'?); it has ['id', 'land', 'phone']" in said
    assert "no column 'label'" in said


def test_a_shapefile_without_prj_asks_for_its_crs_and_takes_the_recipes(tmp_path: Path) -> None:
    write(blocks(), tmp_path / "b.shp")
    (tmp_path / "b.prj").unlink()
    assert "needs its .prj" in refused(tmp_path, Source(file="b.shp"))
    read = read_layer(tmp_path, Source(file="b.shp", crs=4326), CODES, AREAL)
    assert in_metres(read, METRE_SRID).frame.area.sum() == pytest.approx(40_000, abs=1e-2)


def test_a_shapefile_without_dbf_has_no_columns(tmp_path: Path) -> None:
    write(blocks(), tmp_path / "b.shp")
    (tmp_path / "b.dbf").unlink()
    assert "no column 'id'" in refused(tmp_path, Source(file="b.shp"))


def test_a_crs_that_contradicts_the_recipe_is_refused(tmp_path: Path) -> None:
    write(blocks(), tmp_path / "b.gpkg")
    said = refused(tmp_path, Source(file="b.gpkg", crs=3857))
    assert "the file says WGS 84, the recipe says WGS 84 / Pseudo-Mercator" in said


def _labelled(srid: int) -> gpd.GeoDataFrame:
    return blocks().to_crs(4326).set_crs(srid, allow_override=True)


def _swapped() -> gpd.GeoDataFrame:
    frame = blocks().to_crs(4326)
    return frame.set_geometry(shapely.transform(frame.geometry.to_numpy(), lambda c: c[:, ::-1]))


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (lambda: _labelled(3857), "the numbers are degrees"),
        (lambda: _labelled(26986), "the numbers are degrees"),
        (_swapped, "longitude and latitude are swapped"),
        (lambda: blocks().set_crs(4326, allow_override=True), "reference system"),
        (lambda: blocks().set_crs(32619, allow_override=True), "reference system"),
    ],
)
def test_what_lies_elsewhere_is_refused_with_the_likely_reason(
    tmp_path: Path, frame: Callable[[], gpd.GeoDataFrame], words: str
) -> None:
    delivered = frame()
    if delivered.crs is None:
        delivered = delivered.set_crs(4326)
    pyogrio.write_dataframe(delivered, tmp_path / "b.gpkg", driver="GPKG")
    said = refused(tmp_path, Source(file="b.gpkg"))
    assert "4 of 4 rows lie outside NAD83 / Massachusetts Mainland" in said
    assert words in said


def test_one_shape_around_the_world_is_refused(tmp_path: Path) -> None:
    frame = blocks().to_crs(4326)
    frame.loc[0, "geometry"] = shapely.box(-171.1, -42.4, 28.9, 89.0)
    pyogrio.write_dataframe(frame, tmp_path / "b.gpkg", driver="GPKG")
    assert "1 of 4 rows lie outside" in refused(tmp_path, Source(file="b.gpkg"))


def test_points_that_nobody_could_place_are_left_out_and_listed(tmp_path: Path) -> None:
    lost = deliveries.stations().to_crs(4326)
    lost.loc[1, "geometry"] = Point(0, 0)
    pyogrio.write_dataframe(lost, tmp_path / "s.geojson", driver="GeoJSON")
    read = read_layer(tmp_path, Source(file="s.geojson"), {"kind": "type"}, POINTS)
    kept = in_metres(read, METRE_SRID, strays=True)
    assert len(kept.frame) == 3
    assert [(f.kind, f.subject) for f in kept.findings] == [("elsewhere", "row 2")]
    assert "POINT (0 0)" in kept.findings[0].done
    with pytest.raises(DeliveryError):
        in_metres(read, METRE_SRID)


def test_many_points_elsewhere_are_no_strays(tmp_path: Path) -> None:
    turned = deliveries.stations().to_crs(4326)
    turned["geometry"] = [Point(p.y, p.x) for p in turned.geometry]
    pyogrio.write_dataframe(turned, tmp_path / "s.geojson", driver="GeoJSON")
    read = read_layer(tmp_path, Source(file="s.geojson"), {"kind": "type"}, POINTS)
    with pytest.raises(DeliveryError, match="swapped"):
        in_metres(read, METRE_SRID, strays=True)


def test_only_a_metre_crs_can_be_the_citys(tmp_path: Path) -> None:
    write(blocks(), tmp_path / "b.gpkg")
    read = read_layer(tmp_path, Source(file="b.gpkg"), CODES, AREAL)
    with pytest.raises(TopologyError, match="degrees"):
        in_metres(read, 4326)


def test_other_geometry_is_refused_by_row(tmp_path: Path) -> None:
    frame = blocks()
    frame.loc[2, "geometry"] = Point(deliveries.at(1, 1))
    write(frame, tmp_path / "b.gpkg")
    said = refused(tmp_path, Source(file="b.gpkg"))
    assert "1 of 4 rows are Point, not Polygon or MultiPolygon: rows 3" in said
    assert "rows are Point, Polygon" in refused(tmp_path, Source(file="b.gpkg"), None, LINEAR)


def test_an_empty_layer_is_refused(tmp_path: Path) -> None:
    write(blocks().iloc[:0], tmp_path / "b.gpkg")
    assert "the layer is empty" in refused(tmp_path, Source(file="b.gpkg"))
    frame = blocks()
    frame["geometry"] = [None] * 4
    write(frame, tmp_path / "n.gpkg")
    assert "no row has a shape" in refused(tmp_path, Source(file="n.gpkg"))


def test_every_layers_reasons_come_in_one_list(tmp_path: Path) -> None:
    folder = deliver(tmp_path, blocks=blocks().drop(columns="land"))
    (folder / "stations.geojson").unlink()
    with pytest.raises(DeliveryError) as caught:
        read_delivery(recipe_from_tables(deliveries.recipe_tables()), folder)
    said = caught.value.data["defects"]
    assert len(said) == 2
    assert "no column 'land'" in said[0]
    assert "stations.geojson: no such file" in said[1]


# ---- hostile and broken files ------------------------------------------------------------------


VRT = (
    "<OGRVRTDataSource><OGRVRTLayer name='b'><SrcDataSource>{path}</SrcDataSource>"
    "<SrcLayer>b</SrcLayer></OGRVRTLayer></OGRVRTDataSource>"
)


@pytest.mark.parametrize("name", ["b.vrt", "b.geojson", "b.gpkg", "b.shp"])
def test_a_file_that_points_to_others_is_not_followed(tmp_path: Path, name: str) -> None:
    write(blocks(), tmp_path / "real.gpkg", "b")
    (tmp_path / name).write_text(VRT.format(path=tmp_path / "real.gpkg"), encoding="utf-8")
    assert "only points to other files" in refused(tmp_path, Source(file=name))


def collection(**more: Any) -> str:
    features = json.loads(blocks().to_crs(4326).to_json())["features"]
    return json.dumps({"type": "FeatureCollection", **more, "features": features})


@pytest.mark.parametrize(
    "crs",
    [
        {"type": "url", "properties": {"url": "http://127.0.0.1:1/crs"}},
        {"type": "link", "properties": {"href": "http://127.0.0.1:1/crs", "type": "proj4"}},
        {"properties": {"url": "http://127.0.0.1:1/crs"}, "type": "url"},
    ],
)
def test_a_crs_that_would_be_fetched_is_refused(tmp_path: Path, crs: dict[str, Any]) -> None:
    (tmp_path / "b.geojson").write_text(collection(crs=crs), encoding="utf-8")
    assert "'crs' member points somewhere" in refused(tmp_path, Source(file="b.geojson"))


def test_a_crs_by_name_is_taken(tmp_path: Path) -> None:
    named = {"type": "name", "properties": {"name": "urn:ogc:def:crs:OGC:1.3:CRS84"}}
    (tmp_path / "b.geojson").write_text(collection(crs=named), encoding="utf-8")
    read = read_layer(tmp_path, Source(file="b.geojson"), CODES, AREAL)
    assert len(read.frame) == 4


@pytest.mark.parametrize(
    "content",
    [
        '{"type": "gdal_streamed_alg", "command_line": "gdal vector pipeline read x ! write y"}',
        '{"type": "Topology", "objects": {}}',
        '{"a": 1}',
    ],
)
def test_json_that_is_no_geojson_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "b.geojson").write_text(content, encoding="utf-8")
    assert "not a GeoJSON FeatureCollection" in refused(tmp_path, Source(file="b.geojson"))


def test_a_view_is_not_run(tmp_path: Path) -> None:
    file = write(blocks(), tmp_path / "b.gpkg", "b")
    with sqlite3.connect(file) as database:
        database.execute(
            "CREATE VIEW endless AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
            " SELECT i AS fid, NULL AS geom, 'x' AS id FROM n"
        )
        database.execute(
            "INSERT INTO gpkg_contents (table_name, data_type, identifier, srs_id)"
            " VALUES ('endless', 'features', 'endless', 4326)"
        )
        database.execute(
            "INSERT INTO gpkg_geometry_columns VALUES ('endless', 'geom', 'POLYGON', 4326, 0, 0)"
        )
    database.close()
    said = refused(tmp_path, Source(file="b.gpkg", layer="endless"))
    assert "it has a view 'endless', which a reader would run" in said


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.7, 0.99])
@pytest.mark.parametrize("suffix", [".gpkg", ".geojson", ".shp"])
def test_a_truncated_file_is_read_in_part_or_refused_never_more(
    tmp_path: Path, suffix: str, share: float
) -> None:
    file = write(blocks(), tmp_path / f"b{suffix}")
    whole = file.read_bytes()
    file.write_bytes(whole[: int(len(whole) * share)])
    try:
        read = read_layer(tmp_path, Source(file=file.name), CODES, AREAL)
    except DeliveryError as error:
        assert error.data["defects"]
    else:
        assert len(read.frame) <= 4
        missing = 4 - len(read.frame)
        assert missing == 0 or len(read.findings) >= 1, "rows are missing and nobody says so"


@pytest.mark.parametrize("name", ["b.gpkg", "b.shp", "b.geojson", "b.fgb"])
def test_noise_is_refused(tmp_path: Path, name: str) -> None:
    heads = {"b.gpkg": b"SQLite format 3\0", "b.shp": b"\0\0\x27\x0a", "b.geojson": b"{"}
    noise = np.random.default_rng(1).integers(0, 256, 5000, dtype=np.uint8).tobytes()
    (tmp_path / name).write_bytes(heads.get(name, b"fgb\x03") + noise)
    assert refused(tmp_path, Source(file=name)).startswith(name)


def test_points_are_points(tmp_path: Path) -> None:
    deliver(tmp_path)
    read = read_layer(tmp_path, Source(file="stations.geojson"), {"kind": "type"}, POINTS)
    assert read.frame["kind"].tolist() == ["LIB", "POOL", "POOL", "LIB"]
