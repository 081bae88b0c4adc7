"""Rules by which a change of a key of a recipient, the list of subprocessors or the access file is graded and described.

The forms that `diff` compares, and for each the rules by which a change of a key is graded and described.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from minimize.access.model import EXTERNAL, AccessScope, RoleAssignment, covers, examine_access
from minimize.access.permissions import Permission
from minimize.access.roles import AccessRole
from minimize.config import OFF, Config, ConfigEntry
from minimize.config_search import load_config
from minimize.errors import Finding
from minimize.forms.yaml_nodes import FaultList
from minimize.plan.model import CATEGORY_ORDER
from minimize.policy.approval import ApprovalDemand, configured_approval
from minimize.policy.describe import treatment_text
from minimize.policy.load import configured_encryption, examine_pipeline, examine_policy
from minimize.policy.model import config_nodes, configured_purposes
from minimize.policy.pipeline import ConfiguredEncryption
from minimize.policy.treatments import DROP
from minimize.recipients.load import Subprocessor, Subprocessors, examine_recipient, examine_subprocessors
from minimize.recipients.model import PASSTHROUGH, Contract, Function, SharedField
from minimize.review.changes import (
    Grade,
    GradedChange,
    chain_grade,
    compare_entries,
    join_grades,
    list_text,
)
from minimize.review.comparison import FormSides, Rule, Rules, compare_forms
from minimize.review.policy_rules import (
    ENCRYPTION_ORDER,
    FILE_KEYS,
    NAME_RULE,
    PIPELINE_RULES,
    POLICY_RULES,
    RETENTION_RULE,
    STATED_ENCRYPTION_ORDER,
    below,
    with_configured_encryption,
)
from minimize.techniques.parameters import (
    HIGHER_TIGHTENS,
    LARGER_SET_TIGHTENS,
    LOWER_TIGHTENS,
    NEUTRAL,
    SMALLER_SET_TIGHTENS,
    UNORDERED,
    UNSETTING_TIGHTENS,
    Order,
    ranked,
)


def _period_text(contract: Subprocessor | Contract) -> str:
    return f"from {contract.from_} until {contract.until or 'terminated'}"


def _permitted_fields(contract: Contract) -> tuple[str, ...]:
    return contract.permitted_fields if contract.permits_transmission else ()


def _shared_field_text(field: SharedField) -> str:
    return PASSTHROUGH if field.passes else treatment_text(field.chain or DROP)


def _shared_form_text(field: SharedField) -> str:
    return field.do if isinstance(field.do, str) else treatment_text(field.do)


def shared_form_grade(old: SharedField, new: SharedField) -> Grade:
    """Grade of a change of the form in which a field is shared. Passing it through loosens."""
    form = chain_grade(old.form, new.form, {old.role, new.role})
    return join_grades((form, ranked((False, True)).grade(old.passes, new.passes)))


def shared_type_grade(old: SharedField, new: SharedField) -> Grade:
    """Grade of a change of the type of a shared field. Neutral if it is dropped on both sides."""
    return UNORDERED.grade(old.type, new.type) if old.chain or new.chain else "neutral"


def text_grade(old: Function, new: Function) -> Grade:
    """Grade of a change of the text of a consent. It needs a higher version, so that tenants are asked again."""
    if new.text_version == old.text_version:
        return UNORDERED.grade(old.text, new.text)
    return "neutral" if new.text_version > old.text_version else "loosens"


def shared_field_grade(old: SharedField | None, new: SharedField | None) -> Grade:
    """Grade of a shared field that was added or removed. A field that is dropped makes no difference."""
    leaves = any(each is not None and (each.chain or each.passes) for each in (old, new))
    return UNSETTING_TIGHTENS.grade(old, new) if leaves else "neutral"


SHARED_FIELD_RULES: Final[Rules] = {
    "do": Rule("J063", shared_form_grade, _shared_form_text, "form: {change}", keys=("do",)),
    "values": Rule("J063", text=lambda values: list_text(values) if values else "any"),
    **dict.fromkeys(("optional", "protocol", "row", "label", "about", "example"), NAME_RULE),
    "role": Rule("J015"),
    "type": Rule("J014", shared_type_grade, "{.type}", keys=("type",)),
    **dict.fromkeys(("key", "line")),
}
FUNCTION_RULES: Final[Rules] = {
    **dict.fromkeys(("direction", "purpose", "aggregate", "permissions"), Rule("J062")),
    "requires": Rule("J062"),
    "must_be": Rule("J064", missing="no limit"),
    "text": Rule("J065", text_grade, "version {.text_version}", keys=("text", "text_version")),
    "fields.*": Rule("J063", shared_field_grade, _shared_field_text, added="added: {text}", removed="removed: {text}"),
    **below("fields.*", SHARED_FIELD_RULES),
    **dict.fromkeys(("name", "line")),
}
CONTRACT_RULES: Final[Rules] = {
    "reference": Rule("J061", label="reference: {change}"),
    "from_": Rule("J061", text=_period_text, label="in force: {change}", keys=("from_", "until")),
    "permits_transmission": Rule(
        "J061",
        lambda old, new: SMALLER_SET_TIGHTENS.grade(_permitted_fields(old), _permitted_fields(new)),
        lambda contract: list_text(_permitted_fields(contract)),
        "permits: {change}",
        keys=("permits_transmission", "permitted_fields"),
    ),
    "retention": replace(RETENTION_RULE, code="J061", label="retention: {change}"),
    "deletes_within": Rule("J061", label="deletes within: {change}"),
}
RECIPIENT_RULES: Final[Rules] = {
    **dict.fromkeys(("recipient", "standing", "on_premises", "subprocessor"), Rule("J060")),
    **dict.fromkeys(("about", "ending"), NAME_RULE),
    "contract": Rule("J061", text="contract {.reference}", missing="no contract"),
    **below("contract", CONTRACT_RULES),
    "functions.*": Rule(
        "J062", UNSETTING_TIGHTENS.grade, "for {.purpose}", added="function added, {text}", removed="function removed"
    ),
    **below("functions.*", FUNCTION_RULES),
    **FILE_KEYS,
}
SUBPROCESSOR_RULES: Final[Rules] = {
    "entries": Rule("J060", read=lambda entries: {(each.name, each.from_): each for each in entries}),
    "entries.*": Rule("J060", UNSETTING_TIGHTENS.grade, added="added to the list", removed="removed from the list"),
    "entries.*.until": Rule("J060", text=_period_text, label="{change}", keys=("until",)),
    "entries.*.about": NAME_RULE,
    **dict.fromkeys(("entries.*.name", "entries.*.from_", "entries.*.line")),
    **FILE_KEYS,
}

# Access


def allowed_grade(old: Iterable[Permission], new: Iterable[Permission]) -> Grade:
    """Grade of a change of allowed permissions. Each covers categories up to the one it names, or all."""
    before, after = (_covered_categories(each, CATEGORY_ORDER) for each in (old, new))
    return compare_entries(LOWER_TIGHTENS.grade, before, after, 0)


def denied_grade(old: Iterable[Permission], new: Iterable[Permission]) -> Grade:
    """Grade of a change of denied permissions. Each covers categories from the one it names, or all."""
    before, after = (_covered_categories(each, CATEGORY_ORDER[::-1]) for each in (old, new))
    return compare_entries(HIGHER_TIGHTENS.grade, before, after, 0)


def _covered_categories(permissions: Iterable[Permission], order: Sequence[str]) -> dict[str, int]:
    """How many categories each operation covers; one more if it covers all of them without naming one."""
    ranks: dict[str, int] = {}
    for permission in permissions:
        rank = len(order) + 1 if permission.category is None else order.index(permission.category) + 1
        ranks[permission.name] = max(rank, ranks.get(permission.name, 0))
    return ranks


def _permissions_text(old: Iterable[Permission], new: Iterable[Permission]) -> str:
    before, after = set(map(str, old)), set(map(str, new))
    signed = [*(f"+{name}" for name in sorted(after - before)), *(f"-{name}" for name in sorted(before - after))]
    return ", ".join(signed) or "nothing"


def views_grade(old: Mapping[str, Any], new: Mapping[str, Any]) -> Grade:
    """Grade of a change of the techniques that are applied before values are shown, by dataset and column."""
    return compare_entries(lambda before, after: compare_entries(chain_grade, before, after, ()), old, new, {})


@dataclass(frozen=True, slots=True)
class MemberScopes:
    """The scopes in which an account or a group has a role."""

    role: str
    scopes: tuple[AccessScope, ...]
    line: int | None = field(default=None, compare=False, repr=False)


def scopes_by_member(assignments: Iterable[RoleAssignment]) -> dict[tuple[str, str], MemberScopes]:
    """The scopes of each member of a role. It does not matter how the file groups them into assignments."""
    member_scopes: dict[tuple[str, str], MemberScopes] = {}
    for assignment in assignments:
        for name in (*assignment.members.users, *(f"group {name}" for name in assignment.members.groups)):
            before = member_scopes.get((assignment.role, name), MemberScopes(assignment.role, (), assignment.line))
            member_scopes[assignment.role, name] = replace(before, scopes=(*before.scopes, assignment.scope))
    return member_scopes


def scopes_grade(sides: FormSides, old: MemberScopes | None, new: MemberScopes | None) -> Grade:
    """Grade of a change of the scopes of a member of a role.

    If the role denies something, any change loosens: neither state is stricter.
    """
    before, after = (() if each is None else each.scopes for each in (old, new))
    narrower = all(any(_is_scope_within(new_scope, old_scope) for old_scope in before) for new_scope in after)
    wider = all(any(_is_scope_within(old_scope, new_scope) for new_scope in after) for old_scope in before)
    if narrower and wider:
        return "neutral"
    role = next(each.role for each in (old, new) if each is not None)
    denies = any(role in side.roles and side.roles[role].deny for side in (sides.old, sides.new))
    return "tightens" if narrower and not denies else "loosens"


def _is_scope_within(inner: AccessScope, outer: AccessScope) -> bool:
    """Whether one scope is contained in another."""
    purposes = outer.purposes is None or (inner.purposes is not None and set(inner.purposes) <= set(outer.purposes))
    return inner.tenants <= outer.tenants and _are_datasets_within(inner, outer) and purposes


def _are_datasets_within(inner: AccessScope, outer: AccessScope) -> bool:
    if inner.datasets is None or outer.datasets is None:
        return outer.datasets is None
    return all(
        any(name == dataset or ("/" in name and covers(dataset, name)) for dataset in outer.datasets)
        for name in inner.datasets
    )


def accounts_grade(old: Any, new: Any) -> Grade:
    """Grade of a change of the accounts of a person. More accounts tighten, because more duties are separated."""
    return LARGER_SET_TIGHTENS.grade(old or (), new or ())


def _named_groups(groups: Mapping[str, Any]) -> dict[str, Any]:
    return {f"group {name}": EXTERNAL if members is None else members for name, members in groups.items()}


def members_grade(old: Any, new: Any) -> Grade:
    """Grade of a change of a group's members. A group whose members only the authentication service knows is not comparable."""
    return UNORDERED.grade(old, new) if EXTERNAL in (old, new) else SMALLER_SET_TIGHTENS.grade(old or (), new or ())


