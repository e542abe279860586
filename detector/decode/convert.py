"""Spans become event columns: one format's lines of one batch."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from detector.decode import address, clock, ecs, kernels, moments
from detector.decode.plan import Plan, Verdict, text_columns
from detector.decode.scan import Bytes
from detector.decode.spans import IGNORED, NO_TIMESTAMP, OK, Spans
from detector.decode.zones import Zones

LONGEST_TEXT = 256  # characters
_LIMIT = {"source.port": 65_535, "destination.port": 65_535}
_MOST = 2**62


@dataclass(frozen=True, slots=True)
class Lines:
    """m lines of one format: what framing found about them, all (m)."""

    zone: NDArray[np.int32]
    header_time: NDArray[np.int64]
    near: NDArray[np.int64]  # record time, µs; 0 = unknown
    zones: Zones
    year: int  # for dates without one when the record time is unknown; 0 = none


@dataclass(frozen=True, slots=True)
class Converted:
    """status uint8 (m), as spans.REASONS; columns for the rows whose status is OK, in order."""

    status: NDArray[np.uint8]
    columns: dict[str, pl.Series]


def convert(plan: Plan, values: Bytes, found: Spans, lines: Lines) -> Converted:
    """The event columns of one format's lines. `found` may be changed."""
    for c in plan.cuts:
        kernels.cut(values, found.begin.T, found.length.T, c.sources, c.target, c.after, c.until)
    groups, verdicts = _verdicts(plan, values, found)
    status = found.status
    ignored = np.array([v.ignore for v in verdicts], np.bool_)
    if ignored.any():
        told = np.array([v.told for v in verdicts], np.bool_)
        status[ignored[groups] & ((status == OK) | told[groups])] = IGNORED
    time = np.empty(len(status), np.int64)
    moments.times(
        values, found.begin.T, found.length.T, plan.time.fields, plan.time.day_first,
        lines.zones, lines.zone, lines.header_time, lines.near, lines.year, time,
    )  # fmt: skip
    status[(status == OK) & (time == clock.NONE)] = NO_TIMESTAMP
    if (status == OK).all():
        return Converted(status, _columns(plan, values, found.begin.T, found.length.T, groups, verdicts, time))
    keep = np.flatnonzero(status == OK)
    begin, length = np.take(found.begin.T, keep, axis=1), np.take(found.length.T, keep, axis=1)
    return Converted(status, _columns(plan, values, begin, length, groups[keep], verdicts, time[keep]))


def _verdicts(plan: Plan, values: Bytes, found: Spans) -> tuple[NDArray[np.int32], list[Verdict]]:
    """Group number of each line, int32 (m), and each group's verdict."""
    m = len(found.status)
    codes = np.empty((m, len(plan.asked) + len(plan.flags)), np.int32)
    key, group, first = np.empty(m, np.uint64), np.empty(m, np.int32), np.empty(m, np.int64)
    kernels.codes(
        values, found.begin.T, found.length.T, found.variant, plan.asked, plan.lexicon, plan.searched, codes, key,
    )  # fmt: skip
    count = kernels.group(key, group, first)
    rows = first[:count]
    return group, [plan.verdict(v, tuple(c)) for v, c in zip(found.variant[rows].tolist(), codes[rows].tolist(), strict=True)]


def _candidates(column: str, plan: Plan, verdicts: Sequence[Verdict]) -> NDArray[np.int32]:
    """Fields to try per group, int32 (G, C), filled up with -1."""
    lists = [v.columns.get(column, plan.columns.get(column, ())) for v in verdicts]
    table = np.full((len(lists), max([1, *map(len, lists)])), -1, np.int32)
    for g, fields in enumerate(lists):
        table[g, : len(fields)] = fields
    return table


def _columns(
    plan: Plan, values: Bytes, begin: kernels.Begin, length: kernels.Length, group: NDArray[np.int32], verdicts: list[Verdict],
    time: NDArray[np.int64],
) -> dict[str, pl.Series]:  # fmt: skip
    columns = {"@timestamp": pl.Series(time).cast(pl.Datetime("us", "UTC"))}
    named = {*plan.columns, *(c for v in verdicts for part in (v.set, v.columns) for c in part)}
    columns |= _addresses([name for name in ecs.ADDRESS if name in named], plan, values, begin, length, group, verdicts)
    columns |= _integers([name for name in ecs.INTEGER if name in named], plan, values, begin, length, group, verdicts)
    columns |= ecs.texts({
        name: _text(name, plan, values, begin, length, group, verdicts) for name in text_columns(plan, verdicts)
    })  # fmt: skip
    return columns | _attempts(plan, values, begin, length, group, verdicts)


def _stacked(names: list[str], plan: Plan, verdicts: Sequence[Verdict]) -> NDArray[np.int32]:
    """The candidates of several columns, int32 (columns, G, C), filled up with -1."""
    lists = [_candidates(name, plan, verdicts) for name in names]
    fields = np.full((len(names), len(verdicts), max([1, *(c.shape[1] for c in lists)])), -1, np.int32)
    for i, candidates in enumerate(lists):
        fields[i, :, : candidates.shape[1]] = candidates
    return fields


