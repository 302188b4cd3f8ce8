"""`wangge backup`, `restore`, `upgrade` and `doctor`: what whoever runs the server needs."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, NoReturn

import typer
from rich.table import Table
from sqlalchemy import URL

from api.commands.opening import alone, reach_database
from api.commands.terminal import Json, answer, out, progress, say
from geo.cluster import Cluster
from geo.errors import KeepingError
from geo.keeping import doctor as examination
from geo.keeping import erasures, revisions
from geo.keeping import restore as restoring
from geo.keeping import upgrade as upgrading
from geo.keeping.backup import Backup, make
from geo.keeping.checks import Check, Installation, State
from geo.settings import Settings
from geo.store.cases.stones import Stone

MARKS = {State.GOOD: "[green]good[/]", State.WATCH: "[yellow]watch[/]", State.BAD: "[red]bad[/]"}
ASSETS = Path(__file__).resolve().parents[1] / "static" / "vendor"


def backup(
    target: Annotated[
        Path | None,
        typer.Argument(help="File, or folder for a dated file; default: .wangge/backups."),
    ] = None,
    keep: Annotated[
        int | None,
        typer.Option(min=1, help="Delete older dated backups of the folder beyond this number."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Write the whole database, as it is at one moment, to one file; the server may run on."""
    settings = Settings()
    place = target.expanduser() if target else backup_folder(settings)
    if keep is not None and not place.is_dir():
        raise typer.BadParameter("--keep goes with a folder, not with a file.")
    with _orders_end(), reach_database(settings, say) as opened, progress() as step:
        made = make(opened.engine, place, keep=keep, step=step)
    answer(as_json, _backup_data(made), "\n".join(_backup_lines(made)))


