"""One strict TOML file becomes frozen structs; secrets come from the environment or from files, never from here."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

Days = Annotated[int, Meta(ge=1, le=3650)]
Kind = Literal["server", "client", "vpn", "wifi", "guest", "dmz"]


class Kafka(Struct, frozen=True, forbid_unknown_fields=True):
    bootstrap_servers: str
    group: str = "tuermer"
    instance: str = "1"  # name of this ROUTE slot: group.instance.id and transactional.id are <group>-route-<instance>
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = ""
    username: str = ""
    password_env: str = ""  # name of the environment variable, or:
    password_file: str = ""
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    key_password_env: str = ""
    reader: Literal["columnar", "stock"] = "columnar"
    events_topic: str = "tuermer.events"
    events_partitions: Annotated[int, Meta(ge=1, le=1024)] = 64
    dead_letters_topic: str = "tuermer.dead-letters"
    alerts_topic: str = "tuermer.alerts"
    replication_factor: Annotated[int, Meta(ge=1, le=9)] = 1
    create_topics: bool = True
    batch_records: Annotated[int, Meta(ge=100, le=1_000_000)] = 20_000
    start: Literal["earliest", "latest"] = "earliest"  # where a group without committed offsets begins, set once, explicitly


class Topic(Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    tenant: str
    format: str = "auto"
    site: str = ""
    timezone: str = "Europe/Berlin"


class Observer(Struct, frozen=True, forbid_unknown_fields=True):
    """One device among several in a topic; the first whose `match` is found in the line's head wins."""

    match: str  # text that the line contains in its first 512 bytes: a syslog host name, devname=…, a serial number
    topic: str = ""  # only in this topic; "" = any
    name: str = ""
    tenant: str = ""
    site: str = ""
    format: str = ""
    timezone: str = ""


class Network(Struct, frozen=True, forbid_unknown_fields=True):
    cidr: str
    kind: Kind
    name: str = ""  # default: the cidr
    tenant: str = ""  # "" = every tenant
    site: str = ""
    critical: bool = False


class Account(Struct, frozen=True, forbid_unknown_fields=True):
    pattern: str  # shell pattern, compared without regard to case: svc-*, *$, admin.*
    kind: Literal["person", "service", "machine", "admin"]
    tenant: str = ""


class Database(Struct, frozen=True, forbid_unknown_fields=True):
    url: str = "embedded"
    directory: str = "var/postgres"  # of the embedded server
    password_env: str = ""
    password_file: str = ""
    owner_url: str = ""  # role that may run the migrations; "" = same as url


class Privacy(Struct, frozen=True, forbid_unknown_fields=True):
    key_file: str = "privacy.key"
    person_memory: Literal["none", "first-seen"] = "none"
    roles_file: str = ""  # CSV: account,role group
    dead_letter_public_key: str = ""  # file; dead letters' records are sealed to it, or not kept at all


class Page(Struct, frozen=True, forbid_unknown_fields=True):
    listen: str = "127.0.0.1:8765"


class Budget(Struct, frozen=True, forbid_unknown_fields=True):
    per_day: Annotated[int, Meta(ge=1, le=1000)] = 20


class State(Struct, frozen=True, forbid_unknown_fields=True):
    directory: str = "var"
    models: str = ""  # folder with the models; "" = those shipped
    entities_per_shard: Annotated[int, Meta(ge=1000, le=5_000_000)] = 500_000


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    topics: list[Topic] = []
    observers: list[Observer] = []
    networks: list[Network] = []
    accounts: list[Account] = []
    kafka: Kafka | None = None
    database: Database = Database()
    privacy: Privacy = Privacy()
    page: Page = Page()
    budget: Budget = Budget()
    state: State = State()
    language: Literal["de", "en"] = "de"
