"""The folium page with Leaflet alone, and a figure that lets nothing foreign pass."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any

import folium
from branca.element import Figure as BrancaFigure
from folium.template import Template
from markupsafe import Markup

STATIC = "/static"

LOCAL_COPIES: Mapping[str, str] = {
    "leaflet.js": "vendor/leaflet/leaflet.js",
    "leaflet.css": "vendor/leaflet/leaflet.css",
    "leaflet.markercluster.js": "vendor/markercluster/leaflet.markercluster.js",
    "MarkerCluster.css": "vendor/markercluster/MarkerCluster.css",
    "protomaps-leaflet.js": "vendor/protomaps/protomaps-leaflet.js",
}
"""File name of a library as folium or its plugins name it -> our copy below the static folder."""

NOT_NEEDED = re.compile(
    r"/(jquery[-.\w]*|bootstrap[-.\w]*|leaflet[.-]awesome[-.\w]*|all\.min|"
    r"MarkerCluster\.Default|d3[-.\w]*)\.(js|css)$"
)
"""Libraries that folium and branca add for controls we do not use."""

_OUTSIDE = re.compile(r"""(?:https?|wss?|ftp):|(?<=["'(`=\s])//[\w.-]+\.\w""", re.IGNORECASE)
_STYLE_ADDRESS = re.compile(r"(?:url\(|@import)\s*['\"]?\s*([^'\")\s;]+)", re.IGNORECASE)
_ASSET_ATTRIBUTES = frozenset(
    {"src", "href", "srcset", "action", "formaction", "data", "poster", "background", "ping"}
)
_LEAFLET_JS = [("leaflet", "leaflet.js")]
_LEAFLET_CSS = [("leaflet_css", "leaflet.css")]
_PACKED_LINKS = frozenset({("script", "module"), ("link", "modulepreload"), ("link", "stylesheet")})
_FOLIUM_PAGE_TAGS = frozenset({"meta"})


class AssetError(RuntimeError):
    """A page would ask another host for a file; the message names the address."""


@dataclass(frozen=True)
class Frame:
    """A map as three parts of a page, ready for a template of ours; none of them holds data.

    Parameters
    ----------
    header : Markup
        Links to local style sheets and scripts, each with the page's nonce.
    html : Markup
        The map's element and one hidden element for each layer, options in ``data-`` attributes.
    script : Markup
        Inline code of folium plugins; empty for our own layers.
    nonce : str
        The nonce that the parts carry and the answer's Content-Security-Policy must name.
    """

    header: Markup
    html: Markup
    script: Markup
    nonce: str


def attribute_json(value: Any) -> str:
    """Return a value as JSON for a quoted ``data-`` attribute inside a folium template.

    Quotes, angle brackets and ampersands become entities, and so do braces: branca compiles what a
    template printed as a template once more, and an entity is no template syntax.

    Parameters
    ----------
    value : any
        What `json.dumps` takes.

    Returns
    -------
    str
        Text for the inside of a double-quoted attribute.

    Examples
    --------
    >>> attribute_json("{{7*191}}")
    '&quot;&#123;&#123;7*191&#125;&#125;&quot;'
    """
    return attribute_text(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def attribute_text(text: str) -> str:
    """Return text for a quoted attribute inside a folium template; braces become entities.

    Parameters
    ----------
    text : str
        Any text.

    Returns
    -------
    str
        Escaped text.

    Examples
    --------
    >>> attribute_text('<a href="{x}">')
    '&lt;a href=&quot;&#123;x&#125;&quot;&gt;'
    """
    escaped = html.escape(text, quote=True).replace("`", "&#96;")
    return escaped.replace("{", "&#123;").replace("}", "&#125;")


class _AssetWalk(HTMLParser):
    """Rewrites, drops or refuses every address in a piece of HTML and adds the nonce.

    Linked modules come last, after the classic scripts whose globals they use. Of a map whose page
    brings modules and styles along, `packed`, the links to them are left out.
    """

    def __init__(self, nonce: str, static: str, packed: bool) -> None:
        super().__init__(convert_charrefs=False)
        self.nonce = nonce
        self.static = static
        self.packed = packed
        self.out: list[str] = []
        self.modules: list[str] = []
        self._dropped_tag: str | None = None
        self._inside: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open(tag, attrs)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open(tag, attrs)
        if self._dropped_tag == tag:
            self._dropped_tag = None

    def _open(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        source = self.get_starttag_text() or ""
        if tag in _FOLIUM_PAGE_TAGS:
            return
        attributes = dict(attrs)
        for name, value in attributes.items():
            if name.startswith("on"):
                raise AssetError(f"An inline event handler '{name}' stands in a <{tag}>.")
            if name == "style" and value:
                _check_style(value)
        if self.packed and _is_packed(tag, attributes):
            self._dropped_tag = tag if tag == "script" else None
            return
        link = "src" if tag == "script" else "href" if tag == "link" else None
        if link and attributes.get(link):
            local = local_copy(str(attributes[link]), self.static)
            if local is None:
                self._dropped_tag = tag if tag == "script" else None
                return
            written = self._tag(tag, {**attributes, link: local})
            if attributes.get("type") == "module":
                self.modules.append(f"{written}</script>")
                self._dropped_tag = tag
            else:
                self.out.append(written)
            return
        for name, value in attributes.items():
            if name in _ASSET_ATTRIBUTES and value and _OUTSIDE.search(f" {value}"):
                raise AssetError(f"<{tag} {name}> asks another host: {value}")
        if tag in ("script", "style"):
            self._inside = tag
            self.out.append(self._tag(tag, attributes))
            return
        self.out.append(source)

    def _tag(self, tag: str, attributes: Mapping[str, str | None]) -> str:
        kept = {k: v for k, v in attributes.items() if k != "nonce"}
        if tag == "script" and kept.get("src") and kept.get("type") != "module":
            kept["defer"] = None
        kept["nonce"] = self.nonce
        written = "".join(
            f" {k}" if v is None else f' {k}="{html.escape(v, quote=True)}"'
            for k, v in kept.items()
        )
        return f"<{tag}{written}>"

    def handle_endtag(self, tag: str) -> None:
        if self._dropped_tag == tag:
            self._dropped_tag = None
            return
        if self._inside == tag:
            self._inside = None
        self.out.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        if self._dropped_tag:
            return
        if self._inside == "script":
            check_script(data)
        elif self._inside == "style":
            _check_style(data)
        self.out.append(data)

    def handle_entityref(self, name: str) -> None:
        self.out.append(f"&{name};")

    def handle_charref(self, name: str) -> None:
        self.out.append(f"&#{name};")

    def handle_comment(self, data: str) -> None:
        """Drop comments: they carry nothing that a reader of the page needs."""

    def handle_decl(self, decl: str) -> None:
        """Drop document types: the page's template has its own."""


def _is_packed(tag: str, attributes: Mapping[str, str | None]) -> bool:
    kind = attributes.get("type") if tag == "script" else attributes.get("rel")
    return (tag, kind) in _PACKED_LINKS


def local_copy(address: str, static: str = STATIC) -> str | None:
    """Return where our own copy of a linked library lies, or None where it is not needed.

    Parameters
    ----------
    address : str
        Address in a script's ``src`` or a link's ``href``.
    static : str
        Where the static folder is served.

    Returns
    -------
    str or None
        Path on this host; None drops the link.

    Raises
    ------
    AssetError
        If the address lies on another host and no copy is known.

    Examples
    --------
    >>> local_copy("https://cdn.example/npm/leaflet@1.9.3/dist/leaflet.js")
    '/static/vendor/leaflet/leaflet.js'
    """
    if address.startswith("/") and not address.startswith("//"):
        return address
    path = address.split("?")[0].split("#")[0]
    if NOT_NEEDED.search(path):
        return None
    name = path.rsplit("/", 1)[-1]
    if name in LOCAL_COPIES:
        return f"{static}/{LOCAL_COPIES[name]}"
    raise AssetError(
        f"No local copy of {address} is known. Add it to package.json, setup/copy-assets.mjs and "
        "LOCAL_COPIES, or leave the plugin out."
    )


def check_script(code: str) -> None:
    """Refuse inline code that holds an address of another host.

    Parameters
    ----------
    code : str
        JavaScript.

    Raises
    ------
    AssetError
        If an address stands in it.
    """
    found = _OUTSIDE.search(code)
    if found:
        near = code[max(found.start() - 40, 0) : found.end() + 40].strip()
        raise AssetError(f"Inline code asks another host: ... {near} ...")


def _check_style(text: str) -> None:
    for address in _STYLE_ADDRESS.findall(text):
        if _OUTSIDE.search(f" {address}"):
            raise AssetError(f"A style asks another host: {address}")


def _walk(markup: str, nonce: str, static: str, packed: bool = False) -> str:
    walk = _AssetWalk(nonce, static, packed)
    walk.feed(markup)
    walk.close()
    return re.sub(r"\n\s*(?=\n)", "", "".join([*walk.out, *walk.modules]))


class Figure(BrancaFigure):  # type: ignore[misc, unused-ignore]
    """The choke point: renders its children, then walks header, html and script.

    Every link becomes a local one, what is not needed goes, and anything left that names another
    host raises `AssetError`.

    Parameters
    ----------
    static : str
        Where the static folder is served.
    """

    def __init__(self, static: str = STATIC) -> None:
        super().__init__()
        self.static = static

    def frame(self, nonce: str = "", *, packed: bool = False) -> Frame:
        """Return the parts of the page.

        Parameters
        ----------
        nonce : str
            Put on each script, style and link.
        packed : bool
            The page brings the modules and styles of the map along: no links to them.

        Returns
        -------
        Frame
            Header, html and script.

        Raises
        ------
        AssetError
            If a part asks another host for anything, or holds an inline event handler.
        """
        for child in self._children.values():
            child.render()
        code = self.script.render().strip()
        check_script(code)
        if "</script" in code.lower():
            raise AssetError("Inline code closes its own script element.")
        return Frame(
            header=Markup(_walk(self.header.render(), nonce, self.static, packed).strip()),  # noqa: S704 (walked)
            html=Markup(_walk(self.html.render(), nonce, self.static).strip()),  # noqa: S704 (walked)
            script=Markup(code),  # noqa: S704 (checked)
            nonce=nonce,
        )

    def render(self, **kwargs: Any) -> str:
        """Return a bare page of the parts, for folium's own `save` and for notebooks."""
        parts = self.frame()
        script = f"<script>{parts.script}</script>" if parts.script else ""
        return (
            '<!DOCTYPE html>\n<html>\n<head><meta charset="utf-8">'
            f"{parts.header}</head>\n<body>{parts.html}{script}</body>\n</html>\n"
        )


class Map(folium.Map):  # type: ignore[misc, unused-ignore]
    """A folium map with Leaflet alone, no tiles, and its options in ``data-`` attributes.

    The element is brought to life by ``static/js/map/frame.js``; layers are added with `add_child`
    as with any folium map.

    Parameters
    ----------
    name : str
        Id of the element; letters, digits, ``-`` and ``_``.
    label : str
        What the map shows, for screen readers.
    bounds : sequence of 4 floats, optional
        West, south, east, north in degrees: the first view.
    static : str
        Where the static folder is served; may hold a version.
    options : mapping, optional
        More options for ``frame.js``: ``minZoom``, ``maxZoom``, ``attribution``, ``zoomIn``,
        ``zoomOut``.
    """

    default_js = _LEAFLET_JS
    default_css = _LEAFLET_CSS

    _template = Template(
        """
        {% macro header(this, kwargs) %}
        <link rel="modulepreload" href="{{ this.static }}/js/map/options.js">
        <script type="module" src="{{ this.static }}/js/map/frame.js"></script>
        {% endmacro %}

        {% macro html(this, kwargs) %}
        <div class="folium-map" id="{{ this.get_name() }}" role="region" tabindex="0"
             aria-label="{{ this.label }}" data-options="{{ this.data_options }}"></div>
        {% endmacro %}
        """
    )

    def __init__(
        self,
        name: str,
        *,
        label: str,
        bounds: Sequence[float] | None = None,
        static: str = STATIC,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        if not re.fullmatch(r"[A-Za-z][\w-]*", name):
            raise ValueError(f"'{name}' cannot be an element's id.")
        self._element_id = name
        super().__init__(location=(0.0, 0.0), tiles=None)
        self.static = attribute_text(static)
        self.label = attribute_text(label)
        chosen = {**(options or {}), **({"bounds": [*bounds]} if bounds else {})}
        self.data_options = attribute_json(chosen)
        Figure(static).add_child(self)

    def get_name(self) -> str:
        """Return the element's id; stable, so that equal maps are equal bytes."""
        return self._element_id

    def frame(self, nonce: str = "", *, packed: bool = False) -> Frame:
        """Return the parts of the page; see `Figure.frame`."""
        figure = self.get_root()
        if not isinstance(figure, Figure):
            raise AssetError("The map stands in a figure that does not check its assets.")
        return figure.frame(nonce, packed=packed)
