"""`tuermer doctor`: each check is one sentence that says what is wrong and what to do. Changes nothing."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.errors import CoordinatorNotAvailableError, GroupIdNotFoundError, KafkaError, NotCoordinatorError

from detector.config import Config, ConfigError, Kafka
from detector.configload import load
from detector.learn import signing
from detector.learn.registry import verify
from detector.privacy.keys import FileKeyring, KeyFileError
from detector.privacy.people import holders
from detector.privacy.vault import Sealer
from detector.sources import topics
from detector.sources.client import ClientError, arguments, reachable
from detector.store import checks
from detector.store.database import StoreError
from detector.store.opening import with_password

FREE = 2 << 30  # bytes the state folder should have left: snapshots' cache and an embedded database


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: what was looked at, whether it holds, and one sentence."""

    check: str
    ok: bool
    text: str


def examine(path: Path, environ: Mapping[str, str], now: Callable[[], float] = time.time) -> list[Finding]:
    """All checks, in the order in which one would mend them."""
    try:
        config = load(path, environ)
    except ConfigError as error:
        return [Finding("configuration", False, str(error))]
    found = [Finding("configuration", True, f"{path} is complete and consistent")]
    found += _key(config, now)
    found += _names(config)
    found += _disk(config)
    found += _models()
    found += _signers(config)
    if config.kafka is not None:
        found += _kafka(config, config.kafka, environ)
    found += _database(config, environ, now)
    found += _grafana(config, environ, now)
    return found


def _key(config: Config, now: Callable[[], float]) -> list[Finding]:
    path = Path(config.privacy.key_file)
    try:
        FileKeyring.of(config).check(int(now() * 1e6))
    except KeyFileError as error:
        return [Finding("privacy key", False, str(error))]
    mode = path.stat().st_mode & 0o077
    if mode != 0:
        return [Finding("privacy key", False, f"{path} can be read by others; say chmod 600 {path}")]
    return [Finding("privacy key", True, f"{path} is ours alone")]


def _names(config: Config) -> list[Finding]:
    try:
        sealer = Sealer(config.opening.groups, holders(config))
    except ConfigError as error:
        return [Finding("names", False, str(error))]
    tenants = sorted({t.tenant for t in config.topics} | {o.tenant for o in config.observers if o.tenant != ""})
    closed = [tenant for tenant in tenants if not sealer.wants(tenant)]
    if closed != [] or tenants == []:
        whose = "nobody's names" if closed == tenants else f"no names of {', '.join(closed)}"
        text = f"no links are kept: {whose} can ever be opened, because [[keyholders]] lists no people of two groups of opening.groups"
        return [Finding("names", True, text)]
    if config.audit.key_file == "":
        return [Finding("names", False, "audit.key_file is not set: who can write to the database could hang a false name on a token")]
    alone = "" if config.opening.break_glass_key_file == "" else "; one person alone where [opening] allows break-glass"
    return [Finding("names", True, f"sealed to {', '.join(config.opening.groups)}; people of two of them open names together{alone}")]


def _disk(config: Config) -> list[Finding]:
    folder = Path(config.state.directory)
    existing = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    free = shutil.disk_usage(existing).free
    if free < FREE:
        return [Finding("disk", False, f"{existing} has {free >> 20} MiB left; make room or set state.directory elsewhere")]
    return [Finding("disk", True, f"{free >> 30} GiB free at {existing}")]


def _models() -> list[Finding]:
    wrong = verify()
    if wrong != []:
        return [Finding("models", False, sentence) for sentence in wrong]
    return [Finding("models", True, "every model is as it was made")]


def _signers(config: Config) -> list[Finding]:
    """Promotion needs two; nobody has to promote, so none at all is a choice."""
    if config.keyholders == []:
        return []
    try:
        people = signing.signers_of(config)
    except ConfigError as error:
        return [Finding("signers", False, str(error))]
    if len(people) >= signing.FEWEST:
        return [Finding("signers", True, f"{', '.join(sorted(people))} may vouch for models")]
    who = f"only {next(iter(people))}" if people else "nobody"
    return [
        Finding(
            "signers",
            False,
            f"{who} in [[keyholders]] belongs to the group {signing.GROUP}: no model can be promoted before two people do",
        )
    ]


def _kafka(config: Config, kafka: Kafka, environ: Mapping[str, str]) -> Iterator[Finding]:
    try:
        reachable(kafka)
        shared = arguments(kafka, environ)
        with KafkaAdminClient(**shared, request_timeout_ms=10_000) as admin:
            yield Finding("broker", True, f"{kafka.bootstrap_servers} answers")
            there = set(admin.list_topics())
            yield from _own_topics(admin, kafka, there)
            yield from _kept(config, kafka)
            yield from _instance(admin, kafka)
        yield from _raw_topics(config, shared, there)
    except ClientError as error:
        yield Finding("broker", False, str(error))
    except KafkaError as error:
        yield Finding("broker", False, f"{kafka.bootstrap_servers}: {type(error).__name__}; check address, TLS and password")


