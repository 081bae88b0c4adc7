"""A reading of its own of the policy and pipeline files that receipts carry: only what the rules about outputs need.

It is kept apart from the loader on purpose: a fault there must not hide from the check.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Final

from minimize.pointer import Pointer

_LONE: Final[Mapping[str, str]] = {
    "pseudonymize": "key",
    "tokenize": "key",
    "round": "to",
    "truncate_time": "to",
    "age": "unit",
    "truncate_version": "parts",
    "top": "keep",
    "grid": "metres",
    "h3": "resolution",
    "redact": "patterns",
    "map": "values",
}
"""The parameter that a lone value stands for."""


_A_DAY: Final = 86_400 * 10**9
_SECONDS: Final[Mapping[str, int]] = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


class Unreadable(Exception):
    """A file that is no policy or pipeline."""


@dataclass(frozen=True, slots=True)
class StepView:
    """One word of a chain and its parameters."""

    word: str
    given: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BranchView:
    """One way to treat a value; no chain drops it."""

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
    features: frozenset[str] = frozenset()
    """The features that must be on for it: its own, and those of the fields that it is made from."""

    @property
    def chains(self) -> tuple[tuple[StepView, ...], ...]:
        """The chains of all branches that do not drop."""
        return tuple(branch.chain for branch in self.branches if branch.chain is not None)

    @property
    def is_kept_as_is(self) -> bool:
        """Whether every value that is shown is the value that came in."""
        return bool(self.chains) and all(len(self.branches) == 1 and _is_keep(chain) for chain in self.chains)

    @property
    def words(self) -> tuple[str, ...]:
        """The words of all branches, as a column's metadata lists them."""
        words = [step.word for branch in self.branches for step in (branch.chain or (StepView("drop"),))]
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
    """How far an event time may lie after the time of the run, in nanoseconds."""
    fields: Mapping[Pointer, FieldView]
    never: tuple[str, ...]
    record: Pointer | None = None
    features: Mapping[str, int] = field(default_factory=dict)
    """The retention of each feature that has one, in nanoseconds."""


def document(content: bytes) -> Mapping[str, Any]:
    """The mapping that a YAML file holds. Raises Unreadable."""
    loaded = _loaded(content)
    if not isinstance(loaded, dict):
        raise Unreadable
    return {_text(key): value for key, value in loaded.items()}


@lru_cache(maxsize=8)
def _loaded(content: bytes) -> Any:
    """What a YAML file holds; None if it is not YAML. Nothing changes it.

    All runs of an output under one policy carry the same two files: parsing them again for each run took half the time of
    verifying an output of five runs of the sample `device_telemetry`.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        return _paired(YAML(typ="safe", pure=True).load(content.decode("utf-8")))
    except (YAMLError, ValueError, RecursionError):
        return None


def _paired(value: Any) -> Any:
    """The same, where characters beyond 16 bits were escaped in two halves, as JSON does. Raises ValueError for one half."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16")
    if isinstance(value, dict):
        return {_paired(key): _paired(each) for key, each in value.items()}
    return [_paired(each) for each in value] if isinstance(value, list) else value


def policy_view(content: bytes, purpose: str) -> PolicyView:
    """The policy of these bytes. Raises Unreadable."""
    raw = document(content)
    fields = raw.get("fields")
    if not isinstance(fields, dict):
        raise Unreadable
    try:
        view = _view(raw, fields, purpose)
    except (TypeError, ValueError, AttributeError, KeyError):
        view = None
    if view is None:
        raise Unreadable
    return view


def own_retentions(pipeline: Mapping[str, Any]) -> dict[str, int]:
    """The retention of each aggregate of a pipeline that has one of its own, in nanoseconds. Raises Unreadable."""
    try:
        aggregates = pipeline.get("aggregates") or {}
        return {str(name): long for name, each in aggregates.items() if (long := _kept_for(each)) is not None}
    except (TypeError, ValueError, AttributeError, KeyError):
        raise Unreadable from None


def _view(raw: Mapping[str, Any], fields: Mapping[Any, Any], purpose: str) -> PolicyView:
    fields = _with_map_keys(fields)
    declared = {Pointer.parse(_text(key)): each for key, each in fields.items()}
    views = [
        _field(_text(key), each, _away(each, declared, purpose), _features(each, declared))
        for key, each in fields.items()
    ]
    return PolicyView(
        name=str(raw.get("policy")),
        version=int(raw.get("version", 0)),
        tenant=_pointer(raw.get("tenant")),
        subject=_pointer(raw.get("subject")),
        time=_pointer(raw.get("time")),
        retention=_nanoseconds(raw.get("retention")),
        future=_nanoseconds(raw.get("future")) or _A_DAY,
        fields={view.pointer: view for view in _without_values(views)},
        never=tuple(_text(each) for each in raw.get("never") or ()),
        record=_pointer(raw.get("record")),
        features={str(name): long for name, each in (raw.get("features") or {}).items() if (long := _kept_for(each))},
    )


