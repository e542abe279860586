"""Files and API carry the same: read back from the files, the objects equal those that a push would write."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from detector.configload import load
from detector.grafana import normal, work
from detector.grafana.changes import contact_body, group_body
from detector.grafana.export import files
from detector.grafana.model import Model
from detector.grafana.secretly import Found, Named
from detector.grafana.wanted import contents, organisations
from detector.grafana.work import Site
from tests.grafana.sample import sample

Json = dict[str, Any]
NAMES = {"keepFiringFor": "keep_firing_for", "missing_series_evals_to_resolve": "missingSeriesEvalsToResolve"}


def loaded(model: Model) -> dict[str, Any]:
    """The files as Grafana would read them."""
    return {path: json.loads(text) for path, text in files(model, 7).items()}


def as_by_api(rule: Json) -> Json:
    """A rule of a file under the names of the API; what the file says twice must agree."""
    body = {NAMES.get(key, key): value for key, value in rule.items() if key not in ("dashboardUid", "panelId")}
    if "dashboardUid" in rule:
        assert body["annotations"]["__dashboardUid__"] == rule["dashboardUid"]
        assert body["annotations"]["__panelId__"] == str(rule["panelId"])
    return body


def full(folder: Path, secrets: Named | Found) -> Model:
    """The whole real model, from a configuration."""
    (folder / "privacy.key").touch(0o600)
    (folder / "tuermer.toml").write_text(
        """
        language = "en"
        [[topics]]
        name = "firewall"
        tenant = "stadt"
        [database]
        url = "postgresql://tuermer@db.example/tuermer"
        [grafana]
        url = "https://grafana.example/"
        database_ca_file = "ca.pem"
        database_tls = "verify-ca"
        [[grafana.organisations]]
        tenant = "stadt"
        database_login_file = "stadt.grafana.login"
        [[grafana.contact_points]]
        name = "soc"
        settings = {url = "https://hook.example/$path"}
        secrets_env = {"hmacConfig.secret" = "HMAC"}
        secrets_file = {authorization_credentials = "bearer"}
        """,
        "utf-8",
    )
    (folder / "ca.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    (folder / "bearer").write_text("bearer-secret\n")
    (folder / "stadt.grafana.login").write_text("tuermer_grafana_1\ndb-secret\n")
    config = load(folder / "tuermer.toml", {"HMAC": "hmac-secret"}, "score")
    return contents(config, organisations(config)[0], secrets, dt.date(2026, 11, 20))


@pytest.fixture(params=["sample", "real"])
def model(request: pytest.FixtureRequest, tmp_path: Path) -> Model:
    return sample() if request.param == "sample" else full(tmp_path, Found({"HMAC": "hmac-secret"}))


def test_rule_groups_are_the_same_both_ways(model: Model) -> None:
    groups = loaded(model)["alerting/tuermer.yaml"]["groups"]
    for entry, group in zip(groups, model.rule_groups, strict=True):
        interval = int(entry["interval"].removesuffix("s"))
        by_file = {"title": entry["name"], "interval": interval, "rules": [as_by_api(rule) for rule in entry["rules"]]}
        assert normal.rule_group(by_file) == normal.rule_group(group_body(model.folder, group, 7))
        assert entry["folder"] == model.folder_title


def test_contact_points_are_the_same_both_ways(model: Model) -> None:
    points = loaded(model)["alerting/tuermer.yaml"]["contactPoints"]
    by_file = [{**receiver, "name": point["name"]} for point in points for receiver in point["receivers"]]
    assert sorted(by_file, key=_uid) == sorted((contact_body(point) for point in model.contact_points), key=_uid)


def _uid(body: Json) -> str:
    return str(body["uid"])


def test_the_rest_is_the_same_both_ways(model: Model) -> None:
    read = loaded(model)
    alerting = read["alerting/tuermer.yaml"]
    assert {m["name"]: m["time_intervals"] for m in alerting["muteTimes"]} == {m.name: list(m.intervals) for m in model.mute_timings}
    assert {t["name"]: t["template"] for t in alerting["templates"]} == {t.name: t.text for t in model.templates}
    assert {p.removeprefix("dashboards/tuermer/"): b for p, b in read.items() if p.endswith(".json")} == {
        f"{board.uid}.json": board.json for board in model.dashboards
    }
    (source,) = read["datasources/tuermer.yaml"]["datasources"]
    assert {key: source[key] for key in model.datasource.body} == model.datasource.body
    assert source["secureJsonData"] == model.datasource.secrets


def test_every_object_is_of_the_organisation_that_was_named(model: Model) -> None:
    read = loaded(model)
    entries = [entry for part in ("muteTimes", "templates", "contactPoints", "groups") for entry in read["alerting/tuermer.yaml"][part]]
    entries += read["datasources/tuermer.yaml"]["datasources"] + read["dashboards/tuermer.yaml"]["providers"]
    assert {entry["orgId"] for entry in entries} == {7}


def test_files_hold_no_secret_but_say_where_grafana_finds_it(tmp_path: Path) -> None:
    model = full(tmp_path, Named())
    text = "".join(files(model, 1).values())
    assert "secret\n" not in text
    assert "hmac-secret" not in text
    source = model.datasource
    assert source.secrets == {
        "password": f"$__file{{{tmp_path}/stadt.grafana.login.password}}",
        "tlsCACert": f"$__file{{{tmp_path}/ca.pem}}",
    }
    settings = model.contact_points[0].settings
    assert settings["hmacConfig"]["secret"] == "$HMAC"
    assert settings["authorization_credentials"] == f"$__file{{{tmp_path}/bearer}}"
    assert settings["url"] == "https://hook.example/$$path"  # a dollar that is no reference


def test_the_verb_writes_a_provisioning_folder(tmp_path: Path) -> None:
    full(tmp_path, Named())
    config = load(tmp_path / "tuermer.toml", {}, "score")
    site = Site(config, {}, lambda _: None, lambda: 1_795_000_000.0, lambda _: None)
    written = work.export(site, tmp_path / "out", None, 1, "/etc/grafana/provisioning")
    names = sorted(str(path.relative_to(tmp_path / "out")) for path in written)
    assert names[:2] == ["alerting/tuermer.yaml", "dashboards/tuermer.yaml"]
    provider = json.loads((tmp_path / "out" / "dashboards" / "tuermer.yaml").read_text())["providers"][0]
    named = [f"$__file{{{tmp_path}/{name}}}" for name in ("bearer", "ca.pem", "stadt.grafana.login.password")]
    assert work.references(written) == ["$HMAC", *named]
    assert provider["options"]["path"] == "/etc/grafana/provisioning/dashboards/tuermer"


def test_a_folder_of_another_title_is_one_folder_for_rules_and_dashboards() -> None:
    read = loaded(replace(sample(), folder_title="Wächter"))
    assert {group["folder"] for group in read["alerting/tuermer.yaml"]["groups"]} == {"Wächter"}
    assert read["dashboards/tuermer.yaml"]["providers"][0]["folder"] == "Wächter"
    assert "folderUid" not in read["dashboards/tuermer.yaml"]["providers"][0]
