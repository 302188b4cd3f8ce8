"""The page of small projects: on the map by place, with their budget and their steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Final
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query, Response
from fastapi.responses import RedirectResponse

from api import i18n, office_words, rendering
from api.i18n import marked
from api.office_desk import REFUSALS, Failed, Sent, SentDep
from api.routes.pages import Sight, SightDep
from api.routes.pages_campaigns import KEEPERS, PROJECTS
from api.routes.pages_figures import require_staff
from geo import service
from geo.errors import ForbiddenError, InvalidInputError, OutsideCityError, StaleEditError
from geo.terms import ProjectAct
from maps.views import net_frame

router = APIRouter(include_in_schema=False)

ACTS: Final[Mapping[str, str]] = {
    ProjectAct.PROPOSE: marked("Propose"),
    ProjectAct.AGREE: marked("Agree to it"),
    ProjectAct.APPROVE: marked("Approve it"),
    ProjectAct.SEND_BACK: marked("Send it back"),
    ProjectAct.REJECT: marked("Reject it"),
    ProjectAct.START: marked("Begin the work"),
    ProjectAct.FINISH: marked("Finish it"),
}
DONE: Final[Mapping[str, str]] = {
    "project.propose": marked("The project is proposed; somebody else of the desk agrees to it."),
    "project.act": marked("The step is noted."),
}
Words = Annotated[str, Query(max_length=100)]


@router.get("/projects")
def show_projects(
    sight: SightDep,
    campaign: Annotated[str, Query(max_length=18, pattern=r"^\d*$")] = "",
    project: Annotated[str, Query(max_length=18, pattern=r"^(\d*|new)$")] = "",
    done: Words = "",
) -> Response:
    """Show small projects of one's own areas and work."""
    require_staff(sight)
    return _page(sight, campaign, project, done=done)


@router.post("/projects")
def change_projects(sight: SightDep, sent: SentDep) -> Response:
    """Propose a project or do a step of one; the form again when that fails."""
    require_staff(sight)
    do, project = sent.text("do"), sent.text("project")
    try:
        if do not in ACTIONS:
            raise InvalidInputError("There is no such order.", field="do")
        with sight.access.session.begin_nested():
            project = str(ACTIONS[do](sight, sent))
    except (*REFUSALS, OutsideCityError, StaleEditError, ForbiddenError) as error:
        sight.access.session.expire_all()
        if isinstance(error, ForbiddenError) and do != "project.act":
            raise
        word = i18n.translations(i18n.get_language(sight.request)).gettext
        failed = Failed(
            do, sent.text("key"), str(error.data.get("field", "")),
            office_words.told(word, error), sent.values,
        )  # fmt: skip
        return _page(sight, "", project or "new", status=422, failed=failed)
    query = {"city": sight.city["slug"], "project": project, "done": do}
    return RedirectResponse(f"/projects?{urlencode(query)}", 303)


def _page(
    sight: Sight,
    campaign: str,
    project: str,
    *,
    done: str = "",
    status: int = 200,
    failed: Failed | None = None,
) -> Response:
    session, viewer = sight.access.session, sight.access.viewer
    at, zone = sight.asked.moment(session), ZoneInfo(sight.city["timezone"])
    rows = service.projects.listed(
        session, viewer, at, campaign=int(campaign) if campaign else None
    )
    known = any(str(row["project"]) == project for row in rows)
    chosen = service.projects.show(session, viewer, at, int(project)) if known else None
    for step in chosen["steps"] if chosen else ():
        step["at"] = step["at"].astimezone(zone)
    word = i18n.translations(i18n.get_language(sight.request)).gettext
    options = sight.options(plain=True)
    keeps = viewer.role in KEEPERS
    points = [
        {"project": row["project"], "name": row["name"], "state": row["state"],
         "lon": row["lon"], "lat": row["lat"]} for row in rows
    ]  # fmt: skip
    answer = sight.page(
        "projects.html",
        frame=sight.frame(net_frame, options),
        page={"points": points, "chosen": chosen["project"] if chosen else None,
              "picking": keeps and project == "new"},
        rows=rows,
        chosen=chosen,
        adding=keeps and (project == "new" or (failed is not None and not known)),
        keeps=keeps,
        role=viewer.role.value,
        campaign=campaign,
        campaigns=service.campaigns.listed(session, viewer, at) if keeps else [],
        states={code: word(text) for code, text in PROJECTS.items()},
        acts={code: word(text) for code, text in ACTS.items()},
        roles={role.value: word(text) for role, text in rendering.ROLES.items()},
        done=word(DONE[done]) if done in DONE else "",
        failed=failed,
    )  # fmt: skip
    answer.status_code = status
    return answer


def _money(sent: Sent, name: str) -> Decimal | None:
    said = sent.text(name).replace(",", "")
    try:
        return Decimal(said) if said else None
    except InvalidOperation:
        told = "That is no sum."
        raise InvalidInputError(told, field=name, reason="no_number", value=said[:40]) from None


def _propose(sight: Sight, sent: Sent) -> int:
    session, viewer = sight.access.session, sight.access.viewer
    budget = _money(sent, "budget")
    if budget is None:
        raise InvalidInputError("Say the budget.", field="budget", reason="empty")
    campaign = sent.number("campaign") if sent.text("campaign") else None
    plan = service.projects.Plan(
        sent.text("name"), sent.text("words"), sent.real("lon"), sent.real("lat"), budget,
        sent.text("funding") or None, None, campaign,
    )  # fmt: skip
    return service.projects.propose(session, viewer, sight.asked.moment(session), plan)


def _act(sight: Sight, sent: Sent) -> int:
    act = sent.text("act")
    if act not in ACTS:
        raise InvalidInputError("There is no such step.", field="act", reason="no_step")
    service.projects.act(
        sight.access.session, sight.access.viewer, sent.number("project"), sent.number("version"),
        ProjectAct(act), reason=sent.text("reason"), amount=_money(sent, "amount"),
    )  # fmt: skip
    return sent.number("project")


ACTIONS: Final[Mapping[str, Callable[[Any, Sent], int]]] = {
    "project.propose": _propose,
    "project.act": _act,
}
