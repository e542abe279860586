"""The event's time: from the fields that a table names, else from the line's header, else from the record."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from detector.decode import clock
from detector.decode.kernels import Begin, Length
from detector.decode.scan import Bytes
from detector.decode.wide import same
from detector.decode.zones import SECOND, Zones


@njit(cache=True, nogil=True)
def _field_time(
    values: Bytes, begin: Begin, length: Length, row: int, fields: NDArray[np.int32], entry: int, day_first: bool,
    zones: Zones, zone: int, near: int, year: int, memory: NDArray[np.int64],
) -> int:  # fmt: skip
    """µs UTC of one [[time]] entry in one row, or clock.NONE. memory int64 (T, 6): the last date's place, size, parts and end."""
    a, b, z = fields[entry, 0], fields[entry, 1], fields[entry, 2]
    if length[a, row] <= 0 or (b >= 0 and length[b, row] <= 0) or (z >= 0 and length[z, row] <= 0):
        return clock.NONE
    p = begin[a, row]
    end = p + length[a, row]
    if b < 0 and z < 0:
        return clock.parse(values, p, end, day_first, zones, zone, near, year)[0]
    if length[a, row] != memory[entry, 1] or not same(values, p, memory[entry, 0], memory[entry, 1]):
        y, m, d, q = clock.read_date(values, p, end, day_first)
        memory[entry, 0], memory[entry, 1] = p, length[a, row]
        memory[entry, 2], memory[entry, 3], memory[entry, 4], memory[entry, 5] = y, m, d, q - p
    y, m, d, q = memory[entry, 2], memory[entry, 3], memory[entry, 4], p + memory[entry, 5]
    if b >= 0:
        q, end = begin[b, row], begin[b, row] + length[b, row]
    time, q = clock.read_clock(values, q, end)
    offset, q = clock.read_zone(values, q, end)
    if z >= 0:
        offset, q = clock.read_zone(values, begin[z, row], begin[z, row] + length[z, row])
        if offset == clock.NONE:
            return clock.NONE
    return clock.resolve(y, m, d, time, offset, zones, zone, near, year)


@njit(cache=True, nogil=True)
def times(
    values: Bytes, begin: Begin, length: Length, fields: NDArray[np.int32], day_first: NDArray[np.bool_], zones: Zones,
    zone: NDArray[np.int32], header: NDArray[np.int64], near: NDArray[np.int64], year: int, out: NDArray[np.int64],
) -> None:  # fmt: skip
    """Fill out int64 (n), µs UTC: the first [[time]] entry that can be read, else the header's, else the record's, else clock.NONE."""
    memory = np.full((len(fields), 6), -1, np.int64)
    for row in range(len(out)):
        time = clock.NONE
        for entry in range(len(fields)):
            a = fields[entry, 0]
            if length[a, row] > 0 and fields[entry, 1] < 0 and fields[entry, 2] < 0:  # a number needs no zone, and handing zones on costs
                time = clock.read_epoch(values, begin[a, row], begin[a, row] + length[a, row])
            if time == clock.NONE:
                time = _field_time(values, begin, length, row, fields, entry, day_first[entry], zones, zone[row], near[row], year, memory)
            if time != clock.NONE:
                f = fields[entry, 3]
                if f >= 0 and length[f, row] > 0:
                    p = begin[f, row]
                    finer = clock.parse(values, p, p + length[f, row], day_first[entry], zones, zone[row], near[row], year)[0]
                    time = finer if abs(finer - time) < 2 * SECOND else time
                break
        if time == clock.NONE:
            time = header[row] if header[row] != clock.NONE else near[row] if near[row] > 0 else clock.NONE
        out[row] = time
