"""What a city calls things: its levels, kinds of stations, categories of issues."""

from __future__ import annotations

import re
from typing import Any, Final

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from geo.db import Viewer
from geo.errors import ConflictError, InvalidInputError, NotFoundError
from geo.issues import about_persons
from geo.profiles import MAX_ZOOM, load_profile
from geo.store import audit, office, rights
from geo.tables import Category, City, Level, StationKind

_CODE: Final = re.compile(r"[a-z][a-z0-9_]{0,31}")
_CATEGORY: Final = re.compile(r"[A-Z][0-9]{1,8}")


def change_level(
    session: Session,
    viewer: Viewer,
    level: int,
    *,
    name: str,
    name_en: str,
    zoom_min: int,
    zoom_max: int,
) -> None:
    """Rename a level and say at which zooms it is shown.

    Raises
    ------
    ForbiddenError
        If the viewer is no administrator.
    NotFoundError
        If the city has no such level.
    InvalidInputError
        If a name is empty or the zooms contradict each other.
    """
    city_id = rights.demand(viewer, rights.ADMINISTRATORS)
    if not 0 <= zoom_min <= zoom_max <= MAX_ZOOM:
        raise InvalidInputError(
            f"Zooms go from 0 to {MAX_ZOOM}, the first below the last.",
            field="zoom_min",
            reason="zooms",
            most=MAX_ZOOM,
        )
    values = {
        "name": office.clean(name, "name"),
        "name_en": office.clean(name_en, "name_en"),
        "zoom_min": zoom_min,
        "zoom_max": zoom_max,
    }
    found = session.execute(
        update(Level)
        .where(Level.city_id == city_id, Level.level == level)
        .values(**values)
        .returning(Level.level)
    ).all()
    if not found:
        raise NotFoundError(f"The city has no level {level}.", level=level)
    audit.append(session, city_id, "level.changed", f"level/{level}", values)


def station_kinds(session: Session, city_id: int) -> list[dict[str, Any]]:
    """Return the kinds of stations."""
    kind = StationKind
    rows = session.execute(
        select(kind.kind, kind.name, kind.name_en, kind.serves)
        .where(kind.city_id == city_id)
        .order_by(kind.kind)
    )
    return [dict(row._mapping) for row in rows]


def put_station_kind(
    session: Session, viewer: Viewer, kind: str, *, name: str, name_en: str, serves: str, new: bool
) -> None:
    """Add a kind of stations, or change what it is called and whom it serves.

    Raises
    ------
    ForbiddenError
        If the viewer is no administrator.
    ConflictError
        If a new kind's code is taken.
    NotFoundError
        If there is no kind to change.
    InvalidInputError
        If a value cannot be used.
    """
    city_id = rights.demand(viewer, rights.ADMINISTRATORS)
    if not _CODE.fullmatch(kind):
        raise _no_code("kind", kind)
    values = {
        "name": office.clean(name, "name"),
        "name_en": office.clean(name_en, "name_en"),
        "serves": office.clean(serves, "serves"),
    }
    own = (StationKind.city_id == city_id, StationKind.kind == kind)
    _put(session, StationKind, own, {"city_id": city_id, "kind": kind}, values, new)
    audit.append(session, city_id, "station_kind.put", f"station_kind/{kind}", values)


def categories(session: Session, city_id: int) -> list[dict[str, Any]]:
    """Return the categories of issues, each behind its parent."""
    rows = session.execute(
        select(Category.category, Category.parent, Category.name, Category.name_en, Category.root)
        .where(Category.city_id == city_id)
        .order_by(Category.root, Category.category)
    )
    return [dict(row._mapping) for row in rows]


def put_category(
    session: Session,
    viewer: Viewer,
    category: str,
    *,
    name: str,
    name_en: str,
    parent: str | None = None,
    new: bool,
) -> None:
    """Add a category below another one, or change what one is called.

    Raises
    ------
    ForbiddenError
        If the viewer is no administrator.
    ConflictError
        If a new category's code is taken.
    NotFoundError
        If there is no category to change.
    InvalidInputError
        If a value cannot be used, is about persons, or a new category's parent is missing.
    """
    city_id = rights.demand(viewer, rights.ADMINISTRATORS)
    if not _CATEGORY.fullmatch(category):
        raise _no_code("category", category)
    values = {"name": office.clean(name, "name"), "name_en": office.clean(name_en, "name_en")}
    for field, said in values.items():
        word = about_persons(said)
        if word is not None:
            raise InvalidInputError(
                f"Categories are of things and places; '{word}' is about persons.",
                field=field,
                reason="about_persons",
                value=word,
            )
    own = (Category.city_id == city_id, Category.category == category)
    identity: dict[str, Any] = {"city_id": city_id, "category": category}
    if new:
        root = session.scalar(
            select(Category.root).where(Category.city_id == city_id, Category.category == parent)
        )
        if root is None:
            raise InvalidInputError(
                f"There is no category '{parent}' to put it under.",
                field="parent",
                reason="no_parent",
                value=str(parent or ""),
            )
        identity |= {"parent": parent, "root": root}
    _put(session, Category, own, identity, values, new)
    audit.append(session, city_id, "category.put", f"category/{category}", values)


def _put(
    session: Session,
    table: Any,
    own: tuple[Any, ...],
    identity: dict[str, Any],
    values: dict[str, Any],
    new: bool,
) -> None:
    there = session.scalar(select(table.city_id).where(*own)) is not None
    if new and there:
        raise ConflictError("This code is taken.", field="code", reason="code_taken")
    if not new and not there:
        raise NotFoundError("There is nothing of this code.")
    if new:
        session.execute(insert(table).values(**identity, **values))
    else:
        session.execute(update(table).where(*own).values(**values))


def _no_code(field: str, value: str) -> InvalidInputError:
    return InvalidInputError(
        f"'{value}' is no code.", field=field, reason=f"no_{field}_code", value=value
    )


def scheme(session: Session, city_id: int) -> dict[str, Any]:
    """Return the city's scheme of codes: its segments in order, with how many numbers each has."""
    row = session.execute(
        select(City.profile, City.code_scheme, City.county_code).where(City.city_id == city_id)
    ).one()
    found = load_profile(row.profile).scheme(row.code_scheme)
    words = load_profile(row.profile).words
    given = {"county": ("县（区）", "County"), "class": ("类别", "Class"), "type": ("类型", "Type")}
    levels = {one.code: one.name for one in load_profile(row.profile).levels}
    segments = []
    for segment in found.segments:
        name = levels.get(segment.source) or words.get(segment.source)
        segments.append(
            {
                "source": segment.source,
                "name": name.zh if name else given.get(segment.source, (segment.source,))[0],
                "name_en": name.en if name else given.get(segment.source, (segment.source,))[-1],
                "width": segment.width,
                "numbered": segment.order == "rows",
                "capacity": segment.capacity,
                "value": row.county_code if segment.source == "county" else segment.default,
            }
        )
    return {
        "code": found.code,
        "name": found.name.zh,
        "name_en": found.name.en,
        "source": found.source,
        "length": found.length,
        "segments": segments,
    }
