"""Every example of the help screens works in the organization that `minimize sample demo` makes."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest
import time_machine
from minimize_samples.demo import OFFICER, create_demo

from tests.cli.test_main import COMMANDS
from tests.commands import Result, command
from tests.project import clean_environment

NIGHT: Final = datetime(2026, 11, 25, 1, tzinfo=UTC)
"""When the organization and its first run are made: after the batch date 2026-11-24, which the examples name."""
NOON: Final = datetime(2026, 11, 25, 12, tzinfo=UTC)
"""When the examples run."""
SERVER: Final = "needs a running data access server"
SKIPPED: Final[Mapping[str, str]] = {
    "minimize serve pipelines/device_telemetry --host 0.0.0.0 --cert server.pem --key server.key": SERVER,
    """python -c 'import minimize; print(minimize.connect("grpc+tls://HOST:8815", token="mzd_…", ca="ca.pem")
      .read("device_telemetry", columns=["model"], purpose="customer_support"))'""": SERVER,
}
"""The examples that do not run here, with the reason."""
CODES: Final[Mapping[str, int]] = {"minimize lint pipelines/recipients --fail-on warning": 1}
"""The examples that end with another code than 0, as their help says."""

TENANT_ADMINISTRATOR: Final = "tenant-administrator@example.com"
TOKEN: Final = "MINIMIZE_ACTOR=role-administrator@example.com minimize access token --actor"
FORM: Final = "printf 'The form that contoso has signed.' > form-17.pdf"
SCHEMA: Final = "minimize export jsonschema pipelines/device_telemetry --of source --to records.schema.json"
OPENED: Final = (
    'minimize incident open INC-7 --title "A lost backup" --since 2026-11-24T08:00Z --known-at 2026-11-25T09:00Z'
    " --exposed output:out/device_telemetry#records",
)
SCOPED: Final = (*OPENED, "minimize incident scope INC-7")
DECLARED: Final = (*SCOPED, "minimize incident declare INC-7")
NOTIFIED: Final = (
    *DECLARED,
    'minimize incident measure INC-7 "The key was changed."',
    'minimize incident measure INC-7 "Change your keys." --type action',
    "minimize incident notice INC-7 --to notices --contact privacy@example.com --contacts contacts.csv",
)
REQUESTED: Final = (
    *SCOPED,
    "MINIMIZE_ACTOR=support-engineer@example.com minimize access request device_support --field phone_number"
    ' --tenant contoso --incident INC-7 --reason "A device is lost."',
)
CORRECTION: Final = (
    'sed -i \'s/"privacy-officer@example.com"/&, "deputy@example.com"/\' access.yaml',
    "MINIMIZE_ACTOR=deputy@example.com minimize subject correct d-4711 --tenant contoso --set os_language=fr-FR"
    " --origin source --evidence CMDB-17 --yes",
)
SHARED: Final = (
    "minimize run pipelines/support_desk_cases --date 2026-11-24",
    "minimize share send support_desk case_handover --pipeline pipelines/support_desk_cases --to shared.parquet",
)
LOCATION: Final = "minimize settings set contoso location on --holder admin --pipeline pipelines/device_support"
PREPARATIONS: Final[Mapping[str, Sequence[str]]] = {
    "diff": (
        "git init -q -b main",
        "git add pipelines",
        "git -c user.name=Ann -c user.email=ann@example.com commit -qm first",
    ),
    "policy accept": ("minimize init sample_data/device_telemetry/2026-11-24 mine",),
    "backfill": (
        "mkdir backfills",
        "printf 'backfill: coarser_storage\npipeline: ../pipelines/device_telemetry\nreason: coarser bins\n"
        "dates: [2026-11-24]\npolicy: now\n' > backfills/coarser_storage.yaml",
    ),
    "verify": ("minimize keys public demo.keys > public.json",),
    "risk": (
        "printf 'age,city,illness\n34,Bonn,flu\n36,Bonn,flu\n' > survey.csv",
        "python -c 'import pyarrow.csv, pyarrow.parquet;"
        ' pyarrow.parquet.write_table(pyarrow.csv.read_csv("survey.csv"), "patients.parquet")\'',
    ),
    "risk levels": (
        "sed -i '/enrolled_date_time/ s/month/auto/' pipelines/device_telemetry/policy.yaml",
        "sed -i 's/{must_be: pseudonymized}/{must_be: pseudonymized, risk: {quasi_identifiers: [enrolled_date_time],"
        " require: {k: 2}, suppress_at_most: 0.5, otherwise: generalize}}/' pipelines/device_telemetry/pipeline.yaml",
        "MINIMIZE_ACTOR=operator@example.com minimize run pipelines/device_telemetry --date 2026-11-24",
    ),
    "check": (SCHEMA, "printf '{}\n' > records.ndjson"),
    "import": (SCHEMA, "minimize export odcs pipelines/device_telemetry --to contract.yaml"),
    "events import": (
        "printf 'tenant_id,user_id,deleted_at\ncontoso,U-12,2026-11-24T09:00:00Z\n' > deleted-users.csv",
    ),
    "events withdraw": (
        "minimize events add contoso subject_left --subject d-4711 --pipeline pipelines/device_telemetry",
    ),
    "subject lift": ("minimize subject restrict d-4711 --tenant contoso --yes",),
    "subject approve": CORRECTION,
    "subject refuse": CORRECTION,
    "subject confirm": (
        *SHARED,
        "(echo tenant_id,subject; zgrep -h contoso sample_data/support_desk_cases/*/*.gz | head -n 9"
        """ | sed 's/.*"contact_id":"/contoso,/; s/".*//') > contacts-of-cases.csv""",
        "minimize subject delete --file contacts-of-cases.csv --yes",
    ),
    "locate start": (LOCATION,),
    "locate end": (
        LOCATION,
        "MINIMIZE_ACTOR=help-desk-operator@example.com minimize locate start d-4711 --tenant contoso"
        " --pipeline pipelines/device_support",
    ),
    "incident scope": OPENED,
    "incident declare": SCOPED,
    "incident reclassify": (*SCOPED, "minimize incident declare INC-7 --class security_incident"),
    "incident measure": DECLARED,
    "incident notice": DECLARED,
    "incident mark-sent": NOTIFIED,
    "incident send": (*NOTIFIED, "printf 'notify: [\"true\"]\n' >> minimize.yaml"),
    "incident exempt": DECLARED,
    "incident close": SCOPED,
    "incident show": SCOPED,
    "contract record": ("printf 'signed' > contract.pdf",),
    "contract end": (
        "minimize contract record contoso apple --reference C-2026-17 --offered --document agreement.txt",
    ),
    "functions confirm": ("printf 'issued' > certificate.pdf", "printf 'granted' > grant.pdf"),
    "consent give": (FORM, f"{TOKEN} {TENANT_ADMINISTRATOR}"),
    "consent confirm": (FORM, "minimize consent give contoso apple push --document form-17.pdf"),
    "share send": SHARED[:1],
    "share show": SHARED,
    "share recall confirm": (
        *SHARED,
        "minimize consent withdraw contoso support_desk case_handover --evidence TICKET-9",
        "minimize share recall issue",
    ),
    "access token confirm": (f"{TOKEN} analyst@example.com",),
    "access token revoke": (f"{TOKEN} analyst@example.com",),
    "access request": SCOPED,
    "access approve": REQUESTED,
    "access deny": REQUESTED,
    "access revoke": REQUESTED,
    "access review": (*SCOPED, f"{REQUESTED[-1]} --break-glass"),
    "access explain": (*REQUESTED, "minimize access approve GRANT"),
    "keys shred": (
        "sed -i 's/encrypt: by_category/partition_by: [tenant_id], encrypt: {identified: {per: tenant_id}}/'"
        " pipelines/device_support/pipeline.yaml",
        "minimize run pipelines/device_support --date 2026-11-24",
    ),
    "completion": ("mkdir -p ~/.config/fish/completions",),
}
"""What the examples of a command need besides the organization and the run of its first pipeline."""
ACCOUNTS: Final[Mapping[str, str]] = {
    "run": "operator@example.com",
    "locate start": "help-desk-operator@example.com",
    "locate end": "help-desk-operator@example.com",
    "locate list": "help-desk-operator@example.com",
    "consent give": TENANT_ADMINISTRATOR,
    "consent confirm": "application-manager@example.com",
    "access token": "role-administrator@example.com",
    "access token confirm": "analyst@example.com",
    "access token revoke": "role-administrator@example.com",
    "access request": "support-engineer@example.com",
    "access adopt": "role-administrator@example.com",
    "keys add": "operator@example.com",
    "keys rotate": "operator@example.com",
}
"""The account that calls a command, if it is not the privacy officer whom the organization's file `env` names."""
IDS: Final[Mapping[str, tuple[str, tuple[str | int, ...]]]] = {
    "20261125T022300Z-3b01b7134733": ("runs --json", ("runs", 0, "run_id")),
    "EVENT": ("events list --json", ("events", 0, "event")),
    "REQUEST": ("subject status --json", ("requests", 0, "request")),
    "GRANT": ("access list --json", ("grants", 0, "grant")),
    "DISCLOSURE": ("share log --json", ("disclosures", 0, "disclosure")),
    "NAME": ("access token list --json", ("tokens", 0, "token")),
}
"""What stands in examples for an id, the command that lists such ids, and where its JSON has the first of them."""


