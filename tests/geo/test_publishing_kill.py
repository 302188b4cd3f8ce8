"""The short form of the proof of kills: a few points, the program and the database."""

from __future__ import annotations

import pytest

from proofs import kill

POINTS = 10
"""A quarter of them kill the database server, a private one."""


@pytest.mark.timeout(900)
def test_killed_anywhere_a_publication_leaves_the_old_net_or_the_new_one() -> None:
    claims = kill.run(POINTS, lambda words: None, seed=7)
    assert [claim.promise for claim in claims if not claim.held] == [], claims
