-- Least privilege. tests/test_store_roles.py walks the whole matrix.
REVOKE ALL ON SCHEMA public FROM PUBLIC;
REVOKE ALL ON FUNCTION store.make_day(date) FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO tuermer_daemon, tuermer_grafana, tuermer_auditor;
GRANT USAGE ON SCHEMA store TO tuermer_daemon, tuermer_auditor;

-- The daemon: no DELETE of anything that was found, and UPDATE only where an incident may go on (I8).
GRANT SELECT, INSERT ON store.tenants, store.shards, store.incidents, store.evidence, store.samples, store.outbox,
    store.deliveries, store.models, store.inputs TO tuermer_daemon;
GRANT SELECT, INSERT, UPDATE ON store.buckets, store.health TO tuermer_daemon;
GRANT SELECT, INSERT, UPDATE, DELETE ON store.snapshots, store.snapshot_parts TO tuermer_daemon;
GRANT UPDATE (epoch, applied, owner, claimed, moved) ON store.shards TO tuermer_daemon;
GRANT UPDATE (updated, severity, worst_p, worst_score, events, got_in, notification, notified) ON store.incidents TO tuermer_daemon;
GRANT UPDATE (events, first, last) ON store.evidence TO tuermer_daemon;
GRANT UPDATE (from_offset) ON store.inputs TO tuermer_daemon;
GRANT EXECUTE ON FUNCTION store.make_day(date) TO tuermer_daemon;
GRANT SELECT ON public.incidents, public.evidence, public.events_recent, public.health TO tuermer_daemon;
GRANT SELECT ON public.migrations TO tuermer_daemon, tuermer_auditor;

GRANT SELECT ON public.incidents, public.evidence, public.events_recent, public.health TO tuermer_grafana;

-- The auditor sees what was changed, loaded and sent where, and when; not the findings themselves.
GRANT SELECT ON public.health TO tuermer_auditor;
GRANT SELECT ON store.inputs, store.models, store.deliveries TO tuermer_auditor;
GRANT SELECT (id, sequence, incident, tenant, created) ON store.outbox TO tuermer_auditor;
