"""YAML 1.2 files as nodes with line numbers, keys quoted for YAML, and hints for files that do not exist.

Faults of policy and pipeline files: the table of codes, and the list for one file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TypeVar

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode

from minimize.arrow.pointers import Pointer
from minimize.errors import Finding, PolicyError
from minimize.records import PIPELINE_FILE, POLICY_FILE
from minimize.techniques.redact import has_hit
from minimize.text import did_you_mean_any, similar_words

T = TypeVar("T")

FAULTS: Mapping[str, str] = MappingProxyType(
    {
        "P001": "a file cannot be read, or is not YAML",
        "P002": "a key is duplicate, possibly in two spellings",
        "P003": "the file uses YAML features that are not allowed: anchors, aliases, merge keys, tags",
        "P004": "a key is unknown",
        "P005": "a key is missing",
        "P006": "a value has the wrong type",
        "P007": "a word is not one of the permitted words (role, type, holder, unit …)",
        "P008": "a purpose is unknown, or the policy does not list it",
        "P009": "a purpose is prohibited: profiling, advertising, marketing, sale",
        "P010": "a name (field, feature, level) is not declared",
        "P011": "a technique or measure is unknown",
        "P012": "a technique is an unkeyed hash",
        "P013": "a parameter is not valid for its technique or measure",
        "P014": "a secret would be kept or read",
        "P015": "a name is reserved or not valid",
        "P016": "a condition is not valid, or reads from another list",
        "P017": "the policy must name `time` or `subject`",
        "P018": "fields or keys contradict each other",
        "P019": "a backfill needs the earlier policy of a date that was never run",
        "P020": "a key for each value of a field needs a folder for each value: list the field in `partition_by`",
    }
)


@dataclass(frozen=True, slots=True)
class FaultList:
    """The faults of one file, in the order in which they were found."""

    file: str | None = None
    found: list[Finding] = field(default_factory=list)

    def add(self, code: str, message: str, *, line: int | None = None, key: str | None = None, hint: str = "") -> None:
        """Records one fault; `key` is the field's key."""
        self.found.append(
            Finding(code=code, message=message, severity="error", hint=hint, file=self.file, line=line, field=key)
        )


def require_sound(value: T | None, faults: Sequence[Finding], noun: str) -> T:
    """The value that was read. Raises PolicyError, with every fault as a finding, if it has faults or could not be read."""
    if value is None or faults:
        count = len(faults)
        raise PolicyError(f"the {noun} has {count} fault{'' if count == 1 else 's'}", findings=faults)
    return value


YamlScalar = str | int | float | bool | None
LARGEST_INTEGER: Final = 2**53 - 1
"""The largest integer that every JSON reader represents exactly (RFC 8259, 6)."""
DEEPEST_NESTING: Final = 50
"""The deepest permitted nesting of lists and mappings; hand-written files have fewer than ten levels."""


@dataclass(frozen=True, slots=True)
class YamlNode:
    """A scalar, a list or a mapping, and its line (or that of its key); the line is None for data in memory."""

    value: YamlScalar | tuple[YamlNode, ...] | dict[str, YamlNode]
    line: int | None = None

    @property
    def entries(self) -> dict[str, YamlNode]:
        """The nodes of a mapping by key; empty for another kind."""
        return self.value if isinstance(self.value, dict) else {}

    @property
    def items(self) -> tuple[YamlNode, ...]:
        """The nodes of a list; empty for another kind."""
        return self.value if isinstance(self.value, tuple) else ()

    @property
    def is_mapping(self) -> bool:
        """Whether the node is a mapping."""
        return isinstance(self.value, dict)

    @property
    def is_list(self) -> bool:
        """Whether the node is a list."""
        return isinstance(self.value, tuple)

    @property
    def is_scalar(self) -> bool:
        """Whether the node is a single value (including null)."""
        return not self.is_mapping and not self.is_list

    def get(self, key: str) -> YamlNode | None:
        """The node of a key; None if there is none or it is null."""
        node = self.entries.get(key)
        return None if node is None or node.value is None else node

    def to_data(self) -> Any:
        """The value without lines; lists become tuples."""
        if isinstance(self.value, dict):
            return {key: node.to_data() for key, node in self.value.items()}
        if isinstance(self.value, tuple):
            return tuple(node.to_data() for node in self.value)
        return self.value

    def child(self, part: str | int) -> YamlNode | None:
        """The node of a key or at a position."""
        if self.is_mapping:
            return self.entries.get(str(part))
        return self.items[part] if isinstance(part, int) and part < len(self.items) else None

    def existing_path(self, path: Sequence[str | int]) -> tuple[str | int, ...]:
        """The longest existing start of a path of keys and positions."""
        existing_parts: list[str | int] = []
        node: YamlNode | None = self
        for part in path:
            node = None if node is None else node.child(part)
            if node is None:
                break
            existing_parts.append(part)
        return tuple(existing_parts)

    def descend(self, path: Sequence[str | int]) -> YamlNode:
        """The deepest existing node along a path."""
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
    """The bytes of a file; None, with a fault, if it cannot be read or is not UTF-8."""
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        faults.add("P001", "the file does not exist", hint=similar_files_hint(file))
        return None
    except (OSError, ValueError):
        content = None
    return require_utf8(content, faults)


