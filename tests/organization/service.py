"""The whole shipped service on disk: all pipelines published into one folder, and commands on it under a frozen clock."""

from __future__ import annotations

import contextlib
import itertools
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import time_machine
from ruamel.yaml import YAML

import minimize
from minimize.consent import current_terms
from minimize.keys import Keyring
from minimize.ledger import find_ledger
from minimize.ledger.kinds import CONSENT, ConsentAct
from minimize.ledger.ledger import open_ledger
from minimize.recipients import load_recipient
from tests.acts import record_acts
from tests.agreements import record_agreements
from tests.commands import Result, command
from tests.organization.people import TENANTS, devices, persons
from tests.organization.raw_records import DATES, NOW, RawRecord, records
from tests.project import CHECKOUT, clean_environment, copy_outputs, write_keyring, write_lines

KEYS: Final = ("device", "user", "session")
AGREED: Final = datetime.fromisoformat("2026-10-01T00:00:00+00:00")
CONFIGURATION: Final = (
    "keys: ../test.keys\nledger: ../ledger.db\naccess: off\nencrypt: identified\nmetrics: ../metrics\n"
)
ACTOR: Final = "privacy-officer@example.com"
_SETTINGS_COLUMNS: Final = "tenant_id,subject,setting,value,holder,valid_from,recorded_at"


@dataclass(frozen=True)
class Service:
    """The published service in a folder."""

    folder: Path

    @property
    def pipelines(self) -> Path:
        return self.folder / "pipelines"

    @property
    def keys(self) -> Path:
        return self.folder / "test.keys"

    @property
    def ledger(self) -> Path:
        return self.folder / "ledger.db"

    def output(self, pipeline: str) -> Path:
        """The output folder of a pipeline."""
        telemetry = self.folder / "out-telemetry" / pipeline
        return telemetry if pipeline in TELEMETRY else self.folder / "out" / pipeline

    @contextlib.contextmanager
    def at(self, time: datetime) -> Iterator[None]:
        """Acts in the service's folder at a time."""
        with clean_environment(self.pipelines) as patch, time_machine.travel(time, tick=False):
            patch.setenv("MINIMIZE_ACTOR", ACTOR)
            yield

    def command(self, time: datetime, *arguments: object) -> Result:
        """Runs a command at a time."""
        with self.at(time):
            return command(*arguments)

    def run(self, time: datetime, pipeline: str, *more: object) -> Result:
        """Runs a pipeline."""
        return self.command(time, "run", self.pipelines / pipeline, "--json", *more)

    def log(self, name: object, ended: Result) -> None:
        """Keeps what a command logged; for a run also what it printed."""
        printed = ended.out if name in ("run", "expire", "retract", "verify") else ""
        path = self.folder / "logs" / "minimize.log"
        path.parent.mkdir(exist_ok=True)
        with path.open("a") as file:
            file.write(f"{ended.err}{printed}")

    def write_records(self, dataset: str, name: str, found: Iterable[RawRecord]) -> None:
        """Writes raw records of a dataset, in a file of each date."""
        for date, group in itertools.groupby(found, lambda each: each.date):
            write_lines(
                self.folder / "sample_data" / dataset / date / f"{name}.ndjson.gz", [each.value for each in group]
            )

    def rows(self, pipeline: str) -> list[dict[str, Any]]:
        """The published records of a pipeline, decrypted."""
        output = self.output(pipeline)
        if not minimize.files(output, "records"):
            return []
        return list(minimize.read(output, "records", keys=self.keys).to_pylist())

    def copy(self, folder: Path) -> Service:
        """A copy, to write to."""
        with time_machine.travel(NOW, tick=False):
            copy_outputs(self.folder, folder)
        return Service(folder)


def _shipped(key: str) -> dict[str, Any]:
    yaml = YAML(typ="safe")
    return {
        path.parent.name: yaml.load(path).get(key) for path in sorted((CHECKOUT / "pipelines").glob("*/pipeline.yaml"))
    }


