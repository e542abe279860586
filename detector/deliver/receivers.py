"""From the configuration to one courier per receiver."""

from __future__ import annotations

import os
import re
import ssl
import time
from collections.abc import Callable, Mapping

from detector.config import Config, ConfigError
from detector.configload import secret
from detector.deliver.courier import Courier, Transport
from detector.deliver.kafka import RECEIVER, AlertTopic, Producer
from detector.deliver.syslog import Syslog
from detector.deliver.webhook import Webhook
from detector.desksections import Receiver
from detector.store import Database

SHORTEST = 16  # characters of a webhook's secret


def couriers(
    config: Config,
    url: str,
    environ: Mapping[str, str],
    producer: Producer | None,
    clock: Callable[[], int],
    count: Callable[[str, int, int], None],
) -> list[Courier]:
    """The topic of alerts (if there is a producer), and every one of [[receivers]]. `url` of the database. Raises ConfigError."""
    made = []
    if producer is not None and config.kafka is not None:
        topic = AlertTopic(producer, config.kafka.alerts_topic)
        made.append(Courier(RECEIVER, topic, Database(url), clock, config.language, count=count, from_the_start=True))
    for one in config.receivers:
        transport = transport_of(one, environ)
        made.append(Courier(one.name, transport, Database(url), clock, config.language, one.told, one.tenants, count))
    return made


def transport_of(receiver: Receiver, environ: Mapping[str, str]) -> Transport:
    if receiver.type == "syslog":
        host, _, port = receiver.address.rpartition(":")
        return Syslog((host.strip("[]"), int(port)), _tls(receiver) if receiver.tls else None, _own_name(), receiver.content)
    found = secret(receiver.secret_env, receiver.secret_file, environ)
    if len(found) < SHORTEST:
        raise ConfigError(f"the secret of the receiver {receiver.name} is shorter than {SHORTEST} characters")
    return Webhook(receiver.url, found.encode(), _tls(receiver) if receiver.url.startswith("https:") else None, time.time)


def _tls(receiver: Receiver) -> ssl.SSLContext:
    """Certificates are always checked. Raises ConfigError for files that hold none."""
    try:
        context = ssl.create_default_context(cafile=receiver.ca_file or None)
        if receiver.cert_file != "":
            context.load_cert_chain(receiver.cert_file, receiver.key_file)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"the certificates of the receiver {receiver.name} cannot be used: {error}") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _own_name() -> str:
    """This machine's name as syslog takes it: printable ASCII without blanks."""
    return re.sub(r"[^!-~]", "-", os.uname().nodename)[:255] or "-"
