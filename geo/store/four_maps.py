"""The figures of the four maps for a question on a city: the net of the day, then the rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy.orm import Session

from geo.density import SQUARE_SIDES_M
from geo.errors import InvalidInputError
from geo.store import figures, nets, standing
from geo.store.nets import Moment
from geo.store.reading import Asked

Answer = tuple[Moment, dict[str, Any]]


def _opened(session: Session, asked: Asked, level: int, kinds: Sequence[str]) -> tuple[Moment, str]:
    """Return the moment and the city's name, once level and kinds are known to be the city's."""
    at = asked.moment(session)
    standing.require_level(session, at, level)
    standing.require_kinds(session, at, kinds)
    return at, nets.cities(session, asked.city)[0].name


def coverage(session: Session, asked: Asked, level: int, kinds: Sequence[str] = ()) -> Answer:
    """Return the households of each grid of a level that live near an open station.

    Raises
    ------
    NetNotFoundError
        If the city has no net yet on that day.
    InvalidInputError
        If there is no such level, kind of station or vintage.
    """
    at, name = _opened(session, asked, level, kinds)
    return at, figures.coverage(session, at, level, kinds, name)


def coverage_squares(
    session: Session, asked: Asked, side_m: int, kinds: Sequence[str] = ()
) -> Answer:
    """Return the households of fixed squares by their distance to the nearest open station.

    For roles that may read the whole city: a square can hold one building alone.

    Raises
    ------
    NetNotFoundError
        If the city has no net yet on that day.
    InvalidInputError
        If there is no such side, kind of station or vintage.
    """
    if side_m not in SQUARE_SIDES_M:
        known = ", ".join(map(str, SQUARE_SIDES_M))
        raise InvalidInputError(f"Squares have a side of {known} m.", field="side")
    at, _ = _opened(session, asked, 1, kinds)
    return at, figures.coverage_squares(session, at, side_m, kinds)


def patrol_areas(session: Session, asked: Asked, level: int, role: str | None = None) -> Answer:
    """Return the posts of each grid of a level on the day, of one role or of all.

    Raises
    ------
    NetNotFoundError
        If the city has no net yet on that day.
    InvalidInputError
        If there is no such level.
    """
    at, name = _opened(session, asked, level, ())
    return at, figures.patrol(session, at, level, role, name)


def station_density(
    session: Session, asked: Asked, level: int, kinds: Sequence[str] = ()
) -> Answer:
    """Return the open stations of each grid of a level, per 10,000 households and per km2.

    Raises
    ------
    NetNotFoundError
        If the city has no net yet on that day.
    InvalidInputError
        If there is no such level, kind of station or vintage.
    """
    at, name = _opened(session, asked, level, kinds)
    return at, figures.station_density(session, at, level, kinds, name)


def grid_sizes(session: Session, asked: Asked, level: int) -> Answer:
    """Return the basic grids of a level whose households lie far from the median.

    Raises
    ------
    NetNotFoundError
        If the city has no net yet on that day.
    InvalidInputError
        If there is no such level or vintage.
    """
    at, _ = _opened(session, asked, level, ())
    return at, figures.sizes(session, at, level)


def figures_stamp(session: Session, asked: Asked) -> str:
    """Return what the figures of a day depend on: equal stamps, equal figures.

    Raises
    ------
    NetNotFoundError
        If the city has no net yet on that day.
    InvalidInputError
        If there is no such vintage.
    """
    return standing.stamp(session, asked.moment(session))
