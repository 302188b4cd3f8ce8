"""The guard: columns about persons are recognised by heading and by content, and never stored.

What is recognised is said by its heading alone; no value of such a column leaves the reader.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from geo.saying import phrase

IDENTITY: Final = "identity"
PHONE: Final = "phone"
NAME: Final = "name"
EMAIL: Final = "email"
PERSON: Final = "person"
"""Anything else that is about a person or a household: health, need, faith, conflict, age ..."""

#: Program columns that may hold such a thing: a worker's duty number and name, for whom consent is
#: kept; a station's public telephone.
ALLOWED: Final[dict[str, frozenset[str]]] = {
    "duty_number": frozenset({PHONE}),
    "worker_name": frozenset({NAME}),
    "public_phone": frozenset({PHONE}),
}

#: Parts of Chinese headings -> what the column is about.
_CHINESE: Final[dict[str, tuple[str, ...]]] = {
    IDENTITY: (
        "身份证",
        "证件号",
        "公民身份号码",
        "身份号",
        "护照",
        "户口簿",
        "社保卡",
        "社保号",
        "医保卡",
        "银行卡",
        "银行账号",
        "车牌",
        "残疾证",
    ),
    PHONE: ("电话", "手机", "联系方式", "联系号码", "微信", "QQ号"),
    EMAIL: ("邮箱", "电子邮件"),
    NAME: (
        "姓名",
        "户主",
        "房主",
        "房东",
        "租客",
        "租户",
        "承租人",
        "业主",
        "产权人",
        "居民名",
        "联系人",
        "负责人",
        "曾用名",
        "监护人",
        "党员名",
        "家庭成员",
        "当事人",
        "报告人",
        "上报人",
        "反映人",
        "诉求人",
        "来电人",
        "当事者",
        "网格员",
        "网格长",
        "楼长",
        "楼栋长",
        "单元长",
    ),
    PERSON: (
        "重点人",
        "重点人员",
        "低保",
        "计生",
        "残疾",
        "信访",
        "上访",
        "特困",
        "五保",
        "孤儿",
        "孤寡",
        "独居",
        "空巢",
        "留守",
        "优抚",
        "退役",
        "军属",
        "贫困",
        "救助",
        "精神",
        "吸毒",
        "涉毒",
        "戒毒",
        "矫正",
        "刑满",
        "刑释",
        "安置帮教",
        "邪教",
        "涉稳",
        "稳控",
        "艾滋",
        "传染病",
        "疾病",
        "慢性病",
        "病史",
        "健康",
        "孕",
        "怀孕",
        "避孕",
        "生育",
        "婚姻",
        "配偶",
        "子女",
        "出生日期",
        "出生年月",
        "生日",
        "年龄",
        "性别",
        "民族成份",
        "籍贯",
        "宗教",
        "信仰",
        "政治面貌",
        "党员",
        "学历",
        "文化程度",
        "职业",
        "工作单位",
        "就业状况",
        "失业",
        "收入",
        "血型",
        "失能",
        "失智",
        "失独",
        "与户主关系",
        "户籍地址",
        "人员类型",
        "人员类别",
        "流动人员",
        "疫苗",
        "核酸",
        "隔离",
    ),
}
#: Headings that hold such a part and are about things or counts of all people.
_CHINESE_FREE: Final = (
    "值班电话",
    "公共电话",
    "服务电话",
    "热线",
    "业主委员会",
    "业委会",
    "业主大会",
    "健康步道",
    "党员活动室",
    "党员服务",
    "党员之家",
    "残疾人联合会",
    "健康驿站",
)

#: Words of English headings -> what the column is about.
_ENGLISH: Final[dict[str, tuple[str, ...]]] = {
    IDENTITY: (
        "ssn",
        "passport",
        "national_id",
        "identity_number",
        "id_card",
        "idcard",
        "id_number",
        "social_security",
        "license_plate",
        "plate_number",
        "tax_id",
        "sfzh",
        "sfz",
    ),
    PHONE: (
        "phone",
        "telephone",
        "mobile",
        "cellphone",
        "cell_phone",
        "tel",
        "fax",
        "dhhm",
        "sjh",
        "lxdh",
        "wechat",
        "contact_number",
    ),
    EMAIL: ("email", "e_mail", "mail"),
    NAME: (
        "first_name",
        "firstname",
        "last_name",
        "lastname",
        "surname",
        "given_name",
        "full_name",
        "fullname",
        "owner",
        "owner_name",
        "owner1",
        "owner2",
        "own_name",
        "ownername",
        "taxpayer",
        "tenant",
        "landlord",
        "resident",
        "resident_name",
        "householder",
        "head_of_household",
        "contact",
        "contact_name",
        "contact_person",
        "applicant",
        "patient",
        "complainant",
        "reporter",
        "person",
        "xm",
        "hzxm",
        "maiden_name",
    ),
    PERSON: (
        "birth",
        "birthday",
        "birthdate",
        "date_of_birth",
        "dob",
        "age",
        "gender",
        "sex",
        "race",
        "ethnicity",
        "religion",
        "marital_status",
        "disability",
        "disabled",
        "diagnosis",
        "illness",
        "disease",
        "income",
        "salary",
        "welfare",
        "pension",
        "petitioner",
        "criminal",
        "probation",
        "drug_user",
        "pregnant",
        "nationality",
        "occupation",
        "employer",
        "education",
        "key_person",
        "low_income",
        "csrq",
    ),
}

#: "Number of grid workers" is no name.
_COUNTED: Final = re.compile("(?:数|数量|个数|合计)$")

_SURNAMES: Final = frozenset(
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡余杜叶程苏魏吕丁任"
    "沈姚卢姜崔钟谭陆汪范金石廖贾夏韦付方白邹孟熊秦邱江尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔"
    "向汤常温康施文牛樊葛邢安齐易乔伍庞颜倪庄聂章鲁岳翟殷詹申欧耿关兰焦俞左柳甘祝包宁尚符舒阮柯纪梅童"
    "凌毕单季裴霍涂成苗谷盛曲翁冉骆蓝路游辛靳欧管柴蒙鲍华喻祁蒲房滕屈饶解牟艾尤阳时穆农司卓古吉缪简车"
    "项连芦麦褚娄窦戚岑景党宫费卜冷晏席卫米柏宗瞿桂全佟应臧闵苟邬边卞姬师和仇栾隋商刁沙荣巫寇桑郎甄丛"
    "仲虞敖巩明佘池查麻苑迟邝"
)
_COMPOUND_SURNAMES: Final = (
    "欧阳",
    "司马",
    "上官",
    "诸葛",
    "夏侯",
    "东方",
    "皇甫",
    "尉迟",
    "公孙",
    "慕容",
    "令狐",
    "司徒",
    "长孙",
    "宇文",
    "端木",
    "独孤",
    "南宫",
)
#: What names of places, offices and things end in; people's names hardly ever do.
_PLACE_ENDS: Final = frozenset(
    "村庄镇乡县区市省州街路巷弄里园苑城寨屯沟坪岭山河湖江海桥口店铺集场湾岛坡塘坊楼院厦馆站所校局处部"
    "居委会社组队营堡窑峪峰岗埠港洲滩泉井营家头上下东西南北中前后湾川旗盟寺庙台营关厂矿林田洼营子垭圩浜泾"
    "浦厝埔垵坂坑垄坝堰营渡号栋幢座层室户期段线"
)
_HAN: Final = re.compile(r"[㐀-鿿豈-﫿\U00020000-\U0003ffff]+")
_EIGHTEEN: Final = re.compile(r"(?<![0-9A-Za-z])[1-8]\d{16}[0-9Xx](?![0-9A-Za-z])")
_FIFTEEN: Final = re.compile(r"(?<![0-9A-Za-z])[1-8]\d{14}(?![0-9A-Za-z])")
_MOBILE: Final = re.compile(
    r"(?<![0-9A-Za-z.])(?:\+?86[- ]?|0)?(1(?:3\d|4[5-9]|5[0-35-9]|6[2567]|7[0-8]|8\d|9[0-35-9])"
    r"[- ]?\d{4}[- ]?\d{4})(?![0-9A-Za-z])"
)
_LANDLINE: Final = re.compile(
    r"(?<![0-9A-Za-z.])(?:(?:\+86[- ]?|\(?0)(?:10|2\d|[3-9]\d{2})\)?[- ]\d{7,8}|0(?:10|2\d)\d{8}|"
    r"0[3-9]\d{9,10}|\(?[2-9]\d{2}\)?[-. ]\d{3}[-. ]\d{4}|\+\d{1,3}[- ]\d[\d -]{6,14}\d)"
    r"(?![0-9A-Za-z])"
)
_EMAIL: Final = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{2,63})+")
_WEIGHTS: Final = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_PROVINCES: Final = frozenset(
    (
        11,
        12,
        13,
        14,
        15,
        21,
        22,
        23,
        31,
        32,
        33,
        34,
        35,
        36,
        37,
        41,
        42,
        43,
        44,
        45,
        46,
        50,
        51,
        52,
        53,
        54,
        61,
        62,
        63,
        64,
        65,
        71,
        81,
        82,
        83,
    )
)

#: Nothing about a person is shorter; most values of most columns need no closer look.
_WORTH_A_LOOK: Final = re.compile(r"\d[-. )\d]{6}|@")
LEAST_LONG_NUMBER: Final = 10**10

LEAST_SHARE: Final = {IDENTITY: 0.001, PHONE: 0.02, EMAIL: 0.02}
NAME_SHARE: Final = 0.8
PLACE_SHARE: Final = 0.15
LEAST_NAMES: Final = 3
ONE_SERIES: Final = 0.9


def about_person(heading: str, values: Iterable[object] = ()) -> str | None:
    """Say what a column tells about persons; None where it tells nothing.

    Parameters
    ----------
    heading : str
    values : iterable
        All of the column's values, or a sample.

    Returns
    -------
    str or None
        `identity`, `phone`, `name`, `email`, `person`.

    Examples
    --------
    >>> about_person("户主姓名"), about_person("重点人员"), about_person("owner")
    ('name', 'person', 'name')
    >>> about_person("栋号"), about_person("户数"), about_person("name")
    (None, None, None)
    >>> about_person("备注", ["租给李某 13912345678", "空置"])
    'phone'
    """
    return by_heading(heading) or by_content(values)


def by_heading(heading: str) -> str | None:
    """Say what a heading alone tells."""
    text = re.sub(r"\s+", "", heading)
    if any(free in text for free in _CHINESE_FREE):
        return None
    for about, parts in _CHINESE.items():
        if any(part in text for part in parts) and not (about == NAME and _COUNTED.search(text)):
            return about
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", heading)
    plain = "_".join(re.findall(r"[a-z0-9]+", words.casefold()))
    for about, names in _ENGLISH.items():
        if any(re.search(rf"(?:^|_){name}(?:_|\d*$)", plain) for name in names):
            return about
    return None


def by_content(values: Iterable[object]) -> str | None:
    """Say what values alone tell; a column of codes or places tells nothing."""
    texts = [text for value in values if (text := _text(value))]
    return _by_texts([text for text in texts if _WORTH_A_LOOK.search(text)], texts, len(texts))


def by_column(values: pa.Array) -> str | None:
    """Say what a column's values tell; as `by_content`, for very many."""
    kind = values.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        most = pc.max(values).as_py()
        return None if most is None or most < LEAST_LONG_NUMBER else by_content(values.to_pylist())
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        return by_content(values.to_pylist())
    filled = values.filter(pc.fill_null(pc.not_equal(values, ""), False))
    looked = filled.filter(pc.match_substring_regex(filled, _WORTH_A_LOOK.pattern)).to_pylist()
    short = filled.filter(pc.match_substring_regex(filled, r"^\s*\p{Han}{2,4}\s*$"))
    names = filled if len(short) >= NAME_SHARE * len(pc.unique(filled)) else filled.slice(0, 0)
    return _by_texts(looked, [str(text) for text in pc.unique(names).to_pylist()], len(filled))


