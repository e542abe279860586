-- What disturbs people and what does not: budget, learning phase, suppressions, maintenance, what stayed just below, the daily digest.

ALTER TABLE store.tenants ADD COLUMN zone text NOT NULL DEFAULT 'Europe/Berlin';

-- The tenant's purse of notifications (detector/judge/budget.py); its row is the tenant's lock while a batch decides.
ALTER TABLE store.buckets
    ADD COLUMN day integer NOT NULL DEFAULT 0,                  -- local day, counted from 1970-01-01
    ADD COLUMN sent integer NOT NULL DEFAULT 0,                 -- notifications of that day, urgent ones not counted
    ADD COLUMN shares jsonb NOT NULL DEFAULT '{}';              -- of these, by entity and by network

-- A new tenant learns first; a named person ends it. Tenants from before this migration began when they were first claimed.
CREATE TABLE store.learning (
    tenant text PRIMARY KEY REFERENCES store.tenants,
    began timestamptz NOT NULL,
    days integer NOT NULL,                                      -- planned; it goes on until somebody ends it
    ended timestamptz,
    ended_by text,
    CHECK ((ended IS NULL) = (ended_by IS NULL))
);
INSERT INTO store.learning (tenant, began, days) SELECT tenant, min(claimed), 14 FROM store.shards GROUP BY tenant;

CREATE TABLE store.suppressions (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key text NOT NULL UNIQUE,                                   -- of an entry in the configuration; others get one of their own
    tenant text NOT NULL REFERENCES store.tenants,
    field text NOT NULL,                                        -- service | source.ip | user.name | host.name | network | role
    value text NOT NULL,
    technique text NOT NULL,                                    -- ATT&CK id or family; empty = any
    signature text[] NOT NULL,                                  -- features that may speak; empty = any
    author text NOT NULL CHECK (author <> ''),
    reason text NOT NULL CHECK (reason <> ''),
    created timestamptz NOT NULL,
    expires timestamptz NOT NULL,
    ends_with_epoch boolean NOT NULL,                           -- it names a token, which is another one tomorrow
    score double precision,                                     -- strength seen when given; empty until the first match
    observed jsonb,                                             -- feature -> distance from its usual value, likewise
    ended timestamptz,
    ended_by text
);
CREATE INDEX ON store.suppressions (tenant, expires);

-- Windows come from the configuration and from calendar files; one that is taken out there is withdrawn here, not deleted.
CREATE TABLE store.maintenance (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant text NOT NULL,                                       -- empty = every one
    site text NOT NULL,                                         -- likewise
    entity text NOT NULL,                                       -- LIKE pattern of the incident's entity
    name text NOT NULL,
    begins timestamptz NOT NULL,                                -- event time
    ends timestamptz NOT NULL,
    added timestamptz NOT NULL,
    withdrawn timestamptz,
    UNIQUE (tenant, site, entity, name, begins, ends)
);
CREATE INDEX ON store.maintenance (begins, ends);

-- Each wish for a notification is decided once, in the transaction of its batch; a replay finds the answer here.
ALTER TABLE store.incidents DROP CONSTRAINT incidents_notification_check;
ALTER TABLE store.incidents ADD CONSTRAINT incidents_notification_check
    CHECK (notification IN ('none', 'sent', 'held', 'learning', 'suppressed', 'maintenance'));
CREATE TABLE store.decisions (
    incident uuid NOT NULL REFERENCES store.incidents,
    number integer NOT NULL,
    decided timestamptz NOT NULL,
    answer text NOT NULL CHECK (answer IN ('sent', 'held', 'learning', 'suppressed', 'maintenance')),
    why text NOT NULL CHECK (why IN ('urgent', 'budget', 'hour', 'day', 'share', 'suppressed', 'maintenance')),
    severity text NOT NULL,                                     -- the incident's, then
    suppression bigint REFERENCES store.suppressions,
    maintenance bigint REFERENCES store.maintenance,
    PRIMARY KEY (incident, number)
);
CREATE INDEX ON store.decisions (suppression, decided) WHERE suppression IS NOT NULL;
CREATE INDEX ON store.decisions (decided);

-- The next rows below the evidence threshold, per shard and day the best 50 entities; the view cuts, this holds a few more.
CREATE TABLE store.near_misses (
    shard text NOT NULL REFERENCES store.shards,
    day date NOT NULL,                                          -- local day of the stream's clock
    model text NOT NULL,
    entity_kind text NOT NULL,
    identity numeric(20) NOT NULL,                              -- of the entity, 64 bits
    entity_value text NOT NULL,
    family text NOT NULL,
    model_id text NOT NULL,
    time timestamptz NOT NULL,
    p_value double precision NOT NULL,
    score double precision NOT NULL,
    nearness double precision NOT NULL,                         -- p over the model's threshold, > 1: how far below the line
    techniques text[] NOT NULL,
    title jsonb NOT NULL,
    reasons jsonb NOT NULL,
    PRIMARY KEY (shard, day, model, entity_kind, identity)
);

