"""The checks between the parts of a policy: spellings, shadows, the event time, derived fields."""

from __future__ import annotations

from dataclasses import dataclass

from minimize.pointer import Pointer
from minimize.policy.fields import is_dropped, overlaps, steps_of, ways_of
from minimize.policy.model import Field, Policy
from minimize.policy.scope import Scope, pointer_of
from minimize.policy.yaml import Node

CONTAINERS = ("list", "struct", "map")


@dataclass(frozen=True, slots=True)
class Checks:
    """What must hold between the parts of a policy."""

    policy: Policy
    scope: Scope
    root: Node

    def all(self) -> None:
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
        for key, node in (self.root.get("fields") or Node({})).entries.items():
            pointer = pointer_of(key)
            if pointer is not None and first.setdefault(pointer, key) != key:
                self.fault("P002", f"`{key}` is the field `{first[pointer]}` again", node.line, key)

    def shadows(self) -> None:
        """No released field stands below another released one."""
        shown = {field.pointer: key for key, field in self.policy.fields.items() if not is_dropped(field)}
        for above, below in overlaps(shown):
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
            if any(self.scope.types.get(name) in CONTAINERS for name in field.from_ or (key,)) and keeps_whole(field):
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
        return self.root.at([word]).line

    def fault(self, code: str, message: str, line: int | None, key: str | None = None, hint: str = "") -> None:
        """Takes down a fault."""
        self.scope.faults.add(code, message, line=line, key=key, hint=hint)


def keeps_whole(field: Field) -> bool:
    """Whether any way of a field begins with something else than being reduced to its presence or size."""
    chains = [*ways_of(field), *([field.in_aggregates] if field.in_aggregates else [])]
    return any(not isinstance(way, str) and way[0].name not in ("presence", "size") for way in chains)
