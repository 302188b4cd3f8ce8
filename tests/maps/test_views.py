"""Frames hold addresses and options, never data; names stay text whatever they contain."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from html.parser import HTMLParser
from typing import Any

import pytest

from maps.page import Frame
from maps.styles import CATEGORY_COLOURS, level_weight_px
from maps.views import RasterTiles, ViewOptions, level_steps, net_frame, net_page
from tests.cities import HOSTILE

NET = {"seq": 7, "effective_from": "2026-01-01"}


def a_level(number: int) -> dict[str, Any]:
    return {"level": number, "name": f"{number} 级", "name_en": f"Level {number}"}


def a_city(name: str = "示范市", **changed: Any) -> dict[str, Any]:
    levels = [
        {"level": n, "name": f"{name}{n}", "name_en": f"Level {n} {name}", "zoom_min": zoom}
        for n, zoom in ((1, 9), (2, 12), (3, 14), (4, None))
    ]
    kinds = [{"kind": f"kind {name}", "name": name, "name_en": name}]
    city = {
        "slug": "demo",
        "name": name,
        "name_en": f"Demo {name}",
        "bbox": [120.1, 37.2, 120.9, 37.8],
        "levels": levels,
        "station_kinds": kinds,
    }
    return {**city, **changed}


class Elements(HTMLParser):
    """What a browser would make of a piece of HTML."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.text.append(data)

    def options(self, layer: str | None = None) -> Any:
        for _, attributes in self.tags:
            if "data-options" in attributes and attributes.get("data-layer") == layer:
                return json.loads(attributes["data-options"] or "")
        raise AssertionError(f"no layer {layer}")

    @property
    def layers(self) -> list[str | None]:
        return [found["data-layer"] for _, found in self.tags if "data-layer" in found]


def frame_of(city: Mapping[str, Any], **options: Any) -> Frame:
    return net_frame(city, NET, ViewOptions(nonce="n0nce", **options))


def test_the_net_is_base_grids_and_stations() -> None:
    frame = frame_of(a_city())
    found = Elements(frame.html)
    assert found.layers == ["base", "net", "stations"]
    assert found.options()["bounds"] == [120.1, 37.2, 120.9, 37.8]
    assert found.options("base")["tiles"] == "/api/v1/cities/demo/nets/7/tiles/{z}/{x}/{y}.mvt"
    assert found.options("net")["palette"] == [*CATEGORY_COLOURS]
    assert found.text == []
    assert frame.script == ""


def test_a_plain_map_has_no_marks_but_those_of_its_page() -> None:
    assert Elements(frame_of(a_city(), plain=True).html).layers == ["base", "net"]


def test_the_net_stands_in_the_address_of_what_never_changes() -> None:
    net = Elements(frame_of(a_city()).html).options("net")
    base = "/api/v1/cities/demo/nets/7/levels"
    assert [level["topology"] for level in net["levels"]] == [
        f"{base}/1.topojson",
        f"{base}/2.topojson",
        f"{base}/3.topojson",
        f"{base}/leaf.topojson",
    ]
    assert net["levels"][3]["values"] == f"{base}/leaf/values"


def test_many_grids_have_an_overview_for_the_whole_city() -> None:
    net = {**NET, "version": "a1"}
    few, many = {**a_level(3), "count": 20}, {**a_level(4), "count": 2229}
    steps = level_steps(a_city(levels=[few, many]), net)
    assert "overview" not in steps[0]
    assert steps[1]["overview"] == f"{steps[1]['topology']}&overview=true"
    assert 13 < steps[1]["overviewTo"] < 13.2, "a pixel is 14 m wide there"


