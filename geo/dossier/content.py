"""What a dossier says, as plain values and tables, before it becomes pages and files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import geopandas as gpd

Lang = Literal["zh", "en"]
Cell = str | int | float | None

WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "title": ("网格调整方案", "Redraw of the net"),
    "plan": ("方案", "Plan"),
    "number": ("编号", "Number"),
    "state": ("状态", "State"),
    "base": ("基准网格体系", "Base net"),
    "last_edit": ("最后一次修改", "Last edit"),
    "as_of": ("数据日期", "As of"),
    "day": ("日期", "Day"),
    "net": ("网格体系", "Net"),
    "vintage": ("户数口径", "Households of"),
    "estimated": ("户数为估算", "Households are an estimate"),
    "draft": ("草稿", "draft"),
    "submitted": ("待审核", "submitted"),
    "approved": ("已审核", "approved"),
    "published": ("已发布", "published"),
    "withdrawn": ("已撤回", "withdrawn"),
    "maps": ("调整前后对比图", "Maps before and after"),
    "before": ("调整前", "Before"),
    "after": ("调整后", "After"),
    "moved_ground": ("斜线：调入其他网格的地块", "Hatched: ground that lies in another grid"),
    "no_change": ("没有网格发生变化。", "No grid changes."),
    "summary": ("概要", "Summary"),
    "grids": ("网格", "Grids"),
    "changed_grids": ("变化的网格", "Grids that change"),
    "cells_moved": ("调整地块", "Cells that move"),
    "moved_households": ("涉及户数", "Households that move"),
    "moved_area": ("涉及面积（平方米）", "Ground that moves (m²)"),
    "households": ("户数", "Households"),
    "area": ("面积（平方米）", "Area (m²)"),
    "within": ("户数在目标范围内的网格", "Basic grids within the tolerance"),
    "target": ("目标户数", "Target households"),
    "tolerance": ("允许偏差", "Tolerance"),
    "largest": ("最大偏差", "Largest deviation"),
    "compactness": ("平均紧凑度（Polsby–Popper）", "Mean compactness (Polsby–Popper)"),
    "compact": ("紧凑度", "Compactness"),
    "posts_ended": ("需要接任的岗位", "Posts that need a successor"),
    "posts_changed": ("辖区变化的岗位", "Posts with other ground"),
    "issues_moved": ("随网格移交的未结事件", "Open issues that change hands"),
    "stations_moved": ("改变所属网格的驿站", "Stations in another grid"),
    "without_station": ("没有驿站的网格", "Grids without a station"),
    "grid": ("网格", "Grid"),
    "code": ("编码", "Code"),
    "name": ("名称", "Name"),
    "verdict": ("变化", "Change"),
    "kept": ("保留", "kept"),
    "split": ("拆分", "split"),
    "merged": ("合并", "merged"),
    "ended": ("撤销", "ended"),
    "new": ("新设", "new"),
    "changed": ("辖区变化", "other ground"),
    "crosswalk": ("新旧网格对照表", "Crosswalk of grids"),
    "old_grid": ("原网格", "Old grid"),
    "new_grid": ("新网格", "New grid"),
    "share_old": ("占原网格户数", "Share of the old grid's households"),
    "share_new": ("占新网格户数", "Share of the new grid's households"),
    "posts": ("涉及岗位", "Posts concerned"),
    "post": ("岗位", "Post"),
    "role": ("角色", "Role"),
    "vacant": ("空缺", "Vacant"),
    "goes_to": ("去向", "Goes to"),
    "open": ("尚未确定", "not said yet"),
    "becomes_vacant": ("转为空缺", "becomes vacant"),
    "yes": ("是", "yes"),
    "no": ("否", "no"),
    "limits": ("四至", "Limits in words"),
    "comments": ("意见与答复", "Comments and answers"),
    "who": ("提出人", "By"),
    "when": ("时间", "At"),
    "said": ("内容", "Text"),
    "answer_to": ("答复", "Answers"),
    "resolved": ("已处理", "Resolved"),
    "none": ("没有。", "None."),
    "open_issues": ("未结事件", "Open issues"),
    "within_500": ("500 米内有驿站的户数", "Households within 500 m of a station"),
}  # fmt: skip


@dataclass(frozen=True)
class Side:
    """One of the two maps.

    Attributes
    ----------
    shapes : GeoSeries
        Leaf grids that change, and those around them, by grid; metres.
    names : mapping of int to str
    """

    shapes: gpd.GeoSeries
    names: Mapping[int, str]


@dataclass(frozen=True)
class Content:
    """All that a dossier is made of; equal contents give equal bytes.

    Attributes
    ----------
    city : str
        Name of the city.
    card : mapping
        The plan: number, name, state, base net, last edit, rules.
    as_of : mapping
        `day`, `net`, `vintage`, `estimated`.
    impact : mapping
        As the comparison of the base net with the plan tells it.
    before, after : Side
    changed : frozenset of int
        Grids that are drawn in colour.
    moved : GeoSeries
        Ground that lies in another grid than before, by old and new grid; metres.
    limits : mapping of int to mapping
        Grid -> `before` and `after`, each with `zh` and `en`, or None.
    comments : sequence of mapping
    """

    city: str
    card: Mapping[str, Any]
    as_of: Mapping[str, Any]
    impact: Mapping[str, Any]
    before: Side
    after: Side
    changed: frozenset[int]
    moved: gpd.GeoSeries
    limits: Mapping[int, Mapping[str, Any]]
    comments: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Table:
    """A table with its title; `wide` columns hold running text."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    wide: frozenset[int] = frozenset()


