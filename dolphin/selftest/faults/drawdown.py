"""Faults in what an account's own drawdown (Rm5) does to its risk inputs."""

from __future__ import annotations

from dolphin.selftest.fault import Fault

_C = "core/capital.py"

DRAWDOWN = (
    Fault("drawdown-from-lifetime-peak", "the peak of 30 days never forgets an older one", _C,
          "    capital.peak = -np.inf\n    for k", "    for k", "rung R, drawdown", "intent"),
    Fault("drawdown-of-realised-capital", "the drawdown is of what was realised, not of the marked equity", _C,
          "market.ts[i], state.account[0].equity", "market.ts[i], state.account[0].capital", "rung R, drawdown", "intent"),
    Fault("skipped-days-keep-their-highs", "days without a bar keep the highs of 30 days before them", _C,
          "range(min(day - capital.day, PEAK_DAYS))", "range(min(day - capital.day, 1))", "rung R, drawdown", "intent"),
    Fault("drawdown-slopes-swapped", "Rm5 is flat before its knee and steep behind it", _C,
          "STEEP if drawdown < KNEE", "STEEP if drawdown > KNEE", "rung R, drawdown", "intent"),
    Fault("imposed-over-tripped", "a posture that a person imposes holds though Rm1 is 0", _C,
          "row.imposed > 0 and row.rm1 > 0.0", "row.imposed > 0", "rung R, drawdown", "intent"),
    Fault("passed-bars-not-weighed", "bars that a flat account passes over are no checks of its posture", "core/kernels.py",
          "        weigh(state, market, i)\n        i += 1\n", "        i += 1\n", "rung 0, drawdown", "sweep"),
    Fault("session-weighs-nothing", "a session decides by what held at the start", "core/kernels.py",
          "    weigh(state, market, i)\n    decide(state, params[0], market, i)\n", "    decide(state, params[0], market, i)\n",
          "rung 2, drawdown", "risk"),
)  # fmt: skip