@pytest.mark.parametrize(
    ("width_deg", "early"),
    [(0.8, ["overview"]), (0.02, ["topology"]), (0.2, ["overview"])],
)
def test_what_is_needed_first_is_fetched_early_on_the_screens_that_surely_need_it(
    width_deg: float, early: list[str]
) -> None:
    city = a_city(levels=[{**a_level(4), "count": 2229}], bbox=[120, 37.2, 120 + width_deg, 37.3])
    step = level_steps(city, NET)[0]
    header = frame_of(city, only="grids").header
    found = [name for name in ("overview", "topology") if f'href="{step[name]}"' in header]
    assert found == early
    narrow = re.search(r'media="\(max-width: (\d+)px\), \(max-height: (\d+)px\)"', header)
    assert bool(narrow) == (width_deg == 0.2)
    if narrow:
        width, height = map(int, narrow.groups())
        shrink = math.cos(math.radians(37.25))
        assert width == pytest.approx(width_deg * shrink * 111_320 / 14, rel=0.01)
        assert height == pytest.approx(0.1 * 111_320 / 14, rel=0.01)


def test_the_date_goes_to_dated_facts() -> None:
    stations = Elements(frame_of(a_city(), as_of="2026-05-01").html).options("stations")
    assert stations["address"].endswith("stations?f=geojson&limit=1000&as_of=2026-05-01")


def test_a_frame_stays_small() -> None:
    frame = frame_of(a_city())
    assert len(frame.header) + len(frame.html) < 8_000


@pytest.mark.parametrize(
    ("only", "layers", "absent"),
    [
        ("grids", ["net"], ("protomaps", "markercluster", "base-layer", "station-layer")),
        ("buildings", ["base"], ("markercluster", "net-layer", "station-layer")),
        ("streets", ["base"], ("markercluster", "net-layer", "station-layer")),
        ("stations", ["stations"], ("protomaps", "net-layer", "base-layer")),
    ],
)
def test_one_layer_alone_brings_only_its_scripts(
    only: str, layers: list[str], absent: tuple[str, ...]
) -> None:
    frame = frame_of(a_city(), only=only)
    assert Elements(frame.html).layers == layers
    for name in absent:
        assert name not in frame.header


def test_one_layer_of_grids_is_fetched_early_and_alone() -> None:
    frame = frame_of(a_city(), only="grids", level=3)
    net = Elements(frame.html).options("net")
    assert [level["level"] for level in net["levels"]] == [3]
    assert (net["level"], net["parents"], net["withValues"]) == (3, False, False)
    assert 'as="fetch"' in frame.header
    assert 'href="/api/v1/cities/demo/nets/7/levels/3.topojson"' in frame.header


def test_an_unknown_layer_is_said() -> None:
    with pytest.raises(ValueError, match="There is no layer 'roads'"):
        frame_of(a_city(), only="roads")


@pytest.mark.parametrize("text", [*HOSTILE, "{{ self.__init__ }}", "\u2028</template>", "%(x)s"])
@pytest.mark.parametrize("lang", ["zh", "en"])
@pytest.mark.parametrize("only", [None, "grids", "stations", "buildings"])
def test_hostile_names_stay_text(text: str, lang: str, only: str | None) -> None:
    frame = frame_of(
        a_city(text, slug=f"demo {text}"),
        lang=lang,
        only=only,
        label=text,
        attribution=text,
        raster=RasterTiles("/tiles/{z}/{x}/{y}.png", attribution=text),
        words={"households": text, "zoom_in": text, "zoom_out": text},
        as_of=text,
    )
    whole = frame.header + frame.html + frame.script
    assert "1337" not in whole
    assert "{{" not in whole
    assert "{%" not in whole
    assert "{#" not in whole
    assert "alert(1)>" not in whole
    assert "onerror=alert" not in whole.replace("&lt;img src=x onerror=alert", "")
    found = Elements(frame.header + frame.html)
    assert {tag for tag, _ in found.tags} <= {"div", "script", "link"}
    assert found.text == []
    assert not [name for _, attributes in found.tags for name in attributes if name[:2] == "on"]
    assert found.options()["attribution"] == text
    label = next(a["aria-label"] for _, a in found.tags if "aria-label" in a)
    assert label == text
    if only in (None, "grids"):
        expected = f"{text}4" if lang == "zh" else f"Level 4 {text}"
        assert found.options("net")["levels"][-1]["name"] == expected


