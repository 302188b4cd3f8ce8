"""The figure lets nothing foreign pass, and says what it refused."""

from __future__ import annotations

import folium
import pytest
from branca.element import CssLink, Element, JavascriptLink, MacroElement
from folium import plugins
from folium.template import Template

from maps.page import (
    AssetError,
    Figure,
    Map,
    attribute_json,
    attribute_text,
    check_script,
    local_copy,
)


def new_map(**options: object) -> Map:
    return Map("net-map", label="Map", bounds=(120.0, 37.0, 121.0, 38.0), options=options)


class Piece(MacroElement):
    """A layer of a stranger: whatever it is given goes into the page."""

    def __init__(self, *, header: str = "", html: str = "", script: str = "") -> None:
        super().__init__()
        self._template = Template(
            "{% macro header(this, kwargs) %}{{ this.parts[0] }}{% endmacro %}"
            "{% macro html(this, kwargs) %}{{ this.parts[1] }}{% endmacro %}"
            "{% macro script(this, kwargs) %}{{ this.parts[2] }}{% endmacro %}"
        )
        self.parts = (header, html, script)


def test_a_map_asks_for_leaflet_alone() -> None:
    frame = new_map().frame("n0nce")
    assert frame.header.count("<script") == 2
    assert '<script src="/static/vendor/leaflet/leaflet.js" defer nonce="n0nce">' in frame.header
    assert 'href="/static/vendor/leaflet/leaflet.css" nonce="n0nce"' in frame.header
    assert 'type="module" src="/static/js/map/frame.js" nonce="n0nce"' in frame.header
    assert "jquery" not in frame.header
    assert "bootstrap" not in frame.header
    assert frame.script == ""


def test_the_page_of_folium_itself_is_not_used() -> None:
    frame = new_map().frame()
    assert "user-scalable" not in frame.header
    assert "<meta" not in frame.header
    assert "<style" not in frame.header
    assert "http" not in frame.header + frame.html


def test_equal_maps_are_equal_bytes() -> None:
    assert new_map().frame("x") == new_map().frame("x")


def test_the_static_folder_may_have_a_version() -> None:
    page = Map("net-map", label="", static="/static/v12")
    header = page.frame().header
    assert "/static/v12/vendor/leaflet/leaflet.js" in header
    assert "/static/v12/js/map/frame.js" in header
    assert '"/static/vendor' not in header


def test_modules_come_after_the_scripts_they_use() -> None:
    page = new_map()
    page.add_child(Piece(header='<script src="leaflet.markercluster.js"></script>'))
    header = page.frame().header
    assert header.index("frame.js") > header.index("markercluster.js")


def test_saving_is_walked_too() -> None:
    page = new_map()
    assert "/static/vendor/leaflet/leaflet.js" in page.get_root().render()
    page.add_child(Piece(html='<img src="https://elsewhere.example/a.png">'))
    with pytest.raises(AssetError, match=r"elsewhere\.example"):
        page.get_root().render()


@pytest.mark.parametrize(
    "plugin",
    [
        lambda: plugins.HeatMap([[37.5, 120.5]]),
        plugins.Draw,
        plugins.Fullscreen,
        lambda: folium.TileLayer("OpenStreetMap"),
        lambda: folium.WmsTileLayer("https://wms.example/", layers="a"),
    ],
)
def test_plugins_that_ask_other_hosts_are_refused(plugin: type) -> None:
    page = new_map()
    page.add_child(plugin())
    with pytest.raises(AssetError):
        page.frame()


def test_links_of_known_libraries_become_local_and_useless_ones_go() -> None:
    page = new_map()
    page.add_child(plugins.MarkerCluster([[37.5, 120.5]]))
    header = page.frame().header
    assert "/static/vendor/markercluster/leaflet.markercluster.js" in header
    assert "MarkerCluster.Default" not in header
    assert "http" not in header


