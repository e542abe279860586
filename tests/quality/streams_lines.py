"""The five real streams as records, and what is known of each line; nothing of them is ever copied into the repository.

Labels are silver (datasets/README.md): counting rules, inspected by hand. So recall of bursts says that nothing gets lost on
the way; the injected episodes (`streams_episodes`) are the harder test.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
import zstandard
from numpy.typing import NDArray

from detector.config import Config, Host, Network, Topic
from detector.decode import Decoder, ecs
from detector.pipeline import Router, route_step
from detector.privacy import MemoryKeyring, Privacy
from detector.records import Place, Records, interleave, of_lines

DATASETS = Path(__file__).resolve().parents[3] / "shared" / "datasets"
TENANT = "stadt"
SECOND, HOUR, DAY = 1_000_000, 3_600_000_000, 86_400_000_000  # µs
BURST, SCAN = 20, 20  # attempts of a burst, ports of a vertical scan within an hour
STEP = 16_384  # records per step, as in `tuermer replay`
AUTH, UFW, STAFF, EPISODES = TOPICS = ("auth", "ufw", "staff", "episodes")


@dataclass(frozen=True, slots=True)
class Recorded:
    """One recorded host: its folder, the zone of its clock, and whether attackers reach it."""

    name: str
    folder: str
    zone: str
    noisy: bool = True
    firewall: bool = False


HOSTS = (
    Recorded("host_a", "ssh_ufw_host_a_2021", "UTC", firewall=True),
    Recorded("host_d", "ssh_host_d_2016", "America/New_York"),
    Recorded("gateway", "gateway_2016", "UTC"),
    Recorded("secrepo", "ssh_host_f_secrepo", "UTC"),
    Recorded("desktop", "desktop_2019", "UTC", noisy=False),
)


@dataclass(frozen=True, slots=True)
class Stream:
    """A host's lines in time order. Of n_auth and n_ufw lines each: label, and the burst or scan that it belongs to (-1: none)."""

    host: Recorded
    lines: tuple[Records, ...]  # one per topic
    times: tuple[NDArray[np.int64], ...]  # of their records, µs
    label: dict[str, list[str]]  # by topic
    part_of: dict[str, NDArray[np.int32]]  # by topic
    bursts: NDArray[np.int64]  # start, µs
    scans: NDArray[np.int64]
    first: int  # time of the file's first line, µs: a gateway without a clock writes lines of an earlier day after it

    @property
    def machine(self) -> str:
        """The name that most of its lines carry."""
        names = [self.lines[0].value(row).split(b" ")[:5] for row in range(0, len(self.lines[0]), 97)]
        return Counter(next(word for word in words[3:] if word != b"") for words in names).most_common(1)[0][0].decode()

    @property
    def last(self) -> int:
        return max(int(times[-1]) for times in self.times)

    @property
    def begins(self) -> int:
        """Where the test begins: after the first third, at most 7 days."""
        return self.first + min((self.last - self.first) // 3, 7 * DAY)

    @property
    def days(self) -> float:
        return (self.last - self.begins) / DAY


class Endless(MemoryKeyring):
    """One epoch for all days."""

    def key(self, tenant: str, epoch: int, purpose: str) -> bytes:
        return super().key(tenant, 0 * epoch, purpose)


def present(host: Recorded) -> bool:
    return (DATASETS / host.folder / "auth.log.zst").is_file()


def records_of(topic: str, lines: Sequence[bytes], times: NDArray[np.int64]) -> Records:
    return replace(of_lines(list(lines), Place(topic, 0)), timestamps=times.astype(np.int64))


def read(host: Recorded) -> Stream:
    folder = DATASETS / host.folder
    labels = _timed(folder / "labels.parquet", host.zone)
    bursts = _bursts(folder / "campaigns.csv", host.zone)
    lines, times = [_lines(folder / "auth.log.zst", AUTH, labels)], [labels["at"].to_numpy()]
    label, part_of = {AUTH: labels["label"].to_list()}, {AUTH: _inside(labels, bursts)}
    scans, first = np.zeros(0, np.int64), int(labels["at"][int(labels["row"].arg_min() or 0)])
    if host.firewall:
        blocks = _timed(folder / "ufw_labels.parquet", host.zone)
        lines.append(_lines(folder / "ufw.log.zst", UFW, blocks))
        times.append(blocks["at"].to_numpy())
        label[UFW] = blocks["label"].to_list()
        part_of[UFW], scans = _scans(blocks)
    return Stream(host, tuple(lines), tuple(times), label, part_of, bursts["start"].to_numpy(), scans, first)


def _timed(path: Path, zone: str) -> pl.DataFrame:
    """Labels with `at` (µs UTC) and `row`, the line's number, in time order."""
    return pl.read_parquet(path).with_row_index("row").with_columns(_utc("ts", zone).alias("at")).sort("at", maintain_order=True)


def _utc(column: str, zone: str) -> pl.Expr:
    local = pl.col(column).dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
    return local.dt.convert_time_zone("UTC").dt.epoch("us")


def _lines(path: Path, topic: str, labels: pl.DataFrame) -> Records:
    """The lines in time order; their offsets are their places in it."""
    text = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(path.read_bytes())).read().removesuffix(b"\n").split(b"\n")
    assert len(text) == len(labels), f"{path}: {len(text)} lines, {len(labels)} labels"
    return records_of(topic, [text[row] for row in labels["row"].to_list()], labels["at"].to_numpy())


