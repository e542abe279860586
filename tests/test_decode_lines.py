"""What stands around a message: headers, clocks, envelopes, and who sent it."""

from __future__ import annotations

import json
from datetime import datetime

import pytest

from detector.config import Observer, Topic
from detector.decode import Decoder, Origin, to_json
from detector.decode.table import shipped
from detector.records import Place, concat, of_lines

BODY = 'devid="x" type="traffic" subtype="forward" srcip=10.0.0.1 dstip=192.0.2.1 dstport=443 proto=6 action="close"'


def _micro(text: str) -> int:
    return int(datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() * 1_000_000)


DECODERS = {zone: Decoder.build([Topic(name="*", tenant="stadt", timezone=zone)]) for zone in ("UTC", "Europe/Berlin", "+05:30")}


def _answer(line: str | bytes, received: str = "2026-06-01T12:00:00Z", zone: str = "UTC") -> dict[str, str | int]:
    raw = line.encode() if isinstance(line, str) else line
    return to_json(DECODERS[zone].decode(of_lines([raw], Place("t", 0), timestamp=_micro(received))), 1)[0]


@pytest.mark.parametrize(
    ("header", "time", "host"),
    [
        ("", "2026-06-01T12:00:00Z", None),
        ("<134>", "2026-06-01T12:00:00Z", None),
        ("<134>May 31 08:15:30 fw1 ", "2026-05-31T08:15:30Z", "fw1"),
        ("May 31 08:15:30 fw1 ", "2026-05-31T08:15:30Z", "fw1"),
        ("<134>May  1 08:15:30 10.0.0.1 kernel: ", "2026-05-01T08:15:30Z", "10.0.0.1"),
        ("May  1 08:15:30.250 fw1 prog[12]: ", "2026-05-01T08:15:30.250000Z", "fw1"),
        ("May 01 2025 08:15:30 fw1 : ", "2025-05-01T08:15:30Z", "fw1"),
        ("<134>May  1 08:15:30 prog[12]: ", "2026-05-01T08:15:30Z", None),
        ("2026-05-01T08:15:30.123456+02:00 fw1 prog: ", "2026-05-01T06:15:30.123456Z", "fw1"),
        ("<134>1 2026-05-01T08:15:30Z fw1 prog 12 ID1 - ", "2026-05-01T08:15:30Z", "fw1"),
        ('<134>1 2026-05-01T08:15:30-03:30 fw1 - - - [a@1 b="c]\\"d"][e f="g"] ', "2026-05-01T11:45:30Z", "fw1"),
        ("<134>1 2026-05-01T08:15:30Z fw1 - - - - \ufeff", "2026-05-01T08:15:30Z", "fw1"),
        ("<134>1 - fw1 prog - - - ", "2026-06-01T12:00:00Z", "fw1"),
        ("1 2026-05-01T08:15:30Z fw1 prog 12 - - ", "2026-05-01T08:15:30Z", "fw1"),
        ("May  1 08:15:30 2001:db8::1 ", "2026-05-01T08:15:30Z", "2001:db8::1"),
        ("Fri May  1 08:15:30 2026 fw1 ", "2026-05-01T08:15:30Z", "fw1"),
    ],
)
def test_a_header_is_read_whatever_its_kind_and_none_is_required(header: str, time: str, host: str | None) -> None:
    answer = _answer(header + BODY)
    assert answer["event.dataset"] == "fortigate"
    assert answer["source.ip"] == "10.0.0.1"
    assert (answer["@timestamp"], answer.get("observer.name")) == (time, host)


@pytest.mark.parametrize(
    ("line", "received", "time"),
    [
        ("Dec 31 23:59:59", "2026-01-01T00:00:05Z", "2025-12-31T23:59:59Z"),
        ("Jan  1 00:00:01", "2025-12-31T23:59:58Z", "2026-01-01T00:00:01Z"),
        ("Jan  1 00:00:01", "2026-01-01T00:00:02Z", "2026-01-01T00:00:01Z"),
        ("Feb 29 12:00:00", "2024-03-01T00:00:00Z", "2024-02-29T12:00:00Z"),
        ("Dec 30 12:00:00", "2026-01-02T12:00:00Z", "2025-12-30T12:00:00Z"),
        ("May 14 10:30:00", "2026-11-20T15:00:00Z", "2026-05-14T10:30:00Z"),
        ("Feb 29 12:00:00", "2026-11-20T15:00:00Z", "2024-02-29T12:00:00Z"),
    ],
)
def test_a_date_without_a_year_is_the_latest_before_the_record_time_also_over_new_year(line: str, received: str, time: str) -> None:
    assert _answer(f"{line} fw1 {BODY}", received)["@timestamp"] == time


