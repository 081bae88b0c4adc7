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
from minimize.policy.form_values import NAME_PATTERN
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
    """Reads one field. `added_purposes` are the purposes that the configuration adds."""

    added_purposes: tuple[str, ...] = ()

    def __call__(self, node: YamlNode) -> Field | None:
        """The field; None if it could not be read."""
        pointer = field_pointer(self.key)
        if pointer is not None and pointer.is_keys:
            self.fault(
                "P015", f"`{self.key}` names the keys of a map", node.line, "Use `keys:` in the entry of the map."
            )
            return None
        if pointer is None:
            hint = (
                "Use a column name or a JSON Pointer such as /apps/*/name; `~0` is a tilde, `~1` a slash, `~2` a star."
            )
            self.fault("P015", f"`{self.key}` is neither a column name nor a JSON Pointer", node.line, hint)
            return None
        if pointer.top == "date":
            self.fault("P015", "`date` is reserved for the partition", node.line, "Rename the field in the source.")
        field = read_mapping(Field, node, self.scope.faults, self.shape(node))
        if field is not None and node.is_mapping:
            self.check(field, node)
        return field

    def shape(self, node: YamlNode) -> MappingShape:
        """The shape of the mapping of a field."""
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
            f"field `{self.key}`",
            readers,
            given,
            {"type": "string"} | given,
            {"from": "from_"},
            hidden=hidden,
            key=self.key,
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
        hint = 'Quote it: type: "decimal(10,2)".' if torn or text == "decimal" else did_you_mean(text, FIELD_TYPES)
        self.fault("P007", f"unknown type `{text}`", node.line, hint)
        return None

    def decimal(self, digits: int, scale: int, line: int | None) -> str | None:
        """The type word of a decimal with `digits` digits, `scale` of them after the point."""
        if 1 <= digits <= MAX_DECIMAL_DIGITS and scale <= digits:
            return f"decimal({digits},{scale})"
        hint = f"Use decimal(p,s) with p from 1 to {MAX_DECIMAL_DIGITS} and s at most p."
        self.fault("P006", f"decimal({digits},{scale}) is not a valid type", line, hint)
        return None

    def cases(self, node: YamlNode) -> tuple[FieldCase, ...] | None:
        """The cases, in order."""
        if not node.items:
            self.fault("P006", "`cases` must be a list of {if: …, do: …}", node.line)
            return None
        found = [read_mapping(FieldCase, item, self.scope.faults, self.case_shape()) for item in node.items]
        good = tuple(case for case in found if case is not None)
        return good if len(good) == len(found) else None

    def case_shape(self) -> MappingShape:
        """The shape of the mapping of a case."""
        readers: NodeReaders = {
            "if": ConditionReader(self.scope, self.key),
            "do": TechniqueReader(self.scope, self.key).treatment,
        }
        return MappingShape("a case", readers, aliases={"if": "when"}, key=self.key)

    def purposes(self, node: YamlNode) -> tuple[str, ...] | None:
        """The purposes for which the field may be used."""
        return read_purposes(node, self.scope, self.added_purposes, self.key)

    def inputs(self, node: YamlNode) -> tuple[str, ...] | None:
        """The fields from which this one is derived."""
        own = field_pointer(self.key)
        found = [self.scope.key_of(str(item.value), item.line, "`from`", self.key) for item in node.items]
        good = tuple(key for key in found if key is not None)
        if not node.items:
            self.fault("P006", "`from` must be a list of fields", node.line)
        if len(set(good)) < len(good):
            self.fault("P018", "`from` names a field twice", node.line)
        for key in good:
            pointer = field_pointer(key)
            if own is not None and pointer is not None and pointer.stars != own.stars:
                self.fault("P018", f"`{key}` and the field that is derived from it are in different lists", node.line)
        return good if good and len(good) == len(found) else None

    def check(self, field: Field, node: YamlNode) -> None:
        """Checks the parts of one field against each other."""
        if node.get("cases") and node.get("do"):
            hint = "Move the treatment of the remaining values to `otherwise`."
            self.fault("P018", "a field must not have both `do` and `cases`", node.entries["do"].line, hint)
        if node.get("otherwise") and not node.get("cases"):
            line = node.entries["otherwise"].line
            self.fault("P018", "`otherwise` is only valid with `cases`", line, "Use `do`, or add `cases`.")
        if field.role == "secret" and not (is_dropped(field) and not field.in_aggregates):
            self.fault("P014", "a field with role secret must be dropped", node.line, "Set `do: drop`.")
        self.check_keys(field, node)
        for step in (*steps_of(field), *(field.keys if isinstance(field.keys, tuple) else ())):
            self.check_reads(step, node.line)

    def check_keys(self, field: Field, node: YamlNode) -> None:
        """Checks `keys`, which only a map has; keys are released together with the values of the map."""
        line = node.entries["keys"].line if node.get("keys") else node.line
        if field.keys is not None and field.type != "map":
            self.fault("P018", "`keys` is only valid for a map", line, "Set `type: map`, or remove `keys`.")
        if field.keys not in (None, DROP):
            if field.role == "secret":
                self.fault("P014", "a field with role secret must be dropped", line, "Set `keys: drop`.")
            if field.is_gated or field.cases:
                hint = "Set `feature`, `level`, `collect_if` and `cases` on the fields below the map."
                self.fault(
                    "P018", "the keys of a map are released with its values and cannot have their own gate", line, hint
                )
            if isinstance(field.keys, tuple) and any(step.name == "top" for step in field.keys):
                self.fault("P018", "`top` is not valid for the keys of a map", line)

    def check_reads(self, step: TechniqueStep, line: int | None) -> None:
        """Checks the other fields that a step reads: declared, spelled as declared, of a suitable type, not in another list."""
        own = field_pointer(self.key)
        for text in sorted(step.reads()):
            key = self.scope.key_of(text, line, f"`{step.name}`", self.key)
            pointer = field_pointer(text)
            if key is not None and key != text:
                self.fault(
                    "P010", f"`{step.name}` names `{text}`, which is declared as `{key}`", line, f"Write `{key}`."
                )
            word = self.scope.types.get(key or "")
            if step.reads_only and word in FIELD_TYPES and word not in step.reads_only:
                hint = f"Use a field of type {', '.join(step.reads_only)}."
                self.fault("P018", f"`{step.name}` reads `{text}`, which has the type {word}", line, hint)
            if own is not None and pointer is not None and pointer.stars != own.stars[: len(pointer.stars)]:
                self.fault("P018", f"`{step.name}` reads `{text}`, which is in another list", line)


