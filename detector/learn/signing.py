"""Who vouches for a model: the person who trained it signs the manifest, another one an approval of it for one tenant.

Both are people of the group "models" in [[keyholders]]. The daemon checks both signatures before it lets a model judge, so whoever
can write into the database still cannot put a model of his own there.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidSignature

from detector.config import Config
from detector.forest.artefact import ArtefactError, Files, vouches
from detector.privacy.people import Person, Public, holders, signers

GROUP = "models"
TRAINED, APPROVED = "model", "model approval"  # purposes: a signature for one is none for the other
FEWEST = 2


@dataclass(frozen=True, slots=True)
class Signer:
    """A person's public key as `artefact` asks for it."""

    public: Public

    def verify(self, signature: bytes, data: bytes, /) -> None:
        if not self.public.verifies(TRAINED, data, signature):
            raise InvalidSignature


class Approval(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the second person signs. `gates`: SHA-256 of the gates' results that were seen; `reason`: why failed ones do not matter."""

    tenant: str
    model: str
    model_id: str
    digest: str
    gates: str
    failed: list[str]
    reason: str
    approver: str
    at: str

    def bytes(self) -> bytes:
        return msgspec.json.encode(self, order="sorted")


def trusted(config: Config, tenant: str) -> Mapping[str, Public]:
    """Who may vouch for a tenant's models, by login; for the shared ones ("") only who is not bound to a tenant."""
    return signers(config, GROUP, tenant)


def signers_of(config: Config) -> Mapping[str, Public]:
    """Everybody who may vouch for some tenant's models, each key once, by login. Raises ConfigError."""
    named = {holder.public.signing.public_bytes_raw(): holder.public for holder in holders(config) if GROUP in holder.groups}
    return {public.name: public for public in named.values()}


def sign(folder: Path, person: Person) -> None:
    """Writes manifest.sig beside the manifest, whole or not at all."""
    unfinished = folder / "manifest.sig.part"
    unfinished.write_bytes(person.sign(TRAINED, (folder / "manifest.json").read_bytes()))
    os.replace(unfinished, folder / "manifest.sig")


def trainer(files: Files, people: Mapping[str, Public]) -> str:
    """Login of who signed the manifest. Raises ArtefactError when it is none of these people."""
    for name, public in people.items():
        if vouches(Signer(public), files):
            return name
    if files.signature == b"":
        raise ArtefactError(f"{files.place}: it is not signed")
    raise ArtefactError(f"{files.place}: the signature was made by none of the trusted keys, or the manifest was altered")


def approved(statement: bytes, signature: bytes, people: Mapping[str, Public]) -> Approval | None:
    """The approval, if one of these people signed it and it names that person; else None."""
    try:
        found = msgspec.json.decode(statement, type=Approval)
    except msgspec.DecodeError:
        return None
    public = people.get(found.approver)
    return found if public is not None and public.verifies(APPROVED, statement, signature) else None


def same_key(people: Mapping[str, Public], one: str, other: str) -> bool:
    """Two names in the list may carry one key: that is one person."""
    return people[one].signing.public_bytes_raw() == people[other].signing.public_bytes_raw()
