"""`make conformance`: other people's sample lines with the fields that their parsers expect, read by our formats.

Prints, per format, how many lines were answered (event, ignored, dead letter; must be all), and how many of the expected
fields that we claim came out right. The differences go to var/conformance.txt. The samples lie in ../shared/datasets
and may not be copied; where they are absent this says so and ends.

What is compared: @timestamp (to the second), addresses, ports, bytes, packets, transport, user.name, observer.name,
event.code; event.category where theirs names network or authentication; event.action where their event.type or action
says allowed or denied; event.outcome for authentication only (theirs says "success" when a firewall denied as it should).
An ignored line counts for nothing, but is listed; a dead letter counts all its expected fields as wrong.
"""

from __future__ import annotations

import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import zstandard

from detector.config import Topic
from detector.decode import Decoder, address, to_json
from detector.records import Place, of_lines

DATASETS = Path(__file__).parents[2] / "shared" / "datasets"
Document = Mapping[str, Any]

# package or file -> our format that answers for it; and, where only a part of the samples is ours, which data streams
ELASTIC: dict[str, tuple[str, tuple[str, ...]]] = {
    "fortinet_fortigate": ("fortigate", ()),
    "panw": ("panos", ()),
    "pfsense": ("pfsense", ()),
    "iptables": ("netfilter", ()),
    "cisco_asa": ("cisco_asa", ()),
    "cisco_ftd": ("cisco_asa", ()),
    "suricata": ("suricata", ()),
    "keycloak": ("keycloak", ()),
    "azure": ("entra", ("signinlogs",)),
    "windows": ("windows_security", ("forwarded", "security")),
    "system": ("windows_security", ("security",)),
}
SYSTEM_AUTH = ("system", "auth", "sshd")  # package, data stream, format
SEKOIA: dict[str, str] = {
    "fortinet-fortigate": "fortigate",
    "palo-alto-networks-paloalto-ngfw": "panos",
    "palo-alto-networks-paloalto-prisma-access": "panos",
    "netfilter-netfilter": "netfilter",
    "openbsd-openbsd-packet-filter": "pfsense",
    "cef-cef": "cef",
    "suricata-suricata": "suricata",
    "openssh-openssh": "sshd",
    "windows-windows": "windows_security",
    "beats-winlogbeat": "windows_security",
    "keycloak-keycloak-events": "keycloak",
    "azure-azure-ad": "entra",
    "microsoft-microsoft-entraid-graphapi": "entra",
    "cisco-cisco-secure-firewall": "cisco_asa",
}
HOSTS = {"sshd", "pam", "windows_security"}  # formats for which their host.name means ours
DENIED = {
    "deny",
    "denied",
    "drop",
    "dropped",
    "block",
    "blocked",
    "reject",
    "reset-both",
    "reset-client",
    "reset-server",
    "drop-icmp",
    "block-url",
}
ALLOWED = {"allow", "allowed", "accept", "accepted", "pass", "permit", "permitted"}


@dataclass(slots=True)
class Case:
    """One sample line: where it is from, who is to read it, what is expected of the columns that we claim."""

    origin: str
    format: str
    line: bytes
    timezone: str
    received: int  # µs
    expected: dict[str, str | int]


@dataclass(slots=True)
class Score:
    lines: int = 0
    events: int = 0
    ignored: int = 0
    dead: int = 0
    expected: int = 0
    right: int = 0
    wrong: Counter[str] = field(default_factory=Counter)


def _get(document: Document, path: str) -> Any:
    if path in document:
        return document[path]
    head, _, rest = path.partition(".")
    inner = document.get(head)
    return _get(inner, rest) if rest != "" and isinstance(inner, Mapping) else None


def _first(document: Document, *paths: str) -> Any:
    values = (_get(document, path) for path in paths)
    return next((v for v in values if v not in (None, "", [])), None)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _action(document: Document, categories: set[str]) -> str | None:
    """allowed or denied; for logins nothing, since theirs says there what our outcome says."""
    if "authentication" in categories:
        return None
    said = {str(_first(document, "event.action", "action.name") or "").lower()}
    kinds = set(_list(_get(document, "event.type")))
    if "denied" in kinds or said & DENIED:
        return "denied"
    return "allowed" if "allowed" in kinds or said & ALLOWED else None


