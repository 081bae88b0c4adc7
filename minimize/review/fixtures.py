"""The fixtures of a pipeline: files beside it that say what must leave, what must not, and what it looks like then.

tests/NAME.pass.ndjson            every record leaves
tests/NAME.fail.ndjson            no record leaves
tests/NAME.REASON.fail.ndjson     … and for this reason: a code of quarantine, or what gated it
tests/NAME.expect.ndjson          the rows that leave of NAME.pass.ndjson (or .csv, .parquet)
tests/expect.ndjson               the rows that leave of all `pass` files, by their names
tests/expect.AGGREGATE.ndjson     the rows of an aggregate over all of them
tests/settings.csv                collection settings, in place of the pipeline's
tests/consents.csv                who agreed to what a third party sends: tenant_id, state, valid_from
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from minimize.errors import ConfigurationError
from minimize.policy.faults import did_you_mean

FOLDER: Final = "tests"
SETTINGS: Final = "settings.csv"
CONSENTS: Final = "consents.csv"
REASONS: Final = (
    *(
        "malformed",
        "forbidden_field",
        "wrong_type",
        "bad_time",
        "missing_field",
        "too_large",
        "too_long",
        "future_time",
    ),
    *("setting", "condition", "retention", "consent", "deduplicated"),
)
"""Why a record does not leave."""
EXPECT: Final = "expect"
RECORDS: Final = "records"
TABLES: Final = (".ndjson", ".csv", ".parquet")


@dataclass(frozen=True, slots=True)
class Failing:
    """A file of records that must not leave, and the reason, where one is asked for."""

    path: Path
    reason: str | None


@dataclass(frozen=True, slots=True)
class Expecting:
    """A file of rows, the files of records of which they leave, and the output that they are of."""

    path: Path
    of: tuple[Path, ...]
    output: str = RECORDS


@dataclass(frozen=True, slots=True)
class Fixtures:
    """What stands in the folder of fixtures."""

    folder: Path
    passing: tuple[Path, ...]
    failing: tuple[Failing, ...]
    expecting: tuple[Expecting, ...]

    @classmethod
    def of(cls, folder: Path) -> Self:
        """Those of a folder. Raises ConfigurationError where there are none, and for names that say nothing."""
        files = sorted(path for path in folder.iterdir() if path.is_file()) if folder.is_dir() else []
        passing = tuple(path for path in files if path.name.endswith(".pass.ndjson"))
        failing = tuple(Failing(path, _reason(path)) for path in files if path.name.endswith(".fail.ndjson"))
        tables = [path for path in files if path.suffix in TABLES and EXPECT in path.stem.split(".")]
        if not passing and not failing:
            hint = "records that must leave in NAME.pass.ndjson, records that must not in NAME.fail.ndjson"
            raise ConfigurationError(f"there are no fixtures in {folder}", hint=hint)
        return cls(folder, passing, failing, tuple(_expecting(path, passing) for path in tables))

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file of records."""
        return (*self.passing, *(each.path for each in self.failing))

    @property
    def settings(self) -> Path | None:
        """Settings of their own."""
        path = self.folder / SETTINGS
        return path if path.is_file() else None

    @property
    def consents(self) -> Path | None:
        """Consents of their own."""
        path = self.folder / CONSENTS
        return path if path.is_file() else None


def _reason(path: Path) -> str | None:
    name = path.name.removesuffix(".fail.ndjson")
    _, dot, reason = name.rpartition(".")
    if dot and reason not in REASONS:
        hint = did_you_mean(reason, REASONS)
        raise ConfigurationError(f"{path} names a reason that there is not", hint=hint)
    return reason if dot else None


def _expecting(path: Path, passing: tuple[Path, ...]) -> Expecting:
    first, _, rest = path.stem.partition(".")
    if first == EXPECT:
        return Expecting(path, passing, rest or RECORDS)
    name = path.stem.removesuffix(f".{EXPECT}")
    of = tuple(each for each in passing if each.name == f"{name}.pass.ndjson")
    if not of:
        raise ConfigurationError(f"{path} expects rows of {name}.pass.ndjson, which is not there", hint="name it alike")
    return Expecting(path, of)
