"""Text of a drafted policy: all fields are dropped, with a guess about each next to it. YAML keys and quoting."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from minimize.arrow.pointers import Pointer
from minimize.policy.fields import DECIMAL_PATTERN, FIELD_TYPES, MAX_DECIMAL_DIGITS
from minimize.policy.mapping_reader import field_pointer
from minimize.policy.policy_reader import NAME_PATTERN
from minimize.policy.roles import suggested_role

_YAML_CONSTANTS = ("null", "true", "false")
"""Words that YAML reads as something else."""
_SCHEMA = "# yaml-language-server: $schema={schema}\n"
_GUESSED = "A line's remark is a guess from the field's name."
_PROPOSED = "What is proposed counts once it is accepted, by hand or: minimize init DIR --accept FIELD."
_HEAD = """\
# Drafted from the data that was found. Every field is dropped; keep only what a purpose needs, as coarse as it can be.
# {remark} Then: minimize lint, minimize plan.
policy: {name}
version: 1
owner: nobody@example.com               # who answers for this policy
purposes: [operations]                  # or customer_support, service_maintenance, quality_and_security
{roles}
{retention}
fields:
"""
_RECORD_FIELD_NAMES = {
    "tenant": r"(tenant|account|customer|org(ani[sz]ation)?)_?id",
    "subject": r"(device|user|person|subject|installation)_?(id|guid|uuid)",
    "time": r"(event|record|created|occurred)_?(time|timestamp|at)|time(stamp)?|ts",
    "record": r"(event|record|message)_?(id|guid|uuid)",
}


def draft_policy_text(
    schema: Sequence[tuple[str, str]],
    name: str,
    remarks: Mapping[Pointer, Sequence[str]] | None = None,
    editor: str | None = None,
    parts: Mapping[str, Pointer] | None = None,
) -> str:
    """The text of a policy in which every field found is dropped, ready to edit; it loads without faults.

    Takes the leaves that were found, as pointers (or columns) with the policy's word for their type, a name, the remarks that
    stand above a field's line, the path of the JSON Schema that editors complete by, and which field is what to its record
    (as its name says, where that is not given).

    >>> print(draft_policy_text([("/phone", "string")], "calls").splitlines()[-1])
      phone: {type: string, do: drop}  # identifier?
    """
    leaves = nameable_fields(schema)
    guesses = guess_record_fields(leaves) if parts is None else parts
    roles = "\n".join(head_line(word, guesses.get(word)) for word in _RECORD_FIELD_NAMES)
    retention = "# retention: 30d                         # counts from `time`"
    remark = _GUESSED if remarks is None else _PROPOSED
    head = _HEAD.format(name=valid_name(name), roles=roles, retention=retention, remark=remark)
    lines = (_field_with_remarks(pointer, type_, (remarks or {}).get(pointer, ())) for pointer, type_ in leaves.items())
    return ("" if editor is None else _SCHEMA.format(schema=editor)) + head + "".join(lines)


def nameable_fields(schema: Sequence[tuple[str, str]]) -> dict[Pointer, str]:
    """The fields that a policy can name, with their types."""
    return {pointer: type_ for key, type_ in schema if (pointer := field_pointer(key)) is not None}


def guess_record_fields(leaves: Mapping[Pointer, str]) -> dict[str, Pointer]:
    """Which field is what to its record (`tenant`, `subject`, `time`, `record`), by its name."""
    found = {
        word: [each for each, type_ in leaves.items() if _is_record_field(word, each, type_)]
        for word in _RECORD_FIELD_NAMES
    }
    return {word: pointers[0] for word, pointers in found.items() if pointers}


def can_be_declared(pointer: Pointer, type_: str) -> bool:
    """Whether a policy can have this field: its name is not the partition's, and there is a word for its type."""
    return pointer.top != "date" and type_text(type_) is not None


def _field_with_remarks(pointer: Pointer, type_: str, remarks: Sequence[str]) -> str:
    """A field's line, below what is to be said of it."""
    if not remarks or not can_be_declared(pointer, type_):
        return field_line(pointer, type_)
    return "".join(f"  # {remark}\n" for remark in remarks) + field_line(pointer, type_, guess=False)


def valid_name(text: str) -> str:
    """A name that a policy or pipeline may have, as close to a text as that can be.

    >>> valid_name("2026 check-ins")
    'p_2026_check-ins'
    """
    words = re.sub(r"[^A-Za-z0-9_-]+", "_", text).strip("_-")[:60]
    good = re.fullmatch(NAME_PATTERN, words) and words.lower() not in _YAML_CONSTANTS
    return words if good else f"p_{words}".rstrip("_")


def head_line(word: str, pointer: Pointer | None) -> str:
    """A key of the head, as a remark: naming a field makes records without it faulty, so that is for a person to say."""
    about = {"tenant": "whose settings count", "subject": "whom a record is about", "time": "when it happened"}
    found = "FIELD" if pointer is None else key_text(pointer)
    return f"{f'# {word}: {found}':<40}# {about.get(word, 'which record it is')}"


def _is_record_field(word: str, pointer: Pointer, type_: str) -> bool:
    if pointer.stars or (word == "time" and type_ not in ("timestamp", "date")):
        return False
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", str(pointer.parts[-1])).lower()
    return re.fullmatch(_RECORD_FIELD_NAMES[word], snake) is not None


def field_line(pointer: Pointer, type_: str, *, guess: bool = True) -> str:
    """The line of a field that is dropped, with a guess at its role."""
    role = suggested_role(pointer) if guess else None
    remark = f"  # {role}?" if role else ""
    if pointer.top == "date":
        return f"  # {key_text(pointer)}: `date` is the name of the partition; rename the field at its source\n"
    word = type_text(type_)
    if word is None:
        return f"  # {key_text(pointer)}: no type of a policy stands for {_label(type_)}; dropped, as is all that is not named\n"
    keys = ", keys: drop" if type_ == "map" else ""
    return f"  {key_text(pointer)}: {{type: {word}, do: drop{keys}}}{remark}\n"


def key_text(pointer: Pointer) -> str:
    """The field's key: a plain column by its name, quoted where YAML would read something else."""
    plain = pointer.is_flat and not pointer.top.startswith("/")
    text = pointer.top if plain else str(pointer)
    safe = re.fullmatch(r"[A-Za-z_/][A-Za-z0-9_/*.~-]*", text) and text.lower() not in _YAML_CONSTANTS
    return text if safe else quote_yaml(text)


def quote_yaml(text: str) -> str:
    r"""A text as YAML reads it back, whatever stands in it, on one line.

    >>> quote_yaml('say "so"\n')
    '"say \\"so\\"\\U0000000a"'
    """
    return f'"{"".join(map(_escape_char, text))}"'


def _escape_char(char: str) -> str:
    if char in '"\\':
        return f"\\{char}"
    return char if char.isprintable() else f"\\U{ord(char):08x}"


def type_text(type_: str) -> str | None:
    """The word as it stands in the file; None for one that no field may have."""
    digits = re.fullmatch(DECIMAL_PATTERN, type_)
    if digits:
        return f'"{type_}"' if 1 <= int(digits[1]) <= MAX_DECIMAL_DIGITS and int(digits[2]) <= int(digits[1]) else None
    return type_ if type_ in FIELD_TYPES and type_ != "decimal" else None


def _label(type_: str) -> str:
    """The type's name, one word."""
    return re.sub(r"[^\w,()]+", " ", type_).strip()
