"""Addresses as text: read, brought to one form, and matched with those that a city knows.

What names a flat or a household (单元, 室, apartment ...) and all that follows it is cut off while
reading, so that it can never be kept. A text becomes four parts: street, number, estate, building;
two texts that mean the same place have the same key.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, Final

from rapidfuzz import fuzz, process

MOST_CHARACTERS: Final = 200
"""Longer texts are no addresses."""
CERTAIN: Final = 90.0
"""Score, 0 to 100, from which a single best candidate is taken as the place ..."""
LEAD: Final = 5.0
"""... when the next place has so much less."""
POSSIBLE: Final = 55.0
"""Candidates below this are not told."""
CANDIDATES: Final = 8
WEIGHTS: Final = {"street": 45.0, "number": 25.0, "estate": 35.0, "part": 25.0}
UNKNOWN: Final = {"street": 0.4, "number": 0.3, "estate": 0.55, "part": 0.3}
"""How well a part fits that the candidate does not have."""
UNASKED: Final = 12.0
"""What a number or building costs that the candidate has and the text has not."""
AS_BUILDING: Final = 0.9
"""How well a number behind an estate's name fits the building of that number (家园5号)."""
LIKE_NAMES: Final = 60.0
"""Names at least so alike, 0 to 100, are looked at."""
NEAR_NUMBERS: Final = 4
LONGEST_NUMBER: Final = 6
"""Longer runs of digits are telephone or identity numbers: the text ends before them."""

_DIGITS: Final = {digit: value for value, digit in enumerate("零一二三四五六七八九")} | {
    "〇": 0,
    "两": 2,
}
_TENS: Final = {"十": 10, "百": 100}
_ROADS = "路|街道|街|大道|道|巷|胡同|条|环|国道|省道|县道"
_NAMED = f"(?:{_ROADS}|马路|大街|村|里|中学|小学)"
"""What makes a number before it a part of a name: 中山2路, 南关3巷."""
_NUMERAL = re.compile(
    "[零〇一二三四五六七八九十百两]+(?=号|栋|幢|座|楼|单元|室|户|房|层|弄|期|区|组|队|附)"
)
_IN_NAME = re.compile("[零〇一二三四五六七八九十百两]+(?=巷|路|街|大街|大道|马路|条|胡同)")
_BRACKETS = re.compile(r"\([^()]*\)|\[[^\[\]]*\]|【[^【】]*】|《|》")
_BLANKS = re.compile(r"[\s,.;:、，。;:·'\"“”‘’]+")
_DASHES = re.compile(r"[‐-―−－﹣~～_]+|--+")
_BUILDING = re.compile(r"(?<=[0-9A-Z甲乙丙丁])(?:号楼|号栋|号幢|号座|栋楼|幢楼|#楼|栋|幢|座|#)")
_ANNEX = re.compile(r"(\d+)号?(?:附|之|-)(\d+)号(?!楼)|(\d+)号-(\d+)(?![\d-]|号楼)")
_BRANCH = re.compile(r"([甲乙丙丁])(\d+)号|(\d+)号?([甲乙丙丁])(?:号)?(?![一-鿿]*[路街])")
_PIECE = re.compile(
    rf"(?P<name>(?:(?![A-Z]号楼)[^\d]|\d+(?={_NAMED}))+?(?=\d+(?!\d|{_NAMED})|$|[A-Z]\d*号楼))"
    r"|(?P<number>[A-Z]?\d+[A-Z甲乙丙丁]?(?:-\d+)*|[A-Z](?=号楼))"
    r"(?P<unit>号楼|号院|号|支弄|弄|单元|室|户|房间|房|层|楼|期|区|组|队)?"
)
_ROAD_END = re.compile(rf"(?:{_ROADS})$")
_PLACE_END = re.compile(
    "(?:小区|花园|家园|苑|园|庭|府|邸|城|湾|公馆|公寓|宿舍|新村|村|庄|里|寓|广场|大厦|中心|商场|市场|商城|"
    "学校|小学|中学|幼儿园|学院|大学|医院|卫生院|公园|工业园|厂|院|楼|站|馆|所|局|宾馆|酒店|超市|银行|"
    "农场|街区|部|店|铺|场|亭|社|码头)$"
)
_ASIDE = re.compile(
    "^(?:院内|内|旁|旁边|对面|东侧|西侧|南侧|北侧|东|西|南|北|附近|门口|门面|商铺|沿街|楼下)$"
)
_PERSONAL = re.compile(r"^[一-鿿·]{2,4}(?:先生|女士|\d{7,})?$")
_AREA_END = re.compile(
    "(?:省|市|区|县|旗|镇|乡|街道|社区|对面|东侧|西侧|南侧|北侧|附近|旁边|门口)$"
)
_ADMIN = re.compile(
    "^(?:中国)?(?:[一-鿿]{2,3}(?:省|自治区))?(?:(?!城市|都市|超市|夜市)[一-鿿]{2,3}市(?!场|民|政|府))?"
)
_HAN = re.compile("[一-鿿]")

