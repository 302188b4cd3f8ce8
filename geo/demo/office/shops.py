"""Shops of the made-up city as places, and what inspections found in them and in compounds."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd
import shapely

from geo.dataset import shaped
from geo.demo import names
from geo.demo.ground import METRE_SRID
from geo.demo.office.town import Array, Rng, Town, code_of, points_in
from geo.terms import InspectionKind, InspectionResult, ShopKind

SHOPS: Final = 260
CODE_LETTERS: Final = 9
VALID_DAYS: Final = 365
APPEAL_DAYS: Final = 30
BEFORE_DAYS: Final = 350
K, R = InspectionKind, InspectionResult
SIGNS: Final = (
    (
        ShopKind.FOOD,
        0.34,
        ("小吃店", "面馆", "饺子馆", "早餐店", "烘焙坊"),
        (K.FOOD, K.GAS, K.FIRE),
    ),
    (ShopKind.RETAIL, 0.28, ("便利店", "超市", "五金店", "果蔬店"), (K.FIRE, K.FRONTAGE)),
    (ShopKind.SERVICE, 0.18, ("理发店", "洗衣店", "打印店"), (K.HYGIENE, K.FIRE)),
    (ShopKind.WORKSHOP, 0.1, ("汽修行", "电动车行", "铝合金加工店"), (K.FIRE, K.FRONTAGE)),
    (ShopKind.LODGING, 0.06, ("宾馆", "民宿"), (K.FIRE, K.HYGIENE)),
    (ShopKind.OTHER, 0.04, ("文具仓库", "快递站"), (K.FIRE,)),
)
RESULTS: Final = ((R.PASSED, 0.66), (R.MENDED, 0.17), (R.TO_MEND, 0.14), (R.STOPPED, 0.03))
COMPOUND_KINDS: Final = (K.LIFTS, K.FIRE, K.SERVICE, K.HYGIENE)
ANSWERS: Final = (
    "已按要求整改，照片交给检查人员复核。",
    "灭火器已更换，通道已清空。",
    "已联系维保单位，三日内完成。",
    "标识已补齐，每周自查一次。",
)
APPEALS: Final = ("当天正在装修，现场并非营业状态，请复核。", "检查的是隔壁铺面，请核对门牌。")
UPHELD: Final = "经复核，检查结果属实，予以维持；整改后可申请复查。"
ALLOWED: Final = "经复核，检查记录的门牌有误，予以撤销。"


def frames(town: Town) -> dict[str, pd.DataFrame]:
    """Return the frames `shops` and `inspections`."""
    rng = town.rng(6)
    shops = _shops(town, rng)
    rows: list[dict[str, Any]] = []
    for shop in shops.itertuples():
        kinds = next(kinds for kind, _, _, kinds in SIGNS if kind.value == shop.kind)
        for _ in range(int(rng.choice([0, 1, 2, 3], p=[0.1, 0.45, 0.3, 0.15]))):
            kind = kinds[int(rng.integers(0, len(kinds)))]
            rows.append(_inspection(town, kind, rng) | {"shop_id": shop.shop_id})
    for compound in lived_in(town).tolist():
        for kind in COMPOUND_KINDS:
            if rng.random() < 0.45:
                rows.append(_inspection(town, kind, rng) | {"compound_id": compound})
    return {"shops": shops, "inspections": _inspections(town, rows, rng)}


def lived_in(town: Town) -> Array:
    """Return the compounds that have homes in them."""
    homes = town.city.buildings.loc[town.city.buildings["households"] > 0]
    points = shapely.centroid(homes.geometry.to_numpy())
    tree = shapely.STRtree(points)
    held = np.unique(tree.query(town.city.compounds.geometry.to_numpy(), predicate="contains")[0])
    return np.asarray(town.city.compounds["compound_id"].to_numpy()[held])


def _shops(town: Town, rng: Rng) -> pd.DataFrame:
    """Put shops into buildings of trade, at most three into one, else into homes' ground floors."""
    buildings = town.city.buildings
    count = town.many(SHOPS, 24)
    trade = np.flatnonzero(buildings["use"].isin(["commercial", "office"]).to_numpy())
    homes = np.flatnonzero((buildings["use"] == "residential").to_numpy())
    able = np.concatenate([rng.permutation(np.repeat(trade, 3)), rng.permutation(homes)])[:count]
    cells = town.city.cells.set_index("cell_id").geometry
    at = buildings["cell_id"].to_numpy()[able]
    ground = shapely.intersection(buildings.geometry.to_numpy()[able], cells.reindex(at).to_numpy())
    names_of = names.unique(rng, names.FIRST, names.SECOND, ())
    share = np.array([sign[1] for sign in SIGNS])
    sorts = rng.choice(len(SIGNS), len(able), p=share / share.sum())
    title = [SIGNS[s][2][int(rng.integers(0, len(SIGNS[s][2])))] for s in sorts]
    closed = [town.day(-int(rng.integers(5, 200))) if rng.random() < 0.03 else np.datetime64("NaT")
              for _ in able]  # fmt: skip
    return shaped(
        "shops",
        {
            "shop_id": np.arange(1, len(able) + 1),
            "code": [code_of(rng, CODE_LETTERS) for _ in able],
            "name": [next(names_of) + word for word in title],
            "kind": [SIGNS[s][0].value for s in sorts],
            "address": [town.address_of.get(int(cell)) for cell in at],
            "cell_id": at,
            "closed_on": np.array(closed, dtype="datetime64[s]"),
            "created_at": [town.moment(-BEFORE_DAYS - int(rng.integers(1, 30)), 9) for _ in able],
            "geometry": points_in(ground, rng),
        },
        METRE_SRID,
    )


