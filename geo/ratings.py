"""How property firms are rated: rules that stand before they count, points from facts, dates.

A rule is data: criteria that cost points, grades by points, and days for answer and appeal. It is
published before it begins, and no fact from before its beginning counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from itertools import pairwise
from typing import Any, Final

from geo.errors import ConflictError, InvalidInputError
from geo.issues import about_persons
from geo.terms import InspectionKind, InspectionResult, RatingAct, RatingState

__all__ = [
    "FULL", "STATES", "WHEN", "Criterion", "Dates", "Rule", "content_of", "dates_of",
    "demand_order", "demand_time", "grade_of", "points_of", "rule_of",
]  # fmt: skip

FULL: Final = 100
"""Points that a firm begins with."""
WHEN: Final = ("reported", "overdue", "reworked", "reopened")
"""When an issue counts: on the day it is reported, its deadline passes, it is sent back, it is
opened again. The last three count where the firm itself was to solve it at that moment."""
MOST_CRITERIA: Final = 40
SHORTEST_ANSWER_DAYS: Final = 5
LONGEST_VALID_DAYS: Final = 366


@dataclass(frozen=True)
class Criterion:
    """What costs points, each time and at most.

    Parameters
    ----------
    code, title : str
    source : str
        "issue" or "inspection".
    points, most : int
        Points of one fact, and of all together.
    when : str
        Of issues: one of `WHEN`.
    categories : tuple of str
        Of issues: categories with all below them; empty for all.
    kinds, results : tuple of str
        Of inspections: kinds (empty for all) and results that count.
    """

    code: str
    title: str
    source: str
    points: int
    most: int
    when: str = "reported"
    categories: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    results: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rule:
    """Criteria, grades from the best, and days.

    Parameters
    ----------
    criteria : tuple of Criterion
    grades : tuple of (str, int)
        Title and the points from which it counts, falling; the last from 0.
    answer_days, appeal_days : int
        After the firm was told.
    valid_days : int
        After the figures became public.
    least_days : int
        So many days of the period the firm must have managed the compound to be rated.
    """

    criteria: tuple[Criterion, ...]
    grades: tuple[tuple[str, int], ...]
    answer_days: int
    appeal_days: int
    valid_days: int
    least_days: int = 1


@dataclass(frozen=True)
class Dates:
    """Until when a firm answers and appeals; from and until when everybody may see the figures."""

    answer_until: date
    appeal_until: date
    public_from: date
    expires_on: date


def rule_of(told: Mapping[str, Any]) -> Rule:
    """Return a rule as it is handed in or kept.

    Raises
    ------
    InvalidInputError
        If it cannot be used; `reason` says what is wrong.

    Examples
    --------
    >>> rule_of({"criteria": [{"code": "late", "title": "超期", "source": "issue", "points": 2,
    ...     "most": 20, "when": "overdue"}], "grades": [["绿", 80], ["红", 0]],
    ...     "answer_days": 7, "appeal_days": 15, "valid_days": 180}).criteria[0].when
    'overdue'
    """
    criteria = tuple(_criterion(n, one) for n, one in enumerate(told.get("criteria") or (), 1))
    codes = [one.code for one in criteria]
    if not 1 <= len(criteria) <= MOST_CRITERIA or len(set(codes)) < len(codes):
        raise _wrong("criteria", f"1 to {MOST_CRITERIA} criteria with codes of their own.")
    grades = tuple((str(title).strip(), int(least)) for title, least in told.get("grades") or ())
    starts = [least for _, least in grades]
    falling = all(a > b for a, b in pairwise(starts))
    if len(grades) < 2 or not falling or starts[-1] != 0 or starts[0] > FULL:
        raise _wrong("grades", "Grades fall from the best to one that begins at 0 points.")
    titles = [title for title, _ in grades]
    short = all(one and len(one) <= 20 and one.isprintable() for one in titles)
    if not short or len(set(titles)) < len(titles):
        raise _wrong("grade_title", "A grade has a short name of its own.")
    answer, appeal = int(told.get("answer_days") or 0), int(told.get("appeal_days") or 0)
    valid, least = int(told.get("valid_days") or 0), int(told.get("least_days") or 1)
    if not (SHORTEST_ANSWER_DAYS <= answer <= appeal <= 90 and 1 <= valid <= LONGEST_VALID_DAYS):
        raise _wrong(
            "rule_days",
            f"At least {SHORTEST_ANSWER_DAYS} days for the answer, as many or more for the appeal,"
            f" and figures that expire after {LONGEST_VALID_DAYS} days at most.",
        )
    if not 1 <= least <= LONGEST_VALID_DAYS:
        raise _wrong("least_days", f"A firm managed the compound 1 to {LONGEST_VALID_DAYS} days.")
    return Rule(criteria, grades, answer, appeal, valid, least)


def content_of(rule: Rule) -> dict[str, Any]:
    """Return a rule as it is kept and told: what `rule_of` reads, and nothing else."""
    criteria = [
        {key: list(value) if isinstance(value, tuple) else value
         for key, value in asdict(one).items()}
        for one in rule.criteria
    ]  # fmt: skip
    return {**asdict(rule), "criteria": criteria, "grades": [list(one) for one in rule.grades]}


def _criterion(n: int, told: Mapping[str, Any]) -> Criterion:
    title, code = str(told.get("title") or "").strip(), str(told.get("code") or "")
    source, points, most = told.get("source"), told.get("points"), told.get("most")
    if not (code.isidentifier() and code.isascii() and len(code) <= 32):
        raise _wrong("criterion_code", "A criterion's code has letters, digits and _.", n)
    if not title or len(title) > 80 or not title.isprintable():
        raise _wrong("criterion_title", "A criterion has a title of one line.", n)
    if about_persons(title):
        raise _wrong("firm_persons", "Firms are rated by facts of places, never by persons.", n)
    if not (isinstance(points, int) and isinstance(most, int) and 1 <= points <= most <= FULL):
        raise _wrong("criterion_points", f"Points of one fact, and of all up to {FULL}.", n)
    found = Criterion(
        code, title, str(source), points, most, str(told.get("when") or "reported"),
        tuple(told.get("categories") or ()), tuple(told.get("kinds") or ()),
        tuple(told.get("results") or ()),
    )  # fmt: skip
    fits = {
        "issue": found.when in WHEN and not found.kinds and not found.results,
        "inspection": bool(found.results)
        and set(found.results) <= set(InspectionResult) - {InspectionResult.PASSED}
        and set(found.kinds) <= set(InspectionKind)
        and found.when == "reported"
        and not found.categories,
    }
    if not fits.get(found.source, False):
        raise _wrong("source", "A criterion counts issues, or inspections with their results.", n)
    return found


def _wrong(reason: str, message: str, n: int | None = None) -> InvalidInputError:
    told = message if n is None else f"Criterion {n}: {message}"
    which = {} if n is None else {"criterion": n}
    return InvalidInputError(told, field="content", reason=reason, **which)


def points_of(rule: Rule, facts: Iterable[str]) -> tuple[int, dict[str, dict[str, int]]]:
    """Return what is left of the points, and what each criterion cost.

    Parameters
    ----------
    rule : Rule
    facts : iterable of str
        The code of the criterion under which each fact counts.

    Examples
    --------
    >>> rule = Rule((Criterion("late", "超期", "issue", 3, 5),), (("绿", 0),), 7, 7, 90)
    >>> points_of(rule, ["late", "late", "late"])
    (95, {'late': {'facts': 3, 'points': 5}})
    """
    counted = Counter(facts)
    cost = {
        one.code: {"facts": counted[one.code], "points": min(one.points * counted[one.code],
                                                              one.most)}
        for one in rule.criteria
    }  # fmt: skip
    return max(0, FULL - sum(one["points"] for one in cost.values())), cost


def grade_of(rule: Rule, points: int) -> str:
    """Return the grade that some points give."""
    return next(title for title, least in rule.grades if points >= least)


def dates_of(rule: Rule, told_on: date) -> Dates:
    """Return the dates that follow from the day on which the firm was told.

    The figures are public from the day after the answer period at the earliest.
    """
    answer_until = told_on + timedelta(days=rule.answer_days)
    public_from = answer_until + timedelta(days=1)
    return Dates(
        answer_until,
        told_on + timedelta(days=rule.appeal_days),
        public_from,
        public_from + timedelta(days=rule.valid_days),
    )


def demand_order(
    published_on: date, begins_on: date, ends_on: date | None, since: date, until: date, today: date
) -> None:
    """Make sure that a rule stood before what it rates, and that the period is over.

    Raises
    ------
    ConflictError
        If the period begins before the rule, ends after it, or is not over; `reason` says which.
    """
    wrong = None
    if not published_on < begins_on <= since:
        wrong = ("before_rule", f"The rule counts from {begins_on}; nothing before it is rated.")
    elif ends_on is not None and until >= ends_on:
        wrong = ("after_rule", f"The rule ended on {ends_on}.")
    elif not since <= until:
        wrong = ("period", "The period ends before it begins.")
    elif until >= today:
        wrong = ("not_over", "The period is not over yet.")
    if wrong:
        raise ConflictError(wrong[1], reason=wrong[0])


STATES: Final[Mapping[RatingAct, tuple[frozenset[RatingState], RatingState | None]]] = {
    RatingAct.ANSWER: (frozenset({RatingState.TOLD, RatingState.APPEALED}), None),
    RatingAct.APPEAL: (frozenset({RatingState.TOLD}), RatingState.APPEALED),
    RatingAct.DECIDE: (frozenset({RatingState.APPEALED}), RatingState.DECIDED),
    RatingAct.WITHDRAW: (
        frozenset({RatingState.TOLD, RatingState.APPEALED, RatingState.DECIDED}),
        RatingState.WITHDRAWN,
    ),
}
"""In which states something may be done, and where the rating stands afterwards (None: stays)."""


def demand_time(act: RatingAct, state: RatingState, until: date, today: date) -> RatingState:
    """Return where a rating stands after an act.

    Parameters
    ----------
    act : RatingAct
    state : RatingState
    until : date
        Last day of the act; every day for those without one.
    today : date

    Raises
    ------
    ConflictError
        If it cannot be done in this state, or its time is over; `reason` says which.
    """
    begins, ends = STATES[act]
    if state not in begins:
        raise ConflictError(
            f"A rating that is {state.value} cannot be treated so: {act.value}.", reason="state"
        )
    if act in (RatingAct.ANSWER, RatingAct.APPEAL) and today > until:
        raise ConflictError(f"That was possible until {until}.", reason="over", until=str(until))
    return ends or state
