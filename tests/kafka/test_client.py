"""What `[kafka]` becomes: the client's arguments, and one real conversation with TLS and SCRAM."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from kafka import KafkaAdminClient

from detector.config import Kafka
from detector.sources import client, kafka
from detector.sources.broker import Broker
from detector.sources.contract import Message
from detector.sources.transaction import KafkaSink
from tests.broker import Session, settings, unique

SASL = Kafka("kafka:9093", security_protocol="SASL_SSL", sasl_mechanism="SCRAM-SHA-512", username="tuermer", password_env="KAFKA_PASSWORD")


def test_several_bootstrap_servers_are_told_apart() -> None:
    assert client.arguments(Kafka("a:9092, b:9092"))["bootstrap_servers"] == ["a:9092", "b:9092"]


def test_the_password_comes_from_the_environment() -> None:
    found = client.arguments(SASL, {"KAFKA_PASSWORD": "x y"})
    assert (found["sasl_mechanism"], found["sasl_plain_username"], found["sasl_plain_password"]) == ("SCRAM-SHA-512", "tuermer", "x y")


def test_the_password_comes_from_a_file_without_its_line_end(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x y \n", encoding="utf-8")
    config = msgspec.structs.replace(SASL, sasl_mechanism="PLAIN", password_env="", password_file=str(tmp_path / "secret"))
    assert client.arguments(config)["sasl_plain_password"] == "x y "


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({}, "kafka.password_env names the environment variable KAFKA_PASSWORD, which is not set"),
        ({"password_env": ""}, "set exactly one of kafka.password_env and kafka.password_file"),
        ({"password_file": "x"}, "set exactly one of kafka.password_env and kafka.password_file"),
        ({"password_env": "", "password_file": "/none"}, "kafka.password_file: there is no file /none"),
        ({"ca_file": "/none.pem"}, "kafka.ca_file: there is no file /none.pem"),
        ({"username": ""}, "kafka.security_protocol is SASL_SSL, which needs kafka.sasl_mechanism and kafka.username"),
        ({"key_password_env": "NOPE"}, "kafka.key_password_env names the environment variable NOPE, which is not set"),
        (
            {"security_protocol": "PLAINTEXT"},
            "kafka.sasl_mechanism is set, but kafka.security_protocol is PLAINTEXT; use SASL_SSL",
        ),
    ],
)
def test_a_section_that_cannot_work_says_why(change: dict[str, str], sentence: str) -> None:
    with pytest.raises(client.ClientError) as error:
        client.arguments(msgspec.structs.replace(SASL, **change), {})
    assert str(error.value) == sentence


@pytest.mark.kafka
@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-512", "PLAIN"])
def test_tls_and_sasl_reach_the_real_broker_for_administration_writing_and_reading(
    kafka_session: Session, mechanism: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    secured = kafka_session.secured
    monkeypatch.setenv("KAFKA_PASSWORD", secured.password)
    config = msgspec.structs.replace(
        settings(kafka_session.broker, unique("tls")),
        bootstrap_servers=secured.address,
        security_protocol="SASL_SSL",
        sasl_mechanism=mechanism,
        username=secured.username,
        password_env="KAFKA_PASSWORD",
        ca_file=str(secured.ca_file),
    )
    client.ensure_topics(config)
    with (
        closing(kafka.member(config, [config.events_topic], "route")) as source,
        closing(KafkaSink(config, "route", source.consumer)) as sink,
    ):
        sink.commit([Message(config.dead_letters_topic, None, b"over TLS")], {})
    found = kafka.sample(config, config.dead_letters_topic, 10)
    assert [found.value(row) for row in range(len(found))] == [b"over TLS"]


@pytest.mark.kafka
def test_our_topics_are_created_once_and_their_partitions_never_change(broker: Broker) -> None:
    config = settings(broker, unique("ensure"))
    client.ensure_topics(config)
    client.ensure_topics(config)
    with KafkaAdminClient(bootstrap_servers=broker.address) as admin:
        assert {config.events_topic, config.dead_letters_topic, config.alerts_topic} <= set(admin.list_topics())
    with pytest.raises(client.ClientError, match=r"has 4 partitions, kafka.events_partitions says 8"):
        client.ensure_topics(msgspec.structs.replace(config, events_partitions=8))


@pytest.mark.kafka
def test_a_missing_topic_is_named_when_we_may_not_create_it(broker: Broker) -> None:
    config = msgspec.structs.replace(settings(broker, unique("forbidden")), create_topics=False)
    with pytest.raises(client.ClientError, match=r"forbidden-\d+\.events, .*set kafka.create_topics = true"):
        client.ensure_topics(config)
