"""Administration of collection settings in the ledger: set, list, import, export, and explain why a value is collected."""

from __future__ import annotations

import csv
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, TextIO

import pyarrow as pa

from minimize.access.permissions import ALL_TENANTS, TenantSet, entries_in_scope, limited_result
from minimize.datasets.pipelines import LEDGER_SETTINGS
from minimize.errors import PolicyError, RefusedError
from minimize.governance.declared_names import DeclaredNames, names_of_configuration
from minimize.governance.evidence import checked_reference
from minimize.identifiers import canonical_id, canonical_text, canonical_word
from minimize.keys import Keyring
from minimize.ledger import AuditEvent, PropertyChange, Resource, current_actor
from minimize.ledger.acts import ActReader, Decision
from minimize.ledger.kinds import SETTING, SETTINGS_ACTIVITY, RecordedSetting, new_settings
from minimize.ledger.subject_tokens import (
    find_known_token,
    known_or_new_token,
    subject_token,
    token_secrets,
    token_version,
    token_versions,
)
from minimize.policy.model import HOLDERS
from minimize.policy.pipeline import Pipeline
from minimize.results import JsonResult, Listing, Printable
from minimize.runs.settings_warnings import warn_of_settings
from minimize.settings import (
    ROW_SCHEMA,
    SettingRow,
    SettingsRows,
)
from minimize.settings.evaluation import LEVEL_SETTING, USER_HOLDER
from minimize.settings.files import (
    future_rows_error,
    missing_name_error,
    raise_faults,
    read_file,
    unknown_name_error,
    unknown_name_finding,
)
from minimize.stores import PathText
from minimize.stores.durable_files import write_private_file
from minimize.text import count_noun, did_you_mean, without_formula
from minimize.times import time_text
from minimize.workspace import Workspace

if TYPE_CHECKING:
    from minimize.ledger.ledger import Ledger


def check_setting(setting: NewSetting, job: Pipeline | None) -> None:
    """Raises PolicyError for unknown words; with a pipeline, for words that its policy does not declare.

    Takes a setting in canonical form.
    """
    name = setting.setting
    if setting.holder not in HOLDERS:
        raise unknown_name_error(f"unknown holder `{setting.holder}`", f"Use one of {', '.join(HOLDERS)}.")
    if not setting.tenant or not name:
        raise missing_name_error()
    if setting.field is not None and setting.subject is None:
        raise missing_name_error(
            "--id-field names a field, but there is no subject", "Pass --subject, or leave --id-field out."
        )
    if setting.field is not None and job is not None and setting.field not in job.policy.fields:
        raise not_in_policy_error(job, f"the policy has no field `{setting.field}`", setting.field, job.policy.fields)
    if name == LEVEL_SETTING:
        if job is not None and setting.value not in names_by_word(job.policy.levels):
            raise not_in_policy_error(job, "the policy has no such level", setting.value, job.policy.levels)
        return
    if job is not None and name not in names_by_word(job.policy.features):
        raise not_in_policy_error(job, f"the policy has no feature `{name}`", name, job.policy.features)
    if setting.value not in ("on", "off"):
        raise unknown_name_error(f"the value of {name} is neither on nor off", "Use `on` or `off`.")


def _check_declared(setting: NewSetting, declared: DeclaredNames | None) -> None:
    """Raises PolicyError if there are policies, and none of them declares the setting or the field of the subject's id."""
    if declared is None or not declared.settings | declared.fields:
        return
    if setting.setting not in declared.settings:
        message = f"no policy below the folder of minimize.yaml has the feature `{setting.setting}`"
        otherwise = "Declare it in a policy, or pass --pipeline PIPELINE if its policy is elsewhere."
        raise unknown_name_error(message, did_you_mean(setting.setting, declared.settings, otherwise))
    if setting.field is not None and setting.field not in declared.fields:
        message = f"no policy below the folder of minimize.yaml has the field `{setting.field}`"
        raise unknown_name_error(message, did_you_mean(setting.field, declared.fields, "Name a field of a policy."))


def names_by_word(names: Iterable[str]) -> dict[str, str]:
    """The names of a policy by the form in which settings are compared."""
    return {canonical_word(name): name for name in names}


def check_subject(subject: str | None) -> None:
    """Raises PolicyError for a blank subject, because it would mean the whole tenant."""
    if subject is not None and not canonical_text(subject):
        raise missing_name_error("the subject is blank", "Leave the subject out to mean the whole tenant.")


