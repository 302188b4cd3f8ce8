"""`wangge run` and `wangge serve`: the map on an address, until Ctrl-C."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import FrameType
from typing import Annotated, NoReturn

import typer
from rich.table import Table

from api import serving, upkeep, worker
from api.commands.demo import Size, Wish, load_demo_once
from api.commands.opening import Opened, demo_accounts, open_database
from api.commands.terminal import err, say
from geo import service
from geo.db import Database, context_key, owner_transaction
from geo.errors import SetupError
from geo.settings import Settings

PORT_MAX = 65_535


def _port(text: str) -> int:
    word = str(text)
    if not (word.isascii() and word.isdigit() and len(word) <= 5 and int(word) <= PORT_MAX):
        raise SetupError(
            f"A port is a number from 0 to {PORT_MAX}, and '{word}' is none (--port 8001; with "
            "make PORT=8001)."
        )
    return int(word)


Host = Annotated[str, typer.Option(help="Address to listen on.")]

Port = Annotated[
    int, typer.Option(parser=_port, metavar="NUMBER", help="Port; 0 takes a free one.")
]
Cert = Annotated[Path | None, typer.Option(help="Certificate for TLS, PEM.")]
Key = Annotated[Path | None, typer.Option(help="Key of the certificate, PEM.")]
Local = Annotated[bool, typer.Option("--local-certificate", help="Make a certificate here.")]
Beside = Annotated[
    bool, typer.Option("--worker/--no-worker", help="Start a worker for long work beside it.")
]


class DemoChoice(StrEnum):
    """Which demo city `run` loads."""

    FULL = "full"
    SMALL = "small"
    NONE = "none"


@dataclass(frozen=True)
class Place:
    """Where to serve, as asked for."""

    host: str
    port: int
    certificate: serving.Certificate | None


def serve(
    host: Host = "127.0.0.1",
    port: Port = 8000,
    cert: Cert = None,
    key: Key = None,
    local_certificate: Local = False,
    with_worker: Beside = True,
) -> None:
    """Serve the cities of the database until Ctrl-C."""
    settings = Settings()
    place = _place(settings, host, port, cert, key, local_certificate)
    with _orders_end_cleanly(), open_database(settings, say) as opened:
        _serve(settings, opened, place, with_worker=with_worker)


def run(
    host: Host = "127.0.0.1",
    port: Port = 8000,
    demo: Annotated[DemoChoice, typer.Option(help="Demo city to load once.")] = DemoChoice.FULL,
    cert: Cert = None,
    key: Key = None,
    local_certificate: Local = False,
) -> None:
    """Start the database, load the demo city once, and serve until Ctrl-C."""
    began_s = time.monotonic()
    settings = Settings()
    place = _place(settings, host, port, cert, key, local_certificate)
    if demo is not DemoChoice.NONE:
        serving.refuse_demo_city(host, behind_proxy=settings.behind_proxy)
    with _orders_end_cleanly(), open_database(settings, say) as opened:
        if demo is not DemoChoice.NONE:
            load_demo_once(opened, Wish(Size(demo.value)))
        _serve(settings, opened, place, began_s)


def _place(
    settings: Settings, host: str, port: int, cert: Path | None, key: Path | None, local: bool
) -> Place:
    if (cert is None) != (key is None):
        raise typer.BadParameter("--cert and --key belong together.")
    certificate = serving.Certificate(cert, key) if cert and key else None
    if local and certificate is None:
        folder = settings.project_dir / ".wangge" / "tls"
        certificate = serving.local_certificate(folder, host)
    serving.demand_certificate(host, certificate)
    return Place(host, port, certificate)


def _serve(
    settings: Settings,
    opened: Opened,
    place: Place,
    began_s: float | None = None,
    *,
    with_worker: bool = True,
) -> None:
    from api.app import create_app  # the web is loaded by the commands that serve alone

    accounts = demo_accounts(opened.engine)
    logins = [login for _, _, login in accounts]
    cities = [city for city, _, _ in accounts]
    serving.refuse_demo_accounts(place.host, logins, cities, behind_proxy=settings.behind_proxy)
    with owner_transaction(opened.engine) as session:
        code = service.founding.setup_code(session)
        shown = {city["slug"]: city["name"] for city in service.list_cities(session)}
    listening = serving.bind(place.host, place.port)
    address = serving.address_of(listening, place.host, place.certificate)

    def ready() -> None:
        if accounts:
            err.print(_table_of(accounts, shown))
        took = f" ({time.monotonic() - began_s:.1f} s)" if began_s else ""
        err.print(f"[bold green]●[/] The map is at [bold]{address}[/]{took}   Ctrl-C ends it")
        if code:
            err.print(f"  To begin a city of your own: {address}start   setup code [bold]{code}[/]")
        if place.certificate:
            err.print(f"  certificate, SHA-256: {place.certificate.fingerprint}", style="dim")

    settings = _placed(settings, place)
    database = Database(
        opened.addresses.app,
        context_key(opened.engine),
        pool_size=settings.pool_size,
        statement_s=settings.statement_seconds,
    )
    try:
        app = create_app(settings, database, demo_accounts=_offered(opened, accounts))
        server = serving.make_server(
            app, place.certificate, behind_proxy=settings.behind_proxy, ready=ready
        )
        signal.signal(signal.SIGHUP, lambda *_: server.handle_exit(signal.SIGTERM, None))
        borders = upkeep.beside(database, service.Kept(settings.project_dir / ".wangge" / "kept"))
        with borders, worker.beside() if with_worker else nullcontext():
            server.run(sockets=[listening])
    finally:
        database.close()
        listening.close()


def _placed(settings: Settings, place: Place) -> Settings:
    """Return the settings of a server that stands there."""
    names = {*settings.host_names, place.host, socket.gethostname()}
    encrypted = settings.behind_proxy or place.certificate is not None
    secure = settings.secure_cookies or encrypted
    return settings.model_copy(update={"secure_cookies": secure, "hosts": ",".join(sorted(names))})


def _offered(opened: Opened, accounts: list[tuple[str, str, str]]) -> list[dict[str, str]]:
    """Return the demo accounts as the page of sign-in offers them."""
    with owner_transaction(opened.engine) as session:
        named = {city["slug"]: city for city in service.list_cities(session)}
    return [
        {
            "role": role,
            "login": login,
            "password": service.DEMO_PASSWORD,
            "city": named[city]["name"],
            "city_en": named[city]["name_en"],
        }
        for city, role, login in accounts
    ]


def _table_of(accounts: list[tuple[str, str, str]], names: dict[str, str]) -> Table:
    title = f"Demo accounts, password {service.DEMO_PASSWORD}"
    table = Table(title=title, title_justify="left", box=None, padding=(0, 2))
    table.add_column("city")
    table.add_column("role")
    table.add_column("login", style="bold")
    for city, role, login in accounts:
        table.add_row(f"{names[city]} ({city})", role, login)
    return table


@contextmanager
def _orders_end_cleanly() -> Iterator[None]:
    """Turn orders to end into the same way out as Ctrl-C, which stops what was started."""

    def leave(number: int, frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    held = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    except KeyboardInterrupt:
        say("Stopped.")
    finally:
        for number, handler in held.items():
            signal.signal(number, handler)
