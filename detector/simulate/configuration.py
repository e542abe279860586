"""The configuration with which Türmer reads the simulated city, as an administrator would write it."""

from __future__ import annotations

from collections.abc import Iterable

from detector.simulate import cloud, places

_NETWORKS = (  # third octets / prefix length, kind, name
    ("10.0/24", "server", "server"), ("12.0/22", "server", "rechenzentrum"), ("30.0/24", "server", "drucker"), ("48.0/20", "wifi", "wlan"),
    ("64.0/18", "vpn", "vpn"), ("128.0/17", "client", "arbeitsplatz"), ("192.0/18", "client", "aussenstelle"),
)  # fmt: skip
_DOMAINS = tuple(f"{site.tenant}.example" for site in (places.SITES[0], places.SITES[2]))
_ACCOUNTS = (("svc-*", "service"), ("lieferant*", "service"), ("root", "service"), ("*$", "machine"), ("adm.*", "admin"), ("*.*", "person"))


def _table(table: str, /, **values: str | bool) -> str:
    lines = (f"{key} = {str(value).lower() if isinstance(value, bool) else _quoted(value)}" for key, value in values.items())
    return "\n".join((f"[[{table}]]", *lines))


def _quoted(text: str) -> str:
    return f"'{text}'" if '"' in text else f'"{text}"'


_FIREWALLS = (
    ("fw-rathaus", 'devname="fw-rathaus"', "fortigate", 0), ("gw-bauhof", " gw-bauhof kernel", "netfilter", 1),
    ("pa-leitstelle", " pa-leitstelle 1,", "panos", 2), ("asa-rathaus", " asa-rathaus : %ASA", "cisco_asa", 0),
)  # fmt: skip


def _observer(topic: str, match: str, site: int, name: str = "", form: str = "") -> str:
    home = places.SITES[site]
    named = {"name": name} if name != "" else {}
    return _table("observers", topic=topic, match=match, **named, tenant=home.tenant, site=home.name, format=form)


def _observers() -> Iterable[str]:
    """Who writes into the two topics: the cloud's tenants first; hosts are known by the site in their names.

    A Linux host's programs (sshd, sudo, cron) have several formats, so theirs is recognised.
    """
    for name, match, form, at in _FIREWALLS:
        yield _observer("firewall", match, at, name, form)
    for name, realm, at in (("entra-stadt", cloud.REALMS[0], 0), ("entra-stadtwerke", cloud.REALMS[1], 2)):
        yield _observer("auth", f'"resourceId":"/tenants/{realm}', at, name, "entra")
    yield _observer("auth", '"hostName":"sso-rathaus"', 0, "sso-rathaus", "keycloak")
    for number, site in enumerate(places.SITES):
        yield _observer("auth", f'-{site.name}.{site.tenant}.example"}}', number, form="windows_security")
        yield _observer("auth", f"-{site.name} ", number)


def _hosts() -> Iterable[str]:
    """The names that are servers'; every other machine is somebody's."""
    for pattern in (*(f"*-{site.name}" for site in places.SITES), *(f"*-{site.name}.*.example" for site in places.SITES)):
        yield _table("hosts", pattern=pattern)


def _networks() -> Iterable[str]:
    for number, site in enumerate(places.SITES):
        for suffix, kind, name in _NETWORKS:
            yield _table("networks", cidr=f"{site.prefix}.{suffix}", kind=kind, name=f"{site.name}-{name}", tenant=site.tenant,
                site=site.name, critical=name in ("server", "rechenzentrum"))  # fmt: skip
        yield _table(
            "networks", cidr=f"203.0.113.{64 * number}/26", kind="dmz", name=f"{site.name}-dmz", tenant=site.tenant, site=site.name
        )
        yield _table("networks", cidr=f"2001:db8:{10 * (number + 1)}::/48", kind="client", name=f"{site.name}-arbeitsplatz-v6",
            tenant=site.tenant, site=site.name)  # fmt: skip


def toml(extra: str = "", files: str = "") -> str:
    """[[topics]], [[observers]], [[networks]], [[hosts]], [[accounts]]; `extra` tables stand before them.

    files: the folder of `roles.csv` and `networks.csv`, named in [privacy] and [enrichment]; `extra` must then have neither.
    """
    folder = "" if files == "" else files.rstrip("/") + "/"
    tables = [
        extra.strip(),
        f'[privacy]\nroles_file = "{folder}roles.csv"\ndomains = [{", ".join(map(_quoted, _DOMAINS))}]' if files != "" else "",
        f'[enrichment]\nnetworks_file = "{folder}networks.csv"' if files != "" else "",
        *(_table("topics", name=topic, tenant="stadt", site="rathaus", timezone="Europe/Berlin") for topic in ("firewall", "auth")),
        *_observers(),
        *_networks(),
        *_hosts(),
        *(_table("accounts", pattern=pattern, kind=kind) for pattern, kind in _ACCOUNTS),
    ]
    return "\n\n".join(table for table in tables if table != "") + "\n"
