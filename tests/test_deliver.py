"""Receivers: at least once, in order per incident, each on its own; a dead one gets everything when it lives again."""

from __future__ import annotations

import contextlib
import datetime as dt
import http.server
import ipaddress
import json
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from detector.config import ConfigError
from detector.deliver.alert import Letter, letter
from detector.deliver.courier import FIRST, SLOWEST, Courier, Down, Refused, Wait, beside
from detector.deliver.receivers import transport_of
from detector.deliver.syslog import Syslog, cef, message
from detector.deliver.webhook import Webhook, signature
from detector.desksections import Receiver
from detector.judge.findings import Changes
from detector.judge.policy import Policy
from detector.store import Database, Store
from detector.store.outbox import Notice, begin, waiting
from tests.postgres import TestDatabase
from tests.test_store import NOW, SHARD, an_incident

SECRET = b"a secret of the test's own"
NASTY = "<script>{{7*7}}' OR 1=1 --\n<13>1 forged|a=b\\\x1b[31m\x9b\N{RIGHT-TO-LEFT OVERRIDE}"


class Feed:
    """Notices, two per incident."""

    def __init__(self, database: TestDatabase) -> None:
        self.store = Store(database.url(), Policy(per_day=20, learning_days=0))
        self.claim, self.at = self.store.claim(SHARD, NOW), 0

    def __call__(self, number: int) -> None:
        one = an_incident(number, urgent=True)
        for changes in (Changes(SHARD, opened=(one,), notify=(one.id,)), Changes(SHARD, updated=(one,), notify=(one.id,))):
            self.store.apply(self.claim, self.at, self.at + 1, changes, NOW)
            self.at += 1


@pytest.fixture
def feed(database: TestDatabase) -> Iterator[Feed]:
    made = Feed(database)
    yield made
    made.store.close()


def notices(*numbers: int) -> list[str]:
    return [f"{an_incident(number).id}/{n}" for number in numbers for n in (1, 2)]


@dataclass
class Ear:
    """A receiver in memory. `trouble`: what to raise, by message id; "*" for all."""

    batch: int = 1
    heard: list[str] = field(default_factory=list)
    trouble: dict[str, Exception] = field(default_factory=dict)

    def send(self, letters: Sequence[Letter]) -> None:
        for one in letters:
            for key in (one.id, "*"):
                if key in self.trouble:
                    raise self.trouble[key]
            self.heard.append(one.id)


def courier(database: TestDatabase, ear: Ear, clock: list[int], name: str = "ear") -> Courier:
    return Courier(name, ear, Database(database.url()), lambda: clock[0], from_the_start=True)


def test_all_arrive_in_order_and_once_when_all_is_well(database: TestDatabase, feed: Feed) -> None:
    feed(1)
    feed(2)
    ear = Ear()
    one = courier(database, ear, [NOW])
    assert [one.round(), one.round()] == [4, 0]
    assert ear.heard == notices(1, 2)
    one.database.close()


@pytest.mark.parametrize("batch", [1, 100])
def test_a_dead_receiver_gets_everything_when_it_lives_again(database: TestDatabase, feed: Feed, batch: int) -> None:
    ear, clock = Ear(batch, trouble={"*": Down("refused")}), [NOW]
    one = courier(database, ear, clock)
    for number in range(1, 6):
        feed(number)
        one.round()
        clock[0] += 10_000_000
    ear.trouble.clear()
    clock[0] += SLOWEST
    one.round()
    assert ear.heard == notices(1, 2, 3, 4, 5)
    one.database.close()


def test_what_breaks_off_in_the_middle_goes_on_there_and_repeats_at_most_its_batch(database: TestDatabase, feed: Feed) -> None:
    for number in (1, 2, 3):
        feed(number)
    ear, clock = Ear(batch=2, trouble={notices(2)[1]: Down("reset")}), [NOW]
    one = courier(database, ear, clock)
    one.round()
    ear.trouble.clear()
    clock[0] += FIRST
    one.round()
    assert ear.heard == [*notices(1), notices(2)[0], *notices(2, 3)]
    one.database.close()