def test_a_configured_base_map_keeps_its_datum_and_credit() -> None:
    tiles = RasterTiles("https://tiles.example/{z}/{x}/{y}.png", "GCJ02", "© <b>map</b>")
    frame = frame_of(a_city(), raster=tiles)
    raster = Elements(frame.html).options("raster")
    assert raster == {
        "tiles": "https://tiles.example/{z}/{x}/{y}.png",
        "datum": "GCJ02",
        "attribution": "© <b>map</b>",
    }
    assert "tiles.example" not in frame.header


def test_a_selected_grid_and_its_view() -> None:
    frame = frame_of(a_city(), grid=12, grid_level=3, bounds=(120.3, 37.3, 120.4, 37.4))
    found = Elements(frame.html)
    assert found.options()["bounds"] == [120.3, 37.3, 120.4, 37.4]
    assert found.options("net")["selected"] == 12
    assert found.options("net")["selectedLevel"] == 3


def test_levels_without_a_zoom_get_one() -> None:
    steps = level_steps(a_city(), NET, ViewOptions(lang="en"))
    assert [step["zoom"] for step in steps] == [9, 12, 14, 17]
    assert steps[0]["name"] == "Level 1 示范市"
    assert [step["weight"] for step in steps] == [level_weight_px(n) for n in (1, 2, 3, 4)]


def test_levels_wait_until_their_grids_can_be_read() -> None:
    counts = (5, 39, 454, 104)
    city = a_city(bbox=[120.158, 38.555, 120.237, 38.631])
    for level, count in zip(city["levels"], counts, strict=True):
        level.update(count=count, zoom_min=(0, 12, 13, 16)[level["level"] - 1])
    assert [step["zoom"] for step in level_steps(city, NET)] == [0, 13, 15, 16]
    city["bbox"] = [120.158, 38.555, 121.237, 39.631]
    assert [step["zoom"] for step in level_steps(city, NET)] == [0, 12, 13, 16]
    city["bbox"] = [120.158, 38.555, 120.158, 38.555]
    assert [step["zoom"] for step in level_steps(city, NET)] == [0, 18, 19, 20]


def test_content_and_date_are_in_the_addresses() -> None:
    net = {**NET, "version": "ab 1"}
    steps = level_steps(a_city(), net, ViewOptions(as_of="2026-05-01"))
    assert steps[0]["topology"].endswith("/levels/1.topojson?v=ab+1")
    assert steps[0]["values"].endswith("/levels/1/values?as_of=2026-05-01")
    base = Elements(net_frame(a_city(), net).html).options("base")
    assert base["tiles"].endswith("/tiles/{z}/{x}/{y}.mvt?v=ab+1")


def test_a_city_with_one_level_or_none() -> None:
    one = a_city(levels=[{"level": 1, "name": "街道", "name_en": "", "zoom_min": 9}])
    assert [step["topology"][-10:] for step in level_steps(one, NET)] == ["1.topojson"]
    assert level_steps(one, NET, ViewOptions(lang="en"))[0]["name"] == "街道"
    empty = a_city(levels=[], bbox=None, station_kinds=[])
    assert Elements(frame_of(empty).html).options("net")["levels"] == []
    assert Elements(frame_of(empty, only="grids").html).options("net")["levels"] == []


@pytest.mark.parametrize("text", HOSTILE)
def test_what_scripts_know_at_first_is_plain(text: str) -> None:
    page = net_page(a_city(text), NET, ViewOptions(lang="en", as_of="2026-05-01"))
    assert page["api"] == "/api/v1/cities/demo"
    assert page["name"] == f"Demo {text}"
    assert page["kinds"] == {f"kind {text}": text}
    assert page["net"] == {"seq": 7, "effectiveFrom": "2026-01-01"}
    assert json.loads(json.dumps(page)) == page
