"""Certificates and addresses: what may listen where."""

from __future__ import annotations

import ssl
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from api import serving
from api.serving import Certificate
from geo.errors import SetupError


@pytest.mark.parametrize(
    ("host", "alone"),
    [
        *((host, True) for host in ("127.0.0.1", "127.8.0.1", "::1", "localhost")),
        *((host, False) for host in ("0.0.0.0", "::", "192.0.2.1")),
    ],
)
def test_what_is_this_machine_alone(host: str, alone: bool) -> None:
    assert serving.is_loopback(host) is alone


def test_a_local_certificate_is_made_once_and_works(tmp_path: Path) -> None:
    made = serving.local_certificate(tmp_path / "tls", "网格.example")
    assert stat.S_IMODE(made.key.stat().st_mode) == 0o600
    serving.demand_certificate("0.0.0.0", made)
    assert ssl.create_default_context(cafile=str(made.cert)).get_ca_certs() is not None
    first = made.fingerprint
    assert serving.local_certificate(tmp_path / "tls", "网格.example").fingerprint == first
    other = serving.local_certificate(tmp_path / "tls", "192.0.2.7")
    assert other.fingerprint != first


def test_a_certificate_near_its_end_is_renewed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "CERTIFICATE_DAYS", serving.RENEW_DAYS - 1)
    old = serving.local_certificate(tmp_path, "localhost").fingerprint
    monkeypatch.undo()
    made = serving.local_certificate(tmp_path, "localhost")
    assert made.fingerprint != old
    found = x509.load_pem_x509_certificate(made.cert.read_bytes())
    assert found.not_valid_after_utc > datetime.now(UTC) + timedelta(days=300)


def test_files_that_are_no_certificate_are_refused(tmp_path: Path) -> None:
    made = serving.local_certificate(tmp_path / "a", "localhost")
    other = serving.local_certificate(tmp_path / "b", "localhost")
    with pytest.raises(SetupError, match="not a certificate and its key"):
        serving.demand_certificate("127.0.0.1", Certificate(made.cert, other.key))
    with pytest.raises(SetupError, match="There is no file"):
        serving.demand_certificate("127.0.0.1", Certificate(tmp_path / "none", made.key))


def test_beyond_this_machine_a_certificate_is_demanded() -> None:
    serving.demand_certificate("127.0.0.1", None)
    with pytest.raises(SetupError, match="must be encrypted"):
        serving.demand_certificate("0.0.0.0", None)


def test_demo_accounts_stay_on_this_machine() -> None:
    serving.refuse_demo_accounts("127.0.0.1", ["planner"])
    serving.refuse_demo_accounts("0.0.0.0", [])
    with pytest.raises(SetupError, match=r"1 demo account with a password .* is in .*DEMO=none"):
        serving.refuse_demo_accounts("0.0.0.0", ["planner"])
    with pytest.raises(SetupError, match=r"2 demo accounts with passwords .* are in") as refused:
        serving.refuse_demo_accounts("0.0.0.0", ["planner", "worker"], ["demo", "demo"])
    assert refused.value.data["command"] == ".venv/bin/wangge city drop demo"


def test_a_demo_city_is_not_loaded_for_other_machines() -> None:
    serving.refuse_demo_city("127.0.0.1")
    with pytest.raises(SetupError, match="make DEMO=none"):
        serving.refuse_demo_city("0.0.0.0")
    with pytest.raises(SetupError, match="make DEMO=none"):
        serving.refuse_demo_city("127.0.0.1", behind_proxy=True)


def test_a_taken_place_is_said() -> None:
    first = serving.bind("127.0.0.1", 0)
    with first:
        port = first.getsockname()[1]
        assert serving.address_of(first, "127.0.0.1", None) == f"http://127.0.0.1:{port}/"
        with pytest.raises(SetupError, match="already in use"):
            serving.bind("127.0.0.1", port)
