"""Settings that are each well-formed but contradict one another, and secrets and files that are not there."""

from __future__ import annotations

import difflib
import os
import re
import stat
import zoneinfo
from collections.abc import Iterator, Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from detector.config import Config, Database, Kafka

NAME = re.compile(r"[A-Za-z0-9äöüÄÖÜß._-]{1,64}")  # tenants and sites; a slash would make two shards look alike
TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")  # Kafka's own rule
CONTAINER_SECRETS = ("/run/secrets/", "/var/run/secrets/")  # open to all users of the container, of which we are the only one
SMALLEST_NETWORK = 5  # addresses; the name of a smaller network of clients would point at one person
HOUR = re.compile(r"([01]\d|2[0-3]):[0-5]\d")
Role = Literal["all", "route", "score"]
ADDRESS = re.compile(r"(\[[0-9A-Fa-f:]+\]|[^\s:\[\]]+):([0-9]{1,5})")


def formats() -> list[str]:
    """The log formats that are installed: one table each."""
    return sorted(file.stem for file in (Path(__file__).parent / "decode" / "formats").glob("*.toml"))


def contradictions(config: Config) -> Iterator[str]:
    """One sentence per contradiction, without the file's name."""
    if config.kafka is not None:
        yield from _kafka(config.kafka)
    yield from _topics(config)
    yield from _observers(config)
    yield from _networks(config)
    yield from _patterns(config)
    yield from _tenants(config)
    yield from _people(config)
    yield from _database(config.database)
    yield from _listen(config.page.listen)


def missing(config: Config, environ: Mapping[str, str], role: Role = "all") -> Iterator[str]:
    """One sentence per environment variable or file that is named and not there.

    ROUTE needs no password of the database, and SCORE no key of privacy: where they run apart, each is checked for its own.
    """
    kafka, database, privacy = config.kafka, config.database, config.privacy
    if kafka is not None:
        for key, name in (("password_env", kafka.password_env), ("key_password_env", kafka.key_password_env)):
            yield from variable_troubles(f"kafka.{key}", name, environ)
        for key in ("password_file", "ca_file", "cert_file", "key_file"):
            yield from file_troubles(f"kafka.{key}", getattr(kafka, key), secret=key in ("password_file", "key_file"))
    if role != "route":
        for number, entry in enumerate(config.maintenance, 1):
            yield from file_troubles(f"maintenance[{number}].calendar", entry.calendar)
        for prefix in ("", "owner_"):
            yield from variable_troubles(f"database.{prefix}password_env", getattr(database, f"{prefix}password_env"), environ)
            yield from file_troubles(f"database.{prefix}password_file", getattr(database, f"{prefix}password_file"), secret=True)
    if role != "score":
        yield from file_troubles("privacy.roles_file", privacy.roles_file)
        yield from file_troubles("privacy.aliases_file", privacy.aliases_file)
        yield from file_troubles("enrichment.networks_file", config.enrichment.networks_file)
        yield from file_troubles("privacy.dead_letter_public_key", privacy.dead_letter_public_key)
        yield from file_troubles("privacy.key_file", privacy.key_file, secret=True, hint="make it with `tuermer keys new privacy --out {}`")


def _kafka(kafka: Kafka) -> Iterator[str]:
    for server in kafka.bootstrap_servers.split(","):
        if not _is_address(server.strip()):
            yield f'kafka.bootstrap_servers holds "{server.strip()}", which is not host:port'
    for key in ("group", "instance", "events_topic", "dead_letters_topic", "alerts_topic"):
        if TOPIC.fullmatch(getattr(kafka, key)) is None:
            yield f'kafka.{key} is "{getattr(kafka, key)}", but Kafka allows only letters, digits, dot, dash and underscore'
    own = [kafka.events_topic, kafka.dead_letters_topic, kafka.alerts_topic]
    if len(set(own)) < len(own):
        yield "kafka.events_topic, kafka.dead_letters_topic and kafka.alerts_topic must be three different topics"
    yield from _sasl(kafka)
    yield from _tls(kafka)


def _sasl(kafka: Kafka) -> Iterator[str]:
    protocol = kafka.security_protocol
    if kafka.password_env != "" and kafka.password_file != "":
        yield "kafka.password_env and kafka.password_file are both set; keep one"
    if not protocol.startswith("SASL_"):
        for key in ("sasl_mechanism", "username", "password_env", "password_file"):
            if getattr(kafka, key) != "":
                yield f"kafka.{key} is set, but kafka.security_protocol {protocol} logs nobody in; use SASL_SSL"
        return
    for key in ("sasl_mechanism", "username"):
        if getattr(kafka, key) == "":
            yield f"kafka.{key} is missing, and kafka.security_protocol {protocol} needs it"
    if kafka.password_env == "" and kafka.password_file == "":
        yield f"kafka.password_env or kafka.password_file is missing, and kafka.security_protocol {protocol} needs a password"


