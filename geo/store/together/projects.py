"""Small projects: proposed at a place with a budget, agreed and approved by different people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from sqlalchemy import and_, func, insert, select, update
from sqlalchemy.orm import Session, aliased

from geo.campaigns import STEPS, acts_for
from geo.db import Viewer
from geo.errors import (
    ConflictError,
    ForbiddenError,
    InvalidInputError,
    NotFoundError,
    StaleEditError,
)
from geo.store import audit, rights
from geo.store.grids import of_net
from geo.store.nets import Moment
from geo.store.together import campaigns, places, words
from geo.store.together.rows import Made, demand_version, enter, locked
from geo.tables import Campaign, NetGrid, Organisation, ProjectStep, SmallProject, UserAccount
from geo.terms import ProjectAct, ProjectState

LATEST: Final = 500
MOST_BUDGET: Final = Decimal("9999999999.99")


@dataclass(frozen=True)
class Plan:
    """What is to be done where (degrees), for how much of the city's currency."""

    name: str
    words: str
    lon: float
    lat: float
    budget: Decimal
    funding: str | None = None
    organisation: int | None = None
    campaign: int | None = None


def propose(
    session: Session, viewer: Viewer, at: Moment, plan: Plan, client_id: UUID | None = None
) -> Made:
    """Propose a project, once under an id.

    Raises
    ------
    ForbiddenError
        If the viewer is neither an administrator nor a community.
    OutsideCityError
        If the place lies outside the city.
    NotFoundError
        If there is no such campaign.
    InvalidInputError
        If the place lies elsewhere, the campaign is closed, or a value cannot be used; `field`
        names it.
    ConflictError
        If something else came in under the id.
    """
    city_id = rights.demand(viewer, rights.TELLING)
    values = {
        "city_id": city_id, **_said(session, viewer, at, vars(plan)),
        "state": ProjectState.PROPOSED.value, "created_by": viewer.user_id,
    }  # fmt: skip
    made = enter(session, SmallProject.project_id, client_id, values)
    if made.created:
        budget = values["budget"]
        _note(session, viewer, made.number, ProjectAct.PROPOSE, ProjectState.PROPOSED, None, budget)
    return made


def revise(
    session: Session,
    viewer: Viewer,
    at: Moment,
    project: int,
    version: int,
    said: Mapping[str, Any],
) -> int:
    """Change what is proposed before anybody agreed to it; return the version.

    It counts as a proposal of its own: whoever changed it does not agree to it either.

    Parameters
    ----------
    said : mapping
        Any of `name`, `words`, `lon` with `lat`, `budget`, `funding`, `organisation`, `campaign`.

    Raises
    ------
    ForbiddenError
        If the viewer is neither an administrator nor a community.
    NotFoundError
        If the viewer may see no such project.
    StaleEditError
        If it was changed since.
    ConflictError
        If it is agreed to already; `reason` is "state".
    OutsideCityError, InvalidInputError
        As `propose`.
    """
    city_id = rights.demand(viewer, rights.TELLING)
    row = locked(session, viewer, SmallProject.project_id, project, version)
    if row.state != ProjectState.PROPOSED.value:
        told = "A project is changed while it is proposed; send it back first."
        raise ConflictError(told, reason="state", state=row.state)
    if said.get("campaign", ...) == row.campaign_id:  # it may be closed by now
        said = {name: value for name, value in said.items() if name != "campaign"}
    values = _said(session, viewer, at, said)
    session.execute(
        update(SmallProject)
        .where(SmallProject.city_id == city_id, SmallProject.project_id == project)
        .values(**values, version=version + 1)
    )
    budget = values.get("budget", row.budget)
    _note(session, viewer, project, ProjectAct.PROPOSE, ProjectState.PROPOSED, None, budget)
    return version + 1


