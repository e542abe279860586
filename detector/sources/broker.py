"""A real Apache Kafka on this machine, for development and tests: one node, KRaft, its jars from Maven.

`python -m detector.sources.broker` is what `make kafka` runs. Nothing in production imports this module.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from detector.sentence import Sentence

LIB = Path(__file__).parents[2] / "deploy" / "kafka" / "lib"
START_SECONDS = 60.0
STOP_SECONDS = 30.0


class BrokerError(Sentence):
    """The broker cannot be started; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Tls:
    """A second listener with TLS and SCRAM-SHA-512, for one user."""

    keystore: Path  # PKCS#12 with the broker's key and certificate
    keystore_password: str
    username: str
    password: str


@dataclass(frozen=True, slots=True)
class Broker:
    """A running broker; end it with `stop`."""

    address: str  # host:port, plain text
    secure_address: str  # host:port, SASL_SSL with SCRAM-SHA-512, "" without `Tls`
    directory: Path
    process: subprocess.Popen[bytes]


def missing() -> str:
    """What must be installed before a broker can start here; "" when nothing is missing."""
    if shutil.which("java") is None:
        return "no Java found: install a JDK 17 or newer and Maven (Debian: apt install openjdk-17-jdk-headless maven)"
    if not any(LIB.glob("kafka_2.13-*.jar")):
        return "Kafka's jars are not here: install Maven (Debian: apt install maven), then say `make kafka-lib`"
    return ""


def start(directory: Path, *, port: int = 0, heap: str = "512m", tls: Tls | None = None, host: str = "127.0.0.1") -> Broker:
    """Start a broker that keeps its data in `directory` and wait until it answers; port 0 picks a free one.

    Raises BrokerError when something is missing or it does not come up; the log is directory/broker.log.
    """
    lack = missing()
    if lack != "":
        raise BrokerError(lack)
    directory.mkdir(parents=True, exist_ok=True)
    plain, controller, secure = (port or free_port(host)), free_port(host), free_port(host)
    settings = directory / "server.properties"
    settings.write_text(_properties(directory / "data", host, plain, controller, secure, tls), encoding="utf-8")
    settings.chmod(0o600)
    _format(directory, settings, tls)
    with (directory / "broker.log").open("ab") as log:
        # A session of its own: Ctrl-C in the terminal reaches us first, and we stop the broker in good order.
        command = [*_java(f"-Xmx{heap}"), "kafka.Kafka", str(settings)]
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)  # our own words only
    broker = Broker(f"{host}:{plain}", f"{host}:{secure}" if tls is not None else "", directory, process)
    try:
        _wait(broker, host, [plain] if tls is None else [plain, secure])
    except BaseException:
        stop(broker)
        raise
    return broker


def stop(broker: Broker) -> None:
    """End exactly this broker: SIGTERM, and SIGKILL when it takes longer than STOP_SECONDS."""
    if broker.process.poll() is not None:
        return
    broker.process.terminate()
    try:
        broker.process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        broker.process.kill()
        broker.process.wait()


@contextlib.contextmanager
def running(directory: Path, *, port: int = 0, heap: str = "512m", tls: Tls | None = None) -> Iterator[Broker]:
    """`start` and `stop` around a block."""
    broker = start(directory, port=port, heap=heap, tls=tls)
    try:
        yield broker
    finally:
        stop(broker)


def free_port(host: str = "127.0.0.1") -> int:
    """A TCP port that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def _java(*options: str) -> list[str]:
    return ["java", *options, "-XX:+UseG1GC", "-cp", f"{LIB}/*"]


def _properties(data: Path, host: str, plain: int, controller: int, secure: int, tls: Tls | None) -> str:
    listeners = [f"PLAIN://{host}:{plain}"]
    if tls is not None:
        listeners.append(f"SECURE://{host}:{secure}")
    settings = {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@{host}:{controller}",
        "controller.listener.names": "CONTROLLER",
        "listeners": ",".join([*listeners, f"CONTROLLER://{host}:{controller}"]),
        "advertised.listeners": ",".join(listeners),
        "listener.security.protocol.map": "PLAIN:PLAINTEXT,SECURE:SASL_SSL,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "PLAIN",
        "log.dirs": str(data),
        "auto.create.topics.enable": "false",  # Türmer creates its topics explicitly; a typo must not become a topic
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "transaction.state.log.num.partitions": "4",
        "group.initial.rebalance.delay.ms": "0",
        "log.cleaner.backoff.ms": "200",
    }
    if tls is not None:
        settings |= {
            "ssl.keystore.type": "PKCS12",
            "ssl.keystore.location": str(tls.keystore),
            "ssl.keystore.password": tls.keystore_password,
            "listener.name.secure.sasl.enabled.mechanisms": "SCRAM-SHA-512,PLAIN",
            "listener.name.secure.scram-sha-512.sasl.jaas.config": "org.apache.kafka.common.security.scram.ScramLoginModule required;",
            "listener.name.secure.plain.sasl.jaas.config": "org.apache.kafka.common.security.plain.PlainLoginModule required "
            f'user_{tls.username}="{tls.password}";',
        }
    return "".join(f"{key}={value}\n" for key, value in settings.items())


def _format(directory: Path, settings: Path, tls: Tls | None) -> None:
    if (directory / "data" / "meta.properties").exists():
        return
    cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    tool = [*_java("-Xmx256m", "-XX:TieredStopAtLevel=1"), "kafka.tools.StorageTool", "format"]
    command = [*tool, f"--cluster-id={cluster}", f"--config={settings}"]  # with "=": a cluster id may begin with "-"
    if tls is not None:
        command += ["--add-scram", f"SCRAM-SHA-512=[name={tls.username},password={tls.password}]"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=START_SECONDS)  # our own words only
    if done.returncode != 0:
        raise BrokerError(f"Kafka's storage could not be formatted: {(done.stderr or done.stdout).strip()[-500:]}")


def _wait(broker: Broker, host: str, ports: list[int]) -> None:
    deadline = time.monotonic() + START_SECONDS
    for port in ports:
        while not _answers(host, port):
            if broker.process.poll() is not None:
                log = (broker.directory / "broker.log").read_text(encoding="utf-8", errors="replace")
                raise BrokerError(f"Kafka ended while starting: {log.strip()[-800:]}")
            if time.monotonic() > deadline:
                raise BrokerError(f"Kafka did not answer on {host}:{port} within {START_SECONDS:.0f} s; see {broker.directory}/broker.log")
            time.sleep(0.1)


def _answers(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((host, port)) == 0


def main() -> int:
    """Run a broker until Ctrl-C; its data stay in the given directory."""
    arguments = argparse.ArgumentParser(prog="python -m detector.sources.broker", description=main.__doc__)
    arguments.add_argument("--port", type=int, default=9092, help="0 picks a free one (default 9092)")
    arguments.add_argument("--directory", type=Path, default=Path("var/kafka"))
    arguments.add_argument("--heap", default="1g")
    options = arguments.parse_args()
    if options.port != 0 and _answers("127.0.0.1", options.port):
        return _fail(f"port {options.port} is taken; say `python -m detector.sources.broker --port 0` to use a free one")
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        with running(options.directory.absolute(), port=options.port, heap=options.heap) as broker:
            _say(f"Apache Kafka is up: {broker.address} (data in {broker.directory}; Ctrl-C ends it)")
            broker.process.wait()
            return _fail(f"Kafka ended by itself; see {broker.directory}/broker.log")
    except BrokerError as error:
        return _fail(str(error))
    except KeyboardInterrupt:
        return 0


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _fail(text: str) -> int:
    sys.stderr.write(text + "\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
