"""Our Kafka configuration as kafka-python's arguments: addresses, TLS, SASL, secrets, topics."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kafka import KafkaAdminClient
from kafka.errors import TopicAlreadyExistsError

from detector.config import Kafka
from detector.retentionsections import Retention
from detector.sentence import Sentence
from detector.sources import keeping

LARGEST = 8 << 20  # bytes; our messages are under 900 KB, but one event alone may be larger

Arguments = dict[str, Any]  # Any: keyword arguments of an untyped library


class ClientError(Sentence):
    """The Kafka section cannot be used; the text names key and remedy, never a secret."""


def arguments(config: Kafka, environ: Mapping[str, str] = os.environ) -> Arguments:
    """Arguments that consumer, producer and admin client share.

    Raises ClientError for a missing secret or a contradiction.
    """
    found: Arguments = {
        "bootstrap_servers": [server.strip() for server in config.bootstrap_servers.split(",")],
        "security_protocol": config.security_protocol,
        "client_id": f"{config.group}-{config.instance}",
    }
    if config.security_protocol in ("SSL", "SASL_SSL"):
        found |= _tls(config, environ)
    if config.security_protocol in ("SASL_PLAINTEXT", "SASL_SSL"):
        found |= _sasl(config, environ)
    elif config.sasl_mechanism != "":
        raise ClientError(f"kafka.sasl_mechanism is set, but kafka.security_protocol is {config.security_protocol}; use SASL_SSL")
    return found


def _tls(config: Kafka, environ: Mapping[str, str]) -> Arguments:
    for key in ("ca_file", "cert_file", "key_file"):
        name = getattr(config, key)
        if name != "" and not Path(name).is_file():
            raise ClientError(f"kafka.{key}: there is no file {name}")
    return {
        "ssl_check_hostname": True,
        "ssl_cafile": config.ca_file or None,
        "ssl_certfile": config.cert_file or None,
        "ssl_keyfile": config.key_file or None,
        "ssl_password": _variable("kafka.key_password_env", config.key_password_env, environ) if config.key_password_env != "" else None,
    }


def _sasl(config: Kafka, environ: Mapping[str, str]) -> Arguments:
    if config.sasl_mechanism == "" or config.username == "":
        raise ClientError(f"kafka.security_protocol is {config.security_protocol}, which needs kafka.sasl_mechanism and kafka.username")
    return {
        "sasl_mechanism": config.sasl_mechanism,
        "sasl_plain_username": config.username,
        "sasl_plain_password": _password(config, environ),
    }


def _password(config: Kafka, environ: Mapping[str, str]) -> str:
    if (config.password_env == "") == (config.password_file == ""):
        raise ClientError("set exactly one of kafka.password_env and kafka.password_file")
    if config.password_env != "":
        return _variable("kafka.password_env", config.password_env, environ)
    path = Path(config.password_file)
    if not path.is_file():
        raise ClientError(f"kafka.password_file: there is no file {path}")
    password = path.read_text(encoding="utf-8").rstrip("\r\n")
    if password == "":
        raise ClientError(f"kafka.password_file: {path} is empty")
    return password


def _variable(key: str, name: str, environ: Mapping[str, str]) -> str:
    value = environ.get(name, "")
    if value == "":
        raise ClientError(f"{key} names the environment variable {name}, which is not set")
    return value


def reachable(config: Kafka) -> None:
    """Raises ClientError when no configured broker accepts a connection: the client itself would need half a minute to say less."""
    reasons = []
    for server in config.bootstrap_servers.split(","):
        host, _, port = server.strip().rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()
        except OSError as error:
            reasons.append(f"{server.strip()} ({error.strerror or error})")
        else:
            return
    raise ClientError(f"nobody answers at {', '.join(reasons)}; check kafka.bootstrap_servers, the firewall and whether the broker runs")


def ensure_topics(config: Kafka, environ: Mapping[str, str] = os.environ, more: Sequence[str] = ()) -> None:
    """Create our own topics where they are missing, and `more` of one partition each; raw topics are never created.

    Raises ClientError when a topic is missing and kafka.create_topics is false, or has another number of partitions.
    """
    wanted = {config.events_topic: config.events_partitions, config.dead_letters_topic: 1, config.alerts_topic: 1} | dict.fromkeys(more, 1)
    with KafkaAdminClient(**arguments(config, environ)) as admin:
        there = set(admin.list_topics())
        missing = [name for name in wanted if name not in there]
        if missing and not config.create_topics:
            raise ClientError(f"missing in Kafka: {', '.join(missing)}; create them or set kafka.create_topics = true")
        for name in missing:
            _create(admin, config, name, wanted[name])
        (events,) = admin.describe_topics([config.events_topic])
    found = len(events["partitions"])
    if found != config.events_partitions:
        raise ClientError(
            f"{config.events_topic} has {found} partitions, kafka.events_partitions says {config.events_partitions}: the number decides"
            " which shard lies where and must not change"
        )


def require_topics(config: Kafka, names: Sequence[str], environ: Mapping[str, str] = os.environ) -> None:
    """Raises ClientError when a raw topic does not exist: reading nothing for ever would look like quiet."""
    with KafkaAdminClient(**arguments(config, environ)) as admin:
        missing = sorted(set(names) - set(admin.list_topics()))
    if missing:
        raise ClientError(
            f"[[topics]]: {', '.join(missing)} does not exist in Kafka at {config.bootstrap_servers}, or this user may not see it"
        )


def _create(admin: KafkaAdminClient, config: Kafka, name: str, partitions: int) -> None:
    settings = {"max.message.bytes": str(LARGEST)} | keeping.settings(config, Retention(), name)  # the night sets what is configured
    topic = {name: {"num_partitions": partitions, "replication_factor": config.replication_factor, "configs": settings}}
    try:
        admin.create_topics(topic, wait_for_metadata=True)
    except TopicAlreadyExistsError:
        return  # the other role was faster
