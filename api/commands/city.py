"""`wangge city`, `import` and `check`: whole cities in and out, and what is wrong with them."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from api.commands.from_osm import from_osm
from api.commands.opening import open_database
from api.commands.terminal import Json, answer, say, waiting
from geo import service
from geo.db import owner_transaction
from geo.settings import Settings
from geo.store import nets

app = typer.Typer(no_args_is_help=True, help="The cities of the database.")

Slug = Annotated[str, typer.Argument(help="Short name of the city, as in addresses.")]


@app.command("list")
def list_cities(as_json: Json = False) -> None:
    """List the cities of the database."""
    with open_database(Settings(), say) as opened, owner_transaction(opened.engine) as session:
        found = [
            {
                "slug": row.slug,
                "name": row.name,
                "name_en": row.name_en,
                "profile": row.profile,
                "demo": row.demo,
            }
            for row in nets.cities(session)
        ]
    lines = [
        f"{city['slug']:<16} {city['name']} ({city['name_en']}){', demo' if city['demo'] else ''}"
        for city in found
    ]
    answer(as_json, {"cities": found}, "\n".join(lines) or "There is no city yet.")


@app.command()
def new(
    slug: Slug,
    name: Annotated[str, typer.Option(help="Name, as people write it.")],
    county_code: Annotated[
        str, typer.Option(help="Administrative code that grid codes begin with.")
    ],
    lon: Annotated[float, typer.Option(min=-180, max=180, help="Longitude of its middle.")],
    lat: Annotated[float, typer.Option(min=-90, max=90, help="Latitude of its middle.")],
    name_en: Annotated[str | None, typer.Option(help="English name; default: the name.")] = None,
    profile: Annotated[str, typer.Option(help="Country profile: cn or intl.")] = "cn",
    timezone: Annotated[str | None, typer.Option(help="Default: the profile's.")] = None,
    metre_srid: Annotated[
        int | None, typer.Option(help="EPSG number of its CRS in metres; default: by place.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Create an empty city with the levels of its country profile."""
    with open_database(Settings(), say) as opened, owner_transaction(opened.engine) as session:
        city_id = service.create_city(
            session,
            slug,
            name=name,
            profile=profile,
            county_code=county_code,
            lon=lon,
            lat=lat,
            name_en=name_en,
            timezone=timezone,
            metre_srid=metre_srid,
        )
    answer(as_json, {"slug": slug, "city_id": city_id}, f"The city '{slug}' was created, empty.")


app.command("from-osm")(from_osm)


@app.command()
def drop(
    slug: Slug,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Delete a city with everything in it; its log stays."""
    if not yes:
        typer.confirm(f"Delete the city '{slug}' with everything in it?", abort=True, err=True)
    with open_database(Settings(), say) as opened, owner_transaction(opened.engine) as session:
        service.drop_city(session, slug)
    answer(as_json, {"slug": slug, "dropped": True}, f"The city '{slug}' was deleted.")


def check(
    city: Annotated[str, typer.Option(help="Short name of the city.")],
    as_json: Json = False,
) -> None:
    """Recompute a city from its geometry; exit code 1 when anything contradicts it."""
    with (
        open_database(Settings(), say) as opened,
        owner_transaction(opened.engine) as session,
        waiting(f"Checking {city}"),
    ):
        report = service.check_city(session, city)
    answer(as_json, report, _told(report))
    if not report["ok"]:
        raise typer.Exit(1)


def _told(report: dict[str, Any]) -> str:
    figures = report["figures"]
    lines = [f"{report['city']}: {figures['cells']:,} cells, {figures['area_m2'] / 1e6:,.2f} km²"]
    for name, value in figures.items():
        if isinstance(value, dict):
            counted = ", ".join(f"{count:,} {what}" for what, count in value.items())
            lines.append(f"  {name.replace('_', ' ')}: {counted}")
    if report["exceptions"]:
        lines.append(f"  inherited exceptions: {len(report['exceptions'])}")
    if report["ok"]:
        return "\n".join([*lines, "No contradiction was found."])
    lines += [f"{name}: {count:,}" for name, count in report["counts"].items()]
    for fault in report["faults"]:
        place = f" at {fault['place'][0]}, {fault['place'][1]}" if fault["place"] else ""
        lines.append(f"- {fault['message']}{place}")
    return "\n".join(lines)
