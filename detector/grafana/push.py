"""Make Grafana hold the model: read, plan, write in order, read again.

A push may die at any line; the next one reads what is there and goes on to the same end. Nothing is written that is as
wanted, so a second push writes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from detector.grafana import normal
from detector.grafana.adapter import Trouble
from detector.grafana.api import Grafana
from detector.grafana.changes import Change, Json
from detector.grafana.model import Model
from detector.grafana.plan import Plan, Refusal, found_of, plan, visible
from detector.grafana.present import Present, read, ready
from detector.grafana.record import Record
from detector.grafana.settle import REST, paused, resting
from detector.sentence import Sentence

CACHED = 6.0  # seconds: Grafana keeps a data source's settings for 5


class Stopped(Sentence):
    """A push that ended in the middle; says how far it came."""


@dataclass(slots=True)
class Outcome:
    """What a push did: names of what was written and removed, what is left over, and what is not as it should be."""

    written: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Push:
    """One organisation. `boss` may make data sources (an Admin's login); None: what only it may do is asked for in words.

    `locked`: see grafana.lock_in_ui. `sleep` and `tell` (one line for the person who waits) come from the caller.
    """

    content: Grafana
    boss: Grafana | None
    model: Model
    record: Record
    locked: bool
    sleep: Callable[[float], None]
    tell: Callable[[str], None]

    def run(self, *, prune: bool = False, resend: bool = False, only: Collection[str] = ()) -> Outcome:
        """Write what differs; with `only`, of these objects (by name). Raises Refusal before, Stopped in the middle, Trouble on reading."""
        ready(self.content, self.sleep, self.tell)
        present = read(self.content, self.model)
        todo = _only(plan(self.model, present, self.record, locked=self.locked), only)
        outcome = Outcome(stale=[] if prune else [change.name for change in todo.stale])
        self._check(todo, outcome, resend=resend)
        self._guarded(self._write, todo, present, outcome)
        if prune:
            self._guarded(self._remove, todo, present, outcome)
        self._verify(outcome, only)
        return outcome

    def _check(self, todo: Plan, outcome: Outcome, *, resend: bool) -> None:
        loud = [change for change in todo.changes if change.resends]
        if loud != [] and not resend:
            raise Refusal(
                f"{', '.join(change.name for change in loud)}: a title, label or notification setting differs, so Grafana would tell every"
                " open alert as resolved and again as new; see `tuermer grafana diff`, and push with --resend if that is wanted"
            )
        for change in todo.changes:
            if change.kind == "data source" and self.boss is None:
                if change.only_secret:
                    outcome.warnings.append(f"{change.name}: whether its password is right was not checked; that takes an Admin's token")
                else:
                    raise Refusal(f"{change.name} {change.why[0]}: only an Admin may write it; run `tuermer grafana bootstrap` first")

    def _guarded(self, step: Callable[[Plan, Present, Outcome], None], todo: Plan, present: Present, outcome: Outcome) -> None:
        try:
            step(todo, present, outcome)
        except Trouble as trouble:
            done = outcome.written + outcome.removed
            so_far = f"{len(done)} objects were written before ({', '.join(done)})" if done != [] else "nothing was written before"
            doubt = "; the last one may have been written or not" if trouble.unsure else ""
            raise Stopped(f"{trouble}; {so_far}{doubt}; the next push goes on from there") from trouble

    def _write(self, todo: Plan, present: Present, outcome: Outcome) -> None:
        new_receivers = {
            change.body["name"]
            for change in todo.changes
            if change.kind == "contact point" and _renamed(present.contact_points.get(change.key), change.body)
        }
        waiting: list[Change] = []
        for change in todo.changes:
            if change.kind == "data source" and self.boss is None:
                continue
            self.tell(f"{change.action} {change.name}: {'; '.join(change.why)}")
            rest = frozenset[str]()
            if change.kind == "rule group":
                found = present.rule_groups.get(change.key)
                rest = resting(change.body["rules"], found, new_receivers)
                body = paused(change.body, rest)
                if rest != frozenset() and found is not None and normal.rule_group(found) == normal.rule_group(body):
                    waiting.append(change)
                    continue
                self._one(change, body)
            else:
                self._one(change, change.body)
            if rest == frozenset():
                outcome.written.append(change.name)
            else:
                waiting.append(change)
        self._wake(waiting, outcome)

    def _wake(self, waiting: list[Change], outcome: Outcome) -> None:
        """Rules that rested begin to speak."""
        if waiting == []:
            return
        self.tell(f"waiting {REST:g} s until Grafana knows the new notification settings; the rules are paused so long")
        self.sleep(REST)
        for change in waiting:
            self._one(change, change.body)
            outcome.written.append(change.name)

    def _one(self, change: Change, body: Json) -> None:
        """One object, by the call that its kind has."""
        new, content = change.action == "create", self.content
        match change.kind:
            case "folder":
                (content.create_folder if new else content.rename_folder)(change.key, body["title"])
            case "data source":
                self._datasource(change, body)
            case "mute timing" if new:
                content.create_mute_timing(body, locked=self.locked)
            case "mute timing":
                content.update_mute_timing(change.key, body, locked=self.locked)
            case "template":
                content.put_template(change.key, body["template"], locked=self.locked)
            case "contact point":
                if new:
                    content.create_contact_point(body, locked=self.locked)
                else:
                    content.update_contact_point(change.key, body, locked=self.locked)
                self.record.sent(change.name, change.secret)
            case "dashboard":
                content.save_dashboard(self.model.folder, body)
            case "rule group":
                content.put_rule_group(self.model.folder, change.key, body, locked=self.locked)

    def _datasource(self, change: Change, body: Json) -> None:
        assert self.boss is not None
        if change.action == "create":
            self.boss.create_datasource(body)
        else:
            self.boss.update_datasource(change.key, body)
        self.record.sent(change.name, change.secret)

    def _remove(self, todo: Plan, _present: Present, outcome: Outcome) -> None:
        for change in todo.stale:
            self.tell(f"remove {change.name}: {'; '.join(change.why)}")
            match change.kind:
                case "rule":
                    self.content.delete_rule(change.key)
                case "rule group":
                    self.content.delete_rule_group(self.model.folder, change.key)
                case "dashboard":
                    self.content.delete_dashboard(change.key)
                case "contact point":
                    self.content.delete_contact_point(change.key)
                case "template":
                    self.content.delete_template(change.key)
                case _:
                    self.content.delete_mute_timing(change.key)
            self.record.forget(change.name)
            outcome.removed.append(change.name)

    def _verify(self, outcome: Outcome, only: Collection[str]) -> None:
        """Read everything back: Grafana's answer to a write is only an echo."""
        if any(name.startswith("data source") for name in outcome.written):
            self.sleep(CACHED)
        present = read(self.content, self.model)
        self._remember(present)
        left = _only(plan(self.model, present, self.record, locked=self.locked), only)
        for change in left.changes:
            if not (change.kind == "data source" and self.boss is None):
                outcome.warnings.append(f"Grafana holds {change.name} differently than it was sent: {'; '.join(change.why)}")
        if present.datasource is not None:
            healthy, said = self.content.health(self.model.datasource.uid)
            if not healthy:
                outcome.warnings.append(f"Grafana does not reach the database: {said}; check grafana.database_address, login and TLS")
        outcome.warnings += self._failing(outcome)

    def _remember(self, present: Present) -> None:
        for kind, key in self.model.objects():
            found = found_of(kind, present).get(key)
            if found is not None:
                version = found.get("version") if kind == "data source" else None
                self.record.saw(f"{kind} {key}", visible(kind, found), version)

    def _failing(self, outcome: Outcome) -> list[str]:
        """Rules that Grafana cannot evaluate; it accepts a wrong query without a word and fails later."""
        fresh = [group for group in self.model.rule_groups if f"rule group {group.name}" in outcome.written]
        if fresh != []:
            wait = max(group.interval for group in fresh) + 5.0
            self.tell(f"waiting {wait:g} s for the first evaluation of the rules")
            self.sleep(wait)
        states = self.content.rule_states(self.model.folder)
        return [f"the rule {s.get('name', s.get('uid'))} fails: {s.get('lastError', '')}" for s in states if s.get("health") == "error"]


def _only(todo: Plan, only: Collection[str]) -> Plan:
    if len(only) == 0:
        return todo
    return Plan(tuple(change for change in todo.changes if change.name in only), ())


def _renamed(found: Json | None, body: Json) -> bool:
    return found is None or found["name"] != body["name"]
