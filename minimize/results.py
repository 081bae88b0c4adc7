"""Results of commands: JSON for `--json`, lines of text, messages for the log, and an exit code.

JSON is made by one conversion for dataclasses, models, times, paths and collections. A dataclass becomes an object of its
fields, in their order. `json_member` changes the key or the value of a field; `json_names` lists the members of a class that
also shows properties, or not all of its fields.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import date, datetime, timedelta
from enum import Enum
from functools import cache
from pathlib import Path, PurePath
from textwrap import TextWrapper
from types import MappingProxyType, SimpleNamespace
from typing import Any, ClassVar, Final, Protocol

from minimize.errors import Finding
from minimize.pages import Table
from minimize.text import count_noun
from minimize.times import time_text

log = logging.getLogger("minimize")


class Summary(Protocol):
    """An object with a text that is wrapped at a line width."""

    def summary(self, width: int = 100) -> str:
        """The text, with lines of about the given number of characters at most."""


UNCHANGED: Final = "nothing was changed. Pass --yes to apply the plan."
"""The last line of a plan that was not applied."""
Line = str | tuple[str, ...] | Finding | Summary | Table
"""A line of a result; a tuple has cells separated by tabs. A terminal colors findings, wraps summaries and draws tables."""


@dataclass(frozen=True, slots=True)
class Records(Table):
    """A table of records. If it is wider than the terminal, each record is shown as a table of its own."""


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A text that is wrapped. All its lines are indented."""

    text: str
    indent: str = ""

    def summary(self, width: int = 100) -> str:
        """The wrapped text."""
        wrapper = TextWrapper(width, self.indent, self.indent, break_long_words=False, break_on_hyphens=False)
        return wrapper.fill(self.text)


class Printable(Protocol):
    """A result of a command.

    It can also have `exit_code` (default: 0), `log_messages` (default: none), and `notes`: lines for stderr, unless the result is
    printed as JSON.
    """

    def to_json(self) -> Any:
        """The result as a JSON value."""

    def lines(self) -> Iterable[Line]:
        """The result as text, without colors."""


@dataclass(frozen=True, slots=True)
class LogMessage:
    """A warning or error about a result. It is logged and is not part of the output."""

    code: str
    """Stable code of the log event."""
    message: str
    level: int = logging.WARNING
    """Level of the log event, as in `logging`."""
    run_id: str | None = None
    """The run that the message concerns."""
    data: Mapping[str, Any] = field(default_factory=dict)

    def log(self) -> None:
        """Logs the message."""
        extra = {"code": self.code, "run_id": self.run_id, "data": self.data}
        log.log(self.level, "%s", self.message, extra=extra)


@dataclass(frozen=True, slots=True)
class Listing:
    """A list of results, under a name in JSON. `empty` is the text for no results."""

    name: str
    items: Sequence[Printable]
    empty: str
    exit_code: int = 0

    def to_json(self) -> dict[str, Any]:
        """The list under its name."""
        return {self.name: [each.to_json() for each in self.items]}

    def lines(self) -> Iterable[Line]:
        """The lines of all results."""
        return [line for each in self.items for line in each.lines()] or [self.empty]


@dataclass(frozen=True, slots=True)
class JsonText:
    """A JSON value that is also printed as JSON without `--json`."""

    body: Any

    def to_json(self) -> Any:
        """The value."""
        return self.body

    def lines(self) -> Iterable[Line]:
        """The lines of its text."""
        return json.dumps(self.body, indent=2).split("\n")


@dataclass(frozen=True, slots=True)
class AlternativeText:
    """A result with another text. Its JSON form and exit code are unchanged."""

    result: Printable
    text: Sequence[Line]

    @property
    def exit_code(self) -> int:
        """The exit code of the result."""
        code: int = getattr(self.result, "exit_code", 0)
        return code

    def to_json(self) -> Any:
        """The result as JSON."""
        return self.result.to_json()

    def lines(self) -> Iterable[Line]:
        """The other text."""
        return self.text


