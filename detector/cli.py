"""The command line: verbs only. Each verb parses its words, calls one function and prints what it returns.

Exit codes: 0 done, 1 failed (one sentence on standard error), 2 wrong use.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, CycloptsError, Parameter

from detector import __version__, deskcli, grafanacli, modelscli, openingcli, pagecli, privacycli
from detector.logs import configure
from detector.options import DEFAULT_CONFIG, ConfigFile, Failed
from detector.sentence import Sentence

app = App(
    name="tuermer",
    version=__version__,
    help="Türmer: explained anomaly alerts from firewall and authentication logs. People decide; nothing is blocked.",
)
keys = App(name="keys", help="Make keys. Private halves stay in files that only you can read.")
app.command(keys)
app.command(modelscli.models)
app.command("detector.traincli:train", name="train", help="Train a candidate from what SCORE kept; the model in use stays as it is.")
app.command("detector.notebookcli:notebooks", name="notebooks", help="JupyterLab with an embedded database and a simulated town.")
app.command("detector.backtest:backtest", name="backtest", help="Days at full speed: what is found, how soon, and at what price.")
app.command(deskcli.go_live, name="go-live")
app.command(deskcli.suppress)
app.command(deskcli.digest)
app.command(deskcli.drill)
app.command(openingcli.opening)
app.command(openingcli.auskunft)
app.command(openingcli.audit)
keys.command(openingcli.keys_rotate, name="rotate")
keys.command(openingcli.keys_shred, name="shred")
app.command(grafanacli.grafana)
app.command(privacycli.tenant)
app.command(privacycli.hold)
app.command(privacycli.night)
app.command(privacycli.privacy)
app.command(pagecli.page)


@app.command
def run(*, config: ConfigFile = DEFAULT_CONFIG, role: Literal["all", "route", "score"] = "all", accept_gap: bool = False) -> None:
    """Watch real topics: read them from Kafka, write incidents to PostgreSQL, serve the page. Ends cleanly on Ctrl-C or SIGTERM."""
    from detector.run import run_role

    run_role(config, role, dict(os.environ), accept_gap=accept_gap)


@app.command
def demo(*, listen: str = "127.0.0.1:8765", state: Path = Path("var"), language: Literal["de", "en"] = "de", hours: int = 24) -> None:
    """Watch a simulated city: the last hours in fast motion, then live. Needs neither Kafka nor a database server."""
    from detector.demo import Demo

    Demo.open(state, listen, language, hours).run()


@app.command
def decode(*, format: str = "auto", year: int | None = None, timezone: str = "Europe/Berlin") -> None:  # noqa: A002 - the option's name
    """Check a format: log lines on standard input, one JSON object per line on standard output. Shows plain values, stores nothing."""
    from detector.tryout import decode_lines

    for answers in decode_lines(_chunks(), format, year, timezone, time.time_ns() // 1000):
        sys.stdout.write("".join(json.dumps(answer, ensure_ascii=False) + "\n" for answer in answers))


def _chunks() -> Iterator[list[bytes]]:
    """Lines of standard input in batches, without their line ends."""
    batch: list[bytes] = []
    for line in sys.stdin.buffer:
        batch.append(line.rstrip(b"\r\n"))
        if len(batch) == 10_000:
            yield batch
            batch = []
    if batch != []:
        yield batch


@app.command
def replay(
    *files: Path,
    format: str = "auto",  # noqa: A002 - the option's name
    year: int | None = None,
    timezone: str = "Europe/Berlin",
    tenant: str = "replay",
    warmup: str = "0d",
    incidents: Path | None = None,
    scores: Path | None = None,
) -> None:
    """The same two steps over log files, by event time; prints the incidents. Nothing is stored but what you name.

    Parameters
    ----------
    warmup
        Incidents that open in the first part of the stream are learned from but not shown: 7d, 12h, 30m.
    incidents
        Write the incidents as JSON lines.
    scores
        Write one row per model and event as Parquet.
    """
    from detector.replay import replay_files

    for line in replay_files(files, format, year, timezone, tenant, warmup, incidents, scores):
        print(line)


@app.command(name="try")
def try_topic(topic: str, *, config: ConfigFile = DEFAULT_CONFIG, records: int = 10_000) -> None:
    """Read some records of a topic, commit and store nothing, and say per device what would come of them."""
    from detector.tryout import report

    print(report(config, topic, records, dict(os.environ)))


@app.command
def simulate(
    *,
    days: int = 1,
    seed: int = 1,
    attacks: str = "all",
    people: int = 120,
    sites: int = 3,
    happenings: str = "",
    out: Path | None = None,
    kafka: bool = False,
    config: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Write a simulated city's log lines and labels.jsonl: into a folder, or into the configured topics.

    Parameters
    ----------
    attacks
        all, show, none, or names separated by commas: port-scan, slow-scan, brute-force, password-spraying, stuffing, takeover-night,
        takeover-office, lateral-movement, kerberos-tickets, beaconing, exfiltration, slow-exfiltration, odd-hour-hosts, odd-service,
        odd-path.
    people
        20 to 2,000 and more; servers and departments grow with them.
    sites
        1 to 3.
    happenings
        names separated by commas, from day 7 on: growth, new-site, outage, clock-skew, duplicates.
    """
    from detector.replay import simulate_to

    said = simulate_to(
        days, seed, attacks, people, out, config if kafka else None, dict(os.environ), time.time_ns() // 1000,
        sites=sites, happenings=tuple(name for name in happenings.split(",") if name != ""),
    )  # fmt: skip
    print(said)


