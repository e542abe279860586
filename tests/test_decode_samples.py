"""Every format carries sample lines with the event they must become; here they are tried, all of them, one by one and together."""

from __future__ import annotations

from datetime import datetime

import pytest

from detector.config import Topic
from detector.decode import Decoder, to_json
from detector.decode.table import Sample, Table, shipped
from detector.records import Place, concat, of_lines

FORMATS = ("cef", "fortigate", "fortigate_cef", "netfilter", "panos", "panos_json", "pfsense", "pfsense_login", "system")
OTHERS = ("cisco_asa", "ecs_json", "entra", "keycloak", "pam", "sshd", "suricata", "windows_security")
CASES = [(table, number) for table in shipped().values() for number in range(len(table.samples))]


def _moment(text: str) -> int:
    return int(datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() * 1_000_000)


def _expected(table: Table, sample: Sample) -> dict[str, str | int]:
    if sample.ignored:
        return {"ignored": table.name}
    return {"dead_letter": sample.reject} if sample.reject != "" else {"event.dataset": table.name, **sample.event}


def _without_hash(answer: dict[str, str | int]) -> dict[str, str | int]:
    return {name: value for name, value in answer.items() if name != "session.key"}


def _decoder(zone: str) -> Decoder:
    return Decoder.build([Topic(name="*", tenant="stadt", timezone=zone)])


DECODERS = {zone: _decoder(zone) for zone in {t.samples[n].timezone for t, n in CASES}}


def test_all_formats_of_the_issue_are_shipped_and_each_has_samples() -> None:
    assert set(shipped()) >= {*FORMATS, *OTHERS}
    assert all(len(table.samples) > 0 for table in shipped().values())
    assert len(CASES) >= 80


@pytest.mark.parametrize(("table", "number"), CASES, ids=[f"{t.name}-{n}" for t, n in CASES])
def test_a_sample_becomes_exactly_the_event_that_its_table_promises(table: Table, number: int) -> None:
    sample = table.samples[number]
    records = of_lines([sample.line.encode()], Place("samples", 0), timestamp=_moment(sample.received))
    answer = to_json(DECODERS[sample.timezone].decode(records), 1)[0]
    assert _without_hash(answer) == _expected(table, sample)


def test_samples_of_all_formats_in_one_batch_do_not_disturb_each_other() -> None:
    chosen = [(t, t.samples[n]) for t, n in CASES if t.samples[n].timezone == "UTC"]
    records = concat(
        [of_lines([s.line.encode()], Place("samples", 0), first=i, timestamp=_moment(s.received)) for i, (_, s) in enumerate(chosen)]
    )
    decoded = DECODERS["UTC"].decode(records)
    assert [_without_hash(a) for a in to_json(decoded, len(records))] == [_expected(t, s) for t, s in chosen]
    assert len(decoded.rows) + len(decoded.rejects) + sum(decoded.ignored.values()) == len(records)
