"""Cells of a city cut into finer ones, and put together again; the owner's work.

All nets and all drafts take the pieces, what stands in a cell moves by its point, figures are
shared out so that they add up to what they were. Published boundaries stay as they are. An edit
holds the cells of its city shared, a cut exclusive: `hold_cells`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import shapely
from numpy.typing import NDArray
from sqlalchemy import (
    Table,
    TableValuedAlias,
    and_,
    bindparam,
    column,
    delete,
    func,
    insert,
    literal,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, BYTEA
from sqlalchemy.orm import Session
from sqlalchemy.types import BigInteger

from geo.apportion import shared_exactly
from geo.cuts import fit
from geo.dataset import HOUSEHOLDS
from geo.errors import ConflictError, TopologyError
from geo.saying import phrase
from geo.seal import SEALED, net_hash
from geo.store import audit, derived, estates, inherited
from geo.store.holding import hold_cells
from geo.store.loading import copy_rows
from geo.tables import (
    SRID,
    Base,
    Cell,
    CellLineage,
    City,
    Net,
    NetGrid,
)

WEIGHT: Final = "weight"
NOT_MOVED: Final = frozenset(
    {"cell_lineage", "cell_value", "household_place", "net_cell", "plan_cell"}
)
"""Tables that name a cell and are not located rows: their rows are made anew."""

Ids = NDArray[np.int64]


@dataclass(frozen=True)
class CutDone:
    """What a cut did.

    Attributes
    ----------
    number : int
        Of the cut in its city; 0 when nothing had to be cut.
    cell_of : Series of int
        The cell that each piece is now, indexed like the pieces.
    moved : dict of str to int
        How many rows of each table stand in another cell than before.
    """

    number: int
    cell_of: pd.Series[int]
    moved: dict[str, int]


def cut(session: Session, city_id: int, pieces: gpd.GeoDataFrame) -> CutDone:
    """Cut cells of a city into pieces; one transaction, one row in the log.

    Parameters
    ----------
    pieces : GeoDataFrame, shape (n,)
        `cell_id` (the old cell) and geometry Polygon in the city's metre CRS; optionally `weight`,
        by which figures are shared out, such as an estimate of households. A cell with a single
        piece stays as it is. Counted households of buildings come before weights, the ground comes
        after both.

    Returns
    -------
    CutDone

    Raises
    ------
    TopologyError
        If pieces do not make up their cells to 1e-6 m2, are in another CRS, or would match their
        neighbours no more.
    ConflictError
        If a cell does not stand in the city, or is no more since an earlier cut.
    """
    hold_cells(session, city_id, exclusive=True)
    city = session.get_one(City, city_id)
    if pieces.crs is None or pieces.crs.to_epsg() != city.metre_srid:
        raise TopologyError(
            phrase(
                "Pieces of cells come in EPSG:%(srid)s, the city's metre CRS.",
                srid=city.metre_srid,
            )
        )
    owner = pieces["cell_id"].astype("int64")
    lone = owner.map(owner.value_counts()) == 1
    parts = pieces[~lone.to_numpy()]
    _demand_standing(session, city_id, owner.unique())
    if parts.empty:
        return CutDone(0, owner.rename("cell"), {})
    olds = parts["cell_id"].unique().astype(np.int64)
    fitted = fit(around(session, city_id, olds), parts)
    before = inherited.parts_of_owners(session, city, olds)
    number, first = _next(session, city_id)
    fresh = np.arange(first, first + len(parts), dtype=np.int64)
    _put_cells(session, city_id, number, fresh, parts["cell_id"], fitted.pieces, fitted.area_m2)
    _reshape(session, city_id, fitted.beside)
    _stale_plans(session, city_id, [*olds.tolist(), *fitted.beside])
    _pass_on(session, city_id, parts["cell_id"].to_numpy(), fresh)
    frame = gpd.GeoDataFrame({"cell_id": parts["cell_id"].to_numpy(), "piece": fresh})
    frame = frame.set_geometry(fitted.pieces, crs=SRID)
    frame["area"] = fitted.area_m2
    frame[WEIGHT] = parts[WEIGHT].fillna(0.0).to_numpy() if WEIGHT in parts else 0.0
    moved = {table.name: _move(session, city_id, table, frame) for table in _located()}
    _share_values(session, city_id, frame)
    nets = _follow(session, city, parts["cell_id"].to_numpy(dtype=np.int64), fresh)
    raised = inherited.inherit(
        session, city_id, before, inherited.parts_of_owners(session, city, fresh)
    )
    cell_of = owner.rename("cell")
    cell_of[~lone.to_numpy()] = fresh
    told = {"cut": number, "cells": len(olds), "pieces": len(fresh), "moved": moved, "nets": nets}
    told |= {"exceptions": raised, "sha256": _digest(fitted.pieces)}
    audit.append(session, city_id, "cells.cut", f"city/{city.slug}", told)
    return CutDone(number, cell_of, moved)


def uncut(session: Session, city_id: int, number: int) -> int:
    """Put the pieces of a cut together again; return how many cells stand as before.

    Figures of the pieces are added up, what stands in them stands in the old cells. Vertices that
    neighbours got stay, and the old cells have them too.

    Raises
    ------
    ConflictError
        If there is no such cut, or something has been built upon it: a piece was cut again, or
        pieces of one cell belong to different grids in a net or in a draft.
    """
    hold_cells(session, city_id, exclusive=True)
    city = session.get_one(City, city_id)
    pairs = _pieces_of(session, city_id, number)
    if pairs.empty:
        raise ConflictError(phrase("The city has no cut %(number)s.", number=number), cut=number)
    olds, pieces = pairs["cell"].to_numpy(), pairs["piece"].to_numpy()
    _demand_untouched(session, city_id, number, olds, pieces)
    highest = _next(session, city_id)[1] - 1
    _stale_plans(session, city_id, pieces.tolist())
    _unite(session, city_id, pairs)
    first = pairs.drop_duplicates("cell")
    _pass_on(session, city_id, first["piece"].to_numpy(), first["cell"].to_numpy())
    for table in _located():
        moves = _pairs(pieces, olds)
        here = (table.c.city_id == city_id, table.c.cell_id == moves.c.source)
        session.execute(update(table).values(cell_id=moves.c.target).where(*here))
    for statement in _TAKEN_BACK:
        session.execute(statement, _known(city_id, olds, pieces))
    olds = first["cell"].to_numpy()
    inherited.take_back(session, city_id, number)
    nets = _follow(session, city, pieces, pairs["cell"].to_numpy())
    told = {"cut": number, "cells": len(olds), "pieces": len(pieces), "nets": nets}
    told |= {"highest": highest}
    audit.append(session, city_id, "cells.uncut", f"city/{city.slug}", told)
    return len(olds)


_RUNS_DIFFER = text("""
    SELECT p.cell_id
    FROM unnest(CAST(:olds AS bigint[]), CAST(:pieces AS bigint[])) AS p (cell_id, piece_id)
    CROSS JOIN LATERAL (
        SELECT string_agg(concat_ws(' ', n.from_seq, n.to_seq, n.grid_id), ',' ORDER BY n.from_seq)
            AS runs
        FROM net_cell AS n WHERE n.city_id = :city AND n.cell_id = p.piece_id) AS r
    GROUP BY p.cell_id HAVING count(DISTINCT coalesce(r.runs, '')) > 1 LIMIT 1
