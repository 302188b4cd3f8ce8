"""What was said of issues: one or two plain sentences about things and places, never persons."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd

from geo.dataset import shaped
from geo.demo.ground import METRE_SRID
from geo.demo.office.town import LETTERS, Town

TOLD_DAYS: Final = 35
"""Issues of the last days have words, and all that are open."""
CODE_LETTERS: Final = 8
SENTENCES: Final[dict[str, tuple[str, ...]]] = {
    "C0101": (
        "路灯整夜不亮，晚上看不清路面。",
        "有两盏路灯一直闪，杆上的检修门也开着。",
        "路灯白天亮着，晚上反而不亮。",
    ),
    "C0102": (
        "井盖松动，车一压就响。",
        "井盖破了一角，周围没有围挡。",
        "井盖比路面低了一截，雨天看不见。",
    ),
    "C0103": ("配电箱门没有锁，里面的线露在外面。", "电线垂得很低，大车过不去。"),
    "C0104": ("水压很小，高层早晚用不上水。", "水表井里一直有水冒出来。"),
    "C0105": ("通信箱的门掉了，线缆散在地上。",),
    "C0201": ("限速牌被树枝挡住了。", "指路牌歪了，方向指错。"),
    "C0202": ("车位线磨没了，车停得很乱。", "地锁坏在车位中间，占着位置。"),
    "C0203": ("护栏被撞断一段，断头朝着路面。",),
    "C0204": ("人行道地砖松动，下雨一踩一身泥。", "盲道被挖断后没有恢复。", "路沿石缺了三块。"),
    "C0205": ("站亭的玻璃碎了，碎片还在地上。",),
    "C03": (
        "垃圾箱满了，周围堆了一圈。",
        "设施破损，门关不上。",
        "收集点的水龙头坏了，地面又滑又臭。",
    ),
    "C04": (
        "行道树有一根大枝干枯，随时会掉。",
        "绿地被踩出一条路，泥土流到人行道上。",
        "座椅的木条断了。",
    ),
    "C0501": ("充电口坏了一半，排队的车停到了路上。", "充电棚晚上断电，第二天早上车都没充上。"),
    "C0502": ("车棚顶漏雨，灯也不亮。",),
    "C0503": ("消火栓漏水，接口的盖子不见了。", "灭火器箱是空的。"),
    "C0504": ("健身器材的轴松了，转起来晃得厉害。",),
    "E0101": (
        "有人倒了一堆装修垃圾，两天没有清走。",
        "绿化带里全是塑料袋和外卖盒。",
        "垃圾堆在路口，招了很多苍蝇。",
    ),
    "E0102": ("路面有一片油污，骑车容易滑倒。", "落叶堵住了雨水口。", "洒水车过后泥浆没有冲干净。"),
    "E0103": ("渣土堆在围挡外，风一吹满街都是灰。",),
    "E0104": ("建材堆在人行道上，只能绕到车道上走。", "旧家具占了消防通道。"),
    "E0105": ("草坪长时间没有浇水，枯了一大片。",),
    "E0201": ("楼道门和电线杆上贴满了小广告。", "路面喷了一排小广告，擦不掉。"),
    "E0202": ("门头广告牌的铁架锈了，风大时摇晃。",),
    "E0203": ("过期的横幅还挂在树上。",),
    "E0301": ("工地夜里十一点还在打桩。", "周末清早就开始切割，整栋楼都听得到。"),
    "E0302": ("工地没有喷淋，尘土落满了窗台。",),
    "E0303": ("楼顶在搭彩钢房，材料堆到了楼梯口。",),
    "E0304": ("渣土车一路撒土，从路口撒到桥头。",),
    "E0401": ("路口每天傍晚有流动摊位，散了以后一地菜叶。",),
    "E0402": ("店家把桌椅摆到了盲道上。", "水果摊占了半条人行道，婴儿车过不去。"),
    "E0403": (
        "车停在消防通道上，出口堵住了。",
        "两边都停了车，公交车会不了车。",
        "单元门口停了一辆车，出不去。",
    ),
    "E0404": ("共享单车堆在路口，盲道全被占了。", "电动车停满了楼门口的坡道。"),
    "E0405": (
        "楼下空调外机声音很大，夜里睡不着。",
        "广场音响开到晚上十点以后。",
        "店铺的喇叭从早播到晚。",
    ),
    "E05": (
        "路面往下陷了一块，已经用树枝挡着。",
        "水从地下冒出来，流了半条街。",
        "树倒在路上，压到了围栏。",
    ),
    "E0601": ("两户为空调滴水的事争了几次，请帮忙调解。", "楼上漏水的修缮费用谈不拢，请帮忙调解。"),
    "E0602": (
        "电梯坏了三天，只说在等配件。",
        "门禁坏了一个月，报修没有回音。",
        "公共区域的灯坏了，一直没有换。",
    ),
    "E0603": ("楼道里堆着纸箱和旧家具，只剩一人宽。", "消防楼梯间被当成了储物间。"),
    "E0604": ("从四楼拉了一根电线下来给电动车充电。", "楼道里有电动车在充电，线都发烫了。"),
    "E0605": ("想问社区食堂的开放时间。", "想问旧家电回收的地点。", "想问老楼加装电梯怎样申请。"),
}  # fmt: skip
"""By beginning of the category's code; the longest that fits speaks."""
OTHERWISE: Final = ("这里需要来人看一下。",)