def _with_map_keys(fields: Mapping[Any, Any]) -> dict[Any, Any]:
    """The fields, and the keys of each map of which the policy says something as a field of their own."""
    both: dict[Any, Any] = {}
    for key, each in fields.items():
        both[key] = each
        if each.get("keys") is not None:
            inherited = {word: each[word] for word in ("role", "purposes") if word in each}
            both[str(Pointer.parse(_text(key)).keys)] = {"type": "string", "do": each["keys"], **inherited}
    return both


def _without_values(views: Sequence[FieldView]) -> Iterator[FieldView]:
    """Keys leave beside the values of their map: where none of these leaves, the keys do not either."""
    for view in views:
        if view.pointer.is_keys and view.chains:
            star = view.pointer.stars[-1]
            if not any(other.chains and other.pointer.within(star) for other in views):
                view = replace(view, branches=(BranchView(None, None),))
        yield view


def chain_view(raw: Any) -> tuple[StepView, ...] | None:
    """What `do` says: nothing for `drop`. Raises ValueError for what is no chain."""
    if raw == "drop":
        return None
    steps = tuple(_step(each) for each in (raw if isinstance(raw, list) else [raw]))
    if not steps:
        raise ValueError("an empty chain")
    return steps


def _away(raw: Mapping[str, Any], declared: Mapping[Pointer, Any], purpose: str) -> bool:
    """Whether the field, or one that it is made from, is for other purposes only."""
    parts = (raw, *(declared[Pointer.parse(_text(name))] for name in _listed(raw.get("from"))))
    purposes = (_listed(part.get("purposes")) for part in parts)
    return any(each and purpose not in each for each in purposes)


def _features(raw: Mapping[str, Any], declared: Mapping[Pointer, Any]) -> frozenset[str]:
    parts = (raw, *(declared[Pointer.parse(_text(name))] for name in _listed(raw.get("from"))))
    return frozenset(str(part["feature"]) for part in parts if part.get("feature"))


def _kept_for(feature: Any) -> int | None:
    return _nanoseconds(feature.get("retention")) if isinstance(feature, dict) else None


def _field(key: str, raw: Mapping[str, Any], away: bool, features: frozenset[str]) -> FieldView:
    pointer = Pointer.parse(key)
    return FieldView(
        key=key,
        pointer=pointer,
        type=str(raw.get("type", "struct" if raw.get("from") else "string")),
        role=str(raw.get("role", "plain")),
        optional=bool(raw.get("optional", False)),
        branches=(BranchView(None, None),) if away else _branches(raw),
        collect_if=raw.get("collect_if"),
        measured=() if away else (chain_view(raw["in_aggregates"]) or () if raw.get("in_aggregates") else ()),
        is_gated=any(raw.get(word) for word in ("feature", "level", "collect_if")),
        features=features,
    )


def _branches(raw: Mapping[str, Any]) -> tuple[BranchView, ...]:
    if not raw.get("cases"):
        return (BranchView(None, chain_view(raw.get("do", "drop"))),)
    cases = [BranchView(case["if"], chain_view(case["do"])) for case in raw["cases"]]
    return (*cases, BranchView(None, chain_view(raw.get("otherwise", "drop"))))


def _step(raw: Any) -> StepView:
    if isinstance(raw, str):
        return StepView(raw)
    if not isinstance(raw, dict) or len(raw) != 1:
        raise ValueError("no step")
    ((word, given),) = raw.items()
    if isinstance(given, dict):
        return StepView(word, given)
    return StepView(word, {} if given is None else {_LONE.get(word, "value"): given})


def _is_keep(chain: Sequence[StepView]) -> bool:
    return all(step.word == "keep" for step in chain)


def _pointer(key: Any) -> Pointer | None:
    return None if key is None else Pointer.parse(_text(key))


def _nanoseconds(length: Any) -> int | None:
    return None if length is None else int(length[:-1]) * _SECONDS[length[-1]] * 10**9


def _listed(raw: Any) -> tuple[Any, ...]:
    return () if raw is None else tuple(raw) if isinstance(raw, list) else (raw,)


def _text(key: object) -> str:
    return str(key).lower() if isinstance(key, bool) else str(key)
