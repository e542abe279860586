"""Bodies as Grafana gives them back and bodies as we send them, brought to one form, so that equal means equal (pure).

What Grafana adds or rewrites was found out on a real 12.3.0: ids, versions and provenance are its own; a query without a time
range gets one; durations may come back in another unit; secrets come back as the word [REDACTED].
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

Json = dict[str, Any]
REDACTED = "[REDACTED]"
SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0, "y": 31536000.0}
DURATION = re.compile(r"(\d+)(ms|[smhdwy])")
DURATIONS = ("for", "keep_firing_for")
WAITS = ("group_wait", "group_interval", "repeat_interval")


def seconds(text: str) -> float:
    """`1h30m`, `300s` in seconds; ValueError if it is no duration."""
    parts = DURATION.findall(text)
    if "".join(number + unit for number, unit in parts) != text or parts == []:
        raise ValueError(f"{text!r} is not a duration such as 10s or 5m")
    return sum(int(number) * SECONDS[unit] for number, unit in parts)


def without(body: Mapping[str, Any], keys: Iterable[str]) -> Json:
    """The body without these keys."""
    dropped = set(keys)
    return {key: value for key, value in body.items() if key not in dropped}


def dashboard(body: Mapping[str, Any]) -> Json:
    """Grafana returns exactly what was saved, with an id and a version."""
    return without(body, ("id", "version"))


def named(body: Mapping[str, Any]) -> Json:
    """A mute timing or a template."""
    return without(body, ("version", "provenance"))


def rule_group(body: Mapping[str, Any]) -> Json:
    """Name, interval and rules."""
    return {"title": body["title"], "interval": body["interval"], "rules": [rule(entry) for entry in body["rules"]]}


def rule(body: Mapping[str, Any]) -> Json:
    """A rule without what Grafana adds and with what it fills in."""
    plain = without(body, ("id", "updated", "provenance", "orgID", "folderUID", "ruleGroup"))
    plain = {key: value for key, value in plain.items() if not (key in ("labels", "annotations", "record") and not value)}
    for key in DURATIONS:
        plain[key] = seconds(plain.get(key, "0s"))
    plain["isPaused"] = bool(plain.get("isPaused", False))
    plain["data"] = [query(entry) for entry in plain["data"]]
    notification = plain.get("notification_settings")
    if notification is not None:
        plain["notification_settings"] = {
            key: seconds(value) if key in WAITS and value is not None else value
            for key, value in notification.items()
            if value is not None and value != []
        }
    return plain


def query(body: Mapping[str, Any]) -> Json:
    """One query of a rule with Grafana's defaults."""
    return {
        "queryType": "",
        "relativeTimeRange": {"from": 0, "to": 0},
        **body,
        "model": {"intervalMs": 1000, "maxDataPoints": 43200, **body["model"]},
    }


def contact_point(body: Mapping[str, Any], hidden: Iterable[str]) -> Json:
    """Without the settings in `hidden` (dots for nested ones); numbers as text, because Grafana keeps whichever it was sent."""
    settings = flat(body.get("settings", {}))
    secret = set(hidden)
    return {
        "name": body["name"],
        "type": body["type"],
        "disableResolveMessage": bool(body.get("disableResolveMessage", False)),
        "settings": {key: _text(value) for key, value in settings.items() if key not in secret},
    }


def redacted(settings: Mapping[str, Any]) -> set[str]:
    """The settings that Grafana does not show, dots for nested ones."""
    return {key for key, value in flat(settings).items() if value == REDACTED}


def flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested tables with dots between the names; an empty one leaves nothing."""
    found: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, Mapping):
            found.update(flat(value, f"{prefix}{key}."))
        else:
            found[prefix + key] = value
    return found


def of_ours(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> Json:
    """Of what Grafana holds only the keys that we send, also in nested tables; for a data source, which it adds much to."""
    return {
        key: of_ours(found[key], value) if isinstance(value, Mapping) and isinstance(found[key], Mapping) else found[key]
        for key, value in wanted.items()
        if key in found
    }


def _text(value: object) -> object:
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
