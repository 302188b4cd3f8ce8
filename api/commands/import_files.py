"""`wangge import boundaries` and its sisters: a file is looked at before any of it is stored."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from api.commands.areas_out import refuse_report, write_report
from api.commands.opening import open_database
from api.commands.terminal import Json, Step, answer, progress, say
from geo import service
from geo.db import owner_transaction
from geo.errors import DeliveryError, InvalidInputError, NotFoundError, TopologyError
from geo.files.facts import LayerFacts, Understood, understood_from_data
from geo.importing.wishes import COLUMNS, SHAPES, ImportWish, wish_from_data
from geo.saying import unpacked
from geo.settings import Settings
from geo.store.importing import deliveries, files, steps
from geo.store.importing.working import hands_of
from geo.tables import Delivery, UserAccount
from geo.terms import DeliveryKind, DeliveryState

SHOWN = 8
"""How many findings and changes are listed on the terminal; the report has all of them."""

File = Annotated[str, typer.Argument(metavar="FILE[:LAYER]", help="The file, and which layer.")]
CityName = Annotated[str, typer.Option("--city", help="Short name of the city.")]
Map = Annotated[
    list[str] | None,
    typer.Option("--map", metavar="FIELD=COLUMN", help="Which column is what; may be repeated."),
]
Fix = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="FIELD=VALUE", help="A value for all rows; may be repeated."),
]
Say = Annotated[
    list[str] | None,
    typer.Option("--word", metavar="FIELD:TEXT=WORD", help="What a text of the file stands for."),
]
Encoding = Annotated[str | None, typer.Option(help="Encoding of the texts.")]
Crs = Annotated[int | None, typer.Option(help="EPSG number, where the file does not say it.")]
Datum = Annotated[str | None, typer.Option(help="wgs84, gcj02, bd09 or cgcs2000.")]
Swap = Annotated[
    bool | None, typer.Option("--swap-axes/--no-swap-axes", help="Latitude stands first.")
]
Level = Annotated[int | None, typer.Option(help="Boundaries: their level, 1 being the top.")]
From = Annotated[str | None, typer.Option(help="Boundaries: first day of the net they make.")]
Vintage = Annotated[str | None, typer.Option(help="Year of the households' count.")]
Apply = Annotated[str, typer.Option(help="What is applied of the difference: new,changed,gone.")]
Cut = Annotated[
    bool, typer.Option("--cut-cells", help="Buildings: give each new one a cell of its own.")
]
Season = Annotated[
    str | None, typer.Option(help="Households: day of a count of a season, beside the year's.")
]
Estimate = Annotated[
    bool, typer.Option("--estimate", help="Buildings: estimate the households not said, marked so.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done; store nothing.")]
Report = Annotated[Path | None, typer.Option(help="Write all findings and changes here, as JSON.")]
As = Annotated[
    str | None, typer.Option("--as", help="Account that a draft plan of boundaries belongs to.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]

HELP = {
    DeliveryKind.BOUNDARIES: "Import areas of one level: the first net of a city, or a draft plan.",
    DeliveryKind.BUILDINGS: "Import buildings with their counts of households.",
    DeliveryKind.STREETS: "Import street lines.",
    DeliveryKind.BARRIERS: "Import waters, rivers, railways and walls.",
    DeliveryKind.STATIONS: "Import service stations.",
    DeliveryKind.POSTS: "Import posts and who holds them.",
    DeliveryKind.HOUSEHOLDS: "Import counts of households, joined to buildings by code or name.",
    DeliveryKind.ADDRESSES: "Import addresses.",
    DeliveryKind.ISSUES: "Import issues of the past.",
    DeliveryKind.NETS: "Import a department's net, to be merged with others in a plan.",
}


@dataclass(frozen=True)
class Order:
    """What was asked for on the command line."""

    kind: DeliveryKind
    path: Path
    layer: str | None
    city: str
    given: dict[str, Any]
    dry_run: bool
    report: Path | None
    yes: bool
    login: str | None = None


def command(kind: DeliveryKind) -> Callable[..., None]:
    """Return the command that imports files of a kind."""

    def run(
        file: File,
        city: CityName,
        map_: Map = None,
        set_: Fix = None,
        word: Say = None,
        encoding: Encoding = None,
        crs: Crs = None,
        datum: Datum = None,
        swap_axes: Swap = None,
        level: Level = None,
        effective_from: From = None,
        vintage: Vintage = None,
        apply: Apply = "new,changed",
        season: Season = None,
        cut_cells: Cut = False,
        estimate: Estimate = False,
        dry_run: DryRun = False,
        report: Report = None,
        as_login: As = None,
        yes: Yes = False,
        as_json: Json = False,
    ) -> None:
        path, layer = file_and_layer(file)
        given = {
            "kind": kind.value, "columns": _pairs("--map", map_), "fixed": _pairs("--set", set_),
            "words": _words(word), "encoding": encoding, "crs": crs, "datum": datum,
            "swap_axes": swap_axes, "level": level, "vintage": vintage,
            "cut_cells": cut_cells, "estimate": estimate, "season": _day(season, "season"),
            "effective_from": _day(effective_from),
            "choice": [one.strip() for one in apply.split(",") if one.strip()],
        }  # fmt: skip
        sure = yes or as_json
        _import(Order(kind, path, layer, city, given, dry_run, report, sure, as_login), as_json)

    run.__doc__ = HELP[kind]
    return run


def add_to(app: typer.Typer) -> None:
    """Give a group one command for each kind of file, and the book of imports."""
    for kind in DeliveryKind:
        app.command(kind.value, help=HELP[kind])(command(kind))
    app.command("list")(list_imports)
    app.command("undo")(undo)


def file_and_layer(text: str) -> tuple[Path, str | None]:
    """Return the file, and the layer behind a colon.

    Raises
    ------
    NotFoundError
        If there is no such file.
    """
    path = Path(text)
    layer = None
    if not path.exists() and ":" in text:
        before, _, layer = text.rpartition(":")
        path = Path(before)
    if not path.is_file():
        raise NotFoundError(f"There is no file {text}.")
    return path.resolve(), layer


def _pairs(option: str, texts: list[str] | None) -> dict[str, str]:
    found = {}
    for text in texts or ():
        name, sign, value = text.partition("=")
        if not sign or not name:
            raise InvalidInputError(f"{option} takes FIELD=VALUE, not '{text}'.", field=option)
        found[name.strip()] = value
    return found


def _words(texts: list[str] | None) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for pair, word in _pairs("--word", texts).items():
        name, sign, text = pair.partition(":")
        if not sign:
            raise InvalidInputError(
                f"--word takes FIELD:TEXT=WORD, not '{pair}={word}'.", field="--word"
            )
        found.setdefault(name, {})[text] = word
    return found


def _day(text: str | None, field: str = "effective_from") -> str | None:
    if text is not None:
        try:
            date.fromisoformat(text)
        except ValueError:
            raise InvalidInputError(f"'{text}' is no day.", field=field) from None
    return text


def _import(order: Order, as_json: bool) -> None:
    refuse_report(order.report)
    hands = hands_of(Settings().operator_limits, trusted=True)
    with open_database(Settings(), say) as opened:
        with progress() as step:
            data = _prepared(opened.engine, order, hands, step)
        _write(order.report, data)
        if not order.dry_run and _wanted(order, data):
            with progress() as step, _booked(opened.engine, order, data["import"]):
                data |= _performed(opened.engine, data["import"], order, hands, step)
            _write(order.report, data)
        elif not order.dry_run:
            _dropped(opened.engine, order, data["import"])
    answer(as_json, data, _told(order, data))


def _prepared(engine: Engine, order: Order, hands: steps.Hands, step: Step) -> dict[str, Any]:
    """Enter a file into the book, understand and prepare it; a dry run leaves nothing behind."""
    with owner_transaction(engine) as session:
        city_id = service.city_id_of(session, order.city)
        sha256, size = files.digest(order.path)
        file = deliveries.Received(order.path.name, "", sha256, size)
        number = deliveries.receive(session, city_id, file, None, look=False)
        row = deliveries.get(session, city_id, number)
        step("understand", 0.0)
        understood = understood_from_data(steps.look(session, row, order.path, hands))
        wish = _wish(order, understood)
        plan = steps.prepare(session, row, order.path, wish, hands, step)
        row = deliveries.get(session, city_id, number)
        deliveries.change(session, row, folder=None)
        data = {
            "import": number,
            "city": order.city,
            "file": order.path.name,
            "kind": order.kind.value,
            "wish": wish.as_data(),
            **unpacked(row.report or {}),
            "findings": plan.findings.as_data()["findings"],
            "changes": plan.changes,
            "stored": False,
        }
        if order.dry_run:
            session.rollback()
            data.pop("import")
    return data


def _wish(order: Order, understood: Understood) -> ImportWish:
    """Return what is wished: the proposal for what was not said."""
    layer = _layer(order, understood)
    needed, allowed = COLUMNS[order.kind]
    proposed = layer.proposal.mappings.get(order.kind.value, {})
    said = {**order.given["columns"], **order.given["fixed"]}
    columns = {
        name: column
        for name, column in proposed.items()
        if name in (*needed, *allowed) and name not in said
    }
    given = {**order.given, "columns": {**columns, **order.given["columns"]}, "layer": layer.name}
    return wish_from_data(given)


def _layer(order: Order, understood: Understood) -> LayerFacts:
    """Return the layer that is meant: the one that was named, or the only one that fits.

    Raises
    ------
    NotFoundError
        If there is none, or several; they are listed.
    """
    with suppress(LookupError):
        return understood.layer(order.layer)
    wanted = SHAPES.get(order.kind)
    fitting = [one for one in understood.layers if wanted in (None, one.kind)]
    if order.layer is None and len(fitting) == 1:
        return fitting[0]
    names = ", ".join(one.name for one in fitting or understood.layers)
    raise NotFoundError(f"Say which layer, as in {order.path.name}:LAYER. There are: {names}.")


def _wanted(order: Order, data: dict[str, Any]) -> bool:
    if order.yes:
        return True
    say(_told(order, data | {"asked": True}))
    if typer.confirm("Import this?", err=True):
        return True
    say("Nothing was imported.")
    return False


def _performed(
    engine: Engine, number: int, order: Order, hands: steps.Hands, step: Step
) -> dict[str, Any]:
    with owner_transaction(engine) as session:
        city_id = service.city_id_of(session, order.city)
        row = deliveries.get(session, city_id, number)
        actor = _actor(session, city_id, order.login)
        applied = steps.perform(session, row, order.path, hands, actor=actor, progress=step)
    return {"applied": applied, "stored": True}


@contextmanager
def _booked(engine: Engine, order: Order, number: int) -> Iterator[None]:
    """Write into the book that a delivery was refused, and why."""
    try:
        yield
    except (DeliveryError, TopologyError) as error:
        with owner_transaction(engine) as session:
            city_id = service.city_id_of(session, order.city)
            deliveries.refuse(session, deliveries.get(session, city_id, number), error)
        raise


def _dropped(engine: Engine, order: Order, number: int) -> None:
    """Write into the book that nobody wanted a delivery."""
    with owner_transaction(engine) as session:
        row = deliveries.get(session, service.city_id_of(session, order.city), number)
        deliveries.change(session, row, state=DeliveryState.DROPPED.value)


def _actor(session: Session, city_id: int, login: str | None) -> steps.Actor | None:
    if login is None:
        return None
    found = session.execute(
        select(UserAccount.user_id, UserAccount.role).where(
            UserAccount.city_id == city_id, func.lower(UserAccount.login) == login.lower()
        )
    ).one_or_none()
    if found is None:
        raise NotFoundError(f"The city has no account '{login}'.")
    return steps.Actor(found.user_id, found.role)


def _write(path: Path | None, data: dict[str, Any]) -> None:
    if path is not None:
        text = json.dumps(data, ensure_ascii=False, indent=1, default=str)
        write_report(path, text + "\n")


def _told(order: Order, data: dict[str, Any]) -> str:
    difference = data["difference"]
    order_of = ("new", "changed", "same", "gone")
    counted = ", ".join(f"{difference[state]:,} {state}" for state in order_of)
    mapped = ", ".join(f"{name} = {column}" for name, column in data["wish"]["columns"].items())
    lines = [
        f"{data['file']} into {data['city']}: {data['rows']:,} {order.kind}",
        f"  columns: {mapped or 'none'}",
        f"  beside what stands: {counted}",
    ]
    for name, texts in data["unknown"].items():
        said = ", ".join(f"'{text}' ({rows:,})" for text, rows in list(texts.items())[:SHOWN])
        lines.append(f"  no word for {name} {said}: --word {name}:TEXT=WORD")
    if data["counts"]:
        found = ", ".join(f"{n:,} {kind.replace('_', ' ')}" for kind, n in data["counts"].items())
        lines.append(f"Found: {found}")
        for one in data["findings"][:SHOWN]:
            lines.append(f"  {one['kind'].replace('_', ' ')} {one['subject']}: {one['done']}")
        more = len(data["findings"]) - SHOWN
        if more > 0:
            lines.append(f"  and {more:,} more; --report FILE has all of them")
    return "\n".join([*lines, *_ending(order, data)])


def _ending(order: Order, data: dict[str, Any]) -> list[str]:
    if data.get("asked"):
        return []
    if not data["stored"]:
        why = "this was a dry run" if order.dry_run else "nobody said yes"
        return [f"Nothing was stored: {why}."]
    applied = {state: number for state, number in data["applied"].items() if number}
    if not applied:
        return [f"Import {data['import']}: nothing had to be changed."]
    counted = ", ".join(f"{number:,} {state}" for state, number in applied.items())
    undo_it = f"wangge import undo {data['import']}"
    return [f"Import {data['import']} is stored: {counted}. To take it back: {undo_it}"]


def list_imports(city: CityName, as_json: Json = False) -> None:
    """List the deliveries of a city, the newest first."""
    with open_database(Settings(), say) as opened, owner_transaction(opened.engine) as session:
        listed = deliveries.listed(session, service.city_id_of(session, city), limit=200)
    found = unpacked(listed)
    lines = [
        f"{one['delivery']:>6}  {one['state']:<10}  {one['kind'] or '':<10}  "
        f"{one['received_at']:%Y-%m-%d %H:%M}  {one['name']}"
        + (f": {one['refused'][0]}" if one["refused"] else "")
        for one in found
    ]
    answer(as_json, {"imports": found}, "\n".join(lines) or "Nothing was delivered yet.")


def undo(
    number: Annotated[int, typer.Argument(help="Number of the import.")],
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Take an import back, row by row, unless something builds on it."""
    with open_database(Settings(), say) as opened:
        with owner_transaction(opened.engine) as session:
            name = _book_row(session, number).name
        if not (yes or as_json):
            typer.confirm(f"Take back import {number} ({name})?", abort=True, err=True)
        with progress() as step, owner_transaction(opened.engine) as session:
            rows = steps.undo(session, _book_row(session, number), progress=step)
    told = ", ".join(f"{count:,} {table}" for table, count in rows.items()) or "no rows"
    answer(as_json, {"import": number, "rows": rows}, f"Import {number} was taken back: {told}.")


def _book_row(session: Session, number: int) -> Delivery:
    row = session.scalar(select(Delivery).where(Delivery.delivery_id == number))
    if row is None:
        raise NotFoundError(f"There is no import {number}.")
    return row
