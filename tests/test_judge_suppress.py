"""A suppression hides what it names, up to twice the strength seen, and never a success after failures."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from detector.judge.findings import Reason
from detector.judge.suppress import DAY, Facts, Seen, Suppression, SuppressionError, checked, epoch_change, hides, lasting
from tests.test_store import NOW, an_incident

ZONE = "Europe/Berlin"
NOTHING = Facts({}, {})


def reason(feature: str, observed: float, usual: float = 1.0) -> Reason:
    return Reason(feature, observed, usual, 4.0, 0.8, {"de": "", "en": ""})


SERVICE = an_incident(entity_kind="service", entity_value="ssh-1", reasons=(reason("failures", 40.0),), worst_score=4.0)


def giving(field: str = "service", value: str = "ssh-1", technique: str = "", signature: tuple[str, ...] = ()) -> Suppression:
    return Suppression(1, field, value, technique, signature, Seen.of(SERVICE))


def test_it_hides_the_service_it_names_and_no_other() -> None:
    assert hides(giving(), SERVICE, NOTHING)
    assert not hides(giving(value="ssh-2"), SERVICE, NOTHING)
    assert not hides(giving(), an_incident(entity_value="ssh-1"), NOTHING), "a source of that name is no service"


@pytest.mark.parametrize(("technique", "hidden"), [("", True), ("T1110.003", True), ("credential-access", True), ("T1046", False)])
def test_its_technique_is_an_attack_id_or_a_family(technique: str, hidden: bool) -> None:
    assert hides(giving(technique=technique), SERVICE, NOTHING) is hidden


def test_a_new_kind_of_reason_wakes() -> None:
    narrow = giving(signature=("failures", "users"))
    assert hides(narrow, SERVICE, NOTHING)
    assert not hides(narrow, an_incident(entity_kind="service", entity_value="ssh-1", reasons=(reason("hosts", 3.0),)), NOTHING)


@pytest.mark.parametrize(("score", "observed", "hidden"), [(8.0, 79.0, True), (8.1, 40.0, False), (4.0, 80.0, False), (4.0, 2.0, True)])
def test_it_holds_up_to_twice_the_strength_seen_and_no_further(score: float, observed: float, hidden: bool) -> None:
    """Seen: score 4, 40 failures where 1 is usual: 39 too many, so it holds up to 78 too many."""
    stronger = an_incident(entity_kind="service", entity_value="ssh-1", reasons=(reason("failures", observed),), worst_score=score)
    assert hides(giving(), stronger, NOTHING) is hidden


def test_what_is_odd_by_being_low_may_double_its_distance_too() -> None:
    regular = an_incident(entity_kind="service", entity_value="ssh-1", reasons=(reason("jitter", 0.6, 1.0),))
    given = Suppression(1, "service", "ssh-1", "", (), Seen.of(regular))
    lower = (reason("jitter", 0.3, 1.0), reason("jitter", 0.1, 1.0))
    assert [hides(given, an_incident(entity_kind="service", entity_value="ssh-1", reasons=(one,)), NOTHING) for one in lower] == [
        True,
        False,
    ]


@pytest.mark.parametrize("changes", [{"urgent": True}, {"family": "success-after-failures"}, {"got_in": "yes"}])
def test_a_success_after_failures_is_never_hidden(changes: dict[str, object]) -> None:
    assert not hides(giving(), an_incident(entity_kind="service", entity_value="ssh-1", reasons=SERVICE.reasons, **changes), NOTHING)


def test_an_unusual_login_that_succeeded_may_be_hidden() -> None:
    login = an_incident(entity_kind="user.name", entity_value="svc-backup", family="initial-access", got_in="yes")
    facts = Facts({"user.name": frozenset({"svc-backup"}), "user.target.name": frozenset()}, {})
    assert hides(Suppression(1, "user.name", "svc-backup", "", (), Seen.of(login)), login, facts)


@pytest.mark.parametrize(
    ("field", "value", "evidence", "hidden"),
    [
        ("source.ip", "198.51.100.7", {"source.ip": {"198.51.100.7"}}, True),
        ("source.ip", "198.51.100.7", {"source.ip": {"198.51.100.7", "198.51.100.8"}}, False),
        ("source.ip", "198.51.100.0/24", {"source.ip": {"198.51.100.7", "198.51.100.8"}}, True),
        ("source.ip", "198.51.100.0/24", {"source.ip": {"198.51.100.7", "203.0.113.1"}}, False),
        ("source.ip", "198.51.100.0/24", {"source.ip": {"ip-0123456789abcdef"}}, False),
        ("source.ip", "198.51.100.7", {}, False),
        ("host.name", "srv-7", {"host.name": {"srv-7"}}, True),
        ("host.name", "srv-7", {"host.name": {"srv-7", "srv-8"}}, False),
        ("network", "2001:db8::/32", {"source.ip": {"2001:db8::7"}}, True),
    ],
)
def test_it_hides_only_what_is_wholly_its_own(field: str, value: str, evidence: dict[str, set[str]], hidden: bool) -> None:
    facts = Facts({name: frozenset(values) for name, values in evidence.items()}, {})
    assert hides(giving(field, value), SERVICE, facts) is hidden


@pytest.mark.parametrize(("samples", "hidden"), [({"clients"}, True), ({"clients", "guests"}, False), ({"clients", ""}, False)])
def test_networks_and_role_groups_are_told_by_the_sample_events(samples: set[str], hidden: bool) -> None:
    assert hides(giving("network", "clients"), SERVICE, Facts({}, {"source.network": frozenset(samples)})) is hidden
    assert hides(giving("role", "clients"), SERVICE, Facts({}, {"user.roles": frozenset(samples)})) is hidden


def test_without_a_strength_it_holds_whatever_comes_first() -> None:
    assert hides(Suppression(1, "service", "ssh-1", "", (), None), SERVICE, NOTHING)


def test_it_lasts_thirty_days_but_on_a_token_only_until_tokens_change() -> None:
    assert lasting("srv-7", NOW, ZONE, None) == (NOW + 30 * DAY, False)
    assert lasting("srv-7", NOW, ZONE, NOW + DAY) == (NOW + DAY, False)
    for token in ("u-0123456789abcdef", "h-0123456789abcdef", "ip-0123456789abcdef"):
        assert lasting(token, NOW, ZONE, None) == (epoch_change(NOW, ZONE), True)
    assert lasting("u-0123456789abcdef", NOW, ZONE, NOW + 60_000_000) == (NOW + 60_000_000, True)


def test_tokens_change_at_five_on_the_tenants_wall_also_when_the_clock_is_set_back() -> None:
    at = [datetime(2026, 10, 24, 2, 59, tzinfo=UTC), datetime(2026, 10, 24, 3, 1, tzinfo=UTC)]
    changes = [epoch_change(int(moment.timestamp() * 1e6), ZONE) for moment in at]
    assert [datetime.fromtimestamp(change / 1e6, UTC) for change in changes] == [
        datetime(2026, 10, 24, 3, tzinfo=UTC),
        datetime(2026, 10, 25, 4, tzinfo=UTC),
    ]
    assert timedelta(microseconds=changes[1] - changes[0]) == timedelta(hours=25)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("colour", "red", "", [], "me", "why"), "a suppression names service"),
        (("service", "", "", [], "me", "why"), "names one service, not all of them"),
        (("service", "*", "", [], "me", "why"), "names one service, not all of them"),
        (("service", "ssh-1", "T11", [], "me", "why"), "T11 is neither an ATT&CK technique"),
        (("service", "ssh-1", "success-after-failures", [], "me", "why"), "never suppressed"),
        (("service", "ssh-1", "", [], " ", "why"), "needs the name"),
        (("service", "ssh-1", "", [], "me", ""), "needs the name"),
    ],
)
def test_one_that_names_everything_or_that_nobody_answers_for_is_refused(
    arguments: tuple[str, str, str, list[str], str, str], sentence: str
) -> None:
    with pytest.raises(SuppressionError, match=sentence):
        checked(*arguments)
