"""Whose login is used for what, and where it comes from: the environment or files, never the configuration file.

Three accounts per organisation, each with the least that its work needs: `bootstrap` (Admin, short-lived) makes data source,
team and rights; `content` (Editor) writes everything else; `runtime` (no role, may look into our folder) reads verdicts.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from detector.config import ConfigError
from detector.configload import secret
from detector.grafana.adapter import Who
from detector.grafana.api import Grafana
from detector.grafanasections import Grafana as Section
from detector.grafanasections import Organisation

Account = Literal["bootstrap", "content", "runtime"]
ROLES: dict[Account, str] = {"bootstrap": "Admin", "content": "Editor", "runtime": "None"}


def account_name(account: Account) -> str:
    """The service account's name in Grafana."""
    return f"tuermer-{account}"


def token_file(section: Section, tenant: str, account: Account) -> Path:
    """Where `tuermer grafana tenant` puts a token and where it is looked for if no variable is named."""
    return Path(section.directory) / f"{tenant}.{account}"


def token(section: Section, organisation: Organisation, account: Account, environ: Mapping[str, str]) -> str | None:
    """The token, or None if there is none. A file that others may read ends with a sentence."""
    name = getattr(organisation, f"{account}_token_env")
    if name != "":
        return environ.get(name) or None
    path = token_file(section, organisation.tenant, account)
    if not path.is_file():
        return None
    if stat.S_IMODE(path.stat().st_mode) & 0o007:
        raise ConfigError(f"{path} holds a token and every user of this machine may open it; say chmod o= {path}")
    return path.read_text("utf-8").strip() or None


def login(section: Section, organisation: Organisation, account: Account, environ: Mapping[str, str] = os.environ) -> Grafana:
    """A connection with one account's token; ConfigError says where to get one."""
    found = token(section, organisation, account, environ)
    if found is None:
        name = getattr(organisation, f"{account}_token_env")
        place = f"the environment variable {name}" if name != "" else str(token_file(section, organisation.tenant, account))
        raise ConfigError(f"there is no {account} token of {organisation.tenant} in {place}; {_remedy(organisation.tenant, account)}")
    who = Who(f"the {account} token of {organisation.tenant}", _remedy(organisation.tenant, account))
    return Grafana(section.url, found, who, ca_file=section.ca_file, timeout=section.timeout_seconds)


def admin(section: Section, environ: Mapping[str, str], organisation: int | None = None) -> Grafana | None:
    """The server admin, acting in one organisation; None if no password is given."""
    named = section.admin_password_env != "" or section.admin_password_file != ""
    if not named or (section.admin_password_env != "" and environ.get(section.admin_password_env, "") == ""):
        return None
    if section.admin_password_file != "" and not Path(section.admin_password_file).is_file():
        return None
    password = secret(section.admin_password_env, section.admin_password_file, environ)
    who = Who(f"the server admin {section.admin_user}", "check grafana.admin_user and its password")
    login_as = (section.admin_user, password)
    return Grafana(section.url, login_as, who, organisation=organisation, ca_file=section.ca_file, timeout=section.timeout_seconds)


def keep(section: Section, tenant: str, account: Account, value: str) -> Path:
    """Write a token where only we can read it."""
    path = token_file(section, tenant, account)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
        out.write(value + "\n")
    return path


def _remedy(tenant: str, account: Account) -> str:
    return f"make one with `tuermer grafana tenant {tenant}`, or in Grafana a service account with the role {ROLES[account]}"