@dataclass(frozen=True, slots=True)
class ScopedResult:
    """A result without the entries of tenants that are not in the scope of the account. It does not name or count them."""

    result: Printable

    @property
    def exit_code(self) -> int:
        """The exit code of the result."""
        code: int = getattr(self.result, "exit_code", 0)
        return code

    def to_json(self) -> Any:
        """The result as a JSON object, with a member that says so."""
        return {**self.result.to_json(), "limited_to_tenants_in_scope": True}

    def lines(self) -> Iterable[Line]:
        """The lines of the result, and a line that says so. In text that is JSON, the member says so."""
        if isinstance(self.result, JsonText):
            return JsonText(self.to_json()).lines()
        return [*self.result.lines(), LIMITED_TO_SCOPE]


LIMITED_TO_SCOPE: Final = "limited to the tenants in your scope"


@dataclass(frozen=True, slots=True)
class WrittenFiles:
    """Files that a command wrote, with further members of its JSON form and further lines."""

    files: Sequence[Path]
    about: Mapping[str, Any] = field(default_factory=dict)
    then: Sequence[str] = ()
    prefix: str = "wrote "

    def to_json(self) -> dict[str, Any]:
        """The paths, and what is known about the files."""
        return {"files": [str(path) for path in self.files], **self.about}

    def lines(self) -> Iterable[Line]:
        """A line for each file, then the further lines."""
        return [*(f"{self.prefix}{path}" for path in self.files), *self.then]


class TimedResult(Protocol):
    """An object whose state depends on the time."""

    def to_json(self, at: datetime) -> Any:
        """The state at a time as a JSON value."""

    def lines(self, at: datetime) -> Iterable[Line]:
        """The state at a time as text."""


@dataclass(frozen=True, slots=True)
class ResultAt:
    """An object as a result, with its state at a time."""

    result: TimedResult
    at: datetime

    def to_json(self) -> Any:
        """The state as a JSON value."""
        return self.result.to_json(self.at)

    def lines(self) -> Iterable[Line]:
        """The state as text."""
        return self.result.lines(self.at)


FAILING_SEVERITIES: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {"error": frozenset({"error"}), "warning": frozenset({"error", "warning"}), "never": frozenset()}
)
"""For each value of `--fail-on`, the severities that make a command exit with 1."""


_MANY_FINDINGS: Final = 20
"""With more findings than this, lint ends with their number by code."""


def _severity_counts(errors: int, warnings: int) -> str:
    """The numbers of findings in words, such as `no errors, 1 warning`."""
    return ", ".join(
        count_noun(number, noun) if number else f"no {noun}s"
        for number, noun in ((errors, "error"), (warnings, "warning"))
    )


@dataclass(frozen=True, slots=True)
class LintResult:
    """The findings of lint, and what published tables show. `fail_on` is a key of `FAILING_SEVERITIES`."""

    findings: Sequence[Finding]
    fail_on: str = "error"
    tables: Sequence[Printable] = ()

    @property
    def exit_code(self) -> int:
        """1 if a finding has a severity that fails, else 0."""
        return int(any(finding.severity in FAILING_SEVERITIES[self.fail_on] for finding in self.findings))

    def to_json(self) -> dict[str, Any]:
        """The findings under their name, and the tables if there are any."""
        tables = {"tables": [table.to_json() for table in self.tables]} if self.tables else {}
        return {"findings": [finding.to_json() for finding in self.findings], **tables}

    def _summary_by_code(self) -> Iterator[str]:
        """The number of findings of each code, errors first, then the most frequent."""
        numbers = Counter((finding.severity != "error", finding.code) for finding in self.findings)
        first = {finding.code: finding for finding in reversed(self.findings)}
        yield "by code (`minimize lint --codes` has their meanings; --json has all findings):"
        for (_, code), number in sorted(numbers.items(), key=lambda item: (item[0][0], -item[1], item[0][1])):
            yield f"  {code} {first[code].severity} {number}"

    def lines(self) -> Iterable[Line]:
        """The findings, what the tables show, and how many findings there are of each severity."""
        errors = sum(finding.severity == "error" for finding in self.findings)
        summary = self._summary_by_code() if len(self.findings) > _MANY_FINDINGS else ()
        tables = (line for table in self.tables for line in table.lines())
        return [*self.findings, *tables, *summary, _severity_counts(errors, len(self.findings) - errors)]


