"""Configuration: `minimize.yaml`, the settings for all pipelines below a folder, as one typed, frozen model.

`minimize.config_search` finds the file. The module of each domain interprets its value (a purpose, the address of a ledger) and
resolves the order: argument, environment variable, `minimize.yaml`, default.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NoReturn, Self

from minimize.errors import Finding, MinimizeError

CONFIG_FILE: Final = "minimize.yaml"
ACCESS_KEYS: Final = ("file", "encrypt")
"""The keys that `access:` may have if it is a mapping."""
PROTECTIONS: Final = MappingProxyType({"access": "access control", "approval": "approval of policies"})
"""The keys that `off` turns off, with the protection that each stands for."""
OFF: Final = "off"


@dataclass(frozen=True, slots=True)
class ConfigEntry:
    """A value of the file and its line."""

    value: Any
    line: int


@dataclass(frozen=True, slots=True)
class AccessConfig:
    """`access: FILE`, `access: off`, or `access: {file: FILE, encrypt: WORD}`."""

    file: str | None = None
    """The access file, relative to `minimize.yaml`."""
    encrypt: ConfigEntry | None = None
    """The least encryption of every output; its words are those of pipelines."""
    unknown_keys: tuple[ConfigEntry, ...] = ()
    """Other keys of the mapping."""


@dataclass(frozen=True, slots=True)
class _RawEntry:
    """A key's value as Python data, and the YAML node that it comes from."""

    value: Any
    node: Any
    line: int


class _WrongKindError(ValueError):
    """A value has the wrong type; `.value` is the usable part of it."""

    def __init__(self, value: Any = None) -> None:
        super().__init__("wrong kind")
        self.value = value


def _read_text(entry: _RawEntry) -> str:
    return entry.value if isinstance(entry.value, str) else _refuse_kind()


def _read_access(entry: _RawEntry) -> AccessConfig:
    if entry.value == OFF:
        return AccessConfig()
    if not isinstance(entry.value, dict):
        return AccessConfig(entry.value) if isinstance(entry.value, str) else _refuse_kind(AccessConfig())
    entries = _key_entries(entry.value, entry.node)
    file, encrypt = entry.value.get("file"), entries.get("encrypt")
    read = AccessConfig(
        file if isinstance(file, str) else None,
        None if encrypt is None or encrypt.value is None else ConfigEntry(encrypt.value, encrypt.line),
        _unknown_keys(entries, ACCESS_KEYS),
    )
    return read if isinstance(file, str | None) else _refuse_kind(read)


def _read_words(entry: _RawEntry) -> tuple[ConfigEntry, ...]:
    if not isinstance(entry.value, list) or not all(isinstance(word, str) for word in entry.value):
        _refuse_kind(())
    lines = (item.start_mark.line + 1 for item in entry.node.value)
    return tuple(map(ConfigEntry, entry.value, lines))


def _read_texts(entry: _RawEntry) -> Mapping[str, str]:
    if not isinstance(entry.value, dict) or not all(
        isinstance(each, str) for pair in entry.value.items() for each in pair
    ):
        _refuse_kind(_no_entries())
    return MappingProxyType(entry.value)


def _read_any(entry: _RawEntry) -> ConfigEntry:
    return ConfigEntry(entry.value, entry.line)


def _refuse_kind(value: Any = None) -> NoReturn:
    raise _WrongKindError(value)


def _no_entries() -> Mapping[Any, Any]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class _ValueKind:
    """The kind of a value: its reader, the expected type in words, and its JSON Schema."""

    read: Callable[[_RawEntry], Any]
    expected: str
    schema: Mapping[str, Any]


_STRING: Final = {"type": "string"}
_TEXT: Final = _ValueKind(_read_text, "text", _STRING)
_WORD: Final = _ValueKind(_read_any, "a word", _STRING)
_SIZE: Final = _ValueKind(_read_any, "a size", {"type": ["string", "integer"]})
_WORDS: Final = _ValueKind(_read_words, "a list of words", {"type": "array", "items": _STRING})
_TEXTS: Final = _ValueKind(_read_texts, "a mapping of texts", {"type": "object", "additionalProperties": _STRING})
_ACCESS_SCHEMA: Final = {
    "type": "object",
    "properties": {
        "file": {**_STRING, "description": "The access file."},
        "encrypt": {
            **_STRING,
            "description": "The least encryption of every output: `off`, `identified` or `by_category`.",
        },
    },
    "additionalProperties": False,
}
_ACCESS: Final = _ValueKind(_read_access, "a file", {"anyOf": [_STRING, _ACCESS_SCHEMA]})


def _key(kind: _ValueKind, about: str, hint: str = "") -> dict[str, Any]:
    """Metadata of a key: the kind of its value, a description, and a hint how to write it."""
    return {"kind": kind, "about": about, "hint": hint}


