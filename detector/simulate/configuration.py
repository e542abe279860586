"""The configuration with which Türmer reads the simulated city, as an administrator would write it."""

from __future__ import annotations

from collections.abc import Iterable

from detector.simulate import places

_NETWORKS = (  # third octets / prefix length, kind, name
    ("10.0/24", "server", "server"), ("30.0/24", "server", "drucker"), ("50.0/24", "wifi", "wlan"), ("64.0/18", "vpn", "vpn"),
    ("128.0/17", "client", "arbeitsplatz"),
)  # fmt: skip
_ACCOUNTS = (("svc-*", "service"), ("lieferant*", "service"), ("root", "service"), ("*$", "machine"), ("adm.*", "admin"), ("*.*", "person"))


def _table(table: str, /, **values: str | bool) -> str:
    lines = (f"{key} = {str(value).lower() if isinstance(value, bool) else _quoted(value)}" for key, value in values.items())
    return "\n".join((f"[[{table}]]", *lines))


def _quoted(text: str) -> str:
    return f"'{text}'" if '"' in text else f'"{text}"'


_FIREWALLS = (
    ("fw-rathaus", 'devname="fw-rathaus"', "fortigate"), ("gw-bauhof", " gw-bauhof kernel", "netfilter"),
    ("pa-leitstelle", " pa-leitstelle 1,", "panos"),
)  # fmt: skip


def _observers() -> Iterable[str]:
    """Who writes into the two topics; a Linux host's programs (sshd, sudo, cron) have several formats."""
    for site, (name, match, form) in zip(places.SITES, _FIREWALLS, strict=True):
        yield _table("observers", topic="firewall", match=match, name=name, tenant=site.tenant, site=site.name, format=form)
    for server in places.SERVERS:
        home = places.SITES[server.site]
        match = f'"host":{{"name":"{server.name}.{home.tenant}.example"' if server.windows else f" {server.name} "
        form = "windows_security" if server.windows else ""
        yield _table("observers", topic="auth", match=match, name=server.name, tenant=home.tenant, site=home.name, format=form)


def _hosts() -> Iterable[str]:
    """The names that are servers'; every other machine is somebody's."""
    for pattern in (*(f"*-{site.name}" for site in places.SITES), *(f"*-{site.name}.*.example" for site in places.SITES)):
        yield _table("hosts", pattern=pattern)


def _networks() -> Iterable[str]:
    for number, site in enumerate(places.SITES):
        for suffix, kind, name in _NETWORKS:
            yield _table("networks", cidr=f"{site.prefix}.{suffix}", kind=kind, name=f"{site.name}-{name}", tenant=site.tenant,
                site=site.name, critical=name == "server")  # fmt: skip
        yield _table(
            "networks", cidr=f"203.0.113.{64 * number}/26", kind="dmz", name=f"{site.name}-dmz", tenant=site.tenant, site=site.name
        )
        yield _table("networks", cidr=f"2001:db8:{10 * (number + 1)}::/48", kind="client", name=f"{site.name}-arbeitsplatz-v6",
            tenant=site.tenant, site=site.name)  # fmt: skip


def toml(extra: str = "") -> str:
    """[[topics]], [[observers]], [[networks]], [[hosts]], [[accounts]]; `extra` stands before them."""
    tables = [
        extra.strip(),
        *(_table("topics", name=topic, tenant="stadt", site="rathaus", timezone="Europe/Berlin") for topic in ("firewall", "auth")),
        *_observers(),
        *_networks(),
        *_hosts(),
        *(_table("accounts", pattern=pattern, kind=kind) for pattern, kind in _ACCOUNTS),
    ]
    return "\n\n".join(table for table in tables if table != "") + "\n"