def _tls(kafka: Kafka) -> Iterator[str]:
    if not kafka.security_protocol.endswith("SSL"):
        for key in ("ca_file", "cert_file", "key_file", "key_password_env"):
            if getattr(kafka, key) != "":
                yield f"kafka.{key} is set, but kafka.security_protocol {kafka.security_protocol} does not use TLS"
    if (kafka.cert_file == "") != (kafka.key_file == ""):
        present, absent = ("cert_file", "key_file") if kafka.key_file == "" else ("key_file", "cert_file")
        yield f"kafka.{present} is set without kafka.{absent}; a client certificate needs both"
    if kafka.key_password_env != "" and kafka.key_file == "":
        yield "kafka.key_password_env is set without kafka.key_file"


def _topics(config: Config) -> Iterator[str]:
    kafka, first = config.kafka, dict[str, int]()
    if kafka is not None and config.topics == []:
        yield "[kafka] is set, but no [[topics]] says what to read"
    for number, topic in enumerate(config.topics, 1):
        key = f"topics[{number}]"
        if TOPIC.fullmatch(topic.name) is None:
            yield f'{key}.name is "{topic.name}", but Kafka allows only letters, digits, dot, dash and underscore'
        if topic.name in first:
            yield f"{key}.name {topic.name} is already used by topics[{first[topic.name]}]"
        first[topic.name] = number
        if kafka is not None and topic.name in (kafka.events_topic, kafka.dead_letters_topic, kafka.alerts_topic):
            yield f"{key}.name {topic.name} is one of Türmer's own topics"
        yield from _origin(key, topic.tenant, topic.site, topic.timezone)
        yield from _format(key, topic.format)
        if topic.tenant == "":
            yield f"{key}.tenant is empty"


def _observers(config: Config) -> Iterator[str]:
    topics = [topic.name for topic in config.topics]
    for number, observer in enumerate(config.observers, 1):
        key = f"observers[{number}]"
        if observer.match == "":
            yield f"{key}.match is empty and would claim every line"
        if observer.topic not in ("", *topics):
            yield f"{key}.topic {observer.topic} is not among [[topics]]{_near(observer.topic, topics)}"
        yield from _origin(key, observer.tenant, observer.site, observer.timezone)
        yield from _format(key, observer.format)


def _origin(key: str, tenant: str, site: str, timezone: str) -> Iterator[str]:
    for name, value in (("tenant", tenant), ("site", site)):
        if value != "" and NAME.fullmatch(value) is None:
            yield f'{key}.{name} is "{value}", but may hold only letters, digits, dot, dash and underscore'
    if timezone != "" and timezone not in zoneinfo.available_timezones():
        yield f"{key}.timezone {timezone} is not a known time zone{_near(timezone, sorted(zoneinfo.available_timezones()))}"


def _format(key: str, name: str) -> Iterator[str]:
    if name not in ("", "auto", *formats()):
        yield f"{key}.format {name} is not a known format{_near(name, formats())}"


def _networks(config: Config) -> Iterator[str]:
    first: dict[tuple[str, str], int] = {}
    for number, network in enumerate(config.networks, 1):
        key = f"networks[{number}]"
        try:
            cidr = ip_network(network.cidr, strict=False)
        except ValueError:
            yield f'{key}.cidr "{network.cidr}" is not an IPv4 or IPv6 network'
            continue
        if "/" in network.cidr and network.cidr.split("/")[0].lower() not in (str(cidr.network_address), cidr.network_address.exploded):
            yield f"{key}.cidr {network.cidr} has bits set beyond its prefix; did you mean {cidr}?"
        if network.kind in ("client", "vpn", "wifi", "guest") and cidr.num_addresses < SMALLEST_NETWORK:
            yield f"{key}.cidr {network.cidr} of kind {network.kind} is so small that its name would point at one person; list a larger one"
        same = (str(cidr), network.tenant)
        if same in first:
            yield f"{key}.cidr {network.cidr} is already described by networks[{first[same]}]"
        first[same] = number


