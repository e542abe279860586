-- Models: their bytes, their way from candidate to champion, who did what, what the gates said, what a shadow would have said.
-- tenant '' = shared: for every tenant that has no champion of its own.

-- Inputs that need preparation wait until a daemon has loaded what they name; what it could not take is refused, with the reason.
ALTER TABLE store.inputs ADD COLUMN waits boolean NOT NULL DEFAULT false, ADD COLUMN placed timestamptz, ADD COLUMN refused text;
CREATE INDEX ON store.inputs (shard) WHERE from_offset IS NULL AND refused IS NULL;
GRANT UPDATE (placed, refused) ON store.inputs TO tuermer_daemon;

CREATE TABLE store.artefacts (
    tenant text NOT NULL,
    model_id text NOT NULL,
    model text NOT NULL,
    digest text NOT NULL,                           -- SHA-256 of the manifest: what SCORE's state calls it
    schema_hash text NOT NULL,
    trainer text NOT NULL,                          -- login whose key signed the manifest
    manifest bytea NOT NULL,
    arrays bytea NOT NULL,
    signature bytea NOT NULL,
    brought timestamptz NOT NULL,
    PRIMARY KEY (tenant, model_id)
);
CREATE INDEX ON store.artefacts (digest);

CREATE TABLE store.registry (
    tenant text NOT NULL,
    model_id text NOT NULL,
    model text NOT NULL,
    state text NOT NULL DEFAULT 'candidate' CHECK (state IN ('candidate', 'shadow', 'champion', 'retired')),
    since timestamptz NOT NULL,
    PRIMARY KEY (tenant, model_id),
    FOREIGN KEY (tenant, model_id) REFERENCES store.artefacts
);
CREATE UNIQUE INDEX ON store.registry (tenant, model) WHERE state = 'champion';
CREATE UNIQUE INDEX ON store.registry (tenant, model) WHERE state = 'shadow';

-- Every step of a model, for good. model_id '' = the shipped one.
CREATE TABLE store.model_steps (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant text NOT NULL,
    model text NOT NULL,
    model_id text NOT NULL,
    state text NOT NULL DEFAULT 'candidate',
    before text NOT NULL DEFAULT '',                -- the champion that it took the place of
    at timestamptz NOT NULL,
    actor text NOT NULL,
    second text NOT NULL DEFAULT '',                -- login of who approved
    reason text NOT NULL DEFAULT ''
);
CREATE INDEX ON store.model_steps (tenant, model, id);

CREATE TABLE store.model_approvals (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant text NOT NULL,
    model_id text NOT NULL,
    approver text NOT NULL,
    statement bytea NOT NULL,                       -- exactly what was signed
    signature bytea NOT NULL,
    given timestamptz NOT NULL,
    FOREIGN KEY (tenant, model_id) REFERENCES store.artefacts
);

-- Whoever brings a model in, also a notebook, leaves a row in the audit log.
CREATE FUNCTION store.artefact_brought() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM store.audit_append(NEW.tenant, NEW.brought, NEW.trainer, 'model.import', NEW.model_id,
        jsonb_build_object('model', NEW.model, 'digest', NEW.digest)::text);
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION store.artefact_brought() FROM PUBLIC;
CREATE TRIGGER brought AFTER INSERT ON store.artefacts FOR EACH ROW EXECUTE FUNCTION store.artefact_brought();

-- What the gates said, run by run; `report` holds the incidents that appear, vanish or change their rank.
CREATE TABLE store.model_gates (
    tenant text NOT NULL,
    model_id text NOT NULL,
    run bigint NOT NULL,
    computed timestamptz NOT NULL,
    results bytea NOT NULL,                         -- JSON, as its SHA-256 stands in approvals
    report jsonb NOT NULL,
    PRIMARY KEY (tenant, model_id, run),
    FOREIGN KEY (tenant, model_id) REFERENCES store.artefacts
);

-- What a candidate would have said of a sample of entities beside the champion; counts of both, incidents of both.
CREATE TABLE store.shadow_counts (
    shard text NOT NULL REFERENCES store.shards,
    model_id text NOT NULL,
    model text NOT NULL,
    rows bigint NOT NULL,
    sampled bigint NOT NULL,
    candidate_alerts bigint NOT NULL,
    champion_alerts bigint NOT NULL,
    first timestamptz NOT NULL,                     -- event time
    last timestamptz NOT NULL,
    PRIMARY KEY (shard, model_id)
);
CREATE TABLE store.shadow_incidents (
    shard text NOT NULL REFERENCES store.shards,
    model_id text NOT NULL,
    side text NOT NULL CHECK (side IN ('candidate', 'champion')),
    id uuid NOT NULL,
    model text NOT NULL,
    family text NOT NULL,
    entity_kind text NOT NULL,
    entity_value text NOT NULL,
    title jsonb NOT NULL,
    opened timestamptz NOT NULL,                    -- event time
    updated timestamptz NOT NULL,
    worst_p double precision NOT NULL,
    events bigint NOT NULL,
    PRIMARY KEY (shard, model_id, side, id)
);

