"""02: choose a window, train, see what a candidate would have changed, hand it over. Who approves is somebody else, elsewhere."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl

from detector.decode import Decoder, ecs
from detector.learn import differences, gates, lastdays, promotion, signing, training, trial
from detector.learn.backtest.placing import Calendar, Plan
from detector.learn.backtest.recorded import RecordedDays
from detector.learn.backtest.stream import config_of
from detector.learn.duel import Outcome
from detector.learn.gates import Gate, Texts
from detector.learn.notebook import plots
from detector.learn.notebook.plots import Picture
from detector.learn.notebook.session import Practice, Session, SessionError, shown
from detector.learn.rehearsed import Rehearsed
from detector.learn.training import Made, Wish
from detector.pipeline import Router, route_step
from detector.privacy import MemoryKeyring, Privacy
from detector.store.registry import Entry

DAY = 86_400_000_000  # µs
REPLAYED = 14  # days, where they are kept; tuermer.events holds three


def window(session: Session, model: str) -> pl.DataFrame:
    """Which days have rows to learn from."""
    return session.frame(
        "SELECT day, rows, aside, seen, eligible FROM public.training WHERE tenant = %(tenant)s AND model = %(model)s ORDER BY day",
        model=model,
    )


def train(session: Session, model: str, begin: str = "", end: str = "", seed: int = 0, *, calibrate_only: bool = False) -> Made:
    """A candidate from [begin, end), days as 2026-11-02 (UTC); without them the last days as configured.

    Raises TrainingError with one sentence; then nothing is written.
    """
    last = session.now if end == "" else _micros(end)
    first = last - session.desk.config.training.window_days * DAY if begin == "" else _micros(begin)
    wish = Wish(
        model, session.tenant, first, last, seed, calibrate_only=calibrate_only, by="" if session.key is None else session.person().name
    )
    if calibrate_only:
        core = trial.of_tenant(session.desk, session.tenant)
        wish = replace(wish, champion=core.models.scorers[model])  # type: ignore[arg-type] # a Detector, as loaded
    return training.candidate(session.desk.database, wish, session.folder, session.now)


def _micros(day: str) -> int:
    at = dt.datetime.fromisoformat(day)
    return int((at if at.tzinfo is not None else at.replace(tzinfo=dt.UTC)).timestamp()) * 1_000_000


def about(made: Made) -> pl.DataFrame:
    """What the manifest says of a candidate."""
    told: dict[str, Any] = {"id": made.detector.model_id, "threshold": f"{made.detector.threshold_p:.1e}"}
    for name in ("rows", "sources", "window", "entities"):
        told |= {f"{name}.{key}": value for key, value in made.about.get(name, {}).items()}
    told["largest_entity"] = f"{made.about.get('largest_entity', 0.0):.3%}"
    return shown(told)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Champion and candidate on the same days; `data` says which."""

    made: Made
    outcome: Outcome
    data: Texts


def compare(session: Session, made: Made, days: int = 3) -> Comparison:
    """Replays the tenant's last days with attacks among them; the first day only teaches.

    tuermer.events keeps at most 72 hours; a practice town is simulated again, up to 14 days. Raises SessionError or NoDays.
    """
    recorded, data = _days(session, days)
    first = min(1, recorded.days - 1)
    outcome = trial.against(session.desk, session.tenant, made.detector, Rehearsed.of(recorded, first), first)
    return Comparison(made, outcome, data)


def _days(session: Session, days: int) -> tuple[RecordedDays, Texts]:
    config = session.desk.config
    if session.practice is not None:
        days = min(days, REPLAYED, session.practice.days)
        said = {"de": f"die letzten {days} Tage der Übungsstadt", "en": f"the practice town's last {days} days"}
        return practised(session.practice, days, session.tenant), said
    if config.kafka is None:
        raise SessionError("[kafka] is not configured: the days to replay lie in tuermer.events")
    hours = 24 * min(days, 3)
    said = {"de": f"die letzten {hours} Stunden aus tuermer.events", "en": f"the last {hours} hours of tuermer.events"}
    return lastdays.read(config, config.kafka, session.desk.database, session.tenant, hours, now=session.now), said


def practised(town: Practice, days: int, tenant: str) -> RecordedDays:
    """The last days of the practice town, as events of one tenant."""
    city, frames = town.city(), dict[str, list[pl.DataFrame]]()
    with TemporaryDirectory() as folder:
        config = config_of(city, Plan((town.seed,), town.people, Calendar()), Path(folder))
        router = Router(Decoder.of(config), Privacy.of(config, MemoryKeyring(town.seed.to_bytes(32, "big"))))
    for window_ in city.windows((town.days - days) * city.windows_per_day, town.days * city.windows_per_day):
        for shard, events in route_step(window_.merged()[0], router).events.items():
            if shard.partition("/")[0] == tenant:
                frames.setdefault(shard, []).append(events)
    whole = {shard: ecs.concat(parts).sort("@timestamp", maintain_order=True) for shard, parts in frames.items()}
    return RecordedDays.of(config, whole, ())


