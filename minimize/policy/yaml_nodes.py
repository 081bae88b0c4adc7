"""YAML 1.2 files as nodes with line numbers, keys quoted for YAML, and hints for files that do not exist."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode

from minimize.arrow.pointers import Pointer
from minimize.errors import Finding
from minimize.output.folder import PIPELINE_FILE, POLICY_FILE
from minimize.policy.faults import FaultList
from minimize.techniques.redact import has_hit
from minimize.text import did_you_mean_any, similar_words

YamlScalar = str | int | float | bool | None
LARGEST_INTEGER: Final = 2**53 - 1
"""The largest whole number that JSON is sure to carry."""
DEEPEST_NESTING: Final = 50
"""How deep lists and mappings may stand in each other; the files that people write have fewer than ten levels."""


@dataclass(frozen=True, slots=True)
class YamlNode:
    """A scalar, a list or a mapping, and the line where it (or its key) stands; None for what came from memory."""

    value: YamlScalar | tuple[YamlNode, ...] | dict[str, YamlNode]
    line: int | None = None

    @property
    def entries(self) -> dict[str, YamlNode]:
        """The mapping's nodes by key; nothing for another kind."""
        return self.value if isinstance(self.value, dict) else {}

    @property
    def items(self) -> tuple[YamlNode, ...]:
        """The list's nodes; nothing for another kind."""
        return self.value if isinstance(self.value, tuple) else ()

    @property
    def is_mapping(self) -> bool:
        """Whether it has keys."""
        return isinstance(self.value, dict)

    @property
    def is_list(self) -> bool:
        """Whether it has items."""
        return isinstance(self.value, tuple)

    @property
    def is_scalar(self) -> bool:
        """Whether it is a single value (null too)."""
        return not self.is_mapping and not self.is_list

    @property
    def positive_integer(self) -> int | None:
        """A whole number from 1 on that a receipt can carry; None for anything else."""
        value = self.value
        return (
            value if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= LARGEST_INTEGER else None
        )

    def get(self, key: str) -> YamlNode | None:
        """The node under a key, or None where there is none or it is null."""
        found = self.entries.get(key)
        return None if found is None or found.value is None else found

    def to_data(self) -> Any:
        """The value without lines; lists become tuples."""
        if isinstance(self.value, dict):
            return {key: node.to_data() for key, node in self.value.items()}
        if isinstance(self.value, tuple):
            return tuple(node.to_data() for node in self.value)
        return self.value

    def child(self, part: str | int) -> YamlNode | None:
        """The node under a key or at a position."""
        if self.is_mapping:
            return self.entries.get(str(part))
        return self.items[part] if isinstance(part, int) and part < len(self.items) else None

    def existing_path(self, path: Sequence[str | int]) -> tuple[str | int, ...]:
        """As much of a path of keys and positions as is there."""
        found: list[str | int] = []
        node: YamlNode | None = self
        for part in path:
            node = None if node is None else node.child(part)
            if node is None:
                break
            found.append(part)
        return tuple(found)

    def descend(self, path: Sequence[str | int]) -> YamlNode:
        """The node that a path leads to, as far as it goes."""
        node = self
        for part in self.existing_path(path):
            node = node.child(part) or node
        return node

    def key_lines(self, depth: int = 3) -> Iterator[tuple[tuple[str, ...], int]]:
        """The paths of keys down to a depth, and their lines."""
        for key, node in self.entries.items():
            if node.line is not None:
                yield (key,), node.line
            if depth > 1:
                yield from (((key, *path), line) for path, line in node.key_lines(depth - 1))


def node_from_data(value: Any) -> YamlNode:
    """A node for plain data in memory."""
    if isinstance(value, Mapping):
        return YamlNode({scalar_text(key): node_from_data(item) for key, item in value.items()})
    if isinstance(value, list | tuple):
        return YamlNode(tuple(node_from_data(item) for item in value))
    return YamlNode(value)


