"""Compounds, and how they and the grids of a net lie to each other: reckoned from cells."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Integer,
    SmallInteger,
    Subquery,
    Text,
    and_,
    column,
    delete,
    func,
    or_,
    select,
    table,
    text,
)
from sqlalchemy.orm import Session

from geo.errors import NotFoundError
from geo.store.grids import of_net, within
from geo.store.nets import Moment
from geo.store.paging import Key, Order, Page, Statement
from geo.store.shapes import Box, contains_text, geojson, intersects
from geo.tables import Compound, CompoundBody, NetCompound, NetGrid, Organisation
from geo.terms import CompoundRole

RELATIONS: Final = ("larger", "equal", "smaller", "crossing")
"""The compound is larger than the grids in it, is a grid, is a part of one, or crosses borders.

One lies in the other from 95 % of the households on.
"""

_SHARED: Final = text(
    """
    WITH counted AS (
        SELECT vintage FROM vintage WHERE city_id = :city AND NOT seasonal
        ORDER BY taken_on DESC, vintage DESC LIMIT 1
    ), grid_level AS (
        SELECT coalesce(min(level) FILTER (WHERE code = 'grid'), max(level)) AS level
        FROM level WHERE city_id = :city
    ), inside AS MATERIALIZED (
        SELECT m.compound_id, c.cell_id, coalesce(v.value, 0) AS households
        FROM compound AS m
        CROSS JOIN LATERAL (
            SELECT x.cell_id, x.geom FROM cell AS x
            WHERE x.city_id = m.city_id AND x.retired_by_cut IS NULL AND x.geom && m.geom
        ) AS c
        LEFT JOIN household_place AS p ON p.city_id = m.city_id AND p.cell_id = c.cell_id
        LEFT JOIN cell_value AS v ON v.city_id = m.city_id AND v.cell_id = c.cell_id
          AND v.measure = 'households' AND v.vintage = (SELECT vintage FROM counted)
        WHERE m.city_id = :city
          AND (CAST(:compounds AS bigint[]) IS NULL OR m.compound_id = ANY (:compounds))
          AND ST_Intersects(m.geom, coalesce(
            ST_Transform(ST_SetSRID(ST_MakePoint(p.x, p.y), CAST(:srid AS integer)), 4326),
            ST_PointOnSurface(c.geom)))
    ), part AS (
        SELECT n.seq, i.compound_id, a.grid_id, count(*)::integer AS cells,
               sum(i.households) AS households
        FROM inside AS i
        CROSS JOIN net AS n
        JOIN net_cell AS c ON c.city_id = n.city_id AND c.cell_id = i.cell_id
          AND c.from_seq <= n.seq AND c.to_seq > n.seq
        JOIN net_grid AS g ON g.city_id = n.city_id AND g.grid_id = c.grid_id
          AND g.from_seq <= n.seq AND g.to_seq > n.seq
        CROSS JOIN LATERAL (
            SELECT coalesce((ARRAY[g.area_1, g.area_2, g.area_3, g.area_4, g.area_5, g.area_6])[
                (SELECT level FROM grid_level)], c.grid_id) AS grid_id
        ) AS a
        WHERE n.city_id = :city AND (CAST(:seq AS integer) IS NULL OR n.seq = :seq)
        GROUP BY n.seq, i.compound_id, a.grid_id
    ), whole AS (
        SELECT seq, compound_id, sum(cells) AS cells, sum(households) AS households
        FROM part GROUP BY seq, compound_id
    )
    INSERT INTO net_compound (city_id, seq, compound_id, grid_id, cells, households,
                              share_of_compound, share_of_grid)
    SELECT :city, p.seq, p.compound_id, p.grid_id, p.cells, p.households,
           CASE WHEN w.households > 0 THEN p.households / w.households
                ELSE p.cells / w.cells::float8 END,
           CASE WHEN w.households > 0 THEN p.households / nullif(v.value, 0)
                ELSE p.cells / k.cells::float8 END
    FROM part AS p
    JOIN whole AS w ON w.seq = p.seq AND w.compound_id = p.compound_id
    JOIN net_count AS k ON k.city_id = :city AND k.seq = p.seq AND k.grid_id = p.grid_id
    LEFT JOIN net_value AS v ON v.city_id = :city AND v.seq = p.seq AND v.grid_id = p.grid_id
      AND v.measure = 'households' AND v.vintage = (SELECT vintage FROM counted)
    WHERE w.households = 0 OR p.households > 0
    """
)

_RELATION: Final = table(
    "net_relation",
    column("city_id", SmallInteger),
    column("seq", Integer),
    column("compound_id", BigInteger),
    column("relation", Text),
    column("grids", BigInteger),
    column("grid_id", BigInteger),
)
"""How compounds and grids lie: a view that everybody may read, without any count of households."""


@dataclass(frozen=True)
class CompoundFilter:
    """What a list of compounds is narrowed by; None does not narrow.

    Parameters
    ----------
    bbox : tuple of float
        West, south, east, north in degrees.
    q : str
        Part of the name.
    relation : str
        One of `RELATIONS`.
    community_type : str
    firm : bool
        Those that have a property firm on the day, or those without one.
    committee : bool
        The same of the owners' committee.
    grid : int
        The grid that holds most of it, or a grid above that.
    compound : int
        This one alone.
    """

    bbox: Box | None = None
    q: str | None = None
    relation: str | None = None
    community_type: str | None = None
    firm: bool | None = None
    committee: bool | None = None
    grid: int | None = None
    compound: int | None = None


def compounds(
    session: Session,
    at: Moment,
    narrow: CompoundFilter,
    *,
    limit: int = 100,
    after: str | None = None,
    geometry: bool = False,
) -> Page[dict[str, Any]]:
    """Return a page of compounds: firm and committee on the day, relation to the net's grids.

    Households are told to the city's staff: few of them could be found as a difference.

    Raises
    ------
    InvalidInputError
        If the cursor does not belong to this list.
    """
    firm, committee = _bodies(CompoundRole.FIRM, at), _bodies(CompoundRole.COMMITTEE, at)
    related, counted = _related(at), _counted(at)
    columns = [
        Compound.compound_id.label("compound"),
        Compound.name,
        Compound.community_type,
        firm.c.organisation_id.label("firm"),
        firm.c.name.label("firm_name"),
        committee.c.organisation_id.label("committee"),
        committee.c.name.label("committee_name"),
        related.c.relation,
        related.c.grids,
        counted.c.households,
        related.c.grid_id.label("grid"),
        NetGrid.name.label("grid_name"),
        func.ST_X(func.ST_PointOnSurface(Compound.geom)).label("lon"),
        func.ST_Y(func.ST_PointOnSurface(Compound.geom)).label("lat"),
        func.ST_XMin(Compound.geom).label("west"),
        func.ST_YMin(Compound.geom).label("south"),
        func.ST_XMax(Compound.geom).label("east"),
        func.ST_YMax(Compound.geom).label("north"),
        *([geojson(Compound.geom).label("geometry")] if geometry else []),
    ]
    statement: Statement = select(*columns).select_from(Compound)
    for one in (firm, committee, related, counted):
        statement = statement.outerjoin(one, one.c.compound_id == Compound.compound_id)
    statement = statement.outerjoin(
        NetGrid, and_(of_net(NetGrid, at), NetGrid.grid_id == related.c.grid_id)
    ).where(Compound.city_id == at.city_id)
    for body, wanted in ((firm, narrow.firm), (committee, narrow.committee)):
        if wanted is not None:
            has = body.c.organisation_id
            statement = statement.where(has.is_not(None) if wanted else has.is_(None))
    statement = _narrowed(statement, at, narrow, related)
    question = {"list": "compounds", "city": at.city_id, "seq": at.seq, **asdict(narrow)}
    order = Order((Key(Compound.compound_id, int),), {**question, "day": at.day})
    page = order.fetch(session, statement, limit=limit, after=after)
    for row in page.items:
        row["bbox"] = [row.pop(side) for side in ("west", "south", "east", "north")]
        if "geometry" in row:
            row["geometry"] = json.loads(row["geometry"])
    return page


def _narrowed(
    statement: Statement, at: Moment, narrow: CompoundFilter, related: Subquery
) -> Statement:
    if narrow.bbox is not None:
        statement = statement.where(intersects(Compound.geom, narrow.bbox))
    if narrow.q:
        statement = statement.where(contains_text(Compound.name, narrow.q))
    if narrow.compound is not None:
        statement = statement.where(Compound.compound_id == narrow.compound)
    if narrow.relation is not None:
        statement = statement.where(related.c.relation == narrow.relation)
    if narrow.community_type is not None:
        statement = statement.where(Compound.community_type == narrow.community_type)
    if narrow.grid is not None:
        below = select(NetGrid.grid_id).where(of_net(NetGrid, at), within(narrow.grid))
        statement = statement.where(related.c.grid_id.in_(below))
    return statement


def _related(at: Moment) -> Subquery:
    """Return relation, number of grids and main grid of each compound of a net."""
    own = and_(_RELATION.c.city_id == at.city_id, _RELATION.c.seq == at.seq)
    return select(_RELATION).where(own).subquery("related")


def _counted(at: Moment) -> Subquery:
    """Return the households of each compound; the city's staff alone finds any."""
    own = and_(NetCompound.city_id == at.city_id, NetCompound.seq == at.seq)
    total = func.sum(NetCompound.households).label("households")
    grouped = select(NetCompound.compound_id, total).where(own)
    return grouped.group_by(NetCompound.compound_id).subquery("counted")