-- Scored rows by tenth of p, per model and day: uniform while the model still fits what it sees.
CREATE TABLE store.deciles (
    shard text NOT NULL REFERENCES store.shards,
    day date NOT NULL,
    model text NOT NULL,
    counts bigint[] NOT NULL CHECK (cardinality(counts) = 10),
    PRIMARY KEY (shard, day, model)
);

CREATE TABLE store.digests (
    tenant text NOT NULL REFERENCES store.tenants,
    day date NOT NULL,                                          -- local day on whose morning it was made
    made timestamptz NOT NULL,
    document jsonb NOT NULL,
    PRIMARY KEY (tenant, day)
);

-- The outbox carries other messages than incidents, too.
ALTER TABLE store.outbox ALTER COLUMN incident DROP NOT NULL;
ALTER TABLE store.outbox ADD COLUMN kind text NOT NULL DEFAULT 'incident' CHECK (kind IN ('incident', 'digest'));

-- The window that an incident opened in, if any: asked when it is decided and whenever it is shown, so a window added later counts.
CREATE FUNCTION store.window_of(tenant text, site text, entity text, at timestamptz) RETURNS bigint
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT m.id FROM store.maintenance AS m
    WHERE m.withdrawn IS NULL AND m.begins <= $4 AND $4 < m.ends
        AND m.tenant IN ('', $1) AND m.site IN ('', $2) AND $3 LIKE m.entity
    ORDER BY m.begins, m.id LIMIT 1
$$;

CREATE VIEW public.learning AS
SELECT
    l.tenant, l.began, l.days, l.began + make_interval(days => l.days) AS until, l.ended IS NULL AS learning, l.ended, l.ended_by
FROM store.learning AS l;

CREATE VIEW public.maintenance AS
SELECT m.id, m.tenant, m.site, m.entity, m.name, m.begins, m.ends, m.added FROM store.maintenance AS m WHERE m.withdrawn IS NULL;

CREATE VIEW public.decisions AS
SELECT d.incident AS incident_id, i.tenant, i.site, d.number, d.decided, d.answer, d.why, d.severity, d.suppression, d.maintenance
FROM store.decisions AS d
JOIN store.incidents AS i ON i.id = d.incident;

-- With what they hid. `hidden` counts incidents, not repetitions.
CREATE VIEW public.suppressions AS
SELECT
    s.id, s.tenant, s.field, s.value, s.technique, s.signature, s.author, s.reason, s.created, s.expires, s.ends_with_epoch,
    CASE WHEN s.ended IS NOT NULL THEN 'ended' WHEN s.expires <= now() THEN 'expired' ELSE 'active' END AS status,
    s.ended, s.ended_by, s.score AS strength, 2 * s.score AS holds_up_to, coalesce(h.hidden, 0) AS hidden, h.last AS last_hidden
FROM store.suppressions AS s
LEFT JOIN (
    SELECT d.suppression, count(DISTINCT d.incident) AS hidden, max(d.decided) AS last
    FROM store.decisions AS d WHERE d.suppression IS NOT NULL GROUP BY d.suppression
) AS h ON h.suppression = s.id;

-- As in 0005, and at the end: found while the tenant was learning; the window it opened in; why it was decided as it was; what hides it.
CREATE OR REPLACE VIEW public.incidents AS
SELECT
    i.id, i.tenant, i.site, i.model, i.model_id, i.family,
    CASE WHEN i.closes_at > now() THEN 'open' ELSE 'expired' END AS status,
    i.severity, i.opened, i.updated, i.closes_at, i.recorded,
    jsonb_build_object('kind', i.entity_kind, 'value', i.entity_value) AS entity,
    i.entity_kind, i.entity_value, md5(i.entity_kind || ':' || i.entity_value) AS entity_key,
    i.techniques, i.title, i.title ->> 'de' AS title_de, i.title ->> 'en' AS title_en,
    i.p_value,
    CASE WHEN i.model <> 'auth-service' THEN CASE WHEN i.p_value > 0 THEN 1 / i.p_value ELSE 'Infinity' END END AS one_in,
    i.score, i.worst_p, i.worst_score, i.events, i.got_in, i.urgent, i.notification, i.notified,
    (
        SELECT coalesce(jsonb_agg(to_jsonb(rows) ORDER BY rows.events DESC, rows.field, rows.value), '[]')
        FROM (
            SELECT e.field, e.value, sum(e.events)::bigint AS events, min(e.first) AS first, max(e.last) AS last
            FROM store.episodes AS p
            JOIN store.evidence AS e ON e.incident = p.incident AND e.day = p.day
            WHERE p.incident = i.id
            GROUP BY e.field, e.value
            ORDER BY sum(e.events) DESC, e.field, e.value
            LIMIT 10000
        ) AS rows
    ) AS evidence,
    i.reasons, i.counterfactual,
    i.volume,
    CASE WHEN i.model <> 'auth-service' AND i.p_value > 0 AND i.volume > 0 THEN 1 / i.p_value / i.volume END AS chance_days,
    i.critical, i.spread, i.episode, i.episode_opened, i.episode_events, i.usual_low, i.usual_high,
    l.tenant IS NOT NULL AS learning,
    (SELECT m.name FROM store.maintenance AS m WHERE m.id = store.window_of(i.tenant, i.site, i.entity_value, i.episode_opened))
        AS maintenance,
    d.why, CASE WHEN i.notification = 'suppressed' THEN d.suppression END AS suppression
