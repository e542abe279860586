"""The proof for the works council: what is stored of whom and who can read it, and whether a name is anywhere.

`report` asks the catalogues of the database (and Grafana, where it can be reached) who may read what; the configuration says only
how long and why. `verify` searches every store for given names and addresses.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from detector.config import Config, Kafka
from detector.configload import load
from detector.learn.registry import SHIPPED
from detector.opening.chores import signing_key
from detector.privacy.verify import hits, laid_open
from detector.proofreport import Document, changes, gather, kept, last
from detector.sentence import Sentence
from detector.sources import client
from detector.store.contents import contents, unpacked
from detector.store.database import visit
from detector.store.opening import open_database

BLOCK = 64 << 20  # bytes of a file searched at once
OVERLAP = 64 << 10
PATIENCE = 20  # empty polls before a topic counts as read


class ProofError(Sentence):
    """The command could not do its work; the text is one sentence."""


def report(path: Path, environ: Mapping[str, str], now: int, *, sign: bool) -> tuple[Document, list[Document]]:
    """The report and what is different from the last signed one. Raises ProofError when it shall be signed and there is no key."""
    config = load(path, environ, "score")
    key = signing_key(config.audit.key_file)
    if sign and key is None:
        raise ProofError("There is nothing to sign with: set audit.key_file (`tuermer keys new signing` makes one).")
    opened = open_database(config, environ, visit=True)
    try:
        with visit(opened.admin_url) as connection:
            document = gather(connection, config, environ, now)
            before = last(connection, None if key is None else key.public_key())
            if sign and key is not None:
                kept(connection, document, key, now)
    finally:
        opened.close()
    return document, changes(before, document)


def verify(path: Path, more: Sequence[Path], needles: Sequence[str], environ: Mapping[str, str]) -> list[tuple[str, int, int]]:
    """(store, bytes searched, hits) of every store. Raises ProofError when a needle is too short or a store cannot be read."""
    short = [needle for needle in needles if len(needle) < 4]
    if needles == [] or short != []:
        raise ProofError("Give names and addresses on standard input, one per line, each of at least four characters.")
    config = load(path, environ, "score")
    opened = open_database(config, environ, visit=True)
    try:
        return counted(stores(config, opened.admin_url, more, environ), needles)
    finally:
        opened.close()


def counted(places: Iterable[tuple[str, bytes]], needles: Sequence[str]) -> list[tuple[str, int, int]]:
    """Sums by store, in the order in which they came: a name counts once in each piece (a table, a record, a file)."""
    found: dict[str, tuple[int, int]] = {}
    for name, content in places:
        size, count = found.get(name, (0, 0))
        found[name] = size + len(content), count + len({hit.needle for hit in hits(content, needles)})
    return [(name, size, count) for name, (size, count) in found.items()]


def stores(config: Config, database: str, more: Sequence[Path], environ: Mapping[str, str]) -> Iterator[tuple[str, bytes]]:
    """Everything that is kept, in pieces with the name of the store."""
    for place in contents(database):
        if not place.readable:
            raise ProofError(f"{place.name} cannot be read with this login, so nothing is proved: set database.owner_url to the owner.")
        yield f"database {place.name}", place.content
    if config.kafka is not None:
        yield from topics(config.kafka, environ)
    yield from _files("models", [Path(config.state.models) if config.state.models != "" else SHIPPED], ())
    server = _server(config)
    yield from _files("state", [Path(config.state.directory)], (server,))
    if config.database.url == "embedded":
        yield from _files("log of the database", [server / "log"], ())
    for path in more:
        if not path.exists():
            raise ProofError(f"{path} does not exist.")
        yield from _files(str(path), [path], ())


def _server(config: Config) -> Path:
    """The embedded server's own folder, which may lie elsewhere; its data were read through the server."""
    where = Path(config.database.directory) / "where"
    return Path(where.read_text("utf-8").strip()) if where.is_file() else Path(config.database.directory) / "server"


def topics(config: Kafka, environ: Mapping[str, str]) -> Iterator[tuple[str, bytes]]:
    """Every record of our own topics, laid open. Raw topics hold plain names by their nature and are not ours."""
    try:
        with contextlib.closing(
            KafkaConsumer(
                **client.arguments(config, environ),
                enable_auto_commit=False,
                isolation_level="read_uncommitted",
                auto_offset_reset="earliest",
                allow_auto_create_topics=False,
                metrics_enabled=False,
            )
        ) as consumer:
            for topic in (config.events_topic, config.dead_letters_topic, config.alerts_topic):
                yield f"topic {topic}", b""
                yield from ((f"topic {topic}", piece) for piece in _records(consumer, topic))
    except KafkaError as error:
        raise ProofError(f"Kafka at {config.bootstrap_servers} cannot be read ({type(error).__name__}), so nothing is proved.") from error


def _records(consumer: KafkaConsumer, topic: str) -> Iterator[bytes]:
    partitions = [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic) or ())]
    if partitions == []:
        return
    consumer.assign(partitions)
    consumer.seek_to_beginning(*partitions)
    ends = consumer.end_offsets(partitions)
    quiet = 0
    while any(consumer.position(partition) < ends[partition] for partition in partitions) and quiet < PATIENCE:
        batches = consumer.poll(timeout_ms=500, max_records=200)
        quiet = 0 if batches else quiet + 1
        for records in batches.values():
            for record in records:
                parts = [record.key or b"", laid_open(record.value or b""), *(value or b"" for _, value in record.headers or ())]
                yield b"\n".join(parts)
    if quiet >= PATIENCE:
        raise ProofError(f"The topic {topic} did not come to its end, so nothing is proved; try again.")


def _files(name: str, roots: Sequence[Path], without: Sequence[Path]) -> Iterator[tuple[str, bytes]]:
    """Contents of all files below, unpacked, and their names, which can hold a name, too."""
    for root in roots:
        for path in [root] if root.is_file() else sorted(root.rglob("*")):
            if path.is_symlink() or not path.is_file() or any(folder in path.parents for folder in without):
                continue
            yield name, str(path.name).encode()
            yield from ((name, piece) for piece in _pieces(path))


def _pieces(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            if path.stat().st_size <= BLOCK:
                yield unpacked(file.read())
                return
            before = b""
            while piece := file.read(BLOCK):
                yield before + piece
                before = piece[-OVERLAP:]
    except PermissionError:
        raise ProofError(f"{path} cannot be read by {os.environ.get('USER', 'this user')}, so nothing is proved.") from None
