"""Faulty files of points, lines and tables go the whole way: right, or refused without a trace."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from openpyxl import Workbook
from sqlalchemy.orm import Session

from geo import service
from geo.db import owner_transaction
from geo.errors import WanggeError
from geo.importing.wishes import ImportWish
from geo.store.importing import deliveries, files, steps
from geo.terms import DeliveryKind
from tests.cities import point
from tests.conftest import MigratedDatabase
from tests.geo.test_importing_faulty import frame, hands, swapped_places, written
from tests.geo.test_store_importing import CITY, everything

STATIONS = [
    {"name": f"站{n}", "kind": "grid_station", "geometry": point(0.3 + n, 0.4)} for n in range(3)
]
STREETS = [
    {
        "name": f"路{n}",
        "kind": "local",
        "geometry": shapely.LineString([point(0.1, 0.2 + n), point(2.9, 0.2 + n)]),
    }
    for n in range(3)
]
pytestmark = pytest.mark.timeout(900)
ROWS = {DeliveryKind.STATIONS: STATIONS, DeliveryKind.STREETS: STREETS}
COLUMNS = {"name": "name", "kind": "kind"}
SOUND, REFUSED = "sound", "refused"


def without(part: str) -> Callable[[Path, list[Any]], Path]:
    def made(folder: Path, rows: list[Any]) -> Path:
        path = written(folder, "layer.shp", frame(rows), encoding="UTF-8")
        path.with_suffix(part).unlink()
        return path

    return made


def saved(
    change: Callable[[list[Any]], list[Any]], name: str = "layer.gpkg"
) -> Callable[[Path, list[Any]], Path]:
    return lambda folder, rows: written(folder, name, frame(change(rows)))


def cut_off(folder: Path, rows: list[Any]) -> Path:
    path = written(folder, "layer.gpkg", frame(rows))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
    return path


def empty(folder: Path, rows: list[Any]) -> Path:
    path = folder / "layer.geojson"
    path.write_bytes(b"")
    return path


def no_rows(folder: Path, rows: list[Any]) -> Path:
    return written(folder, "layer.gpkg", frame(rows).iloc[:0])


def one_name_twice(folder: Path, rows: list[Any]) -> Path:
    path = folder / "layer.kml"
    mark = (
        "<Placemark><name>a</name><Point><coordinates>121.4,37.5</coordinates></Point></Placemark>"
    )
    layer = f"<Folder><name>one</name>{mark}</Folder>"
    path.write_text(
        f'<kml xmlns="http://www.opengis.net/kml/2.2"><Document>{layer}{layer}</Document></kml>',
        encoding="utf-8",
    )
    return path


def raised(folder: Path, rows: list[Any]) -> Path:
    table = frame(rows)
    return written(folder, "layer.gpkg", table.set_geometry(table.geometry.force_3d(7.5)))


def measured(folder: Path, rows: list[Any]) -> Path:
    path, lines = folder / "layer.csv", ["name,kind,wkt"]
    for row in frame(rows).to_dict("records"):
        shape, places = row["geometry"], row["geometry"].coords
        numbers = ", ".join(f"{x!r} {y!r} 7 1" for x, y in places)
        word = "POINT" if shape.geom_type == "Point" else "LINESTRING"
        lines.append(f'{row["name"]},{row["kind"]},"{word} ZM ({numbers})"')
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def turned(folder: Path, rows: list[Any]) -> Path:
    return written(folder, "layer.geojson", swapped_places(frame(rows)))


def other_shapes(rows: list[Any]) -> list[Any]:
    other = point(1, 1) if rows is STREETS else shapely.LineString([point(1, 1), point(2, 2)])
    return [*rows, {**rows[0], "name": "其他", "geometry": other}]


def long_line(rows: list[Any]) -> list[Any]:
    """One line of a million corners, or a million corners around a station's ground."""
    (x0, y0), (x1, y1) = point(0.1, 0.6).coords[0], point(2.9, 0.9).coords[0]
    share = np.linspace(0, 1, 1_000_000)
    places = np.column_stack([x0 + share * (x1 - x0), y0 + 0.5 * (y1 - y0) * np.sin(share * 500)])
    line = shapely.linestrings(places)
    return [{**rows[0], "name": "长", "geometry": line if rows is STREETS else line.centroid}]


FAULTS: Mapping[str, tuple[Callable[[Path, list[Any]], Path], str]] = {
    "no .prj": (without(".prj"), SOUND),
    "no .dbf": (without(".dbf"), REFUSED),
    "no .shx": (without(".shx"), SOUND),
    "truncated": (cut_off, REFUSED),
    "empty": (empty, REFUSED),
    "no rows": (no_rows, REFUSED),
    "two layers of one name": (one_name_twice, REFUSED),
    "mixed types": (saved(other_shapes, "layer.geojson"), ""),
    "heights": (raised, SOUND),
    "measures": (measured, SOUND),
    "a million corners": (saved(long_line), SOUND),
    "twice the same": (saved(lambda rows: [*rows, rows[0]]), SOUND),
    "nulls": (
        saved(lambda rows: [*rows, {"name": None, "kind": None, "geometry": None}]),
        SOUND,
    ),
    "swapped axes": (turned, SOUND),
}


