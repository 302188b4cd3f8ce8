"""`wangge device`: the list of things that may tell of themselves."""

from __future__ import annotations

from typing import Annotated

import typer

from api.commands.issue import As, _at_work
from api.commands.terminal import Json, answer
from geo import service
from geo.terms import DeviceKind

app = typer.Typer(no_args_is_help=True, help="Things that tell of themselves by signed alarms.")

Number = Annotated[int, typer.Argument(help="Number of the device.", min=1)]


@app.command("list")
def list_devices(login: As, as_json: Json = False) -> None:
    """List the things that may tell of themselves, and what they told last."""
    with _at_work(login) as (session, viewer, _):
        found = service.devices.listed(session, viewer)
    lines = [
        f"{row['device']}  {row['code']}  {row['kind']}  {row['name']}"
        f"  {'' if row['enabled'] else 'shut'}  {row['last_at'] or 'never'}"
        for row in found
    ]
    answer(as_json, {"items": found}, "\n".join(lines) or "There is none yet.")


@app.command("add")
def add_device(
    login: As,
    name: Annotated[str, typer.Option(help="What it is and where, not whose.")],
    kind: Annotated[DeviceKind, typer.Option(help="What it watches.")],
    category: Annotated[str, typer.Option(help="Of the issues that its alarms become.")],
    lon: Annotated[float, typer.Option(help="Degrees.")],
    lat: Annotated[float, typer.Option(help="Degrees.")],
    as_json: Json = False,
) -> None:
    """Put a thing on the list; its key is told this once."""
    with _at_work(login) as (session, viewer, at):
        made = service.devices.add(
            session, viewer, at, name=name, kind=kind, category=category, lon=lon, lat=lat
        )
    answer(as_json, made, f"Device {made['device']}, code {made['code']}, key {made['secret']}")


@app.command("change")
def change_device(
    login: As,
    device: Number,
    name: Annotated[str | None, typer.Option(help="New name.")] = None,
    category: Annotated[str | None, typer.Option(help="New category.")] = None,
    enabled: Annotated[
        bool | None, typer.Option("--open/--shut", help="Whether its alarms are taken.")
    ] = None,
    new_key: Annotated[bool, typer.Option("--new-key", help="The old one is worthless.")] = False,
    as_json: Json = False,
) -> None:
    """Rename a thing, shut it, or give it a new key."""
    with _at_work(login) as (session, viewer, _):
        secret = service.devices.change(
            session, viewer, device, name=name, category=category, enabled=enabled, new_key=new_key
        )
    answer(as_json, {"secret": secret}, f"New key {secret}" if secret else "Changed.")
