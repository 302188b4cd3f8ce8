"""Areas and tables in files: every usual format, all or none, whatever breaks on the way."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely

from api.commands.areas_out import (
    WRITERS,
    all_or_none,
    put_areas,
    put_table,
    refuse_target,
    write_areas,
)
from geo.errors import InvalidInputError, TopologyError
from geo.files.facts import Wish
from geo.files.reading import read, understand

resource = pytest.importorskip("resource")
FORMATS = sorted(set(WRITERS) - {".json"})


def row_of_areas(count: int = 3) -> gpd.GeoDataFrame:
    edges = 120.0 + np.arange(count + 1) / 10**3
    names = [f"=网格 {number} 'a' \"b\"" for number in range(count)]
    shapes = shapely.box(edges[:-1], 37.0, edges[1:], 37.001 + 1e-13)
    return gpd.GeoDataFrame({"unit": range(1, count + 1), "name": names}, geometry=shapes, crs=4326)


@pytest.mark.parametrize("ending", FORMATS)
def test_what_is_written_is_read_again_to_the_last_digit(tmp_path: Path, ending: str) -> None:
    areas = row_of_areas()
    out = tmp_path / f"单元{ending}"
    assert write_areas(areas, out, "units") == []
    (facts,) = understand(out, Wish(), trusted=True).layers
    assert facts.kind == "areas"
    wish = Wish(
        columns={"name": "name"},
        encoding=facts.encoding.used,
        crs=facts.crs.srid,
        datum="wgs84",
        kind="areas",
    )
    found = read(out, facts.name, wish, trusted=True).frame
    assert found["name"].tolist() == areas["name"].tolist()
    same = shapely.equals_exact(found.geometry.to_numpy(), areas.geometry, normalize=True)
    assert same.all()
    assert [path for path in tmp_path.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize("ending", FORMATS)
def test_areas_of_several_parts_stand_beside_others(tmp_path: Path, ending: str) -> None:
    areas = row_of_areas(4)
    torn = shapely.MultiPolygon([areas.geometry[1], areas.geometry[3]])
    areas.loc[1, "geometry"] = gpd.array.from_shapely([torn])[0]
    write_areas(areas.drop(index=3), tmp_path / f"units{ending}", "units")
    assert (tmp_path / f"units{ending}").stat().st_size > 0


def test_a_long_shape_in_a_table_is_read_whole(tmp_path: Path) -> None:
    round_one = shapely.Point(120, 37).buffer(0.01, quad_segs=1000)
    out = tmp_path / "round.csv"
    write_areas(gpd.GeoDataFrame({"unit": [1]}, geometry=[round_one], crs=4326), out, "units")
    assert out.stat().st_size > 100_000
    (facts,) = understand(out, Wish(), trusted=True).layers
    assert (facts.kind, [one.about_person for one in facts.columns]) == ("areas", [None, None])


def test_a_shapefile_tells_what_it_cuts_off(tmp_path: Path) -> None:
    areas = row_of_areas(1).assign(a_long_heading_one="长" * 100, a_long_heading_two="b")
    said = write_areas(areas, tmp_path / "units.shp", "units")
    assert "'a_long_heading_one' is 'a_long_hea'" in said[0]
    assert said[1].endswith("cut in a_long_heading_one")


def test_what_is_no_coverage_is_not_written(tmp_path: Path) -> None:
    areas = row_of_areas(2)
    areas.loc[0, "geometry"] = areas.geometry[0].buffer(1e-4)
    out = tmp_path / "units.gpkg"
    out.write_text("before")
    with pytest.raises(TopologyError, match="no coverage"):
        write_areas(areas, out, "units")
    assert out.read_text() == "before"


def test_two_files_take_their_names_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    units, rows = tmp_path / "units.geojson", tmp_path / "rows.csv"
    units.write_text("before")
    replace = Path.replace

    def refused(self: Path, target: Path) -> Path:
        if Path(target).name == "rows.csv":
            raise OSError(28, "No space left on device")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", refused)
    with pytest.raises(InvalidInputError, match="No space left"), all_or_none(units, rows) as made:
        put_areas(row_of_areas(), made[0], "units")
        put_table(pd.DataFrame({"unit": [1]}), made[1])
    assert units.read_text() == "before"
    assert not rows.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["units.geojson"]
    units.unlink()
    with pytest.raises(InvalidInputError), all_or_none(units, rows) as made:
        put_areas(row_of_areas(), made[0], "units")
        put_table(pd.DataFrame({"unit": [1]}), made[1])
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def full_disk() -> Iterator[None]:
    """Files of more than 100 KB cannot be written, as on a disk without room."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("full_disk")
@pytest.mark.parametrize("ending", FORMATS)
def test_a_full_disk_is_said_and_leaves_what_was_there(tmp_path: Path, ending: str) -> None:
    out = tmp_path / f"units{ending}"
    out.write_text("before")
    with pytest.raises(InvalidInputError, match="cannot be written"):
        write_areas(row_of_areas(3000), out, "units")
    assert [path.name for path in tmp_path.iterdir()] == [out.name]
    assert out.read_text() == "before"


def test_parts_of_a_shapefile_are_not_replaced_unasked(tmp_path: Path) -> None:
    (tmp_path / "units.dbf").write_text("somebody's table")
    (tmp_path / "units.qix").write_text("an index")
    out = tmp_path / "units.shp"
    with pytest.raises(InvalidInputError, match=r"units\.dbf exists"):
        refuse_target([], out, overwrite=False)
    with pytest.raises(InvalidInputError, match="read or written already"):
        refuse_target([tmp_path / "units.dbf"], out, overwrite=True)
    refuse_target([], out, overwrite=True)
    write_areas(row_of_areas(), out, "units")
    assert not (tmp_path / "units.qix").exists(), "it was the index of another file"


def test_folders_and_strange_endings_are_refused(tmp_path: Path) -> None:
    (tmp_path / "units.csv").mkdir()
    for target, said in (
        (tmp_path / "units.csv", "exists"),
        (tmp_path / "no" / "units.csv", "There is no folder"),
        (tmp_path / "units.xls", "has to end in one of"),
    ):
        with pytest.raises(InvalidInputError, match=said):
            refuse_target([], target, overwrite=True)
