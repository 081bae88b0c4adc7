"""Keys that are forbidden at any depth, and the spellings under which the same content arrives.

A key is forbidden if it is a listed name, in any case and with any separators, in singular or plural, or under another known
name of the same content. It is also forbidden if it ends in a forbidden word for a password, such as `wifi_password`. A
field that the policy declares is forbidden only under its exact name.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from itertools import chain
from typing import Final

from minimize.sources.base import SourceRequest
from minimize.text import normal_form

OTHER_NAMES: Final[tuple[tuple[frozenset[str], frozenset[str]], ...]] = tuple(
    (frozenset(listed.split()), frozenset(others.split()))
    for listed, others in (
        ("call_history call_log", "phone_calls phone_history call_list call_records"),
        (
            "web_history browsing_history",
            "browser_history internet_history search_history visited_sites visited_urls visited_pages",
        ),
        ("mail emails", "email_messages mail_messages mailbox inbox email_content mail_content"),
        ("text_messages sms", "mms messages sms_messages imessages chat_messages chat_history message_history sms_log"),
        ("contacts address_book", "contact_list phone_contacts phone_book"),
        ("calendar", "calendar_events calendar_entries appointments"),
        ("password passwords", "passwd pwd passphrase passcode"),
        ("photos pictures camera_roll", "photo_library photo_album"),
        ("files", "personal_files file_contents"),
    )
)
"""Words of a policy, and other names of the same content. A policy that lists one of the words forbids these names."""
AMBIGUOUS: Final = frozenset({"contact", "email", "file", "message"})
"""Singular forms that are often names of something else, such as a contact's address."""
_FLAGS: Final = frozenset({"is", "has", "no", "needs", "need", "require", "requires", "allow", "allows", "use", "uses"})
"""First words of keys that state a fact about a password and do not hold one."""
_HUMP: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_SEPARATORS: Final = re.compile(r"[\W_]+")
REMEMBERED: Final = 10_000
"""Distinct keys whose result is kept."""


def words_of(name: str) -> tuple[str, ...]:
    """The words of a key.

    >>> words_of("wifiPassword"), words_of("CALL-LOGS")
    (('wifi', 'password'), ('call', 'logs'))
    """
    spaced = _HUMP.sub(" ", normal_form("NFKC", name))
    return tuple(word for word in _SEPARATORS.split(spaced.casefold()) if word)


def _singular(word: str) -> str:
    if word.endswith("ies") and len(word) > 4:
        return f"{word[:-3]}y"
    return word[:-1] if word.endswith("s") and not word.endswith(("ss", "sms", "mms")) else word


def key_form(name: str) -> str:
    """The form in which two spellings of a key are equal.

    >>> key_form("Call-Logs") == key_form("callLog")
    True
    """
    words = words_of(name)
    form = "".join((*words[:-1], _singular(words[-1]))) if words else ""
    return "".join(words) if form in AMBIGUOUS else form


@dataclass(frozen=True)
class ForbiddenNames:
    """The names that a policy forbids at any depth.

    names     the listed names, in the policy's order
    declared  keys of declared fields, which are forbidden under their exact name only
    """

    names: tuple[str, ...]
    declared: frozenset[str]
    _innocent: set[str] = field(default_factory=set, init=False, repr=False, compare=False)

    def __bool__(self) -> bool:
        return bool(self.names)

    @cached_property
    def _by_form(self) -> dict[str, str]:
        """The listed name of each form; a name's own form counts before other names."""
        own = {key_form(name): name for name in reversed(self.names)}
        others = {
            key_form(other): name
            for name in reversed(self.names)
            for listed, names in OTHER_NAMES
            if key_form(name) in {key_form(each) for each in listed}
            for other in names
        }
        return others | own

    @cached_property
    def _exact(self) -> frozenset[str]:
        return frozenset(self.names)

    def name_of(self, key: str) -> str | None:
        """The listed name that forbids a key; None if nothing does."""
        if key in self._innocent:
            return None
        found = key if key in self._exact else None if key in self.declared else self._spelled(key)
        if found is None and len(self._innocent) < REMEMBERED:
            self._innocent.add(key)
        return found

    def names_of(self, keys: Iterable[str]) -> frozenset[str]:
        """The listed names that forbid some of these keys."""
        return frozenset(name for key in keys if (name := self.name_of(key)) is not None)

    def allow(self, keys: Collection[object]) -> bool:
        """Whether none of these keys is forbidden."""
        if self._innocent.issuperset(keys):
            return True
        return all(not isinstance(key, str) or self.name_of(key) is None for key in keys)

    def _spelled(self, key: str) -> str | None:
        found = self._by_form.get(key_form(key))
        if found is not None:
            return found
        words = words_of(key)
        if len(words) < 2 or words[0] in _FLAGS or _singular(words[-1]) != "password":
            return None
        return self._by_form.get("password")


class MatchingKey(str):
    """A listed name as the last part of a path: in a map, it stands for every key that the name forbids."""

    __slots__ = ("names",)

    names: ForbiddenNames

    @classmethod
    def of(cls, name: str, names: ForbiddenNames) -> MatchingKey:
        """The part for a listed name."""
        part = cls(name)
        part.names = names
        return part


def forbidden_names(request: SourceRequest) -> ForbiddenNames:
    """The names that a request forbids at any depth."""
    return _forbidden_names(request.any_depth, tuple(each.pointer.parts for each in request.fields))


@lru_cache(maxsize=64)
def _forbidden_names(names: tuple[str, ...], paths: tuple[tuple[object, ...], ...]) -> ForbiddenNames:
    return ForbiddenNames(names, frozenset(part for part in chain.from_iterable(paths) if isinstance(part, str)))