def _own_topics(admin: Any, kafka: Kafka, there: set[str]) -> Iterator[Finding]:
    for name in (kafka.events_topic, kafka.dead_letters_topic, kafka.alerts_topic):
        if name not in there:
            text = (
                "will be created at the first start" if kafka.create_topics else "is missing; create it or set kafka.create_topics = true"
            )
            yield Finding(f"topic {name}", kafka.create_topics, text)
        elif name == kafka.events_topic:
            (described,) = admin.describe_topics([name])
            partitions = len(described["partitions"])
            same = partitions == kafka.events_partitions
            text = f"{partitions} partitions" if same else (
                f"has {partitions} partitions and kafka.events_partitions is {kafka.events_partitions};"
                " the number decides which shard lies where: set the configuration to what the topic has"
            )  # fmt: skip
            yield Finding(f"topic {name}", same, text)
        else:
            yield Finding(f"topic {name}", True, "is there")


def _kept(config: Config, kafka: Kafka) -> Iterator[Finding]:
    long = topics.too_long(kafka, config.retention)
    remedy = (
        "the next night shortens it"
        if kafka.create_topics
        else "set retention.ms and segment.ms of the topic, or nothing deletes it in time"
    )
    for name in long:
        yield Finding(f"topic {name} keeps", kafka.create_topics, f"longer than [retention] says; {remedy}")
    if long == {}:
        yield Finding("topics keep", True, "no longer than [retention] says")


def _instance(admin: Any, kafka: Kafka) -> Iterator[Finding]:
    group, name = f"{kafka.group}-route", f"{kafka.group}-route-{kafka.instance}"
    described = _patiently(lambda: admin.describe_groups([group]))
    members = [m for g in _values(described) for m in g.get("members", ())]
    running = [m for m in members if m.get("group_instance_id") == name]
    text = "is running now; a second start with this name would take over from it" if running else "is free"
    yield Finding(f"instance {name}", True, text)


def _patiently(ask: Callable[[], Any]) -> Any:
    """A broker that has never had a group makes its coordinator at the first question and says no until then."""
    for _ in range(20):
        try:
            return ask()
        except (CoordinatorNotAvailableError, NotCoordinatorError):
            time.sleep(0.25)
        except GroupIdNotFoundError:
            return []
    return ask()


def _values(described: Any) -> list[Any]:
    return list(described.values()) if isinstance(described, dict) else list(described)


def _raw_topics(config: Config, shared: dict[str, Any], there: set[str]) -> Iterator[Finding]:
    """Existence and the right to read: the last record of each is asked for."""
    for topic in config.topics:
        if topic.name not in there:
            yield Finding(f"topic {topic.name}", False, "is not in Kafka or not visible to this user; check its name and the ACL")
            continue
        consumer = KafkaConsumer(**shared, group_id=None, enable_auto_commit=False)
        try:
            places = [TopicPartition(topic.name, p) for p in sorted(consumer.partitions_for_topic(topic.name) or ())]
            ends = consumer.end_offsets(places)
            consumer.assign(places)
            for place, end in ends.items():
                consumer.seek(place, max(0, end - 1))
            consumer.poll(timeout_ms=2000, max_records=1)  # a user without READ is refused here
            yield Finding(f"topic {topic.name}", True, f"{len(places)} partitions, {sum(ends.values()):,} records written so far")
        except KafkaError as error:
            yield Finding(f"topic {topic.name}", False, f"cannot be read ({type(error).__name__}); allow READ and DESCRIBE for this user")
        finally:
            consumer.close()


def _database(config: Config, environ: Mapping[str, str], now: Callable[[], float]) -> Iterator[Finding]:
    if config.database.url == "embedded":
        yield Finding("database", True, f"embedded, started with Türmer in {config.database.directory}")
        return
    try:
        found = checks.examine(with_password(config.database.url, config, environ), int(now() * 1e6))
    except StoreError as error:
        yield Finding("database", False, str(error))
        return
    yield from (Finding(check.name, check.ok, check.text) for check in found)


def _grafana(config: Config, environ: Mapping[str, str], now: Callable[[], float]) -> Iterator[Finding]:
    if config.grafana.url == "":
        return
    from detector.grafana.examine import examine as asked  # its HTTP client takes a third of a second to import
    from detector.grafana.work import Site

    site = Site(config, environ, time.sleep, now, lambda _: None)
    yield from (Finding(check, ok, text) for check, ok, text in asked(site))
