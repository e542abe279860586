"""The wanted contents of one tenant's Grafana organisation, as values. Everything here is ours by name: `tuermer` or `tuermer-…`.

Bodies (`json`, `rules`, `intervals`, `settings`) have the shape that Grafana's API takes, without what Grafana adds
(ids, versions, provenance).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

Json = dict[str, Any]
Kind = Literal["folder", "data source", "mute timing", "template", "contact point", "dashboard", "rule group", "rule"]

FOLDER = "tuermer"  # uid
FOLDER_TITLE = "Türmer"
DATASOURCE = "tuermer-pg"  # uid, the same in every organisation; rules name it, dashboards through their variable `ds`
DATASOURCE_TYPE = "grafana-postgresql-datasource"
TAG = "tuermer"  # of every dashboard
VERDICTS = "tuermer-lage"  # the dashboard with the buttons; the verdict team may edit this one only
OFF_HOURS = "tuermer-off-hours"  # mute timing: everything outside office hours
Route = Literal["urgent", "rest", "health", "budget"]


def is_ours(name: str) -> bool:
    """Whether a uid or name is one that only we give: nothing else is ever removed."""
    return name == "tuermer" or name.startswith("tuermer-")


def receiver(route: Route) -> str:
    """The contact point's name that a rule of this route sends to: tuermer-urgent, tuermer-rest, …"""
    return f"tuermer-{route}"


@dataclass(frozen=True, slots=True)
class Dashboard:
    """`json` holds `uid` and `title` too, and neither `id` nor `version`."""

    uid: str
    title: str
    json: Json


@dataclass(frozen=True, slots=True)
class RuleGroup:
    """`rules` as PUT rule-groups takes them, without folderUID, ruleGroup and orgID; `interval` in seconds, a multiple of 10."""

    name: str
    interval: int
    rules: tuple[Json, ...]


@dataclass(frozen=True, slots=True)
class Template:
    """A group of message templates: `text` holds its {{ define }}s."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class MuteTiming:
    """`intervals` as Grafana's `time_intervals`."""

    name: str
    intervals: tuple[Json, ...]


@dataclass(frozen=True, slots=True)
class ContactPoint:
    """One integration of a contact point; several share a name. `secrets`: keys of `settings`, dots for nested ones."""

    uid: str
    name: str
    type: str
    settings: Json
    secrets: tuple[str, ...] = ()
    resolved: bool = True  # also say when it is over


@dataclass(frozen=True, slots=True)
class DataSource:
    """`body` without secrets; `secrets` is `secureJsonData`."""

    uid: str
    name: str
    body: Json
    secrets: dict[str, str]


@dataclass(frozen=True, slots=True)
class Model:
    """Everything that is pushed into one organisation."""

    datasource: DataSource
    mute_timings: tuple[MuteTiming, ...]
    templates: tuple[Template, ...]
    contact_points: tuple[ContactPoint, ...]
    dashboards: tuple[Dashboard, ...]
    rule_groups: tuple[RuleGroup, ...]
    folder: str = FOLDER
    folder_title: str = FOLDER_TITLE

    def objects(self) -> Iterator[tuple[Kind, str]]:
        """Kind and uid (or name) of everything, in the order of writing."""
        yield "folder", self.folder
        yield "data source", self.datasource.uid
        yield from (("mute timing", timing.name) for timing in self.mute_timings)
        yield from (("template", template.name) for template in self.templates)
        yield from (("contact point", point.uid) for point in self.contact_points)
        yield from (("dashboard", board.uid) for board in self.dashboards)
        yield from (("rule group", group.name) for group in self.rule_groups)
