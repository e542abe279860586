"""People with keys, for tests: made in memory, without a passphrase's cost."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from detector.privacy.people import Holder, Person

SECURITY, PROTECTION, ESCROW = "security", "data-protection", "escrow"


def person(name: str) -> Person:
    return Person(name, Ed25519PrivateKey.generate(), X25519PrivateKey.generate())


def holder(who: Person, group: str, *tenants: str) -> Holder:
    return Holder(who.public, frozenset({group}), frozenset(tenants))
