"""Faults in the step, the books and the digest, that plain strategies meet."""

from __future__ import annotations

from dolphin.selftest.fault import Fault

_B, _G, _D, _T = "core/book.py", "core/grid.py", "core/digest.py", "core/trading.py"

ENGINE = (
    Fault("fee-on-one-side", "an exit costs no fee", _B,
          "    account.capital += gross - fee\n", "    account.capital += gross\n", "rung R", "state"),
    Fault("entry-fee-not-charged", "the capital is counted without the entry's fee", _B,
          "    account.capital -= fee\n    slot.realised -= fee\n", "    slot.realised -= fee\n", "rung R", "state"),
    Fault("peak-never-updated", "the peak stays at the initial capital", _B,
          "    if equity > account.peak_equity:\n        account.peak_equity = equity\n", "", "rung R", "state"),
    Fault("wrong-day-border", "a bar that closes at midnight begins the next day", _B,
          "    if ts > account.day_end:  # a bar", "    if ts >= account.day_end:  # a bar", "rung R", "state"),
    Fault("fees-not-summed", "the account does not count what was paid in fees", _B,
          "    account.fees_paid += fill.fee\n", "", "rung R", "state"),
    Fault("tick-in-our-favour", "a buy is rounded down to the tick, a sale up", _G,
          "ticks = np.ceil(ticks - hair(ticks)) if side > 0 else", "ticks = np.ceil(ticks - hair(ticks)) if side < 0 else",
          "rung R", "fill"),
    Fault("slippage-in-our-favour", "slippage moves the price for us", _G,
          "price * (1.0 + side * slippage)", "price * (1.0 - side * slippage)", "rung R", "fill"),
    Fault("lots-rounded-up", "a quantity is rounded up to the lot", _G,
          "    lots = np.floor(lots + hair(lots))\n", "    lots = np.ceil(lots - hair(lots))\n", "rung R", "intent"),
    Fault("maker-fee-for-takers", "takers pay the maker's fee", _T,
          "(friction.maker_fee if passive else friction.fee) * (qty", "(friction.fee if passive else friction.maker_fee) * (qty",
          "rung R", "fill"),
    Fault("fill-at-signal-price", "an order that waits for the next bar fills at the price of its own", "core/fill_models.py",
          "    price, instrument = market.price[i, asset], market.instruments[asset]\n",
          "    price, instrument = market.price[order.bar, asset], market.instruments[asset]\n", "rung R, next", "fill"),
    Fault("batch-skips-digest-of-first-bar", "the batch loop folds only bars that trade", "core/kernels.py",
          "        fold_with(state, market, i, standing)\n        account = state.account[0]\n        k = i - origin\n",
          "        if state.account[0].open_positions > 0:\n            fold(state, market, i)\n"
          "        account = state.account[0]\n        k = i - origin\n", "rung 0", "chain"),
    Fault("price-left-out-of-digest", "the digest does not cover a fill's price", _D,
          "order_word(fill) * _K1 + bits(fill.price) * _K6 + bits(fill.fee) * _K7", "order_word(fill) * _K1 + bits(fill.fee) * _K7",
          "digest coverage", "fill"),
    Fault("beta-left-out-of-digest", "the digest does not cover beta", _D,
          "        + float_bits(risk.beta) * _K1\n", "", "digest coverage", "risk"),
    Fault("leverage-left-out-of-digest", "a position's leverage can change unseen", _D,
          "                + bits(slot.leverage) * _K1\n", "", "digest coverage", "state"),
    Fault("digest-not-chained", "a bar's digest forgets the bars before", _D,
          "    folded = (digest ^ mixed) * _K6\n", "    folded = mixed * _K6\n", "digest coverage", "chain"),
    Fault("stage-words-swapped", "the words of features and risk are told in each other's place", "core/kernels.py",
          "    return data, features, risk, intent, fill, after\n", "    return data, risk, features, intent, fill, after\n",
          "digest coverage", "risk"),
)  # fmt: skip
