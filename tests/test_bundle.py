"""The bundle: the right wheels, an installer and a server that need no network."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from tests.conftest import MigratedDatabase

ROOT = Path(__file__).resolve().parent.parent
PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"
LOCK = (ROOT / "requirements.lock").read_text("utf-8")

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def wheels() -> ModuleType:
    spec = importlib.util.spec_from_file_location("wheels", ROOT / "setup" / "wheels.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("arch", ["amd64", "arm64"])
@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_each_machine_gets_each_package_once(wheels: ModuleType, arch: str, python: str) -> None:
    found = wheels.chosen(LOCK, wheels.environment(arch, python))
    named = re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", found, re.MULTILINE)
    names = [name for name, _ in named]
    assert len(names) == len(set(names))
    assert {"numpy", "psycopg-binary", "pyogrio", "tzdata"} <= set(names)
    assert "colorama" not in names, "that one is for another operating system"
    assert ";" not in found
    assert "://" not in found
    assert all("--hash=sha256:" in entry for entry in re.split(r"\n(?=[A-Za-z0-9])", found.strip()))


def test_pythons_differ_where_the_lock_says_so(wheels: ModuleType) -> None:
    def version(python: str) -> str:
        found = wheels.chosen(LOCK, wheels.environment("amd64", python))
        return next(line for line in found.splitlines() if line.startswith("numpy=="))

    if LOCK.count("\nnumpy==") < 2:
        pytest.skip("the lock has one numpy for all")
    assert version("3.11") != version("3.13")


def test_scripts_name_no_place_of_this_machine() -> None:
    for name in ("bundle.sh", "install.sh", "wheels.py"):
        text = (ROOT / "setup" / name).read_text("utf-8")
        assert not re.search(r"https?://|index-url", text), name
        assert str(ROOT.parent) + "/" not in text, name


# ---- the installer, with a program of one file in place of the real one --------------------------

BACKEND = """
import zipfile
def _supported(*_): return []
get_requires_for_build_editable = _supported
def build_editable(folder, *_):
    name = "wangge-0.0.1-py3-none-any.whl"
    info = "wangge-0.0.1.dist-info/"
    with zipfile.ZipFile(folder + "/" + name, "w") as wheel:
        about = "Metadata-Version: 2.1\\nName: wangge\\nVersion: 0.0.1\\n"
        wheel.writestr(info + "METADATA", about)
        kind = "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"
        wheel.writestr(info + "WHEEL", kind)
        wheel.writestr(info + "RECORD", "")
    return name
"""
PROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "wangge"
version = "0.0.1"
"""


