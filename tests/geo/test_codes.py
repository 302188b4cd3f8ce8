"""Codes are numbered from the north, round-trip, overflow loudly, and are never given twice."""

from __future__ import annotations

import itertools
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from geo.codes import CodeScheme, allocate_codes, numbering_order
from geo.errors import CodeFormatError, CodeOverflowError, TopologyError
from geo.profiles import load_profile
from tests.coverages import METRE_SRID, lattice, voronoi

CN = load_profile("cn")
INTL = load_profile("intl")
SCHEMES = [*CN.schemes, *INTL.schemes]
GIVEN = {"county": "990181", "class": "010203"}


def city(shapes: gpd.GeoSeries, communities: int = 1, **columns: Any) -> gpd.GeoDataFrame:
    """Return one sub-district, its communities, and the shapes shared out among them in turn."""
    n = len(shapes)
    community = 2 + np.arange(n) % communities
    whole = shapely.union_all(shapes.to_numpy())
    frame = gpd.GeoDataFrame(
        {
            "grid_id": np.arange(1, 2 + communities + n),
            "level": [1, *[2] * communities, *[3] * n],
            "parent_id": pd.array([None, *[1] * communities, *community], dtype="Int64"),
            "code": pd.array([None] * (1 + communities + n), dtype="str"),
        },
        geometry=[whole] * (1 + communities) + list(shapes),
        crs=METRE_SRID,
    )
    return frame.assign(**columns)


def allocate(grids: gpd.GeoDataFrame, scheme: str = "db11-2157", **more: Any) -> pd.Series[str]:
    return allocate_codes(grids, CN.scheme(scheme), CN.level_codes, given=GIVEN, **more)


@st.composite
def written_codes(draw: st.DrawFn) -> tuple[CodeScheme, str, dict[str, str]]:
    scheme = draw(st.sampled_from(SCHEMES))
    level = draw(st.sampled_from(scheme.levels))
    texts = {}
    for segment in scheme.borne(level):
        first = 1 if segment.order == "rows" else 0
        texts[segment.source] = segment.write(draw(st.integers(first, segment.capacity)))
    return scheme, level, texts


@given(written_codes())
def test_codes_of_every_scheme_round_trip(case: tuple[CodeScheme, str, dict[str, str]]) -> None:
    scheme, level, texts = case
    code = scheme.format(level, texts)
    parsed = scheme.parse(code)
    assert (parsed.level, parsed.texts) == (level, texts)
    assert scheme.valid(code)


@given(st.text(max_size=24), st.sampled_from(SCHEMES))
def test_any_text_is_a_code_or_refused(text: str, scheme: CodeScheme) -> None:
    try:
        parsed = scheme.parse(text)
    except CodeFormatError:
        assert not scheme.valid(text)
    else:
        assert scheme.format(parsed.level, parsed.texts) == text


@pytest.mark.parametrize(
    ("scheme", "level", "texts", "code"),
    [
        (
            "db11-2157",
            "grid",
            {"county": "110101", "subdistrict": "001", "community": "012", "grid": "003"},
            "110101001012003",
        ),
        (
            "cjt-349",
            "grid",
            {
                "class": "010203",
                "county": "110101",
                "subdistrict": "001",
                "community": "601",
                "grid": "00",
            },
            "01020311010100160100",
        ),
        (
            "evaluation",
            "grid",
            {"county": "110101", "subdistrict": "001", "grid": "07", "type": "B"},
            "11010100107B",
        ),
        ("division", "subdistrict", {"county": "110101", "subdistrict": "001"}, "110101001000"),
        (
            "division",
            "community",
            {"county": "110101", "subdistrict": "001", "community": "203"},
            "110101001203",
        ),
    ],
)
def test_presets_write_what_their_standard_writes(
    scheme: str, level: str, texts: dict[str, str], code: str
) -> None:
    assert CN.scheme(scheme).format(level, texts) == code
    assert CN.scheme(scheme).parse(code).texts == texts


def test_a_value_that_does_not_fit_is_named() -> None:
    scheme = CN.scheme("db11-2157")
    with pytest.raises(CodeFormatError) as error:
        scheme.format("grid", {"county": "99018", "subdistrict": "00x", "community": "001"})
    assert len(error.value.data["defects"]) == 3
    with pytest.raises(CodeFormatError, match="does not number level 'unit'"):
        scheme.format("unit", {})


