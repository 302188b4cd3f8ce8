"""Which rates are withheld: an attacker adds and subtracts all that is told, at every level."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo.codes import Name
from geo.rates import LEAST_WORKERS, Rate, defects, withheld

TREES = st.lists(
    st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=4), min_size=1, max_size=4),
    min_size=1, max_size=4,
)  # fmt: skip
"""Workers of each grid, by communities and sub-districts."""


class City:
    """Areas of three levels, numbered level by level, with the grids that each is made of."""

    def __init__(self, tree: list[list[list[int]]]) -> None:
        self.above: list[dict[int, int]] = [{}, {}, {}]
        self.leaves: dict[int, set[int]] = {0: set()}
        self.workers: dict[int, set[int]] = {0: set()}
        numbers, people = itertools.count(1), itertools.count(1)
        for district in tree:
            one = self._add(0, 0, next(numbers))
            for community in district:
                two = self._add(1, one, next(numbers))
                for count in community:
                    leaf = self._add(2, two, next(numbers))
                    who = set(itertools.islice(people, count))
                    for grid in (0, one, two, leaf):
                        self.leaves[grid].add(leaf)
                        self.workers[grid] |= who

    def _add(self, level: int, parent: int, number: int) -> int:
        self.above[level][number] = parent
        self.leaves[number], self.workers[number] = set(), set()
        return number

    def told(self) -> list[int]:
        """Return the areas whose figures are told at any level, and the whole city."""
        silent: set[int] = set()
        found = [0] if len(self.workers[0]) >= LEAST_WORKERS else []
        for parents in self.above:
            silent = withheld(parents, self.workers, silent)
            found += sorted(set(parents) - silent)
        return found

    def row(self, areas: set[int]) -> list[float]:
        """Return of which grids a sum is made."""
        return [float(leaf in areas) for leaf in sorted(self.above[2])]


@given(TREES)
def test_no_rate_of_few_is_a_sum_or_a_difference_of_what_is_told(
    tree: list[list[list[int]]],
) -> None:
    city = City(tree)
    told = city.told()
    known = np.array([city.row(city.leaves[one]) for one in told] or [city.row(set())])
    rank = np.linalg.matrix_rank(known)
    for parents in city.above:
        for parent in set(parents.values()):
            own = [one for one in parents if parents[one] == parent and one not in told]
            for size in range(1, len(own) + 1):
                for some in itertools.combinations(own, size):
                    leaves = set().union(*(city.leaves[one] for one in some))
                    workers = set().union(*(city.workers[one] for one in some))
                    if 0 < len(workers) < LEAST_WORKERS:
                        more = np.vstack([known, city.row(leaves)])
                        assert np.linalg.matrix_rank(more) > rank, (told, some)


@given(TREES)
def test_rates_of_few_are_withheld_and_of_many_not_without_need(
    tree: list[list[list[int]]],
) -> None:
    city = City(tree)
    told = set(city.told())
    for parents in city.above:
        for one in parents:
            assert one not in told or len(city.workers[one]) >= LEAST_WORKERS
    everybody = {one: {n * 10 + k for k in range(5)} for n, one in enumerate(city.workers)}
    assert all(withheld(parents, everybody) == set() for parents in city.above)


@pytest.mark.parametrize(("workers", "silent"), [(4, {1, 2}), (5, set())])
def test_five_are_enough(workers: int, silent: set[int]) -> None:
    held = {1: range(workers), 2: range(10, 16), 3: range(20, 29)}
    assert withheld(dict.fromkeys(held, 0), held) == silent


def test_two_of_one_worker_each_do_not_hide_behind_each_other() -> None:
    held = {1: {1}, 2: {2}, 3: range(10, 16), 4: range(20, 29)}
    assert withheld(dict.fromkeys(held, 0), held) == {1, 2, 3}
    same = {1: {1}, 2: {1}, 3: {1, 2, 3, 4, 5}, 4: range(20, 29)}
    assert withheld(dict.fromkeys(same, 0), same) == {1, 2, 3}, "a worker counts once"


def test_what_is_withheld_above_is_no_sum_of_what_is_told_below() -> None:
    held = {11: range(6), 12: range(10, 19), 21: range(20, 26), 31: {1}}
    parents = {11: 1, 12: 1, 21: 2, 31: 3}
    assert withheld(parents, held, outer={1}) == {11, 31}
    assert withheld(parents, held, begin={21}) == {21, 31}


def test_both_counts_of_a_formula_are_looked_at() -> None:
    name = Name(zh="x", en="x")
    assert defects([Rate("x", name, "handled", "nothing")]) == [
        "rate 'x': there is no count 'nothing'"
    ]
