"""The walls: nothing is seen through them, the drivers are ours, answers are distrusted."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from geo.errors import DeliveryError, FileRefusedError
from geo.files import jail
from geo.files.facts import Wish
from geo.files.limits import OPERATOR, Limits
from geo.files.reading import read, stream, understand
from tests.offered import areas, write

needs_walls = pytest.mark.skipif(
    jail.missing() is not None, reason=f"no walls on this machine: {jail.missing()}"
)
WISH = Wish(columns={"code": "code"}, datum="wgs84", kind="areas")


def inside(code: str, doors: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a line behind the walls."""
    program = str(shutil.which(jail.PROGRAM))
    command = [program, *jail._walls(), *doors, sys.executable, "-I", "-c", code]
    return subprocess.run(
        command, env={"PATH": jail.PATH}, capture_output=True, text=True, timeout=60, check=False
    )


@needs_walls
def test_nothing_of_the_machine_is_seen_inside(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("canary")
    out = tmp_path / "out"
    out.mkdir()
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    code = f"""
import os, pathlib, socket
seen = []
for place in ({str(secret)!r}, "/etc/passwd", "/etc/shadow", "/home", "/var", "/proc/1"):
    if os.path.exists(place): seen.append(place)
for place in ("/x", "/code/geo/x", "/usr/x", "/in/x", "/in/0"):
    try: pathlib.Path(place).write_text("x"); seen.append("written " + place)
    except OSError: pass
try: socket.create_connection(("127.0.0.1", {port}), 2); seen.append("network")
except OSError: pass
pathlib.Path("/out/seen").write_text(repr(seen))
"""
    done = inside(code, jail._let_in({"secret.csv": secret}, out))
    listener.close()
    assert done.returncode == 0, done.stderr
    assert (out / "seen").read_text() == "[]"


def test_gdal_has_our_drivers_alone(tmp_path: Path) -> None:
    code = "import pyogrio; print(sorted(pyogrio.list_drivers()))"
    environment = jail.environment(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert set(json.loads(done.stdout.replace("'", '"'))) == set(jail.DRIVERS)
    assert environment["GDAL_HTTP_PROXY"] == "127.0.0.1:9"


@pytest.mark.parametrize("walls", ["walled", "bare"])
def test_a_layer_in_parts(walls: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if walls == "bare":
        monkeypatch.setattr(jail, "missing", lambda: "not for this test")
    path = tmp_path / "站点 (1).csv"
    path.write_text("code,lon,lat\n" + "".join(f"{n},9.{n},50\n" for n in range(45_000)))
    wish = Wish(columns={"code": "code"})
    with stream(path, None, wish, trusted=True) as streamed:
        sizes = [len(frame) for frame in streamed.frames]
    assert (sizes, streamed.rows, streamed.label) == ([20_000, 20_000, 5_000], 45_000, path.name)
    assert streamed.spent["peak_mib"] > 0
    whole = read(path, None, wish, trusted=True).frame
    assert whole.index.tolist() == list(range(1, 45_001))
    assert whole["code"].tolist() == [str(n) for n in range(45_000)]


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    path = write(areas(), tmp_path / "areas.gpkg")
    before = path.read_bytes()
    read(path, None, WISH, trusted=True)
    with pytest.raises(DeliveryError):
        read(path, "nix", WISH, trusted=True)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["areas.gpkg"]
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("code", "words", "reason"),
    [
        (1, "Traceback ... MemoryError", "too_much_memory"),
        (-signal.SIGABRT, "std::bad_alloc", "too_much_memory"),
        (-signal.SIGKILL, "", "too_much_memory"),
        (-signal.SIGXCPU, "", "too_long"),
        (-signal.SIGSEGV, "", "reader_failed"),
        (0, "", "reader_failed"),
    ],
)
def test_a_reader_that_fails_is_a_refusal(
    code: int, words: str, reason: str, tmp_path: Path
) -> None:
    with pytest.raises(FileRefusedError) as caught:
        jail._answer(tmp_path, (code, words), "a.gpkg", OPERATOR)
    assert caught.value.data["reason"] == reason
    assert "a.gpkg" in caught.value.message


@pytest.mark.parametrize("content", ["", "[", "{" * 100_000, '"x"', "null"])
def test_an_answer_that_is_none_is_a_refusal(content: str, tmp_path: Path) -> None:
    (tmp_path / jail.ANSWER).write_text(content)
    with pytest.raises(FileRefusedError):
        jail._answer(tmp_path, (0, ""), "a.gpkg", OPERATOR)


def test_rows_that_are_none_are_a_refusal(tmp_path: Path) -> None:
    from geo.files.reading import _frames

    rows = tmp_path / jail.ROWS
    for content in (b"", b"ARROW1" + bytes(100), _rows({"geometry": [b"no shape"]})):
        rows.write_bytes(content)
        with pytest.raises(FileRefusedError):
            list(_frames(rows, Path("a.gpkg")))
    rows.unlink()
    rows.symlink_to("/etc/passwd")
    with pytest.raises(FileRefusedError):
        list(_frames(rows, Path("a.gpkg")))


def _rows(columns: dict[str, Any]) -> bytes:
    table = pa.table({"row": pa.array([1], pa.int64()), **columns})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def test_the_limit_that_was_passed_is_said(tmp_path: Path) -> None:
    path = write(areas(), tmp_path / "areas.gpkg")
    with pytest.raises(FileRefusedError, match="4 rows, more than 3"):
        understand(path, limits=Limits(features=3, understand_s=60), trusted=True)
