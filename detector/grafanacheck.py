"""What contradicts itself in [grafana] and [links].

Tokens and passwords are looked for when a verb of `tuermer grafana` needs them: a daemon that only polls has no business
with the server admin's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import get_args
from urllib.parse import urlsplit

from detector.config import Config
from detector.configcheck import HOUR, NAME
from detector.grafanasections import ContactPoint, Grafana, Told

POINT = re.compile(r"[a-z0-9-]{1,20}")  # Grafana takes 40 characters for a uid, and ours begins tuermer-<what>-

FILLED = ("from", "to", "from_ms", "to_ms", "device", "source", "destination", "host", "port")  # in a log search's URL


def contradictions(config: Config) -> Iterator[str]:
    """One sentence per contradiction, without the file's name."""
    for title, url in config.links.raw_search.items():
        if urlsplit(url).scheme not in ("http", "https"):
            yield f'links.raw_search."{title}" must begin with https:// or http://'
        for name in re.findall(r"\{(\w*)\}", url):
            if name not in FILLED:
                yield f'links.raw_search."{title}" holds {{{name}}}, which nothing fills in; known are {", ".join(FILLED)}'
    if config.grafana.url != "":
        yield from _addresses(config.grafana)
        yield from _organisations(config)
        yield from _points(config)


def tenants(config: Config) -> list[str]:
    """All tenants that something is read for, in the order of the file."""
    names = [topic.tenant for topic in config.topics] + [observer.tenant for observer in config.observers if observer.tenant != ""]
    return list(dict.fromkeys(names))


def _addresses(grafana: Grafana) -> Iterator[str]:
    parts = urlsplit(grafana.url)
    if parts.scheme not in ("http", "https") or parts.hostname is None:
        yield f'grafana.url "{grafana.url}" is not http://host:port/ or https://host/'
    elif parts.username is not None:
        yield "grafana.url holds a login; put the password into grafana.admin_password_env or grafana.admin_password_file"
    if grafana.runbooks != "" and urlsplit(grafana.runbooks).scheme not in ("http", "https"):
        yield f'grafana.runbooks "{grafana.runbooks}" must begin with https:// or http://'
    if grafana.admin_password_env != "" and grafana.admin_password_file != "":
        yield "grafana.admin_password_env and grafana.admin_password_file are both set; keep one"
    if grafana.database_ca_file != "" and not grafana.database_tls.startswith("verify"):
        yield "grafana.database_ca_file is set, but only grafana.database_tls verify-ca or verify-full looks at it"
    for key in ("office_begin", "office_end"):
        if HOUR.fullmatch(getattr(grafana, key)) is None:
            yield f'grafana.{key} "{getattr(grafana, key)}" is not an hour such as 08:00'
    if grafana.office_begin >= grafana.office_end:
        yield "grafana.office_begin is not before grafana.office_end"
    if grafana.office_days == []:
        yield "grafana.office_days is empty; name at least one day"


def _organisations(config: Config) -> Iterator[str]:
    """Two tenants in one organisation would read each other: any Viewer may send any SQL to every data source there."""
    seen: dict[str, int] = {}
    named: dict[str, int] = {}
    known = tenants(config)
    for number, entry in enumerate(config.grafana.organisations, 1):
        key = f"grafana.organisations[{number}]"
        if known != [] and entry.tenant not in known:
            yield f"{key}.tenant {entry.tenant} is not a tenant of any of [[topics]]"
        if entry.tenant in seen:
            yield f"{key}.tenant {entry.tenant} already has grafana.organisations[{seen[entry.tenant]}]"
        name = entry.name if entry.name != "" else entry.tenant
        if name in named:
            yield f"{key}.name {name} is also that of grafana.organisations[{named[name]}]; tenants need organisations of their own"
        if (entry.database_user == "") != (entry.database_password_env == ""):
            yield f"{key} needs both database_user and database_password_env, or neither"
        if entry.database_user != "" and entry.database_login_file != "":
            yield f"{key} has both database_user and database_login_file; keep one"
        seen[entry.tenant], named[name] = number, number


def _points(config: Config) -> Iterator[str]:
    points, names = config.grafana.contact_points, set[tuple[str, str]]()
    for number, point in enumerate(points, 1):
        key = f"grafana.contact_points[{number}]"
        if POINT.fullmatch(point.name) is None:
            yield f'{key}.name "{point.name}" may hold only small letters, digits and dashes, at most 20'
        if NAME.fullmatch(point.type) is None:
            yield f'{key}.type "{point.type}" is none of Grafana\'s types'
        if (point.name, point.tenant) in names:
            yield f"{key}.name {point.name} is already used"
        names.add((point.name, point.tenant))
        yield from _settings(key, point)
    for told in get_args(Told):
        if not any(told in point.told and point.tenant == "" for point in points):
            for tenant in tenants(config):
                if not any(told in point.told and point.tenant in ("", tenant) for point in points):
                    yield f'no grafana.contact_points of tenant {tenant} is told "{told}"; Grafana would send it to whoever is its default'


def _settings(key: str, point: ContactPoint) -> Iterator[str]:
    """What Grafana would refuse, and a secret in the file that everybody copies."""
    wanted = {"webhook": "url", "email": "addresses"}.get(point.type, "")
    if wanted != "" and wanted not in (*point.settings, *point.secrets_env, *point.secrets_file):
        yield f"{key}.settings.{wanted} is missing, and a contact point of type {point.type} needs it"
    for name in (*point.secrets_env, *point.secrets_file):
        if name in point.settings:
            yield f"{key}.settings.{name} is given twice; keep the one of secrets_env or secrets_file"
    for name in point.settings:
        if re.search(r"password|secret|token|credential|apikey|api_key", name, re.IGNORECASE):
            yield f"{key}.settings.{name} looks like a secret; name its variable in secrets_env or its file in secrets_file"
