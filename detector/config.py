"""One strict TOML file becomes frozen structs; secrets come from the environment or from files, never from here.

Each setting carries its own sentence of documentation; `table()` makes the README's configuration table of them.
`detector.configload` reads and checks a file: an unknown key, a wrong type, a missing secret or two settings that
contradict each other end the start with one sentence that names file and key (I9).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Annotated, Literal

import msgspec
from msgspec import Struct

from detector.desksections import Page, Person, Receiver
from detector.grafanasections import Grafana, Links
from detector.retentionsections import Retention, Tenant
from detector.sections import Audit, Keyholder, Opening, Training, doc
from detector.sentence import Sentence

Kind = Literal["server", "client", "vpn", "wifi", "guest", "dmz"]


class Kafka(Struct, frozen=True, forbid_unknown_fields=True):
    """The Kafka cluster that raw topics are read from and `tuermer.events` is written to."""

    bootstrap_servers: Annotated[str, doc("host:port, several separated by commas")]
    group: Annotated[str, doc("prefix of the consumer groups `<group>-route` and `<group>-score`")] = "tuermer"
    instance: Annotated[str, doc("name of this ROUTE slot, unique per running process; makes a restart quick")] = "1"
    security_protocol: Annotated[Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"], doc("as in every Kafka client")] = "PLAINTEXT"
    sasl_mechanism: Annotated[Literal["", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"], doc("needed with SASL_*")] = ""
    username: Annotated[str, doc("needed with SASL_*")] = ""
    password_env: Annotated[str, doc("name of the environment variable that holds the password")] = ""
    password_file: Annotated[str, doc("or the file that holds it")] = ""
    ca_file: Annotated[str, doc("certificates that sign the brokers'; empty = the system's")] = ""
    cert_file: Annotated[str, doc("our client certificate, for brokers that ask for one")] = ""
    key_file: Annotated[str, doc("its private key")] = ""
    key_password_env: Annotated[str, doc("environment variable with the password of that key")] = ""
    reader: Annotated[Literal["columnar", "stock"], doc("stock = kafka-python's own loop, slower; a way out if columnar fails")] = (
        "columnar"
    )
    events_topic: Annotated[str, doc("pseudonymous events between ROUTE and SCORE")] = "tuermer.events"
    events_partitions: Annotated[int, doc("fixed once the topic exists", ge=1, le=1024)] = 64
    dead_letters_topic: Annotated[str, doc("what nobody could read, without its content")] = "tuermer.dead-letters"
    alerts_topic: Annotated[str, doc("incidents for other programs")] = "tuermer.alerts"
    replication_factor: Annotated[int, doc("of the topics that Türmer creates", ge=1, le=9)] = 1
    create_topics: Annotated[bool, doc("false: an administrator creates them")] = True
    batch_records: Annotated[int, doc("records in one transaction", ge=100, le=1_000_000)] = 20_000
    start: Annotated[Literal["earliest", "latest"], doc("where a group that has never run begins")] = "earliest"


class Topic(Struct, frozen=True, forbid_unknown_fields=True):
    """A raw topic with log lines."""

    name: Annotated[str, doc("name in Kafka")]
    tenant: Annotated[str, doc("municipality or organisation it belongs to; keys and budgets are separate per tenant")]
    format: Annotated[str, doc("name of a format, or `auto`: recognised per line")] = "auto"
    site: Annotated[str, doc("part of a tenant that is counted by itself")] = ""
    timezone: Annotated[str, doc("for lines without a zone, and for the change of tokens at 05:00")] = "Europe/Berlin"


CANARY = Topic(name="tuermer.canary", tenant="tuermer-canary", format="sshd", timezone="UTC")  # reserved for rehearsed attacks


class Observer(Struct, frozen=True, forbid_unknown_fields=True):
    """One device among several in a topic; the first whose `match` is found in the line's head wins."""

    match: Annotated[str, doc("text within the line's first 512 bytes: a syslog host name, devname=…, a serial number")]
    topic: Annotated[str, doc("only in this topic; empty = in any")] = ""
    name: Annotated[str, doc("shown as `observer.name`")] = ""
    tenant: Annotated[str, doc("empty = the topic's")] = ""
    site: Annotated[str, doc("empty = the topic's")] = ""
    format: Annotated[str, doc("empty = the topic's")] = ""
    timezone: Annotated[str, doc("empty = the topic's")] = ""


