"""Pages of property firms, of shops and their inspections, of volunteers' service points.

Everybody reads what is public there; forms stand below for those who keep it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import date
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Response
from fastapi.responses import RedirectResponse

from api import rendering
from api.i18n import get_language, marked, translations
from api.office_desk import REFUSALS, Desk, Failed, Sent, SentDep, desk_for
from api.routes.pages import Number, Sight, SightDep, Word
from geo import service
from geo.errors import ForbiddenError, InvalidInputError, NotFoundError
from geo.terms import (
    STAFF,
    InspectionKind,
    InspectionResult,
    Offer,
    RatingAct,
    RatingState,
    Role,
    ShopKind,
)

router = APIRouter(include_in_schema=False)

WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "kinds": {
        InspectionKind.FIRE: marked("fire safety"),
        InspectionKind.FOOD: marked("food"),
        InspectionKind.GAS: marked("gas"),
        InspectionKind.HYGIENE: marked("cleanliness"),
        InspectionKind.FRONTAGE: marked("frontage"),
        InspectionKind.LIFTS: marked("lifts"),
        InspectionKind.SERVICE: marked("service of the compound"),
    },
    "results": {
        InspectionResult.PASSED: marked("in order"),
        InspectionResult.MENDED: marked("mended on the spot"),
        InspectionResult.TO_MEND: marked("to be mended"),
        InspectionResult.STOPPED: marked("stopped until mended"),
    },
    "shops": {
        ShopKind.FOOD: marked("food and drink"),
        ShopKind.RETAIL: marked("retail"),
        ShopKind.SERVICE: marked("services"),
        ShopKind.WORKSHOP: marked("workshop"),
        ShopKind.LODGING: marked("lodging"),
        ShopKind.OTHER: marked("other shop"),
    },
    "offers": {
        Offer.WATER: marked("drinking water"),
        Offer.REST: marked("a place to rest"),
        Offer.MEDICINE: marked("first aid"),
        Offer.MENDING: marked("mending"),
        Offer.HAIRCUT: marked("haircuts"),
        Offer.MEALS: marked("meals"),
        Offer.LESSONS: marked("lessons"),
        Offer.ADVICE: marked("advice"),
        Offer.GREEN: marked("care of greenery"),
        Offer.OTHER: marked("other help"),
    },
    "acts": {
        RatingAct.TELL: marked("told"),
        RatingAct.ANSWER: marked("Answer"),
        RatingAct.APPEAL: marked("Appeal"),
        RatingAct.DECIDE: marked("Decision"),
        RatingAct.WITHDRAW: marked("Withdrawal"),
    },
    "states": {
        RatingState.TOLD: marked("told to the firm"),
        RatingState.APPEALED: marked("appeal open"),
        RatingState.DECIDED: marked("appeal decided"),
        RatingState.WITHDRAWN: marked("withdrawn"),
    },
}
DONE: Final = marked("It is kept.")
KEEPERS: Final = frozenset({Role.ADMINISTRATOR, Role.COMMUNITY})
Chosen = Annotated[str, Query(max_length=20, pattern=r"^[0-9A-Za-z]*$")]
DeskDep = Annotated[Desk, Depends(desk_for(*sorted(STAFF)), scope="function")]
SHOWN: Final = 200
EXAMPLE: Final = {
    "criteria": [
        {"code": "late", "title": "物业服务诉求超期", "source": "issue", "points": 2, "most": 20,
         "when": "overdue"},
        {"code": "fire", "title": "消防检查需整改", "source": "inspection", "points": 5,
         "most": 20, "kinds": ["fire"], "results": ["to_mend", "stopped"]},
    ],
    "grades": [["绿", 90], ["黄", 75], ["红", 0]],
    "answer_days": 7, "appeal_days": 15, "valid_days": 180,
}  # fmt: skip


@router.get("/firms")
def show_firms(sight: SightDep, rating: Number = None, done: Word = None) -> Response:
    """Show rules for property firms and the ratings that one may see."""
    return _read(sight, "firms", str(rating or ""), done)


@router.get("/shops")
def show_shops(sight: SightDep, shop: Chosen = "", q: Word = None, done: Word = None) -> Response:
    """Show shops with their last inspection, or one of them by the code on its door."""
    return _read(sight, "shops", shop, done, q=q)


@router.get("/points")
def show_points(sight: SightDep, done: Word = None) -> Response:
    """Show the volunteers' service points."""
    return _read(sight, "points", "", done)


