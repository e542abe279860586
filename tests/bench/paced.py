"""A load generator that costs next to nothing: record batches built beforehand, stamped and sent as they are.

kafka-python's producer needs a whole core for 60,000 records a second, which on two cores it would take from what is measured.
Here only the two timestamps and the checksum of a batch are written at the moment of sending.
"""

from __future__ import annotations

import itertools
import socket
import struct
import time
from collections.abc import Iterable, Iterator, Sequence

import crc32c
from kafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder

PRODUCE, VERSION, ACKS, TIMEOUT_MS = 0, 3, 1, 30_000  # the oldest version of the request that a 4.x broker takes (KIP-896)
_CRC, _ATTRIBUTES, _FIRST, _LAST = 17, 21, 27, 35  # bytes of a batch's header, magic 2
ROOM = 1 << 20


def batch(values: Sequence[bytes]) -> bytearray:
    """One lz4 record batch without timestamps."""
    builder = DefaultRecordBatchBuilder(2, DefaultRecordBatch.CODEC_LZ4, False, -1, -1, -1, ROOM)
    for offset, value in enumerate(values):
        if builder.append(offset, 0, None, value, []) is None:
            raise ValueError(f"{len(values)} records do not fit into {ROOM} bytes")
    return bytearray(builder.build())


def stamped(batch: bytearray, millis: int) -> bytes:
    """The batch, all records with this timestamp (ms since the epoch)."""
    struct.pack_into(">q", batch, _FIRST, millis)
    struct.pack_into(">q", batch, _LAST, millis)
    struct.pack_into(">I", batch, _CRC, crc32c.crc32c(memoryview(batch)[_ATTRIBUTES:]))
    return bytes(batch)


def request(topic: str, partition: int, batch: bytes, correlation: int) -> bytes:
    """A Produce request (version 3) with one batch, framed."""
    name, client = topic.encode(), b"paced"
    body = struct.pack(f">hhih{len(client)}s", PRODUCE, VERSION, correlation, len(client), client)
    body += struct.pack(f">hhiih{len(name)}siii", -1, ACKS, TIMEOUT_MS, 1, len(name), name, 1, partition, len(batch))
    return struct.pack(">i", len(body) + len(batch)) + body + batch


def send(address: str, topic: str, partitions: int, batches: Iterable[bytearray], rows: int, per_second: float) -> float:
    """Batches of `rows` records each, in turn to the partitions, at a steady pace. Returns the rate that was reached.

    Raises RuntimeError if the broker refuses one.
    """
    host, _, port = address.rpartition(":")
    started, sent = time.monotonic(), 0
    with socket.create_connection((host, int(port))) as link:
        for number, one in enumerate(batches):
            wait = sent / per_second - (time.monotonic() - started)
            if wait > 0:
                time.sleep(wait)
            link.sendall(request(topic, number % partitions, stamped(one, time.time_ns() // 1_000_000), number))
            _check(link, topic)
            sent += rows
        return sent / (time.monotonic() - started)


def _check(link: socket.socket, topic: str) -> None:
    (size,) = struct.unpack(">i", _exactly(link, 4))
    answer = _exactly(link, size)  # correlation, topics, name, partitions, partition, error, …
    (error,) = struct.unpack_from(">h", answer, 4 + 4 + 2 + len(topic.encode()) + 4 + 4)
    if error != 0:
        raise RuntimeError(f"the broker refused a batch: error {error}")


def _exactly(link: socket.socket, size: int) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        part = link.recv(size - len(parts))
        if part == b"":
            raise RuntimeError("the broker closed the connection")
        parts += part
    return bytes(parts)


def grouped(values: Iterable[bytes], rows: int) -> Iterator[list[bytes]]:
    """Lists of exactly `rows` values; a remainder is left out."""
    rest = iter(values)
    while len(group := list(itertools.islice(rest, rows))) == rows:
        yield group
