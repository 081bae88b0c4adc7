"""A week of nights of an organization with access control, under each schedule that is shipped.

New data arrives every day. A directory's feed names the users who were deleted. Tenants end a consent and a contract.
"""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from minimize_samples import generate

import minimize
from minimize.consent import current_terms
from minimize.governance.consent import NewConsent, record_consent
from minimize.governance.contracts import end_contract
from minimize.governance.evidence import TenantEvidence
from minimize.governance.settings import import_settings
from minimize.ledger.kinds import CONSENT, ConsentAct
from minimize.ledger.ledger import open_ledger
from minimize.recipients import load_recipient
from minimize.workspace import Workspace
from tests.acts import record_acts
from tests.agreements import record_agreements
from tests.command_server import command_server
from tests.project import CHECKOUT, write_keyring
from tests.schedules import JOBS, Job, Machine

DAY = timedelta(days=1)
FIRST = datetime(2026, 12, 7, 2, 30, tzinfo=UTC)
NIGHTS = 7
OLD = 28
"""The age in days of the oldest batch in the first night. Records are kept for 30 days."""
RETENTION = timedelta(days=30)
OWN, RECEIVED = ("device_telemetry", "managed_apps"), "jamf_compliance"
FOLLOWING = "device_telemetry"
"""The dataset whose pipeline follows the settings of the ledger."""
ROWS = {"device_telemetry": 200, "managed_apps": 200, RECEIVED: 150}
LONG_AGO = FIRST - timedelta(days=200)
FORM = TenantEvidence("document", "FORM-1")
User = tuple[str, str]
"""A tenant, and the id of one of its users."""


def batch_date(night: int) -> str:
    """The day whose data arrives in a night."""
    return f"{FIRST + (night - 1) * DAY:%Y-%m-%d}"


ARRIVALS = {night: [batch_date(night)] for night in range(NIGHTS)}
ARRIVALS[0].insert(0, batch_date(1 - OLD))