def not_in_policy_error(job: Pipeline, message: str, word: str, *declared: Iterable[str]) -> PolicyError:
    """The error for a word that the pipeline's policy does not declare. The hint names a similar one, or lists them all."""
    hint = did_you_mean(word, (name for names in declared for name in names)) or "Declare it in the policy."
    return unknown_name_error(message, hint, str(job.policy.path))


log = logging.getLogger("minimize")

PER_SUBJECT: Final = "it is collected only if the settings of the tenant and of the subject (--subject) are both on"
RAN_OUT: Final = "; expired, because `on` for a subject is valid for 24 hours"
LOCATION_FEATURE: Final = "location"
"""The feature that `locate start` turns on for one device."""


@dataclass(frozen=True, slots=True)
class NewSetting:
    """A setting to record: tenant, setting, value, holder, subject, and start time (default: now)."""

    tenant: str
    setting: str
    value: str
    holder: str = "admin"
    subject: str | None = None
    valid_from: datetime | None = None
    reference: str | None = None
    """The client's record of a choice of its user."""
    field: str | None = None
    """The field that contains the subject's id; None for the policy's subject."""

    def canonical(self) -> NewSetting:
        """The same setting with its names in canonical form."""
        return replace(
            self,
            tenant=canonical_text(self.tenant),
            setting=canonical_word(self.setting),
            value=canonical_word(self.value),
            holder=canonical_word(self.holder),
            field=canonical_id(self.field),
        )


@dataclass(frozen=True, slots=True)
class SettingChange(JsonResult):
    """A recorded setting, and the value of the same holder before it, or `nothing` if there was none."""

    json_names = "tenant setting holder old new"

    tenant: str
    setting: str
    holder: str
    old: str
    new: str
    is_for_subject: bool
    """Whether the setting is for one subject of the tenant."""

    def lines(self) -> Iterator[str]:
        """The setting, its holder and its values."""
        owner = f"a subject of {self.tenant}" if self.is_for_subject else self.tenant
        yield f"{self.setting} of {owner}, held by {self.holder}: {self.new} (before: {self.old})"


def set_setting(setting: NewSetting, workspace: Workspace, now: datetime) -> SettingChange:
    """Records a setting with its audit event.

    Raises PolicyError for words that the pipeline's policy does not declare, or without a pipeline for a feature that no policy
    below the folder of `minimize.yaml` declares; LedgerError, KeyringError. Raises RefusedError for a
    subject's own `on` of a feature that the pipeline's policy decides `per_subject`: `locate start` has its own permission. Also
    raises RefusedError if the user turns something on and no reference is given: an administrator cannot make this choice for the
    user.
    """
    workspace.require("settings/set_admin" if setting.holder == "admin" else "settings/set", tenant=setting.tenant)
    setting = setting.canonical()
    check_subject(setting.subject)
    check_setting(setting, workspace.loaded_pipeline)
    if workspace.loaded_pipeline is None:
        _check_declared(setting, names_of_configuration(workspace.config))
    _check_own_on(setting, workspace.loaded_pipeline)
    if _turns_on_for_user(setting.holder, setting.value, workspace.loaded_pipeline):
        if setting.subject is None:
            hint = "Pass --subject with the user's id, and --id-field with the field that contains it. Or pass another --holder."
            raise RefusedError("a user's choice cannot turn something on for a whole tenant", hint=hint)
        if setting.reference is None:
            raise _missing_reference("this setting")
    reference = "" if setting.reference is None else checked_reference(setting.reference, "--evidence")
    keys = workspace.keyring()
    with workspace.open_ledger(create=True) as ledger:
        rows = ledger.find(SETTING, tenant=setting.tenant)
        known = {row.subject for row in rows if row.field == setting.field}
        token = (
            None
            if setting.subject is None
            else known_or_new_token(keys, setting.tenant, setting.subject, known, setting.field)
        )
        row = RecordedSetting(
            tenant_id=setting.tenant,
            subject=token,
            setting=setting.setting,
            value=setting.value,
            holder=setting.holder,
            valid_from=setting.valid_from or now,
            recorded_at=now,
            reference=reference,
            field=setting.field,
        )
        before = _row_before(rows, row)
        record_settings(ledger, [row], SETTING.event("set", row, before=[before]))
    if workspace.loaded_pipeline is not None:
        warn_if_not_read(workspace.loaded_pipeline)
        _warn_without_effect(setting, workspace.loaded_pipeline)
    else:
        warn_if_unchecked("the name of a level, and who may turn a feature on,")
    return SettingChange(
        tenant=setting.tenant,
        setting=setting.setting,
        holder=setting.holder,
        old="nothing" if before is None else before.value,
        new=setting.value,
        is_for_subject=bool(setting.subject),
    )


