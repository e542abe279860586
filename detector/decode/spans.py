"""What every tokenizer yields: where in the batch's byte buffer the wanted source fields of each line stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

OK, IGNORED = 0, 1
REASONS = (
    "",
    "",
    "bad-structure",  # the tokenizer cannot follow the line
    "bad-json",
    "no-template",  # a message that the format's templates do not know
    "no-layout",  # delimited: no layout for this kind of line
    "no-timestamp",
    "empty",
    "too-long",
    "unknown-format",
)
BAD_STRUCTURE, BAD_JSON, NO_TEMPLATE, NO_LAYOUT, NO_TIMESTAMP, EMPTY, TOO_LONG, UNKNOWN = range(2, 10)


@dataclass(frozen=True, slots=True)
class Spans:
    """n lines, F source fields; a field's spans lie side by side in memory (order "F"), since columns are made field by field.

    begin    int64 (n, F), where the field's text begins in the buffer (undefined where absent)
    length   int32 (n, F), its bytes; -1 = absent. Quotes are outside, escapes still inside
    status   uint8 (n), OK, IGNORED, or a reason's number
    variant  int32 (n), number of the template (index into table.templates); 0 for the other tokenizers
    """

    begin: NDArray[np.int64]
    length: NDArray[np.int32]
    status: NDArray[np.uint8]
    variant: NDArray[np.int32]


def empty(n: int, fields: int) -> Spans:
    """Spans for a tokenizer to fill: all fields absent, all lines OK."""
    begin, length = np.empty((n, fields), np.int64, order="F"), np.full((n, fields), -1, np.int32, order="F")
    return Spans(begin, length, np.zeros(n, np.uint8), np.zeros(n, np.int32))


class Tokenizer(Protocol):
    """Built once per table by `Tokenizer.of(table, fields)`, called once per batch."""

    def __call__(self, values: NDArray[np.uint8], start: NDArray[np.int64], stop: NDArray[np.int64]) -> Spans:
        """values: uint8 (bytes), read-only, C order; line i is values[start[i]:stop[i]], int64 (n). Never raises for any bytes."""
        ...


class Build(Protocol):
    def __call__(self, table: object, fields: Sequence[str]) -> Tokenizer:
        """`fields`: the F source fields in the order of the spans; names that the tokenizer does not know stay absent."""
        ...
