"""Answer texts of the made-up city's desks."""

from __future__ import annotations

from typing import Final

import pandas as pd

from geo.dataset import shaped
from geo.demo.ground import METRE_SRID
from geo.demo.office.town import Town
from geo.terms import IssueAct

A = IssueAct
TEXTS: Final[tuple[tuple[str, str | None, IssueAct | None, str], ...]] = (
    ("已受理", None, A.ACCEPT, "您好，您反映的{category}({code})已受理，正在安排到现场查看。"),
    ("已派往部门", None, A.DISPATCH,
     "您反映的{category}已派往{organisation}，办理期限到{deadline}。"),
    ("请补充位置", None, A.NOTE, "您反映的事项位置不够清楚，请补充{楼号或路口}，以便尽快找到。"),
    ("退回重办", None, A.REWORK, "现场复核问题仍在：{具体情况}。请于{deadline}前返工并附照片。"),
    ("需要延期", None, A.POSTPONE, "因{原因}，{category}需延期至{日期}，期间已做临时防护。"),
    ("已办结", None, A.CLOSE, "您反映的{address}{category}已由{organisation}处置完毕，欢迎评价。"),
    ("不属于受理范围", None, A.VOID, "经核实，该事项{原因}，不属于受理范围，建议通过{途径}办理。"),
    ("路灯报修", "C0101", A.DISPATCH, "{address}路灯已转{organisation}，{deadline}前恢复照明。"),
    ("井盖先围挡", "C0102", A.HANDLE, "井盖已先行围挡，更换的井盖于{日期}到位。"),
    ("垃圾清运", "E0101", A.HANDLE, "{address}堆放的垃圾已清运，并已提醒周边商户按点投放。"),
    ("噪声约定", "E0405", A.CLOSE,
     "已到场协调，双方约定{时段}降低音量；如有反复，请用{code}再次反映。"),
    ("物业限期整改", "E0602", A.DISPATCH, "已告知{organisation}限期整改，{deadline}前书面答复。"),
    ("飞线已拆除", "E0604", A.CLOSE, "{address}飞线已拆除，最近的集中充电点在{地点}。"),
    ("咨询答复", "E0605", A.CLOSE, "您咨询的事项答复如下：{答复}。欢迎继续提问。"),
)  # fmt: skip


def frame(town: Town) -> pd.DataFrame:
    """Return the frame `answer_texts`."""
    title, category, act, body = zip(*TEXTS, strict=True)
    return shaped(
        "answer_texts",
        {
            "title": list(title),
            "category": list(category),
            "act": [one.value if one else None for one in act],
            "body": list(body),
            "changed_at": [town.moment(-200 + 9 * n, 10) for n in range(len(TEXTS))],
        },
        METRE_SRID,
    )
