"""`wangge issue`: lists, acts, rates, deadlines, erasure and batches, in an account's name."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from api.commands.keeping import backup_folder
from api.commands.opening import open_database
from api.commands.terminal import Json, answer, progress, say
from geo import service
from geo.db import Viewer, owner_transaction
from geo.errors import InvalidInputError, NotFoundError
from geo.keeping import erasures
from geo.settings import Settings
from geo.tables import AreaGrant, City, UserAccount
from geo.terms import IssueAct, Role

app = typer.Typer(no_args_is_help=True, help="Issues: from report to close.")

As = Annotated[str, typer.Option("--as", help="Login of the account that does it.")]
CityName = Annotated[str, typer.Option("--city", help="Short name of the city.")]
Number = Annotated[int, typer.Argument(help="Number of the issue.", min=1)]
DryRun = Annotated[bool, typer.Option("--dry-run/--do", help="Only count what would be done.")]


def acting(session: Session, login: str) -> Viewer:
    """Return the account of a login with its areas and its organisation; for the owner.

    Raises
    ------
    NotFoundError
        If no enabled account has this login.
    """
    account = session.scalar(
        select(UserAccount).where(
            func.lower(UserAccount.login) == login.lower(), UserAccount.disabled_at.is_(None)
        )
    )
    if account is None:
        raise NotFoundError(f"Nobody has the login '{login}'.", login=login)
    areas = session.scalars(
        select(AreaGrant.grid_id).where(
            AreaGrant.city_id == account.city_id, AreaGrant.user_id == account.user_id
        )
    )
    bodies = () if account.organisation_id is None else (account.organisation_id,)
    return Viewer(Role(account.role), account.city_id, account.user_id, tuple(areas), bodies)


@contextmanager
def _owning() -> Iterator[Session]:
    with open_database(Settings(), say) as opened, owner_transaction(opened.engine) as session:
        yield session


@contextmanager
def _at_work(login: str) -> Iterator[tuple[Session, Viewer, Any]]:
    """Yield a transaction, the account in whose name it runs, and its city today."""
    with _owning() as session:
        viewer = acting(session, login)
        yield session, viewer, service.Asked(viewer.city_id or 0).moment(session)


def _city(session: Session, slug: str) -> tuple[int, bool]:
    row = session.execute(select(City.city_id, City.demo).where(City.slug == slug)).first()
    if row is None:
        raise NotFoundError(f"There is no city '{slug}'.", city=slug)
    return row.city_id, row.demo


@app.command("list")
def list_issues(
    login: As,
    box: Annotated[str, typer.Option(help="all, new, due_today, overdue, to_check ...")] = "all",
    category: Annotated[str | None, typer.Option(help="With all below it.")] = None,
    grid: Annotated[int | None, typer.Option(help="With all below it.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Rows of one page.")] = 50,
    after: Annotated[str | None, typer.Option(help="`next` of the page before.")] = None,
    as_json: Json = False,
) -> None:
    """List the open issues on an account's desk, what falls due first first."""
    narrow = service.cases.DeskFilter(box=box, category=category, grid=grid)
    with _at_work(login) as (session, viewer, at):
        page = service.cases.desk(session, viewer, at, narrow, limit=limit, after=after)
        counts = service.cases.desk_counts(session, viewer, at)
    items = [dict(one) for one in page.items]
    told = ((name, number) for name, number in counts.items() if number and name != "stamp")
    lines = [", ".join(f"{name} {number}" for name, number in told)]
    lines += [
        f"{one['issue']:>9}  {one['state']:<11} {one['category']} {one['category_name']}"
        f"  {one['grid_name'] or ''}  due {one['due_at']:%Y-%m-%d %H:%M}"
        for one in items
    ]
    answer(as_json, {"items": items, "next": page.next, "counts": counts}, "\n".join(lines))


@app.command()
def show(issue: Number, login: As, as_json: Json = False) -> None:
    """Show an issue with its history, and what the account may do to it."""
    with _at_work(login) as (session, viewer, at):
        card = service.cases.show(session, viewer, at, issue)
        lines = service.cases.history(session, viewer, issue)
    told = [f"{issue}: {card['state']}, {card['category']}, acts: {' '.join(card['acts'])}"]
    told += [
        f"{line['at']:%Y-%m-%d %H:%M}  {line['act']:<18} {line['state']:<11}"
        f" {line['actor_role'] or ''}  {line['reason'] or ''}"
        for line in lines
    ]
    answer(as_json, {**card, "history": lines}, "\n".join(told))


@app.command()
def act(
    issue: Number,
    what: Annotated[IssueAct, typer.Argument(help="accept, dispatch, handle, close ...")],
    login: As,
    reason: Annotated[str | None, typer.Option(help="Why; some acts demand it.")] = None,
    organisation: Annotated[int | None, typer.Option(help="Department that leads.")] = None,
    until: Annotated[str | None, typer.Option(help="Day, YYYY-MM-DD (park, supervise).")] = None,
    into: Annotated[int | None, typer.Option(help="Issue that this one repeats (merge).")] = None,
    as_json: Json = False,
) -> None:
    """Do something to an issue."""
    wish = service.cases.ActWish(
        reason=reason, organisation=organisation, until=_day(until, "until"), into=into
    )
    with _at_work(login) as (session, viewer, _):
        done = service.cases.act(session, viewer, issue, what, wish)
    data = {"issue": done.issue, "state": done.state, "version": done.version, "new": done.new}
    answer(as_json, data, f"Issue {done.issue} is {done.state}.")