def require_utf8(content: bytes | None, faults: FaultList) -> bytes | None:
    """The bytes of a file; None, with a fault, if they are None (the file could not be read) or not UTF-8."""
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
    """The nodes of one YAML document; None, with a fault, if the text is not YAML."""
    root, findings = _parse_cached(text)
    faults.found.extend(replace(each, file=faults.file) for each in findings)
    return root


@lru_cache(maxsize=256)
def _parse_cached(text: str) -> tuple[YamlNode | None, tuple[Finding, ...]]:
    """A document's nodes (immutable) and its faults. The cache helps because several keys of `minimize.yaml` are read in turn."""
    faults = FaultList()
    return _compose(text, faults), tuple(faults.found)


def _compose(text: str, faults: FaultList) -> YamlNode | None:
    problem: tuple[str, str, int | None] | None = None
    root = None
    try:
        root = YAML(typ="safe", pure=True).compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = None if mark is None else mark.line + 1
        problem = _syntax_problem(text, line, error.problem or "")
    except YAMLError:
        problem = ("it contains a character that YAML does not allow", "Remove it.", None)
    except RecursionError:
        problem = ("it is nested too deeply", "Nest fewer lists and mappings.", None)
    if problem is not None:
        about, hint, line = problem
        message = about if about.startswith("line ") else f"this is not valid YAML: {about}"
        faults.add("P001", message, line=line, hint=hint)
        return None
    for line in _lines_with_tags(text):
        faults.add("P003", "tags are not allowed", line=line, hint="Write the value without a tag.")
    return YamlNode({}, 1) if root is None else _NodeBuilder(faults, set()).node(root, 1)


_SYNTAX_PROBLEMS: Final = (
    ("found unexpected end of stream", "a quotation mark is not closed", "Close it on the same line."),
    ("while scanning a quoted", "a quotation mark is not closed", "Close it on the same line."),
    ("unknown escape character", "a text in double quotes has an unknown escape", "Use single quotes."),
    ("mapping values are not allowed", "a value contains `: `, or a line is indented wrongly", "Quote the value."),
    ("could not find expected ':'", "a key has no `:`", "Write `key: value`."),
    ("expected <block end>", "the indentation does not match the lines above", "Align it with its siblings."),
    ("did not find expected", "a `[` or `{` is not closed, or a comma is missing", "Check the brackets."),
    ("expected ',' or", "a `[` or `{` is not closed, or a comma is missing", "Check the brackets."),
    ("expected the node content", "a bracket or comma has no value before it", "Check the brackets."),
    ("found another document", "the file has more than one document", "Remove `---`."),
    ("but found another document", "the file has more than one document", "Remove `---`."),
    ("that cannot start any token", "a value begins with a reserved character", "Quote the value."),
    ("found undefined alias", "anchors and aliases are not allowed", "Quote the value, or repeat what it refers to."),
    ("found undefined tag", "tags are not allowed", "Write the value without a tag."),
)
"""What is wrong and what to do, by a part of the parser's text, which is not shown."""


def _syntax_problem(text: str, line: int | None, parser_text: str) -> tuple[str, str, int | None]:
    """What is wrong with a text that is not YAML, a hint, and the line."""
    for number, content in enumerate(text.splitlines()[:line], 1):
        indent = content[: len(content) - len(content.lstrip())]
        if "\t" in indent and number >= (line or 1) - 1 and content.strip():
            return f"line {number} is indented with a tab: use spaces", "", number
    for part, about, hint in _SYNTAX_PROBLEMS:
        if part in parser_text:
            return about, hint, line
    return "the line cannot be parsed", "Check its quotes, brackets, colons and indentation.", line


def compose_mapping(text: str) -> MappingNode | None:
    """A text as a mapping whose keys and values have positions in it; None if it is no mapping."""
    root = None
    with suppress(YAMLError, RecursionError):
        root = YAML(typ="safe", pure=True).compose(text)
    return root if isinstance(root, MappingNode) else None


def written_entries(node: Any, text: str) -> dict[str, str]:
    """The values of a composed mapping by key, as they are written in its text; empty for another kind of node.

    >>> text = "{type: string, do: {round: {to: 1e3}}}"
    >>> written_entries(compose_mapping(text), text)
    {'type': 'string', 'do': '{round: {to: 1e3}}'}
    """
    pairs = node.value if isinstance(node, MappingNode) else ()
    return {str(key.value): text[value.start_mark.index : value.end_mark.index] for key, value in pairs}


def _lines_with_tags(text: str) -> list[int]:
    """The lines of a valid document that contain an explicit tag."""
    if "!" not in text:
        return []
    events = YAML(typ="safe", pure=True).parse(text)
    return list(dict.fromkeys(event.start_mark.line + 1 for event in events if getattr(event, "tag", None) is not None))