def test_without_a_record_time_the_given_year_counts() -> None:
    decoder = Decoder.build([Topic(name="*", tenant="stadt", timezone="UTC")], year=2021)
    records = of_lines([f"Aug 16 10:00:00 fw1 {BODY}".encode()], Place("t", 0), timestamp=0)
    assert to_json(decoder.decode(records), 1)[0]["@timestamp"] == "2021-08-16T10:00:00Z"


@pytest.mark.parametrize(
    ("local", "received", "time"),
    [
        ("2026-07-01 12:00:00", "2026-07-01T10:00:00Z", "2026-07-01T10:00:00Z"),
        ("2026-12-01 12:00:00", "2026-12-01T11:00:00Z", "2026-12-01T11:00:00Z"),
        ("2026-10-25 01:59:59", "2026-10-25T00:00:00Z", "2026-10-24T23:59:59Z"),
        ("2026-10-25 02:30:00", "2026-10-25T00:30:05Z", "2026-10-25T00:30:00Z"),  # the first 02:30, summer time
        ("2026-10-25 02:30:00", "2026-10-25T01:30:05Z", "2026-10-25T01:30:00Z"),  # the second one
        ("2026-10-25 03:00:00", "2026-10-25T02:00:05Z", "2026-10-25T02:00:00Z"),
        ("2026-03-29 01:59:59", "2026-03-29T01:00:00Z", "2026-03-29T00:59:59Z"),
        ("2026-03-29 03:00:00", "2026-03-29T01:00:05Z", "2026-03-29T01:00:00Z"),
    ],
)
def test_a_time_without_a_zone_is_local_time_of_the_topic_also_when_the_clocks_change(local: str, received: str, time: str) -> None:
    date, clock = local.split()
    assert _answer(f"date={date} time={clock} {BODY}", received, "Europe/Berlin")["@timestamp"] == time


def test_a_fixed_offset_may_stand_for_a_zone() -> None:
    assert _answer(f"date=2026-06-01 time=12:00:00 {BODY}", zone="+05:30")["@timestamp"] == "2026-06-01T06:30:00Z"


@pytest.mark.parametrize(
    ("number", "time"),
    [
        ("1780315200", "2026-06-01T12:00:00Z"),
        ("1780315200123", "2026-06-01T12:00:00.123000Z"),
        ("1780315200123456", "2026-06-01T12:00:00.123456Z"),
        ("1780315200123456789", "2026-06-01T12:00:00.123456Z"),
        ("1780315200.5", "2026-06-01T12:00:00.500000Z"),
    ],
)
def test_a_number_is_seconds_milli_micro_or_nanoseconds_by_its_size(number: str, time: str) -> None:
    assert _answer(f"eventtime={number} {BODY}", "2026-06-02T00:00:00Z")["@timestamp"] == time


LINE = f"<134>May  1 08:15:30 fw1 {BODY}"
ENVELOPES = {
    "filebeat": {
        "@timestamp": "2026-05-01T09:00:00.000Z",
        "agent": {"type": "filebeat", "name": "s"},
        "host": {"name": "shipper"},
        "message": LINE,
    },
    "filebeat as it comes": {
        "@timestamp": "2026-05-01T09:00:00.000Z",
        "log": {"offset": 17, "file": {"path": "/var/log/fw.log"}},
        "message": LINE,
        "input": {"type": "udp"},
        "ecs": {"version": "8.0.0"},
        "event": {"dataset": "generic", "timezone": "+00:00"},
        "host": {"name": "shipper", "ip": ["10.0.0.9"]},
        "agent": {"type": "filebeat", "version": "8.15.0", "name": "shipper"},
    },
    "filebeat with original": {"@timestamp": "2026-05-01T09:00:00.000Z", "event": {"original": LINE}, "message": "shortened"},
    "fluent bit": {"date": 1777626000.5, "log": LINE + "\n"},
    "logstash": {"@version": "1", "@timestamp": "2026-05-01T09:00:00.000Z", "host": "shipper", "message": LINE, "tags": ["x", {"y": "z"}]},
    "vector": {"timestamp": "2026-05-01T09:00:00Z", "source_type": "syslog", "hostname": "shipper", "message": LINE},
    "rsyslog": {"timereported": "2026-05-01T09:00:00+00:00", "fromhost": "shipper", "msg": LINE},
}