def expectation(document: Document, format_: str) -> dict[str, str | int]:
    """What a foreign ECS document says about our columns."""
    categories = set(_list(_get(document, "event.category")))
    wanted: dict[str, Any] = {
        "@timestamp": _get(document, "@timestamp"),
        "source.ip": _get(document, "source.ip"),
        "destination.ip": _get(document, "destination.ip"),
        "source.port": _get(document, "source.port"),
        "destination.port": _get(document, "destination.port"),
        "source.bytes": _get(document, "source.bytes"),
        "destination.bytes": _get(document, "destination.bytes"),
        "source.packets": _get(document, "source.packets"),
        "network.transport": _get(document, "network.transport"),
        "user.name": _first(document, "user.name", "source.user.name"),
        "user.target.name": _get(document, "user.target.name"),
        "event.code": _get(document, "event.code"),
        "event.action": _action(document, categories),
    }
    ours = categories & {"network", "authentication"}
    if len(ours) == 1:
        wanted["event.category"] = ours.pop()
    if "authentication" in categories:
        wanted["event.outcome"] = _get(document, "event.outcome")
    if format_ in HOSTS:
        wanted["host.name"] = _first(document, "host.name", "host.hostname")
    else:
        wanted["observer.name"] = _first(document, "observer.name", "observer.hostname")
    return {name: _plain(name, value) for name, value in wanted.items() if value not in (None, "", [])}


def _plain(name: str, value: Any) -> str | int:
    value = value[0] if isinstance(value, list) else value
    return int(value) if name.endswith((".port", ".bytes", ".packets")) else str(value)


def _moment(text: str) -> int:
    return round(datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() * 1_000_000)


def _received(expected: Mapping[str, str | int], fields: Document) -> int:
    """Record time: the middle of the expected year, so that it decides the year only; the test's own where that is the answer."""
    own, text = _get(fields, "@timestamp"), expected.get("@timestamp")
    if own is not None and own == text:
        return _moment(str(own))
    year = datetime.fromtimestamp(_moment(str(text)) / 1e6, UTC).year if text is not None else 2024
    return int(datetime(year, 7, 2, 12, tzinfo=UTC).timestamp() * 1_000_000)


def _load(path: Path) -> Iterator[dict[str, Any]]:
    with path.open("rb") as raw, zstandard.ZstdDecompressor().stream_reader(raw) as stream:
        for line in stream.read().splitlines():
            yield json.loads(line)


def _elastic_format(document: Document) -> str | None:
    package, stream = document["package"], document["data_stream"]
    if (package, stream) == SYSTEM_AUTH[:2]:
        return SYSTEM_AUTH[2]
    known = ELASTIC.get(package)
    return known[0] if (known is not None and known[1] in ((), (stream,))) or (known is not None and stream in known[1]) else None


def cases() -> Iterator[Case]:
    """All samples that belong to a format of ours."""
    for package in [*ELASTIC]:
        for document in _load(DATASETS / "parsers_elastic" / f"{package}.jsonl.zst"):
            format_ = _elastic_format(document)
            if format_ is None:
                continue
            fields = document["fields"] or {}
            zone = str(_first(fields, "_tmp.tz_offset", "_conf.tz_offset", "tz_offset") or "UTC")
            expected = expectation(document["expected"] or {}, format_)
            raw = document["raw"] if document["raw"] is not None else json.dumps(document["raw_event"])
            origin = f"elastic/{package}/{document['file']}#{document['idx']}"
            yield Case(origin, format_, raw.encode(), zone if zone != "local" else "UTC", _received(expected, fields), expected)
    for name, format_ in SEKOIA.items():
        for document in _load(DATASETS / "parsers_sekoia" / f"{name}.jsonl.zst"):
            expected = expectation(document["expected"] or {}, format_)
            yield Case(f"sekoia/{name}/{document['file']}", format_, document["raw"].encode(), "UTC", _received(expected, {}), expected)


