"""When Türmer itself, or a device it hears from, is not well: rules over plain counts. The sentences are in health.toml.

`now` is the wall clock: nothing here touches SCORE's state or its scores.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import msgspec

MINUTE, HOUR, DAY = 60_000_000, 3_600_000_000, 86_400_000_000  # µs
SILENT_AFTER = 10 * MINUTE
MISSED = 20  # events that a device sent in the same hours of each day before; fewer may be missing by chance
UNREAD, UNREAD_SHARE, UNREAD_FACTOR = 20, 0.01, 5.0  # dead letters in 20 minutes: so many, this share, so many times the usual
FILLED_BEFORE, FILLED_EVENTS, FILLED_HISTORY = 0.5, 50, 500  # a field that half of the lines had; events now; events before
BEHIND = 5 * MINUTE
OLD_MODEL = 180 * DAY
GRAFANA_AWAY = 2 * MINUTE  # a restart takes less
QUIET_EVENTS = 1_000  # events in a day without any incident that are worth a question
ZONES = (HOUR, HOUR // 2)

Values = Mapping[str, Mapping[str, object]]  # by language


@dataclass(frozen=True, slots=True)
class Device:
    """What is known of one device.

    before  its events since it was last heard, so many whole days earlier: one number per day of its past, at most seven
    off     events of the last 20 minutes whose clock was corrected, by so many µs (record time minus event time)
    filled  field -> (filled, events) of the last half hour, (filled, events) of the week before
    """

    shard: str
    observer: str
    last: int  # record time, µs
    before: tuple[int, ...] = ()
    off: int = 0
    by: int = 0
    filled: Mapping[str, tuple[int, int, int, int]] | None = None


@dataclass(frozen=True, slots=True)
class Unread:
    """Dead letters of one topic and format: in the last 20 minutes, and per 20 minutes on average of a week."""

    tenant: str
    topic: str
    format: str
    reason: str  # the most frequent
    now: int
    usual: float
    events: int  # of the tenant in the last 20 minutes


@dataclass(frozen=True, slots=True)
class Operation:
    """The rest. Times in µs."""

    waiting: int = 0  # messages not yet scored
    behind: int = 0  # age of the newest record that is scored
    models: Mapping[str, int] | None = None  # model id -> when it was first loaded
    quiet: Mapping[str, int] | None = None  # tenant -> events of its day without any incident
    calibration: Mapping[tuple[str, str], float] | None = None  # (tenant, model) -> realised over nominal, where it was off for a day
    canary_missed: int = 0  # since the rehearsed attack that was not found; 0 = found, or none is under way
    grafana_away: int = 0  # since Grafana, or one organisation in it, does not answer the daemon


@dataclass(frozen=True, slots=True)
class Ailment:
    """One thing that is wrong now. (kind, tenant, subject) says whether it is the same as before."""

    kind: str  # a table of health.toml
    subject: str
    tenant: str  # "" = the whole system
    severity: str
    title: dict[str, str]
    text: dict[str, str]


class Said(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A table of health.toml."""

    severity: str
    title: dict[str, str]
    text: dict[str, str]


@cache
def _texts() -> tuple[dict[str, Said], dict[str, dict[str, str]]]:
    """(by kind, causes of a wrong clock)."""
    tables = msgspec.toml.decode((Path(__file__).parent / "health.toml").read_bytes())
    causes = tables.pop("causes")
    return msgspec.convert(tables, dict[str, Said]), causes


def ailments(devices: Sequence[Device], unread: Sequence[Unread], operation: Operation, now: int) -> tuple[Ailment, ...]:
    """All that is wrong at `now` (µs), in a fixed order."""
    found = [a for device in devices for a in (*_silent(device, now), *_clock(device), *_unfilled(device))]
    found += [a for one in unread for a in _unread(one)]
    return tuple(sorted((*found, *_operation(operation, now)), key=lambda a: (a.kind, a.tenant, a.subject)))


def _ailment(kind: str, tenant: str, subject: str, values: Values) -> Ailment:
    said = _texts()[0][kind]
    title = {language: text.format(**values[language]) for language, text in said.title.items()}
    return Ailment(kind, subject, tenant, said.severity, title, {lang: text.format(**values[lang]) for lang, text in said.text.items()})


def _both(**values: object) -> dict[str, dict[str, object]]:
    return {"de": dict(values), "en": dict(values)}