""")
_DRAFTS_DIFFER = text("""
    SELECT p.cell_id
    FROM unnest(CAST(:olds AS bigint[]), CAST(:pieces AS bigint[])) AS p (cell_id, piece_id)
    CROSS JOIN LATERAL (
        SELECT string_agg(concat_ws(' ', d.plan_id, d.grid_id), ',' ORDER BY d.plan_id) AS rows
        FROM plan_cell AS d WHERE d.city_id = :city AND d.cell_id = p.piece_id) AS r
    GROUP BY p.cell_id HAVING count(DISTINCT coalesce(r.rows, '')) > 1 LIMIT 1
""")
_CUT_AGAIN = text("""
    SELECT p.cell_id
    FROM unnest(CAST(:olds AS bigint[]), CAST(:pieces AS bigint[])) AS p (cell_id, piece_id)
    JOIN cell AS c ON c.city_id = :city AND c.cell_id = p.piece_id
    WHERE c.retired_by_cut IS NOT NULL LIMIT 1
""")
_BUILT_UPON: Final = (
    (phrase("a piece was cut again"), _CUT_AGAIN),
    (phrase("its pieces belong to different grids"), _RUNS_DIFFER),
    (phrase("a draft gives its pieces to different grids"), _DRAFTS_DIFFER),
)
_TAKEN_BACK: Final = (
    text("""
        INSERT INTO cell_value (city_id, vintage, measure, cell_id, value)
        SELECT v.city_id, v.vintage, v.measure, p.cell_id, sum(v.value)
        FROM unnest(CAST(:olds AS bigint[]), CAST(:pieces AS bigint[])) AS p (cell_id, piece_id)
        JOIN cell_value AS v ON v.city_id = :city AND v.cell_id = p.piece_id
        GROUP BY v.city_id, v.vintage, v.measure, p.cell_id
    """),
    text("DELETE FROM net_cell WHERE city_id = :city AND cell_id = ANY (:pieces)"),
    text("DELETE FROM plan_cell WHERE city_id = :city AND cell_id = ANY (:pieces)"),
    text("DELETE FROM cell_value WHERE city_id = :city AND cell_id = ANY (:pieces)"),
    text("DELETE FROM household_place WHERE city_id = :city AND cell_id = ANY (:pieces)"),
    text("UPDATE cell SET retired_by_cut = NULL WHERE city_id = :city AND cell_id = ANY (:olds)"),
    text("DELETE FROM cell_lineage WHERE city_id = :city AND piece_id = ANY (:pieces)"),
    text("DELETE FROM cell WHERE city_id = :city AND cell_id = ANY (:pieces)"),
)

_STALE = text("""
    WITH RECURSIVE touched AS (
        SELECT p.plan_id, coalesce(d.grid_id, n.grid_id) AS grid_id
        FROM plan AS p
        CROSS JOIN unnest(CAST(:cells AS bigint[])) AS c (cell_id)
        LEFT JOIN plan_cell AS d ON d.city_id = p.city_id AND d.plan_id = p.plan_id
            AND d.cell_id = c.cell_id
        LEFT JOIN net_cell AS n ON n.city_id = p.city_id AND n.cell_id = c.cell_id
            AND n.from_seq <= p.base_seq AND p.base_seq < n.to_seq
        WHERE p.city_id = :city AND p.state NOT IN ('published', 'withdrawn')
        UNION
        SELECT t.plan_id, g.parent_id FROM touched AS t
        JOIN plan_grid AS g ON g.city_id = :city AND g.plan_id = t.plan_id AND g.grid_id = t.grid_id
        WHERE g.parent_id IS NOT NULL
    )
    UPDATE plan_grid AS g SET boundary = NULL, boundary_from = NULL FROM touched AS t
    WHERE g.city_id = :city AND g.plan_id = t.plan_id AND g.grid_id = t.grid_id