def _role_text(role: AccessRole) -> str:
    return f"{role.base or role.name}, {_permissions_text((), role.allow)}"


ROLE_RULES: Final[Rules] = {
    "base": Rule("J070", label="copies {change}"),
    "added": Rule(
        "J070",
        allowed_grade,
        change=_permissions_text,
        label="allows {change}",
        keys=("allow",),
        read=lambda role: frozenset(role.allow),
    ),
    "denied": Rule(
        "J070",
        denied_grade,
        change=_permissions_text,
        label="denies {change}",
        keys=("deny",),
        read=lambda role: frozenset(role.deny),
    ),
    "views": Rule("J070", views_grade, label="views: columns or their forms changed"),
    "about": NAME_RULE,
    **dict.fromkeys(
        ("name", "line", "origin")
    ),  # `base` names the copied role, and its permissions are among those read
}
_DURATIONS: Final = {
    "default": "grants last",
    "maximum": "grants last at most",
    "unanswered": "requests wait",
    "break_glass.maximum": "break-glass lasts",
    "break_glass.review_within": "break-glass is reviewed within",
}
ACCESS_RULES: Final[Rules] = {
    "version": NAME_RULE,
    "people.*": Rule("J073", accounts_grade, label="accounts of this person changed"),
    "groups": Rule("J073", read=_named_groups),
    "groups.*": Rule("J073", members_grade, label="members changed"),
    "custom_roles.*": Rule("J070", NEUTRAL.grade, _role_text, added="new role: {text}", removed="role removed"),
    **below("custom_roles.*", ROLE_RULES),
    "assignments": Rule("J071", read=scopes_by_member),
    "assignments.*": Rule(
        "J071",
        form_order=scopes_grade,
        text=str,
        label="{entry} has the role in another scope",
        added="{entry} now has the role",
        removed="{entry} no longer has the role",
    ),
    "conflicts": Rule("J072", LARGER_SET_TIGHTENS.grade, label="conflicting roles changed", read=frozenset),
    **{f"grants.{key}": Rule("J072", label=f"{text}: {{change}}") for key, text in _DURATIONS.items()},
    **FILE_KEYS,
}


