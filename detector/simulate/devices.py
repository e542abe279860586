"""Flows, and how each site's firewall writes them down."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from detector.simulate import places
from detector.simulate.wire import IPV6, Int64, Press, Sheet

WAN, CLIENT, SERVER, VPN, PRINTER, DMZ = range(6)
TCP, UDP = 6, 17
COUNTRIES = ("Germany", "Germany", "Netherlands", "United States", "Ireland", "France", "China", "Brazil", "Vietnam", "Poland")
SERVICES = (  # what FortiGate and PAN-OS call them
    ("HTTPS", "ssl"), ("HTTP", "web-browsing"), ("udp/443", "quic"), ("DNS", "dns"), ("SMB", "ms-ds-smbv3"),
    ("tcp/8443", "ssl"), ("KERBEROS", "kerberos"), ("LDAP", "ldap"), ("tcp/9100", "hp-jetdirect"), ("NTP", "ntp-base"),
    ("SSH", "ssh"), ("RDP", "ms-rdp"), ("SMTP", "smtp"), ("SNMP", "snmp"), ("tcp/10000", "veeam"), ("other", "incomplete"),
    ("tcp/1433", "mssql-db"), ("WINRM", "windows-remote-management"), ("FTP", "ftp"),
)  # fmt: skip
_DEPOT = places.ip("10.20.0.0") >> 16
HTTPS, HTTP, QUIC, DNS, SMB, APP, KERBEROS, LDAP, PRINT, NTP, SSH, RDP, SMTP, SNMP, BACKUP, OTHER, SQL, WINRM, FTP = range(19)


@dataclass(frozen=True, slots=True)
class Flows:
    """n connections, struct of arrays; all int64 but `denied`."""

    times: Int64  # µs, the end of the connection, when a firewall logs it
    src: Int64
    dst: Int64
    sport: Int64
    dport: Int64
    proto: Int64
    sent: Int64
    received: Int64
    duration: Int64  # s
    service: Int64  # index into SERVICES
    user: Int64  # code, 0 = unknown to the firewall
    session: Int64
    denied: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.times)

    def pick(self, rows: NDArray[np.bool_]) -> Flows:
        return Flows(*(getattr(self, f.name)[rows] for f in fields(self)))


def flows(rng: np.random.Generator, times: Int64, *, denied: NDArray[np.bool_] | None = None, **given: Int64 | int) -> Flows:
    """Flows at the given times; what is not given is a usual value (a high source port, a small TCP exchange)."""
    n = len(times)
    columns: dict[str, Int64 | int] = {
        "sport": rng.integers(49_152, 65_536, n), "proto": TCP, "sent": 0, "received": 0, "duration": 0, "service": OTHER,
        "user": 0, "session": rng.integers(1_000_000, 900_000_000, n), **given,
    }  # fmt: skip
    full = {name: value if isinstance(value, np.ndarray) else np.full(n, value) for name, value in columns.items()}
    return Flows(times=times, denied=np.zeros(n, np.bool_) if denied is None else denied, **full)


def refused(flow: Flows) -> Flows:
    return replace(flow, denied=np.ones(len(flow), np.bool_))


def concat(parts: list[Flows]) -> Flows:
    return Flows(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Flows)))


def zone_of(address: Int64) -> Int64:
    """The segment in which an address lies; IPv6 counts as outside (`_zones` knows which end is ours)."""
    third = address >> 8 & 255
    inside = np.select([third >= 128, third >= 64, third >= 48, third == 30], [CLIENT, VPN, CLIENT, PRINTER], SERVER)
    zone = np.where(address >> 24 == 10, inside, np.where(address >> 8 == places.SITES[0].public >> 8, DMZ, WAN))
    return np.where(address >= IPV6, WAN, zone)


def _zones(flow: Flows) -> tuple[Int64, Int64]:
    return np.where(flow.src >= IPV6, CLIENT, zone_of(flow.src)), zone_of(flow.dst)


def _country(press: Press, address: Int64) -> Int64:
    names = press.texts((*COUNTRIES, "Reserved"))
    return names[np.where(address >> 24 == 10, len(COUNTRIES), (address >> 5) * 7 % len(COUNTRIES))]


def _packets(octets: Int64) -> Int64:
    return 1 + octets // 900


def fortigate(sheet: Sheet, flow: Flows, *, truth: int = 0) -> None:
    """The town hall's FortiGate: one line at the end of a session, one per refused one."""
    press = sheet.press
    source, target = _zones(flow)
    interfaces = press.texts(("wan1", "port2", "port3", "ssl.root", "port4", "dmz"))
    roles = press.texts(("wan", "lan", "lan", "undefined", "lan", "dmz"))
    actions = press.texts(["close"] * 86 + ["client-rst"] * 7 + ["server-rst"] * 5 + ["timeout"] * 2)
    names = press.texts(name for name, _ in SERVICES)
    columns = {
        "pri": np.full(len(flow), 189), "src": flow.src, "sport": flow.sport, "dst": flow.dst, "dport": flow.dport,
        "srcintf": interfaces[source], "srcrole": roles[source], "dstintf": interfaces[target], "dstrole": roles[target],
        "country": _country(press, flow.dst), "srccountry": _country(press, flow.src), "session": flow.session,
        "proto": flow.proto, "action": np.where(flow.proto == TCP, actions[flow.session % 100], press.text("accept")),
        "policy": 10 + source * 10 + target, "service": names[flow.service], "user": flow.user, "duration": flow.duration,
        "nat": np.where(target == WAN, press.text("snat"), press.text("noop")), "sent": flow.sent, "received": flow.received,
        "sentpkt": _packets(flow.sent), "receivedpkt": _packets(flow.received),
    }  # fmt: skip
    known = flow.user != 0
    for template, rows in (("flow", ~flow.denied & ~known), ("userflow", ~flow.denied & known), ("deny", flow.denied)):
        some = {name: values[rows] for name, values in columns.items()}
        sheet.add(f"fortigate.{template}", flow.times[rows], some, truth=truth, delay=400_000)


