"""Readers of values that occur in several kinds of files: names, durations, technique chains."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta

from pydantic import BaseModel

from minimize.policy.form_values import NAME_PATTERN, parse_duration
from minimize.policy.mapping_reader import DeclaredNames, KeyReader, MappingShape, read_mapping
from minimize.policy.treatments import DROP, NO_HASH_REASON, UNKEYED_HASHES, Treatment, main_parameter
from minimize.policy.yaml_nodes import YamlNode
from minimize.techniques import TECHNIQUES, TechniqueStep
from minimize.text import did_you_mean


@dataclass(frozen=True, slots=True)
class TechniqueReader(KeyReader):
    """Reads the steps of one field."""

    def treatment(self, node: YamlNode) -> Treatment | None:
        """`drop`, or a chain of steps; None if a fault was recorded."""
        return DROP if node.value == DROP else self.chain(node)

    def chain(self, node: YamlNode) -> tuple[TechniqueStep, ...] | None:
        """A chain of at least one step."""
        items = node.items if node.is_list else (node,)
        steps = [self.step(item) for item in items]
        good = tuple(step for step in steps if step is not None)
        if not items:
            self.fault("P006", "the list of techniques is empty", node.line, "Set `drop`, or add a technique.")
        return good if items and len(good) == len(steps) else None

    def step(self, node: YamlNode) -> TechniqueStep | None:
        """One technique: its word, or its word with parameters."""
        if isinstance(node.value, str):
            return self.named_technique(node.value, YamlNode({}, node.line), node.line)
        if node.is_mapping and len(node.entries) == 1:
            word, below = next(iter(node.entries.items()))
            return self.named_technique(word, below, below.line)
        hint = "Write several techniques as a list; they are applied in order." if node.is_mapping else ""
        self.fault("P006", "a technique must be a word, or a word with its parameters", node.line, hint)
        return None

    def named_technique(self, word: str, parameters: YamlNode, line: int | None) -> TechniqueStep | None:
        """The technique of this word, with these parameters."""
        if word == DROP:
            self.fault("P006", "`drop` must not have parameters or be part of a list", line)
            return None
        kind = TECHNIQUES.get(word)
        if kind is None:
            self.add_unknown_technique(word, line)
            return None
        node = _parameters_by_name(kind, parameters)
        if node is None:
            self.fault(
                "P013", f"`{word}` needs its parameters by name", line, f"Use: {', '.join(_parameter_names(kind))}."
            )
            return None
        context = {"folder": self.scope.folder}
        shape = MappingShape(f"`{word}`", key=self.key, code="P013", parameters=True, context=context)
        return read_mapping(kind, node, self.scope.faults, shape)

    def add_unknown_technique(self, word: str, line: int | None) -> None:
        """Records the fault for an unknown technique; unkeyed hashes get an explanation."""
        if word.lower().replace("-", "_") in UNKEYED_HASHES:
            self.fault("P012", f"`{word}` is not a technique: {NO_HASH_REASON}", line, "Did you mean `pseudonymize`?")
            return
        self.fault("P011", f"unknown technique `{word}`", line, did_you_mean(word, [*TECHNIQUES, DROP]))
        return


def _parameters_by_name(kind: type[BaseModel], node: YamlNode) -> YamlNode | None:
    """Parameters as a mapping. Null is an empty mapping; a single value is the value of the only (required) parameter."""
    if node.is_mapping:
        return node
    if node.value is None:
        return YamlNode({}, node.line)
    main = main_parameter(kind)
    return None if main is None else YamlNode({main: node}, node.line)


def _parameter_names(kind: type[BaseModel]) -> list[str]:
    return [info.alias or name for name, info in kind.model_fields.items()]


def read_duration(node: YamlNode, scope: DeclaredNames, word: str, key: str | None = None) -> timedelta | None:
    """A positive duration."""
    found = parse_duration(node.value)
    if found is None:
        hint = "Use a whole number and a unit: 45s, 15m, 24h, 30d, 2w."
        scope.faults.add("P006", f"`{word}` must be a duration", line=node.line, key=key, hint=hint)
    return found


def read_name(node: YamlNode, what: str, scope: DeclaredNames) -> str | None:
    """A name that is valid in paths and receipts."""
    if isinstance(node.value, str) and re.fullmatch(NAME_PATTERN, node.value):
        return node.value
    hint = "Use a letter or _, then letters, digits, _ and -."
    scope.faults.add("P015", f"this is not a valid name for a {what}", line=node.line, hint=hint)
    return None
