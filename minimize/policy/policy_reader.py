"""Read a policy file: one field, the checks between its parts, then the reader of head, features, fields and approval."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from minimize.arrow.pointers import Pointer
from minimize.policy.approval import APPROVAL_PATTERNS, content_digest
from minimize.policy.faults import FaultList
from minimize.policy.fields import (
    DECIMAL_PATTERN,
    FIELD_TYPES,
    MAX_DECIMAL_DIGITS,
    is_dropped,
    overlapping_fields,
    steps_of,
    treatments_of,
)
from minimize.policy.mapping_reader import (
    DeclaredNames,
    KeyReader,
    MappingShape,
    NodeReaders,
    declared_names,
    field_pointer,
    forbidden_pointer,
    read_mapping,
)
from minimize.policy.model import DROP, FeatureModel, Field, FieldCase, Policy, PolicyApproval, RecordsGate
from minimize.policy.purposes import read_purposes
from minimize.policy.value_readers import ConditionReader, TechniqueReader, read_duration
from minimize.policy.yaml_nodes import YamlNode
from minimize.sources.types import CONTAINER_TYPES
from minimize.techniques import TechniqueStep
from minimize.text import did_you_mean


@dataclass(frozen=True, slots=True)
class FieldReader(KeyReader):
    """Reads one field. `added_purposes` are those that the configuration adds."""

    added_purposes: tuple[str, ...] = ()

    def __call__(self, node: YamlNode) -> Field | None:
        """The field; None where no field could be made of it."""
        pointer = field_pointer(self.key)
        if pointer is not None and pointer.is_keys:
            self.fault("P015", f"`{self.key}` are the keys of a map", node.line, "say `keys:` in the entry of the map")
            return None
        if pointer is None:
            hint = "a column's name, or a JSON Pointer such as /apps/*/name; `~0` is a tilde, `~1` a slash, `~2` a star"
            self.fault("P015", f"`{self.key}` is neither a column nor a pointer", node.line, hint)
            return None
        if pointer.top == "date":
            self.fault("P015", "`date` is the name of the partition", node.line, "rename the field at its source")
        field = read_mapping(Field, node, self.scope.faults, self.shape(node))
        if field is not None and node.is_mapping:
            self.check(field, node)
        return field

    def shape(self, node: YamlNode) -> MappingShape:
        """How the mapping of a field is read."""
        steps = TechniqueReader(self.scope, self.key)
        readers: NodeReaders = {
            "type": lambda below: self.type_(below, node),
            "do": steps.treatment,
            "otherwise": steps.treatment,
            "keys": steps.treatment,
            "in_aggregates": steps.chain,
            "cases": self.cases,
            "collect_if": ConditionReader(self.scope, self.key),
            "feature": lambda below: self.scope.word(below, "feature", self.scope.feature, self.key),
            "level": lambda below: self.scope.word(below, "level", self.scope.level, self.key),
            "purposes": self.purposes,
            "from": self.inputs,
        }
        given = {"key": self.key, "line": node.line} | ({"type": "struct"} if node.get("from") else {})
        hidden = frozenset({"key", "line"})
        return MappingShape(
            "a field", readers, given, {"type": "string"} | given, {"from": "from_"}, hidden=hidden, key=self.key
        )

    def type_(self, node: YamlNode, field: YamlNode) -> str | None:
        """The policy's word for a type."""
        text = str(node.value)
        digits = re.fullmatch(DECIMAL_PATTERN, text)
        if digits:
            return self.decimal(int(digits[1]), int(digits[2]), node.line)
        if text in FIELD_TYPES and text != "decimal":
            return text
        torn = text.startswith("decimal(") and any(key.endswith(")") for key in field.entries)
        hint = 'quote it: type: "decimal(10,2)"' if torn or text == "decimal" else did_you_mean(text, FIELD_TYPES)
        self.fault("P007", f"`{text}` is no type", node.line, hint)
        return None

    def decimal(self, digits: int, scale: int, line: int | None) -> str | None:
        """The word for a decimal of so many digits, of which so many stand after the point."""
        if 1 <= digits <= MAX_DECIMAL_DIGITS and scale <= digits:
            return f"decimal({digits},{scale})"
        hint = f"decimal(p,s) has 1 to {MAX_DECIMAL_DIGITS} digits, and s is at most p"
        self.fault("P006", f"decimal({digits},{scale}) is no decimal", line, hint)
        return None

    def cases(self, node: YamlNode) -> tuple[FieldCase, ...] | None:
        """The cases, in order."""
        if not node.items:
            self.fault("P006", "`cases` wants a list of {if: …, do: …}", node.line)
            return None
        found = [read_mapping(FieldCase, item, self.scope.faults, self.case_shape()) for item in node.items]
        good = tuple(case for case in found if case is not None)
        return good if len(good) == len(found) else None

    def case_shape(self) -> MappingShape:
        """How the mapping of a case is read."""
        readers: NodeReaders = {
            "if": ConditionReader(self.scope, self.key),
            "do": TechniqueReader(self.scope, self.key).treatment,
        }
        return MappingShape("a case", readers, aliases={"if": "when"}, key=self.key)

    def purposes(self, node: YamlNode) -> tuple[str, ...] | None:
        """The purposes for which the field may be had."""
        return read_purposes(node, self.scope, self.added_purposes, self.key)

    def inputs(self, node: YamlNode) -> tuple[str, ...] | None:
        """The fields from which this one is derived."""
        own = field_pointer(self.key)
        found = [self.scope.key_of(str(item.value), item.line, "`from`", self.key) for item in node.items]
        good = tuple(key for key in found if key is not None)
        if not node.items:
            self.fault("P006", "`from` wants a list of fields", node.line)
        if len(set(good)) < len(good):
            self.fault("P018", "`from` names a field twice", node.line)
        for key in good:
            pointer = field_pointer(key)
            if own is not None and pointer is not None and pointer.stars != own.stars:
                self.fault("P018", f"`{key}` and the field that is made from it stand in different lists", node.line)
        return good if good and len(good) == len(found) else None

    def check(self, field: Field, node: YamlNode) -> None:
        """What must hold between the parts of one field."""
        if node.get("cases") and node.get("do"):
            hint = "`otherwise` says what becomes of the rest"
            self.fault("P018", "a field has `do` or `cases`, not both", node.entries["do"].line, hint)
        if node.get("otherwise") and not node.get("cases"):
            line = node.entries["otherwise"].line
            self.fault("P018", "`otherwise` belongs to `cases`", line, "say `do`, or add `cases`")
        if field.role == "secret" and not (is_dropped(field) and not field.in_aggregates):
            self.fault("P014", "a secret may only be dropped", node.line, "say `do: drop`")
        self.check_keys(field, node)
        for step in (*steps_of(field), *(field.keys if isinstance(field.keys, tuple) else ())):
            self.check_reads(step, node.line)

    def check_keys(self, field: Field, node: YamlNode) -> None:
        """Keys belong to a map, and leave with the values that stand in it."""
        line = node.entries["keys"].line if node.get("keys") else node.line
        if field.keys is not None and field.type != "map":
            self.fault("P018", "`keys` belongs to a map", line, "say `type: map`, or leave it out")
        if field.keys not in (None, DROP):
            if field.role == "secret":
                self.fault("P014", "a secret may only be dropped", line, "say `keys: drop`")
            if field.is_gated or field.cases:
                hint = "write `feature`, `level`, `collect_if` and `cases` at the fields below the map"
                self.fault("P018", "the keys of a map leave with its values and have no gate of their own", line, hint)
            if isinstance(field.keys, tuple) and any(step.name == "top" for step in field.keys):
                self.fault("P018", "`top` does not take the keys of a map", line)

    def check_reads(self, step: TechniqueStep, line: int | None) -> None:
        """What a step reads beside its own value must be declared, as it is spelled there, and within reach."""
        own = field_pointer(self.key)
        for text in sorted(step.reads()):
            key = self.scope.key_of(text, line, f"`{step.name}`", self.key)
            pointer = field_pointer(text)
            if key is not None and key != text:
                self.fault(
                    "P010", f"`{step.name}` names `{text}`, which is declared as `{key}`", line, f"write `{key}`"
                )
            word = self.scope.types.get(key or "")
            if step.reads_only and word in FIELD_TYPES and word not in step.reads_only:
                hint = f"it takes {', '.join(step.reads_only)}"
                self.fault("P018", f"`{step.name}` reads `{text}`, which is {word}", line, hint)
            if own is not None and pointer is not None and pointer.stars != own.stars[: len(pointer.stars)]:
                self.fault("P018", f"`{step.name}` reads `{text}`, which stands in another list", line)


