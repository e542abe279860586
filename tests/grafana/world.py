"""What the stand-in remembers: organisations with their objects, logins, and a clock that only `sleep` moves."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]
ROLES = {"None": 0, "Viewer": 1, "Editor": 2, "Admin": 4}
RIGHTS = {"View": 1, "Edit": 2, "Admin": 4}
SYNC = 60.0  # seconds between two readings of the Alertmanager's configuration
STAMP = "2026-11-20T10:20:12Z"


class Refused(Exception):
    """An error answer: status and body (a dict, or text)."""

    def __init__(self, status: int, body: object) -> None:
        super().__init__(f"{status} {body}")
        self.status, self.body = status, body


def plain(status: int, message: str) -> Refused:
    """`{message}`"""
    return Refused(status, {"message": message})


def coded(status: int, identity: str, message: str, extra: Mapping[str, Any] | None = None) -> Refused:
    """`{statusCode, messageId, message, extra}`"""
    return Refused(status, {"statusCode": status, "messageId": identity, "message": message, **({"extra": dict(extra)} if extra else {})})


def denied(action: str) -> Refused:
    """`{accessErrorId, message, title}`"""
    said = f"You'll need additional permissions to perform this action. Permissions needed: {action}"
    return Refused(403, {"accessErrorId": "ACE0000000001", "message": said, "title": "Access denied"})


@dataclass
class Login:
    """Who calls. `number`: the user id that rights refer to."""

    number: int
    name: str
    role: str
    organisation: int
    server_admin: bool = False
    service: bool = False


@dataclass
class Organisation:
    """The objects of one organisation, by uid or name."""

    number: int
    name: str
    folders: dict[str, Json] = field(default_factory=dict)
    folder_rights: dict[str, list[Json]] = field(default_factory=dict)
    dashboard_rights: dict[str, list[Json]] = field(default_factory=dict)
    dashboards: dict[str, Json] = field(default_factory=dict)  # {"dashboard", "folder", "by", "file"}
    datasources: dict[str, Json] = field(default_factory=dict)
    secrets: dict[str, Json] = field(default_factory=dict)  # of data sources
    mute_timings: dict[str, Json] = field(default_factory=dict)
    templates: dict[str, Json] = field(default_factory=dict)
    contact_points: dict[str, Json] = field(default_factory=dict)  # with their secrets in plain
    rules: dict[str, Json] = field(default_factory=dict)  # uid -> rule with folderUID, ruleGroup, provenance
    intervals: dict[tuple[str, str], int] = field(default_factory=dict)
    annotations: dict[int, Json] = field(default_factory=dict)
    accounts: dict[int, Json] = field(default_factory=dict)
    teams: dict[int, Json] = field(default_factory=dict)
    alertmanager: bool = True  # a new organisation has none until the next synchronisation
    routes: set[str] = field(default_factory=set)  # receiver + settings that the Alertmanager knows
    misrouted: list[str] = field(default_factory=list)  # rules that spoke before their receiver was known
    resent: list[str] = field(default_factory=list)  # live rules whose alerts were told as over and as new


@dataclass
class World:
    """The whole server."""

    root_url: str = "http://localhost:3000/"
    organisations: dict[int, Organisation] = field(default_factory=lambda: {1: Organisation(1, "Main Org.")})
    tokens: dict[str, tuple[Login, Json]] = field(default_factory=dict)
    passwords: dict[str, tuple[str, Login]] = field(default_factory=dict)
    now: float = 0.0
    synced: float = 0.0
    counters: Counter[str] = field(default_factory=Counter)
    broken_sql: bool = False  # rules and health fail
    buttons: bool = True  # actions_allow_post_url holds /api/annotations
    grants_creator: bool = True  # Grafana keeps the creator's Admin right on a folder

    def next(self, kind: str) -> int:
        """A fresh id; each kind counts by itself."""
        self.counters[kind] += 1
        return self.counters[kind]

    def sleep(self, seconds: float) -> None:
        """Time passes; every minute the Alertmanager reads its configuration."""
        self.now += seconds
        while self.synced + SYNC <= self.now:
            self.synced += SYNC
            for organisation in self.organisations.values():
                organisation.alertmanager = True
                organisation.routes = {route_of(rule) for rule in organisation.rules.values()}

    def login(self, name: str, password: str, role: str, organisation: int = 1, *, server_admin: bool = False) -> Login:
        """A person with a password."""
        login = Login(self.next("user"), name, role, organisation, server_admin=server_admin)
        self.passwords[name] = (password, login)
        return login

    def token(self, name: str, role: str, organisation: int = 1) -> str:
        """A service account with a token, without going through the API."""
        login = Login(self.next("user"), name, role, organisation, service=True)
        account = {"id": login.number, "name": name, "login": f"sa-{organisation}-{name}", "orgId": organisation, "role": role}
        self.organisations[organisation].accounts[login.number] = account
        key = f"glsa_{name}_{login.number}"
        self.tokens[key] = (login, {"id": self.next("token"), "name": f"{name}-1"})
        return key


def route_of(rule: Mapping[str, Any]) -> str:
    """What the Alertmanager must know before an alert of this rule goes where it should."""
    return json.dumps(rule.get("notification_settings"), sort_keys=True)


def version_of(body: object) -> str:
    """Grafana's hash of a template or mute timing."""
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:16]


def nested(settings: Mapping[str, Any]) -> Json:
    """Settings with dots between the names as tables in tables."""
    whole: Json = {}
    for key, value in settings.items():
        *path, last = key.split(".")
        place = whole
        for name in path:
            place = place.setdefault(name, {})
        place[last] = value
    return whole
