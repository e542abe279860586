"""TLS to the database, as `database.url` with sslmode asks for it. On Debian's server: the wheel's has no TLS."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from psycopg.conninfo import make_conninfo

from detector.config import Config, Database
from detector.store import StoreError, open_database
from detector.store.embedded import Embedded
from detector.store.opening import prepare
from tests.postgres import DEBIAN, FAST, open_folder


def certificate(folder: Path, name: str) -> Path:
    """A self-signed certificate for localhost: <name>.pem and <name>.key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True).sign(key, hashes.SHA256())
    )  # fmt: skip
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / f"{name}.key").write_bytes(private)
    (folder / f"{name}.key").chmod(0o600)
    (folder / f"{name}.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    return folder / f"{name}.pem"


@pytest.mark.skipif(not (DEBIAN / "initdb").exists(), reason="PostgreSQL 15 is not installed here (apt-get install postgresql-15)")
def test_the_connection_is_encrypted_and_the_server_proves_who_it_is() -> None:
    with open_folder() as folder:
        ours, strangers = certificate(folder, "server"), certificate(folder, "stranger")
        settings = {**FAST, "ssl": "on", "ssl_cert_file": str(ours), "ssl_key_file": str(ours.with_suffix(".key"))}
        server = Embedded(folder / "postgres", DEBIAN, settings=settings)
        if server.user is not None:
            os.chown(ours.with_suffix(".key"), server.user.pw_uid, server.user.pw_gid)
        with server:
            prepare(server)
            checked = make_conninfo(server.url("tuermer_owner"), host="localhost", hostaddr="127.0.0.1", sslmode="verify-full")
            opened = open_database(Config(database=Database(url=make_conninfo(checked, sslrootcert=str(ours)))), {})
            with psycopg.connect(opened.daemon_url) as connection:
                row = connection.execute("SELECT ssl, version FROM pg_stat_ssl WHERE pid = pg_backend_pid()").fetchone()
            assert row == (True, "TLSv1.3")
            with pytest.raises(StoreError, match=r"The database refuses the connection: .*certificate verify failed"):
                open_database(Config(database=Database(url=make_conninfo(checked, sslrootcert=str(strangers)))), {})
