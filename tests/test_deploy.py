"""What stands in deploy/: units that systemd takes, proxies that start and tell the truth."""

from __future__ import annotations

import re
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI, Request

from api import serving

ROOT = Path(__file__).resolve().parent.parent
DEPLOY = ROOT / "deploy"
UNITS = sorted(
    path for path in (DEPLOY / "systemd").iterdir() if path.suffix in (".service", ".timer")
)
EXPOSURE_MOST = 3.0
"""The most that `systemd-analyze security` may say; an ordinary service has 9.6."""


def needed(name: str) -> str:
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if found is None:
        pytest.skip(f"{name} is not on this machine")
    return found


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """The units, with this folder's program in place of the installed one."""
    for path in UNITS:
        text = path.read_text("utf-8").replace("/opt/wangge/.venv", sys.prefix)
        (tmp_path / path.name).write_text(text, "utf-8")
    return tmp_path


def test_systemd_takes_the_units(units: Path) -> None:
    analyze = needed("systemd-analyze")
    names = [str(units / path.name) for path in UNITS]
    done = subprocess.run([analyze, "verify", *names], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    spoilt = units / "wangge.service"
    spoilt.write_text(spoilt.read_text("utf-8").replace("[Service]", "[Service]\nNoSuchThing=1"))
    done = subprocess.run([analyze, "verify", spoilt], capture_output=True, text=True, check=False)
    assert "NoSuchThing" in done.stderr


@pytest.mark.parametrize("unit", [path.name for path in UNITS if path.suffix == ".service"])
def test_units_are_shut_in(units: Path, unit: str) -> None:
    analyze = needed("systemd-analyze")
    order = [analyze, "security", "--offline=true", "--no-pager", str(units / unit)]
    done = subprocess.run(order, capture_output=True, text=True, check=False)
    if "offline" in done.stderr:
        pytest.skip("this systemd cannot judge units that are not installed")
    found = re.search(r"Overall exposure level[^:]*: ([\d.]+)", done.stdout)
    assert found is not None, done.stdout + done.stderr
    assert float(found[1]) <= EXPOSURE_MOST


def test_units_run_commands_that_exist() -> None:
    wangge = Path(sys.prefix) / "bin" / "wangge"
    orders = {
        words
        for path in UNITS
        for words in re.findall(r"^Exec\w+=\S+/wangge (.+)$", path.read_text("utf-8"), re.MULTILINE)
    }
    assert {order.split()[0] for order in orders} == {"db", "serve", "worker", "backup"}
    for order in sorted(orders):
        done = subprocess.run([wangge, *order.split(), "--help"], capture_output=True, check=False)
        assert done.returncode == 0, order


@contextmanager
def echo() -> Iterator[int]:
    """Say who called, as the program sees it behind a proxy."""
    app = FastAPI()

    @app.get("/")
    def who(request: Request) -> dict[str, str | None]:
        return {
            "address": request.client.host if request.client else None,
            "scheme": request.url.scheme,
            "host": request.headers.get("host"),
            "forwarded": request.headers.get("forwarded"),
        }

    listening = serving.bind("127.0.0.1", 0)
    ready = threading.Event()
    server = serving.make_server(app, behind_proxy=True, ready=ready.set)
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    try:
        assert ready.wait(20)
        yield listening.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(20)
        listening.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(order: list[str], port: int, **options: object) -> Iterator[None]:
    """Run a proxy until it answers, and end it afterwards."""
    proxy = subprocess.Popen(order, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **options)  # type: ignore[call-overload]
    try:
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert proxy.poll() is None, proxy.stderr.read().decode()
            time.sleep(0.1)
        yield
    finally:
        proxy.terminate()
        proxy.wait(10)
        proxy.stderr.close()


def demand_the_truth(port: int, cert: Path) -> None:
    """A caller who lies about himself is seen as who he is."""
    lies = {
        "x-forwarded-for": "203.0.113.7",
        "x-forwarded-proto": "http",
        "forwarded": "for=203.0.113.7",
    }
    with httpx.Client(
        verify=ssl.create_default_context(cafile=str(cert)), trust_env=False
    ) as client:
        told = client.get(f"https://localhost:{port}/", headers=lies).json()
    assert told["address"] == "127.0.0.1"
    assert told["scheme"] == "https"
    assert told["host"] == f"localhost:{port}"
    assert told["forwarded"] in (None, "")


def test_nginx_tells_who_calls(tmp_path: Path) -> None:
    nginx = needed("nginx")
    made = serving.local_certificate(tmp_path / "tls", "localhost")
    secure, plain = free_port(), free_port()
    with echo() as behind:
        text = (DEPLOY / "proxy" / "nginx.conf").read_text("utf-8")
        for old, new in (
            ("grid.city.example", "localhost"),
            ("/etc/ssl/wangge/cert.pem", str(made.cert)),
            ("/etc/ssl/wangge/key.pem", str(made.key)),
            ("127.0.0.1:8000", f"127.0.0.1:{behind}"),
            ("listen 80;", f"listen 127.0.0.1:{plain};"),
            ("listen 443 ", f"listen 127.0.0.1:{secure} "),
        ):
            assert old in text
            text = text.replace(old, new)
        text = re.sub(r"^ *listen \[::\].*\n", "", text, flags=re.MULTILINE)
        folders = "".join(
            f"{kind}_temp_path {tmp_path}/{kind};"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        conf = tmp_path / "nginx.conf"
        conf.write_text(
            f"daemon off; pid {tmp_path}/pid; error_log stderr;\nevents {{}}\n"
            f"http {{ access_log off; {folders}\n{text} }}\n"
        )
        order = [nginx, "-c", str(conf), "-p", str(tmp_path)]
        tested = subprocess.run([*order, "-t"], capture_output=True, text=True, check=False)
        assert tested.returncode == 0, tested.stderr
        with running(order, secure):
            demand_the_truth(secure, made.cert)
            moved = httpx.get(f"http://localhost:{plain}/net?city=a", trust_env=False)
            assert moved.status_code == 301
            assert moved.headers["location"] == "https://localhost/net?city=a"


def test_caddy_tells_who_calls(tmp_path: Path) -> None:
    caddy = needed("caddy")
    made = serving.local_certificate(tmp_path / "tls", "localhost")
    port = free_port()
    with echo() as behind:
        text = (DEPLOY / "proxy" / "Caddyfile").read_text("utf-8")
        for old, new in (
            ("grid.city.example {", f"https://localhost:{port} {{"),
            (
                "# tls /etc/ssl/wangge/cert.pem /etc/ssl/wangge/key.pem",
                f"tls {made.cert} {made.key}",
            ),
            ("127.0.0.1:8000", f"127.0.0.1:{behind}"),
        ):
            assert old in text
            text = text.replace(old, new)
        conf = tmp_path / "Caddyfile"
        conf.write_text("{\n\tadmin off\n\tauto_https disable_redirects\n}\n" + text, "utf-8")
        home = {"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
        order = [caddy, "run", "--adapter", "caddyfile", "--config", str(conf)]
        with running(order, port, env=home):
            demand_the_truth(port, made.cert)