def word(key: str, lang: Lang) -> str:
    """Return a word of the dossier; one that it does not know stays as it is."""
    known = WORDS.get(key)
    return key if known is None else known[lang == "en"]


def sections(content: Content, lang: Lang) -> list[Table]:
    """Return the tables of a dossier in their order."""
    return [
        _plan(content, lang),
        _summary(content, lang),
        _grids(content, lang),
        _crosswalk(content, lang),
        _posts(content, lang),
        _limits(content, lang),
        _comments(content, lang),
    ]


def _plan(content: Content, lang: Lang) -> Table:
    card, as_of = content.card, content.as_of
    vintage = as_of["vintage"] or "–"
    if as_of["estimated"]:
        vintage = f"{vintage} ({word('estimated', lang)})"
    rows: list[tuple[Cell, ...]] = [
        (word("number", lang), card["plan"]),
        (word("plan", lang), card["name"]),
        (word("state", lang), word(card["state"], lang)),
        (word("base", lang), card["base_seq"]),
        (word("last_edit", lang), card["last_edit"]),
        (word("as_of", lang), str(as_of["day"])),
        (word("net", lang), as_of["net"]),
        (word("vintage", lang), vintage),
    ]
    return Table(word("plan", lang), ("", ""), tuple(rows))


def _summary(content: Content, lang: Lang) -> Table:
    found = content.impact
    one, two = found["balance_old"], found["balance_new"]
    reach, posts, issues = found["reach"], found["posts"], found["open_issues"]

    def within(even: Mapping[str, Any]) -> str:
        return f"{even['within']} / {even['units']}" if even["within"] is not None else "–"

    rows: list[tuple[Cell, ...]] = [
        (word("grids", lang), found["units_old"], found["units_new"]),
        (word("target", lang), _short(one["target"], 0), _short(two["target"], 0)),
        (word("tolerance", lang), _percent(one["tolerance"]), _percent(two["tolerance"])),
        (word("within", lang), within(one), within(two)),
        (word("largest", lang), _percent(one["largest_deviation"]),
         _percent(two["largest_deviation"])),
        (word("compactness", lang), _short(found["polsby_popper_old"], 3),
         _short(found["polsby_popper_new"], 3)),
        (word("without_station", lang), reach["grids_without_station_old"],
         reach["grids_without_station_new"]),
        (word("cells_moved", lang), None, found["cells_moved"]),
        (word("moved_households", lang), None,
         f"{_whole(found['moved_households'])} / {_whole(found['households'])}"),
        (word("moved_area", lang), None, _short(found["moved_area_m2"], 1)),
        (word("posts_ended", lang), None, posts["ended"]),
        (word("posts_changed", lang), None, posts["changed"]),
        (word("issues_moved", lang), None, f"{issues['moved']} / {issues['total']}"),
        (word("stations_moved", lang), None, f"{reach['stations_moved']} / {reach['stations']}"),
    ]  # fmt: skip
    columns = ("", word("before", lang), word("after", lang))
    return Table(word("summary", lang), columns, tuple(rows))