def _read(sight: Sight, room: str, chosen: str, done: str | None, **more: Any) -> Response:
    session, viewer = sight.access.session, sight.access.viewer
    values = ROOMS[room](session, viewer, sight.asked.moment(session), chosen, **more)
    word = translations(get_language(sight.request)).gettext
    return sight.page(
        f"{room}.html",
        role=viewer.role.value,
        failed=None,
        done=word(DONE) if done else "",
        **_common(viewer, word),
        **values,
    )


def _common(viewer: Any, word: Callable[[str], str]) -> dict[str, Any]:
    return {
        "keeps": viewer.role in KEEPERS,
        "judges": viewer.role in service.firms.JUDGES,
        "words": {
            name: {str(code): word(text) for code, text in codes.items()}
            for name, codes in WORDS.items()
        },
    }


def _firms(session: Any, viewer: Any, at: Any, chosen: str) -> dict[str, Any]:
    found = None
    if chosen:
        found = service.firms.show(session, viewer, at, int(chosen))
    own = viewer.role in KEEPERS
    narrow, turn = service.estates.CompoundFilter(), service.Turn(1000, None)
    asked = service.Asked(at.city_id, at.day)
    return {
        "rules": service.firms.rules(session, at),
        "rows": service.firms.listed(session, viewer, at),
        "chosen": found,
        "example": json.dumps(EXAMPLE, ensure_ascii=False, indent=1),
        "now": service.firms.today(session, at),
        "compounds": service.list_compounds(session, asked, narrow, turn)[1].items if own else [],
    }


def _shops(session: Any, viewer: Any, at: Any, chosen: str, q: str | None = None) -> dict[str, Any]:
    page = service.shops.listed(session, viewer, at, q=q, limit=SHOWN)
    card = service.shops.card(session, viewer, at, chosen) if chosen else None
    return {
        "rows": page.items, "more": page.next is not None, "chosen": card, "q": q,
        "now": service.firms.today(session, at), "picture": rendering.qr_code,
    }  # fmt: skip


def _points(session: Any, viewer: Any, at: Any, chosen: str) -> dict[str, Any]:
    return {"rows": service.points.listed(session, at), "now": service.firms.today(session, at)}


ROOMS: Final[Mapping[str, Callable[..., dict[str, Any]]]] = {
    "firms": _firms,
    "shops": _shops,
    "points": _points,
}


# ---- forms ---------------------------------------------------------------------------------------


@router.post("/firms")
def change_firms(desk: DeskDep, sent: SentDep) -> Response:
    """Publish a rule, rate a firm, answer, appeal, decide; the form again when that fails."""
    return _change(desk, sent, "firms", "rating")


@router.post("/shops")
def change_shops(desk: DeskDep, sent: SentDep) -> Response:
    """Enter a shop or an inspection, an answer or an appeal; the form again when that fails."""
    return _change(desk, sent, "shops", "shop")


@router.post("/points")
def change_points(desk: DeskDep, sent: SentDep) -> Response:
    """Enter a service point or its counts; the form again when that fails."""
    return _change(desk, sent, "points", "point")


def _change(desk: Desk, sent: Sent, room: str, key: str) -> Response:
    do, viewer = sent.text("do"), desk.access.viewer
    chosen = sent.text("chosen")
    try:
        if do not in ACTIONS or not do.startswith(room.removesuffix("s")):
            raise InvalidInputError("There is no such order.", field="do")
        with desk.access.session.begin_nested():
            chosen = ACTIONS[do](desk, sent) or chosen
    except REFUSALS as error:
        return _again(desk, room, chosen, desk.failed(sent, error))
    query = {"city": desk.city["slug"], "done": "1", **({key: chosen} if chosen else {})}
    if viewer.role not in STAFF:
        raise ForbiddenError("This is for staff of the city.")
    return RedirectResponse(f"/{room}?{urlencode(query)}", 303)


