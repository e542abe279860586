"""A database full of everything that Türmer keeps, for tests of what goes and of who sees what."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Sequence

import psycopg

from tests.postgres import TestDatabase

YEAR = """
INSERT INTO store.tenants (tenant) SELECT unnest(%(tenants)s::text[]);
CREATE FUNCTION pg_temp.token(tenant text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT 'u-' || left(md5(tenant), 16) $$;
INSERT INTO store.buckets (tenant, tokens, refilled, day, shares)
    SELECT tenant, 1, 0, '2026-08-01'::date - 'epoch'::date, jsonb_build_object(pg_temp.token(tenant), 1) FROM store.tenants;
INSERT INTO store.shards (shard, tenant, site, place, origin, applied, claimed)
    SELECT tenant || '/x', tenant, 'x', 'tuermer.events/1', 0, 100, now() FROM store.tenants;
CREATE TEMPORARY TABLE days AS SELECT t.tenant, t.tenant || '/x' AS shard, %(today)s::timestamptz - a * interval '1 day' AS at,
    gen_random_uuid() AS id FROM store.tenants AS t CROSS JOIN unnest(%(ages)s::integer[]) AS a;
SELECT store.make_day((at AT TIME ZONE 'UTC')::date) FROM days;
INSERT INTO store.incidents (id, day, shard, tenant, site, model, model_id, family, entity_kind, entity_value, techniques, opened,
    closes_at, p_value, score, opening_severity, urgent, title, counterfactual, reasons, recorded, updated, severity, worst_p, worst_score,
    events, got_in, episode_opened, episode_events)
SELECT id, (at AT TIME ZONE 'UTC')::date, shard, tenant, 'x', 'auth-user', 'm', 'f', 'user.name', pg_temp.token(tenant), '{}', at, at, 0.1,
    1, 'low', false,
    jsonb_build_object('de', 'Konto ' || pg_temp.token(tenant) || ' von 203.0.113.7'), '{}',
    jsonb_build_array(jsonb_build_object('feature', 'hour', 'text', jsonb_build_object('de', pg_temp.token(tenant) || ' um 12:30:45'))),
    at, at, 'low', 0.1, 1, 1, 'no', at, 1 FROM days;
INSERT INTO store.episodes
    SELECT i.id, 1, i.day, i.opened, i.closes_at, i.model, i.model_id, 0.1, 1, i.reasons, '{}', i.updated, 0.1, 1, 1, 'no'
    FROM store.incidents AS i;
INSERT INTO store.evidence (day, incident, field, value, events, first, last)
    SELECT i.day, i.id, 'user.name', pg_temp.token(i.tenant), 1, i.opened, i.opened FROM store.incidents AS i;
INSERT INTO store.samples (day, incident, time, topic, partition, position, fields)
    SELECT i.day, i.id, i.opened, 'auth', 0, 1, jsonb_build_object('user.name', pg_temp.token(i.tenant))
    FROM store.incidents AS i;
INSERT INTO store.outbox (id, incident, tenant, created, payload)
    SELECT i.id || '/1', i.id, i.tenant, i.opened, jsonb_build_object('title', pg_temp.token(i.tenant))
    FROM store.incidents AS i;
INSERT INTO store.deliveries SELECT o.id, 'mail', o.created FROM store.outbox AS o;
INSERT INTO store.near_misses
    SELECT shard, (at AT TIME ZONE 'UTC')::date, 'm', 'user.name', 1, pg_temp.token(tenant), 'f', 'm', at, 0.1, 1, 2, '{}', '{}', '[]'
    FROM days;
INSERT INTO store.deciles SELECT shard, (at AT TIME ZONE 'UTC')::date, 'm', '{0,0,0,0,0,0,0,0,0,0}' FROM days;
INSERT INTO store.digests SELECT tenant, (at AT TIME ZONE 'UTC')::date, at, '{}' FROM days;
INSERT INTO store.suppressions (key, tenant, field, value, technique, signature, author, reason, created, expires, ends_with_epoch)
    SELECT 'x' || id, tenant, 'user.name', pg_temp.token(tenant), '', '{}', 'a', 'r', at, at, true FROM days;
INSERT INTO store.maintenance (tenant, site, entity, name, begins, ends, added) SELECT tenant, '', '', id::text, at, at, at FROM days;
INSERT INTO store.decisions SELECT i.id, 1, i.opened, 'held', 'budget', 'low' FROM store.incidents AS i;
INSERT INTO store.verdicts (source, incident, tenant, episode, word, scope, author, given, recorded)
    SELECT 'page/1', i.id, i.tenant, 1, 'confirmed', 'one', 'a', i.opened, i.opened FROM store.incidents AS i;
INSERT INTO store.notes (source, incident, tenant, kind, text, author, written)
    SELECT 'page/' || i.id, i.id, i.tenant, 'note', 'siehe ' || pg_temp.token(i.tenant), 'a', i.opened FROM store.incidents AS i;
INSERT INTO store.ailments (kind, tenant, subject, severity, title, text, opened, updated, closed)
    SELECT 'silent', tenant, id::text, 'low', '{}', '{}', at, at, at FROM days;
INSERT INTO store.reservoir (tenant, shard, day, model, hour, aside, schema, rows, seen, eligible, low, incidents, columns)
    SELECT tenant, shard, (at AT TIME ZONE 'UTC')::date, 'm', at, false, 's', 1, 1, 1, '{0,0,0}', '{}', '' FROM days;
INSERT INTO store.annotations (tenant, id, created, updated, seen, outcome)
    SELECT tenant, row_number() OVER (), 1, 1, at, 'applied' FROM days;
INSERT INTO store.snapshots (shard, next, schema, bytes, saved, heard)
    SELECT shard, 100, 's', 1, %(today)s, %(today)s FROM store.shards;
INSERT INTO store.snapshot_parts SELECT shard, 0, convert_to(shard, 'UTF8') FROM store.shards;
INSERT INTO store.links (tenant, epoch, token, slot, tag, sealed)
    SELECT tenant, (at AT TIME ZONE 'UTC')::date - 'epoch'::date, pg_temp.token(tenant), convert_to(id::text, 'UTF8'), 'x', 'x' FROM days;
INSERT INTO store.link_slots (slot, tenant, epoch, groups, made, commitments)
    SELECT slot, tenant, epoch, '{a,b}', now(), '{x,y}' FROM store.links;
INSERT INTO store.link_keys SELECT slot, tenant, 'h', 'meier', 'a', 'x' FROM store.link_slots;
INSERT INTO store.openings (id, tenant, incident, case_number, reason, requester, request, signature, requested, expires)
    SELECT gen_random_uuid(), tenant, id, '1', 'r', 'meier', 'x', 'x', at, at FROM days;
INSERT INTO store.opening_tokens (opening, tenant, epoch, token)
    SELECT id, tenant, (requested AT TIME ZONE 'UTC')::date - 'epoch'::date, pg_temp.token(tenant) FROM store.openings;
INSERT INTO store.inputs (shard, from_offset, kind, payload, created) SELECT shard, 50, 'verdict', '{}', at FROM days;
INSERT INTO store.learning (tenant, began, days) SELECT tenant, now(), 14 FROM store.tenants;
INSERT INTO store.holds (tenant, incident, case_number, reason, author, begun, expires)
    SELECT tenant, (array_agg(id ORDER BY opened DESC))[1], '1', 'r', 'a', %(today)s, %(today)s::timestamptz + interval '1 day'
    FROM store.incidents WHERE %(held)s GROUP BY tenant;
INSERT INTO store.device_slots SELECT shard, 'fw-' || tenant, now(), 1, '{1}', now(), 0, interval '0' FROM store.shards;
INSERT INTO store.unread_slots SELECT tenant, 'auth', 'sshd', 'why', now(), 1 FROM store.tenants;
INSERT INTO store.drift (tenant, model, day, made, model_id, rows, ks, unknown, psi, features, text)
    SELECT tenant, 'm', %(today)s::date, now(), 'm', 1, 0, 0, '{"hour": 0.3}', '{hour}', '{}' FROM store.tenants;
INSERT INTO store.artefacts SELECT tenant, 'm-' || tenant, 'm', 'd', 's', 'meier', 'x', 'x', 'x', now() FROM store.tenants;
INSERT INTO store.registry (tenant, model_id, model, since) SELECT tenant, model_id, model, now() FROM store.artefacts;
INSERT INTO store.model_steps (tenant, model, model_id, at, actor) SELECT tenant, model, model_id, now(), 'meier' FROM store.artefacts;
INSERT INTO store.model_approvals (tenant, model_id, approver, statement, signature, given)
    SELECT tenant, model_id, 'kurz', 'x', 'x', now() FROM store.artefacts;
INSERT INTO store.model_gates
    SELECT tenant, model_id, 1, %(today)s, 'x', jsonb_build_object('title', pg_temp.token(tenant)) FROM store.artefacts;
INSERT INTO store.shadow_counts SELECT tenant || '/x', model_id, model, 1, 1, 1, 1, %(today)s, %(today)s FROM store.artefacts;
INSERT INTO store.shadow_incidents SELECT tenant || '/x', model_id, 'candidate', gen_random_uuid(), model, 'f', 'user.name',
    pg_temp.token(tenant), '{}', %(today)s, %(today)s, 0.1, 1 FROM store.artefacts;
SELECT store.audit_append(tenant, now(), 'meier', 'opening.request', tenant, '{}') FROM store.tenants;
INSERT INTO store.deletion_runs (began) VALUES (%(today)s);
INSERT INTO store.deletions SELECT 1, tenant, 'links', 1, at, at, at, at FROM days;
"""


def token(tenant: str) -> str:
    """The account token that stands in every row of the tenant that may hold one."""
    return "u-" + hashlib.md5(tenant.encode(), usedforsecurity=False).hexdigest()[:16]


def fill(database: TestDatabase, tenants: Sequence[str], today: dt.datetime, ages: Sequence[int], *, held: bool = False) -> None:
    """One incident per tenant and age (days before `today`), with all that comes with it."""
    arguments = {"today": today, "ages": list(ages), "tenants": list(tenants), "held": held}
    with psycopg.connect(database.url("postgres"), autocommit=True, cursor_factory=psycopg.ClientCursor) as connection:
        for statement in YEAR.split(";\n"):
            if statement.strip() != "":
                connection.execute(statement.encode(), arguments)
