"""Layers of the maps of figures: squares, filled grids, names, dots, ground that comes later."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from maps.layers import Early, PageLayer

PROTOMAPS = "vendor/protomaps/protomaps-leaflet.js"


class SquaresLayer(PageLayer):
    """Fixed squares of the metre CRS; the page's script fetches their figures and fills them.

    Parameters
    ----------
    address : str
        Figures of squares.
    options : mapping
        ``opacity`` of the fills.
    early : sequence of str or Early
        Addresses that a browser may fetch while the scripts are on their way.
    """

    kind = "squares"
    modules = ("map/squares-layer.js", "map/hatches.js")

    def __init__(
        self, address: str, options: Mapping[str, Any], early: Sequence[str | Early] = ()
    ) -> None:
        super().__init__({"address": address, **options}, early)


class AreasLayer(PageLayer):
    """Grids of one level filled by a figure, with signs.

    Parameters
    ----------
    options : mapping
        ``opacity`` of the fills.
    """

    kind = "areas"
    modules = ("map/areas-layer.js", "map/hatches.js")


class NamesLayer(PageLayer):
    """Names of grids from the net's own topology."""

    kind = "names"
    modules = ("map/names-layer.js",)


class DotsLayer(PageLayer):
    """Open stations as dots.

    Parameters
    ----------
    address : str
        GeoJSON of stations.
    """

    kind = "dots"
    modules = ("map/dots-layer.js",)

    def __init__(self, address: str) -> None:
        super().__init__({"address": address})


class LaterBaseLayer(PageLayer):
    """The city's ground, fetched with its library once the map is near enough.

    Parameters
    ----------
    tiles : str
        Address with ``{z}``, ``{x}`` and ``{y}``.
    options : mapping
        As `BaseLayer`, and ``from``: the first zoom that shows it.
    static : str
        Where the static folder is served.
    """

    kind = "later-base"
    modules = ("map/later-base-layer.js",)

    def __init__(self, tiles: str, options: Mapping[str, Any], static: str) -> None:
        super().__init__({"tiles": tiles, "library": f"{static}/{PROTOMAPS}", **options})