""")

_AROUND = text("""
    SELECT c.cell_id, ST_AsBinary(c.geom) FROM cell AS c
    WHERE c.city_id = :city AND c.retired_by_cut IS NULL AND EXISTS (
        SELECT FROM cell AS x WHERE x.city_id = :city AND x.cell_id = ANY (:cells)
            AND x.geom && ST_Expand(c.geom, 0.0000001))
    ORDER BY c.cell_id
""")


def _digest(shapes: Any) -> str:
    return hashlib.sha256(b"".join(shapely.to_wkb(shapes))).hexdigest()


def _located() -> list[Table]:
    """Return the tables whose rows stand at a point in a cell."""
    return [
        table
        for table in Base.metadata.sorted_tables
        if table.name not in NOT_MOVED
        and any(key.column.table.name == "cell" for key in table.foreign_keys)
    ]


def _known(city_id: int, olds: Ids, pieces: Ids) -> dict[str, Any]:
    return {"city": city_id, "olds": olds.tolist(), "pieces": pieces.tolist()}


def _pairs(source: Ids, target: Ids) -> TableValuedAlias:
    """Return two lists of ids as a table of pairs."""
    lists = (literal(ids.tolist(), ARRAY(BigInteger)) for ids in (source, target))
    columns = (column("source", BigInteger), column("target", BigInteger))
    return func.unnest(*lists).table_valued(*columns).render_derived(name="pair")


def _pieces_of(session: Session, city_id: int, number: int) -> pd.DataFrame:
    """Return the cells that a cut retired and their pieces."""
    of_cell = and_(CellLineage.city_id == Cell.city_id, CellLineage.cell_id == Cell.cell_id)
    rows = session.execute(
        select(CellLineage.cell_id, CellLineage.piece_id)
        .join(Cell, of_cell)
        .where(Cell.city_id == city_id, Cell.retired_by_cut == number)
        .order_by(CellLineage.cell_id, CellLineage.piece_id)
    ).all()
    return pd.DataFrame([tuple(row) for row in rows], columns=["cell", "piece"], dtype="int64")


def _demand_untouched(session: Session, city_id: int, number: int, olds: Ids, pieces: Ids) -> None:
    for what, statement in _BUILT_UPON:
        cell = session.scalar(statement, _known(city_id, olds, pieces))
        if cell is not None:
            message = phrase(
                "Cut %(number)s cannot be undone: %(what)s (cell %(cell)s).",
                number=number,
                what=what,
                cell=cell,
            )
            raise ConflictError(message, cut=number, cell=int(cell), reason="built_upon")


def _pass_on(session: Session, city_id: int, source: Ids, target: Ids) -> None:
    """Let cells take the runs of all nets and the rows of all plans that others had."""
    pair = _pairs(source, target)
    for name in ("net_cell", "plan_cell"):
        table = Base.metadata.tables[name]
        kept = [c.name for c in table.columns if c.name != "cell_id"]
        taken = select(*(table.c[label] for label in kept), pair.c.target).where(
            table.c.city_id == city_id, table.c.cell_id == pair.c.source
        )
        session.execute(insert(table).from_select([*kept, "cell_id"], taken))
        gone = literal(np.unique(source).tolist(), ARRAY(BigInteger))
        own = (table.c.city_id == city_id, table.c.cell_id == func.any(gone))
        session.execute(delete(table).where(*own))


def _demand_standing(session: Session, city_id: int, cells: Sequence[int] | Ids) -> None:
    standing = session.scalars(
        select(Cell.cell_id).where(
            Cell.city_id == city_id,
            Cell.cell_id.in_([int(cell) for cell in cells]),
            Cell.retired_by_cut.is_(None),
        )
    )
    missing = sorted(set(map(int, cells)) - set(standing))
    if missing:
        message = phrase(
            "%(n)s cell(s) do not stand in the city, or were cut: %(missing)s",
            n=len(missing),
            missing=missing[:5],
        )
        raise ConflictError(message, cells=missing[:100], reason="cell_not_standing")


def around(session: Session, city_id: int, cells: Ids) -> gpd.GeoSeries:
    """Return cells and what lies beside them, as stored."""
    rows = session.execute(_AROUND, {"city": city_id, "cells": cells.tolist()}).all()
    shapes = shapely.from_wkb([bytes(row[1]) for row in rows])
    return gpd.GeoSeries(shapes, index=[int(row[0]) for row in rows], crs=SRID)


def _next(session: Session, city_id: int) -> tuple[int, int]:
    """Return the number of the next cut and of the next cell."""
    highest = select(func.max(Cell.retired_by_cut), func.max(Cell.cell_id))
    last_cut, last_cell = session.execute(highest.where(Cell.city_id == city_id)).one()
    undone = audit.latest(session, city_id, "cells.uncut") or {}
    # numbers of pieces that were put together again may stand in the logs of plans
    last_cut = max(last_cut or 0, undone.get("cut", 0))
    return last_cut + 1, max(last_cell, undone.get("highest", 0)) + 1


def _put_cells(
    session: Session,
    city_id: int,
    number: int,
    fresh: Ids,
    olds: pd.Series[int],
    shapes: Any,
    area_m2: NDArray[np.float64],
) -> None:
    binary = shapely.to_wkb(shapely.set_srid(shapes, SRID), hex=True, include_srid=True)
    city = pa.repeat(pa.scalar(city_id, pa.int16()), len(fresh))
    rows = {"city_id": city, "cell_id": fresh, "geom": pa.array(binary), "area_m2": area_m2}
    copy_rows(session, "cell", pa.table(rows), lambda share: None)
    lineage = {"city_id": city, "cell_id": olds.to_numpy(), "piece_id": fresh}
    copy_rows(session, "cell_lineage", pa.table(lineage), lambda share: None)
    retire = text(
        "UPDATE cell SET retired_by_cut = :cut WHERE city_id = :city AND cell_id = ANY (:cells)"
    )
    cells = [int(cell) for cell in olds.unique()]
    session.execute(retire, {"cut": number, "city": city_id, "cells": cells})


def _reshape(session: Session, city_id: int, shapes: dict[int, Any]) -> None:
    """Give cells the rings that have new vertices."""
    if not shapes:
        return
    statement = text(
        "UPDATE cell AS c SET geom = ST_SetSRID(ST_GeomFromWKB(m.shape), 4326)"
        " FROM unnest(:cells, :shapes) AS m (cell_id, shape)"
        " WHERE c.city_id = :city AND c.cell_id = m.cell_id"
    ).bindparams(
        bindparam("cells", type_=ARRAY(BigInteger)), bindparam("shapes", type_=ARRAY(BYTEA))
    )
    binary = [bytes(shape) for shape in shapely.to_wkb(list(shapes.values()))]
    session.execute(statement, {"city": city_id, "cells": list(shapes), "shapes": binary})


def _stale_plans(session: Session, city_id: int, cells: Sequence[int]) -> None:
    """Drop the boundaries of drafts' grids whose cells got other borders: they are stale."""
    session.execute(_STALE, {"city": city_id, "cells": list(cells)})