def _bursts(path: Path, zone: str) -> pl.DataFrame:
    """src, start, end (µs), burst of campaigns with 20 attempts or more."""
    texts, numbers = ("src", "start", "end"), ("failures", "invalid_users")
    whole = pl.read_csv(path, schema_overrides=dict.fromkeys(texts, pl.String) | dict.fromkeys(numbers, pl.Int64))
    loud = whole.filter(pl.max_horizontal("failures", "invalid_users") >= BURST)
    times = [pl.col(name).str.to_datetime(time_unit="us", strict=False) for name in ("start", "end")]
    loud = loud.select("src", *times).with_columns(_utc("start", zone), _utc("end", zone))
    return loud.sort("start").with_row_index("burst")


def _inside(labels: pl.DataFrame, bursts: pl.DataFrame) -> NDArray[np.int32]:
    """The burst of each line (-1: none): same source, between its start and end."""
    lines = labels.select("at", pl.col("src").cast(pl.String)).with_row_index("i")
    joined = lines.join_asof(bursts.rename({"start": "at"}).sort("at"), on="at", by="src", check_sortedness=False).sort("i")
    inside = pl.when(pl.col("at") <= pl.col("end")).then(pl.col("burst").cast(pl.Int32)).otherwise(-1).fill_null(-1)
    return joined.select(inside.alias("burst"))["burst"].cast(pl.Int32).to_numpy()


def _scans(blocks: pl.DataFrame) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """The vertical scan of each blocked packet (-1: none) and when each began: runs of a source without an hour's pause, 20+ ports."""
    lines = blocks.select("at", "src", "dpt", "label").with_row_index("i").filter(pl.col("label") == "vertical_scan").sort("src", "at")
    new = (pl.col("at").diff().over("src") > HOUR).fill_null(value=True)
    runs = lines.with_columns((pl.struct("src", new.cum_sum().over("src").alias("k"))).alias("run"))
    wide = runs.group_by("run").agg(pl.col("dpt").n_unique().alias("ports"), pl.col("at").min().alias("start"))
    wide = wide.filter(pl.col("ports") >= SCAN).sort("start").with_row_index("scan")
    part = np.full(len(blocks), -1, np.int32)
    found = runs.join(wide, on="run")
    part[found["i"].to_numpy()] = found["scan"].to_numpy()
    return part, wide["start"].to_numpy()


def route(parts: Sequence[Records], zone: str, *, stable: bool) -> pl.DataFrame:
    """All events by event time, through the product's ROUTE.

    `stable`: tokens last for ever, as in the yardstick mode `profile`; no configuration of the product does that.
    """
    topics = [Topic(name=name, tenant=TENANT, timezone=zone) for name in TOPICS]
    inside = [Network(cidr=cidr, kind="server") for cidr in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")]
    config = Config(topics=topics, hosts=[Host(pattern="*")], networks=inside)
    keyring = Endless(bytes(32)) if stable else MemoryKeyring(bytes(32))
    router = Router(Decoder.build(topics), Privacy.of(config, keyring))
    times = np.concatenate([part.timestamps for part in parts])
    merged = interleave(list(parts), np.argsort(times, kind="stable").astype(np.int64))
    frames: list[pl.DataFrame] = []
    for first in range(0, len(merged), STEP):
        frames += route_step(merged.take(np.arange(first, min(first + STEP, len(merged)))), router).events.values()
    return ecs.concat(frames).sort("@timestamp", maintain_order=True)
