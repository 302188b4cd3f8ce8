"""Pages of shops and compounds with their inspections, and of volunteers' service points.

Everybody reads what is public there; forms stand beside it for those who keep it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Response

from api import conduct_desk, rendering
from api.conduct_desk import KEEPERS, act_of
from api.office_desk import Failed, Sent, SentDep
from api.routes.pages import Sight, SightDep, Word
from api.routes.pages_figures import require_staff
from geo import service
from geo.errors import InvalidInputError, NotFoundError
from geo.terms import InspectionKind, InspectionResult, Offer, ShopKind

router = APIRouter(include_in_schema=False)

Chosen = Annotated[str, Query(max_length=20, pattern=r"^[0-9A-Za-z]*$")]
Ticked = Annotated[str, Query(max_length=1, pattern=r"^1?$")]
SHOWN: Final = 200
OF_SHOPS: Final = (
    InspectionKind.FIRE, InspectionKind.FOOD, InspectionKind.GAS, InspectionKind.HYGIENE,
    InspectionKind.FRONTAGE,
)  # fmt: skip
OF_COMPOUNDS: Final = (
    InspectionKind.FIRE, InspectionKind.GAS, InspectionKind.LIFTS, InspectionKind.HYGIENE,
    InspectionKind.FRONTAGE, InspectionKind.SERVICE,
)  # fmt: skip
GOOD: Final = (InspectionResult.PASSED.value, InspectionResult.MENDED.value)


@router.get("/shops")
def show_shops(
    sight: SightDep,
    shop: Chosen = "",
    q: Word = None,
    kind: Chosen = "",
    result: Annotated[str, Query(max_length=20)] = "",
    due: Ticked = "",
    mine: Ticked = "",
    after: Annotated[str, Query(max_length=8000)] = "",
    done: Word = None,
) -> Response:
    """Show shops with their last inspection, or one of them by the code on its door."""
    asked = {"shop": shop, "q": q, "kind": kind, "result": result, "due": due, "mine": mine,
             "after": after, "done": done}  # fmt: skip
    return _shops(sight, asked)


@router.get("/inspections")
def show_inspections(
    sight: SightDep, compound: Chosen = "", q: Word = None, due: Ticked = "", done: Word = None
) -> Response:
    """Show compounds of one's own areas or work with their inspections, to staff alone."""
    require_staff(sight)
    return _compounds(sight, {"compound": compound, "q": q, "due": due, "done": done})


@router.get("/points")
def show_points(
    sight: SightDep, point: Chosen = "", q: Word = None, offer: Chosen = "", done: Word = None
) -> Response:
    """Show the volunteers' service points."""
    return _points(sight, {"point": point, "q": q, "offer": offer, "done": done})


def tone_of(result: str | None, due: bool = False) -> str:
    """Return how a place is coloured by its last result: what is due is to be watched.

    Examples
    --------
    >>> tone_of("passed"), tone_of("passed", due=True), tone_of("stopped"), tone_of(None)
    ('good', 'watch', 'bad', '')
    """
    if result is None:
        return ""
    if result in GOOD:
        return "watch" if due else "good"
    return "bad" if result == InspectionResult.STOPPED.value else "watch"


def _shops(sight: Sight, asked: Mapping[str, Any], failed: Failed | None = None) -> Response:
    session, viewer = sight.access.session, sight.access.viewer
    at = sight.asked.moment(session)
    kind, result = asked.get("kind") or "", asked.get("result") or ""
    narrow: dict[str, Any] = {
        "q": asked.get("q"),
        "kind": kind if kind in set(ShopKind) else None,
        "result": result if result in set(InspectionResult) else None,
        "mine": bool(asked.get("mine")),
    }
    listed = service.shops.listed
    page = listed(session, viewer, at, **narrow, due=bool(asked.get("due")), limit=SHOWN,
                  after=asked.get("after") or None)  # fmt: skip
    today = service.rating_rules.today(session, at)
    for row in page.items:
        row["due"] = row["next_on"] is not None and row["next_on"] <= today
        row["tone"] = tone_of(row["last_result"], row["due"])
    keeps, code = viewer.role in KEEPERS, str(asked.get("shop") or "")
    adding = keeps and code == "new"
    card = None
    if code and not adding:
        try:
            card = service.shops.card(session, viewer, at, code)
        except NotFoundError:
            if failed is None:
                raise
    own = {**narrow, "mine": True}
    waiting = listed(session, viewer, at, **own, due=True, limit=SHOWN) if viewer.staff else None
    values = {
        "rows": page.items, "next": page.next, "chosen": card, "asked": asked, "adding": adding,
        "waiting": waiting, "picture": rendering.qr_code, "of_places": OF_SHOPS, "good": GOOD,
        "done": asked.get("done"),
    }  # fmt: skip
    seen = {row["code"]: row for row in page.items}
    if card and card["code"] not in seen:
        seen[card["code"]] = {**card, "tone": ""}
    return conduct_desk.page(
        sight, "shops.html", [{**row, "key": row["code"]} for row in seen.values()], values,
        param="shop", chosen=card["code"] if card else None, picking=adding, failed=failed,
    )  # fmt: skip


