"""Desks of a small city hold what the owner finds: for a moment what the long proof shows."""

from __future__ import annotations

from proofs.desks import desks, fill_city
from tests.conftest import MigratedDatabase


def test_first_pages_of_all_desks_hold_what_the_owner_finds(
    fresh_database: MigratedDatabase,
) -> None:
    fill_city(fresh_database.owner_url, 12, 3_000, lambda words: None)
    claims = desks(fresh_database.owner_url, fresh_database.app_url, 2, lambda words: None)
    assert claims[0].held, claims[0].figure
    assert claims[0].figure == "30 of 30 pages"
    assert "3,000 issues" in claims[1].figure
