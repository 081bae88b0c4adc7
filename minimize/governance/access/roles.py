"""Reading a role of the house: which built-in one it copies, what it may do more or less, and its views."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from minimize.governance.access.builtin import BUILTIN
from minimize.governance.access.conflicts import clash
from minimize.governance.access.model import Role
from minimize.governance.access.permissions import ASSIGN, GRADED, PERMISSIONS, READ, Permission, permission
from minimize.governance.access.views import is_view
from minimize.policy.faults import did_you_mean
from minimize.policy.policies import NAME
from minimize.policy.scope import Scope
from minimize.policy.shape import Readers, Shape, build
from minimize.policy.steps import StepReader
from minimize.policy.yaml import Node
from minimize.techniques import Technique

_HIDDEN = frozenset({"name", "base", "line"})


@dataclass(frozen=True, slots=True)
class RoleReader:
    """Reads one role."""

    scope: Scope
    name: str

    def __call__(self, node: Node) -> Role | None:
        """The role: what its base has, and what is said here. None where no role could be made of it."""
        if self.name in BUILTIN or not re.fullmatch(NAME, self.name):
            hint = "give the copy a name of its own" if self.name in BUILTIN else "letters, digits, _ and -"
            code = "U004" if self.name in BUILTIN else "P015"
            self.fault(code, f"`{self.name}` cannot name a role of the house", node, hint)
            return None
        base = self.base(node)
        if base is None:
            return None
        readers: Readers = {"allow": self.listed, "deny": self.listed, "views": self.views}
        given = {"name": self.name, "base": base.name, "line": node.line}
        rest = Node({word: below for word, below in node.entries.items() if word != "copy"}, node.line)
        found = build(
            Role, rest, self.scope.faults, Shape(f"the role `{self.name}`", readers, given, given, hidden=_HIDDEN)
        )
        return None if found is None else self.whole(found, base, node)

    def base(self, node: Node) -> Role | None:
        """The built-in role that is copied."""
        said = node.get("copy")
        if said is not None and isinstance(said.value, str) and said.value in BUILTIN:
            return BUILTIN[said.value]
        hint = did_you_mean("" if said is None else str(said.value), BUILTIN)
        self.fault("U004", f"the role `{self.name}` wants to copy a built-in role", said or node, f"copy: {hint}")
        return None

    def whole(self, said: Role, base: Role, node: Node) -> Role:
        """The role with what its base has."""
        for extra in said.allow:
            self.check_extra(extra, base, node)
        allow = tuple(dict.fromkeys((*base.allow, *said.allow)))
        whole = said.model_copy(update={"allow": allow, "deny": tuple(dict.fromkeys((*base.deny, *said.deny)))})
        clashing = clash([whole])
        if clashing is not None:
            self.fault("U006", f"the role `{self.name}` holds what one person cannot do both", node)
        return whole

    def check_extra(self, extra: Permission, base: Role, node: Node) -> None:
        """What a copy cannot have beyond its base: to assign, to see data standing, to write as an auditor."""
        refused = {
            "only a copy of role_administrator assigns": extra.name == ASSIGN and not base.has(ASSIGN),
            "a support engineer has no standing access": extra.name == READ and base.name == "support_engineer",
            "an auditor changes nothing": base.name == "auditor" and extra.writes,
        }
        for why, is_so in refused.items():
            if is_so:
                self.fault("U006", f"a copy of `{base.name}` cannot have `{extra}`: {why}", node)

    def listed(self, node: Node) -> tuple[Permission, ...] | None:
        """Permissions."""
        if not node.is_list:
            self.fault("P006", "wants a list of permissions", node, "[dataset/read:aggregated, …]")
            return None
        found = [self.one(item) for item in node.items]
        return tuple(each for each in found if each is not None)

    def one(self, node: Node) -> Permission | None:
        """One of them."""
        text = str(node.value) if node.is_scalar else ""
        found = permission(text)
        if found is None:
            known = [
                *PERMISSIONS,
                *(f"{name}:{word}" for name in GRADED for word in ("aggregated", "pseudonymized", "identified")),
            ]
            self.fault("U001", f"there is no permission `{text}`", node, did_you_mean(text, known))
        elif found == Permission(READ):
            self.fault("U002", "`dataset/read` says up to which category", node, "dataset/read:aggregated, …")
        return found

    def views(self, node: Node) -> dict[str, dict[str, tuple[Technique, ...]]] | None:
        """By dataset and column the coarser form."""
        if not node.is_mapping or not all(below.is_mapping for below in node.entries.values()):
            self.fault(
                "P006", "`views` wants columns by dataset", node, "{DATASET: {COLUMN: {truncate_time: {to: day}}}}"
            )
            return None
        return {
            dataset: {column: chain for column, way in below.entries.items() if (chain := self.view(column, way))}
            for dataset, below in node.entries.items()
        }

    def view(self, column: str, node: Node) -> tuple[Technique, ...]:
        """One chain of techniques that need nothing but the value."""
        chain = StepReader(self.scope, column).chain(node) or ()
        for step in chain:
            if not is_view(step):
                hint = "a form that needs nothing but the value that was released"
                self.fault("U009", f"`{step.name}` cannot be a view", node, hint)
        return tuple(step for step in chain if isinstance(step, Technique) and is_view(step))

    def fault(self, code: str, message: str, node: Any, hint: str = "") -> None:
        """Takes down a fault of this role."""
        self.scope.faults.add(code, message, line=node.line, key=self.name, hint=hint)
