"""From candidate to champion and back: what must hold before each step. The store does it; here it is decided.

A candidate is taken in with its trainer's signature, judges beside the champion as a shadow, goes through the gates, is approved by
a second person's key, and is promoted. Going back needs nobody else: what was champion once was approved once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from detector.config import Config
from detector.features.table import ModelTable
from detector.forest import artefact
from detector.forest.artefact import ArtefactError, Files
from detector.forest.detector import Detector
from detector.learn import signing
from detector.learn.gates import Results
from detector.learn.signing import APPROVED, Approval
from detector.privacy.people import Person, trusted
from detector.sentence import Sentence
from detector.store import Database, promotion, registry
from detector.store.registry import Entry


class RegistryError(Sentence):
    """A step that must not be done; the text says why."""


@dataclass(frozen=True, slots=True)
class Desk:
    """Where models are decided about: configuration (who is trusted), database, tables of the models."""

    config: Config
    database: Database
    tables: Mapping[str, ModelTable]

    def entry(self, tenant: str, model_id: str) -> Entry:
        """Also by the beginning of its id, if that is unique. Raises RegistryError."""
        found = [one for one in registry.listed(self.database) if one.tenant == tenant and one.model_id.startswith(model_id)]
        exact = [one for one in found if one.model_id == model_id]
        if len(exact) == 1 or len(found) == 1:
            return (exact or found)[0]
        whose = tenant or "all tenants"
        raise RegistryError(f"the registry of {whose} has " + ("no" if len(found) == 0 else "more than one") + f" model {model_id}")


def checked(desk: Desk, tenant: str, files: Files) -> tuple[dict[str, Any], Detector, str]:
    """(manifest, detector, trainer's login) of an artefact that may be used for the tenant. Raises ArtefactError."""
    people = signing.trusted(desk.config, tenant)
    trainer = signing.trainer(files, people)
    keys = [signing.Signer(public) for public in people.values()]
    manifest, _ = artefact.opened(files, keys, ())
    name = str(manifest.get("model"))
    if name not in desk.tables:
        raise ArtefactError(f"{files.place}: there is no model {name}; there are {', '.join(desk.tables)}")
    return manifest, Detector.of_files(files, keys, desk.tables[name]), trainer


def bring(desk: Desk, tenant: str, folder: Path, now: int) -> Entry:
    """Takes a signed candidate in. Raises ArtefactError, RegistryError or StoreError; nothing is kept then."""
    files = Files.of(folder)
    manifest, detector, trainer = checked(desk, tenant, files)
    learnt_from = str(manifest.get("about", {}).get("tenant", ""))
    if learnt_from not in ("", tenant):
        raise RegistryError(f"{detector.model_id} learned from {learnt_from}; it is not for {tenant or 'all tenants'}")
    registry.add(desk.database, tenant, files, manifest, trainer, now)
    return desk.entry(tenant, detector.model_id)


def to_shadow(desk: Desk, tenant: str, model_id: str, actor: str, now: int) -> int:
    """How many shards it will judge beside the champion. Raises ArtefactError or RegistryError."""
    entry = desk.entry(tenant, model_id)
    if entry.state not in ("candidate", "retired"):
        raise RegistryError(f"{entry.model_id} is {entry.state}; only a candidate becomes a shadow")
    checked(desk, tenant, files_of(desk, entry))
    return promotion.shadow(desk.database, entry, actor, now)


def results(desk: Desk, entry: Entry) -> tuple[Results, str]:
    """What the gates said last, and the SHA-256 that an approval names. Raises RegistryError without a run against this champion."""
    found = registry.gates(desk.database, entry.tenant, entry.model_id)
    if found is None:
        raise RegistryError(f"the gates of {entry.model_id} were not computed yet: tuermer models gates {entry.model_id}")
    said = msgspec.json.decode(found[1], type=Results)
    if said.champion != champion_id(desk, entry.tenant, entry.model):
        raise RegistryError(
            f"the gates compared {entry.model_id} with {said.champion}, which is not the champion any more: compute them again"
        )
    return said, hashlib.sha256(found[1]).hexdigest()


def champion_id(desk: Desk, tenant: str, model: str) -> str:
    """Id of the model that judges a tenant; "shipped" where that is the baseline of this version."""
    for whose in dict.fromkeys((tenant, "")):
        found = registry.champion(desk.database, whose, model)
        if found is not None:
            return found.model_id
    return "shipped"


def approve(desk: Desk, tenant: str, model_id: str, person: Person, reason: str, now: int) -> Approval:
    """The second person's signature over model and gates. `reason` is needed where a gate failed.

    Raises RegistryError, ArtefactError, or KeyFileError for a key that is not listed.
    """
    entry = desk.entry(tenant, model_id)
    holder = trusted(desk.config, person)
    people = signing.trusted(desk.config, tenant)
    if holder.name not in people:
        raise RegistryError(f"{holder.name} does not belong to the group {signing.GROUP} for {tenant or 'all tenants'}")
    _, _, trainer = checked(desk, tenant, files_of(desk, entry))
    if signing.same_key(people, trainer, holder.name):
        raise RegistryError(f"{trainer} trained {entry.model_id}; somebody else has to approve it")
    said, digest = results(desk, entry)
    if said.failed and reason.strip() == "":
        raise RegistryError(f"{entry.model_id} failed {', '.join(said.failed)}; to approve it all the same give a reason")
    at = datetime.fromtimestamp(now / 1e6, UTC).isoformat(timespec="seconds")
    statement = Approval(tenant, entry.model, entry.model_id, entry.digest, digest, said.failed, reason.strip(), holder.name, at)
    content = statement.bytes()
    registry.add_approval(desk.database, tenant, entry.model_id, holder.name, content, person.sign(APPROVED, content), now)
    return statement


def promote(desk: Desk, tenant: str, model_id: str, now: int) -> int:
    """Makes an approved shadow the champion; how many shards it concerns. Raises RegistryError, ArtefactError or StoreError."""
    entry = desk.entry(tenant, model_id)
    if entry.state != "shadow":
        raise RegistryError(f"{entry.model_id} is {entry.state}; only a shadow becomes champion")
    _, _, trainer = checked(desk, tenant, files_of(desk, entry))
    said, digest = results(desk, entry)
    approval = _approval(desk, entry, trainer, digest)
    if said.failed and (approval.reason == "" or approval.failed != said.failed):
        raise RegistryError(f"{entry.model_id} failed {', '.join(said.failed)}; nobody has overridden that with a reason")
    return promotion.promote(desk.database, entry, trainer, approval.approver, approval.reason, said.failed, now)


def _approval(desk: Desk, entry: Entry, trainer: str, gates: str) -> Approval:
    """The newest good approval of just this model, these gates and by somebody else."""
    people = signing.trusted(desk.config, entry.tenant)
    for statement, signature in registry.approvals(desk.database, entry.digest, (entry.tenant,)):
        found = signing.approved(statement, signature, people)
        if found is None or (found.tenant, found.digest, found.gates) != (entry.tenant, entry.digest, gates):
            continue
        if not signing.same_key(people, trainer, found.approver):
            return found
    raise RegistryError(f"nobody but {trainer} has approved {entry.model_id} with these gates: tuermer models approve {entry.model_id}")


def rollback(desk: Desk, tenant: str, model: str, actor: str, reason: str, now: int) -> tuple[str, int]:
    """Back to the champion before; (its id, how many shards it concerns). Raises RegistryError or ArtefactError."""
    if model not in desk.tables:
        raise RegistryError(f"there is no model {model}; there are {', '.join(desk.tables)}")
    present = registry.champion(desk.database, tenant, model)
    if present is None:
        raise RegistryError(f"{tenant or 'the shared registry'} has no champion of its own for {model}: there is nothing to go back from")
    steps = registry.steps(desk.database, tenant, model)
    promoted = [one for one in steps if one.state == "champion" and one.model_id == present.model_id and one.second != ""]
    before = promoted[-1].before  # not of a step back to it: two steps back lead further than one
    to = None if before == "" else desk.entry(tenant, before)
    if to is not None:
        checked(desk, tenant, files_of(desk, to))
    told = promotion.rollback(desk.database, tenant, model, to, actor, reason, now)
    return ("shipped" if to is None else to.model_id), told


def files_of(desk: Desk, entry: Entry) -> Files:
    """The bytes of a model that is in the registry."""
    found = registry.files(desk.database, entry.digest, (entry.tenant,))
    assert found is not None, "a model in the registry has its bytes: a foreign key says so"
    return found[1]
