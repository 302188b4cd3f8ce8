"""A department's net comes in as it is, and can be taken back; the city's own stays."""

from __future__ import annotations

from pathlib import Path

import pytest
import shapely
from sqlalchemy import text

from geo.errors import DeliveryError
from geo.store.importing import steps
from geo.terms import DeliveryKind
from tests.cities import point, square
from tests.conftest import MigratedDatabase
from tests.geo.test_store_importing import everything, imported, owner, prepared, wish

BOW_TIE = shapely.Polygon(
    [point(4, 0).coords[0], point(6, 2).coords[0], point(6, 0).coords[0], point(4, 2).coords[0]]
)
ROWS = [
    {"code": "F1", "name": "消防一格", "geometry": square(0, 0, 2, 2)},
    {"code": "F1", "name": None, "geometry": square(2, 0, 2, 2)},
    {"code": None, "name": "消防三格", "geometry": BOW_TIE},
    {"code": "F4", "name": "无形", "geometry": None},
]


def test_a_departments_net_is_kept_as_it_came(fresh_city: MigratedDatabase) -> None:
    wanted = wish(DeliveryKind.NETS, ("code", "name"))
    with owner(fresh_city) as session:
        before = everything(session)
        row, applied = imported(session, ROWS, wanted)
        assert applied["new"] == 3
        kept = session.execute(text(
            "SELECT code, name, ST_IsValid(geom), ST_NumGeometries(geom) FROM source_grid"
            " WHERE grid_id IS NULL ORDER BY code")).all()  # fmt: skip
        assert [tuple(one) for one in kept] == [
            ("F1", "消防一格", True, 1), ("F1 (2)", "F1 (2)", True, 1),
            ("消防三格", "消防三格", True, 2),
        ]  # fmt: skip
        now = everything(session)
        changed = {name for name, rows in now.items() if rows != before[name]}
        assert changed == {"source_net", "source_grid"}
        steps.undo(session, row)
        assert everything(session) == before


def test_a_net_without_areas_is_refused(fresh_city: MigratedDatabase) -> None:
    rows = [{"code": "F1", "name": "x", "geometry": point(1, 1)}]
    with owner(fresh_city) as session, pytest.raises(DeliveryError, match="no row has an area"):
        prepared(session, rows, wish(DeliveryKind.NETS, ("code", "name")), str(Path("b.gpkg")))
