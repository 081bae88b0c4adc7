"""What lint says about names: against the source's columns, and across the policies of a tree."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from minimize.errors import Finding, PolicyError
from minimize.pointer import Part, Pointer
from minimize.policy.fields import ways_of
from minimize.policy.lint.subject import Subject
from minimize.policy.load import load_policy
from minimize.policy.model import Field, Policy
from minimize.policy.pipeline import Pipeline
from minimize.policy.words import chain_text, condition_text


def against_source(subject: Subject) -> Iterator[Finding]:
    """L020, L021: paths that the source does not have, and what was probably meant."""
    if subject.columns is None:
        return
    columns = {part for column in subject.columns for part in _prefixes(column)}
    folded = {_folded(column): column for column in sorted(columns, key=str)}
    for field in subject.fields:
        if field.from_ or field.pointer.is_keys or field.pointer in columns:
            continue
        meant = folded.get(_folded(field.pointer))
        if meant is not None:
            message = "the source spells this differently, so that nothing is read"
            yield subject.finding("L021", message, field=field, hint=f"did you mean `{_shown(meant)}`?")
        elif not field.optional:
            hint = "correct the path, or say `optional: true`"
            yield subject.finding("L020", "the source has nothing here", field=field, hint=hint)


def source_unseen(pipeline: Pipeline, reason: str) -> Finding:
    """L023: a source that nothing could be compared with."""
    hint = "the paths of the policy were compared with nothing"
    message = f"the source could not be looked at: {reason}"
    return Subject(pipeline.policy, pipeline).in_pipeline("L023", message, "source", hint=hint)


def across_tree(subject: Subject) -> Iterator[Finding]:
    """L022: the same name, treated differently elsewhere."""
    for other in subject.siblings:
        if _is_same(other, subject.policy):
            continue
        theirs = {_folded(field.pointer): field for field in other.fields.values()}
        for field in subject.fields:
            twin = theirs.get(_folded(field.pointer))
            if twin is not None and _treatment(twin) != _treatment(field):
                message = f"the policy `{other.policy}` treats a field of this name differently"
                yield subject.finding("L022", message, field=field, hint=_compared(twin, field))


def policies_in(tree: Path) -> list[Policy]:
    """The policies of a tree of pipelines: its own and those of the folders right below. Faulty ones are left out."""
    files = sorted([*tree.glob("policy.yaml"), *tree.glob("*/policy.yaml")])
    return [policy for policy in map(_sound, files) if policy is not None]


def _sound(file: Path) -> Policy | None:
    try:
        return load_policy(file)
    except PolicyError:
        return None


def _prefixes(pointer: Pointer) -> list[Pointer]:
    return [Pointer(pointer.parts[:length]) for length in range(1, len(pointer.parts) + 1)]


def _folded(pointer: Pointer) -> tuple[str, ...]:
    """The path without case, and without what joins words."""
    return tuple(_plain(part) for part in pointer.parts)


def _plain(part: Part) -> str:
    return re.sub(r"[\s_.-]+", "", part).casefold() if isinstance(part, str) else part.value


def _shown(pointer: Pointer) -> str:
    return pointer.top if pointer.is_flat and not pointer.top.startswith("/") else str(pointer)


def _is_same(one: Policy, other: Policy) -> bool:
    if one.path is not None and other.path is not None:
        return one.path.resolve() == other.path.resolve()
    return one is other or one.policy == other.policy


def _treatment(field: Field) -> tuple[object, ...]:
    return field.role, field.do, field.cases, field.otherwise, field.feature, field.level


def _compared(twin: Field, field: Field) -> str:
    """What becomes of a field there and here: in a few words, or with parameters and conditions if these words are the same."""
    for text in (_briefly, _in_full):
        there, here = text(twin), text(field)
        if there != here:
            return f"{there} there, {here} here"
    return f"{_briefly(field)} in both, with other parameters"


def _briefly(field: Field) -> str:
    ways = [way if isinstance(way, str) else "+".join(step.name for step in way) for way in ways_of(field)]
    gates = [gate for gate in (field.feature, field.level) if gate]
    return " or ".join(dict.fromkeys(ways)) + f" ({', '.join([field.role, *gates])})"


def _in_full(field: Field) -> str:
    if not field.cases:
        return chain_text(field.do)
    ways = [f"{chain_text(each.do)} if {condition_text(each.when)}" for each in field.cases]
    return ", ".join([*ways, f"{chain_text(field.otherwise)} otherwise"])
