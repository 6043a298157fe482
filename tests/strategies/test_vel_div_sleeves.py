"""The two sleeves of ENGINE section 5 against a plain implementation: dicts, loops, no kernels."""

from __future__ import annotations

import math

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markets import START, friction, market_of, random_market

from dolphin.config import params_records, parse_config
from dolphin.core.engine import engine_for
from dolphin.core.records import DAY_NS, HIBERNATE, STALKER, TURTLE
from dolphin.errors import DolphinError
from dolphin.strategies.vel_div import VelDivParams
from dolphin.strategies.vel_div_sleeves import BASE, VEL_DIV_SLEEVES, SleevesParams

ENGINE = engine_for(VEL_DIV_SLEEVES)
CAPITAL = 25_000.0
BARS, PER_DAY = 360, 60
SPACING = DAY_NS // PER_DAY
SHARES = {"SHORT": (0.7, 0.3), "LONG": (0.3, 0.7), "EVEN": (0.5, 0.5)}


def days_market(seed):
    """Six days whose signals lean to one side, with gaps in them, two risk scares and stale prices."""
    rng = np.random.default_rng(seed)
    market = random_market(seed, BARS, 4, scale=0.006)
    day = (np.arange(1, BARS + 1)) // PER_DAY
    vel_div = 0.05 * rng.standard_normal(BARS) + rng.choice([-0.04, 0.0, 0.04], 8)[day]
    vel_div[rng.random(BARS) < 0.05] = np.nan
    momentum = np.full(BARS, np.nan)
    momentum[7:] = market.price[7:, 0] / market.price[:-7, 0] - 1.0
    risk = market.risk
    risk["boost"] = 1.0 + 0.3 * (rng.random(BARS) < 0.1)
    risk["beta"], risk["rm"] = 0.5, rng.choice([1.0, 1.0, 0.4], BARS)
    risk["posture"] = rng.choice([0, 0, 0, 0, 0, 0, 0, 0, STALKER, TURTLE], BARS)
    risk["posture"][rng.integers(BARS, size=2)] = HIBERNATE
    age = rng.choice([0, 0, 0, 6], (BARS, 4)).astype(np.int32)
    features = np.column_stack([vel_div, market.features[:, 1], momentum])
    ts = START + SPACING * np.arange(1, BARS + 1, dtype=np.int64)
    return market._replace(ts=ts, features=np.ascontiguousarray(features), risk=risk, age=age)


