"""Pushing: the same end from any beginning, nothing written twice, nothing of others touched. On the stand-in and on a real Grafana."""

from __future__ import annotations

from dataclasses import replace

import pytest

from detector.grafana.model import FOLDER, VERDICTS, ContactPoint, Template
from detector.grafana.plan import Refusal, plan
from detector.grafana.present import read
from detector.grafana.push import Stopped
from tests.grafana.conftest import Place
from tests.grafana.sample import board, hook, rule, sample


def differing(warnings: list[str]) -> list[str]:
    """Without what depends on a database that is not there."""
    return [text for text in warnings if "differently" in text]


def left(place: Place) -> list[str]:
    """What a push would still write."""
    return [change.name for change in plan(sample(), read(place.content, sample()), place.record(), locked=True).changes]


def test_one_push_makes_everything_and_the_second_writes_nothing(place: Place) -> None:
    outcome = place.push()
    assert differing(outcome.warnings) == []
    assert len(outcome.written) == len(list(sample().objects()))
    place.forget()
    assert place.push().written == []
    assert place.writes == []


def test_a_new_receiver_is_given_its_minute_before_rules_speak(stand_in: Place) -> None:
    stand_in.push()
    assert stand_in.fake is not None
    organisation = stand_in.fake.world.organisations[1]
    assert organisation.misrouted == []
    assert [rule.get("isPaused", False) for rule in organisation.rules.values()] == [False, False]


@pytest.mark.parametrize("dies_at", range(1, 12))
def test_a_push_that_dies_anywhere_is_finished_by_the_next(stand_in: Place, dies_at: int) -> None:
    stand_in.content.dies_at = dies_at
    with pytest.raises(Stopped) as stopped:
        stand_in.push()
    assert "the next push goes on from there" in str(stopped.value)
    stand_in.forget()
    assert stand_in.push().warnings == []
    assert left(stand_in) == []
    assert stand_in.fake is not None
    assert stand_in.fake.world.organisations[1].misrouted == []


def test_a_push_that_dies_in_the_middle_says_how_far_it_came(place: Place) -> None:
    place.content.dies_at = 7
    with pytest.raises(Stopped, match="7 objects were written before"):
        place.push()
    place.forget()
    place.push()
    assert left(place) == []


def test_what_somebody_changed_by_hand_is_told_and_mended(place: Place) -> None:
    place.push()
    changed = {**board(VERDICTS, "Lage").json, "title": "Meine Lage"}
    place.boss.save_dashboard(FOLDER, changed)
    (change,) = plan(sample(), read(place.content, sample()), place.record(), locked=True).changes
    assert change.by_hand
    assert "was changed in Grafana since our last push" in change.why[0]
    assert 'title is "Meine Lage", should be "Lage"' in change.why
    place.push()
    assert left(place) == []


def test_our_own_change_is_not_blamed_on_anybody(place: Place) -> None:
    place.push()
    newer = sample(dashboards=(board(VERDICTS, "Neue Lage"), board("tuermer-betrieb", "Betrieb")))
    (change,) = plan(newer, read(place.content, newer), place.record(), locked=True).changes
    assert not change.by_hand


def test_what_left_the_model_stays_until_it_is_pruned_and_others_things_stay_for_good(place: Place) -> None:
    place.push(sample(dashboards=(*sample().dashboards, board("tuermer-alt", "Alt")), templates=(*sample().templates, old())))
    place.boss.save_dashboard(FOLDER, board("meins", "Meins").json)
    place.boss.create_contact_point(foreign(), locked=True)
    outcome = place.push()
    assert sorted(outcome.stale) == ["dashboard tuermer-alt", "template tuermer-alt"]
    assert outcome.removed == []
    assert sorted(place.push(prune=True).removed) == ["dashboard tuermer-alt", "template tuermer-alt"]
    assert place.content.dashboard("tuermer-alt") is None
    assert place.content.dashboard("meins") is not None
    assert [point["uid"] for point in place.content.contact_points() if point["uid"] == "foreign"] == ["foreign"]


def old() -> Template:
    return Template("tuermer-alt", '{{ define "tuermer-alt" }}x{{ end }}')


def foreign() -> dict[str, object]:
    return {
        "uid": "foreign",
        "name": "foreign",
        "type": "webhook",
        "settings": {"url": "http://127.0.0.1:9/"},
        "disableResolveMessage": False,
    }


def test_a_rule_that_left_its_group_stays_until_it_is_pruned(place: Place) -> None:
    urgent, rest = sample().rule_groups
    extra = rule("tuermer-extra", "Zusatz", "tuermer-urgent")
    place.push(sample(rule_groups=(replace(urgent, rules=(*urgent.rules, extra)), rest)))
    assert place.push().stale == ["rule tuermer-extra"]
    changed = replace(urgent, rules=(rule("tuermer-urgent", "Dringend", "tuermer-urgent", annotations={"summary": "neu"}),))
    place.push(sample(rule_groups=(changed, rest)))  # a write of the group keeps the rule
    assert place.push(sample(rule_groups=(changed, rest)), prune=True).removed == ["rule tuermer-extra"]


def test_the_policy_tree_is_left_alone(stand_in: Place) -> None:
    stand_in.push()
    assert stand_in.fake is not None
    assert [path for _, path, _ in stand_in.fake.log if "policies" in path] == []


