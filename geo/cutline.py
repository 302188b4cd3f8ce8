"""Cells cut exactly along a line: one shared vertex per cut edge, put into every cell that has it.

A coverage is read as vertices with one number each and a table edge -> cells that own it. Vertices
near the line count as lying on it; every other edge that the line crosses gets one new vertex, not
rounded, inserted into the ring of each owner, neighbours that are not cut included. Inside a cell
the vertices on the line are joined in its order where the way between them lies inside; what is
left is polygonized, measured and looked at as a whole before it is given back. No old vertex moves.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

import geopandas as gpd
import numpy as np
import shapely
from numpy.typing import NDArray

from geo.crs import local_origin, require_metres
from geo.errors import CutRefusedError, TopologyError
from geo.saying import phrase

DELTA_M: Final = 0.5
"""What lies nearer than this to the line lies on it: no slivers, and seven digits keep it."""
LEAST_PIECE_M2: Final = 1.0
LEAST_WIDTH_M: Final = 0.5
WHOLE_M2: Final = 1e-6
"""Ground by which the pieces of a cell may miss it."""
MOST_CORNERS: Final = 500

Array = NDArray[Any]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Cut:
    """What a line does to cells.

    Attributes
    ----------
    pieces : GeoDataFrame, shape (n,)
        `cell_id` (the old cell) and geometry Polygon, CRS of the cells: the pieces of every cell
        that came apart; none when the line runs along borders alone.
    beside : dict of int to Polygon
        Cells that did not come apart and have got vertices.
    """

    pieces: gpd.GeoDataFrame
    beside: dict[int, Any]


@dataclass(frozen=True)
class _Mesh:
    """Cells as numbered vertices and directed edges; the edges of a ring follow each other."""

    xy: Floats
    tail: Ints
    head: Ints
    ring: Ints
    cell: Ints
    known: int

    @property
    def key(self) -> Ints:
        """One number for an edge, whichever way it is run."""
        return np.minimum(self.tail, self.head) * np.int64(len(self.xy)) + np.maximum(
            self.tail, self.head
        )


@dataclass(frozen=True)
class _Events:
    """Where the line passes which vertex: `at` is the number of the segment and the share of it."""

    at: Floats
    vertex: Ints


@dataclass(frozen=True)
class _Nodes:
    """New vertices on edges: number of the edge, share of it from the lower vertex, place."""

    edge: Ints
    share: Floats
    xy: Floats


def cut(
    cells: gpd.GeoSeries,
    line: shapely.LineString,
    which: Collection[int] | None = None,
    *,
    delta_m: float = DELTA_M,
    least_m2: float = LEAST_PIECE_M2,
    least_width_m: float = LEAST_WIDTH_M,
) -> Cut:
    """Cut cells along a line.

    Parameters
    ----------
    cells : GeoSeries of Polygon, shape (k,)
        A valid coverage, projected CRS in metres, indexed by cell id: the cells to be cut and all
        that lie beside them.
    line : LineString
        Same CRS. Where it ends inside a cell it does not cut that cell.
    which : collection of int, optional
        The cells that may be cut; all of them by default.
    delta_m : float, default 0.5
        What is nearer than this to the line lies on it, metres.
    least_m2, least_width_m : float
        Smallest piece, in square metres, and smallest width of one, in metres.

    Returns
    -------
    Cut

    Raises
    ------
    CutRefusedError
        If the line crosses itself or has too many corners, or a piece would be too small or too
        narrow; `places` holds points in the CRS of the cells.
    TopologyError
        If there is no CRS in metres, or the result would be no coverage.

    Notes
    -----
    Where the line's corners come near an edge they are put onto it, so that a polyline does not cut
    slivers off. The sum of the areas is that of the cell to 1e-6 m2, measured at a local origin.
    """
    crs = require_metres(cells.crs)
    origin = np.array(local_origin(tuple(shapely.total_bounds(cells.to_numpy()))), dtype=float)
    shapes = shapely.transform(cells.to_numpy(), lambda xy: xy - origin)
    path = _path(line, origin, delta_m)
    mesh = _mesh(shapes)
    cuttable = np.ones(len(cells), dtype=bool)
    if which is not None:
        cuttable = cells.index.isin(list(which))
    corners, events, nodes, free = _met(mesh, path, cuttable, shapes, delta_m)
    mesh = _inserted(mesh, nodes, free, origin)
    parts = _parted(mesh, corners, events, cuttable, shapes)
    whole = {place: _polygon(mesh, place) for place in _touched(mesh, parts)}
    _demand_sound(parts, whole, shapes, (least_m2, least_width_m), origin)
    names = cells.index.to_numpy()
    rows = [(int(names[place]), piece) for place, pieces in parts.items() for piece in pieces]
    pieces = gpd.GeoDataFrame(
        {"cell_id": np.array([cell for cell, _ in rows], dtype=np.int64)},
        geometry=_back([piece for _, piece in rows], origin),
        crs=crs,
    )
    grown = _back(list(whole.values()), origin)
    beside = {int(names[place]): shape for place, shape in zip(whole, grown, strict=True)}
    return Cut(pieces, beside)


def _back(shapes: list[Any], origin: Floats) -> Array:
    return np.asarray(
        shapely.transform(np.array(shapes, dtype=object), lambda xy: xy + origin), dtype=object
    )


def _path(line: Any, origin: Floats, delta_m: float) -> Floats:
    """Return the corners of the line, those left out that lie on the one before."""
    kind = shapely.get_type_id(line)
    xy = shapely.get_coordinates(line) - origin
    if kind != 1 or len(xy) < 2 or not np.isfinite(xy).all():
        raise CutRefusedError(
            phrase("Cells are cut along a line of two points or more."), places=[]
        )
    if len(xy) > MOST_CORNERS:
        message = phrase(
            "The line has %(n)s points, %(most)s at most.",
            n=len(xy),
            most=MOST_CORNERS,
        )
        raise CutRefusedError(message, places=[])
    kept = [0]
    for place in range(1, len(xy)):
        last = place == len(xy) - 1
        if np.hypot(*(xy[place] - xy[kept[-1]])) > 2 * delta_m or (last and len(kept) == 1):
            kept.append(place)
    path = xy[kept]
    if np.hypot(*(path[-1] - path[0])) <= 2 * delta_m or not shapely.is_simple(
        shapely.linestrings(path)
    ):
        where = [float(value) for value in path[0] + origin]
        message = phrase("The line crosses itself, or ends where it begins.")
        raise CutRefusedError(message, places=[where])
    return np.asarray(path)


def _mesh(shapes: Array) -> _Mesh:
    rings, ring_cell = shapely.get_rings(shapes, return_index=True)
    xy, ring = shapely.get_coordinates(rings, return_index=True)
    keys = np.ascontiguousarray(xy + 0.0).view(np.complex128).ravel()
    distinct, vertex = np.unique(keys, return_inverse=True)
    begins = np.flatnonzero(ring[:-1] == ring[1:])
    tail, head = vertex[begins], vertex[begins + 1]
    moving = tail != head
    begins, tail, head = begins[moving], tail[moving], head[moving]
    places = distinct.view(np.float64).reshape(-1, 2)
    return _Mesh(places, tail, head, ring[begins], ring_cell[ring[begins]], len(places))


# ---- where the line meets vertices and edges -----------------------------------------------------


def _met(
    mesh: _Mesh, path: Floats, cuttable: NDArray[np.bool_], shapes: Array, delta_m: float
) -> tuple[Floats, _Events, _Nodes, Floats]:
    """Return corners, all passes of the line, new vertices on edges, corners inside cells."""
    own = cuttable[mesh.cell]
    low = np.minimum(mesh.tail, mesh.head)[own]
    high = np.maximum(mesh.tail, mesh.head)[own]
    edges = np.unique(np.column_stack([low, high]), axis=0)
    vertices = np.unique(edges)
    count = len(path) - 1
    away, share, side = _seen(mesh.xy[vertices], path)
    on = away <= delta_m
    which, vertex = np.nonzero(on)
    at, number = which + share[on], vertices[vertex]
    place_of = np.full(len(mesh.xy), -1, dtype=np.int64)
    place_of[vertices] = np.arange(len(vertices))
    one, two = place_of[edges[:, 0]], place_of[edges[:, 1]]
    opposite = (side[:, one] > 0) != (side[:, two] > 0)
    segment, edge = np.nonzero(opposite & ~on[:, one] & ~on[:, two])
    a, b = mesh.xy[edges[edge, 0]], mesh.xy[edges[edge, 1]]
    from_a, from_b = side[segment, one[edge]], side[segment, two[edge]]
    along = from_a / (from_a - from_b)
    points = a + along[:, None] * (b - a)
    begin, span = path[segment], path[segment + 1] - path[segment]
    passed = ((points - begin) * span).sum(axis=1) / (span * span).sum(axis=1)
    hit = (passed >= 0) & (passed <= 1)
    crossings = (edge[hit], along[hit], (segment + passed)[hit])
    bends = _bends(mesh, path, edges, on, shapes[cuttable], delta_m, count)
    nodes, passes = _merged(mesh, edges, crossings, bends[0], delta_m)
    first_free = len(mesh.xy) + len(nodes.xy)
    told = _Events(
        np.concatenate([at, passes.at, bends[1].at, bends[2]]),
        np.concatenate(
            [number, passes.vertex, bends[1].vertex, first_free + np.arange(len(bends[2]))]
        ),
    )
    return np.arange(count + 1.0), told, nodes, bends[3]


def _seen(points: Floats, path: Floats) -> tuple[Floats, Floats, Floats]:
    """Return distance, share and signed distance of points, for each segment: shape (s, n)."""
    begin, span = path[:-1, None, :], (path[1:] - path[:-1])[:, None, :]
    offset = points[None, :, :] - begin
    square = (span * span).sum(axis=2)
    share = np.clip((offset * span).sum(axis=2) / square, 0.0, 1.0)
    away = np.hypot(*np.moveaxis(offset - share[:, :, None] * span, 2, 0))
    side = (span[:, :, 0] * offset[:, :, 1] - span[:, :, 1] * offset[:, :, 0]) / np.sqrt(square)
    return away, share, side


def _bends(
    mesh: _Mesh,
    path: Floats,
    edges: Ints,
    on: NDArray[np.bool_],
    shapes: Array,
    delta_m: float,
    count: int,
) -> tuple[tuple[Ints, Floats, Floats], _Events, Floats, Floats]:
    """Put the corners of the line onto edges nearby; the others that lie in cells stay free.

    Returns
    -------
    tuple
        (edge, share, at) of corners on edges; passes of old vertices; `at` and places of the rest.
    """
    lines = shapely.linestrings(mesh.xy[edges])
    corners = shapely.points(path)
    near_vertex = np.zeros(count + 1, dtype=bool)
    pairs = shapely.STRtree(shapely.points(mesh.xy[np.unique(edges)])).query(
        corners, predicate="dwithin", distance=delta_m
    )
    near_vertex[pairs[0]] = True
    corner, edge = shapely.STRtree(lines).query(corners, predicate="dwithin", distance=delta_m)
    apart = shapely.distance(corners[corner], lines[edge])
    order = np.lexsort((apart, corner))
    corner, edge = corner[order], edge[order]
    corner, first = np.unique(corner, return_index=True)
    edge = edge[first]
    wanted = ~near_vertex[corner]
    corner, edge = corner[wanted], edge[wanted]
    a, b = mesh.xy[edges[edge, 0]], mesh.xy[edges[edge, 1]]
    length = np.hypot(*(b - a).T)
    share = ((path[corner] - a) * (b - a)).sum(axis=1) / length**2
    near_a, near_b = share * length <= delta_m, (1 - share) * length <= delta_m
    old = near_a | near_b
    vertex = np.where(near_a, edges[edge, 0], edges[edge, 1])
    inner = np.setdiff1d(np.flatnonzero(~near_vertex), corner)
    inner = inner[(inner > 0) & (inner < count)]
    inside = np.unique(shapely.STRtree(shapes).query(corners[inner], predicate="within")[0])
    return (
        (edge[~old], share[~old], corner[~old].astype(float)),
        _Events(corner[old].astype(float), vertex[old]),
        inner[inside].astype(float),
        path[inner[inside]],
    )


def _merged(
    mesh: _Mesh,
    edges: Ints,
    crossings: tuple[Ints, Floats, Floats],
    corners: tuple[Ints, Floats, Floats],
    delta_m: float,
) -> tuple[_Nodes, _Events]:
    """Give the places on edges numbers; those nearer to each other than delta get one."""
    edge = np.concatenate([crossings[0], corners[0]])
    share = np.concatenate([crossings[1], corners[1]])
    at = np.concatenate([crossings[2], corners[2]])
    order = np.lexsort((share, edge))
    edge, share, at = edge[order], share[order], at[order]
    a, b = mesh.xy[edges[edge, 0]], mesh.xy[edges[edge, 1]]
    along = share * np.hypot(*(b - a).T)
    number = np.zeros(len(edge), dtype=np.int64)
    kept: list[int] = []
    for place in range(len(edge)):
        last = kept[-1] if kept else -1
        if last < 0 or edge[place] != edge[last] or along[place] - along[last] > delta_m:
            kept.append(place)
        number[place] = len(kept) - 1
    keep = np.array(kept, dtype=np.int64)
    low, high = edges[edge[keep], 0], edges[edge[keep], 1]
    nodes = _Nodes(
        edge=low * np.int64(len(mesh.xy)) + high,
        share=share[keep],
        xy=(a + share[:, None] * (b - a))[keep],
    )
    return nodes, _Events(at, len(mesh.xy) + number)


def _inserted(mesh: _Mesh, nodes: _Nodes, free: Floats, origin: Floats) -> _Mesh:
    """Return the mesh with new vertices in the rings of all cells that own their edges."""
    # what is looked at here is what is given back: rounded as it will be far from the origin
    new = (np.concatenate([nodes.xy, free]) + origin) - origin
    xy = np.concatenate([mesh.xy, new])
    if len(nodes.edge) == 0:
        return _Mesh(xy, mesh.tail, mesh.head, mesh.ring, mesh.cell, mesh.known)
    order = np.argsort(nodes.edge, kind="stable")
    known = nodes.edge[order]
    key = mesh.key
    begin, end = np.searchsorted(known, key, "left"), np.searchsorted(known, key, "right")
    owned = np.flatnonzero(end > begin)
    repeat = end[owned] - begin[owned]
    at = np.repeat(owned, repeat)
    node = order[
        np.repeat(begin[owned], repeat)
        + np.arange(repeat.sum())
        - np.repeat(np.cumsum(repeat) - repeat, repeat)
    ]
    forward = mesh.tail[at] < mesh.head[at]
    node = node[np.lexsort((np.where(forward, nodes.share[node], -nodes.share[node]), at))]
    # the tails of a ring are its vertices: new ones go behind the tail of their edge
    tail = np.insert(mesh.tail, at + 1, len(mesh.xy) + node)
    ring = np.insert(mesh.ring, at + 1, mesh.ring[at])
    cell = np.insert(mesh.cell, at + 1, mesh.cell[at])
    first = np.flatnonzero(np.append(True, ring[1:] != ring[:-1]))
    head = np.append(tail[1:], tail[0])
    head[np.append(first[1:], len(ring)) - 1] = tail[first]
    return _Mesh(xy, tail, head, ring, cell, mesh.known)


# ---- cells parted --------------------------------------------------------------------------------


def _parted(
    mesh: _Mesh,
    corners: Floats,
    events: _Events,
    cuttable: NDArray[np.bool_],
    shapes: Array,
) -> dict[int, list[Any]]:
    """Return the pieces of each cell that comes apart, by position."""
    order = np.lexsort((events.vertex, events.at))
    at, vertex = events.at[order], events.vertex[order]
    size = np.int64(len(mesh.xy))
    owns = np.unique(mesh.cell * size + mesh.tail)
    owns = owns[cuttable[owns // size]]
    free = np.unique(vertex[~np.isin(vertex, mesh.tail)])
    if len(free):
        point, cell = shapely.STRtree(shapes).query(
            shapely.points(mesh.xy[free]), predicate="within"
        )
        inside = cell[cuttable[cell]] * size + free[point[cuttable[cell]]]
        owns = np.unique(np.concatenate([owns, inside]))
    owns = owns[np.isin(owns % size, vertex)]
    names, many = np.unique(owns // size, return_counts=True)
    chords: dict[int, Ints] = {}
    for place in names[many > 1].tolist():
        held = owns[owns // size == place] % size
        mine = np.isin(vertex, held)
        found = _chords(at[mine], vertex[mine], corners)
        if len(found):
            chords[place] = found
    chords = _inside(mesh, chords, shapes)
    parts = {}
    for place, found in chords.items():
        pieces = _pieces(mesh, place, found)
        if len(pieces) > 1:
            parts[place] = pieces
    return parts


def _chords(at: Floats, vertex: Ints, corners: Floats) -> Ints:
    """Return pairs of vertices that follow each other along the line, with no corner between."""
    one, two = vertex[:-1], vertex[1:]
    before = np.searchsorted(corners, at[:-1], "right")
    behind = np.searchsorted(corners, at[1:], "left")
    good = (one != two) & (behind <= before)
    pairs = np.column_stack([np.minimum(one, two)[good], np.maximum(one, two)[good]])
    return np.unique(pairs, axis=0).astype(np.int64)


def _inside(mesh: _Mesh, chords: dict[int, Ints], shapes: Array) -> dict[int, Ints]:
    """Keep the chords that run inside their cell, along no border of it."""
    if not chords:
        return {}
    owner = np.repeat(list(chords), [len(found) for found in chords.values()])
    pairs = np.concatenate(list(chords.values()))
    whole = {place: _polygon(mesh, place) for place in chords}
    polygons = np.array([whole[place] for place in owner.tolist()], dtype=object)
    lines = shapely.linestrings(mesh.xy[pairs])
    middle = shapely.points(mesh.xy[pairs].mean(axis=1))
    good = shapely.covers(polygons, lines) & shapely.contains_properly(polygons, middle)
    return {place: pairs[good & (owner == place)] for place in np.unique(owner[good]).tolist()}


def _pieces(mesh: _Mesh, place: int, chords: Ints) -> list[Any]:
    own = mesh.cell == place
    pairs = np.concatenate([np.column_stack([mesh.tail[own], mesh.head[own]]), chords])
    faces = shapely.get_parts(shapely.polygonize(shapely.linestrings(mesh.xy[pairs])))
    if len(np.unique(mesh.ring[own])) > 1:
        inside = shapely.contains_properly(_polygon(mesh, place), shapely.point_on_surface(faces))
        faces = faces[inside]
    return list(faces)


def _polygon(mesh: _Mesh, place: int) -> Any:
    """Return a cell with all vertices that it has now."""
    own = np.flatnonzero(mesh.cell == place)
    rings = []
    for ring in dict.fromkeys(mesh.ring[own].tolist()):
        walk = mesh.tail[own[mesh.ring[own] == ring]]
        rings.append(shapely.linearrings(mesh.xy[np.append(walk, walk[0])]))
    return shapely.polygons(rings[0], holes=rings[1:] or None)


def _touched(mesh: _Mesh, parts: dict[int, list[Any]]) -> list[int]:
    """Return the cells that have got vertices and did not come apart."""
    grown = np.unique(mesh.cell[mesh.tail >= mesh.known])
    return [place for place in grown.tolist() if place not in parts]


def _demand_sound(
    parts: dict[int, list[Any]],
    whole: dict[int, Any],
    shapes: Array,
    least: tuple[float, float],
    origin: Floats,
) -> None:
    """Refuse pieces that do not make up their cells, are too small, or fit their neighbours not."""
    pieces = [piece for found in parts.values() for piece in found]
    for place, found in parts.items():
        off = abs(float(shapely.area(found).sum() - shapely.area(shapes[place])))
        if off > WHOLE_M2 or not shapely.is_valid(found).all():
            where = _told(shapely.point_on_surface(shapes[place]), origin)
            message = phrase(
                "The pieces of a cell would not make it up, %(off)s m2 off.", off=f"{off:.1e}"
            )
            raise CutRefusedError(message, places=[where])
    for piece in pieces:
        thin = shapely.buffer(piece, -least[1] / 2, quad_segs=1)
        if shapely.area(piece) < least[0] or shapely.is_empty(thin):
            where = _told(shapely.point_on_surface(piece), origin)
            message = phrase(
                "A piece of %(area)s m2 would be smaller than %(least)s m2 or narrower than"
                " %(width)s m, near (%(x)s, %(y)s).",
                area=f"{shapely.area(piece):.2f}", least=f"{least[0]:g}", width=f"{least[1]:g}",
                x=f"{where[0]:.1f}", y=f"{where[1]:.1f}",
            )  # fmt: skip
            raise CutRefusedError(message, places=[where])
    rest = [whole.get(place, shape) for place, shape in enumerate(shapes) if place not in parts]
    if not shapely.coverage_is_valid([*rest, *pieces]):
        where = _told(shapely.point_on_surface(pieces[0] if pieces else rest[0]), origin)
        raise TopologyError(phrase("The cut cells would be no coverage."), places=[where])


def _told(point: Any, origin: Floats) -> list[float]:
    return [float(point.x + origin[0]), float(point.y + origin[1])]
