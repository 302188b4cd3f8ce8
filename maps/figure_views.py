"""The maps of figures: requests, coverage, density of stations, patrol areas; no data inside."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from maps.figure_layers import AreasLayer, DotsLayer, LaterBaseLayer, NamesLayer, SquaresLayer
from maps.layers import NetLayer
from maps.page import Frame, Map
from maps.styles import CATEGORY_COLOURS, SELECTED_WEIGHT_PX
from maps.views import ViewOptions, level_steps, net_page

SUBJECTS = ("requests", "coverage", "density", "patrol", "zone")
"""What a map of figures shows; a zone is the own area of somebody who walks it."""

GROUND_FROM_ZOOM = 15
"""First zoom that shows streets and buildings below the figures."""
_ZONE_FROM_ZOOM = 13
_OPACITY = {"requests": 0.92, "coverage": 0.82}
_SIDES = {"requests": 250, "coverage": 125}


def figure_frame(
    subject: str,
    city: Mapping[str, Any],
    net: Mapping[str, Any],
    options: ViewOptions | None = None,
    *,
    whole_city: bool = True,
) -> Frame:
    """Return the frame of a map of figures: addresses and options, no data.

    Parameters
    ----------
    subject : str
        One of `SUBJECTS`.
    city, net, options
        As in `maps.views.net_frame`.
    whole_city : bool
        Whether the reader may see the figures of squares.

    Raises
    ------
    ValueError
        If there is no such map.
    AssetError
        If a part would ask another host for anything.
    """
    if subject not in SUBJECTS:
        raise ValueError(f"There is no map of '{subject}'.")
    chosen = options or ViewOptions()
    page = Map(
        "net-map",
        label=chosen.label or str(city.get("name", "")),
        bounds=chosen.bounds or city.get("bbox"),
        static=chosen.static,
        options={
            "minZoom": 8,
            "maxZoom": 19,
            "zoomSnap": 0.25,
            "foot": 112,
            "attribution": chosen.attribution,
            "zoomIn": chosen.words.get("zoom_in", "+"),
            "zoomOut": chosen.words.get("zoom_out", "\N{MINUS SIGN}"),
        },
    )
    from_zoom = _ZONE_FROM_ZOOM if subject == "zone" else GROUND_FROM_ZOOM
    page.add_child(_ground(city, net, chosen, from_zoom))
    if subject in ("requests", "coverage"):
        squares = _address(subject, city, chosen)
        early = [squares] if whole_city else []
        page.add_child(SquaresLayer(squares, {"opacity": _OPACITY[subject]}, early))
    if subject != "requests":
        page.add_child(AreasLayer({"opacity": 0.25 if subject == "zone" else 0.6}))
    page.add_child(_borders(city, net, chosen))
    if subject in ("coverage", "density", "zone"):
        query = urlencode({"f": "geojson", "limit": 1000} | _dated(chosen))
        page.add_child(DotsLayer(f"{_api(city)}/stations?{query}"))
    page.add_child(NamesLayer({}))
    return page.frame(chosen.nonce, packed=chosen.packed)


def figure_page(
    subject: str,
    city: Mapping[str, Any],
    net: Mapping[str, Any],
    options: ViewOptions | None = None,
) -> dict[str, Any]:
    """Return what the scripts of a page of figures know at first: addresses and words, no figures.

    Parameters
    ----------
    subject : str
        One of `SUBJECTS`.
    city, net, options
        As in `maps.views.net_page`; the city's ``vintages`` besides.

    Returns
    -------
    dict
        Plain values for a ``data-`` attribute of the page.
    """
    chosen = options or ViewOptions()
    return {
        **net_page(city, net, chosen),
        "subject": subject,
        "side": _SIDES.get(subject),
        "levels": [
            {
                "level": int(level["level"]),
                "name": str((chosen.lang == "en" and level.get("name_en")) or level["name"]),
                "count": int(level.get("count") or 0),
            }
            for level in city.get("levels", ())
        ],
        "vintages": [
            {
                "vintage": str(one["vintage"]),
                "name": str(one["name"]),
                "taken_on": str(one.get("taken_on") or ""),
                "seasonal": bool(one.get("seasonal")),
            }
            for one in city.get("vintages", ())
        ],
    }


def _api(city: Mapping[str, Any]) -> str:
    return f"/api/v1/cities/{quote(str(city['slug']), safe='')}"


def _dated(options: ViewOptions) -> dict[str, str]:
    return {"as_of": options.as_of} if options.as_of else {}


def _address(subject: str, city: Mapping[str, Any], options: ViewOptions) -> str:
    """Return the first question of the page, as its script puts it."""
    path = {"requests": "requests", "coverage": "coverage/squares"}[subject]
    query = urlencode({**_dated(options), "side": _SIDES[subject]})
    return f"{_api(city)}/figures/{path}?{query}"


def _borders(city: Mapping[str, Any], net: Mapping[str, Any], options: ViewOptions) -> NetLayer:
    """Return the borders of the net; which level is shown follows the page's script."""
    steps = level_steps(city, net, options)
    return NetLayer(
        [{**step, "values": None} for step in steps],
        CATEGORY_COLOURS,
        {
            "level": options.level or (steps[min(1, len(steps) - 1)]["level"] if steps else 0),
            "fillOpacity": 0,
            "fills": False,
            "selectedWeight": SELECTED_WEIGHT_PX,
            "parents": True,
            "withValues": False,
        },
    )


def _ground(
    city: Mapping[str, Any], net: Mapping[str, Any], options: ViewOptions, from_zoom: int
) -> LaterBaseLayer:
    version = f"?{urlencode({'v': net['version']})}" if net.get("version") else ""
    return LaterBaseLayer(
        f"{_api(city)}/nets/{int(net['seq'])}/tiles/{{z}}/{{x}}/{{y}}.mvt{version}",
        {
            "from": from_zoom,
            "maxDataZoom": 15,
            "bounds": [*city["bbox"]] if city.get("bbox") else None,
            "only": [],
            "labels": False,
            "off": ["density", "place"],
        },
        options.static,
    )
