"""The whole city out of the layers of a recipe, with everything that was found on the way."""

from __future__ import annotations

import hashlib
import json
from dataclasses import fields
from typing import Any

import geopandas as gpd
import pandas as pd
import shapely

from geo.boundaries import Delivery
from geo.dataset import FRAMES, CityDataset, empty_frame, shaped
from geo.errors import RecipeError
from geo.findings import Findings
from geo.frames_office import OFFICE
from geo.importing import counts, hierarchy, outlines, places
from geo.profiles import Profile
from geo.recipes import Recipe, profile_defects


def assemble(recipe: Recipe, profile: Profile, delivery: Delivery) -> tuple[CityDataset, Findings]:
    """Make a city out of delivered layers.

    Parameters
    ----------
    recipe : Recipe
    profile : Profile
        The one that the recipe names.
    delivery : Delivery
        The layers of the recipe, in the city's metre CRS.

    Returns
    -------
    tuple of CityDataset and Findings
        The findings hold every change that was made to what was delivered.

    Raises
    ------
    RecipeError
        If recipe and profile do not fit; all places are listed.
    DeliveryError
        If codes are missing or repeat, children have no parent, areas contradict each other, or a
        kind of station is not in the recipe; all reasons of that step are listed.
    """
    if defects := profile_defects(recipe, profile):
        raise RecipeError(defects)
    city = recipe.city
    found = Findings(city.metre_crs)
    for layer in delivery.layers():
        found.add(layer.findings)
    tiers = hierarchy.tiers(recipe, delivery.levels)
    ground = hierarchy.ground(recipe, tiers, found)
    frames: dict[str, Any] = {
        "levels": hierarchy.levels(recipe, profile),
        "grids": hierarchy.grids(tiers, ground, city.metre_crs),
        "cells": hierarchy.cells(ground, city.metre_crs),
        "categories": categories(profile, city.metre_crs),
    }
    frames |= counts.values(recipe, delivery.values, ground, found)
    frames |= outlines.kept(recipe, tiers, ground, frames["cell_values"], found)
    frames["barriers"] = places.barriers(recipe, delivery.barriers, found)
    frames["streets"] = places.streets(recipe, delivery.streets, found)
    frames |= places.stations(recipe, profile, delivery.stations, ground, found)
    for name in FRAMES:
        frames.setdefault(name, empty_frame(name, city.metre_crs))
    dataset = CityDataset(
        slug=city.slug,
        name=city.name,
        name_en=city.name_en,
        profile=city.profile,
        timezone=city.timezone,
        metre_srid=city.metre_crs,
        county_code=city.county_code,
        effective_from=city.effective_from,
        **frames,
    )
    return dataset, found


def digest(dataset: CityDataset) -> str:
    """Return a SHA-256 over everything in a dataset: equal for equal cities, row by row.

    Parameters
    ----------
    dataset : CityDataset

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    total = hashlib.sha256()
    plain = {f.name: str(getattr(dataset, f.name)) for f in fields(dataset) if f.name not in FRAMES}
    total.update(json.dumps(plain, sort_keys=True, ensure_ascii=False).encode())
    for name, frame in dataset.frames():
        if name in OFFICE and frame.empty:
            continue  # an installation's log holds digests from before there were these frames
        total.update(name.encode())
        for column in frame.columns:
            column_values = frame[column]
            if isinstance(column_values, gpd.GeoSeries):
                for shape in shapely.to_wkb(column_values.to_numpy()):
                    total.update(shape)
            else:
                hashed = pd.util.hash_pandas_object(column_values, index=False)
                total.update(hashed.to_numpy().tobytes())
    return total.hexdigest()


def categories(profile: Profile, metre_srid: int) -> pd.DataFrame:
    """Return the frame `categories` of a profile."""
    listed = profile.categories
    return shaped(
        "categories",
        {
            "category": [one.code for one in listed],
            "parent": [one.parent for one in listed],
            "name": [one.name.zh for one in listed],
            "name_en": [one.name.en for one in listed],
            "root": [one.root for one in listed],
        },
        metre_srid,
    )