@dataclass(frozen=True, slots=True)
class PolicyChecks:
    """What must hold between the parts of a policy."""

    policy: Policy
    scope: DeclaredNames
    root: YamlNode

    def check_all(self) -> None:
        """Every check, in turn."""
        self.spellings()
        self.shadows()
        self.forbidden()
        self.event_time()
        self.inputs()
        self.containers()
        self.keys()

    def spellings(self) -> None:
        """No field stands twice in two spellings."""
        first: dict[Pointer, str] = {}
        for key, node in (self.root.get("fields") or YamlNode({})).entries.items():
            pointer = field_pointer(key)
            if pointer is not None and first.setdefault(pointer, key) != key:
                self.fault("P002", f"`{key}` is the field `{first[pointer]}` again", node.line, key)

    def shadows(self) -> None:
        """No released field stands below another released one."""
        shown = {field.pointer: key for key, field in self.policy.fields.items() if not is_dropped(field)}
        for above, below in overlapping_fields(shown):
            line = self.policy.fields[below].line
            self.fault("P018", f"`{above}` and `{below}` cannot both be released", line, below, "drop one of them")

    def forbidden(self) -> None:
        """What must never arrive cannot be kept."""
        for key, field in self.policy.fields.items():
            if not is_dropped(field) and any(never.covers(field.pointer) for never in self.policy.never):
                self.fault("P018", f"`{key}` must never arrive, says `never`", field.line, key, "drop one of the two")

    def event_time(self) -> None:
        """The event time is a time, and is there where a step asks for it."""
        time = self.policy.time
        if time is not None and self.scope.types.get(time) not in ("timestamp", "date"):
            hint = "type: timestamp"
            self.fault("P017", f"`time` names `{time}`, which is no timestamp", self.line("time"), time, hint)
        for key, field in self.policy.fields.items():
            for step in steps_of(field) if self.root.get("time") is None else ():
                if step.needs_time:
                    self.fault("P017", f"`{step.name}` needs the event time", field.line, key, "say `time: FIELD`")

    def inputs(self) -> None:
        """Derived fields are made from fields as they came in, and never from secrets."""
        derived = {key: field for key, field in self.policy.fields.items() if field.from_}
        for key, field in derived.items():
            for name in field.from_:
                if name in derived:
                    self.fault("P018", f"`{key}` is made from `{name}`, which is derived itself", field.line, key)
                if self.is_secret(name):
                    self.fault("P014", f"`{key}` is made from the secret `{name}`", field.line, key, "drop it")
        for word in ("tenant", "subject", "time", "record"):
            if getattr(self.policy, word) in derived:
                self.fault("P018", f"`{word}` names a derived field", self.line(word), getattr(self.policy, word))

    def containers(self) -> None:
        """Of a list, a struct or a map only its presence or size can leave: what stands in it is named leaf by leaf."""
        for key, field in self.policy.fields.items():
            if any(self.scope.types.get(name) in CONTAINER_TYPES for name in field.from_ or (key,)) and keeps_container(
                field
            ):
                hint = "`presence` or `size`; what is to be kept of it has a pointer of its own"
                self.fault("P018", f"`{key}` would keep a container whole", field.line, key, hint)

    def keys(self) -> None:
        """The keys of a map leave beside a value that stands in it."""
        shown = [field.pointer for field in self.policy.fields.values() if not is_dropped(field)]
        for field in self.policy.fields.values():
            if field.pointer.is_keys and not is_dropped(field):
                star = field.pointer.stars[-1]
                if not any(pointer.within(star) for pointer in shown):
                    hint = f"keep or generalize a field below `{star}`, or say `keys: drop`"
                    self.fault(
                        "P018", "keys of a map leave beside its values, and none leaves", field.line, field.key, hint
                    )

    def is_secret(self, key: str) -> bool:
        """Whether a declared field is a secret."""
        field = self.policy.fields.get(key)
        return field is not None and field.role == "secret"

    def line(self, word: str) -> int | None:
        """Where a key of the head stands."""
        return self.root.descend([word]).line

    def fault(self, code: str, message: str, line: int | None, key: str | None = None, hint: str = "") -> None:
        """Takes down a fault."""
        self.scope.faults.add(code, message, line=line, key=key, hint=hint)


