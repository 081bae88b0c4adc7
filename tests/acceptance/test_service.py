"""A night of the whole service: every pipeline that ships, shares, messages, the removal of a device, and an incident."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import chain, count
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import time_machine
from minimize_samples.world import TENANTS

import minimize
from minimize.policy.load import load_pipeline
from minimize.recipients import load_recipients
from minimize.recipients.model import ADMIN_CONSENT
from tests.commands import Result, command
from tests.project import clean_environment, demonstration

pytestmark = pytest.mark.slow
AGREED = datetime(2026, 11, 20, 8, tzinfo=UTC)
NIGHT = datetime(2026, 11, 25, 1, tzinfo=UTC)
MORNING = datetime(2026, 11, 25, 9, tzinfo=UTC)
NEXT_NIGHT = datetime(2026, 11, 26, 1, tzinfo=UTC)
NEXT_MORNING = datetime(2026, 11, 26, 9, tzinfo=UTC)
OFFICER, SECOND = "privacy-officer@example.com", "application-manager@example.com"
SIGNED = ("--document", "signed.txt")
AGREEING = (TENANTS[0], *TENANTS[2:4])
"""The tenants that agree to everything; the others never answer. The vendor of threat defense writes of the first two alone."""
PARTS = ("written", "gated", "quarantined", "suppressed", "deduplicated")


@dataclass(frozen=True)
class Service:
    """The pipelines and samples that ship, in a folder of their own, with a keyring and a ledger."""

    folder: Path
    minutes: Iterator[int] = field(default_factory=count)

    def __call__(self, when: datetime, *arguments: object, code: int = 0, actor: str = OFFICER) -> Result:
        """Runs a command at about a time: each a minute later than it would be, so that none starts before another ended."""
        start = when + timedelta(minutes=next(self.minutes))
        with clean_environment(self.folder) as patch, time_machine.travel(start):
            patch.setenv("MINIMIZE_KEYS", str(self.folder / "test.keys"))
            patch.setenv("MINIMIZE_LEDGER", str(self.folder / "ledger.db"))
            patch.setenv("MINIMIZE_ACTOR", actor)
            done = command(*arguments)
        assert done.code == code, (arguments, done.out, done.err)
        return done

    @property
    def names(self) -> list[str]:
        """The pipelines."""
        return sorted(path.parent.name for path in (self.folder / "pipelines").glob("*/pipeline.yaml"))

    def run_all(self, when: datetime, *options: str) -> None:
        """Runs every pipeline."""
        for name in self.names:
            self(when, "run", f"pipelines/{name}", "--quiet", *options)

    def receipts(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Every receipt, with its pipeline."""
        for path in sorted(self.folder.glob("out*/*/runs/*/receipt.json")):
            yield path.parts[-4], json.loads(path.read_text())

    def records(self, name: str) -> pa.Table:
        """The records of a pipeline in force."""
        with clean_environment(self.folder) as patch:
            patch.setenv("MINIMIZE_LEDGER", str(self.folder / "ledger.db"))
            return minimize.read(self.output(name), keys=self.folder / "test.keys")

    def output(self, name: str) -> str:
        """The output of a pipeline."""
        return str(load_pipeline(self.folder / "pipelines" / name).target())

    def sample(self, dataset: str) -> Iterator[dict[str, Any]]:
        """The records of a sample that are whole."""
        for path in sorted((self.folder / "sample_data" / dataset).glob("*/*.ndjson.gz")):
            for line in gzip.decompress(path.read_bytes()).decode("utf-8", "replace").splitlines():
                try:
                    record = json.loads(line)
                except ValueError:
                    continue
                if isinstance(record, dict):
                    yield record


