"""Files into a city: deliveries, the work on them as jobs, what they change and the way back."""

from __future__ import annotations

from geo.importing.wishes import COLUMNS, ImportWish, wish_from_data
from geo.store.importing.deliveries import Limits, Received
from geo.store.importing.desk import (
    PARTS,
    admit,
    ask,
    cancel,
    folder_for_part,
    list_imports,
    receive,
    show_import,
    show_part,
)
from geo.store.importing.files import MOST_PARTS, new_folder, plain_name

__all__ = [
    "COLUMNS",
    "MOST_PARTS",
    "PARTS",
    "ImportWish",
    "Limits",
    "Received",
    "admit",
    "ask",
    "cancel",
    "folder_for_part",
    "list_imports",
    "new_folder",
    "plain_name",
    "receive",
    "show_import",
    "show_part",
    "wish_from_data",
]
