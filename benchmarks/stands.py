"""Where benchmarks are served: cities in a database of their own, our pages, the peers' pages."""

from __future__ import annotations

import gzip
import mimetypes
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory

import folium
from sqlalchemy import Engine

from api import serving
from api.app import create_app
from benchmarks.harness import CannotRunError
from geo.cluster import Cluster
from geo.dataset import CityDataset
from geo.db import Database, context_key, migrate, owner_engine, owner_transaction
from geo.errors import SetupError
from geo.service import load_dataset
from geo.settings import Settings
from tests.databases import Server, fingerprint

ROOT = Path(__file__).resolve().parent.parent
PEERS = ROOT / "benchmarks" / "peers"
DATABASE = "wangge_benchmark"
ZIP_LEVEL = 6
START_S = 30

FOLIUM = Path(folium.__file__).parent / "templates"
"""Where folium keeps the scripts that it ships itself."""

COPIES: Mapping[str, str] = {
    "leaflet@1.9.3/dist/leaflet.js": "leaflet/dist/leaflet.js",
    "leaflet@1.9.3/dist/leaflet.css": "leaflet/dist/leaflet.css",
    "jquery-3.7.1.min.js": "jquery/dist/jquery.min.js",
    "bootstrap@5.2.2/dist/js/bootstrap.bundle.min.js": "bootstrap/dist/js/bootstrap.bundle.min.js",
    "bootstrap@5.2.2/dist/css/bootstrap.min.css": "bootstrap/dist/css/bootstrap.min.css",
    "fontawesome-free@6.2.0/css/all.min.css": "@fortawesome/fontawesome-free/css/all.min.css",
    "css/bootstrap-glyphicons.css": "@neos21/bootstrap3-glyphicons/dist/css/"
    "bootstrap3-glyphicons.min.css",
    "2.0.2/leaflet.awesome-markers.js": "leaflet.awesome-markers/dist/leaflet.awesome-markers.js",
    "2.0.2/leaflet.awesome-markers.css": "leaflet.awesome-markers/dist/leaflet.awesome-markers.css",
    "iso8601-js-period@0.2.1/iso8601.min.js": "iso8601-js-period/iso8601.js",
    "dist/leaflet.timedimension.min.js": "leaflet-timedimension/dist/leaflet.timedimension.min.js",
    "leaflet.timedimension.control.css": "leaflet-timedimension/dist/"
    "leaflet.timedimension.control.css",
    "pa7_hm.min.js": f"{FOLIUM}/pa7_hm.min.js",
    "pa7_leaflet_hm.min.js": f"{FOLIUM}/pa7_leaflet_hm.min.js",
}
"""End of an address that a folium page asks for -> the same library below peers/node_modules."""

ABSENT = "leaflet.awesome.rotate.min.css"
"""A style of a few lines that no package holds; an empty one stands for it."""

_OUTSIDE = re.compile(r'(?<=")https://[^"]+\.(?:js|css)(?=")')


@dataclass(frozen=True)
class Stand:
    """A database with cities, and its server's process.

    Parameters
    ----------
    engine : Engine
        Of the owner.
    database : Database
        The application's door.
    servers : callable
        Process numbers of the database's server, whose CPU counts; none for a server of others.
    """

    engine: Engine
    database: Database
    servers: Callable[[], tuple[int, ...]]


@contextmanager
def stand(
    purpose: str,
    made_from: Sequence[str],
    make: Callable[[], Iterator[CityDataset]],
    prepare: Callable[[Engine], None] = lambda engine: None,
) -> Iterator[Stand]:
    """Yield a database with the cities that `make` yields and what `prepare` adds as the owner.

    It lies on a private server and is kept for the next run, until one of the files `made_from`,
    patterns below the repository, changes.

    Raises
    ------
    CannotRunError
        If there is no PostGIS.
    """

    def fill(name: str) -> None:
        engine = owner_engine(server.owner_url(name))
        migrate(engine)
        for dataset in make():
            with owner_transaction(engine) as session:
                load_dataset(session, dataset)
        prepare(engine)
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM ANALYZE")
        engine.dispose()

    with private_server() as (server, pids):
        name = server.template(purpose, fingerprint(*made_from), fill)
        engine = owner_engine(server.owner_url(name))
        database = Database(server.app_url(name), context_key(engine))
        try:
            yield Stand(engine, database, pids)
        finally:
            database.close()
            engine.dispose()