def scalar_text(value: object) -> str:
    """A value as YAML writes it: `true` rather than `True`."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def read_utf8(file: Path, faults: FaultList) -> bytes | None:
    """The bytes of a file, or None (and a fault) where it cannot be read or is not UTF-8."""
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        faults.add("P001", "there is no such file", hint=similar_files_hint(file))
        return None
    except (OSError, ValueError):
        content = None
    return require_utf8(content, faults)


def require_utf8(content: bytes | None, faults: FaultList) -> bytes | None:
    """The bytes of a file, or None (and a fault) if they could not be read (None) or are not UTF-8."""
    try:
        if content is not None:
            content.decode("utf-8")
            return content
        problem = "the file cannot be read"
    except UnicodeDecodeError:
        problem = "the file is not UTF-8"
    faults.add("P001", problem)
    return None


def parse_yaml(text: str, faults: FaultList) -> YamlNode | None:
    """The nodes of one YAML document, or None (and a fault) for text that is none."""
    root, found = _parse_cached(text)
    faults.found.extend(replace(each, file=faults.file) for each in found)
    return root


@lru_cache(maxsize=8)
def _parse_cached(text: str) -> tuple[YamlNode | None, tuple[Finding, ...]]:
    """A document's nodes, which nobody changes, and its faults; the house's file is read for several of its words."""
    faults = FaultList()
    return _compose(text, faults), tuple(faults.found)


def _compose(text: str, faults: FaultList) -> YamlNode | None:
    problem: tuple[str, int | None] | None = None
    root = None
    try:
        root = YAML(typ="safe", pure=True).compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = (error.problem or "it cannot be parsed", None if mark is None else mark.line + 1)
    except YAMLError:
        problem = ("it holds a character that YAML does not allow", None)
    except RecursionError:
        problem = ("it is nested too deep", None)
    if problem is not None:
        faults.add("P001", f"this is not valid YAML: {problem[0]}", line=problem[1])
        return None
    for line in _lines_with_tags(text):
        faults.add("P003", "tags are not allowed", line=line, hint="write the plain value")
    return YamlNode({}, 1) if root is None else _NodeBuilder(faults, set()).node(root, 1)


def _lines_with_tags(text: str) -> list[int]:
    """The lines of a document that parses on which a tag is written out."""
    if "!" not in text:
        return []
    events = YAML(typ="safe", pure=True).parse(text)
    return list(dict.fromkeys(event.start_mark.line + 1 for event in events if getattr(event, "tag", None) is not None))


@dataclass(frozen=True, slots=True)
class _NodeBuilder:
    """One walk over a composed document; `seen` holds what an alias would repeat."""

    faults: FaultList
    visited: set[int]

    def node(self, raw: Any, line: int, depth: int = 0) -> YamlNode:
        if depth > DEEPEST_NESTING:
            self.faults.add("P003", f"nothing stands deeper than {DEEPEST_NESTING} levels", line=line)
            return YamlNode(None, line)
        if id(raw) in self.visited or raw.anchor is not None:
            self.faults.add(
                "P003", "anchors and aliases are not allowed", line=line, hint="write it out where it counts"
            )
            return YamlNode(None, line)
        self.visited.add(id(raw))
        if isinstance(raw, MappingNode):
            return YamlNode(self.entries(raw, depth + 1), line)
        if isinstance(raw, SequenceNode):
            return YamlNode(tuple(self.node(item, item.start_mark.line + 1, depth + 1) for item in raw.value), line)
        return YamlNode(self.scalar(raw, line), line)

    def entries(self, raw: MappingNode, depth: int) -> dict[str, YamlNode]:
        found: dict[str, YamlNode] = {}
        for key, value in raw.value:
            line = key.start_mark.line + 1
            name = self.key(key, line)
            if name in found:
                self.faults.add("P002", f"the key `{name}` stands twice", line=line, hint="keep one of them")
            elif name is not None:
                found[name] = self.node(value, line, depth)
        return found

    def key(self, raw: Any, line: int) -> str | None:
        if isinstance(raw, ScalarNode) and not str(raw.tag).endswith((":null", ":merge")):
            return self.text(raw, line)
        self.faults.add("P003", "a key is a word; null, merge keys, lists and mappings are not", line=line)
        return None

    def scalar(self, raw: ScalarNode, line: int) -> YamlScalar:
        tag = str(raw.tag).removeprefix("tag:yaml.org,2002:")
        if tag in ("merge", "value"):
            self.faults.add("P003", "`<<` and `=` are not allowed as values", line=line, hint="quote it")
        if tag not in _KNOWN_TAGS:
            return None
        text = self.text(raw, line)
        try:
            return None if text is None else _scalar_of_tag(text, tag)
        except ValueError:
            self.faults.add("P006", "this is no number that can be read", line=line)
            return None

    def text(self, raw: ScalarNode, line: int) -> str | None:
        """The text, its characters beyond 16 bits as one, though JSON escapes them as two halves."""
        try:
            return str(raw.value).encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            self.faults.add("P006", "half of a character stands here", line=line)
            return None


_KNOWN_TAGS = ("str", "int", "float", "bool", "null", "timestamp")


def _scalar_of_tag(text: str, tag: str) -> YamlScalar:
    if tag == "null":
        return None
    if tag == "bool" and text.lower() in ("true", "false"):
        return text.lower() == "true"
    if tag == "int":
        return _integer(text.replace("_", ""))
    if tag == "float":
        return float(text.replace("_", "").replace(".inf", "inf").replace(".Inf", "inf").replace(".nan", "nan"))
    return text


def _integer(text: str) -> int:
    sign, digits = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    prefixed = digits[:2].lower() in ("0x", "0o", "0b")
    return sign * int(digits, 0 if prefixed else 10)


_MOST_SUGGESTED: Final = 4


def similar_files_hint(file: Path) -> str:
    """A hint for a file that is not there; nothing where nothing is like it. Names that may be values are not told."""
    try:
        found = [*_similar_names(file)] or [*_subfolders_with_file(file)]
    except (OSError, ValueError):
        found = []
    told = [each for each in found if not has_hit(each.name)]
    return did_you_mean_any(list(map(str, told))) if len(told) <= _MOST_SUGGESTED else ""


def _similar_names(file: Path) -> Sequence[Path]:
    """What is called nearly so, where the path leaves what is there."""
    missing = next(each for each in (file, *file.parents) if each.parent.is_dir())
    names = [each.name for each in missing.parent.iterdir()]
    return [missing.parent / each for each in similar_words(missing.name, names, cutoff=0.7)]


def _subfolders_with_file(file: Path) -> Sequence[Path]:
    """The folders of that folder that have such a file."""
    return [each.parent for each in sorted(file.parent.glob(f"*/{file.name}"))] if file.name in _FILE_NAMES else ()


_FILE_NAMES: Final = (PIPELINE_FILE, POLICY_FILE)


_YAML_CONSTANTS = ("null", "true", "false")
"""Words that YAML reads as something else."""


def key_text(pointer: Pointer) -> str:
    """The field's key: a plain column by its name, quoted where YAML would read something else."""
    plain = pointer.is_flat and not pointer.top.startswith("/")
    text = pointer.top if plain else str(pointer)
    safe = re.fullmatch(r"[A-Za-z_/][A-Za-z0-9_/*.~-]*", text) and text.lower() not in _YAML_CONSTANTS
    return text if safe else quote_yaml(text)


def quote_yaml(text: str) -> str:
    r"""A text as YAML reads it back, whatever stands in it, on one line.

    >>> quote_yaml('say "so"\n')
    '"say \\"so\\"\\U0000000a"'
    """
    return f'"{"".join(map(_escape_char, text))}"'


def _escape_char(char: str) -> str:
    if char in '"\\':
        return f"\\{char}"
    return char if char.isprintable() else f"\\U{ord(char):08x}"