@dataclass(frozen=True, slots=True)
class PolicyChecks:
    """Checks of the parts of a policy against each other."""

    policy: Policy
    scope: DeclaredNames
    root: YamlNode

    def check_all(self) -> None:
        """Runs all checks."""
        self.spellings()
        self.shadows()
        self.forbidden()
        self.event_time()
        self.inputs()
        self.containers()
        self.keys()

    def spellings(self) -> None:
        """No field is declared twice in two spellings."""
        first: dict[Pointer, str] = {}
        for key, node in (self.root.get("fields") or YamlNode({})).entries.items():
            pointer = field_pointer(key)
            if pointer is not None and first.setdefault(pointer, key) != key:
                self.fault("P002", f"`{key}` declares the field `{first[pointer]}` a second time", node.line, key)

    def shadows(self) -> None:
        """No released field is below another released one."""
        shown = {field.pointer: key for key, field in self.policy.fields.items() if not is_dropped(field)}
        for above, below in overlapping_fields(shown):
            line = self.policy.fields[below].line
            self.fault("P018", f"`{above}` and `{below}` cannot both be released", line, below, "Drop one of them.")

    def forbidden(self) -> None:
        """No field below a forbidden path is kept."""
        for key, field in self.policy.fields.items():
            if not is_dropped(field) and any(never.covers(field.pointer) for never in self.policy.never):
                self.fault(
                    "P018",
                    f"`{key}` is kept, but `never` forbids it",
                    field.line,
                    key,
                    "Drop the field, or remove the path from `never`.",
                )

    def event_time(self) -> None:
        """The event time is a time, and is named if a step needs it."""
        time = self.policy.time
        if time is not None and self.scope.types.get(time) not in ("timestamp", "date"):
            hint = "Set `type: timestamp` for the field."
            self.fault("P017", f"`time` names `{time}`, which is not a timestamp", self.line("time"), time, hint)
        for key, field in self.policy.fields.items():
            for step in steps_of(field) if self.root.get("time") is None else ():
                if step.needs_time:
                    self.fault("P017", f"`{step.name}` needs the event time", field.line, key, "Add `time: FIELD`.")

    def inputs(self) -> None:
        """Derived fields are made from raw fields, never from derived fields or secrets."""
        derived = {key: field for key, field in self.policy.fields.items() if field.from_}
        for key, field in derived.items():
            for name in field.from_:
                if name in derived:
                    self.fault("P018", f"`{key}` is derived from `{name}`, which is itself derived", field.line, key)
                if self.is_secret(name):
                    self.fault(
                        "P014", f"`{key}` is derived from the secret `{name}`", field.line, key, "Drop the field."
                    )
        for word in ("tenant", "subject", "time", "record"):
            if getattr(self.policy, word) in derived:
                self.fault("P018", f"`{word}` names a derived field", self.line(word), getattr(self.policy, word))

    def containers(self) -> None:
        """Only the presence or size of a list, a struct or a map can be released. Its content is declared leaf by leaf."""
        for key, field in self.policy.fields.items():
            if any(self.scope.types.get(name) in CONTAINER_TYPES for name in field.from_ or (key,)) and keeps_container(
                field
            ):
                hint = "Use `presence` or `size`, and declare each part to keep by its own pointer."
                self.fault("P018", f"`{key}` would keep a whole container", field.line, key, hint)

    def keys(self) -> None:
        """The keys of a map are released only together with a value of the map."""
        shown = [field.pointer for field in self.policy.fields.values() if not is_dropped(field)]
        for field in self.policy.fields.values():
            if field.pointer.is_keys and not is_dropped(field):
                star = field.pointer.stars[-1]
                if not any(pointer.within(star) for pointer in shown):
                    hint = f"Keep or generalize a field below `{star}`, or set `keys: drop`."
                    self.fault(
                        "P018",
                        "the keys of a map are released only with its values, and no value is released",
                        field.line,
                        field.key,
                        hint,
                    )

    def is_secret(self, key: str) -> bool:
        """Whether a declared field is a secret."""
        field = self.policy.fields.get(key)
        return field is not None and field.role == "secret"

    def line(self, word: str) -> int | None:
        """The line of a top-level key."""
        return self.root.descend([word]).line

    def fault(self, code: str, message: str, line: int | None, key: str | None = None, hint: str = "") -> None:
        """Records a fault."""
        self.scope.faults.add(code, message, line=line, key=key, hint=hint)


