"""How each command is called: one or two lines that stand below its help, by the words that lead to it."""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import Final

import click

EXAMPLES: Final[Mapping[str, tuple[str, ...]]] = types.MappingProxyType(
    {
        "init": (
            "minimize init data/2026-11-24 mine",
            "minimize init mine --accept os_version --accept battery_pct",
        ),
        "lint": ("minimize lint pipelines/device_telemetry", "minimize lint pipelines/recipients --fail-on warning"),
        "plan": (
            "minimize plan pipelines/device_telemetry --preview 3",
            "minimize plan pipelines/device_telemetry --tenant contoso --at 2026-11-24T10:00:00Z",
        ),
        "drift": ("minimize drift pipelines/device_telemetry --date 2026-11-24",),
        "run": (
            "minimize run pipelines/device_telemetry --date 2026-11-24",
            "minimize run pipelines/device_telemetry --pending",
            "minimize run pipelines/device_telemetry --at 2026-11-25T00:00:00Z --output out/as_of_then",
        ),
        "backfill": ("minimize backfill backfills/coarser_storage.yaml --look",),
        "verify": (
            "minimize verify out/device_telemetry --keys house.keys",
            "minimize verify out/device_telemetry --public-key public.json",
        ),
        "quarantine show": ("minimize quarantine show out/device_telemetry --check",),
        "replay": ("minimize replay out/device_telemetry --date 2026-11-24",),
        "retract": ("minimize retract out/device_telemetry", "minimize retract out/device_telemetry --yes"),
        "events add": (
            "minimize events add contoso subject_left --subject d-4711 --pipeline pipelines/device_telemetry",
            "minimize events add fabrikam tenant_closed --at 2026-11-20T00:00:00Z",
        ),
        "events withdraw": ("minimize events withdraw EVENT",),
        "events list": ("minimize events list --tenant contoso",),
        "expire": (
            "minimize expire out/device_telemetry",
            "minimize expire out/device_telemetry --yes",
            "minimize expire out/device_telemetry --due",
        ),
        "runs": ("minimize runs", "minimize runs --rebuild"),
        "runs show": ("minimize runs show 20261125T022300Z-3b01b7134733",),
        "runs adopt-ledger": (
            "minimize runs adopt-ledger out/device_telemetry --ledger ledger.db --reason 'the disk failed, and there is no copy'",
        ),
        "runs void": ('minimize runs void 20261125T022300Z-3b01b7134733 --reason "the clock was ahead"',),
        "settings set": (
            "minimize settings set contoso location on --holder admin --pipeline pipelines/device_telemetry",
            "minimize settings set contoso location off --holder user --subject d-4711 --pipeline pipelines/device_telemetry",
        ),
        "settings show": ("minimize settings show --tenant contoso",),
        "settings why": ("minimize settings why contoso location 2026-11-24T10:00:00Z --subject d-4711",),
        "settings import": ("minimize settings import settings.csv",),
        "settings export": ("minimize settings export settings.csv",),
        "locate start": (
            "minimize locate start d-4711 --tenant contoso --pipeline pipelines/device_support",
            "minimize locate start d-4711 --tenant contoso --hours 4 --pipeline pipelines/device_support",
        ),
        "locate end": ("minimize locate end d-4711 --tenant contoso",),
        "locate list": ("minimize locate list --tenant contoso",),
        "recipient list": ("minimize recipient list",),
        "recipient show": ("minimize recipient show apple --html > apple.html",),
        "recipient lint": ("minimize recipient lint pipelines/recipients",),
        "consent request": ("minimize consent request contoso apple push",),
        "consent give": ("minimize consent give contoso apple push --text-version 1 --until 2027-11-25T00:00:00Z",),
        "consent refuse": ("minimize consent refuse contoso apple push",),
        "consent withdraw": ("minimize consent withdraw contoso apple push --to recall.csv",),
        "consent expire": ("minimize consent expire",),
        "consent show": ("minimize consent show --tenant contoso",),
        "consent why": ("minimize consent why contoso apple push --at 2026-11-25T00:00:00Z",),
        "share recall list": ("minimize share recall list --late",),
        "share recall request": ("minimize share recall request",),
        "share recall confirm": ("minimize share recall confirm apple --tenant contoso",),
        "share send": (
            "minimize share send apple push --pipeline pipelines/device_telemetry --dry-run",
            "minimize share send apple push --pipeline pipelines/device_telemetry --to payload.parquet",
        ),
        "receive": (
            "minimize receive jamf compliance --pipeline pipelines/jamf_compliance --date 2026-11-24",
            "minimize receive jamf compliance --pipeline pipelines/jamf_compliance --pending --having admin_consent",
        ),
        "share log": ("minimize share log --recipient apple",),
        "share show": ("minimize share show DISCLOSURE",),
        "share why": ("minimize share why apple push --tenant contoso",),
        "subject view": (
            "minimize subject view d-4711 --tenant contoso --pipeline pipelines/device_telemetry",
            "minimize subject view U-12 --as user_id",
        ),
        "subject export": ("minimize subject export d-4711 --tenant contoso --to export --redact model",),
        "subject delete": (
            "minimize subject delete d-4711 --tenant contoso",
            "minimize subject delete --file asked.csv --yes",
        ),
        "subject restrict": ("minimize subject restrict d-4711 --tenant contoso --to export --yes",),
        "subject correct": ("minimize subject correct d-4711 --tenant contoso --set phone_number=+4915112345 --yes",),
        "subject status": ("minimize subject status",),
        "subject coverage": ("minimize subject coverage --pipeline pipelines/device_telemetry",),
        "subject confirm": ("minimize subject confirm REQUEST apple",),
        "access request": (
            "minimize access request device_telemetry --field phone_number --tenant contoso \\\n"
            '      --incident INC-7 --justification "A device is lost." --for 4h',
        ),
        "access approve": ('minimize access approve GRANT --note "Seen."',),
        "access deny": ('minimize access deny GRANT --note "Not needed."',),
        "access revoke": ("minimize access revoke GRANT",),
        "access review": ('minimize access review GRANT --note "It was needed."',),
        "access expire": ("minimize access expire",),
        "access list": ("minimize access list --incident INC-7",),
        "access why": ("minimize access why ann device_telemetry --field phone_number --purpose customer_support",),
        "access show": ("minimize access show",),
        "access adopt": ("minimize access adopt --yes",),
        "access lint": ("minimize access lint pipelines/access.yaml",),
        "access token": ("minimize access token --user ann --for 8h",),
        "access token list": ("minimize access token list",),
        "access token revoke": ("minimize access token revoke NAME",),
        "incident open": (
            'minimize incident open INC-7 --title "A lost backup" --from 2026-11-24T08:00Z \\\n'
            "      --known 2026-11-25T09:00Z --exposed output:out/device_telemetry#records --exposed date:2026-11-24",
        ),
        "incident scope": ("minimize incident scope INC-7",),
        "incident declare": ("minimize incident declare INC-7",),
        "incident measure": ('minimize incident measure INC-7 "The key was changed."',),
        "incident notice": (
            "minimize incident notice INC-7 --to notices --contact privacy@example.com --contacts contacts.csv",
            "minimize incident notice INC-7 --sent",
        ),
        "incident lint": ("minimize incident lint contacts.csv",),
        "incident exempt": ('minimize incident exempt INC-7 contoso --reason "Told by telephone."',),
        "incident close": ("minimize incident close INC-7",),
        "incident list": ("minimize incident list",),
        "incident show": ("minimize incident show INC-7",),
        "audit log": ("minimize audit log --activity run --since 2026-11-01",),
        "audit verify": ("minimize audit verify --receipts out/device_telemetry",),
        "audit export": ("minimize audit export audit.ndjson --since 2026-11-01",),
        "audit truncate": ("minimize audit truncate --export old.ndjson --yes",),
        "diff": (
            "minimize diff main:pipelines/device_telemetry/policy.yaml pipelines/device_telemetry/policy.yaml",
            "minimize diff main HEAD pipelines --markdown",
        ),
        "policy approve": ("minimize policy approve pipelines/device_telemetry/policy.yaml --by privacy@example.com",),
        "explain": (
            "minimize explain pipelines/device_support position --tenant contoso --at 2026-11-24T10:00:00Z",
            "minimize explain pipelines/device_telemetry os_version --record data/2026-11-24/a.ndjson.gz:17",
        ),
        "test": ("minimize test pipelines/device_telemetry",),
        "report": ("minimize report out/device_telemetry --html report.html",),
        "docs": ("minimize docs pipelines --out out/docs",),
        "import": (
            "minimize import jsonschema checkins.schema.json mine",
            "minimize import odcs contract.yaml mine --object checkins",
        ),
        "export": (
            "minimize export odcs pipelines/device_telemetry --out contract.yaml",
            "minimize export openlineage out/device_telemetry",
        ),
        "check": ("minimize check data.ndjson --schema checkins.schema.json",),
        "completion": (
            'eval "$(minimize completion bash)"     # in ~/.bashrc; zsh alike',
            "minimize completion fish > ~/.config/fish/completions/minimize.fish",
        ),
        "sample": ("minimize sample device_telemetry --rows 10000 --date 2026-11-24 --out data",),
        "serve": (
            "minimize serve pipelines/device_telemetry --host 0.0.0.0 --cert door.pem --key door.key",
            "minimize access token --user ann --for 8h",
            'python -c \'import minimize; print(minimize.connect("grpc+tls://HOST:8815", token="mzd_…", ca="ca.pem")\n'
            '      .read("device_telemetry", columns=["model"], purpose="customer_support"))\'',
        ),
        "schema": ("minimize schema policy > policy.schema.json",),
        "keys new": ("minimize keys new house.keys --name device --name user",),
        "keys add": ("minimize keys add house.keys session",),
        "keys list": ("minimize keys list house.keys",),
        "keys rotate": ("minimize keys rotate house.keys --rewrite out/device_telemetry",),
        "keys shred": ("minimize keys shred house.keys --tenant contoso",),
        "keys public": ("minimize keys public house.keys > public.json",),
    }
)


def exemplified(command: click.Command, words: str) -> click.Command:
    """The command of these words, and what stands in it, with their examples below the help."""
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            exemplified(below, f"{words} {name}")
    if words in EXAMPLES and "\b\nExample" not in (command.epilog or ""):
        lines = "\n".join(f"  {line}" for line in EXAMPLES[words])
        heading = "Examples" if len(EXAMPLES[words]) > 1 else "Example"
        command.epilog = "\n\n".join(filter(None, (f"\b\n{heading}:\n{lines}", command.epilog)))
    return command
