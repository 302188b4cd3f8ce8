"""`wangge demo`: a made-up city, large or small, the same for the same seed."""

from __future__ import annotations

from enum import StrEnum

from api.commands.opening import Opened
from geo.errors import SetupError


class Size(StrEnum):
    """Ready-made sizes of the demo city."""

    FULL = "full"
    SMALL = "small"


def load_demo_once(opened: Opened, size: Size) -> None:
    """Load the demo city of this size unless it is there."""
    raise SetupError("not yet")