def _move(session: Session, city_id: int, table: Table, pieces: gpd.GeoDataFrame) -> int:
    """Put the rows of a table that stand in old cells into the pieces on which their points lie."""
    key = next(c for c in table.primary_key.columns if c.name != "city_id")
    shape = next(c for c in table.columns if hasattr(c.type, "geometry_type"))
    point = func.ST_PointOnSurface(shape)
    old = literal([int(cell) for cell in pieces["cell_id"].unique()], ARRAY(BigInteger))
    found = session.execute(
        select(key, table.c.cell_id, func.ST_X(point), func.ST_Y(point))
        .where(table.c.city_id == city_id, table.c.cell_id == func.any(old))
        .order_by(key)
    ).all()
    if not found:
        return 0
    rows = pd.DataFrame([tuple(row) for row in found], columns=["row", "cell_id", "x", "y"])
    moves = _pairs(rows["row"].to_numpy(dtype=np.int64), _standing_on(rows, pieces))
    here = (table.c.city_id == city_id, key == moves.c.source)
    session.execute(update(table).values(cell_id=moves.c.target).where(*here))
    return len(rows)


def _standing_on(rows: pd.DataFrame, pieces: gpd.GeoDataFrame) -> Ids:
    """Return the piece of its own cell on which each row stands, else the nearest one of them."""
    points = shapely.points(rows["x"].to_numpy(dtype=float), rows["y"].to_numpy(dtype=float))
    shapes = pieces.geometry.to_numpy()
    row, piece = shapely.STRtree(shapes).query(points, predicate="intersects")
    own = rows["cell_id"].to_numpy()[row] == pieces["cell_id"].to_numpy()[piece]
    on = np.full(len(rows), len(shapes), dtype=np.int64)
    np.minimum.at(on, row[own], piece[own])  # on a border: the first piece, as everywhere
    of_cell = pieces.groupby("cell_id").indices
    for lost in np.flatnonzero(on == len(shapes)):
        able = of_cell[rows["cell_id"].iloc[lost]]
        on[lost] = able[np.argmin(shapely.distance(shapes[able], points[lost]))]
    return np.asarray(pieces["piece"].to_numpy()[on], dtype=np.int64)


