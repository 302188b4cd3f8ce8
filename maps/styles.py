"""Colours and line weights of the maps: the one place that says how a grid looks."""

from __future__ import annotations

from typing import Final

CATEGORY_COLOURS: Final[tuple[str, ...]] = (
    "#56b4e9",
    "#e69f00",
    "#009e73",
    "#cc79a7",
    "#d9c928",
    "#9584c4",
    "#7fb4a0",
)
"""Fills that tell neighbours apart: Okabe-Ito without the two darkest (black is the selection's,
vermilion means trouble), its yellow toned down for white ground, and two quiet mixtures."""

FILL_OPACITY: Final = 0.42
"""Share of colour over the ground; buildings stay readable through it."""

LEVEL_WEIGHTS_PX: Final[tuple[float, ...]] = (2.6, 1.6, 1.0, 0.6, 0.5, 0.4)
"""Border width in CSS pixels by depth below the city: sub-district, community, grid, unit ..."""

SELECTED_WEIGHT_PX: Final = 3.0
"""Border of the selected grid, black on light ground and white on dark."""

FALLBACK_LEVEL_ZOOMS: Final[tuple[int, ...]] = (0, 12, 14, 17, 18, 19)
"""First zoom of each level where the city's data name none."""


def level_weight_px(level: int) -> float:
    """Return the border width of a level, in CSS pixels.

    Parameters
    ----------
    level : int
        1 is the top level below the city; deeper than 6 counts as 6.

    Returns
    -------
    float
        Width in CSS pixels.

    Examples
    --------
    >>> level_weight_px(1)
    2.6
    >>> level_weight_px(9)
    0.4
    """
    return LEVEL_WEIGHTS_PX[min(max(level, 1), len(LEVEL_WEIGHTS_PX)) - 1]
