"""The verbs of people: `go-live`, `suppress add|list|end`, `digest`. As in `cli`, each parses, calls and prints."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Annotated, Literal

from cyclopts import App, Parameter
from cyclopts.validators import Number

from detector.options import DEFAULT_CONFIG, ConfigFile, Failed

suppress = App(name="suppress", help="What nobody wants to be told about: add, list with what was hidden, end.")


def go_live(*, tenant: str, by: str, config: ConfigFile = DEFAULT_CONFIG, yes: bool = False) -> None:
    """End a tenant's learning phase, after showing what would have been notified.

    Parameters
    ----------
    by
        Your name; it is kept.
    yes
        Do not ask.
    """
    from detector import desk
    from detector.store import learning

    now = time.time_ns() // 1000
    if by.strip() == "":
        raise Failed("say who ends the learning phase: --by NAME")
    with desk.visiting(config, dict(os.environ)) as (_, database):
        print("\n".join(desk.before_going_live(database, tenant, now)))
        if not yes and not _agreed(f"End the learning phase of {tenant}? [y/N] "):
            raise Failed("the learning phase goes on; to end it without being asked, add --yes")
        if not learning.go_live(database, tenant, by, now):
            raise Failed(f"somebody else has just ended the learning phase of {tenant}")
    print(f"{tenant} is live from now on; ended by {by}.")


def _agreed(question: str) -> bool:
    return sys.stdin.isatty() and input(question).strip().lower() in ("y", "yes", "j", "ja")


@suppress.command(name="add")
def suppress_add(
    *,
    by: str,
    reason: str,
    incident: str = "",
    tenant: str = "",
    entity: str = "",
    technique: str = "",
    signature: tuple[str, ...] = (),
    days: Annotated[int | None, Parameter(validator=Number(gte=1, lte=365))] = None,
    config: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Stop notifications about what an incident is about, or about an entity that you name.

    Parameters
    ----------
    by
        Your name; it is kept, as is the reason.
    incident
        Take entity, technique, reasons and strength from this incident.
    entity
        Or name it: field=value, field being service, source.ip, user.name, host.name, network or role. With --tenant.
    technique
        ATT&CK id or family; empty: any.
    signature
        Features that may speak; none: any.
    days
        30 by default. On a person's or client's token it ends with the token, at 05:00.
    """
    from detector import desk
    from detector.store.suppressions import Given

    now = time.time_ns() // 1000
    if (incident == "") == (entity == "") or (entity != "" and tenant == ""):
        raise Failed("name either --incident ID, or --tenant T and --entity field=value")
    with desk.visiting(config, dict(os.environ)) as (settings, database):
        if incident != "":
            lines = desk.suppress_incident(database, settings, incident, by, reason, days, now)
        else:
            field, _, value = entity.partition("=")
            wanted = Given(tenant, field, value, by, reason, technique, signature, desk.after(days, now))
            lines = desk.give(database, settings, wanted, now)
    print("\n".join(lines))


@suppress.command(name="list")
def suppress_list(
    *, tenant: str | None = None, config: ConfigFile = DEFAULT_CONFIG, as_json: Annotated[bool, Parameter(name="--json")] = False
) -> None:
    """All suppressions with what they hid: how many incidents, and when the last."""
    from detector import desk
    from detector.store import suppressions

    with desk.visiting(config, dict(os.environ)) as (_, database):
        rows = suppressions.listed(database, tenant)
    print(json.dumps(rows, indent=2, ensure_ascii=False, default=str) if as_json else "\n".join(desk.suppression_lines(rows)))


@suppress.command(name="end")
def suppress_end(number: int, *, by: str, config: ConfigFile = DEFAULT_CONFIG) -> None:
    """End a suppression now; what it hides and goes on is decided anew."""
    from detector import desk
    from detector.store import suppressions

    with desk.visiting(config, dict(os.environ)) as (_, database):
        if not suppressions.end(database, number, by, time.time_ns() // 1000):
            raise Failed(f"there is no suppression {number} in force")
    print(f"suppression {number} has ended")


def drill(*, tenant: str, attack: Literal["brute-force", "port-scan"] = "brute-force", config: ConfigFile = DEFAULT_CONFIG) -> None:
    """Play a rehearsed attack into a tenant's real topic and say when each stage had it: detection works, or where it is stuck.

    Parameters
    ----------
    tenant
        Whose topic. The lines carry documentation addresses and the account tuermer-drill; the incident says that it is a drill.
    """
    from detector.drill import drill as stages

    for stage in stages(config, dict(os.environ), tenant, attack):
        print(f"{stage.seconds:8.2f} s  {stage.name:13} {stage.detail}", flush=True)


def digest(
    *,
    tenant: str,
    day: str | None = None,
    language: Literal["de", "en"] = "de",
    config: ConfigFile = DEFAULT_CONFIG,
    as_json: Annotated[bool, Parameter(name="--json")] = False,
) -> None:
    """The daily digest: of a day, or the last 24 hours until now (not stored)."""
    from detector import desk

    with desk.visiting(config, dict(os.environ)) as (settings, database):
        document = desk.digest_document(database, settings, tenant, day, time.time_ns() // 1000)
    print(json.dumps(document, indent=2, ensure_ascii=False) if as_json else desk.digest_text(document, language), end="")
