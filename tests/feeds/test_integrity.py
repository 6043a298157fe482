"""What a running feed holds against the disk."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from dolphin.feeds.health import Health
from dolphin.feeds.integrity import Integrity
from dolphin.feeds.poller import Value
from dolphin.feeds.recorder import Recorder
from dolphin.times import SECOND_NS, format_time

NOW = 1_800_000_000 * SECOND_NS


def test_each_damage_is_an_alert_and_goes_when_it_is_mended(tmp_path: Path) -> None:
    health = Health(lambda: NOW)
    recorder = Recorder(tmp_path, 300 * SECOND_NS, health, lambda: NOW)
    now = {"factors": {"fng": {"last": 40.0}}}
    latest = tmp_path / "latest.json"

    async def whole() -> None:
        with recorder.opened():
            check = Integrity(recorder, lambda: now, health, lambda: NOW)
            for k in range(3):
                recorder.value(Value("fng", 40.0 + k, "alternative.me", k, k, k))
            recorder.flush()
            await recorder.roll()
            recorder.value(Value("fng", 44.0, "alternative.me", 4, 4, 4))
            recorder.flush()
            latest.write_text(json.dumps({"timestamp": format_time(NOW), **now}))
            good = dict.fromkeys(("spool", "latest", "snapshot"))
            assert await check.look() == good and not health.active
            assert health.components["integrity"].counts == {"looks": 1, "snapshots hashed": 1}

            spool = recorder.spools["exf"].path
            whole_spool, told = spool.read_bytes(), latest.read_text()
            snapshot = next((tmp_path / "exf").glob("*/*.npz"))
            kept = snapshot.read_bytes()
            spool.write_bytes(whole_spool[:-1])
            latest.write_text(told[:-5])
            snapshot.unlink()
            wrong = await check.look()
            assert "1 rows were written" in str(wrong["spool"]) and "is gone" in str(wrong["snapshot"])
            assert "cannot be read" in str(wrong["latest"])
            assert set(health.active) == {f"integrity:{what}" for what in good} and health.status() == "critical"

            spool.write_bytes(whole_spool)
            latest.write_text(told)
            snapshot.write_bytes(kept)
            assert await check.look() == good and not health.active
            latest.write_text(told.replace(format_time(NOW), format_time(NOW - 40 * SECOND_NS)))
            snapshot.write_bytes(kept[:-1])
            fresh = Integrity(recorder, lambda: now, health, lambda: NOW)  # has hashed none
            again = await fresh.look()
            assert "40 s old" in str(again["latest"]) and "SHA-256" in str(again["snapshot"])
            snapshot.write_bytes(kept)

    asyncio.run(whole())
