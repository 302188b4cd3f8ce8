"""The desk of issues: what is to be done, by whom, until when."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Response

from api import auth, desk_asking, i18n, rendering
from api.i18n import marked
from api.routes.pages import Blank, Number, SightDep, Word
from api.routes.pages_figures import require_staff
from api.routes.pages_report import ACTS, STATES
from api.routes.pages_report import CHANNELS as STAFF_CHANNELS
from api.routes.pages_rules import STEPS
from geo import service
from geo.terms import IssueAct, Role, SetAside
from maps.views import net_frame, net_page

router = APIRouter(include_in_schema=False)

BOXES: Final[Mapping[str, str]] = {
    "all": marked("all open"),
    "overdue": marked("overdue"),
    "due_today": marked("due today"),
    "new": marked("new"),
    "to_check": marked("to check"),
    "supervised": marked("supervised"),
    "parked": marked("parked"),
    "suspended": marked("suspended"),
    "closed": marked("closed ones"),
}
"""The boxes of a desk, what is most urgent first."""
VERBS: Final[Mapping[IssueAct, str]] = {
    IssueAct.ACCEPT: marked("Accept"),
    IssueAct.VERIFY: marked("Verified"),
    IssueAct.REGISTER: marked("Register"),
    IssueAct.DISPATCH: marked("Dispatch"),
    IssueAct.JOIN: marked("Call several bodies"),
    IssueAct.RETURN: marked("Return"),
    IssueAct.HANDLE: marked("Is handled"),
    IssueAct.CHECK: marked("Checked"),
    IssueAct.REWORK: marked("Have it done again"),
    IssueAct.CLOSE: marked("Close the issue"),
    IssueAct.POSTPONE: marked("Give more time"),
    IssueAct.SUSPEND: marked("Suspend"),
    IssueAct.RESUME: marked("Go on"),
    IssueAct.PARK: marked("Park"),
    IssueAct.TAKE_UP: marked("Take up"),
    IssueAct.VOID: marked("Make void"),
    IssueAct.SOLVE: marked("Solve on the spot"),
    IssueAct.REOPEN: marked("Open it again"),
    IssueAct.ESCALATE: marked("Pass upward"),
    IssueAct.SUPERVISE: marked("Supervise"),
    IssueAct.RELEASE: marked("End supervision"),
    IssueAct.NOTE: marked("Note something"),
    IssueAct.RECLASSIFY: marked("Change the kind"),
    IssueAct.MERGE: marked("Merge"),
    IssueAct.SPLIT: marked("Split off"),
    IssueAct.SET_ASIDE: marked("Do not count"),
    IssueAct.PUT_BACK: marked("Count again"),
}
"""What the buttons of acts say."""
FURTHER: Final[Mapping[IssueAct, str]] = {
    IssueAct.SUPERVISE: marked("Supervised"),
    IssueAct.RELEASE: marked("Supervision ended"),
    IssueAct.NOTE: marked("Noted"),
    IssueAct.SET_ASIDE: marked("Set aside"),
    IssueAct.PUT_BACK: marked("Counts again"),
    IssueAct.WARN: marked("Warned that the limit lapses"),
}
"""Lines of the history that the reporter is not told."""
ASIDE: Final[Mapping[SetAside, str]] = {
    SetAside.DEFAULT_GEOCODE: marked("default coordinates"),
    SetAside.DUPLICATE: marked("duplicate"),
    SetAside.IMPOSSIBLE_TIME: marked("impossible time"),
}
REASONS: Final = (
    marked("the deadline has passed"),
    marked("warned of, and still not handled"),
)
"""Reasons that the house itself writes into a history."""
CHANNELS: Final[Mapping[str, str]] = {
    "report": marked("residents' report"),
    **STAFF_CHANNELS,
    "device": marked("alarm of a device"),
    "import": marked("another platform"),
}
"""How something comes in."""
MOST_BODIES: Final = 1000
DEPARTMENT: Final = "department"
Box = Annotated[desk_asking.Box | None, Blank, Query()]
Day = Annotated[date | None, Blank]


@router.get("/issues")
def show_issues(
    sight: SightDep,
    box: Box = None,
    q: Word = None,
    category: Word = None,
    grid: Word = None,
    grid_name: Word = None,
    issue: Word = None,
    held: Word = None,
    state: Word = None,
    organisation: Number = None,
    channel: Word = None,
    since: Annotated[Day, Query(alias="from")] = None,
    until: Annotated[Day, Query(alias="to")] = None,
) -> Response:
    """Show the issues on one's desk, list and map side by side; its scripts read the address."""
    require_staff(sight)
    session, viewer = sight.access.session, sight.access.viewer
    city = int(sight.access.city_id or 0)
    at = sight.asked.moment(session)
    english = i18n.get_language(sight.request) == "en"
    kinds = [
        {**row, "name": (english and row["name_en"]) or row["name"]}
        for row in service.kinds.categories(session, city)
    ]
    options = sight.options(packed=sight.packed, plain=True)
    token = auth.session_token(sight.request)
    word = i18n.translations(i18n.get_language(sight.request)).gettext
    page = {
        "api": net_page(sight.city, sight.net, options)["api"],
        "lang": i18n.get_language(sight.request),
        "csrf": auth.csrf_token(token) if token else "",
        "city": sight.city["slug"],
        "zone": at.timezone,
        "user": viewer.user_id,
        "mayKeepTexts": viewer.role is Role.ADMINISTRATOR,
        "places": service.cases.PLACES,
        "tabs": _tabs(sight, at),
        "mayRelease": viewer.role in service.photos.DESKS,
        "mayContact": viewer.role is Role.COMMUNITY,
        "kinds": [{"category": one["category"], "name": one["name"]} for one in kinds],
        "organisations": organisations(sight),
        "boxes": [[name, word(text)] for name, text in BOXES.items()],
        "words": _words(sight) | {"levels": _levels(sight, at)},
    }
    return sight.page(
        "issues.html",
        frame=sight.frame(net_frame, options),
        page=page,
        kinds=kinds,
        asked={
            "q": q,
            "category": category,
            "state": state,
            "organisation": organisation,
            "channel": channel,
            "since": since,
            "until": until,
        },
    )


