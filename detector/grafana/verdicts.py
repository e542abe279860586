"""Verdicts from Grafana: the buttons leave dashboard annotations in the user's own session; the daemon collects and applies them.

An annotation is taken once, at first sight of its id: whoever may write annotations on the dashboard may also edit another's, and
Grafana keeps the first author's name. So one that was edited before we saw it is refused, and what happens to it later is an event
of the audit log and nothing else. Its text and its own `time`, which anybody may set, are not looked at.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, get_args

import msgspec
import structlog

from detector.grafana.model import VERDICTS
from detector.store import Database, sightings, verdicts
from detector.store.sightings import Key
from detector.store.suppressions import UUID
from detector.store.verdicts import Said, Scope, Word

log = structlog.get_logger()
TAG = "tuermer-verdict"
PAGE = 200  # annotations per answer: texts may be large
SWEEP = 300_000_000  # µs between looks at all of them
DAY_MS = 86_400_000
LATEST = 1 << 42  # ms, the year 2109: beyond any `time` that Grafana shows
SERVICE_ACCOUNT = re.compile(r"sa-\d+-")
Json = Mapping[str, Any]
# What is counted; all but `applied` are refusals.
OUTCOMES = ("applied", "edited", "elsewhere", "nobody", "forged", "unknown", "repeated", "unreadable")


class Shelf(Protocol):
    """Grafana, as far as it is needed here. Raises adapter.Trouble."""

    def annotations_between(self, tag: str, limit: int, begin: int, end: int) -> Sequence[Json]:
        """Those with the tag and a `time` in [begin, end] ms, newest first."""
        ...

    def annotations(self, tag: str, limit: int = 5000) -> Sequence[Json]: ...


class Annotation(msgspec.Struct, frozen=True):
    """What we look at. Times in ms of Grafana's clock; neither can be set by who writes it. The rest may be anything."""

    id: int
    created: int
    updated: int
    dashboard: Any = msgspec.field(default=None, name="dashboardUID")
    login: Any = None
    tags: Any = None

    @property
    def key(self) -> Key:
        return self.id, self.created


def read(annotation: Annotation, tenant: str) -> Said | str:
    """The verdict that it says, or why it says none (one of OUTCOMES)."""
    if annotation.updated > annotation.created:
        return "edited"
    if annotation.dashboard != VERDICTS:
        return "elsewhere"
    login = annotation.login.strip() if isinstance(annotation.login, str) else ""
    if login == "" or SERVICE_ACCOUNT.match(login) is not None:
        return "nobody"
    tags = [tag for tag in annotation.tags if isinstance(tag, str)] if isinstance(annotation.tags, list) else []
    words, incidents, scopes = (_valued(tags, name) for name in ("verdict", "incident", "scope"))
    if TAG not in tags or len(words) != 1 or len(incidents) != 1 or len(scopes) > 1:
        return "forged"
    word, incident, scope = words[0], incidents[0], scopes[0] if scopes != [] else "one"
    if word not in get_args(Word) or scope not in get_args(Scope) or UUID.fullmatch(incident) is None:
        return "forged"
    source = f"grafana/{tenant}/{annotation.id}-{annotation.created}"
    return Said(source, incident, word, login, annotation.created * 1000, scope)  # type: ignore[arg-type]  # checked two lines above


def _valued(tags: Sequence[str], name: str) -> list[str]:
    return [tag.partition(":")[2] for tag in tags if tag.partition(":")[0] == name]


@dataclass(slots=True)
class Poll:
    """One organisation's verdicts. `count` is told each outcome, once per annotation."""

    grafana: Shelf
    database: Database
    tenant: str
    count: Callable[[str], None]
    kept_days: int = 90  # older ones may be deleted by Türmer itself: `retention.annotations`
    swept: int = 0  # µs

    def __call__(self, now: int) -> int:
        """How many verdicts were applied. `now` in µs. Raises adapter.Trouble and Away; the next call goes on where this one was."""
        raw = list(self.grafana.annotations(TAG, PAGE))
        whole = len(raw) < PAGE
        if not whole and now - self.swept >= SWEEP:
            raw, whole = self._all(0, LATEST)
            self.swept = now
        found = self._readable(raw)
        known = sightings.seen(self.database, self.tenant)
        fresh = [found[key] for key in sorted(found.keys() - known.keys())]
        applied = sum(self._take(one, now) for one in fresh)
        edited = [one for key, one in found.items() if key in known and one.updated > known[key].updated]
        oldest = now // 1000 - self.kept_days * DAY_MS
        missing = {key for key in known.keys() - found.keys() if whole and key[1] > oldest}
        if edited != [] or missing:
            self._note(edited, missing, now)
        return applied

    def _all(self, begin: int, end: int) -> tuple[list[Json], bool]:
        """All with a `time` in [begin, end] ms, and whether that is really all: Grafana knows no pages, so the span is halved."""
        some = list(self.grafana.annotations_between(TAG, PAGE, begin, end))
        if len(some) < PAGE:
            return some, True
        if begin == end:
            log.warning("annotations-too-many-at-once", tenant=self.tenant, time=begin)
            return some, False
        middle = (begin + end) // 2
        (first, first_whole), (second, second_whole) = self._all(begin, middle), self._all(middle + 1, end)
        return [*first, *second], first_whole and second_whole

    def _readable(self, raw: Sequence[Json]) -> dict[Key, Annotation]:
        found: dict[Key, Annotation] = {}
        for one in raw:
            try:
                annotation = msgspec.convert(one, Annotation)
            except msgspec.ValidationError:
                self.count("unreadable")
                continue
            found[annotation.key] = annotation
        return found

    def _take(self, annotation: Annotation, now: int) -> bool:
        """Whether it was a verdict and is applied now. One transaction, so that it is both applied and known, or neither."""
        said = read(annotation, self.tenant)
        with self.database.transaction() as connection:
            if not sightings.is_new(connection, self.tenant, annotation.key):
                return False
            outcome = said if isinstance(said, str) else verdicts.apply(connection, said, now, {self.tenant}).refused or "applied"
            sightings.take(connection, self.tenant, annotation.key, annotation.updated, outcome, now)
        self.count(outcome)
        log.info("annotation-taken", tenant=self.tenant, annotation=annotation.id, outcome=outcome)
        return outcome == "applied"

    def _note(self, edited: Sequence[Annotation], missing: set[Key], now: int) -> None:
        with self.database.transaction() as connection:
            for one in edited:
                sightings.changed(connection, self.tenant, one.key, one.updated, now)
            sightings.gone(connection, self.tenant, missing, now)
