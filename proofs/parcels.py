"""All of Cambridge's parcels as buildings, each with a cell of its own, in one import.

Needs the shared real data. Cells whose pieces would not match what lies beside them stay whole and
are listed with their place; everything else goes in, and the city is sound afterwards.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.orm import Session

from geo import service
from geo.db import migrate, owner_engine, owner_transaction
from geo.importing.wishes import ImportWish
from geo.store.importing import deliveries
from geo.terms import DeliveryKind
from proofs.claims import Claim, Say
from tests import databases
from tests.acceptance.test_import_real_files import CITY, imported

MOST_UNCUT: Final = 20
PARCELS: Final = 13_116
BESIDE: Final = Path(__file__).resolve().parents[2] / "shared"
WISHES: Final = {
    "cambridge_admin.gpkg": ImportWish(
        kind=DeliveryKind.BOUNDARIES, layer="census_blocks_2020", columns={"code": "geoid"}, level=3
    ),
    "cambridge_streets.gpkg": ImportWish(
        kind=DeliveryKind.STREETS, layer="centerlines", columns={"name": "street"}
    ),
    "cambridge_parcels_fy2014.parquet": ImportWish(kind=DeliveryKind.BUILDINGS, cut_cells=True),
}


def prove(effort: float = 1.0, say: Say = lambda words: None) -> list[Claim]:
    """Import blocks, streets and parcels; there is nothing smaller to try."""
    folder = Path(os.environ.get("WANGGE_SHARED", BESIDE)) / "data" / "cambridge_ma"
    if not folder.is_dir():
        return [Claim("The real data is there", f"nothing at {folder}", held=False)]
    with databases.server() as server:
        name = f"wangge_test_parcels_{threading.get_native_id()}"
        server.create(name)
        try:
            engine = owner_engine(server.owner_url(name))
            migrate(engine)
            with owner_transaction(engine) as session:
                claims = _taken_in(session, folder, say)
            engine.dispose()
            return claims
        finally:
            server.drop(name)


def _taken_in(session: Session, folder: Path, say: Say) -> list[Claim]:
    service.create_city(
        session, CITY, name="剑桥", profile="intl", county_code="25017", lon=-71.11, lat=42.375
    )
    began_s = time.process_time()
    row: Any = None
    for file, wish in WISHES.items():
        say(file)
        row = imported(session, folder / file, wish)
    spent_s = time.process_time() - began_s
    report = row.report or {}
    told = deliveries.part(session, row.city_id, row.delivery_id, "defects")
    uncut = [one for one in told if one["kind"] == "uncut"]
    placed = [one for one in uncut if one.get("lon") and one.get("lat") and one.get("size")]
    new = int(report["applied"]["new"])
    cells = int(session.scalar(text("SELECT count(*) FROM cell WHERE retired_by_cut IS NULL")) or 0)
    say("check the city")
    checked = service.check_city(session, CITY)
    return [
        Claim("The parcels go in", f"{new:,} of {PARCELS:,}, {spent_s:.0f} s of CPU", new > 13_000),
        Claim("Most have a cell of their own", f"{cells:,} cells", cells > 12_000),
        Claim(
            "What cannot be cut stays whole and is listed with its place",
            f"{len(uncut)} cells, {len(placed)} with place and size",
            len(placed) == len(uncut) < MOST_UNCUT,
        ),
        Claim("The city is sound", _faults(checked), bool(checked["ok"])),
    ]


def _faults(checked: dict[str, Any]) -> str:
    first = f", such as {checked['faults'][-1]}" if checked["faults"] else ""
    return f"{checked['counts'] or 'no faults'}{first}"
