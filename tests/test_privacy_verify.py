"""The search for leaks finds what it is given, in every form; a search that finds nothing would prove nothing."""

from __future__ import annotations

import base64
from ipaddress import ip_address
from urllib.parse import quote

import numpy as np
import polars as pl
import pytest

from detector.decode import ecs
from detector.privacy.verify import hits, laid_open, of_frame

NAME = "Xaver.Mörkelbach"


@pytest.mark.parametrize(
    "haystack",
    [
        b"user=Xaver.M\xc3\xb6rkelbach ok",
        "USER=XAVER.MÖRKELBACH".encode(),
        f"https://stadt.example/?u={quote(NAME)}".encode(),
        "".join(f"%{b:02X}" for b in NAME.encode()).encode(),
        b'{"user": "xaver.m\\u00f6rkelbach"}',
        NAME.encode("utf-16-le"),
        NAME.encode().hex().encode(),
    ],
)
def test_a_name_is_found_in_every_writing(haystack: bytes) -> None:
    assert [hit.needle for hit in hits(b"before " + haystack + b" after", [NAME])][:1] == [NAME]


@pytest.mark.parametrize("before", [b"", b"1", b"12", b"123"])
@pytest.mark.parametrize("after", [b"", b"x", b"xy", b"xyz"])
def test_a_name_is_found_inside_base64_at_any_alignment(before: bytes, after: bytes) -> None:
    assert hits(base64.b64encode(before + NAME.encode() + after), [NAME])


@pytest.mark.parametrize("address", ["10.77.3.200", "fd00:77::3:c8ff:fe11:2233", "192.168.201.7"])
def test_an_address_is_found_written_out_and_packed(address: str) -> None:
    parsed = ip_address(address)
    number = int(parsed) + (0xFFFF << 32 if parsed.version == 4 else 0)
    for haystack in (
        address.upper().encode(),
        parsed.exploded.encode(),
        address.replace(".", "-").replace(":", "-").encode(),
        number.to_bytes(16, "big"),
        number.to_bytes(16, "little"),
        (number & (2**64 - 1)).to_bytes(8, "little"),
        str(number & (2**64 - 1)).encode(),
    ):
        assert hits(b"\1" + haystack + b"\2", [address]), haystack


def _frame() -> pl.DataFrame:
    columns = {
        "user.name": ecs.text(np.array([1, 0]), ["", NAME], "user.name"),
        "source.ip.lo": pl.Series(np.array([(0xFFFF << 32) + 0x0A4D03C8, 0], np.uint64)),
    }
    return ecs.frame(2, columns)


def test_a_compressed_message_is_laid_open() -> None:
    message = ecs.to_arrow(_frame())
    assert {hit.needle for hit in hits(laid_open(message), [NAME, "10.77.3.200"])} == {NAME, "10.77.3.200"}


def test_a_dictionary_entry_that_no_row_uses_is_found_too() -> None:
    unused = _frame().with_columns(ecs.text(np.array([0, 0]), ["", NAME], "user.name"))
    assert hits(of_frame(unused), [NAME])


def test_an_ipv6_address_with_a_small_low_word_is_found_in_its_columns() -> None:
    columns = {
        "source.ip.hi": pl.Series(np.array([0xFD00007700000000], np.uint64)),
        "source.ip.lo": pl.Series(np.array([5], np.uint64)),
    }
    assert hits(of_frame(ecs.frame(1, columns)), ["fd00:77::5"])


def test_nothing_is_found_where_nothing_is() -> None:
    assert hits(b"u-k3f9q2xw7m event.action allowed 10.77.3.201 Xaver Moerkelbach", [NAME, "10.77.3.200"]) == []


def test_a_needle_that_would_be_found_anywhere_is_refused() -> None:
    with pytest.raises(ValueError, match="too short"):
        hits(b"anything", ["any"])
