"""Whoever takes the key file cannot compute tokens of an epoch that is over, however many processes share it."""

from __future__ import annotations

import base64
import json
import os
import stat
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from detector.privacy import FileKeyring, KeyFileError, MemoryKeyring, new_dead_letters, new_privacy, new_signing
from detector.privacy.epochs import DAY, HOUR, epoch
from detector.privacy.keys import REACH, clamp

NOON = int(datetime(2026, 6, 10, 12, tzinfo=UTC).timestamp()) * 1_000_000
BERLIN = ("Europe/Berlin",)
TODAY = epoch(NOON, "Europe/Berlin")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    new_privacy(tmp_path / "privacy.key", NOON)
    return tmp_path / "privacy.key"


def test_a_new_key_is_random_private_and_never_overwritten(tmp_path: Path) -> None:
    one, two = tmp_path / "one.key", tmp_path / "two.key"
    new_privacy(one, NOON)
    new_privacy(two, NOON)
    assert stat.S_IMODE(one.stat().st_mode) == 0o600
    assert len(base64.b64decode(json.loads(one.read_bytes())["root"])) == 32
    assert json.loads(one.read_bytes())["root"] != json.loads(two.read_bytes())["root"]
    before = one.read_bytes()
    with pytest.raises(KeyFileError, match="exists and is not overwritten"):
        new_privacy(one, NOON)
    assert one.read_bytes() == before


def test_a_folder_that_is_not_there_is_said_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match=r"cannot be made: No such file or directory$"):
        new_privacy(tmp_path / "nowhere" / "privacy.key", NOON)


def test_signing_and_dead_letter_keys_are_pairs_whose_private_half_is_private(tmp_path: Path) -> None:
    for make in (new_signing, new_dead_letters):
        out = tmp_path / make.__name__
        make(out)
        assert stat.S_IMODE(out.stat().st_mode) == 0o600
        assert b"PRIVATE" not in (tmp_path / f"{out.name}.pub").read_bytes()
        with pytest.raises(KeyFileError, match="not overwritten"):
            make(out)
    assert isinstance(load_pem_private_key((tmp_path / "new_signing").read_bytes(), None), Ed25519PrivateKey)


def test_keys_differ_by_tenant_epoch_and_purpose(path: Path) -> None:
    ring = FileKeyring.open(path, BERLIN)
    keys = {ring.key(*asked) for asked in (("a", TODAY, "user"), ("b", TODAY, "user"), ("a", TODAY + 1, "user"), ("a", TODAY, "host"))}
    assert len(keys) == 4
    assert ring.key("a", TODAY, "user") == FileKeyring.open(path, BERLIN).key("a", TODAY, "user")


def test_when_an_epoch_is_over_and_a_day_has_passed_its_key_is_gone_from_file_and_memory(path: Path) -> None:
    ring = FileKeyring.open(path, BERLIN)
    stolen_before = path.read_bytes()
    yesterday = ring.key("stadt", TODAY - 2, "user")
    assert ring.advance(NOON) == TODAY - 1
    for holder in (ring, FileKeyring.open(path, BERLIN)):
        with pytest.raises(KeyError, match="there is no key for epoch"):
            holder.key("stadt", TODAY - 2, "user")
    # The file of the day before could compute it, which is why it was overwritten: nothing of it is left.
    assert json.loads(stolen_before)["root"].encode() not in path.read_bytes()
    assert yesterday not in path.read_bytes()


def test_the_overwritten_file_holds_zeros_for_whoever_still_has_it_open(path: Path) -> None:
    ring = FileKeyring.open(path, BERLIN)
    with path.open("rb") as taken:
        ring.advance(NOON)
        assert set(taken.read()) == {0}


def test_an_epoch_stays_open_a_day_longer_for_late_events(path: Path) -> None:
    ring = FileKeyring.open(path, BERLIN)
    end = NOON - 12 * HOUR + 3 * HOUR  # 05:00 in Berlin is 03:00 UTC in June
    assert ring.advance(end + DAY - 1) == TODAY - 1
    assert ring.advance(end + DAY) == TODAY


def test_today_s_tokens_survive_the_step(path: Path) -> None:
    ring = FileKeyring.open(path, BERLIN)
    before = ring.key("stadt", TODAY, "user")
    ring.advance(NOON)
    assert ring.key("stadt", TODAY, "user") == before == FileKeyring.open(path, BERLIN).key("stadt", TODAY, "user")


def test_the_westernmost_tenant_decides_when_an_epoch_is_over(path: Path) -> None:
    at = int(datetime(2026, 6, 11, 4, tzinfo=UTC).timestamp()) * 1_000_000  # 06:00 in Berlin, midnight in New York
    ring = FileKeyring.open(path, ("Europe/Berlin", "America/New_York"))
    assert ring.advance(at) == epoch(at, "America/New_York") - 1 == TODAY - 1


