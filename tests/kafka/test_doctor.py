"""`tuermer doctor`: one sentence for each thing that is wrong, on the real broker."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from detector import doctor
from detector.privacy.keys import new_privacy
from detector.sources.broker import Broker, free_port
from tests.broker import create_topic, unique

pytestmark = pytest.mark.kafka


def write(folder: Path, address: str, *, topic: str, extra: str = "", kafka: str = "") -> Path:
    """A configuration as an administrator would write it, with its key beside it."""
    if not (folder / "privacy.key").exists():
        new_privacy(folder / "privacy.key", time.time_ns() // 1000)
    path = folder / "tuermer.toml"
    path.write_text(
        f'[kafka]\nbootstrap_servers = "{address}"\ngroup = "{unique("doctor")}"\n{kafka}\n'
        f'[[topics]]\nname = "{topic}"\ntenant = "stadt"\n\n[privacy]\nkey_file = "privacy.key"\n{extra}'
    )
    return path


def sentences(path: Path) -> dict[str, tuple[bool, str]]:
    return {found.check: (found.ok, found.text) for found in doctor.examine(path, {})}


def test_all_is_well_before_the_first_start(broker: Broker, tmp_path: Path) -> None:
    topic = create_topic(broker, unique("firewall"), 3)
    found = sentences(write(tmp_path, broker.address, topic=topic))
    assert {check: text for check, (ok, text) in found.items() if not ok} == {}
    assert found[f"topic {topic}"] == (True, "3 partitions, 0 records written so far")


def test_a_raw_topic_that_is_not_there(broker: Broker, tmp_path: Path) -> None:
    found = sentences(write(tmp_path, broker.address, topic="absent"))
    assert found["topic absent"] == (False, "is not in Kafka or not visible to this user; check its name and the ACL")


def test_the_events_topic_with_another_number_of_partitions(broker: Broker, tmp_path: Path) -> None:
    topic, events = create_topic(broker, unique("firewall")), create_topic(broker, unique("events"), 3)
    ok, text = sentences(write(tmp_path, broker.address, topic=topic, kafka=f'events_topic = "{events}"'))[f"topic {events}"]
    assert not ok
    assert text.startswith("has 3 partitions and kafka.events_partitions is 64")


def test_a_broker_that_does_not_answer(tmp_path: Path) -> None:
    ok, text = sentences(write(tmp_path, f"127.0.0.1:{free_port()}", topic="firewall"))["broker"]
    assert not ok
    assert text.startswith("nobody answers at 127.0.0.1:")


def test_a_database_that_does_not_answer(broker: Broker, tmp_path: Path) -> None:
    topic = create_topic(broker, unique("firewall"))
    extra = f'[database]\nurl = "postgresql://tuermer@127.0.0.1:{free_port()}/tuermer"\n'
    ok, _ = sentences(write(tmp_path, broker.address, topic=topic, extra=extra))["database"]
    assert not ok


def test_a_key_that_others_can_read(broker: Broker, tmp_path: Path) -> None:
    path = write(tmp_path, broker.address, topic=create_topic(broker, unique("firewall")))
    (tmp_path / "privacy.key").chmod(0o644)
    wrong = [text for ok, text in sentences(path).values() if not ok]
    assert len(wrong) == 1
    assert "privacy.key" in wrong[0]


def test_a_configuration_that_cannot_be_read_is_the_only_finding(tmp_path: Path) -> None:
    path = tmp_path / "tuermer.toml"
    path.write_text("[kafka]\nbootstrap = 1\n")
    (only,) = doctor.examine(path, {})
    assert (only.check, only.ok) == ("configuration", False)
