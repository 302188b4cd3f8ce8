"""The private PostGIS of the one-command run: found, installed, initialised, started and stopped.

A cluster listens on a Unix socket alone and knows its users by their operating system account: who
runs the program may log in as `wangge_owner`, `wangge_app` and the administrator; nobody else can.
PostgreSQL refuses to run as root, so root hands the work to the account `postgres`.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from geo.errors import SetupError
from geo.programs import EXTENSIONS, Binaries, Say, find_binaries, install

Role = Literal["owner", "app", "admin"]

DATABASE = "wangge"
SERVER_ACCOUNT = "postgres"
"""Account that the server runs under when root starts it; packages of PostgreSQL make it."""
LOGINS: dict[Role, str] = {
    "owner": "wangge_owner",
    "app": "wangge_app",
    "admin": "postgres",
}
SOCKET_PATH_MAX_BYTES = 107
PORT = 5432
START_TIMEOUT_S = 120
START_LOG = "start.log"
SHM_MIN_BYTES = 1 << 30
CONNECTIONS = 80
TEST_CONNECTIONS = 180
"""Tests keep a pool open for each of their databases; fewer than the largest pool asks for."""

_BOOTSTRAP_VERSION = "2"

_CONFIGURATION = """\
# Written at each start; changes made here are lost.
listen_addresses = ''
port = {port}
unix_socket_directories = '{socket_dir}'
unix_socket_permissions = 0700
cluster_name = 'wangge'
max_connections = {connections}
shared_buffers = 256MB
work_mem = 32MB
maintenance_work_mem = 512MB
effective_cache_size = 4GB
dynamic_shared_memory_type = {shared_memory}
random_page_cost = 1.1
jit = off
max_wal_size = 4GB
wal_compression = on
checkpoint_timeout = 15min
fsync = {durable}
full_page_writes = {durable}
synchronous_commit = {durable}
timezone = 'UTC'
log_timezone = 'UTC'
datestyle = 'iso, ymd'
lc_messages = 'C'
logging_collector = on
log_directory = 'log'
log_filename = 'day-%d.log'
log_truncate_on_rotation = on
log_rotation_age = 1d
log_rotation_size = 0
log_line_prefix = '%m [%p] %u@%d '
log_checkpoints = off
log_autovacuum_min_duration = -1
"""

_ROLES = """\
SELECT format('CREATE ROLE %I %s', name, options)
FROM (VALUES ('wangge_owner', 'LOGIN CREATEDB'), ('wangge_app', 'LOGIN NOINHERIT'),
             ('wangge_area', 'NOLOGIN'), ('wangge_city', 'NOLOGIN')) AS wanted (name, options)
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) \\gexec
GRANT wangge_area, wangge_city TO wangge_app, wangge_owner;
SELECT 'CREATE DATABASE wangge OWNER wangge_owner'
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'wangge') \\gexec
"""


@dataclass(frozen=True)
class Status:
    """What is known of a cluster without logging in to it."""

    running: bool
    pid: int | None
    version: int | None
    data_dir: Path
    socket_dir: Path


class Cluster:
    """One private PostgreSQL cluster that belongs to a project folder.

    Parameters
    ----------
    project_dir : Path
        Folder of the project; its `.wangge` holds locks and, where possible, the data.
    name : str, default "pg"
        Name of the cluster inside the project (tests have their own).
    durable : bool, default True
        False trades safety against a crash of the machine for speed; for tests.
    """

    def __init__(self, project_dir: Path, name: str = "pg", *, durable: bool = True) -> None:
        self.project_dir = project_dir.resolve()
        self.name = name
        self.durable = durable
        self.state_dir = self.project_dir / ".wangge"
        self._data_dir: Path | None = None
        self._key = hashlib.sha256(os.fsencode(self.project_dir)).hexdigest()[:12]

    # -- where things lie ---------------------------------------------------------------------

    @property
    def account(self) -> pwd.struct_passwd:
        """The operating system account that the server runs under."""
        if os.geteuid() != 0:
            return pwd.getpwuid(os.geteuid())
        if not _is_account(SERVER_ACCOUNT):
            raise SetupError(
                f"PostgreSQL refuses to run as root, and there is no account '{SERVER_ACCOUNT}'.",
                command=f"useradd --system --user-group --no-create-home {SERVER_ACCOUNT}",
            )
        return pwd.getpwnam(SERVER_ACCOUNT)

    @property
    def data_dir(self) -> Path:
        """The folder of the data: in the project, or in /var/lib where that is out of reach."""
        if self._data_dir is None:
            inside = self.state_dir / self.name
            elsewhere = Path("/var/lib/wangge") / self._key / self.name
            if os.geteuid() != 0 or inside.exists():
                self._data_dir = inside
            elif not _is_account(SERVER_ACCOUNT):
                return inside  # nothing is installed yet
            elif not elsewhere.exists() and self._reachable(self.state_dir):
                self._data_dir = inside
            else:
                self._data_dir = elsewhere
        return self._data_dir

    @property
    def socket_dir(self) -> Path:
        """The folder of the socket: beside the data, or a short one where that is too long."""
        beside = self.data_dir.with_name(f"{self.name}.run")
        longest = os.fsencode(beside / f".s.PGSQL.{PORT}")
        if len(longest) <= SOCKET_PATH_MAX_BYTES and not set(b",'\"\\") & set(longest):
            return beside
        runtime = os.environ.get("XDG_RUNTIME_DIR", "")
        if os.geteuid() == 0:
            base = "/run"
        elif runtime.startswith("/") and len(runtime) < 40 and os.access(runtime, os.W_OK):
            base = runtime
        else:
            base = "/tmp"
        return Path(base) / f"wangge-{os.geteuid()}-{self._key}-{self.name}"

    def url(self, role: Role = "app", database: str = DATABASE) -> str:
        """Return the SQLAlchemy address of a database of this cluster for one of its logins."""
        host = quote(str(self.socket_dir), safe="")
        return f"postgresql+psycopg://{LOGINS[role]}@/{database}?host={host}&port={PORT}"

    # -- life ---------------------------------------------------------------------------------

    def status(self) -> Status:
        """Say whether the cluster runs, and where it lies."""
        pid = self._server_pid()
        return Status(
            running=pid is not None,
            pid=pid,
            version=self._data_version(),
            data_dir=self.data_dir,
            socket_dir=self.socket_dir,
        )

    def programs(self, say: Say = lambda line: None) -> Binaries:
        """Return the programs that fit the data, installed when there are none.

        Raises
        ------
        SetupError
            When PostGIS is missing and cannot be installed, or another version made the data.
        """
        wanted = self._data_version()
        found = find_binaries(wanted)
        if found is None and wanted is None:
            install(self.project_dir, say)
            found = find_binaries()
        if found is None and wanted is None:
            raise SetupError("PostgreSQL was installed, but without PostGIS 3.3 or newer.")
        if found is None:
            raise SetupError(
                f"The data in {self.data_dir} were made by PostgreSQL {wanted}, which is no longer "
                "on this machine with PostGIS. Install that version again, or move the folder "
                "away to begin anew.",
                command=f"sudo apt-get install -y postgresql-{wanted}-postgis-3",
            )
        return found

    def start(self, say: Say = lambda line: None) -> bool:
        """Start the cluster unless it runs, and complete what a first start needs.

        Returns
        -------
        bool
            True when this call started it.

        Raises
        ------
        SetupError
            When the server cannot be started; the last lines of its log are in the message.
        """
        with self._locked():
            if self._server_pid() is not None:
                return False
            binaries = self.programs(say)
            with _undisturbed():
                if self._data_version() is None:
                    say("Making a private PostGIS database.")
                    self._make(binaries)
                self._start(binaries)
            return True

    def stop(self) -> bool:
        """Stop the cluster; False when it did not run."""
        with self._locked(), _undisturbed():
            return self._stop()

    def keep(self, kept: bool) -> None:
        """Say whether the cluster outlives the sessions that use it."""
        self._make_state_dir()
        marker = self.state_dir / f"{self.name}.keep"
        if kept:
            marker.touch()
        else:
            marker.unlink(missing_ok=True)

    @contextlib.contextmanager
    def session(self, say: Say = lambda line: None) -> Iterator[Cluster]:
        """Use the cluster for a while: started when needed, stopped by the last one to leave.

        A cluster that was told to stay (`keep`) is left running.
        """
        self._make_state_dir()
        with (self.state_dir / f"{self.name}.users").open("a", encoding="ascii") as users:
            fcntl.flock(users, fcntl.LOCK_SH)
            try:
                self.start(say)
                yield self
            finally:
                with self._locked(), _undisturbed(), contextlib.suppress(BlockingIOError):
                    fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    if not (self.state_dir / f"{self.name}.keep").exists():
                        self._stop()

    # -- inside -------------------------------------------------------------------------------

    def _start(self, binaries: Binaries) -> None:
        owner = self.data_dir.stat().st_uid
        if owner != self.account.pw_uid:
            raise SetupError(
                f"The database in {self.data_dir} belongs to the account with number {owner}. "
                "Run the program as the user who made it, or remove the folder to begin anew.",
                command=f"sudo rm -r '{self.data_dir}'",
            )
        self._write_configuration()
        (self.data_dir / "postmaster.pid").unlink(missing_ok=True)
        self._prepare_folder(self.socket_dir)
        # pg_ctl hands its arguments to a shell; names inside the folder need no quoting.
        order = ("start", "-s", "-D", ".", "-w", "-t", str(START_TIMEOUT_S), "-l", START_LOG)
        for wait_s in (0.2, 0.5, 1.0, 2.0, 0.0):  # children of a killed server take a moment
            done = self._run(binaries.bin_dir / "pg_ctl", *order, cwd=self.data_dir)
            if done.returncode == 0:
                break
            time.sleep(wait_s)
        else:
            raise SetupError(
                f"The private database did not start.\n{done.stdout}{self._last_words()}"
            )
        self._bootstrap(binaries)

    def _stop(self) -> bool:
        if self._server_pid() is None:
            return False
        binaries = find_binaries(self._data_version())
        if binaries is None:
            raise SetupError(f"The programs of the database in {self.data_dir} are gone.")
        where = ("-D", str(self.data_dir), "-w", "-t", str(START_TIMEOUT_S))
        done = self._run(binaries.bin_dir / "pg_ctl", "stop", "-s", "-m", "fast", *where)
        if done.returncode != 0:
            done = self._run(binaries.bin_dir / "pg_ctl", "stop", "-s", "-m", "immediate", *where)
        if done.returncode != 0:
            raise SetupError(f"The private database did not stop.\n{done.stdout}")
        with contextlib.suppress(OSError):
            self.socket_dir.rmdir()
        return True

    def _make(self, binaries: Binaries) -> None:
        """Run initdb beside the final place and rename, so that a broken try leaves nothing."""
        if self.data_dir.parent != self.state_dir:
            self.data_dir.parent.parent.mkdir(exist_ok=True)
            self.data_dir.parent.parent.chmod(0o755)
            self._prepare_folder(self.data_dir.parent)
        fresh = self.data_dir.with_name(f"{self.name}.new")
        if fresh.exists():
            shutil.rmtree(fresh)
        self._prepare_folder(fresh)
        done = self._run(
            binaries.bin_dir / "initdb",
            *(
                "-D",
                str(fresh),
                "-U",
                LOGINS["admin"],
                "--auth=peer",
                "--encoding=UTF8",
            ),
            *("--locale=C.UTF-8", "--data-checksums" if self.durable else "--no-sync"),
        )
        if done.returncode != 0:
            raise SetupError(f"The private database could not be made.\n{done.stdout}")
        fresh.rename(self.data_dir)

    def _bootstrap(self, binaries: Binaries) -> None:
        """Create extensions, roles and the database once; each step may be repeated."""
        stamp = self.data_dir / "wangge.ready"
        if stamp.exists() and stamp.read_text(encoding="ascii") == _BOOTSTRAP_VERSION:
            return
        extensions = "".join(f"CREATE EXTENSION IF NOT EXISTS {name};\n" for name in EXTENSIONS)
        for database, script in (("template1", extensions), ("postgres", _ROLES)):
            done = self._run(
                binaries.bin_dir / "psql",
                *(
                    "-X",
                    "-q",
                    "-v",
                    "ON_ERROR_STOP=1",
                    "-U",
                    LOGINS["admin"],
                    "-d",
                    database,
                ),
                *("-h", str(self.socket_dir), "-p", str(PORT)),
                script="SET client_min_messages = warning;\n" + script,
            )
            if done.returncode != 0:
                self._stop()
                raise SetupError(f"The private database could not be prepared.\n{done.stdout}")
        stamp.write_text(_BOOTSTRAP_VERSION, encoding="ascii")

    def _write_configuration(self) -> None:
        user = pwd.getpwuid(os.geteuid()).pw_name
        names = {f'wangge "{user}" {login}' for login in LOGINS.values()}
        names.add(f'wangge "{self.account.pw_name}" {LOGINS["admin"]}')
        try:
            memory = os.statvfs("/dev/shm")
            roomy = memory.f_blocks * memory.f_frsize >= SHM_MIN_BYTES
        except OSError:
            roomy = False
        text = _CONFIGURATION.format(
            port=PORT,
            socket_dir=self.socket_dir,
            durable="on" if self.durable else "off",
            connections=CONNECTIONS if self.durable else TEST_CONNECTIONS,
            shared_memory="posix" if roomy else "mmap",
        )
        files = {
            "postgresql.conf": text,
            "pg_hba.conf": "local all all peer map=wangge\n",
            "pg_ident.conf": "".join(f"{line}\n" for line in sorted(names)),
        }
        for name, content in files.items():
            (self.data_dir / name).write_text(content, encoding="utf-8")

    def _run(
        self, *args: Path | str, script: str = "", cwd: Path = Path("/")
    ) -> subprocess.CompletedProcess[str]:
        """Run a program of PostgreSQL under the server's account, outside the user's settings.

        It does not hear a Ctrl-C at the terminal.
        """
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        account = self.account
        root = os.geteuid() == 0
        return subprocess.run(
            [str(arg) for arg in args],
            input=script,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            check=False,
            cwd=cwd,
            env={**kept, "LC_ALL": "C.UTF-8", "HOME": account.pw_dir},
            user=account.pw_uid if root else None,
            group=account.pw_gid if root else None,
            extra_groups=[] if root else None,
            start_new_session=True,
        )

    def _reachable(self, folder: Path) -> bool:
        """Say whether the server's account can enter a folder."""
        self._make_state_dir()
        return self._run("/usr/bin/test", "-x", str(folder)).returncode == 0

    def _make_state_dir(self) -> None:
        self.state_dir.mkdir(exist_ok=True)

    def _prepare_folder(self, folder: Path) -> None:
        """Make a folder of the server's account that nobody else can enter or has prepared."""
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        found = folder.lstat()
        uid, gid = self.account.pw_uid, self.account.pw_gid
        if not stat.S_ISDIR(found.st_mode) or found.st_uid not in (uid, os.geteuid()):
            raise SetupError(f"{folder} is not a folder of ours; remove it and try again.")
        if (found.st_uid, found.st_gid) != (uid, gid):
            os.chown(folder, uid, gid)
        folder.chmod(0o700)

    def _data_version(self) -> int | None:
        try:
            text = (self.data_dir / "PG_VERSION").read_text(encoding="ascii")
        except FileNotFoundError:
            return None
        except PermissionError:
            raise SetupError(
                f"The database in {self.data_dir} belongs to another user. Run the program as "
                "that user, or remove the folder to begin anew.",
                command=f"sudo rm -r '{self.data_dir}'",
            ) from None
        return int(text)

    def _server_pid(self) -> int | None:
        """Return the server's process number; a number left behind or taken by another is none."""
        try:
            pid = int((self.data_dir / "postmaster.pid").read_text(encoding="utf-8").split()[0])
            cwd = Path(f"/proc/{pid}/cwd").readlink()
        except (
            FileNotFoundError,
            ProcessLookupError,
            PermissionError,
            ValueError,
            IndexError,
        ):
            return None
        return pid if cwd == self.data_dir.resolve() else None

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Let one process at a time make, start or stop this cluster."""
        self._make_state_dir()
        with (self.state_dir / f"{self.name}.lock").open("a", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _last_words(self) -> str:
        logs = [self.data_dir / START_LOG, *self.data_dir.glob("log/*.log")]
        newest = max((log for log in logs if log.exists()), key=_age, default=None)
        if newest is None:
            return ""
        return "\n".join(newest.read_text(encoding="utf-8", errors="replace").splitlines()[-8:])


def _is_account(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def _age(path: Path) -> float:
    return path.stat().st_mtime


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Hold back Ctrl-C and orders to end while a server starts or stops, so that none is left."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    held = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, held)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def tell(line: str) -> None:
    """Say a line to the person at the terminal, on standard error."""
    print(line, file=sys.stderr, flush=True)