@dataclass(frozen=True, slots=True)
class Config:
    """The content of `minimize.yaml`. A key that is missing, null or faulty has its default."""

    path: Path | None = None
    """The file; None if none was found."""
    content: bytes | None = None
    """The file's bytes; None if it cannot be read."""
    is_readable: bool = True
    """Whether the file is a YAML mapping, or empty."""
    start: Path | None = None
    """The folder where the search began, if no file was found; None for the current one."""
    keys: str | None = field(
        default=None, metadata=_key(_TEXT, "The keyring, if `MINIMIZE_KEYS` is not set.", "Write `keys: FILE`.")
    )
    kms: str | None = field(
        default=None,
        metadata=_key(
            _TEXT, "The URL of a key service for the master keys.", "Write `kms: vault+https://HOST:PORT/MOUNT`."
        ),
    )
    ledger: str | None = field(
        default=None,
        metadata=_key(_TEXT, "The ledger: a file, or the URL of a database.", "Write `ledger: PATH` or `ledger: URL`."),
    )
    access: AccessConfig = field(
        default=AccessConfig(),
        metadata=_key(
            _ACCESS,
            "The access file, or `off`. Without it, commands that show a person's data or decide for a tenant are refused.",
            "Write `access: FILE`, or `access: {file: FILE}`.",
        ),
    )
    encrypt: ConfigEntry | None = field(
        default=None,
        metadata=_key(
            _WORD,
            "The encryption of outputs if a pipeline sets none: `identified`, `by_category` or `off`. Without it, a run that "
            "would write identified columns unencrypted is refused.",
        ),
    )
    recipients: str | None = field(
        default=None,
        metadata=_key(_TEXT, "The folder of recipients. The default is `recipients`.", "Write `recipients: FOLDER`."),
    )
    contracts: str | None = field(
        default=None,
        metadata=_key(_TEXT, "The contracts of tenants with recipients.", "Write `contracts: FILE`."),
    )
    contacts: str | None = field(
        default=None, metadata=_key(_TEXT, "The contacts of tenants for incidents.", "Write `contacts: FILE`.")
    )
    administrators: str | None = field(
        default=None,
        metadata=_key(
            _TEXT,
            "The pipeline whose records name the administrators of tenants. Incidents notify them if no contacts file names a "
            "tenant.",
            "Write `administrators: PIPELINE`.",
        ),
    )
    notify: tuple[ConfigEntry, ...] = field(
        default=(),
        metadata=_key(
            _WORDS,
            "The command that delivers a notice of an incident, as a list of words. The path of the message follows them.",
            "Write `notify: [COMMAND, ARGUMENT]`.",
        ),
    )
    regions: Mapping[str, str] = field(
        default_factory=_no_entries,
        metadata=_key(
            _TEXTS,
            "The root of the outputs of each region. A run then writes the rows of one region's tenants.",
            "Write `regions: {NAME: FOLDER}`.",
        ),
    )
    tenants: str | None = field(
        default=None,
        metadata=_key(_TEXT, "The CSV file of tenants and their regions.", "Write `tenants: FILE`."),
    )
    purposes: tuple[ConfigEntry, ...] = field(
        default=(), metadata=_key(_WORDS, "Purposes in addition to the closed list.")
    )
    approval: ConfigEntry | None = field(
        default=None,
        metadata=_key(_WORD, "What a policy needs before a run: `warn` or `required` (an approval), or `off`."),
    )
    processing: Mapping[str, str] = field(
        default_factory=_no_entries,
        metadata=_key(_TEXTS, "Facts for the record of processing that no policy contains."),
    )
    memory: ConfigEntry | None = field(default=None, metadata=_key(_SIZE, "The memory limit of a run, such as `1GiB`."))
    lineage: str | None = field(
        default=None,
        metadata=_key(
            _TEXT, "Where OpenLineage events are sent, or `off`.", "Write `lineage: PATH`, or `lineage: off`."
        ),
    )
    metrics: str | None = field(
        default=None,
        metadata=_key(
            _TEXT, "The folder of metrics for Prometheus, or `off`.", "Write `metrics: PATH`, or `metrics: off`."
        ),
    )
    turned_off: Mapping[str, int] = field(default_factory=_no_entries)
    """The protections that a line turns off, by key, with their lines."""
    unknown_keys: tuple[ConfigEntry, ...] = ()
    """Keys that are not in the list, with their lines."""
    faults: Mapping[str, Finding] = field(default_factory=_no_entries)
    """Values of the wrong type, by key; a faulty key stops only the commands that need it."""

    @property
    def folder(self) -> Path:
        """The folder that the paths in the file are relative to."""
        return Path.cwd() if self.path is None else self.path.parent

    @property
    def has_access_file(self) -> bool:
        """Whether an access file is configured. Doubt means yes: then permissions are checked."""
        return self.access.file is not None or self.is_faulty("access")

    @property
    def missing_protections(self) -> tuple[str, ...]:
        """The protections that are not in force, because a line turns them off or none names them."""
        lacks_value = {"access": not self.has_access_file, "approval": self.approval is None}
        missing = [about for key, about in PROTECTIONS.items() if key in self.turned_off or lacks_value[key]]
        words = {entry.value for entry in (self.encrypt, self.access.encrypt) if entry is not None}
        return (*missing, *(() if words - {OFF, "none"} else ("encryption of identified columns",)))

    def is_faulty(self, key: str) -> bool:
        """Whether the key, or the file as a whole, cannot be read."""
        return not self.is_readable or key in self.faults

    def checked(self, key: str, error: type[MinimizeError]) -> Self:
        """The configuration, if the key can be used. Raises the given error if the key is faulty."""
        if self.is_faulty(key):
            raise error(f"`{key}:` cannot be read from {self.path}", hint=_KEYS[key]["hint"])
        return self