@pytest.fixture(scope="module", name="service")
def _service(tmp_path_factory: pytest.TempPathFactory) -> Service:
    """The morning after: tenants agreed, every pipeline ran, and what may be sent was sent."""
    service = Service(tmp_path_factory.mktemp("service"))
    demonstration(service.folder)
    names = [word for name in ("device", "user", "session") for word in ("--name", name)]
    (service.folder / "signed.txt").write_text("A signed form.")
    service(AGREED, "keys", "new", "test.keys", *names)
    for tenant in AGREEING:
        for recipient in independents(service):
            offered = ("--reference", f"{tenant}-1", "--offered", "--from", "2026-01-01", *SIGNED)
            service(AGREED, "contract", "record", tenant, recipient, *offered)
        for recipient, function in functions(service, "outbound", "inbound"):
            version = load_recipients(service.folder / "pipelines" / "recipients").load(recipient).functions[function]
            service(AGREED, "functions", "enable", tenant, recipient, function)
            for requirement in version.requires:
                granted = [("--permission", each) for each in version.permissions if requirement == ADMIN_CONSENT]
                words = (tenant, recipient, requirement, *SIGNED, *chain(*granted))
                service(AGREED, "functions", "confirm", *words)
            named = (tenant, recipient, function, *SIGNED)
            service(AGREED, "consent", "give", *named, "--text-version", version.text_version)
            service(AGREED, "consent", "confirm", *named, actor=SECOND)
    service(NIGHT, "settings", "import", "sample_data/threat_defense_app_sync/settings.csv", "--reference", "sample")
    service.run_all(NIGHT)
    return service


def independents(service: Service) -> list[str]:
    """The recipients that need a contract of each tenant."""
    known = load_recipients(service.folder / "pipelines" / "recipients")
    found = [known.load(name) for name in known.names()]
    return [each.recipient for each in found if each.standing == "independent_controller" and each.contract is not None]


def functions(service: Service, *directions: str) -> list[tuple[str, str]]:
    known = load_recipients(service.folder / "pipelines" / "recipients")
    return [
        (name, function.name)
        for name in known.names()
        for function in known.load(name).functions.values()
        if function.direction in directions
    ]


def test_every_row_of_every_pipeline_is_accounted_for(service: Service) -> None:
    ran = Counter[str]()
    for name, receipt in service.receipts():
        rows = receipt["rows"]
        assert rows["read"] == sum(rows[part] for part in PARTS), name
        assert rows["read"] > 0, name
        ran[name] += 1
    assert set(ran) == set(service.names)


def test_every_output_verifies_and_so_does_the_audit_log(service: Service) -> None:
    for name in service.names:
        service(MORNING, "verify", service.output(name))
    service(MORNING, "audit", "verify")


def test_shared_records_belong_to_consenting_tenants(service: Service) -> None:
    known = load_recipients(service.folder / "pipelines" / "recipients")
    sent = {}
    for recipient, function in functions(service, "outbound"):
        name = next(
            each for each in service.names if each.startswith(f"{recipient}_") and feeds(service, each, function)
        )
        manifest = known.load(recipient).functions[function]
        to = ("--pipeline", f"pipelines/{name}", "--to", f"{name}.parquet", "--json")
        if not manifest.shared:
            refused = service(MORNING, "share", "send", recipient, function, *to, code=3)
            assert "secrets are read from the source" in refused.err
            continue
        done = service(MORNING, "share", "send", recipient, function, *to).json
        assert set(done["tenants"]) <= set(AGREEING), name
        assert done["rows"] > 0, name
        sent[recipient, function] = done["rows"]
    log = service(MORNING, "share", "log", "--json").json
    assert sum(sent.values()) == sum(each["rows"] for each in log["disclosures"])


def feeds(service: Service, name: str, function: str) -> bool:
    """Whether a pipeline is for a function of a recipient that it is named after."""
    source = load_pipeline(service.folder / "pipelines" / name).source
    return source.recipient is None and (name.endswith(function) or function == "case_handover")


