"""Text columns are rewritten through their few distinct values; the old dictionary never travels on."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from detector.decode import ecs


def rewrite(
    column: pl.Series, group: NDArray[np.uint32], groups: int, answer: Callable[[str, int], tuple[str, ...]], names: Sequence[str]
) -> dict[str, pl.Series]:
    """New text columns `names`, one for each text that `answer(value, group)` gives, asked once per distinct pair.

    column   text column of n rows; "" is not asked and stays "" in every new column
    group    uint32 (n), below `groups`: the epoch of each row, counted within this batch
    """
    values = ecs.values(column.to_frame(), column.name)
    pair = column.to_physical().to_numpy().astype(np.int64) * groups + group
    flags = np.zeros(len(values) * groups, np.bool_)
    flags[pair] = True
    known: list[dict[str, int]] = [{"": 0} for _ in names]
    lookup = np.zeros((len(names), len(flags)), np.uint32)
    for at in np.flatnonzero(flags).tolist():
        if at >= groups:  # the first value is always ""
            for i, text in enumerate(answer(values[at // groups], at % groups)):
                lookup[i, at] = known[i].setdefault(text, len(known[i]))
    return {name: ecs.text(lookup[i][pair], list(known[i]), name) for i, name in enumerate(names)}


def from_entries(entry: NDArray[np.int32], names: Sequence[str], name: str) -> pl.Series:
    """A text column from indices into `names` (-1 = absent); names may repeat, only those that occur travel on."""
    used = np.bincount(entry + 1, minlength=len(names) + 1) > 0
    known: dict[str, int] = {"": 0}
    lookup = np.zeros(len(names) + 1, np.uint32)
    for at in np.flatnonzero(used[1:]).tolist():
        lookup[at + 1] = known.setdefault(names[at], len(known))
    return ecs.text(lookup[entry + 1], list(known), name)
