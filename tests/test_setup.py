"""The house itself: locks, scripts and sizes of what is in the repository."""

from __future__ import annotations

import ast
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FUNCTION_MAX_LINES = 60
FILE_MAX_LINES = 600
LOCKS = (
    "requirements.lock",
    "requirements-dev.lock",
    "requirements-bench.lock",
    "requirements-node.lock",
)
SOURCES = [
    path
    for room in ("geo", "maps", "api")
    for path in sorted((ROOT / room).rglob("*.py"))
    if "versions" not in path.parts
]


def functions_of(path: Path) -> list[tuple[str, int]]:
    """Return the functions of a file, with their lengths in lines; docstrings do not count."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            lines = node.end_lineno - node.lineno + 1
            first = node.body[0]
            if ast.get_docstring(node) and first.end_lineno is not None:
                lines -= first.end_lineno - first.lineno + 1
            found.append((node.name, lines))
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_function_fits_a_screen_and_a_file_a_sitting(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= FILE_MAX_LINES
    assert [found for found in functions_of(path) if found[1] > FUNCTION_MAX_LINES] == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_room_says_what_is_in_it(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert path.stem not in {"utils", "helpers", "common", "misc", "manager"}


@pytest.mark.parametrize("name", LOCKS)
def test_locks_have_hashes_and_no_addresses(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    requirements = re.findall(r"^[A-Za-z0-9][^\n]*==(?:[^\n]*\\\n)+[^\n]*$", text, re.MULTILINE)
    assert len(requirements) > 1
    assert all("--hash=sha256:" in requirement for requirement in requirements)
    assert "://" not in text
    assert "index-url" not in text


def test_the_development_lock_holds_the_versions_of_the_other() -> None:
    def versions(name: str) -> set[str]:
        text = (ROOT / name).read_text(encoding="utf-8")
        return set(re.findall(r"^([A-Za-z0-9][^ ;\\\n]*==[^ ;\\\n]+)", text, re.MULTILINE))

    assert versions("requirements.lock") <= versions("requirements-dev.lock")


@pytest.mark.parametrize("name", ["package-lock.json", "benchmarks/peers/package-lock.json"])
def test_the_browser_locks_hold_hashes_and_no_addresses(name: str) -> None:
    packages = json.loads((ROOT / name).read_text(encoding="utf-8"))["packages"]
    libraries = {place: entry for place, entry in packages.items() if place}
    assert libraries
    assert all("integrity" in entry for entry in libraries.values())
    for entry in packages.values():
        entry.pop("funding", None)  # whom to thank, not where the library comes from
    assert "://" not in json.dumps(packages)


def test_every_target_is_explained() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"^([a-z][a-z-]*):(.*)$", text, re.MULTILINE)
    assert {"run", "test", "check", "bench", "docs", "help"} <= {name for name, _ in targets}
    assert [name for name, rest in targets if "## " not in rest] == []
    told = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert [name for name, _ in targets if f"  {name} " not in told.stdout] == []


@pytest.mark.parametrize(
    "script", sorted((ROOT / "setup").glob("*.sh")), ids=lambda path: path.name
)
def test_scripts_are_plain_shell(script: Path) -> None:
    assert script.read_text(encoding="utf-8").startswith("#!/bin/sh\n")
    assert os.access(script, os.X_OK)
    subprocess.run(["sh", "-n", str(script)], check=True)


def fake_apt(folder: Path, answers: str) -> dict[str, str]:
    """Put a stand-in for apt-get on the path, which notes what it is asked."""
    programs = {
        "apt-get": f'#!/bin/sh\necho "$@" >>"{folder}/asked"\n{answers}\n',
        "apt-cache": "#!/bin/sh\nprintf 'thing-9-x - old\\nthing-15-x - new\\n'\n",
        "sleep": "#!/bin/sh\n",
        "id": "#!/bin/sh\necho 0\n",
    }
    for name, text in programs.items():
        (folder / name).write_text(text, encoding="utf-8")
        (folder / name).chmod(0o755)
    return {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}


def run_apt(env: dict[str, str], *packages: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", str(ROOT / "setup" / "apt.sh"), "a thing", *packages],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )


def test_apt_takes_the_newest_package_of_a_pattern(tmp_path: Path) -> None:
    done = run_apt(fake_apt(tmp_path, "exit 0"), "^thing-[0-9]+-x$", "other")
    assert done.returncode == 0, done.stderr
    asked = (tmp_path / "asked").read_text(encoding="utf-8").splitlines()
    assert "update" in asked[0]
    assert asked[1].endswith("install -y --no-install-recommends thing-15-x other")
    assert "DPkg::Lock::Timeout=300" in asked[1]


def test_apt_waits_while_another_one_holds_the_lock(tmp_path: Path) -> None:
    busy = (
        f'n=$(wc -l <"{tmp_path}/asked")\n'
        'if [ "$n" -le 2 ]; then\n'
        'echo "E: Could not get lock /var/lib/apt/lists/lock" >&2; exit 100\nfi'
    )
    done = run_apt(fake_apt(tmp_path, busy), "other")
    assert done.returncode == 0, done.stderr
    assert "waiting for it" in done.stdout
    asked = (tmp_path / "asked").read_text(encoding="utf-8").splitlines()
    assert [line.split()[2] for line in asked] == ["update", "update", "update", "install"]


def test_apt_gives_up_on_another_error_at_once(tmp_path: Path) -> None:
    broken = 'case "$*" in *install*) echo "E: Unable to locate package other"; exit 100 ;; esac'
    done = run_apt(fake_apt(tmp_path, broken), "other")
    assert done.returncode == 100
    assert len((tmp_path / "asked").read_text(encoding="utf-8").splitlines()) == 2


def test_without_rights_one_line_to_type_is_printed(tmp_path: Path) -> None:
    env = fake_apt(tmp_path, "exit 0")
    (tmp_path / "id").write_text("#!/bin/sh\necho 1000\n", encoding="utf-8")
    (tmp_path / "sudo").write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    (tmp_path / "sudo").chmod(0o755)
    done = run_apt(env, "^thing-[0-9]+-x$")
    assert done.returncode == 3
    assert not (tmp_path / "asked").exists()
    lines = [line for line in done.stderr.splitlines() if line.startswith("    ")]
    assert len(lines) == 1
    assert lines[0].rstrip().endswith("install -y --no-install-recommends thing-15-x")


def _minds_ctrl_c() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def run_postgis(folder: Path, apt: str) -> tuple[int, Path]:
    """Run setup/postgis.sh with a stand-in for apt.sh, and its note below `folder`."""
    env = fake_apt(folder, "exit 0")
    text = (ROOT / "setup" / "postgis.sh").read_text(encoding="utf-8")
    assert "note=/etc/" in text
    (folder / "postgis.sh").write_text(text.replace("note=/etc/", f"note={folder}/etc/"), "utf-8")
    (folder / "apt.sh").write_text(f"#!/bin/sh\n{apt}\n", encoding="utf-8")
    (folder / "apt.sh").chmod(0o755)
    script = ["sh", str(folder / "postgis.sh")]
    # A shell cannot trap what it was born ignoring, as children of a background command are.
    done = subprocess.run(script, env=env, timeout=30, check=False, preexec_fn=_minds_ctrl_c)
    return done.returncode, folder / "etc/postgresql-common/createcluster.d/wangge.conf"


@pytest.mark.parametrize(
    ("end", "code"),
    [("exit 0", 0), ("exit 3", 3), ("kill -INT $PPID", 130), ("kill -TERM $PPID", 143)],
)
def test_what_keeps_debian_from_a_cluster_of_its_own_goes_away(
    tmp_path: Path, end: str, code: int
) -> None:
    read = f'cat "{tmp_path}/etc/postgresql-common/createcluster.d/wangge.conf" >"{tmp_path}/seen"'
    found, note = run_postgis(tmp_path, f"{read}\n{end}")
    assert found == code
    assert (tmp_path / "seen").read_text(encoding="utf-8") == "create_main_cluster = false\n"
    assert not note.exists()


@pytest.mark.parametrize(
    ("text", "stays"), [("create_main_cluster = false\n", False), ("port = 1\n", True)]
)
def test_the_note_of_a_run_that_was_broken_off_goes_away(
    tmp_path: Path, text: str, stays: bool
) -> None:
    note = tmp_path / "etc/postgresql-common/createcluster.d/wangge.conf"
    note.parent.mkdir(parents=True)
    note.write_text(text, encoding="utf-8")
    assert run_postgis(tmp_path, "exit 0") == (0, note)
    assert note.exists() == stays


def test_a_second_set_up_does_nothing_and_needs_no_network() -> None:
    env = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "PIP_NO_INDEX": "1"}
    stamp = ROOT / ".venv" / ".project"
    inputs = [ROOT / "pyproject.toml", *(ROOT / name for name in LOCKS)]
    if not stamp.exists() or stamp.stat().st_mtime < max(path.stat().st_mtime for path in inputs):
        pytest.skip("the environment is older than its locks; `make setup-dev` renews it")
    for script in (["venv.sh", "run"], ["assets.sh"]):
        done = subprocess.run(
            ["sh", str(ROOT / "setup" / script[0]), *script[1:]],
            env=env,
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_interpreter_of_the_tests_is_the_environment() -> None:
    assert Path(sys.prefix).resolve() == (ROOT / ".venv").resolve()


def fake_pip(folder: Path, says: str, code: int) -> list[str]:
    """Return a command that runs setup/install.py in an environment whose pip is a stand-in."""
    package = folder / "pip"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(f"import sys\nprint({says!r})\nsys.exit({code})\n")
    (folder / "some.lock").write_text("one==1 \\\n    --hash=sha256:00\ntwo==2 \\\n    --hash=x\n")
    start = (
        "import runpy, sys; from pathlib import Path;"
        f"sys.prefix = {str(folder)!r}; sys.path.insert(0, {str(folder)!r});"
        f"rooms = runpy.run_path({str(ROOT / 'setup' / 'install.py')!r}, run_name='install');"
        f"folder = Path({str(folder)!r});"
        "sys.exit(rooms['main'](folder / 'some.lock', folder / 'log'))"
    )
    return [sys.executable, "-c", start]


@pytest.mark.parametrize(
    ("says", "code", "half"),
    [
        ("Collecting one==1\nERROR: no network", 1, False),
        ("Collecting one==1\nInstalling collected packages: one\nERROR: disk full", 1, True),
        ("Collecting one==1\nInstalling collected packages: one\nSuccessfully", 0, False),
    ],
    ids=["not fetched", "half installed", "installed"],
)
def test_only_an_environment_that_is_half_made_is_marked(
    tmp_path: Path, says: str, code: int, half: bool
) -> None:
    done = subprocess.run(
        fake_pip(tmp_path, says, code),
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert (tmp_path / ".half").exists() is half
    if code:
        assert "ERROR" in done.stderr
        assert "run the command again" in done.stderr