def record_settings(ledger: Ledger, rows: Sequence[RecordedSetting], event: AuditEvent) -> int:
    """Records rows and their audit event. Recorded rows are skipped. Returns the number of new rows."""

    def decide(acts: ActReader) -> Decision[int]:
        new = new_settings(acts, rows)
        return Decision(len(new), SETTING.acts(new), [event] if new else [])

    return ledger.record(decide)


def warn_if_unchecked(names: str) -> None:
    """Logs a warning (W019): these names could not be checked, because no policy is known."""
    message = "%s were not checked against a policy. Pass --pipeline PIPELINE."
    log.warning(message, names, extra={"code": "W019"})


def _warn_without_effect(setting: NewSetting, job: Pipeline) -> None:
    """Warns if the policy does not let this holder turn the feature on."""
    feature = job.policy.features.get(names_by_word(job.policy.features).get(setting.setting, ""))
    if setting.value == "on" and feature is not None and feature.holders and setting.holder not in feature.holders:
        message = "this setting has no effect: of all holders, only %s can turn %s on"
        log.warning(message, " and ".join(feature.holders), setting.setting, extra={"code": "W048"})


def warn_if_not_read(job: Pipeline) -> None:
    """Warns if runs of the pipeline ignore the recorded change because they do not read settings from the ledger."""
    if job.settings != LEDGER_SETTINGS:
        message = (
            "the pipeline %s does not read its settings from the ledger: pass --settings ledger to apply this change%s"
        )
        file = "; its settings file then no longer counts: import it first (minimize settings import FILE)"
        log.warning(message, job.pipeline, file if job.settings else "", extra={"code": "W036"})


def show_settings(
    workspace: Workspace,
    now: datetime,
    *,
    tenant: str | None = None,
    setting: str | None = None,
    history: bool = False,
) -> Printable:
    """The settings that the current actor may read, as `list_settings` finds them."""
    tenants = workspace.readable_tenants("settings/read", tenant=tenant)
    rows = list_settings(workspace, now, tenant=tenant, setting=setting, history=history, tenants=tenants)
    return limited_result(Listing("settings", rows, "no settings"), tenants)


def list_settings(
    workspace: Workspace,
    now: datetime,
    *,
    tenant: str | None = None,
    setting: str | None = None,
    history: bool = False,
    tenants: TenantSet = ALL_TENANTS,
) -> list[SettingRow]:
    """The settings in force (the current row of each tenant, subject, setting and holder), or all rows with `history`.

    Optionally only those of one tenant or one setting, or of tenants in scope. Subjects are tokens.
    """
    with workspace.open_ledger() as ledger:
        name = None if setting is None else canonical_word(setting)
        recorded = ledger.find(SETTING, tenant=canonical_id(tenant), key=name)
    rows = entries_in_scope(recorded, tenants, lambda row: (row.tenant_id,))
    chosen = sorted(rows if history else _rows_in_force(rows, now), key=lambda row: (_setting_key(row), row.valid_from))
    names = ROW_SCHEMA.names
    return [SettingRow(**{name: getattr(row, name) for name in names}, line=None) for row in chosen]


def _check_own_on(setting: NewSetting, job: Pipeline | None) -> None:
    """Raises RefusedError for a subject's own `on` of a `per_subject` feature."""
    name = "" if job is None else names_by_word(job.policy.features).get(setting.setting, "")
    switch = None if job is None else job.policy.switch(name)
    if switch is not None and switch.per_subject and setting.subject is not None and setting.value == "on":
        message = f"`{setting.setting}` is `per_subject`: `settings set` cannot turn it on for one subject"
        is_location = setting.setting == LOCATION_FEATURE
        raise RefusedError(message, hint=f"Use `minimize {'locate start' if is_location else 'settings import FILE'}`.")


def _turns_on_for_user(holder: str, value: str, job: Pipeline | None) -> bool:
    """Whether a setting is the user's own choice of more collection. Without a policy, so is every level."""
    lowest = names_by_word(job.policy.levels[:1]) if job is not None else ()
    return holder == USER_HOLDER and value not in ("off", *lowest)


