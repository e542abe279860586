"""The whole difference between the model and what Grafana holds, in the order of writing (pure)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from detector.grafana import changes as wants
from detector.grafana import normal
from detector.grafana.changes import LOCKABLE, ORDER, Change
from detector.grafana.model import Kind, Model, is_ours
from detector.grafana.present import Present
from detector.grafana.record import Record, digest
from detector.sentence import Sentence

Json = dict[str, Any]


class Refusal(Sentence):
    """A push that must not begin."""


@dataclass(frozen=True, slots=True)
class Plan:
    """`changes` in the order of writing; `stale`: ours by name, no longer in the model, removed only on request."""

    changes: tuple[Change, ...]
    stale: tuple[Change, ...]


def plan(model: Model, present: Present, record: Record, *, locked: bool) -> Plan:
    """Raises Refusal where Grafana would refuse in the middle: an object that files provide, a lock that cannot be undone."""
    _check_provenance(present, locked=locked)
    changes = list(_changes(model, present, record))
    if locked:
        changes += _locks(model, present, {change.name for change in changes})
    marked = [_marked(change, present, record) for change in changes]
    return Plan(tuple(sorted(marked, key=lambda change: ORDER.index(change.kind))), tuple(_stale(model, present)))


def _changes(model: Model, present: Present, record: Record) -> Iterator[Change]:
    yield from wants.folder(model, present)
    yield from wants.datasource(model.datasource, present, record)
    timings = {timing.name: {"name": timing.name, "time_intervals": list(timing.intervals)} for timing in model.mute_timings}
    yield from wants.named("mute timing", timings, present.mute_timings)
    templates = {template.name: {"name": template.name, "template": template.text} for template in model.templates}
    yield from wants.named("template", templates, present.templates)
    for point in model.contact_points:
        yield from wants.contact_point(point, present, record)
    yield from wants.dashboards(model, present)
    for group in model.rule_groups:
        yield from wants.rule_group(model.folder, group, present)


def visible(kind: Kind, found: Mapping[str, Any]) -> object:
    """What Grafana shows of an object, in our form; for telling whether it still is what we pushed."""
    match kind:
        case "folder":
            return found["title"]
        case "data source":
            return {key: found.get(key) for key in ("name", "type", "access", "url", "user", "jsonData")}
        case "contact point":
            return normal.contact_point(found, normal.redacted(found["settings"]))
        case "dashboard":
            return normal.dashboard(found["dashboard"])
        case "rule group":
            return normal.rule_group(found)
    return normal.named(found)


def found_of(kind: Kind, present: Present) -> Mapping[str, Json]:
    """All objects of a kind that are there."""
    match kind:
        case "folder":
            return {} if present.folder is None else {present.folder["uid"]: present.folder}
        case "data source":
            return {} if present.datasource is None else {present.datasource["uid"]: present.datasource}
        case "mute timing":
            return present.mute_timings
        case "template":
            return present.templates
        case "contact point":
            return present.contact_points
        case "dashboard":
            return present.dashboards
    return present.rule_groups


def _marked(change: Change, present: Present, record: Record) -> Change:
    """The change with the word on whether somebody changed the object by hand."""
    seen = record.seen(change.name)
    found = found_of(change.kind, present).get(change.key)
    if seen is None or (found is not None and digest(visible(change.kind, found)) == seen):
        return change
    who = found.get("meta", {}).get("updatedBy", "") if found is not None else ""
    hand = "was deleted in Grafana" if found is None else f"was changed in Grafana since our last push{f' by {who}' if who else ''}"
    return replace(change, why=(hand, *change.why), by_hand=True)


def _locks(model: Model, present: Present, planned: set[str]) -> Iterator[Change]:
    """Objects that are as wanted but can still be edited in the browser; writing them again locks them."""
    nothing = replace(present, mute_timings={}, templates={}, contact_points={}, rule_groups={})
    every = {change.name: change for change in _changes(model, nothing, Record.nothing())}
    for kind in LOCKABLE:
        for key, found in found_of(kind, present).items():
            name = f"{kind} {key}"
            lock = present.provenance.get(key, "") if kind == "rule group" else found.get("provenance", "")
            if lock in ("", "none") and name in every and name not in planned:
                yield replace(every[name], action="update", why=("can be edited in the browser, should be locked",))


def _check_provenance(present: Present, *, locked: bool) -> None:
    for kind in ORDER:
        for key, found in found_of(kind, present).items():
            source = present.provenance.get(key, "") if kind == "rule group" else found.get("provenance", "")
            if source == "file" or found.get("readOnly") is True or found.get("meta", {}).get("provisioned") is True:
                raise Refusal(
                    f"{kind} {key} comes from provisioning files on Grafana's machine; remove them there, or change it there with"
                    " `tuermer grafana export`"
                )
            if kind == "contact point" and source == "api" and not locked:
                raise Refusal(
                    f"contact point {key} was pushed with grafana.lock_in_ui = true, which Grafana does not take back; set it to true again"
                )


def _stale(model: Model, present: Present) -> Iterator[Change]:
    """In the order of removal: what uses comes before what is used."""
    gone = ("is not in the model any more",)
    wanted: dict[Kind, set[str]] = {
        "rule group": {g.name for g in model.rule_groups},
        "dashboard": {d.uid for d in model.dashboards},
        "contact point": {p.uid for p in model.contact_points},
        "template": {t.name for t in model.templates},
        "mute timing": {m.name for m in model.mute_timings},
    }
    for group in model.rule_groups:
        uids = {rule["uid"] for rule in group.rules}
        for rule in present.rule_groups.get(group.name, {"rules": ()})["rules"]:
            if rule["uid"] not in uids and is_ours(rule["uid"]):
                yield Change("rule", rule["uid"], "delete", gone, {})
    for kind, keys in wanted.items():
        for key in found_of(kind, present):
            if key not in keys:
                yield Change(kind, key, "delete", gone, {})
