"""The desk of issues in a city of 2.7 million: how long a page takes, by role, tab and filter.

The made-up city has 6,562 grids. People of six roles, each with its permissions, ask a server in a
process of its own for pages of their desks. What a first page holds is compared with a question of
the owner, who walks down the grids of the net instead of reading the columns that desks use.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import httpx
import numpy as np
from sqlalchemy import Engine, text

from geo import service
from geo.db import migrate, owner_engine, owner_transaction
from geo.demo import generate
from geo.terms import Role
from proofs.claims import Claim, Say
from proofs.served import served
from tests import databases

ISSUES: Final = 2_700_000
GRIDS: Final = 6_562
LEAST_GRIDS: Final = 454
LIMIT_MS: Final = 50.0
ROUNDS: Final = 20
PAGE: Final = 100
"""Issues that the page asks for at a time."""
MADE_FROM: Final = (
    "geo/dataset.py",
    "geo/demo/*.py",
    "geo/migrations/versions/*.py",
    "geo/store/loading.py",
    "proofs/desks.py",
)
SUBDISTRICT: Final = "proof-subdistrict"
LOGINS: Final = ("worker", "community", "department", "leader", "administrator", SUBDISTRICT)

FIRST_PAGES: Final[dict[str, dict[str, str]]] = {
    "all": {},
    "category": {"category": "E04"},
    "with departments": {"held": "0"},
    "own level": {"held": "4"},
    "closed": {"box": "closed"},
}
"""Questions whose answers are compared."""
_BOXES: Final = (
    "new", "due_today", "overdue", "to_check", "supervised", "parked", "suspended",
)  # fmt: skip
_FURTHER: Final[dict[str, dict[str, str]]] = {
    **{box: {"box": box} for box in _BOXES},
    "period": {"from": "2026-03-01", "to": "2026-03-07"},
    "channel": {"channel": "hotline"},
    "words": {"q": "路灯"},
    "words of nobody": {"q": "没有这样的字"},
}

# All below the areas of an account, found by walking down; an issue lies where its cell does.
_SEEN: Final = text("""
    WITH RECURSIVE own (grid_id) AS (
        SELECT unnest(CAST(:areas AS bigint[]))
        UNION SELECT g.grid_id FROM net_grid AS g JOIN own ON g.parent_id = own.grid_id
        WHERE g.city_id = :city AND g.to_seq = 2147483647
    ), on_net AS (
        SELECT c.cell_id FROM net_cell AS c JOIN own USING (grid_id)
        WHERE c.city_id = :city AND c.to_seq = 2147483647
    )
    SELECT i.issue_id FROM issue AS i
    WHERE i.city_id = :city AND (i.set_aside IS NULL OR NOT :open)
        AND (i.state NOT IN ('closed', 'void')) = :open
        AND (:everything OR i.cell_id IN (SELECT cell_id FROM on_net)
            OR i.organisation_id = :organisation OR :organisation = ANY(i.assisting))
        AND (CAST(:category AS text) IS NULL OR starts_with(i.category, :category))
        AND (CAST(:held AS int) IS NULL OR CASE :held
            WHEN 0 THEN i.organisation_id IS NOT NULL
            ELSE i.organisation_id IS NULL AND i.desk_level = :held END)
    ORDER BY CASE WHEN :open THEN i.due_at END, CASE WHEN :open THEN i.issue_id END,
        i.reported_at DESC, i.issue_id DESC
    LIMIT :page