def incidents(comparison: Comparison) -> pl.DataFrame:
    """Incidents that appear, vanish or change their rank; the entity is a token or a server's name."""
    rows = [
        (
            d.what,
            d.sighting.model,
            d.sighting.family,
            d.sighting.kind,
            d.sighting.entity,
            _moment(d.sighting.opened),
            d.champion,
            d.candidate,
        )
        for d in differences.differences(comparison.outcome)
    ]
    names = ["what", "model", "family", "kind", "entity", "opened", "champion", "candidate"]
    return pl.DataFrame(rows, schema=names, orient="row", infer_schema_length=None)


def counts(comparison: Comparison) -> pl.DataFrame:
    """How many incidents appear, vanish, move, stay."""
    found = [d.what for d in differences.differences(comparison.outcome)]
    what = ("appears", "vanishes", "moves", "same")
    return pl.DataFrame({"what": what, "incidents": [found.count(one) for one in what]})


def attacks(comparison: Comparison) -> pl.DataFrame:
    """Each attack that was put among the days: what became of it with the champion and with the candidate."""
    return pl.DataFrame(differences.fates(comparison.outcome), schema=["attack", "strength", "champion", "candidate"], orient="row")


def gate_table(comparison: Comparison, found: list[Gate]) -> pl.DataFrame:
    del comparison
    rows = [(g.name, "ja" if g.passed else "NEIN", g.value, g.low, g.high, g.text["de"]) for g in found]
    schema = {"gate": pl.String, "passed": pl.String, "value": pl.Float64, "low": pl.Float64, "high": pl.Float64, "text": pl.String}
    return pl.DataFrame(rows, schema=schema, orient="row")


def gates_of(session: Session, comparison: Comparison) -> pl.DataFrame:
    """All gates but the signature's, which comes with handing over."""
    made = comparison.made
    entry = Entry(session.tenant, made.detector.name, made.detector.model_id, "candidate", dt.datetime.now(dt.UTC), "", "")
    drifted = trial.drift(session.desk.database, entry, dict(made.about.get("window", {})))
    unsigned = gates.signature(None, "noch nicht übergeben")
    return gate_table(comparison, gates.all_of(comparison.outcome, made.about, drifted, unsigned))


def ranks_plot(comparison: Comparison) -> Picture:
    """Each incident's rank with champion and candidate; what one of them has not stands at the edge."""
    rows = differences.differences(comparison.outcome)
    found, (axes,) = plots.figure(1, 4.0)
    if rows == []:
        plots.empty(axes, "keine Auffälligkeiten / no incidents")
        return found
    edge = max(max(d.champion or 0, d.candidate or 0) for d in rows) + 2
    for k, (what, name) in enumerate((("same", "gleich"), ("moves", "anderer Rang"), ("appears", "neu"), ("vanishes", "fehlt"))):
        mine = [d for d in rows if d.what == what]
        x, y = [d.champion or edge for d in mine], [d.candidate or edge for d in mine]
        face = "none" if k > 0 else plots.GREYS[0]
        axes.scatter(x, y, marker=plots.MARKERS[k], facecolors=face, edgecolors=plots.GREYS[0], label=f"{name} ({len(mine)})")
    axes.plot([1, edge], [1, edge], "-", color="#bbbbbb", linewidth=0.8)
    axes.set(xlabel="Rang beim Champion (1 = am seltensten)", ylabel="Rang beim Kandidaten", title="Was sich ändern würde")
    axes.legend(frameon=False)
    return found


def attacks_plot(comparison: Comparison) -> Picture:
    """Attacks by what became of them."""
    rows = attacks(comparison)
    fates = ["found", "held", "recorded", "near", "unseen"]
    found, (axes,) = plots.figure(1, 3.0)
    parts = [
        (name, [int((rows[side] == fate).sum()) for fate in fates]) for name, side in (("Champion", "champion"), ("Kandidat", "candidate"))
    ]
    plots.bars(axes, ["gemeldet", "zurückgehalten", "verzeichnet", "knapp", "nicht gesehen"], parts)
    axes.set(ylabel="eingespielte Angriffe", title="Was aus den eingespielten Angriffen wurde")
    return found


def hand_over(session: Session, comparison: Comparison) -> pl.DataFrame:
    """Signs the candidate with your key, takes it into the registry, stores its gates. The rest is for others to do.

    Raises SessionError, KeyFileError, ArtefactError or StoreError; then nothing is kept.
    """
    signing.sign(comparison.made.folder, session.person())
    entry = promotion.bring(session.desk, session.tenant, comparison.made.folder, session.now)
    results = trial.record(session.desk, entry, comparison.outcome, comparison.data, session.now)
    return gate_table(comparison, results.gates)


def next_steps(session: Session, made: Made) -> str:
    """What the next people do, as commands."""
    whose, id_ = f" --tenant {session.tenant}" if session.tenant != "" else "", made.detector.model_id
    return "\n".join([
        f"tuermer models shadow {id_}{whose} --by NAME", f"tuermer models gates {id_}{whose}",
        f"tuermer models approve {id_}{whose} --key ZWEITE-PERSON.key", f"tuermer models promote {id_}{whose}",
    ])  # fmt: skip


def _moment(at: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(at / 1e6, dt.UTC)
