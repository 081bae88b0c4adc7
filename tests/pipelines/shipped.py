"""Running the shipped pipelines through the command line."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
from minimize_samples.world import TENANTS

from minimize import apply, read
from minimize.consent import current_terms
from minimize.keys import Keyring
from minimize.ledger import Actor, AuditEvent, find_ledger
from minimize.ledger.kinds import CONSENT, SETTING, ConsentAct, RecordedSetting
from minimize.ledger.ledger import open_ledger
from minimize.policy.load import load_pipeline
from minimize.recipients import load_recipient
from tests.acts import record_acts
from tests.agreements import record_agreements
from tests.commands import Result, command
from tests.project import clean_environment, demonstration, write_keyring

from . import handmade

ROOT = Path(__file__).parents[2]
_CHECKOUT = TemporaryDirectory(prefix="checkout-")
PIPELINES = demonstration(Path(_CHECKOUT.name))
"""A copy of the shipped pipelines with the configuration that they ship with: access control is on."""
OFFICER = "privacy-officer@example.com"
OPERATOR = "operator@example.com"
"""May replace the settings, the input and the output of a pipeline (see `demonstration`)."""
RECIPIENTS = PIPELINES / "recipients"
SENT = {
    "apple_device_enrollment": ("apple", "device_enrollment"),
    "apple_push": ("apple", "push"),
    "apple_volume_purchase": ("apple", "volume_purchase"),
    "google_android_management": ("google", "android_management"),
    "support_desk_cases": ("support_desk", "case_handover"),
    "threat_defense_app_sync": ("threat_defense", "app_sync"),
}
"""The pipelines whose records are sent to a recipient for a function; their samples are small."""
RECEIVED = {
    path.parent.name: (source.recipient, source.function)
    for path in sorted(PIPELINES.glob("*/pipeline.yaml"))
    if (source := load_pipeline(path.parent).source).recipient
    and source.function
    and path.parent.name != "site_summary"
}
"""The pipelines whose records a recipient sends under a function; their samples are small. The on-premises product is left out:
its records are a dataset of the service."""
DATASETS = {
    path.parent.name: Path(load_pipeline(path.parent).source.path).parts[-3]
    for path in sorted(PIPELINES.glob("*/pipeline.yaml"))
}
"""The dataset that each pipeline reads."""
SAMPLED = tuple(name for name, dataset in DATASETS.items() if (ROOT / "sample_data" / dataset).is_dir())
"""The pipelines whose dataset has committed samples."""
NAMES = tuple(name for name, dataset in DATASETS.items() if name in SAMPLED or dataset in handmade.DATASETS)
"""The pipelines that are run: on committed samples, or else on records made by hand."""
AT = "2026-11-25T00:00:00Z"
AGREED = datetime(2026, 10, 1, tzinfo=UTC)
TESTER = Actor("user", application="a test", user="ann")


@dataclass(frozen=True)
class Ran:
    """A run of one pipeline: its output folder and what the command said."""

    output: Path
    done: Result
    keys: Path

    @property
    def receipt(self) -> dict[str, Any]:
        """The receipt, as `run --json` prints it."""
        receipt: dict[str, Any] = self.done.json
        return receipt

    def table(self, name: str = "records") -> pa.Table:
        """One output, decrypted where that is needed."""
        return read(self.output, name, keys=self.keys)

    @cached_property
    def leaves(self) -> list[dict[str, Any]]:
        """The published records, each with its values by field. Read once: tests of a session's runs only read."""
        return [dict(handmade.leaves(row)) for row in self.rows()]

    def rows(self, name: str = "records") -> list[dict[str, Any]]:
        """One output's rows."""
        rows: list[dict[str, Any]] = self.table(name).to_pylist()
        return rows