def examples(words: str) -> list[str]:
    """The examples in the help of a command, each as a text for a shell."""
    block = re.search(r"^Examples?:\n((?:  .+\n?)+)", COMMANDS[words].epilog or "", re.MULTILINE)
    assert block is not None, words
    return [example.strip() for example in re.split(r"\n  (?! )", block[1])]


SLOW: Final = ("sample", "risk levels", "keys shred")
"""The commands that need more than two seconds."""
CASES: Final = [
    pytest.param(words, example, id=f"{words} {number}", marks=[pytest.mark.slow] if words in SLOW else [])
    for words in COMMANDS
    for number, example in enumerate(examples(words), 1)
]


def set_variables(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Sets the variables of the file `env`."""
    for line in (folder / "env").read_text().splitlines():
        patch.setenv(*line.removeprefix("export ").split("=", 1))


@pytest.fixture(name="organization", scope="module")
def _organization(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The organization after its first run. `unchanged` next to it is a copy."""
    folder = tmp_path_factory.mktemp("organization") / "demo"
    with time_machine.travel(NIGHT, tick=False):
        create_demo(folder, now=NIGHT)
        with clean_environment(folder) as patch:
            set_variables(folder, patch)
            assert command("run", "pipelines/device_telemetry").code == 0
    shutil.copytree(folder, folder.with_name("unchanged"))
    return folder


@pytest.fixture(name="variables")
def _variables(organization: Path) -> Iterator[pytest.MonkeyPatch]:
    """Acts in the unchanged organization, at the path that its ledger knows."""
    shutil.rmtree(organization)
    shutil.copytree(organization.with_name("unchanged"), organization)
    with clean_environment(organization) as patch, time_machine.travel(NOON, tick=False):
        set_variables(organization, patch)
        patch.setenv("HOME", str(organization))
        patch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
        yield patch


def with_ids(call: str) -> str:
    """The call with ids that exist, in one line."""
    call = call.replace("\\\n", "")
    for word, (listing, path) in IDS.items():
        if re.search(rf"\b{word}\b", call):
            call = call.replace(word, command(*listing.split()).get(*path))
    if "mzd_…" in call:
        request = with_ids("NAME")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("MINIMIZE_ACTOR", TENANT_ADMINISTRATOR)
            call = call.replace("mzd_…", command("access", "token", "confirm", request).out.strip())
    return call


def perform(call: str) -> Result:
    """Runs a call as bash does: in this process if it is only a command of `minimize`, perhaps with variables before it."""
    *settings, words = re.split(r"(?<=\S) (?=minimize )", call, maxsplit=1)
    if not words.startswith("minimize ") or re.search(r"[|<>;&$]", words):
        done = subprocess.run(["bash", "-ec", call], capture_output=True, text=True, check=False)
        return Result(done.returncode, done.stdout, done.stderr)
    with pytest.MonkeyPatch.context() as patch:
        for variable in settings:
            patch.setenv(*variable.split("=", 1))
        return command(*shlex.split(words)[1:])


@pytest.mark.parametrize(("words", "example"), CASES)
def test_an_example_runs(words: str, example: str, variables: pytest.MonkeyPatch) -> None:
    if example in SKIPPED:
        pytest.skip(SKIPPED[example])
    for step in PREPARATIONS.get(words, ()):
        prepared = perform(with_ids(step))
        assert prepared.code == 0, f"{step}: {prepared.out}{prepared.err}"
    call = with_ids(example)
    variables.setenv("MINIMIZE_ACTOR", ACCOUNTS.get(words, OFFICER))
    done = perform(call)
    assert done.code == CODES.get(example, 0), done.out + done.err


def test_the_tables_name_existing_examples() -> None:
    calls = {example for words in COMMANDS for example in examples(words)}
    assert {*SKIPPED, *CODES} <= calls
    assert {*PREPARATIONS, *ACCOUNTS, *SLOW} <= {*COMMANDS}
    assert all(any(word in call for call in calls) for word in IDS)
