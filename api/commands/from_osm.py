"""`wangge city from-osm`: a whole city out of one OpenStreetMap extract."""

from __future__ import annotations

import re
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo, available_timezones

import geopandas as gpd
import typer

from api.commands.files import warn_without_walls
from api.commands.opening import open_database
from api.commands.terminal import Json, Step, answer, progress, say
from geo import service
from geo.crs import metre_srid as proposed_srid
from geo.dataset import CityDataset
from geo.db import owner_transaction
from geo.errors import InvalidInputError
from geo.files.facts import FileFormat, Understood, Wish
from geo.files.reading import read, understand
from geo.findings import Findings
from geo.importing import digest
from geo.importing.extract import COLUMNS, ExtractWish, city_of_extract, city_without_ground
from geo.importing.first_net import Sizes
from geo.profiles import load_profile, profile_names
from geo.settings import Settings

SHOWN: Final = 6
FEWEST: Final = 20


def from_osm(
    file: Annotated[Path, typer.Argument(help="OpenStreetMap extract of one city: .osm.pbf.")],
    slug: Annotated[str, typer.Option(help="Short name of the city, as in addresses.")],
    name: Annotated[str, typer.Option(help="Name, as people write it.")],
    county_code: Annotated[
        str, typer.Option(help="Administrative code; in China six digits, grid codes begin so.")
    ] = "0",
    name_en: Annotated[str | None, typer.Option(help="English name; default: the name.")] = None,
    profile: Annotated[str, typer.Option(help="Country profile: cn or intl.")] = "intl",
    timezone: Annotated[str | None, typer.Option(help="Default: the profile's.")] = None,
    metre_srid: Annotated[
        int | None, typer.Option(help="EPSG number of its CRS in metres; default: by place.")
    ] = None,
    area: Annotated[
        str | None,
        typer.Option(help="Administrative area that is the city; default: around its buildings."),
    ] = None,
    households: Annotated[
        int, typer.Option(min=FEWEST, max=100_000, help="Most households of a grid.")
    ] = Sizes().grid,
    effective_from: Annotated[
        str | None, typer.Option(help="First day of the net, YYYY-MM-DD; default: today.")
    ] = None,
    processes: Annotated[
        int | None, typer.Option(min=1, help="Processes; default: one for each core.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Read, cut and draw; store nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Load a whole city with cells, estimated households and a first net from one extract.

    Blocks between streets are cut into cells around buildings; cells are joined to grids. The
    household counts are estimates and marked so; the net is a beginning to be divided better.
    """
    if profile not in profile_names():
        known = ", ".join(profile_names())
        raise InvalidInputError(f"There is no profile '{profile}', but {known}.", field="profile")
    country = load_profile(profile)
    identity = {
        "slug": slug,
        "name": name,
        "name_en": name_en or name,
        "profile": profile,
        "timezone": timezone or country.timezone,
        "county_code": county_code,
        "effective_from": _day(effective_from, timezone or country.timezone),
    }
    warn_without_walls()
    with progress() as step:
        step("understand the extract", 0.0)
        understood = _understood(file)
        lon, lat = _middle(understood)
        srid = metre_srid or proposed_srid(lon, lat, country.metre_family)
        bare = city_without_ground(identity, srid)
        layers = _layers(file, understood, step)
        wish = ExtractWish(area, Sizes(households), processes)
        dataset, found = city_of_extract(bare, country, layers, file.name, wish, step)
        step("check the city", 0.0)
        dataset.check()
        data = _data(dataset, found)
        stored = None if dry_run else _store(dataset, data["digest"], step)
    answer(as_json, data | {"stored": bool(stored)}, _told(dataset, found, stored))


def _day(said: str | None, zone: str) -> date:
    if said is None:
        if zone not in available_timezones():
            raise InvalidInputError(
                f"'{zone}' is no time zone, such as Asia/Shanghai.", field="timezone"
            )
        return datetime.now(ZoneInfo(zone)).date()
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", said):
        try:
            return date.fromisoformat(said)
        except ValueError:
            pass
    raise InvalidInputError(f"'{said}' is no day like 2026-01-31.", field="effective_from")


def _understood(file: Path) -> Understood:
    """Return what is in an extract.

    Raises
    ------
    InvalidInputError
        If it is another kind of file.
    FileRefusedError
        If it is damaged, empty or missing.
    """
    understood = understand(file, trusted=True)
    if understood.format != FileFormat.OSM_PBF:
        message = (
            f"{file.name} is no OpenStreetMap extract (.osm.pbf) but {understood.format}; "
            f"wangge import takes it into a city that has begun."
        )
        raise InvalidInputError(message, field="file")
    return understood


def _middle(understood: Understood) -> tuple[float, float]:
    boxes = [layer.bbox for layer in understood.layers if layer.bbox is not None]
    west, south = min(box[0] for box in boxes), min(box[1] for box in boxes)
    east, north = max(box[2] for box in boxes), max(box[3] for box in boxes)
    return (west + east) / 2, (south + north) / 2


def _layers(file: Path, understood: Understood, step: Step) -> dict[str, gpd.GeoDataFrame]:
    wanted = [layer.name for layer in understood.layers if layer.name in COLUMNS]
    layers = {}
    for number, name in enumerate(wanted):
        step("read the extract", number / len(wanted))
        layers[name] = read(file, name, Wish(columns=COLUMNS[name]), trusted=True).frame
    step("read the extract", 1.0)
    return layers


def _data(dataset: CityDataset, found: Findings) -> dict[str, Any]:
    counts = dataset.grids["level"].value_counts().sort_index().tolist()
    return {
        "city": dataset.slug,
        "metre_srid": dataset.metre_srid,
        "digest": digest(dataset),
        "levels": dict(zip(dataset.levels["name_en"], counts, strict=True)),
        "estimated": True,
        **found.as_data(),
    }


def _store(dataset: CityDataset, known_by: str, step: Step) -> bool:
    with open_database(Settings(), say) as opened, owner_transaction(opened.engine) as session:
        return service.import_city(session, dataset, digest=known_by, progress=step)


def _told(dataset: CityDataset, found: Findings, stored: bool | None) -> str:
    figures = found.figures
    counts = dataset.grids["level"].value_counts().sort_index().tolist()
    levels = ", ".join(
        f"{count:,} x {name}" for count, name in zip(counts, dataset.levels["name_en"], strict=True)
    )
    lines = [
        f"{dataset.name_en} ({dataset.slug}), metres of EPSG:{dataset.metre_srid}",
        (
            f"  {figures['buildings']:,} buildings, {figures['streets']:,} streets, "
            f"{figures['barriers']:,} waters and railways, {figures['stations']:,} stations"
        ),
        f"  {figures['cells']:,} cells, {figures['area_m2'] / 1e6:,.3f} km² in a clean coverage",
        f"  about {figures['households']:,} households, estimated from the buildings",
        f"  a first net: {levels}; it is a beginning, to be divided better",
    ]
    if found.entries:
        kinds = ", ".join(f"{n:,} {kind.replace('_', ' ')}" for kind, n in found.counts().items())
        lines += [f"Found: {kinds}", *(f"  {entry.line()}" for entry in found.entries[:SHOWN])]
    if stored is None:
        return "\n".join([*lines, "Nothing was stored: this was a dry run."])
    if not stored:
        return "\n".join([*lines, f"'{dataset.slug}' stands so already; nothing was changed."])
    return "\n".join([*lines, f"'{dataset.slug}' is loaded: look at /net?city={dataset.slug}"])
