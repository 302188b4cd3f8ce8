"""Which map a page shows: plain dictionaries of a city and its net in, a frame without data out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from maps.layers import EARLY_LEVELS, BaseLayer, Early, NetLayer, RasterLayer, StationLayer
from maps.page import STATIC, Frame, Map
from maps.styles import (
    CATEGORY_COLOURS,
    FALLBACK_LEVEL_ZOOMS,
    FILL_OPACITY,
    SELECTED_WEIGHT_PX,
    level_weight_px,
)

LAYERS = ("grids", "base", "stations")
"""What a net's map is made of; `ViewOptions.layers` names some of them."""

SINGLE_TILE_LAYERS = ("buildings", "streets")
"""One layer of the ground alone, as `ViewOptions.only` takes it besides grids and stations."""

LEGIBLE_PX = 48
"""Average width of a grid, in CSS pixels, below which its level is not shown by itself."""
COVERED_SHARE = 0.7
"""Share of a city's box that the city covers; a rough figure is enough to choose a zoom."""
PIXEL_M = 156_543.034
"""A pixel of zoom 0 at the equator, in metres."""
DEGREE_M = 111_320.0
OVERVIEW_PIXEL_M = 14.0
"""An overview stands where a pixel is at least as wide: it takes corners of two pixels square."""
SCREEN_WIDTHS_PX = (390, 1920)
_OVERVIEW_FROM_COUNT = 300
_LAST_LEVEL_ZOOM = 18
_TILE_LAYER = {"buildings": ("building", "density"), "streets": ("street",)}
_MAX_DATA_ZOOM = 15


@dataclass(frozen=True)
class RasterTiles:
    """A tile base map that the operator configured.

    Parameters
    ----------
    url : str
        Address with ``{z}``, ``{x}`` and ``{y}``; the page's policy must allow its host for images.
    datum : str
        ``WGS84`` or ``GCJ02``.
    attribution : str
        Credit line, shown as text.
    """

    url: str
    datum: str = "WGS84"
    attribution: str = ""


@dataclass(frozen=True)
class ViewOptions:
    """How a frame is asked for.

    Parameters
    ----------
    lang : str
        ``zh`` or ``en``: which of a name's two forms is written.
    nonce : str
        Of the page's Content-Security-Policy.
    as_of : str, optional
        Date YYYY-MM-DD handed on to the addresses of dated facts.
    only : str, optional
        ``grids``, ``stations``, ``buildings`` or ``streets``: a frame with that layer alone, and
        only the scripts it needs.
    level : int
        Level of grids shown first; 0 follows the zoom.
    label : str
        What a screen reader calls the map; default: the city's name.
    attribution : str
        Credit line of the data, shown as text.
    raster : RasterTiles, optional
        Base map from elsewhere, off until somebody switches it on.
    words : mapping
        Translated words of the map: ``households`` (unit behind a figure), ``zoom_in``,
        ``zoom_out``.
    static : str
        Where the static folder is served; may hold a version.
    grid, grid_level : int, optional
        Grid that is selected at first, and its level.
    bounds : sequence of 4 floats, optional
        What the map shows alone, as west, south, east, north; default: the city.
    first_view : sequence of 4 floats, optional
        First view of the whole map, likewise; default: `bounds`.
    own : sequence of (grid, level)
        Grids that the reader acts in; they are outlined.
    packed : bool
        The page brings the scripts and styles of the map along, in a file of its own.
    plain : bool
        Borders alone, without fills, figures and stations: for those who look for a place, or at
        marks of another kind, not at the net.
    """

    lang: str = "zh"
    nonce: str = ""
    as_of: str | None = None
    only: str | None = None
    level: int = 0
    label: str = ""
    attribution: str = ""
    raster: RasterTiles | None = None
    words: Mapping[str, str] = field(default_factory=dict)
    static: str = STATIC
    grid: int | None = None
    grid_level: int | None = None
    bounds: Sequence[float] | None = None
    first_view: Sequence[float] | None = None
    own: Sequence[tuple[int, int]] = ()
    packed: bool = False
    plain: bool = False


