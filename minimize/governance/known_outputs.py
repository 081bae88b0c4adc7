"""The outputs that a request reaches: those that the ledger knows, those that the caller names, and those of pipelines.

The index of the ledger has the last known folder of each output. Its rows are not signed. So an output is also known if the audit
log has its publications, and counts as unreachable if its row is missing or names another folder. A folder that was moved is
found through its pipeline. Two folders with the same output are refused, because only one of them is in use.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from minimize.config import Config
from minimize.datasets.ledger_check import check_keyring, check_open_ledger
from minimize.datasets.pipelines import ConfiguredOutput, find_pipeline
from minimize.datasets.published_output import PublishedOutput
from minimize.datasets.reader import load_receipts, output_ledger
from minimize.datasets.writing_run import PolicyCache
from minimize.errors import MinimizeError, RefusedError
from minimize.keys import Keyring
from minimize.ledger import Address
from minimize.ledger.audit_event import entry_event
from minimize.ledger.audit_log import find_entry
from minimize.ledger.runs import OutputLocation, RecordedOutput, output_locations, recorded_outputs
from minimize.output.folder import RESTRICTED, batch_date_of, has_runs, identity_of, list_data_files
from minimize.policy.pipeline import Pipeline
from minimize.receipts import Receipt, files_in_force
from minimize.records import RECORDS
from minimize.results import JsonResult, json_member
from minimize.runs.session import resolve_output
from minimize.stores import Location, LocationLike, is_same_location, location_text, parse_output_location

if TYPE_CHECKING:
    from minimize.ledger.database import Connection
    from minimize.ledger.ledger import Ledger

ON_ANOTHER_MACHINE: Final = "it is on another machine"
NO_FOLDER: Final = "the ledger does not have its folder, or another output is there"
REPLACED: Final = "another output was begun in its folder after the request"
TWO_COPIES: Final = "E318"


@dataclass(frozen=True, slots=True)
class UnreachableOutput(JsonResult):
    """An output that cannot be checked from here, and the code of the reason."""

    folder: str = field(metadata=json_member("output"))
    pipeline: str
    reason: str = field(metadata=json_member("why"))


def find_outputs(
    ledger: Ledger | None,
    named: Sequence[LocationLike] = (),
    keys: Keyring | None = None,
    *,
    configured: Sequence[ConfiguredOutput] = (),
    is_copy_refused: bool = False,
) -> tuple[tuple[PublishedOutput, ...], tuple[UnreachableOutput, ...]]:
    """The reachable outputs, each once, and the unreachable ones.

    Takes the ledger, outputs that the caller names, the keyring, and the outputs of pipelines, which are left out if nothing was
    published to them. An output that was moved is found at its new folder if one of these names it. Receipts in a bucket do not
    contain the path of their pipeline: it is that of the configured output. With `is_copy_refused`, raises RefusedError (E318)
    if two folders hold the same output.
    """
    found: dict[str, PublishedOutput] = {}
    missed: dict[str, UnreachableOutput] = {}
    indexed, recorded = ([], []) if ledger is None else ledger.read(_outputs_of_ledger)
    configured_pipelines = {
        location_text(resolve_output(each.place)): each.pipeline for each in configured if each.pipeline is not None
    }
    opened: dict[str, PublishedOutput | str | None] = {}
    config: Config | None = None
    address = None if ledger is None else ledger.address
    for place in (*_named_places(named), *map(_Place.of_ledger, indexed), *_configured_places(configured)):
        folder = location_text(place.folder)
        if place.is_here and folder not in opened:
            opened[folder] = _open_output(place.folder, keys, configured_pipelines.get(folder), config, address)
        output = opened[folder] if place.is_here else None
        if isinstance(output, PublishedOutput):
            config = config if output.job is None else output.job.config
            first_output = found.setdefault(identity_of(place.folder) or location_text(place.folder), output)
            if is_copy_refused and not is_same_location(first_output.folder, place.folder):
                raise _two_copies_error(first_output.folder, place.folder)
        elif output is not None or not place.is_here:
            is_gone = identity_of(place.folder) is None
            missed[place.identity if is_gone else location_text(place.folder)] = UnreachableOutput(
                location_text(place.folder), place.pipeline, output or ON_ANOTHER_MACHINE
            )
    for indexed_output in recorded:
        missing = UnreachableOutput(f"output {indexed_output.output}", indexed_output.pipeline, NO_FOLDER)
        missed.setdefault(indexed_output.output, missing)
    reached = found.keys() | {each.output for each, _ in _replaced_outputs(recorded, indexed)}
    return tuple(found.values()), tuple(each for identity, each in missed.items() if identity not in reached)


def _outputs_of_ledger(connection: Connection) -> tuple[list[OutputLocation], list[RecordedOutput]]:
    """The outputs of the index, and those of the audit log."""
    return output_locations(connection), list(recorded_outputs(connection))


def _replaced_outputs(
    recorded: Sequence[RecordedOutput], indexed: Sequence[OutputLocation]
) -> Iterator[tuple[RecordedOutput, RecordedOutput]]:
    """The outputs in whose folder another one was begun later, after all files of the first were removed; and the other one."""
    by_identity = {each.output: each for each in recorded}
    for place in indexed:
        output = by_identity.get(place.output)
        later = by_identity.get(identity_of(parse_output_location(place.folder)) or "")
        if output is not None and later is not None and later.replaces(output):
            yield output, later


def find_replaced_outputs(ledger: Ledger, since: datetime) -> tuple[UnreachableOutput, ...]:
    """The outputs in whose folder another output was begun after a time.

    A request of that time may concern their records: perhaps their disk was not mounted when the other output was begun.
    """
    indexed, recorded = ledger.read(_outputs_of_ledger)
    replaced = []
    for output, later in _replaced_outputs(recorded, indexed):
        entry = ledger.read(partial(find_entry, sequence=later.first))
        if entry is not None and datetime.fromisoformat(entry_event(entry)["time"]) > since:
            replaced.append(UnreachableOutput(f"output {output.output}", output.pipeline, REPLACED))
    return tuple(replaced)


def tables_without_records(outputs: Iterable[PublishedOutput]) -> dict[str, dict[str, tuple[str, ...]]]:
    """The tables in force, with their dates, of each output that has no records, by folder. They may count any subject: no record
    shows whom."""
    found: dict[str, dict[str, tuple[str, ...]]] = {}
    for output in outputs:
        in_force = files_in_force(output.chain)
        tables = {name: files for name, files in in_force.items() if files and name not in (RECORDS, RESTRICTED)}
        if tables and not in_force.get(RECORDS):
            dates = {name: {batch_date_of(file.path) or "" for file in files} for name, files in tables.items()}
            found[location_text(output.folder)] = {name: tuple(sorted(each - {""})) for name, each in dates.items()}
    return found


def find_changeable_outputs(
    ledger: Ledger, named: Sequence[LocationLike], configured: Sequence[ConfiguredOutput] = ()
) -> tuple[tuple[PublishedOutput, ...], tuple[UnreachableOutput, ...]]:
    """The outputs that a request concerns which changes all of them, also for its plan.

    Raises RefusedError if the receipts of one of them name another keyring (E310) or another ledger (E303), or if two folders
    hold the same output (E318).
    """
    reached, missed = find_outputs(ledger, named, ledger.keyring, configured=configured, is_copy_refused=True)
    for output in reached:
        check_keyring(ledger.keyring, output.chain)
        check_open_ledger(ledger, output.chain)
    return reached, missed


@dataclass(frozen=True, slots=True)
class _Place:
    """A folder to open, and the identity of the output that is expected there."""

    folder: Location
    identity: str
    pipeline: str = ""
    is_here: bool = True

    @classmethod
    def of_ledger(cls, place: OutputLocation) -> _Place:
        """The place of an indexed output. Its folder decides whether it is here, because a machine may get another name."""
        folder = parse_output_location(place.folder)
        is_here = place.is_reachable or identity_of(folder) == place.output
        return cls(folder, place.output, place.pipeline, is_here)


def _named_places(named: Iterable[LocationLike]) -> Iterator[_Place]:
    for folder in map(parse_output_location, named):
        yield _Place(folder, location_text(folder))


def _configured_places(configured: Sequence[ConfiguredOutput]) -> Iterator[_Place]:
    places = _named_places(resolve_output(each.place) for each in configured)
    yield from (place for place in places if has_runs(place.folder))


def _two_copies_error(first: Location, second: Location) -> RefusedError:
    return RefusedError(
        f"{location_text(first)} and {location_text(second)} are two copies of one output, and it is unknown which is in use",
        code=TWO_COPIES,
        hint="If one of them is a backup or a former place of the output, delete it or move it away. To use the other one with"
        " this ledger, which may be a copy as well, record its folder: `minimize runs --rebuild --output DIR`.",
    )


def _open_output(
    folder: Location, keys: Keyring | None, pipeline: Path | None, config: Config | None, address: Address | None
) -> PublishedOutput | str | None:
    """An output; the reason why it cannot be read; None for the folder of an output to which nothing was ever published.

    The folder of such an output has its identity, but no receipt and no Parquet file. A folder that is lost has none of them.
    """
    try:
        output = published_output(folder, keys, pipeline, config, address)
        if output is not None:
            return output
        is_empty = not any(path.endswith(".parquet") for path in list_data_files(folder))
        return None if is_empty and identity_of(folder) is not None else "nothing has been published to it"
    except MinimizeError as error:
        return error.code


def _find_pipeline(folder: Location, last: Receipt, explicit: Path | None, config: Config | None) -> Pipeline | None:
    with suppress(MinimizeError):
        return find_pipeline(folder, last, explicit, config)
    return None


def published_output(
    folder: Location,
    keys: Keyring | None,
    configured: Path | None = None,
    config: Config | None = None,
    address: Address | None = None,
) -> PublishedOutput | None:
    """An output with today's pipeline, if that is found; None if nothing was published to the folder. Raises OutputError.

    Takes the pipeline file whose configuration names the output, which counts if the receipts do not lead to one; and a
    configuration that was read before; and the ledger of the command, which completes an interrupted publication.
    """
    chain = load_receipts(folder, partial(output_ledger, folder, address))
    if not chain:
        return None
    job = _find_pipeline(folder, chain[-1], None, config)
    if job is None and configured is not None:
        job = _find_pipeline(folder, chain[-1], configured, config)
    purposes = (chain[-1].purpose,) if job is None else job.policy.purposes
    return PublishedOutput(folder, chain, keys, job, PolicyCache(purposes, config if job is None else job.config))
