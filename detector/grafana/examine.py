"""What `tuermer doctor` asks Grafana, mostly with the run-time token: address, rights, buttons, and who else may read. Changes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from urllib.parse import urlsplit

from detector.config import ConfigError
from detector.grafana import tokens
from detector.grafana.adapter import Trouble
from detector.grafana.api import Grafana
from detector.grafana.model import DATASOURCE, FOLDER
from detector.grafana.tokens import account_name
from detector.grafana.wanted import organisations
from detector.grafana.work import Site
from detector.grafanasections import Organisation

OLDEST = 12
NEEDED = ("annotations:read", "dashboards:read", "alert.rules:read")
PORTS = {"http": 80, "https": 443}
Found = tuple[str, bool, str]  # check, whether it holds, one sentence


def examine(site: Site) -> Iterator[Found]:
    """Nothing if no Grafana is configured."""
    if site.config.grafana.url == "":
        return
    for number, organisation in enumerate(organisations(site.config)):
        name = f"grafana {organisation.tenant}"
        try:
            with tokens.login(site.config.grafana, organisation, "runtime", site.environ) as runtime:
                if number == 0:
                    yield from _server(runtime, site.config.grafana.url)
                yield _rights(name, runtime)
            yield from _content(name, site, organisation)
            yield _readers(name, site, organisation)
        except (ConfigError, Trouble) as error:
            yield name, False, str(error)


def _server(runtime: Grafana, url: str) -> Iterator[Found]:
    version = runtime.version()
    major = version.split(".")[0]
    old = not major.isdigit() or int(major) < OLDEST
    yield "grafana", not old, f"Grafana {version} answers" if not old else f"Grafana {version} is older than {OLDEST}.0; update it"
    root = str(runtime.frontend_settings().get("appUrl", ""))
    if same_place(root, url):
        yield "grafana root_url", True, f"is {root}"
    else:
        line = f"root_url = {url}"
        yield (
            "grafana root_url",
            False,
            f"Grafana believes to be at {root}, so verdict buttons fail in every browser that calls it {url}; write below [server] in"
            f" grafana.ini: {line}",
        )
    yield _buttons(runtime)


def _buttons(runtime: Grafana) -> Found:
    try:
        runtime.button()
    except Trouble as trouble:
        if trouble.status == 405:
            line = "actions_allow_post_url = /api/annotations"
            return "grafana buttons", False, f"Grafana lets no verdict button through; write below [security] in grafana.ini: {line}"
        if trouble.status not in (400, 403, 500):
            raise
    return "grafana buttons", True, "Grafana lets verdicts through"


def _rights(name: str, runtime: Grafana) -> Found:
    """What the run-time token may do: look into our folder, and nothing else worth stealing."""
    rights = runtime.rights()
    lacking = [action for action in NEEDED if not _covers(rights.get(action, []))]
    if lacking != []:
        return f"{name} rights", False, f"the run-time token may not {', '.join(lacking)} in our folder; say `tuermer grafana bootstrap`"
    wide = sorted(action for action in rights if action == "datasources:query" or action.endswith((":write", ":create", ":delete")))
    if wide != []:
        text = f"the run-time token may also {', '.join(wide[:4])}; give its service account the role None"
        return f"{name} rights", False, text
    return f"{name} rights", True, "the run-time token reads verdicts and rule states, and nothing else"


def _covers(scopes: list[str]) -> bool:
    return f"folders:uid:{FOLDER}" in scopes or "folders:*" in scopes or "folders:uid:*" in scopes


def _content(name: str, site: Site, organisation: Organisation) -> Iterator[Found]:
    """The data source, if the token that may look at it lies here."""
    if tokens.token(site.config.grafana, organisation, "content", site.environ) is None:
        return
    with tokens.login(site.config.grafana, organisation, "content", site.environ) as content:
        if content.datasource(DATASOURCE) is None:
            yield f"{name} data source", False, "is missing; say `tuermer grafana push`"
            return
        healthy, said = content.health(DATASOURCE)
        text = "reaches the database" if healthy else f"does not reach the database: {said}"
        yield f"{name} data source", healthy, text


def _readers(name: str, site: Site, organisation: Organisation) -> Found:
    """Every Viewer may send any SQL to every data source of the organisation; so all who are in it can read this tenant's rows."""
    with site.boss(organisation) as boss:
        if boss is None:
            return (
                f"{name} readers",
                True,
                "who else can query this organisation was not counted: Grafana tells that only to an Admin's token",
            )
        people = Counter(member["role"] for member in boss.members() if member["role"] != "None")
        ours = {account_name("content"), account_name("bootstrap")}
        accounts = [a["name"] for a in boss.service_accounts() if a["role"] != "None" and a["name"] not in ours]
    roles = ", ".join(f"{number} {role}" for role, number in sorted(people.items()))
    text = f"{sum(people.values())} people ({roles or 'none'}) can send any SQL to this organisation's data source"
    if accounts == []:
        return f"{name} readers", True, text
    return (
        f"{name} readers",
        False,
        f"{text}, and so can the foreign accounts {', '.join(accounts)}; remove what does not belong to this tenant",
    )


def same_place(one: str, other: str) -> bool:
    """Whether two addresses lead to the same page: scheme, host, port and path."""

    def parts(url: str) -> tuple[str, str, int | None, str]:
        found = urlsplit(url)
        return found.scheme, found.hostname or "", found.port or PORTS.get(found.scheme), found.path.rstrip("/")

    return parts(one) == parts(other)
