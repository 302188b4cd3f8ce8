"""A made-up city of Longkou's size, for looking around, tests and measurements."""

from __future__ import annotations

from geo.demo.city import SIZES, generate, generate_with_truth
from geo.demo.requests import Truth

__all__ = ["SIZES", "Truth", "generate", "generate_with_truth"]