def test_numbering_reads_like_a_page() -> None:
    squares = lattice(3, 3)
    order = numbering_order(squares, range(9))
    assert order.tolist() == [6, 7, 8, 3, 4, 5, 0, 1, 2]


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=30)
def test_numbering_of_a_bent_lattice_still_reads_like_a_page(seed: int) -> None:
    rng = np.random.default_rng(seed)
    squares = lattice(5, 4)
    moved = [shapely.affinity.translate(square, *rng.uniform(-20, 20, 2)) for square in squares]
    order = numbering_order(gpd.GeoSeries(moved, crs=METRE_SRID), range(20))
    assert order.tolist() == [15, 16, 17, 18, 19, 10, 11, 12, 13, 14, 5, 6, 7, 8, 9, 0, 1, 2, 3, 4]


def test_rows_are_as_high_as_the_median_grid() -> None:
    low, middle, high = (shapely.box(x, 0, x + 10, h) for x, h in ((0, 10), (10, 30), (20, 100)))
    shapes = gpd.GeoSeries([low, middle, high], crs=METRE_SRID)
    assert numbering_order(shapes, [1, 2, 3]).tolist() == [2, 1, 0]


def test_same_place_is_ordered_by_id() -> None:
    twins = gpd.GeoSeries([shapely.box(0, 0, 1, 1)] * 3, crs=METRE_SRID)
    assert numbering_order(twins, [30, 10, 20]).tolist() == [1, 2, 0]


def test_degrees_are_refused() -> None:
    grids = city(lattice(2, 2)).to_crs(4326)
    with pytest.raises(TopologyError):
        allocate(grids)
    with pytest.raises(TopologyError):
        numbering_order(grids.geometry, range(len(grids)))


def test_codes_follow_the_hierarchy() -> None:
    codes = allocate(city(lattice(2, 2), communities=2))
    assert codes.tolist() == [
        "990181001",
        "990181001001",
        "990181001002",
        "990181001001002",
        "990181001002002",
        "990181001001001",
        "990181001002001",
    ]


@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.integers(1, 5))
@settings(max_examples=25, deadline=None)
def test_codes_are_unique_valid_and_independent_of_the_order_of_rows(
    seed: int, n: int, communities: int
) -> None:
    grids = city(voronoi(n + 2, seed=seed, bends=0), communities)
    codes = allocate(grids, "cjt-349")
    scheme = CN.scheme("cjt-349")
    assert codes.is_unique
    assert all(scheme.valid(code) for code in codes)
    shuffled = grids.sample(frac=1, random_state=seed)
    assert allocate(shuffled, "cjt-349").sort_index().tolist() == codes.tolist()


@given(
    st.integers(0, 2**32 - 1),
    st.sets(st.integers(1, 900), max_size=40),
    st.lists(st.booleans(), min_size=12, max_size=12),
)
@settings(max_examples=40, deadline=None)
def test_no_code_is_ever_given_again(seed: int, numbers: set[int], coded: list[bool]) -> None:
    grids = city(voronoi(12, seed=seed, bends=0))
    prefix = "990181001001"
    ever = {f"{prefix}{number:03d}" for number in numbers}
    grids.loc[:1, "code"] = ["990181001", prefix]
    held = [f"{prefix}{901 + k:03d}" if has else None for k, has in enumerate(coded)]
    grids.loc[2:, "code"] = held
    codes = allocate(grids, ever=ever)[2:]
    fresh = codes[[code is None for code in held]]
    assert not set(fresh) & (ever | {code for code in held if code})
    assert codes.is_unique
    greatest = max([*ever, *(code for code in held if code), prefix + "000"])
    assert sorted(fresh) == [
        f"{prefix}{int(greatest[-3:]) + k:03d}" for k in range(1, len(fresh) + 1)
    ]