def _patterns(config: Config) -> Iterator[str]:
    for number, account in enumerate(config.accounts, 1):
        if account.kind in ("service", "machine"):
            yield from _too_wide(f"accounts[{number}].pattern", account.pattern)
        elif account.pattern == "":
            yield f"accounts[{number}].pattern is empty"
    for number, host in enumerate(config.hosts, 1):
        yield from _too_wide(f"hosts[{number}].pattern", host.pattern)


def _too_wide(key: str, pattern: str) -> Iterator[str]:
    """A pattern without two characters of its own would keep everybody's name plain."""
    if len(re.sub(r"\[[^\]]*\]|[*?]", "", pattern)) < 2 and pattern != "*$":
        yield f'{key} "{pattern}" matches nearly every name, and what it matches is stored in plain'


def _tenants(config: Config) -> Iterator[str]:
    """A tenant that nothing is read for is a spelling mistake, and its networks would then protect nobody."""
    known = sorted({t.tenant for t in config.topics} | {o.tenant for o in config.observers if o.tenant != ""})
    for table in ("networks", "accounts", "hosts", "maintenance", "suppressions"):
        for number, entry in enumerate(getattr(config, table), 1):
            if known != [] and entry.tenant not in ("", *known):
                yield f"{table}[{number}].tenant {entry.tenant} is not a tenant of any of [[topics]]{_near(entry.tenant, known)}"


def _people(config: Config) -> Iterator[str]:
    """What the daemon would only notice later; dates and rules are read by judge/windows.py and judge/suppress.py at the start."""
    if HOUR.fullmatch(config.budget.digest_at) is None:
        yield f'budget.digest_at "{config.budget.digest_at}" is not an hour such as 07:30'
    for number, entry in enumerate(config.maintenance, 1):
        key = f"maintenance[{number}]"
        if entry.calendar == "" and "" in (entry.begin, entry.end):
            yield f"{key} needs begin and end, or calendar"
        elif entry.calendar != "" and (entry.begin, entry.end, entry.repeat) != ("", "", ""):
            yield f"{key} has a calendar, so begin, end and repeat must not be set"
    for number, given in enumerate(config.suppressions, 1):
        if "=" not in given.entity:
            yield f'suppressions[{number}].entity "{given.entity}" is not field=value, for example service=ssh-1'


def _database(database: Database) -> Iterator[str]:
    for prefix in ("", "owner_"):
        if getattr(database, f"{prefix}password_env") != "" and getattr(database, f"{prefix}password_file") != "":
            yield f"database.{prefix}password_env and database.{prefix}password_file are both set; keep one"
    if database.url == "embedded":
        for key in ("owner_url", "owner_password_env", "owner_password_file", "password_env", "password_file"):
            if getattr(database, key) != "":
                yield f"database.{key} is set, but the embedded database manages its own roles and passwords"
    for key in ("url", "owner_url"):
        value = getattr(database, key)
        if value in ("", "embedded") and (key, value) not in (("url", ""), ("owner_url", "embedded")):
            continue
        parts = urlsplit(value)
        if parts.scheme not in ("postgresql", "postgres"):
            yield f"database.{key} must begin with postgresql:// or, for url, be embedded"
        elif parts.password is not None or "password=" in parts.query:
            yield f"database.{key} holds a password; put it into database.password_env or database.password_file"


def _listen(listen: str) -> Iterator[str]:
    if not _is_address(listen):
        yield f'page.listen "{listen}" is not address:port'


def _is_address(text: str) -> bool:
    match = ADDRESS.fullmatch(text)
    return match is not None and 1 <= int(match[2]) <= 65_535


def variable_troubles(key: str, name: str, environ: Mapping[str, str]) -> Iterator[str]:
    """Whether the named environment variable is missing or empty."""
    if name != "" and environ.get(name, "") == "":
        yield f"{key} names the environment variable {name}, which is not set"


def file_troubles(key: str, name: str, *, secret: bool = False, hint: str = "") -> Iterator[str]:
    """Whether the named file is missing, closed to us or, if secret, open to everybody."""
    if name == "":
        return
    path = Path(name)
    if not path.is_file():
        yield f"{key} names {name}, which does not exist" + (f"; {hint.format(name)}" if hint else "")
    elif not os.access(path, os.R_OK):
        yield f"{key} names {name}, which this user may not read"
    elif secret and stat.S_IMODE(path.stat().st_mode) & 0o007 and not name.startswith(CONTAINER_SECRETS):
        yield f"{key} names {name}, which every user of this machine may open; say chmod o= {name}"


def _near(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f"; did you mean {close[0]}?" if close else ""
