"""People's key files: opened by the passphrase only, and every damage is one sentence."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidTag

from detector.config import Config, ConfigError
from detector.privacy import people
from detector.privacy.keyfiles import passphrase
from detector.privacy.keys import KeyFileError
from detector.privacy.people import new_person, read_public, unlock
from detector.sections import Keyholder

SECRET = "correct horse battery"


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "meier.key"
    new_person(path, "meier", SECRET, cost=10)
    return path


def test_the_passphrase_opens_the_file_and_both_keys_fit_the_public_half(key_file: Path) -> None:
    person = unlock(key_file, SECRET)
    public = read_public(key_file.with_name("meier.key.pub").read_text())
    assert public.raw == person.public.raw
    assert public.verifies("approval", b"text", person.sign("approval", b"text"))
    assert person.unseal("names", public.seal("names", b"value")) == b"value"


def test_a_signature_and_a_sealed_value_serve_their_purpose_only(key_file: Path) -> None:
    person = unlock(key_file, SECRET)
    assert not person.public.verifies("model", b"text", person.sign("approval", b"text"))
    with pytest.raises(InvalidTag):
        person.unseal("other", person.public.seal("names", b"value"))


def test_the_file_is_its_owners_alone_and_holds_no_private_key_in_plain(key_file: Path) -> None:
    person, raw = unlock(key_file, SECRET), key_file.read_bytes()
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    assert person.signing.private_bytes_raw() not in raw
    assert json.loads(raw)["cost"] == 10
    assert people.COST >= 17


def test_a_wrong_passphrase_is_one_sentence(key_file: Path) -> None:
    with pytest.raises(KeyFileError, match=r"^the passphrase of \S+meier.key is wrong, or the file was changed$"):
        unlock(key_file, "a wrong passphrase")


@pytest.mark.parametrize("kept", [0, 1, 50, 200, -3])
def test_a_truncated_key_file_is_one_sentence(key_file: Path, kept: int) -> None:
    key_file.write_bytes(key_file.read_bytes()[:kept])
    with pytest.raises(KeyFileError, match="is no person's key, or only a part of one"):
        unlock(key_file, SECRET)


@pytest.mark.parametrize(("field", "value"), [("name", "schmidt"), ("public", "A" * 88), ("cost", 11)])
def test_a_key_file_whose_name_or_public_half_was_changed_does_not_open(key_file: Path, field: str, value: object) -> None:
    key_file.write_text(json.dumps(json.loads(key_file.read_text()) | {field: value}))
    with pytest.raises(KeyFileError):
        unlock(key_file, SECRET)


def test_a_forged_file_cannot_ask_for_all_memory(key_file: Path) -> None:
    key_file.write_text(json.dumps(json.loads(key_file.read_text()) | {"cost": 40}))
    with pytest.raises(KeyFileError, match="of this version"):
        unlock(key_file, SECRET)


def test_a_missing_file_an_existing_one_a_short_passphrase_and_a_bad_name_are_refused(key_file: Path, tmp_path: Path) -> None:
    for path, name, secret, sentence in (
        (key_file, "meier", SECRET, "exists and is not overwritten"),
        (tmp_path / "new.key", "meier", "short", "at least 12 characters"),
        (tmp_path / "new.key", "Dr. Meier", SECRET, "must be a login"),
    ):
        with pytest.raises(KeyFileError, match=sentence):
            new_person(path, name, secret, cost=10)
    with pytest.raises(KeyFileError, match="cannot be read: No such file"):
        unlock(tmp_path / "lost.key", SECRET)


def test_the_passphrase_comes_from_a_file_or_the_environment_and_never_silently_from_nowhere(tmp_path: Path) -> None:
    (tmp_path / "pass").write_text(SECRET + "\n")
    assert passphrase(tmp_path / "pass", {"TUERMER_PASSPHRASE": "x"}) == SECRET
    assert passphrase(None, {"TUERMER_PASSPHRASE": SECRET}) == SECRET
    with pytest.raises(KeyFileError, match="cannot be read"):
        passphrase(tmp_path / "lost", {})


def test_only_listed_keys_are_trusted_under_the_name_that_the_list_gives_them(key_file: Path, tmp_path: Path) -> None:
    person = unlock(key_file, SECRET)
    stranger = new_person(tmp_path / "other.key", "meier", SECRET, cost=10)
    config = Config(keyholders=[Keyholder("h.meier", person.public.line, ["security", "models"], ["city"])])
    assert people.trusted(config, person).name == "h.meier"
    assert list(people.signers(config, "models", "city")) == ["h.meier"]
    assert people.signers(config, "models", "county") == {}
    with pytest.raises(KeyFileError, match=r"the key of meier \(\w{16}\) is not among \[\[keyholders\]\]"):
        people.trusted(Config(keyholders=[Keyholder("meier", stranger.line, ["security"])]), person)


def test_a_line_that_is_no_public_key_names_its_entry() -> None:
    with pytest.raises(ConfigError, match=r"keyholders\[1\]\.public is not the line"):
        people.holders(Config(keyholders=[Keyholder("meier", "ssh-ed25519 AAAA meier", ["security"])]))
