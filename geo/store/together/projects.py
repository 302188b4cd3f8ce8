"""Small projects: proposed at a place with a budget, agreed and approved by different people."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

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
from geo.tables import NetGrid, Organisation, ProjectStep, SmallProject, UserAccount
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


def propose(session: Session, viewer: Viewer, at: Moment, plan: Plan) -> int:
    """Propose a project; return its number.

    Raises
    ------
    ForbiddenError
        If the viewer is neither an administrator nor a community.
    OutsideCityError
        If the place lies outside the city.
    NotFoundError
        If there is no such campaign.
    InvalidInputError
        If the place lies elsewhere, or a value cannot be used; `field` names it.
    """
    city_id = rights.demand(viewer, rights.TELLING)
    if plan.campaign is not None:
        campaigns.show(session, viewer, at, plan.campaign)
    values = {
        "city_id": city_id, "campaign_id": plan.campaign, "name": words.title(plan.name, "name"),
        "words": words.plain(plan.words, "words"), "budget": _money(plan.budget, "budget"),
        "funding": words.perhaps(plan.funding, "funding", 100),
        "organisation_id": places.body(session, city_id, plan.organisation),
        "state": ProjectState.PROPOSED.value, "created_by": viewer.user_id,
        **places.of_point(session, viewer, at, plan.lon, plan.lat),
    }  # fmt: skip
    project = SmallProject
    made = int(session.scalar(insert(project).values(**values).returning(project.project_id)) or 0)
    _note(session, viewer, made, ProjectAct.PROPOSE, ProjectState.PROPOSED, None, values["budget"])
    return made


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
    if row.version != version:
        raise StaleEditError("The project was changed since.", version=row.version)
    state = ProjectState(row.state)
    step = STEPS.get(what)
    if step is None or state not in step.begins:
        told = f"A project that is {state.value} cannot be: {what.value}."
        raise ConflictError(told, reason="state", state=state.value)
    if what not in acts_for(state, viewer.role, viewer.user_id, _since(session, row)):
        raise ForbiddenError("Somebody else does this step.")
    values = {"state": step.ends.value, "version": version + 1, **_amount(what, row, amount)}
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
        raise StaleEditError("The project was changed since.", version=version)
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
    """Return the projects that one may see, the latest first.

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
    return [dict(row._mapping) for row in session.execute(asked)]


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
    thing = session.get(SmallProject, (at.city_id, project))
    before = _since(session, thing) if thing is not None else []
    acts = acts_for(ProjectState(row.state), viewer.role, viewer.user_id, before)
    return {
        **row._mapping,
        "steps": [dict(one._mapping) for one in steps],
        "acts": [one.value for one in acts],
    }


def _since(session: Session, row: SmallProject) -> list[tuple[ProjectAct, int]]:
    """Return who did which step since the project was proposed, or sent back, last."""
    step = ProjectStep
    own = (step.city_id == row.city_id, step.project_id == row.project_id)
    back = select(func.max(step.step_id)).where(*own, step.act == ProjectAct.SEND_BACK.value)
    rows = session.execute(
        select(step.act, step.actor_id).where(
            *own,
            (step.act == ProjectAct.PROPOSE.value)
            | (step.step_id > func.coalesce(back.scalar_subquery(), 0)),
        )
    )
    return [(ProjectAct(one.act), one.actor_id) for one in rows if one.actor_id is not None]


def _amount(what: ProjectAct, row: SmallProject, amount: Decimal | None) -> dict[str, Any]:
    if what is ProjectAct.FINISH:
        if amount is None:
            raise InvalidInputError("Say what was spent.", field="amount", reason="empty")
        return {"spent": _money(amount, "amount")}
    if what in (ProjectAct.AGREE, ProjectAct.APPROVE) and amount is not None:
        return {"budget": _money(amount, "amount")}
    return {}


def _money(said: Decimal, field: str) -> Decimal:
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
            project.name, project.words, project.grid_id.label("grid"),
            NetGrid.name.label("grid_name"), project.organisation_id.label("organisation"),
            body.name.label("organisation_name"), func.ST_X(project.geom).label("lon"),
            func.ST_Y(project.geom).label("lat"), project.budget, project.funding, project.spent,
            project.state, project.created_at, project.version,
        )
        .outerjoin(NetGrid, grid)
        .outerjoin(body, and_(body.city_id == project.city_id,
                              body.organisation_id == project.organisation_id))
        .where(places.seen(project, viewer, own_work=True))
    )  # fmt: skip
