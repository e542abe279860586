"""Which rules must rest before they speak (pure).

Grafana routes a receiver or notification settings that it sees for the first time only after its next synchronisation, up to
60 s later; until then their alerts go to the organisation's default receiver. So such rules are written paused first. A push
that died while they rested finds them paused and lets them rest again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from detector.grafana.normal import rule as normal_rule

Json = dict[str, Any]
REST = 65.0  # seconds; Grafana's alertmanager_config_poll_interval is 60 s


def resting(rules: Sequence[Mapping[str, Any]], found: Mapping[str, Any] | None, new_receivers: Collection[str]) -> frozenset[str]:
    """The uids, among the wanted rules of a group, that must rest; `found` is the group as it is in Grafana."""
    there = {} if found is None else {rule["uid"]: normal_rule(rule) for rule in found["rules"]}
    wanted = {rule["uid"]: normal_rule(rule) for rule in rules}
    return frozenset(uid for uid, rule in wanted.items() if not rule["isPaused"] and _new(rule, there.get(uid), new_receivers))


def _new(rule: Json, found: Json | None, new_receivers: Collection[str]) -> bool:
    settings = rule.get("notification_settings")
    if found is None or found["isPaused"]:
        return True
    return settings != found.get("notification_settings") or (settings or {}).get("receiver") in new_receivers


def paused(body: Mapping[str, Any], uids: Collection[str]) -> Json:
    """The group's body with these rules paused."""
    return {**body, "rules": [{**rule, "isPaused": True} if rule["uid"] in uids else rule for rule in body["rules"]]}
