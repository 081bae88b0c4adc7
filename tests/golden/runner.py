"""Runs the steps of a scenario in this process and records what each of them gives."""

from __future__ import annotations

import gzip
import hashlib
import json
import logging
import os
import re
import shlex
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest import mock

import time_machine
from blake3 import blake3

from minimize import MinimizeError
from tests.commands import Result, command
from tests.golden.normalize import CLOCK, STABLE_DIGESTS, Normalizer
from tests.golden.snapshot import as_data, describe, files_of, leaks
from tests.leak.canary import Canary

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SCENARIOS = tuple(sorted(path.stem for path in (HERE / "scenarios").glob("[!_]*.py")))
KEYRING = "test.keys"
OPERATOR = "ops@example.com"
SECOND = "second@example.com"
"""The second person of the operating organization, who confirms consents by document."""


class Session:
    """The folder of a scenario, and the record of its steps."""

    def __init__(self, folder: Path, clock: time_machine.Traveller) -> None:
        self.folder = folder
        self.steps: list[dict[str, Any]] = []
        self.canaries: list[Canary] = []
        self.stable_digests = set(STABLE_DIGESTS)
        self._clock = clock
        self._printed: list[tuple[str, bytes]] = []
        self._seen: dict[str, str] = {}
        self._normalizer: Normalizer | None = None
        self._inputs: dict[str, tuple[str, str]] = {}
        self._digests: dict[str, str] = {}
        self.copy(HERE / "test_keyring.json", KEYRING)

    # Preparation: what is there before the first step.

    def copy(self, source: Path, target: str) -> None:
        """Copies a file or a folder of the repository into the scenario's folder."""
        path = self.folder / target
        path.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, path, dirs_exist_ok=True)
        else:
            shutil.copy(source, path)
            path.chmod(0o600)

    def write(self, target: str, content: str | bytes | Any) -> Path:
        """Writes a file: a text, bytes, or data as JSON (which is YAML, too); records as `.ndjson.gz`."""
        path = self.folder / target
        path.parent.mkdir(parents=True, exist_ok=True)
        if target.endswith(".ndjson.gz") and isinstance(content, list):
            lines = [line if isinstance(line, str) else json.dumps(line) for line in content]
            content = gzip.compress("\n".join([*lines, ""]).encode(), mtime=0)
        elif not isinstance(content, str | bytes):
            content = json.dumps(content, indent=1)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        self._name_digest(target)
        return path

    def _name_digest(self, target: str) -> None:
        """Has the digest of a file shown as the file's name, with a number where the file has changed."""
        names = [name for name in self._digests.values() if name.partition(" ")[0] == target]
        name = f"{target} {len(names) // 2 + 1}" if names else target
        for digest in _digests(self.folder / target):
            self._digests.setdefault(digest, name)

    def replace(self, target: str, old: str, new: str) -> None:
        """Changes a text in a file. It must be there."""
        text = (self.folder / target).read_text()
        assert old in text, f"{target} does not hold {old!r}"
        (self.folder / target).write_text(text.replace(old, new))
        self._name_digest(target)

    def plant(self, target: str, record: Mapping[str, Any], canaries: Mapping[str, Canary | Any]) -> None:
        """Appends a record with canaries in some fields to a gzipped NDJSON file."""
        planted = {f: c.value if isinstance(c, Canary) else c for f, c in canaries.items()}
        self.canaries += [canary for canary in canaries.values() if isinstance(canary, Canary)]
        line = gzip.compress(json.dumps({**record, **planted}).encode() + b"\n", mtime=0)
        (self.folder / target).write_bytes((self.folder / target).read_bytes() + line)

    def records(self, target: str) -> list[dict[str, Any]]:
        """The records of a gzipped NDJSON file that can be read."""
        found = []
        for line in gzip.decompress((self.folder / target).read_bytes()).splitlines():
            try:
                found.append(json.loads(line))
            except ValueError:
                continue
        return [each for each in found if isinstance(each, dict)]

    # Steps.

    def wait(self, **duration: float) -> None:
        """Sets the clock ahead."""
        self._clock.shift(timedelta(**duration))

    def run(self, line: str, *words: object, actor: str = OPERATOR, **env: str) -> Result:
        """Runs a command, given as a shell would be given it, and records how it ended.

        `words` are appended as they are: values that were taken from earlier results.
        """
        arguments = [*shlex.split(line), *map(str, words)]
        with mock.patch.dict(os.environ, {"MINIMIZE_ACTOR": actor, **env}), self._step():
            result = command("--log-format", "json", *arguments)
        stable = self._stable
        step: dict[str, Any] = {"command": " ".join([line, *(stable.text(str(word)) for word in words)])}
        if actor != OPERATOR:
            step["actor"] = actor
        step |= {"exit": result.code, **self._stdout(result.out, step["command"]), **self._stderr(result.err)}
        self._printed += [("stdout", result.out.encode()), ("stderr", result.err.encode())]
        self.steps.append(step)
        return result

    def call(self, name: str, function: Callable[[], Any]) -> Any:
        """Calls a function of the public API, and records its result, or the error that it raises."""
        step: dict[str, Any] = {"call": name}
        result = None
        with self._step(), _logged() as logged:
            try:
                result = function()
            except MinimizeError as error:
                step |= self._stable.value({"raised": type(error).__name__, **error.to_json()})
                self._printed.append(("errors", f"{error!r} {error}".encode()))
            else:
                step |= {"type": type(result).__name__, "result": self._stable.value(as_data(result))}
        step |= {"log": self._stable.value(logged)} if logged else {}
        self.steps.append(step)
        return result

    def look(self, folder: str) -> None:
        """Records the files of a folder as they are now, before later steps replace them."""
        found = [(f"{folder}/{name}", path) for name, path in files_of(self.folder / folder)]
        self.steps.append({"look": folder, "files": self._files(found)})

    @contextmanager
    def _step(self) -> Iterator[None]:
        """The clock stands still in a step, and each begins a second later, so that times order the steps."""
        if self._normalizer is None:
            self._inputs = {name: _digests(path) for name, path in files_of(self.folder)}
            known = [path.read_bytes() for _, path in files_of(self.folder)]
            unpacked = [gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data for data in known]
            self._digests |= {digest: name for name, both in self._inputs.items() for digest in both}
            self._normalizer = Normalizer(self.folder, unpacked, self._digests, self.stable_digests)
        self._clock.shift(1)
        yield

    @property
    def _stable(self) -> Normalizer:
        assert self._normalizer is not None, "there was no step yet"
        return self._normalizer

    def _stdout(self, out: str, command: str) -> dict[str, Any]:
        documents, rest = _documents(out)
        if rest or not documents:
            return {"stdout": _text_of(out)} if out.strip() else {}
        value = self._stable.value(documents[0] if len(documents) == 1 else documents)
        return {"stdout": self._once(value, command)}

    def _stderr(self, err: str) -> dict[str, Any]:
        documents, rest = _documents(err)
        found: dict[str, Any] = {}
        for each in documents:
            if "error" in each:
                found["error"] = self._stable.value(each["error"])
            else:
                line = {key: each.get(key) for key in ("level", "code", "data")}
                found.setdefault("log", []).append(self._stable.value(line))
        return found | ({"stderr": _text_of(rest)} if rest else {})

    def _once(self, value: Any, source: str) -> Any:
        """A long value that was recorded before is recorded as a reference to the step that gave it."""
        text = json.dumps(value, sort_keys=True)
        if len(text) < 1500:
            return value
        if text in self._seen:
            return f"<as in: {self._seen[text]}>"
        self._seen[text] = source
        return value

    # The end.

    def record(self) -> dict[str, Any]:
        """What the scenario did: its steps, the files that it wrote, and which canaries are in them."""
        written = [(name, path) for name, path in files_of(self.folder) if self._inputs.get(name) != _digests(path)]
        found = leaks(self.canaries, written, self._printed)
        return {"steps": self.steps, "files": self._files(written), "leaks": found}

    def _files(self, files: Iterable[tuple[str, Path]]) -> dict[str, Any]:
        named = sorted((self._stable.text(name), path) for name, path in files)
        return {name: self._described(name, path) for name, path in named}

    def _described(self, name: str, path: Path) -> Any:
        copied = next((source for source, digest in self._inputs.items() if digest == _digests(path)), None)
        if copied is not None and path.stat().st_size:
            return f"<copy of {copied}>"
        return self._once(describe(path, self._stable), name)