def _share_values(session: Session, city_id: int, pieces: gpd.GeoDataFrame) -> None:
    """Share the dated figures of old cells out over their pieces."""
    known = {"city": city_id, "cells": [int(cell) for cell in pieces["cell_id"].unique()]}
    found = session.execute(
        text(
            "SELECT vintage, measure, cell_id, value FROM cell_value"
            " WHERE city_id = :city AND cell_id = ANY (:cells) ORDER BY 1, 2, 3"
        ),
        known,
    ).all()
    if not found:
        return
    values = pd.DataFrame(found, columns=["vintage", "measure", "cell_id", "value"])
    counted = session.execute(
        text(
            "SELECT cell_id, sum(households) FROM building"
            " WHERE city_id = :city AND cell_id = ANY (:pieces) GROUP BY cell_id"
        ),
        {"city": city_id, "pieces": pieces["piece"].tolist()},
    ).all()
    homes = {int(cell): float(number or 0) for cell, number in counted}
    told = pd.DataFrame(pieces[["cell_id", "piece", "area", WEIGHT]])
    told["counted"] = told["piece"].map(homes).fillna(0.0)
    spread = values.rename_axis("row").reset_index().merge(told, on="cell_id")
    spread["counted"] = spread["counted"].where(spread["measure"] == HOUSEHOLDS, 0.0)
    heft = spread["area"]
    for better in (WEIGHT, "counted"):
        known_here = spread.groupby("row")[better].transform("sum") > 0
        heft = spread[better].where(known_here, heft)
    exact = shared_exactly(
        np.abs(values["value"].to_numpy()), spread["row"].to_numpy(), heft.to_numpy()
    )
    sign = np.where(values["value"].to_numpy()[spread["row"]] < 0, -1.0, 1.0)
    session.execute(
        text("DELETE FROM cell_value WHERE city_id = :city AND cell_id = ANY (:cells)"), known
    )
    columns = {
        "city_id": pa.repeat(pa.scalar(city_id, pa.int16()), len(spread)),
        "vintage": pa.array(spread["vintage"], pa.string()),
        "measure": pa.array(spread["measure"], pa.string()),
        "cell_id": spread["piece"].to_numpy(),
        "value": exact * sign,
    }
    copy_rows(session, "cell_value", pa.table(columns), lambda share: None)


