"""Text columns are rewritten through their few distinct values; the old dictionary never travels on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from detector.decode import ecs

LARGE = 1 << 22


class Rows:
    """The rows of one shard of a batch; columns are cut out as arrays when they are asked for."""

    def __init__(self, events: pl.DataFrame, rows: NDArray[np.int64] | None = None) -> None:
        self._events, self._rows = events, rows

    def __len__(self) -> int:
        return len(self._events) if self._rows is None else len(self._rows)

    def numbers(self, name: str) -> NDArray[Any]:
        """Any column that is no text, shape (n,); times as int64 µs."""
        column = self._events[name]
        return self._cut(column.to_numpy() if column.dtype.is_numeric() else column.to_physical().to_numpy())

    def words(self, name: str) -> NDArray[np.uint64]:
        """A column of 64-bit words as an array of our own: kernels are compiled once more for arrays that are read-only."""
        return np.require(self.numbers(name), np.uint64, "W")

    def text(self, name: str) -> tuple[NDArray[Any], list[str]]:
        """A text column's codes, shape (n,), and its distinct values, of which some may not occur in these rows."""
        return self._cut(ecs.codes(self._events, name)), ecs.values(self._events, name)

    def series(self, name: str) -> pl.Series:
        """A column as it is."""
        return self._events[name] if self._rows is None else self._events[name][self._rows]

    def _cut(self, whole: NDArray[Any]) -> NDArray[Any]:
        return whole if self._rows is None else whole[self._rows]


def rewrite(
    column: tuple[NDArray[Any], list[str]],
    group: NDArray[np.uint32] | None,
    groups: int,
    answer: Callable[[str, int], tuple[str, ...]],
    names: Sequence[str],
) -> dict[str, ecs.Text]:
    """New text columns `names`, one for each text that `answer(value, group)` gives, asked once per distinct pair.

    column   codes (n) and values of a text column; "" is not asked and stays "" in every new column
    group    uint32 (n), below `groups`: the epoch of each row, counted within this batch; None: all rows are alike
    """
    codes, values = column
    pair = codes if groups == 1 or group is None else codes.astype(np.int64) * groups + group
    asked, place = _distinct(pair, len(values) * groups)
    known: list[dict[str, int]] = [{"": 0} for _ in names]
    lookup = np.zeros((len(names), len(asked)), np.uint32)
    for at, which in enumerate(asked.tolist()):
        if which >= groups:  # the first value is always ""
            for i, text in enumerate(answer(values[which // groups], which % groups)):
                lookup[i, at] = known[i].setdefault(text, len(known[i]))
    return {name: (lookup[i][place], list(known[i])) for i, name in enumerate(names)}


def _distinct(pair: NDArray[Any], size: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The distinct numbers below `size` that occur, ascending, and where each row's stands among them."""
    if size > LARGE:  # many names in many epochs: only a replay of years or a shipper without a clock
        asked, place = np.unique(pair, return_inverse=True)
        return asked.astype(np.int64), place
    flags = np.zeros(size, np.bool_)
    flags[pair] = True
    return np.flatnonzero(flags), (np.cumsum(flags) - 1)[pair]


def from_entries(entry: NDArray[np.int32], names: Sequence[str]) -> ecs.Text:
    """A text column from indices into `names` (-1 = absent); names may repeat, only those that occur travel on."""
    used = np.bincount(entry + 1, minlength=len(names) + 1) > 0
    known: dict[str, int] = {"": 0}
    lookup = np.zeros(len(names) + 1, np.uint32)
    for at in np.flatnonzero(used[1:]).tolist():
        lookup[at + 1] = known.setdefault(names[at], len(known))
    return lookup[entry + 1], list(known)
