"""Sections of the configuration about how long things are kept, and about single tenants."""

from __future__ import annotations

from typing import Annotated

from msgspec import Struct

from detector.sections import doc


class Retention(Struct, frozen=True, forbid_unknown_fields=True):
    """Days; what is older goes the next night, whole days at once. A policy pack may set and lock these."""

    events: Annotated[int, doc("the topic of pseudonymous events", ge=1, le=7)] = 3
    dead_letters: Annotated[int, doc("the topic of unreadable records, sealed", ge=1, le=30)] = 7
    evidence: Annotated[int, doc("evidence of incidents, the events behind them, messages about them; then tokens go", ge=1, le=365)] = 30
    links: Annotated[int, doc("sealed links from token to name", ge=1, le=365)] = 90
    incidents: Annotated[int, doc("incidents, without tokens once the evidence is gone", ge=1, le=3650)] = 180
    training: Annotated[int, doc("rows that models are trained with", ge=1, le=365)] = 35
    annotations: Annotated[int, doc("Türmer's own annotations in Grafana", ge=1, le=3650)] = 90
    audit: Annotated[int, doc("the audit log, openings, deletion records", ge=30, le=3650)] = 365


class Tenant(Struct, frozen=True, forbid_unknown_fields=True):
    """What differs for one tenant; 0 or empty: as for all."""

    name: Annotated[str, doc("a tenant of [[topics]]")]
    pack: Annotated[str, doc("policy pack of this tenant")] = ""
    agreement: Annotated[str, doc("number of its works agreement")] = ""
    per_day: Annotated[int, doc("notifications per day, urgent ones not counted", ge=0, le=20)] = 0
    evidence: Annotated[int, doc("days, as retention.evidence", ge=0, le=365)] = 0
    links: Annotated[int, doc("days, as retention.links", ge=0, le=365)] = 0
    incidents: Annotated[int, doc("days, as retention.incidents", ge=0, le=3650)] = 0
    training: Annotated[int, doc("days, as retention.training", ge=0, le=365)] = 0
    audit: Annotated[int, doc("days, as retention.audit", ge=0, le=3650)] = 0
