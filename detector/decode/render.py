"""Decoded batches as plain dictionaries: for `tuermer decode`, samples and tests; never on the hot path."""

from __future__ import annotations

from datetime import UTC, datetime

from detector.decode import address, ecs
from detector.decode.decoded import Decoded

_HIDDEN = {"log.topic", "log.partition", "log.offset", "event.created", "event.epoch"}


def timestamp(micro: int) -> str:
    """ISO 8601 in UTC, with as many decimals as are needed."""
    moment = datetime.fromtimestamp(micro // 1_000_000, UTC).replace(microsecond=micro % 1_000_000)
    return moment.isoformat().replace("+00:00", "Z")


def events(decoded: Decoded) -> list[dict[str, str | int]]:
    """Each event with its ECS names, flat; what is absent is left out, provenance too."""
    frame = decoded.events
    rows: list[dict[str, str | int]] = [{} for _ in range(len(frame))]
    for name in ecs.NAMES:
        if name in _HIDDEN or name.rpartition(".")[0] in ecs.ADDRESS:
            continue
        absent: object = "" if name in ecs.TEXT else -1 if name in ecs.INTEGER else 0
        cells = frame[name].to_physical().to_list() if name == "@timestamp" else frame[name].to_list()
        for row, value in zip(rows, cells, strict=True):
            if name == "@timestamp":
                row[name] = timestamp(value)
            elif value != absent:
                row[name] = value
    for name in ecs.ADDRESS:
        parts = (frame[f"{name}.{part}"].to_list() for part in ("kind", "hi", "lo"))
        for row, kind, hi, lo in zip(rows, *parts, strict=True):
            if kind != ecs.ABSENT:
                row[name] = address.text(hi, lo)
    return rows


def to_json(decoded: Decoded, n: int) -> list[dict[str, str | int]]:
    """One dictionary per record, in order: the event, {"dead_letter": reason} or {"ignored": format}.

    `n`: how many records were decoded.
    """
    answers: list[dict[str, str | int]] = [{} for _ in range(n)]
    for name, rows in decoded.ignored_rows.items():
        for row in rows.tolist():
            answers[row] = {"ignored": name}
    for row, event in zip(decoded.rows.tolist(), events(decoded), strict=True):
        answers[row] = event
    for reject in decoded.rejects:
        answers[reject.row] = {"dead_letter": reject.reason}
    return answers
