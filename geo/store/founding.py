"""How a city begins: a setup code for a server without an administrator, and the first guide.

The application may not write cities. It asks a function of the database, which demands the code
that stands on the server's terminal, or the session of an administrator who is not the demo's.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from zoneinfo import available_timezones

from pyproj import CRS, Transformer
from sqlalchemy import delete, func, insert, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from geo import crs, signin
from geo.db import Viewer
from geo.errors import ConflictError, ForbiddenError, InvalidInputError, TopologyError, WanggeError
from geo.profiles import Profile, load_profile, profile_names
from geo.store import audit, office, rights
from geo.tables import SRID, AppSecret, City, UserAccount
from geo.terms import Role

SETUP_CODE: Final = "setup_code"
SLUG: Final = "[a-z0-9][a-z0-9-]{0,62}"
_LETTERS: Final = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"


@dataclass(frozen=True)
class NewCity:
    """What the guide asks for.

    Parameters
    ----------
    slug, name, name_en, profile, county_code
        Of the city; the short name stands in addresses.
    lon, lat : float
        Middle of the city, degrees.
    metre_srid : int, optional
        EPSG number of a projected CRS in metres; default: proposed by the place.
    timezone : str, optional
        Default: the profile's.
    levels : sequence of str
        Codes of the profile's levels that the city has; default: all.
    login, display_name, password
        Of its first administrator.
    """

    slug: str
    name: str
    profile: str
    county_code: str
    lon: float
    lat: float
    login: str
    password: str
    name_en: str = ""
    display_name: str = ""
    metre_srid: int | None = None
    timezone: str | None = None
    levels: Sequence[str] = ()


def setup_code(session: Session) -> str | None:
    """Make and keep a new setup code when no city has an administrator of its own; for the owner.

    The code is known to this answer alone; the database has its hash.
    """
    session.execute(delete(AppSecret).where(AppSecret.name == SETUP_CODE))
    administrators = session.scalar(
        select(func.count())
        .select_from(UserAccount)
        .where(
            UserAccount.role == Role.ADMINISTRATOR.value,
            ~UserAccount.demo,
            UserAccount.disabled_at.is_(None),
        )
    )
    if administrators:
        return None
    code = "-".join("".join(secrets.choice(_LETTERS) for _ in range(4)) for _ in range(3))
    hashed = hashlib.sha256(code.encode()).digest()
    session.execute(insert(AppSecret).values(name=SETUP_CODE, value=hashed))
    return code


def plain_code(code: str | None) -> str:
    """Return a setup code as it was shown, however it was typed.

    Examples
    --------
    >>> plain_code(" abcd efgh-jkmn ")
    'ABCD-EFGH-JKMN'
    """
    letters = re.sub(r"[^A-Z0-9]", "", (code or "").upper())
    return "-".join(letters[start : start + 4] for start in range(0, len(letters), 4))


def may_found(session: Session, code: str | None, token_hash: bytes | None) -> bool:
    """Say whether a code or a session lets somebody begin a city. In a sign-in transaction."""
    asked = text("SELECT may_found(:code, :token)")
    values = {"code": plain_code(code), "token": token_hash or b""}
    return bool(session.scalar(asked, values))


def propose(lon: float, lat: float, profile: str) -> tuple[int, str]:
    """Return EPSG number and name of the metre CRS that is proposed for a place in degrees.

    Raises
    ------
    InvalidInputError
        If there is no such profile, or no metre CRS fits the place.
    """
    family = _profile(profile).metre_family
    if not (-180 <= lon <= 180 and -90 <= lat <= 90):
        raise InvalidInputError("That is no place on the globe.", field="lon", reason="no_place")
    try:
        srid = crs.metre_srid(lon, lat, family)
    except WanggeError as error:
        raise InvalidInputError(error.message, field="lon", reason="no_metre_crs") from error
    return srid, CRS.from_epsg(srid).name


def _profile(name: str) -> Profile:
    if name not in profile_names():
        raise InvalidInputError(
            f"There is no preset '{name}'.", field="profile", reason="no_preset"
        )
    return load_profile(name)


def found_city(session: Session, code: str | None, token_hash: bytes | None, wish: NewCity) -> int:
    """Begin a city without ground, with its levels, kinds and first administrator; return its id.

    In a sign-in transaction.

    Raises
    ------
    ForbiddenError
        If neither the code nor the session allows it.
    ConflictError
        If the short name or the login is taken.
    InvalidInputError
        If a value cannot be used; `field` names it.
    """
    if not may_found(session, code, token_hash):
        raise ForbiddenError("Only an administrator or the setup code may begin a city.")
    profile = _profile(wish.profile)
    city = _city(wish, profile)
    levels = [
        {
            "level": number, "code": one.code, "name": one.name.zh, "name_en": one.name.en,
            "zoom_min": one.zoom_min, "zoom_max": one.zoom_max,
        }
        for number, one in enumerate(_levels(wish, profile), 1)
    ]  # fmt: skip
    kinds = [
        {"kind": one.code, "name": one.name.zh, "name_en": one.name.en, "serves": one.serves}
        for one in profile.station_kinds
    ]
    categories = [
        {
            "category": one.code, "parent": one.parent, "name": one.name.zh,
            "name_en": one.name.en, "root": one.root,
        }
        for one in profile.categories
    ]  # fmt: skip
    values = {
        "code": plain_code(code),
        "token": token_hash or b"",
        "city": json.dumps(city),
        "levels": json.dumps(levels),
        "kinds": json.dumps(kinds),
        "categories": json.dumps(categories),
        "administrator": json.dumps(_administrator(wish)),
    }
    asked = text(
        "SELECT found_city(:code, :token, CAST(:city AS jsonb), CAST(:levels AS jsonb),"
        " CAST(:kinds AS jsonb), CAST(:categories AS jsonb), CAST(:administrator AS jsonb))"
    )
    try:
        with session.begin_nested():
            return int(session.execute(asked, values).scalar_one())
    except IntegrityError as error:
        taken = "login" if "login" in str(error.orig) else "slug"
        value = wish.login if taken == "login" else wish.slug
        raise ConflictError(
            f"'{value}' is taken.", field=taken, reason=f"{taken}_taken", value=value
        ) from error


def _city(wish: NewCity, profile: Profile) -> dict[str, Any]:
    if not re.fullmatch(SLUG, wish.slug):
        raise InvalidInputError(
            f"'{wish.slug}' is no short name.", field="slug", reason="no_slug", value=wish.slug
        )
    zone = wish.timezone or profile.timezone
    if zone not in available_timezones():
        raise InvalidInputError(
            f"'{zone}' is no time zone.", field="timezone", reason="no_zone", value=zone
        )
    proposed, _ = propose(wish.lon, wish.lat, wish.profile)
    srid = wish.metre_srid or proposed
    try:
        crs.require_metres(srid)
    except TopologyError as error:
        raise InvalidInputError(
            error.message, field="metre_srid", reason="no_metres", value=str(srid)
        ) from error
    x, y = Transformer.from_crs(SRID, srid, always_xy=True).transform(wish.lon, wish.lat)
    if not (abs(x) < 1e9 and abs(y) < 1e9):
        raise InvalidInputError(
            "The CRS does not hold this place.", field="metre_srid", reason="no_metres",
            value=str(srid),
        )  # fmt: skip
    county = wish.county_code.strip()
    if not re.fullmatch(r"[0-9A-Za-z]{1,12}", county):
        raise InvalidInputError(
            "The code has 1 to 12 letters and digits.", field="county_code", reason="no_county",
            value=county,
        )  # fmt: skip
    name = office.clean(wish.name, "name")
    return {
        "slug": wish.slug,
        "name": name,
        "name_en": wish.name_en.strip() or name,
        "profile": profile.code,
        "timezone": zone,
        "metre_srid": srid,
        "origin_x": float(round(x)),
        "origin_y": float(round(y)),
        "county_code": county,
        "code_scheme": profile.default_scheme,
    }


def _levels(wish: NewCity, profile: Profile) -> Sequence[Any]:
    if not wish.levels:
        return profile.levels
    try:
        return profile.take_levels(tuple(wish.levels))
    except WanggeError as error:
        raise InvalidInputError(error.message, field="levels", reason="levels") from error


def _administrator(wish: NewCity) -> dict[str, str]:
    login = signin.check_login(wish.login.strip())
    signin.check_password(wish.password, login)
    return {
        "login": login,
        "display_name": wish.display_name.strip()[: office.LONGEST_NAME] or login,
        "password_hash": signin.hash_password(wish.password),
    }


def drop_demo(session: Session, viewer: Viewer, slug: str) -> None:
    """Delete a demo city with everything in it; its log stays.

    Raises
    ------
    ForbiddenError
        If the viewer is no administrator.
    InvalidInputError
        If it is no demo city.
    """
    city_id = rights.demand(viewer, rights.ADMINISTRATORS)
    if not session.scalar(select(City.demo).where(City.slug == slug)):
        raise InvalidInputError(f"'{slug}' is no demo city.", field="city", reason="no_demo")
    audit.append(session, city_id, "city.drop", f"city/{slug}", {"demo": True})
    session.execute(text("SELECT drop_demo_city(:slug)"), {"slug": slug})
