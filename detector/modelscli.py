"""The verbs of models: `models list|show|diff|verify|import|shadow|gates|approve|promote|rollback`. Each parses, calls and prints."""

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

models = App(name="models", help="Models: what judges, what could, and how one takes the other's place.")
AsJson = Annotated[bool, Parameter(name="--json")]
Tenant = Annotated[str, Parameter(help="Whose model; empty: the shared one, for all tenants without their own.")]


def _now() -> int:
    return time.time_ns() // 1000


@models.command(name="list")
def list_(*, config: ConfigFile = DEFAULT_CONFIG, as_json: AsJson = False) -> None:
    """All models with their id and state; without a configuration only the shipped ones."""
    from detector import modelsdesk
    from detector.learn import registry

    if config == DEFAULT_CONFIG and not config.exists():
        rows = [{"tenant": "", "state": "shipped"} | row for row in registry.listed()]
    else:
        with modelsdesk.opened(config, dict(os.environ)) as desk:
            rows = modelsdesk.listed(desk)
    print(json.dumps(rows, indent=2) if as_json else "\n".join(modelsdesk.list_lines(rows)))


@models.command
def show(name: str, *, tenant: Tenant = "", config: ConfigFile = DEFAULT_CONFIG) -> None:
    """A shipped model's manifest by its name; or by its id a model of the registry with steps, approvals and gates."""
    from detector import modelsdesk
    from detector.features.table import read_all
    from detector.learn import registry

    if name in read_all(registry.SHIPPED) or (config == DEFAULT_CONFIG and not config.exists()):
        found = registry.manifest(name)
    else:
        with modelsdesk.opened(config, dict(os.environ)) as desk:
            found = modelsdesk.shown(desk, tenant, name)
    print(json.dumps(found, indent=2, ensure_ascii=False))


@models.command
def diff(model_id: str, *, tenant: Tenant = "", config: ConfigFile = DEFAULT_CONFIG) -> None:
    """How a model of the registry differs from the one that judges, and what that would have changed when its gates were computed."""
    from detector import modelsdesk
    from detector.store import registry

    with modelsdesk.opened(config, dict(os.environ)) as desk:
        mine, entry = modelsdesk.shown(desk, tenant, model_id), desk.entry(tenant, model_id)
        lines = modelsdesk.manifest_lines(mine["manifest"], modelsdesk.champion_manifest(desk, entry))
        computed = registry.gates(desk.database, tenant, entry.model_id)
    print("\n".join([*lines, *([] if computed is None else modelsdesk.difference_lines(computed[2]))]))


@models.command
def verify(*, config: ConfigFile = DEFAULT_CONFIG) -> None:
    """Check every model against its manifest, its pin or its signature; without a configuration the shipped ones."""
    from detector import modelsdesk
    from detector.learn import registry

    if config == DEFAULT_CONFIG and not config.exists():
        wrong = registry.verify()
    else:
        with modelsdesk.opened(config, dict(os.environ)) as desk:
            wrong = modelsdesk.wrong(desk)
    if wrong != []:
        raise Failed("\n".join(wrong))
    print("all models are as they were made")


@models.command(name="import")
def import_(folder: Path, *, tenant: Tenant = "", config: ConfigFile = DEFAULT_CONFIG) -> None:
    """Take a signed candidate (arrays.npz, manifest.json, manifest.sig) into the registry."""
    from detector import modelsdesk
    from detector.learn import promotion

    with modelsdesk.opened(config, dict(os.environ)) as desk:
        entry = promotion.bring(desk, tenant, folder, _now())
    print(f"{entry.model_id} is a candidate for {tenant or 'all tenants'}, trained by {entry.trainer}")


