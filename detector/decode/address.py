"""Addresses: text to 16 bytes in two words, and back. IPv4 is kept as ::ffff:a.b.c.d."""

from __future__ import annotations

import ipaddress
from typing import SupportsInt

import numpy as np
from numba import njit
from numpy.typing import NDArray

from detector.decode.scan import Bytes, digits, signed

_V4 = np.uint64(0xFFFF_0000_0000)
_ZERO = np.uint64(0)


@njit(cache=True, nogil=True)
def _ipv4(values: Bytes, begin: int, end: int) -> tuple[int, int]:
    """The 32 bits of a.b.c.d and where it ends; (-1, begin) when there is none."""
    n, p = signed(0), begin
    for octet in range(4):
        if octet > 0:
            if p >= end or values[p] != 46:
                return -1, begin
            p += 1
        part, q = digits(values, p, min(end, p + 3))
        if part < 0 or part > 255:
            return -1, begin
        n, p = n * 256 + part, q
    return n, p


@njit(cache=True, nogil=True)
def _hex(c: int) -> int:
    if c >= 48 and c <= 57:
        return c - 48
    c |= 32
    return c - 87 if c >= 97 and c <= 102 else -1


@njit(cache=True, nogil=True)
def _ipv6(values: Bytes, begin: int, end: int) -> tuple[np.uint64, np.uint64, bool]:
    """The two words of an IPv6 address that fills values[begin:end] (but for a %zone), and whether it is one."""
    hi, lo, count, gap, p = _ZERO, _ZERO, 0, -1, begin
    tail_hi, tail_lo = _ZERO, _ZERO  # groups after ::
    while p < end and values[p] != 37:
        if values[p] == 58:
            if p + 1 < end and values[p + 1] == 58:
                if gap >= 0:
                    return _ZERO, _ZERO, False
                gap = count
                p += 2
                continue
            if count == 0 or (gap == count):
                return _ZERO, _ZERO, False
            p += 1
        elif p > begin and values[p - 1] != 58:
            return _ZERO, _ZERO, False
        group, q, bits = signed(0), p, 16
        while q < end and q - p < 5 and _hex(signed(values[q])) >= 0:
            group = group * 16 + _hex(signed(values[q]))
            q += 1
        if q < end and values[q] == 46:
            group, q = _ipv4(values, p, end)
            if group < 0:
                return _ZERO, _ZERO, False
            bits = 32
        elif q == p or q - p > 4:
            return _ZERO, _ZERO, False
        count += bits // 16
        if count > 8 or (bits == 32 and q < end and values[q] != 37):
            return _ZERO, _ZERO, False
        shift = np.uint64(bits)
        if gap < 0:
            hi = (hi << shift) | (lo >> np.uint64(64 - bits))
            lo = (lo << shift) | np.uint64(group)
        else:
            tail_hi = (tail_hi << shift) | (tail_lo >> np.uint64(64 - bits))
            tail_lo = (tail_lo << shift) | np.uint64(group)
        p = q
    if gap < 0:
        return hi, lo, count == 8
    if count > 7:
        return _ZERO, _ZERO, False
    missing = (8 - gap) * 16  # the head moves up by so many bits
    if missing == 128:
        hi, lo = _ZERO, _ZERO
    elif missing >= 64:
        hi, lo = lo << np.uint64(missing - 64), _ZERO
    else:
        hi = (hi << np.uint64(missing)) | (lo >> np.uint64(64 - missing))
        lo = lo << np.uint64(missing)
    return hi | tail_hi, lo | tail_lo, True


@njit(cache=True, nogil=True)
def parse(values: Bytes, begin: int, end: int) -> tuple[np.uint64, np.uint64, bool]:
    """(hi, lo, readable) of an address: a.b.c.d, a.b.c.d:port, IPv6, [IPv6], [IPv6]:port, each with %zone.

    Blanks may stand around it, a full stop or a comma after it.
    """
    while begin < end and values[begin] == 32:
        begin += 1
    while begin < end and (values[end - 1] == 32 or values[end - 1] == 46 or values[end - 1] == 44):  # "… from 192.0.2.7."
        end -= 1
    if end - begin < 2 or end - begin > 64:
        return _ZERO, _ZERO, False
    v4, p = _ipv4(values, begin, end)
    if v4 >= 0:
        if p < end and values[p] == 58:
            port, p = digits(values, p + 1, end)
            if port < 0 or port > 65_535:
                return _ZERO, _ZERO, False
        return _ZERO, _V4 | np.uint64(v4), p == end
    if values[begin] == 91:
        begin += 1
        close = begin
        while close < end and values[close] != 93:
            close += 1
        if close == end:
            return _ZERO, _ZERO, False
        end = close
    return _ipv6(values, begin, end)


@njit(cache=True, nogil=True)
def convert(
    values: Bytes, begin: NDArray[np.int64], length: NDArray[np.int32], group: NDArray[np.int32], candidates: NDArray[np.int32],
    hi: NDArray[np.uint64], lo: NDArray[np.uint64], kind: NDArray[np.uint8],
) -> None:  # fmt: skip
    """Fill hi, lo, kind (C, n; zero before) from the first readable of candidates[column, group[row]]; -1 ends the list."""
    for row in range(len(group)):
        g = group[row]
        for column in range(len(hi)):
            for k in range(candidates.shape[2]):
                c = candidates[column, g, k]
                if c < 0:
                    break
                if length[c, row] > 0:
                    b = begin[c, row]
                    high, low, readable = parse(values, b, b + length[c, row])
                    if readable:
                        hi[column, row], lo[column, row], kind[column, row] = high, low, 1
                        break


def text(hi: SupportsInt, lo: SupportsInt) -> str:
    """The usual text of an address."""
    address = ipaddress.IPv6Address(int(hi) << 64 | int(lo))
    return str(address.ipv4_mapped or address)
