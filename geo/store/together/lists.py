"""Both lists of a campaign as tables: out to a workbook or CSV, and in again, whole or not.

A row with a number of a line changes that line; one without puts a line on the list, unless the
same line stands there. A single row that cannot be taken keeps the whole file out.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from geo import sheets
from geo.db import Viewer
from geo.errors import InvalidInputError, WanggeError
from geo.store import audit, office, rights
from geo.store.nets import Moment
from geo.store.roster import Rejected
from geo.store.together import campaigns, places
from geo.terms import ItemList, ItemState

COLUMNS: Final[Mapping[str, tuple[str, str]]] = {
    "n": ("编号", "number"),
    "words": ("内容", "item"),
    "of": ("针对问题", "against problem"),
    "organisation": ("责任单位", "owner"),
    "grid": ("网格编码", "grid code"),
    "grid_name": ("网格", "grid"),
    "due_on": ("办理期限", "due on"),
    "state": ("状态", "state"),
    "done_on": ("销号日期", "ticked off on"),
    "note": ("办理情况", "note"),
    "issue": ("事件编号", "issue"),
}
"""Columns of both tables: their Chinese and English names."""
LIST: Final[Mapping[str, tuple[str, str]]] = {"list": ("清单", "list")}
"""The column that says which list, where both stand in one table."""
KNOWN: Final[Mapping[str, tuple[str, str]]] = {**COLUMNS, **LIST}
OTHERWISE: Final[Mapping[str, str]] = {
    "事项": "words", "问题": "words", "存在问题": "words", "问题描述": "words", "措施": "words",
    "整治措施": "words", "整改措施": "words", "牵头单位": "organisation", "时限": "due_on",
    "完成时限": "due_on", "整改时限": "due_on", "完成情况": "note", "整改情况": "note",
}  # fmt: skip
"""What columns are called in lists that came from elsewhere."""
TITLES: Final[Mapping[ItemList, tuple[str, str]]] = {
    ItemList.PROBLEM: ("问题清单", "Problems"),
    ItemList.MEASURE: ("措施清单", "Measures"),
}
STATES: Final[Mapping[ItemState, tuple[str, str]]] = {
    ItemState.OPEN: ("待办理", "to be done"),
    ItemState.DONE: ("已销号", "ticked off"),
    ItemState.DROPPED: ("不再办理", "dropped"),
}
MOST_TOLD: Final = 200
"""Most rejected rows that are listed one by one."""
HEAD_ROWS: Final = 5
"""Rows in which the header is looked for: a title may stand above it."""


@dataclass
class Report:
    """What was understood of a file."""

    rows: int = 0
    added: int = 0
    changed: int = 0
    unchanged: int = 0
    left_out: list[str] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    taken: bool = False


def export(
    session: Session, viewer: Viewer, at: Moment, campaign: int, lang: str
) -> list[sheets.Sheet]:
    """Return both lists as far as the viewer sees them, a sheet each; a row of the log.

    Raises
    ------
    NotFoundError
        If the city has no such campaign.
    """
    lines = campaigns.show(session, viewer, at, campaign)["lines"]
    audit.append(
        session, at.city_id, "campaign.exported", f"campaign/{campaign}", {"lines": len(lines)}
    )
    return tables(lines, ZoneInfo(at.timezone), lang)


def tables(lines: Sequence[Mapping[str, Any]], zone: ZoneInfo, lang: str) -> list[sheets.Sheet]:
    """Return lines as tables, one of problems and one of measures, in the words of a language."""
    column = 0 if lang == "zh" else 1
    header = [names[column] for names in COLUMNS.values()]
    return [
        sheets.Sheet(
            titles[column],
            header,
            [_told(row, zone, column) for row in lines if row["list"] == one],
        )
        for one, titles in TITLES.items()
    ]


FIGURES: Final[Mapping[str, tuple[str, str]]] = {
    "found": ("新增", "new"),
    "done": ("销号", "ticked off"),
    "all": ("累计", "in all"),
    "done_all": ("累计销号", "of them ticked off"),
    "left": ("未销号", "left"),
    "overdue": ("超期", "overdue"),
}
"""Figures of a bulletin: their Chinese and English names."""
PARTS: Final[Mapping[str, tuple[str, str]]] = {
    "figures": ("统计", "Figures"),
    "owners": ("按责任单位", "By owner"),
    "grids": ("按网格", "By grid"),
}
"""Tables of figures of a bulletin."""


def of_bulletin(told: Mapping[str, Any], zone: ZoneInfo, lang: str) -> list[sheets.Sheet]:
    """Return a bulletin (`bulletins.bulletin`) as tables: its figures, and the lines they count."""
    column = 0 if lang == "zh" else 1
    figures = [
        {"name": titles[column], **told["figures"][one.value]} for one, titles in TITLES.items()
    ]
    period = f"{told['first']} – {told['until']}"
    header = [period, COLUMNS["grid"][column], *(names[column] for names in FIGURES.values())]
    counted = [
        sheets.Sheet(
            titles[column],
            header,
            [
                (row["name"], row.get("code"), *(row[name] for name in FIGURES))
                for row in (figures if part == "figures" else told[part])
            ],
        )
        for part, titles in PARTS.items()
    ]
    return [*counted, *tables(told["lines"], zone, lang)]


def workbook(tables: Sequence[sheets.Sheet]) -> bytes:
    """Return tables as a workbook (XLSX) that holds no formula."""
    return sheets.write(tables)


def in_one(tables: Sequence[sheets.Sheet], lang: str) -> tuple[list[str], list[list[Any]]]:
    """Return both tables as one, for a file that holds one: its header and its rows."""
    header = [LIST["list"][0 if lang == "zh" else 1], *tables[0].header]
    return header, [[one.title, *row] for one in tables for row in one.rows]


def _told(row: Mapping[str, Any], zone: ZoneInfo, column: int) -> tuple[Any, ...]:
    done = row["done_at"].astimezone(zone).date() if row["done_at"] else None
    return (
        row["n"], row["words"], row["of"], row["organisation_name"], row["grid_code"],
        row["grid_name"], row["due_on"], STATES[ItemState(row["state"])][column], done,
        row["note"], row["issue"],
    )  # fmt: skip


def take(
    session: Session, viewer: Viewer, at: Moment, campaign: int, content: bytes, *, write: bool
) -> Report:
    """Read lists and, if every row can be taken and it is wanted, write them; say what came of it.

    Everything is written within the running transaction's savepoint: whole, or not at all. The log
    gets one row for the file.

    Raises
    ------
    ForbiddenError
        If the viewer is neither an administrator nor a community.
    NotFoundError
        If the city has no such campaign.
    InvalidInputError
        If the file is no table or lacks a column.
    """
    city_id = rights.demand(viewer, rights.TELLING)
    report = Report()
    rows = [row for title, table in _tables(content, report) for row in _rows(title, table, report)]
    if len(rows) > campaigns.MOST_ITEMS:
        told = f"At most {campaigns.MOST_ITEMS} rows are taken."
        raise InvalidInputError(told, field="file", reason="too_many_rows")
    card = campaigns.show(session, viewer, at, campaign)
    attempt = session.begin_nested()
    taking = _Taking(session, viewer, at, card, report)
    session.info[office.BATCH] = True
    try:
        for row in rows:
            _take_row(session, taking, *row)
    finally:
        session.info.pop(office.BATCH)
    report.taken = write and not report.rejected and report.rows > 0
    if not report.taken:
        attempt.rollback()
        session.expire_all()
        return report
    attempt.commit()
    what = {
        "sha256": hashlib.sha256(content).hexdigest(), "rows": report.rows, "added": report.added,
        "changed": report.changed,
    }  # fmt: skip
    audit.append(session, city_id, "campaign.imported", f"campaign/{campaign}", what)
    return report


def _take_row(
    session: Session, taking: _Taking, number: int, one: str, values: Mapping[str, Any]
) -> None:
    report = taking.report
    report.rows += 1
    try:
        with session.begin_nested():
            taking.row(one, values)
    except WanggeError as error:
        said = {key: str(error.data.get(key, "")) for key in ("field", "reason", "value")}
        report.rejected.append(
            Rejected(number, said["field"], said["reason"] or "refused", said["value"])
        )


def _tables(content: bytes, report: Report) -> list[tuple[str, list[list[Any]]]]:
    """Return the tables of a workbook or of a CSV file, with their titles.

    A sheet that is no list, beside one that is, is left out and named.
    """
    if content.startswith(b"PK"):
        found = [(title, rows) for title, rows in sheets.read_all(content).items() if rows]
        told = [one for one in found if _head(one[1]) is not None]
        if told:
            report.left_out += [title for title, rows in found if _head(rows) is None]
        return told or found
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return [("", _of_csv(text))]
    raise InvalidInputError("The file is no readable table.", field="file", reason="no_table")


def _of_csv(text: str) -> list[list[Any]]:
    try:
        rows = list(csv.reader(io.StringIO(text, newline="")))
    except csv.Error as error:
        told = "The file is no readable table."
        raise InvalidInputError(told, field="file", reason="no_table") from error
    return [[sheets.plain(value) for value in row] for row in rows]


def _head(rows: Sequence[Sequence[Any]]) -> int | None:
    """Return the row of a table that holds the names of its columns, None if none seems to."""
    names = {name.casefold() for name in (*COLUMNS["words"], "words")}
    names |= {name for name, code in OTHERWISE.items() if code == "words"}
    for n, row in enumerate(rows[:HEAD_ROWS]):
        if names & {_text(one).casefold() for one in row}:
            return n
    return None


def _rows(
    title: str, rows: list[list[Any]], report: Report
) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """Yield the number in the file, the list and the values of each row of a table."""
    head = _head(rows) or 0
    header = [OTHERWISE.get(_text(name), name) for name in rows[head]] if rows else []
    found, left_out = sheets.columns(header, KNOWN, ["words"])
    report.left_out += [name for name in left_out if name not in report.left_out]
    for number, row in enumerate(rows[head + 1 :], head + 2):
        values = {name: row[place] if place < len(row) else None for name, place in found.items()}
        if any(value not in (None, "") for value in values.values()):
            yield number, _text(values.get("list")) or title, values


class _Taking:
    """One file on its way onto the lists."""

    def __init__(
        self,
        session: Session,
        viewer: Viewer,
        at: Moment,
        card: Mapping[str, Any],
        report: Report,
    ) -> None:
        self.session = session
        self.viewer = viewer
        self.at = at
        self.campaign: int = card["campaign"]
        self.whole: int | None = card["grid"]
        self.report = report
        lines = card["lines"]
        self.known = {line["n"]: line for line in lines}
        self.problems = {
            line["words"]: line["n"] for line in lines if line["list"] == ItemList.PROBLEM.value
        }
        self.standing = {self._same(line) for line in lines}
        self.bodies: dict[str, int | None] = {}
        self.grids: dict[str, int] = {}

    def row(self, title: str, values: Mapping[str, Any]) -> None:
        """Take one row, or say why not."""
        line = {
            "list": _list_of(title),
            "words": _text(values.get("words")),
            "organisation": self._body(values.get("organisation")),
            "grid": self._grid(values),
            "due_on": _day(values),
        }
        if values.get("n") not in (None, ""):
            self._keep(line, values)
            return
        if self._same(line) in self.standing:
            self.report.unchanged += 1
            return
        of, issue = self._problem(values.get("of")), _number(values, "issue")
        new = campaigns.Line(
            ItemList(line["list"]), line["words"], line["organisation"], line["grid"],
            line["due_on"], of, issue,
        )  # fmt: skip
        made = campaigns.add_line(self.session, self.viewer, self.at, self.campaign, new)
        self.standing.add(self._same(line))
        if line["list"] == ItemList.PROBLEM.value:
            self.problems.setdefault(line["words"], made.number)
        state = _state(values)
        if state is not ItemState.OPEN:
            said = {"state": state, "note": _text(values.get("note"))}
            campaigns.change_line(self.session, self.viewer, self.campaign, made.number, 0, said)
        self.report.added += 1

    def _keep(self, line: Mapping[str, Any], values: Mapping[str, Any]) -> None:
        """Bring a line to what the row says; an empty cell says nothing of a state alone."""
        before = self.known.get(_number(values, "n") or 0)
        if before is None or before["list"] != line["list"]:
            told = "There is no such line on this list."
            raise InvalidInputError(told, field="n", reason="no_line", value=_text(values.get("n")))
        named = _text(values.get("grid")) or _text(values.get("grid_name"))
        if named and before["grid"] != line["grid"]:
            told = "A line stays in its grid."
            raise InvalidInputError(told, field="grid", reason="line_grid", value=named[:40])
        now: dict[str, Any] = {"words": line["words"]}
        now |= {name: line[name] for name in ("organisation", "due_on") if name in values}
        if "issue" in values:
            now["issue"] = _number(values, "issue")
        if _text(values.get("state")):
            now["state"] = _state(values).value
        said = {name: value for name, value in now.items() if value != before[name]}
        note = _text(values["note"]) if "note" in values else before["note"] or ""
        if note != (before["note"] or "") or "state" in said:
            said["note"] = note
        if not said:
            self.report.unchanged += 1
            return
        campaigns.change_line(
            self.session, self.viewer, self.campaign, before["n"], before["version"], said
        )
        self.report.changed += 1

    def _same(self, line: Mapping[str, Any]) -> tuple[Any, ...]:
        return tuple(line[name] for name in ("list", "words", "organisation", "grid"))

    def _body(self, said: Any) -> int | None:
        """Return the body that a row names."""
        name = _text(said)
        if not name:
            return None
        if name not in self.bodies:
            self.bodies[name] = places.body_named(self.session, self.at.city_id, name)
        return self.bodies[name]

    def _grid(self, values: Mapping[str, Any]) -> int | None:
        """Return the grid that a row names by code or name, or else the campaign's."""
        name = _text(values.get("grid")) or _text(values.get("grid_name"))
        if not name:
            return self.whole
        if name not in self.grids:
            found = office.grid_of_code(self.session, self.viewer, self.at, name)
            self.grids[name] = int(found.grid_id)
        return self.grids[name]

    def _problem(self, said: Any) -> int | None:
        """Return the number of the problem that a measure is against, by number or by its words."""
        if said in (None, ""):
            return None
        name = _text(said)
        found = self.problems.get(name)
        if found is None and not name.isdecimal():
            told = "A measure is against a problem of the same campaign."
            raise InvalidInputError(told, field="of", reason="no_problem", value=name[:40])
        return found if found is not None else int(name[:9])


