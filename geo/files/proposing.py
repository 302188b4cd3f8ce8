"""What a layer may be and which of its columns may be what: a proposal that people correct."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from geo.files.facts import ColumnFacts, Kind, Proposal
from geo.files.guard import refusal

Columns = Mapping[str, Sequence[str]]

_CODE: Final = (
    "code",
    "编码",
    "代码",
    "网格编码",
    "编号",
    "geoid",
    "id",
    "osm_id",
    "objectid",
    "uid",
)
_NAME: Final = (
    "name",
    "名称",
    "网格名称",
    "社区名称",
    "小区名称",
    "县区名称",
    "名字",
    "label",
    "title",
    "name10",
)
_HOUSEHOLDS: Final = ("households", "户数", "总户数", "住户数", "hh", "units")
_ADDRESS: Final = ("address", "地址", "详细地址", "addr", "门牌", "门牌地址", "street_address")
_LON: Final = ("lon", "lng", "long", "longitude", "经度", "x", "东经", "x坐标", "point_x")
_LAT: Final = ("lat", "latitude", "纬度", "y", "北纬", "y坐标", "point_y")

#: Subject -> the program's columns -> words that headings are compared with, the best first.
SUBJECTS: Final[Mapping[str, Columns]] = {
    "boundaries": {
        "code": _CODE,
        "name": _NAME,
        "parent": ("parent", "上级编码", "上级", "所属社区", "所属街道", "parent_code", "tract"),
        "households": _HOUSEHOLDS,
    },
    "nets": {"code": _CODE, "name": _NAME},
    "buildings": {
        "code": ("building_code", "楼栋编码", "楼栋编号", *_CODE),
        "name": ("楼栋名称", "楼栋", "栋号", "楼号", *_NAME),
        "use": ("use", "building", "用途", "类型", "房屋用途", "kind", "kind_detail", "class"),
        "floors": ("floors", "levels", "building:levels", "层数", "楼层数", "总层数", "storeys"),
        "entrances": ("entrances", "单元数", "单元门数"),
        "households": _HOUSEHOLDS,
    },
    "streets": {
        "name": ("street", "道路名称", "路名", *_NAME),
        "kind": ("highway", "kind", "道路等级", "等级", "class", "fclass", "type", "kind_detail"),
    },
    "barriers": {
        "name": _NAME,
        "kind": ("kind", "waterway", "railway", "natural", "类型", "fclass", "type"),
    },
    "stations": {
        "name": ("站点名称", "驿站名称", "服务站名称", *_NAME),
        "kind": ("kind", "类型", "类别", "站点类型", "amenity", "type"),
        "address": _ADDRESS,
        "opening_hours": ("opening_hours", "开放时间", "服务时间", "营业时间"),
        "stage": ("stage", "状态", "建设状态"),
        "capacity": ("capacity", "容量", "座位数", "床位数"),
        "floor_area_m2": ("floor_area_m2", "面积", "建筑面积", "场地面积"),
        "lon": _LON,
        "lat": _LAT,
    },
    "posts": {
        "grid": ("grid", "网格编码", "网格代码", "网格编号", "grid_code", "网格"),
        "role": ("role", "岗位", "角色", "职务", "岗位类型"),
        "worker_name": ("姓名", "网格员", "网格员姓名", "worker"),
        "duty_number": ("duty_number", "duty number", "值班电话", "工作电话"),
        "part_time": ("part_time", "兼职", "是否兼职", "专兼职"),
        "valid_from": ("valid_from", "开始日期", "上岗日期", "起始日期"),
        "valid_to": ("valid_to", "结束日期", "离岗日期"),
    },
    "households": {
        "building_code": ("building_code", "楼栋编码", "楼栋编号", "building", "code", "编码"),
        "building_name": ("building_name", "楼栋名称", "楼栋", "楼号", "栋号", "名称", "name"),
        "compound": ("compound", "小区", "小区名称"),
        "address": _ADDRESS,
        "households": _HOUSEHOLDS,
    },
    "addresses": {
        "address": _ADDRESS,
        "alias": ("alias", "别名", "曾用名称", "俗称"),
        "building_code": ("building_code", "楼栋编码", "楼栋编号"),
        "lon": _LON,
        "lat": _LAT,
    },
    "issues": {
        "category": ("category", "type", "类别", "问题类型", "事件类型", "小类"),
        "reported_at": (
            "reported_at",
            "opened_at",
            "上报时间",
            "受理时间",
            "发生时间",
            "created",
            "报告时间",
            "登记时间",
            "来电时间",
            "open_dt",
        ),
        "closed_at": ("closed_at", "办结时间", "结案时间", "关闭时间", "closed_dt"),
        "deadline_at": (
            "deadline_at",
            "target_at",
            "due_at",
            "办理期限",
            "处置期限",
            "截止时间",
            "应办结时间",
        ),
        "external": (
            "external",
            "case_id",
            "case_enquiry_id",
            "案卷编号",
            "工单编号",
            "工单号",
            "事件编号",
            "案件编号",
            "任务号",
            *_CODE,
        ),
        "department": ("department", "责任部门", "处置部门", "承办单位", "主办单位", "办理单位"),
        "address": ("发生地址", "事发地址", "事发地点", "问题位置", *_ADDRESS),
        "words": ("words", "description", "问题描述", "事件描述", "诉求内容", "描述", "内容"),
        "channel": ("channel", "source", "来源", "上报渠道", "问题来源"),
        "state": ("state", "status", "状态", "当前状态"),
        "lon": _LON,
        "lat": _LAT,
    },
}

#: What a subject cannot be without: of each group one column.
_NEEDED: Final[Mapping[str, tuple[tuple[str, ...], ...]]] = {
    "posts": (("grid",), ("role", "worker_name", "duty_number")),
    "households": (("households",), ("building_code", "building_name", "address")),
    "addresses": (("address",),),
    "issues": (("category", "reported_at"), ("reported_at",)),
}
_KINDS: Final[Mapping[Kind, tuple[str, ...]]] = {
    "areas": ("boundaries", "buildings", "barriers", "nets"),
    "lines": ("streets", "barriers"),
    "points": ("stations", "issues", "addresses"),
    "mixed": ("stations", "barriers", "buildings", "streets"),
    "table": ("households", "posts", "addresses", "stations", "issues"),
}
#: Words in a layer's or a file's name that say what it is.
_SAID: Final[Mapping[str, tuple[str, ...]]] = {
    "buildings": ("building", "楼栋", "楼宇", "房屋", "建筑", "footprint", "parcel"),
    "streets": ("street", "road", "道路", "街巷", "路网", "highway", "centerline"),
    "barriers": ("water", "river", "rail", "水系", "河", "湖", "铁路", "wall", "围墙", "barrier"),
    "boundaries": (
        "grid",
        "网格",
        "社区",
        "街道边界",
        "boundar",
        "district",
        "block",
        "tract",
        "ward",
        "neighbo",
        "admin",
        "边界",
        "区划",
        "county",
        "counties",
        "县区",
    ),
    "nets": ("department", "部门网格"),
    "stations": ("station", "驿站", "服务站", "poi", "服务中心", "公厕", "食堂"),
    "posts": ("post", "人员", "网格员", "岗位", "花名册"),
    "households": ("household", "户数"),
    "addresses": ("address", "地址", "门牌"),
    "issues": ("issue", "311", "事件", "诉求", "工单", "case", "request"),
}


def propose(name: str, kind: Kind, columns: Sequence[ColumnFacts]) -> Proposal:
    """Return what a layer may be, the likeliest first, and a mapping for each.

    Parameters
    ----------
    name : str
        Of file and layer.
    kind : {"areas", "lines", "points", "mixed", "table"}
    columns : sequence of ColumnFacts
        Those about persons are proposed only for columns that may hold them.
    """
    mappings = {subject: _mapping(SUBJECTS[subject], columns) for subject in _KINDS[kind]}
    plain = name.casefold()
    scores: dict[str, float] = {}
    for place, subject in enumerate(_KINDS[kind]):
        mapping = mappings[subject]
        needed = _NEEDED.get(subject, ())
        if any(not any(column in mapping for column in group) for group in needed):
            continue
        said = any(word in plain for word in _SAID[subject])
        own = len(set(mapping) - {"code", "name", "lon", "lat"})
        scores[subject] = 10.0 * said + own + len(needed) - 0.1 * place
    subjects = sorted(scores, key=lambda subject: -scores[subject])
    return Proposal(tuple(subjects), {subject: mappings[subject] for subject in subjects})


def _mapping(wanted: Columns, columns: Sequence[ColumnFacts]) -> dict[str, str]:
    free = {_plain(column.name): column for column in columns}
    mapping: dict[str, str] = {}
    for program, words in wanted.items():
        for word in words:
            column = free.get(_plain(word))
            if column is None or column.name in mapping.values():
                continue
            about = column.about_person
            if about is None or refusal(program, column.name, about) is None:
                mapping[program] = column.name
                break
    return mapping


def _plain(heading: str) -> str:
    return re.sub(r"[\s_\-（）()]+", "", heading).casefold()
