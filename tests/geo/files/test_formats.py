"""Every format comes in alike; what a file is, its bytes say; broken ones say what is broken."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import openpyxl
import pytest
import shapely
from shapely import LineString, MultiPolygon, Point, Polygon, box

from geo.errors import DeliveryError, FileRefusedError
from geo.files.facts import FileFormat
from geo.files.formats import format_of
from tests.offered import areas, shapefile_parts, write, zipped

CODES = {"code": "code", "name": "name"}
BOX = (121.40, 37.50, 121.44, 37.51)


def refused(call: Any, *given: Any, **how: Any) -> str:
    """Return why something is not read: one list, with what, where and what to do."""
    with pytest.raises(DeliveryError) as caught:
        call(*given, **how)
    reasons: list[str] = caught.value.data["defects"]
    return "\n".join(reasons)


@pytest.mark.parametrize("ending", [".shp", ".gpkg", ".geojson", ".fgb", ".parquet"])
def test_areas_come_in_alike_from_every_format(ending: str, tmp_path: Path, read: Any) -> None:
    path = tmp_path / f"areas{ending}"
    if ending == ".parquet":
        areas().to_parquet(path)
    else:
        write(areas(), path)
    frame = read(path, columns=CODES, datum="wgs84", kind="areas").frame.sort_values("code")
    assert frame["code"].tolist() == ["A1", "A2", "B1", "B2"]
    assert frame["name"].tolist() == ["东里", "西里", "南里", "北里"]
    assert sorted(frame.index) == [1, 2, 3, 4]
    assert frame.total_bounds == pytest.approx(BOX, abs=1e-9)
    assert frame.crs.to_epsg() == 4326


def test_kml_comes_in(tmp_path: Path, read: Any, layer: Any) -> None:
    path = write(areas(), tmp_path / "areas.kml")
    facts = layer(path)
    assert (facts.kind, facts.features) == ("areas", 4)
    assert "altitudeMode" not in {column.name for column in facts.columns}
    frame = read(path, columns={"name": "Name", "code": "code"}, datum="wgs84").frame
    assert frame["name"].tolist() == ["东里", "西里", "南里", "北里"]
    assert frame.total_bounds == pytest.approx(BOX, abs=1e-9)


def test_a_zipped_shapefile_comes_in_under_names_of_windows(tmp_path: Path, read: Any) -> None:
    parts = shapefile_parts(tmp_path, stem="网格")
    assert {Path(name).suffix for name in parts} >= {".shp", ".dbf", ".shx", ".prj"}
    named = {name.encode("gbk").decode("cp437"): part for name, part in parts.items()}
    path = zipped(tmp_path / "网格.zip", {**named, "readme.txt": b"hello"})
    raw = path.read_bytes().replace(b"\x00\x08\x08\x00", b"\x00\x00\x08\x00")
    path.write_bytes(raw)
    found = read(path, columns=CODES, datum="wgs84")
    assert found.frame["name"].tolist() == ["东里", "西里", "南里", "北里"]


def test_an_archive_of_several_layers_names_them(tmp_path: Path, understand: Any) -> None:
    parts = {**shapefile_parts(tmp_path, "wards"), **shapefile_parts(tmp_path, "blocks")}
    found = understand(zipped(tmp_path / "all.zip", parts))
    assert [layer.name for layer in found.layers] == ["blocks", "wards"]
    assert [layer.member for layer in found.layers] == ["blocks.shp", "wards.shp"]


def test_a_table_with_places_in_columns(tmp_path: Path, read: Any, layer: Any) -> None:
    path = tmp_path / "站点.csv"
    path.write_text("名称,经度(°),纬度(°)\n站一,121.5,31.2\n站二,,\n", encoding="gb18030")
    facts = layer(path)
    assert facts.encoding.used == "GB18030"
    assert (facts.kind, facts.crs.srid, facts.datum.sure) == ("points", 4326, False)
    frame = read(path, columns={"name": "名称"}, datum="wgs84").frame
    assert frame.geometry.iloc[0].equals(Point(121.5, 31.2))
    assert frame.geometry.iloc[1] is None
    assert frame["name"].tolist() == ["站一", "站二"]


def test_a_table_with_well_known_text(tmp_path: Path, read: Any) -> None:
    path = tmp_path / "a.csv"
    path.write_text('id;geom\n007;"SRID=4326;POLYGON((9 50,9.1 50,9.1 50.1,9 50))"\n8;nothing\n')
    frame = read(path, columns={"code": "id"}, kind="areas").frame
    assert frame["code"].tolist() == ["007", "8"]
    assert frame.geometry.iloc[0].area == pytest.approx(0.005)
    assert frame.geometry.iloc[1] is None


def test_a_table_whose_place_columns_somebody_names(tmp_path: Path, read: Any) -> None:
    path = tmp_path / "a.csv"
    path.write_text("id,P1,P2\n1,9.5,50.1\n")
    frame = read(path, columns={"code": "id", "lon": "P1", "lat": "P2"}, crs=4326).frame
    assert frame.geometry.iloc[0].equals(Point(9.5, 50.1))


def test_a_workbook_with_a_title_above_its_headings(tmp_path: Path, layer: Any, read: Any) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(["高新区楼栋户数一览表"])
    sheet.append(["楼栋编码", "户数", "备注", None])
    sheet.append(["0012", 24, '=HYPERLINK("http://x")'])
    sheet.append([None, None, None])
    sheet.append(["0013", 36, None])
    path = tmp_path / "户数.xlsx"
    book.save(path)
    facts = layer(path)
    assert (facts.kind, facts.features) == ("table", 2)
    assert facts.proposal.subjects[0] == "households"
    assert facts.proposal.mappings["households"]["households"] == "户数"
    frame = read(path, columns={"building_code": "楼栋编码", "households": "户数"}).frame
    assert frame["building_code"].tolist() == ["0012", "0013"]
    assert frame["households"].tolist() == ["24", "36"]
    assert frame.geometry.isna().all()


def test_a_drawing_has_its_own_layers_and_closed_lines_are_areas(
    tmp_path: Path, understand: Any, read: Any
) -> None:
    rings = [
        LineString(box(500_000 + 20 * n, 4e6, 500_010 + 20 * n, 4e6 + 10).exterior.coords)
        for n in range(3)
    ]
    road = LineString([(500_000, 4e6), (500_100, 4e6 + 50)])
    names = ["楼栋"] * 3 + ["ROAD"]
    frame = gpd.GeoDataFrame({"Layer": names}, geometry=[*rings, road], crs=4549)
    path = write(frame, tmp_path / "plan.dxf")
    found = understand(path)
    assert [(layer.name, layer.kind, layer.features) for layer in found.layers] == [
        ("楼栋", "areas", 3),
        ("ROAD", "lines", 1),
    ]
    assert found.layers[0].crs.srid is None
    assert 4549 in found.layers[0].crs.choices
    houses = read(path, "楼栋", crs=4549, kind="areas").frame
    assert houses.to_crs(4549).area.tolist() == pytest.approx([100.0] * 3, abs=1e-3)
    assert "plan.dxf:ROAD" in refused(read, path, "ROAD")


def test_what_a_file_is_its_bytes_say(tmp_path: Path) -> None:
    gpkg = write(areas(), tmp_path / "areas.gpkg").rename(tmp_path / "areas.shp")
    assert format_of(gpkg) is FileFormat.GEOPACKAGE


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"\0" * 500, "is empty"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "save it as .xlsx"),
        (b"Rar!\x1a\x07\x00", "RAR"),
        (b"AC1027" + b"\0" * 100, "save it as DXF"),
        (b"%PDF-1.4", "a PDF"),
        (b"<html><body>Not found</body></html>", "the download went wrong"),
        (b"<?xml version='1.0'?><gpx></gpx>", "GPX"),
        (b"[1, 2]", "not a GeoJSON"),
        (b'{"type": "Topology"}', "not a GeoJSON"),
        (b"hello", "text without columns"),
        (bytes(range(1, 255)), "none of the formats"),
        (b"PK\x03\x04" + b"x" * 100, "damaged"),
    ],
)
def test_what_is_not_read_is_named_with_what_to_do(
    content: bytes, said: str, tmp_path: Path, understand: Any
) -> None:
    path = tmp_path / "file.geojson"
    path.write_bytes(content)
    assert said in refused(understand, path)


@pytest.mark.parametrize("ending", [".gpkg", ".geojson", ".fgb", ".shp", ".parquet", ".xlsx"])
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_what_is_cut_off_is_refused_or_read_and_never_a_trace(
    ending: str, share: float, tmp_path: Path, read: Any
) -> None:
    path = tmp_path / f"areas{ending}"
    if ending == ".parquet":
        areas().to_parquet(path)
    elif ending == ".xlsx":
        book = openpyxl.Workbook()
        book.active.append(["code", "name"])
        book.active.append(["A1", "东里"])
        book.save(path)
    else:
        write(areas(), path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    said = refused(read, path, columns=CODES, datum="wgs84")
    assert path.name in said
    assert "hand it over again" in said or "save it" in said


def test_a_shapefile_without_dbf_has_shapes_and_says_so(tmp_path: Path, read: Any) -> None:
    path = write(areas(), tmp_path / "a.shp")
    path.with_suffix(".dbf").unlink()
    found = read(path, datum="wgs84")
    assert len(found.frame) == 4
    assert ("missing_part", ".dbf") in {(f.kind, f.subject) for f in found.findings}
    assert "no column 'code'" in refused(read, path, columns=CODES, datum="wgs84")


def test_a_shapefile_without_shx_is_read_from_its_shapes(tmp_path: Path, read: Any) -> None:
    path = write(areas(), tmp_path / "a.shp")
    path.with_suffix(".shx").unlink()
    found = read(path, columns=CODES, datum="wgs84")
    assert found.frame["code"].tolist() == ["A1", "A2", "B1", "B2"]
    assert ("missing_part", ".shx") in {(f.kind, f.subject) for f in found.findings}
    assert not path.with_suffix(".shx").exists()


def test_a_shapefile_without_prj_asks_unless_somebody_knows(tmp_path: Path, read: Any) -> None:
    path = write(areas(), tmp_path / "a.shp")
    path.with_suffix(".prj").unlink()
    said = refused(read, path, columns=CODES, datum="wgs84")
    assert "say its EPSG number" in said
    assert "4326" in said
    assert len(read(path, columns=CODES, datum="wgs84", crs=4326).frame) == 4
    assert len(read(path, columns=CODES, datum="wgs84", near=(121.4, 37.5)).frame) == 4


def test_parts_of_two_deliveries_are_not_mixed(tmp_path: Path, read: Any) -> None:
    path = write(areas(), tmp_path / "a.shp")
    dbf = path.with_suffix(".dbf")
    content = dbf.read_bytes()
    width = struct.unpack("<H", content[10:12])[0]
    start = struct.unpack("<H", content[8:10])[0]
    dbf.write_bytes(content[:4] + struct.pack("<I", 3) + content[8 : start + 3 * width] + b"\x1a")
    said = refused(read, path, columns=CODES, datum="wgs84")
    assert "4 shapes and 3 rows" in said


def test_an_empty_layer_is_refused(tmp_path: Path, read: Any, layer: Any) -> None:
    path = write(areas().iloc[:0], tmp_path / "a.gpkg", geometry_type="Polygon")
    assert layer(path).features == 0
    assert "the layer is empty" in refused(read, path, columns=CODES)


def test_two_layers_of_one_name_are_not_confused(tmp_path: Path, read: Any) -> None:
    parts = shapefile_parts(tmp_path, "areas")
    both = {f"{folder}/{name}": part for folder in "ab" for name, part in parts.items()}
    path = zipped(tmp_path / "two.zip", both)
    assert "2 layers are called 'areas'" in refused(read, path, "areas", columns=CODES)


def test_several_layers_have_to_be_named(tmp_path: Path, read: Any) -> None:
    path = write(areas(), tmp_path / "a.gpkg", layer="one")
    write(areas(), path, layer="two")
    said = refused(read, path, columns=CODES)
    assert "name one of one, two" in said
    assert "no layer is called 'three'" in refused(read, path, "three", columns=CODES)


def test_rows_of_another_kind_are_named(tmp_path: Path, read: Any, layer: Any) -> None:
    frame = areas()
    frame.loc[2, "geometry"] = Point(121.4, 37.5)
    path = write(frame, tmp_path / "a.gpkg", geometry_type="Unknown")
    assert layer(path).kind == "mixed"
    said = refused(read, path, columns=CODES, datum="wgs84", kind="areas")
    assert "rows 3 (Point)" in said


def test_height_and_measure_are_left_behind(tmp_path: Path, read: Any) -> None:
    frame = areas()
    frame["geometry"] = shapely.force_3d(frame.geometry.to_numpy(), 7.0)
    path = write(frame, tmp_path / "a.gpkg")
    assert not read(path, columns=CODES, datum="wgs84").frame.has_z.any()
    path = tmp_path / "m.csv"
    path.write_text('id,wkt\n1,"POINT ZM (121 37 5 6)"\n2,"POINT M (121 37 5)"\n')
    frame = read(path, datum="wgs84").frame
    assert not frame.has_z.any()
    assert not shapely.has_m(frame.geometry.to_numpy()).any()


def test_a_million_vertices_come_in(tmp_path: Path, read: Any) -> None:
    turns = np.linspace(0, 2 * np.pi, 1_000_001)[:-1]
    ring = Polygon(np.column_stack([121 + np.cos(turns) / 10, 37 + np.sin(turns) / 10]))
    frame = gpd.GeoDataFrame({"code": ["A"]}, geometry=[ring], crs=4326)
    path = write(frame, tmp_path / "a.gpkg")
    found = read(path, columns={"code": "code"}, datum="wgs84", kind="areas").frame
    assert shapely.get_num_coordinates(found.geometry.to_numpy()).tolist() == [1_000_001]


def test_rows_without_shape_and_nulls_are_kept_and_said(tmp_path: Path, read: Any) -> None:
    frame = areas()
    frame.loc[1, "geometry"] = None
    frame.loc[2, "geometry"] = Polygon()
    frame.loc[3, "name"] = None
    found = read(write(frame, tmp_path / "a.gpkg"), columns=CODES, datum="wgs84")
    assert [f.subject for f in found.findings if f.kind == "no_shape"] == ["row 2", "row 3"]
    assert found.frame.geometry.isna().tolist() == [False, True, True, False]
    assert found.frame["name"].isna().tolist() == [False, False, False, True]


def test_no_row_with_a_shape_is_refused(tmp_path: Path, read: Any) -> None:
    frame = areas()
    frame["geometry"] = [None] * 4
    path = write(frame, tmp_path / "a.gpkg", geometry_type="Polygon")
    assert "no row has a shape" in refused(read, path, columns=CODES)


def test_codes_that_repeat_come_in_as_they_are(tmp_path: Path, read: Any) -> None:
    frame = areas()
    frame["code"] = "A1"
    path = write(frame, tmp_path / "a.gpkg")
    assert read(path, columns=CODES, datum="wgs84").frame["code"].tolist() == ["A1"] * 4


def test_areas_of_several_parts_come_in(tmp_path: Path, read: Any) -> None:
    path = write(areas(), tmp_path / "a.gpkg", geometry_type="MultiPolygon", promote_to_multi=True)
    frame = read(path, columns=CODES, datum="wgs84").frame
    assert all(isinstance(shape, MultiPolygon) for shape in frame.geometry)


def test_columns_that_are_not_mapped_never_come_in(tmp_path: Path, read: Any) -> None:
    frame = areas()
    frame["memo"] = "must not be read"
    path = write(frame, tmp_path / "a.gpkg")
    found = read(path, columns={"code": "code"}, datum="wgs84").frame
    assert list(found.columns) == ["code", "geometry"]
    assert "must not be read" not in found.to_csv()


def test_every_fault_of_a_wish_is_said_at_once(tmp_path: Path, read: Any) -> None:
    frame = areas().assign(电话=["13912345678", "13812345670", "15900001111", "18655556666"])
    path = write(frame, tmp_path / "a.gpkg")
    said = refused(read, path, columns={"code": "nix", "name": "电话"})
    assert "no column 'nix'" in said
    assert "'电话' holds telephone numbers" in said
    assert "GCJ-02" in said


def test_limits_are_said(tmp_path: Path) -> None:
    from geo.files.limits import Limits
    from geo.files.sources import open_file

    path = write(areas(), tmp_path / "a.gpkg")
    for limits, said in (
        (Limits(features=3), "4 rows, more than 3"),
        (Limits(file_mib=0), "0 MiB"),
    ):
        with pytest.raises(FileRefusedError) as caught:
            open_file(path, tmp_path, limits)
        assert caught.value.data["reason"] == "too_large"
        assert said in caught.value.data["defects"][0]
