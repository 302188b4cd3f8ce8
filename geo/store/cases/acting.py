"""What is done to an issue: the table decides, the row is locked, the history and the log grow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from typing import Any, Final

from sqlalchemy import func, insert, select, text
from sqlalchemy.orm import Session

from geo.db import Viewer
from geo.deadlines import Calendar, going_on, left
from geo.errors import (
    ForbiddenError,
    InvalidInputError,
    IssueActError,
    NotFoundError,
    StaleEditError,
    WanggeError,
)
from geo.grids import AREA_COLUMNS
from geo.issues import DEPARTMENT, Transition, Who, relations, rung_above, transition, way_to
from geo.saying import phrase
from geo.store import audit, rights
from geo.store.cases import sending
from geo.store.cases.routing import Route, route
from geo.store.cases.rules import Rules, rules_of
from geo.tables import Issue, IssueEvent, Organisation
from geo.tables.issue import FAR
from geo.terms import IssueAct, IssueState, LimitUnit, Relation, SetAside

A, S = IssueAct, IssueState
NEVER: Final = datetime.fromisoformat(FAR)
LONGEST_REASON: Final = 1_000
MOST_AT_ONCE: Final = 500
MOST_PARTS: Final = 20


@dataclass(frozen=True)
class ActWish:
    """What an act needs to know beside itself; each act looks at its own fields.

    Parameters
    ----------
    reason : str, optional
        Why; some acts demand it.
    organisation : int, optional
        Department that leads (dispatch, joint dispatch, escalate).
    itself : bool
        Dispatch: the grid deals with it itself, whatever the rules say.
    assisting : tuple of int
        Organisations that assist (dispatch, joint dispatch).
    deadline : datetime, optional
        The later one (postpone).
    until : date, optional
        Day of review (park) or of supervision's end (supervise).
    owner : int, optional
        Account that supervises; default: the one that asks for it.
    category : str, optional
        The right one (reclassify).
    into : int, optional
        The issue that this one repeats (merge).
    parts : tuple of dict
        `category` and `words` of each new issue (split).
    aside : SetAside, optional
        Why it does not count (set aside).
    through : bool
        Do the steps that lead to it as well (`geo.issues.way_to`), each with its line.
    version : int, optional
        Of the issue that was looked at; a newer one refuses the act.
    versions : mapping of int to int
        The same of each of many.
    """

    reason: str | None = None
    organisation: int | None = None
    itself: bool = False
    assisting: tuple[int, ...] = ()
    deadline: datetime | None = None
    until: date | None = None
    owner: int | None = None
    category: str | None = None
    into: int | None = None
    parts: tuple[dict[str, Any], ...] = ()
    aside: SetAside | None = None
    through: bool = False
    version: int | None = None
    versions: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Acted:
    """Where an issue stands after an act, and what issues came of it."""

    issue: int
    state: str
    version: int
    new: tuple[int, ...] = ()


@dataclass
class Trial:
    """An act under way: the locked row, the rules, the moment, what the history will say."""

    session: Session
    viewer: Viewer | None
    rules: Rules
    row: Any
    act: IssueAct
    wish: ActWish
    now: datetime
    state: IssueState
    details: dict[str, Any] = field(default_factory=dict)
    new: list[int] = field(default_factory=list)

    @property
    def calendar(self) -> Calendar:
        """The city's calendar."""
        return self.rules.calendar

    @property
    def line(self) -> tuple[int, ...]:
        """Grids that hold the issue, from the top."""
        return line_of(self.row)


def line_of(row: Any) -> tuple[int, ...]:
    """Return the grids that hold an issue, from the top."""
    grids = (getattr(row, name) for name in AREA_COLUMNS)
    return tuple(grid for grid in grids if grid is not None)


def relations_of(row: Any, viewer: Viewer) -> frozenset[Relation]:
    """Return what a viewer is to an issue."""
    who = Who(viewer.role, viewer.areas, viewer.organisations, viewer.user_id)
    return relations(
        who, line_of(row), row.desk_level, row.organisation_id, row.assisting or (),
        row.reporter_id,
    )  # fmt: skip


