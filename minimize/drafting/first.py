"""Writing a first policy and a pipeline for data that was found, and the JSON Schemas beside them, for editors."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path, PurePath
from typing import Final

from minimize.drafting.propose import propose, read_as
from minimize.drafting.scan import scan
from minimize.errors import ConfigurationError, without_values
from minimize.io import durable
from minimize.io.discover import RECORDS, format_of, looked
from minimize.io.find import DATE, find
from minimize.policy.init import can_be_declared, draft, guessed, leaves_of, name_from
from minimize.policy.schema import json_schema
from minimize.policy.scope import pointer_of
from minimize.stores import Place, absolute, options_of, relative, where, written
from minimize.techniques.redact import hits

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_NAME = re.compile(r"[A-Za-z_@$][A-Za-z0-9_@$. :-]{0,63}")
_LEFT_OUT: Final = (
    "  # names that look like values, or that few records carry, left out here: {}; what is not named is dropped\n"
)
SCHEMAS: Final = ".schema"
"""The folder of the JSON Schemas."""
_PIPELINE = """# yaml-language-server: $schema={schema}
pipeline: {name}
policy: policy.yaml
purpose: operations
source: {{path: {path}, format: {format}}}
output: out
records: {{must_be: pseudonymized}}
quarantine: {{fail_above: 0.01}}
"""


@without_values
def init(data: str | PathLike[str], folder: str | PathLike[str]) -> list[Path]:
    """Writes a policy in which every field of the data is dropped, with a proposal above each, and a pipeline for it.

    Takes a file, or a folder of files of one format, laid out by date or not. What is proposed comes from names, types, and
    counts over the first records; no value goes into it. Gives the paths of policy and pipeline; their JSON Schemas stand in
    a folder beside them. Never over existing files. Raises SourceError where there is nothing to look at, ConfigurationError
    where a file exists.
    """
    target, source = Path(folder), pattern_of(data)
    name = name_from(target.absolute().name)
    policy = _policy(source, name, format_of(where(source)) or "ndjson")
    return put(target, {"policy.yaml": policy, "pipeline.yaml": pipeline_text(source, name)})


def pipeline_text(source: str, name: str) -> str:
    """The text of a pipeline that reads this source under the policy beside it."""
    kind = format_of(where(source)) or "ndjson"
    return _PIPELINE.format(schema=f"{SCHEMAS}/pipeline.json", name=name, path=json.dumps(source), format=kind)


def put(target: Path, texts: Mapping[str, str]) -> list[Path]:
    """Writes files into a folder, and the JSON Schemas of both kinds beside them; never over one that stands there.

    Gives the paths. Raises ConfigurationError where one exists, OutputError where the system does not let it write.
    """
    files = {target / name: text for name, text in texts.items()}
    standing = [path for path in files if path.exists()]
    if standing:
        raise ConfigurationError(f"{standing[0]} exists", hint="choose another folder; nothing was written")
    durable.written(_put, target, {**_schemas(target), **files})
    return list(files)


def _policy(source: str, name: str, kind: str) -> str:
    found, rare = looked(source, RECORDS)
    schema = [(key, word) for key, word in found if not looks_like_a_value(key, kind)]
    left_out = len(found) - len(schema) + rare
    leaves = {each: word for each, word in leaves_of(schema).items() if can_be_declared(each, word)}
    looks = scan(source, leaves)
    types = read_as(leaves, looks, kind)
    parts = guessed(types)
    remarks = {each: found.lines for each, found in propose(leaves, looks, parts, types).items()}
    text = draft(schema, name, remarks, f"{SCHEMAS}/policy.json", parts)
    return text + (_LEFT_OUT.format(left_out) if left_out else "")


def looks_like_a_value(key: str, kind: str) -> bool:
    """Whether a name found in the data may be somebody's value, so that it must not be written down.

    >>> looks_like_a_value("ann@example.com", "csv"), looks_like_a_value("/apps/*/name", "ndjson")
    (True, False)
    """
    pointer = pointer_of(key)
    parts = [str(part) for part in (() if pointer is None else pointer.parts) if isinstance(part, str)]
    shaped = kind != "ndjson" or all(_NAME.fullmatch(part) for part in parts)
    return not shaped or any(map(hits, parts))


def _schemas(target: Path) -> dict[Path, str]:
    kinds = {"policy": json_schema("policy"), "pipeline": json_schema("pipeline")}
    return {target / SCHEMAS / f"{kind}.json": json.dumps(body, indent=2) + "\n" for kind, body in kinds.items()}


def _put(target: Path, files: Mapping[Path, str]) -> None:
    """All of them, or none: what is there stands in the way of another try."""
    (target / SCHEMAS).mkdir(parents=True, exist_ok=True)
    try:
        for path, text in files.items():
            durable.write_file(path, text.encode())
    except OSError:
        for path in files:
            for each in (path, path.with_name(path.name + ".tmp")):
                each.unlink(missing_ok=True)
        raise


def pattern_of(given: str | PathLike[str]) -> str:
    """The source path of a pipeline over this data: of a folder the files that end like its first, by date where it is so."""
    data = absolute(where(given))
    found = find(written(data), Path.cwd())
    first = next((path for path in found.files.get(None, ()) if format_of(path)), None)
    if first is None or not data.is_dir():
        return written(data)
    pattern = "/".join([str(data), *_folders(relative(first, data).parts[:-1]), "**", f"*{_ending(first)}"])
    return pattern + options_of(data)


def _folders(parts: Sequence[str]) -> list[str]:
    """The folders down to the one that has a date in its name, as a pattern; none where there is no such folder."""
    dated = next((number for number, part in enumerate(parts) if _DAY.search(part)), None)
    return [] if dated is None else [*("*" for _ in parts[:dated]), _DAY.sub(DATE, parts[dated], count=1)]


def _ending(path: Place) -> str:
    """The suffix, with that of a compression behind it."""
    suffixes = PurePath(path.name).suffixes
    return "".join(suffixes[-2:] if path.suffix.lower() in (".gz", ".zst") else suffixes[-1:])
