"""What runs without people: servers, timers, backups, and the internet's scanners at the city's doors."""

from __future__ import annotations

from datetime import date

import numpy as np

from detector.simulate import clock, devices, places
from detector.simulate.clock import HOUR, SECOND, Plan
from detector.simulate.devices import TCP, UDP, Flows
from detector.simulate.people import People
from detector.simulate.traffic import address_today, gateway_today
from detector.simulate.wire import Int64

SCANNED = np.array([23, 22, 445, 3389, 80, 443, 8080, 1433, 6379, 5900, 8443, 2323, 5555, 3306, 25, 81, 8088, 9200, 2375, 7547])
MESSENGER, ANTIVIRUS, CLOCKS, UPDATES, RESOLVERS = (places.WORLD + n for n in (5, 9, 12, 14, 17))
_EVERY = 300 * SECOND  # the monitoring server asks every server
_SERVERS = np.array([server.address for server in places.SERVERS])
_SERVER_SITES = np.array([server.site for server in places.SERVERS])
_Sited = tuple[Flows, Int64]


def ticks(start: int, end: int, period: int, phase: Int64) -> tuple[Int64, Int64]:
    """Moments phase + k·period in [start, end): the index into `phase` of each, and the moments (µs)."""
    first = -((phase - start) // period)  # smallest k with phase + k·period ≥ start
    count = np.maximum(0, -((phase + first * period - end) // period))
    who = np.repeat(np.arange(len(phase)), count)
    step = np.arange(len(who)) - np.repeat(np.cumsum(count) - count, count)
    return who, phase[who] + (first[who] + step) * period


def timers(rng: np.random.Generator, people: People, day: Plan, start: int, end: int) -> list[_Sited]:
    """Regular as beacons are, but everyone has them: messenger, virus scanner; and the monitoring of the servers."""
    awake = np.flatnonzero(day.works & (day.start < end) & (day.end > start))
    src, gateway = address_today(people, day)[awake], gateway_today(people, day)[awake]
    parts = []
    for host, period, octets in ((MESSENGER, 600, 900), (ANTIVIRUS, 1800, 2600)):
        who, times = ticks(start, end, period * SECOND, awake * 37 * SECOND)
        n = len(times)
        flow = devices.flows(
            rng, times + rng.integers(0, 8 * SECOND, n), src=src[who], dst=host + awake[who] % 3, dport=443,
            service=devices.HTTPS, sent=octets + rng.integers(0, 300, n), received=octets * 2 + rng.integers(0, 2000, n), duration=2,
        )  # fmt: skip
        parts.append((flow, gateway[who]))
    return [*parts, *(_monitoring(rng, site, start, end) for site in range(3))]


def _monitoring(rng: np.random.Generator, site: int, start: int, end: int) -> _Sited:
    targets = places.of(site)
    source = int(places.addresses(places.MONITOR)[site])
    targets = targets[targets != source]
    who, times = ticks(start, end, _EVERY, np.arange(len(targets)) * 4 * SECOND)
    snmp = who % 2 == 0
    flow = devices.flows(
        rng, times + rng.integers(0, SECOND // 5, len(times)), src=source, dst=targets[who], dport=np.where(snmp, 161, 443),
        proto=np.where(snmp, UDP, TCP), service=np.where(snmp, devices.SNMP, devices.HTTPS), sent=640, received=1800, duration=1,
    )  # fmt: skip
    return flow, np.full(len(times), site)


def servers(rng: np.random.Generator, start: int, end: int, bustle: float, volume: float) -> list[_Sited]:
    """Name resolution, clocks, mail, the public web pages; `bustle` is the share of people at work."""
    hours = (end - start) / HOUR * volume
    parts = []
    for site, dc in enumerate(places.addresses(places.HOME_DC).tolist()):
        if site == places.BAUHOF:
            continue  # asks the town hall's
        n = rng.poisson(hours * (60 + 900 * bustle))
        parts.append(_sited(rng, site, rng.integers(start, end, n), src=dc, dst=RESOLVERS + rng.integers(0, 2, n), dport=53,
            proto=UDP, service=devices.DNS, sent=rng.integers(58, 96, n), received=rng.integers(80, 420, n)))  # fmt: skip
        n = rng.poisson(hours * 6)
        parts.append(_sited(rng, site, rng.integers(start, end, n), src=dc, dst=CLOCKS + rng.integers(0, 2, n), dport=123,
            proto=UDP, service=devices.NTP, sent=76, received=76))  # fmt: skip
    n = rng.poisson(hours * 1.2 * len(places.SERVERS))
    who = rng.integers(0, len(places.SERVERS), n)
    update = devices.flows(
        rng, rng.integers(start, end, n), src=_SERVERS[who], dst=UPDATES + rng.integers(0, 3, n), dport=443, service=devices.HTTPS,
        sent=rng.integers(900, 4000, n), received=np.exp(rng.normal(9.5, 2.2, n)).astype(np.int64), duration=rng.integers(1, 40, n),
    )  # fmt: skip
    parts.append((update, _SERVER_SITES[who]))
    for name, port, service, rate in (("mail-rathaus", 25, devices.SMTP, 30), ("web-rathaus", 443, devices.HTTPS, 260)):
        n = rng.poisson(hours * rate * (0.15 + bustle))
        visitors = places.PROVIDERS + rng.integers(0, 32_768, n) if port == 443 else places.WORLD + 40 + rng.integers(0, 400, n)
        parts.append(_sited(rng, 0, rng.integers(start, end, n), src=visitors, dst=places.BY_NAME[name].address, dport=port,
            service=service, sent=np.exp(rng.normal(7.4, 1.2, n)).astype(np.int64),
            received=np.exp(rng.normal(9.2, 1.5, n)).astype(np.int64), duration=rng.integers(1, 60, n)))  # fmt: skip
    return parts


def _sited(rng: np.random.Generator, site: int, times: Int64, **given: Int64 | int) -> _Sited:
    return devices.flows(rng, times, denied=None, **given), np.full(len(times), site)


def backups(rng: np.random.Generator, seed: int, day: date, start: int, end: int) -> list[_Sited]:
    """Between one and four at night each server is fetched once, a little later each time it grew."""
    plan = np.random.default_rng([seed, day.toordinal(), 2])
    begins = clock.midnight(day) + HOUR + (np.sort(plan.random(len(places.SERVERS))) * 3 * HOUR).astype(np.int64)
    octets = np.exp(plan.normal(22.5, 1.0, len(begins))).astype(np.int64)
    rows = np.flatnonzero((begins >= start) & (begins < end))
    sites, targets = _SERVER_SITES[rows], _SERVERS[rows]
    flow = devices.flows(
        rng, begins[rows], src=places.addresses(places.BACKUP)[sites], dst=targets, dport=10_000, service=devices.BACKUP,
        sent=octets[rows] // 400, received=octets[rows], duration=octets[rows] // 50_000_000,
    )  # fmt: skip
    return [(flow, sites)]


def scanners(rng: np.random.Generator, seed: int, day: date, start: int, end: int, volume: float) -> list[_Sited]:
    """The internet at the doors: a few busy scanners of the day, a long tail of others; everything refused."""
    busy = places.SCANNERS + np.random.default_rng([seed, day.toordinal(), 3]).integers(0, 60_000, 40)
    parts = []
    for site in range(3):
        n = rng.poisson((end - start) / SECOND * 0.12 * volume)
        source = np.where(rng.random(n) < 0.5, busy[rng.integers(0, 40, n) * rng.integers(0, 40, n) // 40],
            places.SCANNERS + rng.integers(0, 60_000, n))  # fmt: skip
        port = np.where(rng.random(n) < 0.7, SCANNED[(rng.random(n) ** 2 * len(SCANNED)).astype(np.int64)], rng.integers(1, 65_536, n))
        sip = rng.random(n) < 0.04
        parts.append(_sited(rng, site, rng.integers(start, end, n), src=source, dst=places.SITES[site].public + rng.integers(1, 31, n),
            dport=np.where(sip, 5060, port), proto=np.where(sip, UDP, TCP)))  # fmt: skip
        parts[-1] = (devices.refused(parts[-1][0]), parts[-1][1])
    return parts
