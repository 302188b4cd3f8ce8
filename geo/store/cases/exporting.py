"""Issues in another platform's columns, words and numbers; each file is a row of the log."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
from sqlalchemy import Float, Numeric, and_, delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, aliased

from geo.datums import from_wgs84
from geo.db import Viewer
from geo.errors import ForbiddenError, InvalidInputError, NotFoundError
from geo.exports import Column, columns_of, preset, presets, rows_of
from geo.saying import phrase
from geo.sheets import Sheet, write
from geo.store import audit, office, rights
from geo.store.cases.desk import ANYWHERE, DeskFilter, narrowed, reach
from geo.store.nets import Moment
from geo.store.paging import Statement
from geo.tables import Category, ExportSheet, Issue, IssueEvent, NetGrid, Organisation
from geo.terms import FOREVER, IssueAct

MOST_ROWS: Final = 20_000
LONGEST_PERIOD_DAYS: Final = 366
MOST_SHEETS: Final = 50
SAID: Final = (IssueAct.HANDLE.value, IssueAct.SOLVE.value, IssueAct.CLOSE.value)
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,31}")
Row = list[str | int | float | None]


@dataclass(frozen=True)
class Exported:
    """Issues in another platform's columns."""

    title: str
    header: list[str]
    rows: list[Row]

    def book(self) -> bytes:
        """Return them as a workbook without formulas."""
        return write([Sheet(self.title, self.header, self.rows)])


def sheets(session: Session, viewer: Viewer) -> list[dict[str, Any]]:
    """Return the mappings of the city and those that are shipped; an own one hides a shipped one.

    Raises
    ------
    ForbiddenError
        If the viewer does not work for a city.
    """
    if not viewer.staff or viewer.city_id is None:
        raise ForbiddenError("Exports are for staff of the city.")
    rows = session.execute(
        select(ExportSheet.name, ExportSheet.title, ExportSheet.columns)
        .where(ExportSheet.city_id == viewer.city_id)
        .order_by(ExportSheet.name)
    )
    own = {row.name: {**row._mapping, "own": True} for row in rows}
    shipped = {
        name: {"name": name, "own": False, **preset(name)} for name in presets() if name not in own
    }
    return [*own.values(), *shipped.values()]


def put_sheet(
    session: Session, viewer: Viewer, name: str, title: str, columns: list[dict[str, Any]]
) -> None:
    """Keep a mapping under a name; one that is there is replaced.

    Raises
    ------
    ForbiddenError
        If the viewer is no administrator.
    InvalidInputError
        If a value cannot be used; `field` names it, `column` its column.
    """
    city_id = rights.demand(viewer, rights.ADMINISTRATORS)
    if not _NAME.fullmatch(name):
        raise InvalidInputError(
            "A name has small letters, digits and _.", field="name", reason="no_code"
        )
    columns_of(columns)
    known = session.scalars(select(ExportSheet.name).where(ExportSheet.city_id == city_id)).all()
    if name not in known and len(known) >= MOST_SHEETS:
        raise InvalidInputError(
            f"At most {MOST_SHEETS} mappings.", field="name", reason="too_many", most=MOST_SHEETS
        )
    values = {"title": office.clean(title, "title", 80), "columns": columns}
    session.execute(
        insert(ExportSheet)
        .values(city_id=city_id, name=name, **values)
        .on_conflict_do_update(
            index_elements=["city_id", "name"],
            set_={**values, "changed_at": func.statement_timestamp()},
        )
    )
    told = {"title": values["title"], "columns": [one["title"] for one in columns]}
    audit.append(session, city_id, "export_sheet.put", f"export_sheet/{name}", told)


def drop_sheet(session: Session, viewer: Viewer, name: str) -> None:
    """Take a mapping away; a shipped one of the name shows again.

    Raises
    ------
    ForbiddenError
        If the viewer is no administrator.
    NotFoundError
        If the city has none of this name.
    """
    city_id = rights.demand(viewer, rights.ADMINISTRATORS)
    gone = session.execute(
        delete(ExportSheet)
        .where(ExportSheet.city_id == city_id, ExportSheet.name == name)
        .returning(ExportSheet.name)
    ).first()
    if gone is None:
        raise NotFoundError(f"The city keeps no mapping '{name}'.", name=name)
    audit.append(session, city_id, "export_sheet.dropped", f"export_sheet/{name}", {})


def export(
    session: Session,
    viewer: Viewer,
    at: Moment,
    name: str,
    narrow: DeskFilter,
    *,
    as_listed: bool = False,
) -> Exported:
    """Return the issues that are asked for in another platform's columns and words.

    Without days of reporting, and with `as_listed`: what is on the desk, as its list is narrowed.
    With both of them: everything that was reported in the period, closed or not. Nothing that is
    set aside, and never a contact.

    Raises
    ------
    ForbiddenError
        If the viewer does not work for the city.
    NotFoundError
        If there is no such mapping.
    InvalidInputError
        If the period is too long, or there are more rows than one file takes.
    """
    found = next((one for one in sheets(session, viewer) if one["name"] == name), None)
    if found is None or viewer.city_id != at.city_id:
        raise NotFoundError(f"There is no mapping '{name}'.", name=name)
    columns = columns_of(found["columns"])
    rows = _rows(session, viewer, at, columns, narrow, as_listed)
    note_file(session, at, name, len(rows), narrow)
    cells = rows_of(columns, rows, ZoneInfo(at.timezone))
    return Exported(found["title"], [one.title for one in columns], cells)