def plain(market, p, slippage, fee, fill_next):
    """(trades, capital, [(day, side that is favoured)]), by the specification alone."""
    account = {"capital": CAPITAL}
    sleeves = [{"side": side, "held": None, "order": None, "base": 0.0, "won": 0.0} for side in (-1, 1)]
    trades, arbitrated, signals = [], [], {}
    price, today = market.price, None

    def fill(sleeve, order, i):
        buys = sleeve["side"] > 0 if order["opens"] else sleeve["side"] < 0
        raw = price[i, order["asset"]] * (1.0 + slippage if buys else 1.0 - slippage)
        at = math.ceil(raw * 100 - 1e-9) / 100 if buys else math.floor(raw * 100 + 1e-9) / 100
        cost = fee * order["qty"] * at
        if order["opens"]:
            sleeve["held"] = {"asset": order["asset"], "qty": order["qty"], "entry": at, "bar": i, "fee": cost}
            booked = -cost
        else:
            held = sleeve["held"]
            gross = sleeve["side"] * held["qty"] * (at - held["entry"])
            trades.append((held["bar"], i, held["asset"], sleeve["side"], order["reason"], held["qty"],
                           gross - cost - held["fee"]))  # fmt: skip
            sleeve["held"], booked = None, gross - cost
        account["capital"] += booked
        sleeve["won"] += booked

    def exit_order(sleeve, i):
        held, side = sleeve["held"], sleeve["side"]
        now = price[i, held["asset"]]
        move = side * (now / held["entry"] - 1.0)
        left = sleeve["base"] + sleeve["won"] + side * held["qty"] * (now - held["entry"])
        rules = [
            ("LIQUIDATION", p.maintenance_margin > 0 and left <= p.maintenance_margin * held["qty"] * now),
            ("HIBERNATE_HALT", market.risk["posture"][i] == HIBERNATE),
            (
                "SUBDAY_ACB_NORMALIZATION",
                i > 0
                and (
                    market.risk["boost"][i - 1] - market.risk["boost"][i] > p.adverse_turn_drop
                    or (p.acb_day_reset and market.ts[i] // DAY_NS != market.ts[i - 1] // DAY_NS)
                ),
            ),
            ("STOP_LOSS", p.stop_pct > 0 and move <= -p.stop_pct),
            ("FIXED_TP", move >= p.tp_pct),
            ("MAX_HOLD", i - held["bar"] >= p.max_hold_bars),
        ]
        for reason, holds in rules:
            if holds:
                return {"opens": False, "asset": held["asset"], "qty": held["qty"], "reason": reason}
        return None

    def entry_order(sleeve, i):
        vel_div, vol, _ = market.features[i]
        side, risk = sleeve["side"], market.risk[i]
        signal = -1 if vel_div < p.short_threshold else 1 if vel_div > p.long_threshold else 0
        capital = sleeve["base"] + sleeve["won"]
        if signal != side or vol < p.vol_p60 or risk["posture"] > STALKER or i < p.rank_lookback:
            return None
        if capital <= 0 or account["capital"] <= 0:
            return None
        best, asset = p.min_alignment, None
        for j in range(price.shape[1]):
            # An asset that went one way only has efficiency 1 but for rounding: the same logs, the same order.
            logs, path = market.log_price[:, j], 0.0
            for k in range(i - p.rank_lookback, i):
                path += abs(logs[k + 1] - logs[k])
            fresh = path > 0 and market.age[i, j] <= p.max_stale_bars
            efficiency = side * (logs[i] - logs[i - p.rank_lookback]) / path if fresh else -1.0
            if efficiency > best or (efficiency == best and asset is None):
                best, asset = efficiency, j
        if asset is None:
            return None
        near, far = (p.short_threshold, p.short_extreme) if side < 0 else (p.long_threshold, p.long_extreme)
        strength = min(max((abs(vel_div) - abs(near)) / (abs(far) - abs(near)), 0.0), 1.0)
        leverage = p.base_leverage + (p.soft_cap - p.base_leverage) * strength**p.convexity
        leverage = max(min(leverage * (1 + risk["beta"] * (risk["boost"] - 1)), p.abs_cap * risk["rm"]), 1.0)
        leverage = min(leverage, 2.0) if risk["posture"] == STALKER else leverage
        qty = math.floor(capital * p.fraction * leverage / price[i, asset] * 1000 + 1e-9) / 1000
        return {"opens": True, "asset": asset, "qty": qty} if qty * price[i, asset] >= 5.0 else None

    for i in range(len(market.ts)):
        filled = []
        for sleeve in sleeves:
            if sleeve["order"]:
                fill(sleeve, sleeve["order"], i)
                filled.append(sleeve)
                sleeve["order"] = None
        day = int(market.ts[i]) // DAY_NS
        if day != today:
            before, momentum = signals.get(day - 1, []), market.features[i, 2]
            mean = sum(before) / len(before) if before else 0.0
            favoured = "EVEN"
            if p.arbiter == "weighted" and mean < -p.arbiter_threshold and momentum < 0:
                favoured = "SHORT"
            elif p.arbiter == "weighted" and mean > p.arbiter_threshold and momentum > 0:
                favoured = "LONG"
            for sleeve, share in zip(sleeves, SHARES[favoured], strict=True):
                sleeve["base"], sleeve["won"] = account["capital"] * share, 0.0
            arbitrated.append(favoured)
            today = day
        if not math.isnan(market.features[i, 0]):
            signals.setdefault(day, []).append(market.features[i, 0])
        orders = [
            None if sleeve in filled else exit_order(sleeve, i) if sleeve["held"] else entry_order(sleeve, i)
            for sleeve in sleeves
        ]
        for sleeve, order in zip(sleeves, orders, strict=True):
            if fill_next:
                sleeve["order"] = order
            elif order:
                fill(sleeve, order, i)
    return trades, account["capital"], arbitrated


def model(**values):
    often = {"rank_lookback": 5, "vol_p60": 1e-4, "max_hold_bars": 25}
    return SleevesParams(**(often | values))


def run(market, p, f):
    bars = len(market.ts)
    return ENGINE.run(ENGINE.new_state(market.price.shape[1], CAPITAL), params_records([p]), f, market, 0, bars)


variants = st.fixed_dictionaries(
    {
        "arbiter": st.sampled_from(["weighted", "weighted", "equal_weight"]),
        "arbiter_threshold": st.sampled_from([0.0, 0.02]),
        "tp_pct": st.floats(0.002, 0.03),
        "stop_pct": st.sampled_from([0.0, 0.015]),
        "max_hold_bars": st.integers(1, 90),
        "abs_cap": st.sampled_from([1.0, 6.0, 60.0]),
        "soft_cap": st.sampled_from([6.0, 60.0]),
        "convexity": st.integers(1, 3),
        "fraction": st.sampled_from([1.0, 0.3]),
        "acb_day_reset": st.booleans(),
        "maintenance_margin": st.sampled_from([0.0, 0.005]),
    }
)
seeds = st.integers(0, 2**32 - 1)


def both_trade_the_same(market, p, fill_next):
    """Compare the kernels with the plain implementation; its trades and favoured sleeves."""
    done = run(market, p, friction(fill_next=fill_next))
    expected, capital, arbitrated = plain(market, p, 2e-4, 2e-4, fill_next)
    trades = done.trades
    reasons = [VEL_DIV_SLEEVES.reasons[r] for r in trades["reason"]]
    ours = list(zip(*(trades[n].tolist() for n in ("entry_bar", "exit_bar", "asset", "side")), reasons, strict=True))
    assert ours == [trade[:5] for trade in expected]
    np.testing.assert_allclose(trades["qty"], [trade[5] for trade in expected], rtol=1e-9)
    np.testing.assert_allclose(trades["pnl"], [trade[6] for trade in expected], rtol=1e-9, atol=1e-9 * CAPITAL)
    account, slots = done.state.account[0], done.state.slots
    # Rounding is relative to the largest amount that ever was in the sums.
    scale = 1e-9 * max(CAPITAL, np.abs(done.capital).max(), np.abs(trades["pnl"]).max(initial=0.0))
    assert account["capital"] == pytest.approx(capital, abs=scale)
    assert CAPITAL + slots["realised"].sum() == pytest.approx(account["capital"], abs=scale)
    return expected, arbitrated


@settings(max_examples=40, deadline=None)
@given(seeds, variants, st.booleans())
def test_the_plain_implementation_trades_the_same(seed, values, fill_next):
    both_trade_the_same(days_market(seed), model(**values), fill_next)


def test_they_trade_the_same_on_markets_that_show_everything():
    arbitrated, reasons, overlap = set(), set(), False
    for seed in range(8):
        market, p = days_market(seed), model(abs_cap=60.0, soft_cap=60.0, stop_pct=0.015)
        trades, favoured = both_trade_the_same(market, p, False)
        arbitrated |= set(favoured)
        reasons |= {trade[4] for trade in trades}
        overlap |= any(
            a[2] == b[2] and a[3] < b[3] and a[0] < b[1] and b[0] < a[1] for a in trades for b in trades
        )  # both sleeves hold one asset against each other
        assert len(trades) > 10
    assert arbitrated == set(SHARES) and overlap
    assert reasons >= set(VEL_DIV_SLEEVES.reasons) - {"", "MAX_HOLD"}


@settings(max_examples=10, deadline=None)
@given(seeds, variants, st.booleans())
def test_every_way_of_running_gives_the_same_bits(seed, values, fill_next):
    market, p, f = days_market(seed), params_records([model(**values)]), friction(fill_next=fill_next)
    state = ENGINE.new_state(4, CAPITAL)
    whole = ENGINE.run(state, p, f, market, 0, BARS)
    again = ENGINE.new_state(4, CAPITAL)
    assert (ENGINE.run_per_bar(again, p, f, market, 0, BARS) == whole.digests).all()
    pieces = ENGINE.new_state(4, CAPITAL)
    ENGINE.run(pieces, p, f, market, 0, 137)
    assert (ENGINE.run(pieces, p, f, market, 137, BARS).digests == whole.digests[137:]).all()
    many = ENGINE.new_states(4, np.full(3, CAPITAL))
    neighbours = params_records([model(), model(**values), model(arbiter="equal_weight")])
    ENGINE.run_many(many, neighbours, np.repeat(f, 3), market, 0, BARS, threads=2, chunk=2)
    assert again.slots.tobytes() == many.slots[1].tobytes() == state.slots.tobytes()
    assert again.memory.tobytes() == many.memory[1].tobytes() == state.memory.tobytes()
    account = many.account[1].copy()
    account["digest"] = state.account["digest"]  # a sweep folds none
    assert account.tobytes() == state.account.tobytes() and many.exits[1].tobytes() == state.exits.tobytes()


def shares_on_day_two(vel_div, momentum, skipped_days=0, **values):
    """What the sleeves get of the capital at the first bar of the second day that the run sees."""
    bars = PER_DAY + 3
    market = market_of(np.full((bars, 1), 100.0), np.full(bars, vel_div), spacing=SPACING)
    market.features[10:13, 0] = np.nan
    market.features[PER_DAY - 1 :, 0] = -np.sign(vel_div)  # the new day's values do not count
    third = np.full(bars, momentum)
    third[PER_DAY:] *= -1.0  # nor what the reference did after the first bar
    ts = market.ts + DAY_NS * skipped_days * (np.arange(bars) >= PER_DAY - 1)
    features = np.ascontiguousarray(np.column_stack([market.features, third]))
    p = params_records([model(**values)])
    state = ENGINE.new_state(1, CAPITAL)
    seen = []
    ENGINE.run_per_bar(state, p, friction(), market._replace(ts=ts, features=features), 0, bars,
                       lambda i, _: seen.append(tuple(state.memory[BASE : BASE + 2] / CAPITAL)))  # fmt: skip
    first, second = dict.fromkeys(seen[: PER_DAY - 1]), dict.fromkeys(seen[PER_DAY - 1 :])
    assert list(first) == [SHARES["EVEN"]] and len(second) == 1
    return next(iter(second))


@pytest.mark.parametrize(
    ("vel_div", "momentum", "values", "favoured"),
    [
        (-0.03, -0.001, {}, "SHORT"),
        (-0.03, 0.001, {}, "EVEN"),
        (-0.03, 0.0, {}, "EVEN"),
        (-0.03, np.nan, {}, "EVEN"),
        (-0.019, -0.001, {}, "EVEN"),
        (0.03, 0.001, {}, "LONG"),
        (0.03, -0.001, {}, "EVEN"),
        (0.019, 0.001, {}, "EVEN"),
        (np.nan, 0.001, {}, "EVEN"),
        (-0.03125, -0.001, {"arbiter_threshold": 0.03125}, "EVEN"),  # strictly below
        (0.03125, 0.001, {"arbiter_threshold": 0.03125}, "EVEN"),
        (0.04, 0.001, {"arbiter_threshold": 0.03125}, "LONG"),
        (-0.03, -0.001, {"arbiter": "equal_weight"}, "EVEN"),
        (0.03, 0.001, {"arbiter": "equal_weight"}, "EVEN"),
        (-0.03, -0.001, {"skipped_days": 1}, "EVEN"),  # the day before has no bars
    ],
)
def test_the_arbiter(vel_div, momentum, values, favoured):
    # Nothing is traded: one asset whose price never moves has no path to rank.
    assert shares_on_day_two(vel_div, momentum, **values) == pytest.approx(SHARES[favoured], rel=1e-15)


def test_liquidation_looks_at_the_sleeve_alone():
    price = np.concatenate([100.0 - 0.1 * np.arange(11), np.full(3, 99.0), np.full(3, 116.0)])  # 6 x 17 % of a half
    signal = np.where(np.arange(17) == 10, -0.06, 0.0)
    market = market_of(price[:, None], signal)
    market = market._replace(features=np.ascontiguousarray(np.column_stack([market.features, np.zeros(17)])))
    trades = run(market, model(), friction(0.0, 0.0)).trades
    assert [(t["exit_bar"], VEL_DIV_SLEEVES.reasons[t["reason"]]) for t in trades] == [(14, "LIQUIDATION")]
    assert trades["qty"][0] == pytest.approx(6 * CAPITAL / 2 / 99.0, abs=1e-3)


def test_a_sleeve_without_capital_stands_aside_until_the_next_day():
    price = np.full(2 * PER_DAY, 100.0)
    price[10:40] += np.where(np.arange(30) < 10, -0.1 * np.arange(30), 30.0)  # falls, then a gap up
    price[40:] = 100.0 + 0.01 * np.arange(80) * (-1.0) ** np.arange(80)
    signal = np.where(np.arange(2 * PER_DAY) % 3 < 2, -0.06, 0.06)
    signal[:19], signal[19] = 0.0, -0.06
    market = market_of(price[:, None], signal, spacing=SPACING)
    market = market._replace(features=np.ascontiguousarray(np.column_stack([market.features, np.zeros(len(price))])))
    done = run(market, model(maintenance_margin=0.0, tp_pct=0.2, max_hold_bars=3, abs_cap=4.0), friction(0.0, 0.0))
    first = done.trades[0]
    assert (first["side"], first["entry_bar"]) == (-1, 19) and first["pnl"] < -CAPITAL / 2
    assert done.capital.min() > 0.0  # the account is not ruined, the short sleeve is
    later = done.trades[1:]
    short, long = later[later["side"] < 0], later[later["side"] > 0]
    assert long["entry_bar"].min() < PER_DAY - 1 <= short["entry_bar"].min()


def test_the_kernels_of_vel_div_are_not_taken_for_the_sleeves():
    ours, theirs = (numba.from_dtype(params_records([m()]).dtype) for m in (SleevesParams, VelDivParams))
    assert ours.can_convert_to(None, theirs) is None


def test_the_config():
    document = parse_config({"strategy": "vel_div_sleeves"}, where="x").document()
    plain_params = parse_config({}, where="x").document()["params"]
    own = {"direction": "bidirectional", "arbiter": "weighted", "arbiter_threshold": 0.02}
    assert document["strategy"] == "vel_div_sleeves"
    assert document["params"] == plain_params | own
    for params in ({"direction": "short_only"}, {"arbiter": "equal"}, {"arbiter_threshold": -0.02}):
        with pytest.raises(DolphinError, match=next(iter(params))):
            parse_config({"strategy": "vel_div_sleeves", "params": params}, where="x")
    with pytest.raises(DolphinError, match="long_threshold must be above 0"):
        parse_config({"strategy": "vel_div_sleeves", "params": {"long_threshold": -0.1}}, where="x")
