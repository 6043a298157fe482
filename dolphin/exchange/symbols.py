"""What the exchange says of a symbol: decimals, tick, step, least notional, leverage."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any


@dataclass(frozen=True)
class SymbolRules:
    """The filters of one perpetual.

    Attributes
    ----------
    symbol : str
        Such as ``BTCUSDT``.
    tick, step, min_notional : Decimal
        Least steps of price and quantity, and the least notional of an order that opens, in USDT.
    leverage : int
        At first; requests change it.
    most_away : Decimal
        How far on the market's other side a limit may be, as a fraction of the price.
    status : str
        ``TRADING``, or what it is instead (``SETTLING``): then nothing is opened in it.
    """

    symbol: str
    tick: Decimal = Decimal("0.01")
    step: Decimal = Decimal("0.001")
    min_notional: Decimal = Decimal(5)
    leverage: int = 20
    most_away: Decimal = Decimal("0.05")
    status: str = "TRADING"

    @property
    def price_decimals(self) -> int:
        """Decimals of the tick."""
        return _decimals(self.tick)

    @property
    def quantity_decimals(self) -> int:
        """Decimals of the step."""
        return _decimals(self.step)

    def price_text(self, price: Decimal) -> str:
        """A price as the exchange writes it."""
        return f"{price:.{self.price_decimals}f}"

    def quantity_text(self, quantity: Decimal) -> str:
        """A quantity as the exchange writes it."""
        return f"{quantity:.{self.quantity_decimals}f}"

    def info(self) -> dict[str, Any]:
        """The symbol's part of ``GET /fapi/v1/exchangeInfo``."""
        base = self.symbol.removesuffix("USDT") or self.symbol
        largest = self.step * 10**9
        return {
            "symbol": self.symbol, "pair": self.symbol, "contractType": "PERPETUAL", "deliveryDate": 4133404800000,
            "onboardDate": 1569398400000, "status": self.status, "maintMarginPercent": "2.5000",
            "requiredMarginPercent": "5.0000", "baseAsset": base, "quoteAsset": "USDT", "marginAsset": "USDT",
            "pricePrecision": self.price_decimals, "quantityPrecision": self.quantity_decimals,
            "baseAssetPrecision": 8, "quotePrecision": 8, "underlyingType": "COIN", "underlyingSubType": [],
            "triggerProtect": "0.0500", "liquidationFee": "0.012500", "marketTakeBound": "0.05",
            "orderTypes": ["LIMIT", "MARKET", "STOP_MARKET"], "timeInForce": ["GTC", "IOC", "FOK", "GTX"],
            "filters": [
                {"filterType": "PRICE_FILTER", "minPrice": f"{self.tick:f}",
                 "maxPrice": f"{self.tick * 10**8:f}", "tickSize": f"{self.tick:f}"},
                {"filterType": "LOT_SIZE", "minQty": f"{self.step:f}", "maxQty": f"{largest:f}",
                 "stepSize": f"{self.step:f}"},
                {"filterType": "MARKET_LOT_SIZE", "minQty": f"{self.step:f}", "maxQty": f"{largest:f}",
                 "stepSize": f"{self.step:f}"},
                {"filterType": "MAX_NUM_ORDERS", "limit": 200},
                {"filterType": "PERCENT_PRICE", "multiplierUp": f"{1 + self.most_away:.4f}",
                 "multiplierDown": f"{1 - self.most_away:.4f}", "multiplierDecimal": "4"},
                {"filterType": "MIN_NOTIONAL", "notional": f"{self.min_notional:f}"},
            ],
        }  # fmt: skip


def _decimals(step: Decimal) -> int:
    exponent = step.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0