@dataclass(frozen=True, slots=True)
class _NodeBuilder:
    """Converts a composed document to nodes; `visited` has the ids of converted nodes, so an alias is detected."""

    faults: FaultList
    visited: set[int]

    def node(self, raw: Any, line: int, depth: int = 0) -> YamlNode:
        if depth > DEEPEST_NESTING:
            self.faults.add("P003", f"the nesting is deeper than {DEEPEST_NESTING} levels", line=line)
            return YamlNode(None, line)
        if id(raw) in self.visited or raw.anchor is not None:
            self.faults.add("P003", "anchors and aliases are not allowed", line=line, hint="Repeat the value instead.")
            return YamlNode(None, line)
        self.visited.add(id(raw))
        if isinstance(raw, MappingNode):
            return YamlNode(self.entries(raw, depth + 1), line)
        if isinstance(raw, SequenceNode):
            return YamlNode(tuple(self.node(item, item.start_mark.line + 1, depth + 1) for item in raw.value), line)
        return YamlNode(self.scalar(raw, line), line)

    def entries(self, raw: MappingNode, depth: int) -> dict[str, YamlNode]:
        entries: dict[str, YamlNode] = {}
        for key, value in raw.value:
            line = key.start_mark.line + 1
            name = self.key(key, line)
            if name in entries:
                self.faults.add("P002", f"duplicate key `{name}`", line=line, hint="Remove one of them.")
            elif name is not None:
                entries[name] = self.node(value, line, depth)
        return entries

    def key(self, raw: Any, line: int) -> str | None:
        if isinstance(raw, ScalarNode) and not str(raw.tag).endswith((":null", ":merge")):
            return self.text(raw, line)
        self.faults.add("P003", "a key must be a word; null, merge keys, lists and mappings are not allowed", line=line)
        return None

    def scalar(self, raw: ScalarNode, line: int) -> YamlScalar:
        tag = str(raw.tag).removeprefix("tag:yaml.org,2002:")
        if tag in ("merge", "value"):
            self.faults.add("P003", "`<<` and `=` are not allowed as values", line=line, hint="Quote the value.")
        if tag not in _KNOWN_TAGS:
            return None
        text = self.text(raw, line)
        try:
            return None if text is None else _scalar_of_tag(text, tag)
        except ValueError:
            self.faults.add("P006", "the number cannot be read", line=line)
            return None

    def text(self, raw: ScalarNode, line: int) -> str | None:
        """The text. Characters beyond 16 bits, which JSON escapes as surrogate pairs, are joined."""
        try:
            return str(raw.value).encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            self.faults.add("P006", "the text contains an unpaired surrogate", line=line)
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
    number = int(digits, 0 if prefixed else 10)
    if number.bit_length() > _MOST_BITS:
        raise ValueError("too large")
    return sign * number


_MOST_BITS: Final = 1024
"""An integer with more bits is larger than every double."""


_MOST_SUGGESTED: Final = 4


def similar_files_hint(file: Path) -> str:
    """A hint with similar names for a file that does not exist; empty if there are none. Names that may be values are omitted."""
    try:
        similar_files = [*_similar_names(file)] or [*_subfolders_with_file(file)]
    except (OSError, ValueError):
        similar_files = []
    shown = [each for each in similar_files if not has_hit(each.name)]
    return did_you_mean_any(list(map(str, shown))) if len(shown) <= _MOST_SUGGESTED else ""


def _similar_names(file: Path) -> Sequence[Path]:
    """Similar names in the deepest existing folder of the path."""
    missing = next(each for each in (file, *file.parents) if each.parent.is_dir())
    names = [each.name for each in missing.parent.iterdir()]
    return [missing.parent / each for each in similar_words(missing.name, names, cutoff=0.7)]


def _subfolders_with_file(file: Path) -> Sequence[Path]:
    """The subfolders that contain a file of this name."""
    return [each.parent for each in sorted(file.parent.glob(f"*/{file.name}"))] if file.name in _FILE_NAMES else ()


_FILE_NAMES: Final = (PIPELINE_FILE, POLICY_FILE)


_YAML_CONSTANTS = ("null", "true", "false")
"""Words that YAML does not read as text."""


def key_text(pointer: Pointer) -> str:
    """The key of a field in YAML: the name of a plain column, or the pointer; quoted if YAML would not read it as text."""
    plain = pointer.is_flat and not pointer.top.startswith("/")
    text = pointer.top if plain else str(pointer)
    safe = re.fullmatch(r"[A-Za-z_/][A-Za-z0-9_/*.~-]*", text) and text.lower() not in _YAML_CONSTANTS
    return text if safe else quote_yaml(text)


def quote_yaml(text: str) -> str:
    r"""A text quoted for YAML, on one line; any character is preserved.

    >>> quote_yaml('say "so"\n')
    '"say \\"so\\"\\U0000000a"'
    """
    return f'"{"".join(map(_escape_char, text))}"'


def _escape_char(char: str) -> str:
    if char in '"\\':
        return f"\\{char}"
    return char if char.isprintable() else f"\\U{ord(char):08x}"