def test_a_new_secret_is_one_write(place: Place) -> None:
    place.push()
    place.forget()
    outcome = place.push(sample(contact_points=(hook("urgent", key="another"), hook("rest"))))
    assert outcome.written == ["contact point tuermer-urgent-soc"]
    assert len(place.writes) == 1


def test_a_setting_that_grafana_hides_though_nobody_called_it_secret_is_not_written_again(stand_in: Place) -> None:
    slack = ContactPoint("tuermer-urgent-chat", "tuermer-urgent", "slack", {"recipient": "#soc", "url": "https://chat.invalid/x"})
    model = sample(contact_points=(*sample().contact_points, slack))
    stand_in.push(model)
    assert stand_in.push(model).written == []


def test_a_lost_record_costs_one_write_per_object_with_secrets(place: Place) -> None:
    place.push()
    (place.folder / "pushed.json").unlink()
    assert sorted(place.push().written) == ["contact point tuermer-rest-soc", "contact point tuermer-urgent-soc", "data source tuermer-pg"]
    assert place.push().written == []


def test_no_secret_is_in_the_record(place: Place) -> None:
    place.push()
    kept = (place.folder / "pushed.json").read_text()
    assert "hmac-key" not in kept
    assert "db-password" not in kept
    assert (place.folder / "pushed.json").stat().st_mode & 0o077 == 0


def test_a_changed_receiver_is_refused_until_one_says_resend(place: Place) -> None:
    place.push()
    urgent, rest = sample().rule_groups
    moved = sample(rule_groups=(replace(urgent, rules=(rule("tuermer-urgent", "Dringend", "tuermer-rest"),)), rest))
    place.forget()
    with pytest.raises(Refusal, match="every open alert as resolved and again as new"):
        place.push(moved)
    assert place.writes == []
    assert place.push(moved, resend=True).written == ["rule group tuermer-urgent"]
    if place.fake is not None:
        assert place.fake.world.organisations[1].misrouted == []


def test_a_changed_query_is_written_without_a_rest(place: Place) -> None:
    place.push()
    place.told.clear()
    urgent, rest = sample().rule_groups
    annotated = rule("tuermer-urgent", "Dringend", "tuermer-urgent", annotations={"summary": "neu"})
    outcome = place.push(sample(rule_groups=(replace(urgent, rules=(annotated,)), rest)))
    assert outcome.written == ["rule group tuermer-urgent"]
    assert not any("65 s" in line for line in place.told)


def test_a_data_source_saved_by_hand_is_written_again(place: Place) -> None:
    place.push()
    body = place.boss.datasource("tuermer-pg")
    assert body is not None
    place.boss.update_datasource("tuermer-pg", {**body, "secureJsonData": {"password": "wrong"}})
    if place.fake is not None:
        place.fake.violations.clear()  # a browser sends more than the description knows
    outcome = place.push()
    assert outcome.written == ["data source tuermer-pg"]
    assert place.push().written == []


def test_without_an_admin_a_missing_data_source_is_asked_for(stand_in: Place) -> None:
    with pytest.raises(Refusal, match="only an Admin may write it; run `tuermer grafana bootstrap`"):
        stand_in.pushing(boss=False).run()
    assert stand_in.content.writes == []


def test_without_an_admin_everything_else_is_pushed(stand_in: Place) -> None:
    stand_in.push()
    assert stand_in.pushing(boss=False).run().written == []


def test_objects_that_can_be_edited_in_the_browser_are_locked_when_asked_for(place: Place) -> None:
    place.pushing(locked=False).run()
    outcome = place.push()
    assert [name for name in outcome.written if name.startswith(("dashboard", "folder", "data"))] == []
    assert len(outcome.written) == 6
    assert place.push().written == []


def test_a_lock_cannot_be_taken_back_and_that_is_said_before_anything_is_written(place: Place) -> None:
    place.push()
    place.forget()
    with pytest.raises(Refusal, match="lock_in_ui"):
        place.pushing(locked=False).run()
    assert place.writes == []


def test_what_files_provide_is_left_alone_and_said(stand_in: Place) -> None:
    stand_in.push()
    assert stand_in.fake is not None
    stand_in.fake.world.organisations[1].contact_points["tuermer-rest-soc"]["provenance"] = "file"
    with pytest.raises(Refusal, match="comes from provisioning files"):
        stand_in.push()


def test_a_rule_that_grafana_cannot_evaluate_is_said(stand_in: Place) -> None:
    assert stand_in.fake is not None
    stand_in.fake.world.broken_sql = True
    warnings = stand_in.push().warnings
    assert any("the rule Dringend fails: pq: column does not exist" in text for text in warnings)
    assert any("Grafana does not reach the database" in text for text in warnings)


def test_a_dashboard_that_was_moved_comes_back(place: Place) -> None:
    place.push()
    place.boss.create_folder("tuermer-other", "Anderswo")
    try:
        place.boss.save_dashboard("tuermer-other", board(VERDICTS, "Lage").json)
        (change,) = plan(sample(), read(place.content, sample()), place.record(), locked=True).changes
        assert 'lies in folder "tuermer-other"' in " ".join(change.why)
        place.push()
        assert left(place) == []
    finally:
        place.boss.call("DELETE", "/folders/tuermer-other")


def test_a_renamed_folder_would_send_all_alerts_again(place: Place) -> None:
    place.push()
    with pytest.raises(Refusal, match="folder tuermer"):
        place.push(sample(folder_title="Wächter"))
