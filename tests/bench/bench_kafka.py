"""How fast records come out of a real Kafka: the client's own loop, our stock reading, columnar reading; in the same run.

Lines of about 285 bytes, lz4, batches of 64 KiB. Everything is on the broker; each reader reads it over and over for some
seconds. A busy machine slows the broker for all: then trust the figure per CPU second.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from msgspec.structs import replace

from detector.config import Kafka
from detector.records import Place
from detector.sources import broker as local
from detector.sources import client, kafka
from detector.sources.broker import Broker
from tests.broker import create_topic, settings

RECORDS, PARTITIONS = 400_000, 3
SECONDS = 8.0
LINE = (
    'date=2026-09-21 time=12:%02d:%02d devname="FW-%d" logid="0000000013" type="traffic" subtype="forward" vd="root" '
    "srcip=10.%d.%d.%d srcport=%d srcintf=port2 dstip=203.0.113.%d dstport=443 dstintf=port1 policyid=%d sessionid=%d proto=6 "
    'action="accept" service="HTTPS" duration=%d sentbyte=%d rcvdbyte=%d'
)


def line(i: int) -> bytes:
    who = (i % 7, i % 251, i % 241, 1024 + i % 60_000, i % 250)
    return (LINE % (i // 60 % 60, i % 60, i % 5, *who, i % 40, i, i % 300, i * 7 % 99_999, i * 31 % 9_999_999)).encode()


def fill(broker: Broker, topic: str) -> int:
    """Write the lines; their bytes."""
    total = 0
    with KafkaProducer(bootstrap_servers=broker.address, compression_type="lz4", linger_ms=100, batch_size=1 << 16) as sender:
        for i in range(RECORDS):
            value = line(i)
            total += len(value)
            sender.send(topic, value, partition=i % PARTITIONS)
    return total


def own_loop(config: Kafka, topic: str) -> Iterator[int]:
    """What anyone writes first: poll and look at each record. Yields how many came, over and over from the beginning."""
    consumer = KafkaConsumer(**client.arguments(config), isolation_level="read_committed", max_poll_records=20_000)
    partitions = [TopicPartition(topic, number) for number in range(PARTITIONS)]
    consumer.assign(partitions)
    with closing(consumer):
        while True:
            consumer.seek_to_beginning()
            count = size = 0
            while count < RECORDS:
                fresh = 0
                for records in consumer.poll(1000).values():
                    for record in records:
                        size += len(record.value)
                        fresh += 1
                count += fresh
                yield fresh


def ours(config: Kafka, topic: str) -> Iterator[int]:
    places = {Place(topic, number): 0 for number in range(PARTITIONS)}
    with closing(kafka.reader(config, places)) as source:
        while True:
            for place in places:
                source.seek(place, 0)
            count = 0
            while count < RECORDS:
                fresh = sum(map(len, source.poll(1)))
                count += fresh
                yield fresh


def measure(name: str, counts: Iterator[int]) -> float:
    """Records a second, from the second poll on, over SECONDS."""
    next(counts)
    began, cpu = time.perf_counter(), time.process_time()
    total = 0
    while time.perf_counter() - began < SECONDS:
        total += next(counts)
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    print(f"{name:<28} {total / seconds:>12,.0f} records/s {total / cpu:>12,.0f} per CPU second", flush=True)
    return total / seconds


def main() -> None:
    lack = local.missing()
    if lack != "":
        print(lack)
        return
    with tempfile.TemporaryDirectory() as directory, local.running(Path(directory), heap="1g") as broker:
        topic = create_topic(broker, "bench", PARTITIONS)
        size = fill(broker, topic)
        print(f"{RECORDS:,} records, {size / RECORDS:.0f} bytes each, {PARTITIONS} partitions, lz4")
        config = settings(broker, "bench")
        stock = measure("kafka-python's own loop", own_loop(config, topic))
        measure("reader = stock", ours(replace(config, reader="stock"), topic))
        columnar = measure("reader = columnar", ours(config, topic))
        print(f"columnar / own loop: {columnar / stock:.1f} (goal: 5)")


if __name__ == "__main__":
    main()
