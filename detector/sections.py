"""Sections of the configuration that belong to one room each; `detector.config` puts them all together."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta, Struct


def doc(description: str, *, ge: int | None = None, le: int | None = None) -> Meta:
    """The documentation of a setting and, for numbers, its limits."""
    return Meta(description=description, ge=ge, le=le)


BREAK_GLASS = "break-glass"  # the opening group whose only key is the daemon's


class Keyholder(Struct, frozen=True, forbid_unknown_fields=True):
    """A person with a key of their own (`tuermer keys new person`), and what it may be used for."""

    name: Annotated[str, doc("login, as it stands in the audit log")]
    public: Annotated[str, doc("the one line of the .pub file")]
    groups: Annotated[list[str], doc("`security`, `data-protection`, `escrow` (names: two groups open them together), `models`")]
    tenants: Annotated[list[str], doc("empty = every tenant")] = []


class Opening(Struct, frozen=True, forbid_unknown_fields=True):
    """Who opens names: two people of two of these groups together; see SECURITY.md. Without keyholders in two groups no link is kept."""

    groups: Annotated[list[str], doc("two, or a third one for when keys are lost; any two of them open, one alone never")] = msgspec.field(
        default_factory=lambda: ["security", "data-protection"]
    )
    hours: Annotated[int, doc("so long the requester may see the names", ge=1, le=24)] = 24
    break_glass_key_file: Annotated[
        str, doc("person's key of the daemon, the only one of the group `break-glass`; empty = one person alone never opens anything")
    ] = ""
    break_glass_passphrase_env: Annotated[str, doc("name of the environment variable that holds its passphrase")] = ""
    break_glass_passphrase_file: Annotated[str, doc("or the file that holds it")] = ""


class Audit(Struct, frozen=True, forbid_unknown_fields=True):
    """The audit log: hash-chained per tenant, signed hourly."""

    key_file: Annotated[str, doc("Ed25519 key made by `tuermer keys new signing`; empty = the chain is not signed")] = ""
    anchor_file: Annotated[str, doc("each signature is also appended here: put it on another machine, or where it cannot be rewritten")] = (
        ""
    )


class Training(Struct, frozen=True, forbid_unknown_fields=True):
    """Rows that SCORE keeps to learn from, without names; how long is `retention.training`. See docs/training.md."""

    rows_per_hour: Annotated[
        int, doc("kept per tenant (or site), model and hour, drawn evenly; 1000 are about 10 MB a day; 0 = none", ge=0, le=20_000)
    ] = 1000
    window_days: Annotated[int, doc("`tuermer train` learns from the last so many days, unless told otherwise", ge=1, le=400)] = 28
