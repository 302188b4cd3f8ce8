"""Volunteers' service points of the made-up city, with their counts by month."""

from __future__ import annotations

import json
from typing import Any, Final

import numpy as np
import pandas as pd

from geo.dataset import shaped
from geo.demo.ground import METRE_SRID
from geo.demo.office.town import DAY, Town
from geo.terms import Offer

POINTS: Final = 20
MONTHS: Final = 13
SORTS: Final = (
    ("志愿服务点", (Offer.ADVICE, Offer.WATER, Offer.MEDICINE), "Mo-Su 08:30-18:00", 210),
    ("便民服务点", (Offer.HAIRCUT, Offer.MENDING), "Sa 09:00-11:30", 60),
    ("暖心驿站", (Offer.REST, Offer.WATER, Offer.MEDICINE), "Mo-Su 07:00-21:00", 420),
    ("长者助餐点", (Offer.MEALS,), "Mo-Su 11:00-13:00", 640),
    ("课后辅导点", (Offer.LESSONS,), "Mo-Fr 16:30-18:30", 180),
    ("绿植认养点", (Offer.GREEN, Offer.OTHER), "Sa-Su 09:00-16:00", 40),
)


def frames(town: Town) -> dict[str, pd.DataFrame]:
    """Return the frames `service_points` and `service_months`; points stand at stations."""
    rng = town.rng(8)
    stations = town.city.stations
    able = stations.loc[stations["stage"] == "open"]
    able = able if len(able) else stations
    count = min(town.many(POINTS, 4), len(able))
    chosen = able.iloc[np.sort(rng.permutation(len(able))[:count])]
    leaf = town.city.cells.set_index("cell_id")["grid_id"].reindex(chosen["cell_id"]).to_numpy()
    teams = town.city.organisations.loc[town.city.organisations["kind"] == "volunteer_team"]
    team_of = dict(zip(teams["grid_id"].tolist(), teams["organisation_id"].tolist(), strict=True))
    rows: list[dict[str, Any]] = []
    months: list[tuple[int, Any, int, int, int]] = []
    for number, (station, grid) in enumerate(zip(chosen.itertuples(), leaf, strict=True), start=1):
        title, offers, hours, busy = SORTS[(number - 1) % len(SORTS)]
        community = town.above(int(grid), 2)
        name = f"{town.names[community]}{title}"
        again = sum(row["name"].startswith(name) for row in rows)
        rows.append({
            "point_id": number, "name": f"{name}{again + 1}号" if again else name,
            "address": station.address, "opening_hours": hours,
            "offers": json.dumps(sorted(offer.value for offer in offers)),
            "organisation_id": team_of.get(community), "cell_id": station.cell_id,
            "closed_on": None, "created_at": town.moment(-int(rng.integers(380, 700)), 9),
            "geometry": station.geometry,
        })  # fmt: skip
        months += _months(town, number, busy * float(rng.uniform(0.6, 1.4)), rng)
    columns: dict[str, Any] = {name: [row[name] for row in rows] for name in rows[0]}
    columns["organisation_id"] = pd.array(columns["organisation_id"], dtype="Int64")
    columns["closed_on"] = np.array(columns["closed_on"], dtype="datetime64[s]")
    point, month, helped, helpers, spent = zip(*months, strict=True)
    counted = {"point_id": point, "month": month, "helped": helped, "helpers": helpers,
               "hours": spent}  # fmt: skip
    return {
        "service_points": shaped("service_points", columns, METRE_SRID),
        "service_months": shaped(
            "service_months", {name: list(values) for name, values in counted.items()}, METRE_SRID
        ),
    }


def _months(
    town: Town, point: int, busy: float, rng: np.random.Generator
) -> list[tuple[int, Any, int, int, int]]:
    """Return the counts of the months that are over; one forgot to count a month now and then."""
    this = (town.end - DAY).astype("datetime64[M]")
    made = []
    for back in range(MONTHS, 0, -1):
        month = this - back
        summer = 1.25 if int(month.astype(int)) % 12 in (5, 6, 7) else 1.0
        helped = round(busy * summer * float(rng.uniform(0.75, 1.25)))
        helpers = max(2, round(helped / 18 + float(rng.uniform(0, 4))))
        if rng.random() < 0.96:
            made.append((point, month.astype("datetime64[s]"), helped, helpers, helpers * 6))
    return made
