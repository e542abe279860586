"""Columnar reading hands over the same records in the same order as the client's own reading, from a real broker."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from kafka import KafkaAdminClient, KafkaProducer, TopicPartition
from kafka.structs import OffsetAndMetadata
from msgspec.structs import replace

from detector.records import Place, Records
from detector.sources import kafka
from detector.sources.broker import Broker
from detector.sources.contract import SourceError
from detector.sources.kafka import KafkaSource
from tests.broker import create_topic, settings, unique

pytestmark = pytest.mark.kafka

READERS = ("stock", "columnar")
Row = tuple[int, int, bytes | None]  # offset, µs, value


def rows(batches: Iterable[Records]) -> list[Row]:
    return [
        (int(r.offsets[i]), int(r.timestamps[i]), None if r.null[i] else r.value(i)) for r in batches for i in range(len(r))
    ]  # fmt: skip


def drain(source: KafkaSource, place: Place) -> list[Row]:
    """Everything up to the end of the partition as the broker knows it now."""
    end = source.consumer.end_offsets([TopicPartition(*place)])[TopicPartition(*place)]
    found: list[Row] = []
    deadline = time.monotonic() + 20
    while source.position(place) < end:
        found += rows(source.poll(0.2))
        assert time.monotonic() < deadline, f"stuck at {source.position(place)} of {end}"
    return found


def both(broker: Broker, topic: str, starts: Sequence[int] = (0,)) -> list[list[Row]]:
    """What the columnar reader reads from each start; the stock reader is checked to read the same."""
    place = Place(topic, 0)
    read: dict[str, list[list[Row]]] = {}
    for name in READERS:
        source = kafka.reader(replace(settings(broker, topic), reader=name), {place: 0})
        read[name] = []
        for start in starts:
            source.seek(place, start)
            read[name].append(drain(source, place))
        source.close()
    assert read["columnar"] == read["stock"]
    return read["columnar"]


def producer(broker: Broker, **arguments: Any) -> KafkaProducer:
    return KafkaProducer(bootstrap_servers=broker.address, linger_ms=100, **arguments)


@pytest.mark.parametrize("codec", [None, "gzip", "snappy", "lz4", "zstd"])
def test_every_codec_with_keys_headers_empty_and_null_values(broker: Broker, codec: str | None) -> None:
    topic = create_topic(broker, unique("codec"))
    values: list[bytes | None] = [b"line %d " % i * (i % 7) for i in range(300)]
    values[5], values[6], values[299] = None, b"", None
    with producer(broker, compression_type=codec) as sender:
        for i, value in enumerate(values):
            key = None if i % 3 == 0 else b"k%d" % i
            sender.send(topic, value, key, [("trace", b"x" * i), ("none", b"")] if i % 5 == 0 else None, 0, 1_700_000_000_000 + i)
    (found,) = both(broker, topic)
    assert found == [(i, (1_700_000_000_000 + i) * 1000, value) for i, value in enumerate(values)]


def test_a_seek_into_the_middle_of_a_batch_trims_its_start(broker: Broker) -> None:
    topic = create_topic(broker, unique("seek"))
    with producer(broker, compression_type="lz4", batch_size=1 << 20) as sender:
        for i in range(1000):
            sender.send(topic, b"%d" % i, partition=0)
    starts = (0, 1, 499, 998, 999, 1000, 17)
    found = both(broker, topic, starts)
    assert [[value for _, _, value in part] for part in found] == [[b"%d" % i for i in range(start, 1000)] for start in starts]


def test_the_brokers_append_time_counts_where_the_topic_says_so(broker: Broker) -> None:
    topic = create_topic(broker, unique("append"), message_timestamp_type="LogAppendTime")
    before = time.time_ns() // 1000
    with producer(broker) as sender:
        for _ in range(10):
            sender.send(topic, b"x", partition=0, timestamp_ms=5)
    (found,) = both(broker, topic)
    assert all(before - 1000 <= at <= time.time_ns() // 1000 for _, at, _ in found)


def test_aborted_transactions_and_markers_are_invisible_and_positions_pass_over_them(broker: Broker) -> None:
    topic = create_topic(broker, unique("txn"))
    expected = []
    with producer(broker, transactional_id=unique("sender")) as sender, producer(broker) as plain:
        sender.init_transactions()
        for round_number in range(8):
            sender.begin_transaction()
            for i in range(50):
                sender.send(topic, b"%d-%d" % (round_number, i), partition=0)
            plain.send(topic, b"plain %d" % round_number, partition=0).get(10)  # lies between the transaction's records
            sender.flush()
            expected.append(b"plain %d" % round_number)
            if round_number in (1, 2, 5, 7):
                sender.abort_transaction()
            else:
                sender.commit_transaction()
                expected += [b"%d-%d" % (round_number, i) for i in range(50)]
    found, middle = both(broker, topic, (0, 75))
    assert sorted(value or b"" for _, _, value in found) == sorted(expected)
    assert middle == [row for row in found if row[0] >= 75]


def test_what_is_left_of_a_compacted_topic(broker: Broker) -> None:
    topic = create_topic(
        broker, unique("compact"), cleanup_policy="compact", segment_ms="100", min_cleanable_dirty_ratio="0.001", min_compaction_lag_ms="0"
    )
    with producer(broker, batch_size=1 << 20) as sender:
        for i in range(400):
            sender.send(topic, b"%d" % i if i % 50 != 7 else None, b"key %d" % (i % 60), partition=0)
        sender.flush()
        deadline = time.monotonic() + 30
        count = 400
        while count >= 300:  # the broker compacts closed segments only; each new record closes the one before
            time.sleep(0.3)
            sender.send(topic, b"last", b"last", partition=0).get(10)
            count = len(drain_from_start(settings(broker, topic), Place(topic, 0)))
            assert time.monotonic() < deadline, "the broker has not compacted the topic"
    time.sleep(1.5)  # the cleaner looks every 0.2 s; now nothing is left for it to do
    (found,) = both(broker, topic)
    assert len(found) < 300
    offsets = [offset for offset, _, _ in found]
    assert offsets == sorted(set(offsets))
    (late,) = both(broker, topic, (offsets[3] + 1,))
    assert late == found[4:]


@pytest.mark.parametrize("reader", READERS)
def test_a_partition_moved_in_the_middle_goes_on_where_its_last_owner_committed(broker: Broker, reader: str) -> None:
    topic = create_topic(broker, unique("moved"), partitions=2)
    with producer(broker, batch_size=1 << 20) as sender:
        for i in range(2000):
            sender.send(topic, b"%d" % i, partition=i % 2)
    config = replace(settings(broker, topic), reader=reader)
    first = kafka.member(config, [topic], "route")
    owned: dict[Place, Records] = {}
    while len(owned) < 2:
        owned |= {batch.places[0]: batch for batch in first.poll(0.2)}
    first.consumer.commit({TopicPartition(*place): OffsetAndMetadata(100 + 37 * place.partition, "", -1) for place in owned})
    second = kafka.member(replace(config, instance="2"), [topic], "route")
    moved: list[Records] = []
    deadline = time.monotonic() + 30
    while not moved:
        first.poll(0.05)
        moved = second.poll(0.05)
        assert time.monotonic() < deadline, "the partition has not moved"
    place = moved[0].places[0]
    assert first.lost() == {place}
    assert set(first.behind()) == set(owned) - {place}
    assert rows(moved)[0][0] == 100 + 37 * place.partition
    assert rows(moved) + drain(second, place) == [row for row in drain_from_start(config, place) if row[0] >= 100 + 37 * place.partition]
    first.close()
    second.close()


def drain_from_start(config: Any, place: Place) -> list[Row]:
    source = kafka.reader(config, {place: 0})
    found = drain(source, place)
    source.close()
    return found


@pytest.mark.parametrize("start", ["earliest", "latest"])
def test_a_new_group_begins_where_the_configuration_says_and_commits_that_once(broker: Broker, start: str) -> None:
    topic = create_topic(broker, unique("begin"))
    with producer(broker) as sender:
        for i in range(10):
            sender.send(topic, b"%d" % i, partition=0)
        sender.flush()
        source = kafka.member(replace(settings(broker, topic), start=start), [topic], "route")
        deadline = time.monotonic() + 20
        found: list[Row] = []
        while source.behind() != {Place(topic, 0): 0} and time.monotonic() < deadline:
            found += rows(source.poll(0.2))
        assert source.consumer.committed(TopicPartition(topic, 0)) == (0 if start == "earliest" else 10)
        assert len(found) == (10 if start == "earliest" else 0)
        source.close()


def test_an_offset_that_kafka_has_deleted_stops_with_a_sentence(broker: Broker) -> None:
    topic = create_topic(broker, unique("deleted"))
    with producer(broker) as sender:
        sender.send(topic, b"x", partition=0).get(10)
    source = kafka.reader(settings(broker, topic), {Place(topic, 0): 77})
    with pytest.raises(SourceError, match=rf"{topic}/0 offset 77 is no longer in Kafka"):
        source.poll(10)
    source.close()


def test_where_the_operator_accepts_the_gap_reading_goes_on_with_the_oldest_record_left(broker: Broker) -> None:
    topic = create_topic(broker, unique("gap"))
    with producer(broker) as sender:
        for i in range(10):
            sender.send(topic, b"%d" % i, partition=0)
        sender.flush()
    with KafkaAdminClient(bootstrap_servers=broker.address) as admin:
        admin.delete_records({TopicPartition(topic, 0): 7})
    config = settings(broker, topic)
    for accept_gap in (False, True):
        source = kafka.member(config, [topic], "route", accept_gap=accept_gap)
        source.consumer.poll(0)
        while not source.consumer.assignment():
            source.poll(0.1)
        source.seek(Place(topic, 0), 3)
        if accept_gap:
            assert [offset for offset, _, _ in drain(source, Place(topic, 0))] == [7, 8, 9]
        else:
            with pytest.raises(SourceError, match=rf"{topic}/0 offset 3 is no longer in Kafka: .* --accept-gap"):
                source.poll(10)
        source.close()
