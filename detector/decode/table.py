"""A log format is a table: one TOML file per product in `formats/`, read into these strict structs.

`formats/README.md` shows how to write one. Nothing here reads a log line; `plan.py` compiles a table for the kernels.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from detector.decode import ecs

Texts = str | list[str]
Condition = (
    str | list[str]
)  # any of: plain text = equal (case does not matter), "*" present, "" absent, "~x" contains, "^x" starts with, "!x" not equal
HEADER = ("syslog.host", "syslog.program", "syslog.pid", "syslog.msgid")  # source fields that every format has, from the line's header


class Recognise(Struct, frozen=True, forbid_unknown_fields=True):
    """One way to know a line's body: every given part must hold, of each list one entry; `also` all entries."""

    program: list[str] = []  # the program in the syslog header
    starts: list[str] = []
    contains: list[str] = []
    also: list[str] = []
    within: Annotated[int, Meta(ge=1, le=65_536)] = 256  # bytes of the body that are searched
    late: bool = False  # asked only when no format's other marks hold: for marks that must be searched for in many lines


class KeyValue(Struct, frozen=True, forbid_unknown_fields=True):
    """key=value pairs; source fields are the keys. Text before the first pair is the field "prefix"."""

    style: Literal["pairs", "cef"] = "pairs"  # cef: header by |, values may hold spaces and end before the next key=
    separator: Literal["space", "comma", "auto"] = "space"  # auto: whichever ends the first pair
    quote: str = '"'


class Layout(Struct, frozen=True, forbid_unknown_fields=True):
    """Names of the columns of one kind of line; "" = not wanted. `when`: column number (from 0) -> text it must have."""

    columns: list[str]
    when: dict[str, Texts] = {}


class Delimited(Struct, frozen=True, forbid_unknown_fields=True):
    layouts: list[Layout]  # the first that fits is taken
    separator: str = ","
    quote: str = '"'


class Json(Struct, frozen=True, forbid_unknown_fields=True):
    """Source fields are paths: "winlog.event_data.IpAddress"; a key with dots in it is matched too."""

    names: dict[str, Texts] = {}  # own source field -> its paths in several serialisations, the first that is present


class Outcome(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a kind of line means."""

    set: dict[str, str] = {}  # event column -> fixed text
    columns: dict[str, Texts] = {}  # event column -> source fields, instead of the table's own
    ignore: bool = False  # readable, but nothing for us
    attempt: Annotated[int, Meta(ge=0, le=7)] = 0  # attempt.kind
    count: str = ""  # source field that holds attempt.count; "" = 1 for an attempt


class Rule(Outcome, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The first rule whose every condition holds decides."""

    when: dict[str, Condition] = {}


class Template(Outcome, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A message with holes: "Failed password for {user} from {address} port {port} ssh2"."""

    text: str


class Words(Struct, frozen=True, forbid_unknown_fields=True):
    """A column whose text follows from the text of a source field; `rules` may overrule it."""

    column: str
    field: Texts  # the first that is present and listed
    map: dict[str, str] = {}
    use: Literal["", "transport"] = ""  # a list that comes with the program: protocol names and numbers
    other: str = ""  # the field is there, but its text is not listed


class Extract(Struct, frozen=True, forbid_unknown_fields=True):
    """A new source field cut out of another: between the first `after` and the next `until` (or the end of the field)."""

    field: Texts
    name: str  # of the new source field
    after: str = ""
    until: Texts = ""


class Time(Struct, frozen=True, forbid_unknown_fields=True):
    """Where the event's time stands: one field, or date and clock in two. Layouts are recognised (see clock.py)."""

    fields: Texts
    zone: str = ""  # source field with a zone such as +0200; absent: this entry does not apply
    finer: str = ""  # source field with the same time in finer units; taken when the two are less than 2 s apart
    day_first: bool = False  # 03/04/2026 is the third of April


class Sample(Struct, frozen=True, forbid_unknown_fields=True):
    """A line and what it must become: exactly one of event, ignored, reject."""

    line: str
    event: dict[str, str | int] = {}  # every column that is not absent, but event.dataset and provenance
    ignored: bool = False
    reject: str = ""
    timezone: str = "UTC"
    received: str = "2026-06-01T12:00:00Z"  # record time


class Table(Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    title: str
    tokenizer: Literal["keyvalue", "delimited", "template", "json"]
    samples: list[Sample]
    recognise: list[Recognise] = []
    priority: int = 50  # smaller is asked first when the format is recognised
    time: list[Time] = []  # the first that can be read; then the header's time, then the record's
    columns: dict[str, Texts] = {}  # event column -> source fields, the first that is present and readable
    accounts: tuple[str, ...] = ("user.name", "user.target.name")  # columns in which DOMAIN\name becomes name
    absent: tuple[str, ...] = ("", "-", "N/A", "n/a", "(null)", "null")  # texts that mean: no value
    escape: Literal["", "backslash", "doubled", "cef", "json"] = ""
    session: list[str] = []  # source fields whose texts together name the connection (session.key)
    words: list[Words] = []
    extract: list[Extract] = []
    set: dict[str, str] = {}  # event column -> fixed text, before words and rules
    rules: list[Rule] = []
    otherwise: Literal["event", "ignore"] = "ignore"  # no rule fits
    prefix: str = ""  # template: what stands before every message, in the same notation
    templates: list[Template] = []  # template: its outcome, then the first rule that fits on top of it
    keyvalue: KeyValue = KeyValue()
    delimited: Delimited | None = None
    json: Json = Json()
    envelope: bool = False  # json: such an object may hold another device's line, look inside first


def of_toml(text: str, source: str = "table") -> Table:
    """A table from its TOML text. Raises ValueError with one sentence that names the file and what is wrong."""
    try:
        table = msgspec.toml.decode(text, type=Table)
    except msgspec.MsgspecError as error:
        raise ValueError(f"{source}: {error}") from error
    fillable = {*ecs.TEXT, *ecs.ADDRESS, *ecs.INTEGER}
    outcomes: list[Outcome] = [*table.rules, *table.templates]
    named: list[Iterable[str]] = [
        table.set,
        table.columns,
        *(o.set for o in outcomes),
        *(o.columns for o in outcomes),
        [w.column for w in table.words],
    ]
    for column in (name for part in named for name in part):
        if column not in fillable:
            raise ValueError(f"{source}: `{column}` is not an event column that a format may fill")
    return table


@cache
def shipped() -> dict[str, Table]:
    """All tables that come with the program, by name."""
    folder = resources.files("detector.decode") / "formats"
    files = sorted((f for f in folder.iterdir() if f.name.endswith(".toml")), key=lambda f: f.name)
    tables = [of_toml(f.read_text("utf-8"), f.name) for f in files]
    return {t.name: t for t in tables}


def of_file(path: Path) -> Table:
    return of_toml(path.read_text("utf-8"), path.name)


def texts(value: Texts) -> list[str]:
    return [value] if isinstance(value, str) else value