class Network(Struct, frozen=True, forbid_unknown_fields=True):
    """What an inside address is. The longest match wins; inside addresses that match none become tokens."""

    cidr: Annotated[str, doc("10.1.0.0/16, 2001:db8::/48, or one address")]
    kind: Annotated[Kind, doc("server and dmz keep their addresses; client, vpn, wifi and guest become tokens")]
    name: Annotated[str, doc("shown instead of the address; empty = the cidr")] = ""
    tenant: Annotated[str, doc("empty = every tenant")] = ""
    site: Annotated[str, doc("where it stands")] = ""
    critical: Annotated[bool, doc("incidents here are one step more severe")] = False


class Account(Struct, frozen=True, forbid_unknown_fields=True):
    """What an account is. The first match wins; accounts that match none are treated as persons'."""

    pattern: Annotated[str, doc("shell pattern without regard to case: svc-*, srv*$, admin.*")]
    kind: Annotated[Literal["person", "service", "machine", "admin"], doc("service and machine keep their names")]
    tenant: Annotated[str, doc("empty = every tenant")] = ""


class Host(Struct, frozen=True, forbid_unknown_fields=True):
    """Machines that belong to no single person; only their names stay plain."""

    pattern: Annotated[str, doc("shell pattern without regard to case: srv-*, fw*, *.dc.stadt.example")]
    tenant: Annotated[str, doc("empty = every tenant")] = ""


class Database(Struct, frozen=True, forbid_unknown_fields=True):
    """PostgreSQL 15 or newer."""

    url: Annotated[str, doc("postgresql://user@host/database without a password, or `embedded`")] = "embedded"
    directory: Annotated[str, doc("of the embedded server")] = "var/postgres"
    password_env: Annotated[str, doc("name of the environment variable that holds the password")] = ""
    password_file: Annotated[str, doc("or the file that holds it")] = ""
    owner_url: Annotated[str, doc("role that may run the migrations; empty = same as url")] = ""
    owner_password_env: Annotated[str, doc("name of the environment variable that holds its password")] = ""
    owner_password_file: Annotated[str, doc("or the file that holds it")] = ""
    trainer_url: Annotated[str, doc("for the notebooks: a role that may read what is learnt from and hand over candidates")] = ""
    trainer_password_env: Annotated[str, doc("name of the environment variable that holds its password")] = ""
    trainer_password_file: Annotated[str, doc("or the file that holds it")] = ""


class Privacy(Struct, frozen=True, forbid_unknown_fields=True):
    """How names and inside addresses become tokens; see docs/privacy-fields.md."""

    key_file: Annotated[str, doc("made by `tuermer keys new privacy`; rewritten daily, old days' keys are destroyed")] = "privacy.key"
    person_memory: Annotated[Literal["none", "first-seen"], doc("`none`: tokens change daily and nothing is remembered of persons")] = (
        "none"
    )
    roles_file: Annotated[str, doc("CSV without header: account, role group [, tenant]; groups under 5 people are not told apart")] = ""
    aliases_file: Annotated[
        str, doc("CSV without header: other name, account [, tenant]; where Entra and Windows name a person differently")
    ] = ""
    domains: Annotated[list[str], doc("own login domains: name@domain and host.domain count as name and host")] = []
    pack: Annotated[
        str, doc("policy pack: neutral, nds-landesdatennetz, nrw-kommune or provider; it sets and locks values; empty = none")
    ] = ""
    agreement: Annotated[str, doc("number of the works agreement, for the privacy report")] = ""
    dead_letter_public_key: Annotated[str, doc("unreadable records are sealed to it; empty = they are not kept at all")] = ""


