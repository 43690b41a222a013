"""What the fields of a registry item mean together, beyond what its JSON schema can say.

The gateway refuses an item that breaks these rules, and a deployed one can never be corrected: so it must not
get in. `tests/contracts/registry_items.json` holds both to the same answers.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator, Mapping
from typing import cast

from lambdas.registry_guard.values import SORT_KEY, Item, shown

BEDROCK_VENDORS = (
    "ai21", "amazon", "anthropic", "cohere", "deepseek", "google", "luma", "meta", "minimax", "mistral",
    "moonshot", "moonshotai", "nvidia", "openai", "qwen", "stability", "twelvelabs", "writer", "zai",
)  # fmt: skip
"""What model ids begin with, https://docs.aws.amazon.com/bedrock/latest/userguide/models-supported.html"""

_WITHIN_THE_EU = re.compile(rf"(eu\.)?({'|'.join(BEDROCK_VENDORS)})\.[a-z0-9][a-z0-9.:_-]*")


def broken_rules(item: Item) -> Iterator[str]:
    """One text for each rule that an item of the right shape breaks."""
    version = str(item[SORT_KEY])
    try:
        datetime.date.fromisoformat(version[:10])
    except ValueError:
        yield f"version is {shown(version)}, which does not begin with a date of the calendar"
    residency = cast("Mapping[str, object]", item["residency"])
    invocation_id = str(item["invocation_id"])
    if (
        residency["eu_processing"]
        and item["provider"] == "bedrock"
        and not _WITHIN_THE_EU.fullmatch(invocation_id)
    ):
        yield (
            f"residency.eu_processing is true, but invocation_id {shown(invocation_id)} is not of the form "
            "eu.<vendor>.<model> or <vendor>.<model>"
        )
    most, window = item["maximum_output_tokens"], item["context_window_tokens"]
    if cast("int", most) > cast("int", window):
        yield f"maximum_output_tokens is {shown(most)}, more than context_window_tokens, {shown(window)}"
