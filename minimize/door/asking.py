"""What somebody asks the door for, as JSON that is read strictly: nothing is guessed, and nothing unknown is passed over."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn

from minimize.door.names import is_dataset, is_word
from minimize.door.refusing import malformed
from minimize.door.where import Condition, conditions
from minimize.errors import MinimizeError

LARGEST: Final = 1 << 20
"""Bytes of a request."""
MOST_COLUMNS: Final = 1000
MOST_TOKENS: Final = 256
"""Tokens that are turned back at once."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A dataset to read.

    columns     these, in this order; None for all that is open
    where       conditions, on columns as whoever asks sees them
    mixed_keys  whether pseudonyms of two versions of a key may stand in one column
    """

    dataset: str
    columns: tuple[str, ...] | None = None
    where: tuple[Condition, ...] = ()
    purpose: str | None = None
    incident: str | None = None
    mixed_keys: bool = False

    @property
    def named(self) -> tuple[str, ...] | None:
        """Every column that is named, to be shown or to choose rows by; None where all are wanted."""
        if self.columns is None:
            return None
        return tuple(dict.fromkeys((*self.columns, *(each.column for each in self.where))))

    def as_json(self) -> bytes:
        """The request: the command of a descriptor, or a ticket."""
        body: dict[str, Any] = {"read": self.dataset}
        if self.columns is not None:
            body["columns"] = list(self.columns)
        if self.where:
            body["where"] = [each.as_json() for each in self.where]
        return _sent(body, self.purpose, self.incident, {"mixed_keys": True} if self.mixed_keys else {})


@dataclass(frozen=True, slots=True)
class Reversal:
    """Tokens of one column to turn back into what they stand for, for an incident."""

    dataset: str
    column: str
    tokens: tuple[str, ...] = field(repr=False)
    purpose: str | None = None
    incident: str | None = None

    def as_json(self) -> bytes:
        """The request."""
        body = {"reidentify": self.dataset, "column": self.column, "tokens": list(self.tokens)}
        return _sent(body, self.purpose, self.incident, {})


def asked(content: bytes) -> Ask | Reversal:
    """What a request asks for. Raises ConfigurationError (B002), which repeats nothing of it."""
    body = _object(content)
    if "read" in body:
        return _ask(body)
    if "reidentify" in body:
        return _reversal(body)
    raise malformed("a request says `read` or `reidentify`, and the name of a dataset")


def ask_for(
    dataset: str,
    columns: Sequence[str] | None = None,
    where: Any = None,
    purpose: str | None = None,
    incident: str | None = None,
    mixed_keys: bool = False,
) -> Ask:
    """A read, checked. Raises ConfigurationError (B002)."""
    named = None if columns is None else _words(columns, "columns", MOST_COLUMNS)
    found = conditions(where)
    if not isinstance(mixed_keys, bool):
        raise malformed("`mixed_keys` is true or false")
    return Ask(_dataset(dataset), named, found, _word(purpose, "purpose"), _word(incident, "incident"), mixed_keys)


def reversal_of(
    dataset: str, column: str, tokens: Sequence[str], purpose: str | None = None, incident: str | None = None
) -> Reversal:
    """Tokens to turn back, checked. Raises ConfigurationError (B002)."""
    name = _word(column, "column")
    if name is None:
        raise malformed("`column` names one column")
    several = _words(tokens, "tokens", MOST_TOKENS, longest=1 << 16)
    return Reversal(_dataset(dataset), name, several, _word(purpose, "purpose"), _word(incident, "incident"))


def _ask(body: dict[str, Any]) -> Ask:
    _known(body, ("read", "columns", "where", "purpose", "incident", "mixed_keys"))
    given = {name: value for name, value in body.items() if name != "read"}
    return ask_for(body["read"], **given)


def _reversal(body: dict[str, Any]) -> Reversal:
    _known(body, ("reidentify", "column", "tokens", "purpose", "incident"))
    given = {"column": None, "tokens": None, **body}
    return reversal_of(given.pop("reidentify"), **given)


def _object(content: bytes) -> dict[str, Any]:
    found = None
    if len(content) <= LARGEST:
        try:
            found = json.loads(content.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_number)
        except (ValueError, RecursionError, MinimizeError):
            found = None
    if not isinstance(found, dict):
        raise malformed(f"a request is one JSON object in UTF-8, at most {LARGEST:,} bytes, each name once")
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError("a name stands twice")
    return dict(pairs)


def _no_number(_: str) -> NoReturn:
    raise ValueError("this is no JSON")


def _known(body: dict[str, Any], names: tuple[str, ...]) -> None:
    if not body.keys() <= set(names):
        raise malformed(f"a request that says `{names[0]}` may say {', '.join(names[1:])}, and nothing else")


def _dataset(name: Any) -> str:
    if not isinstance(name, str) or not is_dataset(name):
        raise malformed("a dataset is a pipeline's name, or PIPELINE/OUTPUT")
    return name


def _word(text: Any, name: str) -> str | None:
    if text is None or (isinstance(text, str) and is_word(text)):
        return text
    raise malformed(f"`{name}` is a text of one line")


def _words(texts: Any, name: str, most: int, longest: int | None = None) -> tuple[str, ...]:
    is_list = isinstance(texts, list | tuple) and 0 < len(texts) <= most
    if not is_list or not all(isinstance(each, str) for each in texts):
        raise malformed(f"`{name}` is a list of 1 to {most} texts")
    if not all(len(each) <= longest if longest else is_word(each) for each in texts):
        raise malformed(f"`{name}` has a text that is too long, or of more than one line")
    if len(set(texts)) < len(texts):
        raise malformed(f"`{name}` names something twice")
    return tuple(texts)


def _sent(body: dict[str, Any], purpose: str | None, incident: str | None, more: dict[str, Any]) -> bytes:
    given = {"purpose": purpose, "incident": incident}
    return json.dumps({**body, **{name: text for name, text in given.items() if text is not None}, **more}).encode()
