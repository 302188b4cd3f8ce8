"""`wangge demo`: a made-up city, large or small, the same for the same seed."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer
from sqlalchemy import select, text

from api.commands.opening import Opened, open_database
from api.commands.terminal import Json, answer, progress, say
from geo import service
from geo.db import owner_transaction
from geo.profiles import load_profile
from geo.settings import Settings
from geo.store import audit
from geo.tables import City

LOADING = 7_229_002
"""Advisory lock: one process at a time loads a demo city."""

MADE = "city.demo"
"""Action of the log's row that says what a demo city was made with."""


class Size(StrEnum):
    """Ready-made sizes of the demo city."""

    FULL = "full"
    SMALL = "small"


@dataclass(frozen=True)
class Wish:
    """Which demo city is wanted."""

    size: Size = Size.FULL
    grids: int | None = None
    issues: int | None = None
    seed: int = 1
    until: date | None = None

    @property
    def slug(self) -> str:
        """Short name of the city that the generator makes."""
        from geo.demo import SIZES  # the generator is loaded by those who need it

        return SIZES[self.size.value].slug if self.grids is None else f"demo-{self.grids}"


def demo(
    size: Annotated[Size, typer.Option(help="A whole city, or one community.")] = Size.FULL,
    grids: Annotated[int | None, typer.Option(min=12, help="Another number of grids.")] = None,
    issues: Annotated[int | None, typer.Option(min=0, help="Another number of issues.")] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Same seed, same city; default: 1.")
    ] = None,
    until: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d"],
            help="First day after its year of requests; default: today in the city.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Make a demo city and load it with an account of each role, unless it is there already."""
    day = until.date() if until else None
    wish = Wish(size, grids, issues, 1 if seed is None else seed, day)
    began_s = time.monotonic()
    with open_database(Settings(), say) as opened:
        loaded = load_demo_once(opened, wish)
        made_with = _made_with(opened, wish.slug)
    asked = {
        "seed": seed,
        "issues": issues,
        "until": day and day.isoformat(),
        **({"size": size.value} if made_with else {}),
    }
    unmet = {
        name: value
        for name, value in asked.items()
        if value is not None and value != made_with.get(name)
    }
    took_s = round(time.monotonic() - began_s, 1)
    line = f"The demo city '{wish.slug}' is "
    line += f"loaded in {took_s} s." if loaded else "there already"
    if not loaded:
        line += f", made with {_listed(made_with)}." if made_with else "."
    if unmet:
        line += (
            f" It was not made again with {_listed(unmet)}: to have that, delete it first "
            f"(wangge city drop {wish.slug}), then type this again."
        )
    data = {"slug": wish.slug, "loaded": loaded, "seconds": took_s}
    answer(as_json, {**data, "made_with": made_with, "unmet": unmet}, line)


def _listed(values: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items() if value is not None)


def _made_with(opened: Opened, slug: str) -> dict[str, Any]:
    """Return what the demo city that stands was made with; empty where that is not on record."""
    with owner_transaction(opened.engine) as session:
        return audit.latest(session, service.city_id_of(session, slug), MADE) or {}


def load_demo_once(opened: Opened, wish: Wish) -> bool:
    """Load a demo city and its accounts; False when it is there. A second process waits."""
    with opened.engine.connect() as guard:
        taken = text("SELECT pg_try_advisory_lock(:key)")
        if not guard.scalar(taken, {"key": LOADING}):
            say("Another process is loading a demo city; waiting for it.")
            guard.execute(text("SELECT pg_advisory_lock(:key)"), {"key": LOADING})
        guard.commit()
        try:
            return _load(opened, wish)
        finally:
            guard.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": LOADING})
            guard.commit()


def _load(opened: Opened, wish: Wish) -> bool:
    from geo.demo import generate

    with owner_transaction(opened.engine) as session:
        if session.scalar(select(City.city_id).where(City.slug == wish.slug)) is not None:
            return False
    until = wish.until or datetime.now(ZoneInfo(load_profile("cn").timezone)).date()
    with progress() as step:
        dataset = generate(
            wish.seed,
            wish.size.value,
            grids=wish.grids,
            issues=wish.issues,
            until=until,
            progress=lambda what, share: step(f"Making the demo city: {what}", share),
        )
        with owner_transaction(opened.engine) as session:
            city_id = service.load_dataset(
                session,
                dataset,
                demo=True,
                progress=lambda what, share: step(f"Loading it: {what}", share),
            )
            service.create_demo_accounts(session, dataset.slug)
            made_with = {"size": wish.size.value, "seed": wish.seed, "issues": wish.issues,
                         "until": until.isoformat()}  # fmt: skip
            audit.append(session, city_id, MADE, f"city/{dataset.slug}", made_with)
    return True
