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
            everybody => name = 'store.maintenance'::regclass
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

REVOKE ALL ON FUNCTION store.caller(), store.caller_scope(), store.narrowed(), store.sees_all(), store.sees_health(), store.my_tenants(),
    store.protect(regclass, boolean, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION store.sees_all(), store.sees_health(), store.my_tenants()
    TO tuermer_daemon, tuermer_grafana, tuermer_auditor, tuermer_trainer;  -- policies ask them as the reader
GRANT USAGE ON SCHEMA store, public TO tuermer_trainer;
GRANT SELECT ON store.tenant_roles TO tuermer_daemon;