def _compounds(sight: Sight, asked: Mapping[str, Any], failed: Failed | None = None) -> Response:
    session, viewer = sight.access.session, sight.access.viewer
    at = sight.asked.moment(session)
    everything = service.supervised.compounds(session, viewer, at)
    rows = service.supervised.compounds(
        session, viewer, at, q=asked.get("q"), due=bool(asked.get("due"))
    )
    for row in everything + rows:
        row["tone"] = tone_of(row["last_result"], row["due"])
    code = str(asked.get("compound") or "")
    chosen = next((one for one in everything if str(one["compound"]) == code), None)
    if code and chosen is None and failed is None:
        raise NotFoundError(f"There is no compound {code} in your area.", compound=code)
    found = service.shops.inspections
    values = {
        "rows": rows, "chosen": chosen, "asked": asked, "of_places": OF_COMPOUNDS, "good": GOOD,
        "everything": len(everything), "waiting": sum(one["due"] for one in everything),
        "appeals": sum(one["appeals"] for one in everything),
        "never": sum(one["last_on"] is None for one in everything), "done": asked.get("done"),
        "inspections": found(session, viewer, at, compound=chosen["compound"]) if chosen else [],
    }  # fmt: skip
    places = [{**row, "key": row["compound"]} for row in rows]
    return conduct_desk.page(
        sight, "inspections.html", places, values, param="compound", failed=failed,
        chosen=chosen["compound"] if chosen else None,
    )  # fmt: skip


def _points(
    sight: Sight,
    asked: Mapping[str, Any],
    failed: Failed | None = None,
    offers: list[str] | None = None,
) -> Response:
    session, viewer = sight.access.session, sight.access.viewer
    at = sight.asked.moment(session)
    offer, code = asked.get("offer") or "", str(asked.get("point") or "")
    rows = service.points.listed(
        session, viewer, at, q=asked.get("q"), offer=offer if offer in set(Offer) else None
    )
    keeps, chosen, months = viewer.role in KEEPERS, None, []
    adding = keeps and code == "new"
    if code and not adding:
        number = int(code) if code.isdecimal() else 0
        chosen = next(iter(service.points.listed(session, viewer, at, point=number)), None)
        if chosen is None and failed is None:
            raise NotFoundError(f"There is no service point {code}.", point=code)
        if chosen and chosen["mine"]:
            months = service.points.months(session, viewer, at, chosen["point"])
    last = service.rating_rules.today(session, at).replace(day=1)
    values = {
        "rows": rows, "chosen": chosen, "months": months, "asked": asked, "adding": adding,
        "organisations": _organisations(sight) if keeps and (adding or chosen) else [],
        "offered": offers,
        "uncounted": [one for one in rows if one["mine"] and _uncounted(one, last)],
        "done": asked.get("done"),
    }  # fmt: skip
    places = [{**row, "key": row["point"], "tone": ""} for row in rows]
    return conduct_desk.page(
        sight, "points.html", places, values, param="point", failed=failed, picking=adding,
        chosen=chosen["point"] if chosen else None,
    )  # fmt: skip


def _uncounted(point: Mapping[str, Any], month: date) -> bool:
    """Return whether a point has no counts of the month before this one, or later."""
    before = (month.year * 12 + month.month - 2) if month else 0
    told = point["last_month"]
    return told is None or told.year * 12 + told.month - 1 < before


def _organisations(sight: Sight) -> list[dict[str, Any]]:
    session = sight.access.session
    narrow, turn = service.PlaceFilter(), service.Turn(1000, None)
    return list(service.list_organisations(session, sight.asked, narrow, turn)[1].items)


# ---- forms ---------------------------------------------------------------------------------------


@router.post("/shops")
def change_shops(sight: SightDep, sent: SentDep) -> Response:
    """Enter or change a shop, an inspection, an answer or an appeal; the form again if it fails."""

    def again(failed: Failed) -> Response:
        return _shops(sight, {"shop": sent.text("chosen") or "new"}, failed)

    return conduct_desk.change(sight, sent, "/shops", SHOPS, again)


@router.post("/inspections")
def change_inspections(sight: SightDep, sent: SentDep) -> Response:
    """Enter an inspection of a compound, an answer, an appeal; the form again when that fails."""

    def again(failed: Failed) -> Response:
        return _compounds(sight, {"compound": sent.text("chosen")}, failed)

    return conduct_desk.change(sight, sent, "/inspections", COMPOUNDS, again)


