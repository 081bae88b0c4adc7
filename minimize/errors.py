"""Exceptions and findings, with stable codes; messages and hints for errors of the operating system."""

from __future__ import annotations

import errno
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import wraps
from inspect import Signature, signature
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Final, Literal, ParamSpec, Self, TypeVar

from minimize.text import count_noun, place_text

_FREE_SPACE_HINT: Final = "Free disk space and run the command again."
_PERMISSION_HINT: Final = "Check the owner and the permissions of the path."
_OS_MESSAGES: Final[Mapping[int, tuple[str, str]]] = {
    errno.ENOSPC: ("the disk is full", _FREE_SPACE_HINT),
    errno.EDQUOT: ("the quota is used up", _FREE_SPACE_HINT),
    errno.EFBIG: ("a file exceeds the size limit", "Check `ulimit -f` and the limits of the file system."),
    errno.EROFS: ("the file system is read-only", "Mount it for writing, or name another folder."),
    errno.EACCES: ("permission is denied", _PERMISSION_HINT),
    errno.EPERM: ("permission is denied", _PERMISSION_HINT),
    errno.EIO: ("a disk error occurred", "Check the system log and the disk."),
    errno.ENOENT: (
        "a file or folder does not exist",
        "Check the path, and that no other program changes this folder.",
    ),
    errno.ESTALE: ("a file or folder was removed", "Check that the network file system is available."),
    errno.EEXIST: ("a file or folder already exists", "Check that no other program changes this folder."),
    errno.ENOTDIR: ("a path is a file and must be a folder", "Move the file."),
    errno.EISDIR: ("a path is a folder and must be a file", "Move the folder."),
    errno.EMFILE: ("too many files are open", "Raise the limit with `ulimit -n`."),
    errno.ENFILE: ("too many files are open", "Check the system log."),
    errno.ENAMETOOLONG: ("a name is too long", "Choose shorter names."),
    errno.ENOMEM: ("memory is used up", "Provide more memory, or lower MINIMIZE_MEMORY."),
}


def describe_os_error(error: OSError) -> tuple[str, str]:
    """A message and a hint for an error of the operating system.

    >>> describe_os_error(OSError(errno.ENOSPC, "No space left on device", "/srv/out/date=2026-11-24"))
    ('the disk is full (ENOSPC)', 'Free disk space and run the command again.')
    """
    what, hint = _OS_MESSAGES.get(error.errno or 0, ("the operation failed", "Check the system log."))
    return f"{what} ({errno_name(error)})", hint


def errno_name(error: OSError) -> str:
    """The symbolic name of the error number, such as ENOSPC."""
    return errno.errorcode.get(error.errno or 0, "unknown error")


P = ParamSpec("P")
T = TypeVar("T")
Severity = Literal["error", "warning"]
UNFINISHED_PUBLICATION: Final = "E208"
SYSTEM_ERROR: Final = "E209"
INTERNAL_ERROR: Final = "E900"
UNPUBLISHED: Final = "the change in progress was not published"
"""The result of a change that an error stopped. What was published before it stays."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault or risky choice: a stable code, its place in a file, and a hint what to do. It has no value of a record.

    `minimize lint --codes` lists the codes. `severity` is `error` or `warning`. `line` counts from 1. File, line and field are
    None if the finding has no such place.

    Example:
        >>> from minimize.errors import Finding
        >>> print(Finding("W048", "this holder has no effect", severity="warning", file="settings.csv", line=24, field="usage"))
        settings.csv:24: warning W048 [usage] this holder has no effect
    """

    code: str
    """The stable code."""
    message: str
    """What is wrong."""
    severity: Severity = "error"
    """`error` or `warning`."""
    hint: str = ""
    """What to do; empty if there is nothing to say."""
    file: str | None = None
    """The file."""
    line: int | None = None
    """The line, from 1."""
    field: str | None = None
    """The key of the field in the policy."""

    @property
    def place(self) -> str:
        """File and line, as far as they are known."""
        return place_text(self.file, self.line)

    @property
    def sentence(self) -> str:
        """Place, field and message."""
        words = (self.place and f"{self.place}:", self.field and f"[{self.field}]", self.message)
        return " ".join(filter(None, words))

    def to_json(self) -> dict[str, Any]:
        """The finding as the JSON object that `lint --json` and `verify --json` print."""
        return asdict(self)

    def __str__(self) -> str:
        text = f"{self.place + ': ' if self.place else ''}{self.severity} {self.code}"
        text += f" [{self.field}]" if self.field else ""
        return f"{text} {self.message}" + (f" (hint: {self.hint})" if self.hint else "")


def unreadable_file(code: str, noun: str, file: Path, hint: str) -> Finding:
    """The finding for a file that could not be read: it does not exist, or has another form than the hint describes."""
    if file.exists():
        return Finding(code, f"{noun} cannot be read", hint=hint, file=str(file))
    return Finding(code, f"{noun} does not exist", hint="Check the path.", file=str(file))