FROM store.incidents AS i
LEFT JOIN store.learning AS l ON l.tenant = i.tenant AND i.recorded >= l.began AND i.recorded < coalesce(l.ended, 'infinity')
LEFT JOIN LATERAL (
    SELECT x.why, x.suppression FROM store.decisions AS x WHERE x.incident = i.id ORDER BY x.number DESC LIMIT 1
) AS d ON true;

-- What stayed below, ranked per tenant and day: first incidents that the budget held, then what did not even open one.
CREATE VIEW public.near_misses AS
WITH
below AS (
    SELECT
        n.*, s.tenant, s.site,
        row_number() OVER (PARTITION BY n.shard, n.day ORDER BY n.nearness, n.model, n.entity_kind, n.identity) AS place
    FROM store.near_misses AS n
    JOIN store.shards AS s ON s.shard = n.shard
),
listed AS (
    SELECT
        i.tenant, i.site, (i.opened AT TIME ZONE t.zone)::date AS day, 'incident' AS what, i.id AS incident_id, i.opened AS time, i.model,
        i.model_id, i.family, i.entity_kind, i.entity_value, i.techniques, i.severity, i.worst_p AS p_value, i.worst_score AS score,
        NULL::double precision AS nearness, i.title, i.reasons,
        CASE i.severity WHEN 'critical' THEN 0 WHEN 'high' THEN 1 WHEN 'medium' THEN 2 ELSE 3 END AS level
    FROM store.incidents AS i
    JOIN store.tenants AS t ON t.tenant = i.tenant
    WHERE i.notification = 'held'
    UNION ALL
    SELECT
        b.tenant, b.site, b.day, 'finding', NULL, b.time, b.model, b.model_id, b.family, b.entity_kind, b.entity_value, b.techniques, NULL,
        b.p_value, b.score, b.nearness, b.title, b.reasons, 4
    FROM below AS b
    JOIN store.tenants AS t ON t.tenant = b.tenant
    WHERE b.place <= 50 AND NOT EXISTS (                        -- it crossed the line by itself that day: its incident is listed elsewhere
        SELECT FROM store.incidents AS i
        WHERE i.shard = b.shard AND i.entity_kind = b.entity_kind AND i.entity_value = b.entity_value
            AND i.opened < (b.day + 1)::timestamp AT TIME ZONE t.zone AND i.updated >= b.day::timestamp AT TIME ZONE t.zone
    )
)
SELECT
    l.tenant, l.site, l.day,
    row_number() OVER (PARTITION BY l.tenant, l.day ORDER BY l.level, l.nearness, l.p_value, l.time, l.entity_value) AS rank,
    l.what, l.incident_id, l.time, l.model, l.model_id, l.family, l.entity_kind, l.entity_value,
    l.techniques, l.severity, l.p_value, CASE WHEN l.model = 'auth-service' OR l.p_value <= 0 THEN NULL ELSE 1 / l.p_value END AS one_in,
    l.score, l.nearness, l.title, l.title ->> 'de' AS title_de, l.title ->> 'en' AS title_en, l.reasons
FROM listed AS l;

CREATE VIEW public.digest AS
SELECT d.tenant, d.day, d.made, d.document, d.document #>> '{text,de}' AS text_de, d.document #>> '{text,en}' AS text_en
FROM store.digests AS d;

-- Least privilege. tests/test_store_roles.py walks the whole matrix.
REVOKE ALL ON FUNCTION store.window_of(text, text, text, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION store.window_of(text, text, text, timestamptz) TO tuermer_daemon, tuermer_grafana;  -- views ask it as their reader
GRANT SELECT, INSERT ON store.learning, store.suppressions, store.maintenance, store.decisions, store.near_misses, store.deciles,
    store.digests TO tuermer_daemon;
GRANT UPDATE (zone) ON store.tenants TO tuermer_daemon;
GRANT UPDATE (ended, ended_by) ON store.learning TO tuermer_daemon;
GRANT UPDATE (ended, ended_by, score, observed) ON store.suppressions TO tuermer_daemon;
GRANT UPDATE (withdrawn) ON store.maintenance TO tuermer_daemon;
GRANT UPDATE (family, model_id, time, p_value, score, nearness, techniques, title, reasons) ON store.near_misses TO tuermer_daemon;
GRANT UPDATE (counts) ON store.deciles TO tuermer_daemon;
GRANT SELECT ON public.learning, public.maintenance, public.decisions, public.suppressions, public.near_misses, public.digest
    TO tuermer_daemon, tuermer_grafana;
-- The auditor sees who silenced what and until when, and who ended a learning phase.
GRANT SELECT ON public.learning, public.maintenance, public.suppressions TO tuermer_auditor;
