"""Real files one by one into a city that has begun: borders, streets, stations; and out again."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from geo import service
from geo.db import owner_transaction
from geo.files.limits import OPERATOR
from geo.importing.wishes import ImportWish
from geo.store.importing import deliveries, files, steps
from geo.store.importing.working import hands_of
from geo.tables import Delivery
from geo.terms import DeliveryKind
from tests.conftest import MigratedDatabase
from tests.geo.test_store_importing import everything

CITY = "cambridge"
pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(600)]


def imported(session: Session, path: Path, wish: ImportWish) -> Delivery:
    sha256, size = files.digest(path)
    city_id = service.city_id_of(session, CITY)
    file = deliveries.Received(path.name, "", sha256, size)
    number = deliveries.receive(session, city_id, file, None, look=False)
    row, hands = deliveries.get(session, city_id, number), hands_of(OPERATOR, trusted=True)
    steps.look(session, row, path, hands)
    steps.prepare(session, row, path, wish, hands)
    steps.perform(session, row, path, hands)
    return row


def test_cambridge_comes_in_file_by_file(
    shared_data: Path, fresh_database: MigratedDatabase
) -> None:
    folder = shared_data / "cambridge_ma"
    areas = ImportWish(
        kind=DeliveryKind.BOUNDARIES, layer="census_tracts_2020", columns={"code": "geoid"}, level=2
    )
    streets = ImportWish(kind=DeliveryKind.STREETS, layer="centerlines", columns={"name": "street"})
    stations = ImportWish(
        kind=DeliveryKind.STATIONS, columns={"name": "name"}, fixed={"kind": "service_centre"}
    )
    with owner_transaction(fresh_database.engine) as session:
        service.create_city(
            session, CITY, name="剑桥", profile="intl", county_code="25017", lon=-71.11, lat=42.375
        )
        kind = "INSERT INTO station_kind VALUES (1, 'service_centre', '中心', 'Centre', 'everyone')"
        session.execute(text(kind))
        before = everything(session)
        rows = [imported(session, folder / "cambridge_admin.gpkg", areas)]
        rows.append(imported(session, folder / "cambridge_streets.gpkg", streets))
        rows.append(imported(session, folder / "cambridge_stations.geojson", stations))
        report = service.check_city(session, CITY)
        assert report["ok"], report["faults"]
        assert report["figures"]["net_1"]["grids"] == 34
        assert (session.scalar(text("SELECT count(*) FROM street")) or 0) > 2_600
        assert (session.scalar(text("SELECT count(*) FROM station")) or 0) > 300
        for row in reversed(rows):
            steps.undo(session, row)
        assert everything(session) == before
