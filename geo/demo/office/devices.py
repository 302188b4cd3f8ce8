"""Things of the made-up city that tell of themselves, and what they told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
import shapely

from geo.dataset import shaped
from geo.demo.ground import METRE_SRID
from geo.demo.office.town import Town, code_of
from geo.demo.office.wording import Said
from geo.terms import DeviceKind

DEVICES: Final = 60
SINCE_DAYS: Final = 110
CODE_LETTERS: Final = 10


@dataclass(frozen=True)
class Sort:
    """A sort of things: what it is called, what it reports as, how often, what it tells."""

    kind: DeviceKind
    title: str
    category: str
    often: float
    words: str
    unit: str | None = None
    least: float = 0.0
    most: float = 0.0


SORTS: Final = (
    Sort(DeviceKind.MANHOLE, "智能井盖", "C0102", 3.0, "井盖倾斜超过限值", "°", 10, 35),
    Sort(DeviceKind.WATER, "积水监测点", "E0504", 1.5, "积水超过警戒水位", "cm", 15, 48),
    Sort(DeviceKind.LAMP, "路灯控制箱", "C0101", 3.0, "整条回路没有电流", "A", 0, 0.4),
    Sort(DeviceKind.BIN, "垃圾箱满溢感应", "C0301", 2.0, "垃圾箱已满", "%", 90, 100),
    Sort(DeviceKind.SMOKE, "充电棚烟感", "C0502", 1.0, "烟感报警"),
    Sort(DeviceKind.GAS, "管廊燃气探头", "E0502", 0.8, "可燃气体浓度超限", "%LEL", 12, 30),
    Sort(DeviceKind.POWER, "箱变电压监测", "C0103", 1.0, "电压低于下限", "V", 172, 196),
    Sort(DeviceKind.LIFT, "电梯运行监测", "E0602", 1.5, "电梯停在两层之间"),
    Sort(DeviceKind.TILT, "古树倾斜监测", "C0401", 0.7, "倾斜角变化超过限值", "°", 3, 9),
    Sort(DeviceKind.PIPE, "供水管网压力点", "C0104", 1.2, "管网压力骤降", "MPa", 0.04, 0.14),
)


def frames(town: Town, said: Said) -> dict[str, pd.DataFrame]:
    """Return the frames `devices` and `device_alarms`.

    A thing stands where an issue of its category is; most of them told of that issue themselves.
    """
    rng = town.rng(2)
    share = np.array([sort.often for sort in SORTS])
    wanted = np.maximum(1, np.round(share / share.sum() * town.many(DEVICES, 10))).astype(int)
    things: list[dict[str, Any]] = []
    alarms: list[dict[str, Any]] = []
    for sort, count in zip(SORTS, wanted, strict=True):
        since = town.moment(-SINCE_DAYS, 0)
        able = town.found([sort.category], since, town.now, rng, int(count))
        for row in able.sort_values("reported_at").itertuples():
            number = len(things) + 1
            things.append(_thing(town, sort, row, number, rng))
            if rng.random() < 0.8:
                alarms += _alarms(town, said, sort, row, things[-1], rng)
    return {"devices": _things(things), "device_alarms": _told(alarms)}


def _thing(town: Town, sort: Sort, row: Any, number: int, rng: Any) -> dict[str, Any]:
    place = town.address_of.get(row.cell_id) or town.names[row.community]
    return {
        "device_id": number,
        "code": code_of(rng, CODE_LETTERS),
        "name": f"{sort.title}·{place}",
        "kind": sort.kind.value,
        "category": sort.category,
        "cell_id": row.cell_id,
        "enabled": bool(rng.random() > 0.06),
        "created_at": town.moment(-int(rng.integers(150, 400)), 10),
        "geometry": shapely.Point(row.x, row.y),
    }


def _alarms(
    town: Town, said: Said, sort: Sort, row: Any, thing: dict[str, Any], rng: Any
) -> list[dict[str, Any]]:
    """Return the alarm that an issue came of, and those that followed while it was open."""
    begin = row.reported_at.tz_localize(None).to_datetime64().astype("datetime64[s]")
    ends = town.now if pd.isna(row.closed_at) else row.closed_at.tz_localize(None).to_datetime64()
    open_h = float((ends - begin) / np.timedelta64(1, "h"))
    later = np.sort(rng.uniform(0.3, max(0.4, min(open_h, 72.0)), int(rng.integers(0, 4))))
    made = []
    for n, hours in enumerate([0.0, *later[later < open_h]]):
        value = None if sort.unit is None else round(float(rng.uniform(sort.least, sort.most)), 2)
        made.append({
            "device_id": thing["device_id"],
            "alarm": f"{begin.astype('datetime64[D]')}-{n + 1}",
            "at": begin + np.timedelta64(int(hours * 3600), "s"),
            "value": value,
            "unit": sort.unit,
            "words": sort.words,
            "issue_id": row.issue_id,
        })  # fmt: skip
    figure = "" if made[0]["value"] is None else f" {made[0]['value']:g}{sort.unit}"
    said.put(row.issue_id, f"{thing['name']}：{sort.words}{figure}", "device")
    return made


def _things(rows: list[dict[str, Any]]) -> pd.DataFrame:
    names = ("device_id", "code", "name", "kind", "category", "cell_id", "enabled", "created_at",
             "geometry")  # fmt: skip
    return shaped("devices", {name: [row[name] for row in rows] for name in names}, METRE_SRID)


def _told(rows: list[dict[str, Any]]) -> pd.DataFrame:
    names = ("device_id", "alarm", "at", "value", "unit", "words", "issue_id")
    columns: dict[str, Any] = {name: [row[name] for row in rows] for name in names}
    columns["issue_id"] = pd.array(columns["issue_id"], dtype="Int64")
    return shaped("device_alarms", columns, METRE_SRID)
