"""Replaces what differs from run to run (ids, times, digests, paths) and what is wording by stable placeholders."""

from __future__ import annotations

import platform
import re
import socket
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

CLOCK = datetime(2026, 11, 25, 8, 17, tzinfo=UTC)
"""When every scenario begins. An odd minute, so that times taken from the clock differ from times in the data."""
CLOCK_WINDOW = timedelta(minutes=12)
"""How long a scenario may last on the scenario's clock."""

PROSE_KEYS = frozenset({"message", "hint", "msg", "about", "text", "title", "description", "why", "sentence"})
"""Texts for people: recorded as `<text>`. A `why` that is a stable word is recorded as it is."""
STABLE_WORDS = re.compile(r"[a-z]+(_[a-z]+)*")
"""What the reasons of decisions look like: `expired`, `no_function`."""
DROPPED_KEYS = frozenset({"versions", "ts"})
NUMBER_KEYS = frozenset({"seconds", "duration", "elapsed", "size", "bytes"})
LITERAL_KEYS = frozenset({"field", "file", "path", "command"})
"""Names and lists of names, however many words they have."""
STABLE_DIGESTS = frozenset({"policy", "plan", "settings", "inputs"})
"""Digests below these keys depend neither on ids nor on times, and are kept."""

_AUDIT_ENTRY = {"sequence", "previous", "digest", "event"}
"""The keys of an entry of the audit log: recorded without its place in the chain, its id and its time."""
_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_IDS = re.compile(
    rf"(?P<run>\d{{8}}T\d{{6}}Z-[0-9a-f]{{12}})"
    rf"|(?P<uuid>{_UUID})"
    r"|(?P<digest>\b(?:sha256|blake3):[0-9a-f]{64}\b|(?<![0-9a-z])[0-9a-f]{64}(?![0-9a-z]))"
    r"|(?P<id>(?<![0-9a-z-])(?:[0-9a-f]{32}|[0-9a-f]{16}|[0-9a-f]{12})(?![0-9a-z-]))"
)
_PLACEHOLDER = re.compile(r"<[a-z]+:\d+>")
_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|\+00:00)?")
_SIGNATURE = re.compile(r"(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{86}==")
_TOKEN = re.compile(r"\bmzd_[A-Za-z0-9_-]+")


class Normalizer:
    """Gives the stable form of values. Ids are numbered in the order in which they are first seen."""

    def __init__(
        self, folder: Path, inputs: Iterable[bytes], digests: Mapping[str, str], stable: Collection[str]
    ) -> None:
        self._folders = sorted({str(folder), str(folder.resolve())}, key=len, reverse=True)
        self._known = {match[0] for text in inputs for match in _IDS.finditer(text.decode("utf-8", "replace"))}
        self._digests = digests
        self._stable = stable
        self._numbers: dict[str, dict[str, int]] = {}
        self._host = socket.gethostname()

    def value(self, value: Any, path: tuple[str, ...] = ()) -> Any:
        """The stable form of a JSON value. `path` are the keys that lead to it."""
        if isinstance(value, Mapping):
            if value.keys() >= _AUDIT_ENTRY:
                event = {key: member for key, member in value["event"].items() if key not in ("id", "time")}
                return {"sequence": value["sequence"], **self.value(event, path)}
            return {
                self.text(str(key), path): self._member(str(key), member, (*path, str(key)))
                for key, member in value.items()
                if key not in DROPPED_KEYS
            }
        if isinstance(value, list | tuple):
            members = [self.value(member, path) for member in value]
            return sorted(members) if _are_placeholders(members) else members
        if isinstance(value, str):
            return "<text>" if is_prose(value) else self.text(value, path)
        if isinstance(value, float):
            return float(f"{value:.10g}")
        return value

    def _member(self, key: str, value: Any, path: tuple[str, ...]) -> Any:
        if key in PROSE_KEYS and isinstance(value, str):
            return value if key == "why" and STABLE_WORDS.fullmatch(value) else "<text>" if value else ""
        if key in LITERAL_KEYS and isinstance(value, str):
            return self.text(value, path)
        if key in NUMBER_KEYS and isinstance(value, int | float):
            return "<number>"
        if key == "host" and value == self._host:
            return "<host>"
        return self.value(value, path)

    def text(self, text: str, path: tuple[str, ...] = ()) -> str:
        """The stable form of a text that is not prose: a name, a path, a code."""
        for folder in self._folders:
            text = text.replace(folder, "<folder>")
        text = _SIGNATURE.sub("<signature>", _TOKEN.sub("<token>", text))
        text = _IDS.sub(lambda match: self._placeholder(match, path), text)
        text = _TIME.sub(_moment, text)
        return text.replace(f"Python/{platform.python_version()}", "<python>")

    def _placeholder(self, match: re.Match[str], path: tuple[str, ...]) -> str:
        kind, found = str(match.lastgroup), match[0]
        if kind in ("uuid", "id") and found in self._known:
            return found
        if kind == "digest":
            if found.rpartition(":")[2] in self._digests:
                return f"<digest of {self._digests[found.rpartition(':')[2]]}>"
            if any(key in self._stable for key in path):
                return found
        numbers = self._numbers.setdefault(kind, {})
        return f"<{kind}:{numbers.setdefault(found, len(numbers) + 1)}>"


def is_prose(text: str) -> bool:
    """Whether a text is a sentence, and not a name, a path or a code."""
    return text.count(" ") >= 2 or "\n" in text


def _are_placeholders(members: list[Any]) -> bool:
    """Whether a list is of ids alone, whose order is that of the ids themselves."""
    return all(isinstance(member, str) and _PLACEHOLDER.fullmatch(member) for member in members)


def _moment(match: re.Match[str]) -> str:
    """`<now>` for a time of the scenario's clock, `<now+30d>` for one that was computed from it; others as they are."""
    moment = datetime.fromisoformat(match[0])
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    halves, rest = divmod(moment - CLOCK, timedelta(minutes=30))
    if rest >= CLOCK_WINDOW:
        return match[0]
    if not halves:
        return "<now>"
    unit, count = next((unit, count) for unit, count in (("d", 48), ("h", 2), ("m", 1)) if halves % count == 0)
    return f"<now{halves // count * (30 if unit == 'm' else 1):+}{unit}>"
