"""Documents of exchange formats: what an import describes and an export requests; JSON and YAML 1.2.

Documents are read as plain data. YAML is written so that every reader understands it alike.
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
from minimize.output.folder import PIPELINE_FILE
from minimize.plan import Plan
from minimize.plan.model import OutputPlan
from minimize.policy.faults import FaultList
from minimize.policy.load import load_pipeline, load_policy
from minimize.policy.model import Policy, Role
from minimize.policy.yaml_nodes import parse_yaml, quote_yaml, read_utf8
from minimize.runs.inspection import plan_for
from minimize.text import did_you_mean, json_text


@dataclass(frozen=True, slots=True)
class DescribedColumn:
    """One field that a document describes.

    type  the policy's word
    role  as the document says it; None where it says none
    kind  what its values are (`drafting.kinds`), by a format that the document names; None for nothing known
    do    what the document itself would let become of it; None where it says nothing of that
    reason  why, in words for a remark
    """

    pointer: Pointer
    type: str
    role: Role | None = None
    about: str = ""
    unit: str = ""
    required: bool = False
    kind: str | None = None
    do: str | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class DescribedDataset:
    """One dataset as a document describes it.

    remarks   what the document says that a policy has no place for, line by line
    never     what must not be there at all
    left_out  fields that no policy can name, and why
    """

    name: str
    columns: tuple[DescribedColumn, ...]
    owner: str = ""
    version: int = 1
    purposes: tuple[str, ...] = ()
    parts: Mapping[str, str] = field(default_factory=dict)
    retention: str | None = None
    remarks: tuple[str, ...] = ()
    never: tuple[Pointer, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """What an export is of.

    path      a pipeline's or policy's folder or file, or an output folder
    name      of what: `source` (records as they come in), or an output; None for all that the format can say
    pipeline  where the pipeline of an output lies, if the output does not tell
    """

    path: str
    name: str | None = None
    as_json: bool = False
    pipeline: str | None = None


DocumentReader = Callable[[Any, str | None], DescribedDataset]
"""Reads the dataset that a document describes. The second argument names one of several. Raises ConfigurationError."""

DocumentWriter = Callable[[ExportRequest], str]
"""Writes the document. Raises ConfigurationError, PolicyError."""


SOURCE_NAME = "source"


def requested_policy(request: ExportRequest) -> Policy:
    """The policy: of a pipeline's folder or file, or the file itself. Raises PolicyError."""
    path = Path(request.path)
    if path.is_dir():
        return load_pipeline(path).policy if (path / PIPELINE_FILE).exists() else load_policy(path)
    return load_pipeline(path).policy if path.name == PIPELINE_FILE else load_policy(path)


def has_pipeline(request: ExportRequest) -> bool:
    """Whether there is a pipeline, so that outputs can be told of."""
    path = Path(request.path)
    return (path / PIPELINE_FILE).exists() or path.name == PIPELINE_FILE


def requested_plan(request: ExportRequest) -> Plan:
    """The plan of a pipeline. Raises ConfigurationError or PolicyError where there is none, else what `run` raises at first."""
    if not has_pipeline(request):
        requested_policy(request)  # what is no policy, either, is told for what it is
        hint = f"a policy alone has no outputs: say `--of {SOURCE_NAME}`"
        raise ConfigurationError("this is no pipeline", hint=hint)
    return plan_for(request.path)


def find_output_plan(plan: Plan, name: str) -> OutputPlan:
    """One output. Raises ConfigurationError where the pipeline has none of this name."""
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
"""How schemas write the patterns of such values. The document's own pattern is read, never run."""


def kind_by_format(formats: Collection[str], patterns: Collection[str] = ()) -> tuple[str | None, str]:
    """The kind of the values, and why, in words for a remark; (None, "") where the document says nothing of that.

    >>> kind_by_format(["uuid"]), kind_by_format([], ["^[0-9a-f]{64}$"])
    (('uuid', 'its format is `uuid`'), ('hash', 'its pattern is that of a hash'))
    """
    for given in sorted(formats):
        if given in _FORMATS:
            return _FORMATS[given], f"its format is `{given}`"
    for kind, written in _PATTERNS.items():
        if any(written.search(pattern[:_LONGEST]) for pattern in patterns):
            return kind, f"its pattern is that of a {kind}"
    return None, ""


_LONGEST: Final = 1000
"""Characters of a pattern that are looked at."""


LARGEST_DOCUMENT: Final = 16 << 20
"""Bytes of a document; schemas that people write are far smaller."""


def read_document(path: Path) -> Any:
    """What a file says, as mappings, lists and scalars. Raises PolicyError where it cannot be read."""
    faults = FaultList(str(path))
    if path.is_file() and path.stat().st_size > LARGEST_DOCUMENT:
        raise ConfigurationError(f"{path} is too large for a schema or contract", hint="16 MiB at most")
    content = read_utf8(path, faults)
    found: Any = None
    if content is not None and path.suffix.lower() == ".json":
        found = _parse_json(content, faults)
    elif content is not None:
        root = parse_yaml(content.decode("utf-8-sig"), faults)
        found = None if root is None else root.to_data()
    if faults.found:
        raise PolicyError("the document cannot be read", findings=faults.found)
    return found


def _parse_json(content: bytes, faults: FaultList) -> Any:
    line: int | None = None
    try:
        found = json.loads(content)
        json.dumps(found, ensure_ascii=False).encode()  # a lone half of a character is no text
        return found
    except json.JSONDecodeError as error:
        line = error.lineno
    except (ValueError, RecursionError):
        pass
    faults.add("P001", "this is not valid JSON", line=line)
    return None


def as_mapping(value: Any) -> Mapping[str, Any]:
    """The value where it is a mapping, else nothing."""
    return value if isinstance(value, Mapping) else {}


def as_list(value: Any) -> Sequence[Any]:
    """The value where it is a list, else nothing."""
    return value if isinstance(value, list | tuple) else ()


def as_text(value: Any) -> str:
    """The value where it is text, in one line; else nothing."""
    return " ".join(value.split()) if isinstance(value, str) else ""


_AMBIGUOUS_WORDS: Final = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
"""Words that a reader of some version of YAML takes for no text."""


def yaml_text(body: Mapping[str, Any]) -> str:
    """The document.

    >>> print(yaml_text({"kind": "DataContract", "schema": [{"name": "on", "rows": 3}], "tags": []}), end="")
    kind: "DataContract"
    schema:
    - name: "on"
      rows: 3
    tags: []
    """
    return "".join(f"{line}\n" for line in _mapping_lines(body))


def document_text(body: Mapping[str, Any], as_json: bool) -> str:
    """The document as JSON where that is wanted, else as YAML."""
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
    """A text in quotes; numbers, booleans, null and what is empty as JSON writes them."""
    return quote_yaml(value) if isinstance(value, str) else json.dumps(value)
