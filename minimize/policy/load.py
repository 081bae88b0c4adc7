"""Load policies and pipelines from files or mappings. All faults of both files are reported at once.

The parts of a policy are checked against each other. These checks add their faults to those of the file.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, get_args

from minimize.arrow.pointers import Pointer
from minimize.arrow.types import CONTAINER_TYPES
from minimize.config import ACCESS_KEYS, Config, ConfigEntry
from minimize.config_search import load_config
from minimize.errors import Finding, OutputError, PolicyError, SourceError, redact_errors
from minimize.forms import read_form, unknown_word
from minimize.forms.values import FIELD_TYPES, EncryptBy, read_encryption_word
from minimize.forms.yaml_nodes import FaultList, YamlNode, node_from_data, parse_yaml, read_utf8, require_sound
from minimize.policy.approval import configured_approval, content_digest
from minimize.policy.fields import is_dropped, overlapping_fields, reference_files, steps_of, treatments_of
from minimize.policy.model import Field, Policy, configured_purposes
from minimize.policy.names import ANY_NAMES, PolicyNames, PolicyReading, declared_names, field_pointer
from minimize.policy.pipeline import UNREADABLE_POLICY, ConfiguredEncryption, Pipeline, PipelineReading
from minimize.policy.treatments import DROP
from minimize.receipts import Receipt
from minimize.records import PIPELINE_FILE, POLICY_FILE, RECEIPT_FILE, RUNS
from minimize.stores.path_patterns import may_share_files, split_pattern
from minimize.techniques import TechniqueStep
from minimize.text import did_you_mean


@dataclass(frozen=True, slots=True)
class PolicyChecks:
    """Checks of the parts of a policy against each other."""

    policy: Policy
    names: PolicyNames
    root: YamlNode
    faults: FaultList

    def check_all(self) -> None:
        """Runs all checks."""
        for key, node in (self.root.get("fields") or YamlNode({})).entries.items():
            if key in self.policy.fields:
                FieldChecks(self.policy.fields[key], self.names, node, self.faults).check_all()
        self.spellings()
        self.shadows()
        self.forbidden()
        self.event_time()
        self.inputs()
        self.containers()
        self.keys()

    def spellings(self) -> None:
        """No field is declared twice in two spellings."""
        first: dict[Pointer, str] = {}
        for key, node in (self.root.get("fields") or YamlNode({})).entries.items():
            pointer = field_pointer(key)
            if pointer is not None and first.setdefault(pointer, key) != key:
                self.fault("P002", f"`{key}` declares the field `{first[pointer]}` a second time", node.line, key)

    def shadows(self) -> None:
        """No released field is below another released one."""
        shown = {field.pointer: key for key, field in self.policy.fields.items() if not is_dropped(field)}
        for above, below in overlapping_fields(shown):
            line = self.policy.fields[below].line
            self.fault("P018", f"`{above}` and `{below}` cannot both be released", line, below, "Drop one of them.")

    def forbidden(self) -> None:
        """No field below a forbidden path is kept."""
        for key, field in self.policy.fields.items():
            if not is_dropped(field) and any(never.covers(field.pointer) for never in self.policy.never):
                self.fault(
                    "P018",
                    f"`{key}` is kept, but `never` forbids it",
                    field.line,
                    key,
                    "Drop the field, or remove the path from `never`.",
                )

    def event_time(self) -> None:
        """The event time is a time, and is named if a step needs it."""
        time = self.policy.time
        if time is not None and self.names.keys is not None and self.names.types.get(time) not in ("timestamp", "date"):
            hint = "Set `type: timestamp` for the field."
            self.fault("P017", f"`time` names `{time}`, which is not a timestamp", self.line("time"), time, hint)
        for key, field in self.policy.fields.items():
            for step in steps_of(field) if self.root.get("time") is None else ():
                if step.needs_time:
                    self.fault("P017", f"`{step.name}` needs the event time", field.line, key, "Add `time: FIELD`.")

    def inputs(self) -> None:
        """Derived fields are made from raw fields, never from derived fields or secrets."""
        derived = {key: field for key, field in self.policy.fields.items() if field.from_}
        for key, field in derived.items():
            for name in field.from_:
                if name in derived:
                    self.fault("P018", f"`{key}` is derived from `{name}`, which is itself derived", field.line, key)
                if self.is_secret(name):
                    self.fault(
                        "P014", f"`{key}` is derived from the secret `{name}`", field.line, key, "Drop the field."
                    )
        for word in ("tenant", "subject", "time", "record"):
            if getattr(self.policy, word) in derived:
                self.fault("P018", f"`{word}` names a derived field", self.line(word), getattr(self.policy, word))

    def containers(self) -> None:
        """Only the presence or size of a list, a struct or a map can be released. Its content is declared leaf by leaf."""
        for key, field in self.policy.fields.items():
            if any(self.names.types.get(name) in CONTAINER_TYPES for name in field.from_ or (key,)) and keeps_container(
                field
            ):
                hint = "Use `presence` or `size`, and declare each part to keep by its own pointer."
                self.fault("P018", f"`{key}` would keep a whole container", field.line, key, hint)

    def keys(self) -> None:
        """The keys of a map are released only together with a value of the map."""
        shown = [field.pointer for field in self.policy.fields.values() if not is_dropped(field)]
        for field in self.policy.fields.values():
            if field.pointer.is_keys and not is_dropped(field):
                star = field.pointer.stars[-1]
                if not any(pointer.within(star) for pointer in shown):
                    hint = f"Keep or transform a field below `{star}`, or set `keys: drop`."
                    self.fault(
                        "P018",
                        "the keys of a map are released only with its values, and no value is released",
                        field.line,
                        field.key,
                        hint,
                    )

    def is_secret(self, key: str) -> bool:
        """Whether a declared field is a secret."""
        field = self.policy.fields.get(key)
        return field is not None and field.role == "secret"

    def line(self, word: str) -> int | None:
        """The line of a top-level key."""
        return self.root.descend([word]).line

    def fault(self, code: str, message: str, line: int | None, key: str | None = None, hint: str = "") -> None:
        """Records a fault."""
        self.faults.add(code, message, line=line, key=key, hint=hint)


def keeps_container(field: Field) -> bool:
    """Whether any treatment of a field shows elements of its lists or maps."""
    chains = [*treatments_of(field), *([field.in_aggregates] if field.in_aggregates else [])]
    return any(not isinstance(way, str) and not way[0].summarizes for way in chains)


@dataclass(frozen=True, slots=True)
class FieldChecks:
    """Checks of the parts of one field against each other, and of the other fields that its steps and inputs name."""

    field: Field
    names: PolicyNames
    node: YamlNode
    faults: FaultList

    def check_all(self) -> None:
        """Runs all checks."""
        field = self.field
        if field.pointer.top == "date":
            self.fault("P015", "`date` is reserved for the partition", hint="Rename the field in the source.")
        if self.is_written("cases") and self.is_written("do"):
            hint = "Move the treatment of the remaining values to `otherwise`."
            self.fault("P018", "a field must not have both `do` and `cases`", "do", hint)
        if self.is_written("otherwise") and not self.is_written("cases"):
            self.fault("P018", "`otherwise` is only valid with `cases`", "otherwise", "Use `do`, or add `cases`.")
        if field.role == "secret" and not (is_dropped(field) and not field.in_aggregates):
            self.fault("P014", "a field with role secret must be dropped", hint="Set `do: drop`.")
        self.inputs()
        self.keys()
        for step in (*steps_of(field), *(field.keys if isinstance(field.keys, tuple) else ())):
            self.reads(step)

    def inputs(self) -> None:
        """Every input is named once, and is in the same list as the field."""
        if len(set(self.field.from_)) < len(self.field.from_):
            self.fault("P018", "`from` names a field twice", "from")
        for key in self.field.from_:
            if Pointer.parse(key).stars != self.field.pointer.stars:
                self.fault("P018", f"`{key}` and the field that is derived from it are in different lists", "from")

    def keys(self) -> None:
        """Only a map has `keys`, which are released together with the values of the map."""
        field = self.field
        if field.keys is not None and field.type != "map":
            self.fault("P018", "`keys` is only valid for a map", "keys", "Set `type: map`, or remove `keys`.")
        if field.keys in (None, DROP):
            return
        if field.role == "secret":
            self.fault("P014", "a field with role secret must be dropped", "keys", "Set `keys: drop`.")
        if field.is_gated or field.cases:
            message = "the keys of a map are released with its values and cannot have their own gate"
            hint = "Set `feature`, `level`, `collect_if` and `cases` on the fields below the map."
            self.fault("P018", message, "keys", hint)
        if isinstance(field.keys, tuple) and any(step.name == "top" for step in field.keys):
            self.fault("P018", "`top` is not valid for the keys of a map", "keys")

    def reads(self, step: TechniqueStep) -> None:
        """The other fields that a step reads are declared, spelled as declared, of a suitable type, not in another list."""
        for text in sorted(step.reads()):
            key, pointer = self.names.find(text), field_pointer(text)
            if key is None:
                message = f"`{step.name}` names the field `{text}`, which is not declared under `fields`"
                self.fault("P010", message, hint=did_you_mean(text, (self.names.keys or {}).values()))
            elif key != text:
                message = f"`{step.name}` names `{text}`, which is declared as `{key}`"
                self.fault("P010", message, hint=f"Write `{key}`.")
            word = self.names.types.get(key or "")
            if step.reads_only and word in FIELD_TYPES and word not in step.reads_only:
                hint = f"Use a field of type {', '.join(step.reads_only)}."
                self.fault("P018", f"`{step.name}` reads `{text}`, which has the type {word}", hint=hint)
            if pointer is not None and pointer.stars != self.field.pointer.stars[: len(pointer.stars)]:
                self.fault("P018", f"`{step.name}` reads `{text}`, which is in another list")

    def is_written(self, word: str) -> bool:
        """Whether the file has a value for a key of the field."""
        return self.node.get(word) is not None

    def fault(self, code: str, message: str, word: str = "", hint: str = "") -> None:
        """Records a fault, at the line of a key of the field if it exists."""
        self.faults.add(code, message, line=self.node.descend([word]).line, key=self.field.key, hint=hint)


@redact_errors
def load_policy(path: str | Path, purposes: Sequence[str] = (), *, config: Config | None = None) -> Policy:
    """Loads the policy of a file, or of a folder's `policy.yaml`.

    Args:
        path: The path of the file or of its folder.
        purposes: Permitted purposes, in addition to the closed list and those of the nearest `minimize.yaml`.
        config: A configuration that was read before. It is used if it is that of the policy.

    Returns:
        The `Policy`. `apply` and `prepare` take it in place of its path.

    Raises:
        PolicyError: The file cannot be read, or has faults. The findings list all of them, with their lines.

    Example:
        In the folder that `minimize sample demo --out demo` makes:

        >>> import minimize
        >>> policy = minimize.load_policy("pipelines/device_telemetry")
        >>> policy.policy, policy.tenant, policy.fields["ip_address"].role
        ('device_telemetry', 'tenant_id', 'quasi')
    """
    policy, faults = examine_policy(path, purposes, config=config)
    return require_sound(policy, faults, "policy")


def examine_policy(
    path: str | Path, purposes: Sequence[str] = (), *, config: Config | None = None
) -> tuple[Policy | None, list[Finding]]:
    """The policy as far as it can be read, with every fault. Never run a policy that has faults."""
    faults = FaultList()
    file = _file_in_folder(path, POLICY_FILE)
    policy, _ = _read_policy_file(file, tuple(purposes), faults, load_config(file.parent, config))
    return policy, _sorted_findings(faults.found)


def policy_from_mapping(mapping: Mapping[str, Any], purposes: Sequence[str] = (), folder: str | Path = ".") -> Policy:
    """The policy in a mapping with the keys of a file; `folder` is the base of its relative paths.

    Raises PolicyError with every fault as a finding.

    >>> policy_from_mapping({"policy": "p", "version": 1, "purposes": ["operations"], "fields": {"a": {"type": "string"}}}).policy
    'p'
    """
    faults = FaultList()
    policy = read_policy(node_from_data(mapping), PolicyReading(faults, Path(folder), tuple(purposes)), {})
    return require_sound(policy, _sorted_findings(faults.found), "policy")


def check_policy_text(text: str, path: Path) -> None:
    """Raises PolicyError if this text, which replaces that of a file, is not a valid policy."""
    faults = FaultList(str(path))
    root = parse_yaml(text, faults)
    if root is None:
        raise PolicyError("the policy cannot be read", findings=faults.found)
    policy_from_mapping(root.to_data(), configured_purposes(load_config(path.parent), faults), path.parent)


@redact_errors
def load_pipeline(path: str | Path, purposes: Sequence[str] = (), *, config: Config | None = None) -> Pipeline:
    """Loads the pipeline of a file, or of a folder's `pipeline.yaml`, with the policy that it names.

    Args:
        path: The path of the file or of its folder.
        purposes: Permitted purposes, in addition to the closed list and those of the nearest `minimize.yaml`.
        config: A configuration that was read before. It is used if it is that of the pipeline.

    Returns:
        The `Pipeline`. `run`, `plan_for` and `lint` take it in place of its path.

    Raises:
        PolicyError: A file cannot be read, or has faults. The findings list those of both files, with their lines.

    Example:
        In the folder that `minimize sample demo --out demo` makes:

        >>> import minimize
        >>> pipeline = minimize.load_pipeline("pipelines/device_telemetry")
        >>> pipeline.purpose, pipeline.policy.policy
        ('service_maintenance', 'device_telemetry')
    """
    pipeline, faults = examine_pipeline(path, purposes, config=config)
    return require_sound(pipeline, faults, "pipeline")


def examine_pipeline(
    path: str | Path, purposes: Sequence[str] = (), *, config: Config | None = None
) -> tuple[Pipeline | None, list[Finding]]:
    """The pipeline as far as it can be read, with every fault of both files. `lint` then checks the rest.

    A faulty part is omitted or replaced by its strictest form. Never run a pipeline that has faults.
    """
    file = _file_in_folder(path, PIPELINE_FILE)
    faults = FaultList(str(file))
    opened = _open_file(file, faults)
    if opened is None or _is_other_kind(opened.root, "policy", "pipeline", faults):
        return None, faults.found
    config = load_config(file.parent, config)
    all_purposes = (*purposes, *configured_purposes(config, faults))
    configured_approval(config, faults)
    encryption = configured_encryption(config, faults)
    reading = _read_policy_of(opened.root, PipelineReading(faults, file.parent, all_purposes), config)
    pipeline = read_pipeline(opened.root, reading, {"path": file, "digest": opened.digest, "encryption": encryption})
    return None if pipeline is None else pipeline.with_config(config), _sorted_findings(faults.found)


def read_policy(root: YamlNode, reading: PolicyReading, loaded: Mapping[str, Any]) -> Policy | None:
    """The policy of nodes as far as it can be read. Sets the names of the reading to those that the policy declares.

    `loaded` has the path and the digest of its file.
    """
    reading.names = declared_names(root)
    loaded = {"lines": dict(root.key_lines()), "form": content_digest(root), **loaded}
    policy = read_form(Policy, root, reading, loaded)
    if policy is not None:
        PolicyChecks(policy, reading.names, root, reading.faults).check_all()
        reading.names = replace(reading.names, purposes=policy.purposes)
    return policy


def read_pipeline(root: YamlNode, reading: PipelineReading, loaded: Mapping[str, Any]) -> Pipeline | None:
    """The pipeline of nodes as far as it can be read; None if its policy cannot be read.

    `loaded` has the path and the digest of its file, and the encryption that the configuration sets.
    """
    pipeline = read_form(
        Pipeline, root, reading, {"lines": dict(root.key_lines()), "form": content_digest(root), **loaded}
    )
    return None if pipeline is None or pipeline.policy is UNREADABLE_POLICY else pipeline


def configured_encryption(config: Config, faults: FaultList) -> ConfiguredEncryption:
    """The values of `encrypt:` and `access: {encrypt: …}` in `minimize.yaml`. Faults are recorded with the name of that file.

    An unknown word counts as `by_category`.
    """
    config_faults = FaultList(str(config.path), faults.found)
    for key in config.access.unknown_keys:
        hint = did_you_mean(key.value, ACCESS_KEYS)
        config_faults.add("P004", f"unknown key `{key.value}` in `access`", line=key.line, hint=hint)
    default, required = config.encrypt, config.access.encrypt
    is_stated = default is not None or required is not None
    return ConfiguredEncryption(
        _encryption_word(default, config_faults), _encryption_word(required, config_faults), is_stated=is_stated
    )


def _encryption_word(entry: ConfigEntry | None, faults: FaultList) -> EncryptBy:
    if entry is None:
        return "off"
    value, words = read_encryption_word(entry.value), get_args(EncryptBy)
    encryption: EncryptBy | None = next((word for word in words if word == value), None)
    if encryption is None:
        message, hint = unknown_word("encrypt", value, words, noun="word for `encrypt`:")
        faults.add("P007", message, line=entry.line, hint=hint)
    return encryption or "by_category"


def hierarchy_files(policy: Policy) -> tuple[Path, ...]:
    """The files that a policy's steps refer to (hierarchies), each once, in the policy's order."""
    return tuple(dict.fromkeys(file.path for file in reference_files(policy.fields.values())))


def pipeline_files_in_tree(folder: Path) -> Iterator[Path]:
    """The pipeline files below a folder, by path. Hidden folders, outputs, and folders of dates or partitions are left out."""
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not _NO_PIPELINES.match(name))
        if RUNS in folders and parent != str(folder):
            folders.clear()  # an output: its receipts keep copies of pipelines
        elif PIPELINE_FILE in files:
            yield Path(parent) / PIPELINE_FILE


_NO_PIPELINES: Final = re.compile(r"\.|[^=]+=|\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True, slots=True)
class SourceTable:
    """An aggregate of another pipeline that reads the same source."""

    pipeline: str
    """The folder of the pipeline."""
    name: str
    """The name of the aggregate."""
    is_exact: bool

    def __str__(self) -> str:
        return f"{self.name} of the pipeline {self.pipeline}"


def other_tables_of_source(job: Pipeline, *, only_exact: bool = False) -> list[SourceTable]:
    """The aggregates that other pipelines below the folder of `minimize.yaml` make from the source of a pipeline.

    Files that cannot be read have none, and a pipeline that a receipt keeps has no others.
    """
    if job.path is None or job.path.with_name(RECEIPT_FILE).exists() or (config := job.config.path) is None:
        return []
    word = b"exact" if only_exact else b"aggregates"
    tables = []
    for file in pipeline_files_in_tree(config.parent):
        if not _is_same_file(file, job.path):
            tables += [each for each in _tables_of_file(file, word, job) if each.is_exact or not only_exact]
    return tables


def _is_same_file(file: Path, job_path: Path) -> bool:
    return file == job_path or (job_path.exists() and file.samefile(job_path))


def _tables_of_file(file: Path, word: bytes, job: Pipeline) -> Iterator[SourceTable]:
    """The aggregates of a pipeline file that contains a word, if it has the same source."""
    with suppress(OSError, UnicodeDecodeError, SourceError):
        content = file.read_bytes()
        root = parse_yaml(content.decode("utf-8-sig"), FaultList()) if word in content else None
        source, tables = (None, None) if root is None else (root.get("source"), root.get("aggregates"))
        path = None if source is None else source.get("path")
        if path is None or not isinstance(path.value, str) or tables is None:
            return
        if may_share_files(*split_pattern(path.value, file.parent), *split_pattern(job.source.path, job.folder)):
            for name, table in tables.entries.items():
                yield SourceTable(file.parent.name, name, "exact" in table.entries)


@dataclass(frozen=True, slots=True)
class _OpenedFile:
    root: YamlNode
    digest: str


def _file_in_folder(path: str | Path, name: str) -> Path:
    try:
        is_folder = Path(path).is_dir()
    except (OSError, ValueError):  # a text that cannot be a path; its error repeats it
        is_folder = None
    if is_folder is None:
        raise PolicyError(
            "this is not a path",
            hint="Pass the path of a file or folder. For a policy as a mapping, use `policy_from`.",
        )
    return Path(path) / name if is_folder else Path(path)


def normalize_path(path: Path) -> Path:
    """The path without `..`, if it leads to the same file; with symbolic links it may lead elsewhere."""
    short = Path(os.path.normpath(path))
    return short if short.exists() and path.exists() and short.samefile(path) else path


def _open_file(file: Path, faults: FaultList) -> _OpenedFile | None:
    content = read_utf8(file, faults)
    if content is None and (description := _output_description(file.parent)) is not None:
        faults.found.pop()
        faults.add("P001", f"this is an output{description}", hint="Pass the pipeline that made it, not its output.")
    root = None if content is None else parse_yaml(content.decode("utf-8-sig"), faults)
    if content is None or root is None:
        return None
    return _OpenedFile(root, f"sha256:{hashlib.sha256(content).hexdigest()}")


def _output_description(folder: Path) -> str | None:
    """The pipeline whose output a folder is, in words; empty if its receipts do not name it, None if it is not an output."""
    try:
        chain = [Receipt.from_json(file.read_bytes()) for file in folder.glob(f"{RUNS}/*/{RECEIPT_FILE}")]
    except (OSError, OutputError):
        return ""
    return f" of the pipeline {chain[0].pipeline}" if chain else None


def _is_other_kind(root: YamlNode, is_: str, expected: str, faults: FaultList) -> bool:
    """Whether the file is of the other kind (policy or pipeline); then this is the only fault.

    The keys decide, so that a misspelt one does not turn a policy into a pipeline.
    """
    keys = {"policy": set(Policy.file_keys()), "pipeline": set(Pipeline.file_keys())}
    common = keys["policy"] & keys["pipeline"]
    numbers = {kind: len(root.entries.keys() & (own - common)) for kind, own in keys.items()}
    mistaken = numbers[is_] > numbers[expected]
    if mistaken:
        hint = f"Pass {expected}.yaml, or the folder that contains both files."
        faults.add("P005", f"this file is a {is_}; a {expected} is needed", line=1, hint=hint)
    return mistaken


def _read_policy_file(
    file: Path, purposes: tuple[str, ...], faults: FaultList, config: Config
) -> tuple[Policy | None, PolicyNames]:
    file_faults = FaultList(str(file))
    policy, names = None, ANY_NAMES
    opened = _open_file(file, file_faults)
    if opened is not None and not _is_other_kind(opened.root, "pipeline", "policy", file_faults):
        reading = PolicyReading(file_faults, file.parent, (*purposes, *configured_purposes(config, file_faults)))
        policy = read_policy(opened.root, reading, {"path": file, "digest": opened.digest})
        policy = None if policy is None else policy.with_config(config)
        names = reading.names
    faults.found.extend(file_faults.found)
    return policy, names


def _read_policy_of(root: YamlNode, reading: PipelineReading, config: Config) -> PipelineReading:
    """The reading of a pipeline with the policy that it names. Takes the configuration of the pipeline."""
    named = root.get("policy")
    if named is None or not isinstance(named.value, str):
        return reading
    file = _file_in_folder(normalize_path(reading.folder / named.value), POLICY_FILE)
    policy_config = config if file.parent == reading.folder else load_config(file.parent, config)
    policy, names = _read_policy_file(file, reading.purposes, reading.faults, policy_config)
    return replace(reading, policy=policy, names=names)


def _sorted_findings(findings: Sequence[Finding]) -> list[Finding]:
    """The findings without duplicates, sorted by file and line."""
    files = {finding.file: index for index, finding in reversed(list(enumerate(findings)))}
    return sorted(dict.fromkeys(findings), key=lambda finding: (files[finding.file], finding.line or 0))
