"""`tuermer models`: what the registry holds, in words for a terminal; and the steps that people take with it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from detector import desk as people
from detector.config import Config
from detector.features.table import read_all
from detector.forest.artefact import ArtefactError
from detector.judge.inputs import SHIPPED as BASELINE
from detector.learn import lastdays, promotion, registry, trial
from detector.learn.gates import Results
from detector.learn.promotion import Desk
from detector.learn.rehearsed import Rehearsed
from detector.store import registry as stored
from detector.store.registry import Entry

TAKEN_WITHIN = 10.0  # seconds until every daemon that runs judges with a model that was promoted


@contextlib.contextmanager
def opened(path: Path, environ: Mapping[str, str]) -> Iterator[Desk]:
    """The desk on the configured database, for a command beside the daemon."""
    with people.visiting(path, environ) as (config, database):
        yield Desk(config, database, read_all(folder(config)))


def folder(config: Config) -> Path:
    return Path(config.state.models) if config.state.models != "" else registry.SHIPPED


def listed(desk: Desk) -> list[dict[str, Any]]:
    """The shipped ones first, then the registry's, with how many shards each judges."""
    shipped = [{"tenant": "", "model": row["model"], "id": row["id"], "state": "shipped"} for row in registry.listed(folder(desk.config))]
    rows = [_row(desk, entry) for entry in stored.listed(desk.database)]
    return [*shipped, *rows]


def _row(desk: Desk, entry: Entry) -> dict[str, Any]:
    judged = [one for one in stored.use(desk.database, entry.model) if one.digest == entry.digest and one.placed is not None]
    return {
        "tenant": entry.tenant, "model": entry.model, "id": entry.model_id, "state": entry.state, "since": entry.since.isoformat(),
        "trainer": entry.trainer, "shards": sum(one.part == "champion" for one in judged),
        "beside": sum(one.part == "shadow" for one in judged),
    }  # fmt: skip


def list_lines(rows: list[dict[str, Any]]) -> list[str]:
    return [
        f"{row['model']:<16} {row['id']:<28} {row['tenant'] or '(all)':<14} {row['state']:<10}"
        + (f" since {row['since'][:16]}, by {row['trainer']}, judges {row['shards']} shards" if "since" in row else "")
        for row in rows
    ]


def shown(desk: Desk, tenant: str, model_id: str) -> dict[str, Any]:
    """Everything about one model of the registry: state, manifest, steps, approvals, gates. Raises RegistryError or ArtefactError."""
    entry = desk.entry(tenant, model_id)
    manifest, _, trainer = promotion.checked(desk, tenant, promotion.files_of(desk, entry))
    steps = [msgspec.structs.asdict(one) if isinstance(one, msgspec.Struct) else _plain(one) for one in steps_of(desk, entry)]
    gates = stored.gates(desk.database, tenant, entry.model_id)
    return {
        "id": entry.model_id, "model": entry.model, "tenant": tenant, "state": entry.state, "since": entry.since.isoformat(),
        "trainer": trainer, "steps": steps, "approvals": approvals(desk, entry),
        "gates": None if gates is None else msgspec.json.decode(gates[1]), "manifest": manifest,
    }  # fmt: skip


def steps_of(desk: Desk, entry: Entry) -> list[stored.Step]:
    return [one for one in stored.steps(desk.database, entry.tenant, entry.model) if entry.model_id in (one.model_id, one.before)]


def _plain(step: stored.Step) -> dict[str, str]:
    return {
        "at": step.at.isoformat(), "state": step.state, "id": step.model_id or BASELINE, "before": step.before or BASELINE,
        "actor": step.actor, "second": step.second, "reason": step.reason,
    }  # fmt: skip


def approvals(desk: Desk, entry: Entry) -> list[dict[str, Any]]:
    """As they were signed; whether the signatures still hold is asked when somebody promotes."""
    return [msgspec.json.decode(statement) for statement, _ in stored.approvals(desk.database, entry.digest, (entry.tenant,))]


def gate_lines(results: dict[str, Any], language: str) -> list[str]:
    """One line per gate, with its number and its bounds."""
    head = f"{results['model_id']} / {results['champion']}: {results['data'][language]}"
    return [
        head,
        *(f"{'ok  ' if g['passed'] else 'FAIL'}  {g['name']:<16} {_number(g):<24} {g['text'][language]}" for g in results["gates"]),
    ]