def _again(desk: Desk, room: str, chosen: str, failed: Failed) -> Response:
    session, viewer = desk.access.session, desk.access.viewer
    try:
        values = ROOMS[room](session, viewer, desk.at, chosen)
    except (NotFoundError, ValueError):
        values = ROOMS[room](session, viewer, desk.at, "")
    return desk.page(
        f"{room}.html", status=422, failed=failed, done="", **_common(viewer, desk.word), **values
    )


def _publish(desk: Desk, sent: Sent) -> str:
    try:
        content = json.loads(sent.text("content"))
        if not isinstance(content, dict):
            raise TypeError("no object")
        service.firms.publish_rule(
            desk.access.session, desk.access.viewer, desk.at, sent.text("title"),
            sent.needed_day("begins_on"), content,
        )  # fmt: skip
    except (json.JSONDecodeError, TypeError, ValueError, AttributeError) as error:
        raise InvalidInputError(
            "The rule is not written as it should be.", field="content", reason="content"
        ) from error
    return ""


def _tell(desk: Desk, sent: Sent) -> str:
    period = service.firms.Period(
        sent.number("rule"), sent.number("compound"), sent.needed_day("since"),
        sent.needed_day("until"),
    )  # fmt: skip
    return str(service.firms.tell(desk.access.session, desk.access.viewer, desk.at, period))


def _rating_act(desk: Desk, sent: Sent) -> str:
    points = sent.number("points") if sent.text("points") else None
    service.firms.do(
        desk.access.session, desk.access.viewer, desk.at, sent.number("chosen"), _act(sent),
        sent.text("words"), points,
    )  # fmt: skip
    return sent.text("chosen")


def _act(sent: Sent) -> RatingAct:
    if sent.text("act") not in set(RatingAct):
        raise InvalidInputError("There is no such order.", field="act")
    return RatingAct(sent.text("act"))


def _open_shop(desk: Desk, sent: Sent) -> str:
    place = service.shops.Place(
        sent.text("name"), sent.text("kind"), sent.real("lon"), sent.real("lat"),
        sent.text("address") or None,
    )  # fmt: skip
    return service.shops.open_shop(desk.access.session, desk.access.viewer, desk.at, place)[1]


def _inspect(desk: Desk, sent: Sent) -> str:
    found = service.shops.Found(
        sent.text("kind"), sent.needed_day("held_on"), sent.text("result"), sent.day("next_on"),
        shop=sent.number("shop"),
    )  # fmt: skip
    service.shops.enter(desk.access.session, desk.access.viewer, desk.at, found)
    return ""


def _inspection_act(desk: Desk, sent: Sent) -> str:
    service.shops.do(
        desk.access.session, desk.access.viewer, desk.at, sent.number("inspection"), _act(sent),
        sent.text("words"), allowed=sent.ticked("allowed"),
    )  # fmt: skip
    return ""


def _open_point(desk: Desk, sent: Sent) -> str:
    point = service.points.Point(
        sent.text("name"), sent.real("lon"), sent.real("lat"), tuple(sent.all("offers")),
        sent.text("address") or None, sent.text("open_hours") or None,
    )  # fmt: skip
    service.points.open_point(desk.access.session, desk.access.viewer, desk.at, point)
    return ""


def _count_point(desk: Desk, sent: Sent) -> str:
    month = sent.text("month")
    try:
        first = date.fromisoformat(f"{month}-01")
    except ValueError:
        raise InvalidInputError("No month.", field="month", reason="no_date") from None
    service.points.count(
        desk.access.session, desk.access.viewer, desk.at, sent.number("point"), first,
        helped=sent.number("helped"), helpers=sent.number("helpers"), hours=sent.number("hours"),
    )  # fmt: skip
    return ""


ACTIONS: Final[Mapping[str, Callable[[Desk, Sent], str]]] = {
    "firm.rule": _publish,
    "firm.tell": _tell,
    "firm.act": _rating_act,
    "shop.open": _open_shop,
    "shop.inspect": _inspect,
    "shop.act": _inspection_act,
    "point.open": _open_point,
    "point.count": _count_point,
}