def test_received_records_belong_to_consenting_tenants(service: Service) -> None:
    received = [name for name in service.names if load_pipeline(service.folder / "pipelines" / name).source.recipient]
    assert len(received) == len(functions(service, "inbound"))
    for name in received:
        records = service.records(name)
        assert records.num_rows > 0, name
        assert set(records.column("tenant_id").to_pylist()) <= set(AGREEING), name
    gated = {name: receipt["gated_by"].get("consent", 0) for name, receipt in service.receipts() if name in received}
    assert all(gated.values()), gated


def test_a_removed_device_is_gone_from_every_dataset_and_does_not_return(service: Service) -> None:
    device, tenant = everywhere(service, known_to_vendor=True)
    before = service(MORNING, "subject", "view", device, "--tenant", tenant, "--json").json
    assert before["subjects"][0]["rows"] > 0
    service(MORNING, "subject", "delete", device, "--tenant", tenant, "--yes")
    service.run_all(NEXT_NIGHT)
    after = service(NEXT_NIGHT, "subject", "view", device, "--tenant", tenant, "--json").json
    assert after["subjects"][0]["rows"] == 0
    for name in service.names:
        service(NEXT_NIGHT, "verify", service.output(name))
    for name, receipt in service.receipts():
        assert receipt["rows"]["read"] == sum(receipt["rows"][part] for part in PARTS), name


def test_an_output_that_shows_no_id_of_a_removed_device_takes_a_reason(service: Service) -> None:
    device, tenant = everywhere(service, known_to_vendor=False)
    found = service(NEXT_MORNING, "subject", "view", device, "--tenant", tenant, "--json").json
    assert found["subjects"][0]["rows"] > 0
    reason = "threat_defense_threat_state=the vendor was never sent this device"
    words = ("subject", "delete", device, "--tenant", tenant, "--yes")
    service(NEXT_MORNING, *words, "--unsearchable", reason)
    after = service(NEXT_MORNING, "subject", "view", device, "--tenant", tenant, "--json").json
    assert after["subjects"][0]["rows"] == 0
    other, tenant = everywhere(service, known_to_vendor=False, without=device)
    refused = service(NEXT_MORNING, "subject", "delete", other, "--tenant", tenant, "--yes", code=1).err
    assert refused.count("was not searched") == 1
    assert "threat_defense_threat_state was not searched: no record shows the device.vendor_id" in refused


def everywhere(service: Service, *, known_to_vendor: bool, without: str = "") -> tuple[str, str]:
    """A device of which most datasets have a record, and its tenant; whether the threat defense vendor was sent its id."""
    found: dict[tuple[str, str], set[str]] = {}
    for dataset in ("device_telemetry", "device_inventory", "hardware_inventory", "app_inventory", "enrollments"):
        for record in service.sample(dataset):
            if isinstance(record.get("device_id"), str) and isinstance(record.get("tenant_id"), str):
                found.setdefault((record["device_id"], record["tenant_id"]), set()).add(dataset)
    sent = {
        (record["device_id"], record.get("tenant_id"))
        for record in service.sample("threat_defense_app_sync")
        if isinstance(record.get("device_id"), str) and record.get("vendor_device_id")
    }
    agreed = [pair for pair in sorted(found) if pair[1] == AGREEING[0] and (pair in sent) == known_to_vendor]
    agreed = [pair for pair in agreed if pair[0] != without]
    chosen = max(agreed, key=lambda pair: len(found[pair]))
    assert len(found[chosen]) == 5
    return chosen


def test_an_incident_names_the_tenants_whose_records_were_exposed(service: Service) -> None:
    exposed = service.records("device_lookup")
    service(
        *(MORNING, "incident", "open", "INC-1", "--title", "A copy of the help desk's table was lost"),
        *(
            "--since",
            "2026-11-25T02:00Z",
            "--known-at",
            "2026-11-25T08:00Z",
            "--exposed",
            "output:out/device_lookup#records",
        ),
    )
    scope = service(MORNING, "incident", "scope", "INC-1", "--json").json
    assert {each["tenant_id"] for each in scope["scope"]["tenants"]} == set(exposed.column("tenant_id").to_pylist())
    service(MORNING, "incident", "declare", "INC-1")
