"""The verbs of data protection: `tenant`, `hold`, `night`, `privacy`. As in `cli`, each parses, calls and prints."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter
from cyclopts.validators import Number

from detector.options import DEFAULT_CONFIG, ConfigFile, Failed

tenant = App(name="tenant", help="Database logins of one tenant: for its dashboards, its auditor, its notebooks.")
hold = App(name="hold", help="Keep an incident for a case although its time is up.")
privacy = App(name="privacy", help="What is stored of whom, who can read it, and whether a name is anywhere.")


@tenant.command(name="add")
def tenant_add(name: str, *, out: Path = Path(), config: ConfigFile = DEFAULT_CONFIG) -> None:
    """Make the logins of a tenant; from the first tenant on the shared logins see health only.

    Parameters
    ----------
    out
        Folder for the files NAME.grafana.login, NAME.auditor.login and NAME.trainer.login: role and password, one line each.
    """
    from detector import custody

    for path in custody.add_tenant(config, name, out, dict(os.environ), _now()):
        print(path)


@tenant.command(name="renew")
def tenant_renew(name: str, *, out: Path = Path(), config: ConfigFile = DEFAULT_CONFIG) -> None:
    """New passwords for a tenant's logins; the old ones end at once."""
    from detector import custody

    for path in custody.renew_tenant(config, name, out, dict(os.environ), _now()):
        print(path)


@tenant.command(name="remove")
def tenant_remove(name: str, *, config: ConfigFile = DEFAULT_CONFIG) -> None:
    """Take a tenant's logins away. Its data stay until their time is up."""
    from detector import custody

    for role in custody.remove_tenant(config, name, dict(os.environ), _now()):
        print(f"removed {role}")


@tenant.command(name="list")
def tenant_list(*, config: ConfigFile = DEFAULT_CONFIG) -> None:
    """Tenants that have logins of their own."""
    from detector import desk
    from detector.store import tenancy

    with desk.visiting(config, dict(os.environ)) as (_, database), database.transaction() as connection:
        for role, kind, name in tenancy.roles(connection):
            print(f"{name:<24} {kind:<8} {role}")


@hold.command(name="add")
def hold_add(
    *,
    incident: str,
    case: str,
    reason: str,
    by: str,
    days: Annotated[int, Parameter(validator=Number(gte=1, lte=1098))] = 180,
    config: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Keep an incident with its evidence and the sealed links of its tokens.

    Parameters
    ----------
    case
        Number of the case.
    by
        Your name; it is kept, as is the reason.
    days
        Then it ends by itself.
    """
    from detector import desk
    from detector.store import holds

    with desk.visiting(config, dict(os.environ)) as (_, database):
        number = holds.add(database, incident, case, reason, by, days, _now())
    print(f"hold {number}: {incident} is kept for {days} days for the case {case}")


@hold.command(name="list")
def hold_list(*, config: ConfigFile = DEFAULT_CONFIG, as_json: Annotated[bool, Parameter(name="--json")] = False) -> None:
    """Holds in force, the next to expire first."""
    from detector import desk
    from detector.store import holds

    with desk.visiting(config, dict(os.environ)) as (_, database):
        rows = holds.listed(database, _now())
    if as_json:
        print(json.dumps(rows, indent=2, ensure_ascii=False, default=str))
    else:
        for row in rows:
            until = f"until {row['expires']:%Y-%m-%d}"
            print(f"{row['id']:>5}  {until}  {row['case_number']:<16} {row['incident']}  {row['author']}: {row['reason']}")


@hold.command(name="end")
def hold_end(number: int, *, by: str, config: ConfigFile = DEFAULT_CONFIG) -> None:
    """End a hold now; what it kept goes the next night if its time is up."""
    from detector import desk
    from detector.store import holds

    with desk.visiting(config, dict(os.environ)) as (_, database):
        if not holds.end(database, number, by, _now()):
            raise Failed(f"there is no hold {number} in force")
    print(f"hold {number} has ended")


def night(*, config: ConfigFile = DEFAULT_CONFIG, as_json: Annotated[bool, Parameter(name="--json")] = False) -> None:
    """Delete what is past its time, now; a running daemon does it every night at 03:00. Prints the record."""
    from detector import custody

    record = custody.night(config, dict(os.environ), _now())
    print(json.dumps(record, indent=2, ensure_ascii=False) if as_json else "\n".join(custody.record_lines(record)))


@privacy.command(name="report")
def privacy_report(
    *,
    language: Literal["de", "en"] = "de",
    sign: bool = False,
    config: ConfigFile = DEFAULT_CONFIG,
    as_json: Annotated[bool, Parameter(name="--json")] = False,
) -> None:
    """What is stored, why, how long, where, and who can read it, as the database itself says; and what changed since the last one.

    Parameters
    ----------
    sign
        Keep this report, signed with audit.key_file: the next one is compared with it.
    """
    from detector import proof
    from detector.prooftext import written

    report, changes = proof.report(config, dict(os.environ), _now(), sign=sign)
    print(
        json.dumps({"report": report, "changes": changes}, indent=2, ensure_ascii=False) if as_json else written(report, changes, language)
    )


@privacy.command(name="verify")
def privacy_verify(*paths: Path, config: ConfigFile = DEFAULT_CONFIG, as_json: Annotated[bool, Parameter(name="--json")] = False) -> None:
    """Count names and addresses, one per line on standard input, in every store. Zero is the only good answer.

    Parameters
    ----------
    paths
        Further files and folders: logs, exports.
    """
    from detector import proof

    needles = [line.strip() for line in sys.stdin.read().splitlines() if line.strip() != ""]
    counts = proof.verify(config, paths, needles, dict(os.environ))
    if as_json:
        print(json.dumps([{"store": place, "bytes": size, "hits": found} for place, size, found in counts], indent=2, ensure_ascii=False))
    else:
        print("\n".join(f"{found:>6}  {place}  ({size} bytes)" for place, size, found in counts))
    if any(found for _, _, found in counts):
        raise SystemExit(1)


def _now() -> int:
    return time.time_ns() // 1000
