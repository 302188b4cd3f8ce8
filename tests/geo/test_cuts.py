"""Pieces fitted into a coverage: no neighbour stops matching, no old vertex moves."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Transformer
from shapely.ops import split

from geo.cuts import Fitted, fit
from geo.errors import TopologyError
from tests.coverages import CORNER, METRE_SRID, lattice, voronoi

BACK = Transformer.from_crs(METRE_SRID, 4326, always_xy=True)
FORTH = Transformer.from_crs(4326, METRE_SRID, always_xy=True)


def stored(cells: gpd.GeoSeries) -> gpd.GeoSeries:
    """Return cells as the database has them, with ids 10, 11 and so on."""
    turned = shapely.transform(cells.to_numpy(), BACK.transform, interleaved=False)
    return gpd.GeoSeries(turned, index=np.arange(10, 10 + len(cells)), crs=4326)


def metres(cells: gpd.GeoSeries) -> gpd.GeoSeries:
    turned = shapely.transform(cells.to_numpy(), FORTH.transform, interleaved=False)
    return gpd.GeoSeries(turned, index=cells.index, crs=METRE_SRID)


def pieces_of(cells: gpd.GeoSeries, lines: dict[int, shapely.LineString]) -> gpd.GeoDataFrame:
    """Cut cells, as read from the database, along a line each."""
    plain = metres(cells)
    rows = [
        (cell, piece) for cell, line in lines.items() for piece in split(plain[cell], line).geoms
    ]
    shapes = [piece for _, piece in rows]
    return gpd.GeoDataFrame({"cell_id": [c for c, _ in rows]}, geometry=shapes, crs=METRE_SRID)


def result(cells: gpd.GeoSeries, pieces: gpd.GeoDataFrame, found: Fitted) -> gpd.GeoSeries:
    """Return all that stands afterwards, in degrees."""
    left = cells.drop(pieces["cell_id"].unique())
    left.update(gpd.GeoSeries(found.beside, crs=4326))
    return gpd.GeoSeries([*left, *found.pieces], crs=4326)


def across(cell: shapely.Geometry, angle: float, share: float) -> shapely.LineString:
    """Return a line across a shape, beside its middle."""
    west, south, east, north = cell.bounds
    x, y = west + share * (east - west), south + share * (north - south)
    dx, dy = 5_000 * np.cos(angle), 5_000 * np.sin(angle)
    return shapely.LineString([(x - dx, y - dy), (x + dx, y + dy)])


@given(
    st.integers(0, 2**32 - 1),
    st.integers(3, 30),
    st.lists(st.tuples(st.floats(0, 3.1), st.floats(0.3, 0.7)), min_size=1, max_size=12),
)
@settings(max_examples=25, deadline=None)
def test_cut_cells_and_their_neighbours_stay_a_coverage(
    seed: int, n: int, cuts: list[tuple[float, float]]
) -> None:
    cells = stored(voronoi(n, seed=seed))
    plain = metres(cells)
    lines = {
        cell: across(plain[cell], *turn) for cell, turn in zip(cells.index, cuts, strict=False)
    }
    pieces = pieces_of(cells, lines)
    if (pieces.area < 0.01).any():
        return
    found = fit(cells, pieces)
    after = result(cells, pieces, found)
    assert shapely.coverage_is_valid(metres(after).to_numpy())
    assert found.area_m2.sum() == pytest.approx(plain[list(lines)].area.sum(), rel=1e-9)
    before = set(map(tuple, shapely.get_coordinates(cells.to_numpy())))
    assert before <= set(map(tuple, shapely.get_coordinates(after.to_numpy())))
    for cell, shape in found.beside.items():
        gained = set(map(tuple, shapely.get_coordinates(shape)))
        assert gained > set(map(tuple, shapely.get_coordinates(cells[cell])))
        again = metres(gpd.GeoSeries([shape], crs=4326)).iloc[0]
        assert shapely.area(shapely.symmetric_difference(again, plain[cell])) < 1e-5


def test_one_cut_edge_has_one_new_vertex_in_both_rings() -> None:
    cells = stored(lattice(3, 1))
    middle = across(metres(cells)[11], 0.0, 0.5)
    pieces = pieces_of(cells, {11: middle})
    found = fit(cells, pieces)
    assert sorted(found.beside) == [10, 12]
    assert [len(shapely.get_coordinates(found.beside[cell])) for cell in (10, 12)] == [6, 6]
    shared = set(map(tuple, shapely.get_coordinates(found.beside[10])))
    pieces_have = set(map(tuple, shapely.get_coordinates(found.pieces)))
    assert len(shared & pieces_have) == 3


def test_a_neighbours_vertex_on_a_straight_border_is_put_into_the_pieces() -> None:
    x, y = CORNER
    squares = [shapely.box(x, y, x + 100, y + 200), shapely.box(x + 100, y, x + 200, y + 100)]
    squares.append(shapely.box(x + 100, y + 100, x + 200, y + 200))
    ring = [(x, y), (x + 100, y), (x + 100, y + 100), (x + 100, y + 200), (x, y + 200)]
    squares[0] = shapely.Polygon(ring)
    cells = stored(gpd.GeoSeries(squares, crs=METRE_SRID))
    corner = metres(cells)
    top, right = corner[10].bounds[3], corner[10].bounds[2]
    halves = [
        shapely.Polygon([(x, y), (x + 50, y), (x + 50, top), (x, top)]),
        shapely.Polygon([(x + 50, y), (right, y), (right, top), (x + 50, top)]),
    ]
    pieces = gpd.GeoDataFrame({"cell_id": [10, 10]}, geometry=halves, crs=METRE_SRID)
    found = fit(cells, pieces)
    assert found.beside == {}
    assert len(shapely.get_coordinates(found.pieces[1])) == 6
    assert shapely.coverage_is_valid(metres(result(cells, pieces, found)).to_numpy())


def test_a_court_inside_a_cell_is_a_piece_of_its_own() -> None:
    cells = stored(lattice(2, 1))
    plain = metres(cells)
    house = shapely.box(CORNER[0] + 30, CORNER[1] + 30, CORNER[0] + 60, CORNER[1] + 70)
    pieces = gpd.GeoDataFrame(
        {"cell_id": [10, 10]}, geometry=[plain[10].difference(house), house], crs=METRE_SRID
    )
    found = fit(cells, pieces)
    assert found.beside == {}
    assert shapely.get_num_interior_rings(found.pieces).tolist() == [1, 0]
    assert shapely.coverage_is_valid(metres(result(cells, pieces, found)).to_numpy())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: p.iloc[:1], "do not make up cell 10"),
        (lambda p: p.set_geometry(p.translate(0.01, 0)), "do not make up cell 10"),
        (lambda p: p.set_geometry(p.scale(1.01, 1.0)), "do not make up cell 10"),
        (lambda p: p.iloc[[0, 1, 1]], "do not make up cell 10"),
        (lambda p: p.set_geometry(p.boundary), "no sound polygon"),
        (lambda p: p.assign(cell_id=[10, 99]), "cell 99 is not among"),
        (lambda p: p.to_crs(4326), "degrees"),
        (lambda p: p.set_crs(None, allow_override=True), "no CRS"),
    ],
)
def test_what_does_not_make_up_its_cell_is_refused(change: object, message: str) -> None:
    cells = stored(lattice(2, 2))
    pieces = pieces_of(cells, {10: across(metres(cells)[10], 1.0, 0.5)})
    with pytest.raises(TopologyError, match=message):
        fit(cells, change(pieces))  # type: ignore[operator]


def test_ground_of_a_square_millimetre_is_missed_by_nobody() -> None:
    cells = stored(lattice(2, 2))
    pieces = pieces_of(cells, {10: across(metres(cells)[10], 1.0, 0.5)})
    corner = shapely.get_coordinates(pieces.geometry.iloc[0])[0]
    chip = shapely.box(*(corner - 0.002), *(corner + 0.002))
    shapes = [pieces.geometry.iloc[0].difference(chip), pieces.geometry.iloc[1]]
    with pytest.raises(TopologyError, match="do not make up"):
        fit(cells, pieces.set_geometry(gpd.GeoSeries(shapes, crs=METRE_SRID)))