_METADATA: Final = "json"
_FORMS: Final[Mapping[type, Callable[[Any], Any]]] = {
    datetime: time_text,
    date: date.isoformat,
    timedelta: lambda span: int(span.total_seconds()),
    PurePath: str,
}


class JsonResult:
    """A dataclass with a JSON form. `json_names` lists its members, separated by spaces, if they are not just its fields."""

    __slots__ = ()
    json_names: ClassVar[str] = ""

    def to_json(self) -> dict[str, Any]:
        """The result as a JSON object."""
        return json_object(self)


def json_member(
    key: str | None = None,
    *,
    earlier: str | None = None,
    convert: Callable[[Any], Any] | None = None,
    omit_none: bool = False,
    omit_empty: bool = False,
    merge: bool = False,
) -> Mapping[str, Any]:
    """The metadata of a dataclass field whose member of the JSON object is not just its name and its value.

    Args:
        key: The key, if it is not the name of the field.
        earlier: The key of earlier versions, which has the same value.
        convert: Computes what is shown from the value of the field, unless that is None.
        omit_none: Whether the member is absent if the value is None.
        omit_empty: Whether the member is absent if the value is false, zero or empty.
        merge: Whether the members of the value become members of this object.
    """
    member = SimpleNamespace(
        key=key, earlier=earlier, convert=convert, omit_none=omit_none, omit_empty=omit_empty, merge=merge
    )
    return {_METADATA: member}


OMIT_IF_NONE: Final = json_member(omit_none=True)
OMIT_IF_EMPTY: Final = json_member(omit_empty=True)


def json_object(result: Any) -> dict[str, Any]:
    """A mapping, or a dataclass by its `json_names` or its fields, as a JSON object. A key has no trailing underscore."""
    if isinstance(result, Mapping):
        return {json_value(key): json_value(each) for key, each in result.items()}
    body: dict[str, Any] = {}
    for name, member in _members(result.__class__):
        value = getattr(result, name)
        if (member.omit_none and value is None) or (member.omit_empty and not value):
            continue
        shown = json_value(value if member.convert is None or value is None else member.convert(value))
        body |= shown if member.merge else {member.key or name.rstrip("_"): shown}
        if member.earlier is not None:
            body[member.earlier] = shown
    return body


@cache
def _members(kind: Any) -> list[tuple[str, SimpleNamespace]]:
    """The names of the attributes that a class shows, in order, and their `json_member`.

    Cached, because a receipt can have ten thousand parts: it halves the time.
    """
    metadata_by_name = {each.name: each.metadata for each in fields(kind)}
    names = getattr(kind, "json_names", "").split() or metadata_by_name
    return [(name, {**json_member(), **metadata_by_name.get(name, {})}[_METADATA]) for name in names]


def json_value(value: Any) -> Any:
    """A value as JSON: by its own `to_json` if it has one. Times are in UTC, durations are whole seconds, sets are sorted.

    >>> json_value({"at": datetime.fromisoformat("2026-11-25T01:00:00+01:00"), "files": {PurePath("b"), PurePath("a")}})
    {'at': '2026-11-25T00:00:00Z', 'files': ['a', 'b']}
    """
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, str | int | float):
        return value
    if hasattr(value, "to_json"):
        return value.to_json()
    if hasattr(value, "model_dump"):  # a model of Pydantic, which the command line does not import
        return value.model_dump(mode="json", by_alias=True)
    if is_dataclass(value) or isinstance(value, Mapping):
        return json_object(value)
    if isinstance(value, Set):
        return sorted(map(json_value, value))
    if isinstance(value, Sequence):
        return [json_value(each) for each in value]
    for kind, form in _FORMS.items():
        if isinstance(value, kind):
            return form(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