def _by_texts(looked: Sequence[str], names: Sequence[str], total: int) -> str | None:
    """Say what texts tell: those with long numbers, those that may be names, and how many."""
    counted = {
        IDENTITY: sum(has_identity_number(text) for text in looked),
        PHONE: _phones(looked),
        EMAIL: sum(bool(_EMAIL.search(text)) for text in looked),
    }
    for about, hits in counted.items():
        if hits >= max(1.0, LEAST_SHARE[about] * total):
            return about
    return NAME if _are_names([name.strip() for name in names]) else None


def _text(value: object) -> str:
    if value is None or value != value:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


def has_identity_number(text: str) -> bool:
    """Say whether a text holds a Chinese identity number: place, date of birth, check digit.

    Examples
    --------
    >>> has_identity_number("11010519491231002X"), has_identity_number("110105194912310021")
    (True, False)
    >>> has_identity_number("370602001001"), has_identity_number("证号130503670401001")
    (False, True)
    """
    return any(_is_eighteen(found) for found in _EIGHTEEN.findall(text)) or any(
        _is_fifteen(found) for found in _FIFTEEN.findall(text)
    )


def _is_eighteen(number: str) -> bool:
    if int(number[:2]) not in _PROVINCES or not _is_birthday(number[6:14]):
        return False
    total = sum(int(digit) * weight for digit, weight in zip(number, _WEIGHTS, strict=False))
    return "10X98765432"[total % 11] == number[17].upper()


