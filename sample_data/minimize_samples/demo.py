"""A small invented organization to try commands on: keyring, configuration, pipelines, records, settings and consents.

Its records are those of the samples, in which two tenants, a user and three devices have names that are easy to type.
"""

from __future__ import annotations

import gzip
import json
import os
import shlex
import shutil
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from minimize.errors import ConfigurationError
from minimize.governance.access_file import create_access_file
from minimize.governance.consent import NewConsent, confirm_consent, record_consent
from minimize.governance.contracts import NewContract, record_contract
from minimize.governance.evidence import document_evidence
from minimize.governance.functions import confirm_prerequisite
from minimize.governance.settings import import_settings
from minimize.keys.discovery import create_keyring
from minimize.ledger.audit_event import ACTOR_VARIABLE, current_actor
from minimize.recipients import load_recipient
from minimize.results import JsonResult
from minimize.times import day_start
from minimize.workspace import Workspace
from minimize_samples import NAMES, SEED, generate
from minimize_samples.world import TENANTS

TENANT_NAMES: Final = ("contoso", "fabrikam")
"""The names of the first two tenants."""
USER: Final = "U-12"
DEVICES: Final = ("d-4711", "d-4712")
"""The devices that only `USER` uses; a device of another user of the same tenant is `OTHER_DEVICE`."""
OTHER_DEVICE: Final = "d-4713"
MAIN_DATASET: Final = "device_telemetry"
MAIN_ROWS: Final = 3_000
"""Records of the main dataset, unless the caller asks for another number."""
OTHER_ROWS: Final = 300
"""Records of every other dataset."""
KEYS: Final = ("device", "user", "session")
CONSENTS: Final = (("apple", "push"), ("threat_defense", "threat_state"), ("support_desk", "case_handover"))
"""The functions, by recipient, that contoso has authorized."""
OFFICER: Final = "privacy-officer@example.com"
_CONFIRMER: Final = "application-manager@example.com"
"""The account that confirms the authorizations of contoso, which the privacy officer records."""


@dataclass(frozen=True, slots=True)
class DemoOrganization(JsonResult):
    """The folder of an organization, its batch date, and the number of records of its main dataset."""

    folder: str
    date: str
    records: int

    def lines(self) -> Iterator[str]:
        """What the folder has, and what to do next."""
        yield f"wrote an invented organization to {self.folder}, with records of {self.date}:"
        yield "  minimize.yaml access.yaml demo.keys ledger.db    configuration, roles, keyring, settings and consents"
        yield "  pipelines/ sample_data/                          all shipped pipelines, each with records to read"
        yield "  contacts.csv requests.csv agreement.txt          tenants' contacts, a list of subjects, a signed form"
        yield "  env                                              variables for your shell"
        yield f'next: cd {shlex.quote(self.folder)} && . ./env && minimize run pipelines/{MAIN_DATASET} --date "$day"'


def create_demo(out: Path | str, *, now: datetime, rows: int = MAIN_ROWS, day: date | None = None) -> DemoOrganization:
    """Creates the organization in a new folder, with records of one batch date (default: yesterday).

    Raises ConfigurationError if the folder has files, and without Faker.
    """
    folder, day = Path(out).absolute(), day or (now - timedelta(days=1)).date()
    if folder.exists() and any(folder.iterdir()):
        raise ConfigurationError(f"{out} is not empty", hint="Pass a new folder, or delete this one.")
    shutil.copytree(_shipped_pipelines(), folder / "pipelines")
    _write_configuration(folder)
    for name in NAMES:
        count = rows if name == MAIN_DATASET else OTHER_ROWS
        generate(name, count, folder / "sample_data" / name, seed=SEED, dates=[day])
    _rename(folder / "sample_data")
    create_keyring(folder / "demo.keys", KEYS, now)
    create_access_file(folder / "access.yaml", current_actor().user or "", TENANT_NAMES)
    _write_files(folder, day)
    _record_decisions(folder, day_start(day), now)
    return DemoOrganization(str(out), day.isoformat(), rows)


def _shipped_pipelines() -> Path:
    """The shipped pipelines: in a wheel next to this module, in a checkout at its top."""
    here = Path(__file__).parent
    return next(each for each in (here / "pipelines", here.parents[1] / "pipelines") if each.is_dir())


