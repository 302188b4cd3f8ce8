"""Cities, their nets, and which net and which figures a date stands for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import and_, false, func, literal, select, text
from sqlalchemy.orm import Session, aliased

from geo.errors import CityNotFoundError, InvalidInputError, NetNotFoundError
from geo.tables import City, Erratum, Level, Net, NetGrid, StationKind, Vintage

HOUSEHOLDS = "households"


@dataclass(frozen=True)
class Moment:
    """A city on a day: the net that is in force then and the vintage its figures are of.

    Parameters
    ----------
    city_id, slug, profile, metre_srid, timezone
        Of the city.
    day : date
        In the city's zone; posts are those held on it.
    seq : int
        Number of the net.
    effective_from : date
        First day of the net.
    net_hash : bytes
        Content hash of the net.
    vintage : str or None
        Vintage of the measures; None for a city without any.
    estimated : bool
        Whether the figures of that vintage are an estimate and not a count.
    """

    city_id: int
    slug: str
    profile: str
    metre_srid: int
    timezone: str
    day: date
    seq: int
    effective_from: date
    net_hash: bytes
    vintage: str | None
    estimated: bool = False

    @property
    def version(self) -> str:
        """Beginning of the content hash, which stands in addresses of what never changes."""
        return self.net_hash[:8].hex()


_CITY_ON_A_DAY = text(
    """
    SELECT c.city_id, c.slug, c.profile, c.metre_srid, c.timezone, d.day, n.seq,
           n.effective_from, n.hash, v.vintage, coalesce(v.estimated, false) AS estimated
    FROM city AS c
    CROSS JOIN LATERAL (
        SELECT coalesce(CAST(:day AS date),
                        (statement_timestamp() AT TIME ZONE c.timezone)::date) AS day
    ) AS d
    LEFT JOIN LATERAL (
        SELECT x.seq, x.effective_from, x.hash
        FROM net AS x
        WHERE x.city_id = c.city_id AND x.cancelled_at IS NULL AND x.effective_from <= d.day
        ORDER BY x.seq DESC LIMIT 1
    ) AS n ON true
    LEFT JOIN LATERAL (
        SELECT x.vintage, x.estimated
        FROM vintage AS x
        WHERE x.city_id = c.city_id
          AND CASE WHEN CAST(:vintage AS text) IS NULL THEN NOT x.seasonal
                   ELSE x.vintage = :vintage END
        ORDER BY x.taken_on > d.day, abs(x.taken_on - d.day), x.vintage LIMIT 1
    ) AS v ON true
    WHERE c.city_id = :city
    """
)

_DAY_OF_A_NET = text(
    """
    SELECT greatest(n.effective_from, least(
               (statement_timestamp() AT TIME ZONE c.timezone)::date,
               (SELECT min(x.effective_from) - 1 FROM net AS x
                WHERE x.city_id = n.city_id AND x.seq > n.seq AND x.cancelled_at IS NULL
                  AND x.effective_from > n.effective_from))) AS day,
           c.slug, n.seq, n.effective_from, n.hash
    FROM city AS c
    LEFT JOIN net AS n ON n.city_id = c.city_id AND n.seq = :seq
    WHERE c.city_id = :city
    """
)


def moment(
    session: Session, city: int, day: date | None = None, vintage: str | None = None
) -> Moment:
    """Return the net in force on a day, today in the city's zone when none is given.

    The vintage is the latest taken until then that is not seasonal, else the earliest, unless one
    is asked for.

    Raises
    ------
    CityNotFoundError
        If there is no such city.
    NetNotFoundError
        If the city has no net yet on that day.
    InvalidInputError
        If the city has no such vintage.
    """
    row = _on_a_day(session, city, day, vintage)
    if row.seq is None:
        raise NetNotFoundError(
            f"The city '{row.slug}' has no net on {row.day}; ask for a later date.",
            city=row.slug,
            as_of=row.day.isoformat(),
            first=_first_day(session, city),
        )
    return Moment(*row)


def moment_of_net(
    session: Session, city: int, seq: int, day: date | None = None, vintage: str | None = None
) -> Moment:
    """Return the city with a net named by its number; by default on the last day of it so far.

    Raises
    ------
    CityNotFoundError
        If there is no such city.
    NetNotFoundError
        If the city has no net of this number.
    InvalidInputError
        If the city has no such vintage.
    """
    found = session.execute(_DAY_OF_A_NET, {"city": city, "seq": seq}).first()
    if found is None:
        raise CityNotFoundError("There is no such city.", city=city)
    if found.seq is None:
        raise NetNotFoundError(f"The city '{found.slug}' has no net {seq}.", seq=seq)
    row = _on_a_day(session, city, day or found.day, vintage)
    return Moment(
        row.city_id, row.slug, row.profile, row.metre_srid, row.timezone, row.day,
        found.seq, found.effective_from, found.hash, row.vintage, row.estimated,
    )  # fmt: skip


def _on_a_day(session: Session, city: int, day: date | None, vintage: str | None) -> Any:
    asked = {"city": city, "day": day, "vintage": vintage}
    row = session.execute(_CITY_ON_A_DAY, asked).first()
    if row is None:
        raise CityNotFoundError("There is no such city.", city=city)
    if vintage is not None and row.vintage is None:
        raise InvalidInputError(
            f"The city '{row.slug}' has no figures of '{vintage}'.", field="vintage"
        )
    return row


def _first_day(session: Session, city_id: int) -> str | None:
    first = session.scalar(
        select(func.min(Net.effective_from)).where(
            Net.city_id == city_id, Net.cancelled_at.is_(None)
        )
    )
    return first.isoformat() if first else None


def cities(session: Session, city: int | None = None) -> Sequence[Any]:
    """Return all cities, or one of them: identity and extent in degrees."""
    outline = City.outline
    statement = select(
        City.city_id,
        City.slug,
        City.name,
        City.name_en,
        City.profile,
        City.timezone,
        City.metre_srid,
        City.demo,
        func.ST_XMin(outline).label("west"),
        func.ST_YMin(outline).label("south"),
        func.ST_XMax(outline).label("east"),
        func.ST_YMax(outline).label("north"),
    ).order_by(City.slug)
    if city is not None:
        statement = statement.where(City.city_id == city)
    return session.execute(statement).all()


# A run of a grid has its errata beside each net of which it is part.
_RUN = aliased(NetGrid)
_ERRATA = (
    select(func.count())
    .select_from(Erratum)
    .join(
        _RUN,
        and_(
            _RUN.city_id == Erratum.city_id,
            _RUN.grid_id == Erratum.grid_id,
            _RUN.from_seq <= Erratum.seq,
            Erratum.seq < _RUN.to_seq,
        ),
    )
    .where(Erratum.city_id == Net.city_id, _RUN.from_seq <= Net.seq, Net.seq < _RUN.to_seq)
    .correlate(Net)
    .scalar_subquery()
)


def nets(session: Session, city: int) -> Sequence[Any]:
    """Return a city's nets, the newest first, with the one that is in force today marked live."""
    today = func.timezone(City.timezone, func.statement_timestamp())
    live = (
        select(func.max(Net.seq))
        .join(City, City.city_id == Net.city_id)
        .where(
            Net.city_id == city,
            Net.cancelled_at.is_(None),
            Net.effective_from <= func.date(today),
        )
        .scalar_subquery()
    )
    statement = (
        select(
            Net.seq,
            Net.effective_from,
            Net.decided_at,
            Net.cancelled_at,
            func.coalesce(Net.seq == live, literal(False)).label("live"),
            func.encode(func.substr(Net.hash, 1, 8), "hex").label("version"),
            _ERRATA.label("errata"),
        )
        .where(Net.city_id == city)
        .order_by(Net.seq.desc())
    )
    return session.execute(statement).all()


