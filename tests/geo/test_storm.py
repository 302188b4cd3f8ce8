"""Reports whose answers get lost on the way: for some seconds what the long proof shows."""

from __future__ import annotations

import numpy as np

from proofs.storm import LOST, per_second, storm
from tests.conftest import MigratedDatabase


def test_reports_arrive_once_through_lost_answers(fresh_database: MigratedDatabase) -> None:
    claims = storm(fresh_database.owner_url, fresh_database.app_url, 0.005, lambda words: None)
    assert [f"{claim.promise}: {claim.figure}" for claim in claims[:3] if not claim.held] == []
    assert "201: " in claims[3].figure
    assert f"{LOST:.0%}" in claims[4].promise
    assert "ms" in claims[5].figure


def test_the_bell_of_a_storm_keeps_its_sum_and_its_peak() -> None:
    for reports, seconds in ((7651, 600), (230, 18), (51, 3)):
        made = per_second(reports, seconds, 51)
        assert (len(made), int(made.sum()), int(made.max())) == (seconds, reports, 51)
        assert np.all(made >= 0)
