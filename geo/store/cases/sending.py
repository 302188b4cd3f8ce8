"""What leaves the house about issues: written with the act, sent by the worker, once or again.

A message names the issue, its state and who it is for, never the words or a contact of a reporter.
In the demo, and until an operator names a way, messages are lines of a file.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from sqlalchemy import case, func, insert, select, update
from sqlalchemy.orm import Session

from geo.tables import Outbox
from geo.terms import IssueAct, IssueState, MessageKind, MessageState

TOLD: Final = frozenset({
    IssueAct.DISPATCH, IssueAct.JOIN, IssueAct.REWORK, IssueAct.ESCALATE, IssueAct.SUPERVISE,
    IssueAct.WARN, IssueAct.CLOSE, IssueAct.REOPEN,
})  # fmt: skip
"""Acts that somebody outside the page is told of."""
PAUSES: Final = (
    timedelta(0), timedelta(minutes=5), timedelta(minutes=30), timedelta(hours=4),
    timedelta(days=1),
)  # fmt: skip
"""How long after it was written a message is tried for the first time, the second ..."""
MOST_ATTEMPTS: Final = len(PAUSES)
MOST_FAILURES: Final = 3
"""After so many failures in a round, a way is left alone until the next one."""
AT_ONCE: Final = 200


@dataclass(frozen=True)
class Way:
    """How messages for a target leave: e-mail, webhook or a file, and its address."""

    kind: MessageKind
    address: str


Sender = Callable[[Way, Mapping[str, Any]], None]
"""Sends one message, or raises `OSError`."""


def tell(
    session: Session,
    city_id: int,
    issue: int,
    act: IssueAct,
    state: IssueState,
    organisation: int | None = None,
) -> None:
    """Put a message into the outbox, if the act is one that is told."""
    if act not in TOLD:
        return
    target = f"organisation/{organisation}" if organisation else "desk"
    session.execute(
        insert(Outbox).inline().values(
            city_id=city_id, issue_id=issue, kind=MessageKind.FILE.value, target=target,
            subject=f"issue {issue}: {act.value}",
            body={"issue": issue, "act": act.value, "state": state.value},
        )
    )  # fmt: skip


def send(
    session: Session,
    folder: Path,
    ways: Mapping[str, Way] | None = None,
    senders: Mapping[MessageKind, Sender] | None = None,
    now: datetime | None = None,
) -> dict[str, int]:
    """Send what is due; return how many were sent and how many failed for good; for the owner.

    Parameters
    ----------
    session : Session
    folder : Path
        Where the file of messages lies that have no other way.
    ways : mapping, optional
        By target; `*` is for all others.
    senders : mapping, optional
        Of e-mail and webhooks; without one, such messages wait.
    now : datetime, optional
        Aware; by the database's clock without.
    """
    ways, senders = ways or {}, senders or {}
    pause = case(dict(enumerate(PAUSES)), value=Outbox.attempts)
    waiting = session.execute(
        select(Outbox.__table__)
        .where(
            Outbox.state == MessageState.WAITING.value,
            Outbox.created_at + pause <= (now or func.clock_timestamp()),
        )
        .order_by(Outbox.message_id)
        .limit(AT_ONCE)
        .with_for_update(skip_locked=True)
    ).all()
    done = {"sent": 0, "failed": 0}
    failures: Counter[Way] = Counter()
    for row in waiting:
        way = ways.get(row.target) or ways.get("*") or Way(MessageKind.FILE, "outbox.jsonl")
        if failures[way] >= MOST_FAILURES:
            continue
        message = {
            "city": row.city_id, "message": row.message_id, "target": row.target,
            "subject": row.subject, **row.body,
        }  # fmt: skip
        values: dict[str, Any] = {"kind": way.kind.value, "attempts": row.attempts + 1}
        try:
            if way.kind is MessageKind.FILE:
                _into_file(folder / Path(way.address).name, message)
            elif way.kind in senders:
                senders[way.kind](way, message)
            else:
                continue
        except OSError as error:
            failures[way] += 1
            lost = row.attempts + 1 >= MOST_ATTEMPTS
            values |= {"error": type(error).__name__}
            values |= {"state": MessageState.FAILED.value} if lost else {}
            done["failed"] += lost
        else:
            values |= {"state": MessageState.SENT.value, "sent_at": func.clock_timestamp()}
            done["sent"] += 1
        session.execute(
            update(Outbox)
            .where(Outbox.city_id == row.city_id, Outbox.message_id == row.message_id)
            .values(**values)
        )
    return done


def _into_file(path: Path, message: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(message, ensure_ascii=False) + "\n")
