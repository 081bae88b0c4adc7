"""Two versions at work: a process for each, and what they make of the same case."""

from __future__ import annotations

import json
import os
import selectors
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.differential.compare import Difference, differences
from tests.differential.random_cases import Case
from tests.differential.versions import Version

WORKER: Final = Path(__file__).with_name("worker.py")
KEYS: Final = Path(__file__).with_name("keys.json").read_text()
TIMEOUT: Final = 120
"""Seconds after which a worker that does not answer is stopped."""


class WorkerProcess:
    """One version in a process of its own. A process that died is started again with the next request."""

    def __init__(self, version: Version, log: Path) -> None:
        self._version = version
        self._log = log
        self._process: subprocess.Popen[str] | None = None

    def send(self, request: Mapping[str, Any]) -> None:
        """Gives the worker something to do."""
        if self._process is None:
            self._process = self._started()
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()

    def receive(self) -> dict[str, Any]:
        """Waits for the answer. `died` says how the process ended instead of answering."""
        process = self._process
        assert process is not None
        assert process.stdout is not None
        with selectors.DefaultSelector() as selector:  # `select` takes no file with a number above 1,023
            selector.register(process.stdout, selectors.EVENT_READ)
            ready = selector.select(TIMEOUT)
        line = process.stdout.readline() if ready else ""
        if line:
            answer: dict[str, Any] = json.loads(line)
            return answer
        self.stop()
        return {"died": f"exit {process.returncode}" if ready else "no answer in time"}

    def stop(self) -> None:
        """Ends the process."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()

    def _started(self) -> subprocess.Popen[str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(self._version.package.upper())}
        environment = {**kept, "PYTHONPATH": str(self._version.path), "PYTHONDONTWRITEBYTECODE": "1"}
        with self._log.open("a") as log:
            return subprocess.Popen(
                [sys.executable, "-P", str(WORKER), self._version.package, str(self._version.path)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=self._log.parent,
                env=environment,
                text=True,
            )


@dataclass(frozen=True)
class Compared:
    """What became of a case.

    refused     the codes with which both versions refused it, if both did
    internal    errors inside a version, crashes, and outputs that the version that made them does not verify, as text
    cross       what one version says of the other's output
    """

    differences: list[Difference] = field(default_factory=list)
    refused: tuple[str, ...] = ()
    internal: tuple[str, ...] = ()
    cross: tuple[str, ...] = ()


class Pair:
    """An old and a new version, and a folder that they work in."""

    def __init__(self, old: WorkerProcess, new: WorkerProcess, folder: Path) -> None:
        self._sides = {"old": old, "new": new}
        self._folder = folder

    def compare(self, case: Case, *, cross: bool = False, keep: Path | None = None) -> Compared:
        """Runs a case in both versions. Its folder is removed, or moved to `keep` if there are differences."""
        folder = self._folder / f"case-{case.number}"
        shutil.rmtree(folder, ignore_errors=True)
        case.write(folder / "input", KEYS)
        old, new = self._observed(folder)
        compared = Compared(
            list(differences(old, new)),
            _refusals(old, new),
            tuple(
                sorted(
                    {*_internal(old, "old"), *_unverified(old, "old"), *_internal(new, "new"), *_unverified(new, "new")}
                )
            ),
            tuple(self._crossed(folder)) if cross else (),
        )
        if keep is not None and compared.differences:
            shutil.rmtree(keep / folder.name, ignore_errors=True)
            shutil.move(folder, keep / folder.name)
        shutil.rmtree(folder, ignore_errors=True)
        return compared

    def _observed(self, folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
        answers = self._asked({side: _request("case", folder, folder / side / "out") for side in self._sides})
        old, new = (
            answers[side] if "died" in answers[side] else json.loads((folder / side / "observed.json").read_text())
            for side in self._sides
        )
        return old, new

    def _crossed(self, folder: Path) -> Iterator[str]:
        """Each version verifies a copy of the other's output, without its ledger, which may be of another schema."""
        requests = {}
        for side, other in (("old", "new"), ("new", "old")):
            if any((folder / other / "out").glob("runs/*/receipt.json")):
                copy = folder / f"{other}-for-{side}"
                shutil.copytree(folder / other / "out", copy, ignore=shutil.ignore_patterns("ledger.db*"))
                requests[side] = _request("verify", folder, copy)
        for side, answer in self._asked(requests).items():
            error = answer.get("verify", answer).get("error", answer if "died" in answer else None)
            if error:
                yield f"the {side} version does not verify the other's output: {_codes(error)}"

    def _asked(self, requests: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        for side, request in requests.items():
            self._sides[side].send(request)
        return {side: self._sides[side].receive() for side in requests}


@contextmanager
def pair(old: Version, new: Version, folder: Path) -> Iterator[Pair]:
    """Both versions, their processes started when they are needed, and stopped at the end."""
    folder.mkdir(parents=True, exist_ok=True)
    sides = WorkerProcess(old, folder / "old.log"), WorkerProcess(new, folder / "new.log")
    try:
        yield Pair(*sides, folder)
    finally:
        for side in sides:
            side.stop()


def _request(do: str, folder: Path, output: Path) -> dict[str, str]:
    output.parent.mkdir(parents=True, exist_ok=True)
    return {"do": do, "folder": str(folder / "input"), "output": str(output)}


def _refusals(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[str, ...]:
    """The codes of a case of which neither version published anything."""
    codes: set[str] = set()
    for observed in (old, new):
        runs = observed.get("runs", {}).values()
        if not runs or any(run["exit"] == 0 for run in runs):
            return ()
        for run in runs:
            error = run.get("error", {})
            codes |= {found.split()[1] for found in error.get("faults", ())} or {str(error.get("code"))}
    return tuple(sorted(codes))


def _unverified(observed: Mapping[str, Any], side: str) -> Iterator[str]:
    error = (observed.get("verify") or {}).get("error")
    if error:
        yield f"{side}: does not verify its own output: {_codes(error)}"


def _codes(error: Mapping[str, Any]) -> str:
    """The codes of an error's faults that are no warnings, or how the process died."""
    faults = [found.split() for found in error.get("faults", ())]
    codes = {code for severity, code, *_ in faults if severity == "error"}
    return " ".join(sorted(codes)) or str(error.get("code", error.get("died")))


def _internal(observed: Any, path: str) -> Iterator[str]:
    """Errors inside a version and crashes, wherever they are in what was observed."""
    if not isinstance(observed, dict):
        return
    if observed.get("code") == "E900":
        yield f"{path}: {observed.get('message')}"
    for word in ("crash", "died"):
        if word in observed:
            yield f"{path}: {observed[word]}"
    for key, value in observed.items():
        if key not in ("rows", "receipt"):
            yield from _internal(value, f"{path}/{key}")