@pytest.mark.parametrize(
    ("scheme", "greatest", "wanted", "left"), [("evaluation", 99, 2, 1), ("db11-2157", 999, 3, 2)]
)
def test_overflow_says_segment_place_and_way_out(
    scheme: str, greatest: int, wanted: int, left: int
) -> None:
    grids = city(lattice(wanted, 1))
    width = len(str(greatest))
    prefix = "990181001" if scheme == "evaluation" else "990181001001"
    suffix = "A" if scheme == "evaluation" else ""
    ever = [f"{prefix}{greatest - left:0{width}d}{suffix}"]
    with pytest.raises(CodeOverflowError) as error:
        allocate(grids, scheme, ever=ever)
    (place,) = error.value.data["places"]
    assert (place["segment"], place["prefix"], place["last"]) == ("grid", prefix, greatest)
    assert (place["left"], place["wanted"]) == (left, wanted)
    assert prefix in error.value.message and "never given twice" in error.value.message
    assert len(allocate(grids.iloc[: len(grids) - 1], scheme, ever=ever)) == len(grids) - 1


def test_every_overflow_is_listed() -> None:
    grids = city(lattice(20, 10), communities=1)
    other = city(lattice(20, 10), communities=1)
    other["grid_id"] += 1000
    other["parent_id"] += 1000
    both = pd.concat([grids, other], ignore_index=True)
    with pytest.raises(CodeOverflowError) as error:
        allocate(gpd.GeoDataFrame(both, crs=METRE_SRID), "cjt-349")
    assert len(error.value.data["places"]) == 2


def test_merged_communities_count_from_601_and_undivided_ones_end_in_00() -> None:
    ranges = [None, "merged", "default", "merged", None, None, None]
    grids = city(lattice(3, 1), communities=3, code_range=ranges)
    codes = allocate(grids, "cjt-349")
    assert [code[-3:] for code in codes[1:4]] == ["601", "001", "602"]
    assert [code[-2:] for code in codes[4:]] == ["00", "00", "00"]
    later = city(lattice(2, 1), code_range=[None, "merged", None, None])
    later.loc[:1, "code"] = codes[[0, 1]].tolist()
    again = allocate(later, "cjt-349", ever=codes)
    assert [code[-2:] for code in again[2:]] == ["01", "02"]
    alone = allocate(later.iloc[:3], "cjt-349", ever=codes)
    assert alone[2][-2:] == "01"


def test_a_number_outside_every_range_does_not_use_one_up() -> None:
    grids = city(lattice(1, 1))
    codes = allocate(grids, "division", ever=["990181001700", "990181001007"])
    assert codes[1] == "990181001008"
    assert codes.isna().tolist() == [False, False, True]


def test_an_unknown_range_is_refused() -> None:
    with pytest.raises(CodeFormatError, match="keeps no numbers for 'nomads'"):
        allocate(city(lattice(1, 1), code_range=[None, "nomads", None]), "division")


def test_evaluation_grids_are_numbered_in_their_subdistrict_and_bear_their_type() -> None:
    types = [None, None, None, "C", None, "B", None]
    codes = allocate(city(lattice(2, 2), communities=2, type=types), "evaluation")
    assert codes.isna().tolist() == [False, True, True, False, False, False, False]
    assert codes[3:].tolist() == [f"990181001{text}" for text in ("03C", "04A", "01B", "02A")]


def test_a_parent_with_a_foreign_code_is_said() -> None:
    grids = city(lattice(2, 1))
    grids.loc[1, "code"] = "25017352101"
    with pytest.raises(CodeFormatError, match="25017352101"):
        allocate(grids)


def test_a_missing_given_value_is_said() -> None:
    scheme = CN.scheme("db11-2157")
    with pytest.raises(CodeFormatError, match="'county' is missing"):
        allocate_codes(city(lattice(1, 1)), scheme, CN.level_codes)


def test_a_city_without_a_level_leaves_its_segment_blank() -> None:
    grids = city(lattice(2, 1))
    grids = grids[grids["level"] != 2].assign(
        level=[1, 2, 2], parent_id=pd.array([None, 1, 1], dtype="Int64")
    )
    codes = allocate_codes(grids, INTL.scheme("plain"), ("district", "grid"))
    assert codes.tolist() == ["01", "01000001", "01000002"]


def test_letters_count_in_their_own_alphabet() -> None:
    segment = INTL.scheme("letters").segments[1]
    texts = [segment.write(number) for number in range(segment.capacity + 1)]
    assert len(set(texts)) == len(texts) == 33**2
    assert all(segment.read(text) == number for number, text in enumerate(texts))
    assert all(left < right for left, right in itertools.pairwise(texts))
    with pytest.raises(CodeFormatError):
        segment.write(segment.capacity + 1)