def test_the_classes_of_maps_are_not_changed_by_one_map() -> None:
    before = [*Map.default_js], [*Map.default_css]
    page = new_map()
    page.add_child(plugins.MarkerCluster([[37.5, 120.5]]))
    page.frame()
    assert ([*Map.default_js], [*Map.default_css]) == before


@pytest.mark.parametrize(
    "address",
    [
        "https://cdn.example/unknown.js",
        "http://cdn.example/unknown.css",
        "//cdn.example/unknown.js",
        "unknown.js",
        "javascript:alert(1)",
    ],
)
def test_an_unknown_asset_raises(address: str) -> None:
    figure = Figure()
    figure.header.add_child(JavascriptLink(address))
    with pytest.raises(AssetError, match="No local copy"):
        figure.frame()
    with pytest.raises(AssetError):
        local_copy(address)


def test_an_unknown_style_sheet_raises() -> None:
    figure = Figure()
    figure.header.add_child(CssLink("https://cdn.example/theme.css"))
    with pytest.raises(AssetError, match=r"cdn\.example"):
        figure.frame()


@pytest.mark.parametrize(
    "piece",
    [
        {"html": '<img src="https://elsewhere.example/a.png">'},
        {"html": "<iframe src='//elsewhere.example/'></iframe>"},
        {"html": '<a href="http://elsewhere.example/">x</a>'},
        {"html": '<form action="https://elsewhere.example/"></form>'},
        {"html": '<video poster="//elsewhere.example/p.png"></video>'},
        {"html": '<p style="background: url(https://elsewhere.example/b.png)">x</p>'},
        {"html": '<b onclick="go()">x</b>'},
        {"html": '<img src="/a.png" onerror="go()">'},
        {"header": "<style>@import 'https://elsewhere.example/s.css';</style>"},
        {"header": "<style>p { background: url(//elsewhere.example/b.png) }</style>"},
        {"header": "<script>fetch('https://elsewhere.example/')</script>"},
        {"script": "L.tileLayer('https://elsewhere.example/{z}.png')"},
        {"script": "new WebSocket('wss://elsewhere.example/')"},
        {"script": "load('//elsewhere.example/x.js')"},
        {"script": "</script><script>evil()"},
    ],
)
def test_anything_left_raises(piece: dict[str, str]) -> None:
    page = new_map()
    page.add_child(Piece(**piece))
    with pytest.raises(AssetError):
        page.frame()


def test_local_pieces_pass_with_their_nonce() -> None:
    page = new_map()
    page.add_child(
        Piece(
            header="<style>p { background: url(/static/a.png) }</style>"
            "<script>go(1 // 2\n)</script>",
            html='<p class="a&amp;b">&lt;x&gt; &#123;</p><!-- https://elsewhere.example -->',
            script="go('/api/v1/cities');",
        )
    )
    frame = page.frame("n0nce")
    assert '<style nonce="n0nce">' in frame.header
    assert '<script nonce="n0nce">go(' in frame.header
    assert '<p class="a&amp;b">&lt;x&gt; &#123;</p>' in frame.html
    assert "elsewhere" not in frame.html
    assert frame.script == "go('/api/v1/cities');"


def test_a_map_in_a_figure_without_checks_is_refused() -> None:
    page = new_map()
    folium.Figure().add_child(page)
    with pytest.raises(AssetError, match="does not check"):
        page.frame()


def test_an_element_needs_a_plain_id() -> None:
    with pytest.raises(ValueError, match="cannot be an element's id"):
        Map('x" onclick="', label="")


def test_text_for_attributes_survives_a_second_template() -> None:
    text = "{{7*191}}{% raw %}{# x #}</script>\"'`${x}`&"
    once = attribute_text(text)
    assert not set('{}<>"`') & set(once)
    assert Element(once).render() == once
    assert not set('{}<>"`') & set(attribute_json({"name": [text]}))


def test_comments_in_code_are_no_addresses() -> None:
    check_script("const half = a // b.c\n / 2;")
    check_script("x = 'a/b//c'")
