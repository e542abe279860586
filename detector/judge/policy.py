"""What a tenant's people have agreed on about being disturbed: read from the configuration, used by the store's decisions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

from detector.config import Config
from detector.judge import budget
from detector.judge.budget import Purse, Why, Wish
from detector.judge.families import LEVELS
from detector.judge.findings import Incident

ZONE = "Europe/Berlin"


@dataclass(frozen=True, slots=True)
class Policy:
    """`per_day` notifications beside the urgent ones, per tenant; a new tenant learns for `learning_days` (0: not at all)."""

    per_day: int = 5
    learning_days: int = 14
    zones: Mapping[str, str] = field(default_factory=dict)  # by tenant
    digest_at: int = 7 * 60 + 30  # minutes after local midnight
    budgets: Mapping[str, int] = field(default_factory=dict)  # `per_day` of tenants that have their own

    @classmethod
    def of(cls, config: Config) -> Policy:
        hour, minute = (int(part) for part in config.budget.digest_at.split(":"))
        zones = {topic.tenant: topic.timezone for topic in reversed(config.topics)}  # the first topic of a tenant speaks for it
        budgets = {entry.name: entry.per_day for entry in config.tenants if entry.per_day > 0}
        return cls(config.budget.per_day, config.budget.learning_days, zones, 60 * hour + minute, budgets)

    def of_tenant(self, tenant: str) -> Policy:
        """The same with the tenant's own budget, if it has one."""
        return replace(self, per_day=self.budgets[tenant]) if tenant in self.budgets else self

    def zone(self, tenant: str) -> str:
        return self.zones.get(tenant, ZONE)


Answered = Literal["sent", "held", "learning", "suppressed", "maintenance"]


class Standing(NamedTuple):
    """What else bears on an incident: the suppression that hides it, the window it lies in (ids), whether its tenant still learns."""

    suppression: int | None = None
    window: int | None = None
    learning: bool = False


class Decision(NamedTuple):
    """`why` of the answer "learning" is what the budget would have said."""

    answer: Answered
    why: Why | Literal["suppressed", "maintenance"]


def urgent(incident: Incident) -> bool:
    """The lane beside the budget: someone got in after failures, or it is critical by the printed rule."""
    return incident.urgent or incident.severity == LEVELS[-1]


def decide(policy: Policy, purse: Purse, wish: Wish, standing: Standing, now: int, zone: str) -> tuple[Purse, Decision]:
    """One wish for a notification. Urgent ones always go; while a tenant learns the purse is spent as if it did not."""
    if not wish.urgent and standing.suppression is not None:
        return purse, Decision("suppressed", "suppressed")
    if not wish.urgent and standing.window is not None:
        return purse, Decision("maintenance", "maintenance")
    purse, answer = budget.decide(purse, policy.per_day, wish, now, zone)
    if standing.learning and not wish.urgent:
        return purse, Decision("learning", answer.why)
    return purse, Decision("sent" if answer.sent else "held", answer.why)
