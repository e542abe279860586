"""The verbs of Grafana: `grafana tenant|bootstrap|push|diff|export`. As in `cli`, each parses, calls and prints."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from detector.options import DEFAULT_CONFIG, ConfigFile, Failed

if TYPE_CHECKING:
    from detector.grafana.push import Outcome
    from detector.grafana.work import Site

grafana = App(name="grafana", help="The analysts' console: push it, see what differs, write it as files.")


def _site(config: Path) -> Site:
    from detector.configload import load
    from detector.grafana.work import Site

    environ = dict(os.environ)
    return Site(load(config, environ, "score"), environ, time.sleep, time.time, _tell)


def _tell(line: str) -> None:
    print(f"  {line}", file=sys.stderr, flush=True)


@grafana.command
def tenant(name: str, *, config: ConfigFile = DEFAULT_CONFIG) -> None:
    """Make a tenant's organisation, its three accounts and their tokens. Takes the server admin's login, once.

    Parameters
    ----------
    name
        The tenant. Tokens are written into grafana.directory; the bootstrap token lives for an hour.
    """
    site = _site(config)
    (organisation,) = site.chosen(name)
    site.setup(organisation, ("bootstrap", "content", "runtime"))
    print(f"{name}: organisation and accounts are there; next: tuermer grafana push")


@grafana.command
def bootstrap(*, tenant: str | None = None, config: ConfigFile = DEFAULT_CONFIG) -> None:
    """Make what only an Admin may: the data source, and the rights of the run-time account and the verdict team."""
    from detector.grafana import work

    _report(work.bootstrap(_site(config), tenant))


@grafana.command
def push(*, tenant: str | None = None, prune: bool = False, resend: bool = False, config: ConfigFile = DEFAULT_CONFIG) -> None:
    """Make Grafana hold what the configuration says. Writes only what differs; a push that was cut off is simply repeated.

    Parameters
    ----------
    tenant
        Only this one; else all.
    prune
        Also remove what is ours and no longer wanted.
    resend
        Also write changes that make Grafana tell every open alert as resolved and again as new.
    """
    from detector.grafana import work

    try:
        _report(work.push(_site(config), tenant, prune=prune, resend=resend))
    except KeyboardInterrupt:
        raise Failed(
            "stopped in the middle: alert rules may be paused, and rights may be missing; say tuermer grafana push again"
        ) from None


@grafana.command
def diff(
    *, tenant: str | None = None, config: ConfigFile = DEFAULT_CONFIG, as_json: Annotated[bool, Parameter(name="--json")] = False
) -> None:
    """Say in words what a push would write, also what somebody changed by hand. Writes nothing."""
    from detector.grafana import work

    found = work.diff(_site(config), tenant)
    if not as_json:
        print("\n".join(line for difference in found for line in work.words(difference)))
        return
    rows = [
        {
            "tenant": difference.tenant,
            "changes": [
                {"object": c.name, "action": c.action, "why": c.why, "resends": c.resends, "by_hand": c.by_hand}
                for c in difference.plan.changes
            ],
            "rights": difference.rights,
            "stale": [change.name for change in difference.plan.stale],
        }
        for difference in found
    ]
    print(json.dumps(rows, indent=2, ensure_ascii=False))


@grafana.command
def export(
    folder: Path, *, tenant: str | None = None, org: int = 1, place: str = "/etc/grafana/provisioning", config: ConfigFile = DEFAULT_CONFIG
) -> None:
    """Write the same as provisioning files for a Grafana whose API nobody may use.

    Parameters
    ----------
    folder
        Where to; copy its content into Grafana's provisioning folder, then restart Grafana.
    org
        Number of the organisation in Grafana.
    place
        Grafana's provisioning folder as Grafana itself sees it.
    """
    from detector.grafana import work

    written = work.export(_site(config), folder, tenant, org, place)
    print("\n".join(str(path) for path in written))
    _tell(f"for the organisation with the number {org}; --org says another")
    for reference in work.references(written):
        _tell(f"Grafana looks up {reference} itself; give it to its service")


def _report(done: list[tuple[str, Outcome]]) -> None:
    """What was written; a warning makes the command fail after all is done."""
    warnings = [f"{tenant}: {text}" for tenant, outcome in done for text in outcome.warnings]
    for tenant, outcome in done:
        done_here = f"{len(outcome.written)} written, {len(outcome.removed)} removed"
        print(f"{tenant}: {done_here if outcome.written + outcome.removed != [] else 'nothing to do'}")
        if outcome.stale != []:
            print(f"  not wanted any more, push --prune removes: {', '.join(outcome.stale)}")
    if warnings != []:
        raise Failed("\n         ".join(warnings))
