"""How many notifications a tenant gets. What does not fit is held, not lost: the incident stands in the list, only nobody is called.

Three limits, each against another way of losing people's attention: so many a day, at most a quarter of them within an hour
(one bad hour must not use up the day), at most a fifth about one entity or from one network (one flood must not, either).
Urgent ones always go and cost nothing.
"""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

from detector.judge.findings import Incident

HOUR = 3_600_000_000  # µs
HOURLY = 0.25  # share of a day's budget that may go within an hour
SHARE = 0.2  # share of a day's budget for one entity or one network
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Why = Literal["urgent", "budget", "hour", "day", "share"]


class Purse(NamedTuple):
    """What a tenant has left. `day` counts local days since 1970-01-01, `sent` and `shares` that day's notifications."""

    tokens: float  # of this hour
    at: int  # clock time for which `tokens` was computed, µs
    day: int
    sent: int
    shares: Mapping[str, int]  # by origin


class Wish(NamedTuple):
    """An incident that wants a notification."""

    urgent: bool
    origins: tuple[str, ...]  # see `origins`
    raised: bool  # its severity rose since it was last sent: a share does not stop that


class Answer(NamedTuple):
    sent: bool
    why: Why


def full(per_day: int, now: int, zone: str) -> Purse:
    """The purse of a tenant that was never notified; `now` in µs."""
    return Purse(float(_hourly(per_day)), now, local_day(now, zone), 0, {})


def decide(purse: Purse, per_day: int, wish: Wish, now: int, zone: str) -> tuple[Purse, Answer]:
    """Whether a notification goes out now, and what is left after it. A clock that goes backwards gives and takes nothing."""
    purse = _refilled(purse, per_day, now, zone)
    if wish.urgent:
        return purse, Answer(True, "urgent")
    if purse.sent >= per_day:
        return purse, Answer(False, "day")
    if not wish.raised and any(purse.shares.get(origin, 0) >= share(per_day) for origin in wish.origins):
        return purse, Answer(False, "share")
    if purse.tokens < 1:
        return purse, Answer(False, "hour")
    shares = {**purse.shares, **{origin: purse.shares.get(origin, 0) + 1 for origin in wish.origins}}
    return purse._replace(tokens=purse.tokens - 1, sent=purse.sent + 1, shares=shares), Answer(True, "budget")


def _refilled(purse: Purse, per_day: int, now: int, zone: str) -> Purse:
    hourly, elapsed = _hourly(per_day), max(0, now - purse.at)
    tokens = min(float(hourly), purse.tokens + hourly * elapsed / HOUR)
    day = max(purse.day, local_day(now, zone))
    if day > purse.day:
        return Purse(tokens, max(now, purse.at), day, 0, {})
    return purse._replace(tokens=tokens, at=max(now, purse.at))


def _hourly(per_day: int) -> int:
    return max(1, math.ceil(per_day * HOURLY))


def share(per_day: int) -> int:
    """Notifications a day for one entity or network; never none, or nobody would hear of anything."""
    return max(1, math.floor(per_day * SHARE))


def local_day(now: int, zone: str) -> int:
    """Days since 1970-01-01 by the calendar on the tenant's wall."""
    local = (_EPOCH + timedelta(microseconds=now)).astimezone(ZoneInfo(zone))
    return local.date().toordinal() - _EPOCH.date().toordinal()


def origins(incident: Incident, opening: Mapping[str, str | int]) -> tuple[str, ...]:
    """Under what an incident counts: its entity, and the network that it came from as its first event (by ECS names) says."""
    network = str(opening.get("source.network", "")) or surroundings(str(opening.get("source.ip", "")))
    entity = f"entity {incident.entity_kind} {incident.entity_value}"
    return (entity, f"network {network}") if network != "" else (entity,)


def surroundings(address: str) -> str:
    """The /24 or /48 around a plain address; "" for a token and for what is no address."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return ""
    return str(ipaddress.ip_network((parsed, 24 if parsed.version == 4 else 48), strict=False))
