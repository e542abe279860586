"""Where two bodies differ, in words for a person (pure)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import zip_longest
from typing import Any, Final

MOST = 8  # differences of one object that are told
SHOWN = 60  # characters of a value


class _Absent:
    def __repr__(self) -> str:
        return "nothing"


ABSENT: Final = _Absent()


def differences(found: object, wanted: object) -> tuple[str, ...]:
    """`panels[2] "Offene": title is "x", should be "y"`, the first few and how many more."""
    every = list(_walk(found, wanted, ""))
    more = len(every) - MOST
    return (*every[:MOST], *((f"and {more} more differences",) if more > 0 else ()))


def _walk(found: object, wanted: object, path: str) -> Iterator[str]:
    if isinstance(found, dict) and isinstance(wanted, dict):
        for key in sorted({*found, *wanted}):
            yield from _walk(found.get(key, ABSENT), wanted.get(key, ABSENT), f"{path}.{key}" if path else str(key))
    elif isinstance(found, list) and isinstance(wanted, list):
        for number, (here, there) in enumerate(zip_longest(found, wanted, fillvalue=ABSENT)):
            yield from _walk(here, there, f"{path}[{number}]{_name(here, there)}")
    elif found != wanted or isinstance(found, bool) != isinstance(wanted, bool):
        yield f"{path or 'it'} is {_show(found)}, should be {_show(wanted)}"


def _name(found: object, wanted: object) -> str:
    """What an entry of a list calls itself."""
    for entry in (wanted, found):
        if isinstance(entry, dict):
            name: Any = entry.get("title", entry.get("uid", entry.get("name", entry.get("refId"))))
            if isinstance(name, str):
                return f' "{name}"'
    return ""


def _show(value: object) -> str:
    if value is ABSENT:
        return "not there"
    if isinstance(value, dict | list):
        return f"{'a table' if isinstance(value, dict) else 'a list'} of {len(value)}"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"