def sheet(rows: list[list[Any]], cut: float = 1.0) -> Callable[[Path], Path]:
    def made(folder: Path) -> Path:
        path, book = folder / "table.xlsx", Workbook()
        for row in rows:
            book.active.append(row)
        book.save(path)
        path.write_bytes(path.read_bytes()[: int(path.stat().st_size * cut)])
        return path

    return made


def plain(content: bytes) -> Callable[[Path], Path]:
    def made(folder: Path) -> Path:
        path = folder / "table.csv"
        path.write_bytes(content)
        return path

    return made


TABLES: Mapping[str, tuple[Callable[[Path], Path], str]] = {
    "truncated": (sheet([["building_code", "households"], ["B0001", 5]], 0.5), REFUSED),
    "empty": (plain(b""), REFUSED),
    "headings alone": (sheet([["building_code", "households"]]), REFUSED),
    "one heading twice": (
        sheet([["building_code", "households", "households"], ["B0001", 5, 9]]),
        SOUND,
    ),
    "a heading missing": (sheet([["building_code", "count"], ["B0001", 5]]), REFUSED),
    "words for counts": (sheet([["building_code", "households"], ["B0001", "五户"]]), SOUND),
    "nulls": (sheet([["building_code", "households"], ["B0001", 5], [None, None]]), SOUND),
    "a code twice": (sheet([["building_code", "households"], ["B0001", 5], ["B0001", 6]]), SOUND),
    "GBK": (plain("building_code,households,备注\nB0001,5,常住\n".encode("gbk")), SOUND),
    "ragged": (plain(b"building_code,households\nB0001,5,7,8\nB0002\n"), SOUND),
    "a title above": (
        sheet([["二〇二六年户数"], ["building_code", "households"], ["B0001", 5]]),
        SOUND,
    ),
}


def gone_through(
    session: Session, path: Path, wish: ImportWish, by: steps.Hands, before: Any
) -> WanggeError | None:
    """Go the whole way inside a savepoint; what is refused or taken back leaves nothing."""
    sha256, size = files.digest(path)
    city_id = service.city_id_of(session, CITY)
    try:
        with session.begin_nested():
            file = deliveries.Received(path.name, "", sha256, size)
            number = deliveries.receive(session, city_id, file, None, look=False)
            row = deliveries.get(session, city_id, number)
            steps.look(session, row, path, by)
            steps.prepare(session, row, path, wish, by)
            steps.perform(session, row, path, by)
            report = service.check_city(session, CITY)
            assert report["ok"], report["faults"]
            steps.undo(session, row)
    except WanggeError as error:
        assert everything(session) == before
        return error
    assert everything(session) == before
    return None


def judged(fault: str, wanted: str, path: Path, error: WanggeError | None) -> None:
    if wanted:
        assert (REFUSED if error else SOUND) == wanted, (fault, error)
    if error:
        told = error.data.get("defects", [error.message])
        assert told and all(len(one) > 10 for one in told), fault
        assert path.stem in error.message or "column" in error.message, (fault, error.message)


@pytest.mark.parametrize("kind", list(ROWS))
def test_faulty_points_and_lines(
    kind: DeliveryKind, fresh_city: MigratedDatabase, tmp_path: Path
) -> None:
    wish = ImportWish(kind=kind, columns=COLUMNS, datum="wgs84")
    with owner_transaction(fresh_city.engine) as session:
        before = everything(session)
        for number, (fault, (make, wanted)) in enumerate(FAULTS.items()):
            source, scratch = tmp_path / f"source{number}", tmp_path / f"scratch{number}"
            source.mkdir()
            scratch.mkdir()
            path = make(source, ROWS[kind])
            judged(fault, wanted, path, gone_through(session, path, wish, hands(scratch), before))


def test_faulty_tables(fresh_city: MigratedDatabase, tmp_path: Path) -> None:
    columns = {"building_code": "building_code", "households": "households"}
    wish = ImportWish(kind=DeliveryKind.HOUSEHOLDS, columns=columns)
    with owner_transaction(fresh_city.engine) as session:
        before = everything(session)
        for number, (fault, (make, wanted)) in enumerate(TABLES.items()):
            source, scratch = tmp_path / f"source{number}", tmp_path / f"scratch{number}"
            source.mkdir()
            scratch.mkdir()
            path = make(source)
            judged(fault, wanted, path, gone_through(session, path, wish, hands(scratch), before))


def test_the_matrix_can_fail(tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        judged("sound", REFUSED, written(tmp_path, "layer.gpkg", frame(STATIONS)), None)
