"""Delivered areas made into a coverage: every fault listed, every change of area accounted for."""

from __future__ import annotations

from geo.repair.account import CHANGES, DEFECTS, LEDGER, NOISE_M2, each_once
from geo.repair.mending import GAP_M, LARGEST_CHANGE, SNAP_M, Repair, examine, repair
from geo.repair.scenes import Scene, carried_back, scene

__all__ = [
    "CHANGES",
    "DEFECTS",
    "GAP_M",
    "LARGEST_CHANGE",
    "LEDGER",
    "NOISE_M2",
    "SNAP_M",
    "Repair",
    "Scene",
    "carried_back",
    "each_once",
    "examine",
    "repair",
    "scene",
]
