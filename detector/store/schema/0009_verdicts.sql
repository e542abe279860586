-- What people decide about incidents, and what follows from it. The rows of verdicts and notes are never changed; how an incident
-- stands because of them is in columns of its own, written in the same transaction.

-- An incident that a person closed may come again on the same day: evidence knows its episode, not only its day.
ALTER TABLE store.evidence ADD COLUMN episode integer NOT NULL DEFAULT 1;
ALTER TABLE store.samples ADD COLUMN episode integer NOT NULL DEFAULT 1;
UPDATE store.evidence AS e SET episode = p.number FROM store.episodes AS p WHERE p.incident = e.incident AND p.day = e.day AND p.number > 1;
UPDATE store.samples AS s SET episode = p.number FROM store.episodes AS p WHERE p.incident = s.incident AND p.day = s.day AND p.number > 1;
ALTER TABLE store.evidence DROP CONSTRAINT evidence_pkey;
ALTER TABLE store.evidence ADD PRIMARY KEY (day, incident, episode, field, value);
ALTER TABLE store.samples DROP CONSTRAINT samples_pkey;
ALTER TABLE store.samples ADD PRIMARY KEY (day, incident, episode, topic, partition, position);

-- Which features spoke, in the order of their names; and what "of the same kind" means: family, techniques and those features.
CREATE FUNCTION store.signature(reasons jsonb) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(string_agg(DISTINCT r ->> 'feature', '+' ORDER BY r ->> 'feature'), '') FROM jsonb_array_elements($1) AS r
$$;
CREATE FUNCTION store.alike(tenant text, family text, techniques text[], reasons jsonb) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT md5(jsonb_build_array($1, $2, to_jsonb($3), store.signature($4))::text)
$$;

-- How it stands: the verdict in force (open ones have none), who is working on it until when, and what people wrote beside it.
ALTER TABLE store.incidents
    ADD COLUMN verdict text CHECK (verdict IN ('confirmed', 'false-positive', 'allowed', 'closed')),
    ADD COLUMN verdict_episode integer,                     -- a verdict that closes, closes this one; the next is open again
    ADD COLUMN verdict_by text,
    ADD COLUMN verdict_at timestamptz,
    ADD COLUMN work_by text,
    ADD COLUMN work_until timestamptz,
    ADD COLUMN ticket text,
    ADD COLUMN owner text;
ALTER TABLE store.incidents
    ADD COLUMN signature text NOT NULL GENERATED ALWAYS AS (store.signature(reasons)) STORED,
    ADD COLUMN alike text NOT NULL GENERATED ALWAYS AS (store.alike(tenant, family, techniques, reasons)) STORED,
    ADD COLUMN until timestamptz NOT NULL GENERATED ALWAYS AS (     -- it is not over before
        CASE
            WHEN verdict = 'confirmed' THEN '9000-01-01 00:00:00+00'
            WHEN verdict_episode = episode THEN greatest(verdict_at, work_until)
            ELSE greatest(closes_at, work_until)
        END
    ) STORED;
CREATE INDEX ON store.incidents (tenant, until);
CREATE INDEX ON store.incidents (alike, opened);

CREATE TABLE store.verdicts (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source text NOT NULL,                                   -- what it came from, e.g. page/<nonce>: applied once
    incident uuid NOT NULL REFERENCES store.incidents,
    tenant text NOT NULL REFERENCES store.tenants,
    episode integer NOT NULL,                               -- the incident's, then
    word text NOT NULL CHECK (word IN ('confirmed', 'false-positive', 'allowed', 'in-work', 'retracted', 'closed')),
    scope text NOT NULL CHECK (scope IN ('one', 'alike')),
    author text NOT NULL CHECK (author <> ''),
    given timestamptz NOT NULL,                             -- by the source's clock
    recorded timestamptz NOT NULL,                          -- by ours
    lapses timestamptz,                                     -- of in-work
    suppression bigint REFERENCES store.suppressions,       -- of allowed
    remark text NOT NULL DEFAULT '',                        -- why there is none
    UNIQUE (source, incident)
);
CREATE INDEX ON store.verdicts (incident, id);
CREATE INDEX ON store.verdicts (tenant, recorded);

CREATE TABLE store.notes (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source text NOT NULL UNIQUE,
    incident uuid NOT NULL REFERENCES store.incidents,
    tenant text NOT NULL REFERENCES store.tenants,
    kind text NOT NULL CHECK (kind IN ('note', 'ticket', 'owner')),
    text text NOT NULL CHECK (length(text) <= 4000),
    author text NOT NULL CHECK (author <> ''),
    written timestamptz NOT NULL
);
CREATE INDEX ON store.notes (incident, id);