def panos(sheet: Sheet, flow: Flows, *, truth: int = 0) -> None:
    """The control centre's PAN-OS."""
    press = sheet.press
    source, target = _zones(flow)
    zones = press.texts(("untrust", "clients", "servers", "vpn", "printers", "dmz"))
    interfaces = press.texts(("ethernet1/1", "ethernet1/2", "ethernet1/3", "tunnel.1", "ethernet1/4", "ethernet1/5"))
    apps = press.texts(app for _, app in SERVICES)
    rules = press.texts(("to-internet", "inside", "from-internet", "deny-all"))
    outward = target == WAN
    reasons = press.texts(["tcp-fin"] * 80 + ["tcp-rst-from-client"] * 12 + ["tcp-rst-from-server"] * 5 + ["aged-out"] * 3)
    columns = {
        "src": flow.src, "dst": flow.dst, "natsrc": np.where(outward, places.SITES[2].public + 1, 0),
        "natdst": np.where(outward, flow.dst, 0),
        "rule": np.where(flow.denied, rules[3], np.where(outward, rules[0], np.where(source == WAN, rules[2], rules[1]))),
        "user": flow.user, "app": apps[flow.service], "from": zones[source], "to": zones[target], "inif": interfaces[source],
        "outif": interfaces[target], "session": flow.session % 4_000_000, "sport": flow.sport, "dport": flow.dport,
        "natsport": np.where(outward, flow.sport, 0), "transport": np.where(flow.proto == TCP, press.text("tcp"), press.text("udp")),
        "bytes": flow.sent + flow.received, "sent": flow.sent, "received": flow.received,
        "packets": _packets(flow.sent) + _packets(flow.received), "begin": flow.times - flow.duration * 1_000_000,
        "duration": flow.duration, "sequence": flow.times // 100, "srccountry": _country(press, flow.src),
        "country": _country(press, flow.dst), "sentpkt": _packets(flow.sent), "receivedpkt": _packets(flow.received),
        "reason": np.where(flow.proto == TCP, reasons[flow.session % 100], reasons[99]),
    }  # fmt: skip
    for template, rows in (("flow", ~flow.denied), ("deny", flow.denied)):
        some = {name: values[rows] for name, values in columns.items()}
        sheet.add(f"panos.{template}", flow.times[rows], some, truth=truth, delay=1_100_000)


