"""How much strangers may hand in: so many reports and photos an hour from one network."""

from __future__ import annotations

import ipaddress
import time
from typing import Final

from fastapi import Request
from limits import RateLimitItemPerHour
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from api import auth
from api.deps import AccessDep
from geo.errors import TooManyReportsError

IPV6_NETWORK_BITS: Final = 64
"""What one household or phone has of the newer addresses."""
PHOTOS_A_REPORT: Final = 4
REFUSED_ALARMS_A_REPORT: Final = 5
"""Alarms with a wrong signature; those of devices are counted by device in the database."""


class Strangers:
    """Counts what comes in without an account; in memory, forgotten when the server stops.

    Parameters
    ----------
    reports_per_hour : int
        From one network; photos four times, refused alarms five times as many. 0 lets everybody
        pass.
    """

    def __init__(self, reports_per_hour: int) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._most = {
            "reports": reports_per_hour,
            "photos": reports_per_hour * PHOTOS_A_REPORT,
            "refused alarms": reports_per_hour * REFUSED_ALARMS_A_REPORT,
        }

    def admit(self, kind: str, address: str) -> None:
        """Count one more of a kind from an address; this machine's own is not counted.

        Raises
        ------
        TooManyReportsError
            If the network has handed in as many as it may.
        """
        network = network_of(address)
        if network is None or not self._most[kind]:
            return
        item = RateLimitItemPerHour(self._most[kind])
        if not self._limiter.hit(item, kind, network):
            until_s = self._limiter.get_window_stats(item, kind, network).reset_time
            raise TooManyReportsError(
                "Too many reports came from this network within an hour.",
                retry_after_s=max(1, round(until_s - time.time())),
            )


def network_of(address: str) -> str | None:
    """Return the network that an address is counted under; None for this machine.

    Examples
    --------
    >>> network_of("203.0.113.7"), network_of("2001:db8::1:2:3"), network_of("127.0.0.1")
    ('203.0.113.7', '2001:db8::/64', None)
    """
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        return address or "unknown"
    if isinstance(known, ipaddress.IPv6Address) and known.ipv4_mapped:
        known = known.ipv4_mapped
    if known.is_loopback:
        return None
    if known.version == 4:
        return str(known)
    return str(ipaddress.ip_network((known, IPV6_NETWORK_BITS), strict=False))


async def count_report(request: Request, access: AccessDep) -> None:
    """Count a report of somebody without an account."""
    _count(request, access, "reports")


async def count_photo(request: Request, access: AccessDep) -> None:
    """Count a photo of somebody without an account."""
    _count(request, access, "photos")


def _count(request: Request, access: AccessDep, kind: str) -> None:
    if not access.viewer.staff:
        request.app.state.strangers.admit(kind, auth.client_address(request))
