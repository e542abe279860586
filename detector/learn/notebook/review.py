"""03: what analysts said."""

from __future__ import annotations

import polars as pl

from detector.learn.notebook import plots
from detector.learn.notebook.plots import Picture
from detector.learn.notebook.session import Session

NOTHING = "noch keine Urteile / no verdicts yet"


def precision(session: Session, by: str = "technique") -> pl.DataFrame:
    """By model and technique (or by="model" alone): incidents, verdicts, and the share of the judged ones that was confirmed.

    An incident with two techniques counts in both.
    """
    rows = session.frame(
        "SELECT model, technique, verdict, incidents FROM public.model_verdicts WHERE tenant = %(tenant)s "
        "ORDER BY model, technique, verdict"
    )
    keys = ["model"] if by == "model" else ["model", "technique"]

    def of(*words: str) -> pl.Expr:
        return pl.col("incidents").filter(pl.col("verdict").is_in(words)).sum()

    counted = rows.group_by(keys).agg(
        pl.col("incidents").sum().alias("all"), of("confirmed", "closed").alias("confirmed"),
        of("false-positive").alias("false_positive"), of("allowed").alias("allowed"), of("", "in-work").alias("open"),
    )  # fmt: skip
    judged = pl.col("confirmed") + pl.col("false_positive") + pl.col("allowed")
    return counted.with_columns(pl.when(judged > 0).then(pl.col("confirmed") / judged).alias("precision")).sort(keys)


def precision_plot(session: Session) -> Picture:
    rows = precision(session, "model")
    found, (axes,) = plots.figure(1, 3.2)
    if len(rows) == 0:
        plots.empty(axes, NOTHING)
        return found
    parts = [("bestätigt", "confirmed"), ("Fehlalarm", "false_positive"), ("erlaubt", "allowed"), ("ohne Urteil", "open")]
    plots.bars(axes, rows["model"].to_list(), [(name, rows[column].to_list()) for name, column in parts])
    axes.set(ylabel="Auffälligkeiten", title="Was daraus wurde")
    return found


def suppressions(session: Session, most: int = 20) -> pl.DataFrame:
    """Those that hide most, first. What a person's or client's token stands for is not known here; it ends with the token."""
    return session.frame(
        "SELECT id, field, value, coalesce(technique, '') AS technique, hidden, last_hidden::date AS last_hidden, "
        "expires::date AS expires, status FROM public.suppressions WHERE tenant = %(tenant)s ORDER BY hidden DESC, id LIMIT %(most)s",
        most=most,
    )


def near_misses(session: Session) -> pl.DataFrame:
    """Below the threshold, by model and day: how many entities came near, and how near the nearest (1 = at the threshold)."""
    return session.frame(
        "SELECT model, day, count(*) AS entities, min(nearness) AS nearest, count(*) FILTER (WHERE nearness <= 3) AS within_three "
        "FROM public.model_misses WHERE tenant = %(tenant)s GROUP BY 1, 2 ORDER BY 1, 2"
    )


def near_misses_plot(session: Session) -> Picture:
    rows = near_misses(session).group_by("model").agg(pl.col("entities").sum(), pl.col("within_three").sum()).sort("model")
    found, (axes,) = plots.figure(1, 3.2)
    if len(rows) == 0:
        plots.empty(axes, NOTHING)
        return found
    parts = [("knapp darunter", rows["entities"].to_list()), ("höchstens das Dreifache der Schwelle", rows["within_three"].to_list())]
    plots.bars(axes, rows["model"].to_list(), parts)
    axes.set(ylabel="Objekte", title="Was knapp keine Auffälligkeit wurde")
    return found


def below_budget(session: Session) -> pl.DataFrame:
    """Incidents that nobody was told about, by model: beside those that went out."""
    return session.frame(
        "SELECT model, sum(incidents)::bigint AS incidents, sum(sent)::bigint AS sent, (sum(incidents) - sum(sent))::bigint AS listed_only "
        "FROM public.model_days WHERE tenant = %(tenant)s GROUP BY 1 ORDER BY 1"
    )
