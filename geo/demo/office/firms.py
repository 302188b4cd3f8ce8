"""Property firms of the made-up city: what they lead, two rules, rounds of ratings, replies."""

from __future__ import annotations

import json
from typing import Any, Final

import numpy as np
import pandas as pd
import shapely

from geo.dataset import shaped
from geo.demo.ground import METRE_SRID
from geo.demo.office.town import DAY, UTC_OFFSET, Array, Town
from geo.terms import InspectionKind, InspectionResult, RatingAct

LED: Final = ("E0602", "C0502")
"""Categories whose issues inside a compound its firm leads, once they are sent out."""
HELPED: Final = ("E0603", "E0604")
"""Those with which it helps the department."""
TOLD_DAYS: Final = 6
"""So many days before the end the last ratings were told: their answer period still runs."""
MONTHS: Final = 6
ANSWERING: Final = 8
"""So many of the poorest answer in each round, of a town of 454 grids."""
_BAD: Final = [InspectionResult.TO_MEND.value, InspectionResult.STOPPED.value]
_LINES: Final[tuple[tuple[str, str, int, int, str, list[str]], ...]] = (
    ("service", "物业服务诉求", 1, 16, "reported", ["E0602"]),
    ("stairways", "楼道堆物和飞线充电", 1, 14, "reported", ["E0603", "E0604"]),
    ("overdue", "由物业处置的事项超期", 2, 20, "overdue", []),
    ("reworked", "由物业处置的事项返工", 2, 10, "reworked", []),
    ("reopened", "由物业处置的事项办结后又反复", 2, 6, "reopened", []),
)
_CHECKED: Final = (
    ("lifts", "电梯检查不合格", 5, 15, [InspectionKind.LIFTS.value]),
    ("fire", "消防检查不合格", 6, 18, [InspectionKind.FIRE.value]),
    ("upkeep", "服务和卫生检查不合格", 3, 12,
     [InspectionKind.SERVICE.value, InspectionKind.HYGIENE.value]),
)  # fmt: skip
GRADES: Final = [["优秀", 90], ["良好", 75], ["合格", 60], ["不合格", 0]]
ANSWERS: Final = (
    "超期的两件在等电梯配件，配件到货当天已修好，请结合维保记录考虑。",
    "楼道已全部清理，并约定每周三集中回收，请复核。",
    "消防检查指出的问题已整改完毕，复查记录一并附上。",
)
APPEAL: Final = "其中有事项发生在市政道路一侧，不在本小区管理范围，请核减。"
DECISION: Final = "经复核，一件事项位于市政道路一侧，核减相应扣分。"
A = RatingAct


def led(town: Town) -> tuple[pd.Series[Any], pd.DataFrame]:
    """Return the firm that leads some issues, by their ids, and the frame `issue_helpers`."""
    issues = town.issues
    sent = issues["dispatched_at"].notna() & issues["organisation_id"].notna()
    rows = np.flatnonzero((sent & issues["category"].str.startswith((*LED, *HELPED))).to_numpy())
    points = shapely.points(issues["x"].to_numpy()[rows], issues["y"].to_numpy()[rows])
    compounds = town.city.compounds
    compound, point = shapely.STRtree(points).query(
        compounds.geometry.to_numpy(), predicate="covers"
    )
    moment = issues["reported_at"].dt.tz_localize(None).to_numpy().astype("datetime64[s]")
    found = pd.DataFrame({
        "issue_id": issues["issue_id"].to_numpy()[rows[point]],
        "compound_id": compounds["compound_id"].to_numpy()[compound],
        "category": issues["category"].to_numpy()[rows[point]],
        "day": ((moment + UTC_OFFSET).astype("datetime64[D]").astype("datetime64[s]"))[rows[point]],
    })  # fmt: skip
    firm = town.firm_on(found["compound_id"], found["day"])
    found = found.assign(firm=firm).dropna(subset="firm").sort_values(["issue_id", "compound_id"])
    found = found.drop_duplicates("issue_id")
    own = found["category"].str.startswith(LED)
    lead = found.loc[own].set_index("issue_id")["firm"]
    helps = found.loc[~own]
    columns = {"issue_id": helps["issue_id"], "organisation_id": helps["firm"].astype("int64")}
    return lead, shaped("issue_helpers", columns, METRE_SRID)