class Enrichment(Struct, frozen=True, forbid_unknown_fields=True):
    """What is known of outside addresses: an offline table, read at the start. Nothing is ever downloaded."""

    networks_file: Annotated[
        str,
        doc("CSV without header: cidr, provider, region (DE-BW or FR), kind (home, mobile, hosting, relay or nothing); longest match wins"),
    ] = ""
    home: Annotated[list[str], doc("countries, ISO 3166, that are not abroad")] = msgspec.field(default_factory=lambda: ["DE"])


class Budget(Struct, frozen=True, forbid_unknown_fields=True):
    """How much may disturb people; limits notification only, never what is stored. See docs/budget.md."""

    per_day: Annotated[int, doc("notifications per day and tenant, urgent ones not counted", ge=1, le=20)] = 5
    learning_days: Annotated[int, doc("a new tenant's learning phase, until `tuermer go-live`; 0: none", ge=0, le=90)] = 14
    digest_at: Annotated[str, doc("tenant time of the daily digest")] = "07:30"


class Maintenance(Struct, frozen=True, forbid_unknown_fields=True):
    """Incidents that open in such a window are marked, not notified, not trained on; give `begin` and `end`, or `calendar`."""

    name: Annotated[str, doc("shown at the incidents")]
    begin: Annotated[str, doc("tenant time, 2026-11-21 22:00")] = ""
    end: Annotated[str, doc("when it is over, tenant time")] = ""
    repeat: Annotated[str, doc("RRULE of iCalendar, e.g. FREQ=MONTHLY;BYDAY=2TU for every second Tuesday; empty = once")] = ""
    calendar: Annotated[str, doc("an .ics file instead; read again every ten minutes")] = ""
    tenant: Annotated[str, doc("empty = every tenant")] = ""
    site: Annotated[str, doc("empty = every site")] = ""
    entity: Annotated[str, doc("shell pattern of what is worked on: srv-mail*, 192.0.2.*")] = "*"


class Suppression(Struct, frozen=True, forbid_unknown_fields=True):
    """What nobody wants to be told about, up to twice the strength seen. It takes effect at the start that first reads it."""

    tenant: Annotated[str, doc("municipality whose incidents it holds back")]
    entity: Annotated[str, doc("field=value; field is service, source.ip, user.name, host.name, network or role")]
    author: Annotated[str, doc("name of who answers for it")]
    reason: Annotated[str, doc("why it is harmless")]
    technique: Annotated[str, doc("ATT&CK id or family; empty = any")] = ""
    signature: Annotated[list[str], doc("features that may speak; empty = any")] = []
    until: Annotated[str, doc("last day, 2026-12-31; empty = 30 days from the start that first reads it")] = ""


class Watch(Struct, frozen=True, forbid_unknown_fields=True):
    """Türmer watches itself and the devices it hears from; see docs/watch.md."""

    canary: Annotated[bool, doc("once a day a rehearsed attack in a reserved tenant, through the topic tuermer.canary, must be found")] = (
        True
    )


class Workdays(Struct, frozen=True, forbid_unknown_fields=True):
    """Days on which other hours are usual; a change counts for what is learnt from the next start on."""

    state: Annotated[
        Literal["", "BB", "BE", "BW", "BY", "HB", "HE", "HH", "MV", "NI", "NW", "RP", "SH", "SL", "SN", "ST", "TH"],
        doc("federal state whose public holidays are like Sundays; empty = those of all Germany"),
    ] = ""
    school_holidays: Annotated[list[str], doc(".ics files; working days in them are a kind of their own")] = []


class State(Struct, frozen=True, forbid_unknown_fields=True):
    """Where files lie and how much memory entities may take."""

    directory: Annotated[str, doc("snapshots' cache, compiled kernels")] = "var"
    models: Annotated[str, doc("folder with the models; empty = those shipped")] = ""
    entities_per_shard: Annotated[int, doc("each costs at most 1.5 KiB", ge=1000, le=5_000_000)] = 500_000


