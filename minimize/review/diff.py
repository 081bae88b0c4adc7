"""`diff`: every change between two states of configuration, policies, pipelines, recipients and access files, graded.

Comparison of minimize.yaml, the files of a folder and their kinds, then the comparison of two sides.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from os import PathLike, fspath
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal

from minimize.config import is_config_file, load_config
from minimize.errors import ConfigurationError, Finding, PolicyError, redact_errors
from minimize.governance.access.load import examine_access
from minimize.policy.approval import ApprovalDemand, configured_approval
from minimize.policy.faults import FaultList, did_you_mean
from minimize.policy.load import examine_pipeline, examine_policy
from minimize.policy.pipeline import EncryptBy
from minimize.policy.pipeline_reader import configured_encryption
from minimize.policy.purposes import config_nodes, configured_purposes
from minimize.policy.yaml_nodes import YamlNode, parse_yaml, read_utf8
from minimize.recipients.load import Subprocessors, examine_recipient, examine_subprocessors
from minimize.review.access_changes import access_changes
from minimize.review.changes import (
    ALL_CODES,
    ENCRYPTION_ORDER,
    ChangeReport,
    Grade,
    GradedChange,
    change_text,
    collect_changes,
    fewer_tightens,
    list_text,
    ranked_comparison,
    setting_tightens,
)
from minimize.review.codes import CODES
from minimize.review.pipeline_changes import pipeline_changes
from minimize.review.policy_changes import PolicySides, policy_changes
from minimize.review.recipient_changes import recipient_changes, subprocessor_changes
from minimize.review.revisions import YAML_SUFFIXES, ComparedSide, is_revision, open_side

_APPROVAL_ORDER: Final = ("required", "warn", "none")
NO_ACCESS_FILE: Final = "nobody is asked"
_GRADED_KEYS: Final = ("purposes", "approval", "access")


@dataclass(frozen=True, slots=True)
class ConfigurationFile:
    """What a `minimize.yaml` says."""

    root: YamlNode
    purposes: tuple[str, ...]
    approval: ApprovalDemand
    encrypt: EncryptBy


def read_configuration(file: Path, faults: FaultList) -> ConfigurationFile | None:
    """The house's file; None (and faults) where it cannot be read."""
    start = file.parent
    root = config_nodes(load_config(start), faults)
    if root is None:
        return None
    demanded = configured_approval(start, faults), configured_encryption(start, faults)
    return ConfigurationFile(root, configured_purposes(start, faults), *demanded)


def configuration_changes(old: ConfigurationFile, new: ConfigurationFile, file: str | None) -> Iterator[GradedChange]:
    """What changed about the house's file."""
    parts = (
        ("purposes", list_text(old.purposes), list_text(new.purposes), fewer_tightens(old.purposes, new.purposes)),
        ("approval", old.approval, new.approval, ranked_comparison(_APPROVAL_ORDER)(old.approval, new.approval)),
        ("access", old.encrypt, new.encrypt, ranked_comparison(ENCRYPTION_ORDER)(old.encrypt, new.encrypt)),
    )
    for key, before, after, grade in parts:
        if before != after:
            yield GradedChange("J050", grade, f"{key}: {change_text(before, after)}", file, _entry_line(new, key))
    if _access_file(old) != _access_file(new):
        message = f"access: {change_text(_access_file(old) or NO_ACCESS_FILE, _access_file(new) or NO_ACCESS_FILE)}"
        yield GradedChange(
            "J050", setting_tightens(_access_file(old), _access_file(new)), message, file, _entry_line(new, "access")
        )
    for key in {**old.root.entries, **new.root.entries}:
        if key not in _GRADED_KEYS and _entry_text(old, key) != _entry_text(new, key):
            yield GradedChange(
                "J050",
                "neutral",
                f"{key}: {change_text(_entry_text(old, key), _entry_text(new, key))}",
                file,
                _entry_line(new, key),
            )


def _access_file(configuration: ConfigurationFile) -> str | None:
    """The access file that is named; without one nobody is asked."""
    node = configuration.root.get("access")
    named = node.get("file") if node is not None and node.is_mapping else node
    return None if named is None else str(named.value)


def _entry_text(configuration: ConfigurationFile, key: str) -> str:
    node = configuration.root.get(key)
    return "nothing" if node is None else str(node.to_data())


def _entry_line(configuration: ConfigurationFile, key: str) -> int | None:
    node = configuration.root.get(key)
    return None if node is None else node.line


RECEIPT_FILE: Final = "receipt.json"
FileKind = Literal["policy", "pipeline", "recipient", "subprocessors", "access", "house"]
ReadFile = Callable[[Path], tuple[Any, list[Finding]]]


