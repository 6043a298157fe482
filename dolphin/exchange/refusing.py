"""The exchange's error codes, with the messages that its documentation gives."""

from __future__ import annotations

MESSAGES = {
    -1003: "Too many requests; current limit is 2400 requests per minute.",
    -1007: "Timeout waiting for response from backend server. Send status unknown; execution status unknown.",
    -1016: "This service is no longer available.",
    -1021: "Timestamp for this request is outside of the recvWindow.",
    -1022: "Signature for this request is not valid.",
    -1102: "Mandatory parameter was not sent, was empty/null, or malformed.",
    -1106: "Parameter sent when not required.",
    -1111: "Precision is over the maximum defined for this asset.",
    -1121: "Invalid symbol.",
    -1125: "This listenKey does not exist.",
    -2010: "NEW_ORDER_REJECTED",
    -2011: "Unknown order sent.",
    -2013: "Order does not exist.",
    -2014: "API-key format invalid.",
    -2015: "Invalid API-key, IP, or permissions for action.",
    -2019: "Margin is insufficient.",
    -2021: "Order would immediately trigger.",
    -2022: "ReduceOnly Order is rejected.",
    -4003: "Quantity less than or equal to zero.",
    -4005: "Quantity greater than max quantity.",
    -4014: "Price not increased by tick size.",
    -4016: "Limit price can't be higher than the market's by that much.",
    -4023: "Quantity not increased by step size.",
    -4024: "Limit price can't be lower than the market's by that much.",
    -4059: "No need to change position side.",
    -4061: "Order's position side does not match user's setting.",
    -4116: "ClientOrderId is duplicated.",
    -4120: "Order type not supported for this endpoint. Please use the Algo Order API endpoints instead.",
    -4140: "Invalid symbol status for opening position.",
    -4164: "Order's notional must be no smaller than 5 (unless you choose reduce only).",
    -5022: "Due to the order could not be executed as maker, the Post Only order will be rejected.",
}


class Rejection(Exception):
    """A request that is answered with an error: its code, the message, the HTTP status."""

    def __init__(self, code: int, message: str | None = None, status: int = 400) -> None:
        self.code, self.status = code, status
        self.message = message or MESSAGES.get(code, "An unknown error occurred while processing the request.")
        super().__init__(f"{code}: {self.message}")

    def body(self) -> dict[str, object]:
        """The JSON body."""
        return {"code": self.code, "msg": self.message}
