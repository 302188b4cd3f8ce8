"""Files made to harm: nothing is read beside them, nothing is fetched, the refusal is clear."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from geo.errors import DeliveryError, FileRefusedError
from geo.files import jail
from geo.files.limits import Limits
from geo.files.reading import understand
from tests.offered import HOSTILE, SECRET, deep_wkt

WITHIN_S = 30
REASONS = {
    "a pointer called GeoJSON": "unknown_format",
    "pointers in an archive": "unknown_format",
    "a layer that never ends": "hostile",
    "five million shapes": "too_large",
    "parts that lead out": "hostile",
    "a link in an archive": "hostile",
    "an archive in an archive": "hostile",
    "a part that grows": "hostile",
    "a dbf that lies": "damaged",
    "an extract that grows": "too_large",
    "rows that take no room": "too_large",
}


class Listener:
    """A server that counts who comes."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.settimeout(0.1)
        self.port: int = self._socket.getsockname()[1]
        self.visits = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        while not self._over.is_set():
            try:
                visitor, _ = self._socket.accept()
            except TimeoutError:
                continue
            self.visits += 1
            visitor.close()

    def close(self) -> None:
        """Stop listening."""
        self._over.set()
        self._thread.join()
        self._socket.close()


@pytest.fixture
def listener() -> Iterator[Listener]:
    made = Listener()
    yield made
    made.close()


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret.csv"
    path.write_text(f"name,lon,lat\n{SECRET},121.4,37.5\n")
    return path


@pytest.fixture(params=["walled", "bare"])
def walls(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run each case behind walls, and with the limits and checks alone."""
    if request.param == "bare":
        monkeypatch.setattr(jail, "missing", lambda: "not for this test")
    elif jail.missing() is not None:
        pytest.skip(f"no walls on this machine: {jail.missing()}")
    return str(request.param)


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_file_reads_nothing_fetches_nothing_and_is_refused(
    case: str, walls: str, tmp_path: Path, listener: Listener, secret: Path
) -> None:
    folder = tmp_path / "offered"
    folder.mkdir()
    path = HOSTILE[case](folder, listener.port, secret)
    before = secret.stat().st_atime_ns
    began = time.monotonic()
    with pytest.raises(DeliveryError) as caught:
        understand(path, limits=Limits(understand_s=20), trusted=True)
    assert time.monotonic() - began < WITHIN_S
    said = "\n".join(caught.value.data["defects"])
    assert listener.visits == 0
    assert SECRET not in said
    assert secret.stat().st_atime_ns == before
    assert path.name in said
    assert "Traceback" not in said
    assert len(said) < 2_000
    if case in REASONS:
        assert caught.value.data["reason"] == REASONS[case], said


def test_collections_in_collections_are_no_shape(tmp_path: Path) -> None:
    path = deep_wkt(tmp_path, 0, tmp_path)
    with path.open("a") as file:
        file.write('2,"POINT(121.4 37.5)"\n')
    layer = understand(path, trusted=True).layers[0]
    assert layer.features == 2
    assert layer.bbox is not None


def test_the_canary_can_sing(listener: Listener, secret: Path) -> None:
    before = secret.stat().st_atime_ns
    with socket.create_connection(("127.0.0.1", listener.port)):
        time.sleep(0.3)
    assert listener.visits == 1
    assert SECRET in secret.read_text()
    assert secret.stat().st_atime_ns >= before


def test_from_the_web_no_file_is_opened_without_walls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from geo.errors import SandboxError

    monkeypatch.setattr(jail, "missing", lambda: "bubblewrap is not installed")
    path = tmp_path / "a.csv"
    path.write_text("name,lon,lat\nx,1,2\n")
    with pytest.raises(SandboxError) as caught:
        understand(path)
    assert caught.value.code == "sandbox_missing"
    assert "bubblewrap" in caught.value.message


def test_what_takes_too_long_is_ended_and_the_limit_is_said(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("name,lon,lat\n" + "x,1,2\n" * 400_000)
    with pytest.raises(FileRefusedError) as caught:
        understand(path, limits=Limits(understand_s=0), trusted=True)
    assert caught.value.data["reason"] == "too_long"
    assert "0 s" in caught.value.data["defects"][0]


def test_whoever_watches_can_end_the_reading(tmp_path: Path) -> None:
    class CancelledError(Exception):
        pass

    def watch() -> None:
        raise CancelledError

    path = tmp_path / "a.csv"
    path.write_text("name,lon,lat\n" + "x,1,2\n" * 400_000)
    with pytest.raises(CancelledError):
        understand(path, trusted=True, watch=watch)
