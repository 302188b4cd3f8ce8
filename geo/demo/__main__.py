"""`python -m geo.demo FOLDER` writes the boundary files of the demo city."""

from __future__ import annotations

import argparse
from pathlib import Path

from geo.demo.city import SIZES, generate
from geo.demo.files import write_boundaries


def main() -> None:
    """Make the city that the arguments name and write its boundaries."""
    parser = argparse.ArgumentParser(prog="python -m geo.demo", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--size", choices=sorted(SIZES), default="full")
    wish = parser.parse_args()
    write_boundaries(generate(wish.seed, wish.size, issues=0), wish.folder)


if __name__ == "__main__":
    main()
