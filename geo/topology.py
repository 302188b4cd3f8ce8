"""Coverages as arrays: shared edges, neighbours, faults, unions, parts, colours, label points."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from geo.crs import local_origin, require_metres
from geo.errors import TopologyError
from geo.saying import phrase
from geo.terms import JOINING_BORDER_M

COLOURS = 7
LEAST_AREA_M2 = 1e-6
"""Gaps and overlaps below this are noise of the arithmetic; `coverage_faults` names their edges."""
SUM_SLACK_M = 1e-9
UNION_SLACK_M2 = 1e-3

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Polygons = NDArray[np.object_]


@dataclass(frozen=True)
class Edges:
    """The directed edges of polygons, each with its polygon to the left.

    Attributes
    ----------
    xy : ndarray of float, shape (v, 2)
        Distinct vertices, metres.
    tail, head : ndarray of int, shape (e,)
        Positions in `xy` where an edge begins and ends.
    owner : ndarray of int, shape (e,)
        Position of the polygon.
    left, right : ndarray of int, shape (p,)
        Pairs of edges that two polygons share, one in each direction.
    single : ndarray of int, shape (s,)
        Edges that no other polygon has in the other direction: the outline, and every fault.
    crowded : ndarray of int, shape (c,)
        Those of `single` that several polygons have in the same direction, or one polygon in both.
    """

    xy: Floats
    tail: Ints
    head: Ints
    owner: Ints
    left: Ints
    right: Ints
    single: Ints
    crowded: Ints


@dataclass(frozen=True)
class Adjacency:
    """Which polygons of a coverage share a border.

    Attributes
    ----------
    size : int
        Number of polygons.
    left, right : ndarray of int, shape (m,)
        Positions of two neighbours, `left < right`, sorted.
    length_m : ndarray of float, shape (m,)
        Length of their whole shared border in metres.
    """

    size: int
    left: Ints
    right: Ints
    length_m: Floats


@dataclass(frozen=True)
class Parts:
    """How many unconnected parts each grid has.

    Attributes
    ----------
    counts : Series of int
        Number of parts, indexed by label, sorted.
    stray : DataFrame
        Cells of all but the largest part of each label: columns `label`, `part` (1 for the second
        largest ...), indexed like the labels.
    """

    counts: pd.Series[int]
    stray: pd.DataFrame


@dataclass(frozen=True)
class CoverageFaults:
    """Everything that keeps polygons from being a coverage; all empty for a clean one.

    Attributes
    ----------
    shapes : DataFrame
        Columns `cell`, `reason`: polygons that are missing, empty or invalid in themselves.
    edges : GeoDataFrame
        Columns `cell`, `length_m`, `x`, `y` (middle), geometry: borders that do not match.
    gaps : GeoDataFrame
        Columns `area_m2`, `x`, `y`, geometry: ground inside the outline that no polygon covers.
    overlaps : GeoDataFrame
        Columns `cell`, `other`, `area_m2`, `x`, `y`, geometry: ground that two polygons cover.
    """

    shapes: pd.DataFrame
    edges: gpd.GeoDataFrame
    gaps: gpd.GeoDataFrame
    overlaps: gpd.GeoDataFrame

    @property
    def clean(self) -> bool:
        """Whether the polygons are a coverage without gaps."""
        return not (len(self.shapes) or len(self.edges) or len(self.gaps) or len(self.overlaps))

    def sentences(self) -> list[str]:
        """Return one plain sentence for each fault, with its place in the metre CRS."""
        said: list[str] = []
        for row in self.shapes.itertuples():
            said += [phrase("cell %(cell)s: %(reason)s", cell=row.cell, reason=row.reason)]
        for row in self.edges.itertuples():
            told = {"m": f"{row.length_m:.2f}", "at": f"({row.x:.2f}, {row.y:.2f})"}
            said += [phrase("cell %(cell)s: %(m)s m of its border do not match the neighbours"
                            " near %(at)s", cell=row.cell, **told)]  # fmt: skip
        for row in self.gaps.itertuples():
            told = {"m2": f"{row.area_m2:.2f}", "at": f"({row.x:.2f}, {row.y:.2f})"}
            said += [phrase("a gap of %(m2)s m2 near %(at)s", **told)]
        for row in self.overlaps.itertuples():
            told = {"cell": row.cell, "other": row.other, "at": f"({row.x:.2f}, {row.y:.2f})"}
            said += [phrase("cells %(cell)s and %(other)s overlap by %(m2)s m2 near %(at)s",
                            m2=f"{row.area_m2:.2f}", **told)]  # fmt: skip
        return said


def shared_edges(polygons: Polygons) -> Edges:
    """Return the edges of polygons and which of them two polygons share.

    Vertices are the same when both coordinates are the same number.

    Parameters
    ----------
    polygons : ndarray of Polygon or MultiPolygon, shape (n,)
        Any units.

    Returns
    -------
    Edges
    """
    parts, part_owner = shapely.get_parts(shapely.orient_polygons(polygons), return_index=True)
    rings, ring_part = shapely.get_rings(parts, return_index=True)
    coordinates, ring = shapely.get_coordinates(rings, return_index=True)
    places = np.ascontiguousarray(coordinates + 0.0).view(np.complex128).ravel()
    distinct, vertex = np.unique(places, return_inverse=True)
    begins = np.flatnonzero(ring[:-1] == ring[1:])
    tail, head = vertex[begins], vertex[begins + 1]
    moving = tail != head
    begins, tail, head = begins[moving], tail[moving], head[moving]
    owner = part_owner[ring_part[ring[begins]]].astype(np.int64)
    key = np.minimum(tail, head) * np.int64(len(distinct)) + np.maximum(tail, head)
    order = np.argsort(key, kind="stable")
    first = np.unique(key[order], return_index=True)[1]
    count = np.diff(np.append(first, len(order)))
    twins = first[count == 2]
    one, two = order[twins], order[twins + 1]
    matched = (tail[one] == head[two]) & (owner[one] != owner[two])
    single = np.ones(len(tail), dtype=bool)
    single[one[matched]] = single[two[matched]] = False
    crowded = order[np.repeat(count, count) > 1]
    return Edges(
        xy=distinct.view(np.float64).reshape(-1, 2),
        tail=tail,
        head=head,
        owner=owner,
        left=one[matched],
        right=two[matched],
        single=np.flatnonzero(single),
        crowded=np.sort(crowded[single[crowded]]),
    )


def uncrowded(edges: Edges) -> Edges:
    """Return the edges, or refuse them.

    Raises
    ------
    TopologyError
        If three polygons share one edge.
    """
    if len(edges.crowded) == 0:
        return edges
    x, y = edges.xy[edges.tail[edges.crowded[0]]]
    owners = sorted({int(owner) for owner in edges.owner[edges.crowded]})
    message = f"{len(owners)} polygons lie on the same side of an edge, first near ({x:.2f}, "
    message += f"{y:.2f}); mend the coverage (coverage_faults lists the places)."
    raise TopologyError(message, positions=owners[:100])


def adjacency(cells: gpd.GeoSeries, *, least_m: float = JOINING_BORDER_M) -> Adjacency:
    """Return which polygons of a valid coverage share a border, and how long it is.

    Parameters
    ----------
    cells : GeoSeries, shape (n,)
        Polygons or multipolygons that form a coverage, projected CRS in metres.
    least_m : float, default 0.1
        Shorter shared borders do not join.

    Returns
    -------
    Adjacency
        Positions in `cells`.

    Raises
    ------
    TopologyError
        If `cells` has no CRS in metres, or three polygons share one edge.
    """
    require_metres(cells.crs)
    edges = uncrowded(shared_edges(cells.to_numpy()))
    one, two = edges.owner[edges.left], edges.owner[edges.right]
    delta = edges.xy[edges.tail[edges.left]] - edges.xy[edges.head[edges.left]]
    key = np.minimum(one, two) * np.int64(max(len(cells), 1)) + np.maximum(one, two)
    pairs, inverse = np.unique(key, return_inverse=True)
    length = np.bincount(inverse, weights=np.hypot(*delta.T)).astype(np.float64)
    joins = length >= least_m - SUM_SLACK_M
    left, right = np.divmod(pairs[joins], max(len(cells), 1))
    return Adjacency(len(cells), left, right, length[joins])


def contiguous_parts(labels: pd.Series[Any], neighbours: Adjacency) -> Parts:
    """Count the unconnected parts of each grid.

    Parameters
    ----------
    labels : Series, shape (n,)
        Grid of each cell, in the order of the cells that `neighbours` was made from.
    neighbours : Adjacency

    Returns
    -------
    Parts
        The largest part is the one with most cells; ties go to the part of the first cell.

    Raises
    ------
    TopologyError
        If the two do not have the same number of cells.
    """
    if len(labels) != neighbours.size:
        message = f"{len(labels)} labels for {neighbours.size} cells."
        raise TopologyError(message, labels=len(labels), cells=neighbours.size)
    codes, names = pd.factorize(labels, sort=True)
    inside = codes[neighbours.left] == codes[neighbours.right]
    left, right = neighbours.left[inside], neighbours.right[inside]
    graph = coo_array((np.ones(len(left), dtype=bool), (left, right)), shape=(len(labels),) * 2)
    _, part = connected_components(graph, directed=False)
    frame = pd.DataFrame({"label": codes, "part": part, "first": np.arange(len(codes))})
    table = frame.groupby(["label", "part"])["first"].agg(["size", "min"]).reset_index()
    table = table.sort_values(["label", "size", "min"], ascending=[True, False, True])
    table["rank"] = table.groupby("label").cumcount()
    rank = table.set_index("part")["rank"].reindex(part).to_numpy()
    counts = table.groupby("label").size()
    stray = pd.DataFrame({"label": labels.to_numpy(), "part": rank}, index=labels.index)
    return Parts(
        counts=pd.Series(counts.to_numpy(), index=pd.Index(names, name="label"), name="parts"),
        stray=stray[rank > 0],
    )


def torn(counts: pd.Series[int], inherited: pd.Series[int] | None = None) -> pd.DataFrame:
    """Return the grids that have more parts than they may have.

    Parameters
    ----------
    counts : Series of int
        Parts by label, as in `Parts.counts`.
    inherited : Series of int, optional
        Parts that a label had before, or is allowed by name; 1 where it is not listed.

    Returns
    -------
    DataFrame
        Columns `parts`, `allowed`, by label; empty when nothing was torn.
    """
    allowed = pd.Series(1, index=counts.index, name="allowed")
    if inherited is not None:
        known = inherited.reindex(counts.index).fillna(1).astype(np.int64)
        allowed = known.clip(lower=1).rename("allowed")
    found = pd.DataFrame({"parts": counts, "allowed": allowed})
    return found[found["parts"] > found["allowed"]]


def boundaries(cells: gpd.GeoSeries, labels: pd.Series[Any]) -> gpd.GeoSeries:
    """Return the union of the polygons of each label; parents come from children the same way.

    The polygons of a label must be a coverage: where they overlap they are refused, while gaps are
    for `coverage_faults`. No coordinate is computed: the vertices of a union are the vertices of
    its cells, bit by bit, so neighbours stay neighbours. Rings are in normal order, so
    that the same ground gives the same bytes whatever the order of the cells.

    Parameters
    ----------
    cells : GeoSeries, shape (n,)
        Polygons or multipolygons, projected CRS in metres.
    labels : Series, shape (n,)
        Label of each row, in the order of `cells`; rows without a label are left out.

    Returns
    -------
    GeoSeries
        Polygon or MultiPolygon by label, sorted by label.

    Raises
    ------
    TopologyError
        If there is no CRS in metres, or the polygons of a label are not a coverage.
    """
    crs = require_metres(cells.crs)
    codes, names = pd.factorize(labels, sort=True)
    order = np.argsort(codes, kind="stable")
    order = order[codes[order] >= 0]
    begins = np.searchsorted(codes[order], np.arange(len(names) + 1))
    shapes = cells.to_numpy()[order]
    unions = np.empty(len(names), dtype=object)
    for number, (begin, end) in enumerate(pairwise(begins.tolist())):
        try:
            unions[number] = shapely.coverage_union_all(shapes[begin:end])
        except shapely.errors.GEOSException as error:
            label = names[number]
            message = f"The polygons of {label} are not a coverage; coverage_faults lists where."
            raise TopologyError(message, label=str(label)) from error
    _check_unions(shapes, begins, unions, names)
    index = pd.Index(names, name=labels.name)
    return gpd.GeoSeries(shapely.normalize(unions), index=index, crs=crs)


def _check_unions(
    shapes: Polygons, begins: NDArray[np.intp], unions: Polygons, names: pd.Index[Any]
) -> None:
    """Refuse unions that are torn or not as large as their polygons together: some overlap."""
    running = np.concatenate([[0.0], np.cumsum(shapely.area(shapes))])
    total = running[begins[1:]] - running[begins[:-1]]
    off = np.abs(shapely.area(unions) - total) > UNION_SLACK_M2 + 1e-9 * total
    wrong = np.flatnonzero(off | ~shapely.is_valid(unions))
    if len(wrong):
        message = (
            f"The polygons of {names[wrong[0]]} and {len(wrong) - 1} others overlap; "
            "coverage_faults lists where."
        )
        raise TopologyError(message, labels=[str(names[k]) for k in wrong[:100]])


def areas_m2(shapes: gpd.GeoSeries) -> pd.Series[float]:
    """Return the area of each shape, measured at a local origin to lose no digits.

    Parameters
    ----------
    shapes : GeoSeries, shape (n,)
        Polygons or multipolygons, projected CRS in metres.

    Returns
    -------
    Series of float, shape (n,)
        Square metres, indexed like `shapes`.

    Raises
    ------
    TopologyError
        If there is no CRS in metres.
    """
    require_metres(shapes.crs)
    polygons = shapes.to_numpy()
    if len(polygons):
        origin = np.array(local_origin(tuple(shapely.total_bounds(polygons))), dtype=float)
        polygons = shapely.transform(polygons, lambda xy: xy - origin)
    return pd.Series(shapely.area(polygons), index=shapes.index, name="area_m2")


def coverage_faults(cells: gpd.GeoSeries, *, gap_width_m: float = 0.0) -> CoverageFaults:
    """Return all places where polygons do not match, leave a gap or overlap.

    Gaps and overlaps are the faces between the edges that no second polygon has: as no other edge
    changes by how many polygons a place is covered, one point in each face tells.

    Parameters
    ----------
    cells : GeoSeries, shape (n,)
        Polygons, projected CRS in metres; the index names them in the answer.
    gap_width_m : float, default 0.0
        Borders that run along gaps narrower than this are reported too, also where the gap is open
        to the outside.

    Returns
    -------
    CoverageFaults

    Raises
    ------
    TopologyError
        If `cells` has no CRS or one that is not in metres.
    """
    crs = require_metres(cells.crs)
    shapes = cells.to_numpy()
    names = cells.index.to_numpy()
    reasons = _shape_faults(shapes, names)
    sound = ~cells.index.isin(reasons["cell"])
    names, shapes = names[sound], shapes[sound]
    if len(shapes) == 0:
        none = _border_frame(shapes, names, crs)
        return CoverageFaults(reasons, none, _ground_frame([], crs), _overlap_frame([], crs))
    origin = np.array(local_origin(tuple(shapely.total_bounds(shapes))), dtype=float)
    near = shapely.transform(shapes, lambda xy: xy - origin)
    wrong = shapely.coverage_invalid_edges(near, gap_width=gap_width_m)
    hit = ~shapely.is_empty(wrong)
    lines = shapely.transform(wrong[hit], lambda xy: xy + origin)
    gaps, overlaps = _faces(near)
    gaps = [shapely.transform(gap, lambda xy: xy + origin) for gap in gaps]
    pairs = [
        (names[i], names[j], shapely.transform(shape, lambda xy: xy + origin))
        for i, j, shape in overlaps
    ]
    borders = _border_frame(lines, names[hit], crs)
    return CoverageFaults(reasons, borders, _ground_frame(gaps, crs), _overlap_frame(pairs, crs))


def _shape_faults(shapes: Polygons, names: NDArray[Any]) -> pd.DataFrame:
    areal = np.isin(shapely.get_type_id(shapes), (3, 6))
    empty = shapely.is_missing(shapes) | shapely.is_empty(shapes)
    broken = ~empty & areal & ~shapely.is_valid(shapes)
    rows = [(names[i], "has no ground") for i in np.flatnonzero(empty)]
    rows += [(names[i], "is not a polygon") for i in np.flatnonzero(~empty & ~areal)]
    rows += [(names[i], str(shapely.is_valid_reason(shapes[i]))) for i in np.flatnonzero(broken)]
    return pd.DataFrame(rows, columns=["cell", "reason"])


def _faces(polygons: Polygons) -> tuple[list[Any], list[tuple[int, int, Any]]]:
    """Return the gaps between polygons, and the overlapping pairs with their ground."""
    edges = shared_edges(polygons)
    if len(edges.single) == 0:
        return [], []
    ends = np.sort(np.column_stack([edges.tail[edges.single], edges.head[edges.single]]), axis=1)
    ends = np.unique(ends, axis=0)
    noded = shapely.union_all(shapely.linestrings(edges.xy[ends]))
    faces = shapely.get_parts(shapely.polygonize(shapely.get_parts(noded)))
    faces = faces[shapely.area(faces) > LEAST_AREA_M2]
    tree = shapely.STRtree(polygons)
    points = shapely.point_on_surface(faces)
    touching, inside = (
        np.bincount(tree.query(points, predicate=p)[0], minlength=len(faces))
        for p in ("intersects", "within")
    )
    # a point on a border that two polygons share lies within neither, and is no gap
    crowded = (inside > 0) & (touching > 1)
    crowd = tree.query(faces[crowded], predicate="intersects")[1]
    return list(faces[touching == 0]), _overlapping(polygons, np.unique(crowd))


def _overlapping(polygons: Polygons, among: Ints) -> list[tuple[int, int, Any]]:
    if len(among) == 0:
        return []
    one, two = shapely.STRtree(polygons[among]).query(polygons[among], predicate="intersects")
    one, two = among[one[one < two]], among[two[one < two]]
    ground = shapely.intersection(polygons[one], polygons[two])
    rows = np.flatnonzero(shapely.area(ground) > LEAST_AREA_M2)
    return sorted((int(one[row]), int(two[row]), ground[row]) for row in rows)


def _border_frame(lines: Polygons, names: NDArray[Any], crs: Any) -> gpd.GeoDataFrame:
    frame = _located(lines, crs)
    frame.insert(0, "cell", names)
    frame.insert(1, "length_m", shapely.length(lines))
    return frame


def _ground_frame(shapes: list[Any], crs: Any) -> gpd.GeoDataFrame:
    array = np.array(shapes, dtype=object)
    frame = _located(array, crs)
    frame.insert(0, "area_m2", shapely.area(array))
    return frame


def _overlap_frame(overlaps: list[tuple[Any, Any, Any]], crs: Any) -> gpd.GeoDataFrame:
    frame = _ground_frame([shape for _, _, shape in overlaps], crs)
    frame.insert(0, "cell", [left for left, _, _ in overlaps])
    frame.insert(1, "other", [right for _, right, _ in overlaps])
    return frame


def _located(shapes: Polygons, crs: Any) -> gpd.GeoDataFrame:
    """Return shapes with the coordinates of a point on each."""
    points = shapely.point_on_surface(shapes)
    columns = {"x": shapely.get_x(points), "y": shapely.get_y(points)}
    return gpd.GeoDataFrame(columns, geometry=shapes, crs=crs)


def colours(neighbours: Adjacency, n: int = COLOURS) -> Ints:
    """Return a colour for each polygon so that neighbours differ and colours are used evenly.

    Polygons are taken away one by one, the one with fewest neighbours left first, and coloured in
    the reverse order, each with the least used colour that no neighbour has. A map without
    scattered grids never needs more than six. Where `n` is not enough, the colour with the shortest
    border to its own kind is taken.

    Parameters
    ----------
    neighbours : Adjacency, of `size` polygons
    n : int, default 7
        Number of colours.

    Returns
    -------
    ndarray of int, shape (size,)
        0 to n - 1.
    """
    around: list[dict[int, float]] = [{} for _ in range(neighbours.size)]
    borders = zip(
        neighbours.left.tolist(),
        neighbours.right.tolist(),
        neighbours.length_m.tolist(),
        strict=True,
    )
    for one, two, length in borders:
        around[one][two] = around[two][one] = length
    colour = np.full(neighbours.size, -1, dtype=np.int64)
    used = [0] * n
    for place in reversed(_fewest_first(around)):
        shared = [0.0] * n
        for other, length in around[place].items():
            if colour[other] >= 0:
                shared[colour[other]] += length
        best = min(range(n), key=lambda c: (shared[c], used[c], c))
        colour[place] = best
        used[best] += 1
    return colour


def _fewest_first(around: list[dict[int, float]]) -> list[int]:
    """Return the polygons in the order of taking away the one with fewest neighbours left."""
    degree = [len(others) for others in around]
    buckets: list[list[int]] = [[] for _ in range(max(degree, default=0) + 1)]
    for place in reversed(range(len(around))):
        buckets[degree[place]].append(place)
    order: list[int] = []
    gone = [False] * len(around)
    least = 0
    while len(order) < len(around):
        if not buckets[least]:
            least += 1
            continue
        place = buckets[least].pop()
        if gone[place] or degree[place] != least:
            continue
        gone[place] = True
        order.append(place)
        for other in around[place]:
            if not gone[other]:
                degree[other] -= 1
                buckets[degree[other]].append(other)
        least = max(least - 1, 0)
    return order


def label_points(shapes: gpd.GeoSeries) -> gpd.GeoSeries:
    """Return a point well inside each shape: the centre of about the largest circle that fits.

    Parameters
    ----------
    shapes : GeoSeries, shape (n,)
        Polygons or multipolygons, not empty, projected CRS in metres.

    Returns
    -------
    GeoSeries of Point, shape (n,)
        Indexed like `shapes`; the circle is within 1 % of the shape's size of the largest one.

    Raises
    ------
    TopologyError
        If there is no CRS in metres, or a shape is empty.
    """
    crs = require_metres(shapes.crs)
    polygons = shapes.to_numpy()
    area = shapely.area(polygons)
    if not (area > 0).all():
        nothing = [str(name) for name in shapes.index[~(area > 0)]]
        message = f"{len(nothing)} shape(s) have no ground to stand a label on."
        raise TopologyError(message, shapes=nothing[:100])
    radius = shapely.maximum_inscribed_circle(polygons, tolerance=np.sqrt(area) / 100)
    return gpd.GeoSeries(shapely.get_point(radius, 0), index=shapes.index, crs=crs)
