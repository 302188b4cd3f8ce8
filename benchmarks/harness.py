"""How a benchmark runs: in turns A B C A B C, after one warm-up round that must agree."""

from __future__ import annotations

import gc
import os
import resource
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

OURS = "ours"
LEAST_ROUNDS = 5
"""Fewer rounds are shown, never written to the results."""

CPU = "cpu"
WALL = "wall"
Progress = Callable[[str], None]
"""Takes what runs next, before it runs."""


class CannotRunError(RuntimeError):
    """Something that a benchmark needs is not on this machine; the message says what."""


class DisagreementError(AssertionError):
    """Ours and a peer gave different answers, so that comparing their times says nothing."""


@dataclass(frozen=True)
class Outcome:
    """An answer with figures that the contender took itself, such as bytes on the wire.

    Parameters
    ----------
    answer : any
        What `Case.agree` compares.
    figures : mapping of str to float
        By the name that a `Measure` asks for.
    """

    answer: Any
    figures: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Measure:
    """One figure of a case that becomes a row; less is better.

    Parameters
    ----------
    figure : str
        `CPU` (user and system, children and the case's servers included), `WALL`, or a figure of
        the outcomes.
    unit : str
        Unit of the figure, such as ``s`` or ``B``.
    goal : float
        What the ratio, best peer / ours, shall reach.
    peers : tuple of str
        The peers it is compared with; empty for all.
    limit : float, optional
        An absolute bound that stands as a peer of its own.
    row : str
        Last part of the row's name; the figure's name when empty.
    """

    figure: str
    unit: str
    goal: float
    peers: tuple[str, ...] = ()
    limit: float | None = None
    row: str = ""

    def __post_init__(self) -> None:
        """Refuse a goal that every ratio reaches."""
        if not self.goal > 0:
            raise ValueError(f"The goal of '{self.figure}' must be a ratio above 0.")


@dataclass(frozen=True)
class Case:
    """One question, our way to answer it and the peers'.

    Parameters
    ----------
    name : str
        Short, without blanks: part of the rows' names.
    title : str
        What is asked, in words.
    ours : callable
        Answers the question; returns the answer or an `Outcome`.
    peers : mapping of str to callable
        The same by other means.
    measures : sequence of Measure
        What becomes rows.
    agree : callable
        Takes our answer and a peer's; raises `DisagreementError` when they differ.
    repeat : int, default 1
        Calls in one measurement; times are those of one call.
    servers : callable
        Process numbers of servers that work for the contenders: their CPU counts too.
    note : str
        What a reader of the row must know.
    """

    name: str
    title: str
    ours: Callable[[], Any]
    peers: Mapping[str, Callable[[], Any]]
    measures: Sequence[Measure]
    agree: Callable[[Any, Any], None]
    repeat: int = 1
    servers: Callable[[], Sequence[int]] = tuple
    note: str = ""


@dataclass(frozen=True)
class Row:
    """A line of the results: medians, and by how much ours is better than the best peer."""

    name: str
    ours: float
    peers: Mapping[str, float]
    ratio: float
    goal: float
    unit: str
    note: str

    @property
    def met(self) -> bool:
        """Whether the goal is reached."""
        return self.ratio >= self.goal


def turns(names: Sequence[str], rounds: int) -> Iterator[tuple[int, str]]:
    """Yield (round, contender): all of them in each round, in one order; round 0 is the warm-up."""
    for number in range(rounds + 1):
        for name in names:
            yield number, name


def run(case: Case, rounds: int, progress: Progress = lambda step: None) -> list[Row]:
    """Run a case and return its rows.

    Parameters
    ----------
    case : Case
    rounds : int
        Measured rounds, after one warm-up round.
    progress : callable

    Raises
    ------
    DisagreementError
        If a peer's answer differs from ours, in the warm-up or in any later round.
    """
    contenders: dict[str, Callable[[], Any]] = {OURS: case.ours, **case.peers}
    samples: dict[str, list[Mapping[str, float]]] = {name: [] for name in contenders}
    our_answer: Any = None
    for number, name in turns(list(contenders), rounds):
        stage = "warm-up" if number == 0 else f"round {number} of {rounds}"
        progress(f"{case.name}: {name}, {stage}")
        answer, figures = _measured(contenders[name], case)
        if name == OURS:
            our_answer = answer
        else:
            _compare(case, name, our_answer, answer)
        if number > 0:
            samples[name].append(figures)
    return [_row(case, measure, samples) for measure in case.measures]


def medians(samples: Mapping[str, Sequence[Mapping[str, float]]], figure: str) -> dict[str, float]:
    """Return the median of a figure for each contender that has it."""
    return {
        name: statistics.median(taken[figure] for taken in rounds)
        for name, rounds in samples.items()
        if rounds and figure in rounds[0]
    }


def ratio(ours: float, peers: Mapping[str, float]) -> float:
    """Return best peer / ours: above 1 ours is better, for figures of which less is better.

    Raises
    ------
    ValueError
        If there is no peer, or ours is not above 0.
    """
    if not peers:
        raise ValueError("There is no peer to compare with.")
    if not ours > 0:
        raise ValueError(f"{ours} cannot be compared: it must be above 0.")
    return min(peers.values()) / ours


def _measured(call: Callable[[], Any], case: Case) -> tuple[Any, dict[str, float]]:
    gc.collect()
    servers = case.servers()
    cpu, wall = _cpu_s(servers), time.perf_counter()
    for _ in range(case.repeat):
        outcome = call()
    wall = time.perf_counter() - wall
    cpu = _cpu_s(servers) - cpu
    figures = {CPU: cpu / case.repeat, WALL: wall / case.repeat}
    if isinstance(outcome, Outcome):
        return outcome.answer, {**figures, **outcome.figures}
    return outcome, figures


def _compare(case: Case, peer: str, ours: Any, theirs: Any) -> None:
    try:
        case.agree(ours, theirs)
    except DisagreementError as error:
        raise DisagreementError(f"{case.name}: ours and {peer} differ: {error}") from error


def _row(case: Case, measure: Measure, samples: Mapping[str, Sequence[Mapping[str, float]]]) -> Row:
    found = medians(samples, measure.figure)
    ours = found.pop(OURS)
    peers = {name: value for name, value in found.items() if name in (measure.peers or found)}
    if measure.limit is not None:
        peers["limit"] = measure.limit
    return Row(
        name=f"{case.name}.{measure.row or measure.figure}",
        ours=ours,
        peers=peers,
        ratio=ratio(ours, peers),
        goal=measure.goal,
        unit=measure.unit,
        note=case.note,
    )


def _cpu_s(servers: Sequence[int]) -> float:
    """Return the CPU seconds so far of this process, its children and the servers, all told."""
    spent = 0.0
    for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
        usage = resource.getrusage(who)
        spent += usage.ru_utime + usage.ru_stime
    return spent + sum(_process_cpu_s(pid) for pid in _family([os.getpid(), *servers]))


def _family(roots: Sequence[int]) -> set[int]:
    """Return the living descendants of some processes, the servers among the roots included."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found: set[int] = set()
    waiting = list(roots)
    while waiting:
        pid = waiting.pop()
        if pid not in found:
            found.add(pid)
            waiting += children.get(pid, [])
    return found - {os.getpid()}


def _process_cpu_s(pid: int) -> float:
    fields = _stat(pid)
    ticks = sum(int(value) for value in fields[11:15]) if fields else 0
    return ticks / os.sysconf("SC_CLK_TCK")


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat behind the command; empty for a process that ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except (OSError, UnicodeDecodeError):
        return []
