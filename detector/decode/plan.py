"""A table compiled for the kernels: source fields get numbers, conditions become words to look up, rules become verdicts.

A line's *codes* say what matters about it: for each field that a rule or a word list asks, 0 absent, 1 some other text,
2 + i its i-th listed word; for each "~" or "^" condition 0 or 1. Lines with equal codes share one verdict, worked out once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from detector.decode import delimited, ecs, jsonpath, keyvalue, template
from detector.decode.kernels import Flags
from detector.decode.scan import Bytes, Lexicon, Packed, lexicon, pack
from detector.decode.spans import Spans
from detector.decode.table import HEADER, Outcome, Table, Words, texts
from detector.decode.words import TRANSPORT

ABSENT, OTHER, FIRST = 0, 1, 2
_BUILDERS: dict[str, Callable[[Table, Sequence[str]], Callable[[Bytes, NDArray[np.int64], NDArray[np.int64]], Spans]]] = {
    "keyvalue": keyvalue.build,
    "delimited": delimited.build,
    "template": template.build,
    "json": jsonpath.build,
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a kind of line means: `set` is final, `columns` replaces the table's candidates, `count` is a field number or -1.

    `told`: a rule says so; then a line to be ignored need not even be readable.
    """

    ignore: bool
    told: bool
    set: dict[str, str]
    columns: dict[str, tuple[int, ...]]
    attempt: int
    count: int


@dataclass(frozen=True, slots=True)
class Cut:
    """An [[extract]] entry by numbers."""

    sources: NDArray[np.int32]
    target: int
    after: Packed
    until: Packed


@dataclass(frozen=True, slots=True)
class Clockwork:
    """The [[time]] entries, int32 (T, 4): first field, second field or -1, zone or -1, finer or -1; day_first bool (T)."""

    fields: NDArray[np.int32]
    day_first: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Plan:
    table: Table
    tokenize: Callable[[Bytes, NDArray[np.int64], NDArray[np.int64]], Spans]
    fields: tuple[str, ...]  # F names; the last four are table.HEADER
    columns: dict[str, tuple[int, ...]]  # event column -> numbers of its source fields
    asked: NDArray[np.int32]  # (K,) fields whose words are looked up
    words: tuple[tuple[str, ...], ...]  # (K,) their listed words, lower case
    lexicon: Lexicon  # group = index into `asked`
    flags: tuple[tuple[str, str, str], ...]  # (B,) of (field, "~" or "^", text)
    searched: Flags  # the same for the kernel
    absent: Lexicon  # group 0: texts that mean no value
    longest_absent: int  # bytes
    cuts: tuple[Cut, ...]
    time: Clockwork
    session: NDArray[np.int32]
    verdicts: dict[tuple[int, ...], Verdict] = field(default_factory=dict)  # by variant and codes; the codes are few

    def verdict(self, variant: int, codes: tuple[int, ...]) -> Verdict:
        """What lines with these codes mean; remembered."""
        key = (variant, *codes)
        found = self.verdicts.get(key)
        if found is None:
            if len(self.verdicts) >= 65_536:
                self.verdicts.clear()
            found = self.verdicts[key] = _judge(self, variant, codes)
        return found


def _conditions(table: Table) -> Iterable[tuple[str, str]]:
    for rule in table.rules:
        for name, wanted in rule.when.items():
            for one in texts(wanted):
                yield name, one


def _source_fields(table: Table) -> tuple[str, ...]:
    names: dict[str, None] = {}
    outcomes: list[Outcome] = [*table.rules, *table.templates]
    for columns in (table.columns, *(o.columns for o in outcomes)):
        for candidates in columns.values():
            names |= dict.fromkeys(texts(candidates))
    names |= dict.fromkeys(name for name, _ in _conditions(table))
    names |= dict.fromkeys(o.count for o in outcomes if o.count != "")
    for words in table.words:
        names |= dict.fromkeys(texts(words.field))
    for cut in table.extract:
        names |= dict.fromkeys([*texts(cut.field), cut.name])
    for time in table.time:
        names |= dict.fromkeys([*texts(time.fields), *(f for f in (time.zone, time.finer) if f != "")])
    names |= dict.fromkeys(table.session)
    return (*(n for n in names if n not in HEADER), *HEADER)


def _vocabulary(words: Words) -> dict[str, str]:
    listed = {key.lower(): value for key, value in words.map.items()}
    return TRANSPORT | listed if words.use == "transport" else listed


def _asked(table: Table) -> dict[str, dict[str, None]]:
    """Field -> its listed words, in order."""
    asked: dict[str, dict[str, None]] = {}
    for name, wanted in _conditions(table):
        if wanted[:1] not in ("~", "^"):
            listed = asked.setdefault(name, {})
            if wanted not in ("", "*"):
                listed[wanted.removeprefix("!").lower()] = None
    for words in table.words:
        for name in texts(words.field):
            asked.setdefault(name, {}).update(dict.fromkeys(_vocabulary(words)))
    return asked


