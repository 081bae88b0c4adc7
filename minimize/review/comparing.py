"""`diff`: every change between two states of what people wrote, graded: it tightens, loosens, or does neither."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from os import PathLike, fspath
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal

from minimize.errors import ConfigurationError, Finding, PolicyError, without_values
from minimize.policy.faults import did_you_mean
from minimize.policy.yaml import Node
from minimize.recipients.subprocessors import Subprocessors
from minimize.review.access import access_changes
from minimize.review.change import ALL, Change, Changes, gathered
from minimize.review.codes import CODES
from minimize.review.fields import Sides
from minimize.review.grades import Grade
from minimize.review.houses import HouseFile, house_changes
from minimize.review.pipelines import pipeline_changes
from minimize.review.policies import policy_changes
from minimize.review.recipients import recipient_changes, subprocessor_changes
from minimize.review.revisions import Side, is_revision, opened
from minimize.review.things import Kind, Thing, things


@without_values
def diff(
    old: str | PathLike[str],
    new: str | PathLike[str],
    path: str | PathLike[str] | None = None,
    *,
    allow: Collection[str] = (),
) -> Changes:
    """Every change from one state to another.

    Takes two paths (of files, or of folders of them), each of which may be `REVISION:PATH`; or a revision and a path, which is
    compared with what it was then; or two revisions and a path. `allow` are codes of changes that may loosen, or `all`.
    Raises PolicyError with the faults of both sides, ConfigurationError for what is not there.
    """
    _check(allow)
    texts, beside = [fspath(old), fspath(new)], None if path is None else fspath(path)
    if beside is None and _may_be_revision(texts[0]):
        if not Path(texts[1]).exists():
            raise _pathless(*texts)
        beside, texts[1] = texts[1], ""
    with _side(texts[0], beside) as before, _side(texts[1], beside) as after:
        return compared(before, after).allowing(allow)


def _check(codes: Collection[str]) -> None:
    for code in codes:
        if code not in CODES and code != ALL:
            hint = did_you_mean(code, (*CODES, ALL)) or f"a code of the list, or `{ALL}`"
            raise ConfigurationError(f"no change has the code {code}", hint=hint)


def _may_be_revision(text: str) -> bool:
    return not Path(text).exists() and ":" not in text


def _pathless(old: str, new: str) -> ConfigurationError:
    """What is missing where two texts were given that are no paths."""
    unknown = next((each for each in (old, new) if not is_revision(each)), None)
    if unknown is None:
        message = f"`{old}` and `{new}` are revisions, and no path says what of them is compared"
        return ConfigurationError(message, hint=f"minimize diff {old} {new} PATH")
    hint = "two paths, or a revision and a path that is there"
    return ConfigurationError(f"`{unknown}` is neither a path that is there nor a revision of git", hint=hint)


def _side(text: str, beside: str | None) -> AbstractContextManager[Side]:
    return opened(beside) if not text and beside else opened(text, beside)


def compared(old: Side, new: Side) -> Changes:
    """Every change between two sides. Raises PolicyError with the faults of both, ConfigurationError where there is nothing."""
    faults: list[Finding] = []
    before, after = ({key: _read(thing, side, faults) for key, thing in things(side).items()} for side in (old, new))
    if faults:
        raise PolicyError("what has faults cannot be compared", findings=list(dict.fromkeys(faults)))
    pairs = [(before.get(key), after.get(key)) for key in {**before, **after}]
    return gathered(change for was, now in pairs for change in _changes(was, now))


@dataclass(frozen=True, slots=True)
class _Found:
    """One file of a side, and what it says."""

    thing: Thing
    says: Any


def _read(thing: Thing, side: Side, faults: list[Finding]) -> _Found:
    says, found = thing.read()
    faults.extend(replace(each, file=None if each.file is None else _shown(side, each.file)) for each in found)
    return _Found(thing, says)


def _shown(side: Side, file: str) -> str:
    return side.shown(Path(file)) if side.root is None or Path(file).is_relative_to(side.root) else file


def _changes(old: _Found | None, new: _Found | None) -> Iterator[Change]:
    kinds = {each.thing.kind for each in (old, new) if each is not None}
    kind = next(iter(kinds))
    if len(kinds) == 1 and old is not None and new is not None:
        yield from COMPARISONS[kind](old.says, new.says, old.thing.shown, new.thing.shown)
    elif len(kinds) == 1 and kind in EMPTY:
        was, now = ((each.says, each.thing.shown) if each is not None else (EMPTY[kind], None) for each in (old, new))
        yield from COMPARISONS[kind](was[0], now[0], was[1], now[1] or was[1])
    else:
        yield from _whole(old, "gone")
        yield from _whole(new, "new")


def _whole(found: _Found | None, word: Literal["gone", "new"]) -> Iterator[Change]:
    """A file that came or went: without an access file nobody is asked, all others let something leave."""
    if found is not None:
        tightens = (word == "new") == (found.thing.kind == "access")
        grade: Grade = "tightens" if tightens else "loosens"
        yield Change("J001", grade, f"{word}: {NOUNS[found.thing.kind]}", found.thing.shown)


def _policies(old: Any, new: Any, was: str | None, now: str | None) -> Iterator[Change]:
    return policy_changes(Sides(old, new, was, now))


Comparing = Callable[[Any, Any, str | None, str | None], Iterator[Change]]
COMPARISONS: Final[Mapping[Kind, Comparing]] = MappingProxyType(
    {
        "policy": _policies,
        "pipeline": lambda old, new, was, now: pipeline_changes(old, new, now),
        "recipient": lambda old, new, was, now: recipient_changes(old, new, now),
        "subprocessors": lambda old, new, was, now: subprocessor_changes(old, new, now),
        "access": lambda old, new, was, now: access_changes(old, new, now),
        "house": lambda old, new, was, now: house_changes(old, new, now),
    }
)
EMPTY: Final[Mapping[Kind, Any]] = MappingProxyType(
    {"subprocessors": Subprocessors(), "house": HouseFile(Node({}), (), "none", "none")}
)
"""What a file that is not there says."""
NOUNS: Final[Mapping[Kind, str]] = MappingProxyType(
    {
        "policy": "a policy",
        "pipeline": "a pipeline",
        "recipient": "a recipient",
        "subprocessors": "the list of subprocessors",
        "access": "an access file",
        "house": "the house's file",
    }
)
