"""The partner's budget for models: counters of a UTC day that every worker's every run shares."""

from dataclasses import dataclass
from math import ceil

import sqlalchemy as sa

from engine.errors import QuotaExceeded
from engine.ids import utcnow
from engine.settings import Settings
from engine.store import partners, quotas
from engine.store.database import transaction

TOKENS, MONEY = "llm_day_tokens", "llm_day_usd"
#: Money is counted in millionths of a USD.
_MICRO = 1_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class DayPurse:
    """One partner's day. What a worker reserved and died with stays spent."""

    engine: sa.Engine
    settings: Settings
    partner: str

    def reserve(self, *, tokens: int, cost: float) -> bool:
        """Both counters in one transaction, or neither."""
        try:
            with transaction(self.engine, "reserve") as c:
                limits = partners.get(c, self.partner).limits
                most = limits.get(TOKENS, self.settings.llm_day_tokens)
                usd = ceil(limits.get(MONEY, self.settings.llm_day_usd) * _MICRO)
                quotas.spend(c, self.partner, name=_today(TOKENS), limit=most, amount=tokens)
                micro = ceil(cost * _MICRO)
                quotas.spend(c, self.partner, name=_today(MONEY), limit=usd, amount=micro)
        except QuotaExceeded:
            return False
        return True

    def settle(self, *, tokens: int, cost: float, spent_tokens: int, spent_cost: float) -> None:
        """A call over midnight is settled on the new day, where it can only leave more."""
        both = ((TOKENS, tokens, spent_tokens),
                (MONEY, ceil(cost * _MICRO), ceil(spent_cost * _MICRO)))  # fmt: skip
        with transaction(self.engine, "settle") as c:
            for name, reserved, spent in both:
                quotas.settle(c, self.partner, name=_today(name), reserved=reserved, spent=spent)


def _today(name: str) -> str:
    return f"{name}:{utcnow().date()}"