class Logs(Struct, frozen=True, forbid_unknown_fields=True):
    """Türmer's own messages, on standard error; they never hold personal data."""

    format: Annotated[Literal["auto", "json", "console"], doc("auto: console on a terminal, otherwise json")] = "auto"
    level: Annotated[Literal["debug", "info", "warning", "error"], doc("messages below are dropped")] = "info"


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that can be set."""

    topics: list[Topic] = []
    observers: list[Observer] = []
    networks: list[Network] = []
    accounts: list[Account] = []
    hosts: list[Host] = []
    maintenance: list[Maintenance] = []
    suppressions: list[Suppression] = []
    people: list[Person] = []
    receivers: list[Receiver] = []
    keyholders: list[Keyholder] = []
    tenants: list[Tenant] = []
    kafka: Kafka | None = None
    database: Database = Database()
    privacy: Privacy = Privacy()
    opening: Opening = Opening()
    audit: Audit = Audit()
    retention: Retention = Retention()
    training: Training = Training()
    enrichment: Enrichment = Enrichment()
    page: Page = Page()
    workdays: Workdays = Workdays()
    budget: Budget = Budget()
    watch: Watch = Watch()
    state: State = State()
    logs: Logs = Logs()
    grafana: Grafana = Grafana()
    links: Links = Links()
    language: Annotated[Literal["de", "en"], doc("of messages and reasons")] = "de"


class ConfigError(Sentence):
    """The start ends here; the text is the one sentence for the person who edits the file."""


def table() -> str:
    """All settings as one markdown table: key, default, meaning."""
    lines = ["| setting | default | meaning |", "| --- | --- | --- |"]
    root = msgspec.inspect.type_info(Config)
    assert isinstance(root, msgspec.inspect.StructType)
    return "\n".join([*lines, *_rows("", root)]) + "\n"


def _rows(prefix: str, table: msgspec.inspect.StructType) -> Iterator[str]:
    """A table's settings, then the tables in it."""
    for entry in table.fields:
        if struct_of(entry.type)[0] is None:
            yield _row(prefix + entry.encode_name, entry)
    for entry in table.fields:
        struct, many = struct_of(entry.type)
        if struct is not None:
            name = prefix + entry.encode_name
            yield f"| **`{f'[[{name}]]' if many else f'[{name}]'}`** |  | {(struct.cls.__doc__ or '').strip()} |"
            yield from _rows(f"{name}.", struct)


def struct_of(kind: msgspec.inspect.Type) -> tuple[msgspec.inspect.StructType | None, bool]:
    """The struct behind a field's type (None for a scalar), and whether it is a list of them."""
    if isinstance(kind, msgspec.inspect.Metadata):
        kind = kind.type
    if isinstance(kind, msgspec.inspect.UnionType):
        kind = next(t for t in kind.types if not isinstance(t, msgspec.inspect.NoneType))
    if isinstance(kind, msgspec.inspect.ListType) and isinstance(kind.item_type, msgspec.inspect.StructType):
        return kind.item_type, True
    return (kind, False) if isinstance(kind, msgspec.inspect.StructType) else (None, False)


def _row(key: str, setting: msgspec.inspect.Field) -> str:
    kind = setting.type
    meaning = ""
    if isinstance(kind, msgspec.inspect.Metadata):
        meaning, kind = str((kind.extra_json_schema or {}).get("description", "")), kind.type
    if isinstance(kind, msgspec.inspect.LiteralType):
        meaning += "; one of " + ", ".join(f"`{value}`" if value != "" else "empty" for value in kind.values)
    default = "required" if setting.required else f"`{msgspec.json.encode(_default(setting)).decode()}`"
    return f"| `{key}` | {default} | {meaning} |".replace("<", "&lt;")


def _default(setting: msgspec.inspect.Field) -> object:
    return setting.default_factory() if callable(setting.default_factory) else setting.default


if __name__ == "__main__":
    sys.stdout.write(table())
