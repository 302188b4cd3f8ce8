"""The private cluster: where it lies, how it starts and stops, and who may log in."""

from __future__ import annotations

import os
import pwd
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from geo import cluster as module
from geo import programs
from geo.cluster import LOGINS, SOCKET_PATH_MAX_BYTES, Cluster
from geo.errors import SetupError

pytestmark = pytest.mark.skipif(
    programs.find_binaries() is None, reason="PostgreSQL with PostGIS is not on this machine"
)


@pytest.fixture
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the server's account can enter, with a name that is not plain."""
    folder = tmp_path_factory.mktemp("网格 与 空格's")
    for parent in (folder, *folder.parents):
        if parent.stat().st_uid == os.geteuid() and parent != Path("/"):
            parent.chmod(parent.stat().st_mode | stat.S_IXOTH)
    return folder


@pytest.fixture
def cluster(project: Path) -> Iterator[Cluster]:
    """A cluster that is stopped after the test."""
    made = Cluster(project, durable=False)
    yield made
    made.stop()


def connect(cluster: Cluster, role: module.Role) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(cluster.url(role).replace("+psycopg", "", 1))


def test_a_first_start_makes_everything(cluster: Cluster) -> None:
    assert cluster.status().running is False
    assert cluster.start() is True
    assert cluster.start() is False
    assert cluster.status().running is True
    for role, login in LOGINS.items():
        with connect(cluster, role) as connection:
            assert connection.execute("SELECT current_user").fetchone() == (login,)
    with connect(cluster, "app") as connection:
        rows = connection.execute("SELECT extname FROM pg_extension").fetchall()
        assert {name for (name,) in rows} >= set(programs.EXTENSIONS)
        chinese = connection.execute("SELECT similarity('城关街道', '城关街道办')").fetchone()
        assert chinese is not None
        assert float(str(chinese[0])) > 0.3
        rows = connection.execute(
            "SELECT rolname, rolsuper, rolbypassrls, rolcreatedb FROM pg_roles"
            " WHERE rolname LIKE 'wangge%' ORDER BY 1"
        ).fetchall()
    assert rows == [
        ("wangge_app", False, False, False),
        ("wangge_area", False, False, False),
        ("wangge_city", False, False, False),
        ("wangge_owner", False, False, True),
    ]


def test_nobody_else_gets_in(cluster: Cluster) -> None:
    cluster.start()
    folder = cluster.socket_dir.stat()
    assert stat.S_IMODE(folder.st_mode) == 0o700
    assert folder.st_uid == cluster.account.pw_uid
    assert stat.S_IMODE(cluster.data_dir.stat().st_mode) == 0o700
    with connect(cluster, "admin") as connection:
        assert connection.execute("SHOW listen_addresses").fetchone() == ("",)
        connection.execute("CREATE ROLE stranger LOGIN")
        connection.commit()
    url = cluster.url("app").replace("+psycopg", "", 1).replace("wangge_app@", "stranger@")
    with pytest.raises(psycopg.OperationalError, match="Peer authentication failed"):
        psycopg.connect(url)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another account")
def test_another_account_is_refused_even_at_the_socket(cluster: Cluster) -> None:
    cluster.start()
    nobody = pwd.getpwnam("nobody")
    cluster.socket_dir.chmod(0o755)
    (cluster.socket_dir / ".s.PGSQL.5432").chmod(0o777)
    done = subprocess.run(
        ["psql", "-X", "-h", str(cluster.socket_dir), "-U", "wangge_app", "-d", "wangge", "-c", ""],
        user=nobody.pw_uid,
        group=nobody.pw_gid,
        extra_groups=[],
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "Peer authentication failed" in done.stderr


def test_a_process_number_left_behind_is_no_server(cluster: Cluster) -> None:
    cluster.start()
    cluster.stop()
    (cluster.data_dir / "postmaster.pid").write_text(f"{os.getpid()}\n{cluster.data_dir}\n")
    assert cluster.status().running is False
    assert cluster.stop() is False
    assert cluster.start() is True
    with connect(cluster, "owner") as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_killed_server_comes_back(cluster: Cluster) -> None:
    cluster.start()
    pid = cluster.status().pid
    assert pid is not None
    os.kill(pid, 9)
    for _ in range(100):
        if not cluster.status().running:
            break
        threading.Event().wait(0.05)
    assert cluster.start() is True
    with connect(cluster, "owner") as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_broken_initialisation_is_repeated(cluster: Cluster) -> None:
    half = cluster.data_dir.with_name("pg.new")
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("15\n")
    assert cluster.start() is True
    assert not half.exists()


def test_an_interrupted_preparation_is_completed(cluster: Cluster) -> None:
    cluster.start()
    with connect(cluster, "admin") as connection:
        connection.execute("DROP ROLE wangge_city")
    cluster.stop()
    (cluster.data_dir / "wangge.ready").unlink()
    cluster.start()
    with connect(cluster, "app") as connection:
        connection.execute("SET ROLE wangge_city")


def test_the_last_session_to_leave_stops_it(project: Path) -> None:
    first, second = Cluster(project, durable=False), Cluster(project, durable=False)
    with first.session():
        with second.session():
            assert second.status().running
        assert first.status().running
    assert not first.status().running


def test_a_session_leaves_alone_what_was_told_to_stay(cluster: Cluster) -> None:
    cluster.keep(True)
    cluster.start()
    with cluster.session():
        pass
    assert cluster.status().running
    cluster.keep(False)
    with cluster.session():
        pass
    assert not cluster.status().running


def test_it_is_stopped_when_the_work_fails(cluster: Cluster) -> None:
    with pytest.raises(RuntimeError), cluster.session():
        raise RuntimeError
    assert not cluster.status().running


def test_two_starts_at_once_make_one_server(project: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from geo.cluster import Cluster;"
        "print(Cluster(Path(sys.argv[1]), durable=False).start())"
    )
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(project)], stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    answers = sorted(process.communicate(timeout=60)[0].strip() for process in started)
    Cluster(project).stop()
    assert answers == ["False", "True"]


