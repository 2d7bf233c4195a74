"""What somebody really pays: prices of one's own and discounts, each from one day to another."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import NamedTuple

from llmguard.usage.prices.catalog import in_force


class OwnPrice(NamedTuple):
    """A price of one's own.

    Attributes:
        provider: as the ledger names it.
        model: as requests name it, or a glob.
        rates: (key of `Rates.prices`, dollars per million tokens); empty for a discount.
        discount: per cent off the list price.
        since: the first moment it holds, aware; None for always.
        until: the first moment it does not hold any more.
        source: where it is from.
    """

    provider: str
    model: str
    rates: tuple[tuple[str, Decimal], ...] = ()
    discount: Decimal | None = None
    since: datetime | None = None
    until: datetime | None = None
    source: str = ""

    @property
    def version(self) -> str:
        """What rows say that were priced by it."""
        since = "" if self.since is None else f", from {self.since.date()}"
        return f"own: {self.source or 'price'}{since}"


class Book:
    """Prices of one's own. Of several that hold, a plain name goes before a glob and a longer glob before a shorter
    one, then the one that began last, then the one that comes last.

    Args:
        prices: in any order.
    """

    def __init__(self, prices: Iterable[OwnPrice] = ()) -> None:
        self.prices = tuple(prices)
        self._catalog = in_force()  # names of providers are its
        self._by_provider = self._indexed()

    def _indexed(self) -> dict[str, list[tuple[int, OwnPrice]]]:
        found: dict[str, list[tuple[int, OwnPrice]]] = {}
        for number, price in enumerate(self.prices):
            found.setdefault(_name(price.provider), []).append((number, price))
        return found

    def find(self, provider: str, model: str, at: datetime) -> OwnPrice | None:
        """The price that holds for a model at a moment."""
        if not self.prices:
            return None
        if self._catalog is not in_force():  # somebody has adopted another list
            self._catalog, self._by_provider = in_force(), self._indexed()
        known = self._by_provider.get(_name(provider), ())
        model = model.lower()
        names = {model, model.partition("/")[2] if _name(model.partition("/")[0]) == _name(provider) else model}
        holding = [
            (
                not _is_glob(price.model),
                len(price.model),
                price.since.timestamp() if price.since else 0.0,
                number,
                price,
            )
            for number, price in known
            if (price.since is None or price.since <= at)
            and (price.until is None or at < price.until)
            and any(fnmatchcase(name, price.model.lower()) for name in names)
        ]
        return max(holding)[-1] if holding else None

    def find_any(self, provider: str, models: Iterable[str | None], at: datetime) -> OwnPrice | None:
        """The price for the first of several names of one model that has one."""
        named = (self.find(provider, each, at) for each in models if each)
        return next((each for each in named if each is not None), None)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Book) and self.prices == other.prices

    def __hash__(self) -> int:
        return hash(self.prices)


def _name(provider: str) -> str:
    return in_force().provider(provider) or provider.strip().lower()


def same_provider(one: str, other: str) -> bool:
    """Whether two names are of one provider."""
    return _name(one) == _name(other)


def _is_glob(model: str) -> bool:
    return any(sign in model for sign in "*?[")


_book = Book()


def current() -> Book:
    """The prices of one's own that count in this process."""
    return _book


def use(book: Book) -> None:
    """Let these prices count in this process."""
    global _book
    _book = book