def keeps_container(field: Field) -> bool:
    """Whether any way of a field begins with something else than being reduced to its presence or size."""
    chains = [*treatments_of(field), *([field.in_aggregates] if field.in_aggregates else [])]
    return any(not isinstance(way, str) and way[0].name not in ("presence", "size") for way in chains)


NAME_PATTERN = r"[A-Za-z_][A-Za-z0-9_-]{0,63}"


@dataclass(frozen=True, slots=True)
class PolicyReader:
    """Reads one policy. `added_purposes` are those that the configuration adds, `preset` is what only the loader knows."""

    scope: DeclaredNames
    added_purposes: tuple[str, ...]
    preset: dict[str, Any]

    def __call__(self, root: YamlNode) -> Policy | None:
        """The policy, with stand-ins where there are faults; None where there is nothing to stand on."""
        stand_ins = {"policy": "", "version": 1, "purposes": (), "fields": {}}
        given = {"lines": dict(root.key_lines()), "form": content_digest(root), **self.preset}
        hidden = frozenset({"path", "digest", "lines", "form"})
        policy = read_mapping(
            Policy, root, self.scope.faults, MappingShape("a policy", self.readers(), given, stand_ins, hidden=hidden)
        )
        if policy is not None:
            PolicyChecks(policy, self.scope, root).check_all()
        return policy

    def readers(self) -> dict[str, Any]:
        """How the keys of a policy are read."""
        named = {word: self.record_field(word) for word in ("tenant", "subject", "time", "record")}
        return {
            **named,
            "policy": lambda node: read_name(node, "policy", self.scope),
            "version": self.version,
            "purposes": lambda node: read_purposes(node, self.scope, self.added_purposes),
            "retention": lambda node: read_duration(node, self.scope, "retention"),
            "future": lambda node: read_duration(node, self.scope, "future"),
            "levels": self.levels,
            "features": self.features,
            "fields": self.fields,
            "never": self.never,
            "records": self.records,
            "approved": self.approved,
        }

    def record_field(self, word: str) -> Any:
        """A reader for the key of a field that stands once in a record."""

        def read(node: YamlNode) -> str | None:
            key = self.scope.field(node, word)
            pointer = None if key is None else field_pointer(key)
            if pointer is not None and pointer.stars:
                self.scope.faults.add("P018", f"`{word}` wants one value a record, not a list", line=node.line)
                return None
            return key

        return read

    def version(self, node: YamlNode) -> int | None:
        """A whole number from 1."""
        if node.positive_integer is None:
            self.scope.faults.add("P006", "`version` wants a whole number from 1", line=node.line)
        return node.positive_integer

    def levels(self, node: YamlNode) -> tuple[str, ...] | None:
        """The levels, from the one that is always on to the highest."""
        names = tuple(item.value for item in node.items if isinstance(item.value, str) and item.value)
        if not names or len(names) < len(node.items):
            self.scope.faults.add("P006", "`levels` wants a list of names, lowest first", line=node.line)
            return None
        if len(set(names)) < len(names):
            self.scope.faults.add("P002", "a level stands twice", line=node.line)
        return names

    def features(self, node: YamlNode) -> dict[str, FeatureModel] | None:
        """The optional kinds of collection, by name."""
        if not node.is_mapping:
            self.scope.faults.add("P006", "`features` wants a mapping of names", line=node.line)
            return None
        found = {name: self.feature(name, below) for name, below in node.entries.items()}
        return {name: feature for name, feature in found.items() if feature is not None}

    def feature(self, name: str, node: YamlNode) -> FeatureModel | None:
        """One feature."""
        if name == "level" or not re.fullmatch(NAME_PATTERN, name):
            hint = "letters, digits, _ and -; `level` is the word for levels in the settings"
            self.scope.faults.add("P015", f"`{name}` cannot name a feature", line=node.line, hint=hint)
        readers: NodeReaders = {"retention": lambda below: read_duration(below, self.scope, "retention")}
        body = YamlNode({}, node.line) if node.value is None else node
        return read_mapping(
            FeatureModel,
            body,
            self.scope.faults,
            MappingShape(f"the feature `{name}`", readers, stand_ins={"about": ""}),
        )

    def fields(self, node: YamlNode) -> dict[str, Field] | None:
        """The fields, in the policy's order, by key."""
        if not node.entries:
            self.scope.faults.add("P006", "`fields` wants a mapping of fields", line=node.line)
            return None
        found = {key: FieldReader(self.scope, key, self.added_purposes)(below) for key, below in node.entries.items()}
        both = ((field, field.keys_field) for field in found.values() if field is not None)
        return {field.key: field for pair in both for field in pair if field is not None}

    def never(self, node: YamlNode) -> tuple[Pointer, ...] | None:
        """The paths of what must not even arrive."""
        found = [forbidden_pointer(item.value) if isinstance(item.value, str) else None for item in node.items]
        good = tuple(pointer for pointer in found if pointer is not None)
        if not good or len(good) < len(found):
            self.scope.faults.add("P006", "`never` wants a list of keys or pointers", line=node.line)
            return None
        return good

    def approved(self, node: YamlNode) -> PolicyApproval | None:
        """Who approved it, and what."""
        readers: NodeReaders = {word: partial(self.approval_part, word) for word in APPROVAL_PATTERNS}
        return read_mapping(PolicyApproval, node, self.scope.faults, MappingShape("`approved`", readers))

    def approval_part(self, word: str, node: YamlNode) -> str | None:
        """A part of an approval, as `minimize policy approve` writes it."""
        if isinstance(node.value, str) and re.fullmatch(APPROVAL_PATTERNS[word], node.value):
            return node.value
        hint = "`minimize policy approve` writes this key"
        self.scope.faults.add("P006", f"`{word}` of `approved` is not as it should be", line=node.line, hint=hint)
        return None

    def records(self, node: YamlNode) -> RecordsGate | None:
        """What may become of whole records."""
        scope = self.scope
        readers: NodeReaders = {
            "collect_if": ConditionReader(scope),
            "feature": lambda below: scope.word(below, "feature", scope.feature),
            "level": lambda below: scope.word(below, "level", scope.level),
        }
        return read_mapping(
            RecordsGate, node, scope.faults, MappingShape("`records`", readers, stand_ins={"level": None})
        )


def read_name(node: YamlNode, what: str, scope: DeclaredNames) -> str | None:
    """A name that can stand in paths and receipts."""
    if isinstance(node.value, str) and re.fullmatch(NAME_PATTERN, node.value):
        return node.value
    hint = "a letter or _, then letters, digits, _ and -"
    scope.faults.add("P015", f"this is no name for a {what}", line=node.line, hint=hint)
    return None


def read_policy(
    root: YamlNode, folder: Path, faults: FaultList, configured_purposes: tuple[str, ...], values: dict[str, Any]
) -> tuple[Policy | None, DeclaredNames]:
    """A policy and its names from nodes; what is wrong stands in `faults`."""
    scope = declared_names(root, folder, faults)
    return PolicyReader(scope, configured_purposes, values)(root), scope