@dataclass(frozen=True, slots=True)
class ComparedFile:
    """One file: its kind, where it is on disk, what it is called."""

    kind: FileKind
    path: Path
    shown: str

    def read(self) -> tuple[Any, list[Finding]]:
        """What it says, and its faults, each under what its file is called."""
        return READERS[self.kind](self.path)


def find_compared_files(side: ComparedSide) -> dict[str, ComparedFile]:
    """Everything that a side has, by its path from what was asked for; with a pipeline the policy that it names.

    Raises ConfigurationError where there is nothing.
    """
    found: dict[str, ComparedFile] = {}
    start = side.place if side.place.is_dir() else side.place.parent
    for path in _files_at(side.place):
        for kind, file in _file_kinds(path):
            key = Path(os.path.relpath(file, start)).as_posix()
            found.setdefault(key if side.place.is_dir() else kind, ComparedFile(kind, file, side.display_path(file)))
    if not found:
        hint = "a policy, a pipeline, a recipient, an access file, minimize.yaml, or a folder of these"
        raise ConfigurationError(f"nothing to compare in {side.display_path(side.place)}", hint=hint)
    return found


def _files_at(place: Path) -> list[Path]:
    if not place.is_dir():
        return [place]
    return sorted(_files_below(place))


def _files_below(folder: Path) -> Iterator[Path]:
    """The files of a folder; hidden folders are left out, and what a run put beside its receipt."""
    for path in folder.iterdir():
        if path.is_dir():
            if not (path.name.startswith(".") or path.is_symlink() or (path / RECEIPT_FILE).exists()):
                yield from _files_below(path)
        elif path.suffix in YAML_SUFFIXES:
            yield path


def _file_kinds(path: Path) -> Iterator[tuple[FileKind, Path]]:
    root = _parse_root(path)
    kind = None if root is None else file_kind(root, path.name)
    if kind is not None:
        yield kind, path
    named = root.get("policy") if kind == "pipeline" and root is not None else None
    if named is not None and isinstance(named.value, str):
        file = Path(os.path.normpath(path.parent / named.value))
        yield "policy", file / "policy.yaml" if file.is_dir() else file


def file_kind(root: YamlNode, name: str) -> FileKind | None:
    """What a file is, by its name and the keys at its head; None for what is none of ours."""
    if is_config_file(name):
        return "house"
    kinds: tuple[tuple[FileKind, str], ...] = (
        ("pipeline", "source"),
        ("policy", "fields"),
        ("recipient", "standing"),
        ("subprocessors", "subprocessors"),
        ("access", "assignments"),
    )
    return next(
        (kind for kind, key in kinds if key in root.entries and (kind in root.entries or kind == "access")), None
    )


def _parse_root(path: Path) -> YamlNode | None:
    content = read_utf8(path, FaultList())
    return None if content is None else parse_yaml(content.decode("utf-8-sig"), FaultList())


def _examine_configuration(path: Path) -> tuple[Any, list[Finding]]:
    faults = FaultList(str(path))
    return read_configuration(path, faults), faults.found


READERS: Final[Mapping[FileKind, ReadFile]] = MappingProxyType(
    {
        "policy": examine_policy,
        "pipeline": examine_pipeline,
        "recipient": examine_recipient,
        "subprocessors": examine_subprocessors,
        "access": examine_access,
        "house": _examine_configuration,
    }
)


@redact_errors
def diff(
    old: str | PathLike[str],
    new: str | PathLike[str],
    path: str | PathLike[str] | None = None,
    *,
    allow: Collection[str] = (),
) -> ChangeReport:
    """Every change from one state to another.

    Takes two paths (of files, or of folders of them), each of which may be `REVISION:PATH`; or a revision and a path, which is
    compared with what it was then; or two revisions and a path. `allow` are codes of changes that may loosen, or `all`.
    Raises PolicyError with the faults of both sides, ConfigurationError for what is not there.
    """
    _check_codes(allow)
    texts, beside = [fspath(old), fspath(new)], None if path is None else fspath(path)
    if beside is None and _may_be_revision(texts[0]):
        if not Path(texts[1]).exists():
            raise _no_path_error(*texts)
        beside, texts[1] = texts[1], ""
    with _open_compared_side(texts[0], beside) as before, _open_compared_side(texts[1], beside) as after:
        return compare_sides(before, after).allowing(allow)


def _check_codes(codes: Collection[str]) -> None:
    for code in codes:
        if code not in CODES and code != ALL_CODES:
            hint = did_you_mean(code, (*CODES, ALL_CODES)) or f"a code of the list, or `{ALL_CODES}`"
            raise ConfigurationError(f"no change has the code {code}", hint=hint)


