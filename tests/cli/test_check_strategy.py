"""``dolphin check strategy`` and mistakes in a strategy, as a user meets them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from thorough import thorough

RESEARCH = Path(__file__).resolve().parents[2] / "research"
SOURCE = (RESEARCH / "pullback.py").read_text()


def own(home: Path, old: str = "", new: str = "") -> Path:
    """The example under another name in the workspace, changed."""
    assert not old or SOURCE.count(old) >= 1
    file = home / "research" / "own.py"
    file.write_text(SOURCE.replace(old, new, 1) if old else SOURCE)
    (home / "own.toml").write_text('strategy = "own:PULLBACK"\n[params]\nlookback = 20\n')
    return file


def line_of(file: Path, text: str) -> int:
    return next(n for n, line in enumerate(file.read_text().splitlines(), 1) if text in line)


@pytest.mark.slow
def test_the_example_conforms_on_generated_markets_and_a_dataset(call: Callable, home: Path) -> None:
    shutil.copy(RESEARCH / "pullback.py", home / "research")
    told = call(home, "check", "strategy", "pullback:PULLBACK", "m", "--set", "lookback=20", "--json")
    assert told.code == 0, told.out + told.err
    assert told.json["passed"] and told.json["markets"] == ["walk", "shuffled", "m"]
    assert len(told.json["rules"]) == 12 and all("; m: " in rule["detail"] for rule in told.json["rules"])


@pytest.mark.slow
def test_a_broken_rule_is_an_honest_no(call: Callable, home: Path) -> None:
    own(home, "move >= params.take_profit or late", "market.price[i + 1, slot.asset] < market.price[i, slot.asset]")
    said = call(home, "check", "strategy", "own:PULLBACK", "--config", home / "own.toml")
    assert said.code == 1 and "FAILED  no look-ahead: bar " in said.out and said.err == ""
    assert "a sweep is the single runs" not in said.out


MISTAKES = [
    (
        "params.least_breadth",
        "params.least_breath",
        "params has no field 'least_breath'; did you mean 'least_breadth'?",
    ),
    ("slot.entry_price", "slot.price", "state.slots[s] has no field 'price'; did you mean 'entry_price'?"),
    (
        "market.price[i, slot.asset]",
        "market.prise[i, slot.asset]",
        "market has no field 'prise'; did you mean 'price'?",
    ),
    ("state.account[0]", "state.acount[0]", "state has no field 'acount'; did you mean 'account'?"),
    ("market.instruments[asset]", 'market.instruments["BTC"]', "uses the text 'BTC' as an index; name it in Strategy("),
    ("TAKE_PROFIT if move", '"won" if move', "is both 2 and the text 'won'"),
    ("lots_below(capital", "plain(capital", "calls 'plain', which is a plain Python function; decorate it with"),
    ("capital = state", "capital = np.zeros(1)[0] + state", "allocates memory; kernels allocate nothing"),
]


@pytest.mark.parametrize(("old", "new", "said"), MISTAKES, ids=[new for _, new, _ in MISTAKES])
@pytest.mark.parametrize("verb", thorough(["backtest", "check"]))
def test_a_mistake_is_one_line_with_its_place(
    call: Callable, home: Path, verb: str, old: str, new: str, said: str
) -> None:
    file = own(home, old, new)
    text = file.read_text().replace(
        "from typing import Annotated\n",
        "from typing import Annotated\nimport numpy as np\n\ndef plain(x, y):\n    return x\n",
    )
    file.write_text(text)
    if verb == "backtest":
        told = call(home, "backtest", "m", "--config", home / "own.toml", "--out", home / "out")
    else:
        told = call(home, "check", "strategy", "own:PULLBACK", "--config", home / "own.toml")
    assert told.code == 2 and f"own.py:{line_of(file, new)}: " in told.complaint and said in told.complaint
    assert not (home / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("vel_dif",), "unknown strategy 'vel_dif'; did you mean 'vel_div'?"),
        (("own",), "unknown strategy 'own'; name its strategy: own:ATTRIBUTE"),
        (("own:PULBACK",), "did you mean 'PULLBACK'?"),
        (("vel_div", "--config", "own.toml"), "is of strategy 'own:PULLBACK', not of 'vel_div'"),
        (("vel_div", "n"), "no dataset 'n'"),
        (("vel_div", "--from", "2025-01-01"), "--from and --to need a dataset"),
        (("vel_div", "--set", "tp_pc=0.01"), "unknown key 'tp_pc'; did you mean 'tp_pct'?"),
    ],
)
def test_bad_input_is_one_line(call: Callable, home: Path, arguments: tuple[str, ...], words: str) -> None:
    own(home)
    given = [home / a if a.endswith(".toml") else a for a in arguments]
    said = call(home, "check", "strategy", *given)
    assert said.code == 2 and words in said.complaint


def test_without_inline_it_does_not_import(call: Callable, home: Path) -> None:
    own(home, "@inline\ndef decide", "def decide")
    said = call(home, "backtest", "m", "--config", home / "own.toml", "--out", home / "out")
    assert said.code == 2 and "has a decide that is not decorated with dolphin.core.jit.inline" in said.complaint