def _unite(session: Session, city_id: int, pairs: pd.DataFrame) -> None:
    """Give old cells the ground of their pieces, with every vertex that came since."""
    rows = session.execute(
        select(Cell.cell_id, func.ST_AsBinary(Cell.geom)).where(
            Cell.city_id == city_id, Cell.cell_id.in_(pairs["piece"].tolist())
        )
    ).all()
    shape_of = {int(cell): shapely.from_wkb(bytes(binary)) for cell, binary in rows}
    united: dict[int, Any] = {}
    for cell in pairs["cell"].unique().tolist():
        own = pairs.loc[pairs["cell"] == cell, "piece"].tolist()
        united[cell] = shapely.coverage_union_all([shape_of[piece] for piece in own])
    _reshape(session, city_id, united)


_COUNTED_AGAIN: Final = text("""
    UPDATE net_count AS k SET cells = k.cells + f.more
    FROM (
        SELECT n.seq, a.grid_id, count(DISTINCT p.come) - count(DISTINCT p.gone) AS more
        FROM unnest(CAST(:gone AS bigint[]), CAST(:come AS bigint[])) AS p (gone, come)
        JOIN net_cell AS c ON c.city_id = :city AND c.cell_id = p.come
        JOIN net AS n ON n.city_id = :city AND c.from_seq <= n.seq AND n.seq < c.to_seq
        JOIN net_grid AS g ON g.city_id = :city AND g.grid_id = c.grid_id
            AND g.from_seq <= n.seq AND n.seq < g.to_seq
        CROSS JOIN LATERAL unnest(
            ARRAY[g.area_1, g.area_2, g.area_3, g.area_4, g.area_5, g.area_6]) AS a (grid_id)
        WHERE a.grid_id IS NOT NULL
        GROUP BY n.seq, a.grid_id
    ) AS f
    WHERE k.city_id = :city AND k.seq = f.seq AND k.grid_id = f.grid_id
""")
_ESTATES_NEAR: Final = text("""
    SELECT m.compound_id FROM compound AS m WHERE m.city_id = :city AND EXISTS (
        SELECT FROM cell AS c WHERE c.city_id = :city AND c.cell_id = ANY (:come)
            AND c.geom && m.geom)
    UNION
    SELECT x.compound_id FROM net_compound AS x
    WHERE x.city_id = :city AND x.grid_id IN (
        SELECT a.grid_id FROM net_cell AS c
        JOIN net_grid AS g ON g.city_id = :city AND g.grid_id = c.grid_id
        CROSS JOIN LATERAL unnest(
            ARRAY[g.area_1, g.area_2, g.area_3, g.area_4, g.area_5, g.area_6]) AS a (grid_id)
        WHERE c.city_id = :city AND c.cell_id = ANY (:come))
""")
_PAIRS_OF_NET: Final = text("""
    SELECT string_agg(int8send(cell_id) || int8send(grid_id), '') FROM net_cell
    WHERE city_id = :city AND from_seq <= :seq AND :seq < to_seq
""")


