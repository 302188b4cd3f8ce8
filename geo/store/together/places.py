"""Grids that things, meetings and campaigns belong to, with their ancestors."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from geo.db import Viewer
from geo.errors import InvalidInputError
from geo.grids import AREA_COLUMNS
from geo.store import office, rights
from geo.store.grids import grids_at, of_net
from geo.store.nets import Moment
from geo.tables import SRID, NetGrid, Organisation


def of_point(
    session: Session, viewer: Viewer, at: Moment, lon: float, lat: float
) -> dict[str, Any]:
    """Return `grid_id`, ancestors and `geom` of a place (degrees) that the viewer may act in.

    Raises
    ------
    OutsideCityError
        If the place lies outside the city.
    InvalidInputError
        If it lies outside the viewer's areas, or is none.
    """
    if not (-180 <= lon <= 180 and -90 <= lat <= 90):
        raise InvalidInputError("A place is lon, lat in degrees.", field="lon", reason="no_place")
    _, up = grids_at(session, at, lon, lat)
    if not viewer.city_wide and not set(up) & set(viewer.areas):
        raise InvalidInputError("This place lies elsewhere.", field="lon", reason="elsewhere")
    line = tuple(up[::-1])
    return {
        "grid_id": line[-1],
        **dict.fromkeys(AREA_COLUMNS),
        **dict(zip(AREA_COLUMNS, line, strict=False)),
        "geom": f"SRID={SRID};POINT({lon!r} {lat!r})",
    }


def of_grid(session: Session, viewer: Viewer, at: Moment, grid: int) -> dict[str, Any]:
    """Return `grid_id` and ancestors of a grid that the viewer may act in.

    Raises
    ------
    InvalidInputError
        If the net has no such grid, or it lies elsewhere.
    """
    office.grid_within_reach(session, viewer, at, grid)
    columns = [getattr(NetGrid, name) for name in AREA_COLUMNS]
    row = session.execute(
        select(*columns).where(of_net(NetGrid, at), NetGrid.grid_id == grid)
    ).one()
    return {"grid_id": grid, **dict(row._mapping)}


def middle_of(session: Session, at: Moment, grid: int) -> tuple[float, float]:
    """Return a point inside a grid, (lon, lat) in degrees.

    Raises
    ------
    InvalidInputError
        If the net has no such grid any more.
    """
    row = session.execute(
        select(func.ST_X(NetGrid.label_point), func.ST_Y(NetGrid.label_point)).where(
            of_net(NetGrid, at), NetGrid.grid_id == grid
        )
    ).one_or_none()
    if row is None:
        told = "The net has no such grid any more; say the place."
        raise InvalidInputError(told, field="lon", reason="grid_ended")
    return float(row[0]), float(row[1])


def body(session: Session, city_id: int, organisation: int | None) -> int | None:
    """Return an organisation of the city, None for none.

    Raises
    ------
    InvalidInputError
        If the city has none of this number.
    """
    if organisation is None:
        return None
    known = select(Organisation.organisation_id).where(
        Organisation.city_id == city_id, Organisation.organisation_id == organisation
    )
    if session.scalar(known) is None:
        raise InvalidInputError(
            f"The city has no organisation {organisation}.",
            field="organisation",
            reason="no_organisation",
            value=str(organisation),
        )
    return organisation


def body_named(session: Session, city_id: int, said: str | None) -> int | None:
    """Return the one organisation of the city that has this name, None for no name.

    Raises
    ------
    InvalidInputError
        If none is called so, or several are.
    """
    name = (said or "").strip()
    if not name:
        return None
    found = session.scalars(
        select(Organisation.organisation_id)
        .where(Organisation.city_id == city_id, Organisation.name == name)
        .limit(2)
    ).all()
    if len(found) != 1:
        raise InvalidInputError(
            f"The city has not one organisation called {name}.",
            field="organisation",
            reason="several_organisations" if found else "no_body",
            value=name[:40],
        )
    return found[0]


def seen(table: Any, viewer: Viewer, *, own_work: bool = False) -> Any:
    """Return the condition of rows of a table that the viewer may see: its areas, its work."""
    own = table.city_id == viewer.city_id
    if viewer.city_wide:
        return own
    inside = rights.in_reach(table, viewer)
    if own_work and viewer.organisations:
        inside = inside | table.organisation_id.in_(viewer.organisations)
    return own & inside
