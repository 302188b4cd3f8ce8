"""Street lines as a network: ends that meet become one node, crossings without a node are named."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from geo.crs import local_origin, require_metres
from geo.errors import TopologyError

JOIN_M: Final = 0.05
MILLIMETRE: Final = 0.001


@dataclass(frozen=True)
class Network:
    """Streets with nodes at their ends.

    Attributes
    ----------
    streets : GeoDataFrame, shape (n,)
        Columns `from_node`, `to_node`, geometry (LineString), indexed like the input.
    moved : DataFrame
        Ends that were moved onto their node: `street` (label), `node`, `moved_m`, `x`, `y`.
    crossings : DataFrame
        Places where two streets meet away from a common node: `street`, `other` (labels),
        `length_m` (0 at a point), `x`, `y`. Bridges and tunnels are such places, so nothing is cut.
    """

    streets: gpd.GeoDataFrame
    moved: pd.DataFrame
    crossings: pd.DataFrame


def network(lines: gpd.GeoSeries, *, join_m: float = JOIN_M) -> Network:
    """Join lines into a network: number nodes where their ends meet.

    Parameters
    ----------
    lines : GeoSeries of LineString, shape (n,)
        Valid and not empty, projected CRS in metres; the index names them in the answer.
    join_m : float, default 0.05
        Ends nearer than this are one node, at the place where most of them are. At least 1 mm.

    Returns
    -------
    Network
        Nodes are numbered from 1 in the order of x, then y.

    Raises
    ------
    TopologyError
        If there is no CRS in metres, a geometry is no LineString, `join_m` is too small, or a
        line is shorter than `join_m`.
    """
    require_metres(lines.crs)
    if join_m < MILLIMETRE:
        raise TopologyError("Ends are joined within a millimetre at least.", join_m=join_m)
    shapes = lines.to_numpy()
    if (shapely.get_type_id(shapes) != 1).any():
        raise TopologyError("Streets are LineStrings; split the others first.")
    short = lines.index[shapely.length(shapes) <= join_m].astype(str).tolist()
    if short:
        raise TopologyError(f"Streets shorter than {join_m} m: {short[:5]}.", streets=short)
    count = len(shapes)
    ends = np.concatenate([shapely.get_point(shapes, 0), shapely.get_point(shapes, -1)])
    places = shapely.get_coordinates(ends)
    node, at = _nodes(places, join_m)
    target = at[node]
    moved_m = np.hypot(*(places - target).T)
    shifted = np.flatnonzero(moved_m > 0)
    moved = pd.DataFrame(
        {
            "street": lines.index.to_numpy()[shifted % max(count, 1)],
            "node": node[shifted] + 1,
            "moved_m": moved_m[shifted],
            "x": target[shifted, 0],
            "y": target[shifted, 1],
        }
    )
    joined = shapes.copy()
    for row in np.unique(shifted % max(count, 1)):
        joined[row] = _with_ends(shapes[row], target[row], target[row + count])
    streets = gpd.GeoDataFrame(
        {"from_node": node[:count] + 1, "to_node": node[count:] + 1},
        geometry=joined,
        index=lines.index,
        crs=lines.crs,
    )
    return Network(streets, moved, _crossings(streets))


def _nodes(
    places: NDArray[np.float64], join_m: float
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Return the node of each place, and where the nodes are: where most of their places are."""
    distinct, of_place, uses = np.unique(places, axis=0, return_inverse=True, return_counts=True)
    near = cKDTree(distinct).query_pairs(join_m, output_type="ndarray") if len(distinct) else []
    pairs = np.asarray(near, dtype=np.int64).reshape(-1, 2)
    size = len(distinct)
    graph = coo_array((np.ones(len(pairs), dtype=bool), (pairs[:, 0], pairs[:, 1])), (size, size))
    _, group = connected_components(graph, directed=False)
    order = np.lexsort((np.arange(size), -uses, group))
    leads = order[np.unique(group[order], return_index=True)[1]]
    rank = np.empty(len(leads), dtype=np.intp)
    rank[np.argsort(leads)] = np.arange(len(leads))
    return rank[group][of_place.ravel()], distinct[np.sort(leads)]


def _with_ends(line: Any, begin: NDArray[np.float64], end: NDArray[np.float64]) -> Any:
    path = shapely.get_coordinates(line)
    path[0], path[-1] = begin, end
    return shapely.linestrings(path)


def _crossings(streets: gpd.GeoDataFrame) -> pd.DataFrame:
    shapes = streets.geometry.to_numpy()
    labels = streets.index.to_numpy()
    columns = ["street", "other", "length_m", "x", "y"]
    box = tuple(streets.total_bounds) if len(shapes) else (0.0, 0.0, 0.0, 0.0)
    origin = np.array(local_origin(box), dtype=float)
    near = shapely.transform(shapes, lambda places: places - origin)
    one, two = shapely.STRtree(near).query(near, predicate="intersects")
    one, two = one[one < two], two[one < two]
    if len(one) == 0:
        return pd.DataFrame([], columns=columns)
    ends = np.column_stack([shapely.get_point(near, 0), shapely.get_point(near, -1)])
    common = shapely.intersection(
        shapely.multipoints(ends[one].tolist()), shapely.multipoints(ends[two].tolist())
    )
    meeting = shapely.intersection(near[one], near[two])
    beside = shapely.difference(meeting, shapely.buffer(common, MILLIMETRE))
    found = np.flatnonzero(~shapely.is_empty(beside))
    points = shapely.point_on_surface(beside[found])
    return pd.DataFrame(
        {
            "street": labels[one[found]],
            "other": labels[two[found]],
            "length_m": shapely.length(beside[found]),
            "x": shapely.get_x(points) + origin[0],
            "y": shapely.get_y(points) + origin[1],
        },
        columns=columns,
    )
