"""Cases of another system get the cell they lie in, on borders the first, just outside the next."""

from __future__ import annotations

import numpy as np
import pandas as pd
import shapely

from geo.store.cases.batch import NEAR_DEG, Ground, assign


def test_cells_of_places_inside_on_borders_and_beside() -> None:
    cells = shapely.box([0.0, 0.01, 0.02], 0.0, [0.01, 0.02, 0.03], 0.01)
    ground = Ground(np.array([7, 8, 9]), cells, pd.DataFrame())
    near, far = 0.01 + NEAR_DEG / 2, 0.01 + 2 * NEAR_DEG
    lon = np.array([0.005, 0.01, 0.02, 0.015, 0.015, 0.025, 0.025, 50.0])
    lat = np.array([0.005, 0.005, 0.01, far, near, near, near, 50.0])
    assert assign(lon, lat, ground).tolist() == [0, 0, 1, -1, 1, 2, 2, -1]
    turned = Ground(ground.cells, cells[::-1], pd.DataFrame())
    assert assign(lon, lat, turned).tolist() == [2, 1, 0, -1, 1, 0, 0, -1]
    assert assign(lon[:0], lat[:0], ground).tolist() == []
