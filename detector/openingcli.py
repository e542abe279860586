"""The verbs around names: `open`, `auskunft`, `audit`, `keys rotate|shred`. As in `cli`, each parses, calls and prints.

Each key is a file with a passphrase, which comes from the terminal, a file or the variable TUERMER_PASSPHRASE, never from the command line.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from detector.options import DEFAULT_CONFIG, ConfigFile, Failed

opening = App(name="open", help="Names of one incident: ask for them, approve, refuse, show; two people of two groups together.")
audit = App(name="audit", help="The audit log: verify its chains and signatures, export it.")


@opening.default
def ask(
    incident: str,
    *,
    case: str,
    reason: str,
    key: Path,
    passphrase_file: Path | None = None,
    break_glass: bool = False,
    config: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Ask for the names of one incident. A person of another group has to approve.

    Parameters
    ----------
    incident
        Its id, or the beginning of it.
    case
        Number of the case that it is needed for; it is kept.
    reason
        Why; it is kept and shown to the person who decides.
    key
        Your key file.
    break_glass
        Without a second person, where that is configured: the data protection officer is told at once.
    """
    from detector import desk
    from detector.opening import requests
    from detector.privacy.keyfiles import opened

    now = time.time_ns() // 1000
    with desk.visiting(config, dict(os.environ)) as (settings, database):
        if break_glass and settings.opening.break_glass_key_file == "":
            raise Failed("opening.break_glass_key_file is not set: nobody opens names alone here")
        one = requests.ask(database, settings, opened(key, passphrase_file), incident, case, reason, now, break_glass=break_glass)
    print(f"request {one.id}: the names of incident {one.incident}, case {one.case_number}")
    print(
        "The daemon answers within a minute." if break_glass else f"Next, a person of another group: tuermer open approve {one.id} --key …"
    )


