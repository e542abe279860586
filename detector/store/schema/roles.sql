-- Five roles, least privilege. Run by whoever may create roles (CREATEROLE); repeating it changes nothing.
-- They come without LOGIN: the embedded server or the administrator gives login and password, for example
--   ALTER ROLE tuermer_daemon LOGIN PASSWORD '…';      or      GRANT tuermer_daemon TO tuermer;
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['tuermer_owner', 'tuermer_daemon', 'tuermer_grafana', 'tuermer_auditor', 'tuermer_trainer'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE', name);
        END IF;
    END LOOP;
END
$$;
ALTER ROLE tuermer_grafana SET statement_timeout = '15s';
ALTER ROLE tuermer_grafana SET default_transaction_read_only = on;
ALTER ROLE tuermer_auditor SET statement_timeout = '60s';
ALTER ROLE tuermer_auditor SET default_transaction_read_only = on;
ALTER ROLE tuermer_trainer SET statement_timeout = '300s';
ALTER ROLE tuermer_daemon SET idle_in_transaction_session_timeout = '60s';
