"""What runs without people: servers, timers, backups, and the internet's scanners at the city's doors."""

from __future__ import annotations

from datetime import date

import numpy as np

from detector.simulate import clock, devices, holidays, outside, places
from detector.simulate.clock import HOUR, SECOND, Plan
from detector.simulate.devices import TCP, UDP, Flows
from detector.simulate.town import Town
from detector.simulate.traffic import address_today, gateway_today
from detector.simulate.wire import Int64

SCANNED = np.array([23, 22, 445, 3389, 80, 443, 8080, 1433, 6379, 5900, 8443, 2323, 5555, 3306, 25, 81, 8088, 9200, 2375, 7547])
MESSENGER, ANTIVIRUS, CLOCKS, UPDATES, RESOLVERS, OFFSITE = (outside.WORLD + n for n in (5, 9, 12, 14, 17, 19))
_EVERY = 300 * SECOND  # the monitoring server asks every server
_AGENTS = 3  # in a hundred computers
_Sited = tuple[Flows, Int64]


def ticks(start: int, end: int, period: int, phase: Int64) -> tuple[Int64, Int64]:
    """Moments phase + k·period in [start, end): the index into `phase` of each, and the moments (µs)."""
    first = -((phase - start) // period)  # smallest k with phase + k·period ≥ start
    count = np.maximum(0, -((phase + first * period - end) // period))
    who = np.repeat(np.arange(len(phase)), count)
    step = np.arange(len(who)) - np.repeat(np.cumsum(count) - count, count)
    return who, phase[who] + (first[who] + step) * period


def timers(rng: np.random.Generator, town: Town, day: Plan, start: int, end: int) -> list[_Sited]:
    """Regular as beacons are, but everyone has them: messenger, virus scanner; and the monitoring of the servers."""
    people = town.people
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
    monitoring = (_monitoring(rng, town, site, start, end) for site in range(town.sites))
    return [*parts, *monitoring, _agents(rng, town, day, start, end), _printers(rng, town, start, end)]


def _agents(rng: np.random.Generator, town: Town, day: Plan, start: int, end: int) -> _Sited:
    """A program on a few computers asks its maker's own server every few minutes: as regular and as rare as a beacon."""
    on = day.works & (day.start < end) & (day.end > start)
    who = np.flatnonzero(on & (np.arange(len(town.people)) * 7919 % 100 < _AGENTS))
    src, gateway = address_today(town.people, day)[who], gateway_today(town.people, day)[who]
    which, times = ticks(start, end, 240 * SECOND, who * 41 * SECOND)
    n = len(times)
    flow = devices.flows(
        rng, times + rng.integers(0, 20 * SECOND, n), src=src[which], dst=outside.WORLD + 24_000 + who[which] % 17, dport=443,
        service=devices.HTTPS, sent=610 + rng.integers(0, 40, n), received=840 + rng.integers(0, 60, n), duration=1,
    )  # fmt: skip
    return flow, gateway[which]


def _printers(rng: np.random.Generator, town: Town, start: int, end: int) -> _Sited:
    """Quiet devices: a printer asks for the time every hour or so and nothing else."""
    printers = (places.PRINTERS[: town.sites, None] + np.arange(town.printers)).ravel()
    site = np.repeat(np.arange(town.sites), town.printers)
    who, times = ticks(start, end, 64 * 60 * SECOND, np.arange(len(printers)) * 97 * SECOND)
    flow = devices.flows(
        rng, times, src=printers[who], dst=places.addresses(places.HOME_DC)[site[who]], dport=123, proto=UDP, service=devices.NTP,
        sent=76, received=76,
    )  # fmt: skip
    return flow, site[who]


def _monitoring(rng: np.random.Generator, town: Town, site: int, start: int, end: int) -> _Sited:
    targets = town.estate.address[town.estate.at(site)]
    source = int(places.addresses(places.MONITOR)[site])
    targets = targets[targets != source]
    who, times = ticks(start, end, _EVERY, np.arange(len(targets)) * 4 * SECOND)
    snmp = who % 2 == 0
    flow = devices.flows(
        rng, times + rng.integers(0, SECOND // 5, len(times)), src=source, dst=targets[who], dport=np.where(snmp, 161, 443),
        proto=np.where(snmp, UDP, TCP), service=np.where(snmp, devices.SNMP, devices.HTTPS), sent=640, received=1800, duration=1,
    )  # fmt: skip
    return flow, np.full(len(times), site)


def servers(rng: np.random.Generator, town: Town, start: int, end: int, bustle: float, volume: float) -> list[_Sited]:
    """Name resolution, clocks, mail, the public web pages; `bustle` is the share of people at work."""
    hours = (end - start) / HOUR * volume
    crowd = max(1.0, len(town.people) / 300)
    parts = []
    for site, dc in enumerate(places.addresses(places.HOME_DC).tolist()[: town.sites]):
        if site == places.BAUHOF:
            continue  # asks the town hall's
        n = rng.poisson(hours * (60 + 900 * bustle) * crowd)
        parts.append(_sited(rng, site, rng.integers(start, end, n), src=dc, dst=RESOLVERS + rng.integers(0, 2, n), dport=53,
            proto=UDP, service=devices.DNS, sent=rng.integers(58, 96, n), received=rng.integers(80, 420, n)))  # fmt: skip
        n = rng.poisson(hours * 6)
        parts.append(_sited(rng, site, rng.integers(start, end, n), src=dc, dst=CLOCKS + rng.integers(0, 2, n), dport=123,
            proto=UDP, service=devices.NTP, sent=76, received=76))  # fmt: skip
    n = rng.poisson(hours * 1.2 * len(town.estate.servers))
    who = rng.integers(0, len(town.estate.servers), n)
    update = devices.flows(
        rng, rng.integers(start, end, n), src=town.estate.address[who], dst=UPDATES + rng.integers(0, 3, n), dport=443, service=devices.HTTPS,
        sent=rng.integers(900, 4000, n), received=np.exp(rng.normal(9.5, 2.2, n)).astype(np.int64), duration=rng.integers(1, 40, n),
    )  # fmt: skip
    parts.append((update, town.estate.site[who]))
    for name, port, service, rate in (("mail-rathaus", 25, devices.SMTP, 30), ("web-rathaus", 443, devices.HTTPS, 260)):
        n = rng.poisson(hours * rate * (0.15 + bustle) * crowd**0.5)
        citizens = outside.address("home", outside.chosen(rng.random(n)), rng.integers(0, 40_000, n))
        visitors = citizens if port == 443 else outside.WORLD + 40 + rng.integers(0, 400, n)
        parts.append(_sited(rng, 0, rng.integers(start, end, n), src=visitors, dst=places.BY_NAME[name].address, dport=port,
            service=service, sent=np.exp(rng.normal(7.4, 1.2, n)).astype(np.int64),
            received=np.exp(rng.normal(9.2, 1.5, n)).astype(np.int64), duration=rng.integers(1, 60, n)))  # fmt: skip
    return parts


def _sited(rng: np.random.Generator, site: int, times: Int64, **given: Int64 | int) -> _Sited:
    return devices.flows(rng, times, denied=None, **given), np.full(len(times), site)


def backup_times(town: Town, day: date) -> tuple[Int64, Int64]:
    """When each server is fetched on a civil day (µs), between one and four at night, and its bytes; they grow and shrink."""
    plan = np.random.default_rng([town.seed, day.toordinal(), 2])
    n = len(town.estate.servers)
    begins = clock.midnight(day) + HOUR + (np.sort(plan.random(n)) * 3 * HOUR).astype(np.int64)
    return begins, np.exp(plan.normal(22.5, 1.0, n)).astype(np.int64)


def backups(rng: np.random.Generator, town: Town, day: date, start: int, end: int) -> list[_Sited]:
    """Each server is fetched once a night; then a copy of the night leaves the city, ten to forty gigabytes."""
    begins, octets = backup_times(town, day)
    rows = np.flatnonzero((begins >= start) & (begins < end))
    sites = town.estate.site[rows]
    flow = devices.flows(
        rng, begins[rows], src=places.addresses(places.BACKUP)[sites], dst=town.estate.address[rows], dport=10_000, service=devices.BACKUP,
        sent=octets[rows] // 400, received=octets[rows], duration=octets[rows] // 50_000_000,
    )  # fmt: skip
    return [(flow, sites), _copies(rng, town, day, start, end)]


def _copies(rng: np.random.Generator, town: Town, day: date, start: int, end: int) -> _Sited:
    dice = np.random.default_rng([town.seed, day.toordinal(), 10])
    sites = np.unique(np.array([places.BY_NAME[name].site for name in places.BACKUP[: town.sites]]))
    at = clock.midnight(day) + 4 * HOUR + (dice.random((len(sites), 8)) * HOUR).astype(np.int64)
    octets = dice.uniform(1.2e9, 5e9, at.shape).astype(np.int64)
    row, column = np.nonzero((at >= start) & (at < end))
    flow = devices.flows(
        rng, at[row, column], src=places.addresses(places.BACKUP)[sites[row]], dst=OFFSITE + row, dport=443, service=devices.HTTPS,
        sent=octets[row, column], received=octets[row, column] // 300, duration=octets[row, column] // 20_000_000,
    )  # fmt: skip
    return flow, sites[row]


_PROBED = np.concatenate([SCANNED, np.array([21, 53, 88, 110, 111, 135, 139, 143, 389, 443, 464, 587, 593, 636, 993, 995, 1521, 2049, 3268, 5432,
    5985, 5986, 8000, 8081, 8888, 9000, 9090, 9100, 10000, 27017])])  # fmt: skip
_PROBES_A_SECOND = 4


def vulnerability_scan(rng: np.random.Generator, town: Town, day: date, start: int, end: int) -> list[_Sited]:
    """Wednesdays from seven in the evening the town hall's scanner tries fifty ports of every server of its tenant."""
    begin = clock.midnight(day) + 19 * HOUR
    if day.weekday() != 2 or end <= begin:
        return []
    targets = np.random.default_rng([town.seed, day.toordinal(), 9]).permutation(np.flatnonzero(town.estate.site != places.LEITSTELLE))
    probes = len(targets) * len(_PROBED)
    first, last = ((max(at, begin) - begin) * _PROBES_A_SECOND // SECOND for at in (start, end))
    number = np.arange(min(first, probes), min(last, probes))
    target, port = targets[number // len(_PROBED)], _PROBED[number % len(_PROBED)]
    answered = (number * 7919 + target) % 11 == 0
    flow = devices.flows(
        rng, begin + number * SECOND // _PROBES_A_SECOND, src=places.BY_NAME["scan-rathaus"].address, dst=town.estate.address[target],
        dport=port, sent=np.where(answered, 420, 60), received=np.where(answered, 900, 40),
    )  # fmt: skip
    return [(flow, town.estate.site[target])]


def patches(rng: np.random.Generator, town: Town, day: date, start: int, end: int) -> list[_Sited]:
    """In the patch night every server fetches its updates and starts again."""
    if not holidays.is_patch_night(day):
        return []
    at = patch_times(town, day)
    rows = np.flatnonzero((at >= start) & (at < end))
    again = np.repeat(rows, 6)
    n = len(again)
    flow = devices.flows(
        rng, at[again] + rng.integers(0, 240 * SECOND, n), src=town.estate.address[again], dst=UPDATES + rng.integers(0, 3, n), dport=443,
        service=devices.HTTPS, sent=rng.integers(2_000, 9_000, n), received=np.exp(rng.normal(17.5, 1.2, n)).astype(np.int64), duration=90,
    )  # fmt: skip
    return [(flow, town.estate.site[again])]


def patch_times(town: Town, day: date) -> Int64:
    """When each server is patched in a patch night, between eight and midnight (µs), in the order of their names."""
    n = len(town.estate.servers)
    return clock.midnight(day) + 20 * HOUR + (np.arange(n) * 4 * HOUR) // n


def wave(seed: int, at: int, door: int) -> float:
    """How busy the internet is at a door in this hour: 1 on average, log-normal with deviation 0.7 from hour to hour."""
    hour = np.array([at // HOUR * 64 + door + (seed % 4096 << 40)])
    # Two mixed numbers make a normal one (Box and Muller 1958).
    u, v = float(outside.share(hour)[0]), float(outside.share(hour + (1 << 60))[0])
    normal = np.sqrt(-2 * np.log(max(u, 1e-12))) * np.cos(2 * np.pi * v)
    return float(np.exp(0.7 * normal - 0.245))


def scanners(rng: np.random.Generator, town: Town, day: date, start: int, end: int, volume: float) -> list[_Sited]:
    """The internet at the doors: a few busy scanners of the day, a long tail of others, in waves; everything refused."""
    busy = outside.SCANNERS + np.random.default_rng([town.seed, day.toordinal(), 3]).integers(0, 32_000, 40)
    parts = []
    for site in range(town.sites):
        n = rng.poisson((end - start) / SECOND * 0.12 * volume * wave(town.seed, start, site))
        source = np.where(rng.random(n) < 0.5, busy[rng.integers(0, 40, n) * rng.integers(0, 40, n) // 40],
            outside.SCANNERS + rng.integers(0, 32_000, n))  # fmt: skip
        port = np.where(rng.random(n) < 0.7, SCANNED[(rng.random(n) ** 2 * len(SCANNED)).astype(np.int64)], rng.integers(1, 65_536, n))
        sip = rng.random(n) < 0.04
        flow, sites = _sited(rng, site, rng.integers(start, end, n), src=source, dst=places.SITES[site].public + rng.integers(1, 31, n),
            dport=np.where(sip, 5060, port), proto=np.where(sip, UDP, TCP))  # fmt: skip
        parts.append((devices.refused(flow), sites))
    return parts
