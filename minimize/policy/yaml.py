"""A YAML 1.2 file as plain nodes that know their line.

`on` and `off` stay strings, keys are always text, times stay text. Anchors, aliases, merge keys and tags are refused, because
what a policy says must stand where it is read; a key that stands twice is a fault, and the first one counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode

from minimize.errors import Finding
from minimize.policy.faults import Faults

Scalar = str | int | float | bool | None
LARGEST: Final = 2**53 - 1
"""The largest whole number that JSON is sure to carry."""
DEEPEST: Final = 50
"""How deep lists and mappings may stand in each other; the files that people write have fewer than ten levels."""


@dataclass(frozen=True, slots=True)
class Node:
    """A scalar, a list or a mapping, and the line where it (or its key) stands; None for what came from memory."""

    value: Scalar | tuple[Node, ...] | dict[str, Node]
    line: int | None = None

    @property
    def entries(self) -> dict[str, Node]:
        """The mapping's nodes by key; nothing for another kind."""
        return self.value if isinstance(self.value, dict) else {}

    @property
    def items(self) -> tuple[Node, ...]:
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
    def whole(self) -> int | None:
        """A whole number from 1 on that a receipt can carry; None for anything else."""
        value = self.value
        return value if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= LARGEST else None

    def get(self, key: str) -> Node | None:
        """The node under a key, or None where there is none or it is null."""
        found = self.entries.get(key)
        return None if found is None or found.value is None else found

    def plain(self) -> Any:
        """The value without lines; lists become tuples."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, tuple):
            return tuple(node.plain() for node in self.value)
        return self.value

    def below(self, part: str | int) -> Node | None:
        """The node under a key or at a position."""
        if self.is_mapping:
            return self.entries.get(str(part))
        return self.items[part] if isinstance(part, int) and part < len(self.items) else None

    def reached(self, path: Sequence[str | int]) -> tuple[str | int, ...]:
        """As much of a path of keys and positions as is there."""
        found: list[str | int] = []
        node: Node | None = self
        for part in path:
            node = None if node is None else node.below(part)
            if node is None:
                break
            found.append(part)
        return tuple(found)

    def at(self, path: Sequence[str | int]) -> Node:
        """The node that a path leads to, as far as it goes."""
        node = self
        for part in self.reached(path):
            node = node.below(part) or node
        return node

    def lines(self, depth: int = 3) -> Iterator[tuple[tuple[str, ...], int]]:
        """The paths of keys down to a depth, and their lines."""
        for key, node in self.entries.items():
            if node.line is not None:
                yield (key,), node.line
            if depth > 1:
                yield from (((key, *path), line) for path, line in node.lines(depth - 1))


def node_from(value: Any) -> Node:
    """A node for plain data in memory."""
    if isinstance(value, Mapping):
        return Node({_word(key): node_from(item) for key, item in value.items()})
    if isinstance(value, list | tuple):
        return Node(tuple(node_from(item) for item in value))
    return Node(value)


def _word(key: object) -> str:
    return str(key).lower() if isinstance(key, bool) else str(key)


def content_of(file: Path, faults: Faults) -> bytes | None:
    """The bytes of a file, or None (and a fault) where it cannot be read or is not UTF-8."""
    hint = ""
    try:
        content = file.read_bytes()
        content.decode("utf-8")
        return content
    except FileNotFoundError:
        from minimize.policy.nearby import nearby

        problem, hint = "there is no such file", nearby(file)
    except UnicodeDecodeError:
        problem = "the file is not UTF-8"
    except (OSError, ValueError):
        problem = "the file cannot be read"
    faults.add("P001", problem, hint=hint)
    return None


def parse(text: str, faults: Faults) -> Node | None:
    """The nodes of one YAML document, or None (and a fault) for text that is none."""
    root, found = _parsed(text)
    faults.found.extend(replace(each, file=faults.file) for each in found)
    return root


@lru_cache(maxsize=8)
def _parsed(text: str) -> tuple[Node | None, tuple[Finding, ...]]:
    """A document's nodes, which nobody changes, and its faults; the house's file is read for several of its words."""
    faults = Faults()
    return _root(text, faults), tuple(faults.found)


def _root(text: str, faults: Faults) -> Node | None:
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
    for line in _tagged(text):
        faults.add("P003", "tags are not allowed", line=line, hint="write the plain value")
    return Node({}, 1) if root is None else _Walk(faults, set()).node(root, 1)


def _tagged(text: str) -> list[int]:
    """The lines of a document that parses on which a tag is written out."""
    if "!" not in text:
        return []
    events = YAML(typ="safe", pure=True).parse(text)
    return list(dict.fromkeys(event.start_mark.line + 1 for event in events if getattr(event, "tag", None) is not None))


@dataclass(frozen=True, slots=True)
class _Walk:
    """One walk over a composed document; `seen` holds what an alias would repeat."""

    faults: Faults
    seen: set[int]

    def node(self, raw: Any, line: int, depth: int = 0) -> Node:
        if depth > DEEPEST:
            self.faults.add("P003", f"nothing stands deeper than {DEEPEST} levels", line=line)
            return Node(None, line)
        if id(raw) in self.seen or raw.anchor is not None:
            self.faults.add(
                "P003", "anchors and aliases are not allowed", line=line, hint="write it out where it counts"
            )
            return Node(None, line)
        self.seen.add(id(raw))
        if isinstance(raw, MappingNode):
            return Node(self.entries(raw, depth + 1), line)
        if isinstance(raw, SequenceNode):
            return Node(tuple(self.node(item, item.start_mark.line + 1, depth + 1) for item in raw.value), line)
        return Node(self.scalar(raw, line), line)

    def entries(self, raw: MappingNode, depth: int) -> dict[str, Node]:
        found: dict[str, Node] = {}
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

    def scalar(self, raw: ScalarNode, line: int) -> Scalar:
        tag = str(raw.tag).removeprefix("tag:yaml.org,2002:")
        if tag in ("merge", "value"):
            self.faults.add("P003", "`<<` and `=` are not allowed as values", line=line, hint="quote it")
        if tag not in _TAGS:
            return None
        text = self.text(raw, line)
        try:
            return None if text is None else _scalar(text, tag)
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


_TAGS = ("str", "int", "float", "bool", "null", "timestamp")


def _scalar(text: str, tag: str) -> Scalar:
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
