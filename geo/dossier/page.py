"""The dossier as one page of HTML that needs nothing else: no script, no address, maps as SVG."""

from __future__ import annotations

from html import escape
from typing import Final

from geo.dossier.content import Cell, Content, Lang, Table, sections, word
from geo.dossier.drawing import HATCH_STEP, INK, LINE, Ring, Sheet, sheets

WIDTH: Final = 560.0
STYLE: Final = (
    "body{font:15px/1.5 'Noto Sans CJK SC','PingFang SC','Microsoft YaHei',sans-serif;"
    "color:#1b2430;background:#fff;margin:2rem auto;max-width:1200px;padding:0 1rem}"
    "h1{font-size:1.6rem}h2{font-size:1.15rem;margin-top:2rem}"
    "table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}"
    "th,td{border-bottom:1px solid #d9dee5;padding:.3rem .5rem;text-align:left;vertical-align:top;"
    "overflow-wrap:break-word}th{color:#5b6776;font-weight:600}td.n{white-space:nowrap}"
    "td.w{white-space:pre-wrap;min-width:14rem}.maps{display:flex;flex-wrap:wrap;gap:1rem}"
    "figure{margin:0;flex:1 1 320px}svg{width:100%;height:auto;border:1px solid #d9dee5}"
    ".t{overflow-x:auto}p{color:#5b6776}"
    "@media print{body{margin:0}h2{break-after:avoid}tr,figure{break-inside:avoid}}"
)
POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"


def page(content: Content, lang: Lang) -> bytes:
    """Return the page; every text of people is escaped."""
    title = f"{content.city} · {word('title', lang)} · {content.card['name']}"
    lines = [
        "<!doctype html>",
        f'<html lang="{"zh-CN" if lang == "zh" else "en"}">',
        '<head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{escape(POLICY)}">',
        '<meta name="viewport" content="width=device-width,initial-scale=1">',
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body>",
        f"<h1>{escape(title)}</h1>",
        *_maps(content, lang),
    ]
    for table in sections(content, lang):
        lines += _table(table, lang)
    return ("\n".join([*lines, "</body></html>"]) + "\n").encode()


def _maps(content: Content, lang: Lang) -> list[str]:
    lines = [f"<h2>{escape(word('maps', lang))}</h2>"]
    drawn = sheets(content, WIDTH)
    if drawn is None:
        return [*lines, f"<p>{escape(word('no_change', lang))}</p>"]
    lines.append('<div class="maps">')
    for name, sheet in zip(("before", "after"), drawn, strict=True):
        told = escape(word(name, lang))
        lines.append(f"<figure><figcaption>{told}</figcaption>{_svg(sheet, name, told)}</figure>")
    return [*lines, "</div>", f"<p>{escape(word('moved_ground', lang))}</p>"]


def _svg(sheet: Sheet, name: str, told: str) -> str:
    box = f"0 0 {sheet.width:g} {sheet.height:g}"
    step = f"{HATCH_STEP:g}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box}" role="img" aria-label="{told}">',
        (
            f'<defs><pattern id="h-{name}" width="{step}" height="{step}"'
            ' patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
            f'<line x1="0" y1="0" x2="0" y2="{step}" stroke="{INK}" stroke-width="1"/>'
            "</pattern></defs>"
        ),
    ]
    for area in sheet.areas:
        width, shade = ("1.4", "0.45") if area.coloured else ("0.5", "1")
        parts.append(
            f'<path d="{_path(area.rings)}" fill="{area.fill}" fill-opacity="{shade}"'
            f' fill-rule="evenodd" stroke="{LINE}" stroke-width="{width}"/>'
        )
    parts += [f'<path d="{_path([ring])}" fill="url(#h-{name})"/>' for ring in sheet.hatches]
    parts += [
        f'<text x="{label.x:g}" y="{label.y:g}" font-size="12" text-anchor="middle"'
        f' paint-order="stroke" stroke="#fff" stroke-width="3" fill="{INK}">'
        f"{escape(label.text)}</text>"
        for label in sheet.labels
    ]
    return "".join([*parts, "</svg>"])


def _path(rings: tuple[Ring, ...] | list[Ring]) -> str:
    return "".join("M" + "L".join(f"{x:g} {y:g}" for x, y in ring) + "Z" for ring in rings)


def _table(table: Table, lang: Lang) -> list[str]:
    lines = [f"<h2>{escape(table.title)}</h2>"]
    if not table.rows:
        return [*lines, f"<p>{escape(word('none', lang))}</p>"]
    lines.append('<div class="t"><table>')
    if any(table.columns):
        heads = "".join(f"<th>{escape(column)}</th>" for column in table.columns)
        lines.append(f"<thead><tr>{heads}</tr></thead>")
    lines.append("<tbody>")
    for row in table.rows:
        cells = "".join(_cell(value, at in table.wide) for at, value in enumerate(row))
        lines.append(f"<tr>{cells}</tr>")
    return [*lines, "</tbody></table></div>"]


def _cell(value: Cell, wide: bool) -> str:
    if value is None:
        return "<td></td>"
    kind = ' class="w"' if wide else "" if isinstance(value, str) else ' class="n"'
    return f"<td{kind}>{escape(told(value))}</td>"


def told(value: Cell) -> str:
    """Return a value as it stands in a table."""
    if isinstance(value, (bool, str)) or value is None:
        return str(value or "")
    return f"{value:,}" if isinstance(value, int) else f"{value:,.1f}"
