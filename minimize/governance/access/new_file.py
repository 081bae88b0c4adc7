"""A first access file: one account per built-in role, as a start for your own."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from minimize.access.roles import BUILTIN_ROLES, TENANT_ROLES, AccessRole
from minimize.errors import ConfigurationError
from minimize.json_form import JsonResult
from minimize.stores import PathText

_HEAD: Final = """\
# Roles and the accounts that have them. `minimize access show` prints this file, and `minimize access lint` checks it.
# Replace the example accounts by your own. One person must not have roles that are in conflict.
version: 1
assignments:
"""


@dataclass(frozen=True, slots=True)
class NewAccessFile(JsonResult):
    """An access file that was created, and the account that each role was assigned to."""

    file: str
    accounts: dict[str, tuple[str, ...]]

    def lines(self) -> Iterator[str]:
        """The file, each role with its accounts, and the line that puts the file in force."""
        yield f"created {self.file}. Replace the example accounts by your own."
        yield from (f"  {role}: {', '.join(accounts)}" for role, accounts in self.accounts.items())
        yield f"next: write `access: {self.file}` in minimize.yaml, with the path relative to it"


def create_access_file(file: PathText, operator: str, tenants: Sequence[str] = ()) -> NewAccessFile:
    """Creates an access file in which each built-in role has an example account, and `operator` is an operator, too.

    A role of a tenant is assigned once for each of `tenants`. Raises ConfigurationError if the file exists.
    """
    assignments = [each for role in BUILTIN_ROLES.values() for each in _example_assignments(role, operator, tenants)]
    failure = ""
    try:
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        opened = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(opened, "w", encoding="utf-8") as target:
            target.write(_HEAD + "".join(map(str, assignments)))
    except FileExistsError:
        failure = "it exists, and an existing access file is not overwritten"
    except OSError as error:
        failure = error.strerror or "it cannot be written"
    if failure:
        raise ConfigurationError(f"the access file {file} was not created: {failure}", hint="Pass another path.")
    accounts: dict[str, tuple[str, ...]] = {}
    for each in assignments:
        accounts[each.role.name] = (*accounts.get(each.role.name, ()), *each.users)
    return NewAccessFile(str(file), accounts)


@dataclass(frozen=True, slots=True)
class _ExampleAssignment:
    """A role, the accounts that have it, and the tenants that it is limited to, if any."""

    role: AccessRole
    users: tuple[str, ...]
    tenant: str | None = None

    def __str__(self) -> str:
        users, tenants = json.dumps(self.users), "all" if self.tenant is None else json.dumps([self.tenant])
        scope = f"{{tenants: {tenants}, datasets: all}}"
        return f"  # {self.role.about}\n  - {{role: {self.role.name}, members: {{users: {users}}}, scope: {scope}}}\n"


def _example_assignments(role: AccessRole, operator: str, tenants: Sequence[str]) -> Iterator[_ExampleAssignment]:
    name = role.name.replace("_", "-")
    if role.name in TENANT_ROLES:
        for number, tenant in enumerate(tenants, start=1):
            account = name if number == 1 else f"{name}-{number}"
            yield _ExampleAssignment(role, (f"{account}@example.com",), tenant)
        return
    example = f"{name}@example.com"
    yield _ExampleAssignment(role, tuple(dict.fromkeys((example, operator))) if role.name == "operator" else (example,))
