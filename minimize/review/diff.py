"""`diff`: every graded change between two states of configuration, policies, pipelines, recipients and access.

Reads each side from a folder or a git revision, pairs the files, then compares them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from os import fspath
from pathlib import Path, PurePosixPath
from posixpath import normpath
from tempfile import TemporaryDirectory
from typing import Any, Final, Literal

from minimize.config import is_config_file
from minimize.errors import ConfigurationError, Finding, PolicyError, redact_errors
from minimize.forms.yaml_nodes import FaultList, YamlNode, parse_yaml, read_utf8
from minimize.records import POLICY_FILE, RECEIPT_FILE
from minimize.review.changes import ALL_CODES, CODES, ChangeReport, Grade, GradedChange, collect_changes
from minimize.review.party_rules import FORMS, form_changes
from minimize.stores import PathText
from minimize.text import did_you_mean

YAML_SUFFIXES: Final = (".yaml", ".yml")
_NAMING_KEYS: Final = ("policy", "hierarchy")
"""Keys that name other files."""


@dataclass(frozen=True, slots=True)
class ComparedSide:
    """One side of a comparison: a file or folder on disk, and how its files are shown."""

    place: Path
    root: Path | None = None
    prefix: str = ""

    def display_path(self, path: Path) -> str:
        """The name shown for a file: its path as given, or revision and path in the repository."""
        return str(path) if self.root is None else f"{self.prefix}{path.relative_to(self.root).as_posix()}"


@dataclass(frozen=True, slots=True)
class GitRepository:
    """A git repository, read with the `git` command."""

    root: Path

    def commit(self, revision: str) -> str:
        """The commit that a revision names. Raises ConfigurationError if there is no such revision."""
        commit_id = _run_git(
            self.root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}"
        )
        if commit_id is None:
            raise ConfigurationError(
                f"`{revision}` is neither a path nor a git revision",
                hint="Pass PATH, REVISION:PATH, or a revision and a path.",
            )
        return commit_id.decode().strip()

    def names(self, commit: str) -> frozenset[str]:
        """The files of a commit, from the root."""
        listed = _run_git(self.root, "ls-tree", "-r", "-z", "--name-only", "--full-tree", commit) or b""
        return frozenset(name for name in listed.decode("utf-8", "replace").split("\0") if name)

    def contents(self, commit: str, names: Sequence[str]) -> dict[str, bytes]:
        """The bytes of files of a commit."""
        request = "".join(f"{commit}:{name}\n" for name in names).encode()
        answer, content_by_name = _run_git(self.root, "cat-file", "--batch", content=request) or b"", {}
        for name in names:
            head, _, following = answer.partition(b"\n")
            size = int(head.split()[-1]) if b" blob " in head else -1
            if size >= 0:
                content_by_name[name], answer = following[:size], following[size + 1 :]
            else:
                answer = following
        return content_by_name


@contextmanager
def open_side(text: str, other_name: str | None = None) -> Iterator[ComparedSide]:
    """Open one side of a comparison: a path, `REVISION:PATH`, or a revision to which `other_name` gives the path.

    Raises ConfigurationError for any other text.
    """
    if other_name is None and Path(text).exists():
        yield ComparedSide(Path(text))
        return
    revision, colon, path = text.partition(":")
    if not revision or (not colon and other_name is None):
        raise _missing_path_error(text)
    repository = _find_repository(Path.cwd() if colon else Path(other_name or "."))
    commit = repository.commit(revision)
    name = _repository_path(path, repository) if colon else _path_in_repository(Path(other_name or "."), repository)
    with TemporaryDirectory(prefix="minimize-") as folder:
        root = Path(folder).resolve()
        _extract_files(repository, commit, name, root)
        if not (root / name).exists():
            raise ConfigurationError(
                f"revision {revision} has no {name}", hint="Pass a file or folder that exists in it."
            )
        yield ComparedSide(root / name, root, f"{revision}:")


def is_revision(text: str) -> bool:
    """Whether a text names a commit of the repository that contains the current folder. False outside a repository."""
    try:
        return bool(_find_repository(Path.cwd()).commit(text))
    except ConfigurationError:
        return False


def _missing_path_error(text: str) -> ConfigurationError:
    """The error for a text that is not a path."""
    if is_revision(text):
        return ConfigurationError(f"`{text}` is a revision, and its path is missing", hint=f"Pass {text}:PATH.")
    return ConfigurationError(f"{text} does not exist", hint="Pass PATH, REVISION:PATH, or a revision and a path.")


def _find_repository(start: Path) -> GitRepository:
    folder = start if start.is_dir() else start.parent
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    top_level = _run_git(folder, "rev-parse", "--show-toplevel")
    if top_level is None:
        raise ConfigurationError("this folder is not in a git repository", hint="Pass two paths.")
    return GitRepository(Path(os.fsdecode(top_level.rstrip(b"\n"))).resolve())


def _repository_path(path: str, repository: GitRepository) -> str:
    """A path relative to the repository's root. A path that begins with a dot is relative to the current folder."""
    if path.startswith("."):
        return _path_in_repository(Path(path), repository)
    name = normpath(path or ".")
    if name.startswith(("..", "/")):
        raise ConfigurationError(
            "the path is outside the repository", hint="Pass it relative to the root of the repository."
        )
    return name


