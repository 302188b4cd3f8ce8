"""`wangge import`: real files in; what was found in them is said, and nothing is half done."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Annotated, Any

import typer

from api.commands import import_files
from api.commands.areas_out import refuse_report, write_report
from api.commands.opening import open_database
from api.commands.terminal import Json, Step, answer, progress, say
from geo import service
from geo.boundaries import read_delivery
from geo.dataset import CityDataset
from geo.db import owner_transaction
from geo.errors import NotFoundError, RecipeError
from geo.findings import Findings
from geo.importing import assemble, digest
from geo.profiles import load_profile, profile_names
from geo.recipes import Recipe, recipe_from_tables
from geo.settings import Settings

SHOWN = 6
"""How many findings are listed on the terminal; the report has them all."""

app = typer.Typer(no_args_is_help=True)


@app.callback()
def importing() -> None:
    """Real files in: checked, mended, reported; what is not named is not read."""


@app.command()
def city(
    recipe: Annotated[
        Path, typer.Argument(help="TOML file: which files the city is made of, and their columns.")
    ],
    files: Annotated[
        Path | None,
        typer.Option(help="Folder in which the files lie; default: the recipe's own."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Read, mend and report; store nothing.")
    ] = False,
    report: Annotated[
        Path | None, typer.Option(help="Write every finding with place and size here, as JSON.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Load a whole city with its first net from the files of a recipe.

    Parents are matched by code and become the unions of their children; how far their delivered
    outlines depart is reported. The same delivery a second time changes nothing; another one for
    the same city is refused. An example is data/boundaries/cambridge.toml; docs/import.md explains.
    """
    chosen = _recipe(recipe)
    folder = files or recipe.resolve().parent
    if not folder.is_dir():
        raise NotFoundError(f"There is no folder {folder}; say with --files where the files lie.")
    refuse_report(report)
    with progress() as step:
        dataset, found = _assembled(chosen, folder, step)
        data = _data(chosen, dataset, found)
        stored = None if dry_run else _store(dataset, data, report, step)
        if stored is None:
            _write(report, data | {"stored": False})
    answer(as_json, data | {"stored": bool(stored)}, _told(chosen, dataset, found, stored))


def _recipe(path: Path) -> Recipe:
    """Read a recipe.

    Raises
    ------
    NotFoundError
        If there is no such file.
    RecipeError
        If it is no TOML or no recipe; all places are listed.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise NotFoundError(f"The recipe {path} cannot be read: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError([f"{path.name}: not TOML: {error}"]) from None
    return recipe_from_tables(tables)


def _assembled(recipe: Recipe, folder: Path, step: Step) -> tuple[CityDataset, Findings]:
    if recipe.city.profile not in profile_names():
        known = ", ".join(profile_names())
        raise RecipeError([f"city.profile: '{recipe.city.profile}' is none of {known}"])
    done, total = iter(range(1, 1000)), recipe.layer_count
    delivery = read_delivery(recipe, folder, lambda _: step("read files", next(done) / total))
    step("make a net", 0.0)
    dataset, found = assemble(recipe, load_profile(recipe.city.profile), delivery)
    dataset.check()
    return dataset, found


def _data(recipe: Recipe, dataset: CityDataset, found: Findings) -> dict[str, Any]:
    names = [level.title.en for level in recipe.levels]
    counts = dataset.grids["level"].value_counts().sort_index().tolist()
    return {
        "city": dataset.slug,
        "metre_srid": dataset.metre_srid,
        "digest": digest(dataset),
        "levels": dict(zip(names, counts, strict=True)),
        **found.as_data(),
    }


def _store(dataset: CityDataset, data: dict[str, Any], report: Path | None, step: Step) -> bool:
    """Store a city and its report: without its report it is not stored."""
    with open_database(Settings(), say) as opened, owner_transaction(opened.engine) as session:
        stored = service.import_city(session, dataset, digest=data["digest"], progress=step)
        _write(report, data | {"stored": stored})
    return stored


def _write(path: Path | None, data: dict[str, Any]) -> None:
    if path is not None:
        write_report(path, json.dumps(data, ensure_ascii=False, indent=1) + "\n")


def _told(recipe: Recipe, dataset: CityDataset, found: Findings, stored: bool | None) -> str:
    ground = found.figures["ground"]
    counts = dataset.grids["level"].value_counts().sort_index()
    levels = ", ".join(
        f"{count:,} x {part.title.en}" for count, part in zip(counts, recipe.levels, strict=True)
    )
    area = f"{ground['area_m2'] / 1e6:,.3f} km² without gap or overlap"
    lines = [
        f"{dataset.name_en} ({dataset.slug}), metres of EPSG:{dataset.metre_srid}",
        f"  {levels}",
        f"  {ground['cells']:,} cells, {area}; {ground['mended_areas']:,} areas mended",
    ]
    for name, values in found.figures.get("values", {}).items():
        lines.append(
            f"  {name}: {values['placed']:,.0f} of {values['counted']:,.0f} placed in cells "
            f"(an estimate from {values['sources']} areas)"
        )
    for name, values in found.figures.get("residuals", {}).items():
        lines.append(
            f"  outlines of {name}: the net departs by {values['residual_m2']:,.0f} m²"
            + (
                f" and {values['residual_value']:,.0f} {values['measure']}"
                if "measure" in values
                else ""
            )
        )
    if "streets" in found.figures:
        streets = found.figures["streets"]
        lines.append(
            f"  {streets['streets']:,} streets, {streets['nodes']:,} nodes, "
            f"{streets['length_m'] / 1000:,.1f} km"
        )
    if "stations" in found.figures:
        at = found.figures["stations"]
        lines.append(
            f"  {at['stations']:,} of {at['delivered']:,} stations, {at['kinds']} kinds; "
            f"{at['left_out']} left out"
        )
    return "\n".join([*lines, *_found_lines(found), _ending(dataset, stored)])


def _found_lines(found: Findings) -> list[str]:
    if not found.entries:
        return ["Nothing had to be mended."]
    kinds = ", ".join(f"{n:,} {kind.replace('_', ' ')}" for kind, n in found.counts().items())
    shown = sorted(found.entries, key=lambda entry: -(entry.size or 0))[:SHOWN]
    more = len(found.entries) - len(shown)
    lines = [f"Found: {kinds}", *(f"  {entry.line()}" for entry in shown)]
    return [*lines, f"  and {more:,} more; --report FILE has all of them"] if more else lines


def _ending(dataset: CityDataset, stored: bool | None) -> str:
    if stored is None:
        return "Nothing was stored: this was a dry run."
    if not stored:
        return f"'{dataset.slug}' was loaded from this very delivery before; nothing was changed."
    return f"'{dataset.slug}' is loaded: look at /net?city={dataset.slug}"


import_files.add_to(app)
