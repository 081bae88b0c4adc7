"""The forms that `diff` compares, and for each the rules by which a change of a key is graded and described."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from minimize.access.model import examine_access
from minimize.config import OFF, Config, ConfigEntry, load_config
from minimize.errors import Finding
from minimize.forms.yaml_nodes import FaultList
from minimize.policy.approval import ApprovalDemand, configured_approval
from minimize.policy.load import configured_encryption, examine_pipeline, examine_policy
from minimize.policy.model import config_nodes, configured_purposes
from minimize.policy.pipeline import ConfiguredEncryption
from minimize.recipients.load import Subprocessors, examine_recipient, examine_subprocessors
from minimize.review.changes import GradedChange
from minimize.review.comparison import FormSides, Rule, Rules, compare_forms
from minimize.review.grades import (
    fewer_tightens,
)
from minimize.review.party_rules import ACCESS_RULES, RECIPIENT_RULES, SUBPROCESSOR_RULES
from minimize.review.policy_rules import (
    ENCRYPTION_ORDER,
    PIPELINE_RULES,
    POLICY_RULES,
    STATED_ENCRYPTION_ORDER,
    with_configured_encryption,
)
from minimize.techniques.parameters import (
    NEUTRAL,
    Order,
    ranked,
)


def _config_value(value: Any) -> Any:
    given = value.value if isinstance(value, ConfigEntry) else value
    return dict(given) or None if isinstance(given, Mapping) else given


@dataclass(frozen=True, slots=True)
class ConfigurationFile:
    """Content of a `minimize.yaml`, with the purposes, approval and encryption that it amounts to."""

    purposes: tuple[str, ...] = ()
    approval: ApprovalDemand = "none"
    encryption: ConfiguredEncryption = field(default_factory=ConfiguredEncryption)
    config: Config = field(default_factory=Config)
    lines: Mapping[tuple[str, ...], int | None] = field(default_factory=dict)


def examine_configuration(path: Path) -> tuple[ConfigurationFile | None, list[Finding]]:
    """The configuration in a file, and its faults."""
    faults, start = FaultList(str(path)), path.parent
    config = load_config(start)
    root = config_nodes(config, faults)
    if root is None:
        return None, faults.found
    demanded = configured_approval(start, faults), configured_encryption(start, faults)
    keys = (
        (("encryption",), "encrypt"),
        (("encryption", "required"), "access"),
        *(((key,), key) for key in ("purposes", "approval")),
        *((("config", key), key) for key in root.entries),
    )
    lines = {path: root.entries[key].line for path, key in keys if key in root.entries}
    return ConfigurationFile(configured_purposes(start, faults), *demanded, config, lines), faults.found


_KEYS: Final = (
    "keys",
    "kms",
    "ledger",
    "recipients",
    "contracts",
    "contacts",
    "administrators",
    "notify",
    "memory",
    "lineage",
    "metrics",
    "processing",
    "regions",
    "tenants",
)
_ACCESS_ORDER: Final = Order(lambda old, new: old == OFF or (old is None and new != OFF))
"""An access file, then none, then `off`, which permits what is refused without a file."""


def _stated_access(config: Config) -> str | None:
    return OFF if "access" in config.turned_off else config.access.file


def _stated_encryption(encryption: ConfiguredEncryption) -> str | None:
    """The word of `encrypt`; None if no line states it, or if only the word of `access` does."""
    is_off = encryption.is_stated and encryption.required == "off"
    return encryption.default if encryption.default != "off" or is_off else None


CONFIGURATION_RULES: Final[Rules] = {
    "purposes": Rule("J050", fewer_tightens),
    "approval": Rule("J050", ranked(("required", "warn", "none")).grade),
    "encryption.default": Rule(
        "J050",
        STATED_ENCRYPTION_ORDER.grade,
        label="encrypt: {change}",
        keys=("default", "is_stated"),
        read=_stated_encryption,
    ),
    "encryption.required": Rule("J050", ENCRYPTION_ORDER.grade, label="access: encrypt {change}"),
    "config.access": Rule(
        "J050",
        _ACCESS_ORDER.grade,
        label="access: {change}",
        keys=("access", "turned_off"),
        read=_stated_access,
        missing="no access file",
    ),
    **{f"config.{key}": Rule("J050", NEUTRAL.grade, label=f"{key}: {{change}}", read=_config_value) for key in _KEYS},
    **dict.fromkeys(
        ("config.purposes", "config.approval", "config.encrypt", "config.turned_off", "encryption.is_stated")
    ),  # compared as what they amount to
    **dict.fromkeys(f"config.{name}" for name in ("path", "content", "is_readable", "unknown_keys", "faults")),
    "lines": None,
}


@dataclass(frozen=True, slots=True)
class ComparedForm:
    """A kind of file: how it is called, recognized by its keys, read and compared.

    adding_tightens  whether a file that is added tightens, and one that is removed loosens; else the reverse
    empty            the content in place of a missing file
    prepare          what of the content is compared
    """

    noun: str
    keys: tuple[str, ...]
    read: Callable[[Path], tuple[Any, list[Finding]]]
    rules: Rules
    adding_tightens: bool = False
    empty: Any = None
    prepare: Callable[[Any], Any] | None = None


FORMS: Final[Mapping[str, ComparedForm]] = MappingProxyType(
    {
        "configuration": ComparedForm(
            "the configuration", (), examine_configuration, CONFIGURATION_RULES, empty=ConfigurationFile()
        ),
        "pipeline": ComparedForm(
            "a pipeline", ("source", "pipeline"), examine_pipeline, PIPELINE_RULES, prepare=with_configured_encryption
        ),
        "policy": ComparedForm("a policy", ("fields", "policy"), examine_policy, POLICY_RULES),
        "recipient": ComparedForm("a recipient", ("standing", "recipient"), examine_recipient, RECIPIENT_RULES),
        "subprocessors": ComparedForm(
            "the list of subprocessors",
            ("subprocessors",),
            examine_subprocessors,
            SUBPROCESSOR_RULES,
            empty=Subprocessors(entries=()),
        ),
        "access": ComparedForm("an access file", ("assignments",), examine_access, ACCESS_RULES, adding_tightens=True),
    }
)
"""In the order in which a file is recognized."""


def form_changes(kind: str, old: Any, new: Any, old_file: str | None, new_file: str | None) -> Iterator[GradedChange]:
    """The graded changes between two contents of one kind of file."""
    form = FORMS[kind]
    old, new = (side if form.prepare is None else form.prepare(side) for side in (old, new))
    yield from compare_forms(FormSides(old, new, old_file, new_file), form.rules)
