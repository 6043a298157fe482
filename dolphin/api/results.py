"""What a run and a study give: frames, figures, a page; short on a line, a table in a notebook."""

from __future__ import annotations

import html
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl

from dolphin.config import Config, read_config
from dolphin.errors import NotFound
from dolphin.extras import missing
from dolphin.market.assemble import feature_columns
from dolphin.study.measure.metrics import ALL_METRICS
from dolphin.study.measure.run import Run, equity_frame, trades_frame, write_run
from dolphin.study.sweep import SweepReport
from dolphin.study.trials.trials import latest_search, trials_of
from dolphin.workspace import Workspace

_SHOWN = ("sharpe_365", "roi", "max_drawdown", "profit_factor", "win_rate", "trades", "final_equity")


def _table(title: str, values: Mapping[str, Any]) -> str:
    """A small table for a notebook."""
    rows = "".join(
        f"<tr><th>{html.escape(k)}</th><td>{html.escape(_figure(k, v))}</td></tr>" for k, v in values.items()
    )
    return f"<table><caption>{html.escape(title)}</caption>{rows}</table>"


def _figure(name: str, value: Any) -> str:
    """A value as people read it: shares in per cent."""
    from dolphin.report.numerals import SHARES

    if name in SHARES and isinstance(value, float):
        return f"{100.0 * value:,.2f} %"
    return f"{value:,.4f}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)