-- Every annotation of Grafana that carries our tag, once: what was made of it at first sight. A server that was set up anew counts its
-- ids from 1 again; so the time of creation, which nobody can edit, belongs to the key.
CREATE TABLE store.annotations (
    tenant text NOT NULL,                                   -- whose organisation; empty = the only one
    id bigint NOT NULL,
    created bigint NOT NULL,                                -- ms, by Grafana's clock
    updated bigint NOT NULL,
    seen timestamptz NOT NULL,
    outcome text NOT NULL,                                  -- applied | the reason why it was not
    changed timestamptz,                                    -- later edited, or gone: recorded once, never acted on
    gone timestamptz,
    PRIMARY KEY (tenant, id, created)
);

-- Whom the daemon tells by itself. A new receiver is told what comes after `first`; up to `done` it has everything, so nobody looks there.
CREATE TABLE store.receivers (
    receiver text PRIMARY KEY,
    first bigint NOT NULL,                                  -- outbox.sequence
    done bigint NOT NULL,
    began timestamptz NOT NULL
);
INSERT INTO store.receivers (receiver, first, done, began) SELECT DISTINCT d.receiver, 0, 0, now() FROM store.deliveries AS d;

-- Windows that people enter on the page: those of the configuration and its calendars have no author.
ALTER TABLE store.maintenance ADD COLUMN author text NOT NULL DEFAULT '', ADD COLUMN withdrawn_by text NOT NULL DEFAULT '';

CREATE OR REPLACE VIEW public.maintenance AS
SELECT m.id, m.tenant, m.site, m.entity, m.name, m.begins, m.ends, m.added, m.author FROM store.maintenance AS m WHERE m.withdrawn IS NULL;

CREATE VIEW public.verdicts AS
SELECT
    v.id, v.incident AS incident_id, v.tenant, v.episode, v.word, v.scope, v.author, v.given, v.recorded, v.lapses, v.suppression, v.remark,
    split_part(v.source, '/', 1) AS via
FROM store.verdicts AS v;

CREATE VIEW public.notes AS
SELECT n.id, n.incident AS incident_id, n.tenant, n.kind, n.text, n.author, n.written FROM store.notes AS n;

CREATE OR REPLACE VIEW public.evidence AS
SELECT e.incident AS incident_id, i.tenant, i.site, e.field, e.value, e.events, e.first, e.last, p.number AS episode
FROM store.evidence AS e
JOIN store.episodes AS p ON p.incident = e.incident AND p.number = e.episode AND p.day = e.day
JOIN store.incidents AS i ON i.id = e.incident;

CREATE OR REPLACE VIEW public.episodes AS
SELECT
    p.incident AS incident_id, i.tenant, i.site, p.number AS episode,
    CASE
        WHEN p.number = i.episode AND i.until > now() THEN 'open'
        WHEN p.number = i.episode AND i.verdict_episode = i.episode THEN 'closed'
        WHEN EXISTS (
            SELECT FROM store.verdicts AS v
            WHERE v.incident = p.incident AND v.episode = p.number AND v.word IN ('false-positive', 'allowed', 'closed')
        ) AND p.number < i.episode THEN 'closed'
        ELSE 'expired'
    END AS status,
    p.opened, p.updated, p.closes_at, p.model, p.model_id, p.p_value, p.score, p.worst_p, p.worst_score, p.events, p.got_in,
    p.reasons, p.counterfactual
FROM store.episodes AS p
JOIN store.incidents AS i ON i.id = p.incident;

CREATE OR REPLACE VIEW public.events_recent AS
SELECT
    s.time, i.tenant, i.site, s.incident AS incident_id, i.model,
    s.fields ->> 'event.dataset' AS event_dataset,
    s.fields ->> 'event.category' AS event_category,
    s.fields ->> 'event.action' AS event_action,
    s.fields ->> 'event.outcome' AS event_outcome,
    s.fields ->> 'source.ip' AS source_ip,
    s.fields ->> 'destination.ip' AS destination_ip,
    s.fields ->> 'destination.port' AS destination_port,
    s.fields ->> 'user.name' AS user_name,
    s.fields ->> 'host.name' AS host_name,
    s.fields ->> 'observer.name' AS observer_name,
    s.topic AS log_topic, s.partition AS log_partition, s.position AS log_offset,
    s.fields, p.number AS episode
FROM store.samples AS s
JOIN store.episodes AS p ON p.incident = s.incident AND p.number = s.episode AND p.day = s.day
JOIN store.incidents AS i ON i.id = s.incident;

