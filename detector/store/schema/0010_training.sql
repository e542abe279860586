-- What SCORE keeps to learn from, and how what it sees moves away from what its models know. No row names anybody: vectors know the
-- hour of their block, and an entity is a number that is forgotten at the next token epoch (05:00).

CREATE TABLE store.reservoir (
    tenant text NOT NULL REFERENCES store.tenants,
    shard text NOT NULL REFERENCES store.shards,
    day date NOT NULL,                              -- token epoch, 05:00 to 05:00 of the tenant's time
    model text NOT NULL,
    hour timestamptz NOT NULL,                      -- of the stream's clock
    aside boolean NOT NULL,                         -- rows of incidents: learnt from only when all say false-positive or allowed
    schema text NOT NULL,                           -- of the features
    rows integer NOT NULL,
    seen bigint NOT NULL,                           -- of that hour; 0 where aside
    eligible bigint NOT NULL,                       -- of these, those that may be learnt from
    low bigint[] NOT NULL CHECK (cardinality(low) = 3), -- of these, outside incidents, p at or below 1e-1, 1e-2, 1e-3
    incidents uuid[] NOT NULL,
    columns bytea NOT NULL,                         -- judge/blocks.py
    PRIMARY KEY (shard, model, hour, aside)
);
CREATE INDEX ON store.reservoir (tenant, model, day);

CREATE TABLE store.drift (
    tenant text NOT NULL REFERENCES store.tenants,
    model text NOT NULL,
    day date NOT NULL,
    made timestamptz NOT NULL,
    model_id text NOT NULL,
    rows integer NOT NULL,
    ks double precision NOT NULL,                   -- of scores, against the days before
    realised double precision,                      -- rows with p <= 0.01 over those that there should be; NULL: too few, or no probability
    unknown double precision NOT NULL,              -- share of values outside all that the days before had
    psi jsonb NOT NULL,                             -- feature -> population stability index
    cause text CHECK (cause IN ('source', 'format', 'volume', 'calendar', 'behaviour')),
    features text[] NOT NULL,                       -- that drifted, the most first
    text jsonb NOT NULL,                            -- de, en
    PRIMARY KEY (tenant, model, day)
);

CREATE VIEW public.drift AS
SELECT
    d.tenant, d.model, d.day, p.key AS feature, p.value::text::double precision AS psi, d.cause, d.text ->> 'de' AS text_de,
    d.text ->> 'en' AS text_en, d.ks, d.realised, d.unknown, d.rows, d.model_id, d.made
FROM store.drift AS d, jsonb_each(d.psi) AS p;

-- How much there is to learn from, by day.
CREATE VIEW public.training AS
SELECT
    r.tenant, r.model, r.day, sum(r.rows) FILTER (WHERE NOT r.aside)::bigint AS rows,
    coalesce(sum(r.rows) FILTER (WHERE r.aside), 0)::bigint AS aside, sum(r.seen)::bigint AS seen, sum(r.eligible)::bigint AS eligible,
    sum(octet_length(r.columns))::bigint AS bytes
FROM store.reservoir AS r
GROUP BY r.tenant, r.model, r.day;

-- Incidents that people called none: their rows are learnt from again.
CREATE VIEW public.given_back AS
SELECT i.tenant, i.id AS incident FROM store.incidents AS i WHERE i.verdict IN ('false-positive', 'allowed');

GRANT SELECT, INSERT ON store.reservoir, store.drift TO tuermer_daemon;
GRANT UPDATE (made, model_id, rows, ks, realised, unknown, psi, cause, features, text) ON store.drift TO tuermer_daemon;
GRANT SELECT ON store.reservoir, store.drift TO tuermer_trainer;
GRANT SELECT ON public.given_back TO tuermer_daemon, tuermer_trainer;
GRANT SELECT ON public.maintenance TO tuermer_trainer;
GRANT SELECT ON public.drift, public.training TO tuermer_daemon, tuermer_grafana, tuermer_trainer;