_TYPES: Final = {
    "st": "street", "str": "street", "ave": "avenue", "av": "avenue", "rd": "road",
    "blvd": "boulevard", "ln": "lane", "dr": "drive", "ct": "court", "pl": "place", "sq": "square",
    "hwy": "highway", "pkwy": "parkway", "ter": "terrace", "terr": "terrace", "cir": "circle",
    "pk": "park", "wy": "way", "brg": "bridge",
}  # fmt: skip
_WINDS: Final = {"n": "north", "s": "south", "e": "east", "w": "west"}
_HOUSEHOLD = re.compile(
    r"(?:\b(?:apartment|apt|unit|suite|ste|room|rm|flat|floor|fl|no\.? of flat)\b\.?|#).*$"
)
_BLOCK = re.compile(r"\b(?:building|bldg|block|blk|tower)\.?\s*([0-9a-z]+)\b")
_HOUSE_FIRST = re.compile(r"^(\d{1,6}(?:\s?-\s?\d{1,6})?[a-z]?(?:\s1/2)?)\s+(.+)$")
_HOUSE_LAST = re.compile(r"^(\D.*?)\s+(\d{1,6}\s?[a-z]?)\b.*$")
_EN_BREAK = re.compile(r"[,;\n]")


@dataclass(frozen=True)
class Address:
    """A text as it was read.

    Attributes
    ----------
    street, number, estate, part : str
        Part is the building within an estate or behind a number; empty where the text has none.
    text : str
        What may be kept of the text: nothing about a flat, a household or a person.
    cut : bool
        Whether something was cut off.
    """

    street: str = ""
    number: str = ""
    estate: str = ""
    part: str = ""
    text: str = ""
    cut: bool = False

    @property
    def key(self) -> str:
        """The four parts as one text, the same for all texts that mean the same place."""
        return "/".join((self.street, self.number, self.estate, self.part))

    @property
    def known(self) -> bool:
        """Whether anything was understood."""
        return bool(self.street or self.estate)

    @classmethod
    def of_key(cls, key: str, text: str = "") -> Address:
        """Return the address that a key stands for."""
        street, number, estate, part = (key.split("/") + [""] * 4)[:4]
        return cls(street, number, estate, part, text)


def read(text: str, *, within: Sequence[str] = ()) -> Address:
    """Read an address.

    Parameters
    ----------
    text : str
        Chinese when it holds a Chinese character, else read by the habits of other countries.
    within : sequence of str
        Names of the city, its sub-districts and communities: taken away where a text begins with
        them.

    Returns
    -------
    Address
        Without street and estate when nothing was understood.

    Examples
    --------
    >>> read("松林路１２号望潮家园 五号楼2单元301室 张三").key
    '松林路/12/望潮家园/5'
    >>> read("松林路12号望潮家园5栋").text
    '松林路12号望潮家园5号楼'
    >>> read("123 Main St., Apt 4B, Cambridge, MA 02139").key
    'main street/123//'
    """
    plain = unicodedata.normalize("NFKC", text or "")[: 4 * MOST_CHARACTERS]
    plain = "".join(letter if letter.isprintable() else " " for letter in plain).strip()
    if len(plain) > MOST_CHARACTERS or not plain:
        return Address(cut=bool(plain))
    return _chinese(plain, within) if _HAN.search(plain) else _international(plain, within)


# ---- Chinese -------------------------------------------------------------------------------------


def _chinese(text: str, within: Sequence[str]) -> Address:
    words = [word for word in _BLANKS.split(_BRACKETS.sub("", text)) if word]
    kept = words[:1] + [word for word in words[1:] if not _may_be_a_person(word)]
    plain = _one_form("".join(kept))
    plain = _without_areas(plain, within)
    reader = _Reader()
    reader.cut = len(kept) < len(words)
    pieces = list(_PIECE.finditer(plain))
    for piece, following in zip(pieces, [*pieces[1:], None], strict=True):
        if piece["name"] is not None:
            built = following is not None and following["unit"] == "号楼"
            reader.name(piece["name"].strip("-/"), built=built)
        else:
            reader.number(piece["number"], piece["unit"] or "")
        if reader.ended:
            break
    return reader.address()


