"""The application, made from settings and a database; nothing happens at import."""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from fastapi import APIRouter, Depends, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from starlette.middleware.gzip import DEFAULT_EXCLUDED_CONTENT_TYPES, GZipMiddleware

from api import auth, crowd, errors, guards, routes, statics, streams
from api.strangers import Strangers
from geo.db import Database
from geo.settings import Settings

API = "/api/v1"
SMALLEST_ZIPPED_BYTES = 500
ZIP_LEVEL = 5


def create_app(
    settings: Settings,
    database: Database,
    *,
    demo_accounts: Sequence[Mapping[str, str]] = (),
) -> FastAPI:
    """Return the application with all its routes.

    Parameters
    ----------
    settings : Settings
        What can be set from outside.
    database : Database
        The application's door to the database; the caller closes it.
    demo_accounts : sequence of mappings
        Accounts with known passwords that the sign-in page offers: `login`, `role`, `password`.
    """
    app = FastAPI(
        title="Wangge",
        summary="The net of grids of a city: drawn, dated, and who is responsible where.",
        version="1",
        openapi_url=f"{API}/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        dependencies=[Depends(auth.guard_changes)],
        generate_unique_id_function=_operation_name,
    )
    app.state.settings = settings
    app.state.database = database
    app.state.demo_accounts = tuple(demo_accounts)
    app.state.assets = statics.Assets()
    app.state.strangers = Strangers(settings.reports_per_hour)
    app.state.streams = streams.Hub(database)
    errors.install(app)
    for router in routers():
        app.include_router(router)
    app.mount(statics.MOUNT, app.state.assets, name="static")
    app.add_middleware(
        GZipMiddleware,
        minimum_size=SMALLEST_ZIPPED_BYTES,
        compresslevel=ZIP_LEVEL,
        exclude_content_types=(*DEFAULT_EXCLUDED_CONTENT_TYPES, "application/pdf"),
    )
    app.add_middleware(crowd.Crowd, most=settings.requests_at_once)
    app.add_middleware(guards.Guard, settings=settings)
    app.openapi = lambda: _described(app)  # type: ignore[method-assign]
    return app


def routers() -> list[APIRouter]:
    """Return the routers of all modules in api/routes, in the order of their names."""
    found = []
    for module in sorted(pkgutil.iter_modules(routes.__path__), key=lambda one: one.name):
        router = getattr(import_module(f"{routes.__name__}.{module.name}"), "router", None)
        if isinstance(router, APIRouter):
            found.append(router)
    return found


def _operation_name(route: APIRoute) -> str:
    return route.name


def _described(app: FastAPI) -> dict[str, Any]:
    """Return the description of the API, errors' form included; made once."""
    if app.openapi_schema is None:
        made = get_openapi(
            title=app.title, summary=app.summary, version=app.version, routes=app.routes
        )
        schemas = made.setdefault("components", {}).setdefault("schemas", {})
        schemas["Problem"] = errors.Problem.model_json_schema()
        schemas.pop("HTTPValidationError", None)
        schemas.pop("ValidationError", None)
        for operations in made["paths"].values():
            for operation in operations.values():
                sentence = operation.get("description", "").partition("\n\nRaises")[0]
                operation["description"] = sentence
        app.openapi_schema = made
    return app.openapi_schema