def act(
    session: Session,
    viewer: Viewer,
    project: int,
    version: int,
    what: ProjectAct,
    *,
    reason: str | None = None,
    amount: Decimal | None = None,
) -> tuple[ProjectState, int]:
    """Do a step of a project; return its state and version.

    Parameters
    ----------
    amount : Decimal, optional
        What is approved, if other than proposed; what was spent, when it is finished.

    Raises
    ------
    NotFoundError
        If the viewer may see no such project.
    StaleEditError
        If it was changed since.
    ForbiddenError
        If the role does no such step, or the same account did the one before.
    ConflictError
        If its state allows no such step; `reason` is "state".
    InvalidInputError
        If a step lacks its reason or amount.
    """
    own = (SmallProject.city_id == viewer.city_id, SmallProject.project_id == project)
    row = session.scalars(
        select(SmallProject).where(*own, places.seen(SmallProject, viewer, own_work=True))
    ).one_or_none()
    if not viewer.staff or row is None:
        raise NotFoundError(f"There is no project {project}.", project=project)
    demand_version(row, version)
    state = ProjectState(row.state)
    step = STEPS.get(what)
    if step is None or state not in step.begins:
        told = f"A project that is {state.value} cannot be: {what.value}."
        raise ConflictError(told, reason="state", state=state.value)
    before = _since(session, row.city_id, [project])[project]
    if what not in acts_for(state, viewer.role, viewer.user_id, before):
        raise ForbiddenError("Somebody else does this step.")
    values = {"state": step.ends.value, "version": version + 1, **_amount(what, amount)}
    said = words.perhaps(reason, "reason", 300)
    if step.reason and said is None:
        raise InvalidInputError("Say why.", field="reason", reason="empty")
    changed = session.execute(
        update(SmallProject)
        .where(*own, SmallProject.version == version)
        .values(**values)
        .returning(SmallProject.project_id)
    ).all()
    if not changed:
        raise StaleEditError("It was changed since.", version=version)
    told_sum = values.get("spent", values.get("budget", row.budget))
    _note(session, viewer, project, what, step.ends, said, told_sum)
    return step.ends, version + 1


def listed(
    session: Session,
    viewer: Viewer,
    at: Moment,
    *,
    campaign: int | None = None,
    state: ProjectState | None = None,
) -> list[dict[str, Any]]:
    """Return the projects that one may see, the latest first, with `acts` that are one's own now.

    Raises
    ------
    ForbiddenError
        If the viewer does not work for the city.
    """
    if not viewer.staff:
        raise ForbiddenError("Projects are listed for the staff of the city.")
    asked = _cards(at, viewer).order_by(SmallProject.project_id.desc()).limit(LATEST)
    if campaign is not None:
        asked = asked.where(SmallProject.campaign_id == campaign)
    if state is not None:
        asked = asked.where(SmallProject.state == state.value)
    return _with_acts(session, viewer, at, [dict(row._mapping) for row in session.execute(asked)])


def show(session: Session, viewer: Viewer, at: Moment, project: int) -> dict[str, Any]:
    """Return a project with its steps and the acts that the viewer may do now.

    Raises
    ------
    NotFoundError
        If the viewer may see no such project.
    """
    asked = _cards(at, viewer).where(SmallProject.project_id == project)
    row = session.execute(asked).one_or_none()
    if not viewer.staff or row is None:
        raise NotFoundError(f"There is no project {project}.", project=project)
    step = ProjectStep
    steps = session.execute(
        select(step.at, step.act, step.state, step.actor_role, step.reason, step.budget,
               UserAccount.login.label("actor"))
        .outerjoin(UserAccount, and_(UserAccount.city_id == step.city_id,
                                     UserAccount.user_id == step.actor_id))
        .where(step.city_id == at.city_id, step.project_id == project)
        .order_by(step.step_id)
    )  # fmt: skip
    card = _with_acts(session, viewer, at, [dict(row._mapping)])[0]
    revised = row.state == ProjectState.PROPOSED.value and viewer.role in rights.TELLING
    return {
        **card,
        "steps": [dict(one._mapping) for one in steps],
        "may_revise": revised,
    }


