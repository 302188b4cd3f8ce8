"""`wangge device`: the list is kept from the command line in an account's name."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from api.cli import app
from geo import service
from geo.db import owner_transaction
from tests.conftest import MigratedDatabase


def test_a_device_is_added_changed_and_listed(
    fresh_city: MigratedDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", fresh_city.app_url)
    monkeypatch.setenv("DATABASE_OWNER_URL", fresh_city.owner_url)
    with owner_transaction(fresh_city.engine) as session:
        service.create_demo_accounts(session, "tiny")
        lon, lat = session.execute(
            text("SELECT ST_X(label_point), ST_Y(label_point) FROM net_grid WHERE grid_id = 1111")
        ).one()

    def call(what: str, *words: str, as_: str = "administrator", code: int = 0) -> Any:
        found = CliRunner().invoke(app, ["device", what, *words, "--as", as_, "--json"])
        if code:
            assert found.exception is not None
            return str(found.exception)
        assert found.exit_code == 0, found.output
        return json.loads(found.stdout)

    wish = ("--name", "东门井盖", "--kind", "manhole", "--category", "C0102",
            "--lon", str(lon), "--lat", str(lat))  # fmt: skip
    made = call("add", *wish)
    assert len(bytes.fromhex(made["secret"])) == 32
    assert "may not" in call("add", *wish, as_="community", code=1)
    renewed = call("change", str(made["device"]), "--shut", "--new-key")
    assert renewed["secret"] != made["secret"]
    (row,) = call("list")["items"]
    assert (row["device"], row["name"], row["enabled"]) == (made["device"], "东门井盖", False)
    with owner_transaction(fresh_city.engine) as session:
        key = session.scalar(text("SELECT encode(secret, 'hex') FROM device_key"))
        logged = session.scalars(
            text("SELECT action FROM audit WHERE action LIKE 'device.%' ORDER BY n")
        ).all()
    assert key == renewed["secret"]
    assert logged == ["device.added", "device.changed"]
