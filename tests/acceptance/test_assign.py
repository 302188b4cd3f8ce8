"""Requests of Boston in its police districts: as a plain join says, and as the city recorded."""

from __future__ import annotations

import json
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from typer.testing import CliRunner

from api.cli import app

pytestmark = pytest.mark.acceptance


def test_requests_of_boston(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "boston_ma"
    points, areas = folder / "boston_311_2015.parquet", folder / "boston_police_districts.geojson"
    out = tmp_path / "rows.parquet"
    words = ["assign", str(points), str(areas), "--out", str(out), "--json"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.exception
    data = json.loads(result.stdout)
    rows = pd.read_parquet(out)
    requests, districts = pd.read_parquet(points), gpd.read_file(areas)
    assert rows["point"].tolist() == list(range(len(requests)))
    lon, lat = (
        next(c for c in requests.columns if c.lower().startswith(s)) for s in ("lon", "lat")
    )
    places = shapely.points(requests[[lon, lat]].to_numpy())
    point, polygon = districts.sindex.query(places, predicate="intersects")
    expected = np.full(len(places), len(districts))
    np.minimum.at(expected, point, polygon)
    expected[expected == len(districts)] = -1
    assert (rows["polygon"].to_numpy() == expected).all()
    assert data["points"] == len(requests)
    assert data["assigned"] == (expected >= 0).sum()