def _may_be_a_person(word: str) -> bool:
    """Say whether a word that stands apart could be somebody's name: it names no place at all."""
    if not _PERSONAL.match(word):
        return False
    return not (_PLACE_END.search(word) or _ROAD_END.search(word) or _AREA_END.search(word))


def _one_form(text: str) -> str:
    plain = _DASHES.sub("-", text.upper())
    plain = _BRACKETS.sub("", plain)
    plain = _BLANKS.sub("", plain).replace("/", "-")
    plain = _NUMERAL.sub(lambda found: str(_value(found[0])), plain)
    plain = _BUILDING.sub("号楼", plain)
    plain = _ANNEX.sub(lambda m: f"{m[1] or m[3]}-{m[2] or m[4]}号", plain)
    return _BRANCH.sub(lambda m: f"{m[2] or m[3]}{m[1] or m[4]}号", plain)


def _value(numeral: str) -> int:
    """Return what a Chinese numeral stands for: 十二 is 12, 一二三 is 123."""
    if not any(letter in _TENS for letter in numeral):
        return int("".join(str(_DIGITS[letter]) for letter in numeral))
    total, digit = 0, 0
    for letter in numeral:
        if letter in _TENS:
            total += (digit or 1) * _TENS[letter]
            digit = 0
        else:
            digit = _DIGITS[letter]
    return total + digit


def _without_areas(text: str, within: Sequence[str]) -> str:
    """Take away the names of province, city and areas at the beginning."""
    names, lengths = _areas_of(tuple(within))
    plain = text
    while True:
        long = next((n for n in lengths if n < len(plain) and plain[:n] in names), None)
        if long is None:
            break
        plain = plain[long:]
    shorter = _ADMIN.sub("", plain)
    if shorter != plain and shorter:
        return _without_areas(shorter, within)
    return plain


@lru_cache(maxsize=8)
def _areas_of(within: tuple[str, ...]) -> tuple[frozenset[str], tuple[int, ...]]:
    """Return names of areas in their one form and their lengths, the longest first.

    A file has as many addresses as a city has houses, all within the same areas.
    """
    names = frozenset(_one_form(name) for name in within if name)
    return names, tuple(sorted({len(name) for name in names}, reverse=True))


class _Reader:
    """A Chinese address on its way through its pieces."""

    def __init__(self) -> None:
        self.street = self.house = self.estate = self.part = ""
        self.ended = self.cut = False

    def name(self, word: str, *, built: bool) -> None:
        """Take a name; one that the number of a building follows is an estate's."""
        if not word or (_ASIDE.match(word) and (self.street or self.estate)):
            return
        if not self.street and not self.estate:
            road = re.match(rf"^(.+?(?:{_ROADS}))(?![一-鿿]*(?:{_ROADS})$)(.+)$", word)
            if _ROAD_END.search(word):
                self.street = word
            elif road and len(road[1]) > 2 and _PLACE_END.search(road[2]):
                self.street, self.estate = road[1], road[2]
            else:
                self.estate = word
        elif not self.estate and (
            built or _PLACE_END.search(word) or not (self.house or self.part)
        ):
            self.estate = word
        elif self.part or self.house or self.estate:
            self._end()

    def number(self, digits: str, unit: str) -> None:
        """Take a number with its unit."""
        if len(re.sub(r"\D", "", digits.split("-")[0])) > LONGEST_NUMBER:
            self._end()
            return
        first, *rest = digits.split("-")
        if unit in ("单元", "室", "户", "房", "房间", "层"):
            self._end()
        elif unit in ("期", "区", "组", "队"):
            if (self.estate and not self.part) or not self.house:
                self.estate += digits + unit
        elif unit == "弄":
            self.house = f"{digits}弄"
        elif unit in ("号", "支弄", "号院") and self._number_open():
            self.house = digits if len(rest) < 2 else first
        elif unit in ("号", "号楼") or (unit == "楼" and not self.part and self._in_estate()):
            self.part = self.part or first
            self._end_if(bool(rest))
        elif unit == "楼":
            self._end()
        else:
            self._bare(first, rest)

    def _number_open(self) -> bool:
        return not self.house and not self.part

    def _in_estate(self) -> bool:
        return bool(self.estate or self.house)

    def _bare(self, first: str, rest: list[str]) -> None:
        """Take numbers without a unit: house, building, entrance and flat, as many as there are."""
        if self.street and not self.estate and not self.house:
            self.house = first
            if len(rest) >= 2:
                self.part = rest[0]
                self._end()
            elif rest:
                self.house = f"{first}-{rest[0]}"
        elif self._in_estate() and not self.part:
            self.part = first
            self._end_if(bool(rest))
        else:
            self._end()

    def _end_if(self, more: bool) -> None:
        if more:
            self._end()

    def _end(self) -> None:
        self.ended = self.cut = True

    def address(self) -> Address:
        """Return what was read."""
        number, part = self.house, self.part
        lane = number.endswith("弄")
        if number and not lane:
            branch = number[-1] if number[-1] in "甲乙丙丁" else ""
            number = f"{branch}{number.removesuffix(branch)}号"
        if part:
            part = f"{part}号" if lane else f"{part}号楼"
        text = f"{self.street}{number}{self.estate}" if self.street else f"{self.estate}{number}"
        street, estate = _one_name(self.street), _one_name(self.estate)
        return Address(street, self.house, estate, self.part, text + part, self.cut)