_KEYS: Final = MappingProxyType({each.name: each.metadata for each in fields(Config) if each.metadata})
CONFIG_KEYS: Final = tuple(_KEYS)
"""The keys that `minimize.yaml` may have."""


def config_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of `minimize.yaml`, for editors. Null is the default of every key."""
    null = {"type": "null"}
    keys = {key: {"anyOf": [spec["kind"].schema, null], "description": spec["about"]} for key, spec in _KEYS.items()}
    about = "The settings for all pipelines below a folder. Paths are relative to this file."
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "minimize configuration"}
    return {**head, "description": about, "type": "object", "properties": keys, "additionalProperties": False}


@lru_cache(maxsize=4)
def parse_config(path: Path, content: bytes) -> Config:
    """The model of a file's content. One command asks for several keys of the same file."""
    try:
        document, node = _parse_document(content)
    except ValueError:
        return Config(path, content, is_readable=False)
    if not isinstance(document, dict | None):
        return Config(path, content, is_readable=False)
    entries = {} if document is None else _key_entries(document, node)
    values: dict[str, Any] = {}
    faults: dict[str, Finding] = {}
    for key, spec in _KEYS.items():
        if key not in entries or entries[key].value is None:
            continue
        try:
            values[key] = spec["kind"].read(entries[key])
        except _WrongKindError as error:
            line, message = entries[key].line, f"`{key}` must be {spec['kind'].expected}"
            values[key] = error.value
            faults[key] = Finding("P006", message, hint=spec["hint"], file=str(path), line=line)
    unknown = _unknown_keys(entries, CONFIG_KEYS)
    off = {key: entries[key].line for key in PROTECTIONS if key in entries and entries[key].value == OFF}
    return Config(
        path,
        content,
        turned_off=MappingProxyType(off),
        unknown_keys=unknown,
        faults=MappingProxyType(faults),
        **values,
    )


def _parse_document(content: bytes) -> tuple[Any, Any]:
    """A document as Python data and as nodes with lines. Raises ValueError if the content is not YAML."""
    from ruamel.yaml import YAML  # late: most commands have no such file
    from ruamel.yaml.error import YAMLError

    try:
        yaml = YAML(typ="safe", pure=True)
        node = yaml.compose(content)
        return None if node is None else yaml.constructor.construct_document(node), node
    except (YAMLError, LookupError, RecursionError):  # a tag without a value, an unknown version, deep nesting
        pass
    raise ValueError("no YAML")


def _key_entries(values: Mapping[Any, Any], node: Any) -> dict[str, _RawEntry]:
    """The entries of a mapping whose keys are words, in the order of the file."""
    lines = {key.value: (below, key.start_mark.line + 1) for key, below in node.value if isinstance(key.value, str)}
    return {key: _RawEntry(values.get(key), *place) for key, place in lines.items()}


def _unknown_keys(entries: Mapping[str, _RawEntry], allowed: tuple[str, ...]) -> tuple[ConfigEntry, ...]:
    return tuple(ConfigEntry(key, entry.line) for key, entry in entries.items() if key not in allowed)


def candidate_files(start: Path) -> Iterator[Path]:
    """The places of a configuration, the nearest first: in a folder and its `pipelines/`, then in the folders above."""
    for folder in (start, *start.parents):
        yield folder / CONFIG_FILE
        yield folder / "pipelines" / CONFIG_FILE


def tree_root(folder: Path) -> Path:
    """The folder of the outermost `minimize.yaml` upwards from a folder; the folder itself if there is none."""
    place = folder.resolve()
    folders = [path.parent for path in candidate_files(place) if path.is_file()]
    return folders[-1] if folders else place


def is_config_file(name: str) -> bool:
    """Whether a file of this name is a configuration."""
    return name == CONFIG_FILE
