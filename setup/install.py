"""Install a lock file into the running environment with pip, showing how far it is."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import threading
import time
from pathlib import Path

HALF = Path(sys.prefix) / ".half"
"""Lies there while packages are put in place: who finds it knows that this was interrupted."""

BAR_WIDTH = 28
REFRESH_S = 0.2
TESTS = r"[/\\]tests?[/\\]"


class Bar:
    """One line that is drawn again and again on a terminal; without one, a line for each tenth."""

    def __init__(self) -> None:
        self.live = sys.stderr.isatty()
        self.start_s = time.monotonic()
        self.said = ""

    def draw(self, what: str, done: int, total: int, detail: str) -> None:
        """Show `done` of `total`."""
        share = min(done / total, 1.0) if total else 0.0
        if self.live:
            filled = round(share * BAR_WIDTH)
            elapsed_s = time.monotonic() - self.start_s
            bar = "━" * filled + "·" * (BAR_WIDTH - filled)
            line = f"{what:<11} {bar} {done}/{total} {elapsed_s:4.0f} s  {detail}"
            sys.stderr.write(f"\r\x1b[2K{line[:118]}")
            sys.stderr.flush()
        else:
            line = f"{what} {int(share * 4) * 25} %"
            if line != self.said:
                print(line, file=sys.stderr, flush=True)
            self.said = line

    def close(self) -> None:
        """Leave the line."""
        if self.live:
            sys.stderr.write("\r\x1b[2K")


def count_requirements(lock: Path) -> int:
    """Count the packages of a lock file."""
    return len(
        re.findall(r"^[A-Za-z0-9][\w.\-\[\]]*==", lock.read_text(encoding="utf-8"), re.MULTILINE)
    )


def installed() -> int:
    """Count the packages that are in the environment now."""
    return sum(1 for _ in Path(sysconfig.get_path("purelib")).glob("*.dist-info/RECORD"))


def compile_packages(bar: Bar) -> None:
    """Compile on all processors what pip would compile on one, without the packages' own tests.

    What does not compile is left to the interpreter, which says so when it is asked for.
    """
    bar.draw("Compiling", 0, 1, "")
    packages = os.path.relpath(sysconfig.get_path("purelib"))
    command = [sys.executable, "-m", "compileall", "-q", "-q", "-j", "0", "-x", TESTS, packages]
    subprocess.run(command, check=False)


def main(lock: Path, log: Path) -> int:
    """Run pip and show its progress; its own words go to `log`."""
    total = count_requirements(lock)
    seen, detail, installing = 0, "", False
    bar = Bar()
    command = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check"]
    command += ["--no-input", "--progress-bar", "off", "--no-compile"]
    command += ["--require-hashes", "-r", str(lock)]
    pip = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    done = threading.Event()

    def refresh() -> None:
        while not done.wait(REFRESH_S):
            if installing:
                bar.draw("Installing", installed(), total, "")
            else:
                bar.draw("Fetching", seen, total, detail)

    painter = threading.Thread(target=refresh, daemon=True)
    painter.start()
    assert pip.stdout is not None
    with log.open("w", encoding="utf-8") as written:
        for line in pip.stdout:
            written.write(line)
            first, _, rest = line.strip().partition(" ")
            if first == "Ignoring":
                total -= 1
            elif first == "Collecting" or line.startswith("Requirement already satisfied"):
                seen += 1
                detail = rest.split("==")[0]
            elif line.startswith("Installing collected packages"):
                HALF.touch()
                installing = True
    code = pip.wait()
    done.set()
    painter.join()
    if code == 0:
        compile_packages(bar)
    bar.close()
    if code == 0:
        HALF.unlink(missing_ok=True)
        print(f"Python packages: {total} in place after {time.monotonic() - bar.start_s:.0f} s.")
        return 0
    tail = log.read_text(encoding="utf-8").splitlines()[-12:]
    print("\n".join(tail), file=sys.stderr)
    print(
        f"The Python packages could not be installed; pip's words are above and in {log}.\n"
        "Is there a network, or a mirror in pip's own configuration? Then run the command again.",
        file=sys.stderr,
    )
    return code


if __name__ == "__main__":
    try:
        sys.exit(main(Path(sys.argv[1]), Path(".wangge") / "install.log"))
    except KeyboardInterrupt:
        sys.exit(130)