@pytest.fixture(name="samples", scope="module")
def _samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of generated data, by name and date. It is filled when the data of a day is needed."""
    return tmp_path_factory.mktemp("samples")


def sample_of(samples: Path, name: str, date: str) -> Path:
    """The folder of the data of a day, generated once. The settings of that day are next to it."""
    folder = samples / name / date
    if not folder.exists():
        generate(name, ROWS[name], folder, dates=[date])
    return folder / date


@pytest.fixture(name="client", scope="module")
def _client() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder, command_server(Path(folder)) as client:
        yield client


def offset_to(at: datetime) -> str:
    """What is added to the clock of commands, so that it is this time now."""
    return str(at.timestamp() - time.time())


def user_of(record: dict[str, Any]) -> User | None:
    return (record["tenant_id"], record["user_id"]) if record.get("user_id") else None


@dataclass(frozen=True)
class Organization:
    """The organization of the shipped pipelines, on a machine whose scheduler runs a job every night."""

    machine: Machine
    samples: Path
    job: Job
    deleted: dict[User, datetime] = field(default_factory=dict)

    @classmethod
    def founded(cls, machine: Machine, samples: Path, job: Job) -> Organization:
        """With pipelines, keys, accounts, settings and an empty feed. All tenants agreed to receive from Jamf."""
        made = cls(machine, samples, job)
        for name in ("minimize.yaml", "recipients", *ROWS):
            place = CHECKOUT / "pipelines" / name
            (shutil.copytree if place.is_dir() else shutil.copy)(place, machine.telemetry / "pipelines" / name)
        for name in ROWS:
            (machine.telemetry / "sample_data" / name).mkdir(parents=True)
            settings = sample_of(samples, name, batch_date(0)).parent / "settings.csv"
            shutil.copy(settings, machine.telemetry / "sample_data" / name)
        for keys in ("etc/minimize/keys", "run/keys/keyring"):
            write_keyring(machine.root / keys, ("device", "user", "session"))
        assert (
            made.command("founder", "access", "new", "out/demo-access.yaml", "--tenant", made.tenants[0]).returncode
            == 0
        )
        made.write_feed()
        recipient = load_recipient(machine.telemetry / "pipelines/recipients/jamf.yaml")
        text = current_terms(recipient, "compliance").text
        acts = [
            ConsentAct(tenant, "jamf", "compliance", "given", text, "admin", LONG_AGO, None, LONG_AGO)
            for tenant in made.tenants
        ]
        with open_ledger(made.places.address, create=True) as ledger:
            record_agreements(ledger, made.places.keyring(), recipient, made.tenants, LONG_AGO)
            record_acts(ledger, made.places.keyring(), CONSENT, *acts)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("MINIMIZE_ACTOR", "founder")
            file = machine.telemetry / "sample_data" / FOLLOWING / "settings.csv"
            import_settings(file, made.places, FIRST, reference="FORM-1")
        return made

    @property
    def places(self) -> Workspace:
        """The ledger and the keyring."""
        folder = self.machine.telemetry
        return Workspace(
            folder / "ledger.db", None, folder / "pipelines" / RECEIVED, self.machine.root / "etc/minimize/keys"
        )

    @cached_property
    def tenants(self) -> list[str]:
        """The tenants whose data Jamf sends."""
        return sorted({record["tenant_id"] for record in self.arriving(RECEIVED, batch_date(0))})

    def withdraw(self, tenant: str, at: datetime) -> None:
        """A tenant no longer agrees to what Jamf sends."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("MINIMIZE_ACTOR", "privacy-officer@example.com")
            record_consent("withdraw", NewConsent(tenant, "jamf", "compliance", evidence=FORM), self.places, at)

    def end_contract(self, tenant: str, at: datetime) -> None:
        """A tenant ends its contract with Jamf."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("MINIMIZE_ACTOR", "privacy-officer@example.com")
            end_contract(tenant, "jamf", self.places, at)

    def command(self, account: str, *words: str, at: datetime = FIRST) -> subprocess.CompletedProcess[str]:
        """A command of another account, in the folder of the project."""
        folder = self.machine.telemetry
        given = {
            "MINIMIZE_ACTOR": account,
            "MINIMIZE_KEYS": str(self.machine.root / "etc/minimize/keys"),
            "MINIMIZE_LEDGER": str(folder / "ledger.db"),
            "CLOCK": offset_to(at),
        }
        call = [str(self.machine.binaries / "minimize"), *words]
        return subprocess.run(call, cwd=folder, env=given, capture_output=True, text=True, check=False)

    def arriving(self, name: str, date: str) -> list[dict[str, Any]]:
        """The records of a day. A user who was deleted before sends none."""
        lines = [
            json.loads(line)
            for path in sorted(sample_of(self.samples, name, date).iterdir())
            for line in gzip.decompress(path.read_bytes()).splitlines()
            if is_sound(line)
        ]
        gone = {user for user, at in self.deleted.items() if f"{at:%Y-%m-%d}" <= date}
        return [record for record in lines if user_of(record) not in gone]

    def users(self, date: str) -> set[User]:
        """The users in the data of a day who were not deleted, of all datasets that name users."""
        found = [{user_of(record) for record in self.arriving(name, date)} for name in OWN]
        return {user for user in set.intersection(*found) if user is not None and user not in self.deleted}

    def delete(self, user: User, at: datetime) -> None:
        """The directory deletes a user."""
        self.deleted[user] = at
        self.write_feed()

    def write_feed(self) -> None:
        """Writes the directory's feed."""
        lines = [f"{tenant},{user},{at:%Y-%m-%dT%H:%M:%SZ}\n" for (tenant, user), at in self.deleted.items()]
        (self.machine.telemetry / "deleted_users.csv").write_text("".join(["tenant_id,user_id,deleted_at\n", *lines]))

    def night(self, number: int, dates: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
        """The data of the day, or of these dates, arrives, then the scheduler runs its job."""
        for name in ROWS:
            for date in dates or ARRIVALS[number]:
                folder = self.machine.telemetry / "sample_data" / name / date
                folder.mkdir()
                lines = "".join(json.dumps(each) + "\n" for each in self.arriving(name, date))
                (folder / "part.ndjson.gz").write_bytes(gzip.compress(lines.encode(), mtime=0))
        return self.machine.runs(self.job, CLOCK=offset_to(FIRST + number * DAY))

    def pseudonyms(self, name: str, user: User, folder: Path) -> set[str]:
        """The forms of a user in an output: those in a run over the user's records of the first day alone."""
        date = batch_date(0)
        (folder / "in" / date).mkdir(parents=True)
        shutil.copy(self.machine.telemetry / "ledger.db", folder)  # with the settings that the pipelines follow
        own = [json.dumps(each) + "\n" for each in self.arriving(name, date) if user_of(each) == user]
        (folder / "in" / date / "a.ndjson.gz").write_bytes(gzip.compress("".join(own).encode()))
        minimize.run(
            self.machine.telemetry / "pipelines" / name,
            at=FIRST,
            input=folder / "in/{date}/*.ndjson.gz",
            output=folder / "out",
            ledger=folder / "ledger.db",
            keys=self.machine.root / "etc/minimize/keys",
        )
        return {row["user_id"] for row in self.rows(folder / "out")}

    def rows(self, output: Path | str) -> list[dict[str, Any]]:
        """The published records."""
        place = self.machine.telemetry / output
        found: list[dict[str, Any]] = minimize.read(place, keys=self.machine.root / "etc/minimize/keys").to_pylist()
        return found

    def received_tenants(self) -> set[str]:
        """The tenants of published records that Jamf sent."""
        return {row["tenant_id"] for row in self.rows(f"out/{RECEIVED}")}

    def refusals(self, at: datetime) -> list[Any]:
        """What the audit log has about refusals."""
        done = self.command("auditor@example.com", "audit", "log", "--result", "refused", "--json", at=at)
        assert done.returncode == 0, done.stderr
        entries: list[Any] = json.loads(done.stdout)["entries"]
        return entries


def is_sound(line: bytes) -> bool:
    """Whether a line of the sample is a record. Samples have some that are not."""
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


@dataclass(frozen=True)
class DeletedUsers:
    """Two users who are in all datasets on the first day, and the forms of each in the outputs."""

    users: list[User]
    forms: dict[User, dict[str, set[str]]]

    def missing(self, outputs: dict[str, list[dict[str, Any]]]) -> list[User]:
        """Those of whom no output has a form."""
        published = {name: {row["user_id"] for row in rows} for name, rows in outputs.items()}
        return [user for user in self.users if all(not self.forms[user][name] & published[name] for name in OWN)]


@pytest.fixture(name="deleted", scope="module")
def _deleted(samples: Path, client: str, tmp_path_factory: pytest.TempPathFactory) -> DeletedUsers:
    folder = tmp_path_factory.mktemp("deleted")
    house = Organization.founded(Machine.fresh(folder / "machine", client), samples, JOBS["crontab"]())
    users = sorted(house.users(batch_date(0)))[:2]
    forms = {user: {name: house.pseudonyms(name, user, folder / name / user[1]) for name in OWN} for user in users}
    assert all(forms[user][name] for user in users for name in OWN)
    return DeletedUsers(users, forms)


@pytest.mark.slow
@pytest.mark.parametrize("schedule", JOBS)
def test_a_week_of_nights_ends_clean_under_each_schedule(
    tmp_path: Path, samples: Path, client: str, deleted: DeletedUsers, schedule: str
) -> None:
    house = Organization.founded(Machine.fresh(tmp_path / "machine", client), samples, JOBS[schedule]())
    one, other = deleted.users
    withdrawing, ending, *staying = house.tenants
    assert staying
    for number in range(NIGHTS):
        now = FIRST + number * DAY
        if number == 2:
            house.delete(one, now - timedelta(hours=8))
        if number == 3:
            house.withdraw(withdrawing, now - timedelta(hours=5))
        if number == 4:
            house.delete(other, now - timedelta(hours=8))
        if number == 5:
            house.end_contract(ending, now - timedelta(hours=5))
        done = house.night(number)
        assert (done.returncode, "nightly.sh" in done.stderr) == (0, False), done.stderr
        if "QUIET" in house.job.environment:  # cron sends mail for what is printed
            assert (done.stdout, done.stderr) == ("", "")
        outputs = {name: house.rows(f"out/{name}") for name in OWN}
        assert deleted.missing(outputs) == list(house.deleted)
        for rows in outputs.values():
            oldest = min(row["event_time"] for row in rows)
            assert (oldest > now - RETENTION, oldest < FIRST - (OLD - 1) * DAY) == (True, number < 3)
        left = [withdrawing] * (number < 3) + [ending] * (number < 5)
        assert house.received_tenants() == {*left, *staying}
    assert house.refusals(now) == []
    assert len(list((house.machine.telemetry / "recalls").glob("*.json"))) == NIGHTS


def test_a_night_ends_clean_and_publishes_nothing_of_users_who_were_deleted(
    tmp_path: Path, samples: Path, client: str
) -> None:
    job = JOBS["crontab"]()
    job = replace(job, environment=job.environment | {"NIGHT": "pipelines/managed_apps out/managed_apps"})
    house = Organization.founded(Machine.fresh(tmp_path / "machine", client), samples, job)
    sent = {user_of(record) for record in house.arriving("managed_apps", batch_date(0))}
    house.deleted[min(house.users(batch_date(0)))] = FIRST
    house.write_feed()
    done = house.night(0, dates=[batch_date(0)])
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert len({row["user_id"] for row in house.rows("out/managed_apps")}) == len(sent) - 1
    assert house.refusals(FIRST + DAY) == []


def test_an_account_without_the_role_fails_and_each_refused_step_is_named(
    tmp_path: Path, samples: Path, client: str
) -> None:
    job = JOBS["minimize.service"]()
    one = replace(job, command=job.command.partition(" pipelines/")[0] + " pipelines/managed_apps out/managed_apps")
    job = replace(one, environment=job.environment | {"MINIMIZE_ACTOR": "operator@example.com"})
    house = Organization.founded(Machine.fresh(tmp_path / "machine", client), samples, job)
    done = house.night(0, dates=[batch_date(0)])
    named = [line.partition("minimize/bin/minimize ")[2] for line in done.stderr.splitlines() if "nightly.sh: " in line]
    assert [name.partition(" --")[0] for name in named] == [
        "consent mark-expired",
        "share recall issue",
        "audit truncate",
    ]
    assert done.returncode == 3


def test_the_account_of_the_night_may_do_nothing_else(tmp_path: Path, samples: Path, client: str) -> None:
    house = Organization.founded(Machine.fresh(tmp_path / "machine", client), samples, JOBS["crontab"]())
    account = house.job.environment["MINIMIZE_ACTOR"]
    tenant = house.tenants[0]
    for words in (
        f"subject view u1 --tenant {tenant} --pipeline pipelines/managed_apps",
        f"consent withdraw {tenant} jamf compliance --evidence FORM-2",
        f"settings set {tenant} location on",
        "events withdraw 0000",
        "share recall confirm jamf",
        "audit log",
    ):
        assert house.command(account, *words.split()).returncode == 3, words
