"""Campaigns: lists of problems and of measures with owners, ticked off line by line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final
from uuid import UUID

from sqlalchemy import and_, func, or_, select, update
from sqlalchemy.orm import Session, aliased

from geo.db import Viewer
from geo.errors import ForbiddenError, InvalidInputError, NotFoundError, StaleEditError
from geo.grids import AREA_COLUMNS
from geo.store import audit, office, rights
from geo.store.grids import of_net
from geo.store.nets import Moment
from geo.store.together import places, words
from geo.store.together.rows import Made, demand_version, enter, locked
from geo.tables import Campaign, CampaignItem, Issue, NetGrid, Organisation
from geo.terms import CampaignState, ItemList, ItemState, Role

MOST_ITEMS: Final = 2_000
LATEST: Final = 200
WHOLE_CITY: Final = {"grid_id": None, **dict.fromkeys(AREA_COLUMNS)}
TICKING: Final = rights.TELLING | {Role.DEPARTMENT}
"""They tick off: the desk of the territory, and the body that owns the line."""
WORDING: Final = frozenset({"words", "organisation", "due_on", "issue"})
"""What the desk alone corrects in a line."""


@dataclass(frozen=True)
class Plan:
    """What a campaign is about; without a grid it is of the whole city."""

    name: str
    goal: str
    starts_on: date
    ends_on: date | None = None
    grid: int | None = None
    organisation: int | None = None


@dataclass(frozen=True)
class Line:
    """A line of a list: a problem, or a measure against the problem `of`; who owns it, by when."""

    list: ItemList
    words: str
    organisation: int | None = None
    grid: int | None = None
    due_on: date | None = None
    of: int | None = None
    issue: int | None = None


def create(
    session: Session, viewer: Viewer, at: Moment, plan: Plan, client_id: UUID | None = None
) -> Made:
    """Begin a campaign, once under an id. One of the whole city is the administrator's.

    Raises
    ------
    ForbiddenError
        If the viewer is neither an administrator nor a community.
    InvalidInputError
        If the grid lies elsewhere, or a value cannot be used; `field` names it.
    ConflictError
        If something else came in under the id.
    """
    city_id = rights.demand(viewer, rights.TELLING)
    _demand_order(plan.starts_on, plan.ends_on)
    values = {
        "city_id": city_id, **_said(session, city_id, vars(plan)),
        **_territory(session, viewer, at, plan.grid), "state": CampaignState.OPEN.value,
        "created_by": viewer.user_id,
    }  # fmt: skip
    made = enter(session, Campaign.campaign_id, client_id, values)
    if made.created:
        what = {"grid": plan.grid}
        audit.append(session, city_id, "campaign.created", f"campaign/{made.number}", what)
    return made


def change(
    session: Session, viewer: Viewer, campaign: int, version: int, said: Mapping[str, Any]
) -> int:
    """Change a campaign, close it or open it again; its territory stays. Return the version.

    Parameters
    ----------
    said : mapping
        Any of `name`, `goal`, `starts_on`, `ends_on`, `organisation`, `state`; the others stay.

    Raises
    ------
    ForbiddenError
        If the viewer is neither an administrator nor a community.
    NotFoundError
        If it is no campaign of the viewer's territory.
    StaleEditError
        If it was changed since.
    InvalidInputError
        If a value cannot be used.
    """
    city_id = rights.demand(viewer, rights.TELLING)
    row = locked(session, viewer, Campaign.campaign_id, campaign, version)
    values = _said(session, city_id, said)
    _demand_order(values.get("starts_on", row.starts_on), values.get("ends_on", row.ends_on))
    if "state" in said:
        values["state"] = CampaignState(said["state"]).value
    session.execute(
        update(Campaign)
        .where(Campaign.city_id == city_id, Campaign.campaign_id == campaign)
        .values(**values, version=version + 1)
    )
    what = {"fields": sorted(values), **({"state": values["state"]} if "state" in values else {})}
    audit.append(session, city_id, "campaign.changed", f"campaign/{campaign}", what)
    return version + 1


def add_line(
    session: Session,
    viewer: Viewer,
    at: Moment,
    campaign: int,
    line: Line,
    client_id: UUID | None = None,
) -> Made:
    """Put a line on a list, once under an id; its number is the line's.

    Raises
    ------
    ForbiddenError
        If the viewer is neither an administrator nor a community.
    NotFoundError
        If there is no such campaign, or the viewer may see no such issue.
    InvalidInputError
        If the campaign is closed or full, the grid lies elsewhere, or a value cannot be used.
    ConflictError
        If something else came in under the id.
    """
    city_id = rights.demand(viewer, rights.TELLING)
    above = open_one(session, city_id, campaign)
    n = int(session.scalar(select(func.next_campaign_line(campaign))) or 1)
    place = _territory(session, viewer, at, line.grid if line.grid is not None else above.grid_id)
    if above.grid_id is not None and above.grid_id not in place.values():
        told = "The line lies outside the campaign's territory."
        raise InvalidInputError(told, field="grid", reason="outside_campaign")
    values = {
        "city_id": city_id, "campaign_id": campaign, "n": n, "list": line.list.value,
        **_worded(session, viewer, vars(line)), "of_n": _problem(session, city_id, campaign, line),
        "state": ItemState.OPEN.value, **place,
    }  # fmt: skip
    made = enter(session, CampaignItem.n, client_id, values)
    if made.number > MOST_ITEMS:
        told = f"A campaign has at most {MOST_ITEMS} lines."
        raise InvalidInputError(told, field="words", reason="full")
    if made.created and not session.info.get(office.BATCH):
        what = {"line": made.number, "list": line.list.value, "issue": line.issue}
        audit.append(session, city_id, "campaign.line", f"campaign/{campaign}", what)
    return made


def change_line(
    session: Session,
    viewer: Viewer,
    campaign: int,
    n: int,
    version: int,
    said: Mapping[str, Any],
) -> int:
    """Tick a line off, drop it, open it again, or correct it; return its version.

    Parameters
    ----------
    said : mapping
        `state` with a `note`: the desk of the territory and the body that owns the line. `words`,
        `organisation`, `due_on`, `issue`: the desk alone; a later day, or none, needs a `note`.

    Raises
    ------
    ForbiddenError
        If the viewer's role does not do that.
    NotFoundError
        If the viewer may see no such line.
    StaleEditError
        If it was changed since.
    InvalidInputError
        If the campaign is closed, or it is dropped or put off without a reason.
    """
    wording = WORDING & set(said)
    city_id = rights.demand(viewer, rights.TELLING if wording else TICKING)
    item = CampaignItem
    own = (item.city_id == city_id, item.campaign_id == campaign, item.n == n)
    row = session.scalars(select(item).where(*own, lines_seen(viewer))).one_or_none()
    if row is None:
        raise NotFoundError(f"The campaign has no line {n} of yours.", line=n)
    if not _ticks(viewer, row):
        raise ForbiddenError("The line is ticked off by its owner or the desk of its territory.")
    open_one(session, city_id, campaign)
    demand_version(row, version)
    values = _worded(session, viewer, said) | _ticked(viewer, row, said)
    if "due_on" in values and row.due_on is not None and values.get("note") is None:
        due = values["due_on"]
        if due is None or due > row.due_on:
            told = "Say why it is put off."
            raise InvalidInputError(told, field="note", reason="put_off")
    changed = session.execute(
        update(item)
        .where(*own, item.version == version)
        .values(**values, version=version + 1)
        .returning(item.n)
    ).all()
    if not changed:
        raise StaleEditError("The line was changed since.", version=version)
    if session.info.get(office.BATCH):
        return version + 1
    what = {"line": n, **({"state": values["state"]} if "state" in values else {})}
    if wording:
        what |= {"fields": sorted(wording), "due_on": str(values.get("due_on", row.due_on))}
    place = f"campaign/{campaign}"
    audit.append(
        session, city_id, "campaign.reworded" if wording else "campaign.ticked", place, what
    )
    return version + 1


def listed(session: Session, viewer: Viewer, at: Moment) -> list[dict[str, Any]]:
    """Return the city's campaigns, the latest first, with counts of the lines one may see.

    Raises
    ------
    ForbiddenError
        If the viewer does not work for the city.
    """
    if not viewer.staff:
        raise ForbiddenError("Campaigns are listed for the staff of the city.")
    item = CampaignItem
    shape = [
        func.count().filter(item.list == one.value, item.state != ItemState.DROPPED.value)
        .label(f"{one.value}s") for one in ItemList
    ] + [
        func.count().filter(item.list == one.value, item.state == ItemState.DONE.value)
        .label(f"{one.value}s_done") for one in ItemList
    ] + [
        func.count().filter(item.state == ItemState.OPEN.value, item.due_on < at.day)
        .label("overdue")
    ]  # fmt: skip
    counts = (
        select(item.campaign_id, *shape)
        .where(item.city_id == at.city_id, lines_seen(viewer))
        .group_by(item.campaign_id)
        .subquery()
    )
    rows = session.execute(
        _cards(at)
        .add_columns(*(func.coalesce(column, 0).label(column.name) for column in counts.c
                       if column.name != "campaign_id"))
        .outerjoin(counts, counts.c.campaign_id == Campaign.campaign_id)
        .order_by(Campaign.state.desc(), Campaign.starts_on.desc(), Campaign.campaign_id.desc())
        .limit(LATEST)
    )  # fmt: skip
    return [dict(row._mapping) for row in rows]


def show(session: Session, viewer: Viewer, at: Moment, campaign: int) -> dict[str, Any]:
    """Return a campaign with the lines of both lists that one may see.

    `may_keep` says whether the viewer keeps the campaign itself, `may_tick` of a line whether they
    tick it off.

    Raises
    ------
    NotFoundError
        If the city has no such campaign.
    """
    row = session.execute(_cards(at).where(Campaign.campaign_id == campaign)).one_or_none()
    if not viewer.staff or viewer.city_id != at.city_id or row is None:
        raise NotFoundError(f"There is no campaign {campaign}.", campaign=campaign)
    may_keep = viewer.role is Role.ADMINISTRATOR or (
        viewer.role is Role.COMMUNITY and row.grid is not None
        and session.scalar(select(Campaign.campaign_id).where(
            Campaign.campaign_id == campaign, places.seen(Campaign, viewer))) is not None
    )  # fmt: skip
    return {
        **row._mapping,
        "may_keep": may_keep,
        "lines": lines(session, viewer, at, campaign),
    }


def lines(session: Session, viewer: Viewer, at: Moment, campaign: int) -> list[dict[str, Any]]:
    """Return the lines of a campaign that one may see, with a point inside the grid of each."""
    item, body = CampaignItem, aliased(Organisation)
    grid = and_(of_net(NetGrid, at), NetGrid.grid_id == item.grid_id)
    rows = session.execute(
        select(
            item, NetGrid.name.label("grid_name"), NetGrid.code.label("grid_code"),
            body.name.label("organisation_name"), Issue.state.label("issue_state"),
            func.ST_X(NetGrid.label_point).label("lon"),
            func.ST_Y(NetGrid.label_point).label("lat"),
        )
        .outerjoin(NetGrid, grid)
        .outerjoin(body, and_(body.city_id == item.city_id,
                              body.organisation_id == item.organisation_id))
        .outerjoin(Issue, and_(Issue.city_id == item.city_id, Issue.issue_id == item.issue_id))
        .where(item.city_id == at.city_id, item.campaign_id == campaign, lines_seen(viewer))
        .order_by(item.n)
    )  # fmt: skip
    return [
        {
            "n": row.n, "list": row.list, "words": row.words, "of": row.of_n,
            "organisation": row.organisation_id, "organisation_name": more.organisation_name,
            "grid": row.grid_id, "grid_name": more.grid_name, "grid_code": more.grid_code,
            "issue": row.issue_id, "issue_state": more.issue_state, "due_on": row.due_on,
            "state": row.state,
            "note": row.note, "created_at": row.created_at, "done_at": row.done_at,
            "version": row.version, "may_tick": _ticks(viewer, row),
            "lon": more.lon, "lat": more.lat,
        }
        for more in rows for row in (more.CampaignItem,)
    ]  # fmt: skip


def of_issue(session: Session, viewer: Viewer, issue: int) -> list[dict[str, Any]]:
    """Return the campaigns on whose lists an issue stands."""
    item = CampaignItem
    rows = session.execute(
        select(Campaign.campaign_id.label("campaign"), Campaign.name, item.n, item.state)
        .join(item, and_(item.city_id == Campaign.city_id,
                         item.campaign_id == Campaign.campaign_id))
        .where(Campaign.city_id == viewer.city_id, item.issue_id == issue, lines_seen(viewer))
    )  # fmt: skip
    return [dict(row._mapping) for row in rows]


def lines_seen(viewer: Viewer) -> Any:
    """Return the condition of lines that one may see: of the city, the own areas, the own work."""
    item = CampaignItem
    own = item.city_id == viewer.city_id
    if viewer.city_wide:
        return own
    return own & or_(item.grid_id.is_(None), places.seen(item, viewer, own_work=True))


def open_one(session: Session, city_id: int, campaign: int) -> Any:
    """Return `grid_id` of a campaign that runs.

    Raises
    ------
    NotFoundError
        If the city has no such campaign.
    InvalidInputError
        If it is closed.
    """
    row = session.execute(
        select(Campaign.state, Campaign.grid_id).where(
            Campaign.city_id == city_id, Campaign.campaign_id == campaign
        )
    ).one_or_none()
    if row is None:
        raise NotFoundError(f"There is no campaign {campaign}.", campaign=campaign)
    if row.state != CampaignState.OPEN.value:
        raise InvalidInputError("The campaign is closed.", field="campaign", reason="closed")
    return row


def _ticks(viewer: Viewer, row: CampaignItem) -> bool:
    """Say whether the viewer ticks a line off."""
    if viewer.role is Role.ADMINISTRATOR:
        return True
    if viewer.role is Role.DEPARTMENT:
        return row.organisation_id in viewer.organisations
    areas = {getattr(row, name) for name in AREA_COLUMNS} - {None}
    return viewer.role is Role.COMMUNITY and bool(areas & set(viewer.areas))


def _demand_order(first: date, last: date | None) -> None:
    if last is not None and last < first:
        told = "It ends before it begins."
        raise InvalidInputError(told, field="ends_on", reason="dates")


def _said(session: Session, city_id: int, said: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is said of a campaign, looked through; what is not said stays away."""
    values = {name: said[name] for name in ("starts_on", "ends_on") if name in said}
    if values.get("starts_on", ...) is None:
        raise InvalidInputError("It begins on a day.", field="starts_on", reason="empty")
    if "name" in said:
        values["name"] = words.title(said["name"], "name")
    if "goal" in said:
        values["goal"] = words.plain(said["goal"], "goal")
    if "organisation" in said:
        values["organisation_id"] = places.body(session, city_id, said["organisation"])
    return values