def net_frame(
    city: Mapping[str, Any], net: Mapping[str, Any], options: ViewOptions | None = None
) -> Frame:
    """Return the frame of a net's map: addresses and options, no data.

    Parameters
    ----------
    city : mapping
        As the API describes a city: ``slug``, ``name``, ``name_en``, ``bbox`` (west, south, east,
        north in degrees), ``levels`` (``level``, ``name``, ``name_en``, ``zoom_min``) and
        ``station_kinds``.
    net : mapping
        ``seq`` of the net that is shown.
    options : ViewOptions, optional
        Language, nonce, date, layers.

    Returns
    -------
    Frame
        Header, html and script parts for the page's template.

    Raises
    ------
    ValueError
        If `options.only` names no layer.
    AssetError
        If a part would ask another host for anything.
    """
    chosen = options or ViewOptions()
    if chosen.only not in (None, "grids", "stations", *SINGLE_TILE_LAYERS):
        raise ValueError(f"There is no layer '{chosen.only}'.")
    name = _word(city, chosen.lang)
    page = Map(
        "net-map",
        label=chosen.label or name,
        bounds=chosen.first_view or chosen.bounds or city.get("bbox"),
        static=chosen.static,
        options={
            "minZoom": 8,
            "maxZoom": 20,
            "attribution": chosen.attribution,
            "single": chosen.only is not None or chosen.bounds is not None,
            "zoomIn": chosen.words.get("zoom_in", "+"),
            "zoomOut": chosen.words.get("zoom_out", "\N{MINUS SIGN}"),
        },
    )
    if chosen.raster and chosen.only is None:
        page.add_child(
            RasterLayer(chosen.raster.url, chosen.raster.datum, chosen.raster.attribution)
        )
    if chosen.only is None or chosen.only in SINGLE_TILE_LAYERS:
        page.add_child(_base_layer(city, net, chosen))
    if chosen.only in (None, "grids"):
        page.add_child(_net_layer(city, net, chosen))
    if chosen.only == "stations" or (chosen.only is None and not chosen.plain):
        page.add_child(_station_layer(city, chosen))
    return page.frame(chosen.nonce, packed=chosen.packed)


def level_steps(
    city: Mapping[str, Any], net: Mapping[str, Any], options: ViewOptions | None = None
) -> list[dict[str, Any]]:
    """Return what the map and the level control know of each level, top first.

    The deepest level stands for all leaf grids, since finer grids exist in some communities only.
    A level is shown from the zoom that the city's data name, and not before its grids are as wide
    as `LEGIBLE_PX` on average.

    Parameters
    ----------
    city : mapping
        With ``slug``, ``levels`` (``count`` if known) and ``bbox``.
    net : mapping
        With ``seq``; ``version``, if there, makes addresses differ when the content does.
    options : ViewOptions, optional
        Language and date.

    Returns
    -------
    list of dict
        ``level``, ``name``, ``zoom``, ``weight``, ``topology``, ``values``; where there are many
        grids also ``overview``, an address of fewer vertices, and ``overviewTo``, the last zoom at
        which they are enough.
    """
    chosen = options or ViewOptions()
    levels = sorted(city.get("levels", ()), key=lambda level: int(level["level"]))
    version = _version(net)
    day = f"?{urlencode({'as_of': chosen.as_of})}" if chosen.as_of else ""
    steps: list[dict[str, Any]] = []
    for index, level in enumerate(levels):
        number = int(level["level"])
        path = "leaf" if index == len(levels) - 1 and index > 0 else str(number)
        base = f"{_net_address(city, net)}/levels/{path}"
        steps.append(
            {
                "level": number,
                "name": _word(level, chosen.lang),
                "zoom": _first_zoom(city, levels, index, steps[-1]["zoom"] if steps else -1),
                "weight": level_weight_px(number),
                "topology": f"{base}.topojson{version}",
                "values": f"{base}/values{day}",
            }
        )
        if int(level.get("count") or 0) >= _OVERVIEW_FROM_COUNT and city.get("bbox"):
            mark = "&" if version else "?"
            steps[-1]["overview"] = f"{base}.topojson{version}{mark}overview=true"
            steps[-1]["overviewTo"] = _zoom_of_pixel(city["bbox"], OVERVIEW_PIXEL_M)
    return steps


def _zoom_of_pixel(box: Sequence[float], pixel_m: float) -> float:
    """Return the zoom at which a pixel is that wide, in the middle of a box in degrees."""
    shrink = math.cos(math.radians((float(box[1]) + float(box[3])) / 2))
    return round(math.log2(PIXEL_M * shrink / pixel_m), 2)


def _first_address(step: Mapping[str, Any], box: Sequence[float] | None) -> Early:
    """Return what the browser needs of a level first, on the screens where that is sure.

    A screen on which the box is narrower or lower than its overview allows shows the overview.
    """
    if "overview" not in step or not box:
        return Early(str(step["topology"]))
    west, south, east, north = (float(edge) for edge in box)
    shrink = math.cos(math.radians((south + north) / 2))
    pixel_m = PIXEL_M * shrink / 2 ** step["overviewTo"]
    width_px, height_px = (
        math.floor(size * DEGREE_M / pixel_m) for size in ((east - west) * shrink, north - south)
    )
    if min(SCREEN_WIDTHS_PX) > width_px:
        return Early(str(step["topology"]))
    if max(SCREEN_WIDTHS_PX) <= width_px:
        return Early(str(step["overview"]))
    return Early(str(step["overview"]), f"(max-width: {width_px}px), (max-height: {height_px}px)")


