"""Lines a second on one core, bytes to event columns, per format; beside polars' own reading of the same lines.

FortiGate, PAN-OS and sshd lines come from the simulator (all different), the others are the formats' samples over and over.
A core's second is CPU time, so that waiting for other work on the machine does not count. polars reads the table's fields as
texts, by regular expressions or its JSON reader (of the message templates only the first six), and converts nothing.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl

from detector.config import Topic
from detector.decode import Decoder
from detector.decode.patterns import Literal, Pattern, parse
from detector.decode.table import Table, shipped, texts
from detector.records import Place, Records, concat, of_lines
from detector.simulate import bulk

BATCH, ROUNDS = 20_000, 5
NOW = 1_781_092_800_000_000
GOALS = {"keyvalue": 1_000_000, "delimited": 700_000, "template": 400_000, "json": 250_000}
MARKS = {"fortigate": b"devid=", "panos": b",TRAFFIC,", "sshd": b" sshd["}
HEADER = r"^(?:<\d+>)?(?:\d )?(\w{3} +\d+ [\d:]+|\S+T\S+) (\S+) ([^\[: ]+)(?:\[(\d+)\])?"
RUN = {
    "word": r"\S+",
    "int": r"\d+",
    "ip": r"[0-9a-fA-F:.]+",
    "host": r"[^ /(),;]+",
    "name": r"[\w.$@\\-]+",
    "until": ".*?",
    "last": ".*",
    "rest": ".*",
}


def simulated() -> dict[str, Records]:
    """One batch per format that the simulator's bulk lines hold."""
    records = concat(list(bulk(100_000, seed=1)))
    lines = [records.value(i) for i in range(len(records))]
    chosen = {name: [line for line in lines if mark in line][:BATCH] for name, mark in MARKS.items()}
    return {name: of_lines(mine, Place(name, 0), timestamp=NOW) for name, mine in chosen.items() if mine}


def sampled(name: str) -> Records:
    """The format's sample lines that become events, repeated."""
    lines = [sample.line.encode() for sample in shipped()[name].samples if sample.event]
    return of_lines((lines * (BATCH // len(lines) + 1))[:BATCH], Place(name, 0), timestamp=NOW)


def _rate(work: Callable[[], object], lines: int) -> float:
    work()
    begin = time.process_time()
    for _ in range(ROUNDS):
        work()
    return ROUNDS * lines / (time.process_time() - begin)


def _regex(pattern: Pattern) -> str:
    """A message template as a regular expression; named holes become groups."""
    text = ""
    for part in pattern:
        if isinstance(part, Literal):
            text += re.escape(part.text)
        elif part.kind == "choice":
            text += "(?:" + "|".join(_regex(choice) for choice in part.choices) + ")"
        else:
            text += f"({RUN[part.kind]})" if part.slot != "" else RUN[part.kind]
    return text


def _object(table: Table) -> pl.DataType:
    """What polars' JSON reader must be told to find the same fields: each name's first path."""
    tree: dict[str, Any] = {}
    fields = [name for names in table.columns.values() for name in texts(names)] + [name for w in table.words for name in texts(w.field)]
    for name in dict.fromkeys(fields):
        *outer, last = texts(table.json.names.get(name, name))[0].removesuffix("[]").split(".")
        inner = tree
        for key in outer:
            inner = inner.setdefault(key, {})
        if isinstance(inner, dict):
            inner.setdefault(last, None)
    return _struct(tree)


def _struct(tree: dict[str, Any]) -> pl.DataType:
    return pl.Struct({key: pl.String() if inner is None else _struct(inner) for key, inner in tree.items()})


def _polars(table: Table, records: Records) -> Callable[[], object]:
    """The same fields, as texts: JSON reader, split, or one expression per field or message, and the header."""
    lines = pl.Series("line", [records.value(i).decode("utf-8", "replace") for i in range(len(records))])
    frame = pl.DataFrame([lines])
    if table.tokenizer == "json":
        kind = _object(table)
        return lambda: lines.str.json_decode(kind)
    if table.tokenizer == "delimited":
        wanted = [pl.col("line").list.get(i, null_on_oob=True).alias(str(i)) for i in range(12)]
        return lambda: frame.with_columns(pl.col("line").str.split(",")).select(wanted)
    if table.tokenizer == "keyvalue":
        fields = dict.fromkeys(name for names in table.columns.values() for name in texts(names)[:1] if "." not in name)
        expressions = [pl.col("line").str.extract(rf'{re.escape(name)}="?([^" ]*)').alias(name) for name in fields]
        return lambda: frame.select(expressions)
    messages = [_regex(parse(template.text)) for template in table.templates if not template.ignore][:6]
    patterns = [HEADER, *(m for m in messages if "(" in m.replace("(?:", ""))]
    return lambda: frame.select(pl.col("line").str.extract_groups(m).alias(str(i)) for i, m in enumerate(patterns))


def main() -> None:
    batches = simulated()
    print(f"{'format':<18}{'tokenizer':<11}{'bytes':>6}{'lines/s':>12}{'goal':>12}{'polars':>12}{'ratio':>7}")
    for name, table in shipped().items():
        if all(not sample.event for sample in table.samples):
            continue
        records = batches.get(name, sampled(name))
        decoder = Decoder.build([Topic(name="*", tenant="stadt", timezone="Europe/Berlin", format=name)])
        rate = _rate(lambda records=records, decoder=decoder: decoder.decode(records), len(records))  # type: ignore[misc]  # bound now
        yardstick = _rate(_polars(table, records), len(records))
        width = int(np.diff(records.bounds).mean())
        goal = GOALS[table.tokenizer]
        print(f"{name:<18}{table.tokenizer:<11}{width:>6}{rate:>12,.0f}{goal:>12,}{yardstick:>12,.0f}{rate / yardstick:>7.1f}", flush=True)
