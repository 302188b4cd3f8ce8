"""Our layers of a map: each is an address and options, never data; the browser fetches the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

from branca.element import MacroElement
from folium.elements import JSCSSMixin
from folium.template import Template

from maps.page import attribute_json, attribute_text

_PROTOMAPS_JS = [("protomaps", "protomaps-leaflet.js")]
_CLUSTER_JS = [("markercluster", "leaflet.markercluster.js")]
_CLUSTER_CSS = [("markercluster_css", "MarkerCluster.css")]


class Early(NamedTuple):
    """An address that browsers fetch with the page, all of them or those on screens of `media`."""

    address: str
    media: str = ""


class PageLayer(JSCSSMixin, MacroElement):  # type: ignore[misc, unused-ignore]
    """Base of the layers: one hidden element that ``static/js/map/frame.js`` reads.

    Parameters
    ----------
    options : mapping
        Addresses and plain values; written as JSON into a ``data-`` attribute.
    early : sequence of str or Early
        Addresses on this host that the browser may fetch while the scripts are on their way.
    """

    kind: ClassVar[str] = "layer"
    modules: ClassVar[tuple[str, ...]] = ()

    _template = Template(
        """
        {% macro header(this, kwargs) %}
        {% for module in this.modules -%}
        <link rel="modulepreload" href="{{ this._parent.static }}/js/{{ module }}">
        {% endfor %}
        {% for one in this.early -%}
        <link rel="preload" as="fetch" crossorigin="anonymous" href="{{ one.address }}"
              {%- if one.media %} media="{{ one.media }}"{% endif %}>
        {% endfor %}
        {% endmacro %}

        {% macro html(this, kwargs) %}
        <div hidden data-layer="{{ this.kind }}" data-map="{{ this._parent.get_name() }}"
             data-options="{{ this.data_options }}"></div>
        {% endmacro %}
        """
    )

    def __init__(self, options: Mapping[str, Any], early: Sequence[str | Early] = ()) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        named = [one if isinstance(one, Early) else Early(one) for one in early]
        self.early = [
            Early(attribute_text(one.address), attribute_text(one.media)) for one in named
        ]
        self._name = f"{self.kind.title()}Layer"
        self.data_options = attribute_json(dict(options))


EARLY_LEVELS = 2
"""Top levels whose borders are fetched with the page: they carry most first views."""


class NetLayer(PageLayer):
    """The grids of a net as quantised TopoJSON by address, drawn on one canvas.

    Parameters
    ----------
    levels : sequence of mappings
        One for each level, top first: ``level``, ``name``, ``zoom`` (first zoom at which it is
        shown), ``weight`` (px), ``topology`` (address), ``values`` (address or None); optionally
        ``overview`` (address of fewer vertices) and ``overviewTo`` (last zoom for it).
    palette : sequence of str
        Fill colours by the grids' colour number.
    options : mapping
        ``level`` shown first (0 follows the zoom), ``fillOpacity``, ``selectedWeight``, ``parents``
        (draw the borders of the levels above as well), ``hover``.
    """

    kind = "net"
    modules = ("map/net-layer.js", "map/canvas-sheet.js", "map/topology.js")

    def __init__(
        self,
        levels: Sequence[Mapping[str, Any]],
        palette: Sequence[str],
        options: Mapping[str, Any],
        early: Sequence[str | Early] | None = None,
    ) -> None:
        if early is None:
            top = [level for level in levels[:EARLY_LEVELS] if "overview" not in level]
            early = [str(level["topology"]) for level in top]
        super().__init__({"levels": [*levels], "palette": [*palette], **options}, early)


class BaseLayer(PageLayer):
    """The city's own ground from vector tiles: water, streets, buildings below; names above.

    Parameters
    ----------
    tiles : str
        Address with ``{z}``, ``{x}`` and ``{y}``.
    options : mapping
        ``maxDataZoom``, ``bounds`` (west, south, east, north), ``only`` (one layer of the tiles),
        ``labels``, ``unit`` (text behind the households of a label).
    """

    kind = "base"
    modules = ("map/base-layer.js", "map/base-rules.js")
    default_js = _PROTOMAPS_JS

    def __init__(self, tiles: str, options: Mapping[str, Any]) -> None:
        super().__init__({"tiles": tiles, **options})


class StationLayer(PageLayer):
    """Service stations as clustered marks, fetched as GeoJSON page by page.

    Parameters
    ----------
    address : str
        GeoJSON of stations.
    options : mapping
        ``maxZoom`` from which nothing is clustered, ``kinds`` (kind -> word).
    """

    kind = "stations"
    modules = ("map/station-layer.js",)
    default_js = _CLUSTER_JS
    default_css = _CLUSTER_CSS

    def __init__(self, address: str, options: Mapping[str, Any]) -> None:
        super().__init__({"address": address, **options})


class RasterLayer(PageLayer):
    """A tile base map that an operator configured, with the datum its provider states.

    Parameters
    ----------
    tiles : str
        Address with ``{z}``, ``{x}`` and ``{y}``.
    datum : str
        ``WGS84`` or ``GCJ02``; tiles in GCJ-02 are moved so that they meet the city's own lines.
    attribution : str
        Credit line; shown as text.
    """

    kind = "raster"
    modules = ("map/raster-layer.js", "map/datum.js")

    def __init__(self, tiles: str, datum: str, attribution: str) -> None:
        super().__init__({"tiles": tiles, "datum": datum, "attribution": attribution})
