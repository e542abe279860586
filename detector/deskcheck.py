"""What contradicts itself in [page], [[people]] and [[receivers]]."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from detector.config import Config
from detector.configcheck import ADDRESS, NAME, file_troubles, variable_troubles
from detector.desksections import Receiver

DIGEST = re.compile(r"[0-9a-f]{64}")


def is_loopback(host: str) -> bool:
    """Whether an address or name means this machine."""
    try:
        return host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def contradictions(config: Config) -> Iterator[str]:
    """One sentence per contradiction, without the file's name."""
    yield from _page(config)
    yield from _people(config)
    yield from _receivers(config)


def missing(config: Config, environ: Mapping[str, str]) -> Iterator[str]:
    """Files and variables that SCORE needs."""
    yield from file_troubles("page.cert_file", config.page.cert_file)
    yield from file_troubles("page.key_file", config.page.key_file, secret=True)
    for number, receiver in enumerate(config.receivers, 1):
        key = f"receivers[{number}]"
        yield from variable_troubles(f"{key}.secret_env", receiver.secret_env, environ)
        yield from file_troubles(f"{key}.secret_file", receiver.secret_file, secret=True)
        yield from file_troubles(f"{key}.ca_file", receiver.ca_file)
        yield from file_troubles(f"{key}.cert_file", receiver.cert_file)
        yield from file_troubles(f"{key}.key_file", receiver.key_file, secret=True)


def _page(config: Config) -> Iterator[str]:
    page = config.page
    if (page.cert_file == "") != (page.key_file == ""):
        present, absent = ("cert_file", "key_file") if page.key_file == "" else ("key_file", "cert_file")
        yield f"page.{present} is set without page.{absent}; TLS needs both"
    host = page.listen.rpartition(":")[0]
    if not is_loopback(host) and (page.cert_file == "" or config.people == []):
        yield (
            f'page.listen "{page.listen}" can be reached from other machines, which needs page.cert_file, page.key_file and [[people]]; '
            "without them write 127.0.0.1:8765"
        )
    if host in ("0.0.0.0", "[::]") and page.hosts == []:  # noqa: S104 - that is what is asked
        yield f'page.listen "{page.listen}" answers to no name; put those that browsers use into page.hosts'
    if not is_loopback(page.route_listen.rpartition(":")[0]):
        yield f'page.route_listen "{page.route_listen}" has no login and must be on loopback, for example 127.0.0.1:8766'


def _people(config: Config) -> Iterator[str]:
    names, digests = set[str](), set[str]()
    known = {topic.tenant for topic in config.topics} | {observer.tenant for observer in config.observers if observer.tenant != ""}
    for number, person in enumerate(config.people, 1):
        key = f"people[{number}]"
        if person.name.strip() == "" or person.name in names:
            yield f"{key}.name must be a name that nobody else here has"
        if DIGEST.fullmatch(person.token_sha256) is None:
            yield f"{key}.token_sha256 must be 64 hexadecimal digits; `tuermer page login {person.name}` prints them"
        elif person.token_sha256 in digests:
            yield f"{key}.token_sha256 is that of another person; each needs a token of their own"
        for tenant in person.tenants:
            if known != set() and tenant not in known:
                yield f"{key}.tenants holds {tenant}, which is not a tenant of any of [[topics]]"
        names.add(person.name)
        digests.add(person.token_sha256)


def _receivers(config: Config) -> Iterator[str]:
    names = {"kafka"}
    for number, receiver in enumerate(config.receivers, 1):
        key = f"receivers[{number}]"
        if NAME.fullmatch(receiver.name) is None or receiver.name in names:
            yield f'{key}.name "{receiver.name}" must be letters, digits, dot, dash and underscore, not kafka, and used once'
        names.add(receiver.name)
        yield from _webhook(key, receiver) if receiver.type == "webhook" else _syslog(key, receiver)
        if (receiver.cert_file == "") != (receiver.key_file == ""):
            yield f"{key} needs both cert_file and key_file, or neither"


def _webhook(key: str, receiver: Receiver) -> Iterator[str]:
    parts = urlsplit(receiver.url)
    if parts.scheme not in ("http", "https") or parts.hostname is None or parts.username is not None:
        yield f'{key}.url "{receiver.url}" is not https://host/path without a login'
    elif parts.scheme == "http" and not is_loopback(parts.hostname):
        yield f"{key}.url {receiver.url} would send alerts unencrypted to another machine; use https://"
    if (receiver.secret_env == "") == (receiver.secret_file == ""):
        yield f"{key} needs secret_env or secret_file, one of them: its messages are signed"
    if receiver.address != "":
        yield f"{key}.address is for syslog; a webhook has url"


def _syslog(key: str, receiver: Receiver) -> Iterator[str]:
    if ADDRESS.fullmatch(receiver.address) is None:
        yield f'{key}.address "{receiver.address}" is not host:port'
    elif not receiver.tls and not is_loopback(receiver.address.rpartition(":")[0]):
        yield f"{key}.tls = false would send alerts unencrypted to {receiver.address}; only this machine may be told like that"
    for name in ("url", "secret_env", "secret_file"):
        if getattr(receiver, name) != "":
            yield f"{key}.{name} is for webhooks"
