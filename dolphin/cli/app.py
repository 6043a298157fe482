"""The verbs put together, and what every one of them does with a mistake or an interrupt.

Nothing heavy is imported here: ``dolphin --help`` answers before numba or polars are touched.
"""

from __future__ import annotations

import functools
import os
import signal
import sys
import threading
from typing import Annotated

import typer
from typer.exceptions import TyperException

from dolphin.cli import (
    backtest,
    cache,
    check,
    compare,
    data,
    data_bars,
    data_lineage,
    data_pull,
    data_versions,
    demo,
    doctor,
    exchange,
    feeds,
    forewarn,
    gate,
    init,
    journal,
    ladder,
    new,
    parity,
    promote,
    report,
    risk,
    runs,
    scan,
    selftest,
    service,
    sql,
    status,
    stress,
    sweep,
    trade,
    trade_live,
    trials,
    ui,
    why,
)
from dolphin.core.mistakes import StrategyError
from dolphin.errors import DolphinError
from dolphin.extras import missing

app = typer.Typer(
    name="dolphin",
    help="Research-first backtesting and parity: one engine from sweep to live, and the first difference named.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        print(f"dolphin {version('dolphin-quant')}")
        raise typer.Exit


@app.callback()
def _dolphin(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="The version, and no more.")
    ] = False,
) -> None:
    """Research-first backtesting and parity: one engine from sweep to live, and the first difference named."""


app.command("init")(init.init)
app.command("demo")(demo.demo)
app.command("new")(new.new)
app.command("doctor")(doctor.doctor)
app.add_typer(data.app, name="data")
data.app.command("pull")(data_pull.pull)
data.app.command("bars")(data_bars.bars)
data.app.command("versions")(data_versions.versions)
data.app.command("diff")(data_versions.diff)
data.app.command("prune")(data_versions.prune)
data.app.command("lineage")(data_lineage.lineage)
app.command("sql")(sql.sql)
app.command("scan")(scan.scan)
app.add_typer(risk.app, name="risk")
app.add_typer(forewarn.app, name="forewarn")
app.add_typer(feeds.app, name="feeds")
app.command("cache")(cache.cache)
app.command("backtest")(backtest.backtest)
app.command("sweep")(sweep.sweep)
app.command("stress")(stress.stress)
app.command("trials")(trials.trials)
app.command("parity")(parity.parity)
app.command("why")(why.why)
app.add_typer(journal.app, name="journal")
app.command("ladder")(ladder.ladder)
app.command("check")(check.check)
app.command("selftest")(selftest.selftest)
app.add_typer(service.app, name="service")
app.add_typer(exchange.app, name="exchange")
app.add_typer(gate.app, name="gate")
app.add_typer(promote.app, name="promote")
app.command("compare")(compare.compare)
app.command("report")(report.report)
app.add_typer(runs.app, name="runs")
app.add_typer(trade.app, name="trade")
trade.app.command("live")(trade_live.live)
trade.app.command("adopt")(trade_live.adopt)
trade.app.command("flatten")(trade_live.flatten)
app.command("ui")(ui.ui)
app.command("status")(status.status)
app.command("halt")(status.halt)
app.command("resume")(status.resume)


#: How long after an interrupt that a destructor swallowed it is sent again, in seconds.
INTERRUPT_AGAIN_S = 0.01


@functools.cache
def _command() -> typer.core.TyperGroup:
    """All verbs with their options, put together once in a process: it takes a tenth of a second."""
    return typer.main.get_group(app)


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit code (0 yes, 1 an honest no, 2 could not run, 130 interrupted)."""
    before, sys.unraisablehook = sys.unraisablehook, _interrupt_again
    try:
        code = _command().main(args=arguments, prog_name="dolphin", standalone_mode=False)
    except DolphinError as error:
        return _complain(str(error), error.exit_code)
    except StrategyError as error:
        return _complain(str(error), 2)
    except TyperException as error:
        # Without arguments the help is what was asked for, and already printed.
        asked = getattr(getattr(error, "ctx", None), "command_path", "dolphin")
        words = error.format_message().replace(": Value error, ", ": ")
        return _complain(f"{words} (see '{asked} --help')", 2) if words else 2
    except (KeyboardInterrupt, typer.Abort):
        return _interrupted()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _complain(f"{where}{error.strerror or error}; run 'dolphin doctor' to see what can be written", 2)
    except ModuleNotFoundError as error:
        if (told := missing(error)) is None:
            raise
        return _complain(str(told), 2)
    except ImportError as error:
        if error.name != "dolphin.core.jit":
            raise
        return _complain(str(error), 2)
    except MemoryError:
        return _complain("out of memory; use a shorter window or fewer symbols", 2)
    finally:
        sys.unraisablehook = before
    # Typer turns an interrupt inside a verb into this code.
    return _interrupted() if code == 130 else code if isinstance(code, int) else 0


def _interrupt_again(unraisable: sys.UnraisableHookArgs) -> None:
    """An interrupt that fell into a destructor, where Python drops exceptions, is sent once more.

    Not at once: raised before this hook returns it would be dropped again, with a traceback.
    """
    if isinstance(unraisable.exc_value, KeyboardInterrupt):
        main_thread = threading.main_thread().ident
        again = threading.Timer(INTERRUPT_AGAIN_S, signal.pthread_kill, [main_thread, signal.SIGINT])
        again.daemon = True
        again.start()
    else:
        sys.__unraisablehook__(unraisable)


def _interrupted() -> int:
    return _complain("interrupted; what was finished is kept, run the same command to go on", 130)


def _complain(line: str, code: int) -> int:
    print("dolphin: " + " ".join(line.split()), file=sys.stderr)
    return code
