"""Frames rendered once: pages of the same view differ in their nonce alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import lru_cache
from typing import Any

from markupsafe import Markup

from maps.page import Frame
from maps.views import RasterTiles, ViewOptions

MOST_FRAMES = 128
NONCE = "{nonce}"
"""Stands for the nonce in what is kept; data cannot hold it, since their braces are entities."""
NAMED = ("slug", "name", "name_en", "bbox", "levels", "station_kinds")
"""What frames tell of a city."""


def kept_frame(
    make: Callable[..., Frame],
    city: Mapping[str, Any],
    net: Mapping[str, Any],
    options: ViewOptions,
    *,
    first: Sequence[str] = (),
    **more: Any,
) -> Frame:
    """Return the frame that `make` gives for these arguments, rendered the first time alone.

    Parameters
    ----------
    make : callable
        `maps.views.net_frame` or its like: its answer depends on nothing but its arguments.
    city, net, options
        As `make` takes them.
    first : sequence of str
        Arguments of `make` before these.
    **more
        Further arguments of `make` that JSON can hold.
    """
    named = {name: city[name] for name in NAMED if name in city}
    told = json.dumps(
        [named, dict(net), asdict(replace(options, nonce=NONCE)), [*first], more], default=str
    )
    frame = _rendered(make, told)
    parts = (part.replace(NONCE, options.nonce) for part in (frame.header, frame.html))
    header, html = (Markup(part) for part in parts)  # noqa: S704 (Markup before, and escapes)
    return Frame(header=header, html=html, script=frame.script, nonce=options.nonce)


@lru_cache(maxsize=MOST_FRAMES)
def _rendered(make: Callable[..., Frame], told: str) -> Frame:
    city, net, chosen, first, more = json.loads(told)
    if chosen["raster"] is not None:
        chosen["raster"] = RasterTiles(**chosen["raster"])
    return make(*first, city, net, ViewOptions(**chosen), **more)