def code_anchor(code: str) -> str:
    """The place in the documentation that explains a code, relative to its start page.

    >>> code_anchor("E201")
    'reference/codes#e201'
    """
    return f"reference/codes#{code.lower()}"


class MinimizeError(Exception):
    """The root of all errors that the library raises on purpose. No message has a value of a record.

    Args:
        message: What happened, and where.
        code: The stable code (default: that of the class).
        hint: What to do.
        findings: The single faults.

    Example:
        >>> import minimize
        >>> policy = {"policy": "p", "version": 1, "purposes": ["operations"], "fields": {"model": {"typ": "string"}}}
        >>> try:
        ...     minimize.apply(policy, None)
        ... except minimize.MinimizeError as error:
        ...     print(error.code, error.exit_code, [each.code for each in error.findings])
        E201 2 ['P004']
    """

    exit_code: ClassVar[int] = 2
    default_code: ClassVar[str] = "E000"
    message_is_heading: ClassVar[bool] = False
    """Whether the message only introduces the findings. A single finding then takes its place."""

    def __init__(self, message: str, *, code: str = "", hint: str = "", findings: Sequence[Finding] = ()) -> None:
        self.message = message
        self.code = code or self.default_code
        self.hint = hint
        self.findings: tuple[Finding, ...] = tuple(findings)
        self.shown_code = self._explained_code = self.code
        self._listed_findings = self.findings
        if len(self.findings) == 1 and (self.message_is_heading or self.findings[0].message == message):
            finding = self.findings[0]
            self._explained_code, self._listed_findings = finding.code, ()
            self.shown_code = finding.code if self.message_is_heading else f"{self.code}/{finding.code}"
            hints = dict.fromkeys(filter(None, (finding.hint, hint)))
            self.message, self.hint = finding.sentence, " ".join(hints)
        super().__init__(self.message)

    def __str__(self) -> str:
        lines = [self.message + (f" (hint: {self.hint})" if self.hint else "")]
        return "\n".join([*lines, *(f"  {finding}" for finding in self._listed_findings)])

    def to_json(self) -> dict[str, Any]:
        """The error as the JSON object that `--json` prints on stderr. `doc` is the place in the documentation of its code."""
        doc = code_anchor(self._explained_code)
        body: dict[str, Any] = {"code": self.code, "message": self.message, "hint": self.hint, "doc": doc}
        return {"error": {**body, "faults": [finding.to_json() for finding in self.findings]}}


class CheckFailed(MinimizeError):
    """A check failed."""

    exit_code = 1
    default_code = "E100"


class VerificationError(CheckFailed):
    """An output does not match its receipts and policies; `findings` lists the places.

    Example:
        In the folder that `minimize sample demo --out demo` makes:

        >>> import minimize
        >>> receipt = minimize.run("pipelines/device_telemetry", date=day, output="out/changed")
        >>> with open(minimize.files("out/changed")[0], "ab") as file:
        ...     size = file.write(b"a byte that no run wrote")
        >>> try:
        ...     minimize.verify("out/changed", keys="demo.keys")
        ... except minimize.VerificationError as error:
        ...     print("V012" in {each.code for each in error.findings})
        True
    """

    default_code = "E101"


class ConfigurationError(MinimizeError):
    """The request is not valid."""

    exit_code = 2
    default_code = "E200"


class PolicyError(ConfigurationError):
    """Faults in policy, pipeline or settings files; `.findings` lists all of them."""

    default_code = "E201"
    message_is_heading = True


class SchemaError(ConfigurationError):
    """The policy and the data disagree; `.findings` is the diff."""

    default_code = "E202"
    message_is_heading = True


class SourceError(ConfigurationError):
    """An input cannot be read."""

    default_code = "E203"


class KeyringError(ConfigurationError):
    """A keyring is missing, readable by others, or lacks a key."""

    default_code = "E204"


class OutputError(ConfigurationError):
    """An output folder cannot be used."""

    default_code = "E205"


class LedgerError(ConfigurationError):
    """A ledger is missing, damaged, locked, unreachable or too new; or another run is writing to an output."""

    default_code = "E206"


class OutOfMemoryError(ConfigurationError):
    """The machine, the container or a Spark executor did not have enough memory."""

    default_code = "E211"

    @classmethod
    def for_location(cls, place: str) -> Self:
        """The error, with a hint at the setting that limits memory. Takes the place where it happened, in words."""
        message = f"out of memory {place}; {UNPUBLISHED}"
        hint = "Lower MINIMIZE_MEMORY (`memory:` of minimize.yaml), which limits the memory of a run, or provide more memory."
        return cls(message, hint=hint)


