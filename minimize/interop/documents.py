"""Documents of exchange formats: described datasets of imports, requests of exports, JSON and YAML 1.2.

Documents are read as plain data. YAML is written so that every version of YAML reads it the same way.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from minimize.arrow.pointers import Pointer
from minimize.errors import ConfigurationError, PolicyError
from minimize.forms.yaml_nodes import FaultList, parse_yaml, quote_yaml, read_utf8
from minimize.plan import Plan
from minimize.plan.model import OutputPlan
from minimize.policy.load import load_pipeline, load_policy
from minimize.policy.model import Policy, Role
from minimize.records import PIPELINE_FILE
from minimize.runs.inspection import make_plan
from minimize.text import did_you_mean, json_text


@dataclass(frozen=True, slots=True)
class DescribedColumn:
    """One field that a document describes."""

    pointer: Pointer
    type: str
    """Type in the terms of a policy."""
    role: Role | None = None
    """Role in the document; None if it states none."""
    about: str = ""
    unit: str = ""
    required: bool = False
    kind: str | None = None
    """Kind of the values (`drafting.kinds`), by a format in the document; None if unknown."""
    do: str | None = None
    """Treatment in the document; None if it states none."""
    reason: str = ""
    """Reason for kind, role or treatment, as text for a remark."""
    is_nullable: bool = False
    """Whether the document states that the field can be null."""


@dataclass(frozen=True, slots=True)
class DescribedDataset:
    """One dataset as a document describes it."""

    name: str
    columns: tuple[DescribedColumn, ...]
    owner: str = ""
    version: int = 1
    purposes: tuple[str, ...] = ()
    parts: Mapping[str, str] = field(default_factory=dict)
    retention: str | None = None
    remarks: tuple[str, ...] = ()
    """Statements of the document that a policy cannot contain, line by line."""
    never: tuple[Pointer, ...] = ()
    """Forbidden paths."""
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Fields that a policy cannot declare, with the reason."""


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """The subject of an export."""

    path: str
    """Folder or file of a pipeline or policy, or an output folder."""
    name: str | None = None
    """`source` (records as they arrive) or the name of an output; None for everything the format supports."""
    as_json: bool = False
    pipeline: str | None = None
    """Path of an output's pipeline, if the output does not record it."""


DocumentReader = Callable[[Any, str | None], DescribedDataset]
"""Reads the dataset that a document describes. The second argument selects one of several. Raises ConfigurationError."""

DocumentWriter = Callable[[ExportRequest], str]
"""Writes the document. Raises ConfigurationError, PolicyError."""


SOURCE_NAME = "source"


def requested_policy(request: ExportRequest) -> Policy:
    """The policy of a pipeline's folder or file, or of a policy file. Raises PolicyError."""
    path = Path(request.path)
    if path.is_dir():
        return load_pipeline(path).policy if (path / PIPELINE_FILE).exists() else load_policy(path)
    return load_pipeline(path).policy if path.name == PIPELINE_FILE else load_policy(path)


def has_pipeline(request: ExportRequest) -> bool:
    """Whether the path is a pipeline, so that its outputs are known."""
    path = Path(request.path)
    return (path / PIPELINE_FILE).exists() or path.name == PIPELINE_FILE


def requested_plan(request: ExportRequest) -> Plan:
    """The plan of a pipeline. Raises ConfigurationError or PolicyError if there is none, else as `run` before it reads."""
    if not has_pipeline(request):
        requested_policy(request)  # raises a clearer error if it is not a policy either
        hint = f"Pass a pipeline, or pass `--of {SOURCE_NAME}`: a policy alone has no outputs."
        raise ConfigurationError("the path is not a pipeline", hint=hint)
    return make_plan(request.path)


def find_output_plan(plan: Plan, name: str) -> OutputPlan:
    """One output. Raises ConfigurationError if the pipeline has no output of this name."""
    if name not in plan.outputs:
        hint = did_you_mean(name, [*plan.outputs, SOURCE_NAME])
        raise ConfigurationError("the pipeline has no output of this name", hint=hint)
    return plan.outputs[name]


_FORMATS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "email": "email",
        "idn-email": "email",
        "ipv4": "ip",
        "ipv6": "ip",
        "uuid": "uuid",
        "guid": "uuid",
        "uniqueidentifier": "uuid",
        "uri": "url",
        "iri": "url",
        "uri-reference": "url",
        "md5": "hash",
        "sha1": "hash",
        "sha256": "hash",
        "sha512": "hash",
        "jwt": "token",
    }
)
_HEX: Final = r"(?:\[[^\]]*(?:a-f|A-F|xdigit)[^\]]*\]+|\[\\dabcdefABCDEF]+\]|\\h)"
_PATTERNS: Final[Mapping[str, re.Pattern[str]]] = MappingProxyType(
    {
        "uuid": re.compile(r"\{8\}.{0,80}\{4\}.{0,200}\{12\}"),
        "hash": re.compile(rf"{_HEX}\{{(?:32|40|56|64|96|128)\}}"),
        "token": re.compile(r"^\^?\(?eyJ"),
    }
)
"""Patterns that schemas use for such values. The pattern of a document is compared as text, never executed."""