def _inspection(town: Town, kind: InspectionKind, rng: Rng) -> dict[str, Any]:
    before = int(rng.integers(1, BEFORE_DAYS))
    result = RESULTS[int(rng.choice(len(RESULTS), p=[share for _, share in RESULTS]))][0]
    answer = ANSWERS[int(rng.integers(0, len(ANSWERS)))]
    said = result in (R.TO_MEND, R.STOPPED) and rng.random() < 0.6
    after = int(rng.integers(10, 30)) if result is R.TO_MEND else int(rng.integers(90, 200))
    return {
        "shop_id": None, "compound_id": None, "organisation_id": None, "kind": kind.value,
        "before": before,
        "held_on": town.day(-before), "result": result.value,
        "next_on": town.day(after - before) if rng.random() < 0.7 else None,
        "expires_on": town.day(VALID_DAYS - before),
        "appeal_until": town.day(APPEAL_DAYS - before), "answer": answer if said else None,
        "appealed_on": None, "appeal": None, "decided_on": None, "decision": None,
        "withdrawn_at": None, "entered_by": town.accounts.office,
        "entered_at": town.moment(-before, 16, before % 60),
    }  # fmt: skip


def _inspections(town: Town, rows: list[dict[str, Any]], rng: Rng) -> pd.DataFrame:
    """Let some places appeal: one was heard in vain, one was right, one still waits."""
    once = {(row["shop_id"], row["compound_id"], row["kind"], row["before"]): row for row in rows}
    rows = sorted(once.values(), key=lambda row: -row["before"])
    bad = [row for row in rows if row["result"] in (R.TO_MEND.value, R.STOPPED.value)]
    heard = [row for row in bad if row["before"] > 40]
    fresh = [row for row in bad if 3 < row["before"] <= 28]
    for turn, row in enumerate(heard[-3:]):
        right = turn == 1
        row["appealed_on"], row["appeal"] = town.day(9 - row["before"]), APPEALS[turn % 2]
        row["decided_on"] = town.day(21 - row["before"])
        row["decision"] = ALLOWED if right else UPHELD
        if right:
            row["withdrawn_at"] = town.moment(21 - row["before"], 15)
    for row in fresh[: max(1, len(fresh) // 4)]:
        row["appealed_on"], row["appeal"] = town.day(-2), APPEALS[0]
    columns: dict[str, Any] = {name: [row[name] for row in rows] for name in rows[0]}
    del columns["before"]
    columns["inspection_id"] = np.arange(1, len(rows) + 1)
    for name in ("shop_id", "compound_id", "entered_by"):
        columns[name] = pd.array(columns[name], dtype="Int64")
    held = pd.Series(np.array(columns["held_on"], dtype="datetime64[s]"))
    columns["organisation_id"] = town.firm_on(pd.Series(columns["compound_id"]), held)
    for name in ("next_on", "appealed_on", "decided_on"):
        columns[name] = np.array(columns[name], dtype="datetime64[s]")
    columns["withdrawn_at"] = pd.to_datetime(pd.Series(columns["withdrawn_at"]), utc=True)
    return shaped("inspections", columns, METRE_SRID)