-- As in 0005, with the episode.
CREATE OR REPLACE VIEW public.incident_links AS
SELECT incident_id, other_id, tenant, kind, value, first, other_first
FROM (
    SELECT *, count(*) OVER (PARTITION BY incident_id, kind, value) AS sharing
    FROM (
        SELECT DISTINCT ON (a.incident, b.incident, k.kind, a.value)
            a.incident AS incident_id, b.incident AS other_id, i.tenant, k.kind, a.value, a.first, b.first AS other_first
        FROM store.incidents AS i
        JOIN store.episodes AS p ON p.incident = i.id
        JOIN store.evidence AS a ON a.incident = p.incident AND a.episode = p.number AND a.day = p.day
        JOIN (VALUES
            ('source.ip', 'address'), ('destination.ip', 'address'), ('user.name', 'account'), ('user.target.name', 'account'),
            ('host.name', 'host')
        ) AS k (field, kind) ON k.field = a.field
        JOIN store.evidence AS b ON b.value = a.value AND b.day BETWEEN a.day - 2 AND a.day + 2 AND b.incident <> a.incident
            AND b.first <= a.last + interval '2 hours' AND b.last >= a.first - interval '2 hours'
        JOIN (VALUES
            ('source.ip', 'address'), ('destination.ip', 'address'), ('user.name', 'account'), ('user.target.name', 'account'),
            ('host.name', 'host')
        ) AS l (field, kind) ON l.field = b.field AND l.kind = k.kind
        JOIN store.incidents AS j ON j.id = b.incident AND j.tenant = i.tenant
        ORDER BY a.incident, b.incident, k.kind, a.value, a.first
    ) AS pairs
) AS counted
WHERE sharing <= 10;

-- As in 0006; the status now says what people did, and at the end stands who, and until when it is not over.
CREATE OR REPLACE VIEW public.incidents AS
SELECT
    i.id, i.tenant, i.site, i.model, i.model_id, i.family,
    CASE
        WHEN i.verdict = 'confirmed' THEN 'confirmed'
        WHEN i.work_until > now() THEN 'in-work'
        WHEN i.verdict_episode = i.episode THEN 'closed'
        WHEN i.closes_at > now() THEN 'open'
        ELSE 'expired'
    END AS status,
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
            JOIN store.evidence AS e ON e.incident = p.incident AND e.episode = p.number AND e.day = p.day
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
    d.why, CASE WHEN i.notification = 'suppressed' THEN d.suppression END AS suppression,
    i.until, i.verdict, i.verdict_by, i.verdict_at, i.work_by, i.work_until, i.ticket, i.owner, i.signature, i.alike
FROM store.incidents AS i
LEFT JOIN store.learning AS l ON l.tenant = i.tenant AND i.recorded >= l.began AND i.recorded < coalesce(l.ended, 'infinity')
LEFT JOIN LATERAL (
    SELECT x.why, x.suppression FROM store.decisions AS x WHERE x.incident = i.id ORDER BY x.number DESC LIMIT 1
) AS d ON true;

-- Before one says "all of this kind": how many open ones that takes, and how many of the last 30 days a suppression of their entities
-- would have hidden (a success after failures never; at most twice as strong); `hidden_one`: of this one's entity alone.
-- Ask it for one incident_id.
CREATE VIEW public.alike AS
SELECT i.id AS incident_id, i.tenant, c.open_now, c.hidden_30d, c.hidden_one
FROM store.incidents AS i
CROSS JOIN LATERAL (
    WITH
    taken AS (
        SELECT j.entity_kind, j.entity_value, j.worst_score + abs(j.worst_score) AS strength
        FROM store.incidents AS j
        WHERE j.alike = i.alike AND (j.id = i.id OR (j.until > now() AND j.verdict IS DISTINCT FROM 'confirmed'))
    ),
    entities AS (SELECT t.entity_kind, t.entity_value, max(t.strength) AS strength FROM taken AS t GROUP BY 1, 2),
    hidden AS (
        SELECT k.entity_kind, k.entity_value, k.worst_score
        FROM store.incidents AS k
        JOIN entities AS e ON e.entity_kind = k.entity_kind AND e.entity_value = k.entity_value AND k.worst_score <= e.strength
        WHERE k.alike = i.alike AND k.opened > now() - interval '30 days' AND NOT k.urgent
            AND NOT (k.family = 'credential-access' AND k.got_in = 'yes')
    )
    SELECT
        (SELECT count(*) FROM taken) AS open_now, count(*) AS hidden_30d,
        count(*) FILTER (
            WHERE h.entity_kind = i.entity_kind AND h.entity_value = i.entity_value AND h.worst_score <= i.worst_score + abs(i.worst_score)
        ) AS hidden_one
    FROM hidden AS h
) AS c;

-- Least privilege. tests/test_store_roles.py walks the whole matrix.
REVOKE ALL ON FUNCTION store.signature(jsonb), store.alike(text, text, text[], jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION store.signature(jsonb), store.alike(text, text, text[], jsonb) TO tuermer_daemon;
GRANT SELECT, INSERT ON store.verdicts, store.notes, store.annotations, store.receivers TO tuermer_daemon;
GRANT UPDATE (done) ON store.receivers TO tuermer_daemon;
GRANT UPDATE (verdict, verdict_episode, verdict_by, verdict_at, work_by, work_until, ticket, owner) ON store.incidents TO tuermer_daemon;
GRANT UPDATE (changed, gone) ON store.annotations TO tuermer_daemon;
GRANT UPDATE (withdrawn_by) ON store.maintenance TO tuermer_daemon;
GRANT SELECT ON public.verdicts, public.notes, public.alike TO tuermer_daemon, tuermer_grafana;
GRANT SELECT ON public.verdicts TO tuermer_auditor;