def restore(
    file: Annotated[Path | None, typer.Argument(help="The backup.")] = None,
    database: Annotated[
        str | None, typer.Option(help="Name to restore under; default: the one in use.")
    ] = None,
    force: Annotated[
        bool,
        typer.Option("--force", help="Replace a database with cities; end programs that use it."),
    ] = False,
    drop_old: Annotated[
        bool, typer.Option("--drop-old", help="Drop the databases that restorings replaced.")
    ] = False,
    erased: Annotated[
        Path | None,
        typer.Option(help="A list of what was erased, beside those that are found by themselves."),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Restore beside, say what would be erased again, drop it."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Put a backup in place of the database, after it was restored beside it and compared."""
    if (file is None) != drop_old:
        raise typer.BadParameter("Give the backup's file, or --drop-old alone.")
    settings = Settings()
    with _orders_end(), reach_database(settings, say) as opened, progress() as step:
        url = opened.engine.url.set(database=database) if database else opened.engine.url
        if file is None:
            gone = restoring.drop_replaced(url)
            lines = [f"Dropped {name} ({size / 1e6:,.0f} MB)" for name, size in gone]
            said = {"dropped": [name for name, _ in gone]}
            answer(as_json, said, "\n".join(lines) or "There was none to drop.")
            return
        known = _known_erasures(opened.engine.url, settings, file.expanduser(), erased)
        opened.engine.dispose()
        done = restoring.restore(
            url, file.expanduser(), work=backup_folder(settings), force=force, erased=known,
            dry_run=dry_run, step=step,
        )  # fmt: skip
    answer(as_json, _restored_data(done), "\n".join(_restored_lines(done)))


def _known_erasures(url: URL, settings: Settings, file: Path, named: Path | None) -> list[Stone]:
    """Return what is known to have been erased: by the database in use, beside the backups."""
    if named is not None and not named.exists():
        raise typer.BadParameter(f"There is no file {named}.")
    lists = {place.parent if place.suffix else place for place in (file, _backup_place(settings))}
    found = [one for folder in lists for one in erasures.read(folder / erasures.FILE)]
    found += erasures.read(named) if named else []
    return found + erasures.of_database(url)


def upgrade(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Back up, bring the schema up to date, check all cities; exit code 1 when one has faults."""
    settings = Settings()
    with _orders_end(), reach_database(settings, say) as opened:
        if dry_run:
            found = upgrading.plan(opened.engine)
        else:
            with alone(opened.engine), progress() as step:
                found = upgrading.upgrade(opened.engine, backup_folder(settings), step=step)
    data = {
        "before": found.before,
        "after": found.after,
        "dry_run": dry_run,
        "steps": [{"revision": revision, "does": does} for revision, does in found.steps],
        "backup": str(found.backup.path) if found.backup else None,
        "faults": found.faults,
    }
    answer(as_json, data, "\n".join(_upgrade_lines(found, dry_run)))
    if found.faults:
        raise typer.Exit(1)


def doctor(
    address: Annotated[
        str | None, typer.Option(help="Address at which people reach the server, to be tried.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Look at everything that keeps an installation healthy; exit code 1 when something is bad."""
    settings = Settings()
    with reach_database(settings, say) as opened:
        private = None if settings.database_url else Cluster(settings.project_dir).data_dir
        checks = examination.examine(
            Installation(
                engine=opened.engine,
                app_url=opened.addresses.app,
                pool_size=settings.pool_size,
                backups=_backup_place(settings),
                data_dir=private,
                assets=ASSETS,
                tls=settings.project_dir / ".wangge" / "tls",
                hosts=settings.host_names,
                behind_proxy=settings.behind_proxy,
                address=address,
                settings=settings,
            )
        )
    found = examination.worst(checks)
    if as_json:
        answer(True, {"state": found.value, "checks": [asdict(check) for check in checks]}, "")
    else:
        out.print(_table_of(checks))
    if found is State.BAD:
        raise typer.Exit(1)


def backup_folder(settings: Settings) -> Path:
    """Return the folder of the backups, made when it is missing; others cannot enter it.

    Raises
    ------
    KeepingError
        If it cannot be made.
    """
    folder = _backup_place(settings)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise KeepingError(f"The folder {folder} cannot be made: {error.strerror}.") from None
    return folder


def _backup_place(settings: Settings) -> Path:
    return settings.backup_dir or settings.project_dir / ".wangge" / "backups"


def _table_of(checks: list[Check]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("check", "state", "found", "what to do"):
        table.add_column(column, overflow="fold")
    for check in checks:
        table.add_row(check.name, MARKS[check.state], check.found, check.advice)
    return table


def _backup_data(made: Backup) -> dict[str, Any]:
    manifest = made.manifest
    return {
        "file": str(made.path),
        "bytes": made.path.stat().st_size,
        "sha256_of_dump": manifest.dump_sha256,
        "revision": manifest.revision,
        "rows": sum(manifest.rows.values()),
        "cities": {slug: said["ok"] for slug, said in manifest.cities.items()},
        "pruned": [str(path) for path in made.pruned],
    }


def _backup_lines(made: Backup) -> list[str]:
    size = made.path.stat().st_size / 1e6
    rows = sum(made.manifest.rows.values())
    content = f"{rows:,} rows, schema {made.manifest.revision}"
    known = made.manifest.revision == revisions.head()
    cities = f"{len(made.manifest.cities)} cities checked" if known else "cities not checked yet"
    lines = [f"{made.path}", f"  {size:,.1f} MB, {content}, {cities}"]
    lines += [f"  deleted {path.name}" for path in made.pruned]
    lines += [
        f"  the validator finds faults in {slug}; they are in the backup as they are: "
        f"wangge check --city {slug}"
        for slug in made.faulty
    ]
    return lines


def _restored_data(done: restoring.Restored) -> dict[str, Any]:
    return {
        "database": done.database,
        "replaced": done.replaced,
        "made_at": done.manifest.made_at,
        "migrated": [revision for revision, _ in done.migrated],
        "remarks": done.remarks,
        "erased_again": done.erased,
        "dry_run": done.dry_run,
    }


def _restored_lines(done: restoring.Restored) -> list[str]:
    rows, cities = sum(done.manifest.rows.values()), len(done.manifest.cities)
    begins = (
        f"Tried: the backup of {done.manifest.made_at} can be restored; nothing was changed"
        if done.dry_run
        else f"The database '{done.database}' is as it was at {done.manifest.made_at}"
    )
    lines = [
        begins,
        f"  {rows:,} rows and {cities} cities were compared with the backup's manifest",
    ]
    if any(done.erased.values()):
        told = ", ".join(f"{name} {number:,}" for name, number in done.erased.items() if number)
        verb = "would be" if done.dry_run else "were"
        lines.append(f"  erased since that backup, and {verb} erased again: {told}")
    if done.dry_run:
        return lines
    if done.migrated:
        lines.append(f"  brought up to date: {', '.join(name for name, _ in done.migrated)}")
    lines += [f"  new in this version: {line}" for line in done.remarks]
    if done.replaced:
        lines.append(f"  what was there before is '{done.replaced}': wangge restore --drop-old")
    lines.append("  Everybody signs in again. A server that runs must be started anew.")
    return lines


def _upgrade_lines(found: upgrading.Upgrade, dry_run: bool) -> list[str]:
    if not found.steps:
        return [f"The schema is the newest already: {found.after}."]
    lines = [f"Schema {found.before or 'none'} -> {found.after}"]
    lines += [f"  {revision}: {does}" for revision, does in found.steps]
    if dry_run:
        return [*lines, "Nothing was done: this was a dry run. A backup would be made first."]
    if found.backup:
        lines += _backup_lines(found.backup)
    for slug, counts in found.faults.items():
        listed = ", ".join(f"{count:,} {kind}" for kind, count in counts.items())
        lines.append(f"Faults in {slug}: {listed}; wangge check --city {slug}")
    if found.faults and found.backup:
        lines.append(
            "To go back: install the version you had, then "
            f"wangge restore {found.backup.path} --force"
        )
    return lines


@contextmanager
def _orders_end() -> Iterator[None]:
    """Turn orders to end into Ctrl-C, so that nothing half made is left."""

    def leave(number: int, frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    held = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in held.items():
            signal.signal(number, handler)
