"""What an address is, by longest prefix; and the keyed hash that hides those that must not stay plain."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from detector.config import Kind, Network
from detector.privacy.networks import ABSENT, OUTSIDE, PLAIN, SPECIAL, TOKEN, UNLISTED, NetworkTable, pseudonyms
from detector.privacy.siphash import mix, sip

LISTED = [
    Network("10.0.0.0/8", "client", name="Verwaltung"),
    Network("10.20.0.0/16", "server", name="Server"),
    Network("10.20.7.0/24", "guest", name="Gäste"),
    Network("203.0.113.0/24", "dmz"),
    Network("2001:db8:7::/48", "wifi", name="WLAN"),
    Network("2001:db8:7:1::/64", "server", name="Server v6"),
]
TABLE = NetworkTable.of(LISTED)


def _words(address: str) -> tuple[int, int]:
    parsed = ip_address(address)
    number = int(parsed) + (0xFFFF << 32 if parsed.version == 4 else 0)
    return number >> 64, number & (2**64 - 1)


def _name(address: str, table: NetworkTable = TABLE) -> str:
    entry = table.entry_of(address)
    assert entry is not None
    return table.names[entry]


def test_the_longest_prefix_wins() -> None:
    assert _name("10.1.2.3") == "Verwaltung"
    assert _name("10.20.6.255") == "Server"
    assert _name("10.20.7.0") == "Gäste"
    assert _name("10.20.8.0") == "Server"
    assert _name("2001:db8:7::1") == "WLAN"
    assert _name("2001:db8:7:1::1") == "Server v6"


def test_a_network_without_a_name_is_called_by_its_cidr() -> None:
    assert _name("203.0.113.9") == "203.0.113.0/24"


@pytest.mark.parametrize(
    "address", ["172.16.0.1", "172.31.255.255", "192.168.0.1", "100.64.1.1", "169.254.9.9", "fd12::1", "fe80::1", "77::1", "0.1.2.3"]
)
def test_what_lies_inside_and_is_not_listed_is_known_as_such(address: str) -> None:
    assert TABLE.entry_of(address) == UNLISTED


@pytest.mark.parametrize("address", ["64:ff9b::c0a8:105", "2002:c0a8:105::1", "::192.168.1.5", "::ffff:192.168.1.5"])
def test_an_inside_address_inside_an_ipv6_address_is_inside(address: str) -> None:
    assert TABLE.entry_of(address) == UNLISTED


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "::", "0.0.0.0", "224.0.0.251", "255.255.255.255", "ff02::1"])
def test_addresses_of_no_machine_are_special(address: str) -> None:
    assert TABLE.entry_of(address) == SPECIAL


@pytest.mark.parametrize(
    "address", ["198.18.0.1", "192.0.2.1", "172.32.0.1", "172.15.255.255", "2a01:4f8::1", "64:ff9b::808:808", "2002:808:808::1"]
)
def test_everything_else_is_outside(address: str) -> None:
    assert TABLE.entry_of(address) == OUTSIDE


def test_a_tenant_s_own_description_wins_over_the_general_one() -> None:
    table = NetworkTable.of([Network("10.0.0.0/8", "client", name="alle"), Network("10.0.0.0/8", "server", name="eigen", tenant="stadt")])
    assert _name("10.1.1.1", table) == "eigen"


def test_a_listed_network_wins_over_the_built_in_ones_of_the_same_size() -> None:
    table = NetworkTable.of([Network("192.168.0.0/16", "server", name="Server"), Network("fe80::/10", "client", name="lokal")])
    assert _name("192.168.4.4", table) == "Server"
    assert _name("fe80::9", table) == "lokal"


def test_text_that_is_no_address_is_none() -> None:
    for text in ("srv-file", "999.1.1.1", "10.1.2", "", "10.1.2.3 "):
        assert TABLE.entry_of(text) is None


KINDS: list[Kind] = ["server", "client", "vpn", "wifi", "guest", "dmz"]
CIDRS = st.one_of(
    st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 32)).map(lambda t: str(ip_network((t[0], t[1]), strict=False))),
    st.tuples(st.integers(0, 2**128 - 1), st.integers(0, 128)).map(lambda t: str(ip_network((t[0], t[1]), strict=False))),
)


@given(st.lists(CIDRS, min_size=1, max_size=8, unique=True), st.integers(0, 2**32 - 1), st.integers(0, 2**128 - 1), st.data())
def test_the_table_agrees_with_asking_each_network_in_turn(cidrs: list[str], four: int, six: int, data: st.DataObject) -> None:
    table = NetworkTable.of([Network(cidr, data.draw(st.sampled_from(KINDS)), name=cidr) for cidr in cidrs])
    chosen = ip_network(data.draw(st.sampled_from(cidrs)))
    edges = [chosen.network_address, chosen.broadcast_address]
    for address in (ip_address(four), ip_address(six), *edges):
        fitting = [n for n in map(ip_network, cidrs) if n.version == address.version and address in n]
        entry = table.entry_of(str(address))
        assert entry is not None
        if fitting and entry >= 3:
            assert table.names[entry] == str(max(fitting, key=lambda n: n.prefixlen))
        elif not fitting:
            assert entry < 3 or address.version == 6  # an IPv6 address may carry a listed IPv4 network's


def _columns(addresses: list[str]) -> tuple[NDArray[np.uint64], NDArray[np.uint64], NDArray[np.uint8]]:
    words = np.array([_words(a) if a else (0, 0) for a in addresses], np.uint64)
    return words[:, 0].copy(), words[:, 1].copy(), np.array([PLAIN if a else ABSENT for a in addresses], np.uint8)


KEYS = np.array([[1, 2], [3, 4]], np.uint64)


def test_only_outside_server_dmz_and_nobody_s_addresses_stay_plain() -> None:
    addresses = ["8.8.8.8", "10.20.1.1", "203.0.113.5", "127.0.0.1", "10.1.1.1", "10.20.7.1", "192.168.1.1", "2001:db8:7::9", ""]
    hi, lo, kind = _columns(addresses)
    out = pseudonyms(TABLE, hi, lo, kind, np.zeros(9, np.uint32), KEYS)
    assert out.kind.tolist() == [PLAIN] * 4 + [TOKEN] * 4 + [ABSENT]
    assert out.lo[:4].tolist() == lo[:4].tolist()
    assert not set(out.lo[4:8].tolist()) & set(lo[4:8].tolist())
    assert out.entry[8] == -1


def test_a_token_is_the_same_within_an_epoch_and_another_in_the_next() -> None:
    hi, lo, kind = _columns(["10.1.1.1"] * 3)
    out = pseudonyms(TABLE, hi, lo, kind, np.array([0, 0, 1], np.uint32), KEYS)
    assert (out.hi[0], out.lo[0]) == (out.hi[1], out.lo[1]) != (out.hi[2], out.lo[2])


def _reference(key: bytes, message: bytes) -> bytes:
    """SipHash-2-4-128 in plain Python, as the paper has it."""
    mask = 2**64 - 1
    k0, k1 = (int.from_bytes(key[i : i + 8], "little") for i in (0, 8))
    v = [k0 ^ 0x736F6D6570736575, k1 ^ 0x646F72616E646F6D ^ 0xEE, k0 ^ 0x6C7967656E657261, k1 ^ 0x7465646279746573]

    def turn(x: int, by: int) -> int:
        return (x << by | x >> (64 - by)) & mask

    def rounds(count: int) -> None:
        for _ in range(count):
            v[0] = (v[0] + v[1]) & mask
            v[2] = (v[2] + v[3]) & mask
            v[1], v[3] = turn(v[1], 13) ^ v[0], turn(v[3], 16) ^ v[2]
            v[0] = (turn(v[0], 32) + v[3]) & mask
            v[2] = (v[2] + v[1]) & mask
            v[1], v[3] = turn(v[1], 17) ^ v[2], turn(v[3], 21) ^ v[0]
            v[2] = turn(v[2], 32)

    full = message + b"\0" * (7 - len(message) % 8) + bytes([len(message) & 255])
    for i in range(0, len(full), 8):
        word = int.from_bytes(full[i : i + 8], "little")
        v[3] ^= word
        rounds(2)
        v[0] ^= word
    v[2] ^= 0xEE
    rounds(4)
    first = v[0] ^ v[1] ^ v[2] ^ v[3]
    v[1] ^= 0xDD
    rounds(4)
    return first.to_bytes(8, "little") + (v[0] ^ v[1] ^ v[2] ^ v[3]).to_bytes(8, "little")


def test_the_reference_gives_the_published_vectors() -> None:
    key = bytes(range(16))
    assert _reference(key, b"").hex() == "a3817f04ba25a8e66df67214c7550293"
    assert _reference(key, b"\0").hex() == "da87c1d86b99af44347659119b22fc45"


@given(st.binary(min_size=16, max_size=16), st.binary(min_size=16, max_size=16))
def test_the_kernel_gives_the_reference_s_hash(key: bytes, message: bytes) -> None:
    words = [np.uint64(int.from_bytes(part, "little")) for part in (key[:8], key[8:], message[:8], message[8:])]
    first, second = sip(*words)
    assert int(first).to_bytes(8, "little") + int(second).to_bytes(8, "little") == _reference(key, message)


def test_a_key_that_is_absent_stays_absent_and_no_other_becomes_it() -> None:
    plain = np.array([0, 1, 2**63], np.uint64)
    out = mix(KEYS, np.array([0, 1, 1], np.uint32), plain, np.zeros(3, np.uint64))
    assert out[0] == 0
    assert (out[1:] != 0).all()
    assert not set(out[1:].tolist()) & set(plain.tolist())
