-- An incident is a series of episodes: what repeats within 14 days continues one row, and each time keeps its own facts.
ALTER TABLE store.incidents
    ADD COLUMN volume double precision,                     -- comparable rows a day at the opening; a fact
    ADD COLUMN critical boolean NOT NULL DEFAULT false,     -- from here on: the course of the incident
    ADD COLUMN spread integer NOT NULL DEFAULT 0,
    ADD COLUMN episode integer NOT NULL DEFAULT 1,
    ADD COLUMN episode_opened timestamptz,
    ADD COLUMN episode_events bigint,
    ADD COLUMN usual_low bigint,
    ADD COLUMN usual_high bigint;

CREATE TABLE store.episodes (
    incident uuid NOT NULL REFERENCES store.incidents,
    number integer NOT NULL,
    day date NOT NULL,                                      -- of this opening; the partition of its evidence
    opened timestamptz NOT NULL,                            -- event time; from here to counterfactual: facts (I8)
    closes_at timestamptz NOT NULL,                         -- clock time
    model text NOT NULL,
    model_id text NOT NULL,
    p_value double precision NOT NULL,
    score double precision NOT NULL,
    reasons jsonb NOT NULL,
    counterfactual jsonb NOT NULL,
    updated timestamptz NOT NULL,                           -- from here on: its course
    worst_p double precision NOT NULL,
    worst_score double precision NOT NULL,
    events bigint NOT NULL,
    got_in text NOT NULL,
    PRIMARY KEY (incident, number)
);
INSERT INTO store.episodes
SELECT id, 1, day, opened, closes_at, model, model_id, p_value, score, reasons, counterfactual, updated, worst_p, worst_score, events, got_in
FROM store.incidents;
UPDATE store.incidents SET episode_opened = opened, episode_events = events;
ALTER TABLE store.incidents ALTER COLUMN episode_opened SET NOT NULL, ALTER COLUMN episode_events SET NOT NULL;

CREATE INDEX ON store.incidents (episode_opened DESC, id);  -- the page lists what began last first

-- Related incidents are found by a shared value in the evidence of days nearby: one look into this index per value.
CREATE INDEX ON store.evidence (value, day);

CREATE OR REPLACE VIEW public.evidence AS
SELECT e.incident AS incident_id, i.tenant, i.site, e.field, e.value, e.events, e.first, e.last, p.number AS episode
FROM store.evidence AS e
JOIN store.episodes AS p ON p.incident = e.incident AND p.day = e.day
JOIN store.incidents AS i ON i.id = e.incident;

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
    i.critical, i.spread, i.episode, i.episode_opened, i.episode_events, i.usual_low, i.usual_high
FROM store.incidents AS i;

-- The times that an incident was open, each with its own reasons.
CREATE VIEW public.episodes AS
SELECT
    p.incident AS incident_id, i.tenant, i.site, p.number AS episode,
    CASE WHEN p.closes_at > now() THEN 'open' ELSE 'expired' END AS status,
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
JOIN store.episodes AS p ON p.incident = s.incident AND p.day = s.day
JOIN store.incidents AS i ON i.id = s.incident;

-- What two incidents of a tenant share within two hours: a source, an account or a host. Facts of the evidence, so nothing
-- is stored for it. A value that more than ten incidents share is a hub and links nothing. Ask it for one incident_id.
CREATE VIEW public.incident_links AS
SELECT incident_id, other_id, tenant, kind, value, first, other_first
FROM (
    SELECT *, count(*) OVER (PARTITION BY incident_id, kind, value) AS sharing
    FROM (
        SELECT DISTINCT ON (a.incident, b.incident, k.kind, a.value)
            a.incident AS incident_id, b.incident AS other_id, i.tenant, k.kind, a.value, a.first, b.first AS other_first
        FROM store.incidents AS i
        JOIN store.episodes AS p ON p.incident = i.id
        JOIN store.evidence AS a ON a.incident = p.incident AND a.day = p.day
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

GRANT SELECT, INSERT ON store.episodes TO tuermer_daemon;
GRANT UPDATE (updated, worst_p, worst_score, events, got_in) ON store.episodes TO tuermer_daemon;
GRANT UPDATE (closes_at, critical, spread, episode, episode_opened, episode_events, usual_low, usual_high) ON store.incidents
    TO tuermer_daemon;
GRANT SELECT ON public.episodes, public.incident_links TO tuermer_daemon, tuermer_grafana;