class RefusedError(MinimizeError):
    """Refused by policy, consent or grant."""

    exit_code = 3
    default_code = "E300"


@dataclass(frozen=True, slots=True)
class RefusalReason:
    """One rule that forbids a disclosure: its name and code, the number of tenants and rows that it withholds, the fields."""

    rule: str
    code: str
    message: str
    tenants: int | None = None
    rows: int | None = None
    fields: tuple[str, ...] = ()
    hint: str = ""

    def __str__(self) -> str:
        counted_nouns = ((self.tenants, "tenant"), (self.rows, "row"))
        counts = ", ".join(count_noun(number, noun) for number, noun in counted_nouns if number is not None)
        return self.message + (f" ({counts})" if counts else "")

    def to_json(self) -> dict[str, Any]:
        """The reason as a JSON object."""
        return {**asdict(self), "fields": list(self.fields)}


class _RefusedWithReasons(RefusedError):
    """Refused by rules; `.reasons` lists every one of them."""

    def __init__(self, message: str, *, reasons: Sequence[RefusalReason] = (), hint: str = "") -> None:
        self.reasons: tuple[RefusalReason, ...] = tuple(reasons)
        super().__init__(message, hint=hint, findings=[_reason_finding(reason) for reason in self.reasons])


class NotPermitted(_RefusedWithReasons):
    """A rule forbids sending data to a third party; `.reasons` lists every such rule."""

    default_code = "E301"


class AccessDenied(_RefusedWithReasons):
    """No role or grant of the account permits the operation; `.reasons` lists every rule that decided."""

    default_code = "E302"


def _reason_finding(reason: RefusalReason) -> Finding:
    return Finding(reason.code, str(reason), hint=reason.hint, field=", ".join(reason.fields) or None)


class StoppedError(MinimizeError):
    """Quarantine above `abort_above`: nothing was published."""

    exit_code = 4
    default_code = "E400"


class RedactedErrors:
    """A block that replaces each unexpected error, because an unexpected error can carry values.

    `replacement` makes the other error. By default it is a MinimizeError that names the type of the unexpected error and the
    place in this library.
    """

    def __init__(self, replacement: Callable[[Exception], Exception] | None = None) -> None:
        self._instead = unexpected_error if replacement is None else replacement

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not isinstance(error, Exception) or isinstance(error, MinimizeError):
            return
        redacted = self._instead(error)
        try:
            raise redacted
        finally:
            redacted.__context__ = None  # `raise` sets it to the unexpected error, even with `from None`
            del error, trace  # or they would stay in a frame of the new error's traceback


def call_redacted(work: Callable[[], T], replacement: Callable[[Exception], MinimizeError] | None = None) -> T:
    """The result of the work. Its errors are replaced as in a block of `RedactedErrors`."""
    with RedactedErrors(replacement):
        return work()


def redact_errors(function: Callable[P, T]) -> Callable[P, T]:
    """Decorates a public function: unexpected errors are replaced, because they can carry values.

    A call that does not fit the parameters raises TypeError, as for any function.
    """
    shape = signature(function)

    @wraps(function)
    def redacted(*args: P.args, **kwargs: P.kwargs) -> T:
        with RedactedErrors(lambda error: _binding_error(shape, args, kwargs) or unexpected_error(error)):
            return function(*args, **kwargs)

    return redacted


def _binding_error(shape: Signature, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> TypeError | None:
    """The error of a call that does not fit the parameters, which contains no values."""
    try:
        shape.bind(*args, **kwargs)
    except TypeError as error:
        return error.with_traceback(None)
    return None


def iterate_redacted(items: Iterator[T]) -> Iterator[T]:
    """The items. Errors of the iterator are replaced as in a block of `RedactedErrors`."""
    with RedactedErrors():
        yield from items


def unexpected_error(error: Exception) -> MinimizeError:
    """The MinimizeError for an unexpected error. It names the type (or the errno name) and the place in this library.

    It never contains the message of the unexpected error.
    """
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return OutOfMemoryError.for_location(_place(error.__traceback__))
    where = _place(error.__traceback__)
    if isinstance(error, OSError):
        what, hint = describe_os_error(error)
        message = f"the operating system reports an error: {what}, {where}; {UNPUBLISHED}"
        return ConfigurationError(message, code=SYSTEM_ERROR, hint=hint)
    message = f"an error inside minimize: {type(error).__name__} {where}; {UNPUBLISHED}"
    return ConfigurationError(
        message, code=INTERNAL_ERROR, hint="Please report it with this line; it contains no values."
    )


def _place(trace: TracebackType | None) -> str:
    frames = [frame for frame in traceback.extract_tb(trace) if "minimize" in frame.filename]
    if not frames:
        return "at an unknown place"
    last = frames[-1]
    return f"in {last.filename.rpartition('minimize/')[2]}:{last.lineno} ({last.name})"
