"""Fetch the wheels of a lock file for another machine: its architecture, its version of Python."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from pip._vendor.packaging.markers import Marker

MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
GLIBC_NEWEST = 36
"""Debian 12's; wheels for older ones fit as well."""
WORDS_KEPT = 12


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lock", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--arch", choices=sorted(MACHINES), required=True)
    parser.add_argument("--python", required=True, help="such as 3.11")
    return parser.parse_args(arguments)


def environment(arch: str, python: str) -> dict[str, str]:
    """Return the values that markers ask for, on the machine that is meant."""
    return {
        "implementation_name": "cpython",
        "implementation_version": f"{python}.0",
        "os_name": "posix",
        "platform_machine": MACHINES[arch],
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": f"{python}.0",
        "python_version": python,
        "sys_platform": "linux",
        "extra": "",
    }


def chosen(lock: str, values: dict[str, str]) -> str:
    """Return the requirements of a lock file that hold there, without their markers.

    pip reads markers for the machine it runs on, whatever machine it fetches for.
    """
    kept = []
    for entry in re.findall(r"^[A-Za-z0-9](?:[^\n]*\\\n)*[^\n]*", lock, re.MULTILINE):
        first, _, rest = entry.partition("\\\n")
        requirement, _, marker = first.partition(" ; ")
        if not marker or Marker(marker.strip()).evaluate(values):
            kept.append(f"{requirement.strip()} \\\n{rest}")
    return "\n".join(kept) + "\n"


def platforms(arch: str) -> list[str]:
    """Return the platforms whose wheels run there, as pip names them, the best first."""
    machine = MACHINES[arch]
    named = [f"manylinux_2_{minor}_{machine}" for minor in range(GLIBC_NEWEST, 16, -1)]
    return [*named, f"manylinux2014_{machine}", f"linux_{machine}"]


def main() -> int:
    """Fetch what is asked for; pip's exit code."""
    asked = parse()
    wanted = chosen(asked.lock.read_text("utf-8"), environment(asked.arch, asked.python))
    asked.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as file:
        file.write(wanted)
        file.flush()
        command = [sys.executable, "-m", "pip", "download", "--no-deps"]
        command += ["--only-binary=:all:", "--require-hashes", "--progress-bar", "off"]
        command += ["--implementation", "cp", "--python-version", asked.python]
        short = asked.python.replace(".", "")
        for abi in (f"cp{short}", "abi3", "none"):
            command += ["--abi", abi]
        for platform in platforms(asked.arch):
            command += ["--platform", platform]
        command += ["--dest", str(asked.folder), "-r", file.name]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        print(f"Wheels for {asked.arch}, Python {asked.python}: {wanted.count('==')} packages.")
    else:
        print("\n".join(done.stderr.splitlines()[-WORDS_KEPT:]), file=sys.stderr)
        print(
            f"Not every package has a wheel for {asked.arch} and Python {asked.python}, or there "
            "is no network; pip's words are above.",
            file=sys.stderr,
        )
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