""")


@dataclass(frozen=True)
class Answer:
    """One answer of a desk: what was asked, how long it took, which issues it held."""

    kind: str
    asked: dict[str, str]
    ms: float
    issues: list[int]
    first: bool = False


@dataclass(frozen=True)
class Who:
    """Somebody with a desk: an account, and what it may see."""

    login: str
    city: int
    everything: bool
    areas: tuple[int, ...]
    organisation: int | None


def prove(effort: float = 1.0, say: Say = lambda words: None) -> list[Claim]:
    """Ask for desks of the large city; less effort is a smaller one."""
    issues, grids = round(ISSUES * effort), max(round(GRIDS * effort), LEAST_GRIDS)
    with databases.server() as server:

        def fill(name: str) -> None:
            fill_city(server.owner_url(name), grids, issues, say)

        made = databases.fingerprint(*MADE_FROM)
        name = server.template(f"desks{issues}", made, fill)
        return desks(server.owner_url(name), server.app_url(name), ROUNDS, say)


def fill_city(owner_url: str, grids: int, issues: int, say: Say) -> None:
    """Make a city with an account of each role, and one for a sub-district."""
    engine = owner_engine(owner_url)
    migrate(engine)
    dataset = generate(
        grids=grids, issues=issues, progress=lambda what, share: say(f"making {what} {share:.0%}")
    )
    with owner_transaction(engine) as session:
        city = service.load_dataset(
            session, dataset, demo=True, progress=lambda what, share: say(f"loading {what}")
        )
        service.create_demo_accounts(session, dataset.slug)
    with owner_transaction(engine) as session:
        most = session.scalar(text("""
            SELECT area_1 FROM issue WHERE city_id = :city
            GROUP BY area_1 ORDER BY count(*) DESC, area_1 LIMIT 1
        """), {"city": city})  # fmt: skip
        service.create_account(
            session, city, login=SUBDISTRICT, password=service.DEMO_PASSWORD,
            role=Role.COMMUNITY, display_name="街道", grid_ids=[most], demo=True,
        )  # fmt: skip
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM ANALYZE")
    engine.dispose()


def desks(owner_url: str, app_url: str, rounds: int, say: Say) -> list[Claim]:
    """Time the desks of a filled database with an account of each role."""
    engine = owner_engine(owner_url)
    slug, issues, people = _people(engine)
    taken_ms: dict[str, list[float]] = {}
    counts_ms: list[float] = []
    compared: dict[str, bool] = {}
    with served(owner_url, app_url) as port:
        base = f"http://127.0.0.1:{port}/api/v1"
        for who in people:
            with _signed_in(base, who.login) as client:
                for one in _answers(client, f"{base}/cities/{slug}", rounds):
                    say(f"{who.login}: {one.kind}")
                    name = f"{who.login}: {one.kind}"
                    taken_ms.setdefault(name, []).append(one.ms)
                    if one.first:
                        compared[name] = one.issues == _expected(engine, who, one.asked)
                for _ in range(rounds):
                    counts_ms.append(_asked(client, f"{base}/cities/{slug}/desk/counts", {})[0])
    engine.dispose()
    return _claims(issues, taken_ms, counts_ms, compared)


def _people(engine: Engine) -> tuple[str, int, list[Who]]:
    """Return the city, how many issues it has, and whose desks are asked for."""
    with engine.connect() as connection:
        city, slug = connection.execute(text("SELECT city_id, slug FROM city")).one()
        issues = connection.scalar(text("SELECT count(*) FROM issue"))
        rows = connection.execute(text("""
            SELECT u.login, u.role, u.organisation_id,
                array_remove(array_agg(a.grid_id), NULL) AS areas
            FROM user_account AS u LEFT JOIN area_grant AS a USING (city_id, user_id)
            WHERE u.login = ANY(:logins)
            GROUP BY u.user_id, u.login, u.role, u.organisation_id ORDER BY u.user_id
        """), {"logins": list(LOGINS)}).all()  # fmt: skip
    wide = ("leader", "administrator")
    people = [
        Who(row.login, city, row.role in wide, tuple(row.areas), row.organisation_id)
        for row in rows
    ]
    return slug, int(issues or 0), people


@contextmanager
def _signed_in(base: str, login: str) -> Iterator[httpx.Client]:
    """Yield a client with the session of an account, over one connection as browsers have it."""
    with httpx.Client(timeout=60) as client:
        who = {"login": login, "password": service.DEMO_PASSWORD}
        client.post(f"{base}/session", json=who).raise_for_status()
        yield client


def _answers(client: httpx.Client, base: str, rounds: int) -> Iterator[Answer]:
    """Ask for first pages again and again, and for one page after the other."""
    first = _asked(client, f"{base}/desk", {"limit": str(PAGE)})[1]
    for kind, asked in FIRST_PAGES.items():
        for turn in range(rounds):
            ms, found = _asked(client, f"{base}/desk", {"limit": str(PAGE), **asked})
            yield Answer(kind, asked, ms, [one["issue"] for one in found["items"]], turn == 0)
    for kind, asked in (_FURTHER | _around(first["items"])).items():
        after: dict[str, str] = {}
        for _ in range(rounds):
            ms, found = _asked(client, f"{base}/desk", {"limit": str(PAGE), **asked, **after})
            yield Answer(kind, asked, ms, [one["issue"] for one in found["items"]])
            after = {"after": found["next"]} if found.get("next") else {}


def _around(items: list[dict[str, Any]]) -> dict[str, dict[str, str]]:
    """Return questions about an issue on the desk: its surroundings, grid, number and state."""
    if not items:
        return {}
    one = items[len(items) // 2]
    west, south = one["lon"] - 0.01, one["lat"] - 0.01
    return {
        "map": {"bbox": f"{west:.6f},{south:.6f},{west + 0.02:.6f},{south + 0.02:.6f}"},
        "grid": {"grid": str(one["grid"])},
        "number": {"q": str(one["issue"])},
        "state": {"state": one["state"]},
    }


def _asked(client: httpx.Client, address: str, asked: dict[str, str]) -> tuple[float, Any]:
    """Return how long an answer took, in milliseconds until its last byte is here, and it."""
    began = time.perf_counter()
    answer = client.get(address, params=asked)
    took_ms = (time.perf_counter() - began) * 1e3
    answer.raise_for_status()
    return took_ms, answer.json()


def _expected(engine: Engine, who: Who, narrow: dict[str, str]) -> list[int]:
    """Return the issues of a first page as the owner finds them."""
    held = int(narrow["held"]) if "held" in narrow else None
    asked = {
        "city": who.city, "areas": list(who.areas), "everything": who.everything,
        "organisation": who.organisation, "open": narrow.get("box") != "closed",
        "category": narrow.get("category"), "held": held, "page": PAGE,
    }  # fmt: skip
    with engine.connect() as connection:
        return list(connection.scalars(_SEEN, asked))


def _claims(
    issues: int,
    taken_ms: dict[str, list[float]],
    counts_ms: list[float],
    compared: dict[str, bool],
) -> list[Claim]:
    each = np.concatenate([np.asarray(one) for one in taken_ms.values()])
    late = float(np.quantile(each, 0.95))
    by_kind = {name: float(np.quantile(one, 0.95)) for name, one in taken_ms.items()}
    slowest = max(by_kind, key=by_kind.__getitem__)
    counted = float(np.quantile(counts_ms, 0.95))
    wrong = [name for name, right in compared.items() if not right]
    return [
        Claim("each first page holds what the owner finds",
              "; ".join([f"{len(compared) - len(wrong)} of {len(compared)} pages", *wrong]),
              bool(compared) and not wrong),
        Claim(f"95 % of the pages within {LIMIT_MS:g} ms, permissions on",
              f"{late:.1f} ms of {len(each):,} pages in a city of {issues:,} issues; half of them "
              f"{np.median(each):.1f} ms, the slowest {each.max():.1f} ms", late <= LIMIT_MS),
        Claim(f"and those of each kind by themselves, {len(by_kind)} kinds by account",
              f"slowest {slowest}, {by_kind[slowest]:.1f} ms", by_kind[slowest] <= LIMIT_MS),
        Claim("the counts on its tabs within 500 ms",
              f"{counted:.1f} ms, half of them {np.median(counts_ms):.1f} ms", counted <= 500.0),
    ]  # fmt: skip