def test_a_message_that_is_refused_keeps_only_its_own_incident_waiting(database: TestDatabase, feed: Feed) -> None:
    for number in (1, 2, 3):
        feed(number)
    ear, clock = Ear(trouble={notices(2)[0]: Refused("answered 400")}), [NOW]
    one = courier(database, ear, clock)
    one.round()
    assert ear.heard == notices(1, 3)
    ear.trouble.clear()
    one.round()
    assert ear.heard == notices(1, 3), "not at once again"
    clock[0] += FIRST
    one.round()
    assert ear.heard == notices(1, 3, 2)
    one.database.close()


def test_the_pause_doubles_up_to_five_minutes() -> None:
    wait, pauses = Wait(), []
    for _ in range(12):
        wait.failed(NOW)
        pauses.append((wait.until - NOW) // 1_000_000)
    assert pauses == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]


def test_one_that_hangs_never_keeps_the_others_waiting(database: TestDatabase, feed: Feed) -> None:
    feed(1)
    released = threading.Event()

    class Hanging(Ear):
        def send(self, letters: Sequence[Letter]) -> None:
            released.wait(30)
            super().send(letters)

    hanging, well = Hanging(), Ear()
    both = [courier(database, hanging, [NOW], "hanging"), courier(database, well, [NOW], "well")]
    with beside(both):
        reached(lambda: well.heard == notices(1))
        assert hanging.heard == []
        released.set()
        reached(lambda: hanging.heard == notices(1))


def test_what_is_written_last_goes_out_before_the_end(database: TestDatabase, feed: Feed) -> None:
    ear = Ear()
    with beside([courier(database, ear, [NOW])]):
        feed(1)
    assert ear.heard == notices(1)


def reached(done: Any, seconds: float = 20) -> None:
    until = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < until
        time.sleep(0.02)


# The real ones, each over its own wire.


class Hook(http.server.ThreadingHTTPServer):
    """A webhook's receiver that checks signatures, and answers what it is told to."""

    def __init__(self, port: int = 0) -> None:
        self.heard: list[dict[str, Any]] = []
        self.status = 200
        self.headers: list[dict[str, str]] = []
        super().__init__(("127.0.0.1", port), Answer)


