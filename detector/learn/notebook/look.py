"""01: what the models see now."""

from __future__ import annotations

import polars as pl

from detector.judge.blocks import LEVELS
from detector.learn.drift import DRIFTED
from detector.learn.notebook import plots
from detector.learn.notebook.plots import Picture
from detector.learn.notebook.session import Session

NOTHING = "noch keine Zahlen / nothing yet"


def models(session: Session) -> pl.DataFrame:
    """Which model judges how many shards: model, state, id, since, trainer, approver."""
    return session.frame(
        "SELECT model, state, model_id, since::date AS since, trainer, approver FROM public.models "
        "WHERE tenant IN (%(tenant)s, '') ORDER BY model, since"
    )


def volumes(session: Session) -> pl.DataFrame:
    """Rows by day and model: seen, those that may teach, those kept."""
    return session.frame("SELECT model, day, seen, eligible, rows FROM public.training WHERE tenant = %(tenant)s ORDER BY model, day")


def volumes_plot(session: Session) -> Picture:
    rows = volumes(session)
    found, axes = plots.figure(max(len(session.models), 1), 1.9)
    for one, model in zip(axes, session.models, strict=False):
        mine = rows.filter(pl.col("model") == model)
        if len(mine) == 0:
            plots.empty(one, f"{model}: {NOTHING}")
            continue
        days = [f"{day:%d.%m.}" for day in mine["day"]]
        plots.bars(one, days, [("gesehen", mine["seen"].to_list()), ("dürfen lehren", mine["eligible"].to_list())])
        one.set_title(model, loc="left")
    return found


def incidents(session: Session) -> pl.DataFrame:
    """Incidents by day and model, and how many went out."""
    return session.frame(
        "SELECT model, day, sum(incidents)::bigint AS incidents, sum(sent)::bigint AS sent FROM public.model_days "
        "WHERE tenant = %(tenant)s GROUP BY 1, 2 ORDER BY 1, 2"
    )


def scores(session: Session, model: str) -> pl.DataFrame:
    """Share of a day's rows in each tenth of p: 0.1 everywhere where the days are what the model was calibrated on."""
    rows = session.frame(
        "SELECT d.day, t.tenth::integer - 1 AS tenth, sum(t.rows)::bigint AS rows "
        "FROM store.deciles d JOIN store.shards s USING (shard), unnest(d.counts) WITH ORDINALITY AS t (rows, tenth) "
        "WHERE s.tenant = %(tenant)s AND d.model = %(model)s GROUP BY 1, 2 ORDER BY 1, 2",
        model=model,
    )
    return rows.with_columns((pl.col("rows") / pl.col("rows").sum().over("day")).alias("share")) if len(rows) > 0 else rows


def scores_plot(session: Session, model: str) -> Picture:
    rows = scores(session, model)
    found, (axes,) = plots.figure(1, 3.4)
    if len(rows) == 0:
        plots.empty(axes, NOTHING)
        return found
    days = rows["day"].unique().sort().to_list()
    for k, day in enumerate(days[-3:]):
        mine = rows.filter(pl.col("day") == day).sort("tenth")
        plots.line(axes, [t / 10 + 0.05 for t in mine["tenth"]], mine["share"].to_list(), f"{day:%d.%m.}", k)
    axes.axhline(0.1, color="#222222", linewidth=0.8)
    axes.set(xlabel="p, in Zehnteln", ylabel="Anteil der Zeilen", title=f"{model}: wie ungewöhnlich die Zeilen sind", ylim=(0, None))
    axes.legend(frameon=False)
    return found


def calibration(session: Session, model: str) -> pl.DataFrame:
    """Promised and realised share of rows at or below each level of p, among those that may teach, outside incidents."""
    names = ", ".join(f"coalesce(sum(low[{i + 1}]), 0)::bigint AS low_{i}" for i in range(len(LEVELS)))
    row = session.frame(
        f"SELECT coalesce(sum(eligible), 0)::bigint AS rows, {names} FROM store.reservoir "  # noqa: S608 - names of ours
        "WHERE tenant = %(tenant)s AND model = %(model)s AND NOT aside",
        model=model,
    ).row(0, named=True)
    counts = [int(row[f"low_{i}"]) for i in range(len(LEVELS))]
    rows = int(row["rows"])
    realised = [n / rows if rows > 0 else None for n in counts]
    ratio = [None if r is None else r / level for r, level in zip(realised, LEVELS, strict=True)]
    return pl.DataFrame(
        {"promised": list(LEVELS), "realised": realised, "ratio": ratio, "rows": [rows] * len(LEVELS), "low": counts},
        schema={"promised": pl.Float64, "realised": pl.Float64, "ratio": pl.Float64, "rows": pl.Int64, "low": pl.Int64},
    )


