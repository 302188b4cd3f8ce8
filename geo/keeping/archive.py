"""The file of a backup: a tar of the manifest, the dump and their SHA-256 sums.

Nothing but `tar`, `sha256sum` and `pg_restore` is needed to read it without this program.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import io
import json
import os
import re
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Final

from geo.errors import KeepingError

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
DUMP: Final = "database.dump"
SUMS: Final = "SHA256SUMS"
MANIFEST_MAX_BYTES: Final = 64 << 20
CHUNK_BYTES: Final = 1 << 20
PARTIAL: Final = ".wangge-partial-"
"""How the folder begins in which a backup is made or unpacked; one that nobody holds is swept."""

_NAME: Final = re.compile(r"wangge-\d{8}T\d{6}Z\.tar")


@dataclass(frozen=True)
class Manifest:
    """What a backup says of itself.

    Attributes
    ----------
    made_at : str
        Moment of the snapshot, ISO 8601, UTC.
    program, revision : str
        Version of the program and of the schema.
    server : dict
        Versions of `postgresql` and `postgis`.
    owner : str
        Login that owns the tables; policies name it.
    rows : dict of str to int
        Rows of each table in the dump.
    left_out : list of str
        Tables whose rows are not in the dump: secrets, and sign-ins that must not come back.
    logs : dict of str to list
        Number and hash of the last row of each city's log.
    cities : dict of str to dict
        What the validator said of each city: `ok`, `day`, `figures`, `counts`, `exceptions`.
    dump_bytes, dump_sha256 : int, str
        Of the dump itself.
    """

    made_at: str
    program: str
    revision: str
    server: dict[str, str]
    owner: str
    database: str
    rows: dict[str, int]
    left_out: list[str]
    logs: dict[str, list[Any]]
    cities: dict[str, dict[str, Any]]
    dump_bytes: int
    dump_sha256: str
    format: int = FORMAT

    @property
    def made(self) -> datetime:
        """Moment of the snapshot."""
        return datetime.fromisoformat(self.made_at)

    def to_json(self) -> bytes:
        """Return the manifest as people and programs read it."""
        return (json.dumps(asdict(self), ensure_ascii=False, indent=1) + "\n").encode()

    @classmethod
    def from_json(cls, text: bytes) -> Manifest:
        """Read a manifest back.

        Raises
        ------
        KeepingError
            If it is no manifest, or that of a later form.
        """
        try:
            found = json.loads(text)
            form = found["format"]
        except (ValueError, TypeError, KeyError):
            raise KeepingError("The backup's manifest cannot be read.") from None
        if form != FORMAT:
            raise KeepingError(
                f"The backup has form {form}; this version reads form {FORMAT}. Install the "
                "version of the program that made it."
            )
        names = {entry.name for entry in fields(cls)}
        if set(found) != names:
            odd = ", ".join(sorted(set(found) ^ names))
            raise KeepingError(f"The backup's manifest is not whole: {odd}.")
        return cls(**found)


def dated_name(moment: datetime) -> str:
    """Return the name of a backup made at `moment`.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> dated_name(datetime(2026, 7, 1, 2, 30, tzinfo=UTC))
    'wangge-20260701T023000Z.tar'
    """
    return f"wangge-{moment.astimezone(UTC):%Y%m%dT%H%M%SZ}.tar"


def dated(folder: Path) -> list[Path]:
    """Return the backups of a folder that carry a date in their name, the newest first."""
    if not folder.is_dir():
        return []
    found = (path for path in folder.iterdir() if _NAME.fullmatch(path.name) and path.is_file())
    return sorted(found, key=lambda path: path.name, reverse=True)


def prune(folder: Path, keep: int) -> list[Path]:
    """Delete all but the `keep` newest dated backups of a folder; return the deleted ones."""
    gone = dated(folder)[keep:]
    for path in gone:
        path.unlink()
    return gone


def sha256_of(file: IO[bytes], into: IO[bytes] | None = None) -> tuple[int, str]:
    """Read a file to its end, copying it on the way if asked; return its size and its SHA-256."""
    digest, size = hashlib.sha256(), 0
    while chunk := file.read(CHUNK_BYTES):
        digest.update(chunk)
        size += len(chunk)
        if into is not None:
            into.write(chunk)
    return size, digest.hexdigest()


@contextlib.contextmanager
def work_folder(parent: Path) -> Iterator[Path]:
    """Yield an own folder inside `parent` that is gone afterwards; after a kill, see `sweep`."""
    sweep(parent)
    made = Path(tempfile.mkdtemp(prefix=PARTIAL, dir=parent))
    held = os.open(made, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
        os.close(held)


def sweep(parent: Path) -> None:
    """Remove the work folders in `parent` whose process is gone."""
    for left in parent.glob(f"{PARTIAL}*"):
        with contextlib.suppress(OSError):
            held = os.open(left, os.O_RDONLY | os.O_DIRECTORY)
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(left, ignore_errors=True)
            finally:
                os.close(held)


def write(target: Path, manifest: Manifest, dump: Path, folder: Path) -> None:
    """Write a backup beside its place and move it there in one step; only its owner may read it.

    Parameters
    ----------
    target : Path
        Where the backup is to be; nothing may be there.
    dump : Path
        The dump that the manifest tells of.
    folder : Path
        A work folder on the same file system as `target`.

    Raises
    ------
    KeepingError
        If something is at `target`.
    """
    made = folder / "archive.tar"
    text = manifest.to_json()
    sums = f"{hashlib.sha256(text).hexdigest()}  {MANIFEST}\n{manifest.dump_sha256}  {DUMP}\n"
    moment = int(manifest.made.timestamp())
    descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
            for name, content in ((MANIFEST, text), (SUMS, sums.encode())):
                tar.addfile(_member(name, len(content), moment), io.BytesIO(content))
            with dump.open("rb") as dumped:
                tar.addfile(_member(DUMP, manifest.dump_bytes, moment), dumped)
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(made, target)  # unlike a renaming, it never takes another file's place
    except FileExistsError:
        raise KeepingError(f"{target} exists already; nothing was overwritten.") from None
    except OSError:  # a file system without hard links
        if target.exists():
            raise KeepingError(f"{target} exists already; nothing was overwritten.") from None
        made.rename(target)
    _settle(target.parent)


def read_manifest(path: Path) -> Manifest:
    """Return what a backup says of itself; its sum is compared, the dump is not read.

    Raises
    ------
    KeepingError
        If there is no such file or it is no whole backup.
    """
    with _opened(path) as tar:
        return _manifest(tar)[0]


def unpack(path: Path, folder: Path) -> tuple[Manifest, Path]:
    """Unpack a backup's dump into `folder` and compare all sums on the way.

    Returns
    -------
    manifest : Manifest
    dump : Path
        Readable by its owner alone.

    Raises
    ------
    KeepingError
        If there is no such file, or anything in it is not as it was written.
    """
    dump = folder / DUMP
    with _opened(path) as tar:
        manifest, sum_of_dump = _manifest(tar)
        found = _stream(tar, DUMP)
        descriptor = os.open(dump, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as copy:
            size, digest = sha256_of(found, copy)
    if (size, digest) != (manifest.dump_bytes, manifest.dump_sha256) or digest != sum_of_dump:
        raise KeepingError(
            f"{path} is damaged: the dump in it is not the one that was written. Take another "
            "backup, or the copy that is kept elsewhere."
        )
    return manifest, dump


def _manifest(tar: tarfile.TarFile) -> tuple[Manifest, str]:
    """Return the manifest and the sum of the dump, both compared with the list of sums."""
    text = _small(tar, MANIFEST)
    listed = dict(line.split("  ")[::-1] for line in _small(tar, SUMS).decode().splitlines())
    if hashlib.sha256(text).hexdigest() != listed.get(MANIFEST):
        raise KeepingError(f"{tar.name!s} is damaged: its manifest is not as it was written.")
    return Manifest.from_json(text), listed.get(DUMP, "")


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[tarfile.TarFile]:
    if not path.is_file():
        raise KeepingError(f"There is no backup {path}.")
    try:
        with tarfile.open(path, mode="r:") as tar:
            yield tar
    except (tarfile.TarError, EOFError, ValueError, UnicodeError, OSError) as error:
        raise KeepingError(f"{path} is no whole backup: {error}") from None


def _stream(tar: tarfile.TarFile, name: str) -> IO[bytes]:
    try:
        member = tar.getmember(name)
    except KeyError:
        raise KeepingError(f"{tar.name!s} is no whole backup: {name} is missing.") from None
    found = tar.extractfile(member) if member.isreg() else None
    if found is None:
        raise KeepingError(f"{tar.name!s} is no backup: {name} is not a plain file.")
    return found


def _small(tar: tarfile.TarFile, name: str) -> bytes:
    found = _stream(tar, name).read(MANIFEST_MAX_BYTES + 1)
    if len(found) > MANIFEST_MAX_BYTES:
        raise KeepingError(f"{tar.name!s} is no backup: {name} is far too long.")
    return found


def _member(name: str, size: int, moment: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mtime, member.mode = size, moment, 0o600
    return member


def _settle(folder: Path) -> None:
    """Make the folder's entries survive a crash of the machine."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
