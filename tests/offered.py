"""Files as strangers offer them, made by code: each is made to harm, or broken as files break."""

from __future__ import annotations

import io
import json
import sqlite3
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import geopandas as gpd
import numpy as np
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pyogrio
from shapely import box

SECRET: Final = "canary-4f1d"

Maker = Callable[[Path, int, Path], Path]
"""Called with a folder, the port of a listener, and a file that nobody may read."""


def areas(crs: int | None = 4326) -> gpd.GeoDataFrame:
    """Return four squares side by side near Yantai, with codes and names."""
    squares = [box(121.40 + 0.01 * n, 37.50, 121.41 + 0.01 * n, 37.51) for n in range(4)]
    frame = {"code": ["A1", "A2", "B1", "B2"], "name": ["东里", "西里", "南里", "北里"]}
    return gpd.GeoDataFrame(frame, geometry=squares, crs=crs)


def write(frame: gpd.GeoDataFrame, path: Path, **how: Any) -> Path:
    """Write a frame in the format of its ending."""
    drivers = {".shp": "ESRI Shapefile", ".gpkg": "GPKG", ".geojson": "GeoJSON"}
    drivers |= {".fgb": "FlatGeobuf", ".kml": "LIBKML", ".dxf": "DXF"}
    pyogrio.write_dataframe(frame, path, driver=drivers[path.suffix], **how)
    return path


