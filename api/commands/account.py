"""`wangge account`: the accounts of a city, made, changed and shut by the operator."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from api.commands.opening import open_database
from api.commands.terminal import Json, answer, say
from geo import service
from geo.db import owner_transaction
from geo.errors import InvalidInputError
from geo.settings import Settings
from geo.terms import Role

app = typer.Typer(no_args_is_help=True, help="The accounts of a city.")

Login = Annotated[str, typer.Argument(help="What the person signs in with.")]
Given = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password, one line of standard input.")
]


@app.command()
def add(
    city: Annotated[str, typer.Option(help="Short name of the city.")],
    login: Annotated[str, typer.Option(help="What the person signs in with.")],
    role: Annotated[Role, typer.Option(help="Who the person is for the program.")],
    name: Annotated[str, typer.Option(help="Name, as people write it.")],
    grid: Annotated[
        list[str] | None,
        typer.Option(help="Code or id of a grid to act in; may be given several times."),
    ] = None,
    organisation: Annotated[
        int | None, typer.Option(help="Id of the organisation; a department needs one.")
    ] = None,
    password_stdin: Given = False,
    as_json: Json = False,
) -> None:
    """Make an account; its password is asked for, read, or made up and printed this once."""
    if role is Role.PUBLIC:
        raise InvalidInputError("The public needs no account.", field="role")
    password, made_up = _password(password_stdin, as_json)
    with open_database(Settings(), say) as opened, owner_transaction(opened.engine) as session:
        city_id = service.city_id_of(session, city)
        service.create_account(
            session,
            city_id,
            login=login,
            password=password,
            role=role,
            display_name=name.strip() or login,
            grid_ids=service.grids_named(session, city_id, grid or []),
            organisation_id=organisation,
        )
    made = {"city": city, "login": login.lower(), "role": role.value}
    line = f"The account '{made['login']}' ({role}) of the city '{city}' was made."
    _answer(as_json, made, line, password if made_up else None)


@app.command()
def password(login: Login, password_stdin: Given = False, as_json: Json = False) -> None:
    """Give an account a new password; whoever is signed in with it must sign in again."""
    word, made_up = _password(password_stdin, as_json)
    with open_database(Settings(), say) as opened, owner_transaction(opened.engine) as session:
        service.set_password(session, login, word)
    line = f"The account '{login}' has a new password; its sign-ins were ended."
    _answer(as_json, {"login": login}, line, word if made_up else None)


@app.command()
def disable(login: Login, as_json: Json = False) -> None:
    """Shut an account and end its sign-ins."""
    with open_database(Settings(), say) as opened, owner_transaction(opened.engine) as session:
        service.disable_account(session, login)
    line = f"The account '{login}' is shut; its sign-ins were ended."
    answer(as_json, {"login": login, "disabled": True}, line)


@app.command()
def enable(login: Login, as_json: Json = False) -> None:
    """Open a shut account again."""
    with open_database(Settings(), say) as opened, owner_transaction(opened.engine) as session:
        service.enable_account(session, login)
    answer(as_json, {"login": login, "disabled": False}, f"The account '{login}' is open again.")


@app.command("list")
def list_accounts(
    city: Annotated[str | None, typer.Option(help="Short name of a city; default: all.")] = None,
    as_json: Json = False,
) -> None:
    """List the accounts of a city."""
    with open_database(Settings(), say) as opened, owner_transaction(opened.engine) as session:
        city_id = None if city is None else service.city_id_of(session, city)
        found = service.list_accounts(session, city_id)
    answer(as_json, {"accounts": found}, "\n".join(map(_line, found)) or "There is no account yet.")


def _line(account: dict[str, Any]) -> str:
    marks = [mark for mark in ("demo", "disabled") if account[mark]]
    if account["organisation"] is not None:
        marks.insert(0, f"organisation {account['organisation']}")
    if account["grids"]:
        marks.insert(0, f"grids {' '.join(account['grids'])}")
    told = f"{account['city']:<16} {account['role']:<14} {account['login']:<24} {account['name']}"
    return f"{told} ({', '.join(marks)})" if marks else told


def _password(from_stdin: bool, as_json: bool) -> tuple[str, bool]:
    """Return a password, and whether it was made up because nobody gave one."""
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n"), False
    typed = ""
    if sys.stdin.isatty() and not as_json:
        typed = typer.prompt(
            "Password (nothing: one is made up)",
            default="",
            show_default=False,
            hide_input=True,
            confirmation_prompt=True,
            err=True,
        )
    return typed or service.desk.new_password(), not typed


def _answer(as_json: bool, data: dict[str, Any], line: str, password: str | None) -> None:
    """Answer with a password that was made up; it is stored nowhere else."""
    if password is None:
        answer(as_json, data, line)
    else:
        told = f"{line}\nPassword, shown this once: {password}"
        answer(as_json, {**data, "password": password}, told)