@dataclass(frozen=True, repr=False)
class RunResult:
    """One finished run.

    Attributes
    ----------
    run : Run
        What the engine gave.
    out : Path or None
        The run folder, where one was written.
    """

    run: Run
    out: Path | None = None

    @property
    def config(self) -> Config:
        """The configuration, percentiles settled."""
        return self.run.config

    @property
    def metrics(self) -> dict[str, Any]:
        """Every figure by name."""
        return {name: self.run.metrics[name] for name in ALL_METRICS}

    @cached_property
    def equity(self) -> pl.DataFrame:
        """A row per bar: time (UTC), ts (ns), equity, capital, drawdown, position."""
        frame = equity_frame(self.run)
        return frame.select(pl.from_epoch("ts", time_unit="ns").dt.replace_time_zone("UTC").alias("time"), pl.all())

    @cached_property
    def trades(self) -> pl.DataFrame:
        """A row per closed trade, the columns of ``trades.parquet``."""
        return trades_frame(self.run, feature_columns(self.run.dataset)["regime"])

    @property
    def digest(self) -> str:
        """The chained digest after the last bar: equal for runs that are equal in every bit."""
        return self.run.final_digest

    def to_polars(self) -> pl.DataFrame:
        """:attr:`equity`."""
        return self.equity

    def to_pandas(self) -> Any:
        """:attr:`equity` as a pandas frame by time."""
        return self.equity.to_pandas().set_index("time")

    @cached_property
    def vbt(self) -> Any:
        """The same orders as a ``vectorbt.Portfolio``; needs the extra ``vectorbt``."""
        from dolphin.study.findings.books import books

        try:
            return books(self.run)
        except ModuleNotFoundError as error:
            raise missing(error) or error from None

    def plot(self) -> Any:
        """Equity, and below it the drawdown: a plotly figure."""
        from plotly.subplots import make_subplots

        frame = self.equity
        every = max(1, frame.height // 4_000)  # more points than pixels say nothing
        frame = frame.gather_every(every)
        figure = make_subplots(rows=2, cols=1, shared_xaxes=True, row_heights=[0.7, 0.3], vertical_spacing=0.04)
        figure.add_scatter(x=frame["time"].to_list(), y=frame["equity"].to_list(), name="equity", row=1, col=1)
        down = (-100.0 * frame["drawdown"]).to_list()
        figure.add_scatter(x=frame["time"].to_list(), y=down, name="drawdown, %", fill="tozeroy", row=2, col=1)
        synthetic = " (generated market)" if self.run.dataset.synthetic else ""
        figure.update_layout(title=f"{self.config.strategy_name} on {self.run.dataset.name}{synthetic}", height=420)
        return figure

    def report(self, path: str | Path) -> Path:
        """Write the tear sheet there: one HTML file, no network."""
        from dolphin.report import write_tear_sheet

        path = Path(path)
        if self.out is not None:
            write_tear_sheet(self.out, path)
            return path
        with tempfile.TemporaryDirectory() as folder:
            made = write_run(self.run, feature_columns(self.run.dataset)["regime"], Path(folder) / "run")
            write_tear_sheet(made, path)
        return path

    def __repr__(self) -> str:
        m, name = self.run.metrics, self.config.strategy_name
        synthetic = ", synthetic" if self.run.dataset.synthetic else ""
        return (
            f"<run of {name} on {self.run.dataset.name}{synthetic}: sharpe {m['sharpe_365']:.2f}, "
            f"roi {m['roi']:+.2%}, drawdown {m['max_drawdown']:.2%}, {m['trades']} trades>"
        )

    def _repr_html_(self) -> str:
        return _table(repr(self)[1:-1].partition(":")[0], {name: self.run.metrics[name] for name in _SHOWN})


@dataclass(frozen=True, repr=False)
class StudyResult:
    """One finished study."""

    done: SweepReport
    workspace: Workspace = field(repr=False)

    @property
    def name(self) -> str:
        """The study's name."""
        return self.done.study.name

    @cached_property
    def trials(self) -> pl.DataFrame:
        """A row per trial: its number, parameters and metrics, the best of the first objective first."""
        objective = self.done.study.objectives[0]
        down = self.done.study.directions[0] == "maximize"
        rows = latest_search(trials_of(self.workspace, self.name)).filter(pl.col("state") == "done")
        columns = ["trial", *self.done.study.space, *ALL_METRICS]
        found = rows.select(name for name in dict.fromkeys(columns) if name in rows.columns)
        return found.sort(objective, descending=down, nulls_last=True)

    @property
    def best(self) -> Config:
        """The best trial's configuration.

        Raises
        ------
        NotFound
            If no trial was good enough to have one.
        """
        if self.done.best_config is None:
            raise NotFound("no trial of it is eligible", where=self.name, mend="look at .trials; lower min_trades")
        return read_config(self.done.best_config, research=self.workspace.research)

    def to_polars(self) -> pl.DataFrame:
        """:attr:`trials`."""
        return self.trials

    def to_pandas(self) -> Any:
        """:attr:`trials` as a pandas frame."""
        return self.trials.to_pandas()

    def plot(self) -> Any:
        """The objective over each parameter that was searched: a plotly figure."""
        from plotly.subplots import make_subplots

        names = list(self.done.study.space)[:6]
        objective = self.done.study.objectives[0]
        figure = make_subplots(rows=1, cols=len(names), subplot_titles=names, shared_yaxes=True)
        for k, name in enumerate(names, 1):
            xs, ys = self.trials[name].to_list(), self.trials[objective].to_list()
            figure.add_scatter(x=xs, y=ys, mode="markers", showlegend=False, row=1, col=k)
        figure.update_yaxes(title_text=objective, row=1, col=1)
        figure.update_layout(title=f"{self.name}: {self.trials.height} trials", height=360)
        return figure

    def report(self, path: str | Path) -> Path:
        """Write the study's page there: one HTML file, no network."""
        from dolphin.report import write_study_page
        from dolphin.study.findings.study_summary import gather

        write_study_page(gather(self.workspace, self.name), Path(path))
        return Path(path)

    def __repr__(self) -> str:
        objective, best = self.done.study.objectives[0], self.done.best
        top = f", best {objective} {best[objective][0]:.2f}" if best.height else ", none eligible"
        return f"<study {self.name} on {self.done.study.dataset}: {self.done.ran + self.done.known} trials{top}>"

    def _repr_html_(self) -> str:
        shown = self.trials.head(8)
        columns = ["trial", *self.done.study.objectives[:1], "roi", "trades"]
        columns += self.done.study.space
        head = "".join(f"<th>{html.escape(c)}</th>" for c in dict.fromkeys(columns))
        body = "".join(
            "<tr>" + "".join(f"<td>{html.escape(_figure(*cell))}</td>" for cell in row.items()) + "</tr>"
            for row in shown.select(list(dict.fromkeys(columns))).iter_rows(named=True)
        )
        return f"<table><caption>{html.escape(repr(self)[1:-1])}</caption><tr>{head}</tr>{body}</table>"
