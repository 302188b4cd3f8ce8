"""Borders of nets are ready before anybody asks, whoever brought the net."""

from __future__ import annotations

from pathlib import Path

import pytest

from api.upkeep import Upkeep
from geo import service
from geo.db import Viewer
from geo.store import tiles
from tests.conftest import MigratedDatabase


def test_borders_wait_for_the_first_reader(
    small_city: MigratedDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "kept"
    database = small_city.application()
    upkeep = Upkeep(database, service.Kept(folder))
    assert upkeep.look() >= 1
    made = {file.name for file in folder.iterdir()}
    assert upkeep.look() == 0, "what is known is not looked at again"

    def refuse(*_: object, **__: object) -> bytes:
        raise AssertionError("borders were encoded while somebody waited")

    monkeypatch.setattr(tiles, "topology", refuse)
    asked_for = set()
    with database.transaction(Viewer()) as session:
        for city in service.list_cities(session):
            asked = service.Asked(service.city_id_of(session, city["slug"]))
            at, card = service.show_city(session, asked)
            assert at is not None
            levels = [level["level"] for level in card["levels"]]
            for level in [*levels[:-1], None]:
                kept = service.Kept(folder)
                _, key, content = service.net_topology(session, asked, at.seq, level, kept)
                assert content
                asked_for.add(f"{key}.gz")
    assert asked_for <= made
    database.close()
