"""Reads the policy and pipeline files stored with receipts, as far as the rules about outputs need them.

This code is separate from the loader on purpose: verification must find the effects of a fault in the loader.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Final

from minimize.arrow.pointers import Pointer
from minimize.verification.rules import RULES, StepView

_DAY_NANOSECONDS: Final = 86_400 * 10**9
_SECONDS: Final[Mapping[str, int]] = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


class UnreadableDocument(Exception):
    """The file is not a policy or pipeline."""


@dataclass(frozen=True, slots=True)
class BranchView:
    """One treatment of a value. Without a chain the value is dropped."""

    when: Mapping[str, Any] | None
    chain: tuple[StepView, ...] | None


@dataclass(frozen=True, slots=True)
class FieldView:
    """One field, under the purpose of the run."""

    key: str
    pointer: Pointer
    type: str
    role: str
    optional: bool
    branches: tuple[BranchView, ...]
    collect_if: Mapping[str, Any] | None
    measured: tuple[StepView, ...]
    is_gated: bool = False
    personal: tuple[Pointer, ...] = ()
    """The field, and those from which it is made, without those that the policy states to be plain."""
    features: frozenset[str] = frozenset()
    """The features that must be on: the field's own, and those of the fields from which it is made."""

    @property
    def chains(self) -> tuple[tuple[StepView, ...], ...]:
        """The chains of all branches that do not drop."""
        return tuple(branch.chain for branch in self.branches if branch.chain is not None)

    @property
    def is_kept_as_is(self) -> bool:
        """Whether every released value is the unchanged input value."""
        return bool(self.chains) and all(len(self.branches) == 1 and _is_keep(chain) for chain in self.chains)

    @property
    def techniques(self) -> tuple[str, ...]:
        """The techniques of all branches, as the metadata of a column lists them."""
        words = [step.technique for branch in self.branches for step in (branch.chain or (StepView("drop"),))]
        return tuple(words if len(self.branches) == 1 else dict.fromkeys(words))


@dataclass(frozen=True, slots=True)
class PolicyView:
    """A policy, under the purpose of the run."""

    name: str
    version: int
    tenant: Pointer | None
    subject: Pointer | None
    time: Pointer | None
    retention: int | None
    """Nanoseconds."""
    future: int
    """How far an event time may be after the time of the run, in nanoseconds."""
    fields: Mapping[Pointer, FieldView]
    never: tuple[str, ...]
    record: Pointer | None = None
    features: Mapping[str, int] = field(default_factory=dict)
    """The retention of each feature that has one, in nanoseconds."""


def read_document(content: bytes) -> Mapping[str, Any]:
    """The mapping in a YAML file. Raises UnreadableDocument."""
    loaded = _load_yaml(content)
    if not isinstance(loaded, dict):
        raise UnreadableDocument
    return {_key_text(key): value for key, value in loaded.items()}


@lru_cache(maxsize=8)
def _load_yaml(content: bytes) -> Any:
    """The content of a YAML file; None if it is not YAML. Callers must not change it.

    All runs of an output under one policy have the same two files. Parsing them again for each run took half the time of
    verifying an output of five runs of the sample `device_telemetry`.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        return _join_surrogates(YAML(typ="safe", pure=True).load(content.decode("utf-8")))
    except (YAMLError, ValueError, RecursionError):
        return None


def _join_surrogates(value: Any) -> Any:
    """Join surrogate pairs, which JSON uses to escape characters beyond 16 bits. Raises ValueError for a lone surrogate."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16")
    if isinstance(value, dict):
        return {_join_surrogates(key): _join_surrogates(each) for key, each in value.items()}
    return [_join_surrogates(each) for each in value] if isinstance(value, list) else value


def read_policy(content: bytes, purpose: str) -> PolicyView:
    """The policy of these bytes. Raises UnreadableDocument."""
    raw = read_document(content)
    fields = raw.get("fields")
    if not isinstance(fields, dict):
        raise UnreadableDocument
    try:
        view = _read_view(raw, fields, purpose)
    except (TypeError, ValueError, AttributeError, KeyError):
        view = None
    if view is None:
        raise UnreadableDocument
    return view


def with_rollups(aggregates: Mapping[str, Any]) -> dict[str, Any]:
    """The mappings of a pipeline's aggregates and, by the names of their tables, of their roll-ups.

    `rolls_up` of a roll-up names its aggregate. Raises TypeError or AttributeError for any other content.
    """
    tables = dict(aggregates)
    for name, raw in aggregates.items():
        for columns in raw.get("rollups") or ():
            groups = {column: key for column, key in raw["group_by"].items() if column in columns}
            table = f"{name}_by_{'_'.join(map(str, groups))}" if groups else f"{name}_total"
            tables[table] = {**raw, "group_by": groups, "rollups": None, "rolls_up": str(name)}
    return tables


def aggregate_retentions(pipeline: Mapping[str, Any]) -> dict[str, int]:
    """The retention of each aggregate of a pipeline that has one of its own, in nanoseconds. Raises UnreadableDocument."""
    try:
        aggregates = with_rollups(pipeline.get("aggregates") or {})
        return {str(name): long for name, each in aggregates.items() if (long := _feature_retention(each)) is not None}
    except (TypeError, ValueError, AttributeError, KeyError):
        raise UnreadableDocument from None


