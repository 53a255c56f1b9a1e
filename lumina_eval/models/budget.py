"""What the requests of one command may cost: a cap in USD, kept across threads."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation

from lumina_eval.endpoint import EndpointError
from lumina_eval.errors import UserError


class CapReachedError(EndpointError):
    """Another request would cost more than may be spent."""


class Budget:
    """Counts what the requests of this command cost at most."""

    def __init__(self, options: Mapping[str, str]) -> None:
        """Read ``max_cost`` and ``cost_per_image`` in USD; a cap without a price is a UserError."""
        price, cap = (_usd(options, name) for name in ("cost_per_image", "max_cost"))
        if cap is not None and not price:
            raise UserError(
                "expected --option cost_per_image=USD with --option max_cost=USD, found no price; "
                "fix: add what one image costs"
            )
        self.price = None if price is None else float(price)
        self._cap = cap
        self._most = None if cap is None or price is None else int(cap // price)
        self._paid = 0
        self._lock = threading.Lock()

    def pay(self) -> None:
        """Set the price of one request aside; raise CapReachedError if that is more than is left."""
        with self._lock:
            if self._most is not None and self._paid >= self._most:
                raise CapReachedError(
                    f"not asked for: the cost cap of {self._cap} USD is reached with {self._paid} requests "
                    f"at {self.price:g} USD; the same command goes on from here and may spend as much again"
                )
            self._paid += 1

    def give_back(self) -> None:
        """Take back the price of a request that cost nothing."""
        with self._lock:
            self._paid -= 1


def _usd(options: Mapping[str, str], name: str) -> Decimal | None:
    if name not in options:
        return None
    try:
        value = Decimal(options[name])
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite() or value < 0:
        raise UserError(
            f"expected an amount of USD for {name}, found {options[name]!r}; "
            f"fix: give a number, such as --option {name}=0.04"
        )
    return value
