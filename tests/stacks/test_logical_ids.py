"""What keeps data keeps its logical id: CloudFormation would replace it otherwise."""

from __future__ import annotations

from collections.abc import Iterator

from tests.stacks.stateful_resources import LOSS, Pinned, as_toml, pinned, stateful
from tests.stacks.synthesis import Synthesis

REMEDY = "keep the construct's id and place, or run `make pin-logical-ids` if the loss is meant"


def lost(expected: Pinned, found: Pinned, types: dict[str, str]) -> Iterator[str]:
    """One line for each pinned resource that has another logical id or none."""
    for stack, ids in expected.items():
        for path, logical_id in ids.items():
            new = found.get(stack, {}).get(path)
            if new != logical_id:
                loss = LOSS.get(types.get(f"{stack}/{new}", ""), "it would be deleted or left behind")
                yield f"{stack}/{path}: logical id {logical_id} became {new}: {loss}; {REMEDY}"


def types_of(synthesis: Synthesis) -> dict[str, str]:
    return {resource.name: resource.type for resource in synthesis.resources()}


def test_nothing_in_production_is_replaced_or_forgotten(production: Synthesis) -> None:
    assert list(lost(pinned().production, stateful(production), types_of(production))) == []


def test_everything_that_keeps_data_is_pinned(every_environment: Synthesis) -> None:
    expected = pinned()
    unpinned = [
        f"{stack}/{path}: logical id {logical_id} is not pinned; run `make pin-logical-ids`"
        for stack, ids in stateful(every_environment).items()
        for path, logical_id in ids.items()
        if expected.of(stack).get(path) != logical_id
    ]
    assert unpinned == []


def test_the_file_is_as_it_is_written() -> None:
    from tests.stacks.stateful_resources import PINNED

    assert PINNED.read_text() == as_toml(pinned())


def test_another_id_is_named_with_what_it_means() -> None:
    expected = {"ModelRegistry": {"Table": "TableOne"}, "Secrets": {"Llama": "LlamaOne"}}
    found = {"ModelRegistry": {"Table": "TableTwo"}}
    lines = list(lost(expected, found, {"ModelRegistry/TableTwo": "AWS::DynamoDB::GlobalTable"}))
    assert len(lines) == 2
    assert "ModelRegistry/Table: logical id TableOne became TableTwo: an empty table" in lines[0]
    assert "Secrets/Llama: logical id LlamaOne became None" in lines[1]