def netfilter(sheet: Sheet, flow: Flows, *, truth: int = 0) -> None:
    """The depot's Linux gateway: one line at the first packet."""
    press = sheet.press
    source, target = (np.where(address >> 16 == _DEPOT, zone_of(address), WAN) for address in (flow.src, flow.dst))
    target = np.where(flow.dst >> 8 == places.SITES[places.BAUHOF].public >> 8, DMZ, target)
    interfaces = press.texts(("wan0", "lan0", "srv0", "lan0", "lan1", ""))
    columns = {
        "verdict": np.where(flow.denied, press.text("BLOCK"), press.text("ALLOW")), "in": interfaces[source],
        "out": interfaces[target], "mac": source, "src": flow.src, "dst": flow.dst,
        "length": np.where(flow.proto == TCP, 40 + flow.session % 6 * 4, 48 + flow.session % 90),
        "ttl": np.where(source == WAN, 40 + flow.session % 80, 63), "id": flow.session & 0xFFFF, "sport": flow.sport,
        "dport": flow.dport, "window": np.where(flow.session % 3 == 0, 1024, 64_240), "payload": 28 + flow.session % 90,
    }  # fmt: skip
    for template, rows in (("tcp", flow.proto == TCP), ("udp", flow.proto == UDP)):
        some = {name: values[rows] for name, values in columns.items()}
        sheet.add(f"netfilter.{template}", flow.times[rows], some, truth=truth, delay=150_000)


def asa(sheet: Sheet, flow: Flows, *, truth: int = 0) -> None:
    """The town hall's inner firewall before its data centre: two lines for each connection, one for a refused one."""
    press = sheet.press
    source, target = (np.where(_in_data_centre(address), press.text("rz"), press.text("innen")) for address in (flow.src, flow.dst))
    columns = {
        "src": flow.src, "sport": flow.sport, "dst": flow.dst, "dport": flow.dport, "from": source, "to": target, "connection": flow.session,
        "proto": np.where(flow.proto == TCP, press.text("TCP"), press.text("UDP")), "bytes": flow.sent + flow.received,
        "duration": flow.duration, "lower": np.where(flow.proto == TCP, press.text("tcp"), press.text("udp")),
        "end": np.where(flow.proto == TCP, press.texts(["TCP FINs"] * 9 + ["TCP Reset-O"])[flow.session % 10], press.text("")),
    }  # fmt: skip
    begin = np.maximum(flow.times - flow.duration * 1_000_000, sheet.start)
    allowed, some = ~flow.denied, {name: values[~flow.denied] for name, values in columns.items()}
    for number, kind in ((TCP, "tcp"), (UDP, "udp")):
        rows = flow.proto[allowed] == number
        told = {name: values[rows] for name, values in some.items()}
        sheet.add(f"asa.built_{kind}", begin[allowed][rows], told, truth=truth, delay=300_000)
        sheet.add(f"asa.teardown_{kind}", flow.times[allowed][rows], told, truth=truth, delay=300_000)
    refusal = {name: values[flow.denied] for name, values in columns.items()}
    sheet.add("asa.deny", flow.times[flow.denied], refusal, truth=truth, delay=300_000)


def _in_data_centre(address: Int64) -> NDArray[np.bool_]:
    inside: NDArray[np.bool_] = address >> 10 == places.DATA_CENTRE >> 10
    return inside


WRITERS = (fortigate, netfilter, panos, asa)  # by site, and behind them the inner firewall


def write(sheet: Sheet, flow: Flows, site: Int64, *, truth: int = 0) -> None:
    """Each flow by the firewall of its site, at the town hall also by the one before the data centre alone.

    A flow in IPv6 never passes the depot's gateway; a sheet without flows takes none.
    """
    if not sheet.flows:
        return
    behind = (site == places.RATHAUS) & (_in_data_centre(flow.src) | _in_data_centre(flow.dst))
    firewall = np.where(behind, len(WRITERS) - 1, site)
    for number, writer in enumerate(WRITERS):
        rows = firewall == number
        if rows.any():
            writer(sheet, flow.pick(rows), truth=truth)
