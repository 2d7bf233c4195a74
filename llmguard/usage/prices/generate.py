"""Make the price snapshot anew, from the installed packages genai-prices and litellm. For maintainers:

    pip install -U genai-prices litellm && python -m llmguard.usage.prices.generate

LiteLLM's table is read, not imported, and only for providers that genai-prices lacks.

Prices are kept as genai-prices has them, in a compact form: dollars per million tokens, `[price, [start, price], ...]`
where they depend on the size of the request. One line is one model, so that a change of prices reads as one.
"""

from __future__ import annotations

import hashlib
import json
from datetime import date, datetime, timezone
from decimal import Decimal
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from llmguard.usage.prices.aliases import ALIASES, BATCH

SNAPSHOT = Path(__file__).with_name("snapshot.json")
_KEYS = {
    "input_mtok": "i",
    "output_mtok": "o",
    "cache_read_mtok": "r",
    "cache_write_mtok": "w",
    "cache_write_1h_mtok": "h",
    "output_reasoning_mtok": "n",
    "requests_kcount": "q",
    "web_searches_kcount": "s",
    "storage_searches_kcount": "f",
    "cache_audio_read_mtok": "ra",
    "cache_image_read_mtok": "rm",
    "input_audio_mtok": "ia",
    "input_image_mtok": "im",
    "input_video_mtok": "iv",
    "output_audio_mtok": "oa",
    "output_image_mtok": "om",
    "output_video_mtok": "ov",
}
_SIGNS = (("equals", "="), ("starts_with", "^"), ("ends_with", "$"), ("contains", "*"), ("regex", "~"))
#: Their clause on names would take every OpenAI-compatible service for OpenAI.
_WITHOUT_NAMES = ("openai", "github-copilot")


def main() -> None:
    """Write the snapshot."""
    from genai_prices import data

    providers = {provider.id: _provider(provider) for provider in data.providers}
    providers.update(_of_litellm({ALIASES.get(name, name) for name in providers}))
    document = {
        "format": 1,
        "date": date.today().isoformat(),
        "source": f"genai-prices {version('genai-prices')} (MIT, see LICENSE.genai-prices beside this file)",
        "source_sha256": hashlib.sha256(Path(data.__file__).read_bytes()).hexdigest(),
        "unit": "US dollars per million tokens",
        "aliases": ALIASES,
        "batch": BATCH,
    }
    lines = [f'{_dump(document)[:-1]},\n"providers":{{']
    for number, (name, row) in enumerate(providers.items()):
        models = ",\n".join(f"{_dump(model)}:{_dump(prices)}" for model, prices in row.pop("models").items())
        comma = "," if number else ""
        lines.append(f'{comma}{_dump(name)}:{_dump(row)[:-1]},"models":{{\n{models}}}}}')
    SNAPSHOT.write_text("\n".join(lines) + "}}\n", encoding="utf-8")
    json.loads(SNAPSHOT.read_text(encoding="utf-8"))
    print(f"{SNAPSHOT}: {len(providers)} providers, {SNAPSHOT.stat().st_size:,} bytes")


#: Providers that genai-prices lacks -> what LiteLLM calls them.
LACKING = {
    "deepinfra": "deepinfra",
    "ai21": "ai21",
    "anyscale": "anyscale",
    "dashscope": "dashscope",
    "featherless": "featherless_ai",
    "hyperbolic": "hyperbolic",
    "inception": "inception",
    "nebius": "nebius",
    "oci": "oci",
    "replicate": "replicate",
    "sambanova": "sambanova",
    "sarvam": "sarvam",
    "volcengine": "volcengine",
    "watsonx": "watsonx",
}
_LITELLM = {
    "input_cost_per_token": "i",
    "output_cost_per_token": "o",
    "cache_read_input_token_cost": "r",
    "cache_creation_input_token_cost": "w",
    "output_cost_per_reasoning_token": "n",
}