def _path_in_repository(path: Path, repository: GitRepository) -> str:
    whole = Path(os.path.abspath(path)).resolve()
    if not whole.is_relative_to(repository.root):
        raise ConfigurationError(f"{path} is outside the repository", hint="Pass two paths.")
    return whole.relative_to(repository.root).as_posix()


def _extract_files(repository: GitRepository, commit: str, name: str, root: Path) -> None:
    """Extract the requested files, the configuration files, and all files that these name, directly or through others."""
    available = repository.names(commit)
    requested = {
        path for path in available if path == name or (_is_below(path, name) and _is_written_by_hand(path, available))
    }
    next_names = requested | {each for each in available if is_config_file(PurePosixPath(each).name)}
    read_names: set[str] = set()
    while next_names:
        contents = repository.contents(commit, sorted(next_names))
        read_names |= next_names
        for file_name, content in contents.items():
            path = root / file_name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        named = {reference for path, content in contents.items() for reference in _named_files(path, content)}
        next_names = {
            candidate
            for reference in named
            for candidate in (reference, f"{reference}/policy.yaml")
            if candidate in available
        } - read_names


def _is_written_by_hand(name: str, available: frozenset[str]) -> bool:
    """Whether a file is YAML and not a copy that a run stored next to its receipt."""
    return name.endswith(YAML_SUFFIXES) and (PurePosixPath(name).parent / "receipt.json").as_posix() not in available


def _is_below(name: str, folder: str) -> bool:
    return folder == "." or name.startswith(f"{folder}/")


def _named_files(name: str, content: bytes) -> Iterator[str]:
    """The files that a file names, as paths relative to the root."""
    if name.endswith(YAML_SUFFIXES):
        root = parse_yaml(content.decode("utf-8", "replace"), FaultList())
        folder = PurePosixPath(name).parent
        for text in () if root is None else _named_values(root):
            yield normpath(str(folder / text))


def _named_values(node: YamlNode) -> Iterator[str]:
    for key, below in node.entries.items():
        if key in _NAMING_KEYS and isinstance(below.value, str):
            yield below.value
    for below in (*node.entries.values(), *node.items):
        yield from _named_values(below)


def _run_git(folder: Path, *words: str, content: bytes | None = None) -> bytes | None:
    """Output of a git command; None if it fails. Raises ConfigurationError if git is not installed."""
    program = shutil.which("git")
    if program is None:
        raise ConfigurationError("`git` is not installed", hint="Install git, or pass two paths.")
    environment = {**os.environ, "LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0"}
    process = subprocess.run(
        [program, "-C", str(folder), *words], input=content, capture_output=True, check=False, env=environment
    )
    return process.stdout if process.returncode == 0 else None


@dataclass(frozen=True, slots=True)
class ComparedFile:
    """One file: kind, path on disk, the name shown for it, and its content."""

    kind: str
    path: Path
    shown: str
    content: Any = None


def find_compared_files(side: ComparedSide) -> dict[str, ComparedFile]:
    """All files of a side, by path relative to the requested folder. A pipeline brings the policy that it names.

    Raises ConfigurationError if there are none.
    """
    files_by_key: dict[str, ComparedFile] = {}
    start = side.place if side.place.is_dir() else side.place.parent
    for path in sorted(_files_below(side.place)) if side.place.is_dir() else [side.place]:
        for kind, file in _file_kinds(path):
            key = Path(os.path.relpath(file, start)).as_posix()
            files_by_key.setdefault(
                key if side.place.is_dir() else kind, ComparedFile(kind, file, side.display_path(file))
            )
    if not files_by_key:
        hint = "Pass a policy, a pipeline, a recipient, an access file, minimize.yaml, or a folder that contains some."
        raise ConfigurationError(f"no file to compare in {side.display_path(side.place)}", hint=hint)
    return files_by_key


def _files_below(folder: Path) -> Iterator[Path]:
    """The YAML files of a folder. Hidden folders, links, and folders with a receipt are left out."""
    for path in folder.iterdir():
        if path.is_dir():
            if not (path.name.startswith(".") or path.is_symlink() or (path / RECEIPT_FILE).exists()):
                yield from _files_below(path)
        elif path.suffix in YAML_SUFFIXES:
            yield path


def _file_kinds(path: Path) -> Iterator[tuple[str, Path]]:
    """The kind of a file, if it has one; for a pipeline, then the policy that it names."""
    content = read_utf8(path, FaultList())
    root = None if content is None else parse_yaml(content.decode("utf-8-sig"), FaultList())
    kind = None if root is None else file_kind(root, path.name)
    if kind is not None:
        yield kind, path
    named = root.get("policy") if root is not None and kind == "pipeline" else None
    if named is not None and isinstance(named.value, str):
        file = Path(os.path.normpath(path.parent / named.value))
        yield "policy", file / POLICY_FILE if file.is_dir() else file


