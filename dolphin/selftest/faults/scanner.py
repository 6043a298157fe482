"""Faults in the features."""

from __future__ import annotations

from dolphin.selftest.fault import Fault

_K, _M = "features/kernel.py", "features/moments.py"

SCANNER = (
    Fault("rolling-window-off-by-one", "the return that leaves a window is the one after", _M,
          "    old = (row - length) & mask\n", "    old = (row - length + 1) & mask\n", "features", "features"),
    Fault("momentum-of-wrong-row", "breadth compares with 49 bars ago", _K,
          "    before = (row - SHORT) & RECENT_MASK\n", "    before = (row - SHORT + 1) & RECENT_MASK\n", "features", "features"),
    Fault("sample-deviation", "the deviation is a sample's, not the population's", _K,
          "    return math.sqrt(total / SHORT)\n", "    return math.sqrt(total / (SHORT - 1))\n", "features", "features"),
    Fault("still-asset-is-active", "an asset whose price stands still counts as active", _M,
          "        taken = valid[j] >= length and run[j] < length\n", "        taken = valid[j] >= length\n", "features", "features"),
    Fault("day-border-in-scanner", "the scanner anchors its sums a bar after midnight", _K,
          "    day = ts[t] // DAY_NS\n", "    day = (ts[t] - 1) // DAY_NS\n", "features: streaming", "features"),
    Fault("eigenvalue-stopped-early", "an eigenvalue is taken with three digits", _K,
          "        enough = WARM_RESIDUAL if attempt == 0 else COLD_RESIDUAL\n", "        enough = 1e-3\n", "certify", "features"),
    Fault("history-too-short", "the stated history forgets the day that is under way", "features/scanner.py",
          "    return trailing_bars(windows) + day + SHORT + 2\n", "    return trailing_bars(windows) + SHORT + 2\n",
          "features: history", "features"),
    Fault("history-forgets-velocities", "the stored rows are scanned with what the longest window needs only", "features/scanner.py",
          "    return trailing_bars(windows) + day + SHORT + 2\n", "    return trailing_bars(windows)\n", "append-only", "features"),
    Fault("scan-looks-ahead", "a row's volatility is that of the next", "features/scanner.py",
          "        follow(behind, out.rows(low, high))\n",
          "        follow(behind, out.rows(low, high))\n        out.vol[low : high - 1] = out.vol[low + 1 : high]\n",
          "look-ahead", "features"),
)  # fmt: skip