def _first_zoom(
    city: Mapping[str, Any], levels: Sequence[Mapping[str, Any]], index: int, before: int
) -> int:
    """Return the first zoom of a level; `before` is that of the level above."""
    stated = levels[index].get("zoom_min")
    zoom = FALLBACK_LEVEL_ZOOMS[min(index, 5)] if stated is None else int(stated)
    count = int(levels[index].get("count") or 0)
    everywhere = index > 0 and count > int(levels[index - 1].get("count") or 0)
    if everywhere and city.get("bbox"):
        west, south, east, north = (float(edge) for edge in city["bbox"])
        shrink = math.cos(math.radians((south + north) / 2))
        ground_m2 = max((east - west) * shrink * (north - south), 1e-9) * DEGREE_M**2
        side_m = math.sqrt(ground_m2 * COVERED_SHARE / count)
        legible = math.log2(LEGIBLE_PX * PIXEL_M * shrink / side_m)
        zoom = max(zoom, min(math.ceil(legible), _LAST_LEVEL_ZOOM))
    return max(zoom, before + 1 if index else 0)


def _net_layer(city: Mapping[str, Any], net: Mapping[str, Any], options: ViewOptions) -> NetLayer:
    single = options.only is not None
    steps = level_steps(city, net, options)
    if single:
        steps = [step for step in steps if not options.level or step["level"] == options.level]
        steps = steps[-1:]
    box = options.first_view or options.bounds or city.get("bbox")
    return NetLayer(
        steps,
        CATEGORY_COLOURS,
        {
            "level": steps[-1]["level"] if single and steps else options.level,
            "fillOpacity": 0 if options.plain else FILL_OPACITY,
            "fills": not options.plain,
            "selectedWeight": SELECTED_WEIGHT_PX,
            "parents": not single,
            "withValues": not single and not options.plain,
            "selected": options.grid,
            "selectedLevel": options.grid_level,
            "own": [{"id": grid, "level": level} for grid, level in options.own],
        },
        early=[_first_address(step, box) for step in steps[:EARLY_LEVELS]],
    )


def _base_layer(city: Mapping[str, Any], net: Mapping[str, Any], options: ViewOptions) -> BaseLayer:
    only: Sequence[str] = _TILE_LAYER.get(options.only or "", ())
    return BaseLayer(
        f"{_net_address(city, net)}/tiles/{{z}}/{{x}}/{{y}}.mvt{_version(net)}",
        {
            "maxDataZoom": _MAX_DATA_ZOOM,
            "bounds": [*city["bbox"]] if city.get("bbox") else None,
            "only": [*only],
            "labels": not only,
            "off": [] if only else ["density"],
            "households": "" if options.plain else options.words.get("households", ""),
        },
    )


def _station_layer(city: Mapping[str, Any], options: ViewOptions) -> StationLayer:
    query = {"f": "geojson", "limit": "1000"}
    if options.as_of:
        query["as_of"] = options.as_of
    kinds = {str(kind["kind"]): _word(kind, options.lang) for kind in city.get("station_kinds", ())}
    return StationLayer(
        f"/api/v1/cities/{quote(str(city['slug']), safe='')}/stations?{urlencode(query)}",
        {"maxZoom": 17, "kinds": kinds},
    )


def _net_address(city: Mapping[str, Any], net: Mapping[str, Any]) -> str:
    return f"/api/v1/cities/{quote(str(city['slug']), safe='')}/nets/{int(net['seq'])}"


def _version(net: Mapping[str, Any]) -> str:
    """Return the query that keeps the bytes of one content apart from those of another."""
    return f"?{urlencode({'v': net['version']})}" if net.get("version") else ""


def _word(named: Mapping[str, Any], lang: str) -> str:
    """Return the name in the language asked for, else the other one."""
    first, second = ("name_en", "name") if lang == "en" else ("name", "name_en")
    return str(named.get(first) or named.get(second) or "")


def net_page(
    city: Mapping[str, Any], net: Mapping[str, Any], options: ViewOptions | None = None
) -> dict[str, Any]:
    """Return what the scripts of the net's page know at first: addresses and words, no grids.

    Parameters
    ----------
    city, net, options
        As in `net_frame`.

    Returns
    -------
    dict
        Plain values for a ``data-`` attribute of the page.
    """
    chosen = options or ViewOptions()
    return {
        "api": f"/api/v1/cities/{quote(str(city['slug']), safe='')}",
        "slug": str(city["slug"]),
        "name": _word(city, chosen.lang),
        "lang": chosen.lang,
        "asOf": chosen.as_of,
        "net": {"seq": int(net["seq"]), "effectiveFrom": str(net.get("effective_from", ""))},
        "bbox": [*city["bbox"]] if city.get("bbox") else None,
        "steps": [
            {"level": step["level"], "name": step["name"], "weight": step["weight"]}
            for step in level_steps(city, net, chosen)
        ],
        "kinds": {
            str(kind["kind"]): _word(kind, chosen.lang) for kind in city.get("station_kinds", ())
        },
        "roles": {str(role["code"]): _word(role, chosen.lang) for role in city.get("roles", ())},
        "raster": chosen.raster is not None,
        "layers": [*city["layers"]] if "layers" in city else None,
    }
