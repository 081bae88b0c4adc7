"""Allow-lists, `table: {field: keep|hash}`: import as proposals; an unkeyed hash becomes a keyed pseudonym.

`__defaults__` has fields that every table has. A document that has only fields and words is an allow-list of one table.
`keep_all` keeps fields that the allow-list does not name, which a policy cannot: they are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from minimize.arrow.pointers import MAX_PARTS, Pointer
from minimize.drafting.proposals import FieldEvidence, treatment_for
from minimize.errors import ConfigurationError
from minimize.interop.documents import DescribedColumn, DescribedDataset, as_list, as_mapping
from minimize.policy.treatments import UNKEYED_HASHES
from minimize.text import did_you_mean

_KEEP: Final = frozenset({"keep", "allow", "pass", "include", "true"})
_DROP: Final = frozenset({"drop", "deny", "remove", "exclude", "null", "false"})
_MASK: Final = frozenset({"mask", "redact", "obfuscate"})


_DEFAULTS: Final = "__defaults__"
_KEEP_ALL: Final = "keep_all"
_NOT_NAMED: Final = "the allow-list keeps fields that it does not name; declare each of them"
_ONLY_TABLE: Final = "fields"
"""The name of the table of a document that names none."""


def read_allow_list(document: Any, choice: str | None = None) -> DescribedDataset:
    """The policy of one table. A list of fields keeps all of them. Raises ConfigurationError for a missing table."""
    whole = as_mapping(document)
    defaults = as_mapping(whole.get(_DEFAULTS))
    tables = {str(name): below for name, below in whole.items() if name != _DEFAULTS and _is_table(below)}
    if not tables and whole and all(isinstance(word, str) for word in whole.values()):
        tables = {choice or _ONLY_TABLE: whole}
    if not tables:
        raise ConfigurationError(
            "the document is not an allow-list", hint="Write `table: {field: keep|hash}` or `table: [field, …]`."
        )
    name = choice or next(iter(tables))
    if name not in tables or (choice is None and len(tables) > 1):
        hint = (
            did_you_mean(name, tables)
            if choice
            else f"Pass --object with one of {', '.join(map(repr, sorted(tables)))}."
        )
        raise ConfigurationError("--object must name a table of the document", hint=hint)
    fields = as_mapping(tables[name]) or dict.fromkeys(map(str, as_list(tables[name])), "keep")
    left_out: dict[str, str] = {}
    if _is_keep_all(tables[name]):
        left_out["*"] = _NOT_NAMED
    columns = tuple(_columns(_merge_fields(defaults, fields), (), left_out))
    remarks = ("An allow-list has no types, so each field is declared as text. Correct the types.",)
    return DescribedDataset(name, columns, remarks=remarks, left_out=left_out)


def _is_table(below: Any) -> bool:
    return bool(as_mapping(below) or as_list(below)) or _is_keep_all(below)


def _is_keep_all(entry: Any) -> bool:
    return isinstance(entry, str) and entry.lower().replace("-", "_") == _KEEP_ALL


def _merge_fields(defaults: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a table with those of `__defaults__`. The table's own words decide."""
    merged = dict(defaults)
    for name, entry in fields.items():
        nested = as_mapping(entry) and as_mapping(defaults.get(name))
        merged[name] = _merge_fields(as_mapping(defaults[name]), entry) if nested else entry
    return merged


def _columns(fields: Any, above: tuple[str, ...], left_out: dict[str, str]) -> Iterator[DescribedColumn]:
    for name, entry in fields.items():
        parts = (*above, str(name))
        if not parts[0] or len(parts) > MAX_PARTS:
            left_out["/".join(parts)[:100]] = "a field cannot have this name"
        elif as_mapping(entry):
            yield from _columns(entry, parts, left_out)
        elif _is_keep_all(entry):
            left_out["/".join((*parts, "*"))[:100]] = _NOT_NAMED
        else:
            yield _column(Pointer(parts), str(entry).lower() if entry is not None else "null", left_out)


def _column(pointer: Pointer, word: str, left_out: dict[str, str]) -> DescribedColumn:
    plain = word.replace("-", "_")
    if plain in _KEEP:
        return DescribedColumn(pointer, "string", do="keep", reason="the allow-list keeps it")
    if plain in UNKEYED_HASHES:
        do = treatment_for("identifier", FieldEvidence(pointer, "string"))
        reason = "the allow-list hashes it; a hash without a key can be reversed"
        return DescribedColumn(pointer, "string", "identifier", do=do, reason=reason)
    if plain in _DROP or plain in _MASK:
        return DescribedColumn(pointer, "string", do="drop", reason=f"the allow-list has `{word}` for it")
    return DescribedColumn(pointer, "string", do="drop", reason="the allow-list has an unknown word for it")