@router.post("/points")
def change_points(sight: SightDep, sent: SentDep) -> Response:
    """Enter, change or close a service point or count a month; the form again when that fails."""

    def again(failed: Failed) -> Response:
        asked = {"point": sent.text("chosen") or "new"}
        return _points(sight, asked, failed, sent.all("offers"))

    return conduct_desk.change(sight, sent, "/points", POINTS, again)


def _open_shop(sight: Sight, sent: Sent) -> Mapping[str, Any]:
    session, viewer = sight.access.session, sight.access.viewer
    place = service.shops.Place(
        sent.text("name"), sent.text("kind"), sent.real("lon"), sent.real("lat"),
        sent.text("address") or None,
    )  # fmt: skip
    at = sight.asked.moment(session)
    return {"shop": service.shops.open_shop(session, viewer, at, place)[1]}


def _change_shop(sight: Sight, sent: Sent) -> Mapping[str, Any]:
    place = service.shops.Place(
        sent.text("name"), sent.text("kind"), 0.0, 0.0, sent.text("address") or None
    )
    service.shops.change_shop(
        sight.access.session, sight.access.viewer, sight.asked.moment(sight.access.session),
        sent.number("shop"), sent.number("version"), place,
    )  # fmt: skip
    return {"shop": sent.text("chosen")}


def _close_shop(sight: Sight, sent: Sent) -> Mapping[str, Any]:
    at = sight.asked.moment(sight.access.session)
    service.shops.close_shop(sight.access.session, sight.access.viewer, at, sent.number("shop"))
    return {}


def _inspect(sight: Sight, sent: Sent) -> Mapping[str, Any]:
    shop = sent.number("shop") if sent.text("shop") else None
    found = service.shops.Found(
        sent.text("kind"), sent.needed_day("held_on"), sent.text("result"), sent.day("next_on"),
        shop, None if shop else sent.number("compound"),
    )  # fmt: skip
    at = sight.asked.moment(sight.access.session)
    service.shops.enter(sight.access.session, sight.access.viewer, at, found)
    return _kept(sent)


def _inspection_act(sight: Sight, sent: Sent) -> Mapping[str, Any]:
    service.shops.do(
        sight.access.session, sight.access.viewer, sight.asked.moment(sight.access.session),
        sent.number("inspection"), act_of(sent), sent.text("words"),
        allowed=sent.ticked("allowed"),
    )  # fmt: skip
    return _kept(sent)


def _kept(sent: Sent) -> Mapping[str, Any]:
    """Return the place that was looked at: a compound by its number, a shop by its code."""
    chosen = sent.text("chosen")
    return {"compound" if sent.text("of") == "compound" else "shop": chosen}


def _point(sent: Sent, lon: float, lat: float) -> service.points.Point:
    body = sent.number("organisation") if sent.text("organisation") else None
    return service.points.Point(
        sent.text("name"), lon, lat, tuple(sent.all("offers")), sent.text("address") or None,
        sent.text("open_hours") or None, body,
    )  # fmt: skip


def _open_point(sight: Sight, sent: Sent) -> Mapping[str, Any]:
    session, viewer = sight.access.session, sight.access.viewer
    point = _point(sent, sent.real("lon"), sent.real("lat"))
    at = sight.asked.moment(session)
    return {"point": service.points.open_point(session, viewer, at, point)}


def _change_point(sight: Sight, sent: Sent) -> Mapping[str, Any]:
    service.points.change(
        sight.access.session, sight.access.viewer, sight.asked.moment(sight.access.session),
        sent.number("chosen"), sent.number("version"), _point(sent, 0.0, 0.0),
    )  # fmt: skip
    return {"point": sent.text("chosen")}


def _close_point(sight: Sight, sent: Sent) -> Mapping[str, Any]:
    at = sight.asked.moment(sight.access.session)
    service.points.close(sight.access.session, sight.access.viewer, at, sent.number("chosen"))
    return {}


def _count_point(sight: Sight, sent: Sent) -> Mapping[str, Any]:
    month = sent.text("month")
    try:
        first = date.fromisoformat(f"{month}-01")
    except ValueError:
        raise InvalidInputError("No month.", field="month", reason="no_month") from None
    service.points.count(
        sight.access.session, sight.access.viewer, sight.asked.moment(sight.access.session),
        sent.number("chosen"), first,
        helped=sent.number("helped"), helpers=sent.number("helpers"), hours=sent.number("hours"),
    )  # fmt: skip
    return {"point": sent.text("chosen")}


PLACES: Final[Mapping[str, conduct_desk.Action]] = {
    "place.inspect": _inspect,
    "place.act": _inspection_act,
}
SHOPS: Final[Mapping[str, conduct_desk.Action]] = {
    "shop.open": _open_shop,
    "shop.change": _change_shop,
    "shop.close": _close_shop,
    **PLACES,
}
COMPOUNDS: Final = PLACES
POINTS: Final[Mapping[str, conduct_desk.Action]] = {
    "point.open": _open_point,
    "point.change": _change_point,
    "point.close": _close_point,
    "point.count": _count_point,
}