PIPELINES: Final = {name: Path(source["path"]).parts[-3] for name, source in _shipped("source").items()}
"""The dataset that each shipped pipeline reads."""
TELEMETRY: Final = frozenset(name for name, data in _shipped("data").items() if data == "telemetry")


def build_service(folder: Path, pipelines: Iterable[str] = PIPELINES) -> Service:
    """Publishes the shipped pipelines in a new folder, on the organization's records."""
    service = Service(folder)
    names = sorted(pipelines)
    for name in {*names, *_policy_folders(names), "recipients"}:
        shutil.copytree(CHECKOUT / "pipelines" / name, service.pipelines / name)
    for path in service.pipelines.glob("*/pipeline.yaml"):
        path.write_text(path.read_text().replace("warn_above: 0.01", "warn_above: 0.4"))
    (folder / "metrics").mkdir()
    (service.pipelines / "minimize.yaml").write_text(CONFIGURATION)
    write_keyring(service.keys, KEYS)
    for dataset in sorted({PIPELINES[name] for name in names}):
        service.write_records(dataset, "a", records(dataset))
        (folder / "sample_data" / dataset / "settings.csv").write_text(_settings())
        write_lines(folder / "sample_data" / dataset / DATES[0] / "b.ndjson.gz", [_forbidden(dataset)])
    _agree(service)
    if "ledger" in _shipped("settings").values():
        _import_settings(service)
    for name in names:
        ended = service.run(NOW, name)
        assert ended.code == 0, (name, ended.err)
    return service


def _import_settings(service: Service) -> None:
    """Imports the settings into the ledger, for pipelines that follow it."""
    file = service.folder / "requests" / "settings.csv"
    file.parent.mkdir(exist_ok=True)
    file.write_text(_settings())
    ended = service.command(AGREED, "settings", "import", file, "--evidence", "CLIENT-1")
    assert ended.code == 0, ended.err


def _policy_folders(names: Iterable[str]) -> set[str]:
    policies = _shipped("policy")
    return {Path(name, policies[name]).resolve().parent.name for name in names if policies[name] != "policy.yaml"}


def _forbidden(dataset: str) -> dict[str, Any]:
    """A record that the policy refuses, with the values of a person: it is quarantined."""
    first = records(dataset)[0]
    return {**first.value, "contacts": [persons()[0].ids["name"]]}


def _settings() -> str:
    since = "2026-01-01T00:00:00Z,2026-01-01T00:00:00Z"
    rows = [
        f"{tenant},,{setting},{value},{holder},{since}"
        for tenant in TENANTS
        for setting, value, holder in (
            ("level", "full", "admin"),
            ("app_inventory", "on", "admin"),
            ("usage", "on", "admin"),
            ("sdk", "on", "developer"),
        )
    ]
    rows += [f"{each.tenant},{each.ids['user']},usage,on,user,{since}" for each in persons()]
    rows += [f"{each.tenant},{each.ids['device']},location,on,admin,{since}" for each in devices()]
    return "\n".join([_SETTINGS_COLUMNS, *rows, ""])


def _agree(service: Service) -> None:
    """Records the consent of every tenant to every function of every recipient, with contracts and prerequisites."""
    keys = Keyring.load(service.keys)
    with open_ledger(find_ledger(service.ledger), create=True) as ledger:
        for path in sorted((service.pipelines / "recipients").glob("*.yaml")):
            if path.stem == "subprocessors":
                continue
            recipient = load_recipient(path)
            for function in recipient.functions:
                text = current_terms(recipient, function).text
                acts = [
                    ConsentAct(tenant, recipient.recipient, function, "given", text, "admin", AGREED, None, AGREED)
                    for tenant in TENANTS
                ]
                record_acts(ledger, keys, CONSENT, *acts)
            record_agreements(ledger, keys, recipient, TENANTS, AGREED)
