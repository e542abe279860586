-- Whose rows are whose: every table that knows its tenant shows a row only to who may see that tenant. It holds below the
-- views, too, because they read as the tables' owner and FORCE makes the owner obey: a new view cannot forget it.

-- Who sees what. The names of a tenant's roles say nothing (any login may list the names of roles), so they are looked up here.
CREATE TABLE store.tenant_roles (
    role name PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('daemon', 'grafana', 'auditor', 'trainer')),
    tenant text,                                    -- empty = one of the four shared roles
    scope text NOT NULL CHECK (scope IN ('tenant', 'all', 'health')),
    made timestamptz NOT NULL,
    CHECK ((scope = 'tenant') = (tenant IS NOT NULL))
);
CREATE INDEX ON store.tenant_roles (tenant);
-- One town needs no more than these. With the first tenant that gets roles of its own the shared ones see health only.
INSERT INTO store.tenant_roles (role, kind, scope, made) VALUES
    ('tuermer_daemon', 'daemon', 'all', now()), ('tuermer_grafana', 'grafana', 'all', now()),
    ('tuermer_auditor', 'auditor', 'all', now()), ('tuermer_trainer', 'trainer', 'all', now());

-- Who is asking: the login, or the role it has taken on. Unlike current_user the same inside views and functions of the owner.
CREATE FUNCTION store.caller() RETURNS name
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE current_setting('role') WHEN 'none' THEN session_user ELSE current_setting('role')::name END
$$;

-- 'tenant', 'health' or 'all'; a role with a row of its own gets that and inherits nothing, the owner of the tables sees all.
CREATE FUNCTION store.caller_scope() RETURNS text
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(
        (SELECT r.scope FROM store.tenant_roles AS r WHERE r.role = store.caller()),
        (SELECT 'all' FROM pg_namespace AS n WHERE n.nspname = 'store' AND pg_has_role(store.caller(), n.nspowner, 'MEMBER')),
        (
            SELECT min(r.scope) FROM store.tenant_roles AS r -- 'all' < 'health'
            WHERE r.tenant IS NULL AND pg_has_role(store.caller(), r.role, 'MEMBER')
        ),
        'tenant'
    )
$$;

-- The page narrows itself to the tenants of the person who asks: a JSON list in `tuermer.tenants`. It never widens.
CREATE FUNCTION store.narrowed() RETURNS jsonb
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT nullif(current_setting('tuermer.tenants', true), '')::jsonb
$$;
CREATE FUNCTION store.sees_all() RETURNS boolean
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT store.narrowed() IS NULL AND store.caller_scope() = 'all'
$$;
CREATE FUNCTION store.sees_health() RETURNS boolean
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT store.narrowed() IS NULL AND store.caller_scope() IN ('all', 'health')
$$;
CREATE FUNCTION store.my_tenants() RETURNS text[]
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE
        WHEN store.caller_scope() = 'all' THEN ARRAY(SELECT jsonb_array_elements_text(coalesce(store.narrowed(), '[]')))
        ELSE ARRAY(
            SELECT r.tenant FROM store.tenant_roles AS r
            WHERE r.tenant IS NOT NULL AND (store.narrowed() IS NULL OR store.narrowed() ? r.tenant) AND (
                r.role = store.caller() OR (
                    NOT EXISTS (SELECT FROM store.tenant_roles AS o WHERE o.role = store.caller())
                    AND pg_has_role(store.caller(), r.role, 'MEMBER')
                )
            )
        )
    END
$$;

-- The one rule, by the column that says whose a row is. `health`: what the operator of many tenants sees, too.
CREATE FUNCTION store.protect(wanted regclass, health boolean DEFAULT false, everybody boolean DEFAULT false) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    whose text := (
        SELECT CASE a.attname WHEN 'tenant' THEN 'tenant' ELSE 'split_part(shard, ''/'', 1)' END
        FROM pg_attribute AS a WHERE a.attrelid = wanted AND a.attname IN ('tenant', 'shard') AND NOT a.attisdropped
        ORDER BY a.attname DESC LIMIT 1
    );
    rule text;
