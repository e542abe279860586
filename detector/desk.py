"""What people decide about being disturbed, as commands and as the loop's chores: go-live, suppressions, maintenance windows, digest.

The commands read and write the configured database beside a running daemon and take effect with its next batch.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import structlog

from detector.config import Config, Maintenance, Suppression
from detector.configload import load
from detector.judge import digest, ical, suppress, windows
from detector.judge.ical import CalendarError
from detector.judge.policy import ZONE, Policy
from detector.judge.suppress import SuppressionError
from detector.judge.windows import Series, Window, WindowError
from detector.sentence import Sentence
from detector.store import Database, ailments, learning, maintenance, suppressions
from detector.store import digests as stored_digests
from detector.store.database import EPOCH, Away, moment
from detector.store.opening import open_database
from detector.store.suppressions import Given
from detector.visible import one_line, visible

log = structlog.get_logger()
CALENDARS_EVERY = 600_000_000  # µs
LARGEST_CALENDAR = 10_000_000  # bytes


class DeskError(Sentence):
    """The command could not do its work; the text is one sentence."""


def windows_of(config: Config, now: int) -> list[Window]:
    """All maintenance windows around `now` (µs). Raises WindowError or CalendarError with a sentence that names the entry."""
    zones = Policy.of(config).zones
    return [one for entry in config.maintenance for one in windows.windows(entry, _series(entry, windows.zone_of(entry, zones)), now)]


def _series(entry: Maintenance, zone: str) -> list[Series]:
    if entry.calendar == "":
        return [windows.configured(entry, zone)]
    path = Path(entry.calendar)
    try:
        if path.stat().st_size > LARGEST_CALENDAR:
            raise CalendarError(f"maintenance {entry.name}: {path} is larger than 10 MB")
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CalendarError(f"maintenance {entry.name}: {path} cannot be read ({error})") from error
    try:
        return ical.read(text, zone)
    except CalendarError as error:
        raise CalendarError(f"maintenance {entry.name}: {path}: {error}") from error


def suppressions_of(config: Config) -> list[Given]:
    """The suppressions of the configuration. Raises SuppressionError with a sentence that names the entry."""
    zones = Policy.of(config).zones
    return [_given(number, entry, zones.get(entry.tenant, ZONE)) for number, entry in enumerate(config.suppressions, 1)]


def _given(number: int, entry: Suppression, zone: str) -> Given:
    field, _, value = entry.entity.partition("=")
    key = "config:" + hashlib.sha256(repr(entry).encode()).hexdigest()[:32]
    expires = None if entry.until == "" else _end_of(entry.until, zone)
    try:
        suppress.checked(field, value, entry.technique, entry.signature, entry.author, entry.reason)
    except SuppressionError as error:
        raise SuppressionError(f"suppressions[{number}]: {error}") from error
    return Given(entry.tenant, field, value, entry.author, entry.reason, entry.technique, tuple(sorted(entry.signature)), expires, key=key)


def _end_of(day: str, zone: str) -> int:
    try:
        after = dt.date.fromisoformat(day) + dt.timedelta(days=1)
    except ValueError as error:
        raise SuppressionError(f"{day} is not a day; write it as 2026-12-31") from error
    return (dt.datetime.combine(after, dt.time(), ZoneInfo(zone)) - EPOCH) // dt.timedelta(microseconds=1)


def begin(config: Config, database: Database, now: int) -> None:
    """Brings windows and suppressions in step with the configuration. Raises a sentence for an entry that cannot be used."""
    maintenance.follow(database, windows_of(config, now), now)
    suppressions.follow(database, suppressions_of(config), now, Policy.of(config).zones)


@dataclass(slots=True)
class CalendarChore:
    """A chore of the SCORE loop: calendar files change while we run. A file that went bad leaves the windows as they were."""

    config: Config
    database: Database
    looked: int  # µs

    def __call__(self, now: int) -> None:
        """`now` in µs. Raises Away."""
        if now - self.looked < CALENDARS_EVERY or self.config.maintenance == []:
            return
        self.looked = now
        try:
            found = windows_of(self.config, now)
        except (WindowError, CalendarError) as error:
            log.warning("calendar-not-read", reason=str(error))
            return
        maintenance.follow(self.database, found, now)


@contextlib.contextmanager
def visiting(path: Path, environ: Mapping[str, str]) -> Iterator[tuple[Config, Database]]:
    """The configured database, for a command beside the daemon. Raises DeskError when it goes away, or its disk is full, meanwhile."""
    config = load(path, environ, "score")
    opened = open_database(config, environ, visit=True)
    with contextlib.ExitStack() as stack:
        stack.callback(opened.close)
        database = stack.enter_context(contextlib.closing(Database(opened.daemon_url)))
        try:
            yield config, database
        except Away as away:
            raise DeskError(f"the database does not take it ({away}); nothing was changed by the last step, try again") from away


def before_going_live(database: Database, tenant: str, now: int) -> list[str]:
    """What somebody has to see before ending a tenant's learning phase. Raises DeskError if it is not running."""
    phase = learning.phase(database, tenant)
    if phase is None:
        raise DeskError(f"there is no tenant {tenant}; nothing of it was ever read")
    if phase.ended is not None:
        raise DeskError(f"the learning phase of {tenant} was ended on {phase.ended:%Y-%m-%d} by {phase.ended_by}")
    rows = learning.would_have(database, tenant)
    told = [row for row in rows if row.answer in ("sent", "budget")]
    days = max(1.0, (moment(now) - phase.began).total_seconds() / 86_400)
    lines = [f"{tenant} has been learning since {phase.began:%Y-%m-%d}; planned until {phase.until:%Y-%m-%d}."]
    if moment(now) < phase.until:
        lines.append("That day has not come yet: what is new to Türmer may only be new to Türmer.")
    lines.append(f"Would have been notified: {len(told)} ({len(told) / days:.1f} a day); held by the budget: {len(rows) - len(told)}.")
    lines += [f"  {row.opened:%Y-%m-%d %H:%M}  {row.severity:<8}  {row.title['de']}{_also(row.answer)}" for row in told[-100:]]
    return lines


