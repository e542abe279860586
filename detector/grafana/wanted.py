"""From the configuration to the model of one tenant's organisation."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import date
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import holidays

from detector.config import Config, ConfigError
from detector.grafana import dashboards, messages, rules
from detector.grafana.model import (
    DATASOURCE,
    DATASOURCE_TYPE,
    ContactPoint,
    Dashboard,
    DataSource,
    Model,
    MuteTiming,
    RuleGroup,
    Template,
    receiver,
)
from detector.grafana.secretly import Named, Secrets
from detector.grafana.setting import Office, Setting
from detector.grafanacheck import tenants
from detector.grafanasections import ContactPoint as Point
from detector.grafanasections import Grafana, Organisation

Json = dict[str, Any]
TITLE, BODY = '{{ template "tuermer.title" . }}', '{{ template "tuermer.body" . }}'
TEXTS = {  # where each type keeps its title and its text, as Grafana 12.3 lists them
    **dict.fromkeys(("webhook", "teams", "discord", "googlechat", "oncall", "pushover", "dingding", "wecom"), ("title", "message")),
    **dict.fromkeys(("email", "sns"), ("subject", "message")),
    **dict.fromkeys(("threema", "LINE", "victorops"), ("title", "description")),
    **dict.fromkeys(("telegram", "mqtt", "webex", "sensugo"), ("", "message")),
    "slack": ("title", "text"), "jira": ("summary", "description"), "opsgenie": ("message", "description"),
    "kafka": ("description", "details"), "pagerduty": ("summary", ""),
}  # fmt: skip


def organisations(config: Config) -> list[Organisation]:
    """One per tenant: as listed, or every tenant with the defaults."""
    return list(config.grafana.organisations) or [Organisation(tenant) for tenant in tenants(config)]


def organisation_name(organisation: Organisation) -> str:
    """Of the organisation in Grafana."""
    return organisation.name if organisation.name != "" else organisation.tenant


def contents(config: Config, organisation: Organisation, secrets: Secrets, today: date) -> Model:
    """Everything that one organisation is to hold. Raises ConfigError for a secret that is not there."""
    setting = setting_of(config, organisation.tenant, today)
    return Model(
        datasource=_datasource(config, organisation, secrets),
        mute_timings=tuple(MuteTiming(body["name"], tuple(body["time_intervals"])) for body in rules.mute_timings(setting)),
        templates=tuple(Template(name, text) for name, text in messages.templates(setting).items()),
        contact_points=tuple(_contact_points(config.grafana, organisation.tenant, secrets)),
        dashboards=tuple(Dashboard(body["uid"], body["title"], body) for body in dashboards.dashboards(setting)),
        rule_groups=tuple(RuleGroup(body["title"], body["interval"], tuple(body["rules"])) for body in rules.groups(setting)),
    )


def setting_of(config: Config, tenant: str, today: date) -> Setting:
    """What dashboards, rules and messages depend on. `today`: holidays of this year and the next are days off."""
    grafana = config.grafana
    zones = {topic.tenant: topic.timezone for topic in reversed(config.topics)}  # the first topic of a tenant speaks for it
    free = holidays.country_holidays("DE", subdiv=config.workdays.state or None, years=(today.year, today.year + 1))
    zone = zones.get(tenant, "Europe/Berlin")
    office = Office(tuple(grafana.office_days), grafana.office_begin, grafana.office_end, zone, tuple(sorted(free)))
    runbooks = grafana.runbooks.rstrip("/") + "/" if grafana.runbooks != "" else ""
    language = grafana.language if grafana.language != "" else config.language
    return Setting(language, office, tuple(config.links.raw_search.items()), runbooks)


def _datasource(config: Config, organisation: Organisation, secrets: Secrets) -> DataSource:
    grafana = config.grafana
    user, password = _database_login(config, organisation, secrets)
    address, database = _address(config)
    mode = grafana.database_tls if grafana.database_tls != "" else "disable" if _on_this_machine(address) else "verify-full"
    data: Json = {
        "database": database,
        "sslmode": mode,
        "postgresVersion": 1500,
        "timescaledb": False,
        "maxOpenConns": 10,
        "maxIdleConns": 2,
        "connMaxLifetime": 14400,
    }
    hidden = {"password": password}
    if grafana.database_ca_file != "":
        data["tlsConfigurationMethod"] = "file-content"
        hidden["tlsCACert"] = _authority(grafana.database_ca_file, secrets)
    body = {"type": DATASOURCE_TYPE, "access": "proxy", "url": address, "user": user, "jsonData": data}
    return DataSource(DATASOURCE, "Türmer PostgreSQL", body, hidden)


def _authority(file: str, secrets: Secrets) -> str:
    if isinstance(secrets, Named):
        return f"$__file{{{file}}}"
    try:
        return Path(file).read_text("utf-8")
    except OSError as error:
        raise ConfigError(f"grafana.database_ca_file names {file}, which cannot be read ({error.strerror})") from error


def _database_login(config: Config, organisation: Organisation, secrets: Secrets) -> tuple[str, str]:
    """Role and password of this tenant's data source."""
    what = f"the database login of {organisation.tenant}"
    if organisation.database_user != "":
        return organisation.database_user, secrets.get(what, organisation.database_password_env, "")
    file = organisation.database_login_file
    if file == "" and not (usual := Path(config.grafana.directory) / f"{organisation.tenant}.grafana.login").is_file():
        if config.database.url == "embedded":
            return "tuermer_grafana", _embedded_password(config, secrets)
        raise ConfigError(
            f"{what} is not there: say `tuermer tenant add {organisation.tenant} --out {usual.parent}`, or set"
            " grafana.organisations.database_login_file"
        )
    login = file if file != "" else str(usual)
    role = Path(login).read_text("utf-8").splitlines()[0] if Path(login).is_file() else secrets.get(what, "", login)
    return role, secrets.get(what, "", login, line=2)