def compile_table(table: Table) -> Plan:
    """Raises ValueError when the table contradicts itself (a tokenizer's own part is missing, a template cannot be read)."""
    fields = _source_fields(table)
    number = {name: i for i, name in enumerate(fields)}
    asked = _asked(table)
    flags = tuple(dict.fromkeys((name, one[0], one[1:].lower()) for name, one in _conditions(table) if one[:1] in ("~", "^")))
    listed = [(k, word, FIRST + i) for k, words in enumerate(asked.values()) for i, word in enumerate(words)]
    nothing = [(k, word, ABSENT) for k in range(len(asked)) for word in table.absent]
    columns = {"observer.name": ["syslog.host"]} | table.columns
    return Plan(
        table=table,
        tokenize=_BUILDERS[table.tokenizer](table, fields),
        fields=fields,
        columns={column: tuple(number[n] for n in texts(names)) for column, names in columns.items()},
        asked=np.array([number[n] for n in asked], np.int32),
        words=tuple(tuple(words) for words in asked.values()),
        lexicon=lexicon([*listed, *nothing]),
        flags=flags,
        searched=_searched(table.name, flags, number),
        absent=lexicon([(0, word, ABSENT) for word in table.absent]),
        longest_absent=max((len(word.encode()) for word in table.absent), default=0),
        cuts=tuple(_cut(number, cut.field, cut.name, cut.after, cut.until) for cut in table.extract),
        time=_clockwork(table, number),
        session=np.array([number[n] for n in table.session], np.int32),
    )


def _searched(format_: str, flags: Sequence[tuple[str, str, str]], number: dict[str, int]) -> Flags:
    if len(flags) > 64 or any(text == "" for _, _, text in flags):
        raise ValueError(f"{format_}: at most 64 conditions with ~ or ^ in one table, and none of them empty")
    fields = list(dict.fromkeys(name for name, _, _ in flags))
    first = np.zeros((len(fields), 256), np.uint64)
    for b, (name, _, text) in enumerate(flags):
        for letter in {text.encode()[0], text.upper().encode()[0]}:
            first[fields.index(name), letter] |= np.uint64(1 << b)
    texts_ = pack(text.encode() for _, _, text in flags)
    return Flags(np.array([number[n] for n in fields], np.int32), first, np.array([kind == "^" for _, kind, _ in flags], np.bool_), texts_)


def _cut(number: dict[str, int], sources: str | list[str], name: str, after: str, until: str | list[str]) -> Cut:
    ends = [u.encode() for u in texts(until) if u != ""]
    return Cut(np.array([number[s] for s in texts(sources)], np.int32), number[name], pack([after.encode()]), pack(ends))


def _clockwork(table: Table, number: dict[str, int]) -> Clockwork:
    rows = []
    for time in table.time:
        names = [*texts(time.fields), "", ""][:2]
        rows.append([number[n] if n != "" else -1 for n in (*names, time.zone, time.finer)])
    return Clockwork(np.array(rows, np.int32).reshape(-1, 4), np.array([t.day_first for t in table.time], np.bool_))


def _holds(plan: Plan, name: str, wanted: Sequence[str], codes: tuple[int, ...]) -> bool:
    """Whether one condition of a rule holds: any of its texts."""
    asked = list(plan.asked)
    for one in wanted:
        if one[:1] in ("~", "^"):
            flag = plan.flags.index((name, one[0], one[1:].lower()))
            if codes[len(asked) + flag] == 1:
                return True
            continue
        k = asked.index(plan.fields.index(name))
        code = codes[k]
        if one in ("", "*"):
            if (code == ABSENT) == (one == ""):
                return True
            continue
        hit = code == FIRST + plan.words[k].index(one.removeprefix("!").lower())
        if hit != one.startswith("!"):
            return True
    return False


def _spoken(plan: Plan, codes: tuple[int, ...]) -> dict[str, str]:
    """Columns whose text follows from a listed word."""
    said: dict[str, str] = {}
    asked = list(plan.asked)
    for words in plan.table.words:
        vocabulary = _vocabulary(words)
        for name in texts(words.field):
            k = asked.index(plan.fields.index(name))
            word = plan.words[k][codes[k] - FIRST] if codes[k] >= FIRST else ""
            if word in vocabulary:
                said[words.column] = vocabulary[word]
                break
            if codes[k] != ABSENT and words.other != "":
                said[words.column] = words.other
    return said


def _judge(plan: Plan, variant: int, codes: tuple[int, ...]) -> Verdict:
    table = plan.table
    outcomes: list[Outcome] = [table.templates[variant]] if table.templates and variant >= 0 else []
    for rule in table.rules:
        if all(_holds(plan, name, texts(wanted), codes) for name, wanted in rule.when.items()):
            outcomes.append(rule)
            break
    if not outcomes:
        ignore = table.otherwise == "ignore"
        return Verdict(ignore, False, table.set | _spoken(plan, codes), {}, 0, -1)
    final = table.set | _spoken(plan, codes)
    columns: dict[str, tuple[int, ...]] = {}
    for outcome in outcomes:
        final |= outcome.set
        columns |= {column: tuple(plan.fields.index(n) for n in texts(names)) for column, names in outcome.columns.items()}
    last = outcomes[-1]
    attempt = next((o.attempt for o in reversed(outcomes) if o.attempt > 0), 0)
    count = next((plan.fields.index(o.count) for o in reversed(outcomes) if o.count != ""), -1)
    return Verdict(last.ignore, True, final, columns, attempt, count)


def text_columns(plan: Plan, verdicts: Sequence[Verdict]) -> list[str]:
    """The text columns that anybody fills."""
    named = {*plan.columns, *(c for v in verdicts for part in (v.set, v.columns) for c in part)}
    return [column for column in ecs.TEXT if column in named]
