"""What has to be written per kind of object, each with its reasons in words (pure)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from detector.grafana import normal
from detector.grafana.compare import differences
from detector.grafana.model import ContactPoint, DataSource, Kind, Model, RuleGroup
from detector.grafana.present import Present
from detector.grafana.record import Record

ORDER: tuple[Kind, ...] = ("folder", "data source", "mute timing", "template", "contact point", "dashboard", "rule group")
LOCKABLE: tuple[Kind, ...] = ("mute timing", "template", "contact point", "rule group")
IDENTITY = ("title", "labels", "notification_settings")  # of a rule: part of its alerts' labels, so a change sends all of them again
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Change:
    """One object. `why` in words; `body` as Grafana's API takes it; `resends`: open alerts will be told as over and again as new."""

    kind: Kind
    key: str
    action: Literal["create", "update", "delete"]
    why: tuple[str, ...]
    body: Json
    resends: bool = False
    by_hand: bool = False  # it is not what we pushed last
    secret: object = None  # the part that Grafana does not show
    only_secret: bool = False  # all that shows is as wanted

    @property
    def name(self) -> str:
        return f"{self.kind} {self.key}"


def folder(model: Model, present: Present) -> Iterator[Change]:
    body = {"uid": model.folder, "title": model.folder_title}
    if present.folder is None:
        yield Change("folder", model.folder, "create", ("is missing",), body)
    elif present.folder["title"] != model.folder_title:
        why = differences({"title": present.folder["title"]}, {"title": model.folder_title})
        yield Change("folder", model.folder, "update", why, body, resends=True)  # its title is a label of every alert


def datasource(wanted: DataSource, present: Present, record: Record) -> Iterator[Change]:
    body = {**wanted.body, "uid": wanted.uid, "name": wanted.name, "secureJsonData": wanted.secrets}
    if present.datasource is None:
        yield Change("data source", wanted.uid, "create", ("is missing",), body, secret=wanted.secrets)
        return
    plain = normal.without(body, ("secureJsonData",))
    shown = differences(normal.of_ours(present.datasource, plain), plain)
    why = list(shown)
    why += _secret(f"data source {wanted.uid}", wanted.secrets, record)
    if record.version(f"data source {wanted.uid}") not in (None, present.datasource.get("version")):
        why.append("was saved in Grafana since our last push, perhaps with another password")
    if why != []:
        yield Change("data source", wanted.uid, "update", tuple(why), body, secret=wanted.secrets, only_secret=shown == ())


def _secret(name: str, secret: object, record: Record) -> list[str]:
    if not secret or record.same_secret(name, secret):
        return []
    return ["its secret is another than the one pushed last, or none was pushed from here (Grafana does not show it)"]


def named(kind: Kind, wanted: Mapping[str, Json], present: Mapping[str, Json]) -> Iterator[Change]:
    for name, body in wanted.items():
        if name not in present:
            yield Change(kind, name, "create", ("is missing",), body)
        elif (why := differences(normal.named(present[name]), body)) != ():
            yield Change(kind, name, "update", why, body)


def contact_point(point: ContactPoint, present: Present, record: Record) -> Iterator[Change]:
    body = {
        "uid": point.uid,
        "name": point.name,
        "type": point.type,
        "disableResolveMessage": not point.resolved,
        "settings": point.settings,
    }
    found = present.contact_points.get(point.uid)
    hidden = {*point.secrets} if found is None else {*point.secrets, *normal.redacted(found["settings"])}
    secret = normal.flat(point.settings)  # all of it: which of them Grafana hides is known only after the first push
    if found is None:
        yield Change("contact point", point.uid, "create", ("is missing",), body, secret=secret)
        return
    why = (
        *differences(normal.contact_point(found, hidden), normal.contact_point(body, hidden)),
        *_secret(f"contact point {point.uid}", secret if hidden else None, record),
    )
    if why != ():
        yield Change("contact point", point.uid, "update", why, body, secret=secret)


def contact_body(point: ContactPoint) -> Json:
    """As POST and PUT take it, with its secrets."""
    plain = {"uid": point.uid, "name": point.name, "type": point.type, "settings": point.settings}
    return {**plain, "disableResolveMessage": not point.resolved}


def dashboards(model: Model, present: Present) -> Iterator[Change]:
    for board in model.dashboards:
        found = present.dashboards.get(board.uid)
        if found is None:
            yield Change("dashboard", board.uid, "create", ("is missing",), board.json)
            continue
        why = differences(normal.dashboard(found["dashboard"]), board.json)
        place = found.get("meta", {}).get("folderUid", "")
        if place != model.folder:
            why = (f'lies in folder "{place}", should be in "{model.folder}"', *why)
        if why != ():
            yield Change("dashboard", board.uid, "update", why, board.json)


def rule_group(folder: str, group: RuleGroup, present: Present) -> Iterator[Change]:
    """Rules that others put into our group stay in it; ours that left the model stay until they are pruned."""
    found = present.rule_groups.get(group.name)
    if found is None:
        yield Change("rule group", group.name, "create", ("is missing",), group_body(folder, group, present.organisation))
        return
    there = {rule["uid"]: rule for rule in found["rules"]}
    uids = [rule["uid"] for rule in group.rules]
    others = [rule for uid, rule in there.items() if uid not in uids]
    ours = {**found, "rules": [there[uid] for uid in uids if uid in there]}
    wanted = normal.rule_group({"title": group.name, "interval": group.interval, "rules": group.rules})
    why = differences(normal.rule_group(ours), wanted)
    if why != ():
        resends = any(_identity(there[rule["uid"]]) != _identity(rule) for rule in group.rules if rule["uid"] in there)
        yield Change("rule group", group.name, "update", why, group_body(folder, group, present.organisation, others), resends=resends)


def _identity(rule: Mapping[str, Any]) -> Json:
    plain = normal.rule(rule)
    return {key: plain.get(key) for key in IDENTITY}


def group_body(folder: str, group: RuleGroup, organisation: int, others: Sequence[Mapping[str, Any]] = ()) -> Json:
    """The body of PUT rule-groups; whatever it leaves out is deleted."""
    place = {"orgID": organisation, "folderUID": folder, "ruleGroup": group.name}
    kept = [normal.without(rule, ("id", "updated", "provenance", "record")) for rule in others]
    return {
        "title": group.name,
        "folderUid": folder,
        "interval": group.interval,
        "rules": [*({**rule, **place} for rule in group.rules), *kept],
    }
