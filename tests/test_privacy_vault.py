"""The sealed link table, on the bytes: two people of two groups open exactly the rows asked for; nothing less opens anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.concatkdf import ConcatKDFHMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from detector.privacy import vault
from detector.privacy.fresh import Collector
from detector.privacy.networks import Addresses
from detector.privacy.people import Person
from detector.privacy.vault import Fresh, Held, Link, Sealer, Slot, VaultError, open_row
from tests.people import ESCROW, PROTECTION, SECURITY, holder, person

KEY = {"city": bytes(range(32)), "county": bytes(32)}
MEIER, SCHMIDT, NOTARY = person("meier"), person("schmidt"), person("notary")
NAMES = [Fresh("city", 20_000, f"u-{i:016x}", f"person{i}") for i in range(5)]
DAY = 86_400_000_000


def sealer(groups: tuple[str, ...] = (SECURITY, PROTECTION)) -> Sealer:
    return Sealer(groups, [holder(MEIER, SECURITY), holder(SCHMIDT, PROTECTION), holder(NOTARY, ESCROW)])


def sealed(fresh: list[Fresh] = NAMES, groups: tuple[str, ...] = (SECURITY, PROTECTION)) -> tuple[list[Link], Slot, dict[str, bytes]]:
    """Links, their slot, and what the database holds of it: the sealed secrets by group."""
    by = sealer(groups)
    links, slots = by.seal(fresh, KEY, 0)
    return links, slots[0], {group: wrapped for group, _, wrapped in by.wraps(slots[0])}


def held(who: Person, group: str, slot: Slot, wraps: Mapping[str, bytes]) -> Held:
    return Held.unwrap(who, wraps[group], slot.id, group, slot.secrets)


def test_two_people_of_two_groups_open_a_row() -> None:
    links, slot, wraps = sealed()
    a, b = held(MEIER, SECURITY, slot, wraps), held(SCHMIDT, PROTECTION, slot, wraps)
    assert open_row(links[3], KEY["city"], a.shares(links[3].row) | b.shares(links[3].row)) == "person3"


@pytest.mark.parametrize(("who", "group"), [(MEIER, SECURITY), (SCHMIDT, PROTECTION)])
def test_one_key_alone_has_one_secret_too_few_and_opens_nothing(who: Person, group: str) -> None:
    links, slot, wraps = sealed()
    mine = held(who, group, slot, wraps)
    assert slot.secrets[group] not in b"".join(mine.secrets.values())
    other = next(name for name in wraps if name != group)
    with pytest.raises(InvalidTag):
        who.unseal(vault.PURPOSE, wraps[other])
    for guess in (bytes(32), *mine.secrets.values()):
        with pytest.raises(VaultError, match="does not open"):
            open_row(links[0], KEY["city"], mine.shares(links[0].row) | {group: guess})


def test_what_is_handed_over_for_one_row_opens_no_other_row_of_the_slot() -> None:
    links, slot, wraps = sealed()
    mine, handed = held(MEIER, SECURITY, slot, wraps), held(SCHMIDT, PROTECTION, slot, wraps).shares(links[1].row)
    assert open_row(links[1], KEY["city"], mine.shares(links[1].row) | handed) == "person1"
    with pytest.raises(VaultError):
        open_row(links[2], KEY["city"], mine.shares(links[2].row) | handed)


def test_a_third_group_stands_in_for_either_and_opens_nothing_alone() -> None:
    links, slot, wraps = sealed(groups=(SECURITY, PROTECTION, ESCROW))
    of = {g: held(p, g, slot, wraps).shares(links[0].row) for g, p in ((SECURITY, MEIER), (PROTECTION, SCHMIDT), (ESCROW, NOTARY))}
    for one, two in ((SECURITY, PROTECTION), (SECURITY, ESCROW), (ESCROW, PROTECTION)):
        assert open_row(links[0], KEY["city"], of[one] | of[two]) == "person0"
    assert all(group not in shares and len(shares) == 2 for group, shares in of.items())


def test_the_key_derivation_is_as_the_library_computes_it() -> None:
    links, slot, _ = sealed()
    row = links[0].row
    parts = [HKDFExpand(SHA256(), 32, b"tuermer link 1\0row\0" + slot.id + row).derive(secret) for secret in slot.secrets.values()]
    key = ConcatKDFHMAC(SHA256(), 32, KEY["city"], b"tuermer link 1\0key\0" + row).derive(b"".join(parts))
    assert AESGCM(key).decrypt(links[0].sealed[:12], links[0].sealed[12:], row).startswith(b"person0\x80")


def test_without_the_tenants_key_two_people_open_nothing() -> None:
    links, slot, wraps = sealed()
    shares = held(MEIER, SECURITY, slot, wraps).shares(links[0].row) | held(SCHMIDT, PROTECTION, slot, wraps).shares(links[0].row)
    with pytest.raises(VaultError):
        open_row(links[0], bytes(32), shares)


@pytest.mark.parametrize("change", ["sealed", "token", "tenant", "epoch", "short"])
def test_an_altered_row_does_not_open(change: str) -> None:
    links, slot, wraps = sealed()
    flipped = links[0].sealed[:20] + bytes([links[0].sealed[20] ^ 1]) + links[0].sealed[21:]
    altered = {
        "sealed": replace(links[0], sealed=flipped),
        "token": replace(links[0], token=links[1].token),
        "tenant": replace(links[0], tenant="county"),
        "epoch": replace(links[0], epoch=20_001),
        "short": replace(links[0], sealed=links[0].sealed[:7]),
    }[change]
    shares = held(MEIER, SECURITY, slot, wraps).shares(altered.row) | held(SCHMIDT, PROTECTION, slot, wraps).shares(altered.row)
    with pytest.raises(VaultError, match=r"the link of u-\w+ does not open: it was changed"):
        open_row(altered, KEY["city"], shares)


def test_sealed_secrets_that_were_exchanged_for_those_of_another_slot_are_refused() -> None:
    _, slot, _ = sealed()
    _, _, others = sealed()
    with pytest.raises(VaultError, match="was exchanged"):
        held(MEIER, SECURITY, slot, others)


def test_neither_name_nor_length_shows_in_what_is_stored() -> None:
    fresh = [Fresh("city", 1, "u-1", "li"), Fresh("city", 1, "u-2", "von-und-zu-guttenberg-hohenlohe")]
    links, slot, wraps = sealed(fresh)
    assert len(links[0].sealed) == len(links[1].sealed)
    stored = b"".join([link.sealed + link.tag + link.slot for link in links] + list(wraps.values()))
    assert b"guttenberg" not in stored
    assert all(secret not in stored for secret in slot.secrets.values())


def test_a_name_of_10_kb_and_one_of_broken_characters_are_kept_whole() -> None:
    fresh = [Fresh("city", 1, "u-1", "x" * 10_240), Fresh("city", 1, "u-2", "\udc80ü")]
    links, slot, wraps = sealed(fresh)
    a, b = held(MEIER, SECURITY, slot, wraps), held(SCHMIDT, PROTECTION, slot, wraps)
    opened = [open_row(link, KEY["city"], a.shares(link.row) | b.shares(link.row)) for link in links]
    assert opened == ["x" * 10_240, "?ü"]


def test_two_people_find_the_rows_of_a_name_without_opening_one() -> None:
    links, slot, wraps = sealed()
    a, b = held(MEIER, SECURITY, slot, wraps), held(SCHMIDT, PROTECTION, slot, wraps)
    parts = a.tag_parts("u", b"person2") | b.tag_parts("u", b"person2")
    assert [link.token for link in links if link.tag == vault.combined(parts.values())] == [NAMES[2].token]
    assert links[2].tag not in {*a.tag_parts("u", b"person2").values(), *b.tag_parts("u", b"person2").values()}


def test_one_name_leaves_different_rows_in_two_tenants_and_in_two_epochs() -> None:
    fresh = [Fresh("city", 1, "u-1", "mueller"), Fresh("county", 1, "u-2", "mueller"), Fresh("city", 2, "u-3", "mueller")]
    links, slots = sealer().seal(fresh, KEY, 0)
    assert len({link.tag for link in links}) == len({link.sealed for link in links}) == len(slots) == 3


def test_secrets_stay_in_memory_for_a_quarter_of_an_hour_and_no_later_one_opens_earlier_rows() -> None:
    by = sealer()
    early, (slot,) = by.seal(NAMES[:1], KEY, 0)
    by.forget(vault.ROTATE)
    _, (later,) = by.seal(NAMES[1:2], KEY, vault.ROTATE)
    assert set(slot.secrets.values()).isdisjoint(later.secrets.values())
    with pytest.raises(VaultError):
        open_row(early[0], KEY["city"], {g: vault.share(s, later.id, early[0].row) for g, s in later.secrets.items()})


def test_a_clock_that_jumps_back_begins_a_new_slot_instead_of_keeping_one_for_ever() -> None:
    by = sealer()
    _, (before,) = by.seal(NAMES[:1], KEY, DAY)
    _, (after,) = by.seal(NAMES[1:2], KEY, 0)
    assert before.id != after.id


def test_a_tenant_with_people_in_one_group_only_keeps_no_links() -> None:
    by = Sealer((SECURITY, PROTECTION), [holder(MEIER, SECURITY), holder(SCHMIDT, PROTECTION, "county")])
    assert (by.wants("city"), by.wants("county")) == (False, True)


def test_a_token_is_fresh_once_per_epoch() -> None:
    collector = Collector()
    for _ in range(2):
        collector.name("city", 1, "u-1", "mueller")
    collector.name("city", 2, "u-9", "mueller")
    assert [fresh.token for fresh in collector.take()] == ["u-1", "u-9"]
    assert collector.take() == []


def test_of_a_column_of_addresses_each_token_is_fresh_once_and_plain_ones_never() -> None:
    hi, lo = (
        np.array([0, 0, 0, 0], np.uint64),
        np.array([0xFFFF_0A00_0001, 0xFFFF_0A00_0002, 0xFFFF_0A00_0001, 0xFFFF_0808_0808], np.uint64),
    )
    words = np.array([7, 7 + (1 << 18), 7, lo[3]], np.uint64)  # the first two lie in one place of the filter
    shown = Addresses(hi, words, np.array([2, 2, 2, 1], np.uint8), np.zeros(4, np.int32))
    collector, epoch = Collector(), np.array([5, 5, 5, 5], np.int32)
    for _ in range(3):
        collector.addresses("city", epoch, hi, lo, shown)
    fresh = collector.take()
    assert sorted((one.token, one.value, one.epoch) for one in fresh) == [
        ("ip-0000000000000007", "10.0.0.1", 5),
        ("ip-0000000000040007", "10.0.0.2", 5),
    ]


def test_a_fresh_name_does_not_show_in_a_trace() -> None:
    assert "mueller" not in repr(Fresh("city", 1, "u-1", "mueller"))
    assert "mueller" not in repr([Fresh("city", 1, "u-1", "mueller")])
