"""The drawing board bent into the ground: noded edges, street network, and blocks of land."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components, dijkstra

from geo.demo.layout import NODE_GRID_M, Board, warp

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Array = NDArray[Any]

METRE_SRID: Final = 4549
"""CGCS2000, 3-degree zone around 120 E."""

STREETS: Final = ("arterial", "collector", "local", "path", "promenade")
#: Lines that may be left out where they would fence in a scrap of ground, in this order.
DISPENSABLE: Final = ("wall", "path", "local", "collector", "promenade", "arterial")
SCRAP_M2: Final = 2_600.0
#: Scraps below this may take a piece of a promenade or of an arterial street with them.
SLIVER_M2: Final = 900.0
#: Junctions nearer than this are one.
JUNCTION_M: Final = 7.0
FIRMNESS: Final = {"outline": 4, "promenade": 3, "railway": 2, "arterial": 1}
DENSE_M: Final = 60.0
STRAIGHT_M: Final = 0.25
ROUND_M: Final = 0.001
OUTSIDE: Final = -1


@dataclass(frozen=True)
class Ground:
    """Edges and blocks of the city, metres from its origin, coordinates whole millimetres.

    `left` and `right` are the blocks beside an edge (`OUTSIDE` = none); `from_node` and `to_node`
    its ends; `street` the street it belongs to (-1 = none); a river's promenades have the river's
    number. `river` is the river that fills a block (-1 = dry).
    """

    edges: Array
    kind: Array
    street: Ints
    from_node: Ints
    to_node: Ints
    left: Ints
    right: Ints
    blocks: Array
    character: Array
    river: Ints

    @property
    def length_m(self) -> Floats:
        """Length of each edge."""
        return np.asarray(shapely.length(self.edges), dtype=np.float64)


def bend(board: Board, waves: Floats) -> Ground:
    """Node the lines of the board, leave out what fences in scraps, and bend all into the ground.

    Parameters
    ----------
    board : Board
    waves : ndarray, shape (k, 5)
        See `geo.demo.layout.warp`.

    Returns
    -------
    Ground
    """
    edges, kind, street = _node(board)
    edges, kind, street = _without_scraps(edges, kind, street)
    edges, kind, street = _contracted(edges, kind, street)
    edges, kind, street = _chains(edges, kind, street)
    flat = shapely.get_parts(shapely.polygonize(edges))
    bent = _bend_edges(edges, waves)
    blocks = shapely.get_parts(shapely.polygonize(bent))
    probe = shapely.get_coordinates(shapely.point_on_surface(flat))
    leaf = _containing(np.array(board.blocks), shapely.points(probe))
    held = _containing(blocks, shapely.points(warp(probe, waves)))
    if len(blocks) != len(flat) or len(np.unique(held)) != len(blocks):
        raise AssertionError("the ground folded: waves of the warp are too steep for this board")
    character = np.empty(len(blocks), dtype=object)
    character[held] = np.array(board.characters, dtype=object)[leaf]
    river = np.full(len(blocks), -1, dtype=np.int64)
    for number, (_, water) in enumerate(board.water):
        river[held[shapely.contains_xy(water, probe[:, 0], probe[:, 1])]] = number
    kind, street = _joined(bent, kind, street, board.streets)
    first, last = shapely.get_point(bent, 0), shapely.get_point(bent, -1)
    ends = np.concatenate([shapely.get_coordinates(first), shapely.get_coordinates(last)])
    node = node_numbers(ends, ROUND_M)
    left, right = _sides(bent, blocks, ROUND_M)
    return Ground(
        edges=bent,
        kind=kind,
        street=street,
        from_node=node[: len(bent)],
        to_node=node[len(bent) :],
        left=left,
        right=right,
        blocks=blocks,
        character=character,
        river=river,
    )


def stretched(ground: Ground, factor: float) -> Ground:
    """Return the ground with all lengths multiplied by `factor`, in whole millimetres."""

    def pull(shapes: Any) -> Any:
        return shapely.transform(shapes, lambda points: np.round(points * factor, 3))

    return replace(
        ground,
        edges=pull(ground.edges),
        blocks=pull(ground.blocks),
    )


def _node(board: Board) -> tuple[Array, Array, Ints]:
    """Split all lines where they meet; each edge keeps the kind and street of its line."""
    lines = np.array([shapely.linestrings(line.points) for line in board.lines])
    edges = shapely.get_parts(shapely.union_all(lines, grid_size=NODE_GRID_M))
    middle = shapely.line_interpolate_point(edges, 0.5, normalized=True)
    found = shapely.STRtree(lines).query_nearest(middle, all_matches=False)
    source = np.empty(len(edges), dtype=np.int64)
    source[found[0]] = found[1]
    kinds = np.array([line.kind for line in board.lines], dtype=object)
    streets = np.array([line.street for line in board.lines], dtype=np.int64)
    return edges, kinds[source], streets[source]


def _without_scraps(edges: Array, kind: Array, street: Ints) -> tuple[Array, Array, Ints]:
    """Leave out loose ends, and a border of each scrap of ground that is too small to use."""
    for _ in range(8):
        blocks = shapely.get_parts(shapely.polygonize(edges))
        left, right = _sides(edges, blocks, NODE_GRID_M)
        drop = left == right
        size = shapely.area(blocks)
        bordering: dict[int, list[int]] = {}
        for edge in np.flatnonzero(~drop & (kind != "outline")):
            for block in (int(left[edge]), int(right[edge])):
                bordering.setdefault(block, []).append(int(edge))
        length = shapely.length(edges)
        touched: set[int] = set()
        for scrap in np.flatnonzero(size < SCRAP_M2):
            allowed = DISPENSABLE if size[scrap] < SLIVER_M2 else DISPENSABLE[:4]
            able = [e for e in bordering.get(int(scrap), []) if kind[e] in allowed]
            if not able:
                continue
            chosen = max(able, key=lambda e: (-DISPENSABLE.index(kind[e]), length[e]))
            pair = {int(left[chosen]), int(right[chosen])}
            if not pair & touched:
                touched |= pair
                drop[chosen] = True
        if not drop.any():
            break
        edges, kind, street = edges[~drop], kind[~drop], street[~drop]
    return edges, kind, street


def _contracted(edges: Array, kind: Array, street: Ints) -> tuple[Array, Array, Ints]:
    """Draw junctions together that are less than `JUNCTION_M` apart.

    The place of the one that is hardest to move stays: on the outline, at water, on an arterial.
    Where lines would come to cross, the junctions stay as they are.
    """
    points, owner = shapely.get_coordinates(edges, return_index=True)
    first = np.searchsorted(owner, np.arange(len(edges)))
    last = np.append(first[1:], len(owner)) - 1
    node = node_numbers(points[np.concatenate([first, last])], NODE_GRID_M)
    a, b = node[: len(edges)], node[len(edges) :]
    firm = np.array([FIRMNESS.get(k, 0) for k in kind])
    rank = np.zeros(int(node.max()) + 1)
    np.maximum.at(rank, a, firm)
    np.maximum.at(rank, b, firm)
    place = np.empty((len(rank), 2))
    place[a], place[b] = points[first], points[last]
    short = shapely.length(edges) < JUNCTION_M
    while True:
        anchor = _anchors(len(rank), a[short], b[short], rank)
        points[first], points[last] = place[anchor[a]], place[anchor[b]]
        moved = np.asarray(shapely.linestrings(points, indices=owner)[~short], dtype=object)
        tangled = np.unique(shapely.STRtree(moved).query(moved, predicate="crosses"))
        if len(tangled) == 0:
            return moved, kind[~short], street[~short]
        knots = np.concatenate([anchor[a[~short][tangled]], anchor[b[~short][tangled]]])
        short &= ~(np.isin(anchor[a], knots) | np.isin(anchor[b], knots))


def _anchors(count: int, a: Ints, b: Ints, rank: Floats) -> Ints:
    """Return for each of `count` nodes the firmest node it is joined with over `a`, `b`."""
    graph = coo_array((np.ones(len(a)), (a, b)), shape=(count, count))
    _, group = connected_components(graph, directed=False)
    order = np.lexsort((np.arange(count), -rank, group))
    firmest = order[np.unique(group[order], return_index=True)[1]]
    return np.asarray(firmest[group], dtype=np.int64)


def _chains(edges: Array, kind: Array, street: Ints) -> tuple[Array, Array, Ints]:
    """Join edges of one line at nodes where nothing else meets."""
    ends = np.concatenate(
        [
            shapely.get_coordinates(shapely.get_point(edges, 0)),
            shapely.get_coordinates(shapely.get_point(edges, -1)),
        ]
    )
    node = node_numbers(ends, NODE_GRID_M)
    edge = np.concatenate([np.arange(len(edges)), np.arange(len(edges))])
    order = np.argsort(node, kind="stable")
    degree = np.bincount(node)
    start = np.concatenate([[0], np.cumsum(degree)])
    passing = np.flatnonzero(degree == 2)
    a, b = edge[order[start[passing]]], edge[order[start[passing] + 1]]
    same = (kind[a] == kind[b]) & (street[a] == street[b]) & (a != b)
    a, b = a[same], b[same]
    graph = coo_array((np.ones(len(a)), (a, b)), shape=(len(edges), len(edges)))
    count, chain = connected_components(graph, directed=False)
    by_chain = np.argsort(chain, kind="stable")
    merged = shapely.line_merge(shapely.multilinestrings(edges[by_chain], indices=chain[by_chain]))
    first = by_chain[np.searchsorted(chain[by_chain], np.arange(count))]
    return merged, kind[first], street[first]


def _bend_edges(edges: Array, waves: Floats) -> Array:
    dense = shapely.segmentize(edges, DENSE_M)
    bent = shapely.transform(dense, lambda points: warp(points, waves))
    return np.asarray(shapely.simplify(bent, STRAIGHT_M), dtype=object)


def _containing(areas: Array, points: Array) -> Ints:
    """Index of the area that holds each point."""
    found = shapely.STRtree(areas).query_nearest(points, all_matches=False)
    inside = np.empty(len(points), dtype=np.int64)
    inside[found[0]] = found[1]
    return inside


def node_numbers(points: Floats, grid_m: float) -> Ints:
    """Give places numbers: equal coordinates on a grid of `grid_m`, equal number."""
    whole = np.round(points / grid_m).astype(np.int64)
    _, number = np.unique(whole, axis=0, return_inverse=True)
    return number.reshape(-1).astype(np.int64)


def _sides(edges: Array, blocks: Array, grid_m: float) -> tuple[Ints, Ints]:
    """Return the block on the left and on the right of each edge, `OUTSIDE` where there is none."""
    ring, owner = shapely.get_rings(shapely.orient_polygons(blocks), return_index=True)
    points, of_ring = shapely.get_coordinates(ring, return_index=True)
    starts, of_edge = shapely.get_coordinates(edges, return_index=True)
    head = np.searchsorted(of_edge, np.arange(len(edges)))
    number = node_numbers(np.concatenate([points, starts[head], starts[head + 1]]), grid_m)
    base = int(number.max()) + 1
    inner = of_ring[:-1] == of_ring[1:]
    sides = (number[: len(points) - 1] * base + number[1 : len(points)])[inner]
    holder = owner[of_ring[:-1]][inner]
    order = np.argsort(sides, kind="stable")
    a, b = number[len(points) : len(points) + len(edges)], number[len(points) + len(edges) :]
    return _look_up(sides[order], holder[order], a * base + b), _look_up(
        sides[order], holder[order], b * base + a
    )


def _look_up(keys: Ints, values: Ints, wanted: Ints) -> Ints:
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[at] == wanted, values[at], OUTSIDE).astype(np.int64)


def _joined(edges: Array, kind: Array, street: Ints, streets: int) -> tuple[Array, Ints]:
    """Turn fences, railway paths and the rim into paths where streets would hang alone."""
    first, last = shapely.get_point(edges, 0), shapely.get_point(edges, -1)
    ends = np.concatenate([shapely.get_coordinates(first), shapely.get_coordinates(last)])
    node = node_numbers(ends, ROUND_M)
    a, b = node[: len(edges)], node[len(edges) :]
    count = int(node.max()) + 1
    kind, street = kind.copy(), street.copy()
    while True:
        built = np.isin(kind, STREETS)
        graph = coo_array((np.ones(built.sum()), (a[built], b[built])), shape=(count, count))
        _, part = connected_components(graph, directed=False)
        on_street = np.unique(np.concatenate([a[built], b[built]]))
        main = int(np.argmax(np.bincount(part[on_street])))
        lone = on_street[part[on_street] != main]
        if len(lone) == 0:
            return kind, street
        cost = np.where(built, 0.001, shapely.length(edges))
        roads = coo_array((cost, (a, b)), shape=(count, count)).tocsr()
        start = int(on_street[part[on_street] == main][0])
        _, before = dijkstra(roads, directed=False, indices=start, return_predecessors=True)
        at = int(lone[0])
        pairs: dict[tuple[int, int], int] = {}
        for edge in range(len(edges)):
            pairs[(min(a[edge], b[edge]), max(a[edge], b[edge]))] = edge
        while at != start:
            edge = pairs[(min(at, before[at]), max(at, before[at]))]
            if not built[edge]:
                kind[edge], street[edge] = "path", streets
            at = int(before[at])
        streets += 1