def calibration_plot(session: Session, model: str) -> Picture:
    """On the line: a p of one in a thousand comes once in a thousand rows. Above it there are more alerts than promised."""
    rows = calibration(session, model).filter(pl.col("realised") > 0)
    found, (axes,) = plots.figure(1, 3.6)
    axes.plot(LEVELS, LEVELS, "-", color="#999999", label="versprochen")
    axes.fill_between(LEVELS, [v / 2 for v in LEVELS], [v * 2 for v in LEVELS], color="#eeeeee", label="halb bis doppelt")
    if len(rows) > 0:
        plots.line(axes, rows["promised"].to_list(), rows["realised"].to_list(), "eingetreten")
    axes.set(xscale="log", yscale="log", xlabel="p", ylabel="Anteil der Zeilen", title=f"{model}: hält p, was es verspricht?")
    axes.legend(frameon=False)
    return found


def drift(session: Session, model: str) -> pl.DataFrame:
    """Each day: how far scores moved, realised over promised, unknown values, features that drifted, and the cause in words."""
    return session.frame(
        "SELECT day, ks, realised, unknown, array_to_string(features, ', ') AS features, coalesce(cause, '') AS cause, "
        "coalesce(text ->> 'de', '') AS text_de, coalesce(text ->> 'en', '') AS text_en, rows FROM store.drift "
        "WHERE tenant = %(tenant)s AND model = %(model)s ORDER BY day",
        model=model,
    )


def drift_plot(session: Session, model: str, most: int = 12) -> Picture:
    """Population stability by feature and day, the features that moved most; from 0.25 on one speaks of drift."""
    rows = session.frame(
        "SELECT day, feature, psi FROM public.drift WHERE tenant = %(tenant)s AND model = %(model)s ORDER BY day, feature", model=model
    )
    found, (axes,) = plots.figure(1, 4.2)
    if len(rows) == 0:
        plots.empty(axes, NOTHING)
        return found
    chosen = (
        rows.group_by("feature").agg(pl.col("psi").max()).sort(["psi", "feature"], descending=[True, False])["feature"][:most].to_list()
    )
    days = rows["day"].unique().sort().to_list()
    known = {(feature, day): psi for day, feature, psi in rows.iter_rows()}
    values = [[float(known.get((feature, day), 0.0)) for day in days] for feature in chosen]
    plots.heat(axes, values, chosen, [f"{day:%d.%m.}" for day in days], 2 * DRIFTED)
    axes.set_title(f"{model}: wie weit Merkmale gewandert sind (ab {str(DRIFTED).replace('.', ',')} Drift)", loc="left")
    return found


def features(session: Session, model: str) -> pl.DataFrame:
    """Which features spoke first in incidents, and in how many at all."""
    return session.frame(
        "SELECT feature, coalesce(sum(incidents) FILTER (WHERE place = 1), 0)::bigint AS leading, sum(incidents)::bigint AS any "
        "FROM public.model_reasons WHERE tenant = %(tenant)s AND model = %(model)s GROUP BY 1 ORDER BY 2 DESC, 3 DESC, 1",
        model=model,
    )


def features_plot(session: Session, model: str, most: int = 10) -> Picture:
    rows = features(session, model).head(most).reverse()
    found, (axes,) = plots.figure(1, 3.4)
    if len(rows) == 0:
        plots.empty(axes, NOTHING)
        return found
    at = range(len(rows))
    axes.barh(at, rows["any"].to_list(), color=plots.GREYS[3], edgecolor="#222222", label="unter den Gründen")
    axes.barh(at, rows["leading"].to_list(), color=plots.GREYS[0], height=0.4, label="erster Grund")
    axes.set_yticks(at, rows["feature"].to_list())
    axes.set(xlabel="Auffälligkeiten", title=f"{model}: was den Ausschlag gab")
    axes.legend(frameon=False)
    return found