@contextmanager
def private_server() -> Iterator[tuple[Server, Callable[[], tuple[int, ...]]]]:
    """Yield a server for databases and how to find its process: one's own, or a private one.

    The CPU time of the server that `DATABASE_URL` names is not counted.
    """
    url = os.environ.get("DATABASE_URL")
    if url:
        yield Server(os.environ.get("DATABASE_OWNER_URL", url), url), tuple
        return
    cluster = Cluster(ROOT, "bench", durable=False)
    with ExitStack() as open_now:
        try:
            open_now.enter_context(cluster.session())
        except SetupError as error:
            raise CannotRunError(f"there is no PostGIS: {error}") from error
        logins = (cluster.url("owner"), cluster.url("app"), cluster.url("admin", "postgres"))
        server = Server(*logins)
        server.sweep()
        yield server, lambda: tuple(filter(None, [cluster.status().pid]))


@contextmanager
def pages(database: Database) -> Iterator[str]:
    """Serve our application on a free port of this machine; yield its address without a slash."""
    ready = threading.Event()
    listening = serving.bind("127.0.0.1", 0)
    with TemporaryDirectory() as folder:
        app = create_app(Settings(database_url=None, project_dir=Path(folder)), database)
        server = serving.make_server(app, ready=ready.set)
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        try:
            if not ready.wait(START_S):
                raise CannotRunError("our own server did not start.")
            yield serving.address_of(listening, "127.0.0.1", None).rstrip("/")
        finally:
            server.should_exit = True
            thread.join(START_S)
            listening.close()


@contextmanager
def peer_pages(pages_by_name: Mapping[str, str]) -> Iterator[str]:
    """Serve folium pages, and the libraries they ask content networks for, all compressed.

    Raises
    ------
    CannotRunError
        If the libraries cannot be installed, or a page asks for one that is not known here.
    """
    libraries = _libraries()
    content = {f"/{name}": page.encode() for name, page in libraries.items()}
    for name, page in pages_by_name.items():
        local = _OUTSIDE.sub(lambda found: _local(found.group()), page)
        content[f"/{name}.html"] = local.encode()
    zipped = {path: gzip.compress(body, ZIP_LEVEL, mtime=0) for path, body in content.items()}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = zipped.get(self.path)
            self.send_response(404 if body is None else 200)
            self.send_header("Content-Type", mimetypes.guess_type(self.path)[0] or "text/plain")
            self.send_header("Content-Length", str(len(body or b"")))
            if body:
                self.send_header("Content-Encoding", "gzip")
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join(START_S)
        server.server_close()


def _local(address: str) -> str:
    """Return the path below which the peers' server has a library."""
    if address.endswith(ABSENT):
        return f"/{ABSENT}"
    for end in COPIES:
        if address.endswith(end):
            return f"/{end}"
    raise CannotRunError(f"a folium page asks for {address}, of which there is no copy here.")


def _libraries() -> dict[str, str]:
    """Return the libraries' texts by path, installed when they are missing."""
    modules = PEERS / "node_modules"
    if not all((modules / path).is_file() for path in COPIES.values()):
        npm = shutil.which("npm") or shutil.which("npm", path=str(ROOT / ".venv" / "bin"))
        if npm is None:
            raise CannotRunError("npm is missing, which brings the libraries of folium's pages.")
        try:
            subprocess.run(
                [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"],
                cwd=PEERS,
                check=True,
                capture_output=True,
            )
        except subprocess.CalledProcessError as error:
            words = error.stderr.decode(errors="replace").strip().splitlines()[-1:]
            raise CannotRunError(f"npm could not bring folium's libraries: {words}") from error
    found = {end: (modules / path).read_text("utf-8") for end, path in COPIES.items()}
    return {**found, ABSENT: ""}