def _missing_reference(what: str) -> RefusedError:
    """The refusal of a user's choice without the client's record of it."""
    return RefusedError(
        f"{what} turns something on in the name of the user",
        hint="Only the user makes this choice. Pass --evidence with the client's record of it.",
    )


def _row_before(rows: Sequence[RecordedSetting], new: RecordedSetting) -> RecordedSetting | None:
    """The row of the same holder that is in force before a new one."""
    same = [row for row in rows if _setting_key(row) == _setting_key(new)]
    return next(_rows_in_force(same, new.recorded_at), None)


def _rows_in_force(rows: Iterable[RecordedSetting], now: datetime) -> Iterator[RecordedSetting]:
    """The latest row of each tenant, subject, setting and holder, by the times from which rows count."""
    recorded = list(rows)
    table = pa.Table.from_pylist(
        [{name: getattr(row, name) for name in ROW_SCHEMA.names} for row in recorded], ROW_SCHEMA
    )
    effective = SettingsRows(table).effective_table
    times = zip(effective["valid_from"].to_pylist(), effective["recorded_at"].to_pylist(), strict=True)
    latest: dict[tuple[str, ...], RecordedSetting] = {}
    for counts_from, row in sorted(zip(times, recorded, strict=True), key=lambda pair: pair[0]):
        if max(counts_from) <= now:
            latest[_setting_key(row)] = row
    yield from latest.values()


def _setting_key(row: RecordedSetting) -> tuple[str, ...]:
    return row.tenant_id, row.setting, row.subject or "", row.field or "", row.holder


@dataclass(frozen=True, slots=True)
class ImportedSettings(JsonResult):
    """A file of settings, and the number of its rows that were new."""

    file: str
    new: int

    def lines(self) -> Iterator[str]:
        """The number of rows, and the file."""
        yield f"imported {count_noun(self.new, 'new row')} of {self.file}"


@dataclass(frozen=True, slots=True)
class ExportedSettings(JsonResult):
    """A new file of settings, and the number of its rows."""

    file: str
    rows: int

    def lines(self) -> Iterator[str]:
        """The number of rows, and the file."""
        yield f"wrote {count_noun(self.rows, 'row')} to {self.file}"


def import_settings(
    file: PathText, workspace: Workspace, now: datetime, *, reference: str | None = None
) -> ImportedSettings:
    """Imports the rows of a settings file into the ledger; existing rows are skipped.

    Subjects become tokens. Takes a reference to the client's records for rows in which a user turns something on. Raises
    RefusedError if there are such rows and no reference, and PolicyError with every faulty row, including rows recorded in the
    future, and rows of a feature or field that no policy below the folder of `minimize.yaml` declares.
    """
    workspace.require("settings/set")
    imported = read_file(Path(file), tokens=True)
    job = workspace.loaded_pipeline
    _check_names(imported, names_of_configuration(workspace.config), job)
    warn_of_settings(imported, None)
    user_rows = [row for row in imported.table.to_pylist() if _turns_on_for_user(row["holder"], row["value"], job)]
    if user_rows and reference is None:
        raise _missing_reference(count_noun(len(user_rows), "row of the file", "rows of the file"))
    cited = "" if reference is None else checked_reference(reference, "--evidence")
    keys = workspace.keyring()
    _check_recorded_at(imported, now)
    changes = [PropertyChange("digest", None, imported.digest)]
    changes += [PropertyChange("reference", None, cited)] if cited else []
    resource = Resource("import", "settings", "settings/import", tuple(changes))
    with workspace.open_ledger(create=True) as ledger:
        tokenized_rows = _with_tokens(imported, _known_tokens(imported, ledger.find(SETTING)), keys)
        rows = [
            replace(each, reference=cited if _turns_on_for_user(each.holder, each.value, job) else "")
            for each in tokenized_rows
        ]
        event = SETTINGS_ACTIVITY.event("import", current_actor(), now, resource)
        return ImportedSettings(str(file), record_settings(ledger, rows, event))


