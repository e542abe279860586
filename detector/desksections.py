"""Sections of the configuration about people at their desks: the page, who may log in to it, and whom else the daemon tells."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Struct

from detector.sections import doc

Told = Literal["incident", "digest", "health", "opening"]


class Page(Struct, frozen=True, forbid_unknown_fields=True):
    """The page with incidents, /metrics, /healthz and /readyz. Without [[people]] it is for reading, on this machine only."""

    listen: Annotated[str, doc("address:port; other than loopback only with cert_file, key_file and [[people]]")] = "127.0.0.1:8765"
    route_listen: Annotated[str, doc("the same for ROUTE, on loopback: /metrics, /healthz and /readyz")] = "127.0.0.1:8766"
    hosts: Annotated[list[str], doc("names under which browsers may ask for it, beside those of this machine")] = []
    cert_file: Annotated[str, doc("TLS certificate with its chain, PEM")] = ""
    key_file: Annotated[str, doc("its private key")] = ""
    session_hours: Annotated[int, doc("a login lasts so long, or until Türmer is started again", ge=1, le=24)] = 8


class Person(Struct, frozen=True, forbid_unknown_fields=True):
    """Who may log in to the page; `tuermer page login NAME` makes the token and the lines for this file."""

    name: Annotated[str, doc("kept with every verdict, note and window")]
    token_sha256: Annotated[str, doc("of the token, 64 hexadecimal digits; the token itself is kept nowhere")]
    groups: Annotated[
        list[str], doc("analyst: verdicts, notes, windows; approver: requests for names; model-approver: models; empty = reading only")
    ] = msgspec.field(default_factory=lambda: ["analyst"])
    tenants: Annotated[list[str], doc("empty = every tenant")] = []


class Receiver(Struct, frozen=True, forbid_unknown_fields=True):
    """Whom the daemon tells by itself, beside Grafana and the topic of alerts: at least once, in order, each on its own."""

    name: Annotated[str, doc("under it what was delivered is remembered; a new name is told only what comes from then on")]
    type: Annotated[Literal["webhook", "syslog"], doc("webhook: POST of JSON, signed; syslog: RFC 5424")]
    url: Annotated[str, doc("of the webhook, https://…; http:// only on this machine")] = ""
    secret_env: Annotated[str, doc("environment variable with the webhook's secret, at least 16 characters")] = ""
    secret_file: Annotated[str, doc("or the file that holds it")] = ""
    address: Annotated[str, doc("host:port of the syslog server; TLS, usually port 6514")] = ""
    tls: Annotated[bool, doc("false: plain TCP, on this machine only")] = True
    content: Annotated[Literal["json", "cef"], doc("what a syslog message holds: the alert as ECS, or one line of CEF")] = "json"
    ca_file: Annotated[str, doc("certificates that sign the server's; empty = the system's")] = ""
    cert_file: Annotated[str, doc("our client certificate, for servers that ask for one")] = ""
    key_file: Annotated[str, doc("its private key")] = ""
    tenants: Annotated[list[str], doc("empty = every tenant")] = []
    told: Annotated[
        list[Told],
        doc(
            "incident: what is notified; digest: the daily report; health: Türmer itself, also a Grafana that is away; "
            "opening: names that one person opened alone"
        ),
    ] = msgspec.field(default_factory=lambda: ["incident", "health"])
