-- Who did what, and names that only two people open together.

-- The audit log: one chain per tenant ('' = the whole system). Rows come in through store.audit_append only; see store/audit.py.
CREATE TABLE store.audit_heads (
    tenant text PRIMARY KEY,
    seq bigint NOT NULL,
    hash bytea NOT NULL                             -- of the row `seq`; of nothing: 32 zero bytes
);
CREATE TABLE store.audit (
    tenant text NOT NULL REFERENCES store.audit_heads,
    seq bigint NOT NULL,                            -- 1, 2, 3, … without a gap
    at timestamptz NOT NULL,
    actor text NOT NULL,                            -- a login, used for nothing else
    action text NOT NULL,
    subject text NOT NULL,
    details text NOT NULL,                          -- JSON, kept to the letter because it is hashed
    previous bytea NOT NULL,
    hash bytea NOT NULL,
    PRIMARY KEY (tenant, seq)
);
CREATE INDEX ON store.audit (action, subject);
CREATE TABLE store.audit_seals (
    tenant text NOT NULL REFERENCES store.audit_heads,
    seq bigint NOT NULL,
    hash bytea NOT NULL,
    made timestamptz NOT NULL,
    key text NOT NULL,                              -- the first half of the SHA-256 of the public key, hexadecimal
    signature bytea NOT NULL,                       -- Ed25519
    PRIMARY KEY (tenant, seq)
);

CREATE FUNCTION store.audit_hash(previous bytea, VARIADIC fields text[]) RETURNS bytea
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT sha256(previous || convert_to(string_agg(octet_length(f) || ':' || f || ',', '' ORDER BY n), 'UTF8'))
    FROM unnest(fields) WITH ORDINALITY AS u (f, n)
$$;

-- One row at the end of the tenant's chain; the lock on its head is held until the caller's transaction ends.
CREATE FUNCTION store.audit_append(whose text, moment timestamptz, who text, what text, about text, more text) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    head store.audit_heads;
    next bytea;
BEGIN
    INSERT INTO store.audit_heads VALUES (whose, 0, decode(repeat('00', 32), 'hex')) ON CONFLICT DO NOTHING;
    SELECT * INTO head FROM store.audit_heads WHERE tenant = whose FOR UPDATE;
    next := store.audit_hash(
        head.hash, whose, (head.seq + 1)::text, (extract(epoch FROM moment) * 1000000)::bigint::text, who, what, about, more
    );
    INSERT INTO store.audit VALUES (whose, head.seq + 1, moment, who, what, about, more, head.hash, next);
    UPDATE store.audit_heads SET seq = head.seq + 1, hash = next WHERE tenant = whose;
    RETURN head.seq + 1;
END
$$;

-- The beginning of a chain whose time is up. What is younger than 30 days by the server's clock stays, whatever is asked; a row of
-- the chain says where it begins now. Returns how many rows went.
CREATE FUNCTION store.audit_forget(whose text, before timestamptz, moment timestamptz) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    gone bigint;
    final store.audit;
    edge timestamptz := least(before, now() - interval '30 days');
BEGIN
    PERFORM FROM store.audit_heads WHERE tenant = whose FOR UPDATE;
    SELECT * INTO final FROM store.audit AS a
    WHERE a.tenant = whose AND a.seq < coalesce(
        (SELECT min(b.seq) FROM store.audit AS b WHERE b.tenant = whose AND b.at >= edge),
        (SELECT max(b.seq) + 1 FROM store.audit AS b WHERE b.tenant = whose)
    )
    ORDER BY a.seq DESC LIMIT 1;
    IF NOT FOUND THEN
        RETURN 0;
    END IF;
    DELETE FROM store.audit_seals WHERE tenant = whose AND seq <= final.seq;
    DELETE FROM store.audit WHERE tenant = whose AND seq <= final.seq;
    GET DIAGNOSTICS gone = ROW_COUNT;
    PERFORM store.audit_append(
        whose, moment, 'daemon', 'audit.forgotten', final.seq::text,
        json_build_object('hash', encode(final.hash, 'hex'), 'rows', gone, 'until', final.seq)::text
    );
    RETURN gone;
END
$$;

CREATE VIEW public.audit AS
SELECT tenant, seq, at, actor, action, subject, details, encode(previous, 'hex') AS previous, encode(hash, 'hex') AS hash
FROM store.audit;

