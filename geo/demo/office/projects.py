"""Small projects of the made-up city: at a place, with a budget, each step by its right account."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd
import shapely

from geo.campaigns import STEPS
from geo.dataset import shaped
from geo.demo.ground import METRE_SRID
from geo.demo.office import campaigns
from geo.demo.office.town import Town
from geo.terms import ProjectAct, ProjectState

PROJECTS: Final = 25
A = ProjectAct
PATHS: Final[tuple[tuple[ProjectAct, ...], ...]] = (
    (A.PROPOSE, A.AGREE, A.APPROVE, A.START, A.FINISH),
    (A.PROPOSE, A.AGREE, A.APPROVE, A.START),
    (A.PROPOSE, A.AGREE, A.APPROVE),
    (A.PROPOSE, A.AGREE),
    (A.PROPOSE,),
    (A.PROPOSE, A.AGREE, A.SEND_BACK, A.AGREE, A.APPROVE, A.START),
    (A.PROPOSE, A.AGREE, A.REJECT),
    (A.PROPOSE, A.AGREE, A.SEND_BACK),
)
OFTEN: Final = (0.28, 0.2, 0.12, 0.12, 0.12, 0.06, 0.05, 0.05)
SUBJECTS: Final = (
    ("充电棚扩建", "在西墙外加建一座充电棚，端口四十个，带烟感和自动断电。", 86_000, "供电公司"),
    ("楼道灯改造", "六栋楼的楼道灯换成感应灯，线路入管。", 24_500, None),
    ("小广场铺装修补", "修补铺装三百平方米，更换座椅八张。", 38_000, "住房和城乡建设局"),
    ("晾衣架增设", "在楼间空地增设晾衣架二十组。", 9_800, None),
    ("雨水口改造", "改造雨水口十二处，加装防臭格栅。", 46_000, "水务局"),
    ("无障碍坡道", "在三个单元门口加装坡道和扶手。", 31_500, None),
    ("口袋公园补种", "补种乔木二十棵、月季四百株，加装滴灌。", 57_000, "园林绿化中心"),
    ("垃圾收集点改造", "地面硬化，加装遮雨棚、洗手池和冲洗水源。", 42_000, "城市管理局"),
    ("健身器材更新", "更换健身器材十二件，做软质地面。", 65_000, None),
    ("消防通道划线", "重划消防通道和停车位，设反光桩三十根。", 18_600, "公安局"),
    ("宣传栏更新", "更换宣传栏六块，带照明。", 12_400, None),
    ("化粪池清掏和管道疏通", "清掏化粪池五座，疏通支管二百米。", 29_000, "水务局"),
)  # fmt: skip
OF_CAMPAIGN: Final = {
    title: number
    for number, subject in enumerate(campaigns.SUBJECTS, start=1)
    for title in subject.projects
}
FUNDING: Final = ("社区为民服务资金", "街道微项目资金", "维修资金和街道各半", "共建单位捐助")
BACK: Final = "请补充两家以上的报价，并说明后期由谁维护。"
NO: Final = "已列入明年老旧小区改造，不重复安排资金。"


def frames(town: Town) -> dict[str, pd.DataFrame]:
    """Return the frames `small_projects` and `project_steps`."""
    rng = town.rng(5)
    homes = town.residential
    count = town.many(PROJECTS, len(PATHS))
    drawn = rng.choice(len(PATHS), count - len(PATHS), p=OFTEN)
    paths = [*range(len(PATHS)), *drawn.tolist()]
    rows: list[dict[str, Any]] = []
    steps: list[dict[str, Any]] = []
    for number, path in enumerate(rng.permutation(paths).tolist(), start=1):
        home = homes.iloc[int(rng.integers(0, len(homes)))]
        title, words, budget, body = SUBJECTS[int(rng.integers(0, len(SUBJECTS)))]
        sum_asked = round(budget * float(rng.uniform(0.8, 1.3)), -2)
        own = _steps(town, number, PATHS[path], int(home["subdistrict"]), sum_asked, rng)
        steps += own
        rows.append({
            "project_id": number, "campaign_id": OF_CAMPAIGN.get(title),
            "name": f"{town.names[int(home['community'])]}{title}", "words": words,
            "organisation_id": town.department(body) if body else None,
            "cell_id": int(home["cell_id"]), "budget": sum_asked,
            "funding": FUNDING[int(rng.integers(0, len(FUNDING)))] if rng.random() < 0.85 else None,
            "spent": own[-1]["budget"] if own[-1]["act"] == A.FINISH.value else None,
            "state": own[-1]["state"], "created_by": own[0]["actor_id"],
            "created_at": own[0]["at"], "version": len(own) - 1,
            "geometry": shapely.Point(home["x"], home["y"]),
        })  # fmt: skip
    projects: dict[str, Any] = {name: [row[name] for row in rows] for name in rows[0]}
    for name in ("campaign_id", "organisation_id", "created_by"):
        projects[name] = pd.array(projects[name], dtype="Int64")
    done = {name: [row[name] for row in steps] for name in steps[0]}
    return {
        "small_projects": shaped("small_projects", projects, METRE_SRID),
        "project_steps": shaped("project_steps", done, METRE_SRID),
    }


def _steps(
    town: Town,
    project: int,
    path: tuple[ProjectAct, ...],
    subdistrict: int,
    budget: float,
    rng: np.random.Generator,
) -> list[dict[str, Any]]:
    """Return the steps of a project; the last one was taken in the last weeks."""
    first, second = town.desk(subdistrict)
    by = {
        A.PROPOSE: first, A.AGREE: second, A.APPROVE: town.accounts.leader,
        A.SEND_BACK: town.accounts.leader, A.REJECT: town.accounts.leader, A.START: first,
        A.FINISH: second,
    }  # fmt: skip
    reasons = {A.SEND_BACK: BACK, A.REJECT: NO}
    pause = {A.AGREE: 5, A.APPROVE: 9, A.SEND_BACK: 6, A.REJECT: 7, A.START: 12, A.FINISH: 40}
    gaps = [0] + [1 + int(rng.integers(0, 2 * pause[act])) for act in path[1:]]
    last = -int(rng.integers(1, 25))
    made = []
    for n, act in enumerate(path):
        state = ProjectState.PROPOSED if act is A.PROPOSE else STEPS[act].ends
        amount = budget
        if act is A.FINISH:
            amount = round(budget * float(rng.uniform(0.86, 1.0)), 2)
        made.append({
            "project_id": project, "n": n + 1,
            "at": town.moment(last - sum(gaps[n + 1 :]), 10 + n % 6, project % 60),
            "act": act.value, "state": state.value, "actor_id": by[act],
            "reason": reasons.get(act), "budget": amount,
        })  # fmt: skip
    return made