def _addresses(
    names: list[str], plan: Plan, values: Bytes, begin: kernels.Begin, length: kernels.Length, group: NDArray[np.int32],
    verdicts: list[Verdict],
) -> dict[str, pl.Series]:  # fmt: skip
    shape = (len(names), len(group))
    hi, lo, kind = np.zeros(shape, np.uint64), np.zeros(shape, np.uint64), np.zeros(shape, np.uint8)
    address.convert(values, begin, length, group, _stacked(names, plan, verdicts), hi, lo, kind)
    parts = (("hi", hi), ("lo", lo), ("kind", kind))
    return {f"{name}.{part}": pl.Series(array[i]) for i, name in enumerate(names) for part, array in parts}


def _integers(
    names: list[str], plan: Plan, values: Bytes, begin: kernels.Begin, length: kernels.Length, group: NDArray[np.int32],
    verdicts: list[Verdict],
) -> dict[str, pl.Series]:  # fmt: skip
    """Integer columns: what the verdict says, overruled by a readable candidate field."""
    numbers = np.full((len(names), len(group)), -1, np.int64)
    for i, name in enumerate(names):
        if any(name in v.set for v in verdicts):
            numbers[i] = np.array([int(v.set.get(name, -1)) for v in verdicts], np.int64)[group]
    limits = np.array([_LIMIT.get(name, _MOST) for name in names], np.int64)
    kernels.integers(values, begin, length, group, _stacked(names, plan, verdicts), limits, numbers)
    return {
        name: pl.Series(column.astype(np.int32) if ecs.INTEGER[name] == pl.Int32() else column)
        for name, column in zip(names, numbers, strict=True)
    }


def _attempts(
    plan: Plan, values: Bytes, begin: kernels.Begin, length: kernels.Length, group: NDArray[np.int32], verdicts: list[Verdict]
) -> dict[str, pl.Series]:  # fmt: skip
    kind = np.array([v.attempt for v in verdicts], np.uint8)
    columns = {}
    if kind.any():
        count = (kind > 0).astype(np.int64)[group][np.newaxis]
        fields = np.array([[[v.count] for v in verdicts]], np.int32)
        kernels.integers(values, begin, length, group, fields, np.array([65_535], np.int64), count)
        columns = {"attempt.kind": pl.Series(kind[group]), "attempt.count": pl.Series(count[0].astype(np.uint16))}
    if len(plan.session):
        keys = np.empty(len(group), np.uint64)
        kernels.session_keys(values, begin, length, plan.session, keys)
        columns["session.key"] = pl.Series(keys)
    return columns


def _text(
    name: str, plan: Plan, values: Bytes, begin: kernels.Begin, length: kernels.Length, group: NDArray[np.int32], verdicts: list[Verdict]
) -> ecs.Text:  # fmt: skip
    """A text column: what the verdict says, else the first candidate field's text."""
    distinct: dict[str, int] = {"": 0}
    fixed = np.array([distinct.setdefault(v.set[name], len(distinct)) if name in v.set else -1 for v in verdicts], np.int32)
    candidates = _candidates(name, plan, verdicts)
    candidates[fixed >= 0] = -1
    if (candidates < 0).all():
        return np.maximum(fixed, 0)[group], list(distinct)
    n = len(group)
    codes, first, size = np.empty(n, np.int32), np.empty(n + 1, np.int64), np.empty(n + 1, np.int32)
    count = kernels.intern(values, begin, length, group, candidates, plan.absent, plan.longest_absent, codes, first, size)
    clean = _cleaner(plan, name)
    renumber = np.zeros(count, np.int32)
    spans = zip(first[1:count].tolist(), size[1:count].tolist(), strict=True)
    raw = values.data
    renumber[1:] = [distinct.setdefault(clean(bytes(raw[b : b + s])), len(distinct)) for b, s in spans]
    codes = renumber[codes]
    if (fixed >= 0).any():
        said = fixed[group]
        codes = np.where(said >= 0, said, codes)
    return codes, list(distinct)


_CEF = re.compile(r"\\([\\=|nr])")


def _of_json(text: str) -> str:
    try:
        said = json.loads(f'"{text}"', strict=False)
    except ValueError:
        return text
    return str(said)


_UNESCAPE: Mapping[str, Callable[[str], str]] = {
    "": lambda text: text,
    "backslash": lambda text: re.sub(r"\\(.)", r"\1", text),
    "doubled": lambda text: text.replace('""', '"'),
    "cef": lambda text: _CEF.sub(lambda m: {"n": "\n", "r": "\r"}.get(m[1], m[1]), text),
    "json": _of_json,
}


def _cleaner(plan: Plan, column: str) -> Callable[[bytes], str]:
    """What happens to each distinct text: decoded, unescaped, no NUL (PostgreSQL takes none), no DOMAIN\\, not too long."""
    unescape = _UNESCAPE[plan.table.escape]
    account = column in plan.table.accounts

    def clean(raw: bytes) -> str:
        said = raw.decode("utf-8", "replace")
        if "\\" in said or '"' in said:
            said = unescape(said)
        said = said.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8").strip()
        if account and "\\" in said:
            said = said.rpartition("\\")[2]
        return said[:LONGEST_TEXT]

    return clean