REVOKE ALL ON FUNCTION store.audit_hash(bytea, text[]), store.audit_append(text, timestamptz, text, text, text, text),
    store.audit_forget(text, timestamptz, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION store.audit_append(text, timestamptz, text, text, text, text),
    store.audit_forget(text, timestamptz, timestamptz) TO tuermer_daemon;
GRANT SELECT ON store.audit, store.audit_heads, store.audit_seals TO tuermer_daemon, tuermer_auditor;
GRANT INSERT ON store.audit_seals TO tuermer_daemon;
GRANT SELECT ON public.audit TO tuermer_daemon, tuermer_auditor;

-- The sealed link table (privacy/vault.py says how it is sealed). No value here is readable without private keys of two people.
CREATE TABLE store.link_tenants (
    tenant text PRIMARY KEY,
    key bytea NOT NULL                              -- deleted = every link of the tenant is shredded
);
CREATE TABLE store.link_slots (
    slot bytea PRIMARY KEY,
    tenant text NOT NULL,
    epoch integer NOT NULL,                         -- days since 1970, 05:00 to 05:00
    day date NOT NULL GENERATED ALWAYS AS (date '1970-01-01' + epoch) STORED,
    groups text[] NOT NULL,                         -- any two of them together
    made timestamptz NOT NULL,
    commitments bytea NOT NULL,                     -- SHA-256 of each secret, in the order of the groups' names
    signature bytea                                 -- ROUTE's, where audit.key_file is set
);
CREATE INDEX ON store.link_slots (tenant, epoch);
CREATE TABLE store.link_keys (
    slot bytea NOT NULL REFERENCES store.link_slots ON DELETE CASCADE,
    tenant text NOT NULL,
    holder text NOT NULL,                           -- fingerprint of the public key
    name text NOT NULL,                             -- login
    grp text NOT NULL,
    sealed bytea NOT NULL,
    PRIMARY KEY (slot, holder)
);
CREATE TABLE store.links (
    tenant text NOT NULL,
    epoch integer NOT NULL,
    token text NOT NULL,
    slot bytea NOT NULL,
    tag bytea NOT NULL,
    sealed bytea NOT NULL,
    day date NOT NULL GENERATED ALWAYS AS (date '1970-01-01' + epoch) STORED,
    PRIMARY KEY (tenant, epoch, token)
);
CREATE INDEX ON store.links USING brin (day);

-- Who asked for the names of one incident, and what became of it. `handed` is sealed to the requester, `shown` under a code that
-- only the requester has; both go when the time is up.
CREATE TABLE store.openings (
    id uuid PRIMARY KEY,
    tenant text NOT NULL,
    incident uuid NOT NULL,
    case_number text NOT NULL,
    reason text NOT NULL,
    requester text NOT NULL,                        -- login
    request bytea NOT NULL,                         -- what the requester signed, with what is asked for
    signature bytea NOT NULL,
    requested timestamptz NOT NULL,
    break_glass boolean NOT NULL DEFAULT false,
    state text NOT NULL DEFAULT 'asked' CHECK (state IN ('asked', 'approved', 'refused', 'expired')),
    answered timestamptz,
    answered_by text,
    answer text,                                    -- why it was refused
    answer_signature bytea,
    expires timestamptz NOT NULL,                   -- of the request, once approved of the names
    handed bytea,
    shown bytea
);
CREATE INDEX ON store.openings (tenant, requested);
CREATE TABLE store.opening_tokens (
    opening uuid NOT NULL REFERENCES store.openings ON DELETE CASCADE,
    tenant text NOT NULL,
    epoch integer NOT NULL,
    token text NOT NULL,
    day date NOT NULL GENERATED ALWAYS AS (date '1970-01-01' + epoch) STORED,
    PRIMARY KEY (opening, epoch, token)
);
CREATE INDEX ON store.opening_tokens (tenant, epoch, token);

-- The tokens of a request as Grafana shows them in that incident (0013), so that who opened names finds them there.
CREATE FUNCTION store.opening_veils(wanted uuid) RETURNS TABLE (token text, shown text)
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY SELECT t.token, store.veiled((SELECT v.key FROM store.veil AS v), o.incident::text, t.token)
    FROM store.openings AS o JOIN store.opening_tokens AS t ON t.opening = o.id WHERE o.id = wanted;
END
$$;
REVOKE ALL ON FUNCTION store.opening_veils(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION store.opening_veils(uuid) TO tuermer_daemon;

ALTER TABLE store.outbox DROP CONSTRAINT outbox_kind_check;
ALTER TABLE store.outbox ADD CONSTRAINT outbox_kind_check CHECK (kind IN ('incident', 'digest', 'health', 'opening'));

GRANT SELECT, INSERT, DELETE ON store.link_tenants, store.link_slots, store.link_keys, store.links TO tuermer_daemon;
GRANT UPDATE (key) ON store.link_tenants TO tuermer_daemon; -- to lock the row while links are written
GRANT SELECT, INSERT ON store.openings, store.opening_tokens TO tuermer_daemon;
GRANT UPDATE (state, answered, answered_by, answer, answer_signature, expires, handed, shown) ON store.openings TO tuermer_daemon;
