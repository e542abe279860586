-- Tables live in the schema `store`, which only the daemon may touch; everybody else reads the views in `public`.
CREATE SCHEMA store;

CREATE TABLE store.tenants (
    tenant text PRIMARY KEY
);

-- The bucket of notifications; its row is the tenant's lock while a batch decides (design section 3).
CREATE TABLE store.buckets (
    tenant text PRIMARY KEY REFERENCES store.tenants,
    tokens double precision NOT NULL,
    refilled bigint NOT NULL                        -- µs since the epoch
);

CREATE TABLE store.shards (
    shard text PRIMARY KEY,
    tenant text NOT NULL REFERENCES store.tenants,
    site text NOT NULL,
    place text NOT NULL,                            -- the log its offsets count in, e.g. tuermer.events/3
    epoch bigint NOT NULL DEFAULT 1,                -- raised by every claim: fences the owner before
    origin bigint NOT NULL,                         -- offset of its first message: where a state without snapshot begins
    applied bigint NOT NULL,                        -- next offset that is not yet in these tables
    owner text NOT NULL DEFAULT '',
    claimed timestamptz NOT NULL,
    moved timestamptz                               -- when `applied` last moved
);
CREATE INDEX ON store.shards (place);

CREATE TABLE store.snapshots (
    shard text PRIMARY KEY REFERENCES store.shards,
    next bigint NOT NULL,                           -- the state after every message below this offset
    schema text NOT NULL,
    bytes bigint NOT NULL,
    saved timestamptz NOT NULL
);
CREATE TABLE store.snapshot_parts (
    shard text NOT NULL REFERENCES store.snapshots ON DELETE CASCADE,
    part integer NOT NULL,
    payload bytea NOT NULL,
    PRIMARY KEY (shard, part)
);
ALTER TABLE store.snapshot_parts ALTER COLUMN payload SET STORAGE EXTERNAL;  -- it is compressed already

-- Everything else that changes SCORE's state: stored first without an offset, given its offset by the
-- transaction of the batch before it takes effect, so that a replay meets it at the same place.
CREATE TABLE store.inputs (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    shard text NOT NULL REFERENCES store.shards,
    from_offset bigint,
    kind text NOT NULL,
    payload jsonb NOT NULL,
    created timestamptz NOT NULL,
    author text NOT NULL DEFAULT session_user
);
CREATE INDEX ON store.inputs (shard, from_offset);

CREATE TABLE store.incidents (
    id uuid PRIMARY KEY,
    day date NOT NULL,                              -- of the opening; the partition of its evidence
    shard text NOT NULL REFERENCES store.shards,
    tenant text NOT NULL REFERENCES store.tenants,
    site text NOT NULL,
    model text NOT NULL,
    model_id text NOT NULL,
    family text NOT NULL,
    entity_kind text NOT NULL,
    entity_value text NOT NULL,
    techniques text[] NOT NULL,
    opened timestamptz NOT NULL,                    -- event time
    closes_at timestamptz NOT NULL,                 -- clock time: a backlog must not arrive closed
    p_value double precision NOT NULL,              -- from here to reasons: the opening's, never rewritten (I8)
    score double precision NOT NULL,
    opening_severity text NOT NULL,
    urgent boolean NOT NULL,
    title jsonb NOT NULL,
    counterfactual jsonb NOT NULL,
    reasons jsonb NOT NULL,
    recorded timestamptz NOT NULL,                  -- clock time
    updated timestamptz NOT NULL,                   -- from here on: the course of the incident
    severity text NOT NULL,
    worst_p double precision NOT NULL,
    worst_score double precision NOT NULL,
    events bigint NOT NULL,
    got_in text NOT NULL,
    notification text NOT NULL DEFAULT 'none' CHECK (notification IN ('none', 'sent', 'held')),
    notified timestamptz
);
CREATE INDEX ON store.incidents (tenant, updated);
CREATE INDEX ON store.incidents USING brin (opened);

CREATE TABLE store.evidence (
    day date NOT NULL,
    incident uuid NOT NULL,
    field text NOT NULL,
    value text NOT NULL,
    events bigint NOT NULL,
    first timestamptz NOT NULL,
    last timestamptz NOT NULL,
    PRIMARY KEY (day, incident, field, value)
) PARTITION BY RANGE (day);
CREATE INDEX ON store.evidence USING brin (first);

CREATE TABLE store.samples (
    day date NOT NULL,
    incident uuid NOT NULL,
    time timestamptz NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    position bigint NOT NULL,
    fields jsonb NOT NULL,
    PRIMARY KEY (day, incident, topic, partition, position)
) PARTITION BY RANGE (day);
CREATE INDEX ON store.samples USING brin (time);

CREATE TABLE store.outbox (
    id text PRIMARY KEY,                            -- <incident>/<n>: receivers drop repeats by it
    sequence bigint GENERATED ALWAYS AS IDENTITY,
    incident uuid NOT NULL REFERENCES store.incidents,
    tenant text NOT NULL,
    created timestamptz NOT NULL,
    payload jsonb NOT NULL
);
CREATE INDEX ON store.outbox (sequence);
CREATE INDEX ON store.outbox (incident);
CREATE TABLE store.deliveries (
    id text NOT NULL REFERENCES store.outbox,
    receiver text NOT NULL,
    delivered timestamptz NOT NULL,
    PRIMARY KEY (id, receiver)
);

CREATE TABLE store.models (
    model_id text PRIMARY KEY,
    model text NOT NULL,
    sha256 text NOT NULL,
    manifest jsonb NOT NULL,
    loaded timestamptz NOT NULL
);

CREATE TABLE store.health (
    component text NOT NULL,                        -- route | score | page | deliver
    instance text NOT NULL,
    reported timestamptz NOT NULL,
    values jsonb NOT NULL,                          -- numbers only: lag, events/s, …
    PRIMARY KEY (component, instance)
);

-- One partition a day for evidence and samples. Attached, not created in place: that would lock out every reader.
CREATE FUNCTION store.make_day(day date) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    parent text;
    name text;
BEGIN
    IF day < '2000-01-01' OR day >= '2100-01-01' THEN
        RAISE EXCEPTION 'no partition for the day %', day;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('store.make_day'));
    FOREACH parent IN ARRAY ARRAY['evidence', 'samples'] LOOP
        name := parent || '_' || to_char(day, 'YYYYMMDD');
        IF to_regclass('store.' || name) IS NULL THEN
            EXECUTE format('CREATE TABLE store.%I (LIKE store.%I INCLUDING ALL)', name, parent);
            EXECUTE format('ALTER TABLE store.%I ATTACH PARTITION store.%I FOR VALUES FROM (%L) TO (%L)', parent, name, day, day + 1);
        END IF;
    END LOOP;
END
$$;
