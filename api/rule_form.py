"""The form in which a rule for rating firms is written: rows of criteria and grades, and days."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

from api.office_desk import Sent
from geo.errors import InvalidInputError
from geo.ratings import MOST_CRITERIA, Criterion

GRADES: Final = 5
"""Rows for grades; empty ones are left out."""
DAYS: Final = ("answer_days", "appeal_days", "valid_days", "least_days")
EXAMPLE: Final[Mapping[str, Any]] = {
    "criteria": [
        {"code": "c1", "title": "物业诉求超期", "source": "issue", "points": 2, "most": 20,
         "when": "overdue"},
        {"code": "c2", "title": "处置后返工", "source": "issue", "points": 2, "most": 10,
         "when": "reworked"},
        {"code": "c3", "title": "消防检查需整改", "source": "inspection", "points": 5,
         "most": 20, "kinds": ["fire"], "results": ["to_mend", "stopped"]},
    ],
    "grades": [["绿", 90], ["黄", 75], ["红", 0]],
    "answer_days": 7, "appeal_days": 15, "valid_days": 180, "least_days": 30,
}  # fmt: skip


def content(sent: Sent) -> dict[str, Any]:
    """Return the rule as it is handed to the service.

    Raises
    ------
    InvalidInputError
        If a number is none.
    """
    criteria: list[dict[str, Any]] = []
    for n in range(1, MOST_CRITERIA + 1):
        if sent.text(f"c{n}_title") or sent.text(f"c{n}_points"):
            criteria.append(_criterion(sent, n, len(criteria) + 1))
    grades = [
        [sent.text(f"g{n}_title"), _number(sent, f"g{n}_least")]
        for n in range(1, GRADES + 1)
        if sent.text(f"g{n}_title") or sent.text(f"g{n}_least")
    ]
    days = {name: _number(sent, name) for name in DAYS}
    return {"criteria": criteria, "grades": grades, **days}


def _criterion(sent: Sent, n: int, place: int) -> dict[str, Any]:
    counts, inspected = sent.text(f"c{n}_counts"), sent.text(f"c{n}_counts") == "inspection"
    return {
        "code": f"c{place}",
        "title": sent.text(f"c{n}_title"),
        "source": "inspection" if inspected else "issue",
        "when": "reported" if inspected else counts,
        "points": _number(sent, f"c{n}_points"),
        "most": _number(sent, f"c{n}_most"),
        "categories": [] if inspected else sent.all(f"c{n}_categories"),
        "kinds": sent.all(f"c{n}_kinds") if inspected else [],
        "results": sent.all(f"c{n}_results") if inspected else [],
    }


def _number(sent: Sent, name: str) -> int:
    try:
        return sent.number(name)
    except InvalidInputError as error:
        raise InvalidInputError(
            error.message, field="content", reason="no_number", value=sent.text(name)[:40]
        ) from None


def rows(sent: Sent | None) -> dict[str, Any]:
    """Return what the form shows: as it was sent, or the example."""
    if sent is None:
        return {
            "criteria": [_shown(n, one) for n, one in enumerate(EXAMPLE["criteria"], 1)],
            "grades": [*EXAMPLE["grades"], *[["", ""]] * (GRADES - len(EXAMPLE["grades"]))],
            **{name: EXAMPLE[name] for name in DAYS},
        }
    found = []
    for n in range(1, MOST_CRITERIA + 1):
        if f"c{n}_title" in sent.values:
            texts = {name: sent.text(f"c{n}_{name}") for name in ("title", "counts", "points",
                                                                   "most")}  # fmt: skip
            lists = {name: sent.all(f"c{n}_{name}") for name in ("categories", "kinds", "results")}
            found.append({"n": n, **texts, **lists})
    return {
        "criteria": found or [empty(1)],
        "grades": [[sent.text(f"g{n}_title"), sent.text(f"g{n}_least")]
                   for n in range(1, GRADES + 1)],
        **{name: sent.text(name) for name in DAYS},
    }  # fmt: skip


def empty(n: int | str) -> dict[str, Any]:
    """Return a row for one more criterion."""
    lists: dict[str, Any] = {"categories": [], "kinds": [], "results": ["to_mend", "stopped"]}
    return {"n": n, "title": "", "counts": "overdue", "points": "", "most": "", **lists}


def _shown(n: int, one: Mapping[str, Any]) -> dict[str, Any]:
    told = asdict(Criterion(**one))
    counts = "inspection" if told["source"] == "inspection" else told["when"]
    return {**told, "n": n, "counts": counts}
