"""How large a file may be and how long reading it may take; who reads decides."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 2**20


@dataclass(frozen=True)
class Limits:
    """What one file may cost.

    Attributes
    ----------
    file_mib : int
        Size of the file itself.
    unpacked_mib : int
        Size of what is in it once unpacked.
    features : int
        Rows of all layers together.
    memory_mib : int
        Memory of the process that reads.
    understand_s, read_s : int
        Time by the clock for telling what a file is, and for reading a layer.
    """

    file_mib: int = 200
    unpacked_mib: int = 1024
    features: int = 500_000
    memory_mib: int = 2048
    understand_s: int = 25
    read_s: int = 300


WEB = Limits()
OPERATOR = Limits(
    file_mib=20_000,
    unpacked_mib=40_000,
    features=20_000_000,
    memory_mib=3072,
    understand_s=600,
    read_s=7200,
)