def _bodies(role: CompoundRole, at: Moment) -> Subquery:
    """Return which body has a role in each compound of the city on the day."""
    return (
        select(CompoundBody.compound_id, Organisation.organisation_id, Organisation.name)
        .join(
            Organisation,
            and_(
                Organisation.city_id == CompoundBody.city_id,
                Organisation.organisation_id == CompoundBody.organisation_id,
            ),
        )
        .where(
            CompoundBody.city_id == at.city_id,
            CompoundBody.role == role.value,
            CompoundBody.valid_from <= at.day,
            or_(CompoundBody.valid_to.is_(None), CompoundBody.valid_to > at.day),
        )
        .subquery()
    )


def card(session: Session, at: Moment, compound: int) -> dict[str, Any]:
    """Return one compound as in the list, with the grids that hold parts of it.

    Raises
    ------
    NotFoundError
        If there is no such compound.
    """
    page = compounds(session, at, CompoundFilter(compound=compound), limit=1)
    if not page.items:
        raise NotFoundError(f"There is no compound {compound}.", compound=compound)
    return {**page.items[0], "parts": parts(session, at, compound)}


def parts(session: Session, at: Moment, compound: int) -> list[dict[str, Any]]:
    """Return the grids that hold parts of a compound, the largest part first; for staff alone."""
    rows = session.execute(
        select(
            NetCompound.grid_id.label("grid"),
            NetGrid.name,
            NetGrid.code,
            NetGrid.level,
            NetCompound.households,
            NetCompound.share_of_compound,
            NetCompound.share_of_grid,
        )
        .join(NetGrid, and_(of_net(NetGrid, at), NetGrid.grid_id == NetCompound.grid_id))
        .where(
            NetCompound.city_id == at.city_id,
            NetCompound.seq == at.seq,
            NetCompound.compound_id == compound,
        )
        .order_by(NetCompound.share_of_compound.desc(), NetCompound.grid_id)
    )
    return [dict(row) for row in rows.mappings()]