def _tabs(sight: Any, at: service.Moment) -> list[tuple[str, str]]:
    """Return who may hold an issue of one's desk: number of a level, "0" for departments."""
    viewer, lang = sight.access.viewer, i18n.get_language(sight.request)
    word = i18n.translations(lang).gettext
    if viewer.role is Role.DEPARTMENT:
        return [("", word(marked("My department")))]
    levels = service.cases.desk_levels(
        sight.access.session, sight.asked.moment(sight.access.session)
    )
    own = service.cases.own_level(sight.access.session, viewer)
    named = [
        (level, (lang == "en" and row["name_en"]) or row["name"])
        for level, row in levels.items()
        if own is None or level >= own
    ]
    if viewer.role is Role.WORKER and named:
        return [("", word(marked("My %(level)s")) % {"level": named[0][1]})]
    tabs = [("", word(marked("All in my area")) if own else word(marked("Whole city")))]
    tabs += [
        (str(level), word(marked("My %(level)s")) % {"level": name} if level == own else name)
        for level, name in named
    ]
    return [*tabs, ("0", word(marked("Departments")))]


def _words(sight: Any) -> dict[str, dict[str, str]]:
    word = i18n.translations(i18n.get_language(sight.request)).gettext
    return {
        "acts": {act.value: word(text) for act, text in VERBS.items()},
        "done": {act.value: word(text) for act, text in {**ACTS, **FURTHER}.items()},
        "states": {state.value: word(text) for state, text in STATES.items()},
        "aside": {one.value: word(text) for one, text in ASIDE.items()},
        "roles": {role.value: word(text) for role, text in rendering.ROLES.items()}
        | {"system": word(marked("by itself"))},
        "channels": {channel: word(text) for channel, text in CHANNELS.items()},
        "steps": {step: word(text) for step, text in STEPS.items()},
        "reasons": {text: word(text) for text in REASONS},
    }


def _levels(sight: Any, at: service.Moment) -> dict[int, str]:
    """Return what the desks are called by level; 0 is a department."""
    lang = i18n.get_language(sight.request)
    rows = service.cases.desk_levels(sight.access.session, at)
    own = {level: (lang == "en" and row["name_en"]) or row["name"] for level, row in rows.items()}
    return {**own, 0: i18n.translations(lang).gettext("Departments")}


def organisations(sight: Any) -> list[dict[str, Any]]:
    """Return the bodies that may be sent to: departments first, then what lies nearer."""
    narrow, turn = service.PlaceFilter(), service.Turn(MOST_BODIES, None)
    _, found = service.list_organisations(sight.access.session, sight.asked, narrow, turn)
    rows = sorted(found.items, key=lambda row: (row["kind"] != DEPARTMENT, row["organisation"]))
    return [{"organisation": row["organisation"], "name": row["name"]} for row in rows]