def _follow(session: Session, city: City, gone: Ids, come: Ids) -> dict[str, list[str]]:
    """Make again what follows from cells; return the old and the new seal of each net.

    Sums of figures stay what they were: `gone` and `come`, pair by pair, are the same ground.
    """
    remove = text("DELETE FROM household_place WHERE city_id = :city AND cell_id = ANY (:cells)")
    session.execute(remove, {"city": city.city_id, "cells": np.unique(gone).tolist()})
    derived.refresh_places(session, city.city_id, city.metre_srid, cells=np.unique(come).tolist())
    known = {"city": city.city_id, "gone": gone.tolist(), "come": come.tolist()}
    session.execute(_COUNTED_AGAIN, known)
    near = session.scalars(_ESTATES_NEAR, known).all()
    estates.refresh(session, city.city_id, city.metre_srid, among=near)
    nets = session.scalars(select(Net).where(Net.city_id == city.city_id).order_by(Net.seq))
    return {str(net.seq): _sealed_again(session, net) for net in nets}


def _sealed_again(session: Session, net: Net) -> list[str]:
    """Seal a net anew, whose cells have other names now; return the first digits of both seals."""
    told = session.scalar(_PAIRS_OF_NET, {"city": net.city_id, "seq": net.seq}) or b""
    cells = np.frombuffer(bytes(told), dtype=">i8").reshape(-1, 2).astype(np.int64)
    grids = session.execute(
        select(*(getattr(NetGrid, name) for name in SEALED)).where(
            NetGrid.city_id == net.city_id, NetGrid.from_seq <= net.seq, net.seq < NetGrid.to_seq
        )
    ).all()
    before = net.hash
    net.hash = net_hash(
        pd.DataFrame(cells, columns=["cell_id", "grid_id"]),
        pd.DataFrame(grids, columns=list(SEALED)),
    )
    session.flush()
    return [before.hex()[:16], net.hash.hex()[:16]]
