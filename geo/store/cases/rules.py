"""The rules of a city for its issues: calendar, limits, categories, who takes what."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from geo.deadlines import Calendar, Limit, deadline, nearest
from geo.errors import InvalidInputError
from geo.issues import start_level
from geo.profiles import Profile, load_profile
from geo.tables import Category, City, Level, LimitRule, RoutingRule, WorkingCalendar
from geo.terms import LimitUnit, Shown

MAIN_STEPS = ("register", "handle")
"""Steps that every issue is measured by; limits of other steps are dates beside it."""


@dataclass(frozen=True)
class Kind:
    """A category with what it inherits."""

    code: str
    line: tuple[str, ...]
    name: str
    name_en: str
    lead: int | None
    assisting: tuple[int, ...]
    legal_basis: str | None
    shown: Shown


@dataclass(frozen=True)
class Rules:
    """What decides about a city's issues.

    Parameters
    ----------
    city_id : int
    profile : Profile
    levels : tuple of str
        Codes of the city's levels from the top.
    calendar : Calendar
    limits : mapping
        By category and step.
    kinds : mapping of str to Kind
    routing : tuple of RoutingRule
        In order.
    """

    city_id: int
    profile: Profile
    levels: tuple[str, ...]
    calendar: Calendar
    limits: Mapping[tuple[str, str], Limit]
    kinds: Mapping[str, Kind]
    routing: tuple[Any, ...]

    @property
    def zone(self) -> ZoneInfo:
        """The city's zone."""
        return ZoneInfo(self.calendar.zone)

    def kind(self, category: str) -> Kind:
        """Return a category.

        Raises
        ------
        InvalidInputError
            If the city has no such category.
        """
        found = self.kinds.get(category)
        if found is None:
            raise InvalidInputError(
                f"There is no category '{category}'.", field="category", reason="no_category"
            )
        return found

    def limit(self, category: str, step: str) -> Limit | None:
        """Return how long a step may take for a category; None if nothing is said."""
        kind = self.kinds.get(category)
        return nearest(self.limits, kind.line if kind else (category,), step)

    def by(self, category: str, step: str, begins: datetime) -> datetime | None:
        """Return until when a step is to be done that begins at a moment."""
        limit = self.limit(category, step)
        return deadline(begins, limit, self.calendar) if limit else None

    def further(self, category: str, begins: datetime) -> dict[str, str]:
        """Return the dates of the steps beside the main ones, as ISO texts."""
        line = self.kinds[category].line if category in self.kinds else (category,)
        steps = {step for code, step in self.limits if step not in MAIN_STEPS and code in line}
        found = {step: self.by(category, step, begins) for step in sorted(steps)}
        return {step: until.isoformat() for step, until in found.items() if until}

    def start(self, depth: int) -> int:
        """Return the level whose desk an issue begins at."""
        return start_level(self.levels, depth)


KEPT: Final = 32
"""Rules of so many cities are kept, as they were read last."""
_TABLES: Final = ("category", "level", "limit_rule", "routing_rule", "working_calendar")
_ROWS: Final = "concat_ws(' ', count(*), sum(xmin::text::bigint), max(xmin::text::bigint))"
_STAMP: Final = text(
    "SELECT concat_ws('/', (SELECT oid FROM pg_database WHERE datname = current_database()),"  # noqa: S608 (constants)
    " current_setting('role'), (SELECT xmin FROM city WHERE city_id = :city), "
    + ", ".join(f"(SELECT {_ROWS} FROM {table} WHERE city_id = :city)" for table in _TABLES)  # noqa: S608 (constants)
    + ")"
)
"""Changes with every row that the rules are read from: what wrote it is part of each row."""
_kept: OrderedDict[tuple[int, str], Rules] = OrderedDict()


def rules_of(session: Session, city_id: int) -> Rules:
    """Return the rules of a city: its own rows, and its country's where it says nothing.

    They are read again only when one of these rows is another one.
    """
    stamp = str(session.scalar(_STAMP, {"city": city_id}))
    found = _kept.get((city_id, stamp))
    if found is None:
        found = _kept[city_id, stamp] = _read(session, city_id)
        while len(_kept) > KEPT:
            _kept.popitem(last=False)
    return found


def _read(session: Session, city_id: int) -> Rules:
    city = session.execute(select(City.profile, City.timezone).where(City.city_id == city_id)).one()
    profile = load_profile(city.profile)
    levels = session.scalars(
        select(Level.code).where(Level.city_id == city_id).order_by(Level.level)
    )
    days = session.execute(
        select(WorkingCalendar.day, WorkingCalendar.working).where(
            WorkingCalendar.city_id == city_id
        )
    )
    own = session.execute(
        select(LimitRule.category, LimitRule.step, LimitRule.amount, LimitRule.unit).where(
            LimitRule.city_id == city_id
        )
    )
    limits = profile.limit_rules()
    limits |= {(row.category, row.step): Limit(row.amount, LimitUnit(row.unit)) for row in own}
    routing = session.execute(
        select(RoutingRule.__table__).where(RoutingRule.city_id == city_id).order_by(RoutingRule.n)
    )
    return Rules(
        city_id,
        profile,
        tuple(levels),
        profile.calendar(city.timezone, [(row.day, row.working) for row in days]),
        limits,
        _kinds(session, city_id, profile),
        tuple(routing.all()),
    )


def lines(parents: Mapping[str, str | None]) -> dict[str, tuple[str, ...]]:
    """Return each category with those above it and the beginnings of its code, nearest first.

    Examples
    --------
    >>> lines({"E01": None, "E0101": "E01"})["E0101"]
    ('E0101', 'E01', 'E010', 'E0', 'E')
    """
    found = {}
    for code in parents:
        line: list[str] = []
        above: str | None = code
        while above is not None and above not in line:
            line.append(above)
            above = parents.get(above)
        begins = [code[:length] for length in range(len(code) - 1, 0, -1)]
        found[code] = (*line, *(one for one in begins if one not in line))
    return found


def _kinds(session: Session, city_id: int, profile: Profile) -> dict[str, Kind]:
    rows = session.execute(select(Category.__table__).where(Category.city_id == city_id)).all()
    by_code = {row.category: row for row in rows}
    line_of = lines({row.category: row.parent for row in rows})

    def first(row: Any, column: str) -> Any:
        own = (by_code[code] for code in line_of[row.category] if code in by_code)
        return next((getattr(one, column) for one in own if getattr(one, column) is not None), None)

    return {
        row.category: Kind(
            row.category,
            line_of[row.category],
            row.name,
            row.name_en,
            first(row, "lead_id"),
            tuple(first(row, "assisting") or ()),
            first(row, "legal_basis"),
            Shown(first(row, "shown") or profile.shown_at(row.category)),
        )
        for row in rows
    }


def settle_shown(session: Session, city_id: int, profile: Profile) -> None:
    """Write where categories may be shown that say nothing themselves; for the owner.

    The database decides with it what strangers find beside a place.
    """
    codes = session.scalars(
        select(Category.category).where(Category.city_id == city_id, Category.shown.is_(None))
    ).all()
    if codes:
        session.execute(
            text("UPDATE category SET shown = :shown WHERE city_id = :city AND category = :code"),
            [{"city": city_id, "code": one, "shown": profile.shown_at(one).value} for one in codes],
        )