def _also(answer: str) -> str:
    return "  (was notified, urgent)" if answer == "sent" else ""


def suppress_incident(database: Database, config: Config, incident: str, author: str, reason: str, days: int | None, now: int) -> list[str]:
    """Suppresses what an incident is about, as strong as it is now. Raises SuppressionError."""
    scope = suppressions.scope_of(database, incident)
    if scope is None:
        raise DeskError(f"there is no incident {incident}")
    given = Given(scope.tenant, scope.field, scope.value, author, reason, scope.technique, scope.signature, after(days, now), scope.seen)
    return give(database, config, given, now)


def after(days: int | None, now: int) -> int | None:
    """`days` from now, µs."""
    return None if days is None else now + days * suppress.DAY


def give(database: Database, config: Config, given: Given, now: int) -> list[str]:
    """Stores a suppression; returns what to tell its author. Raises SuppressionError."""
    zone = Policy.of(config).zone(given.tenant)
    number, expires, token = suppressions.add(database, given, now, zone)
    local = moment(expires).astimezone(ZoneInfo(zone))
    lines = [f"suppression {number}: {given.field} {given.value} until {local:%Y-%m-%d %H:%M}; end it with `tuermer suppress end {number}`"]
    if token:
        lines.append(
            f"{given.value} is a token: it names somebody else from {local:%H:%M} on, so the suppression ends then. "
            "To hold it longer, name the service, host, network or role group."
        )
    return [*lines, "It holds up to twice the strength seen and never hides a success after failures."]


def suppression_lines(rows: list[dict[str, Any]]) -> list[str]:
    lines = [f"{'id':>4}  {'status':<8} {'hidden':>6}  {'last':<16}  {'until':<16}  what, by whom, why"]
    for row in rows:
        scope = " ".join([f"{row['field']}={row['value']}", row["technique"], "+".join(row["signature"])]).strip()
        last, until = _short(row["last_hidden"]), _short(row["expires"])
        epoch = " (ends with the token)" if row["ends_with_epoch"] else ""
        lines.append(
            f"{row['id']:>4}  {row['status']:<8} {row['hidden']:>6}  {last:<16}  {until:<16}  "
            f"{row['tenant']}: {scope}{epoch}; {row['author']}: {row['reason']}"
        )
    return [one_line(line) for line in lines]


def _short(at: dt.datetime | None) -> str:
    return "" if at is None else f"{at.astimezone(ZoneInfo(ZONE)):%Y-%m-%d %H:%M}"


def digest_document(database: Database, config: Config, tenant: str, day: str | None, now: int) -> Mapping[str, Any]:
    """A stored digest, or what would stand in it now. Raises DeskError."""
    policy = Policy.of(config)
    if tenant not in stored_digests.tenants(database):
        raise DeskError(f"there is no tenant {tenant}; nothing of it was ever read")
    if day is None:
        return stored_digests.preview(database, policy, tenant, now, ailments.silent)
    try:
        found = stored_digests.stored(database, tenant, dt.date.fromisoformat(day))
    except ValueError as error:
        raise DeskError(f"{day} is not a day; write it as 2026-12-31") from error
    if found is None:
        raise DeskError(f"there is no digest of {tenant} for {day}")
    return found


def digest_text(document: Mapping[str, Any], language: str) -> str:
    return visible(digest.text(document, language))
