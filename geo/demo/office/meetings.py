"""Meetings of residents and the office: what was spoken of, what came of it."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd

from geo.dataset import shaped
from geo.demo.ground import METRE_SRID
from geo.demo.office.town import Rng, Town
from geo.demo.office.wording import Said
from geo.terms import MeetingKind, MeetingState

MEETINGS: Final = 30
BEFORE_DAYS: Final = 290
FOUND_DAYS: Final = 10
"""So long after a meeting its topics were entered as issues."""
KINDS: Final = (
    (MeetingKind.TALK, "居民说事会", "党群服务中心一楼说事室", 19),
    (MeetingKind.TALK, "居民说事会", "小广场凉亭", 16),
    (MeetingKind.COUNCIL, "民主协商会", "党群服务中心二楼议事厅", 14),
    (MeetingKind.RECEPTION, "接待日", "便民服务大厅", 9),
)
TO_ISSUES: Final[dict[str, tuple[str, ...]]] = {
    "C0101": ("小区东门外的路灯晚上不亮，老人出门看不清台阶。",),
    "C0204": ("菜场门口的人行道坑洼，雨天绊人。", "盲道被电线杆截断，希望改道。"),
    "C0501": ("充电桩太少，晚上排队排到路上。", "充电口经常断电，希望换一家维护。"),
    "C0504": ("小广场的健身器材松动，希望检修。",),
    "E0101": ("垃圾收集点清运不及时，夏天气味大。", "装修垃圾没有固定堆放点。"),
    "E0402": ("早市收摊后路面油污没人冲洗。",),
    "E0403": ("消防通道常被停车占住。", "学校门口接送时段停车太乱。"),
    "E0404": ("共享单车堆满公交站。",),
    "E0405": ("广场音响声音太大，希望约定时间。", "饭店油烟机夜里噪声大。"),
    "E0602": ("电梯维保记录没有公示。", "公共收益的账目希望按季公示。", "门禁坏了报修没有回音。"),
    "E0603": ("楼道堆物清了又堆，希望有固定的回收时间。",),
    "E0604": ("楼下没有充电的地方，才有人拉线。",),
}
"""Topics by the category of the issue that they become."""
IN_WORDS: Final = (
    ("社区食堂能不能周末也开？", "食堂答复：从下月起周六中午供餐，先试行三个月。"),
    ("旧家电去哪里回收？", "当场答复：每月第二个周六上午在社区门口集中回收。"),
    ("加装电梯要走什么程序？", "住建部门到场讲解，办理流程已贴在单元宣传栏。"),
    ("停车位怎样重新划线？", "物业答复：已报交警部门复核，方案下次会上再议。"),
    ("暑期孩子没有地方去。", "图书角延长开放到晚上八点，志愿者轮值。"),
    ("楼顶晾晒架太少。", "居委会答复：列入本年度微项目，先做两栋。"),
    ("公共绿地能不能种菜？", "协商一致：不种菜，改种月季，由各楼认养。"),
    ("快递柜挡住了单元门。", "当场约定：由物业一周内移到东墙。"),
    ("水费单改成电子的，老人看不懂。", "便民大厅保留纸质账单，随到随打。"),
    ("消防演练什么时候办？", "已定在下月第一个周末，由消防站指导。"),
    ("雨棚漏水由谁修？", "属公共部位，业委会同意从维修资金列支。"),
    ("宠物粪便没人清理。", "约定在三处出入口设置拾便袋箱。"),
)
OUTCOMES: Final = (
    "提出的事项当场答复一部分，其余已登记上报，下次会上通报进展。",
    "大家对方案没有不同意见，按多数意见办理，结果张贴公示七天。",
    "能马上办的三日内办结，需要部门配合的由街道协调。",
)


def frames(town: Town, said: Said) -> dict[str, pd.DataFrame]:
    """Return the frames `meetings` and `meeting_topics`; the last few meetings are to come."""
    rng = town.rng(3)
    count = town.many(MEETINGS, 5)
    ahead = max(2, count // 10)
    days = np.concatenate([
        np.sort(rng.integers(-BEFORE_DAYS, -2, count - ahead)), np.sort(rng.integers(2, 20, ahead))
    ])  # fmt: skip
    rows: list[dict[str, Any]] = []
    topics: list[dict[str, Any]] = []
    serial: dict[tuple[int, str], int] = {}
    for number, day in enumerate(days.tolist(), start=1):
        community = int(town.communities[int(rng.integers(0, len(town.communities)))])
        row = _meeting(town, number, day, community, serial, rng)
        rows.append(row)
        if row["state"] == MeetingState.HELD.value:
            topics += _topics(town, said, row, community, rng)
        elif row["state"] == MeetingState.PLANNED.value and rng.random() < 0.6:
            what = IN_WORDS[int(rng.integers(0, len(IN_WORDS)))][0]
            topics.append(_topic(row, 1, what, None, None, row["created_at"]))
    names = ("meeting_id", "kind", "title", "place", "held_at", "grid_id", "state", "outcome",
             "created_by", "created_at", "version")  # fmt: skip
    held: dict[str, Any] = {name: [row[name] for row in rows] for name in names}
    held["created_by"] = pd.array(held["created_by"], dtype="Int64")
    spoken: dict[str, Any] = {
        name: [row[name] for row in topics]
        for name in ("meeting_id", "n", "words", "outcome", "issue_id", "created_at")
    }
    spoken["issue_id"] = pd.array(spoken["issue_id"], dtype="Int64")
    return {
        "meetings": shaped("meetings", held, METRE_SRID),
        "meeting_topics": shaped("meeting_topics", spoken, METRE_SRID),
    }


def _meeting(
    town: Town, number: int, day: int, community: int, serial: dict[tuple[int, str], int], rng: Rng
) -> dict[str, Any]:
    kind, title, place, hour = KINDS[int(rng.integers(0, len(KINDS)))]
    name = town.names[community]
    serial[community, title] = turn = serial.get((community, title), 0) + 1
    state = MeetingState.PLANNED if day > 0 else MeetingState.HELD
    if state is MeetingState.HELD and rng.random() < 0.06:
        state = MeetingState.CANCELLED
    outcome = None
    if state is MeetingState.HELD:
        outcome = OUTCOMES[int(rng.integers(0, len(OUTCOMES)))] if day < -6 else None
    elif state is MeetingState.CANCELLED:
        outcome = "因大雨改期，另行通知。"
    return {
        "meeting_id": number,
        "kind": kind.value,
        "title": f"{name}{title}（第{turn}次）",
        "place": f"{name}{place}",
        "held_at": town.moment(day, hour, int(rng.integers(0, 2)) * 30),
        "grid_id": community,
        "state": state.value,
        "outcome": outcome,
        "created_by": town.desk(community)[0],
        "created_at": town.moment(min(day - int(rng.integers(4, 12)), -1), 10),
        "version": 0 if state is MeetingState.PLANNED else 1,
    }


def _topics(
    town: Town, said: Said, row: dict[str, Any], community: int, rng: Rng
) -> list[dict[str, Any]]:
    """Return two to five topics of a meeting: some became issues, some were settled in words."""
    made: list[dict[str, Any]] = []
    held = row["held_at"]
    spoken: set[str] = set()
    codes = list(TO_ISSUES)
    for n in range(1, int(rng.integers(2, 6)) + 1):
        entered = held + np.timedelta64(15 * n + int(rng.integers(0, 12)), "m")
        until = min(held + FOUND_DAYS * np.timedelta64(86_400, "s"), town.now)
        code = codes[int(rng.integers(0, len(codes)))]
        able = [what for what in TO_ISSUES[code] if what not in spoken]
        if able and rng.random() < 0.55:
            found = town.found([code], entered, until, rng, 1, ("community", community))
            if len(found):
                what = able[int(rng.integers(0, len(able)))]
                issue = int(found["issue_id"].iloc[0])
                spoken.add(what)
                said.put(issue, what, "meeting")
                made.append(_topic(row, n, what, None, issue, entered))
                continue
        left = [one for one in IN_WORDS if one[0] not in spoken]
        what, answer = left[int(rng.integers(0, len(left)))]
        spoken.add(what)
        late = row["outcome"] is None and rng.random() < 0.5
        made.append(_topic(row, n, what, None if late else answer, None, entered))
    return made


def _topic(
    row: dict[str, Any], n: int, words: str, outcome: str | None, issue: int | None, at: Any
) -> dict[str, Any]:
    return {"meeting_id": row["meeting_id"], "n": n, "words": words, "outcome": outcome,
            "issue_id": issue, "created_at": at}  # fmt: skip