def act(
    session: Session, viewer: Viewer, issue: int, what: IssueAct, wish: ActWish | None = None
) -> Acted:
    """Do something to an issue in the name of a viewer.

    Raises
    ------
    NotFoundError
        If there is no such issue, or the viewer may not know of it.
    IssueActError
        If the table of the life cycle refuses it; `reason` is "state", "who" or "why".
    StaleEditError
        If somebody changed the issue since the version that was looked at.
    InvalidInputError
        If something the act needs is missing or cannot be used; `field` names it.
    """
    wish = wish or ActWish()
    if viewer.city_id is None or not viewer.staff:
        raise ForbiddenError("This is for staff of the city.")
    if what is A.MERGE and wish.into is not None:
        _lock_both(session, viewer, issue, wish.into)
    row = _locked(session, viewer, issue)
    demand_fresh(row, wish)
    are = relations_of(row, viewer)
    if wish.through:
        for step in way_to(what, IssueState(row.state), are)[:-1]:
            _done(session, viewer, row, transition(step, IssueState(row.state), are), ActWish())
    found = transition(what, IssueState(row.state), are, wish.reason)
    return _done(session, viewer, row, found, wish)


def act_as_system(
    session: Session, city_id: int, issue: int, what: IssueAct, wish: ActWish
) -> Acted:
    """Do what the house does by itself, such as escalating by lapse of time; for the owner."""
    row = session.scalars(
        select(Issue).where(Issue.city_id == city_id, Issue.issue_id == issue).with_for_update()
    ).one()
    found = transition(what, IssueState(row.state), {Relation.SYSTEM}, wish.reason)
    return _done(session, None, row, found, wish)


def bulk(
    session: Session,
    viewer: Viewer,
    issues: Sequence[int],
    what: IssueAct,
    wish: ActWish | None = None,
) -> list[dict[str, Any]]:
    """Do the same to many issues, to each by itself; return what became of each.

    Raises
    ------
    InvalidInputError
        If there are too many.
    """
    demand_few(issues)
    said: list[dict[str, Any]] = []
    for issue in sorted(set(issues)):
        try:
            with session.begin_nested():
                done = act(session, viewer, issue, what, wish)
        except WanggeError as error:
            said.append({"issue": issue, "ok": False, **error.data, "code": error.code,
                         "message": error.message})  # fmt: skip
        else:
            said.append({"issue": issue, "ok": True, "state": done.state})
    return said


def demand_fresh(row: Any, wish: ActWish) -> None:
    """Refuse an issue that somebody changed since the version that was looked at."""
    if wish.versions.get(row.issue_id, wish.version) not in (None, row.version):
        raise StaleEditError(
            phrase("Somebody has changed it meanwhile: look at it again, then decide."),
            issue=row.issue_id, version=row.version, state=row.state,
        )  # fmt: skip


def demand_few(issues: Sequence[int]) -> None:
    """Refuse more issues than are treated at once."""
    if len(set(issues)) > MOST_AT_ONCE:
        told = phrase("At most %(most)s issues at once.", most=MOST_AT_ONCE)
        raise InvalidInputError(told, field="issues", reason="too_many", most=MOST_AT_ONCE)


def _lock_both(session: Session, viewer: Viewer, one: int, other: int) -> None:
    """Lock two issues in the order of their numbers: two merges across each other make no ring."""
    session.execute(
        select(Issue.issue_id)
        .where(rights.issues_seen(viewer), Issue.issue_id.in_((one, other)))
        .order_by(Issue.issue_id)
        .with_for_update()
    )