def _day(said: str | None, field: str) -> date | None:
    try:
        return None if said is None else date.fromisoformat(said)
    except ValueError:
        raise InvalidInputError(f"--{field} is a day, YYYY-MM-DD.", field=field) from None


@app.command()
def rates(
    login: As,
    by: Annotated[str, typer.Option(help="none, area, department, category, month")] = "none",
    level: Annotated[int, typer.Option(min=1, max=6, help="Of areas; 1 is the top.")] = 1,
    since: Annotated[str | None, typer.Option("--from", help="YYYY-MM-DD")] = None,
    until: Annotated[str | None, typer.Option("--to", help="YYYY-MM-DD")] = None,
    as_of: Annotated[str | None, typer.Option(help="Net of this day.")] = None,
    as_json: Json = False,
) -> None:
    """Show rates by area, department, category or month, on the net of any day."""
    narrow = service.cases.RateFilter(_day(since, "from"), _day(until, "to"), by=by, level=level)
    with _owning() as session:
        viewer = acting(session, login)
        at = service.Asked(viewer.city_id or 0, _day(as_of, "as-of")).moment(session)
        told = service.cases.rates(session, viewer, at, narrow)
    lines = [f"{told['since']} to {told['until']}, {told['set_aside']} set aside"]
    for row in told["rows"]:
        lines.append(f"{row['group']} {row['name'] or ''}")
        lines += [_rate(one) for one in row["rates"] or ()]
        lines += ["  withheld: fewer than five workers"] if row["withheld"] else []
    answer(as_json, {**told, "net": at.seq}, "\n".join(lines))


def _rate(one: dict[str, Any]) -> str:
    share = "–" if one["share"] is None else f"{one['share']:.2%}"
    return f"  {one['name']:<8} {share:>8}  {one['over']:,} / {one['of']:,}"


@app.command()
def escalate(city: CityName, dry_run: DryRun = True, as_json: Json = False) -> None:
    """Warn desks of passed deadlines, and escalate what was warned of long enough ago."""
    with _owning() as session:
        city_id, _ = _city(session, city)
        now = session.execute(select(func.clock_timestamp())).scalar_one()
        done = service.cases.warn_and_escalate(session, city_id, now, dry_run=dry_run)
    _counted(as_json, done, dry_run)


@app.command()
def retain(
    city: CityName,
    dry_run: DryRun = True,
    contact_days: Annotated[
        int, typer.Option(min=0, max=365, help="Contacts are kept so long after closing.")
    ] = 180,
    words_days: Annotated[int, typer.Option(min=0, help="Words and addresses.")] = 3 * 365,
    message_days: Annotated[int, typer.Option(min=0, help="Messages that were sent.")] = 90,
    issue: Annotated[int | None, typer.Option(help="One issue, at its reporter's wish.")] = None,
    as_json: Json = False,
) -> None:
    """Erase contacts, words, photos and messages that are older than they may be."""
    keep = service.cases.Keep(contact_days, words_days, message_days)
    with _owning() as session:
        city_id, _ = _city(session, city)
        now = session.execute(select(func.clock_timestamp())).scalar_one()
        if issue is not None and not dry_run:
            done = service.cases.erase(session, city_id, issue)
        else:
            done = service.cases.retain(session, city_id, now, keep, dry_run=dry_run)
    if not dry_run and any(done.values()):
        settings = Settings()
        with open_database(settings, say) as opened:
            erasures.keep(opened.engine, backup_folder(settings))
    _counted(as_json, done, dry_run)


def _counted(as_json: bool, done: dict[str, int], dry_run: bool) -> None:
    told = ", ".join(f"{name} {number}" for name, number in done.items())
    answer(as_json, {**done, "dry_run": dry_run}, f"{'Would be' if dry_run else 'Done'}: {told}")


@app.command("import")
def import_issues(
    file: Annotated[Path, typer.Argument(help="CSV or Parquet.", exists=True, dir_okay=False)],
    city: CityName,
    columns: Annotated[Path, typer.Option(help="TOML: which column says what.", exists=True)],
    as_json: Json = False,
) -> None:
    """Take in the cases of another system as one batch, with a report of doubtful ones."""
    import pandas as pd  # heavy

    from geo.importing.cases import CaseColumns, understand

    wanted = tomllib.loads(columns.read_text("utf-8"))
    known = {one.name for one in fields(CaseColumns)}
    if odd := sorted(set(wanted) - known):
        raise InvalidInputError(f"{columns.name} knows no {', '.join(odd)}.", field="columns")
    if isinstance(wanted.get("closed_states"), list):
        wanted["closed_states"] = tuple(wanted["closed_states"])
    try:
        named = CaseColumns(**wanted)
    except TypeError as error:
        raise InvalidInputError(f"{columns.name}: {error}", field="columns") from error
    frame = pd.read_parquet(file) if file.suffix == ".parquet" else pd.read_csv(file, dtype=str)
    with _owning() as session, progress() as step:
        city_id, _ = _city(session, city)
        at = service.Asked(city_id).moment(session)
        step("understand", 0.0)
        understood = understand(frame, named, at.timezone)
        step("understand", 1.0)
        report = service.cases.take_in(session, at, understood, step)
    lines = [f"{name.replace('_', ' '):<18} {value}" for name, value in report.items()]
    answer(as_json, report, "\n".join(lines))