def _list_of(title: str) -> str:
    """Return which list a title or a cell names."""
    for one, names in TITLES.items():
        begins = (names[0][:2], names[1][:-1].casefold())
        if title.casefold().lstrip().startswith(begins) or names[0][:2] in title:
            return one.value
    raise InvalidInputError(
        "Which list a row is for is not said.", field="list", reason="no_list", value=title[:40]
    )


def _state(values: Mapping[str, Any]) -> ItemState:
    word = _text(values.get("state")).casefold()
    for state, names in STATES.items():
        if word in (state.value, *names) or (not word and state is ItemState.OPEN):
            return state
    raise InvalidInputError(
        "There is no such state.", field="state", reason="no_category", value=word[:40]
    )


def _day(values: Mapping[str, Any]) -> Any:
    try:
        return sheets.day(values.get("due_on"))
    except ValueError:
        told, value = "That is no date.", _text(values.get("due_on"))[:40]
        raise InvalidInputError(told, field="due_on", reason="no_date", value=value) from None


def _number(values: Mapping[str, Any], name: str) -> int | None:
    said = _text(values.get(name))
    if not said:
        return None
    if not (said.isascii() and said.isdecimal() and len(said) <= 18):
        told = f"{name} is no number."
        raise InvalidInputError(told, field=name, reason="no_number", value=said[:40])
    return int(said)


def _text(value: Any) -> str:
    return "" if value is None else str(value).strip()
