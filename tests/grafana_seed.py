"""A database as after a long time in use, made by the server itself: incidents with evidence, verdicts, what stayed below, operation.

Account tokens are shared on purpose: the same person stands in many incidents, and no view for Grafana may show that.
"""

from __future__ import annotations

import psycopg

from detector.judge.texts import guidance
from detector.store.guide import keep_guidance

PERSON = "u-00000000000000aa"  # one account's token, in every third incident
CLIENT = "ip-00000000000000bb"
TENANT, SHARD = "stadt", "stadt/rathaus/0"

FIXED = f"""
INSERT INTO store.tenants (tenant) VALUES ('{TENANT}'), ('kreis'), ('tuermer-canary') ON CONFLICT DO NOTHING;
INSERT INTO store.shards (shard, tenant, site, place, origin, applied, claimed, moved) VALUES
    ('{SHARD}', '{TENANT}', 'rathaus', 'tuermer.events/0', 0, 1000, now(), now()),
    ('kreis/amt/0', 'kreis', 'amt', 'tuermer.events/1', 0, 1000, now(), now()),
    ('tuermer-canary//0', 'tuermer-canary', '', 'tuermer.events/2', 0, 1000, now(), now());
INSERT INTO store.learning (tenant, began, days, ended, ended_by) VALUES ('{TENANT}', now() - interval '300 days', 14,
    now() - interval '280 days', 'M. Muster');
INSERT INTO store.models (model_id, model, sha256, manifest, loaded) VALUES
    ('auth-source-1a2b', 'auth-source', '', '{{}}', now() - interval '40 days'), ('auth-user-3c4d', 'auth-user', '', '{{}}',
        now() - interval '190 days');
INSERT INTO store.health (component, instance, reported, values) VALUES
    ('score', '1', now() - interval '5 seconds',
        '{{"events_per_second": 1234.5, "lag_messages": 3, "shards": 2, "latency_p50": 0.4, "latency_p99": 1.9}}');
INSERT INTO store.pulse (component, instance, minute, events_per_second, lag, latency_p50, latency_p99)
SELECT 'score', '1', date_trunc('minute', now()) - n * interval '1 minute', 1000 + n % 60, n % 7, 0.4, 1.9 FROM generate_series(0,
    43199) AS n;
INSERT INTO store.device_slots (shard, observer, slot, events, filled, last, off, by)
SELECT '{SHARD}', 'fw-' || d, date_trunc('hour', now()) - n * interval '10 minutes', 6000 + d, '{{1,1,1}}',
    now() - n * interval '10 minutes', 0, '0'
FROM generate_series(1, 20) AS d, generate_series(0, 1007) AS n;
INSERT INTO store.unread_slots (tenant, topic, format, reason, slot, records)
SELECT '{TENANT}', 'firewall', f, r, date_trunc('hour', now()) - n * interval '10 minutes', 1 + n % 3
FROM unnest(ARRAY['fortigate', '']) AS f, unnest(ARRAY['no-format', 'cut-off']) AS r, generate_series(0, 1007) AS n;
INSERT INTO store.ailments (kind, tenant, subject, severity, title, text, opened, updated) VALUES
    ('silent', '{TENANT}', 'fw-7', 'high', '{{"de": "fw-7 ist verstummt", "en": "fw-7 fell silent"}}',
        '{{"de": "Seit 40 Minuten.", "en": "For 40 minutes."}}',
     now() - interval '40 minutes', now());
INSERT INTO store.deciles (shard, day, model, counts)
SELECT '{SHARD}', current_date - n, m, ARRAY[1000 + 20 * n, 1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000]
FROM generate_series(0, 34) AS n, unnest(ARRAY['auth-source', 'auth-user', 'firewall-source', 'firewall-pair', 'auth-service']) AS m;
INSERT INTO store.suppressions (key, tenant, field, value, technique, signature, author, reason, created, expires, ends_with_epoch) VALUES
    ('one', '{TENANT}', 'source.ip', '198.51.100.7', 'T1046', '{{}}', 'M. Muster', 'Schwachstellen-Scanner', now() - interval '5 days',
        now() + interval '25 days', false);
"""

