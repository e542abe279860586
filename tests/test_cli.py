"""The command line as its user meets it: a process, its output and its exit code."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from detector.cli import app

LINES = (
    b"<38>Oct 11 22:14:15 web1 sshd[422]: Failed password for invalid user admin from 203.0.113.9 port 50010 ssh2\n",
    b'{"half": \n',
    b"",
    b"nobody knows this line\n",
)


def tuermer(*words: str, given: bytes = b"", cwd: Path | None = None) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([sys.executable, "-m", "detector", *words], input=given, capture_output=True, cwd=cwd, check=False, timeout=240)


def test_decode_answers_every_line_in_order() -> None:
    done = tuermer("decode", "--year", "2026", "--timezone", "UTC", given=b"".join(LINES))
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0
    assert [next(iter(answer)) for answer in answers] == ["@timestamp", "dead_letter", "dead_letter"]
    assert answers[0]["@timestamp"] == "2026-10-11T22:14:15Z"
    assert (answers[0]["user.name"], answers[0]["source.ip"], answers[0]["event.outcome"]) == ("admin", "203.0.113.9", "failure")


def test_an_unknown_format_is_one_sentence_and_exit_code_1() -> None:
    done = tuermer("decode", "--format", "abacus", given=LINES[0])
    assert done.returncode == 1
    assert done.stderr.startswith(b"tuermer: no format has the name 'abacus'; there are: auto, ")
    assert done.stderr.count(b"\n") == 1


@pytest.mark.parametrize("words", [["watch"], ["run", "--colour"], ["keys", "new", "house"]], ids=" ".join)
def test_wrong_use_is_exit_code_2(words: list[str]) -> None:
    assert tuermer(*words).returncode == 2


@pytest.mark.parametrize("verb", ["run", "doctor", "explain 1", "try firewall"])
def test_a_missing_configuration_is_one_sentence(verb: str, tmp_path: Path) -> None:
    done = tuermer(*verb.split(), "--config", "absent.toml", cwd=tmp_path)
    assert done.returncode == 1
    assert b"absent.toml" in done.stdout + done.stderr
    assert (done.stdout + done.stderr).count(b"\n") == 1


def test_a_key_is_made_once_and_only_for_us(tmp_path: Path) -> None:
    assert tuermer("keys", "new", "privacy", cwd=tmp_path).returncode == 0
    key = tmp_path / "privacy.key"
    before = key.read_bytes()
    again = tuermer("keys", "new", "privacy", cwd=tmp_path)
    assert key.stat().st_mode & 0o777 == 0o600
    assert again.returncode == 1
    assert key.read_bytes() == before


def test_every_command_says_what_it_does() -> None:
    names = [name for name in app if not name.startswith("-")]
    assert len(names) >= 11
    for name in names:
        assert app[name].help != "", name


def test_simulated_lines_replay_into_incidents(tmp_path: Path) -> None:
    made = tuermer("simulate", "--days", "1", "--people", "60", "--out", str(tmp_path / "city"))
    assert made.returncode == 0, made.stderr
    assert {p.name for p in (tmp_path / "city").iterdir()} == {
        "firewall.log", "auth.log", "labels.jsonl", "city.toml", "roles.csv", "networks.csv",
    }  # fmt: skip
    found = tmp_path / "found.jsonl"
    done = tuermer("replay", str(tmp_path / "city" / "auth.log"), "--year", "2026", "--incidents", str(found))
    assert done.returncode == 0, done.stderr
    incidents = [json.loads(line) for line in found.read_bytes().splitlines()]
    for incident in incidents:
        assert incident["reasons"] != []
        assert incident["evidence"] != []
        assert set(incident["title"]) == {"de", "en"}
