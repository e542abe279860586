-- What people and Grafana read; the names are those of design section 9.
CREATE VIEW public.evidence AS
SELECT e.incident AS incident_id, i.tenant, i.site, e.field, e.value, e.events, e.first, e.last
FROM store.evidence AS e
JOIN store.incidents AS i ON i.id = e.incident AND i.day = e.day;

CREATE VIEW public.incidents AS
SELECT
    i.id, i.tenant, i.site, i.model, i.model_id, i.family,
    CASE WHEN i.closes_at > now() THEN 'open' ELSE 'expired' END AS status,
    i.severity, i.opened, i.updated, i.closes_at, i.recorded,
    jsonb_build_object('kind', i.entity_kind, 'value', i.entity_value) AS entity,
    i.entity_kind, i.entity_value, md5(i.entity_kind || ':' || i.entity_value) AS entity_key,
    i.techniques, i.title, i.title ->> 'de' AS title_de, i.title ->> 'en' AS title_en,
    i.p_value, CASE WHEN i.p_value > 0 THEN 1 / i.p_value ELSE 'Infinity' END AS one_in,
    i.score, i.worst_p, i.worst_score, i.events, i.got_in, i.urgent, i.notification, i.notified,
    (
        SELECT coalesce(jsonb_agg(to_jsonb(rows) ORDER BY rows.events DESC, rows.field, rows.value), '[]')
        FROM (
            SELECT e.field, e.value, e.events, e.first, e.last
            FROM store.evidence AS e
            WHERE e.incident = i.id AND e.day = i.day
            ORDER BY e.events DESC, e.field, e.value
            LIMIT 10000
        ) AS rows
    ) AS evidence,
    i.reasons, i.counterfactual
FROM store.incidents AS i;

-- Events behind incidents: all that is kept of them, already pseudonymous.
CREATE VIEW public.events_recent AS
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
    s.fields
FROM store.samples AS s
JOIN store.incidents AS i ON i.id = s.incident AND i.day = s.day;

CREATE VIEW public.health AS
SELECT
    'shard' AS component, s.shard AS instance, coalesce(s.moved, s.claimed) AS reported,
    extract(epoch FROM now() - coalesce(s.moved, s.claimed))::double precision AS age,
    jsonb_build_object('applied', s.applied, 'epoch', s.epoch, 'snapshot', p.next) AS values
FROM store.shards AS s
LEFT JOIN store.snapshots AS p ON p.shard = s.shard
UNION ALL
SELECT h.component, h.instance, h.reported, extract(epoch FROM now() - h.reported)::double precision, h.values
FROM store.health AS h
UNION ALL
SELECT
    'outbox', '', coalesce(min(o.created), now()),
    coalesce(extract(epoch FROM now() - min(o.created)), 0)::double precision, jsonb_build_object('waiting', count(*))
FROM store.outbox AS o
WHERE NOT EXISTS (SELECT FROM store.deliveries AS d WHERE d.id = o.id);
