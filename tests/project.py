"""Small pipelines in folders, of which a test may change every part, and folders that are built once and copied."""

from __future__ import annotations

import base64
import contextlib
import gzip
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

import minimize
from minimize.governance.access_file import create_access_file
from minimize.keys import Keyring
from minimize.keys.parquet_footer import read_encrypted_columns
from minimize.linting import ALLOWABLE_CODES
from minimize.output.folder import read_exact_receipt
from tests.calls import rebuild_index

CHECKOUT = Path(__file__).parents[1]
AT = datetime(2026, 11, 25, tzinfo=UTC)
DAY, BEFORE = "2026-11-24", "2026-11-23"
TIME = pa.timestamp("us", "UTC")
SCHEMA = pa.schema(
    [
        ("event_id", pa.string()),
        ("tenant_id", pa.string()),
        ("device_id", pa.string()),
        ("event_time", TIME),
        ("model", pa.string()),
        ("battery", pa.float64()),
        ("storage", pa.int64()),
        ("latitude", pa.float64()),
    ]
)
FIELDS: dict[str, Any] = {
    "event_id": {"type": "string", "role": "identifier", "do": "drop"},
    "tenant_id": {"type": "string", "do": "keep"},
    "device_id": {
        "type": "string",
        "role": "identifier",
        "do": {"pseudonymize": {"key": "device", "per": "tenant_id"}},
    },
    "event_time": {"type": "timestamp", "role": "quasi", "do": {"truncate_time": {"to": "hour"}}},
    "model": {"type": "string", "role": "quasi", "do": {"top": {"keep": 2, "other": "other", "at_least": 3}}},
    "battery": {
        "type": "double",
        "do": {"bin": {"width": 10}},
        "in_aggregates": {"clip": {"min": 0, "max": 100}},
    },
    "storage": {"type": "integer", "do": {"bin": {"edges": [10, 100]}}},
    "latitude": {"type": "double", "role": "quasi", "feature": "location", "do": {"round": {"to": 0.1}}},
}
POLICY: dict[str, Any] = {
    "policy": "checkins",
    "version": 3,
    "purposes": ["service_maintenance", "customer_support"],
    "tenant": "tenant_id",
    "subject": "device_id",
    "time": "event_time",
    "record": "event_id",
    "retention": "30d",
    "never": ["/contacts"],
    "features": {"location": {"about": "position of a lost device", "retention": "24h"}},
    "fields": FIELDS,
}
LASTING: dict[str, Any] = {"retention": None, "features": {"location": {"about": "position of a lost device"}}}
AGGREGATES: dict[str, Any] = {
    "per_model": {
        "group_by": {"day": {"event_time": "day"}, "model": "model"},
        "measures": {
            "events": "count",
            "devices": {"count_distinct": "device_id"},
            "battery": {"mean": "battery"},
            "drained": {"sum": "battery"},
            "storage": {"quantile": {"of": "storage", "q": 0.5}},
        },
        "suppress": {"below": 3, "counting": "device_id"},
        "exact": {"because": "tests compare figures"},
    }
}
NOISY_AGGREGATES: dict[str, Any] = {
    "per_model": {
        **{key: part for key, part in AGGREGATES["per_model"].items() if key != "exact"},
        "per_subject": {"rows": 30},
    }
}
"""The same table with noise."""
PIPELINE: dict[str, Any] = {
    "pipeline": "checkins",
    "policy": "policy.yaml",
    "purpose": "service_maintenance",
    "source": {"path": "data/{date}/*.ndjson.gz", "format": "ndjson"},
    "settings": "settings.csv",
    "output": "out",
    "records": {"must_be": "pseudonymized"},
    "aggregates": AGGREGATES,
}
SETTINGS = """tenant_id,subject,setting,value,holder,valid_from,recorded_at
north,,location,on,admin,2026-01-01T00:00:00Z,2026-01-01T00:00:00Z
"""


def event_time(number: int) -> datetime:
    return AT - timedelta(hours=2, minutes=7 * number % 600, seconds=number % 60)


def event(number: int, **changes: Any) -> dict[str, Any]:
    """One check-in; every number gives another, and the same number the same."""
    record = {
        "event_id": f"e{number}",
        "tenant_id": ("north", "south")[number % 2],
        "device_id": f"d{number % 11}",
        "event_time": f"{event_time(number):%Y-%m-%dT%H:%M:%SZ}",
        "model": ("A", "B", "C", "A")[number % 4],
        "battery": number * 7.3 % 100,
        "storage": number * 13 % 150,
        "latitude": 48.0 + number % 10 / 37,
    }
    return {key: value for key, value in (record | changes).items() if value is not None}


def events(count: int, first: int = 0) -> list[dict[str, Any]]:
    return [event(number) for number in range(first, first + count)]


