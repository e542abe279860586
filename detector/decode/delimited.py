"""Tokenizer `delimited`: columns by position, with quotes; which column is what depends on the kind of line (layouts)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from detector.decode import spans
from detector.decode.scan import Bytes, equal_lower, pack
from detector.decode.spans import NO_LAYOUT, Spans
from detector.decode.table import HEADER, Delimited, Table, texts
from detector.decode.wide import find_either


class Layouts(NamedTuple):
    """L layouts: layout l holds conditions when[l] .. when[l + 1]; each asks column `column[k]` for one of texts words[k] .. words[k + 1].

    field int32 (L, C): the source field of each column, -1 = not wanted; needed int32 (L,): columns up to the last wanted one.
    """

    when: NDArray[np.int64]
    column: NDArray[np.int64]
    words: NDArray[np.int64]
    buffer: Bytes
    bounds: NDArray[np.int64]
    field: NDArray[np.int32]
    needed: NDArray[np.int64]


def _layouts(settings: Delimited, fields: Sequence[str]) -> Layouts:
    when, column, words, listed = [0], [], [0], []
    width = max((len(layout.columns) for layout in settings.layouts), default=1)
    field = np.full((len(settings.layouts), width), -1, np.int32)
    needed = np.zeros(len(settings.layouts), np.int64)
    for number, layout in enumerate(settings.layouts):
        for asked, wanted in layout.when.items():
            column.append(int(asked))
            listed += [w.lower().encode() for w in texts(wanted)]
            words.append(len(listed))
        when.append(len(column))
        for place, name in enumerate(layout.columns):
            if name in fields:
                field[number, place] = fields.index(name)
                needed[number] = place + 1
    packed = pack(listed)
    return Layouts(
        np.array(when, np.int64), np.array(column or [0], np.int64), np.array(words, np.int64), packed.buffer, packed.bounds, field, needed
    )


@njit(cache=True, nogil=True)
def _split(
    values: Bytes, p: int, stop: int, separator: int, quote: int, limit: int, low: NDArray[np.int64], high: NDArray[np.int64]
) -> int:
    """Bounds of up to `limit` columns into low, high. Returns how many."""
    count = 0
    while count < limit:
        if p < stop and values[p] == quote:
            q = p + 1
            while q < stop:
                if values[q] == quote:
                    if q + 1 < stop and values[q + 1] == quote:
                        q += 1
                    elif q + 1 >= stop or values[q + 1] == separator:
                        break
                q += 1
            low[count], high[count] = p + 1, min(q, stop)  # a quote that never closes: a line cut short in transit
            p = q + 1
        else:
            q = find_either(values, p, stop, separator, separator)
            low[count], high[count] = p, q
            p = q
        count += 1
        if p >= stop:
            break
        p += 1
    return count


@njit(cache=True, nogil=True)
def _fits(values: Bytes, layouts: Layouts, number: int, count: int, low: NDArray[np.int64], high: NDArray[np.int64]) -> bool:
    for k in range(layouts.when[number], layouts.when[number + 1]):
        place = layouts.column[k]
        if place >= count:
            return False
        hit = False
        for w in range(layouts.words[k], layouts.words[k + 1]):
            if equal_lower(values, low[place], high[place], layouts.buffer, layouts.bounds[w], layouts.bounds[w + 1]):
                hit = True
                break
        if not hit:
            return False
    return True


@njit(cache=True, nogil=True)
def _delimited(
    values: Bytes, start: NDArray[np.int64], stop: NDArray[np.int64], separator: int, quote: int, layouts: Layouts, head: int,
    begin: NDArray[np.int64], length: NDArray[np.int32], status: NDArray[np.uint8],
) -> None:  # fmt: skip
    width = max(layouts.field.shape[1], head)
    low, high = np.empty(width, np.int64), np.empty(width, np.int64)
    for row in range(len(start)):
        count = _split(values, start[row], stop[row], separator, quote, width, low, high)
        chosen = -1
        for number in range(len(layouts.needed)):
            if _fits(values, layouts, number, count, low, high):
                chosen = number
                break
        if chosen < 0:
            status[row] = NO_LAYOUT
            continue
        for place in range(min(count, layouts.needed[chosen])):
            i = layouts.field[chosen, place]
            if i >= 0:
                begin[i, row], length[i, row] = low[place], high[place] - low[place]


def build(table: Table, fields: Sequence[str]) -> Callable[[Bytes, NDArray[np.int64], NDArray[np.int64]], Spans]:
    """The tokenizer of one table; see spans.Tokenizer. Raises ValueError for a table without layouts, or with a field that none has."""
    settings = table.delimited
    if settings is None:
        raise ValueError(f"{table.name}: a delimited format needs [[delimited.layouts]]")
    known = {*HEADER, *(c for layout in settings.layouts for c in layout.columns), *(cut.name for cut in table.extract)}
    for name in fields:
        if name not in known:
            raise ValueError(f"{table.name}: no layout has a column named {name!r}")
    layouts = _layouts(settings, fields)
    head = int(layouts.column.max()) + 1
    separator, quote = ord(settings.separator), ord(settings.quote)

    def delimited(values: Bytes, start: NDArray[np.int64], stop: NDArray[np.int64]) -> Spans:
        found = spans.empty(len(start), len(fields))
        _delimited(values, start, stop, separator, quote, layouts, head, found.begin.T, found.length.T, found.status)
        return found

    return delimited