def _of_litellm(known: set[str | None]) -> dict[str, Any]:
    """The providers that the other package lacks. A price of 0 stands there for one that nobody has looked up."""
    spec = find_spec("litellm")
    assert spec is not None
    assert spec.origin is not None
    table = json.loads(Path(spec.origin).with_name("model_prices_and_context_window_backup.json").read_text("utf-8"))
    source = f"litellm {version('litellm')}, {date.today().isoformat()}"
    found: dict[str, Any] = {}
    for name, theirs in LACKING.items():
        assert name not in known, name
        models = {}
        for model, row in table.items():
            if row.get("litellm_provider") != theirs or not row.get("input_cost_per_token"):
                continue
            prices = {key: _number(row[given] * 1_000_000) for given, key in _LITELLM.items() if row.get(given)}
            if row.get("mode") == "embedding":
                prices.setdefault("o", 0)
            if "o" in prices:  # else its answers would cost nothing
                models[model.removeprefix(f"{theirs}/")] = prices
        if models:
            found[name] = {"source": source, "models": dict(sorted(models.items()))}
    return found


def _dump(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _provider(provider: Any) -> dict[str, Any]:
    row: dict[str, Any] = {"url": provider.api_pattern}
    if provider.provider_match and provider.id not in _WITHOUT_NAMES:
        row["names"] = _clauses(provider.provider_match)
    if provider.fallback_model_providers:
        row["fallback"] = provider.fallback_model_providers
    row["models"] = {model.id: _model(model) for model in provider.models}
    return row


def _model(model: Any) -> Any:
    row: dict[str, Any] = {}
    clauses = _clauses(model.match)
    if clauses != ["=" + model.id.lower()]:
        row["m"] = clauses
    dated = isinstance(model.prices, list)
    row["p"] = [[_when(p.constraint), _prices(p.prices)] for p in model.prices] if dated else _prices(model.prices)
    variants = [[v.when, _when(v.constraint), p] for v in model.price_variants or () if (p := _prices(v.prices))]
    if variants:
        row["v"] = variants
    return row["p"] if row.keys() == {"p"} and isinstance(row["p"], dict) else row


def _clauses(logic: Any) -> list[Any]:
    """A match as a list of which any may match; a list inside means all of it."""
    for attribute, sign in _SIGNS:
        if hasattr(logic, attribute):
            text = getattr(logic, attribute)
            return [sign + (text if sign == "~" else text.lower())]
    if hasattr(logic, "or_"):
        return [clause for part in logic.or_ for clause in _clauses(part)]
    parts = [_clauses(part) for part in logic.and_]
    return [[part[0] if len(part) == 1 else part for part in parts]]


def _prices(prices: Any) -> dict[str, Any] | None:
    """Prices by short key, {} for what is free, None for what is not priced by text tokens."""
    given = {name: value for name, value in vars(prices).items() if value is not None}
    found = {_KEYS[name]: _price(value) for name, value in given.items() if name in _KEYS}
    return None if given and not {"i", "o"} & found.keys() else found


def _price(value: Any) -> Any:
    if not hasattr(value, "tiers"):
        return _number(value)
    return [_number(value.base), *([tier.start, _number(tier.price)] for tier in value.tiers)]


def _number(value: Any) -> int | float:
    exact = round(Decimal(value), 9)  # without the noise of floats
    return int(exact) if exact == exact.to_integral_value() else float(exact)


def _when(constraint: Any) -> str:
    if constraint is None:
        return ""
    if hasattr(constraint, "start_date"):
        return str(constraint.start_date.isoformat())
    times = (constraint.start_time, constraint.end_time)
    moments = [datetime.combine(date(2000, 1, 2), moment) for moment in times]
    return "-".join((m.astimezone(timezone.utc) if m.tzinfo else m).strftime("%H:%M") for m in moments)


if __name__ == "__main__":
    main()