def _worded(session: Session, viewer: Viewer, said: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is said of a line, looked through; what is not said stays away."""
    values: dict[str, Any] = {}
    if "words" in said:
        values["words"] = words.title(said["words"], "words", 300)
    if "organisation" in said:
        body = places.body(session, viewer.city_id or 0, said["organisation"])
        values["organisation_id"] = body
    if "due_on" in said:
        values["due_on"] = said["due_on"]
    if "issue" in said:
        values["issue_id"] = _issue(session, viewer, said["issue"])
    return values


def _ticked(viewer: Viewer, row: CampaignItem, said: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns of a state that is said, or of a note alone."""
    values: dict[str, Any] = {}
    if "note" in said:
        values["note"] = words.perhaps(said["note"], "note", 300)
    if "state" not in said:
        return values
    state = ItemState(said["state"])
    if state is ItemState.DROPPED and values.get("note") is None:
        raise InvalidInputError("Say why it is dropped.", field="note", reason="empty")
    if state.value == row.state:
        return values
    ended = state is not ItemState.OPEN
    return {
        "note": None, **values, "state": state.value,
        "done_at": func.statement_timestamp() if ended else None,
        "done_by": viewer.user_id if ended else None,
    }  # fmt: skip


def _territory(session: Session, viewer: Viewer, at: Moment, grid: int | None) -> dict[str, Any]:
    if grid is not None:
        return places.of_grid(session, viewer, at, grid)
    if not viewer.city_wide:
        told = "A community names a grid of its own."
        raise InvalidInputError(told, field="grid", reason="empty")
    return WHOLE_CITY


def _problem(session: Session, city_id: int, campaign: int, line: Line) -> int | None:
    if line.of is None:
        return None
    item = CampaignItem
    found = session.scalar(
        select(item.list).where(
            item.city_id == city_id, item.campaign_id == campaign, item.n == line.of
        )
    )
    if line.list is not ItemList.MEASURE or found != ItemList.PROBLEM.value:
        told = "A measure is against a problem of the same campaign."
        raise InvalidInputError(told, field="of", reason="no_problem")
    return line.of


def _issue(session: Session, viewer: Viewer, issue: int | None) -> int | None:
    if issue is None:
        return None
    own = rights.issues_seen(viewer) if not viewer.city_wide else Issue.city_id == viewer.city_id
    if session.scalar(select(Issue.issue_id).where(Issue.issue_id == issue, own)) is None:
        raise NotFoundError(f"There is no issue {issue}.", issue=issue)
    return issue


def _cards(at: Moment) -> Any:
    body = aliased(Organisation)
    grid = and_(of_net(NetGrid, at), NetGrid.grid_id == Campaign.grid_id)
    return (
        select(
            Campaign.campaign_id.label("campaign"), Campaign.name, Campaign.goal,
            Campaign.starts_on, Campaign.ends_on, Campaign.state, Campaign.version,
            Campaign.grid_id.label("grid"), NetGrid.name.label("grid_name"),
            Campaign.organisation_id.label("organisation"), body.name.label("organisation_name"),
        )
        .outerjoin(NetGrid, grid)
        .outerjoin(body, and_(body.city_id == Campaign.city_id,
                              body.organisation_id == Campaign.organisation_id))
        .where(Campaign.city_id == at.city_id)
    )  # fmt: skip