def note_file(session: Session, at: Moment, sheet: str, rows: int, narrow: DeskFilter) -> None:
    """Write into the log that a list of issues left the house: how many, by which columns."""
    asked = {
        key: value.isoformat() if isinstance(value, (date, datetime)) else value
        for key, value in asdict(narrow).items()
        if value is not None and key != "q"
    }
    told = {"sheet": sheet, "rows": rows, "asked": asked}
    audit.append(session, at.city_id, "issue.export", "issues", told)


def _rows(
    session: Session,
    viewer: Viewer,
    at: Moment,
    columns: tuple[Column, ...],
    narrow: DeskFilter,
    as_listed: bool,
) -> list[dict[str, Any]]:
    now: datetime = session.scalar(select(func.clock_timestamp()))  # type: ignore[assignment]
    statement = _statement({one.source for one in columns if one.source}).where(
        reach(session, viewer), Issue.set_aside.is_(None), *narrowed(at, narrow, now)
    )
    if as_listed or narrow.since is None or narrow.until is None:
        if narrow.box != ANYWHERE:
            statement = statement.where(Issue.state.not_in(("closed", "void")))
    elif not 0 <= (narrow.until - narrow.since).days <= LONGEST_PERIOD_DAYS:
        raise InvalidInputError(
            phrase("A period of at most %(most)s days.", most=LONGEST_PERIOD_DAYS), field="to",
            reason="too_long", most=LONGEST_PERIOD_DAYS,
        )  # fmt: skip
    order = statement.order_by(Issue.reported_at, Issue.issue_id).limit(MOST_ROWS + 1)
    rows = [dict(row._mapping) for row in session.execute(order)]
    if len(rows) > MOST_ROWS:
        raise InvalidInputError(
            phrase("More than %(most)s issues: choose fewer, or a shorter period.", most=MOST_ROWS),
            field="from", reason="too_many", most=MOST_ROWS,
        )  # fmt: skip
    if rows and {"lon_gcj02", "lat_gcj02"} & {one.source for one in columns}:
        places = from_wgs84(np.array([(row["lon"], row["lat"]) for row in rows]), "gcj02")
        for row, (lon, lat) in zip(rows, places.round(7).tolist(), strict=True):
            row["lon_gcj02"], row["lat_gcj02"] = lon, lat
    return rows


def _statement(wanted: set[str]) -> Statement:
    """Return the statement of all fields; what costs more is asked for when it is wanted."""
    parent = aliased(Category)
    here = and_(Category.city_id == Issue.city_id, Category.category == Issue.category)
    above = and_(parent.city_id == Category.city_id, parent.category == Category.parent)
    body = and_(
        Organisation.city_id == Issue.city_id,
        Organisation.organisation_id == Issue.organisation_id,
    )
    plain = (
        "code", "external", "category", "channel", "state", "words", "address", "reported_at",
        "accepted_at", "registered_at", "dispatched_at", "deadline_at", "handled_at", "closed_at",
        "returns", "reworks", "postpones", "reopens", "on_the_spot", "satisfied", "set_aside",
    )  # fmt: skip
    grids = {f"area_{level}": aliased(NetGrid) for level in range(1, 5)}
    own = aliased(NetGrid)
    columns = [
        Issue.issue_id.label("issue"),
        *(getattr(Issue, name) for name in plain),
        Category.name.label("category_name"),
        Category.name_en.label("category_name_en"),
        Category.root,
        func.coalesce(parent.name, Category.name).label("parent_name"),
        Organisation.name.label("organisation_name"),
        func.round(func.ST_X(Issue.geom).cast(Numeric), 7).cast(Float).label("lon"),
        func.round(func.ST_Y(Issue.geom).cast(Numeric), 7).cast(Float).label("lat"),
        own.code.label("grid_code"),
        *(grid.name.label(name) for name, grid in grids.items()),
    ]
    if "result" in wanted:
        said = select(IssueEvent.reason).where(
            IssueEvent.city_id == Issue.city_id, IssueEvent.issue_id == Issue.issue_id,
            IssueEvent.act.in_(SAID), IssueEvent.reason.is_not(None),
        )  # fmt: skip
        last = said.order_by(IssueEvent.at.desc(), IssueEvent.event_id.desc()).limit(1)
        columns.append(last.scalar_subquery().label("result"))
    statement: Statement = select(*columns).select_from(Issue).join(Category, here)
    statement = statement.outerjoin(parent, above).outerjoin(Organisation, body)
    for name, grid in (("owner_grid", own), *grids.items()):
        statement = statement.outerjoin(
            grid,
            and_(grid.city_id == Issue.city_id, grid.grid_id == getattr(Issue, name),
                 grid.to_seq == FOREVER),
        )  # fmt: skip
    return statement