def table(rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Check-ins with the types that a columnar source has."""
    rows = [{**row, "event_time": datetime.fromisoformat(row["event_time"])} for row in rows]
    return pa.Table.from_pylist(rows, SCHEMA)


@dataclass(frozen=True)
class Project:
    """A folder with a policy, a pipeline, settings, data and a keyring, all of which a test may change.

    Events are of a fixed day. A run by the real clock (`at=None`) needs a `lasting` project, whose policy keeps everything.
    """

    folder: Path
    lasting: bool = False
    base_policy: Mapping[str, Any] = field(default_factory=lambda: POLICY)
    base_pipeline: Mapping[str, Any] = field(default_factory=lambda: PIPELINE)
    settings: str = SETTINGS
    keyring: Path | None = None

    def exact(self, receipt: minimize.Receipt, output: Path | None = None) -> minimize.Receipt:
        """The receipt with its sealed counts."""
        return read_exact_receipt(output or self.out, receipt, Keyring.load(self.keys))

    @property
    def keys(self) -> Path:
        return self.keyring or self.folder / "test.keys"

    @property
    def out(self) -> Path:
        return self.folder / "out"

    def policy(self, fields: Mapping[str, Any] | None = None, **changes: Any) -> None:
        """Writes the policy with some keys and fields changed; None removes one."""
        declared = without_none({**self.base_policy["fields"], **(fields or {})})
        lasting = LASTING if self.lasting else {}
        self.write("policy", self.base_policy, **{"fields": declared, **lasting, **changes})

    def pipeline(self, **changes: Any) -> None:
        """Writes the pipeline with some keys changed; None removes one."""
        self.write("pipeline", self.base_pipeline, **changes)

    def write(self, name: str, body: Mapping[str, Any], **changes: Any) -> None:
        """Writes a YAML file (as JSON) with some keys changed; None removes one."""
        write_yaml(self.folder / f"{name}.yaml", without_none({**body, **changes}))

    def records(
        self, records: Iterable[Mapping[str, Any] | str], day: str = DAY, name: str = "a", root: str = "data"
    ) -> Path:
        """Writes a file of source records for a day; a text is a line as it is."""
        return self.lines(f"{root}/{day}/{name}.ndjson.gz", records)

    def lines(self, path: str, records: Iterable[Mapping[str, Any] | str]) -> Path:
        """Writes records to a file of the folder, one a line, compressed if its name ends with `.gz`."""
        return write_lines(self.folder / path, records)

    def columns(self, data: pa.Table, day: str = DAY, name: str = "a", kind: str = "parquet", **options: Any) -> Path:
        """Writes a columnar file of source records for a day."""
        path = self.folder / "data" / day / f"{name}.{kind}"
        path.parent.mkdir(parents=True, exist_ok=True)
        if kind == "parquet":
            pq.write_table(data, path, **options)
        else:
            pyarrow.csv.write_csv(data, path)
        return path

    def source(self, kind: str, pattern: str | None = None, **changes: Any) -> None:
        """Writes a pipeline whose source has another format."""
        self.pipeline(source={"path": pattern or f"data/{{date}}/*.{kind}", "format": kind}, **changes)

    def run(self, date: Any = None, at: datetime | str | None = AT, **options: Any) -> minimize.Receipt:
        """Runs the pipeline, as of `AT` by default.

        Small pipelines have what lint calls an error. It is allowed here: `tests/runs/test_lint_errors.py` tests the refusal.
        """
        given: dict[str, Any] = {
            "date": date,
            "at": at,
            "output": self.out,
            "keys": self.keys,
            "allow": ALLOWABLE_CODES,
        }
        given |= options
        if given["at"] is None and not self.keeps_everything():
            raise AssertionError("a run by the real clock depends on today: use a `lasting` project, or pass `at`")
        return minimize.run(self.folder, **without_none(given))

    def keeps_everything(self) -> bool:
        """Whether the policy has no retention, so that the result of a run does not depend on its time."""
        policy = json.loads((self.folder / "policy.yaml").read_text())
        return not any("retention" in each for each in (policy, *(policy.get("features") or {}).values()))

    def rows(self, name: str = "records", output: Any = None, **options: Any) -> list[dict[str, Any]]:
        """The published rows of an output, sorted; none if it has no file."""
        if not minimize.files(output or self.out, name):
            return []
        found = minimize.read(output or self.out, name, **options).to_pylist()
        return sorted(found, key=lambda row: sorted((key, str(value)) for key, value in row.items()))

    def files(self, output: Path | None = None) -> set[str]:
        """All Parquet files below the output folder, in force or not."""
        found = (output or self.out).rglob("*.parquet")
        return {path.relative_to(output or self.out).as_posix() for path in found}

    def master_keys(self) -> set[str]:
        """The master keys of all encrypted files in force."""
        return {key for file in minimize.files(self.out) for key in read_encrypted_columns(Path(file)).masters.values()}


P = TypeVar("P", bound=Project)


def new_project(folder: Path, keys: Iterable[str] = ("device",), *, lasting: bool = False) -> Project:
    """A new project with the usual policy, pipeline and settings, a keyring, and no data."""
    return write_project(Project(folder, lasting), keys)


def write_project(new: P, keys: Iterable[str] = ("device",)) -> P:
    """Writes the files of a project: its policy, pipeline and settings, a configuration without protections, and a keyring."""
    new.folder.mkdir(parents=True, exist_ok=True)
    (new.folder / "minimize.yaml").write_text("access: off\nencrypt: off\n")
    new.policy()
    new.pipeline()
    (new.folder / "settings.csv").write_text(new.settings)
    write_keyring(new.keys, keys)
    return new


def write_keyring(path: Path, names: Iterable[str] = ()) -> Keyring:
    """Writes a keyring whose key bytes depend on the names alone, so that tokens are the same in every build."""
    keys = {
        name: [{"version": 1, "created": f"{AT:%Y-%m-%dT%H:%M:%SZ}", "bytes": _key_bytes(name)}]
        for name in sorted({*names, "noise", "signing", "subject"})
    }
    path.touch(mode=0o600)
    path.write_text(json.dumps({"keyring": 1, "keys": keys}, indent=2) + "\n")
    return Keyring.load(path)


def write_yaml(path: Path, body: Mapping[str, Any]) -> Path:
    """Writes a YAML file (JSON is YAML)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(body, indent=1))
    return path


