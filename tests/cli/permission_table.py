"""What each role may do with each command: one call of every command, and its outcome by role as a table.

The calls name objects that do not exist where they can: the permission is checked before the object is searched, and an allowed
call then changes nothing. `python -m tests.cli.permission_table` prints the tables of `docs/reference/access.md`.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, Literal
from uuid import uuid4

import click

from minimize.access.roles import BUILTIN_ROLES
from minimize.cli.main import COMMANDS, load_command
from minimize.errors import AccessDenied
from minimize.results import LIMITED_TO_SCOPE
from tests.commands import Result
from tests.project import AT, DAY, write_yaml
from tests.world import ASSIGNMENTS, World, access_file, assignment, build_world

ROLES: Final[Mapping[str, str]] = {
    "nemo": "no role",
    "hedy": "help_desk_operator",
    "tess": "tenant_administrator",
    "skip": "scheduler",
    "otto": "operator",
    "pia": "privacy_officer",
}
"""The account that tries the commands for each role."""
OWN, OTHER = "north", "east"
"""A tenant in the scope of the roles with named tenants, and one that is not."""
DECLARED = "INC-9"
"""A declared incident that affects all tenants."""
Outcome = Literal["yes", "own tenants", "no"]

CALLS: Final[Mapping[str, str]] = {
    "settings set": "settings set {tenant} location off",
    "settings set --holder user": "settings set {tenant} location off --holder user",
    "settings show": "settings show",
    "settings explain": f"settings explain {{tenant}} location {DAY}",
    "settings import": "settings import none.csv",
    "settings export": "settings export checkins/settings.csv",
    "consent request": "consent request {tenant} vendor none",
    "consent give": "consent give {tenant} vendor none",
    "consent confirm": "consent confirm {tenant} vendor none --document signed.txt",
    "consent refuse": "consent refuse {tenant} vendor none",
    "consent withdraw": "consent withdraw {tenant} vendor none",
    "consent mark-expired": "consent mark-expired",
    "consent show": "consent show",
    "consent explain": "consent explain {tenant} vendor sync",
    "contract record": "contract record {tenant} vendor --reference none --document none",
    "contract end": "contract end {tenant} vendor --reference none",
    "contract show": "contract show",
    "functions list": "functions list {tenant}",
    "functions request": "functions request {tenant} vendor none",
    "functions disable": "functions disable {tenant} vendor none",
    "functions confirm": "functions confirm {tenant} vendor none --evidence none",
    "share send": "share send vendor none --pipeline usage --to none.parquet",
    "share log": "share log",
    "share show": "share show {disclosure}",
    "share explain": "share explain vendor sync --tenant {tenant}",
    "share recall list": "share recall list",
    "share recall issue": "share recall issue none",
    "share recall confirm": "share recall confirm none --tenant {tenant}",
    "receive": "receive vendor none --pipeline usage",
    "subject view": "subject view none --tenant {tenant}",
    "subject export": "subject export none --tenant {tenant} --to checkins",
    "subject correct": "subject correct none --tenant {tenant} --set none=1 --origin request --evidence none",
    "subject approve": "subject approve none",
    "subject refuse": "subject refuse none --reason withheld --evidence none",
    "subject restrict": "subject restrict none --tenant {tenant}",
    "subject lift": "subject lift none --tenant {tenant}",
    "subject delete": "subject delete none --tenant {tenant}",
    "subject status": "subject status",
    "subject coverage": "subject coverage",
    "subject confirm": "subject confirm none vendor",
    "events add": "events add {tenant} reset",
    "events import": "events import none.csv",
    "events withdraw": "events withdraw none",
    "events list": "events list",
    "locate start": "locate start none --tenant {tenant} --pipeline usage",
    "locate end": "locate end none --tenant {tenant}",
    "locate list": "locate list --tenant {tenant}",
    "incident open": f"incident open INC-7 --title again --since {DAY} --exposed date:{DAY}",
    "incident scope": "incident scope none",
    "incident declare": "incident declare none",
    "incident reclassify": "incident reclassify none --class security_incident --reason text",
    "incident measure": "incident measure none text",
    "incident notice": "incident notice none --to outbox --contact me",
    "incident mark-sent": "incident mark-sent none --tenant {tenant}",
    "incident send": "incident send none --outbox none",
    "incident exempt": "incident exempt none {tenant} --reason text",
    "incident close": "incident close none --class false_positive --reason text",
    "incident list": "incident list",
    "incident show": f"incident show {DECLARED}",
    "audit log": "audit log --last 5",
    "audit export": "audit export {new}",
    "audit verify": "audit verify",
    "audit truncate": "audit truncate",
    "runs": "runs",
    "runs show": "runs show none",
    "runs void": "runs void none --reason text",
    "runs adopt-ledger": "runs adopt-ledger usage/out --reason text",
    "quarantine": "quarantine checkins/out",
    "report": "report checkins/out",
    "risk": "risk checkins/out",
    "risk attack": "risk attack checkins/out",
    "risk differences": "risk differences checkins/out",
    "risk levels": "risk levels checkins",
    "risk --population": "risk checkins/out --population population.csv",
    "tenant report": "tenant report {tenant}",
    "export": "export openlineage checkins/out",
    "drift": "drift checkins",
    "run --output": "run checkins --date 2001-01-01 --output elsewhere",
    "run --settings": "run checkins --date 2001-01-01 --settings checkins/fewer.csv",
    "run --input": "run checkins --date 2001-01-01 --input checkins/{{date}}",
    "backfill --settings": "backfill backfill.yaml --settings checkins/fewer.csv",
    "replay": "replay checkins/out",
    "replay --settings": "replay checkins/out --settings checkins/fewer.csv",
    "expire": "expire checkins/out",
    "retract": "retract checkins/out",
    "policy approve": "policy approve usage/policy.yaml",
    "keys add": "keys add test.keys none",
    "keys rotate": "keys rotate --name none",
    "keys shred": "keys shred none",
    "access token": "access token --actor none --for 900d",
    "access token list": "access token list",
    "access token revoke": "access token revoke none",
    "access request": "access request usage --incident INC-7 --reason text --tenant {tenant} --category aggregated",
    "access adopt --yes": "access adopt --yes",
}
"""A call of each command that asks for a permission, by the name of its row."""
OWN_GRANTS: Final = frozenset(
    {"access approve", "access deny", "access revoke", "access review", "access list", "access mark-expired"}
)
"""Commands whose permission depends on the grant: `test_workflow.py` covers them."""
OWN_TOKENS: Final = frozenset({"access token confirm"})
"""Commands whose permission depends on the token: `test_account_tokens.py` covers them."""
OPEN_COMMANDS: Final[Mapping[str, str]] = {
    "init": "reads a file of the caller and writes a draft",
    "lint": "reads files of the configuration",
    "plan": "reads the policy and the caller's source; `--tenant` needs `settings/read` for settings in the ledger",
    "explain": "reads the policy; `--tenant` and `--record` need `settings/read` for settings in the ledger",
    "diff": "reads files of the configuration",
    "test": "reads fixtures and writes nothing",
    "drift": "reads a source that the caller can read, and prints no value; receipts of an output need `run/read`",
    "check": "reads a file of the caller",
    "import": "reads a file of the caller and writes a draft",
    "export": "writes the policy in another format; lineage events of an output need `run/read`",
    "leaflet": "reads files of the configuration",
    "docs": "reads files of the configuration and receipts",
    "run": "writes only what the policy permits; the schedule runs it. Other settings, input or output need `run/override`",
    "backfill": "runs a pipeline again; like `run`",
    "verify": "checks an output without showing it",
    "recipient list": "reads files of the configuration",
    "recipient show": "reads files of the configuration",
    "recipient lint": "reads files of the configuration",
    "incident lint": "reads a file of contacts that the caller names",
    "access show": "reads the access file",
    "access new": "creates an access file; it is in force once minimize.yaml names it",
    "access explain": "reads the access file, so that a refusal can be explained to the person refused",
    "access lint": "reads the access file",
    "keys new": "creates a keyring; there is nothing to protect before",
    "keys list": "shows names and states of keys in a keyring that the caller can read",
    "keys public": "shows the public key",
    "serve": "authenticates every call, and decides on each",
    "sample": "writes generated data",
    "schema": "prints the schema of a file format",
    "policy accept": "writes a draft that the caller can write",
    "help": "prints the help of a command",
    "completion": "prints a script for the shell",
}
"""Every command that asks for no permission, with the reason."""


def command_names() -> list[str]:
    """The full names of all commands."""
    return [name for word in COMMANDS for name in _names_below(load_command(word), word)]


def _names_below(command: click.Command, name: str) -> Iterator[str]:
    if not isinstance(command, click.Group):
        yield name
        return
    if command.invoke_without_command:
        yield name
    for word, below in command.commands.items():
        yield from _names_below(below, f"{name} {word}")


def prepare(world: World) -> None:
    """Prepares a copy of the world: an account for each role, a declared incident, and data that is no longer collected."""
    more = [
        assignment("help_desk_operator", "hedy", tenants=[OWN, "south"]),
        assignment("tenant_administrator", "tess", tenants=[OWN]),
        assignment("scheduler", "skip"),
    ]
    write_yaml(world.folder / "access.yaml", access_file(*ASSIGNMENTS, *more))
    dates = {"dates": [{"from": "2001-01-01", "to": "2001-01-02"}]}
    write_yaml(world.folder / "backfill.yaml", {"backfill": "again", "pipeline": "checkins", "reason": "text", **dates})
    title = ("--title", "A lost disk", "--since", DAY, "--exposed", "output:usage/out#records")
    assert world.command("otto", "incident", "open", DECLARED, *title).code == 0
    for verb in ("scope", "declare"):
        assert world.command("pia", "incident", verb, DECLARED).code == 0
    shutil.copy(world.checkins.folder / "settings.csv", world.checkins.folder / "fewer.csv")
    with (world.checkins.folder / "settings.csv").open("a") as settings:
        settings.write(f"{OWN},,location,off,admin,2026-01-02T00:00:00Z,{AT:%Y-%m-%dT%H:%M:%SZ}\n")


def outcome_of(world: World, account: str, call: str, disclosure: str) -> Outcome:
    """What an account may do with a command: for all tenants, for those in its scope, or nothing.

    Asks about the other tenant only if that is another question: the own one is allowed, and the call names a tenant.
    """

    def result_for(tenant: str) -> Result:
        words = call.format(tenant=tenant, disclosure=disclosure, new=f"{uuid4()}.csv").split()
        return world.command(account, *words)

    own = result_for(OWN)
    if is_denied(own):
        return "no"
    if LIMITED_TO_SCOPE in own.out or '"limited_to_tenants_in_scope": true' in own.out:
        return "own tenants"
    return "own tenants" if "{tenant}" in call and is_denied(result_for(OTHER)) else "yes"


def is_denied(result: Result) -> bool:
    """Whether a command was refused for want of a permission."""
    return result.code == 3 and result.err.startswith(
        (f"error {AccessDenied.default_code}:", f"error {AccessDenied.default_code}/")
    )


def permission_rows(world: World) -> list[tuple[str, ...]]:
    """A row for each call, with the outcome by role. No call may disclose anything."""
    disclosure = only_disclosure(world)
    rows = [
        (f"`{name}`", *(outcome_of(world, account, call, disclosure) for account in ROLES))
        for name, call in CALLS.items()
    ]
    assert only_disclosure(world) == disclosure
    return rows


def only_disclosure(world: World) -> str:
    """The id of the one disclosure of the world."""
    (disclosed,) = json.loads(world.command("pia", "share", "log", "--json").out)["disclosures"]
    return str(disclosed["disclosure"])


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of the page."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def roles_table() -> str:
    """The table of the page: the built-in roles with their permissions."""
    rows = [
        (f"`{role.name}`", role.about, ", ".join(f"`{each}`" for each in role.allow)) for role in BUILTIN_ROLES.values()
    ]
    return markdown(("role", "what it does", "permissions"), rows)


def permission_table(world: World) -> str:
    """The table of the page: what each role may do with each command."""
    roles = (name if name == "no role" else f"`{name}`" for name in ROLES.values())
    return markdown(("command", *roles), permission_rows(world))


def open_table() -> str:
    """The table of the page: the commands that ask for no permission."""
    return markdown(("command", "why"), [(f"`{name}`", why) for name, why in OPEN_COMMANDS.items()])


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        shown = build_world(Path(place) / "world")
        prepare(shown)
        sys.stdout.write("\n\n".join((roles_table(), permission_table(shown), open_table())) + "\n")
