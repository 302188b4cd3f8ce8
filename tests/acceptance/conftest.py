"""Where the real data lies; tests that need it are skipped with that reason when it is absent."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of real data: `data` in WANGGE_SHARED, or in `shared` beside the house."""
    beside = Path(__file__).resolve().parents[2].parent / "shared"
    folder = Path(os.environ.get("WANGGE_SHARED", beside)) / "data"
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}: set WANGGE_SHARED to the folder that holds data/")
    return folder
