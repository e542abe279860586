"""From candidate to champion and back on a real PostgreSQL: who may, what must hold, and what a daemon loads."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from detector import doctor
from detector.forest.artefact import ArtefactError
from detector.judge import inputs
from detector.learn import promotion
from detector.learn.gates import Gate, Results
from detector.learn.library import RegistryLibrary
from detector.learn.promotion import Desk, RegistryError
from detector.privacy.keys import KeyFileError
from detector.privacy.people import Person
from detector.store import Store, StoreError, registry
from detector.store.registry import Entry
from tests.counting import START
from tests.models import ABOUT, TABLES, candidate, configured, desk, person
from tests.postgres import TestDatabase

SHARD, OTHER, ELSEWHERE = "stadt/rathaus", "stadt/bauhof", "werke"
SEEN = {"de": "x", "en": "x"}


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Person]:
    folder = tmp_path_factory.mktemp("keys")
    return {name: person(folder, name) for name in ("kramer", "meier", "fremd")}


@pytest.fixture
def at(database: TestDatabase, people: dict[str, Person]) -> Iterator[Desk]:
    """A desk where kramer and meier may vouch for models, and three shards of two tenants."""
    with closing(Store(database.url())) as store:
        for shard in (SHARD, OTHER, ELSEWHERE):
            store.claim(shard, START)
    made = desk(database, [people["kramer"], people["meier"]])
    with closing(made.database):
        yield made


def brought(at: Desk, people: dict[str, Person], folder: Path, tenant: str = "stadt", threshold: float = 1e-2) -> Entry:
    return promotion.bring(at, tenant, candidate(folder, people["kramer"], threshold=threshold), START)


def gated(at: Desk, entry: Entry, *, passed: bool = True, champion: str = "shipped") -> None:
    gate = Gate("volume", passed, 1.0, 0.7, 1.3, SEEN)
    results = Results(entry.model, entry.model_id, champion, SEEN, [gate])
    registry.add_gates(at.database, entry.tenant, entry.model_id, msgspec.json.encode(results), {}, START)


def champion(
    at: Desk, people: dict[str, Person], folder: Path, tenant: str = "stadt", threshold: float = 1e-2, before: str = "shipped"
) -> Entry:
    """The whole way."""
    entry = brought(at, people, folder, tenant, threshold)
    promotion.to_shadow(at, tenant, entry.model_id, "kramer", START)
    gated(at, entry, champion=before)
    promotion.approve(at, tenant, entry.model_id, people["meier"], "", START)
    promotion.promote(at, tenant, entry.model_id, START)
    return at.entry(tenant, entry.model_id)


def waiting(database: TestDatabase) -> list[tuple[object, ...]]:
    return database.rows("SELECT shard, payload->>'part', payload->>'digest' FROM store.inputs WHERE from_offset IS NULL ORDER BY id")


def test_a_candidate_becomes_shadow_and_champion_and_every_step_names_who_did_it(
    at: Desk, people: dict[str, Person], tmp_path: Path, database: TestDatabase
) -> None:
    entry = champion(at, people, tmp_path)
    assert (entry.state, entry.trainer) == ("champion", "kramer")
    steps = registry.steps(at.database, "stadt", "auth-source")
    assert [(s.state, s.actor, s.second) for s in steps] == [
        ("candidate", "kramer", ""), ("shadow", "kramer", ""), ("champion", "kramer", "meier"),
    ]  # fmt: skip
    logged = database.rows("SELECT action, actor FROM store.audit WHERE tenant = 'stadt' AND action LIKE 'model.%%' ORDER BY seq")
    assert logged == [("model.import", "kramer"), ("model.shadow", "kramer"), ("model.approve", "meier"), ("model.promote", "meier")]
    assert waiting(database) == [
        (shard, part, entry.digest) for part in ("shadow", "champion") for shard in (OTHER, SHARD)
    ]  # the other tenant hears nothing


def test_an_override_needs_a_reason_and_both_names_are_in_the_audit_log(
    at: Desk, people: dict[str, Person], tmp_path: Path, database: TestDatabase
) -> None:
    entry = brought(at, people, tmp_path)
    promotion.to_shadow(at, "stadt", entry.model_id, "kramer", START)
    gated(at, entry, passed=False)
    with pytest.raises(RegistryError, match="failed volume; to approve it all the same give a reason"):
        promotion.approve(at, "stadt", entry.model_id, people["meier"], " ", START)
    promotion.approve(at, "stadt", entry.model_id, people["meier"], "Standort Süd kam dazu", START)
    promotion.promote(at, "stadt", entry.model_id, START)
    ((details,),) = database.rows("SELECT details FROM store.audit WHERE action = 'model.promote'")
    assert msgspec.json.decode(str(details)) == {
        "model": "auth-source", "before": "", "trainer": "kramer", "approver": "meier", "failed": "volume",
        "reason": "Standort Süd kam dazu",
    }  # fmt: skip


def gates_that_are_not_there(at: Desk, entry: Entry) -> None:
    del at, entry


def gates_that_failed(at: Desk, entry: Entry) -> None:
    gated(at, entry, passed=False)


def gates_against_another_champion(at: Desk, entry: Entry) -> None:
    gated(at, entry, champion="auth-source-00000000")


@pytest.mark.parametrize(
    ("before", "sentence"),
    [
        (gates_that_are_not_there, "were not computed yet: tuermer models gates auth-source-"),
        (gates_that_failed, "to approve it all the same give a reason"),
        (gates_against_another_champion, "which is not the champion any more: compute them again"),
    ],
)
def test_without_good_gates_nobody_can_approve(
    at: Desk, people: dict[str, Person], tmp_path: Path, before: Callable[[Desk, Entry], None], sentence: str
) -> None:
    entry = brought(at, people, tmp_path)
    promotion.to_shadow(at, "stadt", entry.model_id, "kramer", START)
    before(at, entry)
    with pytest.raises(RegistryError, match=sentence):
        promotion.approve(at, "stadt", entry.model_id, people["meier"], "", START)


def test_who_trained_it_cannot_approve_it_not_even_under_a_second_name(
    at: Desk, people: dict[str, Person], tmp_path: Path, database: TestDatabase
) -> None:
    entry = brought(at, people, tmp_path)
    promotion.to_shadow(at, "stadt", entry.model_id, "kramer", START)
    gated(at, entry)
    with pytest.raises(RegistryError, match=r"kramer trained auth-source-.*; somebody else has to approve it"):
        promotion.approve(at, "stadt", entry.model_id, people["kramer"], "", START)
    twice = Desk(configured({"kramer": people["kramer"].public, "also": people["kramer"].public}), at.database, TABLES)
    twice = Desk(msgspec.structs.replace(twice.config, keyholders=_renamed(twice)), at.database, TABLES)
    with pytest.raises(RegistryError, match="somebody else has to approve it"):
        promotion.approve(twice, "stadt", entry.model_id, people["kramer"], "", START)
    with pytest.raises(RegistryError, match="nobody but kramer has approved"):
        promotion.promote(at, "stadt", entry.model_id, START)
    assert registry.champion(at.database, "stadt", "auth-source") is None


def _renamed(twice: Desk) -> list[object]:
    first, second = twice.config.keyholders
    return [first, msgspec.structs.replace(second, name="also")]


def test_a_key_that_is_not_listed_neither_brings_nor_approves(at: Desk, people: dict[str, Person], tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match="made by none of the trusted keys"):
        promotion.bring(at, "stadt", candidate(tmp_path / "a", people["fremd"]), START)
    with pytest.raises(ArtefactError, match="it is not signed"):
        promotion.bring(at, "stadt", candidate(tmp_path / "b", None), START)
    entry = brought(at, people, tmp_path)
    gated(at, entry)
    with pytest.raises(KeyFileError, match="is not among"):
        promotion.approve(at, "stadt", entry.model_id, people["fremd"], "", START)


def test_only_a_shadow_becomes_champion_and_only_a_candidate_a_shadow(at: Desk, people: dict[str, Person], tmp_path: Path) -> None:
    entry = brought(at, people, tmp_path)
    with pytest.raises(RegistryError, match="is candidate; only a shadow becomes champion"):
        promotion.promote(at, "stadt", entry.model_id, START)
    promotion.to_shadow(at, "stadt", entry.model_id, "kramer", START)
    with pytest.raises(RegistryError, match="is shadow; only a candidate becomes a shadow"):
        promotion.to_shadow(at, "stadt", entry.model_id, "kramer", START)


def test_a_second_shadow_takes_the_place_of_the_first(at: Desk, people: dict[str, Person], tmp_path: Path) -> None:
    first, second = (brought(at, people, tmp_path, threshold=t) for t in (1e-2, 2e-2))
    for entry in (first, second):
        promotion.to_shadow(at, "stadt", entry.model_id, "kramer", START)
    assert (at.entry("stadt", first.model_id).state, at.entry("stadt", second.model_id).state) == ("candidate", "shadow")


def test_what_learned_from_one_tenant_is_not_taken_for_another_nor_twice(at: Desk, people: dict[str, Person], tmp_path: Path) -> None:
    for tenant, sentence in (("werke", "learned from stadt; it is not for werke"), ("", "it is not for all tenants")):
        with pytest.raises(RegistryError, match=sentence):
            brought(at, people, tmp_path / tenant, tenant)
    brought(at, people, tmp_path / "first")
    with pytest.raises(StoreError, match="is in the registry of stadt already"):
        brought(at, people, tmp_path / "second")


def test_rollback_goes_back_to_the_champion_before_and_then_to_the_shipped_one(
    at: Desk, people: dict[str, Person], tmp_path: Path, database: TestDatabase
) -> None:
    first = champion(at, people, tmp_path, threshold=1e-2)
    second = champion(at, people, tmp_path, threshold=2e-2, before=first.model_id)
    assert at.entry("stadt", first.model_id).state == "retired"
    assert promotion.rollback(at, "stadt", "auth-source", "meier", "zu viele", START) == (first.model_id, 2)
    assert (at.entry("stadt", first.model_id).state, at.entry("stadt", second.model_id).state) == ("champion", "retired")
    assert promotion.rollback(at, "stadt", "auth-source", "meier", "noch immer", START) == ("shipped", 2)
    assert waiting(database)[-4:] == [
        (shard, "champion", digest) for digest in (first.digest, inputs.SHIPPED) for shard in (OTHER, SHARD)
    ]  # fmt: skip
    with pytest.raises(RegistryError, match="there is nothing to go back from"):
        promotion.rollback(at, "stadt", "auth-source", "meier", "x", START)


def test_the_shared_champion_judges_who_has_none_of_its_own_also_who_comes_later(
    at: Desk, people: dict[str, Person], tmp_path: Path, database: TestDatabase
) -> None:
    own = champion(at, people, tmp_path / "own", threshold=1e-2)
    entry = promotion.bring(at, "", candidate(tmp_path / "all", people["kramer"], threshold=3e-2, about=ABOUT | {"tenant": ""}), START)
    promotion.to_shadow(at, "", entry.model_id, "kramer", START)
    gated(at, entry)
    promotion.approve(at, "", entry.model_id, people["meier"], "", START)
    promotion.promote(at, "", entry.model_id, START)
    with closing(Store(database.url())) as store:
        store.claim("dorf", START)
        store.claim("stadt/neu", START)
        assert [i.payload["digest"] for i in store.waiting(["dorf"])["dorf"]] == [entry.digest]
        assert [i.payload["digest"] for i in store.waiting(["stadt/neu"])["stadt/neu"]] == [own.digest]
        assert [i.payload["digest"] for i in store.waiting([ELSEWHERE])[ELSEWHERE]] == [entry.digest, entry.digest]
        assert own.digest in {i.payload["digest"] for i in store.waiting([SHARD])[SHARD]}
        assert all(i.payload["digest"] != entry.digest for i in store.waiting([SHARD])[SHARD])
    assert promotion.rollback(at, "stadt", "auth-source", "meier", "x", START)[0] == "shipped"
    assert waiting(database)[-1] == (SHARD, "champion", entry.digest)  # without its own the shared one judges


@pytest.fixture
def library(at: Desk) -> RegistryLibrary:
    return RegistryLibrary(at.database, at.config, at.tables)


def test_a_daemon_loads_a_candidate_as_shadow_but_as_champion_only_what_two_people_vouched_for(
    at: Desk, people: dict[str, Person], tmp_path: Path, library: RegistryLibrary
) -> None:
    entry = brought(at, people, tmp_path)
    assert library.scorer(SHARD, "auth-source", entry.digest, "shadow").model_id == entry.model_id
    with pytest.raises(ArtefactError, match="no second person whose key is trusted has approved it for stadt"):
        library.scorer(SHARD, "auth-source", entry.digest, "champion")
    gated(at, entry)
    promotion.approve(at, "stadt", entry.model_id, people["meier"], "", START)
    assert library.scorer(SHARD, "auth-source", entry.digest, "champion").threshold_p == 1e-2
    with pytest.raises(ArtefactError, match=r"the registry has no auth-source .* for werke"):
        library.scorer(ELSEWHERE, "auth-source", entry.digest, "champion")


def test_a_daemon_refuses_what_somebody_changed_in_the_database(
    at: Desk, people: dict[str, Person], tmp_path: Path, library: RegistryLibrary, database: TestDatabase
) -> None:
    entry = brought(at, people, tmp_path)
    gated(at, entry)
    promotion.approve(at, "stadt", entry.model_id, people["meier"], "", START)
    database.rows("UPDATE store.model_approvals SET statement = replace(encode(statement, 'escape'), 'stadt', 'werke')::bytea")
    with pytest.raises(ArtefactError, match="no second person"):
        library.scorer(SHARD, "auth-source", entry.digest, "champion")
    database.rows("UPDATE store.artefacts SET arrays = substr(arrays, 1, length(arrays) - 5)")
    with pytest.raises(ArtefactError, match=r"arrays\.npz was altered or cut off"):
        library.scorer(SHARD, "auth-source", entry.digest, "shadow")
    database.rows("UPDATE store.artefacts SET manifest = replace(encode(manifest, 'escape'), '0.01', '0.99')::bytea")
    with pytest.raises(ArtefactError, match="the manifest in the registry was altered"):
        library.scorer(SHARD, "auth-source", entry.digest, "shadow")


def test_a_signer_who_left_the_list_vouches_for_nothing_any_more(at: Desk, people: dict[str, Person], tmp_path: Path) -> None:
    entry = champion(at, people, tmp_path)
    left = RegistryLibrary(at.database, configured([people["kramer"]]), at.tables)
    with pytest.raises(ArtefactError, match="no second person"):
        left.scorer(SHARD, "auth-source", entry.digest, "champion")


def test_doctor_counts_valid_signers_and_warns_below_two(people: dict[str, Person]) -> None:
    both = [people["kramer"], people["meier"]]
    assert doctor._signers(configured([])) == []
    assert [f.ok for f in doctor._signers(configured(both))] == [True]
    (one,) = doctor._signers(configured(both[:1]))
    assert (one.ok, one.text.split(" in ")[0]) == (False, "only kramer")
    twice = configured([both[0], both[0]])
    renamed = [twice.keyholders[0], msgspec.structs.replace(twice.keyholders[1], name="also")]
    assert not doctor._signers(msgspec.structs.replace(twice, keyholders=renamed))[0].ok


def test_a_model_for_other_features_is_refused_when_it_is_brought(at: Desk, people: dict[str, Person], tmp_path: Path) -> None:
    folder = candidate(tmp_path, people["kramer"])
    text = (folder / "manifest.json").read_text().replace(TABLES["auth-source"].schema_hash, "0" * 64)
    (folder / "manifest.json").write_text(text)
    with pytest.raises(ArtefactError, match="the manifest was altered"):
        promotion.bring(at, "stadt", folder, START)
    from detector.learn import signing

    signing.sign(folder, people["kramer"])
    with pytest.raises(ArtefactError, match="trained for another set of features"):
        promotion.bring(at, "stadt", folder, START)
    shutil.rmtree(folder)
    assert registry.listed(at.database) == []
