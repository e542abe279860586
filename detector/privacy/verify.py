"""Searches anything that leaves ROUTE for what must not be in it; the privacy tests and the audit use it.

A name is found in any case, URL-encoded, as base64, as UTF-16 and in hexadecimal; an address written out (dotted,
with dashes, exploded IPv6) and packed: 16 or 4 bytes in either byte order, and the two words of an event column.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Iterator
from ipaddress import ip_address
from typing import NamedTuple
from urllib.parse import quote

import numpy as np
import polars as pl

from detector.decode import ecs


class Hit(NamedTuple):
    """One needle found: which, in what form, at which byte of the haystack."""

    needle: str
    form: str
    at: int


def hits(haystack: bytes, needles: Iterable[str]) -> list[Hit]:
    """Every needle in every form, first place each; [] when none is there.

    Names shorter than four letters are refused with ValueError: they occur in anything.
    """
    lower = haystack.lower()
    found: list[Hit] = []
    for needle in needles:
        if len(needle) < 4:
            raise ValueError(f"{needle!r} is too short to search for")
        for form, pattern, any_case in dict.fromkeys(_forms(needle)):
            at = lower.find(pattern.lower()) if any_case else haystack.find(pattern)
            if at >= 0:
                found.append(Hit(needle, form, at))
    return found


def laid_open(message: bytes) -> bytes:
    """A message as it is and, if it is an Arrow stream, also uncompressed, with every text and number of its columns."""
    try:
        frame = pl.read_ipc_stream(io.BytesIO(message))
    except (pl.exceptions.PolarsError, OSError):
        return message
    return message + of_frame(frame)


def of_frame(frame: pl.DataFrame) -> bytes:
    """A frame's columns uncompressed, its dictionaries (used or not), its addresses as 16 bytes and its rows as JSON."""
    raw = io.BytesIO()
    frame.write_ipc_stream(raw, compression="uncompressed")
    dictionaries = [dtype.categories.to_list() for dtype in frame.schema.values() if isinstance(dtype, pl.Enum)]
    rows = frame.with_columns(pl.col(pl.Enum, pl.Categorical).cast(pl.String)).write_ndjson()
    addresses = [
        np.stack([frame[f"{name}.hi"].to_numpy(), frame[f"{name}.lo"].to_numpy()], axis=1).astype(">u8").tobytes()
        for name in ecs.ADDRESS
        if f"{name}.hi" in frame.columns
    ]
    return raw.getvalue() + repr(dictionaries).encode() + b"".join(addresses) + rows.encode()


def _forms(needle: str) -> Iterator[tuple[str, bytes, bool]]:
    """(name of the form, bytes, whether case matters not)."""
    for text in {needle, needle.lower(), needle.upper(), needle.casefold(), needle.title()}:
        plain = text.encode()
        yield "text", plain, True
        yield "url", quote(text, safe="").encode(), True
        yield "url with all bytes encoded", "".join(f"%{b:02x}" for b in plain).encode(), True
        yield "json", text.encode("ascii", "backslashreplace").replace(b"\\x", b"\\u00"), True
        yield "utf-16", text.encode("utf-16-le"), True
        yield "hexadecimal", plain.hex().encode(), True
        if len(plain) >= 6:
            yield from (("base64", part, False) for part in _base64(plain))
    yield from _address_forms(needle)


def _base64(plain: bytes) -> Iterator[bytes]:
    """What any base64 text that contains `plain` must contain, at each of the three alignments and in both alphabets."""
    for shift, first in ((0, 0), (1, 2), (2, 3)):  # characters before `first` depend on what stands before `plain`
        last = (shift + len(plain)) * 8 // 6  # those from here on depend on what follows
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            yield encode(b"\0" * shift + plain)[first:last]


def _address_forms(needle: str) -> Iterator[tuple[str, bytes, bool]]:
    try:
        address = ip_address(needle)
    except ValueError:
        return
    yield "exploded", address.exploded.encode(), True
    yield "compressed", address.compressed.encode(), True
    yield "with dashes", address.compressed.replace(":", "-").replace(".", "-").encode(), True
    number = int(address) + (0xFFFF << 32 if address.version == 4 else 0)
    packed = number.to_bytes(16, "big")
    yield "16 bytes", packed, False
    yield "16 bytes reversed", packed[::-1], False
    low = int.from_bytes(packed[8:], "big")
    if low >= 1 << 16:  # the low word of 2001:db8::5 is a number like any other
        yield "low word", packed[:7:-1], False
        yield "low word as a number", str(low).encode(), False
    if address.version == 4:
        yield "one number", str(int(address)).encode(), False
        yield "hexadecimal", address.packed.hex().encode(), True