def _number(gate: dict[str, Any]) -> str:
    value, low, high = (gate[name] for name in ("value", "low", "high"))
    shown_ = "–" if value is None else f"{value:.3g}"
    bounds = f"{'' if low is None else f'{low:g}'}…{'' if high is None else f'{high:g}'}"
    return f"{shown_} ({bounds})"


def difference_lines(report: dict[str, Any]) -> list[str]:
    """What the replay of the gates says would have changed."""
    counts = report["counts"]
    lines = [f"{counts['appears']} appear, {counts['vanishes']} vanish, {counts['moves']} change their rank, {counts['same']} stay"]
    lines += [
        f"  {row['what']:<9} {row['family']:<20} {row['kind']:<10} {row['entity']:<32} {row['champion'] or '–'} → {row['candidate'] or '–'}"
        for row in report["incidents"]
    ]
    lines += [f"  attack    {row['attack']:<20} {row['strength']:<8} {row['champion']} → {row['candidate']}" for row in report["attacks"]]
    return lines


def manifest_lines(mine: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """Where two manifests differ, one line per entry; hashes and arrays are left out."""
    one, two = (_flat({k: v for k, v in m.items() if k not in ("arrays", "files", "members")}) for m in (mine, other))
    return [
        f"  {key:<40} {two.get(key, '–')!s:<28} → {one.get(key, '–')}"
        for key in sorted(one.keys() | two.keys())
        if one.get(key) != two.get(key)
    ]


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            found |= _flat(value, f"{prefix}{key}.")
        else:
            found[prefix + key] = value
    return found


def champion_manifest(desk: Desk, entry: Entry) -> dict[str, Any]:
    """Of the model that judges the tenant now."""
    for whose in dict.fromkeys((entry.tenant, "")):
        found = stored.champion(desk.database, whose, entry.model)
        if found is not None:
            return promotion.checked(desk, whose, promotion.files_of(desk, found))[0]
    return registry.manifest(entry.model, folder(desk.config))


def gates(desk: Desk, tenant: str, model_id: str, hours: int, now: int, told: Callable[[int], None]) -> Results:
    """Replays the tenant's last hours as far as `tuermer.events` holds them, with attacks among them. Raises NoDays without Kafka."""
    if desk.config.kafka is None:
        raise lastdays.NoDays("the gates replay tuermer.events, and [kafka] is not configured; the notebooks replay simulated days")
    entry = desk.entry(tenant, model_id)
    recorded = lastdays.read(desk.config, desk.config.kafka, desk.database, tenant, hours, now=now)
    first = min(1, recorded.days - 1)
    said = {
        "de": f"die letzten {hours} Stunden aus tuermer.events (mehr wird nicht aufbewahrt), der erste Tag nur zum Lernen",
        "en": f"the last {hours} hours of tuermer.events (more is not kept), the first day only to learn",
    }
    return trial.run(desk, entry, Rehearsed.of(recorded, first), first, said, now, told)[0]


def taken(desk: Desk, model: str, digest: str, seconds: float = TAKEN_WITHIN) -> tuple[int, int, list[str]]:
    """(shards that took it, shards that were told, refusals), after waiting at most so long for daemons that run."""
    until = time.monotonic() + seconds
    while True:
        told = [one for one in stored.use(desk.database, model) if one.part == "champion" and one.digest == digest]
        done = [one for one in told if one.placed is not None]
        refused = [f"{one.shard}: {one.refused}" for one in told if one.refused is not None]
        if len(done) + len(refused) == len(told) or time.monotonic() > until:
            return len(done), len(told), refused
        time.sleep(0.2)


def taken_line(done: int, told: int, refused: list[str]) -> str:
    if told == 0:
        return "no shard exists yet; the first ones will begin with it"
    if done == told:
        return f"in use by all {told} shards"
    waiting = told - done - len(refused)
    lines = [f"in use by {done} of {told} shards"]
    if waiting > 0:
        lines.append(f"{waiting} wait for a daemon that runs")
    return "; ".join([*lines, *refused])


def wrong(desk: Desk) -> list[str]:
    """One sentence for each model, shipped or in the registry, that must not be used."""
    found = registry.verify(folder(desk.config))
    for entry in stored.listed(desk.database):
        try:
            promotion.checked(desk, entry.tenant, promotion.files_of(desk, entry))
        except ArtefactError as error:
            found.append(f"{entry.tenant or '(all)'}: {error}")
    return found


def digest_of(desk: Desk, tenant: str, model: str) -> str:
    """Of what judges a tenant now."""
    for whose in dict.fromkeys((tenant, "")):
        found = stored.champion(desk.database, whose, model)
        if found is not None:
            return found.digest
    return BASELINE
