"""The published list of what may stay plain (I5). Everything that is not on it leaves ROUTE as a token or as "other".

`docs/privacy-fields.md` is this list for people; a test keeps the two in step.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from detector.decode.ecs import DRILL
from detector.decode.table import Table, texts

WORDS = ("event.dataset", "event.category", "event.action", "event.outcome", "event.code", "network.transport", "authentication.method")
# Only words that the format tables themselves write; what a device put there instead becomes "other".

ALWAYS: Mapping[str, str] = {
    "@timestamp": "when it happened",
    "event.created": "when the record was written to Kafka",
    "event.dataset": "name of the format",
    "event.category": "a word of the format's table",
    "event.action": "a word of the format's table",
    "event.outcome": "a word of the format's table",
    "event.code": "a word of the format's table, or the device's number of the kind of message (digits, or %ASA-6-302013)",
    "network.transport": "a word of the format's table, or a protocol's number",
    "authentication.method": "a word of the format's table",
    "network.direction": "inbound, outbound, internal or external",
    "source.network": "name of a network in the configuration",
    "destination.network": "name of a network in the configuration",
    "source.as.organization.name": "provider of an outside address, from the file in [enrichment]",
    "source.geo.region_iso_code": "its country or state, from the same file",
    "source.kind": "office, vpn, home, mobile, hosting, relay or abroad",
    "user.kind": "person, service, machine, admin or unknown",
    "user.roles": "role group with at least five people",
    "source.port": "a number",
    "destination.port": "a number",
    "source.bytes": "a number",
    "destination.bytes": "a number",
    "source.packets": "a number",
    "attempt.kind": "a number from 0 to 7",
    "attempt.count": "a number",
    "event.epoch": "the day whose key made the tokens",
    "log.topic": "topic, or name of the file, that the record was read from",
    "log.partition": "a number",
    "log.offset": "a number",
}

_ADDRESSES = "outside addresses, networks of kind server and dmz, and what names no machine (loopback, multicast, 0.0.0.0)"
_ACCOUNTS = "accounts of kind service and machine in [[accounts]], and the operating systems' own accounts (list below)"
_HOSTS = "[[hosts]], names of [[observers]], one-address networks of kind server and dmz, addresses as under source.ip"

SOMETIMES: Mapping[str, str] = {
    "source.ip": _ADDRESSES,
    "destination.ip": _ADDRESSES,
    "user.name": _ACCOUNTS,
    "user.target.name": _ACCOUNTS,
    "host.name": _HOSTS,
    "observer.name": _HOSTS,
}

NEVER: Mapping[str, str] = {
    "session.key": "keyed hash that names a connection within one epoch",
    "seen.provider": "keyed hash, only with person_memory = first-seen",
    "seen.region": "keyed hash, only with person_memory = first-seen",
    "seen.band": "keyed hash, only with person_memory = first-seen",
    "seen.account": "keyed hash, only with person_memory = first-seen",
}

WELL_KNOWN_ACCOUNTS: Mapping[str, str] = {  # they come with an operating system or a product and name nobody
    "root": "admin",
    "administrator": "admin",
    "admin": "admin",
    "system": "machine",
    "local service": "service",
    "network service": "service",
    "lokaler dienst": "service",
    "netzwerkdienst": "service",
    "anonymous logon": "unknown",
    "anonymous-anmeldung": "unknown",
    "guest": "unknown",
    "gast": "unknown",
    "krbtgt": "service",
    "nobody": "service",
    "daemon": "service",
    "www-data": "service",
    "postgres": "service",
    DRILL: "unknown",
}

SPELLED = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")  # a condition that is a text, not "*", "~…" or "^…"
CODE = re.compile(r"(%?[A-Z]{2,6}-[0-7]-)?[0-9]{1,10}")
PROTOCOLS = re.compile(r"tcp|udp|icmp|ipv6-icmp|icmp6|igmp|gre|esp|ah|sctp|ospf|vrrp|pim|ipip|[0-9]{1,3}")
COMMON = {
    "event.category": {"network", "authentication"},
    "event.outcome": {"success", "failure", "unknown"},
}
OTHER = "other"


def vocabulary(tables: Mapping[str, Table]) -> dict[str, frozenset[str]]:
    """The words that each of WORDS may hold: those the format tables write."""
    words: dict[str, set[str]] = {column: set(COMMON.get(column, ())) for column in WORDS}
    words["event.dataset"].update(tables)
    for table in tables.values():
        outcomes = (table.set, *(o.set for o in (*table.rules, *table.templates)))
        for column, text in (pair for part in outcomes for pair in part.items()):
            words.setdefault(column, set()).add(text)
        for entry in table.words:
            words.setdefault(entry.column, set()).update(entry.map.values(), (entry.other,))
        for column in WORDS:  # a field that is passed on as it is, such as an event id, where a rule asks for the same text
            for field in texts(table.columns.get(column, [])):
                asked = (texts(rule.when.get(field, [])) for rule in table.rules)
                words[column].update(text for part in asked for text in part if SPELLED.fullmatch(text) is not None)
    return {column: frozenset(words[column]) for column in WORDS}


def admitted(column: str, text: str, known: frozenset[str]) -> str:
    """The text itself when it is a known word (or a number of the kind the column allows), otherwise "other"."""
    pattern = {"event.code": CODE, "network.transport": PROTOCOLS}.get(column)
    if text == "" or text in known or (pattern is not None and pattern.fullmatch(text) is not None):
        return text
    return OTHER