def _locked(session: Session, viewer: Viewer, issue: int) -> Any:
    row = session.scalars(
        select(Issue)
        .where(rights.issues_seen(viewer), Issue.issue_id == issue)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one_or_none()
    if row is None:
        raise NotFoundError(f"There is no issue {issue} in your reach.", issue=issue)
    return row


def _done(
    session: Session, viewer: Viewer | None, row: Any, found: Transition, wish: ActWish
) -> Acted:
    reason = (wish.reason or "").strip() or None
    if reason and (len(reason) > LONGEST_REASON or "\x00" in reason):
        raise InvalidInputError(
            "The reason is too long.", field="reason", reason="too_long", most=LONGEST_REASON
        )
    now = session.scalar(select(func.clock_timestamp()))
    rules = rules_of(session, row.city_id)
    state = found.ends or IssueState(row.state)
    case = Trial(session, viewer, rules, row, found.act, wish, now or NEVER, state)
    effect = EFFECTS.get(found.act)
    if effect is not None:
        effect(case)
    row.state = case.state.value
    row.version = row.version + 1
    session.flush()
    note(session, row.city_id, row.issue_id, found.act, case.state, viewer, reason, case.details)
    sending.tell(session, row.city_id, row.issue_id, found.act, case.state, row.organisation_id)
    what = {"state": case.state.value, **case.details}
    audit.append(session, row.city_id, f"issue.{found.act.value}", f"issue/{row.issue_id}", what)
    return Acted(row.issue_id, case.state.value, row.version, tuple(case.new))


def note(
    session: Session,
    city_id: int,
    issue: int,
    what: IssueAct,
    state: IssueState,
    viewer: Viewer | None,
    reason: str | None = None,
    details: dict[str, Any] | None = None,
) -> None:
    """Add a line to the history of an issue."""
    session.execute(
        insert(IssueEvent).inline().values(
            city_id=city_id, issue_id=issue, at=func.clock_timestamp(), act=what.value,
            state=state.value, actor_id=viewer.user_id if viewer else None,
            actor_role=viewer.role.value if viewer else "system", reason=reason,
            details=details or {},
        )
    )  # fmt: skip


# ---- what each act does to the row ---------------------------------------------------------------


def _accept(case: Trial) -> None:
    case.row.accepted_at = case.row.accepted_at or case.now


def _register(case: Trial) -> None:
    _accept(case)
    case.row.registered_at = case.now


def _start_clock(case: Trial) -> None:
    """Begin to count, once: the deadline is frozen, whatever is returned later."""
    row = case.row
    if row.dispatched_at is None:
        limit = case.rules.limit(row.category, "handle")
        row.dispatched_at = case.now
        row.deadline_at = case.rules.by(row.category, "handle", case.now)
        row.deadlines = case.rules.further(row.category, case.now) or None
        row.limit_amount = limit.amount if limit else None
        row.limit_unit = limit.unit.value if limit else None
    row.due_at = row.deadline_at or NEVER


def _route(case: Trial) -> Route:
    return route(case.rules, case.row.category, case.line, case.now)


def _organisations(case: Trial, wanted: set[int]) -> None:
    known = set(
        case.session.scalars(
            select(Organisation.organisation_id).where(
                Organisation.city_id == case.row.city_id, Organisation.organisation_id.in_(wanted)
            )
        )
    )
    if wanted - known:
        raise InvalidInputError(
            f"There is no organisation {min(wanted - known)}.", field="organisation",
            reason="no_organisation",
        )  # fmt: skip


def _dispatch(case: Trial) -> None:
    wish, row = case.wish, case.row
    if wish.organisation is None and not wish.itself:
        sent = _route(case)
        row.organisation_id, helping = sent.organisation, sent.assisting
        case.details["rule"] = sent.rule
    else:
        helping = tuple(wish.assisting)
        _organisations(case, {*helping, *([wish.organisation] if wish.organisation else [])})
        row.organisation_id = wish.organisation
    row.assisting = sorted(set(helping) - {row.organisation_id}) or None
    case.details |= {"organisation": row.organisation_id, "assisting": row.assisting}
    _start_clock(case)


def _join(case: Trial) -> None:
    wish = case.wish
    if wish.organisation is None or not set(wish.assisting) - {wish.organisation}:
        raise InvalidInputError(
            phrase("A joint dispatch names one that leads and others that assist."),
            field="assisting", reason="joint",
        )  # fmt: skip
    _dispatch(case)


def _return(case: Trial) -> None:
    case.row.returns += 1
    case.row.due_at = case.now


def _handle(case: Trial) -> None:
    case.row.handled_at = case.now
    case.row.due_at = case.now


def _rework(case: Trial) -> None:
    case.row.reworks += 1
    case.row.handled_at = None
    case.row.due_at = case.row.deadline_at or NEVER


def _close(case: Trial) -> None:
    case.row.closed_at = case.now
    case.row.due_at = NEVER


def _postpone(case: Trial) -> None:
    row, later = case.row, case.wish.deadline
    if row.postpones:
        raise IssueActError(
            phrase("It was postponed before; what still cannot be solved is parked."),
            act=case.act.value, state=row.state, reason="state",
        )  # fmt: skip
    if later is None or later.tzinfo is None or later <= max(row.deadline_at or case.now, case.now):
        raise InvalidInputError(
            phrase("Say a deadline that is later than the present one."), field="deadline",
            reason="deadline",
        )  # fmt: skip
    case.details["before"] = row.deadline_at.isoformat() if row.deadline_at else None
    row.postpones += 1
    row.deadline_at = row.due_at = later
    row.warned_at = None


def _pause(case: Trial) -> None:
    row = case.row
    if row.suspended_at is None:
        row.suspended_at = case.now
        if row.deadline_at is not None:
            row.remaining_s = left(case.now, row.deadline_at, _unit(row), case.calendar)
    row.due_at = NEVER


def _unit(row: Any) -> LimitUnit:
    return LimitUnit(row.limit_unit or LimitUnit.CLOCK_HOURS)


def _resume(case: Trial) -> None:
    row = case.row
    if row.remaining_s is not None:
        row.deadline_at = going_on(case.now, row.remaining_s, _unit(row), case.calendar)
    row.suspended_at = row.remaining_s = row.review_on = row.warned_at = None
    row.due_at = row.deadline_at or NEVER


def _park(case: Trial) -> None:
    day = _until(case)
    _pause(case)
    case.row.review_on = day
    case.row.due_at = datetime.combine(day, time(), case.rules.zone)


def _until(case: Trial) -> date:
    day = case.wish.until
    if day is None or not case.now.astimezone(case.rules.zone).date() <= day <= date(2999, 1, 1):
        raise InvalidInputError(phrase("Say a day to come."), field="until", reason="no_date")
    case.details["until"] = day.isoformat()
    return day


def _void(case: Trial) -> None:
    case.row.due_at = NEVER


def _solve(case: Trial) -> None:
    _accept(case)
    _handle(case)
    _close(case)
    case.row.on_the_spot = True


def _reopen(case: Trial) -> None:
    row = case.row
    row.reopens += 1
    row.closed_at = row.handled_at = row.dispatched_at = row.deadline_at = None
    row.on_the_spot = False
    row.warned_at = None  # a new life gets a warning of its own
    row.set_aside = row.duplicate_of = None  # else it would lie on nobody's desk
    row.due_at = case.now


def _escalate(case: Trial) -> None:
    row, level = case.row, rung_above(case.row.desk_level)
    if level != DEPARTMENT:
        case.details |= {"from": row.desk_level, "to": level}
        row.desk_level, row.warned_at = level, None
        return
    lead = case.wish.organisation or case.rules.kind(row.category).lead
    if lead is None or row.organisation_id is not None:
        raise IssueActError(
            phrase("There is no rung above."), act=case.act.value, state=row.state, reason="state"
        )
    _organisations(case, {lead})
    case.details |= {"from": row.desk_level, "to": DEPARTMENT, "organisation": lead}
    row.organisation_id, row.warned_at = lead, None
    row.accepted_at, row.registered_at = row.accepted_at or case.now, row.registered_at or case.now
    _start_clock(case)
    if case.state not in (S.REWORKED, S.POSTPONED):
        case.state = S.DISPATCHED


def _supervise(case: Trial) -> None:
    owner = case.wish.owner or (case.viewer.user_id if case.viewer else None)
    known = owner is not None and case.session.scalar(
        text(
            "SELECT count(*) FROM known_users(CAST(:city AS smallint),"
            " ARRAY[CAST(:user AS bigint)])"
        ),
        {"city": case.row.city_id, "user": owner},
    )
    if not known:
        raise InvalidInputError("There is no such account.", field="owner", reason="no_user")
    case.row.supervised_until = _until(case)
    case.row.supervisor_id = owner
    case.details["owner"] = owner


def _release(case: Trial) -> None:
    case.row.supervisor_id = case.row.supervised_until = None


def _reclassify(case: Trial) -> None:
    kind = case.rules.kind(case.wish.category or "")
    case.details |= {"from": case.row.category, "to": kind.code}
    case.row.category = kind.code


def _merge(case: Trial) -> None:
    into = case.wish.into
    seen = rights.issues_seen(case.viewer) if case.viewer else Issue.city_id == case.row.city_id
    other = case.session.scalars(select(Issue).where(seen, Issue.issue_id == into)).one_or_none()
    if other is None or into == case.row.issue_id or other.duplicate_of or other.state == S.VOID:
        told = phrase("Say another issue that is neither void nor a repeat itself.")
        raise InvalidInputError(told, field="into", reason="no_issue")
    case.row.duplicate_of = into
    case.row.set_aside = SetAside.DUPLICATE.value
    case.row.due_at = NEVER
    case.details["into"] = into
    note(
        case.session, other.city_id, other.issue_id, A.MERGE, IssueState(other.state), case.viewer,
        None, {"from": case.row.issue_id},
    )  # fmt: skip


def _split(case: Trial) -> None:
    from geo.store.cases.reporting import LONGEST_WORDS, new_id  # it acts on none of these

    parts = case.wish.parts
    if not 1 <= len(parts) <= MOST_PARTS:
        raise InvalidInputError(
            f"1 to {MOST_PARTS} parts.", field="parts", reason="parts", most=MOST_PARTS
        )
    row = case.row
    same = {
        name: getattr(row, name)
        for name in ("city_id", "cell_id", "owner_grid", *AREA_COLUMNS, "channel", "reported_at",
                     "geom", "address", "reporter_id", "desk_level")
    }  # fmt: skip
    for part in parts:
        kind = case.rules.kind(str(part.get("category") or row.category))
        words = str(part.get("words") or "").strip()[:LONGEST_WORDS] or None
        number = new_id(case.session, row.city_id)
        case.session.execute(
            insert(Issue).inline().values(
                **same, issue_id=number, category=kind.code, words=words,
                state=S.REPORTED.value, due_at=case.now, split_from=row.issue_id,
            )
        )  # fmt: skip
        note(case.session, row.city_id, number, A.REPORT, S.REPORTED, case.viewer, None,
             {"split_from": row.issue_id})  # fmt: skip
        case.new.append(number)
    case.details["new"] = list(case.new)


def _set_aside(case: Trial) -> None:
    if case.wish.aside is None:
        raise InvalidInputError("Say what it is.", field="aside", reason="aside")
    case.row.set_aside = case.wish.aside.value
    case.details["aside"] = case.wish.aside.value


def _put_back(case: Trial) -> None:
    case.row.set_aside = case.row.duplicate_of = None


def _warn(case: Trial) -> None:
    case.row.warned_at = case.now


EFFECTS: Final[dict[IssueAct, Callable[[Trial], None]]] = {
    A.ACCEPT: _accept,
    A.VERIFY: _accept,
    A.REGISTER: _register,
    A.DISPATCH: _dispatch,
    A.JOIN: _join,
    A.RETURN: _return,
    A.HANDLE: _handle,
    A.REWORK: _rework,
    A.CLOSE: _close,
    A.POSTPONE: _postpone,
    A.SUSPEND: _pause,
    A.RESUME: _resume,
    A.PARK: _park,
    A.TAKE_UP: _resume,
    A.VOID: _void,
    A.SOLVE: _solve,
    A.REOPEN: _reopen,
    A.ESCALATE: _escalate,
    A.SUPERVISE: _supervise,
    A.RELEASE: _release,
    A.RECLASSIFY: _reclassify,
    A.MERGE: _merge,
    A.SPLIT: _split,
    A.SET_ASIDE: _set_aside,
    A.PUT_BACK: _put_back,
    A.WARN: _warn,
}
"""Acts that change more of the row than its state."""