@opening.command(name="approve")
def approve(
    request: str, *, key: Path, passphrase_file: Path | None = None, yes: bool = False, config: ConfigFile = DEFAULT_CONFIG
) -> None:
    """Agree, with your own key: hands over the second half for exactly the names asked for, readable by the requester alone.

    Parameters
    ----------
    yes
        Do not ask.
    """
    from detector import desk
    from detector.opening import approval
    from detector.privacy.keyfiles import opened

    with desk.visiting(config, dict(os.environ)) as (settings, database):
        person = opened(key, passphrase_file)
        one = approval.permitted(database, settings, person, request, time.time_ns() // 1000)
        asked = f"{one.requester} asked {one.requested:%Y-%m-%d %H:%M} UTC for the names of incident {one.incident} ({one.tenant})"
        print(f"{asked}, case {one.case_number}:\n  {one.reason}")
        if not yes and not (sys.stdin.isatty() and input("Agree? [y/N] ").strip().lower() in ("y", "yes", "j", "ja")):
            raise Failed("not approved; to agree without being asked, add --yes")
        approval.approve(database, settings, person, request, time.time_ns() // 1000)
    print(f"approved; {one.requester} goes on with: tuermer open show {one.id} --key …")


@opening.command(name="refuse")
def refuse(request: str, *, reason: str, key: Path, passphrase_file: Path | None = None, config: ConfigFile = DEFAULT_CONFIG) -> None:
    """Say no, with a reason that the requester reads."""
    from detector import desk
    from detector.opening import requests
    from detector.privacy.keyfiles import opened

    with desk.visiting(config, dict(os.environ)) as (settings, database):
        requests.refuse(database, settings, opened(key, passphrase_file), request, reason, time.time_ns() // 1000)
    print("refused")


@opening.command(name="show")
def show(request: str, *, key: Path, passphrase_file: Path | None = None, config: ConfigFile = DEFAULT_CONFIG) -> None:
    """Unlock the names of your own approved request for the page: prints the code to enter there. The names are not printed."""
    from detector import desk
    from detector.opening import names
    from detector.privacy.keyfiles import opened

    with desk.visiting(config, dict(os.environ)) as (settings, database):
        one, code = names.unlock(database, settings, opened(key, passphrase_file), request, time.time_ns() // 1000)
        where = f"http{'s' if settings.page.cert_file != '' else ''}://{settings.page.listen}/openings/{one.id}"
    print(
        f"{where}\nview code: {code}\nvalid until {one.expires:%Y-%m-%d %H:%M} UTC; the page wants a login of yours in the group approver"
    )


@opening.command(name="list")
def listed(*, config: ConfigFile = DEFAULT_CONFIG, as_json: Annotated[bool, Parameter(name="--json")] = False) -> None:
    """All requests with what became of them; no names."""
    from detector import desk
    from detector.store import openings

    with desk.visiting(config, dict(os.environ)) as (_, database), database.transaction() as connection:
        found = openings.newest(connection, None)
    rows = [
        {
            "id": str(one.id), "tenant": one.tenant, "incident": str(one.incident), "case": one.case_number, "requester": one.requester,
            "requested": f"{one.requested:%Y-%m-%dT%H:%M:%SZ}", "state": one.state, "answered_by": one.answered_by,
            "expires": f"{one.expires:%Y-%m-%dT%H:%M:%SZ}", "break_glass": one.break_glass,
        }
        for one in found
    ]  # fmt: skip
    lines = [f"{row['id']}  {row['requested']}  {row['state']:<8}  {row['requester']}  {row['tenant']}: {row['case']}" for row in rows]
    print(json.dumps(rows, indent=2, ensure_ascii=False) if as_json else "\n".join(lines))


@audit.command(name="verify")
def verify(*, tenant: str | None = None, key: Path | None = None, anchor: Path | None = None, config: ConfigFile = DEFAULT_CONFIG) -> None:
    """Walk the chains: finds any row that was changed, removed or reordered, and any signature that is not the daemon's.

    Parameters
    ----------
    tenant
        Only this tenant's chain; otherwise all that you may see.
    key
        The daemon's public key, as you kept it; otherwise the .pub beside audit.key_file.
    anchor
        Your copy of the anchor file; otherwise audit.anchor_file.
    """
    from detector import desk
    from detector.opening import verifying

    with desk.visiting(config, dict(os.environ)) as (settings, database):
        found = verifying.chains(database, settings, tenant, key, anchor)
    for one in found:
        print(verifying.line(one))
    if any(one.troubles != () for one in found):
        raise Failed("the audit log is not as it was written")


@audit.command(name="export")
def export(*, tenant: str | None = None, out: Path | None = None, config: ConfigFile = DEFAULT_CONFIG) -> None:
    """Every row and signature as JSON lines. Needs the auditor's rights only."""
    from detector import desk
    from detector.opening import verifying

    with desk.visiting(config, dict(os.environ)) as (_, database):
        lines = verifying.exported(database, tenant)
    if out is None:
        sys.stdout.writelines(lines)
    else:
        out.write_text("".join(lines), "utf-8")
        print(f"{len(lines)} lines in {out}")


def keys_rotate(group: str, *, tenant: str, key: Path, passphrase_file: Path | None = None, config: ConfigFile = DEFAULT_CONFIG) -> None:
    """Seal what a group holds of the link table anew: to exactly the people who are in it now. Needs the key of one of them.

    Parameters
    ----------
    group
        security, data-protection, …
    """
    from detector import desk
    from detector.opening import recipients
    from detector.privacy.keyfiles import opened

    with desk.visiting(config, dict(os.environ)) as (settings, database):
        for line in recipients.rotate(database, settings, opened(key, passphrase_file), group, tenant, time.time_ns() // 1000):
            print(line)


def keys_shred(tenant: str, *, by: str, yes: bool = False, config: ConfigFile = DEFAULT_CONFIG) -> None:
    """Make all links of a tenant unreadable for ever, also to two people together.

    Parameters
    ----------
    by
        Your login; it is kept.
    yes
        Do not ask.
    """
    from detector import desk
    from detector.opening import recipients

    if not yes and not (sys.stdin.isatty() and input(f"Type {tenant} to shred all its links: ").strip() == tenant):
        raise Failed("nothing was shredded; to do it without being asked, add --yes")
    with desk.visiting(config, dict(os.environ)) as (_, database):
        print(recipients.shred(database, tenant, by, time.time_ns() // 1000))


def auskunft(
    *,
    name: str,
    tenant: str,
    key: Path,
    second_key: Path,
    passphrase_file: Path | None = None,
    second_passphrase_file: Path | None = None,
    out: Path | None = None,
    config: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """What is held about a person, why, until when, and how often it was opened. Two people of two groups come together with their keys.

    Parameters
    ----------
    name
        Account, host name or address, as a log line has it.
    out
        Folder for auskunft.json and auskunft.html; otherwise the JSON is printed.
    """
    from detector import desk
    from detector.opening import auskunft as answer
    from detector.privacy.keyfiles import opened

    now = time.time_ns() // 1000
    with desk.visiting(config, dict(os.environ)) as (settings, database):
        people = opened(key, passphrase_file), opened(second_key, second_passphrase_file)
        found = answer.about(database, settings, people, tenant, name, now)
    if out is None:
        print(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        for path in answer.written(found, out):
            print(path)