def keeps_container(field: Field) -> bool:
    """Whether any treatment of a field shows elements of its lists or maps."""
    chains = [*treatments_of(field), *([field.in_aggregates] if field.in_aggregates else [])]
    return any(not isinstance(way, str) and not way[0].summarizes for way in chains)


@dataclass(frozen=True, slots=True)
class PolicyReader:
    """Reads one policy. `added_purposes` are added by the configuration; `preset` has the values that only the loader knows."""

    scope: DeclaredNames
    added_purposes: tuple[str, ...]
    preset: dict[str, Any]

    def __call__(self, root: YamlNode) -> Policy | None:
        """The policy, with stand-ins for faulty parts; None if that is not possible."""
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
        """The readers of the keys of a policy."""
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
        """A reader for the key of a field that occurs once in a record."""

        def read(node: YamlNode) -> str | None:
            key = self.scope.field(node, word)
            pointer = None if key is None else field_pointer(key)
            if pointer is not None and pointer.stars:
                self.scope.faults.add(
                    "P018", f"`{word}` must name a field with one value per record, not a list", line=node.line
                )
                return None
            return key

        return read

    def version(self, node: YamlNode) -> int | None:
        """A whole number from 1."""
        if node.positive_integer is None:
            self.scope.faults.add("P006", "`version` must be a whole number from 1", line=node.line)
        return node.positive_integer

    def levels(self, node: YamlNode) -> tuple[str, ...] | None:
        """The levels, from the one that is always on to the highest."""
        names = tuple(item.value for item in node.items if isinstance(item.value, str) and item.value)
        if not names or len(names) < len(node.items):
            self.scope.faults.add("P006", "`levels` must be a list of names, lowest first", line=node.line)
            return None
        if len(set(names)) < len(names):
            self.scope.faults.add("P002", "a level is listed twice", line=node.line)
        return names

    def features(self, node: YamlNode) -> dict[str, FeatureModel] | None:
        """The optional kinds of collection, by name."""
        if not node.is_mapping:
            self.scope.faults.add("P006", "`features` must be a mapping of names", line=node.line)
            return None
        found = {name: self.feature(name, below) for name, below in node.entries.items()}
        return {name: feature for name, feature in found.items() if feature is not None}

    def feature(self, name: str, node: YamlNode) -> FeatureModel | None:
        """One feature."""
        if name == "level" or not re.fullmatch(NAME_PATTERN, name):
            hint = "Use letters, digits, _ and -. The name `level` is reserved."
            self.scope.faults.add("P015", f"`{name}` is not a valid name for a feature", line=node.line, hint=hint)
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
            self.scope.faults.add("P006", "`fields` must be a mapping of fields", line=node.line)
            return None
        found = {key: FieldReader(self.scope, key, self.added_purposes)(below) for key, below in node.entries.items()}
        both = ((field, field.keys_field) for field in found.values() if field is not None)
        return {field.key: field for pair in both for field in pair if field is not None}

    def never(self, node: YamlNode) -> tuple[Pointer, ...] | None:
        """The forbidden paths."""
        found = [forbidden_pointer(item.value) if isinstance(item.value, str) else None for item in node.items]
        good = tuple(pointer for pointer in found if pointer is not None)
        if not good or len(good) < len(found):
            self.scope.faults.add("P006", "`never` must be a list of keys or pointers", line=node.line)
            return None
        return good

    def approved(self, node: YamlNode) -> PolicyApproval | None:
        """The approval: by whom, on which day, of which content."""
        readers: NodeReaders = {word: partial(self.approval_part, word) for word in APPROVAL_PATTERNS}
        return read_mapping(PolicyApproval, node, self.scope.faults, MappingShape("`approved`", readers))

    def approval_part(self, word: str, node: YamlNode) -> str | None:
        """A part of an approval, in the form that `minimize policy approve` writes."""
        if isinstance(node.value, str) and re.fullmatch(APPROVAL_PATTERNS[word], node.value):
            return node.value
        hint = "Run `minimize policy approve`, which writes this key."
        self.scope.faults.add("P006", f"`{word}` of `approved` is not valid", line=node.line, hint=hint)
        return None

    def records(self, node: YamlNode) -> RecordsGate | None:
        """The gate of whole records."""
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
    """A name that is valid in paths and receipts."""
    if isinstance(node.value, str) and re.fullmatch(NAME_PATTERN, node.value):
        return node.value
    hint = "Use a letter or _, then letters, digits, _ and -."
    scope.faults.add("P015", f"this is not a valid name for a {what}", line=node.line, hint=hint)
    return None


def read_policy(
    root: YamlNode, folder: Path, faults: FaultList, configured_purposes: tuple[str, ...], values: dict[str, Any]
) -> tuple[Policy | None, DeclaredNames]:
    """A policy and its declared names, read from nodes. Faults are added to `faults`."""
    scope = declared_names(root, folder, faults)
    return PolicyReader(scope, configured_purposes, values)(root), scope