def _is_fifteen(number: str) -> bool:
    return int(number[:2]) in _PROVINCES and _is_birthday("19" + number[6:12])


def _is_birthday(digits: str) -> bool:
    try:
        return 1900 <= date(int(digits[:4]), int(digits[4:6]), int(digits[6:])).year <= 2100
    except ValueError:
        return False


def _phones(texts: Sequence[str]) -> int:
    """Return how many texts hold a telephone number; codes of one series are none."""
    landlines = sum(bool(_LANDLINE.search(text)) for text in texts)
    mobiles = [found.group(1) for text in texts if (found := _MOBILE.search(text))]
    if len(mobiles) >= 5:
        _, most = Counter(number[:4] for number in mobiles).most_common(1)[0]
        if most > ONE_SERIES * len(mobiles):
            return landlines
    return landlines + len(mobiles)


def _are_names(texts: Sequence[str]) -> bool:
    """Say whether texts are names of Chinese people: a surname and one or two letters."""
    distinct = list(dict.fromkeys(texts))
    if len(distinct) < LEAST_NAMES:
        return False
    alike = [text for text in distinct if is_name(text)]
    places = sum(text[-1] in _PLACE_ENDS for text in alike)
    return len(alike) >= NAME_SHARE * len(distinct) and places <= PLACE_SHARE * len(alike)