def frames(town: Town) -> dict[str, pd.DataFrame]:
    """Return the frames `rating_rules`, `rating_rounds` and `rating_replies`.

    A round rates every compound with a firm; what each gets is reckoned when the city is loaded,
    as the office reckons it.
    """
    month = (town.end - 12 * DAY).astype("datetime64[M]")
    middle, begin = month - MONTHS, month - 2 * MONTHS
    first = max(begin.astype("datetime64[D]"), (town.end - 365 * DAY).astype("datetime64[D]"))
    second, after = middle.astype("datetime64[D]"), month.astype("datetime64[D]")
    begins = np.array([first, second], dtype="datetime64[s]")
    published = begins - np.array([20, 25], dtype="timedelta64[D]")
    told = np.array([second + 11 * DAY, town.end - TOLD_DAYS * DAY], dtype="datetime64[s]")
    rules = {
        "rule_id": [1, 2],
        "title": ["物业服务评价办法（试行）", "物业服务评价办法"],
        "published_on": published,
        "begins_on": begins,
        "ends_on": np.array([second, np.datetime64("NaT")], dtype="datetime64[s]"),
        "content": [json.dumps(_content(lines), ensure_ascii=False) for lines in (4, 5)],
        "created_at": published + np.timedelta64(2, "h"),
    }
    rounds = {
        "round_id": [1, 2],
        "rule_id": [1, 2],
        "since": begins,
        "until": np.array([second - DAY, after - DAY], dtype="datetime64[s]"),
        "told_on": told,
        "made_by": [town.accounts.office] * 2,
    }
    return {
        "rating_rules": shaped("rating_rules", rules, METRE_SRID),
        "rating_rounds": shaped("rating_rounds", rounds, METRE_SRID),
        "rating_replies": _replies(town, told),
    }


def _content(lines: int) -> dict[str, Any]:
    """Return a rule with so many criteria of issues, and those of inspections."""
    criteria: list[dict[str, Any]] = [
        {"code": code, "title": title, "source": "issue", "points": points, "most": most,
         "when": when, "categories": categories}
        for code, title, points, most, when, categories in _LINES[:lines]
    ]  # fmt: skip
    criteria += [
        {"code": code, "title": title, "source": "inspection", "points": points, "most": most,
         "kinds": kinds, "results": _BAD}
        for code, title, points, most, kinds in _CHECKED
    ]  # fmt: skip
    return {
        "criteria": criteria, "grades": GRADES, "answer_days": 7, "appeal_days": 15,
        "valid_days": 240, "least_days": 30,
    }  # fmt: skip


def _replies(town: Town, told: Array) -> pd.DataFrame:
    """Return what was said of the poorest: one appeal was decided, one is open."""
    rows: list[tuple[int, int, int, str, Any, str, int, int]] = []
    for turn, day in enumerate(told, start=1):
        for rank in range(1, town.many(ANSWERING, 3) + 1):
            said = [(A.ANSWER, 1 + rank % 4, ANSWERS[rank % len(ANSWERS)], 0)]
            if rank == 1:
                said.append((A.APPEAL, 5, APPEAL, 0))
            if rank == 1 and turn == 1:
                said.append((A.DECIDE, 16, DECISION, 2))
            for n, (act, days, words, more) in enumerate(said, start=1):
                at = day + np.timedelta64(days * 24 + 2 + n, "h")
                by = town.accounts.leader if act is A.DECIDE else town.accounts.office
                rows.append((turn, rank, n, act.value, at, words, by, more))
    names = ("round_id", "rank", "n", "act", "at", "words", "actor_id", "more_points")
    columns = dict(zip(names, (list(one) for one in zip(*rows, strict=True)), strict=True))
    return shaped("rating_replies", columns, METRE_SRID)
