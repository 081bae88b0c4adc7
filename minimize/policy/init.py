"""Drafting a policy for data that was found: every field is dropped, and what it may be is said beside it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from minimize.pointer import Pointer
from minimize.policy.fields import DECIMAL, MAX_DIGITS, TYPES
from minimize.policy.policies import NAME
from minimize.policy.roles import perhaps
from minimize.policy.scope import pointer_of

_HEAD = """\
# Drafted from the data that was found. Every field is dropped; keep only what a purpose needs, as coarse as it can be.
# A line's remark is a guess from the field's name. Then: minimize lint, minimize plan.
policy: {name}
version: 1
owner: nobody@example.com               # who answers for this policy
purposes: [operations]                  # or customer_support, service_maintenance, quality_and_security
{roles}
{retention}
fields:
"""
_GUESSES = {
    "tenant": r"(tenant|account|customer|org(ani[sz]ation)?)_?id",
    "subject": r"(device|user|person|subject|installation)_?(id|guid|uuid)",
    "time": r"(event|record|created|occurred)_?(time|timestamp|at)|time(stamp)?|ts",
    "record": r"(event|record|message)_?(id|guid|uuid)",
}


def draft(schema: Sequence[tuple[str, str]], name: str) -> str:
    """The text of a policy in which every field found is dropped, ready to edit; it loads without faults.

    Takes the leaves that were found, as pointers (or columns) with the policy's word for their type, and a name.

    >>> print(draft([("/phone", "string")], "calls").splitlines()[-1])
      phone: {type: string, do: drop}  # identifier?
    """
    leaves = {pointer: type_ for key, type_ in schema if (pointer := pointer_of(key)) is not None}
    roles = "\n".join(_head_line(word, leaves) for word in _GUESSES)
    retention = "# retention: 30d                         # counts from `time`"
    head = _HEAD.format(name=name_from(name), roles=roles, retention=retention)
    return head + "".join(field_line(pointer, type_) for pointer, type_ in leaves.items())


def name_from(text: str) -> str:
    """A name that a policy or pipeline may have, as close to a text as that can be.

    >>> name_from("2026 check-ins")
    'p_2026_check-ins'
    """
    words = re.sub(r"[^A-Za-z0-9_-]+", "_", text).strip("_-")[:60]
    return words if re.fullmatch(NAME, words) else f"p_{words}".rstrip("_")


def _head_line(word: str, leaves: dict[Pointer, str]) -> str:
    """A key of the head, as a remark: naming a field makes records without it faulty, so that is for a person to say."""
    about = {"tenant": "whose settings count", "subject": "whom a record is about", "time": "when it happened"}
    found = next((key_text(pointer) for pointer, type_ in leaves.items() if _is_guess(word, pointer, type_)), "FIELD")
    return f"{f'# {word}: {found}':<40}# {about.get(word, 'which record it is')}"


def _is_guess(word: str, pointer: Pointer, type_: str) -> bool:
    if pointer.stars or (word == "time" and type_ not in ("timestamp", "date")):
        return False
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", str(pointer.parts[-1])).lower()
    return re.fullmatch(_GUESSES[word], snake) is not None


def field_line(pointer: Pointer, type_: str) -> str:
    """The line of a field that is dropped, with a guess at its role."""
    role = perhaps(pointer)
    remark = f"  # {role}?" if role else ""
    if pointer.top == "date":
        return f"  # {key_text(pointer)}: `date` is the name of the partition; rename the field at its source\n"
    word = _type(type_)
    if word is None:
        return f"  # {key_text(pointer)}: no type of a policy stands for {_shown(type_)}; dropped, as is all that is not named\n"
    return f"  {key_text(pointer)}: {{type: {word}, do: drop}}{remark}\n"


def key_text(pointer: Pointer) -> str:
    """The field's key: a plain column by its name, quoted where YAML would read something else."""
    plain = pointer.is_flat and not pointer.top.startswith("/")
    text = pointer.top if plain else str(pointer)
    safe = re.fullmatch(r"[A-Za-z_/][A-Za-z0-9_/*.~-]*", text) and text.lower() not in ("null", "true", "false")
    return text if safe else f'"{"".join(map(_escaped, text))}"'


def _escaped(char: str) -> str:
    if char in '"\\':
        return f"\\{char}"
    return char if char.isprintable() else f"\\U{ord(char):08x}"


def _type(type_: str) -> str | None:
    """The word as it stands in the file; None for one that no field may have."""
    digits = re.fullmatch(DECIMAL, type_)
    if digits:
        return f'"{type_}"' if 1 <= int(digits[1]) <= MAX_DIGITS and int(digits[2]) <= int(digits[1]) else None
    return type_ if type_ in TYPES and type_ != "decimal" else None


def _shown(type_: str) -> str:
    """The type's name, one word."""
    return re.sub(r"[^\w,()]+", " ", type_).strip()