class Said:
    """Words, codes and ways of issues, put together from all who have something to say."""

    def __init__(self, town: Town) -> None:
        self.town = town
        self.words: dict[int, str] = {}
        self.channel: dict[int, str] = {}

    def put(self, issue: int, words: str, channel: str | None = None) -> None:
        """Keep what was said of an issue, and how it came in if otherwise than drawn."""
        self.words[issue] = words
        if channel is not None:
            self.channel[issue] = channel

    def channels(self, issues: pd.Series[Any], before: pd.Series[Any]) -> pd.Series[Any]:
        """Return how each issue came in."""
        changed: pd.Series[Any] = issues.map(self.channel)
        return changed.where(changed.notna(), before).astype("str")

    def frame(self) -> pd.DataFrame:
        """Return the frame `issue_words`: open issues, those of the last days, those with a say."""
        town, rng = self.town, self.town.rng(1)
        issues = town.issues
        late = issues["reported_at"].dt.tz_localize(None).to_numpy() >= town.moment(-TOLD_DAYS, 0)
        still = ~issues["state"].isin(["closed", "void"]).to_numpy()
        own = issues["issue_id"].isin(self.words).to_numpy()
        told = issues.loc[late | still | own]
        drawn = rng.integers(0, 1 << 30, len(told))
        said = [
            self.words.get(issue) or _sentence(category, draw)
            for issue, category, draw in zip(
                told["issue_id"].tolist(), told["category"], drawn.tolist(), strict=True
            )
        ]
        return shaped(
            "issue_words",
            {
                "issue_id": told["issue_id"].to_numpy(),
                "code": _codes(len(told), rng),
                "words": said,
                "address": [town.address_of.get(cell) for cell in told["cell_id"].tolist()],
            },
            METRE_SRID,
        )


def _sentence(category: str, draw: int) -> str:
    fits = [code for code in SENTENCES if category.startswith(code)]
    able = SENTENCES[max(fits, key=len)] if fits else OTHERWISE
    return able[draw % len(able)]


def _codes(count: int, rng: np.random.Generator) -> list[str]:
    """Draw codes of which no two are alike."""
    base = len(LETTERS)
    numbers = rng.choice(base**5, count, replace=False) * base**3 + rng.integers(0, base**3, count)
    places = numbers[:, None] // base ** np.arange(CODE_LETTERS)[None, :] % base
    return ["".join(row) for row in LETTERS[places]]
