"""What every dashboard and rule of ours keeps (grafana.md, section 8): rules of form, so that a mistake is seen without a Grafana."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any, get_args

import pytest

from detector.grafana import buttons
from detector.grafana.dashboards import dashboards
from detector.grafana.messages import templates
from detector.grafana.model import FOLDER, OFF_HOURS, VERDICTS, Route, receiver
from detector.grafana.oneincident import PLACEHOLDERS, filled
from detector.grafana.rules import groups, mute_timings, off_hours, rules
from detector.grafana.setting import Office, Setting, texts
from detector.grafana.situation import TRIAGE
from tests.grafana_sql import Json, panels

RUNBOOKS = Path(__file__).parent.parent / "deploy" / "runbooks"
CORE = {"table", "stat", "bargauge", "timeseries", "heatmap", "state-timeline", "row"}
LINKS = (("Kibana", "https://kibana.example/?q={device}&from={from}&to={to}"), ("Loki", "https://loki.example/?d={device}&f={from_ms}"))
SETTINGS = [Setting("de", links=LINKS, runbooks="https://git.example/runbooks"), Setting("en")]
BOARDS = [(s.language, board) for s in SETTINGS for board in dashboards(s)]
EACH = pytest.mark.parametrize("board", [board for _, board in BOARDS], ids=[f"{language}-{board['uid']}" for language, board in BOARDS])


def real(board: Json) -> list[Json]:
    return [panel for panel in panels(board) if panel["type"] != "row"]


def urls(value: Any) -> list[str]:
    """Every link anywhere in it."""
    if isinstance(value, dict):
        here = [value["url"]] if isinstance(value.get("url"), str) else []
        return here + [one for part in value.values() for one in urls(part)]
    return [one for part in value for one in urls(part)] if isinstance(value, list) else []


@EACH
def test_ids_are_unique_and_kept_in_both_languages(board: Json) -> None:
    ids = [panel["id"] for panel in panels(board)]
    assert len(set(ids)) == len(ids)
    others = {other["uid"]: other for _, other in BOARDS}
    assert [panel["id"] for panel in panels(others[board["uid"]])] == ids
    assert "id" not in board
    assert "version" not in board


@EACH
def test_every_panel_has_title_description_unit_and_a_text_for_nothing(board: Json) -> None:
    for panel in real(board):
        defaults = panel["fieldConfig"]["defaults"]
        assert panel["title"] != "", panel["id"]
        assert panel["description"].endswith("."), panel["title"]
        assert defaults["unit"] != "", panel["title"]
        assert defaults["noValue"] != "", panel["title"]


@EACH
def test_panels_are_core_ones_and_take_their_rows_through_the_data_source_variable(board: Json) -> None:
    assert {panel["type"] for panel in panels(board)} <= CORE
    assert board["templating"]["list"][0]["name"] == "ds"
    for panel in real(board):
        assert {target["datasource"]["uid"] for target in panel["targets"]} | {panel["datasource"]["uid"]} == {"${ds}"}


@EACH
def test_no_panel_covers_another_and_none_leaves_the_grid(board: Json) -> None:
    taken: Counter[tuple[int, int]] = Counter()
    for panel in panels(board):
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24, panel["title"]
        taken.update((x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"]))
    assert max(taken.values()) == 1


@EACH
def test_the_answer_stands_top_left_and_red_is_only_for_what_wants_a_person(board: Json) -> None:
    first = min(real(board), key=lambda panel: (panel["gridPos"]["y"], panel["gridPos"]["x"]))
    assert first["id"] == 1
    assert first["gridPos"]["y"] == 0
    red = set(re.findall(r'"text": "([^"]*)", "color": "red"', json.dumps(board, ensure_ascii=False)))
    assert red <= {"▲ kritisch", "▲ critical", "▲ JA", "▲ YES"}


@EACH
def test_every_coloured_word_has_a_sign_or_says_it_itself(board: Json) -> None:
    for panel in real(board):
        for mapping in find(panel["fieldConfig"], "mappings"):
            for option in (one for entry in mapping for one in entry["options"].values()):
                assert re.search(r"\w", option["text"]), option
                if option["color"] in ("red", "orange", "dark-orange"):
                    assert option["text"][0] in "▲●", option


def find(value: Any, key: str) -> list[Any]:
    if isinstance(value, dict):
        here = [value[key]] if key in value else []
        here += [value["value"]] if value.get("id") == key else []
        return here + [one for part in value.values() for one in find(part, key)]
    return [one for part in value for one in find(part, key)] if isinstance(value, list) else []


@EACH
def test_links_lead_to_our_dashboards_with_known_variables_and_the_time_range(board: Json) -> None:
    known = {other["uid"]: {one["name"] for one in other["templating"]["list"]} for _, other in BOARDS}
    inside = [url for url in urls(board["panels"]) if url.startswith("/d/")]
    assert inside != []
    for url in inside:
        uid, _, query = url.removeprefix("/d/").partition("?")
        assert uid in known
        assert set(re.findall(r"var-(\w+)=", query)) <= known[uid]
        assert "${__url_time_range}" in query
        assert "${tenant:queryparam}" in query
        assert "__value" not in query  # never a name that an attacker wrote


@EACH
def test_every_count_opens_its_rows(board: Json) -> None:
    for panel in real(board):
        if panel["type"] == "stat" and panel["fieldConfig"]["defaults"]["unit"] in ("short", "locale"):
            assert panel["fieldConfig"]["defaults"]["links"] != [], panel["title"]


@EACH
def test_numbers_exist_once_a_panel_selects_from_a_view_and_computes_nothing(board: Json) -> None:
    for panel in real(board):
        for target in panel["targets"]:
            sql = target["rawSql"]
            assert re.search(r" FROM grafana\.\w+", sql), panel["title"]
            assert sql.count("SELECT") == 1, panel["title"]
            chosen = sql.partition(" FROM ")[0].removeprefix("SELECT ")
            assert re.fullmatch(r"[\w:, ]+", chosen), panel["title"]  # names, aliases and ::text; no sum, no minus, no function
        for transformation in panel.get("transformations", []):
            assert transformation["id"] in ("rowsToFields", "partitionByValues")  # shape, not arithmetic


def test_severity_and_verdict_buttons_are_the_first_two_columns() -> None:
    for _, board in BOARDS:
        if board["uid"] != VERDICTS:
            continue
        [triage] = [panel for panel in real(board) if panel["id"] == TRIAGE]
        assert triage["targets"][0]["rawSql"].startswith("SELECT severity, verdict, ")
        first, second = triage["fieldConfig"]["overrides"][:2]
        widths = [prop["value"] for one in (first, second) for prop in one["properties"] if prop["id"] == "custom.width"]
        assert sum(widths) < 390
        assert [prop["value"] for prop in second["properties"] if prop["id"] == "custom.cellOptions"] == [{"type": "actions"}]


WORDS = {"confirmed", "false-positive", "allowed", "in-work", "retracted", "closed"}


@pytest.mark.parametrize("s", SETTINGS, ids=["de", "en"])
def test_a_buttons_body_is_json_with_one_verdict_and_one_incident(s: Setting) -> None:
    alike = buttons.alike(s)
    single = [*buttons.first(s), *buttons.more(s), *alike]
    pressed = []
    for button in single:
        body = json.loads(button["fetch"]["body"])
        assert set(body) == {"dashboardUID", "tags", "text"}
        assert body["dashboardUID"] == VERDICTS
        assert body["tags"][0] == buttons.WORD
        assert [tag for tag in body["tags"] if tag.startswith("incident:")] == ["incident:${__data.fields.id}"]
        [word] = [tag.removeprefix("verdict:") for tag in body["tags"] if tag.startswith("verdict:")]
        pressed.append((word, "scope:alike" in body["tags"]))
        assert button["fetch"]["url"] == "/api/annotations"
        assert "?" in button["confirmation"]
        assert '["' not in button["confirmation"]  # only the dot form works in a body, so it is used everywhere
    assert {word for word, many in pressed if not many} == WORDS
    assert {word for word, many in pressed if many} == {"false-positive", "allowed", "in-work"}
    assert all("${__data.fields.alike_open}" in button["confirmation"] for button in alike)


def test_both_languages_have_every_text_and_german_says_auffaelligkeit() -> None:
    for room, entries in texts().items():
        for name, entry in entries.items():
            for part in ("title", "about"):
                assert set(entry[part]) == {"de", "en"}, (room, name)
                assert all(entry[part].values()), (room, name)
    german = json.dumps([board for language, board in BOARDS if language == "de"], ensure_ascii=False)
    said = set(re.findall(r"[^\"]*Vorf[aä]ll[^\"]*", german))
    assert all("bestätig" in one.lower() or "entscheiden Menschen" in one for one in said), said


def test_no_text_speaks_of_people_as_the_thing_watched() -> None:
    everything = json.dumps([board for _, board in BOARDS], ensure_ascii=False).lower() + "".join(map(str, templates(SETTINGS[0]).values()))
    for never in ("insider " + "threat", "user " + "risk", "employ" + "ee", "mitarb" + "eiter"):
        assert never not in everything


# ── rules ──


@pytest.mark.parametrize("s", SETTINGS, ids=["de", "en"])
def test_each_route_has_one_rule_with_message_link_panel_and_a_runbook_that_is_there(s: Setting) -> None:
    found = [rule for group in groups(s) for rule in group["rules"]]
    assert [rule["labels"]["route"] for rule in found] == list(get_args(Route))
    assert len({rule["uid"] for rule in found}) == len(found)
    for group in groups(s):
        assert group["interval"] % 10 == 0
        assert group["folderUid"] == FOLDER
        for rule in group["rules"]:
            notes = rule["annotations"]
            assert notes["summary"] == "{{ $labels.message }}"
            assert (RUNBOOKS / notes["runbook_url"].rpartition("/")[2]).is_file()
            boards = {board["uid"]: board for board in dashboards(s)}
            assert int(notes["__panelId__"]) in {panel["id"] for panel in real(boards[notes["__dashboardUid__"]])}
            assert rule["notification_settings"]["receiver"] == receiver(rule["labels"]["route"])


def test_every_runbook_belongs_to_a_rule_and_speaks_both_languages() -> None:
    assert {path.stem for path in RUNBOOKS.glob("*.md")} == {rule.runbook for rule in rules(SETTINGS[0])}
    for path in RUNBOOKS.glob("*.md"):
        text = path.read_text(encoding="utf-8")
        assert "**Deutsch:**" in text, path
        assert "**English:**" in text, path


def test_urgent_ones_are_never_muted_the_rest_outside_office_hours() -> None:
    muted = {
        rule["uid"]: rule["notification_settings"].get("mute_time_intervals") for group in groups(SETTINGS[0]) for rule in group["rules"]
    }
    assert muted == {"tuermer-urgent": None, "tuermer-rest": [OFF_HOURS], "tuermer-health": None, "tuermer-budget": [OFF_HOURS]}
    assert [timing["name"] for timing in mute_timings(SETTINGS[0])] == [OFF_HOURS]


def test_office_hours_turned_inside_out() -> None:
    office = Office(("monday", "friday"), "08:00", "17:00", "Europe/Berlin", (dt.date(2026, 12, 25),))
    zone = {"location": "Europe/Berlin"}
    assert off_hours(office) == [
        {"weekdays": ["monday", "friday"], "times": [
            {"start_time": "00:00", "end_time": "08:00"}, {"start_time": "17:00", "end_time": "24:00"}], **zone},
        {"weekdays": ["tuesday", "wednesday", "thursday", "saturday", "sunday"], **zone},
        {"years": ["2026"], "months": ["12"], "days_of_month": ["25"], **zone},
    ]  # fmt: skip
    around_the_clock = Office(("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"), "00:00", "24:00")
    assert off_hours(around_the_clock) == []


def test_a_database_that_is_away_silences_no_heartbeat_and_resolves_no_incident() -> None:
    states = {rule["uid"]: (rule["execErrState"], rule["noDataState"]) for group in groups(SETTINGS[0]) for rule in group["rules"]}
    assert states["tuermer-urgent"] == states["tuermer-rest"] == states["tuermer-budget"] == ("KeepLast", "OK")
    assert states["tuermer-health"] == ("Error", "Alerting")


def test_from_row_to_webhook_the_settings_allow_thirty_seconds_and_sixty_to_resolve() -> None:
    def seconds(text: str) -> int:
        return int(text.removesuffix("s"))

    for group in groups(SETTINGS[0]):
        for rule in group["rules"]:
            routing = rule["notification_settings"]
            assert group["interval"] + seconds(routing["group_wait"]) <= 25  # some seconds are left for two evaluations that drift apart
            assert group["interval"] + seconds(routing["group_interval"]) <= 25
            assert rule["for"] == "0s"


def test_message_templates_define_what_contact_points_ask_for() -> None:
    for s in SETTINGS:
        [(name, text)] = templates(s).items()
        assert name == "tuermer"
        assert set(re.findall(r'{{ define "([^"]+)"', text)) == {"tuermer.title", "tuermer.body", "tuermer.severity"}
        opened = len(re.findall(r"{{-? *(?:if|range|with|define)\b", text))
        assert opened == len(re.findall(r"{{-? *end\b", text))


def test_a_raw_search_link_is_filled_with_fields_of_the_row_and_nothing_else() -> None:
    url = filled("https://logs.example/?d={device}&f={from}&x={unknown}")
    assert url == "https://logs.example/?d=${__data.fields.device:percentencode}&f=${__data.fields.raw_from:percentencode}&x={unknown}"
    [raw] = [panel for panel in real(dashboards(SETTINGS[0])[1]) if panel["id"] == 10]
    for column in PLACEHOLDERS.values():
        assert re.search(rf"\b{column}\b", raw["targets"][0]["rawSql"])
    assert {url.partition("?")[0] for url in urls(raw)} == {"https://kibana.example/", "https://loki.example/"}