def small_wheel() -> bytes:
    """Return a package of one module, `speck`."""
    content = io.BytesIO()
    info = "speck-1.0.dist-info/"
    with zipfile.ZipFile(content, "w") as wheel:
        wheel.writestr("speck.py", "HERE = True\n")
        wheel.writestr(info + "METADATA", "Metadata-Version: 2.1\nName: speck\nVersion: 1.0\n")
        wheel.writestr(
            info + "WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(info + "RECORD", "")
    return content.getvalue()


def packed(files: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(data), 0o755 if name.endswith(".sh") else 0o644
            tar.addfile(member, io.BytesIO(data))
    return content.getvalue()


def machine() -> str:
    if shutil.which("dpkg") is None:
        pytest.skip("the installer is for Debian; there is no dpkg here")
    done = subprocess.run(
        ["dpkg", "--print-architecture"], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def seal(folder: Path) -> None:
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  ./{path.relative_to(folder)}\n"
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "SHA256SUMS"
    ]
    (folder / "SHA256SUMS").write_text("".join(lines), "utf-8")


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A bundle in a folder with an odd name, made like the real one but small."""
    if not any(Path("/usr/share/postgresql").glob("*/extension/postgis.control")):
        pytest.skip("PostGIS is not installed on this machine, and the small bundle has none")
    folder = tmp_path / "a bundle, 100% small"
    (folder / "wheels").mkdir(parents=True)
    wheel = small_wheel()
    (folder / "wheels" / "speck-1.0-py3-none-any.whl").write_bytes(wheel)
    lock = f"speck==1.0 \\\n    --hash=sha256:{hashlib.sha256(wheel).hexdigest()}\n"
    scripts = {
        f"wangge/setup/{p.name}": p.read_bytes() for p in (ROOT / "setup").iterdir() if p.is_file()
    }
    stamped = b"".join(
        (ROOT / name).read_bytes()
        for name in ("package.json", "package-lock.json", "setup/copy-assets.mjs")
    )
    source = {
        **scripts,
        "wangge/pyproject.toml": PROJECT.encode(),
        "wangge/backend.py": BACKEND.encode(),
        "wangge/requirements.lock": lock.encode(),
        "wangge/requirements-dev.lock": lock.encode(),
        "wangge/package.json": (ROOT / "package.json").read_bytes(),
        "wangge/package-lock.json": (ROOT / "package-lock.json").read_bytes(),
        "wangge/geo/cluster.py": b"",
        "wangge/api/static/own.css": b"",
    }
    (folder / "source.tar.gz").write_bytes(packed(source))
    stamp = hashlib.sha256(stamped).hexdigest()[:24] + "\n"
    browser = {"vendor/.stamp": stamp.encode(), "vendor/leaflet.js": b"//"}
    (folder / "browser.tar.gz").write_bytes(packed(browser))
    shutil.copy(ROOT / "setup" / "install.sh", folder / "install.sh")
    about = f"version=0.0.1\ncommit=abc\narch={machine()}\npythons='{PYTHON}'\nrelease='x y'\n"
    (folder / "about").write_text(about, "utf-8")
    seal(folder)
    return folder


def without_network() -> list[str]:
    """Return what to put before a command so that it has no network at all."""
    found = shutil.which("unshare")
    if (
        found
        and subprocess.run([found, "-n", "true"], capture_output=True, check=False).returncode == 0
    ):
        return [found, "-n"]
    return []


def install(bundle: Path, target: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*without_network(), "sh", str(bundle / "install.sh"), str(target)],
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_installs_without_a_network_and_keeps_the_data_of_an_earlier_one(
    bundle: Path, tmp_path: Path
) -> None:
    target = tmp_path / "opt" / "wangge"
    done = install(bundle, target)
    assert done.returncode == 0, done.stderr
    inside = [str(target / ".venv" / "bin" / "python"), "-c", "import speck; print(speck.HERE)"]
    assert subprocess.run(inside, capture_output=True, text=True, check=True).stdout == "True\n"
    assert (target / "api" / "static" / "vendor" / "leaflet.js").is_file()
    assert "make run" in done.stderr

    (target / ".wangge").mkdir(exist_ok=True)
    (target / ".wangge" / "precious").write_text("data", "utf-8")
    (target / "left.py").touch()
    again = install(bundle, target)
    assert again.returncode == 0, again.stderr
    assert (target / ".wangge" / "precious").read_text("utf-8") == "data"
    assert not (target / "left.py").exists()
    assert (tmp_path / "opt" / "wangge.before" / "left.py").exists()
    assert "wangge upgrade" in again.stderr


def spoil_wheel(bundle: Path) -> None:
    path = next((bundle / "wheels").iterdir())
    path.write_bytes(path.read_bytes()[:-1] + b"x")


def other_machine(bundle: Path) -> None:
    path = bundle / "about"
    path.write_text(re.sub("arch=.*", "arch=m68k", path.read_text("utf-8")), "utf-8")
    seal(bundle)


def without_python(bundle: Path) -> None:
    path = bundle / "about"
    path.write_text(re.sub("pythons=.*", "pythons=9.99", path.read_text("utf-8")), "utf-8")
    seal(bundle)


@pytest.mark.parametrize(
    ("spoil", "code", "words"),
    [
        (spoil_wheel, 1, "damaged"),
        (other_machine, 1, "for m68k"),
        (without_python, 3, "system packages are missing"),
    ],
)
def test_what_cannot_be_installed_is_refused_before_anything_is_done(
    bundle: Path, tmp_path: Path, spoil: Callable[[Path], None], code: int, words: str
) -> None:
    spoil(bundle)
    target = tmp_path / "opt"
    done = install(bundle, target)
    assert (done.returncode, target.exists()) == (code, False), done.stderr
    assert words in done.stderr


def test_a_folder_of_somebody_else_is_not_touched(bundle: Path, tmp_path: Path) -> None:
    target = tmp_path / "home"
    target.mkdir()
    (target / "letter").touch()
    done = install(bundle, target)
    assert done.returncode == 1
    assert "nothing was changed" in done.stderr
    assert [path.name for path in target.iterdir()] == ["letter"]


# ---- the program without a network ---------------------------------------------------------------

OFFLINE = r"""
import fcntl, os, re, signal, socket, struct, subprocess, sys, time, urllib.request
probe = socket.socket()
fcntl.ioctl(probe, 0x8914, struct.pack("16sH14s", b"lo", 0x1 | 0x40, b""))  # the loopback goes up
routes = [line.split() for line in open("/proc/net/route").read().splitlines()[1:]]
assert [route for route in routes if route[0] != "lo"] == [], routes
try:
    probe.connect(("192.0.2.1", 80))
except OSError as error:
    print("no way out:", os.strerror(error.errno))
else:
    sys.exit("there is a network")
server = subprocess.Popen(
    [sys.argv[1], "serve", "--port", "0"], stderr=subprocess.PIPE, text=True)
address = None
for line in server.stderr:
    if found := re.search(r"(http://\S+)/", line):
        address = found[1]
        break
assert address, server.wait()
leaflet = "/static/vendor/leaflet/leaflet.js"
for path in ("/healthz", "/net", "/maps/net", "/api/v1/cities", leaflet):
    with urllib.request.urlopen(address + path, timeout=30) as answer:
        print(path, answer.status, len(answer.read()))
server.send_signal(signal.SIGINT)
server.wait(30)
"""


def test_the_server_runs_without_a_network(small_city: MigratedDatabase) -> None:
    before = without_network()
    if not before:
        pytest.skip("a namespace without a network cannot be made here: that takes root")
    environment = {
        **os.environ,
        "DATABASE_URL": small_city.app_url,
        "DATABASE_OWNER_URL": small_city.owner_url,
    }
    done = subprocess.run(
        [*before, sys.executable, "-c", OFFLINE, str(Path(sys.prefix) / "bin" / "wangge")],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no way out: Network is unreachable" in done.stdout
    assert done.stdout.count(" 200 ") == 5