def _config_value(value: Any) -> Any:
    data = value.value if isinstance(value, ConfigEntry) else value
    return dict(data) or None if isinstance(data, Mapping) else data


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
    faults, config = FaultList(str(path)), load_config(path.parent)
    root = config_nodes(config, faults)
    if root is None:
        return None, faults.found
    demanded = configured_approval(config, faults), configured_encryption(config, faults)
    keys = (
        (("encryption",), "encrypt"),
        (("encryption", "required"), "access"),
        *(((key,), key) for key in ("purposes", "approval")),
        *((("config", key), key) for key in root.entries),
    )
    lines = {path: root.entries[key].line for path, key in keys if key in root.entries}
    return ConfigurationFile(configured_purposes(config, faults), *demanded, config, lines), faults.found


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
    "purposes": Rule("J050", SMALLER_SET_TIGHTENS.grade),
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
    **dict.fromkeys(f"config.{name}" for name in ("path", "start", "content", "is_readable", "unknown_keys", "faults")),
    "lines": None,
}


@dataclass(frozen=True, slots=True)
class ComparedForm:
    """A kind of file: how it is called, recognized by its keys, read and compared."""

    noun: str
    keys: tuple[str, ...]
    read: Callable[[Path], tuple[Any, list[Finding]]]
    rules: Rules
    adding_tightens: bool = False
    """Whether a file that is added tightens, and one that is removed loosens; else the reverse."""
    empty: Any = None
    """The content in place of a missing file."""
    prepare: Callable[[Any], Any] | None = None
    """Reads the part of the content that is compared."""


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