def is_name(text: str) -> bool:
    """Say whether a text could be a Chinese person's name.

    Examples
    --------
    >>> is_name("张伟"), is_name("欧阳修文"), is_name("阳光花园"), is_name("3号楼")
    (True, True, False, False)
    """
    if not _HAN.fullmatch(text):
        return False
    if text.startswith(_COMPOUND_SURNAMES):
        return 3 <= len(text) <= 4
    return 2 <= len(text) <= 3 and text[0] in _SURNAMES


def shown(values: Iterable[object]) -> list[object]:
    """Return the values that may be shown as examples: those with nothing of a person in them."""
    return [value for value in values if by_content([value]) is None]


def refusal(column: str, heading: str, about: str) -> str | None:
    """Return why a mapped column is not taken; None where this program column may hold such.

    Parameters
    ----------
    column, heading : str
        The program's name and the file's.
    about : str
        What was recognised.
    """
    if about in ALLOWED.get(column, frozenset()):
        return None
    what = {
        IDENTITY: phrase("numbers of identity papers"),
        PHONE: phrase("telephone numbers"),
        NAME: phrase("names of people"),
        EMAIL: phrase("mail addresses"),
        PERSON: phrase("facts about persons"),
    }[about]
    return phrase(
        "the column '%(heading)s' holds %(what)s; such are never stored: take it "
        "out of the mapping",
        heading=heading,
        what=what,
    )