def play(name: str) -> dict[str, Any]:
    """Runs a scenario in a folder of its own, and gives its record."""
    module = import_module(f"tests.golden.scenarios.{name}")
    with ExitStack() as stack:
        folder = Path(
            stack.enter_context(
                tempfile.TemporaryDirectory(prefix="golden-", dir=os.environ.get("PYTEST_DEBUG_TEMPROOT"))
            )
        ).resolve()
        (folder / "tmp").mkdir()
        stack.enter_context(_environment(folder))
        clock = stack.enter_context(time_machine.travel(CLOCK, tick=False))
        session = Session(folder, clock)
        module.steps(session)
        return json.loads(json.dumps(session.record()))  # type: ignore[no-any-return]


@contextmanager
def _environment(folder: Path) -> Iterator[None]:
    """The scenario's folder as working and temporary folder, its keyring, and nothing else that configures a command."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("MINIMIZE_", "OPENLINEAGE_"))}
    env |= {"MINIMIZE_KEYS": str(folder / KEYRING), "TMPDIR": str(folder / "tmp")}
    before, logger = Path.cwd(), logging.getLogger("minimize")
    log = (logger.handlers, logger.level, logger.propagate)
    os.chdir(folder)
    try:
        with mock.patch.dict(os.environ, env, clear=True), mock.patch.object(tempfile, "tempdir", None):
            yield
    finally:
        os.chdir(before)
        logger.handlers, logger.level, logger.propagate = log


@contextmanager
def _logged() -> Iterator[list[dict[str, Any]]]:
    """The lines of the package's log in the block."""
    lines: list[dict[str, Any]] = []
    logger = logging.getLogger("minimize")
    with mock.patch.multiple(logger, handlers=[_Lines(lines)], level=logging.INFO, propagate=False):
        yield lines


class _Lines(logging.Handler):
    """Collects level, code and data of each line."""

    def __init__(self, lines: list[dict[str, Any]]) -> None:
        super().__init__()
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        """Adds a line."""
        line = {"level": record.levelname.lower(), "code": getattr(record, "code", None)}
        self._lines.append(line | {"data": getattr(record, "data", {})})


def _documents(text: str) -> tuple[list[Any], str]:
    """The JSON objects and arrays at the beginning of a text, and what comes after them."""
    decoder, found, at = json.JSONDecoder(), [], 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        if text[at] not in "{[":
            break
        try:
            value, at = decoder.raw_decode(text, at)
        except ValueError:
            break
        found.append(value)
    return found, text[at:].strip()


def _text_of(text: str) -> str:
    """Of a text for people the codes that it names, in order."""
    return " ".join(["<text>", *re.findall(r"\b[A-Z]\d{3}\b", text)])


def _digests(path: Path) -> tuple[str, str]:
    """The digests of a file as data and as a document."""
    return blake3(path.read_bytes()).hexdigest(), hashlib.sha256(path.read_bytes()).hexdigest()
