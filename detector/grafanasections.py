"""The sections of the configuration that belong to Grafana; `detector.config` puts all sections together."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Struct

from detector.sections import doc

Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
Told = Literal["urgent", "rest", "health", "budget"]


class Organisation(Struct, frozen=True, forbid_unknown_fields=True):
    """One tenant's organisation in Grafana. Tokens come from the named variables, or from files in `grafana.directory`."""

    tenant: Annotated[str, doc("whose incidents it shows")]
    name: Annotated[str, doc("of the organisation in Grafana; empty = the tenant's")] = ""
    verdict_team: Annotated[str, doc("team in Grafana that may press the verdict buttons and edit nothing else; made if missing")] = ""
    database_login_file: Annotated[
        str,
        doc(
            "PostgreSQL login of its data source, as `tuermer tenant add` writes it; empty = <directory>/<tenant>.grafana.login, or the"
            " embedded server's"
        ),
    ] = ""
    database_user: Annotated[str, doc("or the role's name")] = ""
    database_password_env: Annotated[str, doc("and the environment variable with its password")] = ""
    content_token_env: Annotated[str, doc("environment variable with the Editor's token; empty = <directory>/<tenant>.content")] = ""
    runtime_token_env: Annotated[str, doc("the same for the token without a role; empty = <directory>/<tenant>.runtime")] = ""
    bootstrap_token_env: Annotated[str, doc("the same for the short-lived Admin's; empty = <directory>/<tenant>.bootstrap")] = ""


class ContactPoint(Struct, frozen=True, forbid_unknown_fields=True):
    """Whom Grafana tells. `settings` are Grafana's own for this type, secrets among them come from variables or files."""

    name: Annotated[str, doc("short, small letters, digits and dashes")]
    type: Annotated[str, doc("webhook, email, or any other that your Grafana knows: slack, teams, jira, …")] = "webhook"
    tenant: Annotated[str, doc("empty = every tenant")] = ""
    told: Annotated[list[Told], doc("what it is told about")] = msgspec.field(
        default_factory=lambda: ["urgent", "rest", "health", "budget"],
    )
    resolved: Annotated[bool, doc("also told when it is over")] = True
    settings: Annotated[dict[str, Any], doc("as in Grafana: url for a webhook, addresses for e-mail")] = {}
    secrets_env: Annotated[dict[str, str], doc("setting = environment variable; a webhook is signed by `hmacConfig.secret`")] = {}
    secrets_file: Annotated[dict[str, str], doc("setting = file")] = {}


class Grafana(Struct, frozen=True, forbid_unknown_fields=True):
    """What `tuermer grafana push` connects to and writes; see docs/grafana.md."""

    url: Annotated[str, doc("as analysts type it, with the sub-path if there is one; empty = no Grafana")] = ""
    ca_file: Annotated[str, doc("certificates that sign Grafana's; empty = the system's")] = ""
    timeout_seconds: Annotated[int, doc("for one answer of Grafana", ge=1, le=120)] = 15
    language: Annotated[Literal["", "de", "en"], doc("of dashboards and messages; empty = `language`")] = ""
    lock_in_ui: Annotated[bool, doc("alert rules, contact points, templates and mute timings cannot be edited in the browser")] = True
    directory: Annotated[str, doc("tokens that `tuermer grafana tenant` makes, and what was pushed last")] = "grafana"
    admin_user: Annotated[str, doc("server admin; needed once per organisation")] = "admin"
    admin_password_env: Annotated[str, doc("name of the environment variable that holds the password")] = ""
    admin_password_file: Annotated[str, doc("or the file that holds it")] = ""
    database_address: Annotated[str, doc("host:port of PostgreSQL as Grafana reaches it; empty = that of database.url")] = ""
    database_tls: Annotated[
        Literal["", "disable", "require", "verify-ca", "verify-full"],
        doc("sslmode between Grafana and PostgreSQL; empty = verify-full, on this machine disable"),
    ] = ""
    database_ca_file: Annotated[str, doc("certificates that sign PostgreSQL's; sent to Grafana")] = ""
    office_days: Annotated[list[Weekday], doc("on these days, between these hours, the rest is told at once; else by the digest")] = (
        msgspec.field(default_factory=lambda: ["monday", "tuesday", "wednesday", "thursday", "friday"])
    )
    office_begin: Annotated[str, doc("tenant time")] = "08:00"
    office_end: Annotated[str, doc("tenant time")] = "17:00"
    runbooks: Annotated[str, doc("URL under which the files of deploy/runbooks can be read; messages link to it")] = ""
    organisations: Annotated[list[Organisation], doc("one per tenant; none = every tenant with the defaults")] = []
    contact_points: Annotated[list[ContactPoint], doc("at least one for each of urgent, rest, health, budget")] = []


class Links(Struct, frozen=True, forbid_unknown_fields=True):
    """Where else one can look."""

    raw_search: Annotated[dict[str, str], doc("title = URL of a log search (Kibana, Splunk, Loki); see docs/grafana.md")] = {}


def absolute(grafana: Grafana, folder: Path) -> Grafana:
    """The section with the files of its lists below `folder`, where the configuration lies."""

    def placed(name: str) -> str:
        return str(folder / name) if name != "" else ""

    return msgspec.structs.replace(
        grafana,
        organisations=[msgspec.structs.replace(o, database_login_file=placed(o.database_login_file)) for o in grafana.organisations],
        contact_points=[
            msgspec.structs.replace(p, secrets_file={key: placed(name) for key, name in p.secrets_file.items()})
            for p in grafana.contact_points
        ],
    )
