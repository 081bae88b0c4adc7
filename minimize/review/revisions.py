"""Files as they are in a folder, or as they were in a git revision.

Of a revision, the requested files, the configuration files, and the files that these name (policies, hierarchies) are
extracted into a temporary folder. Nothing else of the repository is extracted, and no data.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from posixpath import normpath
from tempfile import TemporaryDirectory
from typing import Final

from minimize.config import is_config_file
from minimize.errors import ConfigurationError
from minimize.policy.faults import FaultList
from minimize.policy.yaml_nodes import YamlNode, parse_yaml

YAML_SUFFIXES: Final = (".yaml", ".yml")
_NAMING_KEYS: Final = ("policy", "hierarchy")
"""Keys that name other files."""


@dataclass(frozen=True, slots=True)
class ComparedSide:
    """One side of a comparison: a file or folder on disk, and what files below a root are called."""

    place: Path
    root: Path | None = None
    prefix: str = ""

    def display_path(self, path: Path) -> str:
        """What a file is called: as it was given, or by its revision and its place in the repository."""
        return str(path) if self.root is None else f"{self.prefix}{path.relative_to(self.root).as_posix()}"


@dataclass(frozen=True, slots=True)
class GitRepository:
    """A git repository, asked by the `git` command."""

    root: Path

    def commit(self, revision: str) -> str:
        """The commit that a revision names. Raises ConfigurationError where it names none."""
        found = _run_git(self.root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        if found is None:
            raise ConfigurationError(
                f"`{revision}` is neither a path nor a revision of git",
                hint="PATH, REVISION:PATH, or a revision beside a path",
            )
        return found.decode().strip()

    def names(self, commit: str) -> frozenset[str]:
        """The files of a commit, from the root."""
        listed = _run_git(self.root, "ls-tree", "-r", "-z", "--name-only", "--full-tree", commit) or b""
        return frozenset(name for name in listed.decode("utf-8", "replace").split("\0") if name)

    def contents(self, commit: str, names: Sequence[str]) -> dict[str, bytes]:
        """The bytes of files of a commit."""
        asked = "".join(f"{commit}:{name}\n" for name in names).encode()
        answer, found = _run_git(self.root, "cat-file", "--batch", content=asked) or b"", {}
        for name in names:
            head, _, rest = answer.partition(b"\n")
            size = int(head.split()[-1]) if b" blob " in head else -1
            if size >= 0:
                found[name], answer = rest[:size], rest[size + 1 :]
            else:
                answer = rest
        return found


@contextmanager
def open_side(text: str, other_name: str | None = None) -> Iterator[ComparedSide]:
    """A side, as it was written: a path, `REVISION:PATH`, or a revision, of which the path beside it is meant.

    Raises ConfigurationError for what is none of these.
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
            raise ConfigurationError(f"{revision} has no {name}", hint="name a file or folder that it has")
        yield ComparedSide(root / name, root, f"{revision}:")


def is_revision(text: str) -> bool:
    """Whether a text names a commit of the repository that the current folder lies in, if it does."""
    try:
        return bool(_find_repository(Path.cwd()).commit(text))
    except ConfigurationError:
        return False


def _missing_path_error(text: str) -> ConfigurationError:
    """What is wrong with a text that is no path."""
    if is_revision(text):
        return ConfigurationError(f"`{text}` is a revision, and no path says what of it is meant", hint=f"{text}:PATH")
    return ConfigurationError(f"there is no {text}", hint="PATH, REVISION:PATH, or a revision beside a path")


def _find_repository(start: Path) -> GitRepository:
    folder = start if start.is_dir() else start.parent
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    found = _run_git(folder, "rev-parse", "--show-toplevel")
    if found is None:
        raise ConfigurationError("this is no folder of a git repository", hint="compare two paths instead")
    return GitRepository(Path(os.fsdecode(found.rstrip(b"\n"))).resolve())


def _repository_path(path: str, repository: GitRepository) -> str:
    """A path as git has it: from the root, or from here where it begins with a dot."""
    if path.startswith("."):
        return _path_in_repository(Path(path), repository)
    name = normpath(path or ".")
    if name.startswith(("..", "/")):
        raise ConfigurationError("that path is outside of the repository", hint="write it from the repository's root")
    return name


def _path_in_repository(path: Path, repository: GitRepository) -> str:
    whole = Path(os.path.abspath(path)).resolve()
    if not whole.is_relative_to(repository.root):
        raise ConfigurationError(f"{path} is outside of the repository", hint="compare two paths instead")
    return whole.relative_to(repository.root).as_posix()


def _extract_files(repository: GitRepository, commit: str, name: str, root: Path) -> None:
    """What was asked for, the house's files, and what these name, as often as they name more."""
    there = repository.names(commit)
    asked = {each for each in there if each == name or (_is_below(each, name) and _is_written_by_hand(each, there))}
    wanted, had = asked | {each for each in there if is_config_file(PurePosixPath(each).name)}, set[str]()
    while wanted:
        contents = repository.contents(commit, sorted(wanted))
        had |= wanted
        for each, content in contents.items():
            path = root / each
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        named = {found for each, content in contents.items() for found in _named_files(each, content)}
        wanted = {found for each in named for found in (each, f"{each}/policy.yaml") if found in there} - had


def _is_written_by_hand(name: str, there: frozenset[str]) -> bool:
    """Whether a person may have written it: not so what a run put beside its receipt."""
    return name.endswith(YAML_SUFFIXES) and (PurePosixPath(name).parent / "receipt.json").as_posix() not in there


def _is_below(name: str, folder: str) -> bool:
    return folder == "." or name.startswith(f"{folder}/")


def _named_files(name: str, content: bytes) -> Iterator[str]:
    """The files that a file names, as paths from the root."""
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
    """What git says; None where it says no. Raises ConfigurationError where there is no git."""
    program = shutil.which("git")
    if program is None:
        raise ConfigurationError("there is no `git` here", hint="install it, or compare two paths")
    environment = {**os.environ, "LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0"}
    done = subprocess.run(
        [program, "-C", str(folder), *words], input=content, capture_output=True, check=False, env=environment
    )
    return done.stdout if done.returncode == 0 else None
