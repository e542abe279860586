-- Türmer watches itself and the devices it hears from: plain counts per ten minutes, and what is not well because of them.

CREATE TABLE store.device_slots (
    shard text NOT NULL REFERENCES store.shards,
    observer text NOT NULL,
    slot timestamptz NOT NULL,                      -- ten minutes of record time
    events bigint NOT NULL,
    filled bigint[] NOT NULL,                       -- events that have each of judge/devices.py FIELDS
    last timestamptz NOT NULL,                      -- record time of the newest
    off bigint NOT NULL,                            -- events whose clock was corrected
    by interval NOT NULL,                           -- record time minus event time, of the last such
    PRIMARY KEY (shard, observer, slot)
);
CREATE INDEX ON store.device_slots USING brin (slot);

CREATE TABLE store.unread_slots (
    tenant text NOT NULL,
    topic text NOT NULL,
    format text NOT NULL,
    reason text NOT NULL,
    slot timestamptz NOT NULL,
    records bigint NOT NULL,
    PRIMARY KEY (tenant, topic, format, reason, slot)
);

-- How far the dead letters are counted; moved in the transaction that counts them, so each counts once.
CREATE TABLE store.watched (
    place text PRIMARY KEY,                         -- topic/partition
    next bigint NOT NULL
);

CREATE TABLE store.ailments (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL,
    tenant text NOT NULL,                           -- empty = the whole system
    subject text NOT NULL,
    severity text NOT NULL,
    title jsonb NOT NULL,
    text jsonb NOT NULL,
    opened timestamptz NOT NULL,                    -- clock time
    updated timestamptz NOT NULL,
    closed timestamptz                              -- it was found well again
);
CREATE UNIQUE INDEX ON store.ailments (kind, tenant, subject) WHERE closed IS NULL;
CREATE INDEX ON store.ailments (tenant, opened);

ALTER TABLE store.outbox DROP CONSTRAINT outbox_kind_check;
ALTER TABLE store.outbox ADD CONSTRAINT outbox_kind_check CHECK (kind IN ('incident', 'digest', 'health'));

CREATE VIEW public.devices AS
SELECT
    s.tenant, s.site, d.observer, min(d.slot) AS first, max(d.last) AS last,
    coalesce(sum(d.events) FILTER (WHERE d.slot > now() - interval '24 hours'), 0)::bigint AS events_24h
FROM store.device_slots AS d
JOIN store.shards AS s ON s.shard = d.shard
GROUP BY s.tenant, s.site, d.observer;

CREATE VIEW public.health_incidents AS
SELECT
    a.id, a.kind, a.tenant, a.subject, a.severity, a.title ->> 'de' AS title_de, a.title ->> 'en' AS title_en,
    a.text ->> 'de' AS text_de, a.text ->> 'en' AS text_en, a.opened, a.updated, a.closed,
    CASE WHEN a.closed IS NULL THEN 'open' ELSE 'mended' END AS status
FROM store.ailments AS a;

GRANT SELECT, INSERT ON store.device_slots, store.unread_slots, store.watched, store.ailments TO tuermer_daemon;
GRANT UPDATE (events, filled, last, off, by) ON store.device_slots TO tuermer_daemon;
GRANT UPDATE (records) ON store.unread_slots TO tuermer_daemon;
GRANT UPDATE (next) ON store.watched TO tuermer_daemon;
GRANT UPDATE (severity, title, text, updated, closed) ON store.ailments TO tuermer_daemon;
GRANT DELETE ON store.device_slots, store.unread_slots TO tuermer_daemon; -- statistics of a week, not findings
GRANT SELECT ON public.devices, public.health_incidents TO tuermer_daemon, tuermer_grafana;
GRANT SELECT ON public.health_incidents TO tuermer_auditor;
