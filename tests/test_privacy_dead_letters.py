"""A dead letter tells where, why and what shape; its content only to whoever holds the private key."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from cryptography.exceptions import InvalidTag

from detector import records as raw
from detector.config import Config, ConfigError
from detector.config import Privacy as Settings
from detector.decode import ecs
from detector.decode.decoded import Decoded, Origin, Reject
from detector.privacy import MemoryKeyring, Privacy, new_dead_letters, new_signing
from detector.privacy.dead_letters import SEALED_MOST, shape, unseal
from detector.privacy.verify import hits
from detector.records import Place, of_lines

RATHAUS = Origin("stadt", "rathaus", "Europe/Berlin")
WERKE = Origin("werke", "", "Europe/Berlin")
LINE = b"Jun 10 user=xaver.moerkelbach from 10.77.3.200 failed"
NOON = 1_781_092_800_000_000


def letters(
    lines: list[bytes], *, settings: Settings | None = None, origin: int = 0, reason: str = "bad-json", at: int = NOON
) -> list[Any]:
    records = of_lines(lines, Place("auth", 3), first=40, timestamp=at)
    rejects = tuple(Reject(row, origin, "sshd", reason) for row in range(len(lines)))
    decoded = Decoded(ecs.frame(0, {}), np.zeros(0, np.int64), np.zeros(0, np.int32), (RATHAUS, WERKE), rejects, {})
    privacy = Privacy.of(Config(privacy=settings or Settings()), MemoryKeyring(b"k" * 32))
    return [msgspec.json.decode(message) for message in privacy.dead_letters(records, decoded)]


def test_place_reason_length_and_shape_are_told() -> None:
    (letter,) = letters([LINE])
    assert letter.pop("sha256") != ""
    assert letter == {
        "topic": "auth", "partition": 3, "offset": 40, "created": NOON, "tenant": "stadt", "site": "rathaus",
        "format": "sshd", "reason": "bad-json", "length": 53, "shape": "aaa 00 aaaa=aaaaa.aaaaaaaaaaa aaaa 00.00.0.000 aaaaaa",
        "sealed": None,
    }  # fmt: skip


def test_the_content_is_nowhere_in_it() -> None:
    assert hits(msgspec.json.encode(letters([LINE])), ["xaver.moerkelbach", "10.77.3.200"]) == []


def test_a_reason_that_is_no_code_is_not_passed_on() -> None:
    assert letters([LINE], reason="cannot parse 'Xaver'")[0]["reason"] == "other"


def test_the_hash_recognises_repeats_but_cannot_be_tried_without_the_key() -> None:

    one, two = letters([LINE, LINE])
    assert one["sha256"] == two["sha256"] != hashlib.sha256(LINE).hexdigest()
    assert letters([LINE], origin=1)[0]["sha256"] != one["sha256"]
    assert letters([LINE], at=NOON + 86_400_000_000)[0]["sha256"] != one["sha256"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"", ""),
        (b"\x00\x1b\n\t\x7f", "?????"),
        ("Müller, Straße 5".encode(), "aaaaaa, aaaaaa 0"),
        (b"\xff\xfe\xc3", "aaa"),
        (b"x" * 1000, "a" * 200),
        ("ü".encode() * 1000, "a" * 200),
    ],
)
def test_the_shape_keeps_punctuation_only(value: bytes, expected: str) -> None:
    assert shape(value) == expected


def test_the_record_is_readable_with_the_private_key_only(tmp_path: Path) -> None:
    new_dead_letters(tmp_path / "one.key")
    new_dead_letters(tmp_path / "two.key")
    sealed = msgspec.json.encode(letters([LINE], settings=Settings(dead_letter_public_key=str(tmp_path / "one.key.pub")))[0])
    assert hits(sealed, ["xaver.moerkelbach", "10.77.3.200"]) == []
    assert unseal(sealed, tmp_path / "one.key") == LINE
    with pytest.raises(InvalidTag):
        unseal(sealed, tmp_path / "two.key")


def test_equal_records_are_sealed_differently(tmp_path: Path) -> None:
    new_dead_letters(tmp_path / "one.key")
    one, two = letters([LINE, LINE], settings=Settings(dead_letter_public_key=str(tmp_path / "one.key.pub")))
    assert one["sealed"] != two["sealed"]


def test_a_huge_record_is_sealed_up_to_its_limit(tmp_path: Path) -> None:
    new_dead_letters(tmp_path / "one.key")
    (letter,) = letters([b"x" * 1_000_000], settings=Settings(dead_letter_public_key=str(tmp_path / "one.key.pub")))
    assert letter["length"] == 1_000_000
    assert unseal(msgspec.json.encode(letter), tmp_path / "one.key") == b"x" * SEALED_MOST


def test_a_letter_without_a_record_says_so(tmp_path: Path) -> None:
    new_dead_letters(tmp_path / "one.key")
    with pytest.raises(ValueError, match="holds no record"):
        unseal(msgspec.json.encode(letters([LINE])[0]), tmp_path / "one.key")


def test_another_kind_of_key_is_refused(tmp_path: Path) -> None:
    new_signing(tmp_path / "signing.key")
    with pytest.raises(ConfigError, match="which is no X25519 public key; make one with `tuermer keys new dead-letters`"):
        letters([LINE], settings=Settings(dead_letter_public_key=str(tmp_path / "signing.key.pub")))


def test_records_of_several_places_keep_their_own() -> None:
    records = raw.concat([of_lines([b"a"], Place("auth", 1), first=7), of_lines([b"b"], Place("firewall", 2), first=9)])
    decoded = Decoded(ecs.frame(0, {}), np.zeros(0, np.int64), np.zeros(0, np.int32), (RATHAUS,), (Reject(1, 0, "", "unknown-format"),), {})
    (letter,) = map(msgspec.json.decode, Privacy.of(Config(), MemoryKeyring()).dead_letters(records, decoded))
    assert (letter["topic"], letter["partition"], letter["offset"]) == ("firewall", 2, 9)
