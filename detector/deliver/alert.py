"""A notice as other programs read it: an ECS document with `event.kind: alert`, and the message that stands alone on a phone."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

from detector import __version__
from detector.judge.families import LEVELS
from detector.judge.texts import guide, of_technique
from detector.store.database import moment
from detector.store.outbox import Notice
from detector.visible import one_line, visible

ECS = "8.17.0"
BERLIN = ZoneInfo("Europe/Berlin")
SEVERITY = {"low": 25, "medium": 50, "high": 75, "critical": 100}  # event.severity has no scale of its own in ECS
Language = Literal["de", "en"]
Json = dict[str, Any]
_ENTITY = {"user.name": ("user", "name"), "service": ("service", "name")}
_SAID = {
    "de": {
        "what": "{severity}: {title} ({place})", "since": "Seit {since} Uhr, {events} Ereignisse. Ist jemand hineingekommen? {got_in}.",
        "first": "Zuerst: {step}", "beware": "Sagt nichts über eine Person; automatisch, Modell {model}, Türmer {version}.",
        "yes": "ja", "no": "nein", "unknown": "unbekannt", "low": "niedrig", "medium": "mittel", "high": "hoch", "critical": "kritisch",
        "digest": "Tagesbericht {tenant}",
    },
    "en": {
        "what": "{severity}: {title} ({place})", "since": "Since {since}, {events} events. Did anyone get in? {got_in}.",
        "first": "First: {step}", "beware": "Says nothing about a person; automatic, model {model}, Türmer {version}.",
        "yes": "yes", "no": "no", "unknown": "unknown", "low": "low", "medium": "medium", "high": "high", "critical": "critical",
        "digest": "Daily report {tenant}",
    },
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Letter:
    """What is sent. Receivers drop repeats by `id`; those of one `key` come in order."""

    id: str
    key: str
    kind: str
    created: int  # µs
    severity: str  # low | medium | high | critical
    message: str  # lines
    document: Json


def letter(notice: Notice, language: Language) -> Letter:
    """What every receiver is told of a notice, each in its own form."""
    severity = str(notice.payload.get("severity", "medium" if notice.kind == "health" else "low"))
    severity = severity if severity in LEVELS else "medium"
    message = visible(_message(notice, language))
    return Letter(notice.id, notice.key, notice.kind, notice.created, severity, message, _document(notice, severity, message))


def _document(notice: Notice, severity: str, message: str) -> Json:
    found: Json = {
        "@timestamp": _iso(notice.created),
        "ecs": {"version": ECS},
        "message": message,
        "event": {
            "kind": "alert", "module": "tuermer", "dataset": f"tuermer.{notice.kind}", "provider": "tuermer", "id": notice.id,
            "severity": SEVERITY[severity], "created": _iso(notice.created),
        },
        "observer": {"product": "Türmer", "vendor": "Türmer", "type": "ids", "version": __version__},
        "organization": {"name": notice.tenant},
        "labels": {"severity": severity, "tenant": notice.tenant, "key": notice.key},
        "tuermer": {"notice": notice.id, "kind": notice.kind, notice.kind: notice.payload},
    }  # fmt: skip
    return _with_incident(found, notice.payload) if notice.kind == "incident" else found


def _with_incident(found: Json, incident: Mapping[str, Any]) -> Json:
    found["event"] |= {"category": ["intrusion_detection"], "type": ["info"], "start": _iso(incident["opened"])}
    found["rule"] = {"name": incident["family"], "id": incident["model_id"], "ruleset": incident["model"]}
    names = [(id_, known.name.en if (known := of_technique(id_)) is not None else id_) for id_ in incident["techniques"]]
    found["threat"] = {
        "framework": "MITRE ATT&CK",
        "technique": {"id": [id_ for id_, _ in names], "name": [name for _, name in names]},
    }
    found["labels"] |= {"incident": incident["id"], "site": incident["site"], "got_in": incident["got_in"]}
    return found | _entity(str(incident["entity_kind"]), str(incident["entity_value"]))


def _entity(kind: str, value: str) -> Json:
    """What it is about, where ECS has a place for it: `source.ip` takes addresses only, so a token is not put there."""
    if kind == "source.ip":
        try:
            return {"source": {"ip": str(ipaddress.ip_address(value))}}
        except ValueError:
            return {"source": {"address": value}}
    group, name = _ENTITY.get(kind, ("service", "name"))
    return {group: {name: value}}


def _message(notice: Notice, language: Language) -> str:
    said, payload = _SAID[language], notice.payload
    if notice.kind == "digest":
        return said["digest"].format(tenant=notice.tenant) + "\n" + _in(payload.get("text"), language)
    if notice.kind in ("health", "opening"):
        return "\n".join(str(_in(payload.get(part), language)) for part in ("title", "text"))
    return "\n".join(_lines(payload, said, language))


def _lines(incident: Mapping[str, Any], said: Mapping[str, str], language: Language) -> list[str]:
    """What and where · since when, did anyone get in · why · first step · what not to conclude."""
    place = "/".join(part for part in (str(incident["tenant"]), str(incident["site"])) if part != "")
    title, since = _in(incident["title"], language), moment(incident["episode_opened"] or incident["opened"]).astimezone(BERLIN)
    lines = [
        said["what"].format(severity=said[incident["severity"]], title=one_line(title), place=place),
        said["since"].format(since=f"{since:%d.%m. %H:%M}", events=incident["episode_events"] or incident["events"],
                             got_in=said[incident["got_in"]]),
    ]  # fmt: skip
    reasons, steps = list(incident["reasons"]), guide(incident["family"], incident["techniques"])
    lines += [_in(reasons[0]["text"], language)] if reasons != [] else []
    lines += [said["first"].format(step=getattr(steps.next, language)[0])] if steps is not None else []
    return [*lines, said["beware"].format(model=incident["model_id"], version=__version__)]


def _in(texts: object, language: Language) -> str:
    return str(texts.get(language, "")) if isinstance(texts, Mapping) else ""


def _iso(us: int) -> str:
    at: datetime = moment(us)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
