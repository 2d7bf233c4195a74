"""What models cost, as the FinOps page of older applications reads it. Nothing here is invented: what is not known is
null."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from fastapi import APIRouter, Depends

from llmguard.usage.store.totals import Sums, folded, totals
from llmguard.web import bodies
from llmguard.web.ledger import ledger
from llmguard.web.parameters import Chosen, chosen
from llmguard.web.problems import ProblemRoute, responses
from llmguard.web.viewer import Viewer, viewer

router = APIRouter(route_class=ProblemRoute, responses=responses(401, 403, 422, 503))
_MILLION = 1_000_000
_DIMENSIONS = ("model", "feature")


@router.get("/llm-costs")
def llm_costs(
    asks: Annotated[Viewer, Depends(viewer)], which: Annotated[Chosen, Depends(chosen)]
) -> list[bodies.LLMCost]:
    """Each model of the period, the dearest first: of all calls for administrators, else of one's own."""
    asked = which.of(asks)
    with ledger.reading() as engine:
        by_use = totals(engine, _DIMENSIONS, asked.period, asked.filters, asked.zone)
    by_model = folded(_DIMENSIONS, by_use, "model")
    uses: dict[tuple[str, ...], list[tuple[str, int]]] = {}
    for (model, (feature,)), sums in by_use.items():
        uses.setdefault(model, []).append((feature or "(no feature)", sums.tokens))
    return [_cost(key[0], sums, uses.get(key[0], [])) for key, sums in by_model.items()]


def _cost(key: tuple[str, ...], sums: Sums, uses: list[tuple[str, int]]) -> bodies.LLMCost:
    provider, model = key
    is_known = sums.calls > sums.unpriced_calls
    return bodies.LLMCost(
        id=f"{provider}/{model}",
        name=f"{provider}: {model}",
        status="active" if is_known else "unpriced",
        currentCost=float(sums.cost) if is_known else None,
        tokenUsage=f"{sums.tokens:,} tokens",
        costPerToken=_rate(sums.cost, sums.tokens) if is_known and not sums.unpriced_calls else None,
        usageTypes=[
            bodies.UsageType(name=name, tokens=tokens, percentage=round(100 * tokens / (sums.tokens or 1), 2))
            for name, tokens in uses
        ],
        recommendation=f"{sums.unpriced_calls:,} calls have no known price: llmguard prices set"
        if sums.unpriced_calls
        else None,
    )


def _rate(cost: Decimal, tokens: int) -> str | None:
    return f"${cost * _MILLION / tokens:.4f} per million tokens" if tokens else None
