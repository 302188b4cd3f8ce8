"""The dossier on paper: A4, one Chinese face that every reader of PDF knows, maps as lines."""

from __future__ import annotations

from html import escape
from io import BytesIO
from typing import Any, Final

from reportlab.graphics.shapes import Drawing, Path, String
from reportlab.lib import colors, pagesizes, styles
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.platypus import LongTable, Paragraph, SimpleDocTemplate, Spacer, TableStyle

from geo.dossier.content import Content, Lang, Table, sections, word
from geo.dossier.drawing import INK, LINE, Ring, Sheet, sheets
from geo.dossier.page import told

FACE: Final = "STSong-Light"
EDGE: Final = 40.0
GAP: Final = 12.0
MOST_LETTERS: Final = 1200
"""Of one cell: a longer one would be higher than a page; the page of HTML has all of it."""


def paper(content: Content, lang: Lang) -> bytes:
    """Return the dossier as PDF; every text of people is escaped."""
    if FACE not in pdfmetrics.getRegisteredFontNames():
        pdfmetrics.registerFont(UnicodeCIDFont(FACE))
    size = pagesizes.landscape(pagesizes.A4)
    width = size[0] - 2 * EDGE
    title = f"{content.city} · {word('title', lang)} · {content.card['name']}"
    target = BytesIO()
    document = SimpleDocTemplate(
        target, pagesize=size, leftMargin=EDGE, rightMargin=EDGE, topMargin=EDGE,
        bottomMargin=EDGE, invariant=1, title=_sound(title), author="Wangge", lang=lang,
    )  # fmt: skip
    flow: list[Any] = [Paragraph(_text(title), _style(16)), Spacer(1, GAP)]
    flow += _maps(content, lang, width)
    for table in sections(content, lang):
        flow += [Paragraph(_text(table.title), _style(12)), Spacer(1, 4)]
        flow += [_table(table, width) if table.rows else Paragraph(word("none", lang), _style(9))]
        flow.append(Spacer(1, GAP))
    document.build(flow, onFirstPage=_numbered, onLaterPages=_numbered)
    return target.getvalue()


def _style(size: float) -> styles.ParagraphStyle:
    return styles.ParagraphStyle(
        f"wangge-{size:g}", fontName=FACE, fontSize=size, leading=size * 1.35, wordWrap="CJK",
        textColor=colors.HexColor(INK),
    )  # fmt: skip


def _sound(text: str) -> str:
    """Return a text without what a PDF's face has no place for: only the basic plane is in it."""
    return "".join(letter if "\x1f" < letter <= "\uffff" else "\ufffd" for letter in text)


def _text(text: str) -> str:
    if len(text) > MOST_LETTERS:
        text = text[:MOST_LETTERS] + " …"
    return "<br/>".join(escape(_sound(line)) for line in text.split("\n"))


def _maps(content: Content, lang: Lang, width: float) -> list[Any]:
    flow: list[Any] = [Paragraph(_text(word("maps", lang)), _style(12)), Spacer(1, 4)]
    drawn = sheets(content, (width - GAP) / 2)
    if drawn is None:
        return [*flow, Paragraph(_text(word("no_change", lang)), _style(9)), Spacer(1, GAP)]
    heads = [Paragraph(_text(word(name, lang)), _style(9)) for name in ("before", "after")]
    limit = 400.0
    pictures = [_drawing(sheet, limit) for sheet in drawn]
    pair = LongTable([heads, pictures], colWidths=[width / 2] * 2)
    return [*flow, pair, Paragraph(_text(word("moved_ground", lang)), _style(8)), Spacer(1, GAP)]


def _drawing(sheet: Sheet, limit: float) -> Drawing:
    """Return a map as lines and faces; y goes upwards on paper."""
    by = min(1.0, limit / sheet.height)
    drawing = Drawing(sheet.width * by, sheet.height * by)
    for area in sheet.areas:
        width, shade = (1.2, 0.45) if area.coloured else (0.4, 1.0)
        drawing.add(
            _path(area.rings, sheet.height, by, fillColor=colors.HexColor(area.fill),
                  fillOpacity=shade, strokeColor=colors.HexColor(LINE), strokeWidth=width)
        )  # fmt: skip
    for ring in sheet.hatches:
        drawing.add(
            _path([ring], sheet.height, by, fillColor=None, strokeColor=colors.HexColor(INK),
                  strokeWidth=0.9, strokeDashArray=[3, 2])
        )  # fmt: skip
    for label in sheet.labels:
        text = _sound(label.text)[:20]
        drawing.add(
            String(label.x * by, (sheet.height - label.y) * by, text, fontName=FACE, fontSize=8,
                   textAnchor="middle", fillColor=colors.HexColor(INK))
        )  # fmt: skip
    return drawing


def _path(rings: tuple[Ring, ...] | list[Ring], height: float, by: float, **look: Any) -> Path:
    path = Path(fillMode=0, **look)
    for ring in rings:
        for number, (x, y) in enumerate(ring):
            place = x * by, (height - y) * by
            if number == 0:
                path.moveTo(*place)
            else:
                path.lineTo(*place)
        path.closePath()
    return path


def _table(table: Table, width: float) -> LongTable:
    small = _style(7.5)
    heads = [[Paragraph(_text(name), small) for name in table.columns]]
    body = [[Paragraph(_text(told(value)), small) for value in row] for row in table.rows]
    parts = [3.0 if at in table.wide else 1.0 for at in range(len(table.columns))]
    made = LongTable(
        (heads if any(table.columns) else []) + body,
        colWidths=[width * part / sum(parts) for part in parts],
        repeatRows=1 if any(table.columns) else 0,
    )
    made.setStyle(
        TableStyle(
            [
                ("LINEBELOW", (0, 0), (-1, -1), 0.4, colors.HexColor("#d9dee5")),
                ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ]
        )
    )
    return made


def _numbered(canvas: Any, document: Any) -> None:
    canvas.setFont(FACE, 8)
    canvas.drawRightString(document.pagesize[0] - EDGE, EDGE / 2, str(canvas.getPageNumber()))