def write_lines(path: Path, records: Iterable[Mapping[str, Any] | str]) -> Path:
    """Writes records to a file, one a line, compressed if its name ends with `.gz`; a text is a line as it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [record if isinstance(record, str) else json.dumps(record) for record in records]
    content = "".join(line + "\n" for line in lines).encode()
    path.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)
    return path


def sha256(path: Path) -> str:
    """The digest of a file, as a receipt has it."""
    return "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()


def _key_bytes(name: str) -> str:
    return base64.b64encode(hashlib.sha256(f"test key {name}".encode()).digest()).decode()


def without_none(body: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in body.items() if value is not None}


class Builds:
    """Folders that are built once and copied, by the function that builds them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._built: dict[object, Path] = {}

    def copy(self, build: Callable[[Path], object], folder: Path) -> None:
        """Copies what `build` makes into a folder."""
        copy_outputs(self._once(build, build), folder)

    def fill(self, project: P, fill: Callable[[P], object]) -> P:
        """Copies what `fill` makes of a new project into the project."""

        def build(folder: Path) -> None:
            shutil.copytree(project.folder, folder, dirs_exist_ok=True)
            fill(replace(project, folder=folder))

        copy_outputs(self._once(fill, build), project.folder)
        return project

    def _once(self, key: object, build: Callable[[Path], object]) -> Path:
        if key not in self._built:
            folder = Path(mkdtemp(dir=self._folder))
            with clean_environment(folder):
                build(folder)
            self._built[key] = folder
        return self._built[key]


def copy_outputs(original: Path, folder: Path) -> None:
    """Copies a folder with output folders and their ledgers.

    A ledger records where each output is. If that place still has the output, a run takes another one for a copy, which gets an
    identity and a history of its own. `minimize runs --rebuild` records the new places in the copied ledgers, so that a copy
    continues the history.
    """
    shutil.copytree(original, folder, dirs_exist_ok=True)
    outputs = sorted({receipt.parents[2] for receipt in folder.glob("**/runs/*/receipt.json")})
    with clean_environment(folder):
        for ledger in folder.glob("**/*.db"):
            own = [output for output in outputs if output == ledger.parent]
            others = [output for output in outputs if not (output / "ledger.db").exists()]
            for output in own or others:
                rebuild_index([output], ledger, keys=next(folder.glob("*.keys")), now=datetime.now(UTC))


@contextlib.contextmanager
def clean_environment(folder: Path) -> Iterator[pytest.MonkeyPatch]:
    """Works in a folder, with no environment variable of the program set."""
    with pytest.MonkeyPatch.context() as patch:
        enter(folder, patch)
        yield patch


def demonstration(folder: Path) -> Path:
    """The shipped pipelines, with the access file that `make run` creates next to them. Gives their folder.

    The operator may also receive, and replace settings and input of a pipeline for its own output, which no built-in role may do.
    """
    shutil.copytree(CHECKOUT / "pipelines", folder / "pipelines")
    (folder / "sample_data").symlink_to(CHECKOUT / "sample_data")
    access = folder / "out" / "demo-access.yaml"
    create_access_file(access, "operator@example.com", ("contoso", "fabrikam"))
    members = "members: {users: [operator@example.com]}, scope: {tenants: all, datasets: all}"
    with access.open("a") as file:
        file.write(
            f"  - {{role: maintainer, {members}}}\nroles: {{maintainer: {{allow: [run/override, share/receive]}}}}\n"
        )
    return folder / "pipelines"


def enter(folder: Path, patch: pytest.MonkeyPatch, *, keep: Iterable[str] = ()) -> None:
    """Works in a folder from now on, with no environment variable of the program set but those to keep."""
    for name in [name for name in os.environ if name.startswith("MINIMIZE_") and name not in keep]:
        patch.delenv(name)
    patch.chdir(folder)
