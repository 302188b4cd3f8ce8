"""Campaigns of the made-up city: problems and measures against them, ticked off line by line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from geo.dataset import shaped
from geo.demo.ground import METRE_SRID
from geo.demo.office.town import Rng, Town
from geo.demo.office.wording import Said
from geo.frames_office import OFFICE
from geo.terms import CampaignState, ItemList, ItemState

LINES: Final = 40
ITEM: Final = tuple(OFFICE["campaign_items"].columns)
DROPPED: Final = (
    "与另一行重复，合并办理。",
    "现场复核不属实，不再列入。",
    "已列入年度改造，不单独处理。",
)


@dataclass(frozen=True)
class Subject:
    """What a campaign is about: name, goal, categories, whose, from and until (days after)."""

    name: str
    goal: str
    categories: tuple[str, ...]
    body: str
    begins: int
    ends: int
    problem: tuple[str, ...]
    measure: tuple[str, ...]
    whole_city: bool = True
    projects: tuple[str, ...] = ()
    """Small projects that belong to it."""


SUBJECTS: Final = (
    Subject(
        "汛前排水设施排查", "汛期前把易积水点、井盖和雨水口全部查一遍，问题清零。",
        ("C0102", "E0504", "E0502", "E0102"), "水务局", -165, -95,
        ("雨水口被落叶和泥沙堵住", "井盖松动下沉", "低洼路段雨后积水"),
        ("清掏雨水口并复查一次", "更换井盖并做防沉降处理", "备好移动泵车，雨前到位"),
        projects=("雨水口改造",),
    ),
    Subject(
        "施工扬尘治理", "在建工地做到围挡、喷淋、覆盖到位，运输车辆净车上路。",
        ("E0301", "E0302", "E0304", "E0103"), "生态环境局", -120, -45,
        ("工地裸土没有覆盖", "出入口没有冲洗，带泥上路", "夜间施工没有公示"),
        ("当日覆盖裸土，拍照留存", "出入口加装冲洗平台", "核对夜间许可并张贴公示"),
    ),
    Subject(
        "楼道堆物和飞线充电整治", "清通楼道和消防通道，充电进棚，年底前每小区至少一处集中充电点。",
        ("E0603", "E0604", "C0501", "C0502"), "消防救援大队", -62, 34,
        ("楼道堆放纸箱和旧家具", "从窗口拉线给电动车充电", "集中充电棚端口损坏"),
        ("物业三日内清理，约定回收时间", "拆除飞线，就近增设充电口", "更换端口，公示报修办法"),
        projects=("充电棚扩建", "楼道灯改造"),
    ),
    Subject(
        "非机动车停放秩序提升", "地铁口、学校和菜场周边划线定位，盲道不占，通道不堵。",
        ("E0404", "E0403", "C0202"), "公安局", -38, 52,
        ("路口共享单车成堆，占了盲道", "学校门口接送时段乱停", "停车线磨损看不清"),
        ("补划停放区并设引导牌", "接送时段分流，志愿者引导", "重新划线"), False,
    ),
    Subject(
        "老旧小区环境整治", "先清后改：清垃圾、清堆物、修路面，再做绿化补种。",
        ("E0101", "E0104", "C0303", "C0204"), "城市管理局", -21, 69,
        ("装修垃圾随意堆放", "建材占用人行道", "收集点破损漏水"),
        ("设固定的装修垃圾堆放点", "限期清走并恢复路面", "修补地面，加装遮挡"), False,
    ),
)  # fmt: skip


def frames(town: Town, said: Said) -> dict[str, pd.DataFrame]:
    """Return the frames `campaigns` and `campaign_items`."""
    rng = town.rng(4)
    rows: list[dict[str, Any]] = []
    lines: list[dict[str, Any]] = []
    for number, subject in enumerate(SUBJECTS, start=1):
        top = list(town.accounts.desks)
        grid = None if subject.whole_city else top[number % len(top)]
        over = subject.ends < 0
        rows.append({
            "campaign_id": number, "name": subject.name, "goal": subject.goal, "grid_id": grid,
            "organisation_id": town.department(subject.body),
            "starts_on": town.day(subject.begins), "ends_on": town.day(subject.ends),
            "state": (CampaignState.CLOSED if over else CampaignState.OPEN).value,
            "created_by": town.accounts.office if grid is None else town.desk(grid)[0],
            "created_at": town.moment(subject.begins - 6, 10), "version": int(over),
        })  # fmt: skip
        lines += _lines(town, said, number, subject, grid, rng)
    ids = ("grid_id", "organisation_id", "created_by")
    campaigns: dict[str, Any] = {name: [row[name] for row in rows] for name in rows[0]}
    items: dict[str, Any] = {name: [row[name] for row in lines] for name in ITEM}
    for columns, names in (
        (campaigns, ids), (items, ("grid_id", "organisation_id", "issue_id", "of_n", "done_by"))
    ):  # fmt: skip
        for name in names:
            columns[name] = pd.array(columns[name], dtype="Int64")
    return {
        "campaigns": shaped("campaigns", campaigns, METRE_SRID),
        "campaign_items": shaped("campaign_items", items, METRE_SRID),
    }


def _lines(
    town: Town, said: Said, campaign: int, subject: Subject, grid: int | None, rng: Rng
) -> list[dict[str, Any]]:
    """Return problems, most of them with their issue, and a measure against most of them."""
    wanted = int(np.clip(town.many(LINES, 20) + rng.integers(-10, 12), 20, 60)) * 5 // 8
    last = min(subject.ends, 0)
    within = None if grid is None else ("subdistrict", grid)
    since, until = town.moment(subject.begins - 10, 0), town.moment(last - 1, 0)
    found = town.found(subject.categories, since, until, rng, round(wanted * 0.7), within)
    issues: list[Any] = list(found.sort_values("reported_at").itertuples())
    made: list[dict[str, Any]] = []
    leads = town.leads()
    for turn in range(wanted):
        issue = issues[turn] if turn < len(issues) else None
        community = int(issue.community) if issue is not None else _community(town, grid, rng)
        at = subject.begins + int((last - subject.begins) * turn / wanted * 0.8)
        which = int(rng.integers(0, len(subject.problem)))
        place = town.address_of.get(issue.cell_id) if issue is not None else None
        body = leads.get(issue.category) if issue is not None else None
        problem = _line(town, campaign, len(made) + 1, at, subject, rng) | {
            "list": ItemList.PROBLEM.value,
            "words": f"{place or town.names[community]}：{subject.problem[which]}",
            "grid_id": community, "issue_id": issue.issue_id if issue is not None else None,
            "organisation_id": body or town.department(subject.body),
        }  # fmt: skip
        if issue is not None and issue.state == "closed" and problem["state"] == "open":
            problem |= _done(town, problem, subject, rng)
        made.append(problem)
        if rng.random() < 0.62:
            made.append(
                _line(town, campaign, len(made) + 1, at + 1, subject, rng)
                | {
                    "list": ItemList.MEASURE.value, "words": subject.measure[which],
                    "grid_id": community, "issue_id": None, "of_n": problem["n"],
                    "organisation_id": problem["organisation_id"],
                }
            )  # fmt: skip
    return made


def _community(town: Town, grid: int | None, rng: Rng) -> int:
    able = [int(one) for one in town.communities if grid is None or town.above(int(one), 1) == grid]
    return able[int(rng.integers(0, len(able)))]


def _line(town: Town, campaign: int, n: int, at: int, subject: Subject, rng: Rng) -> dict[str, Any]:
    """Return a line as it was written down `at` days after the end, and what came of it."""
    due = min(at + int(rng.integers(10, 32)), subject.ends)
    line = {
        "campaign_id": campaign, "n": n, "of_n": None, "due_on": town.day(due),
        "state": ItemState.OPEN.value, "note": None, "created_at": town.moment(at, 11, n % 60),
        "done_at": None, "done_by": None, "version": 0, "at": at, "due": due,
    }  # fmt: skip
    fate = rng.random()
    if subject.ends < 0 or due < -3:
        likely = 0.94 if subject.ends < 0 else 0.85
    else:
        likely = 0.28 if at < -8 else 0.08
    if fate < likely:
        line |= _done(town, line, subject, rng)
    elif fate > 0.965 or subject.ends < 0:
        line |= _done(town, line, subject, rng) | {
            "state": ItemState.DROPPED.value, "note": DROPPED[n % len(DROPPED)],
        }  # fmt: skip
    return line


def _done(town: Town, line: dict[str, Any], subject: Subject, rng: Rng) -> dict[str, Any]:
    after = int(rng.integers(2, max(3, line["due"] - line["at"] + 3)))
    day = min(line["at"] + after, subject.ends, -1)
    desks = list(town.accounts.desks.values())
    return {
        "state": ItemState.DONE.value,
        "done_at": max(town.moment(day, 16, line["n"] % 60), line["created_at"]),
        "done_by": desks[line["n"] % len(desks)][1],
        "version": 1,
    }
