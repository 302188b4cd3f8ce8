"""Eight writers at one city, two of them cutting, for some seconds: the city stays whole."""

from __future__ import annotations

import pytest
import typer
from typer.testing import CliRunner

from proofs import __main__ as proofs
from proofs.claims import Claim
from proofs.writers import at_once
from tests.conftest import MigratedDatabase


def test_writers_and_cutters_leave_a_whole_city(fresh_database: MigratedDatabase) -> None:
    claims = at_once(fresh_database.owner_url, fresh_database.app_url, 4.0, lambda words: None)
    assert [claim.figure for claim in claims[:3] if not claim.held] == []
    assert "of them cutting" in claims[3].promise


def test_proofs_are_found_and_fail_loudly(monkeypatch: pytest.MonkeyPatch) -> None:
    assert {"redrawing", "writers"} <= set(proofs.discover())
    app = typer.Typer()
    app.command()(proofs.main)
    for held in (True, False):
        told = [Claim("what is promised", "1 of 1", held)]
        monkeypatch.setattr(proofs, "discover", lambda told=told: {"one": lambda *asked: told})
        done = CliRunner().invoke(app, ["one"])
        assert (done.exit_code, "what is promised: 1 of 1" in done.output) == (int(not held), True)
    assert CliRunner().invoke(app, ["two"]).exit_code == 2
