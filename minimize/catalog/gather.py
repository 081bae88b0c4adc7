"""What there is to tell of: pipelines with their plans, the recipients of the house, the receipts of outputs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Final

from minimize.errors import ConfigurationError, PolicyError
from minimize.governance.sharing import Fed, functions_fed
from minimize.house import house_file, house_texts
from minimize.io import declared_schema
from minimize.io.history import has_runs, receipts
from minimize.plan import Plan, request
from minimize.plan.bind import examine
from minimize.policy.load import load_pipeline
from minimize.policy.pipeline import Pipeline
from minimize.receipt import Receipt
from minimize.recipients import Recipient, Recipients, Subprocessor, find_recipients, load_recipients

FILE: Final = "pipeline.yaml"
STATED: Final = ("controller", "contact", "representative", "dpo", "subjects", "transfers", "security")
"""What `processing:` of `minimize.yaml` may say: what no policy knows."""


@dataclass(frozen=True, slots=True)
class Known:
    """One pipeline, with its plan (by the types that its policy names), the receipts of its output, and what it can feed."""

    job: Pipeline
    plan: Plan
    receipts: tuple[Receipt, ...]
    fed: tuple[Fed, ...] = ()


def pipelines_in(paths: Sequence[str], on: date) -> list[Known]:
    """The pipelines that these paths name, by name: a file, a folder of one, or a folder of such folders.

    Takes the day on which contracts of recipients must be in force.
    Raises ConfigurationError where there is none, PolicyError where one has faults.
    """
    files = dict.fromkeys(file.resolve() for path in paths for file in _files(Path(path)))
    if not files:
        raise ConfigurationError(
            "there is no pipeline here", hint=f"name a {FILE}, its folder, or a folder of such folders"
        )
    found = [_known(file) for file in files]
    parties = {folder: _loaded(folder) for folder in {_folder(each.job.folder) for each in found} if folder is not None}
    whole = [replace(each, fed=_fed(each, parties, on)) for each in found]
    return sorted(whole, key=lambda each: (each.job.pipeline, each.job.purpose))


def recipients_of(known: Iterable[Known]) -> tuple[Recipient, ...]:
    """The recipients of the house that these pipelines belong to, by name; none where it has no folder of them."""
    found = [every.named(name) for every in _folders(known) for name in every.names()]
    return tuple(sorted(found, key=lambda each: each.recipient))


def subprocessors_of(known: Iterable[Known]) -> tuple[Subprocessor, ...]:
    """The entries of the lists of subprocessors next to these recipients, by name and first day."""
    found = [entry for every in _folders(known) for entry in every.subprocessors.entries]
    return tuple(sorted(found, key=lambda each: (each.name, each.from_)))


def stated(known: Sequence[Known]) -> dict[str, str]:
    """What the house states of its processing. Raises PolicyError where it says something else there."""
    house = house_file(known[0].job.folder)
    texts: dict[str, str] | None = None
    with suppress(ValueError):
        texts = {} if house is None else house_texts(house, "processing")
    if texts is None or not set(texts) <= set(STATED):
        hint = f"texts under some of {', '.join(STATED)}"
        raise PolicyError(f"`processing:` cannot be read from {house}", hint=hint)
    return {word: texts[word] for word in STATED if word in texts}


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    return [path / FILE] if (path / FILE).is_file() else sorted(path.glob(f"*/{FILE}"))


def _known(file: Path) -> Known:
    job = load_pipeline(file)
    source = declared_schema(request(job.policy, job.purpose, job))
    plan = examine(job.policy, source, purpose=job.purpose, pipeline=job).allowed()
    output = job.target()
    return Known(job, plan, receipts(output) if has_runs(output) else ())


def _loaded(folder: Path) -> tuple[Recipients, list[Recipient]]:
    known = load_recipients(folder)
    return known, [known.named(name) for name in known.names()]


def _fed(each: Known, parties: Mapping[Path, tuple[Recipients, list[Recipient]]], on: date) -> tuple[Fed, ...]:
    folder = _folder(each.job.folder)
    if folder is None:
        return ()
    known, recipients = parties[folder]
    return tuple(functions_fed(each.job, known, on, recipients))


def _folders(known: Iterable[Known]) -> list[Recipients]:
    folders: dict[Path, None] = {}
    for each in known:
        folder = _folder(each.job.folder)
        folders |= {} if folder is None else {folder.resolve(): None}
    return [load_recipients(folder) for folder in folders]


def _folder(start: Path) -> Path | None:
    try:
        return find_recipients(start=start)
    except PolicyError:
        return None