def export_settings(file: PathText, workspace: Workspace) -> ExportedSettings:
    """Writes every row of the ledger to a new CSV file that only its owner can read. Subjects stay tokens.

    Values are written exactly, for `import_settings`. If a spreadsheet would execute some of them as formulas, a warning (W060)
    states their number. Raises OutputError if the file exists.
    """
    workspace.require("settings/read")
    with workspace.open_ledger() as ledger:
        rows = ledger.find(SETTING)

    def fill(out: TextIO) -> int:
        writer = csv.writer(out)
        writer.writerow(ROW_SCHEMA.names)
        writer.writerows(_csv_row(row) for row in rows)
        return len(rows)

    exported = ExportedSettings(str(file), write_private_file(Path(file), fill))
    formulas = sum(without_formula(cell) != cell for row in rows for cell in _csv_row(row))
    if formulas:
        message = "%s of %s would be executed as a formula by a spreadsheet: do not open the file with one"
        log.warning(message, count_noun(formulas, "cell"), file, extra={"code": "W060"})
    return exported


def _check_names(rows: SettingsRows, declared: DeclaredNames | None, job: Pipeline | None) -> None:
    """Raises PolicyError for every row of an unknown holder, and of a feature or field that no policy declares.

    Without policies, only holders are checked.
    """
    policy_names = None if job is None else DeclaredNames.of_policies(job.policy)
    known = [names for names in (declared, policy_names) if names is not None]
    settings = frozenset[str]().union(*(names.settings for names in known))
    fields = frozenset[str]().union(*(names.fields for names in known))
    lines = rows.lines if rows.lines is not None else [None] * rows.table.num_rows
    faults = []
    for line, row in zip(lines, rows.table.select(["setting", "field", "holder"]).to_pylist(), strict=True):
        if row["holder"] not in HOLDERS:
            hint = did_you_mean(row["holder"], HOLDERS)
            faults.append(unknown_name_finding("unknown holder", hint, rows.file, line))
        if not known:
            continue
        if row["setting"] not in settings:
            hint = did_you_mean(row["setting"], settings, "Declare the feature in a policy, or correct the row.")
            faults.append(unknown_name_finding("no policy has the feature of this row", hint, rows.file, line))
        elif row["field"] is not None and row["field"] not in fields:
            hint = did_you_mean(row["field"], fields, "Write the name of a field of a policy, or leave `field` empty.")
            faults.append(unknown_name_finding("no policy has the field of this row", hint, rows.file, line))
    raise_faults(faults, rows.file)


_FieldAndTenant = tuple[str | None, str]


def _known_tokens(unresolved: SettingsRows, rows: Sequence[RecordedSetting]) -> dict[_FieldAndTenant, set[str]]:
    """The tokens in the ledger and in the imported rows, per field and tenant."""
    named = unresolved.table.select(["field", "tenant_id", "subject"]).to_pylist()
    brought = [
        (row["field"], row["tenant_id"], row["subject"])
        for row in named
        if token_version(row["subject"] or "") is not None
    ]
    known: dict[_FieldAndTenant, set[str]] = {}
    for field, tenant, token in (*((row.field, row.tenant_id, row.subject) for row in rows if row.subject), *brought):
        known.setdefault((field, tenant), set()).add(token)
    return known


def _with_tokens(
    rows: SettingsRows, known_tokens: Mapping[_FieldAndTenant, set[str]], keys: Keyring
) -> list[RecordedSetting]:
    """The rows with subjects as tokens; each subject is looked up once."""
    versions = token_versions(token for tokens in known_tokens.values() for token in tokens)

    @cache
    def secrets(field: str | None) -> Mapping[int, bytes]:
        return token_secrets(keys, versions, field)

    @cache
    def token(field: str | None, tenant: str, subject: str) -> str:
        if token_version(subject) is not None:
            return subject
        known_token = find_known_token(secrets(field), tenant, subject, known_tokens.get((field, tenant), ()))
        return subject_token(keys, tenant, subject, field=field) if known_token is None else known_token

    return [
        RecordedSetting(
            **row
            | {"subject": None if row["subject"] is None else token(row["field"], row["tenant_id"], row["subject"])}
        )
        for row in rows.table.to_pylist()
    ]


def _check_recorded_at(rows: SettingsRows, now: datetime) -> None:
    times = rows.table["recorded_at"].to_pylist()
    lines = rows.lines if rows.lines is not None else range(1, len(times) + 1)
    late = [line for time, line in zip(times, lines, strict=True) if time > now]
    if late:
        raise future_rows_error(late, rows.file)


def _csv_row(row: RecordedSetting) -> tuple[str, ...]:
    times = (time_text(row.valid_from), time_text(row.recorded_at))
    return (row.tenant_id, row.subject or "", row.setting, row.value, row.holder, *times, row.field or "")
