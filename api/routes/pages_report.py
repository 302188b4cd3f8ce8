"""Pages of residents: a report is made, and followed to its end; no account is needed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

from fastapi import APIRouter, Request, Response
from fastapi import Path as InPath

from api import auth, i18n
from api.i18n import marked
from api.routes.pages import Sight, SightDep
from geo import service
from geo.datums import CHINA
from geo.terms import IssueAct, IssueState, Role
from maps.views import net_frame, net_page

router = APIRouter(include_in_schema=False)

STATES: Final[Mapping[IssueState, str]] = {
    IssueState.REPORTED: marked("received"),
    IssueState.ACCEPTED: marked("accepted"),
    IssueState.VERIFIED: marked("verified on site"),
    IssueState.REGISTERED: marked("registered"),
    IssueState.DISPATCHED: marked("being handled"),
    IssueState.HANDLED: marked("handled, to be checked"),
    IssueState.CHECKED: marked("checked on site"),
    IssueState.CLOSED: marked("case closed"),
    IssueState.RETURNED: marked("being sent to somebody else"),
    IssueState.REWORKED: marked("being done again"),
    IssueState.POSTPONED: marked("given more time"),
    IssueState.SUSPENDED: marked("waiting for something"),
    IssueState.PARKED: marked("on the list of what cannot be solved yet"),
    IssueState.VOID: marked("not taken up"),
}
"""What a state is called to residents."""
ACTS: Final[Mapping[IssueAct, str]] = {
    IssueAct.REPORT: marked("Reported"),
    IssueAct.ACCEPT: marked("Accepted by the desk"),
    IssueAct.VERIFY: marked("Verified on site"),
    IssueAct.REGISTER: marked("Registered"),
    IssueAct.DISPATCH: marked("Sent to who solves it"),
    IssueAct.JOIN: marked("Several bodies called together"),
    IssueAct.RETURN: marked("Sent back to the desk"),
    IssueAct.HANDLE: marked("Handled"),
    IssueAct.CHECK: marked("Checked on site"),
    IssueAct.REWORK: marked("To be done again"),
    IssueAct.CLOSE: marked("Closed"),
    IssueAct.POSTPONE: marked("Given more time"),
    IssueAct.SUSPEND: marked("Waiting for something"),
    IssueAct.RESUME: marked("Taken up again"),
    IssueAct.PARK: marked("Put on the list of what cannot be solved yet"),
    IssueAct.TAKE_UP: marked("Taken up again"),
    IssueAct.VOID: marked("Not taken up"),
    IssueAct.SOLVE: marked("Solved on the spot"),
    IssueAct.REOPEN: marked("Opened again"),
    IssueAct.ESCALATE: marked("Passed to the next higher office"),
    IssueAct.RECLASSIFY: marked("Given another kind"),
    IssueAct.MERGE: marked("Joined with another report of the same"),
    IssueAct.SPLIT: marked("Parted into several"),
    IssueAct.ANSWER: marked("Answered by you"),
    IssueAct.HAND_OVER: marked("Handed over to the new grid"),
}
"""What an act is called to residents."""
CHANNELS: Final[Mapping[str, str]] = {
    "worker": marked("found on patrol"),
    "hotline": marked("hotline"),
    "office": marked("at the counter"),
    "meeting": marked("meeting of residents"),
    "station": marked("at a station"),
}
"""How something reaches the staff who enter it."""
NEAR_DEG: Final = 0.004
"""Half of the first view: some hundred metres, so that a pin can be set."""
Code = Annotated[str, InPath(min_length=4, max_length=16, pattern=r"^[0-9A-Z]+$")]


@router.get("/report")
def show_report(sight: SightDep) -> Response:
    """Let anybody report something on the map."""
    options = sight.options(packed=sight.packed, first_view=_first_view(sight), plain=True)
    kinds = _kinds(sight)
    west, south, east, north = sight.city["bbox"]
    page = {
        **_door(sight, options),
        "names": {one["category"]: one["name"] for one in kinds},
        "china": CHINA[0] <= (west + east) / 2 <= CHINA[2]
        and CHINA[1] <= (south + north) / 2 <= CHINA[3],
    }
    viewer = sight.access.viewer
    word = i18n.translations(i18n.get_language(sight.request)).gettext
    page["staff"] = viewer.staff
    page["base"] = sight.request.app.state.assets.base
    page["walks"] = viewer.role is Role.WORKER
    first = "worker" if viewer.role is Role.WORKER else "hotline"
    channels = [
        {"channel": channel, "name": word(text), "chosen": channel == first}
        for channel, text in CHANNELS.items()
    ]
    tops = [one for one in kinds if one["parent"] is None]
    groups = [
        {
            "name": top["name"],
            "items": [one for one in kinds if one["parent"] == top["category"]] or [top],
        }
        for top in tops
    ]
    return sight.page(
        "report.html",
        frame=sight.frame(net_frame, options),
        page=page,
        groups=groups,
        channels=channels if viewer.staff else [],
    )


def _first_view(sight: Sight) -> tuple[float, float, float, float]:
    """Return the middle of the own grid, else of the city, near enough to see streets."""
    west, south, east, north = sight.city["bbox"]
    middle = ((west + east) / 2, (south + north) / 2)
    viewer = sight.access.viewer
    if viewer.role is Role.WORKER and viewer.areas:
        card = service.show_grid(sight.access.session, viewer, sight.asked, viewer.areas[0])[1]
        middle = tuple(card["label_point"])
    wide = min((east - west) / 8, NEAR_DEG)
    high = min((north - south) / 8, NEAR_DEG)
    return (middle[0] - wide, middle[1] - high, middle[0] + wide, middle[1] + high)


def _kinds(sight: Sight) -> list[dict[str, Any]]:
    english = i18n.get_language(sight.request) == "en"
    rows = service.kinds.categories(sight.access.session, int(sight.access.city_id or 0))
    return [{**row, "name": (english and row["name_en"]) or row["name"]} for row in rows]


def _door(sight: Sight, options: Any) -> dict[str, Any]:
    token = auth.session_token(sight.request)
    return {
        "api": net_page(sight.city, sight.net, options)["api"],
        "city": sight.city["slug"],
        "csrf": auth.csrf_token(token) if token else "",
        "lang": i18n.get_language(sight.request),
    }


@router.get("/report-worker.js")
def show_worker(request: Request) -> Response:
    """Return what lets the page of reports open without a connection.

    It stands at the root: a service worker has no say above its own address.
    """
    path = Path(request.app.state.assets.directory) / "js" / "report-worker.js"
    return Response(path.read_bytes(), media_type="text/javascript")


@router.get("/report/{code}")
def show_followed(sight: SightDep, code: Code) -> Response:
    """Let the reporter follow a report; the secret of the link stays in the browser."""
    word = i18n.translations(i18n.get_language(sight.request)).gettext
    page = {
        **_door(sight, sight.options()),
        "code": code,
        "states": {state.value: word(text) for state, text in STATES.items()},
        "acts": {act.value: word(text) for act, text in ACTS.items()},
    }
    return sight.page("report_follow.html", code=code, page=page)