@models.command
def shadow(model_id: str, *, by: str, tenant: Tenant = "", config: ConfigFile = DEFAULT_CONFIG) -> None:
    """Let a candidate judge a sample beside the champion; what it would have said is stored apart and told to nobody.

    Parameters
    ----------
    by
        Your name; it is kept.
    """
    from detector import modelsdesk
    from detector.learn import promotion

    if by.strip() == "":
        raise Failed("say who does this: --by NAME")
    with modelsdesk.opened(config, dict(os.environ)) as desk:
        told = promotion.to_shadow(desk, tenant, model_id, by, _now())
    print(f"{model_id} judges beside the champion of {told} shards")


@models.command
def gates(
    model_id: str,
    *,
    tenant: Tenant = "",
    hours: Annotated[int, Parameter(validator=Number(gte=1, lte=72))] = 72,
    language: Literal["de", "en"] = "de",
    config: ConfigFile = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """Replay the tenant's last hours with attacks among them, through champion and candidate, and compute all gates.

    Parameters
    ----------
    hours
        How far back; tuermer.events keeps at most 72.
    """
    import msgspec

    from detector import modelsdesk

    def told(day: int) -> None:
        if sys.stderr.isatty():
            print(f"\rday {day + 1}", end="", file=sys.stderr)

    with modelsdesk.opened(config, dict(os.environ)) as desk:
        found = msgspec.to_builtins(modelsdesk.gates(desk, tenant, model_id, hours, _now(), told))
    print(json.dumps(found, indent=2, ensure_ascii=False) if as_json else "\n".join(modelsdesk.gate_lines(found, language)))


@models.command
def approve(
    model_id: str,
    *,
    key: Path,
    tenant: Tenant = "",
    reason: str = "",
    passphrase_file: Path | None = None,
    language: Literal["de", "en"] = "de",
    config: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Sign, as the second person, that a model may become champion: after seeing gates and differences.

    Parameters
    ----------
    key
        Your key file, made by `tuermer keys new person`.
    reason
        Needed where a gate failed: why that does not matter. It is kept with both names.
    """
    import msgspec

    from detector import modelsdesk
    from detector.learn import promotion
    from detector.privacy import people
    from detector.privacy.keyfiles import passphrase

    with modelsdesk.opened(config, dict(os.environ)) as desk:
        said, _ = promotion.results(desk, desk.entry(tenant, model_id))
        print("\n".join(modelsdesk.gate_lines(msgspec.to_builtins(said), language)))
        person = people.unlock(key, passphrase(passphrase_file, dict(os.environ)))
        done = promotion.approve(desk, tenant, model_id, person, reason, _now())
    print(f"{done.approver} has approved {done.model_id} for {tenant or 'all tenants'}")


@models.command
def promote(model_id: str, *, tenant: Tenant = "", config: ConfigFile = DEFAULT_CONFIG) -> None:
    """Make an approved shadow the champion; waits until running daemons judge with it."""
    from detector import modelsdesk
    from detector.learn import promotion

    with modelsdesk.opened(config, dict(os.environ)) as desk:
        entry = desk.entry(tenant, model_id)
        promotion.promote(desk, tenant, model_id, _now())
        line = modelsdesk.taken_line(*modelsdesk.taken(desk, entry.model, entry.digest))
    print(f"{entry.model_id} is champion: {line}")


@models.command
def rollback(model: str, *, by: str, reason: str, tenant: Tenant = "", config: ConfigFile = DEFAULT_CONFIG) -> None:
    """Back to the champion before; waits until running daemons judge with it.

    Parameters
    ----------
    model
        firewall-source, auth-user, …
    by
        Your name; it is kept, as is the reason.
    """
    from detector import modelsdesk
    from detector.learn import promotion

    if by.strip() == "" or reason.strip() == "":
        raise Failed("say who goes back, and why: --by NAME --reason TEXT")
    with modelsdesk.opened(config, dict(os.environ)) as desk:
        before, _ = promotion.rollback(desk, tenant, model, by, reason, _now())
        line = modelsdesk.taken_line(*modelsdesk.taken(desk, model, modelsdesk.digest_of(desk, tenant, model)))
    print(f"{model} is judged by {before} again: {line}")