def file_kind(root: YamlNode, name: str) -> str | None:
    """The kind of a file, by its name and its top-level keys; None for any other file."""
    if is_config_file(name):
        return "configuration"
    return next((kind for kind, form in FORMS.items() if form.keys and root.entries.keys() >= {*form.keys}), None)


@redact_errors
def diff(
    old: PathText,
    new: PathText,
    path: PathText | None = None,
    *,
    allow: Collection[str] = (),
) -> ChangeReport:
    """Compare two states and grade every change.

    Takes two paths of files or folders, each of which may be `REVISION:PATH`; or a revision and a path, whose current state is
    compared with that revision; or two revisions and a path. `allow`: codes of changes that may loosen, or `all`.
    Raises PolicyError with the faults of both sides, ConfigurationError if a path or revision does not exist.
    """
    _check_codes(allow)
    texts, shared = [fspath(old), fspath(new)], None if path is None else fspath(path)
    if shared is None and _may_be_revision(texts[0]):
        if not Path(texts[1]).exists():
            raise _no_path_error(*texts)
        shared, texts[1] = texts[1], ""
    with _open_compared_side(texts[0], shared) as before, _open_compared_side(texts[1], shared) as after:
        return compare_sides(before, after).allowing(allow)


def _check_codes(codes: Collection[str]) -> None:
    for code in codes:
        if code not in CODES and code != ALL_CODES:
            hint = did_you_mean(code, (*CODES, ALL_CODES)) or f"Pass a code of the report, or `{ALL_CODES}`."
            raise ConfigurationError(f"unknown code of a change: {code}", hint=hint)


def _may_be_revision(text: str) -> bool:
    return not Path(text).exists() and ":" not in text


def _no_path_error(old: str, new: str) -> ConfigurationError:
    """The error for two texts of which neither is a path."""
    unknown = next((each for each in (old, new) if not is_revision(each)), None)
    if unknown is None:
        message = f"`{old}` and `{new}` are revisions, and the path to compare is missing"
        return ConfigurationError(message, hint=f"Run `minimize diff {old} {new} PATH`.")
    hint = "Pass two paths, or a revision and an existing path."
    return ConfigurationError(f"`{unknown}` is neither an existing path nor a git revision", hint=hint)


def _open_compared_side(text: str, other_name: str | None) -> AbstractContextManager[ComparedSide]:
    return open_side(other_name) if not text and other_name else open_side(text, other_name)


def compare_sides(old: ComparedSide, new: ComparedSide) -> ChangeReport:
    """All changes between two sides. Raises PolicyError with the faults of both, ConfigurationError if a side has no file."""
    faults: list[Finding] = []
    before, after = (
        {key: _read_file(file, side, faults) for key, file in find_compared_files(side).items()} for side in (old, new)
    )
    if faults:
        raise PolicyError("files with faults cannot be compared", findings=list(dict.fromkeys(faults)))
    pairs = [(before.get(key), after.get(key)) for key in {**before, **after}]
    changes = collect_changes(change for was, now in pairs for change in _file_changes(was, now))
    return replace(changes, old=old.display_path(old.place), new=new.display_path(new.place))


def _read_file(file: ComparedFile, side: ComparedSide, faults: list[Finding]) -> ComparedFile:
    content, findings = FORMS[file.kind].read(file.path)
    faults.extend(replace(each, file=None if each.file is None else _shown_file(side, each.file)) for each in findings)
    return replace(file, content=content)


def _shown_file(side: ComparedSide, file: str) -> str:
    return side.display_path(Path(file)) if side.root is None or Path(file).is_relative_to(side.root) else file


def _file_changes(old: ComparedFile | None, new: ComparedFile | None) -> Iterator[GradedChange]:
    """Changes of one file. A missing file is compared as an empty one if its form has one."""
    sides = [each for each in (old, new) if each is not None]
    form = FORMS[sides[0].kind]
    if len({each.kind for each in sides}) > 1 or (form.empty is None and len(sides) == 1):
        yield from _whole_file_change(old, "removed")
        yield from _whole_file_change(new, "added")
    else:
        contents = [form.empty if each is None else each.content for each in (old, new)]
        yield from form_changes(sides[0].kind, contents[0], contents[1], sides[0].shown, sides[-1].shown)


def _whole_file_change(file: ComparedFile | None, word: Literal["added", "removed"]) -> Iterator[GradedChange]:
    if file is not None:
        form = FORMS[file.kind]
        grade: Grade = "tightens" if (word == "added") == form.adding_tightens else "loosens"
        yield GradedChange("J001", grade, f"{word}: {form.noun}", file.shown)
