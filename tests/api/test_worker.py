"""The worker does what was asked for in each of its queues, and stops when told."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from geo.store import publishing
from tests.conftest import MigratedDatabase
from tests.geo.publishing import Office

LONGEST_S = 90.0


@pytest.fixture
def office(fresh_city: MigratedDatabase) -> Iterator[Office]:
    made = Office.of(fresh_city)
    yield made
    made.door.close()


def test_it_publishes_what_was_asked_for_and_stops_when_told(
    office: Office, tmp_path: Path
) -> None:
    plan = office.open()
    office.edit(plan, "rename", grid=211, name="新名")
    content = office.submit(plan)
    with office.at_work(office.second) as session:
        publishing.approve(session, office.second, plan, content)
    today = office.today
    with office.at_work(office.second) as session:
        publishing.ask(session, office.second, plan, today, content)
    worker = subprocess.Popen(
        [sys.executable, "-c", "from api.cli import main; main()", "worker"],
        env={
            "PATH": "/usr/bin:/bin",
            "DATABASE_URL": office.migrated.owner_url,
            "WANGGE_PROJECT_DIR": str(tmp_path),
        },
    )
    try:
        until = time.monotonic() + LONGEST_S
        while office.card(plan)["state"] != "published" and time.monotonic() < until:
            assert worker.poll() is None
            time.sleep(0.2)
        assert office.card(plan)["state"] == "published"
        run = office.run(211, 2)
        assert run is not None
        assert run.name == "新名"
    finally:
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(30) == 0
