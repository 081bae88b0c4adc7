"""The set in force: the files that stand after all receipts of an output are applied in their order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain

from minimize.errors import Finding
from minimize.receipt.model import CompanionFile, FileRef, Output, OutputFile
from minimize.receipt.receipt import Receipt


def in_force(receipts: Iterable[Receipt]) -> dict[str, list[OutputFile]]:
    """Per output name the files that stand, by path. A name that any receipt wrote is there, even without files."""
    standing: dict[str, dict[str, OutputFile]] = {}
    for receipt in _in_order(receipts):
        gone = {file.path for file in _taken_away(receipt)}
        for files in standing.values():
            for path in gone & files.keys():
                del files[path]
        for name, output in receipt.outputs.items():
            standing.setdefault(name, {}).update({file.path: file for file in with_companions(output)})
    return {name: sorted(files.values(), key=lambda file: file.path) for name, files in standing.items()}


def with_companions(output: Output) -> list[OutputFile]:
    """The files that were written under one name, each with its index and its sketches if it has them."""
    indexes = {each.of: FileRef(each.path, each.digest) for each in output.index or ()}
    sketches = {each.of: FileRef(each.path, each.digest) for each in output.sketches or ()}
    return [replace(file, index=indexes.get(file.path), sketches=sketches.get(file.path)) for file in output.files]


def quarantine_in_force(receipts: Iterable[Receipt]) -> list[OutputFile]:
    """The quarantine files that stand, by path."""
    standing: dict[str, OutputFile] = {}
    for receipt in _in_order(receipts):
        for file in _taken_away(receipt):
            standing.pop(file.path, None)
        standing.update({file.path: file for file in receipt.quarantine.files})
    return sorted(standing.values(), key=lambda file: file.path)


def kept_sketches(receipts: Iterable[Receipt]) -> list[CompanionFile]:
    """The sketches that outlive their files, by path: those of tables that the pipeline no longer has."""
    standing: dict[str, CompanionFile] = {}
    for receipt in _in_order(receipts):
        for file in _taken_away(receipt):
            standing.pop(file.path, None)
        standing.update({each.path: each for each in receipt.kept_sketches or ()})
    return sorted(standing.values(), key=lambda each: each.path)


def in_force_below(receipts: Sequence[Receipt], folders: Iterable[str]) -> set[str]:
    """The paths of the files that stand below these folders, quarantine and sketches without their file among them."""
    below = tuple(f"{folder}/" for folder in folders)
    files = [*chain.from_iterable(in_force(receipts).values()), *quarantine_in_force(receipts)]
    paths = [*(file.path for file in files), *(each.path for each in kept_sketches(receipts))]
    return {path for path in paths if path.startswith(below)}


def check_history(receipts: Iterable[Receipt]) -> list[Finding]:
    """V006: where the files of receipts contradict each other: a name used twice, a file replaced that does not stand."""
    standing: dict[str, str] = {}
    used: set[str] = set()
    findings: list[Finding] = []
    for receipt in _in_order(receipts):
        absent = [file.path for file in _taken_away(receipt) if standing.pop(file.path, None) != file.digest]
        findings += [_contradiction(receipt, f"takes away {path}, which does not stand so") for path in absent]
        again = [file.path for file in _written(receipt) if file.path in used]
        findings += [_contradiction(receipt, f"writes {path}, a name that was used before") for path in again]
        standing.update({file.path: file.digest for file in _written(receipt)})
        standing.update({each.path: each.digest for each in receipt.kept_sketches or ()})
        used |= {file.path for file in _written(receipt)}
    return findings


def _contradiction(receipt: Receipt, message: str) -> Finding:
    return Finding("V006", message, file=f"runs/{receipt.run_id}/receipt.json")


def _taken_away(receipt: Receipt) -> tuple[FileRef, ...]:
    return (*receipt.replaces, *receipt.removes)


def _written(receipt: Receipt) -> Iterator[OutputFile]:
    for output in receipt.outputs.values():
        yield from output.files
    yield from receipt.quarantine.files


def _in_order(receipts: Iterable[Receipt]) -> list[Receipt]:
    return sorted(receipts, key=lambda receipt: receipt.sequence)