# n incidents, one every (days / n); every third about a person, every third about a client's address, the rest about a service.
INCIDENTS = """
INSERT INTO store.incidents (
    id, day, shard, tenant, site, model, model_id, family, entity_kind, entity_value, techniques, opened, closes_at, p_value, score,
    opening_severity, urgent, title, counterfactual, reasons, recorded, updated, severity, worst_p, worst_score, events, got_in,
    notification, notified, volume, episode_opened, episode_events
)
SELECT
    md5('incident ' || n)::uuid, x.opened::date, %(shard)s, %(tenant)s, 'rathaus', x.model, x.model || '-1a2b', x.family, x.kind,
        x.entity,
    x.techniques, x.opened, x.opened + interval '24 hours', 1e-5 + (n %% 97) * 1e-7, 5 + n %% 4, x.severity, n %% 50 = 0,
    jsonb_build_object('de', 'Auffälliges an ' || x.entity || ' auf srv-' || n %% 40, 'en',
        'Something about ' || x.entity || ' on srv-' || n %% 40),
    jsonb_build_object('de', 'Unter 6 Fehlversuchen nicht, ' || x.entity, 'en', 'Not below 6 failures, ' || x.entity),
    jsonb_build_array(
        jsonb_build_object('feature', 'failures_1h', 'observed', 412, 'usual', 6, 'median', 1, 'rarity', 4.2, 'contribution', 0.7,
            'text', jsonb_build_object('de', '412 Fehlversuche von ' || x.entity || '; üblich sind 1 bis 6.', 'en',
                '412 failures by ' || x.entity || '; 1 to 6 are usual.')),
        jsonb_build_object('feature', 'hosts_1h', 'observed', 12, 'usual', 2, 'median', 1, 'rarity', 3.1, 'contribution', 0.3,
            'text', jsonb_build_object('de', '12 Rechner; üblich sind 2.', 'en', '12 hosts; 2 are usual.'))
    ),
    x.opened, x.opened + interval '20 minutes', x.severity, 1e-6, 6, 500, x.got_in, CASE WHEN n %% 4 = 0 THEN 'sent' ELSE 'held' END,
    CASE WHEN n %% 4 = 0 THEN x.opened END, 10000, x.opened, 500
FROM (
    SELECT
        n, now() - (%(n)s - n) * (%(days)s * interval '1 day' / %(n)s) - interval '2 minutes' AS opened,
        (ARRAY['auth-source', 'auth-user', 'firewall-source', 'auth-service'])[1 + n %% 4] AS model,
        (ARRAY['credential-access', 'initial-access', 'discovery', 'success-after-failures'])[1 + n %% 4] AS family,
        (ARRAY['user.name', 'source.ip', 'service'])[1 + n %% 3] AS kind,
        (ARRAY[%(person)s, %(client)s, 'srv-' || n %% 40])[1 + n %% 3] AS entity,
        CASE n %% 5 WHEN 0 THEN ARRAY['T1110.003', 'T1046'] WHEN 1 THEN ARRAY['T1078'] ELSE ARRAY['T1110.001'] END AS techniques,
        (ARRAY['low', 'low', 'low', 'medium', 'medium', 'high', 'critical'])[1 + n %% 7] AS severity,
        (ARRAY['no', 'unknown', 'yes'])[1 + n %% 3] AS got_in
    FROM generate_series(1, %(n)s) AS n
) AS x
"""
EPISODES = """
INSERT INTO store.episodes
SELECT id, 1, day, opened, closes_at, model, model_id, p_value, score, reasons, counterfactual, updated, worst_p, worst_score, events,
    got_in
FROM store.incidents
"""
EVIDENCE = """
INSERT INTO store.evidence (day, incident, field, value, events, first, last, episode)
SELECT i.day, i.id, v.field, v.value, 1 + i.score::integer, i.opened, i.updated, 1
FROM store.incidents AS i
CROSS JOIN LATERAL (VALUES
    ('source.ip', '198.51.' || abs(hashtext(i.id::text)) %% 256 || '.' || abs(hashtext(i.id::text || 'b')) %% 256),
    ('user.name', %(person)s), ('host.name', 'srv-' || abs(hashtext(i.id::text)) %% 40), ('destination.port', '22'), ('observer.name',
        'fw-7')
) AS v (field, value)
WHERE i.day >= current_date - %(kept)s
"""
SAMPLES = """
INSERT INTO store.samples (day, incident, time, topic, partition, position, fields, episode)
SELECT
    i.day, i.id, i.opened, 'firewall', 0, 1, jsonb_build_object('event.dataset', 'sshd', 'event.action', 'login', 'event.outcome',
        'failure',
        'source.ip', %(client)s, 'user.name', %(person)s, 'host.name', 'srv-3', 'observer.name', 'fw-7', 'destination.port', 22), 1
FROM store.incidents AS i
WHERE i.day >= current_date - %(kept)s
"""
BESIDE = """
INSERT INTO store.decisions (incident, number, decided, answer, why, severity, suppression)
SELECT id, 1, recorded, CASE WHEN notification = 'sent' THEN 'sent' ELSE 'held' END,
    CASE WHEN urgent THEN 'urgent' WHEN notification = 'sent' THEN 'budget' ELSE 'day' END, severity, NULL
FROM store.incidents;
INSERT INTO store.decisions (incident, number, decided, answer, why, severity, suppression)
SELECT i.id, 2, i.recorded + interval '1 minute', 'suppressed', 'suppressed', i.severity, (SELECT min(id) FROM store.suppressions)
FROM store.incidents AS i WHERE get_byte(uuid_send(i.id), 0) < 4;
INSERT INTO store.outbox (id, incident, tenant, created, payload)
SELECT i.id || '/1', i.id, i.tenant, i.recorded, jsonb_build_object('severity', i.severity, 'urgent', i.urgent, 'title', i.title,
    'reasons', i.reasons,
    'got_in', i.got_in, 'model_id', i.model_id, 'p_value', i.p_value, 'opened', (extract(epoch FROM i.opened) * 1000000)::bigint,
    'episode_opened', 0, 'episode', 1)
FROM store.incidents AS i WHERE i.notification = 'sent';
UPDATE store.incidents SET verdict = 'false-positive', verdict_episode = 1, verdict_by = 'a.meier',
    verdict_at = recorded + interval '1 hour'
WHERE get_byte(uuid_send(id), 1) < 20 AND opened < now() - interval '3 hours';
INSERT INTO store.verdicts (source, incident, tenant, episode, word, scope, author, given, recorded)
SELECT 'page/' || id, id, tenant, 1, verdict, 'one', verdict_by, verdict_at, verdict_at FROM store.incidents WHERE verdict IS NOT NULL;
INSERT INTO store.near_misses (shard, day, model, entity_kind, identity, entity_value, family, model_id, time, p_value, score,
    nearness, techniques, title, reasons)
SELECT DISTINCT ON (i.day, x.place) i.shard, i.day, 'auth-source', i.entity_kind, x.place, i.entity_value, i.family, i.model_id,
    i.opened, 4e-4, 4, 1.3, i.techniques, i.title, i.reasons
FROM (SELECT *, row_number() OVER (PARTITION BY day ORDER BY opened) AS place FROM store.incidents) AS i
CROSS JOIN LATERAL (SELECT i.place) AS x
WHERE x.place <= 50;
"""


def fill(connection: psycopg.Connection[tuple[object, ...]], incidents: int, days: int, kept: int = 365) -> None:
    """`incidents` of tenant `stadt` over the last `days`, and everything that belongs to them; the login must own the tables.

    Evidence and events only of the last `kept` days, as retention leaves them.
    """
    cursor = psycopg.ClientCursor(connection)  # the server could not tell the types of these parameters
    connection.execute(FIXED.encode())
    keep_guidance(connection, guidance())
    values = {"n": incidents, "days": days, "shard": SHARD, "tenant": TENANT, "person": PERSON, "client": CLIENT, "kept": kept}
    connection.execute("SELECT store.make_day(current_date - n) FROM generate_series(-1, %s) AS n", (min(days, kept) + 1,))
    for sql in (INCIDENTS, EPISODES, EVIDENCE, SAMPLES):
        cursor.execute(sql.encode(), values if "%(" in sql else None)
    connection.execute(BESIDE.encode())
    connection.execute("ANALYZE")