BEGIN
    IF whose IS NULL THEN
        RAISE EXCEPTION '% has neither a column tenant nor shard', wanted;
    END IF;
    rule := format('(SELECT store.%s()) OR %s = ANY ((SELECT store.my_tenants())::text[])',
        CASE WHEN health THEN 'sees_health' ELSE 'sees_all' END, whose);
    IF everybody THEN
        rule := rule || ' OR tenant = ''''';       -- a row for every tenant
    END IF;
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', wanted);
    EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', wanted);
    EXECUTE format('CREATE POLICY own ON %s USING (%s)', wanted, rule);
    EXECUTE format('CREATE POLICY daemon ON %s TO tuermer_daemon USING (true)', wanted); -- SCORE asks for no rule per row
END
$$;

DO $$
DECLARE
    name regclass;
BEGIN
    FOR name IN
        SELECT DISTINCT c.oid::regclass FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
        WHERE c.relnamespace = 'store'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
            AND a.attname IN ('tenant', 'shard') AND NOT a.attisdropped
            AND c.oid <> 'store.tenant_roles'::regclass  -- the rule itself reads it; only the daemon has a right to it
    LOOP
        PERFORM store.protect(
            name,
            health => name = ANY (ARRAY['store.shards', 'store.snapshots', 'store.learning', 'store.device_slots', 'store.unread_slots',
                'store.ailments', 'store.outbox']::regclass[]),
            everybody => name::text = ANY ('{store.maintenance,store.artefacts,store.registry,store.model_steps,store.model_approvals,store.model_gates}')
        );
    END LOOP;
END
$$;
ALTER TABLE store.deliveries ENABLE ROW LEVEL SECURITY;
ALTER TABLE store.deliveries FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON store.deliveries USING (
    (SELECT store.sees_health()) OR EXISTS (SELECT FROM store.outbox AS o WHERE o.id = deliveries.id)
);
CREATE POLICY daemon ON store.deliveries TO tuermer_daemon USING (true);
-- How many messages wait is health, and the view counts them; which they are is not.
CREATE POLICY contents ON store.outbox AS RESTRICTIVE TO tuermer_auditor
    USING ((SELECT store.sees_all()) OR tenant = ANY ((SELECT store.my_tenants())::text[]));
CREATE POLICY contents ON store.deliveries AS RESTRICTIVE TO tuermer_auditor
    USING ((SELECT store.sees_all()) OR EXISTS (SELECT FROM store.outbox AS o WHERE o.id = deliveries.id));

REVOKE ALL ON FUNCTION store.caller(), store.caller_scope(), store.narrowed(), store.sees_all(), store.sees_health(), store.my_tenants(),
    store.protect(regclass, boolean, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION store.sees_all(), store.sees_health(), store.my_tenants()
    TO tuermer_daemon, tuermer_grafana, tuermer_auditor, tuermer_trainer;  -- policies ask them as the reader
GRANT USAGE ON SCHEMA store, public TO tuermer_trainer;
GRANT SELECT ON store.tenant_roles TO tuermer_daemon;

-- How long everything is kept, as data: the night deletes by it, the privacy report prints it, and a test finds what is missing here.
-- `whose` and `moment` are expressions over the row t; `unless`: what stays all the same, $3 being the time of the run.
CREATE TABLE store.keepings (
    relation text PRIMARY KEY,
    period text NOT NULL CHECK (period IN ('evidence', 'links', 'incidents', 'training', 'audit', 'state')), -- a key of [retention]
    how text NOT NULL CHECK (how IN ('days', 'rows', 'with', 'chain', 'state')), -- partitions | rows | with its parent | audit | current only
    rank integer NOT NULL DEFAULT 0,
    whose text NOT NULL DEFAULT 't.tenant',
    moment text NOT NULL DEFAULT '',
    unless text NOT NULL DEFAULT 'false',
    purpose_de text NOT NULL,
    purpose_en text NOT NULL
);
INSERT INTO store.keepings (relation, period, how, rank, whose, moment, unless, purpose_de, purpose_en) VALUES
    ('evidence', 'evidence', 'days', 0, '', 't.day', '', 'Belege einer Auffälligkeit', 'evidence of an incident'),
    ('samples', 'evidence', 'days', 0, '', 't.day', '', 'Ereignisse hinter einer Auffälligkeit', 'events behind an incident'),
    ('outbox', 'evidence', 'rows', 1, 't.tenant', 't.created',
        'EXISTS (SELECT FROM store.holds AS h WHERE h.incident = t.incident AND h.ended IS NULL AND h.expires > $3)',
        'Meldungen an Empfänger', 'messages to receivers'),
    ('deliveries', 'evidence', 'with', 0, '', '', '', 'Zustellung der Meldungen', 'delivery of messages'),
    ('near_misses', 'evidence', 'rows', 1, 'split_part(t.shard, ''/'', 1)', 't.day', 'false',
        'was knapp unter der Schwelle blieb', 'what stayed just below the threshold'),
    ('digests', 'evidence', 'rows', 1, 't.tenant', 't.day', 'false', 'Tagesübersicht', 'daily digest'),
    ('incidents', 'incidents', 'rows', 2, 't.tenant', 'greatest(t.updated, t.closes_at)',
        'EXISTS (SELECT FROM store.holds AS h WHERE h.incident = t.id AND h.ended IS NULL AND h.expires > $3)',
        'Auffälligkeiten; Tokens nur so lange wie die Belege', 'incidents; tokens only as long as the evidence'),
    ('episodes', 'incidents', 'with', 0, '', '', '', 'Zeiten, in denen eine Auffälligkeit offen war', 'times that an incident was open'),
    ('decisions', 'incidents', 'with', 0, '', '', '', 'warum gemeldet wurde oder nicht', 'why somebody was told or not'),
    ('verdicts', 'incidents', 'with', 0, '', '', '', 'Urteile von Menschen', 'verdicts of people'),
    ('notes', 'incidents', 'with', 0, '', '', '', 'Notizen von Menschen', 'notes of people'),
    ('deciles', 'incidents', 'rows', 1, 'split_part(t.shard, ''/'', 1)', 't.day', 'false',
        'Zählung, ob ein Modell noch passt', 'counts that show whether a model still fits'),
    ('suppressions', 'incidents', 'rows', 3, 't.tenant', 'least(t.ended, t.expires)',
        't.key LIKE ''config:%'' OR EXISTS (SELECT FROM store.decisions AS d WHERE d.suppression = t.id)'
        ' OR EXISTS (SELECT FROM store.verdicts AS v WHERE v.suppression = t.id)',
        'Unterdrückungen mit Grund', 'suppressions with their reason'),
    ('maintenance', 'incidents', 'rows', 3, 't.tenant', 't.ends',
        'EXISTS (SELECT FROM store.decisions AS d WHERE d.maintenance = t.id)', 'Wartungsfenster', 'maintenance windows'),
    ('inputs', 'incidents', 'rows', 3, 'split_part(t.shard, ''/'', 1)', 't.created',
        't.refused IS NULL AND NOT EXISTS (SELECT FROM store.shards AS s LEFT JOIN store.snapshots AS p ON p.shard = s.shard'
        ' WHERE s.shard = t.shard AND coalesce(p.next, s.origin) > t.from_offset)',
        'was den Zustand der Auswertung ändert', 'what changes the state of the analysis'),
    ('ailments', 'incidents', 'rows', 3, 't.tenant', 't.closed', 'false', 'Störungen des Betriebs', 'what was not well'),
    ('reservoir', 'training', 'rows', 1, 't.tenant', 't.day', 'false',
        'Trainingszeilen ohne Kennungen', 'training rows without identifiers'),
    ('drift', 'audit', 'rows', 1, 't.tenant', 't.day', 'false', 'ob sich die Daten verschieben', 'whether the data shift'),
    ('annotations', 'audit', 'rows', 1, 't.tenant', 't.seen', 'false', 'gesehene Anmerkungen aus Grafana', 'annotations seen in Grafana'),
    ('artefacts', 'state', 'state', 0, '', '', '', 'Modelle, ohne Werte von Personen', 'models, without values of persons'),
    ('registry', 'state', 'state', 0, '', '', '', 'welches Modell gilt', 'which model is in use'),
    ('model_steps', 'state', 'state', 0, '', '', '', 'wer ein Modell eingesetzt hat', 'who put a model to use'),
    ('model_approvals', 'state', 'state', 0, '', '', '', 'Freigaben von Modellen', 'approvals of models'),
    ('model_gates', 'state', 'state', 0, '', '', '', 'Prüfung von Modellen; Tokens nur so lange wie die Belege',
        'checks of models; tokens only as long as the evidence'),
    ('shadow_counts', 'evidence', 'rows', 1, 'split_part(t.shard, ''/'', 1)', 't.last', 'false', 'Zählung eines Probelaufs', 'counts of a trial'),
    ('shadow_incidents', 'evidence', 'rows', 1, 'split_part(t.shard, ''/'', 1)', 't.updated', 'false',
        'was ein Modell im Probelauf gemeldet hätte', 'what a model on trial would have said'),
    ('links', 'links', 'rows', 1, 't.tenant', 't.day',
        'EXISTS (SELECT FROM store.holds AS h JOIN store.evidence AS e ON e.incident = h.incident'
        ' WHERE h.tenant = t.tenant AND h.ended IS NULL AND h.expires > $3 AND e.value = t.token)',
        'versiegelter Weg vom Token zum Namen', 'sealed link from token to name'),
    ('link_slots', 'links', 'rows', 2, 't.tenant', 't.day', 'EXISTS (SELECT FROM store.links AS l WHERE l.slot = t.slot)',
        'Schlüssel eines Tages, versiegelt', 'keys of a day, sealed'),
    ('link_keys', 'links', 'with', 0, '', '', '', 'Schlüssel eines Tages, je Person versiegelt', 'keys of a day, sealed to each holder'),
    ('link_tenants', 'state', 'state', 0, '', '', '', 'Schlüssel eines Mandanten; gelöscht = alles unlesbar',
        'key of a tenant; deleted = nothing can be read'),
    ('openings', 'audit', 'rows', 1, 't.tenant', 't.requested', 'false', 'wer Namen öffnen wollte und warum', 'who asked for names and why'),
    ('opening_tokens', 'links', 'rows', 1, 't.tenant', 't.day', 'false', 'um welche Tokens es ging', 'which tokens that was about'),
    ('receivers', 'state', 'state', 0, '', '', '', 'Empfänger und wie es um sie steht', 'receivers and how they do'),
    ('veil', 'state', 'state', 0, '', '', '', 'Schlüssel für Kennungen in Grafana', 'key of identifiers in Grafana'),
    ('guidance', 'state', 'state', 0, '', '', '', 'Hinweise zu Techniken', 'guidance on techniques'),
    ('pulse', 'state', 'state', 0, '', '', '', 'Zahlen zum Betrieb je Minute, 30 Tage', 'numbers of the operation by minute, 30 days'),
    ('audit', 'audit', 'chain', 0, '', '', '', 'wer was getan hat', 'who did what'),
    ('audit_heads', 'audit', 'chain', 0, '', '', '', 'Ende der Kette', 'end of the chain'),
    ('audit_seals', 'audit', 'chain', 0, '', '', '', 'Unterschriften der Kette', 'signatures of the chain'),
    ('holds', 'audit', 'rows', 4, 't.tenant', 'least(t.ended, t.expires)', 'false', 'Aufbewahrung für einen Fall', 'legal holds'),
    ('deletion_runs', 'audit', 'rows', 5, '''''', 't.ended', 'false', 'Löschprotokolle', 'deletion records'),
    ('deletions', 'audit', 'with', 0, '', '', '', 'Löschprotokolle, je Speicher', 'deletion records, by store'),
    ('privacy_reports', 'audit', 'rows', 4, '''''', 't.made', 't.number = (SELECT max(r.number) FROM store.privacy_reports AS r)',
        'Berichte zum Datenschutz', 'privacy reports'),
    ('tenants', 'state', 'state', 0, '', '', '', 'Mandanten', 'tenants'),
    ('tenant_roles', 'state', 'state', 0, '', '', '', 'Rollen der Mandanten', 'roles of tenants'),
    ('keepings', 'state', 'state', 0, '', '', '', 'diese Liste', 'this list'),
    ('buckets', 'state', 'state', 0, '', '', '', 'Meldungen des Tages; Anteile nur dieses Tages', 'notifications of the day; shares of that day only'),
    ('learning', 'state', 'state', 0, '', '', '', 'Lernphase', 'learning phase'),
    ('shards', 'state', 'state', 0, '', '', '', 'wie weit gelesen wurde', 'how far was read'),
    ('snapshots', 'state', 'state', 0, '', '', '', 'Zustand der Auswertung, ständig überschrieben; nach langer Stille gelöscht',
        'state of the analysis, overwritten all the time; deleted after long silence'),
    ('snapshot_parts', 'state', 'state', 0, '', '', '', 'Zustand der Auswertung', 'state of the analysis'),
    ('models', 'state', 'state', 0, '', '', '', 'Modelle, ohne Werte von Personen', 'models, without values of persons'),
    ('health', 'state', 'state', 0, '', '', '', 'Zahlen zum Betrieb', 'numbers of the operation'),
    ('watched', 'state', 'state', 0, '', '', '', 'wie weit gezählt wurde', 'how far was counted'),
    ('device_slots', 'state', 'state', 0, '', '', '', 'Zählung je Gerät, 8 Tage', 'counts by device, 8 days'),
    ('unread_slots', 'state', 'state', 0, '', '', '', 'Zählung des Unlesbaren, 8 Tage', 'counts of what nobody could read, 8 days');

-- What must be kept for a case, until when and why.
CREATE TABLE store.holds (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant text NOT NULL REFERENCES store.tenants,
    incident uuid NOT NULL REFERENCES store.incidents ON DELETE CASCADE,
    case_number text NOT NULL CHECK (case_number <> ''),
    reason text NOT NULL CHECK (reason <> ''),
    author text NOT NULL CHECK (author <> ''),
    begun timestamptz NOT NULL,
    expires timestamptz NOT NULL CHECK (expires > begun),
    ended timestamptz,
    ended_by text
);
CREATE INDEX ON store.holds (incident);

-- Each night, and what it deleted. The document is written and signed when the run is done.
CREATE TABLE store.deletion_runs (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    began timestamptz NOT NULL,
    ended timestamptz,
    document text,
    key text,
    signature bytea
);
CREATE TABLE store.deletions (
    run bigint NOT NULL REFERENCES store.deletion_runs ON DELETE CASCADE,
    tenant text NOT NULL,
    relation text NOT NULL,
    rows bigint NOT NULL,
    first timestamptz,                              -- the oldest and the newest of what went
    last timestamptz,
    before timestamptz NOT NULL,                    -- what is older than this had to go
    done timestamptz NOT NULL
);
CREATE INDEX ON store.deletions (run);
CREATE TABLE store.privacy_reports (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    made timestamptz NOT NULL,
    document text NOT NULL,
    key text,
    signature bytea
);
SELECT store.protect('store.holds'), store.protect('store.deletions');

-- What depends on an incident goes with it; only store.forget below may delete one.
ALTER TABLE store.episodes DROP CONSTRAINT episodes_incident_fkey,
    ADD CONSTRAINT episodes_incident_fkey FOREIGN KEY (incident) REFERENCES store.incidents ON DELETE CASCADE;
ALTER TABLE store.decisions DROP CONSTRAINT decisions_incident_fkey,
    ADD CONSTRAINT decisions_incident_fkey FOREIGN KEY (incident) REFERENCES store.incidents ON DELETE CASCADE;
ALTER TABLE store.verdicts DROP CONSTRAINT verdicts_incident_fkey,
    ADD CONSTRAINT verdicts_incident_fkey FOREIGN KEY (incident) REFERENCES store.incidents ON DELETE CASCADE;
ALTER TABLE store.notes DROP CONSTRAINT notes_incident_fkey,
    ADD CONSTRAINT notes_incident_fkey FOREIGN KEY (incident) REFERENCES store.incidents ON DELETE CASCADE;
ALTER TABLE store.outbox DROP CONSTRAINT outbox_incident_fkey,
    ADD CONSTRAINT outbox_incident_fkey FOREIGN KEY (incident) REFERENCES store.incidents ON DELETE CASCADE;
ALTER TABLE store.deliveries DROP CONSTRAINT deliveries_id_fkey,
    ADD CONSTRAINT deliveries_id_fkey FOREIGN KEY (id) REFERENCES store.outbox ON DELETE CASCADE;
CREATE INDEX ON store.decisions (maintenance) WHERE maintenance IS NOT NULL;
CREATE INDEX ON store.verdicts (suppression) WHERE suppression IS NOT NULL;

ALTER TABLE store.incidents ADD COLUMN redacted timestamptz;    -- when its tokens and addresses were taken out
CREATE INDEX ON store.incidents (tenant, opened) WHERE redacted IS NULL;
ALTER TABLE store.snapshots ADD COLUMN heard timestamptz NOT NULL DEFAULT now(); -- when it was written; `saved` also moves in silence

-- What is older than so many days goes; a wrong clock, theirs or ours, cannot make it younger than that.
CREATE FUNCTION store.cut_off(days integer, moment timestamptz) RETURNS timestamptz
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT least(moment, now()) - make_interval(days => greatest(days, 1))
$$;

-- One table, one tenant. Returns how many rows went; the record is written with them or not at all.
CREATE FUNCTION store.forget(what text, whose text, days integer, moment timestamptz, run bigint) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    rule store.keepings;
    edge timestamptz := store.cut_off(days, moment);
    gone bigint;
    oldest timestamptz;
    newest timestamptz;
BEGIN
    SELECT * INTO STRICT rule FROM store.keepings AS k WHERE k.relation = what AND k.how = 'rows';
    EXECUTE format(
        'WITH gone AS (DELETE FROM store.%I AS t WHERE (%s) = $1 AND (%s) < $2 AND NOT coalesce((%s), false) RETURNING (%s)::timestamptz AS at)'
        ' SELECT count(*), min(at), max(at) FROM gone WHERE $3 IS NOT NULL', what, rule.whose, rule.moment, rule.unless, rule.moment
    ) INTO gone, oldest, newest USING whose, edge, moment;
    IF gone > 0 THEN
        INSERT INTO store.deletions VALUES (run, whose, what, gone, oldest, newest, edge, moment);
    END IF;
    RETURN gone;
END
$$;

-- One day of evidence and samples. `keep`: days by tenant, '' for those not named. The partitions are dropped where nobody's rows must
-- stay; otherwise, or when a reader does not let go of the table for three seconds, the rows are deleted.
CREATE FUNCTION store.forget_day(day date, keep jsonb, moment timestamptz, run bigint) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' SET lock_timeout = '3s' AS $$
DECLARE
    parent text;
    part text;
    kept boolean;
    here bigint;
    gone bigint := 0;
BEGIN
    CREATE TEMPORARY TABLE due ON COMMIT DROP AS
    SELECT i.id, i.tenant, store.cut_off(coalesce(keep ->> i.tenant, keep ->> '')::integer, moment) AS edge FROM (
        SELECT DISTINCT p.incident FROM store.episodes AS p WHERE p.day = forget_day.day
    ) AS e JOIN store.incidents AS i ON i.id = e.incident
    WHERE forget_day.day < store.cut_off(coalesce(keep ->> i.tenant, keep ->> '')::integer, moment)
        AND NOT EXISTS (SELECT FROM store.holds AS h WHERE h.incident = i.id AND h.ended IS NULL AND h.expires > moment);
    FOREACH parent IN ARRAY ARRAY['evidence', 'samples'] LOOP
        part := parent || '_' || to_char(day, 'YYYYMMDD');
        IF to_regclass('store.' || part) IS NULL OR day >= store.cut_off((keep ->> '')::integer, moment) AND NOT EXISTS (SELECT FROM pg_temp.due) THEN
            CONTINUE;
        END IF;
        EXECUTE format('SELECT EXISTS (SELECT FROM store.%I AS r WHERE NOT EXISTS (SELECT FROM pg_temp.due AS d WHERE d.id = r.incident)'
            ' AND EXISTS (SELECT FROM store.incidents AS i WHERE i.id = r.incident))', part) INTO kept;
        EXECUTE format('INSERT INTO store.deletions SELECT $1, d.tenant, $2, count(*), $3, $3, min(d.edge), $4'
            ' FROM store.%I AS r JOIN pg_temp.due AS d ON d.id = r.incident GROUP BY d.tenant', part) USING run, parent, day, moment;
        EXECUTE format('SELECT count(*) FROM store.%I AS r JOIN pg_temp.due AS d ON d.id = r.incident', part) INTO here;
        gone := gone + here;
        IF NOT kept AND day < store.cut_off((keep ->> '')::integer, moment) THEN
            BEGIN
                EXECUTE format('ALTER TABLE store.%I DETACH PARTITION store.%I', parent, part);
                EXECUTE format('DROP TABLE store.%I', part);
                CONTINUE;
            EXCEPTION WHEN lock_not_available THEN
                NULL; -- a long query reads: its rows go one by one, the empty partition another night
            END;
        END IF;
        EXECUTE format('DELETE FROM store.%I AS r USING pg_temp.due AS d WHERE d.id = r.incident', part);
    END LOOP;
    DROP TABLE pg_temp.due;
    RETURN gone;
END
$$;

-- What names a person, a client or an outside address is taken out of what stays longer than the evidence. Facts else stay (I8).
CREATE FUNCTION store.without_tokens(given text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT regexp_replace(given,
        '\m(u|h|ip)-[0-9a-f]{16}\M|\m[0-9]{1,3}(\.[0-9]{1,3}){3}\M'                              -- a token; IPv4
        '|(?<![0-9A-Za-z:])([0-9a-fA-F]{1,4}:){7}[0-9a-fA-F]{1,4}(?![0-9A-Za-z:])'               -- IPv6; with :: inside; at its end
        '|(?<![0-9A-Za-z:])([0-9a-fA-F]{1,4}:){1,7}((:[0-9a-fA-F]{1,4}){1,7}|:)(?![0-9A-Za-z:])', '–', 'g')
$$;
CREATE FUNCTION store.redact(whose text, days integer, moment timestamptz, run bigint) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    edge timestamptz := store.cut_off(days, moment);
    gone bigint;
BEGIN
    -- `over`: no time of it is younger. One that comes again and again keeps its name so long; its old texts do not.
    CREATE TEMPORARY TABLE old ON COMMIT DROP AS
    SELECT i.id, i.opened, NOT EXISTS (SELECT FROM store.episodes AS p WHERE p.incident = i.id AND p.day >= edge) AS over
    FROM store.incidents AS i
    WHERE i.tenant = whose AND i.redacted IS NULL AND i.day < edge
        AND NOT EXISTS (SELECT FROM store.holds AS h WHERE h.incident = i.id AND h.ended IS NULL AND h.expires > moment);
    UPDATE store.episodes AS p SET
        reasons = store.without_tokens(p.reasons::text)::jsonb, counterfactual = store.without_tokens(p.counterfactual::text)::jsonb
    FROM pg_temp.old AS o
    WHERE p.incident = o.id AND p.day < edge AND (p.reasons::text || p.counterfactual::text)
        <> store.without_tokens(p.reasons::text || p.counterfactual::text);
    UPDATE store.incidents AS i SET
        title = store.without_tokens(i.title::text)::jsonb, reasons = store.without_tokens(i.reasons::text)::jsonb,
        counterfactual = store.without_tokens(i.counterfactual::text)::jsonb,
        entity_value = CASE WHEN o.over AND i.entity_kind IN ('source.ip', 'user.name') THEN store.without_tokens(i.entity_value)
            ELSE i.entity_value END,
        redacted = CASE WHEN o.over THEN moment END
    FROM pg_temp.old AS o
    WHERE i.id = o.id AND (o.over OR (i.title::text || i.reasons::text || i.counterfactual::text)
        <> store.without_tokens(i.title::text || i.reasons::text || i.counterfactual::text));
    UPDATE store.notes AS n SET text = store.without_tokens(n.text) FROM pg_temp.old AS o WHERE n.incident = o.id AND o.over;
    UPDATE store.suppressions AS s SET value = store.without_tokens(s.value)
    WHERE s.tenant = whose AND s.ends_with_epoch AND s.expires < edge AND s.value <> store.without_tokens(s.value);
    UPDATE store.buckets AS b SET shares = '{}' WHERE b.tenant = whose AND b.shares <> '{}' AND 'epoch'::date + b.day < edge;
    UPDATE store.model_gates AS g SET report = store.without_tokens(g.report::text)::jsonb
    WHERE g.tenant = whose AND g.computed < edge AND g.report::text <> store.without_tokens(g.report::text);
    INSERT INTO store.deletions
    SELECT run, whose, 'incidents: tokens', count(*), min(o.opened), max(o.opened), edge, moment FROM pg_temp.old AS o WHERE o.over
    HAVING count(*) > 0;
    SELECT count(*) INTO gone FROM pg_temp.old AS o WHERE o.over;
    DROP TABLE pg_temp.old;
    RETURN gone;
END
$$;

-- The state of a shard that fell silent: SCORE begins it anew (detector/lanes.py). Returns those shards.
CREATE FUNCTION store.forget_states(whose text, days integer, moment timestamptz, run bigint) RETURNS text[]
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    edge timestamptz := store.cut_off(days, moment);
    silent text[];
BEGIN
    SELECT coalesce(array_agg(p.shard ORDER BY p.shard), '{}') INTO silent
    FROM store.snapshots AS p JOIN store.shards AS s ON s.shard = p.shard WHERE s.tenant = whose AND p.heard < edge;
    UPDATE store.shards AS s SET origin = s.applied WHERE s.shard = ANY (silent);
    WITH gone AS (DELETE FROM store.snapshots AS p WHERE p.shard = ANY (silent) RETURNING p.heard)
    INSERT INTO store.deletions SELECT run, whose, 'snapshots', count(*), min(heard), max(heard), edge, moment FROM gone HAVING count(*) > 0;
    RETURN silent;
END
$$;

REVOKE ALL ON FUNCTION store.cut_off(integer, timestamptz), store.without_tokens(text),
    store.forget(text, text, integer, timestamptz, bigint), store.forget_day(date, jsonb, timestamptz, bigint),
    store.redact(text, integer, timestamptz, bigint), store.forget_states(text, integer, timestamptz, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION store.forget(text, text, integer, timestamptz, bigint), store.forget_day(date, jsonb, timestamptz, bigint),
    store.redact(text, integer, timestamptz, bigint), store.forget_states(text, integer, timestamptz, bigint) TO tuermer_daemon;
GRANT SELECT ON store.keepings, store.deletions TO tuermer_daemon, tuermer_auditor;
GRANT SELECT, INSERT ON store.holds, store.deletion_runs, store.privacy_reports TO tuermer_daemon;
GRANT UPDATE (ended, ended_by) ON store.holds TO tuermer_daemon;
GRANT UPDATE (ended, document, key, signature) ON store.deletion_runs TO tuermer_daemon;
GRANT SELECT ON store.holds TO tuermer_auditor;