@dataclass
class Runs:
    """The runs of this session, each made when it is first asked for."""

    folder: Path
    keys: Path
    made: dict[str, Ran] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Ran:
        if name not in SAMPLED:
            return self.by_hand(name)
        if name not in self.made:
            settings = ["--settings", str(sample_settings(name))] if load_pipeline(PIPELINES / name).settings else []
            self.made[name] = self._run(name, name, *settings)
        return self.made[name]

    def by_hand(self, name: str) -> Ran:
        """A run on records made by hand."""
        key = f"{name}_by_hand"
        if key not in self.made:
            source = handmade.write(DATASETS[name], self.folder / "handmade")
            more = ["--settings", f"{source}/settings.csv"] if load_pipeline(PIPELINES / name).settings else []
            self.made[key] = self._run(key, name, "--input", f"{source}/{{date}}/*.ndjson.gz", *more)
        return self.made[key]

    def of_many(self, name: str) -> Ran:
        """A run on a generated sample that is larger than the committed one, so that its groups are above all noise."""
        dataset, folder, key = DATASETS[name], self.folder / "generated", f"{name}_of_many"
        if key in self.made:
            return self.made[key]
        if not (folder / dataset).is_dir():
            arguments = [
                "sample",
                dataset,
                "--rows",
                "12000",
                "--date",
                "2026-11-24",
                "--output",
                str(folder / dataset),
            ]
            generated = minimize(*arguments)
            assert generated.code == 0, generated.err
        more = ["--settings", f"{folder}/{dataset}/settings.csv"] if load_pipeline(PIPELINES / name).settings else []
        self.made[key] = self._run(key, name, "--input", f"{folder}/{dataset}/{{date}}/*.ndjson.gz", *more)
        return self.made[key]

    def applied(self, name: str, records: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """What records become in memory under the policy, purpose and settings of a pipeline."""
        pipeline = load_pipeline(PIPELINES / name)
        settings = handmade.write(DATASETS[name], self.folder / "handmade") / "settings.csv"
        timed = [{**each, "event_time": datetime.fromisoformat(each["event_time"])} for each in records]
        table = pa.Table.from_pylist(timed)
        released = apply(pipeline.policy, table, purpose=pipeline.purpose, settings=settings, keys=self.keys, at=AT)
        rows: list[dict[str, Any]] = released.to_pylist()
        return rows

    def _run(self, key: str, name: str, *more: str) -> Ran:
        deciding = load_pipeline(PIPELINES / name).source.deciding_function
        if deciding is not None:
            consent(self.keys.with_name("ledger.db"), Keyring.load(self.keys), *deciding)
        output = self.folder / key
        arguments = ["run", str(PIPELINES / name), "--at", AT, "--output", str(output), "--json", *more]
        return Ran(output, minimize(*arguments, keys=self.keys), self.keys)


def sample_settings(name: str) -> Path:
    """The settings of the sample that a pipeline reads."""
    return ROOT / "sample_data" / DATASETS[name] / "settings.csv"


def minimize(*arguments: str, keys: Path | None = None, cwd: Path = PIPELINES, actor: str | None = None) -> Result:
    """Runs the command with a keyring, a ledger next to it, and nothing else set, as an account: the operator runs pipelines."""
    actor = actor or (OPERATOR if arguments[0] in ("run", "receive") else OFFICER)
    with clean_environment(cwd) as patch:
        patch.setenv("MINIMIZE_ACTOR", actor)
        if keys is not None:
            patch.setenv("MINIMIZE_KEYS", str(keys))
            patch.setenv("MINIMIZE_LEDGER", str(keys.with_name("ledger.db")))
        return command(*arguments)


def consent(
    ledger: Path, keys: Keyring, name: str, function: str, tenants: Sequence[str] = (*TENANTS, *handmade.TENANTS)
) -> None:
    """Records that tenants agreed to a recipient and a function some weeks before the samples, under contracts of their own."""
    recipient = load_recipient(RECIPIENTS / f"{name}.yaml")
    terms = current_terms(recipient, function).text
    acts = [ConsentAct(tenant, name, function, "given", terms, "admin", AGREED, None, AGREED) for tenant in tenants]
    said: dict[str, Any] = {"component": "test", "activity": "consent", "operation": "given", "category": "sharing"}
    with open_ledger(find_ledger(ledger), create=True) as book:
        record_acts(book, keys, CONSENT, *acts, event=AuditEvent(**said, actor=TESTER, time=AGREED))
        record_agreements(book, keys, recipient, tenants, AGREED)


def record_sample_settings(ledger: Path, keys: Keyring, name: str) -> None:
    """Records the settings of the sample of a pipeline, if it has any, with the times that they state."""
    if load_pipeline(PIPELINES / name).settings is None:
        return
    with sample_settings(name).open() as file:
        rows = [
            RecordedSetting(
                each["tenant_id"],
                each["subject"] or None,
                each["setting"],
                each["value"],
                each["holder"],
                datetime.fromisoformat(each["valid_from"]),
                datetime.fromisoformat(each["recorded_at"]),
            )
            for each in csv.DictReader(file)
        ]
    said: dict[str, Any] = {"component": "test", "activity": "setting", "operation": "import", "category": "settings"}
    with open_ledger(find_ledger(ledger), create=True) as book:
        record_acts(book, keys, SETTING, *rows, event=AuditEvent(**said, actor=TESTER, time=AGREED))


def new_keys(path: Path) -> Path:
    """A keyring with every key that the shipped pipelines name. Its keys are the same in all sessions, and so is all noise."""
    write_keyring(path, ("device", "user", "session"))
    return path


def sample(dataset: str) -> Iterator[dict[str, Any]]:
    """The committed records that are whole objects, duplicates of a key and wrong types included; else those made by hand."""
    if not (ROOT / "sample_data" / dataset).is_dir():
        yield from handmade.records(dataset)
    for lines in sample_lines(dataset):
        for line in lines:
            try:
                record = json.loads(line)
            except ValueError:
                continue
            if isinstance(record, dict):
                yield record


def sample_lines(dataset: str) -> Iterator[list[str]]:
    """The lines of each committed file."""
    for path in sorted((ROOT / "sample_data" / dataset).glob("*/*.ndjson.gz")):
        yield gzip.decompress(path.read_bytes()).decode("utf-8", "replace").splitlines()
