"""Levels that a search chose, written into a policy: `auto` becomes the technique at the chosen level."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ruamel.yaml.nodes import CollectionNode, MappingNode

from minimize.errors import ConfigurationError
from minimize.forms.yaml_nodes import compose_mapping, quote_yaml
from minimize.pages import Table
from minimize.policy.pipeline import Pipeline
from minimize.receipts import Receipt
from minimize.receipts.chain import effective_receipts
from minimize.results import JsonResult, Line, json_member
from minimize.stores.durable_files import write_file
from minimize.techniques import TechniqueStep
from minimize.techniques.chosen_level import ChosenLevel

NO_LEVELS_HINT: Final = "Run the pipeline first, with `records: risk: otherwise: generalize` and a field with `auto`."


@dataclass(frozen=True, slots=True)
class PinnedLevel:
    """The level of one field."""

    field: str
    level: int
    """The coarsest level that a current date has; 0 is the finest."""
    treatment: str
    """The treatment at this level, in the notation of policies."""


@dataclass(frozen=True, slots=True)
class PinnedLevels(JsonResult):
    """The levels that searches chose for the current dates of an output."""

    levels: tuple[PinnedLevel, ...]
    policy: Path = field(metadata=json_member(convert=str))
    written: bool = False
    """Whether they were written into the policy and the pipeline."""

    def lines(self) -> Iterator[Line]:
        """The level and the treatment of each field."""
        yield Table(
            "", ("field", "level", "do"), [(each.field, str(each.level), each.treatment) for each in self.levels]
        )
        if self.written:
            yield f"written to {self.policy}: review the difference, then run again"
        else:
            yield "nothing was written; pass --write to set these levels in the policy"


def pin_levels(pipeline: Pipeline, receipts: Iterable[Receipt], *, write: bool = False) -> PinnedLevels:
    """The levels that searches chose for the current dates of an output: for each field the coarsest of them.

    With `write`, the policy gets the technique at that level in place of `auto`, and the pipeline removes what still misses the
    bound (`otherwise: suppress`). Nothing else in the files changes.

    Raises ConfigurationError if there are no levels, or if a file cannot be changed.
    """
    chosen = _coarsest_levels(receipts)
    treatments = {key: pipeline.policy.fields[key].do for key in chosen if key in pipeline.policy.fields}
    steps = {key: do[-1] for key, do in treatments.items() if not isinstance(do, str) and do}
    pinned = tuple(
        PinnedLevel(key, chosen[key], _treatment_text(pipeline, key, step, chosen[key]))
        for key, step in steps.items()
        if isinstance(step, ChosenLevel)
    )
    path = pipeline.policy.path
    if not pinned or path is None or pipeline.path is None:
        raise ConfigurationError("no current date has levels that a search chose", hint=NO_LEVELS_HINT)
    if write:
        texts: dict[tuple[str, ...], str] = {("fields", each.field, "do"): each.treatment for each in pinned}
        policy = _with_values(path, texts)
        job = _with_values(pipeline.path, {("records", "risk", "otherwise"): "suppress"})
        write_file(path, policy)
        write_file(pipeline.path, job)
    return PinnedLevels(pinned, path, write)


def _coarsest_levels(receipts: Iterable[Receipt]) -> dict[str, int]:
    """The coarsest level of each field over the last receipt of each date that states levels."""
    by_date: dict[str, Mapping[str, int]] = {}
    for receipt in effective_receipts(receipts):
        if receipt.risk is not None:
            entries = receipt.risk.dates or dict.fromkeys(receipt.dates or ("",), receipt.risk)
            by_date |= {date: entry.levels or {} for date, entry in entries.items()}
    levels: dict[str, int] = {}
    for chosen in by_date.values():
        for key, level in chosen.items():
            levels[key] = max(level, levels.get(key, 0))
    return levels


def _treatment_text(pipeline: Pipeline, key: str, step: ChosenLevel, level: int) -> str:
    if level == step.root:
        return "drop"
    do = pipeline.policy.fields[key].do
    earlier = [] if isinstance(do, str) else [_step_data(each) for each in do[:-1]]
    chain = [*earlier, *step.pinned(level)]
    return _flow_text(chain[0] if len(chain) == 1 else chain)


def _step_data(step: TechniqueStep) -> Mapping[str, Any]:
    return {step.name: step.model_dump(mode="json", by_alias=True, exclude_unset=True)}


def _flow_text(value: Any) -> str:
    """A value in YAML on one line.

    >>> _flow_text([{"round": {"to": 0.1}}, "keep"])
    '[{round: {to: 0.1}}, "keep"]'
    """
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_flow_text(part)}" for key, part in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_flow_text, value)) + "]"
    return quote_yaml(value) if isinstance(value, str) else json.dumps(value)


def _with_values(path: Path, values: Mapping[tuple[str, ...], str]) -> bytes:
    """The content of a file with some values replaced. All other characters stay."""
    text = path.read_bytes().decode("utf-8")
    root = compose_mapping(text)
    spans = []
    for keys, value in values.items():
        node = _node_at(root, keys)
        if node is None:
            raise ConfigurationError(f"{path.name} has no {'.'.join(keys)} to change", hint="Set the levels by hand.")
        spans.append((node.start_mark.index, _end_of(node), value))
    for start, end, value in sorted(spans, reverse=True):
        text = text[:start] + value + text[end:]
    changed = compose_mapping(text)
    if any(_node_at(changed, keys) is None for keys in values):
        raise ConfigurationError(f"{path.name} cannot be changed safely", hint="Set the levels by hand.")
    return text.encode("utf-8")


def _end_of(node: Any) -> int:
    """The end of a node in its text. That of a block is the end of its last part: the mark of a block is the next token."""
    is_block = isinstance(node, CollectionNode) and not node.flow_style and node.value
    if not is_block:
        return int(node.end_mark.index)
    last = node.value[-1]
    return _end_of(last[1] if isinstance(last, tuple) else last)


def _node_at(node: Any, keys: Sequence[str]) -> Any:
    for key in keys:
        pairs = node.value if isinstance(node, MappingNode) else ()
        node = next((value for name, value in pairs if str(name.value) == key), None)
    return node
