"""How figures look: grey, with marks and hatches that a printer keeps apart."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

GREYS = ("#222222", "#6b6b6b", "#a5a5a5", "#d6d6d6")
HATCHES = ("", "///", "...", "xxx")
LINES = ("-", "--", ":", "-.")
MARKERS = ("o", "s", "^", "D")
WIDTH = 9.0  # inches


class Picture(Figure):
    """A figure outside pyplot's list: a notebook shows it once, where the cell returns it, whatever backend is set."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=100)
        return buffer.getvalue()


def figure(rows: int = 1, height: float = 3.2) -> tuple[Picture, list[Axes]]:
    """An empty figure of so many plots below each other; `height` of each in inches."""
    made = Picture(figsize=(WIDTH, height * rows), layout="constrained")
    axes = [made.add_subplot(rows, 1, row + 1) for row in range(rows)]
    for one in axes:
        one.grid(axis="y", color="#dddddd", linewidth=0.6)
        one.set_axisbelow(True)
        for side in ("top", "right"):
            one.spines[side].set_visible(False)
    return made, axes


def bars(axes: Axes, labels: Sequence[str], parts: Sequence[tuple[str, Sequence[float]]]) -> None:
    """Bars beside each other, told apart by grey and hatch."""
    width = 0.8 / max(len(parts), 1)
    for k, (name, values) in enumerate(parts):
        at = [i + (k - (len(parts) - 1) / 2) * width for i in range(len(labels))]
        axes.bar(at, list(values), width, label=name, color=GREYS[k % 4], hatch=HATCHES[k % 4], edgecolor="white" if k == 0 else "#222222")
    axes.set_xticks(range(len(labels)), labels)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    if len(parts) > 1:
        axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))  # beside the bars, never over them


def line(axes: Axes, x: Sequence[Any], y: Sequence[float], name: str, k: int = 0) -> None:
    axes.plot(x, y, LINES[k % 4], marker=MARKERS[k % 4], color=GREYS[k % 3], label=name, markersize=4)


def heat(axes: Axes, values: Sequence[Sequence[float]], rows: Sequence[str], columns: Sequence[str], most: float) -> None:
    """Dark is much; the number stands in cells that matter, so that nobody needs to compare greys."""
    axes.grid(visible=False)
    axes.imshow(values, cmap="Greys", vmin=0.0, vmax=most, aspect="auto")
    axes.set_yticks(range(len(rows)), rows)
    axes.set_xticks(range(len(columns)), columns, rotation=30)
    for i, row in enumerate(values):
        for j, value in enumerate(row):
            if value >= most / 2:
                axes.text(j, i, f"{value:.2f}", ha="center", va="center", color="white" if value > 0.7 * most else "black", fontsize=8)


def empty(axes: Axes, text: str) -> None:
    """Where there is nothing to draw."""
    axes.set_axis_off()
    axes.text(0.5, 0.5, text, ha="center", va="center", transform=axes.transAxes)
