"""Figures told again from memory for as long as all they depend on stays the same."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Callable
from typing import Any

from fastapi import Request
from sqlalchemy.orm import Session

from geo import service


def stamped(
    request: Request,
    session: Session,
    asked: service.Asked,
    question: str,
    make: Callable[[], bytes],
) -> tuple[str, bytes]:
    """Return the tag and the compressed bytes of an answer, made once for each stamp.

    Parameters
    ----------
    request : Request
    session : Session
        Of somebody who may have the answer: it is the same for all who may.
    asked : service.Asked
    question : str
        All that the answer depends on besides the stamp of the figures.
    make : callable
        Returns the bytes.
    """
    state = request.app.state
    if not hasattr(state, "kept_figures"):
        state.kept_figures = service.Kept()
    told = f"{service.figures_stamp(session, asked)} {question}"
    tag = hashlib.sha256(told.encode()).hexdigest()[:24]
    zipped: bytes = state.kept_figures.zipped(tag, make)
    return tag, zipped


def reckoned(
    request: Request,
    session: Session,
    asked: service.Asked,
    question: str,
    make: Callable[[], Any],
) -> Any:
    """Return plain values, as JSON holds them, reckoned once for each stamp; see `stamped`."""
    _, zipped = stamped(request, session, asked, question, lambda: json.dumps(make()).encode())
    return json.loads(gzip.decompress(zipped))
