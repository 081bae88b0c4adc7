"""What an import gives and what an export is made of.

In this order: described datasets and export requests; policy, plan and output of a request; kinds of values by format
or pattern.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from minimize.arrow.pointers import Pointer
from minimize.errors import ConfigurationError
from minimize.plan import Plan
from minimize.plan.model import OutputPlan
from minimize.policy.faults import did_you_mean
from minimize.policy.load import load_pipeline, load_policy
from minimize.policy.model import Policy, Role
from minimize.runs.inspection import plan_for


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
_PIPELINE_FILE = "pipeline.yaml"


def requested_policy(request: ExportRequest) -> Policy:
    """The policy: of a pipeline's folder or file, or the file itself. Raises PolicyError."""
    path = Path(request.path)
    if path.is_dir():
        return load_pipeline(path).policy if (path / _PIPELINE_FILE).exists() else load_policy(path)
    return load_pipeline(path).policy if path.name == _PIPELINE_FILE else load_policy(path)


def has_pipeline(request: ExportRequest) -> bool:
    """Whether there is a pipeline, so that outputs can be told of."""
    path = Path(request.path)
    return (path / _PIPELINE_FILE).exists() or path.name == _PIPELINE_FILE


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
