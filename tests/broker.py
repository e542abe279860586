"""One real Kafka for the whole test session, and small helpers around it.

`broker` is a session fixture (see tests/conftest.py). Without JDK or jars the tests that ask for it are skipped
with one line; where CI is set, that is a failure.
"""

from __future__ import annotations

import itertools
import os
import secrets
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from kafka import KafkaAdminClient

from detector.config import Kafka
from detector.sources import broker as local
from detector.sources.broker import Broker

_numbers = itertools.count()


@dataclass(frozen=True, slots=True)
class Secured:
    """How to reach the TLS + SCRAM listener of the session's broker."""

    address: str
    ca_file: Path
    username: str
    password: str


@dataclass(frozen=True, slots=True)
class Session:
    broker: Broker
    secured: Secured


@pytest.fixture(scope="session")
def kafka_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    lack = local.missing()
    if lack != "":
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"Kafka tests: {lack}")
    directory = tmp_path_factory.mktemp("kafka")
    tls, ca_file = _tls(directory)
    with local.running(directory, tls=tls) as running:
        yield Session(running, Secured(running.secure_address, ca_file, tls.username, tls.password))


@pytest.fixture(scope="session")
def broker(kafka_session: Session) -> Broker:
    """A real Apache Kafka; `broker.address` is host:port."""
    return kafka_session.broker


def unique(name: str) -> str:
    """A topic or group name that no other test uses."""
    return f"{name}-{next(_numbers)}"


def create_topic(broker: Broker, name: str, partitions: int = 1, **configs: str) -> str:
    """Create a topic and wait until it has leaders; its name. Settings are written with _ for the dots: cleanup_policy="compact".

    Nothing in it expires: tests write records with old timestamps, and the broker deletes by these.
    """
    settings = {"retention.ms": "-1"} | {key.replace("_", "."): value for key, value in configs.items()}
    with KafkaAdminClient(bootstrap_servers=broker.address) as admin:
        admin.create_topics({name: {"num_partitions": partitions, "replication_factor": 1, "configs": settings}}, wait_for_metadata=True)
    return name


def settings(broker: Broker, group: str) -> Kafka:
    """A `[kafka]` section for this broker with topics of its own, so that tests do not meet."""
    return Kafka(
        bootstrap_servers=broker.address,
        group=group,
        events_topic=f"{group}.events",
        events_partitions=4,
        dead_letters_topic=f"{group}.dead-letters",
        alerts_topic=f"{group}.alerts",
    )


def _tls(directory: Path) -> tuple[local.Tls, Path]:
    keystore, certificate, password = directory / "broker.p12", directory / "ca.pem", secrets.token_hex(12)
    common = ["-keystore", str(keystore), "-storetype", "PKCS12", "-storepass", password, "-alias", "broker"]
    pair = [
        "-genkeypair",
        "-keyalg",
        "EC",
        "-groupname",
        "secp256r1",
        "-validity",
        "2",
        "-dname",
        "CN=127.0.0.1",
        "-ext",
        "san=ip:127.0.0.1",
    ]
    subprocess.run(["keytool", *pair, *common], check=True, capture_output=True)
    subprocess.run(["keytool", "-exportcert", "-rfc", "-file", str(certificate), *common], check=True, capture_output=True)
    return local.Tls(keystore, password, "tuermer", secrets.token_hex(12)), certificate
