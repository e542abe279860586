"""Models for the daemon, out of the registry: both signatures, every byte and every number are checked before one may judge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from detector.config import Config
from detector.features.table import ModelTable
from detector.forest.artefact import ArtefactError
from detector.forest.detector import Detector
from detector.learn import signing
from detector.privacy.people import Public
from detector.store import Database, registry


@dataclass(slots=True)
class RegistryLibrary:
    """Implements `judge.models.Library`. What was loaded is kept: a replay asks again and again."""

    database: Database
    config: Config
    tables: Mapping[str, ModelTable]
    loaded: dict[tuple[str, str, str], Detector] = field(default_factory=dict)  # by tenant, digest and part

    def scorer(self, shard: str, name: str, digest: str, part: str) -> Detector:
        """Raises ArtefactError with one sentence, Away when the database does not answer."""
        key = (shard.partition("/")[0], digest, part)
        if key not in self.loaded:
            self.loaded[key] = self._load(*key, name)
        return self.loaded[key]

    def _load(self, tenant: str, digest: str, part: str, name: str) -> Detector:
        found = registry.files(self.database, digest, (tenant, ""))
        if found is None:
            raise ArtefactError(f"the registry has no {name} {digest[:12]} for {tenant}")
        owner, files = found
        if files.digest != digest:
            raise ArtefactError(f"{files.place}: the manifest in the registry was altered; its SHA-256 is not the one it is known by")
        people = signing.trusted(self.config, owner)
        detector = Detector.of_files(files, [signing.Signer(public) for public in people.values()], self.tables[name])
        if part == "champion":
            self._approved(digest, owner, signing.trainer(files, people), people, files.place)
        return detector

    def _approved(self, digest: str, owner: str, trainer: str, people: Mapping[str, Public], place: str) -> None:
        for statement, signature in registry.approvals(self.database, digest, (owner,)):
            found = signing.approved(statement, signature, people)
            if (
                found is not None
                and (found.digest, found.tenant) == (digest, owner)
                and not signing.same_key(people, trainer, found.approver)
            ):
                return
        raise ArtefactError(f"{place}: no second person whose key is trusted has approved it for {owner or 'all tenants'}")