def _embedded_password(config: Config, secrets: Secrets) -> str:
    kept = Path(config.database.directory) / "passwords.json"
    if isinstance(secrets, Named):
        return secrets.get("", "", str(kept.with_name("tuermer_grafana.password")))
    try:
        return str(json.loads(kept.read_text("utf-8"))["tuermer_grafana"])
    except OSError as error:
        raise ConfigError(f"the embedded database has not been started yet ({kept} is not there); start Türmer once") from error


def _address(config: Config) -> tuple[str, str]:
    """host:port as Grafana reaches it, and the database's name."""
    if config.database.url == "embedded":
        port = Path(config.database.directory) / "port"
        own = f"127.0.0.1:{port.read_text('utf-8').strip()}" if port.is_file() else "127.0.0.1:5432"
        return config.grafana.database_address or own, "tuermer"
    parts = urlsplit(config.database.url)
    host = parts.hostname or "127.0.0.1"
    own = f"{f'[{host}]' if ':' in host else host}:{parts.port or 5432}"
    return config.grafana.database_address or own, parts.path.lstrip("/") or "tuermer"


def _on_this_machine(address: str) -> bool:
    host = address.rpartition(":")[0].strip("[]")
    if host == "localhost" or address.startswith("/"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _contact_points(grafana: Grafana, tenant: str, secrets: Secrets) -> Iterator[ContactPoint]:
    """One integration per contact point and thing told; Grafana joins those of one name."""
    for point in grafana.contact_points:
        if point.tenant not in ("", tenant):
            continue
        settings, hidden = _settings(point, secrets)
        for route in point.told:
            yield ContactPoint(f"tuermer-{route}-{point.name}", receiver(route), point.type, settings, hidden, point.resolved)


def _settings(point: Point, secrets: Secrets) -> tuple[Json, tuple[str, ...]]:
    """Grafana's settings with our texts where none are given, and the names of the secret ones."""
    settings: Json = _plain(point.settings, secrets)
    hidden = {
        **{key: (name, "") for key, name in point.secrets_env.items()},
        **{key: ("", name) for key, name in point.secrets_file.items()},
    }
    for key, (variable, file) in hidden.items():
        *tables, last = key.split(".")
        place = settings
        for table in tables:
            place = place.setdefault(table, {})
        place[last] = secrets.get(f"{key} of the contact point {point.name}", variable, file)
    title, body = TEXTS.get(point.type, ("", ""))
    for key, text in ((title, TITLE), (body, BODY)):
        if key != "":
            settings.setdefault(key, text)
    if "hmacConfig" in settings:
        settings["hmacConfig"].setdefault("header", "X-Grafana-Alerting-Signature")
        settings["hmacConfig"].setdefault("timestampHeader", "X-Grafana-Alerting-Timestamp")
    return settings, tuple(hidden)


def _plain(value: Mapping[str, Any], secrets: Secrets) -> Json:
    return {
        key: _plain(item, secrets) if isinstance(item, dict) else secrets.plain(item) if isinstance(item, str) else item
        for key, item in value.items()
    }