def zipped(path: Path, parts: Mapping[str, bytes]) -> Path:
    """Write an archive of these parts."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return path


def shapefile_parts(folder: Path, stem: str = "areas", **how: Any) -> dict[str, bytes]:
    """Return the files of a small Shapefile by their names."""
    inner = folder / "made"
    inner.mkdir(exist_ok=True)
    write(areas(), inner / f"{stem}.shp", **how)
    return {file.name: file.read_bytes() for file in sorted(inner.glob(f"{stem}.*"))}


def pointer(secret: Path) -> bytes:
    """Return a VRT: a file that is nothing but a pointer to another one."""
    return (
        "<OGRVRTDataSource><OGRVRTLayer name='x'>"
        f"<SrcDataSource>{secret}</SrcDataSource><SrcLayer>secret</SrcLayer>"
        "</OGRVRTLayer></OGRVRTDataSource>"
    ).encode()


def collection(**members: Any) -> bytes:
    """Return a small GeoJSON collection with other members beside."""
    data = json.loads(areas().to_json(drop_id=True))
    data.pop("crs", None)
    return json.dumps({**members, **data}).encode()


def renamed_pointer(folder: Path, port: int, secret: Path) -> Path:
    """Make a VRT that is called GeoJSON."""
    path = folder / "areas.geojson"
    path.write_bytes(pointer(secret))
    return path


def zipped_pointer(folder: Path, port: int, secret: Path) -> Path:
    """Make an archive with VRTs under several names."""
    parts = {f"areas{ending}": pointer(secret) for ending in (".shp", ".geojson", ".kml", ".vrt")}
    return zipped(folder / "areas.zip", parts)


def _with_crs(crs: Any) -> Maker:
    def make(folder: Path, port: int, secret: Path) -> Path:
        text = json.dumps(crs).replace("PORT", str(port)).replace("SECRET", str(secret))
        path = folder / "areas.geojson"
        path.write_bytes(collection(crs=json.loads(text)))
        return path

    return make


def escaped_crs(folder: Path, port: int, secret: Path) -> Path:
    """Make a `crs` member whose name is written in escapes, so that searching does not find it."""
    path = folder / "areas.geojson"
    link = {"type": "link", "properties": {"href": f"http://127.0.0.1:{port}/x", "type": "proj4"}}
    path.write_bytes(collection(crs=link).replace(b'"crs"', b'"\\u0063\\u0072s"'))
    return path


def endless_view(folder: Path, port: int, secret: Path) -> Path:
    """Make a GeoPackage with a layer that is an endless recursion."""
    path = write(areas(), folder / "areas.gpkg", layer="areas")
    with closing(sqlite3.connect(path)) as database:
        database.execute(
            "CREATE VIEW endless AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
            " SELECT i AS fid, (SELECT geom FROM areas LIMIT 1) AS geom FROM n WHERE i < 0"
        )
        database.execute(
            "INSERT INTO gpkg_contents (table_name, data_type, identifier, srs_id)"
            " VALUES ('endless', 'features', 'endless', 4326)"
        )
        database.execute(
            "INSERT INTO gpkg_geometry_columns VALUES ('endless', 'geom', 'POLYGON', 4326, 0, 0)"
        )
        database.commit()
    return path


def own_trigger(folder: Path, port: int, secret: Path) -> Path:
    """Make a GeoPackage with a trigger of its own."""
    path = write(areas(), folder / "areas.gpkg", layer="areas")
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TRIGGER evil AFTER UPDATE ON areas BEGIN DELETE FROM areas; END")
        database.commit()
    return path


def five_million_shapes(folder: Path, port: int, secret: Path) -> Path:
    """Make an archive of a few MB with five million empty shapes in it."""
    count = 5_000_000
    head = struct.pack(">7i", 9994, 0, 0, 0, 0, 0, (100 + 12 * count) // 2)
    head += struct.pack("<2i8d", 1000, 5, *([0.0] * 8))
    records = np.zeros((count, 3), dtype=">i4")
    records[:, 0], records[:, 1] = np.arange(1, count + 1), 2
    index = np.zeros((count, 2), dtype=">i4")
    index[:, 0], index[:, 1] = 50 + 6 * np.arange(count), 2
    dbf = struct.pack("<4BIHH20x", 3, 126, 1, 1, count, 65, 2)
    dbf += struct.pack("<11sc4xBB14x", b"A", b"C", 1, 0) + b"\r" + b"  " * count
    path = folder / "many.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("many.shp", head + records.tobytes())
        archive.writestr("many.shx", head + index.tobytes())
        archive.writestr("many.dbf", dbf)
    return path


def leading_out(folder: Path, port: int, secret: Path) -> Path:
    """Make an archive whose parts would be written elsewhere."""
    parts = shapefile_parts(folder)
    return zipped(folder / "areas.zip", {f"../../{name}": part for name, part in parts.items()})


def link_inside(folder: Path, port: int, secret: Path) -> Path:
    """Make an archive with a link to a file outside."""
    path = folder / "areas.zip"
    part = zipfile.ZipInfo("areas.csv")
    part.create_system, part.external_attr = 3, 0o120777 << 16
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(part, str(secret))
    return path


def archive_in_archive(folder: Path, port: int, secret: Path) -> Path:
    """Make an archive in an archive."""
    inner = zipped(folder / "inner.zip", shapefile_parts(folder)).read_bytes()
    return zipped(folder / "areas.zip", {"inner.zip": inner})


def growing(folder: Path, port: int, secret: Path) -> Path:
    """Make an archive with a part that grows a thousandfold."""
    return zipped(folder / "areas.zip", {"areas.csv": b"a,b\n" + b"0" * 400_000_000})


def kml_bomb(folder: Path, port: int, secret: Path) -> Path:
    """Make a KML of entities within entities."""
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
    path = folder / "areas.kml"
    path.write_text(
        f'<?xml version="1.0"?><!DOCTYPE kml [<!ENTITY e0 "ha">{entities}'
        f'<!ENTITY file SYSTEM "file://{secret}"><!ENTITY net SYSTEM "http://127.0.0.1:{port}/x">]>'
        '<kml xmlns="http://www.opengis.net/kml/2.2"><Document><Placemark><name>&e11;&file;&net;'
        "</name><Point><coordinates>121,37</coordinates></Point></Placemark></Document></kml>"
    )
    return path


def workbook_bomb(folder: Path, port: int, secret: Path) -> Path:
    """Make a workbook whose sheet declares entities."""
    book = openpyxl.Workbook()
    book.active.append(["name", "lon", "lat"])
    book.active.append(["x", 121.0, 37.0])
    plain = io.BytesIO()
    book.save(plain)
    path = folder / "places.xlsx"
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
    with zipfile.ZipFile(plain) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "xl/worksheets/sheet1.xml":
                declared = f'<!DOCTYPE x [<!ENTITY e0 "ha">{entities}]>'.encode()
                content = declared + content
            new.writestr(name, content)
    return path


def lying_dbf(folder: Path, port: int, secret: Path) -> Path:
    """Make a Shapefile whose .dbf says it has two thousand million rows."""
    parts = shapefile_parts(folder)
    dbf = parts["areas.dbf"]
    parts["areas.dbf"] = dbf[:4] + struct.pack("<I", 2_000_000_000) + dbf[8:]
    return zipped(folder / "areas.zip", parts)


def deep_geojson(folder: Path, port: int, secret: Path) -> Path:
    """Make coordinates in two hundred thousand brackets."""
    path = folder / "areas.geojson"
    deep = "[" * 200_000 + "]" * 200_000
    path.write_text(
        '{"type":"FeatureCollection","features":[{"type":"Feature","properties":{},'
        f'"geometry":{{"type":"Polygon","coordinates":{deep}}}}}]}}'
    )
    return path


def deep_wkt(folder: Path, port: int, secret: Path) -> Path:
    """Make a table of collections in collections."""
    path = folder / "places.csv"
    deep = "GEOMETRYCOLLECTION(" * 60_000 + "POINT(1 1)" + ")" * 60_000
    path.write_text(f'id,wkt\n1,"{deep}"\n')
    return path


def pbf_bomb(folder: Path, port: int, secret: Path) -> Path:
    """Make an extract whose blocks are zeros: 100 kB of it are 3 GB."""
    path = folder / "city.osm.pbf"
    header = _block(b"OSMHeader", b"\x22\x0eOsmSchema-V0.6\x22\x0aDenseNodes")
    path.write_bytes(header + _block(b"OSMData", bytes(31 * 2**20)) * 100)
    return path


def lying_pbf(folder: Path, port: int, secret: Path) -> Path:
    """Make an extract whose block is larger than it says."""
    path = folder / "city.osm.pbf"
    header = _block(b"OSMHeader", b"\x22\x0eOsmSchema-V0.6\x22\x0aDenseNodes")
    path.write_bytes(header + _block(b"OSMData", bytes(31 * 2**20), said=100))
    return path


def _block(kind: bytes, content: bytes, said: int | None = None) -> bytes:
    packed = zlib.compress(content, 9)
    size = len(content) if said is None else said
    blob = b"\x10" + _varint(size) + b"\x1a" + _varint(len(packed)) + packed
    head = b"\x0a" + bytes([len(kind)]) + kind + b"\x18" + _varint(len(blob))
    return len(head).to_bytes(4, "big") + head + blob


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def parquet_bomb(folder: Path, port: int, secret: Path) -> Path:
    """Make a Parquet file of many equal rows, which take no room when packed."""
    path = folder / "places.parquet"
    table = pa.table({"name": pa.array(["x" * 1000]).take(pa.array(np.zeros(700_000, np.int8)))})
    pq.write_table(table, path, row_group_size=700_000)
    return path


def drawing_bomb(folder: Path, port: int, secret: Path) -> Path:
    """Make a drawing of blocks that hold ten of the next, nine deep."""
    lines = ["0", "SECTION", "2", "BLOCKS"]
    for depth in range(9):
        lines += ["0", "BLOCK", "8", "0", "2", f"B{depth}", "70", "0", "10", "0", "20", "0"]
        if depth == 8:
            lines += ["0", "LINE", "8", "0", "10", "0", "20", "0", "11", "1", "21", "1"]
        for n in range(10 if depth < 8 else 0):
            lines += ["0", "INSERT", "8", "0", "2", f"B{depth + 1}", "10", str(n), "20", "0"]
        lines += ["0", "ENDBLK", "8", "0"]
    lines += ["0", "ENDSEC", "0", "SECTION", "2", "ENTITIES"]
    lines += ["0", "INSERT", "8", "0", "2", "B0", "10", "0", "20", "0", "0", "ENDSEC", "0", "EOF"]
    path = folder / "plan.dxf"
    path.write_text("\n".join(lines) + "\n")
    return path


HOSTILE: Final[Mapping[str, Maker]] = {
    "a pointer called GeoJSON": renamed_pointer,
    "pointers in an archive": zipped_pointer,
    "a crs to fetch": _with_crs(
        {"type": "link", "properties": {"href": "http://127.0.0.1:PORT/x", "type": "proj4"}}
    ),
    "a crs of type URL": _with_crs(
        {"type": "URL", "properties": {"url": "http://127.0.0.1:PORT/x"}}
    ),
    "a crs named by an address": _with_crs(
        {"type": "name", "properties": {"name": "http://127.0.0.1:PORT/x"}}
    ),
    "a crs named by a file": _with_crs({"type": "name", "properties": {"name": "SECRET"}}),
    "a crs in escapes": escaped_crs,
    "a layer that never ends": endless_view,
    "a trigger": own_trigger,
    "five million shapes": five_million_shapes,
    "parts that lead out": leading_out,
    "a link in an archive": link_inside,
    "an archive in an archive": archive_in_archive,
    "a part that grows": growing,
    "entities in KML": kml_bomb,
    "entities in a workbook": workbook_bomb,
    "a dbf that lies": lying_dbf,
    "brackets in brackets": deep_geojson,
    "an extract that grows": pbf_bomb,
    "an extract that lies": lying_pbf,
    "rows that take no room": parquet_bomb,
    "blocks in blocks": drawing_bomb,
}