def test_a_long_path_gets_a_short_socket(project: Path) -> None:
    deep = project / ("很长的文件夹名字" * 5)
    deep.mkdir()
    cluster = Cluster(deep, durable=False)
    socket = cluster.socket_dir / ".s.PGSQL.5432"
    assert len(os.fsencode(socket)) <= SOCKET_PATH_MAX_BYTES
    assert deep not in cluster.socket_dir.parents
    with cluster.session(), connect(cluster, "app") as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_comma_in_the_path_does_not_split_the_address(project: Path) -> None:
    odd = project / 'a,b"c\\d$(touch x)`y`'
    odd.mkdir()
    cluster = Cluster(odd, durable=False)
    with cluster.session(), connect(cluster, "app") as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root hands the server to another account")
def test_a_closed_home_keeps_the_data_elsewhere(project: Path) -> None:
    home = project / "home"
    (home / "wangge").mkdir(parents=True)
    home.chmod(0o700)
    cluster = Cluster(home / "wangge", durable=False)
    assert str(cluster.data_dir).startswith("/var/lib/wangge/")
    try:
        with cluster.session(), connect(cluster, "owner") as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
        assert Cluster(home / "wangge").data_dir == cluster.data_dir
    finally:
        subprocess.run(["rm", "-rf", str(cluster.data_dir.parent)], check=True)


def test_data_of_another_version_are_not_touched(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.start()
    cluster.stop()
    monkeypatch.setattr(module, "find_binaries", lambda version=None: None)
    monkeypatch.setattr(module, "install", lambda *_: pytest.fail("must not install"))
    with pytest.raises(SetupError, match="were made by PostgreSQL") as caught:
        cluster.start()
    assert "apt-get install" in caught.value.data["command"]
    monkeypatch.undo()


def test_without_programs_they_are_installed_once(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Path] = []
    monkeypatch.setattr(module, "find_binaries", lambda version=None: None)
    monkeypatch.setattr(module, "install", lambda folder, say: asked.append(folder))
    with pytest.raises(SetupError, match="without PostGIS"):
        Cluster(project).start()
    assert asked == [project]


def test_a_machine_without_apt_is_told_what_to_do(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(programs.shutil, "which", lambda name: None)
    with pytest.raises(SetupError, match="DATABASE_URL") as caught:
        programs.install(project, lambda line: None)
    assert caught.value.data["command"].startswith("sudo apt-get install")


def test_old_postgis_does_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "POSTGIS_MIN", (99, 0))
    assert programs.find_binaries() is None


def test_a_folder_prepared_by_somebody_else_is_not_used(project: Path) -> None:
    cluster = Cluster(project, durable=False)
    cluster.start()
    cluster.stop()
    assert not cluster.socket_dir.exists()
    cluster.socket_dir.symlink_to("/tmp")
    try:
        with pytest.raises(SetupError, match="not a folder of ours"):
            cluster.start()
    finally:
        cluster.socket_dir.unlink()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root hands the server to another account")
def test_before_anything_is_installed_there_is_no_account_yet(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = programs.find_binaries()
    installed: list[Path] = []
    monkeypatch.setattr(module, "_is_account", lambda name: bool(installed))
    monkeypatch.setattr(module, "find_binaries", lambda version=None: real if installed else None)
    monkeypatch.setattr(module, "install", lambda folder, say: installed.append(folder))
    cluster = Cluster(project, durable=False)
    assert cluster.status().running is False
    with cluster.session(), connect(cluster, "app") as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert installed == [project]