@app.command
def explain(
    incident: str,
    *,
    config: ConfigFile = DEFAULT_CONFIG,
    language: Literal["de", "en"] = "de",
    as_json: Annotated[bool, Parameter(name="--json")] = False,
) -> None:
    """One incident of the database with its reasons, what to check next, related ones and evidence. The beginning of its id is enough."""
    from detector.run import read_incident
    from detector.web.terminal import whole

    found = read_incident(config, incident, dict(os.environ))
    if found is None:
        raise Failed(f"there is no incident {incident}, or more than one begins so")
    if as_json:
        print(json.dumps(found, ensure_ascii=False, indent=2, default=str))
    else:
        print("\n".join(whole(found, found["chain"], language)))


@keys.command(name="new")
def keys_new(
    kind: Literal["privacy", "signing", "dead-letters", "person"],
    *,
    out: Path | None = None,
    name: str = "",
    passphrase_file: Path | None = None,
) -> None:
    """Make a new key; refuses to overwrite an existing file.

    Parameters
    ----------
    name
        Login of the person whose key it is.
    passphrase_file
        File with the passphrase of a person's key; without it the variable TUERMER_PASSPHRASE, or the terminal is asked.
    """
    from detector.privacy.keyfiles import new_key, passphrase

    secret = passphrase(passphrase_file, os.environ, again=True) if kind == "person" else ""
    for path in new_key(kind, out, name, secret):
        print(path)


@app.command
def doctor(*, config: ConfigFile = DEFAULT_CONFIG, as_json: Annotated[bool, Parameter(name="--json")] = False) -> None:
    """Check configuration, broker, topics and rights, instance names, database, clock, disk and models; say what to do."""
    from detector.doctor import examine

    findings = examine(config, dict(os.environ))
    if as_json:
        print(json.dumps([{"check": f.check, "ok": f.ok, "text": f.text} for f in findings], indent=2, ensure_ascii=False))
    else:
        print("\n".join(f"{'ok  ' if f.ok else 'FAIL'}  {f.check}: {f.text}" for f in findings))
    if not all(f.ok for f in findings):
        raise SystemExit(1)


def main() -> None:
    """Entry point of `tuermer`."""
    configure()
    try:
        app(exit_on_error=False, print_error=True)
    except CycloptsError:
        raise SystemExit(2) from None
    except Sentence as error:
        print(f"tuermer: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
