"""Reading without a process of its own, for tests of what is read and not of the walls."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas as gpd
import pyarrow as pa
import pytest

from geo.files.deliver import deliver
from geo.files.facts import LayerFacts, Understood, Wish, finding_from_data
from geo.files.limits import OPERATOR
from geo.files.reading import Delivered, frame_of
from geo.files.sources import open_file
from geo.files.understanding import understand_opened

Understand = Callable[..., Understood]
Read = Callable[..., Delivered]


@pytest.fixture
def understand(tmp_path_factory: pytest.TempPathFactory) -> Understand:
    """Return what tells what a file is."""

    def told(path: Path, wish: Wish | None = None) -> Understood:
        opened = open_file(path, tmp_path_factory.mktemp("unpacked"), OPERATOR)
        return understand_opened(opened, wish or Wish())

    return told


@pytest.fixture
def layer(understand: Understand) -> Callable[..., LayerFacts]:
    """Return what is known of a file's only layer."""
    return lambda path, wish=None: understand(path, wish).layer(None)


@pytest.fixture
def read(tmp_path_factory: pytest.TempPathFactory) -> Read:
    """Return what reads a layer."""

    def delivered(path: Path, layer: str | None = None, **wish: Any) -> Delivered:
        folder = tmp_path_factory.mktemp("unpacked")
        opened = open_file(path, folder, OPERATOR)
        rows = folder / "rows.arrow"
        answer = deliver(opened, layer, Wish(**wish), rows, OPERATOR)
        with pa.ipc.open_stream(rows.read_bytes()) as stream:
            frames = [frame_of(batch) for batch in stream]
        frame = frames[0] if len(frames) == 1 else gpd.pd.concat(frames)
        findings = tuple(finding_from_data(finding) for finding in answer["findings"])
        return Delivered(answer["label"], frame, findings)

    return delivered
