"""Names of maps, keys and topics, the shards of symbols, and the near cache's settings (LIVE section 7)."""

from __future__ import annotations

import zlib

FEATURES = "DOLPHIN_FEATURES"
SAFETY = "DOLPHIN_SAFETY"
META_HEALTH = "DOLPHIN_META_HEALTH"
SYSTEM_HEALTH = "DOLPHIN_SYSTEM_HEALTH"
#: Not of the specification: who holds which lease.
LOCKS = "DOLPHIN_LOCKS"

#: Keys of :data:`FEATURES`.
EXTERNAL_FACTORS = "exf_latest"
FOREWARNER = "mc_forewarner_latest"
ACB_BOOST = "acb_boost"
ACB_STATE = "acb_state"
VOL_REGIME = "vol_regime"
SCAN = "scan_latest"
EIGEN_SCAN = "latest_eigen_scan"
SCAN_ARROW = "scan_arrow_latest"
#: The key of safety, health and state maps.
LATEST = "latest"
#: Keys of a state map beside :data:`LATEST`.
ENGINE_SNAPSHOT = "engine_snapshot"
CAPITAL = "capital_checkpoint"

#: Topic of scans: {vel_div, timestamp, scan_number, uuid}.
SCAN_BARS = "dolphin.scan.bars"

SHARDS = 10
SIDES = ("blue", "green")

#: Settings of the near cache of the feature maps; times in seconds.
NEAR_CACHE = {"time_to_live": 300, "max_idle": 60, "eviction_max_size": 5000, "invalidate_on_change": True}


def shard_of(symbol: str) -> int:
    """The shard of a symbol, 0 to 9."""
    return zlib.crc32(symbol.encode()) % SHARDS


def shard_map(shard: int) -> str:
    """The map of a shard: ``DOLPHIN_FEATURES_SHARD_07``."""
    return f"{FEATURES}_SHARD_{shard:02d}"


def book_place(symbol: str) -> tuple[str, str]:
    """Map and key of a symbol's order book figures."""
    return shard_map(shard_of(symbol)), f"asset_{symbol}_ob"


def state_map(side: str) -> str:
    """The state map of a side: ``DOLPHIN_STATE_BLUE``."""
    return f"DOLPHIN_STATE_{side.upper()}"


def pnl_map(side: str) -> str:
    """The map of a side's capital by day: ``DOLPHIN_PNL_BLUE``."""
    return f"DOLPHIN_PNL_{side.upper()}"


def day_state(strategy: str, date: str) -> str:
    """The key of a strategy's state of a day, in a state map."""
    return f"state_{strategy}_{date}"


#: The feature maps, which have a near cache.
FEATURE_MAPS = (FEATURES, *(shard_map(k) for k in range(SHARDS)))
#: Every map.
MAPS = (
    *FEATURE_MAPS,
    SAFETY,
    *(state_map(side) for side in SIDES),
    *(pnl_map(side) for side in SIDES),
    META_HEALTH,
    SYSTEM_HEALTH,
    LOCKS,
)
