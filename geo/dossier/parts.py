"""The files of a dossier, their manifest, and all of it as one archive: the same bytes again."""

from __future__ import annotations

import csv
import hashlib
import json
import tempfile
import threading
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any, Final

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import shapely

from geo.crs import WGS84_SRID
from geo.dossier.content import Content, Lang, Side
from geo.dossier.page import page
from geo.dossier.sheets import paper
from geo.sheets import FORMULA_STARTS

FORMAT: Final = "wangge-dossier-1"
MANIFEST: Final = "manifest.json"
LONG_AGO: Final = "2000-01-01T00:00:00.000Z"
"""Stands where a GeoPackage would note the hour at which it was written."""
_ONE_HOUR: Final = threading.Lock()
"""What GDAL notes is said to the whole process: one package at a time."""


def parts(content: Content, lang: Lang) -> dict[str, bytes]:
    """Return the files of a dossier by name, the manifest among them.

    Parameters
    ----------
    content : Content
    lang : {"zh", "en"}

    Returns
    -------
    dict of str to bytes
        `dossier.html`, `dossier.pdf`, `dossier.gpkg`, `crosswalk.csv`, `facts.json`, and
        `manifest.json` with the SHA-256 of each.
    """
    made = {
        "crosswalk.csv": _sheet(content),
        "dossier.gpkg": _package(content),
        "dossier.html": page(content, lang),
        "dossier.pdf": paper(content, lang),
        "facts.json": canonical(_facts(content)),
    }
    listed = [
        {"name": name, "bytes": len(made[name]), "sha256": hashlib.sha256(made[name]).hexdigest()}
        for name in sorted(made)
    ]
    card = content.card
    manifest = {
        "format": FORMAT,
        "city": content.city,
        "plan": card["plan"],
        "name": card["name"],
        "state": card["state"],
        "base_seq": card["base_seq"],
        "last_edit": card["last_edit"],
        "as_of": content.as_of,
        "lang": lang,
        "parts": listed,
    }
    return {MANIFEST: canonical(manifest), **made}


def canonical(data: Any) -> bytes:
    """Return data as JSON that is the same for the same data: keys in order, no spaces, UTF-8."""
    text = json.dumps(
        data, ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=_plain,
        allow_nan=False,
    )  # fmt: skip
    return text.encode() + b"\n"


def _plain(value: Any) -> Any:
    if isinstance(value, date | datetime):
        return value.isoformat()
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} has no place in a dossier")


def bundle(files: Mapping[str, bytes]) -> bytes:
    """Return files as one archive, in the order of their names and without the hour."""
    target = BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, files[name])
    return target.getvalue()


def _facts(content: Content) -> dict[str, Any]:
    return {
        "plan": dict(content.card),
        "as_of": dict(content.as_of),
        "impact": dict(content.impact),
        "limits": {str(grid): told for grid, told in content.limits.items()},
        "comments": [dict(comment) for comment in content.comments],
    }


def _sheet(content: Content) -> bytes:
    out = StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    rows = content.impact["crosswalk"]
    names = list(rows[0]) if rows else ["old", "new", "households", "area_m2"]
    writer.writerow(names)
    for row in rows:
        writer.writerow([_harmless(row[name]) for name in names])
    return ("\ufeff" + out.getvalue()).encode()


def _harmless(value: Any) -> Any:
    """Return a value that no spreadsheet takes for a formula."""
    if isinstance(value, str) and value.startswith(FORMULA_STARTS):
        return f"'{value}"
    return "" if value is None else value


def _package(content: Content) -> bytes:
    """Return a GeoPackage: grids before and after, ground that moves, the crosswalk."""
    with tempfile.TemporaryDirectory() as folder, _without_the_hour():
        file = Path(folder) / "dossier.gpkg"
        for name, side in (("before", content.before), ("after", content.after)):
            _write(_layer(content, side, name), file, name)
        labels = np.array([*content.moved.index], dtype="int64").reshape(-1, 2)
        moved = gpd.GeoDataFrame(
            {"old": labels[:, 0], "new": labels[:, 1]},
            geometry=content.moved.to_numpy(),
            crs=content.moved.crs,
        )
        _write(moved, file, "moved")
        pyogrio.write_dataframe(_crosswalk(content), file, layer="crosswalk", driver="GPKG")
        return file.read_bytes()


def _layer(content: Content, side: Side, name: str) -> gpd.GeoDataFrame:
    which = "old" if name == "before" else "new"
    known = {row["grid"]: row[which] for row in content.impact["grids"] if row[which]}
    grids = [int(grid) for grid in side.shapes.index]
    return gpd.GeoDataFrame(
        {
            "grid": np.array(grids, dtype="int64"),
            "name": [side.names.get(grid, "") for grid in grids],
            "changed": [grid in content.changed for grid in grids],
            "verdict": [known[grid]["verdict"] if grid in known else "" for grid in grids],
            "households": [
                float(known[grid]["households"]) if grid in known else None for grid in grids
            ],
        },
        geometry=side.shapes.to_numpy(),
        crs=side.shapes.crs,
    )


def _write(frame: gpd.GeoDataFrame, file: Path, layer: str) -> None:
    """Write areas in degrees, vertex by vertex."""
    areas = frame.to_crs(WGS84_SRID)
    shapes = [
        shape if shape.geom_type == "MultiPolygon" else shapely.multipolygons([shape])
        for shape in areas.geometry
    ]
    areas = areas.set_geometry(gpd.GeoSeries(shapes, index=areas.index, crs=WGS84_SRID))
    pyogrio.write_dataframe(areas, file, layer=layer, driver="GPKG", geometry_type="MultiPolygon")


def _crosswalk(content: Content) -> pd.DataFrame:
    rows = content.impact["crosswalk"]
    return pd.DataFrame(
        {
            "old": pd.array([row["old"] for row in rows], dtype="Int64"),
            "new": pd.array([row["new"] for row in rows], dtype="Int64"),
            "households": np.array([float(row["households"]) for row in rows], dtype=float),
            "area_m2": np.array([row["area_m2"] for row in rows], dtype=float),
        }
    )


@contextmanager
def _without_the_hour() -> Iterator[None]:
    """Have GDAL note a fixed hour for as long as the block lasts."""
    with _ONE_HOUR:
        before = pyogrio.get_gdal_config_option("OGR_CURRENT_DATE")
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": LONG_AGO})
        try:
            yield
        finally:
            pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": before})
