"""Checks of the parts of a policy against each other. They add their faults to those of the file."""

from __future__ import annotations

from dataclasses import dataclass

from minimize.arrow.pointers import Pointer
from minimize.arrow.types import CONTAINER_TYPES
from minimize.forms.values import FIELD_TYPES
from minimize.forms.yaml_nodes import FaultList, YamlNode
from minimize.policy.fields import is_dropped, overlapping_fields, steps_of, treatments_of
from minimize.policy.model import Field, Policy
from minimize.policy.names import PolicyNames, field_pointer
from minimize.policy.treatments import DROP
from minimize.techniques import TechniqueStep
from minimize.text import did_you_mean


@dataclass(frozen=True, slots=True)
class PolicyChecks:
    """Checks of the parts of a policy against each other."""

    policy: Policy
    names: PolicyNames
    root: YamlNode
    faults: FaultList

    def check_all(self) -> None:
        """Runs all checks."""
        for key, node in (self.root.get("fields") or YamlNode({})).entries.items():
            if key in self.policy.fields:
                FieldChecks(self.policy.fields[key], self.names, node, self.faults).check_all()
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
        if time is not None and self.names.types.get(time) not in ("timestamp", "date"):
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
            if any(self.names.types.get(name) in CONTAINER_TYPES for name in field.from_ or (key,)) and keeps_container(
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
        self.faults.add(code, message, line=line, key=key, hint=hint)


def keeps_container(field: Field) -> bool:
    """Whether any treatment of a field shows elements of its lists or maps."""
    chains = [*treatments_of(field), *([field.in_aggregates] if field.in_aggregates else [])]
    return any(not isinstance(way, str) and not way[0].summarizes for way in chains)


@dataclass(frozen=True, slots=True)
class FieldChecks:
    """Checks of the parts of one field against each other, and of the other fields that its steps and inputs name."""

    field: Field
    names: PolicyNames
    node: YamlNode
    faults: FaultList

    def check_all(self) -> None:
        """Runs all checks."""
        field = self.field
        if field.pointer.top == "date":
            self.fault("P015", "`date` is reserved for the partition", hint="Rename the field in the source.")
        if self.is_written("cases") and self.is_written("do"):
            hint = "Move the treatment of the remaining values to `otherwise`."
            self.fault("P018", "a field must not have both `do` and `cases`", "do", hint)
        if self.is_written("otherwise") and not self.is_written("cases"):
            self.fault("P018", "`otherwise` is only valid with `cases`", "otherwise", "Use `do`, or add `cases`.")
        if field.role == "secret" and not (is_dropped(field) and not field.in_aggregates):
            self.fault("P014", "a field with role secret must be dropped", hint="Set `do: drop`.")
        self.inputs()
        self.keys()
        for step in (*steps_of(field), *(field.keys if isinstance(field.keys, tuple) else ())):
            self.reads(step)

    def inputs(self) -> None:
        """Every input is named once, and is in the same list as the field."""
        if len(set(self.field.from_)) < len(self.field.from_):
            self.fault("P018", "`from` names a field twice", "from")
        for key in self.field.from_:
            if Pointer.parse(key).stars != self.field.pointer.stars:
                self.fault("P018", f"`{key}` and the field that is derived from it are in different lists", "from")

    def keys(self) -> None:
        """Only a map has `keys`, which are released together with the values of the map."""
        field = self.field
        if field.keys is not None and field.type != "map":
            self.fault("P018", "`keys` is only valid for a map", "keys", "Set `type: map`, or remove `keys`.")
        if field.keys in (None, DROP):
            return
        if field.role == "secret":
            self.fault("P014", "a field with role secret must be dropped", "keys", "Set `keys: drop`.")
        if field.is_gated or field.cases:
            message = "the keys of a map are released with its values and cannot have their own gate"
            hint = "Set `feature`, `level`, `collect_if` and `cases` on the fields below the map."
            self.fault("P018", message, "keys", hint)
        if isinstance(field.keys, tuple) and any(step.name == "top" for step in field.keys):
            self.fault("P018", "`top` is not valid for the keys of a map", "keys")

    def reads(self, step: TechniqueStep) -> None:
        """The other fields that a step reads are declared, spelled as declared, of a suitable type, not in another list."""
        for text in sorted(step.reads()):
            key, pointer = self.names.find(text), field_pointer(text)
            if key is None:
                message = f"`{step.name}` names the field `{text}`, which is not declared under `fields`"
                self.fault("P010", message, hint=did_you_mean(text, (self.names.keys or {}).values()))
            elif key != text:
                message = f"`{step.name}` names `{text}`, which is declared as `{key}`"
                self.fault("P010", message, hint=f"Write `{key}`.")
            word = self.names.types.get(key or "")
            if step.reads_only and word in FIELD_TYPES and word not in step.reads_only:
                hint = f"Use a field of type {', '.join(step.reads_only)}."
                self.fault("P018", f"`{step.name}` reads `{text}`, which has the type {word}", hint=hint)
            if pointer is not None and pointer.stars != self.field.pointer.stars[: len(pointer.stars)]:
                self.fault("P018", f"`{step.name}` reads `{text}`, which is in another list")

    def is_written(self, word: str) -> bool:
        """Whether the file has a value for a key of the field."""
        return self.node.get(word) is not None

    def fault(self, code: str, message: str, word: str = "", hint: str = "") -> None:
        """Records a fault, at the line of a key of the field if it exists."""
        self.faults.add(code, message, line=self.node.descend([word]).line, key=self.field.key, hint=hint)
