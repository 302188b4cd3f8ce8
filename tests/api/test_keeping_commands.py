"""`wangge backup`, `restore`, `upgrade`, `doctor` as they are typed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url, text

from geo.keeping.dumping import _without_password
from tests.conftest import MigratedDatabase

pytestmark = pytest.mark.timeout(300)

WANGGE = Path(sys.prefix) / "bin" / "wangge"


def type_in(city: MigratedDatabase, folder: Path, *words: str) -> tuple[int, dict[str, Any], str]:
    """Run a command on a database of the tests; return exit code, answer and what it said."""
    city.engine.dispose()
    done = subprocess.run(
        [str(WANGGE), *words, "--json"],
        env={
            **os.environ,
            "DATABASE_URL": city.app_url,
            "DATABASE_OWNER_URL": city.owner_url,
            "WANGGE_PROJECT_DIR": str(folder),
            "WANGGE_BACKUP_DIR": str(folder / "backups"),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, json.loads(done.stdout or "{}"), done.stderr


def test_the_day_of_whoever_runs_the_server(fresh_city: MigratedDatabase, tmp_path: Path) -> None:
    code, made, said = type_in(fresh_city, tmp_path, "backup", "--keep", "2")
    assert (code, made.get("cities")) == (0, {"tiny": True}), said
    assert Path(made["file"]).parent == tmp_path / "backups"
    assert (tmp_path / "backups").stat().st_mode & 0o777 == 0o700
    assert Path(made["file"]).stat().st_mode & 0o777 == 0o600

    code, refused, _ = type_in(fresh_city, tmp_path, "restore", made["file"])
    assert (code, refused["error"]["code"]) == (1, "keeping")

    with fresh_city.engine.begin() as connection:
        connection.execute(text("DELETE FROM issue"))
    code, restored, said = type_in(fresh_city, tmp_path, "restore", made["file"], "--force")
    assert code == 0, said
    assert restored["database"] == fresh_city.name
    with fresh_city.engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM issue")) == 36

    code, checked, said = type_in(fresh_city, tmp_path, "doctor")
    states = {check["name"]: check["state"] for check in checked["checks"]}
    assert states["replaced databases"] == "watch"
    assert states["demo accounts"] == "watch"
    assert states["log"] == states["rights of the application"] == "good"
    assert code == (1 if "bad" in states.values() else 0)

    code, dropped, _ = type_in(fresh_city, tmp_path, "restore", "--drop-old")
    assert (code, dropped["dropped"]) == (0, [restored["replaced"]])

    code, planned, _ = type_in(fresh_city, tmp_path, "upgrade", "--dry-run")
    assert (code, planned["steps"], planned["dry_run"]) == (0, [], True)


def test_wrong_words_are_refused(fresh_city: MigratedDatabase, tmp_path: Path) -> None:
    file = tmp_path / "a.tar"
    assert type_in(fresh_city, tmp_path, "backup", str(file), "--keep", "2")[0] == 2
    assert type_in(fresh_city, tmp_path, "restore")[0] == 2
    assert type_in(fresh_city, tmp_path, "restore", str(file), "--drop-old")[0] == 2
    code, answer, _ = type_in(fresh_city, tmp_path, "restore", str(file))
    assert (code, answer["error"]["code"]) == (1, "keeping")
    assert list(tmp_path.glob("*.tar")) == []


def test_no_password_is_on_a_command_line() -> None:
    url = make_url("postgresql+psycopg://owner:s3cret@db.example:5433/wangge?sslmode=require")
    plain = _without_password(url)
    assert plain == "postgresql://owner@db.example:5433/wangge?sslmode=require"
