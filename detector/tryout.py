"""Looking at lines without storing anything: `tuermer decode` for single lines, `tuermer try` for a topic."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from detector.config import Config, ConfigError, Topic
from detector.configload import load
from detector.decode import Decoded, Decoder, ecs, to_json
from detector.decode.address import text
from detector.privacy.networks import UNLISTED, NetworkTable
from detector.records import MEMORY, of_lines
from detector.sources import kafka
from detector.sources.client import reachable

Answer = dict[str, str | int]
SHOWN = 12  # networks that a report lists
INSIDE = tuple(map(ipaddress.ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fe80::/10")))


def decode_lines(batches: Iterable[list[bytes]], format_: str, year: int | None, timezone: str, now: int) -> Iterator[list[Answer]]:
    """One dictionary per line, in order. `now` (µs) stands for the record's time where `year` is not given.

    Raises ConfigError for an unknown format or time zone.
    """
    topic = Topic(name=MEMORY.topic, tenant="-", format=format_, timezone=timezone)
    try:
        decoder = Decoder.build([topic], year=year or 0)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    first = 0
    for lines in batches:
        records = of_lines(lines, first=first, timestamp=now if year is None else 0)
        yield to_json(decoder.decode(records), len(records))
        first += len(lines)


@dataclass(frozen=True, slots=True)
class Device:
    """What one observer's lines would become."""

    name: str
    formats: dict[str, int]
    lines: int
    clock_offset: float  # s, median of event time minus record time
    filled: dict[str, float]  # share of the events in which a column has a value


def report(path: Path, topic: str, most: int, environ: Mapping[str, str]) -> str:
    """What 10,000 records of a topic would become, and the configuration that is still missing. Raises ConfigError."""
    config = load(path, environ)
    if config.kafka is None:
        raise ConfigError(f"{path.name}: [kafka] is missing")
    reachable(config.kafka)
    records = kafka.sample(config.kafka, topic, most)
    known = [t for t in config.topics if t.name == topic] or [Topic(name=topic, tenant="TENANT")]
    if len(records) == 0:
        return f"{topic}: no records are there now; nothing can be said about it"
    decoded = Decoder.build(known, config.observers).decode(records)
    return "\n".join(_lines(decoded, topic, len(records), config))


def _lines(decoded: Decoded, topic: str, n: int, config: Config) -> Iterator[str]:
    ignored = sum(decoded.ignored.values())
    yield f"{topic}: {n:,} records = {len(decoded.rows):,} events + {ignored:,} ignored + {len(decoded.rejects):,} dead letters"
    for (format_, reason), count in Counter((r.format or "no format", r.reason) for r in decoded.rejects).most_common(SHOWN):
        yield f"  dead letters: {count:>7,}  {format_}: {reason}"
    for device in devices(decoded):
        formats = ", ".join(f"{name} {count:,}" for name, count in device.formats.items())
        yield f"\n{device.name or '(no name)'}: {device.lines:,} events, {formats}"
        yield f"  clock: {device.clock_offset:+.0f} s from the record's time"
        yield "  filled: " + ", ".join(f"{name} {share:.0%}" for name, share in device.filled.items())
    yield from _proposal(decoded, topic, config)


def devices(decoded: Decoded) -> list[Device]:
    """One per observer.name, most lines first."""
    frame = decoded.events
    names = frame["observer.name"].cast(pl.String)
    found = []
    for (name,), part in frame.with_columns(names.alias("who")).group_by("who", maintain_order=True):
        offset = (part["@timestamp"] - part["event.created"]).dt.total_seconds().median()
        formats = dict(Counter(part["event.dataset"].cast(pl.String).to_list()).most_common())
        found.append(Device(str(name), formats, len(part), float(str(offset)), _filled(part)))
    return sorted(found, key=lambda device: -device.lines)


def _filled(part: pl.DataFrame) -> dict[str, float]:
    shares: dict[str, float] = {}
    for name in (*ecs.TEXT, *ecs.INTEGER):
        column = part[name].to_physical()
        present = (column != (0 if name in ecs.TEXT else -1)).mean()
        shares[name] = float(str(present))
    for name in ecs.ADDRESS:
        shares[name] = float(str((part[f"{name}.kind"] != ecs.ABSENT).mean()))
    return {name: share for name, share in sorted(shares.items(), key=lambda item: -item[1]) if share > 0 and not name.startswith("log.")}


def _proposal(decoded: Decoded, topic: str, config: Config) -> Iterator[str]:
    """Finished configuration for what was found: the topic, and inside networks that nobody has listed."""
    yield "\n# configuration"
    if all(t.name != topic for t in config.topics):
        formats = {format_ for device in devices(decoded) for format_ in device.formats}
        yield f'[[topics]]\nname = "{topic}"\nformat = "{formats.pop() if len(formats) == 1 else "auto"}"\ntenant = "stadt"   # yours\n'
    unlisted = unlisted_networks(decoded.events, NetworkTable.of(config.networks))
    for network, count in unlisted[:SHOWN]:
        yield f'[[networks]]  # {count:,} addresses seen\ncidr = "{network}"\nkind = "client"  # or server, vpn, wifi, guest, dmz\n'
    if unlisted == []:
        yield "# every inside address belongs to a listed network"


def unlisted_networks(events: pl.DataFrame, table: NetworkTable) -> list[tuple[str, int]]:
    """Private /24 (IPv4) and /64 (IPv6) that no [[networks]] entry covers, with the number of addresses seen in each."""
    seen: set[tuple[int, int]] = set()
    for name in ecs.ADDRESS:
        present = np.flatnonzero(ecs.numbers(events, f"{name}.kind"))
        high, low = (ecs.numbers(events, f"{name}.{part}")[present].tolist() for part in ("hi", "lo"))
        seen.update(zip(high, low, strict=True))
    counts: Counter[str] = Counter()
    for hi, lo in seen:
        address = text(hi, lo)
        if inside(address) and table.entry_of(address) == UNLISTED:
            counts[around(address)] += 1
    return counts.most_common()


def inside(address: str) -> bool:
    """RFC 1918, unique local and link-local addresses: what belongs to an organisation."""
    ip = ipaddress.ip_address(address)
    return any(ip in block for block in INSIDE if block.version == ip.version)


def around(address: str) -> str:
    return str(ipaddress.ip_network(f"{address}/{24 if ':' not in address else 64}", strict=False))