def _may_be_revision(text: str) -> bool:
    return not Path(text).exists() and ":" not in text


def _no_path_error(old: str, new: str) -> ConfigurationError:
    """What is missing where two texts were given that are no paths."""
    unknown = next((each for each in (old, new) if not is_revision(each)), None)
    if unknown is None:
        message = f"`{old}` and `{new}` are revisions, and no path says what of them is compared"
        return ConfigurationError(message, hint=f"minimize diff {old} {new} PATH")
    hint = "two paths, or a revision and a path that is there"
    return ConfigurationError(f"`{unknown}` is neither a path that is there nor a revision of git", hint=hint)


def _open_compared_side(text: str, other_name: str | None) -> AbstractContextManager[ComparedSide]:
    return open_side(other_name) if not text and other_name else open_side(text, other_name)


def compare_sides(old: ComparedSide, new: ComparedSide) -> ChangeReport:
    """Every change between two sides. Raises PolicyError with the faults of both, ConfigurationError where there is nothing."""
    faults: list[Finding] = []
    before, after = (
        {key: _read_file(thing, side, faults) for key, thing in find_compared_files(side).items()}
        for side in (old, new)
    )
    if faults:
        raise PolicyError("what has faults cannot be compared", findings=list(dict.fromkeys(faults)))
    pairs = [(before.get(key), after.get(key)) for key in {**before, **after}]
    return collect_changes(change for was, now in pairs for change in _file_changes(was, now))


@dataclass(frozen=True, slots=True)
class _FileContent:
    """One file of a side, and what it says."""

    file: ComparedFile
    content: Any


def _read_file(file: ComparedFile, side: ComparedSide, faults: list[Finding]) -> _FileContent:
    says, found = file.read()
    faults.extend(replace(each, file=None if each.file is None else _shown_file(side, each.file)) for each in found)
    return _FileContent(file, says)


def _shown_file(side: ComparedSide, file: str) -> str:
    return side.display_path(Path(file)) if side.root is None or Path(file).is_relative_to(side.root) else file


def _file_changes(old: _FileContent | None, new: _FileContent | None) -> Iterator[GradedChange]:
    kinds = {each.file.kind for each in (old, new) if each is not None}
    kind = next(iter(kinds))
    if len(kinds) == 1 and old is not None and new is not None:
        yield from COMPARISONS[kind](old.content, new.content, old.file.shown, new.file.shown)
    elif len(kinds) == 1 and kind in EMPTY_CONTENT:
        was, now = (
            (each.content, each.file.shown) if each is not None else (EMPTY_CONTENT[kind], None) for each in (old, new)
        )
        yield from COMPARISONS[kind](was[0], now[0], was[1], now[1] or was[1])
    else:
        yield from _whole_file_change(old, "gone")
        yield from _whole_file_change(new, "new")


def _whole_file_change(found: _FileContent | None, word: Literal["gone", "new"]) -> Iterator[GradedChange]:
    """A file that came or went: without an access file nobody is asked, all others let something leave."""
    if found is not None:
        tightens = (word == "new") == (found.file.kind == "access")
        grade: Grade = "tightens" if tightens else "loosens"
        yield GradedChange("J001", grade, f"{word}: {FILE_NOUNS[found.file.kind]}", found.file.shown)


def _compare_policies(old: Any, new: Any, was: str | None, now: str | None) -> Iterator[GradedChange]:
    return policy_changes(PolicySides(old, new, was, now))


CompareFiles = Callable[[Any, Any, str | None, str | None], Iterator[GradedChange]]
COMPARISONS: Final[Mapping[FileKind, CompareFiles]] = MappingProxyType(
    {
        "policy": _compare_policies,
        "pipeline": lambda old, new, was, now: pipeline_changes(old, new, now),
        "recipient": lambda old, new, was, now: recipient_changes(old, new, now),
        "subprocessors": lambda old, new, was, now: subprocessor_changes(old, new, now),
        "access": lambda old, new, was, now: access_changes(old, new, now),
        "house": lambda old, new, was, now: configuration_changes(old, new, now),
    }
)
EMPTY_CONTENT: Final[Mapping[FileKind, Any]] = MappingProxyType(
    {"subprocessors": Subprocessors(), "house": ConfigurationFile(YamlNode({}), (), "none", "none")}
)
"""What a file that is not there says."""
FILE_NOUNS: Final[Mapping[FileKind, str]] = MappingProxyType(
    {
        "policy": "a policy",
        "pipeline": "a pipeline",
        "recipient": "a recipient",
        "subprocessors": "the list of subprocessors",
        "access": "an access file",
        "house": "the house's file",
    }
)