def test_a_backlog_keeps_its_epochs_open_but_not_for_more_than_three_days(path: Path) -> None:
    ring = FileKeyring.open(path, BERLIN)
    later = NOON + 10 * DAY
    assert ring.advance(later, waiting=later - 2 * DAY) == TODAY + 7
    assert ring.advance(later, waiting=later) == TODAY + 9
    fresh = FileKeyring.open(path, BERLIN)
    assert fresh.advance(later + 10 * DAY, waiting=NOON) == TODAY + 17


def test_what_is_older_than_every_open_epoch_joins_the_oldest(path: Path) -> None:

    ring = FileKeyring.open(path, BERLIN)
    ring.advance(NOON)
    asked = np.array([0, TODAY - 5, TODAY - 1, TODAY, 10**8], np.int32)
    assert clamp(ring, asked).tolist() == [TODAY - 1, TODAY - 1, TODAY - 1, TODAY, TODAY - 1 + REACH]


def test_a_process_that_is_behind_never_turns_the_file_back(path: Path) -> None:
    ahead, behind = FileKeyring.open(path, BERLIN), FileKeyring.open(path, BERLIN)
    ahead.advance(NOON + 5 * DAY)
    moved = path.read_bytes()
    behind.advance(NOON)
    assert path.read_bytes() == moved
    assert behind.key("a", TODAY + 5, "user") == ahead.key("a", TODAY + 5, "user")


def test_several_processes_that_step_at_once_agree(path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from detector.privacy.keys import FileKeyring\n"
        "ring = FileKeyring.open(Path(sys.argv[1]), ('Europe/Berlin',)); print('open', flush=True); sys.stdin.readline()\n"
        "for day in range(20): ring.advance(int(sys.argv[2]) + day * 86_400_000_000)\n"
        "print(ring.key('stadt', ring.first, 'user').hex())\n"
    )
    command = [sys.executable, "-c", code, str(path), str(NOON)]
    running = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    for process in running:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
    answers = {process.communicate("go\n", timeout=120)[0] for process in running}
    assert [process.returncode for process in running] == [0, 0, 0]
    assert len(answers) == 1
    assert FileKeyring.open(path, BERLIN).first == TODAY + 18


def test_a_key_ahead_of_the_clock_is_refused_because_its_tokens_would_not_change(path: Path) -> None:
    ring = FileKeyring.open(path, BERLIN)
    ring.advance(NOON + 40 * DAY)
    with pytest.raises(KeyFileError, match=r"privacy\.key is 39 days ahead of this machine's clock"):
        FileKeyring.open(path, BERLIN).advance(NOON)


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"not json", b'{"epoch": 1, "root": "AAAA", "lasting": "AAAA"}', b'{"epoch": 1, "root": "A", "lasting": "A"}']
)
def test_a_file_that_is_no_key_is_refused_without_quoting_it(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(KeyFileError, match="is no privacy key"):
        FileKeyring.open(path, BERLIN)


def test_a_missing_file_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="make it with `tuermer keys new privacy --out"):
        FileKeyring.open(tmp_path / "privacy.key", BERLIN)


def test_a_folder_that_cannot_be_written_is_said_at_the_start_not_a_day_later(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda folder, mode: (folder, mode) != (path.parent, os.W_OK))  # root may write anywhere
    with pytest.raises(KeyFileError, match=r"cannot be rewritten; its folder must be writable for Türmer"):
        FileKeyring.open(path, BERLIN)


def test_a_disk_that_fails_while_the_key_is_rewritten_is_said_in_a_sentence(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    ring, before = FileKeyring.open(path, BERLIN), path.read_bytes()
    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(KeyFileError, match=r"cannot be rewritten: No space left on device; its folder"):
        ring.advance(NOON)
    assert path.read_bytes() == before
    monkeypatch.undo()
    FileKeyring.open(path, BERLIN)
    assert [file.name for file in path.parent.iterdir()] == ["privacy.key"], "a half-made step would keep a root beyond its day"


def test_the_rewritten_file_keeps_its_mode_and_leaves_nothing_behind(path: Path) -> None:
    path.chmod(0o640)
    FileKeyring.open(path, BERLIN).advance(NOON)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert sorted(file.name for file in path.parent.iterdir()) == ["privacy.key"]


def test_keys_in_memory_are_repeatable_only_with_the_same_root() -> None:
    assert MemoryKeyring(b"r" * 32).key("a", 5, "user") == MemoryKeyring(b"r" * 32).key("a", 5, "user")
    assert MemoryKeyring().key("a", 5, "user") != MemoryKeyring().key("a", 5, "user")
