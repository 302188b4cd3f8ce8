"""Counts of households brought to their buildings: by code, by name, by address, or by decision.

What is beyond doubt is matched; what may be several buildings, or none, is left to somebody to
decide, and counts for nothing until then. The sums of all states are the sum of the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd

from geo.addresses import CANDIDATES, Gazetteer, Match, read
from geo.errors import DeliveryError
from geo.saying import phrase

STATES: Final = ("matched", "several", "none", "invalid")
"""Beyond doubt; to be decided; no building like it; no count."""
COLUMNS: Final = ("building_code", "building_name", "compound", "address")
"""What a row may say of its building."""
MOST_HOUSEHOLDS: Final = 100_000
NO_BUILDING: Final = 0
"""A decision that a row belongs to no building here."""


@dataclass(frozen=True)
class Proposal:
    """Which row belongs to which building.

    Attributes
    ----------
    rows : DataFrame, shape (n,)
        Indexed like the delivered rows: `state` (of `STATES`), `by` ('code', 'name', 'address',
        'decided' or ''), `building_id` (Int64, missing unless matched), `households` (Int64,
        missing where it is no count), `said` (what the row says of its building, without anything
        of a household), `candidates` (list of (building, score 0 to 100), the best first).
    """

    rows: pd.DataFrame

    def totals(self) -> dict[str, dict[str, int]]:
        """Return rows and households by state; the households of all states are the file's."""
        grouped = self.rows.groupby("state")["households"]
        count, total = grouped.size(), grouped.sum()
        return {
            state: {"rows": int(count.get(state, 0)), "households": int(total.get(state, 0))}
            for state in STATES
        }

    def counts(self) -> pd.Series[int]:
        """Return the households of each matched building; several rows of one building add up."""
        sure = self.rows[self.rows["state"] == "matched"]
        summed = sure.groupby(sure["building_id"].astype("int64"))["households"].sum()
        return summed.astype("int64").rename("households")

    @property
    def shared(self) -> int:
        """How many buildings have several rows, which were added."""
        sure = self.rows.loc[self.rows["state"] == "matched", "building_id"]
        return int((sure.value_counts() > 1).sum())

    def open_rows(self) -> pd.DataFrame:
        """Return the rows that somebody has to decide, in the order of the file."""
        waiting: pd.DataFrame = self.rows[self.rows["state"].isin(["several", "none"])]
        return waiting


def building_gazetteer(
    buildings: pd.DataFrame, known: Gazetteer | None = None, *, within: tuple[str, ...] = ()
) -> Gazetteer:
    """Return what buildings are called: by their names, and by the addresses that are known.

    Parameters
    ----------
    buildings : DataFrame
        Columns `building_id`, `name`.
    known : Gazetteer, optional
        Addresses whose places are building ids; others are left out.
    within : tuple of str
        Names of city and areas that a text may begin with.
    """
    keys: dict[Any, str] = {}
    places: dict[Any, Any] = {}
    sure: set[Any] = set()
    named = buildings[buildings["name"].notna()]
    for building, name in zip(named["building_id"], named["name"], strict=True):
        address = read(str(name), within=within)
        if address.known:
            keys["name", int(building)] = address.key
            places["name", int(building)] = int(building)
    ids = set(buildings["building_id"].astype(int).tolist())
    for label, key in (known.keys if known else {}).items():
        place = known.places.get(label) if known else None
        if place in ids:
            keys["address", label] = key
            places["address", label] = place
            if known and label in known.sure:
                sure.add(("address", label))
    return Gazetteer(keys, places, frozenset(sure))