@pytest.mark.parametrize("name", ENVELOPES)
def test_a_shippers_envelope_is_opened_and_what_the_line_itself_says_counts(name: str) -> None:
    assert _answer(json.dumps(ENVELOPES[name])) == _answer(LINE)


@pytest.mark.parametrize("name", ["suricata", "windows_security", "panos_json"])
def test_a_json_log_inside_an_envelope_is_the_same_as_without(name: str) -> None:
    inner = next(sample.line for sample in shipped()[name].samples if sample.event != {})
    envelope = {"@timestamp": "2026-05-01T09:00:00.000Z", "ecs": {"version": "8.0.0"}, "host": {"name": "shipper"}, "message": inner}
    opened, plain = _answer(json.dumps(envelope)), _answer(inner)
    assert {k: v for k, v in opened.items() if k != "observer.name"} == {k: v for k, v in plain.items() if k != "observer.name"}


def test_time_and_host_of_the_envelope_stand_in_where_the_line_has_none() -> None:
    answer = _answer(json.dumps({"@timestamp": "2026-05-01T09:00:00.250Z", "host": {"name": "fw1"}, "message": BODY}))
    assert (answer["@timestamp"], answer["observer.name"]) == ("2026-05-01T09:00:00.250000Z", "fw1")


def test_escapes_in_an_envelope_are_resolved_before_the_line_is_read() -> None:
    odd = BODY.replace('devid="x"', 'devid="x" user="Jörg \U0001f600 \\"K\\" \\\\"')
    escaped, plain = json.dumps({"message": odd}), json.dumps({"message": odd}, ensure_ascii=False)
    assert _answer(escaped) == _answer(plain) == _answer(odd)


def test_the_first_observer_whose_match_stands_in_the_line_decides_tenant_site_zone_name_and_format() -> None:
    topics = [Topic(name="raw", tenant="stadt", site="rathaus", timezone="UTC")]
    observers = [
        Observer(match="fw-b", tenant="werke", name="Werke-Firewall", timezone="+01:00"),
        Observer(match="fw-", site="bauhof", format="fortigate"),
        Observer(match="fw-c", tenant="never"),
        Observer(match="fw-a", topic="other", tenant="never"),
    ]
    lines = [f"date=2026-06-01 time=12:00:00 devname={name} {BODY}".encode() for name in ("x", "fw-a", "fw-b")]
    decoded = Decoder.build(topics, observers).decode(of_lines(lines, Place("raw", 3), timestamp=_micro("2026-06-01T12:00:00Z")))
    assert [decoded.origins[i] for i in decoded.origin] == [
        Origin("stadt", "rathaus", "UTC"), Origin("stadt", "bauhof", "UTC"), Origin("werke", "rathaus", "+01:00"),
    ]  # fmt: skip
    answers = to_json(decoded, 3)
    assert [a["observer.name"] for a in answers] == ["x", "fw-a", "Werke-Firewall"]
    assert [a["@timestamp"] for a in answers] == ["2026-06-01T12:00:00Z", "2026-06-01T12:00:00Z", "2026-06-01T11:00:00Z"]


def test_provenance_says_topic_partition_offset_and_record_time_of_each_event() -> None:
    parts = [of_lines([BODY.encode()] * 2, Place(topic, p), first=10 * p, timestamp=p + 1) for topic, p in (("a", 0), ("b", 7))]
    frame = Decoder.build([Topic(name="a", tenant="t"), Topic(name="b", tenant="t")]).decode(concat(parts)).events
    assert frame["log.topic"].to_list() == ["a", "a", "b", "b"]
    assert frame["log.partition"].to_list() == [0, 0, 7, 7]
    assert frame["log.offset"].to_list() == [0, 1, 70, 71]
    assert frame["event.created"].to_physical().to_list() == [1, 1, 8, 8]


@pytest.mark.parametrize(
    ("topic", "sentence"),
    [
        (Topic(name="a", tenant="t", format="fortinet"), "no format has the name 'fortinet'"),
        (Topic(name="a", tenant="t", timezone="Europe/Bonn"), "there is no time zone 'Europe/Bonn'"),
    ],
)
def test_a_wrong_name_in_the_configuration_is_refused_by_name(topic: Topic, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        Decoder.build([topic])


def test_records_of_a_topic_that_is_not_configured_are_refused() -> None:
    with pytest.raises(ValueError, match="no \\[\\[topics\\]\\] entry has the name 'b'"):
        Decoder.build([Topic(name="a", tenant="t")]).decode(of_lines([b"x"], Place("b", 0)))
