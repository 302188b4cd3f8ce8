"""Kept bytes: made once, found after a restart, made again when the file is damaged."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from geo.store import kept
from geo.store.kept import Kept


class Maker:
    """Counts how often it is asked."""

    def __init__(self, content: bytes = b"borders") -> None:
        self.content, self.times = content, 0

    def __call__(self) -> bytes:
        self.times += 1
        return self.content


@pytest.mark.parametrize("with_folder", [True, False])
def test_made_once(tmp_path: Path, *, with_folder: bool) -> None:
    make, store = Maker(), Kept(tmp_path / "kept" if with_folder else None)
    first = store.zipped("a1", make)
    assert gzip.decompress(first) == b"borders"
    assert store.zipped("a1", make) is first
    assert make.times == 1
    assert store.zipped("b2", Maker(b"other")) != first


def test_found_after_a_restart(tmp_path: Path) -> None:
    first = Kept(tmp_path / "kept").zipped("a1", Maker())
    make = Maker()
    assert Kept(tmp_path / "kept").zipped("a1", make) == first
    assert make.times == 0


@pytest.mark.parametrize("damage", [b"", b"no gzip", None])
def test_made_again_when_the_file_is_damaged(tmp_path: Path, damage: bytes | None) -> None:
    Kept(tmp_path / "kept").zipped("a1", Maker())
    file = tmp_path / "kept" / "a1.gz"
    file.write_bytes(file.read_bytes()[:-4] if damage is None else damage)
    make = Maker()
    assert gzip.decompress(Kept(tmp_path / "kept").zipped("a1", make)) == b"borders"
    assert make.times == 1
    assert gzip.decompress(file.read_bytes()) == b"borders"


def test_serves_where_nothing_can_be_written(tmp_path: Path) -> None:
    make, store = Maker(), Kept(tmp_path / "nowhere" / "kept")
    assert gzip.decompress(store.zipped("a1", make)) == b"borders"
    store.zipped("a1", make)
    assert make.times == 1
    assert not (tmp_path / "nowhere").exists()


def test_the_oldest_go_when_there_are_too_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "MOST_FILES", 3)
    monkeypatch.setattr(kept, "MOST_BYTES", 60)
    store = Kept(tmp_path / "kept")
    for number in range(6):
        store.zipped(f"{number}", Maker())
    assert len(list((tmp_path / "kept").iterdir())) == 3
    make = Maker()
    store.zipped("5", make)
    assert make.times == 0
    store.zipped("0", make)
    assert make.times == 1