class Answer(http.server.BaseHTTPRequestHandler):
    server: Hook

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        signed = signature(SECRET, int(self.headers["x-tuermer-timestamp"]), body)
        status = self.server.status if signed == self.headers["x-tuermer-signature"] else 401
        if status == 200:
            self.server.heard.append(json.loads(body))
            self.server.headers.append({name.lower(): value for name, value in self.headers.items()})
        self.send_response(status)
        self.send_header("location", "http://127.0.0.1:1/")
        self.end_headers()

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Says nothing."""


@contextlib.contextmanager
def hook(port: int = 0) -> Iterator[Hook]:
    server = Hook(port)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_webhook_that_was_dead_for_a_while_hears_all_signed_and_in_order(database: TestDatabase, feed: Feed) -> None:
    clock = [NOW]
    with hook() as server:
        port = server.server_address[1]
    one = Courier(
        "hook",
        Webhook(f"http://127.0.0.1:{port}/x?y=1", SECRET, None, time.time),
        Database(database.url()),
        lambda: clock[0],
        from_the_start=True,
    )
    for number in (1, 2):
        feed(number)
        assert one.round() == 0
        clock[0] += 10_000_000
    with hook(port) as server:
        for status, taken in ((503, 0), (302, 0), (200, 4)):
            server.status = status
            clock[0] += SLOWEST
            assert one.round() == taken
    assert [document["event"]["id"] for document in server.heard] == notices(1, 2)
    assert [headers["x-tuermer-id"] for headers in server.headers] == notices(1, 2)
    one.database.close()


def test_a_webhook_that_refuses_a_message_is_not_away(feed: Feed) -> None:
    del feed
    with hook() as server:
        transport = Webhook(f"http://127.0.0.1:{server.server_address[1]}/", SECRET, None, time.time)
        server.status = 422
        with pytest.raises(Refused, match="422"):
            transport.send([a_letter()])
        with pytest.raises(Down, match="401"):
            Webhook(transport.url, b"another secret", None, time.time).send([a_letter()])


def a_letter(**changes: Any) -> Letter:
    payload = json.loads(json.dumps(PAYLOAD)) | changes
    return letter(Notice(f"{an_incident(1).id}/1", "stadt", "incident", payload, NOW), "de")


PAYLOAD: dict[str, Any] = {
    "id": an_incident(1).id, "tenant": "stadt", "site": "rathaus", "model": "auth-source", "model_id": "auth-source-1", "severity": "high",
    "family": "credential-access", "entity_kind": "source.ip", "entity_value": "198.51.100.7", "techniques": ["T1110.003"], "got_in": "no",
    "opened": NOW, "episode_opened": NOW, "events": 7, "episode_events": 7, "title": {"de": "Viele Fehlversuche", "en": "Many failures"},
    "reasons": [{"text": {"de": "40 Fehlversuche, üblich ist 1.", "en": "40 failures; 1 is usual."}}],
}  # fmt: skip


class Collector:
    """A syslog server over TLS that keeps what it has read and says goodbye as RFC 5425 asks."""

    def __init__(self, tls: ssl.SSLContext | None, port: int = 0) -> None:
        self.tls, self.heard = tls, b""
        self.listening = socket.create_server(("127.0.0.1", port))
        self.listening.settimeout(0.05)
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()

    def _serve(self) -> None:
        while not self.stop.is_set():
            with contextlib.suppress(TimeoutError, ssl.SSLError, ConnectionError):
                link, _ = self.listening.accept()
                link.settimeout(5)
                with link if self.tls is None else self.tls.wrap_socket(link, server_side=True) as peer:
                    while (some := peer.recv(65536)) != b"":
                        self.heard += some
                    if isinstance(peer, ssl.SSLSocket):
                        peer.unwrap().close()

    def close(self) -> None:
        self.stop.set()
        self.thread.join()
        self.listening.close()

    def messages(self) -> list[str]:
        """Unframed; fails if a length is wrong."""
        found, rest = [], self.heard
        while rest != b"":
            length, _, rest = rest.partition(b" ")
            found.append(rest[: int(length)].decode())
            rest = rest[int(length) :]
        return found


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """(certificate, key) of 127.0.0.1, signed by itself."""
    folder, key, today = tmp_path_factory.mktemp("tls"), ec.generate_private_key(ec.SECP256R1()), dt.datetime.now(dt.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "syslog.test")])
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(7)
        .not_valid_before(today - dt.timedelta(days=1)).not_valid_after(today + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True).sign(key, hashes.SHA256())
    )  # fmt: skip
    cert, private = folder / "cert.pem", folder / "key.pem"
    cert.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    return str(cert), str(private)


def server_tls(certificate: tuple[str, str]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context


def test_a_syslog_server_that_was_dead_for_a_while_reads_all_over_tls(
    database: TestDatabase, feed: Feed, certificate: tuple[str, str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    receiver = Receiver(name="soc", type="syslog", address=f"127.0.0.1:{port}", ca_file=certificate[0])
    clock = [NOW]
    one = Courier("soc", transport_of(receiver, {}), Database(database.url()), lambda: clock[0], from_the_start=True)
    feed(1)
    feed(2)
    assert one.round() == 0
    collector = Collector(server_tls(certificate), port)
    clock[0] += SLOWEST
    assert one.round() == 4
    collector.close()
    heads = [
        re.fullmatch(r"<(\d+)>1 (\S+) (\S+) tuermer - incident \[origin software=\"tuermer\" swVersion=\"[^\"]+\"\] \ufeff(.*)", text)
        for text in collector.messages()
    ]
    assert [json.loads(found[4])["event"]["id"] for found in heads if found is not None] == notices(1, 2)
    one.database.close()


def test_a_server_with_a_certificate_that_nobody_signed_is_not_told(certificate: tuple[str, str]) -> None:
    collector = Collector(server_tls(certificate))
    port = collector.listening.getsockname()[1]
    stranger = Receiver(name="soc", type="syslog", address=f"127.0.0.1:{port}")
    with pytest.raises(Down, match="CERTIFICATE_VERIFY_FAILED"):
        transport_of(stranger, {}).send([a_letter()])
    collector.close()
    assert collector.heard == b""


def test_a_connection_that_breaks_is_no_delivery() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def reset() -> None:
            link, _ = listening.accept()
            link.recv(10)
            link.close()  # with bytes unread: the kernel resets the connection

        thread = threading.Thread(target=reset)
        thread.start()
        with pytest.raises(Down):
            Syslog(listening.getsockname(), None, "host").send([a_letter()] * 100)
        thread.join()


@pytest.mark.parametrize("field", ["title", "entity_value", "site", "reasons"])
@pytest.mark.parametrize("kind", ["source.ip", "service", "user.name"])
def test_what_a_log_smuggles_in_stays_within_its_field(field: str, kind: str) -> None:
    values: dict[str, Any] = {"title": {"de": NASTY, "en": NASTY}, "reasons": [{"text": {"de": NASTY, "en": NASTY}}]}
    one = a_letter(entity_kind=kind, **{field: values.get(field, NASTY)})
    for content in ("json", "cef"):
        text = message(one, "host", content).decode()
        assert [c for c in ("\n", "\x1b") if c in text] == []
    flat = cef(one)
    assert flat.isprintable()
    head = re.split(r"(?<!\\)\|", flat, maxsplit=7)
    assert (len(head), head[0], head[6]) == (8, "CEF:0", "8")
    keys = re.findall(r"(?:^| )([A-Za-z0-9]+)(?<!\\)=", head[7])
    assert keys == [
        "externalId",
        "rt",
        "msg",
        "cs1Label",
        "cs1",
        "cs2Label",
        "cs2",
        "cs3Label",
        "cs3",
        *(["src"] if "src=" in head[7] else []),
    ]
    assert [c for c in ("\x1b", "\x9b", "\N{RIGHT-TO-LEFT OVERRIDE}") if c in one.message] == []


def test_the_message_stands_alone_in_five_lines_and_calls_it_no_incident() -> None:
    lines = a_letter().message.split("\n")
    assert lines[0] == "hoch: Viele Fehlversuche (stadt/rathaus)"
    assert "Ist jemand hineingekommen? nein." in lines[1]
    assert lines[2] == "40 Fehlversuche, üblich ist 1."
    assert lines[3].startswith("Zuerst: ")
    assert lines[4].startswith("Sagt nichts über eine Person; automatisch, Modell auth-source-1")
    assert (len(lines), "Vorfall" in a_letter().message) == (5, False)


def test_an_address_that_is_a_token_is_not_put_where_ecs_wants_an_address() -> None:
    assert a_letter().document["source"] == {"ip": "198.51.100.7"}
    assert a_letter(entity_value="ip-00000000000000aa").document["source"] == {"address": "ip-00000000000000aa"}
    assert a_letter(entity_kind="service", entity_value="ssh-1").document["service"] == {"name": "ssh-1"}


def test_a_short_secret_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("short\n")
    with pytest.raises(ConfigError, match="shorter than 16 characters"):
        transport_of(Receiver(name="x", type="webhook", url="https://soc.example/", secret_file=str(path)), {})


def test_that_grafana_is_away_goes_out_once(database: TestDatabase) -> None:
    from detector.judge.health import Operation, ailments
    from detector.store import ailments as kept

    ear = Ear()
    one = courier(database, ear, [NOW])
    begin(one.database, "ear", NOW)
    for minute in range(1, 30):
        now = NOW + minute * 60_000_000
        with one.database.transaction() as connection:
            kept.keep(connection, ailments((), (), Operation(grafana_away=minute * 60_000_000), now), now)
        one.round()
    assert ear.heard == ["health/1"]
    assert waiting(one.database, "ear") == []
    one.database.close()
