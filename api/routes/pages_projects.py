"""The page of small projects: on the map by place, with their budget and their steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import partial
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Query, Response

from api import rendering
from api.i18n import marked
from api.office_desk import Desk, Failed, Sent, SentDep
from api.routes.pages import Blank
from api.routes.pages_campaigns import PROJECTS
from api.routes.pages_together import (
    KEEPERS,
    DeskDep,
    Number,
    Orders,
    RowNumber,
    Words,
    address,
    bodies,
    body_of,
    card_of,
    carry_out,
    client_id,
    fresh_id,
    mapped,
    mark,
    optional_number,
)
from geo import service
from geo.errors import InvalidInputError
from geo.terms import ProjectAct, ProjectState

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
    "project.revise": marked("The proposal is kept; somebody else of the desk agrees to it."),
    "project.act": marked("The step is noted."),
}
WAITS: Final = frozenset(
    {ProjectAct.AGREE, ProjectAct.APPROVE, ProjectAct.START, ProjectAct.FINISH}
)
"""Steps that bring a project on: whoever may do one is waited for."""
SIGNS: Final[Mapping[str, str]] = {
    ProjectState.PROPOSED: "1",
    ProjectState.AGREED: "2",
    ProjectState.APPROVED: "3",
    ProjectState.UNDER_WAY: "4",
    ProjectState.FINISHED: "✓",
    ProjectState.REJECTED: "×",
}
"""What a point of the map says beside its colour: how many steps a project has come."""
TONES: Final[Mapping[str, str]] = {
    ProjectState.FINISHED: "good",
    ProjectState.REJECTED: "quiet",
    ProjectState.UNDER_WAY: "watch",
}


@dataclass(frozen=True)
class Narrow:
    """Which projects are shown, as it stands in the address."""

    campaign: RowNumber = None
    state: Annotated[ProjectState | None, Blank, Query()] = None
    waits: Annotated[bool, Query(description="Those alone that wait for the reader.")] = False


NarrowDep = Annotated[Narrow, Depends()]


@router.get("/projects")
def show_projects(
    desk: DeskDep, narrow: NarrowDep, project: Number = "", done: Words = ""
) -> Response:
    """Show small projects of one's own areas and work."""
    return _page(desk, narrow, project, done=done)


@router.post("/projects")
def change_projects(desk: DeskDep, narrow: NarrowDep, sent: SentDep) -> Response:
    """Propose a project or do a step of one; the form again when that fails."""

    def again(project: str, failed: Failed) -> Response:
        return _page(desk, narrow, project or "new", status=422, failed=failed)

    return carry_out(desk, sent, ACTIONS, "project", again)


def _page(
    desk: Desk,
    narrow: Narrow,
    project: str,
    *,
    done: str = "",
    status: int = 200,
    failed: Failed | None = None,
) -> Response:
    session, viewer = desk.access.session, desk.access.viewer
    rows = _listed(desk, narrow)
    chosen = card_of(project, partial(service.projects.show, session, viewer, desk.at))
    zone = ZoneInfo(desk.city["timezone"])
    for step in chosen["steps"] if chosen else ():
        step["at"] = step["at"].astimezone(zone)
    keeps = viewer.role in KEEPERS
    adding = keeps and project == "new"
    return desk.page(
        "projects.html",
        status=status,
        rows=rows,
        sums=_sums(rows),
        most=service.projects.LATEST,
        narrow=narrow,
        chosen=chosen,
        adding=adding,
        keeps=keeps,
        campaigns=service.campaigns.listed(session, viewer, desk.at),
        bodies=bodies(desk) if keeps else [],
        states={code: desk.word(word) for code, word in PROJECTS.items()},
        acts={code: desk.word(word) for code, word in ACTS.items()},
        roles={role.value: desk.word(word) for role, word in rendering.ROLES.items()},
        done=desk.word(DONE[done]) if done in DONE else "",
        failed=failed,
        fresh=fresh_id(),
        address=partial(address, desk),
        frame=mapped(desk),
        page={
            "marks": [_mark(desk, row, chosen) for row in rows],
            "view": [chosen["lon"], chosen["lat"]] if chosen else None,
            "picking": adding,
        },
    )


def _listed(desk: Desk, narrow: Narrow) -> list[dict[str, Any]]:
    """Return the projects that are shown, those first that wait for the reader."""
    rows = service.projects.listed(
        desk.access.session, desk.access.viewer, desk.at, campaign=narrow.campaign,
        state=narrow.state,
    )  # fmt: skip
    for row in rows:
        row["waits"] = bool(WAITS & set(row["acts"]))
    shown = [row for row in rows if row["waits"] or not narrow.waits]
    return sorted(shown, key=lambda row: not row["waits"])


def _sums(rows: Sequence[Mapping[str, Any]]) -> dict[str, Decimal]:
    """Return what is approved and spent in all."""
    approved = [row for row in rows if ProjectState(row["state"]) in service.bulletins.SPENDING]
    spent = (row["spent"] or Decimal(0) for row in approved)
    return {
        "budget": sum((row["budget"] for row in approved), start=Decimal(0)),
        "spent": sum(spent, start=Decimal(0)),
    }


def _mark(desk: Desk, row: Mapping[str, Any], chosen: Mapping[str, Any] | None) -> dict[str, Any]:
    shown = chosen is not None and row["project"] == chosen["project"]
    state, href = row["state"], address(desk, project=row["project"])
    name = f"{row['name']} · {desk.word(PROJECTS[state])}"
    tone, sign = TONES.get(state, ""), SIGNS[state]
    return mark(row, href, tone=tone, name=name, text=sign, chosen=shown)


def _money(sent: Sent, name: str) -> Decimal | None:
    said = sent.text(name).replace(",", "")
    try:
        return Decimal(said) if said else None
    except InvalidOperation:
        told = "That is no sum."
        raise InvalidInputError(told, field=name, reason="no_number", value=said[:40]) from None


def _said(desk: Desk, sent: Sent) -> dict[str, Any]:
    """Return what a form says of a project."""
    return {
        "name": sent.text("name"), "words": sent.text("words"), "budget": _money(sent, "budget"),
        "funding": sent.text("funding") or None,
        "organisation": body_of(desk, sent),
        "campaign": optional_number(sent, "campaign"),
        "lon": sent.real("lon"), "lat": sent.real("lat"),
    }  # fmt: skip


def _propose(desk: Desk, sent: Sent) -> int:
    session, viewer = desk.access.session, desk.access.viewer
    plan = service.projects.Plan(**_said(desk, sent))
    return service.projects.propose(session, viewer, desk.at, plan, client_id(sent)).number


def _revise(desk: Desk, sent: Sent) -> int:
    session, viewer, project = desk.access.session, desk.access.viewer, sent.number("project")
    service.projects.revise(
        session, viewer, desk.at, project, sent.number("version"), _said(desk, sent)
    )
    return project


def _act(desk: Desk, sent: Sent) -> int:
    act = sent.text("act")
    if act not in ACTS:
        raise InvalidInputError("There is no such step.", field="act", reason="no_step")
    service.projects.act(
        desk.access.session, desk.access.viewer, sent.number("project"), sent.number("version"),
        ProjectAct(act), reason=sent.text("reason"), amount=_money(sent, "amount"),
    )  # fmt: skip
    return sent.number("project")


ACTIONS: Final[Orders] = {
    "project.propose": _propose,
    "project.revise": _revise,
    "project.act": _act,
}