def _grids(content: Content, lang: Lang) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for row in content.impact["grids"]:
        old, new = row["old"], row["new"]
        either = new or old
        rows.append(
            (
                row["grid"],
                either["code"],
                either["name"],
                word((new or old)["verdict"], lang),
                *(
                    None if side is None else value
                    for name, digits in (
                        ("households", None), ("area_m2", 0), ("polsby_popper", 3),
                        ("open_issues", None), ("within_500_m", None),
                    )
                    for side in (old, new)
                    for value in [None if side is None else _as_told(side[name], digits)]
                ),
            )
        )  # fmt: skip
    pairs = ("households", "area", "compact", "open_issues", "within_500")
    columns = [word(name, lang) for name in ("grid", "code", "name", "verdict")]
    for name in pairs:
        columns += [f"{word(name, lang)} · {word(side, lang)}" for side in ("before", "after")]
    return Table(word("changed_grids", lang), tuple(columns), tuple(rows))


def _crosswalk(content: Content, lang: Lang) -> Table:
    """Return the rows of grids that change; the file has all."""
    changed = {row["grid"] for row in content.impact["grids"]}
    rows = tuple(
        (
            _named(row, "old"), _named(row, "new"), row["households"], _short(row["area_m2"], 1),
            _percent(row["households_share_old"]), _percent(row["households_share_new"]),
        )
        for row in content.impact["crosswalk"]
        if row["old"] in changed or row["new"] in changed
    )  # fmt: skip
    names = ("old_grid", "new_grid", "households", "area", "share_old", "share_new")
    return Table(word("crosswalk", lang), tuple(word(name, lang) for name in names), rows)


def _posts(content: Content, lang: Lang) -> Table:
    rows = tuple(
        (
            row["post"], _role(row, lang), f"{row['grid']} {row['grid_name'] or ''}".strip(),
            word(row["state"], lang), word("yes" if row["vacant"] else "no", lang),
            _successor(row, lang),
        )
        for row in content.impact["posts"]["items"]
    )  # fmt: skip
    names = ("post", "role", "grid", "verdict", "vacant", "goes_to")
    return Table(word("posts", lang), tuple(word(name, lang) for name in names), rows)


def _role(row: Mapping[str, Any], lang: Lang) -> str:
    known = row.get("role_name_en" if lang == "en" else "role_name")
    return str(known or row["role"])


def _successor(row: Mapping[str, Any], lang: Lang) -> str | None:
    """Return where a post goes whose grid ends; nothing for others."""
    if row["state"] != "ended":
        return None
    if not row.get("settled"):
        return word("open", lang)
    if row["to_grid"] is None:
        return word("becomes_vacant", lang)
    return f"{row['to_grid']} {row['to_name'] or ''}".strip()


def _limits(content: Content, lang: Lang) -> Table:
    names = {**content.before.names, **content.after.names}
    rows = tuple(
        (
            grid,
            names.get(grid, ""),
            (told.get("before") or {}).get(lang),
            (told.get("after") or {}).get(lang),
        )
        for grid, told in sorted(content.limits.items())
    )
    columns = tuple(word(name, lang) for name in ("grid", "name", "before", "after"))
    return Table(word("limits", lang), columns, rows, frozenset({2, 3}))


def _comments(content: Content, lang: Lang) -> Table:
    rows = tuple(
        (
            row["comment"], row["answers"], row["grid"], row["author_name"] or row["author"],
            f"{row['at']:%Y-%m-%d %H:%M}", row["text"],
            word("yes" if row["resolved_at"] else "no", lang),
        )
        for row in content.comments
    )  # fmt: skip
    names = ("number", "answer_to", "grid", "who", "when", "said", "resolved")
    columns = tuple(word(name, lang) for name in names)
    return Table(word("comments", lang), columns, rows, frozenset({5}))


def _named(row: Mapping[str, Any], side: str) -> str | None:
    return None if row[side] is None else f"{row[side]} {row[f'{side}_name'] or ''}".strip()


def _as_told(value: Any, digits: int | None) -> Cell:
    told: Cell = value if digits is None else _short(value, digits)
    return told


def _whole(value: float | None) -> str:
    return "–" if value is None else f"{value:,}"


def _short(value: float | None, digits: int) -> str | None:
    return None if value is None else f"{value:,.{digits}f}"


def _percent(value: float | None) -> str | None:
    return None if value is None else f"{value:.1%}"