def _read_view(raw: Mapping[str, Any], fields: Mapping[Any, Any], purpose: str) -> PolicyView:
    fields = _with_map_keys(fields)
    declared = {Pointer.parse(_key_text(key)): each for key, each in fields.items()}
    views = [
        _field_view(
            _key_text(key),
            raw_field,
            _is_for_other_purposes(raw_field, declared, purpose),
            _parts(_key_text(key), raw_field, declared),
        )
        for key, raw_field in fields.items()
    ]
    return PolicyView(
        name=str(raw.get("policy")),
        version=int(raw.get("version", 0)),
        tenant=_pointer(raw.get("tenant")),
        subject=_pointer(raw.get("subject")),
        time=_pointer(raw.get("time")),
        retention=_nanoseconds(raw.get("retention")),
        future=_nanoseconds(raw.get("future")) or _DAY_NANOSECONDS,
        fields={view.pointer: view for view in _without_values(views)},
        never=tuple(_key_text(each) for each in raw.get("never") or ()),
        record=_pointer(raw.get("record")),
        features={
            str(name): long
            for name, feature in (raw.get("features") or {}).items()
            if (long := _feature_retention(feature))
        },
    )


def _with_map_keys(fields: Mapping[Any, Any]) -> dict[Any, Any]:
    """The fields. The keys of a map are a field of their own if the policy treats them."""
    both: dict[Any, Any] = {}
    for key, raw_field in fields.items():
        both[key] = raw_field
        if raw_field.get("keys") is not None:
            inherited = {word: raw_field[word] for word in ("role", "purposes") if word in raw_field}
            both[str(Pointer.parse(_key_text(key)).keys)] = {"type": "string", "do": raw_field["keys"], **inherited}
    return both


def _without_values(views: Sequence[FieldView]) -> Iterator[FieldView]:
    """The keys of a map are released only together with its values. If no value is released, the keys are not either."""
    for view in views:
        if view.pointer.is_keys and view.chains:
            star = view.pointer.stars[-1]
            if not any(each.chains and each.pointer.within(star) for each in views):
                view = replace(view, branches=(BranchView(None, None),))
        yield view


def read_chain(raw: Any) -> tuple[StepView, ...] | None:
    """The chain in `do`; None for `drop`. Raises ValueError for any other content."""
    if raw == "drop":
        return None
    steps = tuple(_step_view(each) for each in (raw if isinstance(raw, list) else [raw]))
    if not steps:
        raise ValueError("an empty chain")
    return steps


def _is_for_other_purposes(raw: Mapping[str, Any], declared: Mapping[Pointer, Any], purpose: str) -> bool:
    """Whether the field, or one from which it is made, is only for other purposes."""
    parts = (raw, *(declared[Pointer.parse(_key_text(name))] for name in _as_tuple(raw.get("from"))))
    purposes = (_as_tuple(part.get("purposes")) for part in parts)
    return any(each and purpose not in each for each in purposes)


def _parts(key: str, raw: Mapping[str, Any], declared: Mapping[Pointer, Any]) -> dict[Pointer, Mapping[str, Any]]:
    """The field, and those from which it is made."""
    inputs = [Pointer.parse(_key_text(name)) for name in _as_tuple(raw.get("from"))]
    return {Pointer.parse(key): raw, **{pointer: declared[pointer] for pointer in inputs}}


def _feature_retention(feature: Any) -> int | None:
    return _nanoseconds(feature.get("retention")) if isinstance(feature, dict) else None


def _field_view(key: str, raw: Mapping[str, Any], away: bool, parts: Mapping[Pointer, Mapping[str, Any]]) -> FieldView:
    pointer = Pointer.parse(key)
    return FieldView(
        key=key,
        pointer=pointer,
        type=str(raw.get("type", "struct" if raw.get("from") else "string")),
        role=str(raw.get("role", "plain")),
        optional=bool(raw.get("optional", False)),
        branches=(BranchView(None, None),) if away else _branch_views(raw),
        collect_if=raw.get("collect_if"),
        measured=() if away else (read_chain(raw["in_aggregates"]) or () if raw.get("in_aggregates") else ()),
        is_gated=any(raw.get(word) for word in ("feature", "level", "collect_if")),
        personal=tuple(pointer for pointer, part in parts.items() if part.get("role") != "plain"),
        features=frozenset(str(part["feature"]) for part in parts.values() if part.get("feature")),
    )


def _branch_views(raw: Mapping[str, Any]) -> tuple[BranchView, ...]:
    if not raw.get("cases"):
        return (BranchView(None, read_chain(raw.get("do", "drop"))),)
    cases = [BranchView(case["if"], read_chain(case["do"])) for case in raw["cases"]]
    return (*cases, BranchView(None, read_chain(raw.get("otherwise", "drop"))))


def _step_view(raw: Any) -> StepView:
    if isinstance(raw, str):
        return StepView(raw)
    if not isinstance(raw, dict) or len(raw) != 1:
        raise ValueError("no step")
    ((word, argument),) = raw.items()
    if isinstance(argument, dict):
        return StepView(word, argument)
    lone = RULES[word].lone if word in RULES else "value"
    return StepView(word, {} if argument is None else {lone: argument})


def _is_keep(chain: Sequence[StepView]) -> bool:
    return all(step.technique == "keep" for step in chain)


def _pointer(key: Any) -> Pointer | None:
    return None if key is None else Pointer.parse(_key_text(key))


def _nanoseconds(length: Any) -> int | None:
    return None if length is None else int(length[:-1]) * _SECONDS[length[-1]] * 10**9


def _as_tuple(raw: Any) -> tuple[Any, ...]:
    return () if raw is None else tuple(raw) if isinstance(raw, list) else (raw,)


def _key_text(key: object) -> str:
    return str(key).lower() if isinstance(key, bool) else str(key)
