"""From configuration to model: addresses, logins, TLS, contact points, office hours."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import pytest

from detector.config import ConfigError
from detector.configload import load
from detector.grafana.model import OFF_HOURS, Model
from detector.grafana.normal import flat, redacted, seconds
from detector.grafana.oneincident import PLACEHOLDERS
from detector.grafana.secretly import Found
from detector.grafana.wanted import BODY, TITLE, contents, organisations
from detector.grafanacheck import FILLED
from tests.grafana.world import nested

TOPIC = '[[topics]]\nname = "firewall"\ntenant = "stadt"\n'
GRAFANA = '[grafana]\nurl = "https://grafana.example/"\n'
HOOK = '[[grafana.contact_points]]\nname = "soc"\nsettings = {url = "https://hook.example/"}\n'


def wanted(
    folder: Path, more: str = "", grafana: str = "", database: str = 'url = "postgresql://t@db.example/tuermer"', *, login: bool = True
) -> Model:
    (folder / "privacy.key").touch(0o600)
    (folder / "grafana").mkdir(exist_ok=True)
    if login:
        (folder / "grafana" / "stadt.grafana.login").write_text("tuermer_grafana_1\nsecret\n")
    (folder / "tuermer.toml").write_text(f"{TOPIC}[database]\n{database}\n{GRAFANA}{grafana}\n{HOOK}{more}", "utf-8")
    environ = {"PW": "env-secret"}
    config = load(folder / "tuermer.toml", environ, "score")
    return contents(config, organisations(config)[0], Found(environ), dt.date(2026, 11, 20))


@pytest.mark.parametrize(
    ("database", "grafana", "address", "tls"),
    [
        ("postgresql://t@db.example/tuermer", "", "db.example:5432", "verify-full"),
        ("postgresql://t@127.0.0.1:5433/tuermer", "", "127.0.0.1:5433", "disable"),
        ("postgresql://t@[::1]/tuermer", "", "[::1]:5432", "disable"),
        ("postgresql://t@localhost/tuermer", 'database_tls = "require"', "localhost:5432", "require"),
        ("postgresql://t@localhost/tuermer", 'database_address = "pg.example:5432"', "pg.example:5432", "verify-full"),
    ],
)
def test_the_data_source_goes_where_grafana_reaches_it_encrypted_unless_on_this_machine(
    tmp_path: Path, database: str, grafana: str, address: str, tls: str
) -> None:
    source = wanted(tmp_path, database=f'url = "{database}"', grafana=grafana).datasource
    assert (source.body["url"], source.body["jsonData"]["sslmode"]) == (address, tls)
    assert (source.body["user"], source.secrets["password"]) == ("tuermer_grafana_1", "secret")


def test_the_authority_travels_as_content(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("PEM")
    source = wanted(tmp_path, grafana='database_tls = "verify-ca"\ndatabase_ca_file = "ca.pem"').datasource
    assert source.body["jsonData"]["tlsConfigurationMethod"] == "file-content"
    assert source.secrets["tlsCACert"] == "PEM"


def test_the_embedded_databases_login_is_found_by_itself(tmp_path: Path) -> None:
    (tmp_path / "pg").mkdir()
    (tmp_path / "pg" / "passwords.json").write_text(json.dumps({"tuermer_grafana": "generated"}))
    (tmp_path / "pg" / "port").write_text("54321")
    source = wanted(tmp_path, database='directory = "pg"', login=False).datasource
    assert (source.body["url"], source.body["user"], source.secrets) == ("127.0.0.1:54321", "tuermer_grafana", {"password": "generated"})


def test_a_login_that_is_not_there_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="say `tuermer tenant add stadt --out "):
        wanted(tmp_path, login=False)


def test_a_secret_that_is_not_set_names_setting_and_variable(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="token of the contact point chat names the environment variable NOPE, which is not set"):
        wanted(tmp_path, '[[grafana.contact_points]]\nname = "chat"\ntype = "slack"\nsecrets_env = {token = "NOPE"}\n')


def test_any_type_of_contact_point_gets_its_settings_and_our_texts_where_it_keeps_them(tmp_path: Path) -> None:
    more = (
        '[[grafana.contact_points]]\nname = "chat"\ntype = "slack"\ntold = ["urgent"]\nsettings = {recipient = "#soc"}\n'
        'secrets_env = {token = "PW"}\n'
        '[[grafana.contact_points]]\nname = "bus"\ntype = "nats"\ntold = ["health"]\nresolved = false\nsettings = {subject = "x"}\n'
    )
    points = {point.uid: point for point in wanted(tmp_path, more).contact_points}
    told = ("budget-soc", "health-bus", "health-soc", "rest-soc", "urgent-chat", "urgent-soc")
    assert sorted(points) == [f"tuermer-{point}" for point in told]
    assert points["tuermer-urgent-chat"].settings == {"recipient": "#soc", "token": "env-secret", "title": TITLE, "text": BODY}
    assert points["tuermer-urgent-chat"].name == points["tuermer-urgent-soc"].name == "tuermer-urgent"
    assert points["tuermer-health-bus"].settings == {"subject": "x"}
    assert not points["tuermer-health-bus"].resolved
    assert points["tuermer-rest-soc"].settings["message"] == BODY


def test_a_webhook_with_a_key_is_signed(tmp_path: Path) -> None:
    more = '[[grafana.contact_points]]\nname = "soar"\nsettings = {url = "https://x/"}\nsecrets_env = {"hmacConfig.secret" = "PW"}\n'
    point = next(point for point in wanted(tmp_path, more).contact_points if point.uid == "tuermer-urgent-soar")
    assert point.settings["hmacConfig"] == {
        "secret": "env-secret",
        "header": "X-Grafana-Alerting-Signature",
        "timestampHeader": "X-Grafana-Alerting-Timestamp",
    }
    assert point.secrets == ("hmacConfig.secret",)


def test_office_hours_become_the_mute_timing(tmp_path: Path) -> None:
    (timing,) = wanted(tmp_path, grafana='office_begin = "07:00"\noffice_end = "16:30"\noffice_days = ["monday", "friday"]').mute_timings
    assert timing.name == OFF_HOURS
    times = timing.intervals[0]
    assert times["weekdays"] == ["monday", "friday"]
    assert times["times"] == [{"start_time": "00:00", "end_time": "07:00"}, {"start_time": "16:30", "end_time": "24:00"}]
    assert times["location"] == "Europe/Berlin"


@pytest.mark.parametrize("language", ["de", "en"])
def test_the_language_is_that_of_grafana_before_that_of_all(tmp_path: Path, language: str) -> None:
    other = "en" if language == "de" else "de"
    (tmp_path / "tuermer.toml").touch()
    model = wanted(tmp_path, grafana=f'language = "{language}"')
    (tmp_path / "tuermer.toml").write_text((tmp_path / "tuermer.toml").read_text().replace(f'"{language}"', f'"{other}"'))
    config = load(tmp_path / "tuermer.toml", {}, "score")
    assert contents(config, organisations(config)[0], Found({}), dt.date(2026, 11, 20)).dashboards != model.dashboards


def test_without_a_list_every_tenant_has_an_organisation(tmp_path: Path) -> None:
    wanted(tmp_path)
    config = load(tmp_path / "tuermer.toml", {}, "score")
    assert [organisation.tenant for organisation in organisations(config)] == ["stadt"]


@pytest.mark.parametrize(("text", "value"), [("10s", 10.0), ("5m", 300.0), ("1h30m", 5400.0), ("1d", 86400.0), ("250ms", 0.25)])
def test_durations_of_any_unit_compare(text: str, value: float) -> None:
    assert seconds(text) == value


@pytest.mark.parametrize("text", ["", "5", "m5", "5m x", "five"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        seconds(text)


def test_nested_settings_come_back_from_flat_ones() -> None:
    settings = {"a": 1, "b": {"c": "[REDACTED]", "d": {"e": [1, 2]}}}
    assert nested(flat(settings)) == settings
    assert redacted(settings) == {"b.c"}


def test_the_check_of_the_configuration_knows_what_links_fill_in() -> None:
    assert {f"{{{name}}}" for name in FILLED} == set(PLACEHOLDERS)
