"""Reading what becomes of a value: `drop`, a technique by its word, with parameters, or a list of them in order."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel

from minimize.policy.faults import did_you_mean
from minimize.policy.model import DROP, Do
from minimize.policy.scope import Scope
from minimize.policy.shape import Shape, build
from minimize.policy.yaml import Node
from minimize.techniques import TECHNIQUES, Step

# fmt: off
HASHES = frozenset({
    "hash", "hashed", "md5", "sha", "sha1", "sha2", "sha224", "sha256", "sha384", "sha512", "sha3", "sha_256",
    "sha_512", "blake2", "blake2b", "blake2s", "blake3", "crc32", "xxhash", "murmur", "murmur3", "digest", "checksum",
    "fingerprint", "anonymize", "anonymise",
})
# fmt: on
WHY_NO_HASH = (
    "an unkeyed hash of an address, a phone number or a serial number is undone by hashing all of them; "
    "`pseudonymize` is keyed"
)


@dataclass(frozen=True, slots=True)
class StepReader:
    """Reads the steps of one field."""

    scope: Scope
    key: str

    def do(self, node: Node) -> Do | None:
        """`drop`, or a chain of steps; None where a fault was taken down."""
        return DROP if node.value == DROP else self.chain(node)

    def chain(self, node: Node) -> tuple[Step, ...] | None:
        """A chain of at least one step."""
        items = node.items if node.is_list else (node,)
        steps = [self.step(item) for item in items]
        good = tuple(step for step in steps if step is not None)
        if not items:
            self.fault("P006", "an empty list of techniques", node.line, "say `drop`, or what becomes of the value")
        return good if items and len(good) == len(steps) else None

    def step(self, node: Node) -> Step | None:
        """One technique: its word, or its word with parameters."""
        if isinstance(node.value, str):
            return self.named(node.value, Node({}, node.line), node.line)
        if node.is_mapping and len(node.entries) == 1:
            word, below = next(iter(node.entries.items()))
            return self.named(word, below, below.line)
        hint = "several techniques are a list, applied in order" if node.is_mapping else ""
        self.fault("P006", "a technique is a word, or a word with its parameters", node.line, hint)
        return None

    def named(self, word: str, parameters: Node, line: int | None) -> Step | None:
        """The technique of this word, with these parameters."""
        if word == DROP:
            self.fault("P006", "`drop` stands alone: no parameters, no chain", line)
            return None
        kind = TECHNIQUES.get(word)
        if kind is None:
            self.unknown(word, line)
            return None
        node = _spelled_out(kind, parameters)
        if node is None:
            self.fault("P013", f"`{word}` wants its parameters by name", line, ", ".join(_words(kind)))
            return None
        context = {"folder": self.scope.folder}
        shape = Shape(f"`{word}`", key=self.key, code="P013", parameters=True, context=context)
        return build(kind, node, self.scope.faults, shape)

    def unknown(self, word: str, line: int | None) -> None:
        """The fault for a word that is no technique; hashes get an explanation."""
        if word.lower().replace("-", "_") in HASHES:
            self.fault("P012", f"there is no `{word}`: {WHY_NO_HASH}", line, "did you mean `pseudonymize`?")
            return
        self.fault("P011", f"there is no technique `{word}`", line, did_you_mean(word, [*TECHNIQUES, DROP]))
        return

    def fault(self, code: str, message: str, line: int | None, hint: str = "") -> None:
        """Takes down a fault of this field."""
        self.scope.faults.add(code, message, line=line, key=self.key, hint=hint)


def _spelled_out(kind: type[BaseModel], node: Node) -> Node | None:
    """Parameters as a mapping: nothing is an empty one, and a lone value is the only (required) parameter."""
    if node.is_mapping:
        return node
    if node.value is None:
        return Node({}, node.line)
    main = main_parameter(kind)
    return None if main is None else Node({main: node}, node.line)


def main_parameter(kind: type[BaseModel]) -> str | None:
    """The parameter that a lone value stands for: the only required one, else the only one; None where that is not clear."""
    every = [info.alias or name for name, info in kind.model_fields.items()]
    required = [info.alias or name for name, info in kind.model_fields.items() if info.is_required()]
    if len(required) == 1:
        return required[0]
    return every[0] if len(every) == 1 else None


def _words(kind: type[BaseModel]) -> list[str]:
    return [info.alias or name for name, info in kind.model_fields.items()]
