"""The page of property firms: what is to be done, ratings, rules, and a rule being written."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Response

from api import conduct_desk, rendering, rule_form
from api.conduct_desk import act_of
from api.office_desk import REFUSALS, Failed, Sent, SentDep
from api.routes.pages import Number, Sight, SightDep, Word
from api.routes.pages_figures import require_staff
from geo import service
from geo.errors import ForbiddenError, InvalidInputError, NotFoundError
from geo.terms import InspectionKind, InspectionResult, RatingAct, RatingState, Role

router = APIRouter(include_in_schema=False)

Rate = Annotated[str, Query(max_length=18, pattern=r"^(\d*|new)$")]
Writing = Annotated[str, Query(max_length=3, pattern=r"^(new)?$")]
State = Annotated[str, Query(max_length=10)]
TONES: Final = ("good", "watch", "bad")
OF_COMPOUNDS: Final = (
    InspectionKind.FIRE, InspectionKind.GAS, InspectionKind.LIFTS, InspectionKind.HYGIENE,
    InspectionKind.FRONTAGE, InspectionKind.SERVICE,
)  # fmt: skip
"""What is looked at in a compound."""
BAD: Final = (InspectionResult.MENDED, InspectionResult.TO_MEND, InspectionResult.STOPPED)


@router.get("/firms")
def show_firms(
    sight: SightDep,
    rating: Number = None,
    rate: Rate = "",
    rule: Writing = "",
    q: Word = None,
    grade: Word = None,
    state: State = "",
    done: Word = None,
) -> Response:
    """Show rules for property firms and the ratings that one may see."""
    asked = {"q": q, "grade": grade, "state": state, "rating": rating, "rate": rate,
             "rule": rule, "done": done}  # fmt: skip
    return _page(sight, asked)


@router.post("/firms")
def change_firms(sight: SightDep, sent: SentDep) -> Response:
    """Publish or end a rule, rate a firm, answer, appeal, decide; the form again when it fails."""
    if sent.text("do") == "firm.reckon":
        return _reckon(sight, sent)

    def again(failed: Failed) -> Response:
        rating = sent.text("chosen")
        asked = {
            "rating": int(rating) if rating.isdecimal() and len(rating) < 19 else None,
            "rule": "new" if failed.do == "firm.rule" else "",
            "rate": sent.text("compound") or "new" if failed.do == "firm.tell" else "",
        }
        return _page(sight, asked, failed=failed, sent=sent)

    return conduct_desk.change(sight, sent, "/firms", ACTIONS, again)


@router.post("/firms/tried")
def try_rule(sight: SightDep, sent: SentDep) -> Response:
    """Show what the rule in the form would give for a period that is over; keep nothing."""
    require_staff(sight)
    session, viewer = sight.access.session, sight.access.viewer
    if viewer.role is not Role.ADMINISTRATOR:
        raise ForbiddenError("The administrator writes rules.")
    rows, wrong = [], ""
    since = until = None
    try:
        since, until = sent.needed_day("tried_since"), sent.needed_day("tried_until")
        at, content = sight.asked.moment(session), rule_form.content(sent)
        rows = service.firms.tried(session, viewer, at, content, since, until)
    except REFUSALS as error:
        wrong = conduct_desk.refused(sight, sent, error).sentence
    titles = {f"c{n}": sent.text(f"c{n}_title") for n in range(1, 41)}
    counted: dict[str, int] = {}
    for row in rows:
        if row["rated"]:
            counted[row["grade"]] = counted.get(row["grade"], 0) + 1
    answer = rendering.page(
        sight.request, "_rule_tried.html", rows=rows, wrong=wrong, counted=counted, titles=titles,
        since=since, until=until, left_out=sum(not row["rated"] for row in rows),
    )  # fmt: skip
    answer.status_code = 422 if wrong else 200
    return answer


def _page(
    sight: Sight,
    asked: Mapping[str, Any],
    *,
    failed: Failed | None = None,
    sent: Sent | None = None,
    reckoned: Any = None,
) -> Response:
    session, viewer = sight.access.session, sight.access.viewer
    at = sight.asked.moment(session)
    today = service.rating_rules.today(session, at)
    rules = service.rating_rules.listed(session, at)
    state = asked.get("state") or ""
    rows = service.firms.listed(
        session, viewer, at, q=asked.get("q"), grade=asked.get("grade"),
        state=RatingState(state) if state in set(RatingState) else None,
    )  # fmt: skip
    grades = {one["rule"]: [title for title, _ in one["content"]["grades"]] for one in rules}
    for row in rows:
        row["tone"] = tone(grades[row["rule"]], row["grade"])
    chosen = _chosen(sight, at, asked.get("rating"), failed)
    if chosen:
        chosen["tone"] = tone(grades[chosen["rule"]], chosen["grade"])
    keeps = viewer.role in conduct_desk.KEEPERS
    writing = asked.get("rule") == "new" and viewer.role is Role.ADMINISTRATOR
    kinds = service.rating_rules.categories(session, at)
    values = {
        "rules": rules, "rows": rows, "chosen": chosen, "asked": asked, "reckoned": reckoned,
        "judges": viewer.role in (Role.ADMINISTRATOR, Role.LEADER), "writing": writing,
        "grades": sorted({title for titles in grades.values() for title in titles}),
        "kinds": {one["category"]: one for one in kinds},
        "running": [one for one in rules if _runs(one, today)],
        "rating_of": asked.get("rate") or "",
        "form": rule_form.rows(sent if failed and failed.do == "firm.rule" else None),
        "blank": rule_form.empty("__n__"), "of_compounds": OF_COMPOUNDS, "bad": BAD,
        "periods": last_months(today), "next_month": next_month(today),
        "compounds": [one for one in service.supervised.compounds(session, viewer, at)
                      if one["firm"]] if keeps else [],
        "todo": _todo(rows, viewer, today), "done": asked.get("done"),
    }  # fmt: skip
    return conduct_desk.page(
        sight, "firms.html", _places(rows, chosen), values, param="rating", failed=failed,
        chosen=chosen["rating"] if chosen else None,
    )  # fmt: skip


def _places(rows: list[dict[str, Any]], chosen: Any) -> list[dict[str, Any]]:
    """Return each rated compound once: with the chosen rating, else with its latest."""
    found: dict[int, dict[str, Any]] = {}
    for row in [chosen] * bool(chosen) + rows:
        name = f"{row['compound_name']} {row['grade']}"
        found.setdefault(row["compound"], {**row, "key": row["rating"], "name": name})
    return list(found.values())


def _chosen(sight: Sight, at: Any, rating: int | None, failed: Failed | None) -> Any:
    if not rating:
        return None
    session = sight.access.session
    try:
        return service.firms.show(session, sight.access.viewer, at, rating)
    except NotFoundError:
        if failed:
            return None
        raise


def _runs(rule: Mapping[str, Any], today: date) -> bool:
    return rule["begins_on"] <= today and (rule["ends_on"] is None or rule["ends_on"] > today)


def _todo(rows: list[dict[str, Any]], viewer: Any, today: date) -> list[dict[str, Any]]:
    """Return the ratings that wait for the viewer: appeals to decide, answers to give."""
    if viewer.role in (Role.ADMINISTRATOR, Role.LEADER):
        own = RatingState.APPEALED.value
        return [one for one in rows if one["mine"] and one["state"] == own
                and one["made_by"] != viewer.user_id]  # fmt: skip
    if viewer.role is Role.DEPARTMENT:
        return [one for one in rows if one["mine"] and one["state"] == RatingState.TOLD.value
                and one["answer_until"] >= today]  # fmt: skip
    return []


def tone(grades: list[str], grade: str) -> str:
    """Return how a grade is coloured: the first is good, the last bad, all between to watch.

    Examples
    --------
    >>> [tone(["绿", "黄", "红"], one) for one in "绿黄红"]
    ['good', 'watch', 'bad']
    """
    if grade not in grades:
        return ""
    place = grades.index(grade)
    return TONES[0] if place == 0 else TONES[2] if place == len(grades) - 1 else TONES[1]


def last_months(today: date, months: int = 3) -> tuple[date, date]:
    """Return the first and the last day of the last whole months.

    Examples
    --------
    >>> last_months(date(2026, 3, 15))
    (datetime.date(2025, 12, 1), datetime.date(2026, 2, 28))
    """
    until = today.replace(day=1) - timedelta(days=1)
    n = until.year * 12 + until.month - months
    return date(n // 12, n % 12 + 1, 1), until


def next_month(today: date) -> date:
    """Return the first day of the next month."""
    return (today.replace(day=1) + timedelta(days=32)).replace(day=1)


# ---- forms ---------------------------------------------------------------------------------------


def _period(sent: Sent) -> service.firms.Period:
    return service.firms.Period(
        sent.number("rule"), sent.number("compound"), sent.needed_day("since"),
        sent.needed_day("until"),
    )  # fmt: skip


def _reckon(sight: Sight, sent: Sent) -> Response:
    require_staff(sight)
    session, viewer = sight.access.session, sight.access.viewer
    asked = {"rate": sent.text("compound") or "new"}
    try:
        found = service.firms.reckon(session, viewer, sight.asked.moment(session), _period(sent))
    except REFUSALS as error:
        failed = conduct_desk.refused(sight, sent, error)
        told = Failed("firm.tell", failed.key, failed.field, failed.sentence, failed.values)
        return _page(sight, asked, failed=told, sent=sent)
    return _page(sight, asked, reckoned={"found": found, "sent": sent.values})


def _publish(sight: Sight, sent: Sent) -> Mapping[str, Any]:
    if not sent.ticked("read"):
        raise InvalidInputError("Say that it was read.", field="read", reason="unread")
    service.rating_rules.publish(
        sight.access.session, sight.access.viewer, sight.asked.moment(sight.access.session),
        sent.text("title"), sent.needed_day("begins_on"), rule_form.content(sent),
    )  # fmt: skip
    return {}


def _end(sight: Sight, sent: Sent) -> Mapping[str, Any]:
    service.rating_rules.end(
        sight.access.session, sight.access.viewer, sight.asked.moment(sight.access.session),
        sent.number("rule"), sent.needed_day("ends_on"),
    )  # fmt: skip
    return {}


def _tell(sight: Sight, sent: Sent) -> Mapping[str, Any]:
    session, viewer = sight.access.session, sight.access.viewer
    rating = service.firms.tell(session, viewer, sight.asked.moment(session), _period(sent))
    return {"rating": rating}


def _act(sight: Sight, sent: Sent) -> Mapping[str, Any]:
    act = act_of(sent)
    points = sent.number("points") if act is RatingAct.DECIDE and sent.text("points") else None
    service.firms.do(
        sight.access.session, sight.access.viewer, sight.asked.moment(sight.access.session),
        sent.number("chosen"), act, sent.text("words"), points, sent.number("version"),
    )  # fmt: skip
    return {"rating": sent.text("chosen")}


ACTIONS: Final[Mapping[str, conduct_desk.Action]] = {
    "firm.rule": _publish,
    "firm.end": _end,
    "firm.tell": _tell,
    "firm.act": _act,
}