def _with_acts(
    session: Session, viewer: Viewer, at: Moment, rows: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Add to each project the `acts` that the viewer may do now."""
    before = _since(session, at.city_id, [row["project"] for row in rows])
    for row in rows:
        state, own = ProjectState(row["state"]), before[row["project"]]
        row["acts"] = [one.value for one in acts_for(state, viewer.role, viewer.user_id, own)]
    return rows


def _since(
    session: Session, city_id: int, projects: Sequence[int]
) -> dict[int, list[tuple[ProjectAct, int]]]:
    """Return who did which step since each project was sent back last, and all who proposed it."""
    step = ProjectStep
    found: dict[int, list[tuple[ProjectAct, int]]] = {project: [] for project in projects}
    rows = session.execute(
        select(step.project_id, step.act, step.actor_id)
        .where(step.city_id == city_id, step.project_id.in_(projects))
        .order_by(step.step_id)
    )
    for project, act_code, actor in rows:
        done = ProjectAct(act_code)
        if done is ProjectAct.SEND_BACK:
            found[project] = [one for one in found[project] if one[0] is ProjectAct.PROPOSE]
        elif actor is not None:
            found[project].append((done, actor))
    return found


def _said(session: Session, viewer: Viewer, at: Moment, said: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is said of a project, looked through; what is not said stays away."""
    values: dict[str, Any] = {}
    if "name" in said:
        values["name"] = words.title(said["name"], "name")
    if "words" in said:
        values["words"] = words.plain(said["words"], "words")
    if "budget" in said:
        values["budget"] = _money(said["budget"], "budget")
    if "funding" in said:
        values["funding"] = words.perhaps(said["funding"], "funding", 100)
    if "organisation" in said:
        body = places.body(session, viewer.city_id or 0, said["organisation"])
        values["organisation_id"] = body
    if "campaign" in said:
        values["campaign_id"] = said["campaign"]
        if said["campaign"] is not None:
            campaigns.open_one(session, viewer.city_id or 0, said["campaign"])
    if "lon" in said or "lat" in said:
        lon, lat = said.get("lon"), said.get("lat")
        if lon is None or lat is None:
            raise InvalidInputError("A place is lon, lat.", field="lon", reason="no_place")
        values |= places.of_point(session, viewer, at, lon, lat)
    return values


def _amount(what: ProjectAct, amount: Decimal | None) -> dict[str, Any]:
    if what is ProjectAct.FINISH:
        if amount is None:
            raise InvalidInputError("Say what was spent.", field="amount", reason="empty")
        return {"spent": _money(amount, "amount")}
    if what in (ProjectAct.AGREE, ProjectAct.APPROVE) and amount is not None:
        return {"budget": _money(amount, "amount")}
    return {}


def _money(said: Decimal | None, field: str) -> Decimal:
    if said is None:
        raise InvalidInputError("Say the sum.", field=field, reason="empty")
    if not said.is_finite() or not 0 <= said <= MOST_BUDGET:
        raise InvalidInputError("That is no sum.", field=field, reason="range")
    return said.quantize(Decimal("0.01"))


def _note(
    session: Session,
    viewer: Viewer,
    project: int,
    what: ProjectAct,
    state: ProjectState,
    reason: str | None,
    amount: Decimal,
) -> None:
    session.execute(
        insert(ProjectStep).inline().values(
            city_id=viewer.city_id, project_id=project, act=what.value, state=state.value,
            actor_id=viewer.user_id, actor_role=viewer.role.value, reason=reason, budget=amount,
        )
    )  # fmt: skip
    told = {"act": what.value, "state": state.value, "amount": str(amount)}
    audit.append(session, viewer.city_id or 0, "project.step", f"project/{project}", told)


def _cards(at: Moment, viewer: Viewer) -> Any:
    project, body = SmallProject, aliased(Organisation)
    grid = and_(of_net(NetGrid, at), NetGrid.grid_id == project.grid_id)
    return (
        select(
            project.project_id.label("project"), project.campaign_id.label("campaign"),
            Campaign.name.label("campaign_name"), project.name, project.words,
            project.grid_id.label("grid"), NetGrid.name.label("grid_name"),
            project.organisation_id.label("organisation"),
            body.name.label("organisation_name"), func.ST_X(project.geom).label("lon"),
            func.ST_Y(project.geom).label("lat"), project.budget, project.funding, project.spent,
            project.state, project.created_at, project.version,
        )
        .outerjoin(NetGrid, grid)
        .outerjoin(Campaign, and_(Campaign.city_id == project.city_id,
                                  Campaign.campaign_id == project.campaign_id))
        .outerjoin(body, and_(body.city_id == project.city_id,
                              body.organisation_id == project.organisation_id))
        .where(places.seen(project, viewer, own_work=True))
    )  # fmt: skip