def summary(session: Session, at: Moment) -> dict[str, dict[str, int]]:
    """Return how many compounds there are, by relation, by type, and lacking a firm."""
    everything: list[dict[str, Any]] = []
    page = compounds(session, at, CompoundFilter(), limit=1000)
    everything += page.items
    while page.next:
        page = compounds(session, at, CompoundFilter(), limit=1000, after=page.next)
        everything += page.items
    counts: dict[str, dict[str, int]] = {"relation": {}, "type": {}, "lacking": {}}
    for one in everything:
        for subject, word in (("relation", one["relation"]), ("type", one["community_type"])):
            counts[subject][word or ""] = counts[subject].get(word or "", 0) + 1
    counts["lacking"] = {
        "firm": sum(one["firm"] is None for one in everything),
        "committee": sum(one["committee"] is None for one in everything),
        "all": len(everything),
    }
    return counts


_TOUCHED: Final = text("""
    SELECT DISTINCT m.compound_id FROM net_compound AS m
    WHERE m.city_id = :city AND m.seq = :like AND (m.grid_id = ANY (:redrawn) OR NOT EXISTS (
        SELECT FROM net_grid AS g WHERE g.city_id = m.city_id AND g.grid_id = m.grid_id
            AND g.from_seq <= :seq AND :seq < g.to_seq))
""")
"""Compounds on ground that was redrawn, or whose grid has ended."""
_KEPT: Final = text("""
    INSERT INTO net_compound (city_id, seq, compound_id, grid_id, cells, households,
                              share_of_compound, share_of_grid)
    SELECT city_id, :seq, compound_id, grid_id, cells, households, share_of_compound, share_of_grid
    FROM net_compound
    WHERE city_id = :city AND seq = :like AND compound_id <> ALL (:touched)
""")


def follow(
    session: Session, city: int, metre_srid: int, seq: int, like: int, redrawn: Sequence[int]
) -> None:
    """Reckon what compounds and grids have in common on a new net, which has no rows yet.

    Parameters
    ----------
    like : int
        The net before, from which compounds are taken over that lie in no grid redrawn since.
    redrawn : sequence of int
        Grids whose ground is otherwise than on the net before.
    """
    known = {"city": city, "seq": seq, "like": like, "redrawn": list(redrawn)}
    touched = [int(one) for one in session.scalars(_TOUCHED, known)]
    session.execute(_KEPT, known | {"touched": touched})
    if touched:
        refresh(session, city, metre_srid, seq, touched)


def refresh(
    session: Session,
    city: int,
    metre_srid: int,
    seq: int | None = None,
    among: Sequence[int] | None = None,
) -> None:
    """Reckon again what compounds and grids have in common, on a net or on all of a city's.

    Of all compounds, or of those `among` them.

    A cell belongs to a compound when its households stand in it: those of a cell stand at its
    buildings. It rests on the sums of the net's grids, and on where households stand.
    """
    own = delete(NetCompound).where(NetCompound.city_id == city)
    own = own if seq is None else own.where(NetCompound.seq == seq)
    session.execute(own if among is None else own.where(NetCompound.compound_id.in_(among)))
    asked: dict[str, Any] = {"city": city, "srid": metre_srid, "seq": seq}
    asked["compounds"] = None if among is None else list(among)
    session.execute(_SHARED, asked)