def _timed(span: int, **values: object) -> dict[str, dict[str, object]]:
    return {language: {**values, "span": duration(span, language)} for language in ("de", "en")}


def _of(device: Device) -> tuple[str, str]:
    """(tenant, subject)"""
    return device.shard.partition("/")[0], f"{device.observer} ({device.shard})"


def _silent(device: Device, now: int) -> Iterator[Ailment]:
    silent, least = now - device.last, min(device.before, default=0)
    if silent >= SILENT_AFTER and least >= MISSED:
        yield _ailment("silent", *_of(device), _timed(silent, device=device.observer, least=least))


def _clock(device: Device) -> Iterator[Ailment]:
    if device.off == 0:
        return
    by, ahead = abs(device.by), device.by < 0
    values = _timed(by, device=device.observer)
    for language, sides in {"de": ("vor", "nach"), "en": ("ahead", "behind")}.items():
        values[language] |= {"side": sides[0] if ahead else sides[1], "cause": _cause(by, language)}
    yield _ailment("clock", *_of(device), values)


def _cause(by: int, language: str) -> str:
    causes = _texts()[1]
    for zone in ZONES:
        times, rest = divmod(by + 2 * MINUTE, zone)
        if rest <= 4 * MINUTE and 0 < times * zone <= 14 * HOUR:
            return causes["zone"][language].format(exact=duration(times * zone, language))
    return causes["year" if by >= 300 * DAY else "drift"][language]


def _unfilled(device: Device) -> Iterator[Ailment]:
    for name, (filled, events, filled_before, events_before) in sorted((device.filled or {}).items()):
        if events < FILLED_EVENTS or events_before < FILLED_HISTORY:
            continue
        now, before = filled / events, filled_before / events_before
        if before >= FILLED_BEFORE and now < before / 2:
            tenant, subject = _of(device)
            values = _both(device=device.observer, field=name, now=round(100 * now), before=round(100 * before))
            yield _ailment("unfilled", tenant, f"{subject} {name}", values)


def _unread(one: Unread) -> Iterator[Ailment]:
    share = one.now / max(1, one.now + one.events)
    if one.now < UNREAD or share < UNREAD_SHARE or one.now < UNREAD_FACTOR * one.usual:
        return
    values = _both(topic=one.topic, format=one.format or "?", now=one.now, reason=one.reason, usual=f"{one.usual:.0f}")
    yield _ailment("unread", one.tenant, f"{one.topic} {one.format}", values)


def _operation(operation: Operation, now: int) -> Iterator[Ailment]:
    if operation.waiting > 0 and operation.behind >= BEHIND:
        yield _ailment("lag", "", "score", _timed(operation.behind, waiting=operation.waiting))
    for model, loaded in (operation.models or {}).items():
        if now - loaded >= OLD_MODEL:
            yield _ailment("model", "", model, _timed(now - loaded, model=model))
    for tenant, events in (operation.quiet or {}).items():
        if events >= QUIET_EVENTS:
            yield _ailment("quiet", tenant, tenant, _both(events=events))
    for (tenant, model), ratio in (operation.calibration or {}).items():
        values = {"de": {"ratio": f"{ratio:.1f}".replace(".", ",")}, "en": {"ratio": f"{ratio:.1f}"}}
        rule = "alarms" if ratio > 1 else "asleep"
        yield _ailment(rule, tenant, model, {language: {**own, "model": model, "tenant": tenant} for language, own in values.items()})
    if operation.canary_missed > 0:
        yield _ailment("canary", "", "canary", _timed(operation.canary_missed))
    if operation.grafana_away >= GRAFANA_AWAY:
        yield _ailment("grafana", "", "grafana", _timed(operation.grafana_away))


def duration(micros: int, language: str) -> str:
    """As people say it, in the dative where German wants one: 45 Minuten, 1,5 Stunden, 3 Tagen."""
    minutes = micros // MINUTE
    if minutes < 60 or (minutes < 120 and minutes % 60 != 0):
        return f"{minutes} {'Minuten' if language == 'de' else 'minutes'}"
    if minutes >= 48 * 60:
        return f"{minutes // 1440} {'Tagen' if language == 'de' else 'days'}"
    hours = f"{minutes / 60:.1f}".removesuffix(".0")
    unit = {"de": ("Stunde", "Stunden"), "en": ("hour", "hours")}[language][minutes != 60]
    return f"{hours.replace('.', ',') if language == 'de' else hours} {unit}"