def propose(
    rows: pd.DataFrame,
    buildings: pd.DataFrame,
    known: Gazetteer | None = None,
    *,
    decided: Mapping[Any, int] | None = None,
    within: tuple[str, ...] = (),
) -> Proposal:
    """Say which building each row of a file of household counts belongs to.

    A code decides. A code that is unknown, or at odds with the name, leaves the row to somebody.

    Parameters
    ----------
    rows : DataFrame, shape (n,)
        Column `households` and at least one of `COLUMNS`; any index.
    buildings : DataFrame
        Columns `building_id`, `code`, `name`.
    known : Gazetteer, optional
        Addresses whose places are building ids.
    decided : mapping, optional
        Row (as in the index) -> building, where somebody decided; `NO_BUILDING`: none of them.
    within : tuple of str
        Names of city and areas that an address may begin with.

    Returns
    -------
    Proposal

    Raises
    ------
    DeliveryError
        If a needed column is missing, or a decision names no building.
    """
    said = [name for name in COLUMNS if name in rows.columns]
    if "households" not in rows.columns or not said:
        raise DeliveryError(
            [
                phrase(
                    "a column of households, and one of code, name or address of the "
                    "building, are needed"
                )
            ]
        )
    ids = set(buildings["building_id"].astype(int).tolist())
    lost = [row for row, one in (decided or {}).items() if one != NO_BUILDING and one not in ids]
    if lost:
        raise DeliveryError(
            [
                phrase("row %(row)s was decided for a building that is not there", row=row)
                for row in lost
            ]
        )
    matcher = _Matcher(buildings, building_gazetteer(buildings, known, within=within), within)
    counts = _counts(rows["households"])
    decisions = {str(row): int(one) for row, one in (decided or {}).items()}
    texts = {name: _texts(rows[name]) for name in said}
    found = []
    for place, row in enumerate(rows.index):
        words = {name: texts[name][place] for name in said}
        one = matcher.one(words, decisions.get(str(row)))
        if pd.isna(counts.iloc[place]):
            one = {**one, "state": "invalid", "building_id": pd.NA}
        found.append(one)
    frame = pd.DataFrame(
        found, index=rows.index, columns=["state", "by", "building_id", "said", "candidates"]
    )
    frame["building_id"] = frame["building_id"].astype("Int64")
    frame["households"] = counts
    return Proposal(frame)


def _counts(values: pd.Series[Any]) -> pd.Series[Any]:
    """Return whole counts from 0 on; missing where a cell holds none."""
    numbers = pd.to_numeric(values, errors="coerce")
    fits = numbers.notna() & (numbers >= 0) & (numbers <= MOST_HOUSEHOLDS) & (numbers % 1 == 0)
    return numbers.where(fits).astype("Int64")


def _texts(values: pd.Series[Any]) -> list[str]:
    return ["" if pd.isna(one) else _plain(one) for one in values]


def _plain(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


class _Matcher:
    """What rows are compared with."""

    def __init__(self, buildings: pd.DataFrame, known: Gazetteer, within: tuple[str, ...]) -> None:
        self.known = known
        self.within = within
        self.by_code: dict[str, list[int]] = {}
        for building, code in zip(buildings["building_id"], buildings["code"], strict=True):
            if pd.notna(code):
                self.by_code.setdefault(str(code).strip().casefold(), []).append(int(building))

    def one(self, words: Mapping[str, str], decision: int | None) -> dict[str, Any]:
        """Return what one row means: state, by, building_id, said, candidates."""
        named, by, told = self._named(words)
        code = words.get("building_code", "")
        said = "，".join(filter(None, [code, *told]))
        coded = self.by_code.get(code.casefold(), []) if code else []
        candidates = [(one, 100.0) for one in coded]
        candidates += [one for one in named if one[0] not in coded]
        answer = {"said": said, "candidates": candidates[:CANDIDATES], "building_id": pd.NA}
        if decision is not None:
            sure = decision != NO_BUILDING
            chosen = decision if sure else pd.NA
            return {**answer, "state": "matched" if sure else "none", "by": "decided",
                    "building_id": chosen}  # fmt: skip
        if len(coded) == 1 and (not by or named[0][0] == coded[0]):
            return {**answer, "state": "matched", "by": "code", "building_id": coded[0]}
        if not code and by:
            return {**answer, "state": "matched", "by": by, "building_id": named[0][0]}
        return {**answer, "state": "several" if candidates else "none", "by": ""}

    def _named(self, words: Mapping[str, str]) -> tuple[list[tuple[int, float]], str, list[str]]:
        """Return candidates by name and address, by which they are beyond doubt, what was said."""
        compound, name = words.get("compound", ""), words.get("building_name", "")
        whole = name if compound and name.startswith(compound) else compound + name
        found: list[tuple[str, Match]] = []
        for by, text in (("name", whole if name else ""), ("address", words.get("address", ""))):
            if text:
                found.append((by, self.known.find(read(text, within=self.within))))
        best: dict[int, float] = {}
        for _, match in found:
            for one in match.candidates:
                building = int(self.known.places[one.label])
                best[building] = max(best.get(building, 0.0), one.score)
        order = sorted(best.items(), key=lambda one: (-one[1], one[0]))
        sure = [(by, m) for by, m in found if m.state == "matched"]
        places = {int(self.known.places[m.candidates[0].label]) for _, m in sure}
        told = [match.address.text for _, match in found if match.address.text]
        if len(places) != 1:
            return order, "", told
        chosen = places.pop()
        return (
            [(chosen, best[chosen]), *(one for one in order if one[0] != chosen)],
            sure[0][0],
            told,
        )
