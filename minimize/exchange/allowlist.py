"""Allow-lists, `table: {field: keep|hash}`: what they let through is proposed, an unkeyed hash as a keyed pseudonym."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from minimize.drafting.rules import KEY
from minimize.errors import ConfigurationError
from minimize.exchange.base import Column, Described
from minimize.exchange.documents import listed, mapping
from minimize.pointer import DEEPEST, Pointer
from minimize.policy.faults import did_you_mean
from minimize.policy.steps import HASHES

_KEEP: Final = frozenset({"keep", "allow", "pass", "include", "true"})
_DROP: Final = frozenset({"drop", "deny", "remove", "exclude", "null", "false"})
_MASK: Final = frozenset({"mask", "redact", "obfuscate"})


def read(document: Any, choice: str | None = None) -> Described:
    """The policy of one table. A list of fields keeps all of them. Raises ConfigurationError for a table that is not there."""
    tables = {str(name): below for name, below in mapping(document).items() if mapping(below) or listed(below)}
    if not tables:
        raise ConfigurationError("this is no allow-list", hint="`table: {field: keep|hash}`, or `table: [field, …]`")
    name = choice or next(iter(tables))
    if name not in tables or (choice is None and len(tables) > 1):
        hint = did_you_mean(name, tables) if choice else f"one of {', '.join(map(repr, sorted(tables)))}"
        raise ConfigurationError("say which table the policy is for: --object NAME", hint=hint)
    fields = mapping(tables[name]) or dict.fromkeys(map(str, listed(tables[name])), "keep")
    left_out: dict[str, str] = {}
    columns = tuple(_columns(fields, (), left_out))
    remarks = ("An allow-list has no types: each field is taken for text; say what it is.",)
    return Described(name, columns, remarks=remarks, left_out=left_out)


def _columns(fields: Any, above: tuple[str, ...], left_out: dict[str, str]) -> Iterator[Column]:
    for name, said in fields.items():
        parts = (*above, str(name))
        if not parts[0] or len(parts) > DEEPEST:
            left_out["/".join(parts)[:100]] = "no field can have this name"
        elif mapping(said):
            yield from _columns(said, parts, left_out)
        else:
            yield _column(Pointer(parts), str(said).lower() if said is not None else "null", left_out)


def _column(pointer: Pointer, word: str, left_out: dict[str, str]) -> Column:
    plain = word.replace("-", "_")
    if plain in _KEEP:
        return Column(pointer, "string", do="keep", said="the allow-list keeps it")
    if plain in HASHES:
        do = f"{{pseudonymize: {{key: {KEY}}}}}"
        return Column(
            pointer, "string", "identifier", do=do, said="the allow-list hashes it; a hash without a key is undone"
        )
    if plain in _DROP or plain in _MASK:
        return Column(pointer, "string", do="drop", said=f"the allow-list says `{word}`")
    return Column(pointer, "string", do="drop", said="the allow-list says a word that is not known")