CREATE VIEW public.models AS
SELECT r.tenant, r.model, r.model_id, r.state, r.since, a.digest, a.trainer, a.brought,
    (SELECT s.actor FROM store.model_steps AS s WHERE s.tenant = r.tenant AND s.model_id = r.model_id ORDER BY s.id DESC LIMIT 1) AS actor,
    (SELECT p.approver FROM store.model_approvals AS p WHERE p.tenant = r.tenant AND p.model_id = r.model_id ORDER BY p.id DESC LIMIT 1)
        AS approver
FROM store.registry AS r JOIN store.artefacts AS a USING (tenant, model_id);

CREATE VIEW public.model_steps AS
SELECT id, tenant, model, model_id, state, before, at, actor, second, reason FROM store.model_steps;

CREATE VIEW public.shadow_incidents AS
SELECT s.tenant, i.* FROM store.shadow_incidents AS i JOIN store.shards AS s USING (shard);

CREATE VIEW public.shadow_counts AS
SELECT s.tenant, c.* FROM store.shadow_counts AS c JOIN store.shards AS s USING (shard);

-- Which model judges which shard, or will: the latest input for each.
CREATE VIEW public.model_use AS
SELECT DISTINCT ON (i.shard, i.payload ->> 'model', i.payload ->> 'part')
    s.tenant, i.shard, i.payload ->> 'model' AS model, i.payload ->> 'part' AS part, i.payload ->> 'digest' AS digest,
    i.from_offset, i.created, i.placed, i.refused
FROM store.inputs AS i JOIN store.shards AS s USING (shard)
WHERE i.kind = 'model'
ORDER BY i.shard, i.payload ->> 'model', i.payload ->> 'part', i.id DESC;

GRANT SELECT, INSERT ON store.artefacts, store.registry, store.model_steps, store.model_approvals, store.model_gates,
    store.shadow_counts, store.shadow_incidents TO tuermer_daemon;
GRANT UPDATE (state, since) ON store.registry TO tuermer_daemon;
GRANT UPDATE (rows, sampled, candidate_alerts, champion_alerts, first, last) ON store.shadow_counts TO tuermer_daemon;
GRANT UPDATE (updated, worst_p, events) ON store.shadow_incidents TO tuermer_daemon;
GRANT SELECT ON public.models, public.model_steps, public.shadow_incidents, public.shadow_counts, public.model_use
    TO tuermer_daemon, tuermer_trainer;
GRANT SELECT ON public.models, public.model_steps, public.model_use TO tuermer_auditor;

-- Notebooks: they read, and hand over a candidate; its state is not theirs to say.
GRANT USAGE ON SCHEMA store, public TO tuermer_trainer;
GRANT SELECT ON store.artefacts, store.registry, store.model_steps, store.model_gates TO tuermer_trainer;
GRANT INSERT ON store.artefacts, store.model_gates TO tuermer_trainer;
GRANT INSERT (tenant, model_id, model, since) ON store.registry TO tuermer_trainer;
GRANT INSERT (tenant, model, model_id, at, actor) ON store.model_steps TO tuermer_trainer;
GRANT SELECT ON store.model_approvals, store.shards, store.deciles TO tuermer_trainer;
GRANT SELECT ON public.suppressions TO tuermer_trainer;

-- What notebooks count: incidents and near misses without whom they are about.
CREATE VIEW public.model_days AS
SELECT i.tenant, i.model, i.model_id, i.opened::date AS day, count(*) AS incidents,
    count(*) FILTER (WHERE i.notification = 'sent') AS sent
FROM store.incidents AS i GROUP BY 1, 2, 3, 4;

CREATE VIEW public.model_reasons AS
SELECT i.tenant, i.model, i.opened::date AS day, r.value ->> 'feature' AS feature, r.ordinality AS place, count(*) AS incidents
FROM store.incidents AS i, jsonb_array_elements(i.reasons) WITH ORDINALITY AS r (value, ordinality)
GROUP BY 1, 2, 3, 4, 5;

CREATE VIEW public.model_verdicts AS
SELECT i.tenant, i.model, t.technique, coalesce(i.verdict, '') AS verdict, count(*) AS incidents
FROM store.incidents AS i, unnest(i.techniques) AS t (technique)
GROUP BY 1, 2, 3, 4;

CREATE VIEW public.model_misses AS
SELECT s.tenant, n.model, n.day, n.family, n.nearness, n.p_value, n.techniques
FROM store.near_misses AS n JOIN store.shards AS s USING (shard);

GRANT SELECT ON public.model_days, public.model_reasons, public.model_verdicts, public.model_misses TO tuermer_daemon, tuermer_trainer;