def _answers(chosen: list[Case]) -> list[dict[str, str | int]]:
    """Our answer to each case, all decoded with `auto`."""
    answers: list[dict[str, str | int]] = [{} for _ in chosen]
    by_zone: dict[str, list[int]] = defaultdict(list)
    for i, case in enumerate(chosen):
        by_zone[case.timezone].append(i)
    for zone, rows in by_zone.items():
        decoder = Decoder.build([Topic(name="*", tenant="conformance", timezone=zone)])
        records = of_lines([chosen[i].line for i in rows], Place("samples", 0))
        records.timestamps[:] = [chosen[i].received for i in rows]
        for i, answer in zip(rows, to_json(decoder.decode(records), len(rows)), strict=True):
            answers[i] = answer
    return answers


def _equal(name: str, expected: str | int, got: str | int | None) -> bool:
    if got is None:
        return False
    if name == "@timestamp":
        return abs(_moment(str(expected)) - _moment(str(got))) < 1_000_000
    if name == "event.action":
        return str(got) == expected or (expected == "denied" and got in ("dropped", "rejected"))
    if name.endswith(".ip"):
        import ipaddress

        try:
            parsed = (
                int(ipaddress.IPv6Address(str(expected)))
                if ":" in str(expected)
                else 0xFFFF << 32 | int(ipaddress.IPv4Address(str(expected)))
            )
        except ValueError:
            return False
        return address.text(parsed >> 64, parsed & (2**64 - 1)) == got
    if name in ("user.name", "user.target.name"):
        return str(expected).rpartition("\\")[2].lower() == str(got).lower()
    return str(expected).lower() == str(got).lower()


def judge(case: Case, answer: Mapping[str, str | int], score: Score) -> list[str]:
    """Count one answer; returns the differences as lines of text."""
    score.lines += 1
    if "ignored" in answer:
        score.ignored += 1
        return [f"  ignored as {answer['ignored']}"]
    score.expected += len(case.expected)
    if "dead_letter" in answer:
        score.dead += 1
        score.wrong.update(list(case.expected))
        return [f"  dead letter: {answer['dead_letter']}"]
    assert answer != {}, "a line without an answer"
    score.events += 1
    differences = []
    for name, expected in case.expected.items():
        if _equal(name, expected, answer.get(name)):
            score.right += 1
        else:
            score.wrong[name] += 1
            differences.append(f"  {name:18} expected {expected!s:40} got {answer.get(name, '-')}")
    return differences


def run(out: Path | None) -> dict[str, Score]:
    """Scores by format; the differences into `out`."""
    chosen = list(cases())
    scores: dict[str, Score] = defaultdict(Score)
    report = []
    for case, answer in zip(chosen, _answers(chosen), strict=True):
        differences = judge(case, answer, scores[case.format])
        if differences:
            shown = case.line[:600].decode("utf-8", "replace").replace("\n", "\\n")
            report += [f"{case.format} · {case.origin} · answered by {answer.get('event.dataset', '-')}", f"  {shown}", *differences, ""]
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text("\n".join(report), "utf-8")
    return dict(scores)


def main() -> int:
    if not (DATASETS / "parsers_elastic").is_dir():
        print("conformance: skipped, because the sample sets are not at ../shared/datasets")
        return 0
    out = Path("var/conformance.txt")
    scores = run(out)
    print(f"{'format':18}{'lines':>7}{'events':>8}{'ignored':>9}{'dead':>6}{'fields':>8}{'right':>7}{'%':>7}   most often wrong")
    total = Score()
    for name, s in [*sorted(scores.items()), ("all", total)]:
        share = 100 * s.right / max(s.expected, 1)
        worst = ", ".join(f"{column} {times}" for column, times in s.wrong.most_common(4))
        print(f"{name:18}{s.lines:7}{s.events:8}{s.ignored:9}{s.dead:6}{s.expected:8}{s.right:7}{share:7.1f}   {worst}")
        for attribute in () if s is total else ("lines", "events", "ignored", "dead", "expected", "right"):
            setattr(total, attribute, getattr(total, attribute) + getattr(s, attribute))
    print(f"answered: every line ({total.events} events, {total.ignored} ignored, {total.dead} dead letters); differences: {out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
