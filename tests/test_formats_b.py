"""What the template and JSON formats promise beyond their samples: one attempt is one event, every shape of a Windows event, real logs."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import zstandard

from detector.config import Topic
from detector.decode import Decoder, to_json
from detector.decode.table import shipped
from detector.records import Place, of_lines

OURS = ("cisco_asa", "ecs_json", "entra", "keycloak", "keycloak_log", "pam", "sshd", "suricata", "windows_security")
DATASETS = Path(__file__).parents[2] / "shared" / "datasets"
NOW = int(datetime(2026, 6, 1, 12, tzinfo=UTC).timestamp() * 1_000_000)
AUTO = Decoder.build([Topic(name="*", tenant="stadt", timezone="UTC")])
Event = dict[str, str | int]


def read(lines: list[bytes], decoder: Decoder = AUTO) -> list[Event]:
    return to_json(decoder.decode(of_lines(lines, Place("auth", 0), timestamp=NOW)), len(lines))


def sshd(message: str, pid: int = 4711, host: str = "web01") -> bytes:
    return f"May  3 07:12:01 {host} sshd[{pid}]: {message}".encode()


# --- one attempt is one event ---


def attempts(events: list[Event]) -> int:
    """As the features count: per connection the largest of the sums per kind of line."""
    sums: Counter[tuple[object, object]] = Counter()
    for event in events:
        if event.get("event.action") == "login":
            sums[event["session.key"], event["attempt.kind"]] += int(event["attempt.count"])
    largest: Counter[object] = Counter()
    for (session, _), count in sums.items():
        largest[session] = max(largest[session], count)
    return largest.total()


PAM = "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=203.0.113.9  user=root"
FAILED = "Failed password for root from 203.0.113.9 port 51022 ssh2"
MORE = "PAM 2 more authentication failures; logname= uid=0 euid=0 tty=ssh ruser= rhost=203.0.113.9  user=root"
END = "Disconnecting authenticating user root 203.0.113.9 port 51022: Too many authentication failures [preauth]"


def test_a_connection_that_tells_three_guesses_in_eight_lines_counts_three() -> None:
    lines = [sshd(m) for m in (PAM, FAILED, FAILED, FAILED, MORE, "error: " + END, END, "Connection closed by 203.0.113.9 port 51022")]
    assert attempts(read(lines)) == 3


def test_a_repeated_message_counts_as_often_as_it_says() -> None:
    lines = [sshd(FAILED), sshd(f"message repeated 4 times: [ {FAILED}]"), sshd(PAM), sshd(MORE.replace("2 more", "4 more"))]
    assert attempts(read(lines)) == 5


def test_an_unknown_name_told_by_four_lines_counts_once() -> None:
    told = [
        "Invalid user test from 203.0.113.9 port 51022",
        "input_userauth_request: invalid user test [preauth]",
        "Failed password for invalid user test from 203.0.113.9 port 51022 ssh2",
        "Disconnected from invalid user test 203.0.113.9 port 51022 [preauth]",
    ]
    assert attempts(read([sshd(m) for m in told])) == 1


def test_other_connections_and_other_hosts_count_for_themselves() -> None:
    assert attempts(read([sshd(FAILED), sshd(FAILED, pid=4712), sshd(FAILED, host="web02")])) == 3


def test_a_login_that_succeeded_is_no_failure_and_its_session_no_second_login() -> None:
    events = read([
        sshd("Accepted password for m.weber from 2001:db8::17 port 40112 ssh2"),
        sshd("pam_unix(sshd:session): session opened for user m.weber(uid=1000) by (uid=0)"),
    ])  # fmt: skip
    assert [(e["event.action"], e["event.outcome"]) for e in events] == [("login", "success"), ("session-start", "success")]


# --- Windows: one event, three ways to write it ---

DATA = {
    "TargetUserName": "m.weber", "SubjectUserName": "adm.weber", "IpAddress": "192.0.2.17", "IpPort": "50122", "LogonType": "3",
    "Status": "0x0", "ServiceName": "FS01$", "MemberName": "CN=Neu Konto,OU=Rathaus", "AuthenticationPackageName": "NTLM",
    "SourceAddress": "192.0.2.17", "SourcePort": "50122", "DestAddress": "198.51.100.4", "DestPort": "443", "Protocol": "6",
}  # fmt: skip
TIME, COMPUTER, SOURCE = "2026-05-03T07:12:01.250Z", "dc01.stadt.example", "Microsoft-Windows-Security-Auditing"
CODES = (4624, 4625, 4634, 4648, 4672, 4720, 4728, 4732, 4740, 4768, 4769, 4771, 4776, 5156, 5157)


def winlogbeat(code: int) -> bytes:
    inner = {"event_id": str(code), "provider_name": SOURCE, "channel": "Security", "computer_name": COMPUTER, "event_data": DATA}
    return json.dumps({"@timestamp": TIME, "event": {"code": str(code)}, "winlog": inner}).encode()


def flat(code: int) -> bytes:
    return json.dumps(
        {"Channel": "Security", "EventID": code, "SourceName": SOURCE, "Hostname": COMPUTER, "@timestamp": TIME, **DATA}
    ).encode()


def converted(code: int) -> bytes:
    system = {
        "Provider": {"#attributes": {"Name": SOURCE}}, "EventID": code, "Channel": "Security", "Computer": COMPUTER,
        "TimeCreated": {"#attributes": {"SystemTime": TIME}},
    }  # fmt: skip
    return json.dumps({"Event": {"System": system, "EventData": DATA}}, indent=1).encode()


@pytest.mark.parametrize("code", CODES)
def test_a_windows_event_is_the_same_event_in_each_of_its_shapes(code: int) -> None:
    first, second, third = read([winlogbeat(code), flat(code), converted(code)])
    assert first == second == third
    assert first["event.code"] == str(code)
    assert first["host.name"] == COMPUTER


def test_who_acted_and_on_whom_is_told_apart() -> None:
    named = {code: read([flat(code)])[0] for code in CODES}
    assert (named[4720]["user.name"], named[4720]["user.target.name"]) == ("adm.weber", "m.weber")
    assert (named[4728]["user.name"], named[4728]["user.target.name"]) == ("adm.weber", "Neu Konto")
    assert named[4625]["user.name"] == "m.weber"
    assert "user.name" not in named[5156]


# --- Cisco: who opened the connection ---


def test_an_outbound_connection_has_the_inner_end_as_its_source() -> None:
    line = (
        "<166>May  3 2026 07:12:01 fw1 : %ASA-6-302013: Built {} TCP connection 1 for outside:{}/443 ({}/443) to inside:{}/50000 ({}/50000)"
    )
    out, back = read([
        line.format("outbound", "198.51.100.4", "198.51.100.4", "192.0.2.17", "192.0.2.17").encode(),
        line.format("inbound", "198.51.100.4", "198.51.100.4", "192.0.2.17", "192.0.2.17").encode(),
    ])  # fmt: skip
    assert (out["source.ip"], out["source.port"], out["destination.ip"], out["destination.port"]) == (
        "192.0.2.17",
        50000,
        "198.51.100.4",
        443,
    )
    assert (back["source.ip"], back["destination.port"]) == ("198.51.100.4", 50000)


# --- broken lines ---


@pytest.mark.parametrize("name", OURS)
def test_a_line_cut_at_any_byte_is_answered_and_invents_nothing(name: str) -> None:
    lines = [s.line.encode()[:cut] for s in shipped()[name].samples for cut in range(0, len(s.line), 3)]
    records = of_lines(lines, Place("auth", 0), timestamp=NOW)
    decoded = Decoder.build([Topic(name="*", tenant="stadt", timezone="UTC", format=name)]).decode(records)
    assert len(decoded.rows) + sum(decoded.ignored.values()) + len(decoded.rejects) == len(lines)
    for line, answer in zip(lines, to_json(decoded, len(lines)), strict=True):
        user = answer.get("user.name", "")
        assert str(user).encode() in line.replace(b"\\\\", b"\\")
        assert str(answer.get("source.port", "")).encode() in line


# --- real logs, where they are ---


def real(path: str) -> list[bytes]:
    file = DATASETS / path
    if not file.exists():
        pytest.skip(f"{file} is not there; it is not part of the project")
    raw = file.read_bytes()
    data = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(raw)).read() if path.endswith(".zst") else raw
    return data.split(b"\n")[:-1]


def test_every_login_line_of_loghub_is_read_with_its_address() -> None:
    lines = real("loghub_2k/OpenSSH_2k.log")
    answers = read(lines)
    assert not [line for line, answer in zip(lines, answers, strict=True) if "dead_letter" in answer]
    for line, answer in zip(lines, answers, strict=True):
        if b"]: Failed " in line or b"]: Accepted " in line:
            assert answer["event.action"] == "login"
            assert f" from {answer['source.ip']} port {answer['source.port']} ".encode() in line


def _dead(lines: list[bytes]) -> Iterator[bytes]:
    decoded = AUTO.decode(of_lines(lines, Place("auth", 0), timestamp=NOW))
    assert len(decoded.rows) + sum(decoded.ignored.values()) + len(decoded.rejects) == len(lines)
    return (lines[reject.row] for reject in decoded.rejects)


@pytest.mark.parametrize(
    ("path", "unreadable"),
    [  # host_a: a full disk wrote lines into each other
        ("ssh_ufw_host_a_2021/auth.log.zst", 3), ("ssh_host_d_2016/auth.log.zst", 0), ("ssh_host_f_secrepo/auth.log.zst", 0),
        ("gateway_2016/auth.log.zst", 0), ("windows_otrf/security_events.jsonl.zst", 0), ("windows_evtx/security_events.jsonl.zst", 0),
        ("stratosphere/test6-malicious.suricata.json.zst", 0),
    ],
)  # fmt: skip
def test_real_logs_are_answered_and_only_broken_lines_are_dead_letters(path: str, unreadable: int) -> None:
    lines = real(path)[:60_000]
    assert len(list(_dead(lines))) <= unreadable


def test_windows_recordings_keep_their_event_ids_and_addresses() -> None:
    lines = real("windows_otrf/security_events.jsonl.zst")[:4000]
    answers = read(lines)
    checked = 0
    for line, answer in zip(lines, answers, strict=True):
        document = json.loads(line)
        if "event.code" in answer:
            assert answer["event.code"] == str(document["_event_id"])
        if answer.get("event.category") == "network" and "SourceAddress" in document:
            assert str(answer["source.port"]) == document["SourcePort"]
            checked += 1
    assert checked > 500


def test_strange_neighbours_change_nothing_about_a_good_line() -> None:
    strange = [b"\xff" * 5000, b"{" * 5000, b"pam_unix(sshd:auth): " + b"rhost=" * 900, sshd("Failed password for " + " from " * 900)]
    good = sshd(FAILED)
    answers = read([line for odd in strange for line in (good, odd)])
    assert len({json.dumps(a, sort_keys=True) for a in answers[0::2]}) == 1
    assert all("dead_letter" in answer or "ignored" in answer for answer in answers[1::2])