def levels(session: Session, city: int, seq: int | None) -> Sequence[Any]:
    """Return a city's levels with the number of grids that a net has at each; 0 without a net.

    `above` is the number of grids of the level above, None at the top, and `divided` the number of
    those that have grids of this level: fewer where only some communities are divided further.
    """
    grids = func.count(NetGrid.grid_id)
    own = and_(NetGrid.city_id == Level.city_id, NetGrid.level == Level.level)
    in_net = false() if seq is None else and_(NetGrid.from_seq <= seq, NetGrid.to_seq > seq)
    statement = (
        select(
            Level.level,
            Level.code,
            Level.name,
            Level.name_en,
            Level.zoom_min,
            Level.zoom_max,
            grids.label("count"),
            func.count(NetGrid.parent_id.distinct()).label("divided"),
            func.lag(grids).over(order_by=Level.level).label("above"),
        )
        .outerjoin(NetGrid, and_(own, in_net))
        .where(Level.city_id == city)
        .group_by(Level.city_id, Level.level)
        .order_by(Level.level)
    )
    return session.execute(statement).all()


def vintages(session: Session, city: int) -> Sequence[Any]:
    """Return a city's vintages, the newest first."""
    statement = (
        select(Vintage.vintage, Vintage.name, Vintage.taken_on, Vintage.seasonal, Vintage.estimated)
        .where(Vintage.city_id == city)
        .order_by(Vintage.taken_on.desc(), Vintage.vintage)
    )
    return session.execute(statement).all()


_LAYERS = text(
    """
    SELECT s.layer FROM (VALUES
        ('building', EXISTS (SELECT FROM building WHERE city_id = :city)),
        ('street', EXISTS (SELECT FROM street WHERE city_id = :city)),
        ('water', EXISTS (SELECT FROM barrier WHERE city_id = :city)),
        ('compound', EXISTS (SELECT FROM compound WHERE city_id = :city)),
        ('stations', EXISTS (SELECT FROM station WHERE city_id = :city))
    ) AS s (layer, there) WHERE s.there
    """
)


def layers(session: Session, city: int) -> list[str]:
    """Return which layers of the map a city has anything of, besides its grids."""
    return list(session.scalars(_LAYERS, {"city": city}))


_MEASURES = text(
    "SELECT DISTINCT measure FROM net_value WHERE city_id = :city"
    " AND seq = (SELECT max(seq) FROM net_value WHERE city_id = :city) ORDER BY measure"
)


def measures(session: Session, city: int) -> list[str]:
    """Return the names of the measures that a city's grids have."""
    return list(session.scalars(_MEASURES, {"city": city}))


def station_kinds(session: Session, city: int) -> Sequence[Any]:
    """Return the kinds of service stations of a city."""
    statement = (
        select(StationKind.kind, StationKind.name, StationKind.name_en, StationKind.serves)
        .where(StationKind.city_id == city)
        .order_by(StationKind.kind)
    )
    return session.execute(statement).all()
