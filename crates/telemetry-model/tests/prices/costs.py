"""Prints the price of each model that the package litellm knows, and the exact costs of three usages.

Columns, separated by tabs: model; prices in US dollars per token of input, output, cache reads and cache
writes (empty if the list has none); costs in microdollars. Without the package, prints its name.
"""

import decimal
import fractions
import importlib.util
import json
import pathlib
import sys

LIST = "model_prices_and_context_window_backup.json"
KEYS = (
    "input_cost_per_token",
    "output_cost_per_token",
    "cache_read_input_token_cost",
    "cache_creation_input_token_cost",
)
# Input, output, cache reads, cache writes; as in the test.
USAGES = ((5, 500, 128_955, 1_253), (86, 300, 1_920, 0), (9_999_991, 1_234_567, 7_654_321, 333_333))


# The list has computed prices such as 9.499999999999999e-07 dollars.
DIGITS = decimal.Decimal("1e-15")


def cost(prices, usage):
    # Cached input costs as much as other input, unless the list has a price.
    prices = [prices[0] if price is None else price for price in prices]
    prices = [fractions.Fraction(decimal.Decimal(price).quantize(DIGITS)) for price in prices]
    dollars = sum(price * tokens for price, tokens in zip(prices, usage))
    return int(dollars * 1_000_000 + fractions.Fraction(1, 2))  # half up


package = importlib.util.find_spec("litellm")
if package is None:
    sys.exit("litellm")
models = (pathlib.Path(package.origin).parent / LIST).read_text()
for model, entry in json.loads(models, parse_float=decimal.Decimal).items():
    prices = [entry.get(key) for key in KEYS]
    if all(isinstance(price, (int, decimal.Decimal)) for price in prices[:2]):
        shown = ["" if price is None else str(price) for price in prices]
        print(model, *shown, *(cost(prices, usage) for usage in USAGES), sep="\t")