def _one_name(name: str) -> str:
    """Return a name with its numerals as digits: 中山二路 is 中山2路."""
    return _IN_NAME.sub(lambda found: str(_value(found[0])), name)


# ---- other countries -----------------------------------------------------------------------------


def _international(text: str, within: Sequence[str]) -> Address:
    lowered = text.casefold().replace("’", "'").replace("\u2044", "/")
    first, *_ = _EN_BREAK.split(_first_with_number(lowered), maxsplit=1)
    block = _BLOCK.search(lowered)
    bare = _BLOCK.sub(" ", first)
    kept = _HOUSEHOLD.sub("", bare)
    cut = kept != bare or bool(_HOUSEHOLD.search(lowered))
    kept = re.sub(r"[.\"()]", " ", kept)
    kept = re.sub(r"\s+", " ", kept).strip(" -")
    begin, end = _HOUSE_FIRST.match(kept), _HOUSE_LAST.match(kept)
    if begin:
        number, name = begin[1], begin[2]
    elif end:
        number, name = end[2], end[1]
        cut = cut or len(end[0].strip()) > len(f"{name} {number}".strip())
    else:
        number, name = "", kept
    if not re.search(r"[^\W\d]", name) or re.search(rf"\d{{{LONGEST_NUMBER + 1},}}", name):
        return Address(cut=True)
    street = _street_words(name).replace("/", "-")
    number = re.sub(r"\s", "", re.sub(r"\s1/2", "-half", number))
    part = block[1] if block else ""
    shown = " ".join(word for word in (number, street.title()) if word)
    if part:
        shown += f", Building {part.upper()}"
    return Address(street, number, "", part, shown, cut)


def _first_with_number(text: str) -> str:
    """Return the text from its first part on that holds a number; whole where none does."""
    parts = _EN_BREAK.split(text)
    for place, part in enumerate(parts):
        if re.search(r"\d", part) and re.search(r"[^\W\d]{2}", _HOUSEHOLD.sub("", part)):
            return ",".join(parts[place:])
    return text


def _street_words(name: str) -> str:
    """Return a street's name with its type and wind written out."""
    words = name.split()
    for place, word in enumerate(words):
        if place and word in _TYPES and all(later in _WINDS for later in words[place + 1 :]):
            words[place] = _TYPES[word]
        elif word in _WINDS and len(words) > 1 and place in (0, len(words) - 1):
            words[place] = _WINDS[word]
    return " ".join(words)


# ---- matching ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Candidate:
    """A known address that a text may mean: its label in the gazetteer, its score, 0 to 100."""

    label: Any
    score: float


@dataclass(frozen=True)
class Match:
    """What came of a text.

    Attributes
    ----------
    address : Address
        As it was read.
    state : str
        `matched` (one place, beyond doubt), `several` (somebody has to decide) or `none`.
    candidates : tuple of Candidate
        The best first; the first one is the place when the state is `matched`.
    """

    address: Address
    state: str
    candidates: tuple[Candidate, ...] = ()


