"""What a proof says in the end: one sentence with its figure, and whether it held."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Say = Callable[[str], None]
"""Takes what runs now, for the progress line."""


@dataclass(frozen=True)
class Claim:
    """One promise as it was found.

    Attributes
    ----------
    promise : str
        What was to be shown.
    figure : str
        What was counted or measured.
    held : bool
    """

    promise: str
    figure: str
    held: bool
