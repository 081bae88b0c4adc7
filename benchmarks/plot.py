"""The figures as a picture: CPU seconds, wall seconds and peak memory, job by job."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.contenders import Job
from benchmarks.goals import Figures
from benchmarks.measure import Figure

TITLES: dict[Job, str] = {
    "a": "Records",
    "b": "Aggregate",
    "h": "Varied records",
    "ingest": "NDJSON to Arrow",
}
MEASURES = {"cpu": "CPU seconds", "wall": "wall seconds", "megabytes": "peak memory, MB"}
OURS, THEIRS = "#1b6ca8", "#b8c4ce"


def plot(figures: Figures, path: Path, note: str) -> None:
    """Draws medians as bars, the smallest and the largest run as whiskers."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    jobs = [job for job in TITLES if any(found == job for found, _ in figures)]
    sizes = [sum(found == job for found, _ in figures) for job in jobs]
    figure, rows = pyplot.subplots(
        len(jobs), len(MEASURES), figsize=(13, 1.2 + 0.42 * sum(sizes) + 0.6 * len(jobs)), squeeze=False,
        gridspec_kw={"height_ratios": sizes},
    )  # fmt: skip
    for job, axes in zip(jobs, rows, strict=True):
        for (what, label), axis in zip(MEASURES.items(), axes, strict=True):
            _bars(axis, [(name, found) for (of, name), found in figures.items() if of == job], what)
            axis.set_title(f"{TITLES[job]}: {label}" if what == "cpu" else label, loc="left", fontsize=10)
    figure.text(0.01, 0.005, note, fontsize=8, color="#555555")
    figure.tight_layout(rect=(0, 0.02, 1, 1))
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _bars(axis: Any, found: list[tuple[str, Figure]], what: str) -> None:
    names = [name for name, _ in found]
    values = [figure.of(what) for _, figure in found]
    spreads = [figure.spread(what) for _, figure in found]
    error = [
        [v - low for v, (low, _) in zip(values, spreads, strict=True)],
        [high - v for v, (_, high) in zip(values, spreads, strict=True)],
    ]
    colours = [OURS if name == "minimize" else THEIRS for name in names]
    axis.barh(names, values, color=colours, xerr=error, ecolor="#666666", error_kw={"linewidth": 0.8})
    for place, (value, (_, high)) in enumerate(zip(values, spreads, strict=True)):
        axis.text(high, place, f" {value:,.1f}" if value < 100 else f" {value:,.0f}", va="center", fontsize=8)
    axis.invert_yaxis()
    axis.margins(x=0.18)
    axis.spines[["top", "right"]].set_visible(False)
    axis.tick_params(labelsize=9)