def _write_configuration(folder: Path) -> None:
    """Moves the shipped configuration to the top, with the organization's own keyring, ledger and access file."""
    shipped = folder / "pipelines" / "minimize.yaml"
    own = {"access": "access.yaml", "ledger": "ledger.db", "administrators": "pipelines/administrator_contacts"}
    lines = ["keys: demo.keys", "recipients: pipelines/recipients"]
    for line in shipped.read_text(encoding="utf-8").splitlines():
        key = line.partition(":")[0]
        if not line.startswith("#"):
            lines.append(f"{key}: {own[key]}" if key in own else line)
    (folder / "minimize.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    shipped.unlink()
    (folder / "pipelines" / "access.yaml").unlink()


def _rename(data: Path) -> None:
    """Gives tenants, a user and devices their names, in all records and settings."""
    names = _names(data / MAIN_DATASET)
    for path in sorted(data.rglob("*")):
        if path.name.endswith(".ndjson.gz"):
            path.write_bytes(gzip.compress(_replaced(gzip.decompress(path.read_bytes()), names), mtime=0))
        elif path.suffix == ".csv":
            path.write_bytes(_replaced(path.read_bytes(), names))


def _replaced(content: bytes, names: Mapping[str, str]) -> bytes:
    for name, known in names.items():
        content = content.replace(name.encode(), known.encode())
    return content


def _names(folder: Path) -> dict[str, str]:
    """The new name of each id: a user with two devices that no other user has, and a device of another user of the tenant."""
    users_by_device: dict[str, set[str]] = defaultdict(set)
    devices_by_user: dict[str, list[str]] = defaultdict(list)
    for record in _records(folder):
        user, device = record.get("user_id"), record.get("device_id")
        if record.get("tenant_id") == TENANTS[0] and isinstance(user, str) and isinstance(device, str):
            users_by_device[device].add(user)
            if device not in devices_by_user[user]:
                devices_by_user[user].append(device)
    user, devices = next(
        (user, devices)
        for user, devices in devices_by_user.items()
        if len(devices) == len(DEVICES) and all(users_by_device[device] == {user} for device in devices)
    )
    other = next(device for device, users in users_by_device.items() if user not in users)
    tenants = zip(TENANTS, TENANT_NAMES, strict=False)
    return {**dict(tenants), user: USER, **dict(zip(devices, DEVICES, strict=True)), other: OTHER_DEVICE}


def _records(folder: Path) -> Iterator[dict[str, Any]]:
    """The records of a dataset that are whole."""
    for path in sorted(folder.glob("*/*.ndjson.gz")):
        for line in gzip.decompress(path.read_bytes()).splitlines():
            if line.startswith(b'{"') and line.endswith(b"}"):
                yield json.loads(line.decode("utf-8", "replace"))


def _write_files(folder: Path, day: date) -> None:
    """Writes what commands take: contacts, a list of subjects, a form, and variables for a shell."""
    contacts = "".join(f"{tenant},privacy,Ann,privacy@{tenant}.example,true\n" for tenant in TENANT_NAMES)
    variables = {
        "MINIMIZE_KEYS": folder / "demo.keys",
        "MINIMIZE_LEDGER": folder / "ledger.db",
        ACTOR_VARIABLE: OFFICER,
        "day": day.isoformat(),
    }
    texts = {
        "contacts.csv": f"tenant_id,role,name,address,suite\n{contacts}",
        "requests.csv": f"tenant_id,subject\n{TENANT_NAMES[0]},{DEVICES[0]}\n",
        "agreement.txt": "The form that an administrator of contoso has signed.\n",
        "env": "".join(f"export {name}={shlex.quote(str(value))}\n" for name, value in variables.items()),
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")


def _record_decisions(folder: Path, since: datetime, now: datetime) -> None:
    """Imports the settings, and records contracts, prerequisites and authorizations of the first tenant."""
    tenant, document = TENANT_NAMES[0], folder / "agreement.txt"
    pipeline = folder / "pipelines" / MAIN_DATASET
    with Workspace(folder / "ledger.db", pipeline=pipeline, keys=folder / "demo.keys") as workspace:
        with _acting_as(OFFICER):
            for file in sorted((folder / "sample_data").glob("*/settings.csv")):
                import_settings(file, workspace, now, reference="sample data")
        for name, function in CONSENTS:
            recipient = load_recipient(folder / "pipelines" / "recipients" / f"{name}.yaml")
            evidence = document_evidence(document)
            with _acting_as(OFFICER):
                if recipient.contract is not None and recipient.standing == "independent_controller":
                    contract = NewContract(
                        tenant, name, f"C-{name}", from_=since.date(), offered=True, document=document
                    )
                    record_contract(contract, workspace, now)
                for requirement in recipient.functions[function].requires:
                    confirm_prerequisite(tenant, name, requirement, workspace, now, evidence=evidence)
            version = recipient.functions[function].text_version
            consent = NewConsent(tenant, name, function, version, valid_from=since, evidence=evidence)
            with _acting_as(OFFICER):
                record_consent("give", consent, workspace, now)
            with _acting_as(_CONFIRMER):
                confirm_consent(tenant, name, function, workspace, now, document=document)


@contextmanager
def _acting_as(account: str) -> Iterator[None]:
    """Acts under an account, as `MINIMIZE_ACTOR` says it."""
    before = os.environ.get(ACTOR_VARIABLE)
    os.environ[ACTOR_VARIABLE] = account
    try:
        yield
    finally:
        if before is None:
            del os.environ[ACTOR_VARIABLE]
        else:
            os.environ[ACTOR_VARIABLE] = before
