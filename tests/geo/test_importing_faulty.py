"""Files with parts missing or wrong, whole imports of them: right, or refused without a trace."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import geopandas as gpd
import pyarrow as pa
import pyogrio
import pytest
import shapely
from shapely import LineString, Polygon

from geo import service
from geo.db import owner_transaction
from geo.errors import DeliveryError, WanggeError
from geo.files.deliver import deliver
from geo.files.facts import Understood, Wish, finding_from_data
from geo.files.limits import OPERATOR
from geo.files.reading import Delivered, frame_of
from geo.files.sources import open_file
from geo.files.understanding import understand_opened
from geo.importing.wishes import ImportWish
from geo.store.importing import deliveries, files, steps
from geo.terms import DeliveryKind
from tests.cities import METRE_SRID, point
from tests.conftest import MigratedDatabase
from tests.geo.test_store_importing import CITY, everything

BUILDINGS = DeliveryKind.BUILDINGS
HOUSES = [
    {"code": f"N{number}", "geometry": shapely.buffer(point(number + 0.5, 4.5), 8, quad_segs=2)}
    for number in range(3)
]
Rows = Sequence[Mapping[str, Any]]


def frame(rows: Rows) -> gpd.GeoDataFrame:
    shapes = [row["geometry"] for row in rows]
    columns = {name: [row[name] for row in rows] for name in rows[0] if name != "geometry"}
    return gpd.GeoDataFrame(columns, geometry=shapes, crs=METRE_SRID).to_crs(4326)


def written(folder: Path, name: str, table: gpd.GeoDataFrame, **how: Any) -> Path:
    path = folder / name
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pyogrio.write_dataframe(table, path, **how)
    return path


def without(folder: Path, part: str) -> Path:
    path = written(folder, "houses.shp", frame(HOUSES))
    path.with_suffix(part).unlink()
    return path


def cut_off(folder: Path) -> Path:
    path = written(folder, "houses.gpkg", frame(HOUSES))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
    return path


def nothing(folder: Path) -> Path:
    path = folder / "houses.geojson"
    path.write_bytes(b"")
    return path


def no_rows(folder: Path) -> Path:
    return written(folder, "houses.gpkg", frame(HOUSES).iloc[:0])


def one_name_twice(folder: Path) -> Path:
    path = folder / "houses.kml"
    ring = " ".join(f"{x},{y}" for x, y in frame(HOUSES).geometry[0].exterior.coords)
    shape = (
        "<Placemark><name>N0</name><Polygon><outerBoundaryIs><LinearRing><coordinates>"
        f"{ring}</coordinates></LinearRing></outerBoundaryIs></Polygon></Placemark>"
    )
    layer = f"<Folder><name>houses</name>{shape}</Folder>"
    path.write_text(
        f'<kml xmlns="http://www.opengis.net/kml/2.2"><Document>{layer}{layer}</Document></kml>',
        encoding="utf-8",
    )
    return path


def mixed(folder: Path) -> Path:
    line = LineString([point(0.1, 0.1), point(0.9, 0.9)])
    rows = [*HOUSES, {"code": "L", "geometry": line}, {"code": "P", "geometry": point(2.5, 2.5)}]
    return written(folder, "houses.geojson", frame(rows))


def with_heights(folder: Path) -> Path:
    table = frame(HOUSES)
    return written(folder, "houses.gpkg", table.set_geometry(table.geometry.force_3d(7.5)))


def with_measures(folder: Path) -> Path:
    path = folder / "houses.csv"
    lines = [f'{row["code"]},"{measured(row)}"' for row in frame(HOUSES).to_dict("records")]
    path.write_text("\n".join(["code,wkt", *lines]), encoding="utf-8")
    return path


def measured(row: Mapping[Any, Any]) -> str:
    ring = ", ".join(f"{x!r} {y!r} 7 1" for x, y in row["geometry"].exterior.coords)
    return f"POLYGON ZM (({ring}))"


def one_code_twice(folder: Path) -> Path:
    return written(folder, "houses.gpkg", frame([{**row, "code": "N0"} for row in HOUSES]))


def nulls(folder: Path) -> Path:
    rows = [*HOUSES, {"code": None, "geometry": None}, {"code": None, "geometry": Polygon()}]
    return written(folder, "houses.gpkg", frame(rows))


def swapped(folder: Path) -> Path:
    return written(folder, "houses.geojson", swapped_places(frame(HOUSES)))


def swapped_places(table: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    turned = table.set_geometry(table.geometry.map(lambda s: shapely.transform(s, _turn)))
    return turned.set_crs(4326, allow_override=True)


def _turn(places: Any) -> Any:
    return places[:, ::-1]


def crossed(folder: Path) -> Path:
    x, y = point(1.5, 2.5).coords[0]
    ring = [(x, y), (x + 9, y + 9), (x + 9, y), (x, y + 9)]
    return written(folder, "houses.gpkg", frame([{"code": "X", "geometry": Polygon(ring)}]))


def far_away(folder: Path) -> Path:
    rows = [{**row, "geometry": shapely.transform(row["geometry"], _far)} for row in HOUSES]
    return written(folder, "houses.gpkg", frame(rows))


def _far(places: Any) -> Any:
    return places + 90_000.0


FAULTY: dict[str, Callable[[Path], Path]] = {
    "no .prj": lambda folder: without(folder, ".prj"),
    "no .dbf": lambda folder: without(folder, ".dbf"),
    "no .shx": lambda folder: without(folder, ".shx"),
    "truncated": cut_off,
    "empty": nothing,
    "no rows": no_rows,
    "two layers of one name": one_name_twice,
    "mixed types": mixed,
    "heights": with_heights,
    "measures": with_measures,
    "one code twice": one_code_twice,
    "nulls": nulls,
    "swapped axes": swapped,
    "crossed ring": crossed,
    "another place": far_away,
}
REFUSED = {"no .dbf", "truncated", "empty", "no rows", "two layers of one name"}


def hands(folder: Path) -> steps.Hands:
    """The reader without a process of its own: what is read, not the walls."""

    def place() -> Path:
        return Path(folder, f"unpacked-{len(list(folder.iterdir()))}")

    def understand(path: Path, wish: Wish) -> Understood:
        unpacked = place()
        unpacked.mkdir()
        return understand_opened(open_file(path, unpacked, OPERATOR), wish)

    def read(path: Path, layer: str | None, wish: Wish) -> Delivered:
        unpacked = place()
        unpacked.mkdir()
        rows = unpacked / "rows.arrow"
        opened = open_file(path, unpacked, OPERATOR)
        answer = deliver(opened, layer, wish, rows, OPERATOR)
        with pa.ipc.open_stream(rows.read_bytes()) as stream:
            table = gpd.pd.concat([frame_of(batch) for batch in stream])
        found = tuple(finding_from_data(one) for one in answer["findings"])
        return Delivered(answer["label"], table, found)

    return steps.Hands(understand, read)


def counted(database: MigratedDatabase) -> dict[str, list[str]]:
    with owner_transaction(database.engine) as session:
        return everything(session)


def delivered(
    database: MigratedDatabase, path: Path, wish: ImportWish, by: steps.Hands, city: str = CITY
) -> int:
    """Go the whole way, each step in its transaction, as the worker does."""
    sha256, size = files.digest(path)
    with owner_transaction(database.engine) as session:
        city_id = service.city_id_of(session, city)
        file = deliveries.Received(path.name, "", sha256, size)
        number = deliveries.receive(session, city_id, file, None, look=False)
    for step in ("look", "prepare", "perform"):
        with owner_transaction(database.engine) as session:
            row = deliveries.get(session, city_id, number)
            if step == "look":
                steps.look(session, row, path, by)
            elif step == "prepare":
                before = everything(session)
                steps.prepare(session, row, path, wish, by)
                assert everything(session) == before
            else:
                steps.perform(session, row, path, by)
    return number


@pytest.mark.parametrize("fault", FAULTY)
def test_a_faulty_file_comes_in_right_or_not_at_all(
    fault: str, fresh_city: MigratedDatabase, tmp_path: Path
) -> None:
    source, scratch = tmp_path / "source", tmp_path / "scratch"
    source.mkdir()
    scratch.mkdir()
    path = FAULTY[fault](source)
    named = "name" if path.suffix == ".kml" else "code"
    columns = {named: named}
    wish = ImportWish(kind=BUILDINGS, columns=columns, datum="wgs84")
    before = counted(fresh_city)
    try:
        number = delivered(fresh_city, path, wish, hands(scratch))
    except WanggeError as error:
        assert path.name.split(".")[0] in error.message or "code" in error.message, error.message
        assert counted(fresh_city) == before
        assert fault in REFUSED or isinstance(error, DeliveryError)
        return
    assert fault not in REFUSED
    with owner_transaction(fresh_city.engine) as session:
        report = service.check_city(session, CITY)
        assert report["ok"], report["faults"]
        row = deliveries.get(session, service.city_id_of(session, CITY), number)
        steps.undo(session, row)
        assert everything(session) == before


@pytest.mark.parametrize(
    "fault",
    ["truncated", "no rows", "mixed types", "heights", "one code twice", "nulls", "no .dbf"],
)
def test_faulty_borders_make_a_city_right_or_not_at_all(
    fault: str, fresh_city: MigratedDatabase, tmp_path: Path
) -> None:
    source, scratch = tmp_path / "source", tmp_path / "scratch"
    source.mkdir()
    scratch.mkdir()
    with owner_transaction(fresh_city.engine) as session:
        service.create_city(
            session, "bare", name="空城", profile="cn", county_code="370699", lon=121.4, lat=37.6
        )
    wish = ImportWish(
        kind=DeliveryKind.BOUNDARIES, columns={"code": "code"}, datum="wgs84", level=3
    )
    before = counted(fresh_city)
    try:
        number = delivered(fresh_city, FAULTY[fault](source), wish, hands(scratch), "bare")
    except DeliveryError as error:
        assert error.data["defects"]
        assert counted(fresh_city) == before
        return
    assert fault in ("heights", "nulls", "mixed types")
    with owner_transaction(fresh_city.engine) as session:
        report = service.check_city(session, "bare")
        assert report["ok"], report["faults"]
        row = deliveries.get(session, service.city_id_of(session, "bare"), number)
        steps.undo(session, row)
        assert everything(session) == before