def kind_by_format(formats: Collection[str], patterns: Collection[str] = ()) -> tuple[str | None, str]:
    """The kind of the values, and the reason as text for a remark; (None, "") if the document states none.

    >>> kind_by_format(["uuid"]), kind_by_format([], ["^[0-9a-f]{64}$"])
    (('uuid', 'its format is `uuid`'), ('hash', 'its pattern is that of a hash'))
    """
    for format_name in sorted(formats):
        if format_name in _FORMATS:
            return _FORMATS[format_name], f"its format is `{format_name}`"
    for kind, written in _PATTERNS.items():
        if any(written.search(pattern[:_LONGEST]) for pattern in patterns):
            return kind, f"its pattern is that of a {kind}"
    return None, ""


_LONGEST: Final = 1000
"""Maximum length of a compared pattern, in characters."""


LARGEST_DOCUMENT: Final = 16 << 20
"""Maximum size of a document in bytes. Schemas written by people are far smaller."""


def read_document(path: Path) -> Any:
    """The content of a file as mappings, lists and scalars. Raises PolicyError if it cannot be read."""
    faults = FaultList(str(path))
    if path.is_file() and path.stat().st_size > LARGEST_DOCUMENT:
        raise ConfigurationError(f"{path} is too large for a schema or contract", hint="Pass a file of at most 16 MiB.")
    content = read_utf8(path, faults)
    document: Any = None
    if content is not None and path.suffix.lower() == ".json":
        document = _parse_json(content, faults)
    elif content is not None:
        root = parse_yaml(content.decode("utf-8-sig"), faults)
        document = None if root is None else root.to_data()
    if faults.found:
        raise PolicyError("the document cannot be read", findings=faults.found)
    return document


def _parse_json(content: bytes, faults: FaultList) -> Any:
    line: int | None = None
    try:
        document = json.loads(content)
        json.dumps(document, ensure_ascii=False).encode()  # rejects a lone surrogate
        return document
    except json.JSONDecodeError as error:
        line = error.lineno
    except (ValueError, RecursionError):
        pass
    faults.add("P001", "the file is not valid JSON", line=line)
    return None


def as_mapping(value: Any) -> Mapping[str, Any]:
    """The value if it is a mapping, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def as_list(value: Any) -> Sequence[Any]:
    """The value if it is a list, else an empty one."""
    return value if isinstance(value, list | tuple) else ()


def as_text(value: Any) -> str:
    """The value on one line if it is text, else an empty text."""
    return " ".join(value.split()) if isinstance(value, str) else ""


_AMBIGUOUS_WORDS: Final = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
"""Words that some version of YAML does not read as text."""


def yaml_text(body: Mapping[str, Any]) -> str:
    """The document as YAML.

    >>> print(yaml_text({"kind": "DataContract", "schema": [{"name": "on", "rows": 3}], "tags": []}), end="")
    kind: "DataContract"
    schema:
    - name: "on"
      rows: 3
    tags: []
    """
    return "".join(f"{line}\n" for line in _mapping_lines(body))


def document_text(body: Mapping[str, Any], as_json: bool) -> str:
    """The document as JSON if requested, else as YAML."""
    return json_text(body) if as_json else yaml_text(body)


def _mapping_lines(body: Mapping[str, Any]) -> Iterator[str]:
    for key, value in body.items():
        plain = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*", key) and key.lower() not in _AMBIGUOUS_WORDS
        name = key if plain else quote_yaml(key)
        yield from _entry_lines(f"{name}:", value)


def _entry_lines(head: str, value: Any) -> Iterator[str]:
    if not isinstance(value, Mapping | list) or not value:
        yield f"{head} {_scalar_text(value)}"
        return
    yield head
    if isinstance(value, Mapping):
        yield from (f"  {line}" for line in _mapping_lines(value))
    else:
        yield from _list_lines(value)


def _list_lines(items: list[Any]) -> Iterator[str]:
    for item in items:
        lines = list(_mapping_lines(item)) if isinstance(item, Mapping) and item else [_scalar_text(item)]
        yield f"- {lines[0]}"
        yield from (f"  {line}" for line in lines[1:])


def _scalar_text(value: Any) -> str:
    """A text in quotes; numbers, booleans, null and empty collections as in JSON."""
    return quote_yaml(value) if isinstance(value, str) else json.dumps(value)
