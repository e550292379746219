"""The same calls, priced by two libraries that many use: microseconds for one call, best of five."""

import os
import timeit

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import genai_prices
import litellm
from importlib.metadata import version
from litellm.types.utils import PromptTokensDetailsWrapper, Usage

CALLS = {"plain": (1_000, 0, 500), "tiered": (300_000, 100_000, 500)}


def with_genai_prices(fresh_and_cached, cached, output):
    usage = genai_prices.Usage(
        input_tokens=fresh_and_cached, cache_read_tokens=cached or None, output_tokens=output
    )
    return lambda: genai_prices.calc_price(usage, model_ref="gpt-5.4", provider_id="openai")


def with_litellm(fresh_and_cached, cached, output):
    usage = Usage(
        prompt_tokens=fresh_and_cached,
        completion_tokens=output,
        total_tokens=fresh_and_cached + output,
        prompt_tokens_details=PromptTokensDetailsWrapper(cached_tokens=cached),
    )
    response = litellm.ModelResponse(model="gpt-5.4", usage=usage)
    return lambda: litellm.completion_cost(
        completion_response=response, model="gpt-5.4", custom_llm_provider="openai"
    )


def microseconds(call, number):
    call()
    return min(timeit.repeat(call, number=number, repeat=5)) / number * 1e6


for library, make, number in (
    ("genai-prices", with_genai_prices, 2_000),
    ("litellm", with_litellm, 200),
):
    times = [microseconds(make(*CALLS[kind]), number) for kind in ("plain", "tiered")]
    print(f"{library} {version(library)} {times[0]:.1f} {times[1]:.1f}")
