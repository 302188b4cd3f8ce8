"""Points into polygons beside five engines: index built, and with the building counted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import psycopg
import pyarrow as pa
import shapely
from numpy.typing import NDArray

from benchmarks.coverages import METRE_SRID, nearest_labels, voronoi
from benchmarks.harness import CPU, WALL, CannotRunError, Case, DisagreementError, Measure
from benchmarks.stands import private_server
from geo.assignment import coverage_index
from geo.topology import boundaries

POINTS = 2_700_000
GRIDS = 6_562
CELLS_A_GRID = 20
CELL_SIDE_M = 70.0
DATABASE = "wangge_assigning"
SUM = "SELECT count(*), sum(CAST(p.i AS bigint) * g.r) FROM p JOIN g ON {}"
POLYGON_BY_POLYGON = """
    SELECT count(*), sum(CAST(p.i AS bigint) * g.r)
    FROM g JOIN LATERAL (SELECT i FROM p WHERE ST_Intersects(g.s, p.s) OFFSET 0) AS p ON true
"""
"""For PostGIS, which keeps a polygon prepared for the next point: a plain join takes five times as
long."""

Answer = tuple[int, int]
"""How many points have a polygon, and the sum of point number times polygon number."""


def cases() -> Iterator[Case]:
    """Yield the two cases over one net and one set of points."""
    polygons, places = made()
    index = coverage_index(polygons)
    index.assign(places[:1000])
    points, numbers = shapely.points(places), np.arange(1, len(places) + 1)
    frame = gpd.GeoDataFrame({"i": numbers}, geometry=points, crs=METRE_SRID)
    net = gpd.GeoDataFrame({"r": np.arange(1, GRIDS + 1)}, geometry=polygons, crs=METRE_SRID)
    tree = shapely.STRtree(polygons)
    net.sindex.query(points[:1])
    with ExitStack() as stack:
        engines, left_out = _engines(stack, net, frame)
        shared: dict[str, Callable[[], Answer]] = {"SedonaDB": engines["SedonaDB"]}
        if "DuckDB" in engines:
            shared["DuckDB"] = engines["DuckDB"]
        servers = engines.pop("servers")
        yield Case(
            name="built",
            title=f"{POINTS:,} points into {GRIDS:,} polygons",
            ours=partial(index.assign, places),
            peers={
                "sjoin": partial(_sjoin, net, frame),
                "STRtree": partial(_tree, tree, points),
                "PostGIS": engines["PostGIS"],
                **shared,
            },
            measures=[Measure(CPU, "s", goal=10.0), Measure(WALL, "s", goal=1.0)],
            agree=_same,
            servers=servers,
            note="random order, one array; the indexes are there; peers have their points as their "
            "own geometries already. PostGIS goes polygon by polygon through an index of the "
            "points; SedonaDB makes its index in each query" + left_out,
        )
        yield Case(
            name="with_building",
            title="The same with the building of the index",
            ours=lambda: coverage_index(polygons).assign(places),
            peers={
                "sjoin": lambda: _sjoin(net.copy(), frame),
                "STRtree": lambda: _tree(shapely.STRtree(polygons), points),
                "PostGIS": engines["PostGIS with index"],
                **shared,
            },
            measures=[Measure(CPU, "s", goal=1.0)],
            agree=_same,
            servers=servers,
            note="as above, with the building of each index: over the polygons, PostGIS' over the "
            "points" + left_out,
        )


def made() -> tuple[NDArray[np.object_], NDArray[np.float64]]:
    """Return a net of grids and points in its bounds; some lie outside the round city."""
    cells = voronoi(GRIDS * CELLS_A_GRID, side_m=CELL_SIDE_M)
    middles = shapely.get_coordinates(shapely.centroid(cells.to_numpy()))
    grids = boundaries(cells, pd.Series(nearest_labels(middles, GRIDS)))
    west, south, east, north = grids.total_bounds
    rng = np.random.default_rng(1)
    return grids.to_numpy(), rng.uniform((west, south), (east, north), (POINTS, 2))


def _summed(points: NDArray[Any], rows: NDArray[Any]) -> Answer:
    return len(points), int(np.dot(points.astype(np.int64) + 1, rows.astype(np.int64) + 1))


def _sjoin(net: gpd.GeoDataFrame, frame: gpd.GeoDataFrame) -> Answer:
    found = frame.sjoin(net, predicate="intersects")
    return len(found), int(np.dot(found["i"], found["r"]))


def _tree(tree: shapely.STRtree, points: NDArray[np.object_]) -> Answer:
    return _summed(*tree.query(points, predicate="intersects"))


def _engines(
    stack: ExitStack, net: gpd.GeoDataFrame, frame: gpd.GeoDataFrame
) -> tuple[dict[str, Any], str]:
    """Return the engines that have tables of their own, and what is said of one that is away."""
    try:
        import duckdb
        import sedonadb  # type: ignore[import-untyped]
    except ModuleNotFoundError as error:
        message = f"{error.name} is not installed; the set `bench` has it"
        raise CannotRunError(message) from error
    server, pids = stack.enter_context(private_server())
    found: dict[str, Any] = {"servers": pids}
    server.drop(DATABASE)
    server.create(DATABASE)
    stack.callback(server.drop, DATABASE)
    address = server.owner_url(DATABASE).replace("+psycopg", "")
    connection = stack.enter_context(psycopg.connect(address, autocommit=True))
    _filled(connection, net, frame)
    found["PostGIS"] = partial(_asked, connection)
    found["PostGIS with index"] = partial(_indexed, connection)
    sedona = sedonadb.connect()
    for name, table in (("p", frame), ("g", net)):
        sedona.create_data_frame(table).to_memtable().to_view(name)
    found["SedonaDB"] = partial(_sedona, sedona)
    duck = stack.enter_context(duckdb.connect())
    try:
        duck.execute("INSTALL spatial")
        duck.execute("LOAD spatial")
    except duckdb.Error:
        return found, "; DuckDB's spatial extension could not be loaded here (it is fetched)"
    for name, table, number in (("p", frame, "i"), ("g", net, "r")):
        plain = pd.DataFrame({"n": table[number], "w": table.geometry.to_wkb()})
        duck.register("plain", plain)
        statement = (
            f"CREATE TABLE {name} AS SELECT n AS {number}, ST_GeomFromWKB(w) AS s FROM plain"
        )
        duck.execute(statement)
    found["DuckDB"] = partial(_duck, duck)
    return found, ""


def _filled(connection: Any, net: gpd.GeoDataFrame, frame: gpd.GeoDataFrame) -> None:
    connection.execute("CREATE EXTENSION IF NOT EXISTS postgis")
    for name, table, number in (("p", frame, "i"), ("g", net, "r")):
        connection.execute(f"CREATE TABLE {name} ({number} integer, s geometry)")
        with (
            connection.cursor() as cursor,
            cursor.copy(f"COPY {name} FROM STDIN") as copy,
        ):
            shapes = shapely.to_wkb(table.geometry.to_numpy(), hex=True)
            for row in zip(table[number].tolist(), shapes.tolist(), strict=True):
                copy.write_row(row)
    connection.execute("CREATE INDEX p_s ON p USING gist (s)")
    connection.execute("VACUUM ANALYZE")


def _asked(connection: Any) -> Answer:
    count, total = connection.execute(POLYGON_BY_POLYGON).fetchone()
    return int(count), int(total)


def _indexed(connection: Any) -> Answer:
    connection.execute("DROP INDEX p_s")
    connection.execute("CREATE INDEX p_s ON p USING gist (s)")
    return _asked(connection)


def _sedona(sedona: Any) -> Answer:
    found = sedona.sql(SUM.format("ST_Intersects(g.geometry, p.geometry)"))
    row = pa.RecordBatchReader.from_stream(found).read_all().to_pylist()[0]
    count, total = row.values()
    return int(count), int(total)


def _duck(duck: Any) -> Answer:
    count, total = duck.execute(SUM.format("ST_Intersects(g.s, p.s)")).fetchone()
    return int(count), int(total)


def _same(rows: NDArray[np.int32], theirs: Answer) -> None:
    ours = _summed(np.flatnonzero(rows >= 0), rows[rows >= 0])
    if ours != theirs:
        raise DisagreementError(f"{ours} and {theirs}: points with a polygon, and their sum")
