"""Four figures of liquidations, from the exchange's own stream: nobody publishes them without a key.

Minutes are summed; 24 hours of listening must be there before anything is known, and 168 hourly readings (of 720 at
most) before the figures that compare with history. The exchange streams the largest liquidation of each symbol and
second, so that the sum is a lower bound. The state is one JSON document, so that a restart goes on.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Any

from dolphin.times import SECOND_NS

MINUTE_NS = 60 * SECOND_NS
DAY = 1440
#: Minutes of a day that must have been listened to.
HEARD = int(0.95 * DAY)
LEAST, MOST = 168, 720


class Liquidations:
    """Sums by minute: USD of longs and of shorts, and whether the stream was there."""

    def __init__(self) -> None:
        self.minutes: deque[list[float]] = deque(maxlen=DAY)  # [minute, longs, shorts]
        self.readings: deque[float] = deque(maxlen=MOST)
        self._hour = -1

    def heard(self, now_ns: int) -> None:
        """The stream is alive in this minute."""
        minute = now_ns // MINUTE_NS
        if not self.minutes or self.minutes[-1][0] < minute:
            self.minutes.append([minute, 0.0, 0.0])

    def add(self, now_ns: int, usd: float, long: bool) -> None:
        """One liquidation."""
        self.heard(now_ns)
        self.minutes[-1][1 if long else 2] += usd

    def figures(self, now_ns: int) -> dict[str, float | None]:
        """The four indicators now; None where they are not known yet."""
        first = now_ns // MINUTE_NS - DAY
        day = [row for row in self.minutes if row[0] > first]
        found: dict[str, float | None] = dict.fromkeys(
            ("liq_vol_24h", "liq_long_ratio", "liq_z_score", "liq_percentile")
        )
        if len(day) < HEARD:
            return found
        longs, shorts = math.fsum(row[1] for row in day), math.fsum(row[2] for row in day)
        total = longs + shorts
        found["liq_vol_24h"] = total
        found["liq_long_ratio"] = longs / total if total > 0.0 else 0.5
        past = list(self.readings)
        hour = now_ns // (60 * MINUTE_NS)
        if hour != self._hour:
            self._hour = hour
            self.readings.append(total)
        if len(past) >= LEAST:
            mean = math.fsum(past) / len(past)
            spread = math.sqrt(math.fsum((value - mean) ** 2 for value in past) / len(past))
            found["liq_z_score"] = (total - mean) / spread if spread > 0.0 else 0.0
            found["liq_percentile"] = 100.0 * sum(value <= total for value in past) / len(past)
        return found

    def document(self) -> dict[str, Any]:
        """The state, for JSON."""
        return {"minutes": [list(row) for row in self.minutes], "readings": list(self.readings), "hour": self._hour}

    def restore(self, document: dict[str, Any]) -> None:
        """Go on from a state."""
        self.minutes.extend([int(row[0]), float(row[1]), float(row[2])] for row in document["minutes"])
        self.readings.extend(float(value) for value in document["readings"])
        self._hour = int(document["hour"])