@dataclass(frozen=True)
class Gazetteer:
    """The addresses of a city, ready to be asked.

    Parameters
    ----------
    keys : mapping
        Key of each known address by its label.
    places : mapping, optional
        What each label stands for: labels of one place are one candidate, and no contradiction.
    sure : frozenset, optional
        Labels that a person decided on: their key is the place.
    """

    keys: Mapping[Any, str]
    places: Mapping[Any, Any] = field(default_factory=dict)
    sure: frozenset[Any] = frozenset()

    @cached_property
    def _read(self) -> dict[Any, Address]:
        return {label: Address.of_key(key) for label, key in self.keys.items()}

    @cached_property
    def _exact(self) -> dict[str, list[Any]]:
        return _grouped((key, label) for label, key in self.keys.items())

    @cached_property
    def _by_name(self) -> dict[str, list[Any]]:
        return _grouped(
            (name, label)
            for label, one in self._read.items()
            for name in {one.street, one.estate} - {""}
        )

    @cached_property
    def _names(self) -> list[str]:
        return sorted(self._by_name)

    def find(self, address: Address) -> Match:
        """Return what an address means here."""
        if not address.known:
            return Match(address, "none")
        decided = [one for one in self._exact.get(address.key, []) if one in self.sure]
        if decided:
            return Match(address, "matched", (Candidate(decided[0], 100.0),))
        scored: dict[Any, Candidate] = {}
        for label in self._near(address):
            score = round(score_of(address, self._read[label]), 1)
            place = self.places.get(label, label)
            if score >= POSSIBLE and (place not in scored or scored[place].score < score):
                scored[place] = Candidate(label, score)
        best = sorted(scored.values(), key=self._order)
        if not best:
            return Match(address, "none")
        alone = len(best) == 1 or best[0].score - best[1].score >= LEAD
        state = "matched" if alone and best[0].score >= CERTAIN else "several"
        return Match(address, state, tuple(best[:CANDIDATES]))

    def _order(self, one: Candidate) -> tuple[float, int, str]:
        """Return what candidates are sorted by: score, then number, then label."""
        known = self._read[one.label]
        number = re.match(r"\d+", known.part or known.number)
        return -one.score, int(number[0]) if number else 0, str(one.label).zfill(20)

    def _near(self, address: Address) -> list[Any]:
        """Return labels worth a look: those of the same or a like name."""
        found: dict[Any, None] = dict.fromkeys(self._exact.get(address.key, []))
        for name in filter(None, (address.street, address.estate)):
            alike = process.extract(
                name, self._names, scorer=fuzz.ratio, score_cutoff=LIKE_NAMES, limit=CANDIDATES
            )
            for like, _, _ in alike:
                found |= dict.fromkeys(self._by_name[like])
        return list(found)


def _grouped(pairs: Iterable[tuple[str, Any]]) -> dict[str, list[Any]]:
    groups: dict[str, list[Any]] = {}
    for key, label in pairs:
        groups.setdefault(key, []).append(label)
    return groups


def score_of(wanted: Address, known: Address) -> float:
    """Return how well a known address fits what was asked for, 0 to 100.

    Each part that is asked for counts by its weight; names by their likeness (Levenshtein ratio,
    squared), numbers when they are equal, a little when they are near on the same side.
    """
    total = reached = 0.0
    for part in WEIGHTS:
        asked = getattr(wanted, part)
        if not asked:
            continue
        total += WEIGHTS[part]
        has = getattr(known, part)
        if part == "number" and not wanted.street and not wanted.part:
            reached += WEIGHTS[part] * max(
                _like_numbers(asked, has), AS_BUILDING * _like_numbers(asked, known.part)
            )
        elif not has:
            reached += WEIGHTS[part] * UNKNOWN[part]
        elif part in ("street", "estate"):
            reached += WEIGHTS[part] * (fuzz.ratio(asked, has) / 100.0) ** 2
        else:
            reached += WEIGHTS[part] * _like_numbers(asked, has)
    vague = int(bool(known.part) and not wanted.part and not (wanted.number and not wanted.street))
    if not wanted.number and known.number and not (wanted.estate and known.estate):
        vague += 1
    return max(0.0, 100.0 * reached / total - UNASKED * vague) if total else 0.0


def _like_numbers(one: str, other: str) -> float:
    if one == other:
        return 1.0
    first, second = (re.match(r"\d+", text) for text in (one, other))
    if not first or not second:
        return 0.0
    apart = abs(int(first[0]) - int(second[0]))
    if apart == 0:
        return 0.7
    return 0.25 if apart <= NEAR_NUMBERS and apart % 2 == 0 else 0.0
