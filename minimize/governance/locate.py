"""Locate actions: turn on the feature `location` for one lost device, with an end that is recorded at the same time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from minimize.datasets.pipelines import LEDGER_SETTINGS
from minimize.errors import RefusedError
from minimize.governance.settings import (
    LOCATION_FEATURE,
    check_subject,
    record_settings,
    warn_if_not_read,
)
from minimize.identifiers import NO_FOLDING, CaseFolding, canonical_id, canonical_text
from minimize.keys import Keyring
from minimize.ledger.kinds import SETTING, RecordedSetting
from minimize.ledger.subject_tokens import TokenIndex, subject_token, token_secrets, token_versions
from minimize.plan.request import can_leave
from minimize.policy.condition import FeatureOn, atoms
from minimize.policy.describe import condition_text, gate_texts
from minimize.policy.fields import gate_condition
from minimize.policy.model import Field, Policy, RecordsGate
from minimize.policy.pipeline import Pipeline
from minimize.results import JsonResult, json_member
from minimize.settings import FeatureSwitch
from minimize.settings.evaluation import OWN_ON_LIMIT
from minimize.settings.files import missing_name_error
from minimize.settings.tokenized import ledger_rows
from minimize.times import seconds_text, time_text
from minimize.workspace import Workspace

if TYPE_CHECKING:
    from minimize.settings.evaluation import ExplainableSettings

FEATURE: Final = LOCATION_FEATURE
HOLDER: Final = "admin"
LONGEST_ACTION: Final = OWN_ON_LIMIT
_PERMISSION: Final = "remote_tasks/locate"


@dataclass(frozen=True, slots=True)
class LocateAction(JsonResult):
    """A located device: its tenant, its token, the start, and the end (None if no end is recorded)."""

    tenant: str
    device: str
    since: datetime
    until: datetime | None

    @property
    def end_text(self) -> str:
        """The end in words."""
        return "it is ended" if self.until is None else seconds_text(self.until)

    def lines(self) -> Iterator[str]:
        """The tenant, the start, the end and the token."""
        yield f"{self.tenant}  since {seconds_text(self.since)}  until {self.end_text}  {self.device}"


@dataclass(frozen=True, slots=True)
class StartedLocate(JsonResult):
    """A located device, and the policy's conditions for each field that the pipeline releases about it, in words."""

    action: LocateAction = field(metadata=json_member(merge=True))
    conditions: Mapping[str, str]

    def lines(self) -> Iterator[str]:
        """The end, and the conditions."""
        yield f"a device of {self.action.tenant} is located until {self.action.end_text}"
        yield from (f"  {name} is released only if: {words}" for name, words in self.conditions.items())


@dataclass(frozen=True, slots=True)
class EndedLocate(JsonResult):
    """Whether a device of a tenant was located, or was to be located later."""

    json_names = "tenant ended"

    tenant: str
    ended: bool
    is_known: bool
    """Whether the ledger has a setting of the tenant."""

    def lines(self) -> Iterator[str]:
        """The result, and what to check if nothing was ended."""
        ids = "Write the ids of the tenant and the device as in `locate start`."
        if self.ended:
            yield f"a device of {self.tenant} is no longer located"
        elif self.is_known:
            yield f"nothing to do: the device is not located. {ids}"
        else:
            yield f"nothing to do: the ledger has no setting of the tenant {self.tenant}. {ids}"


def start_locate(
    device: str, tenant: str, workspace: Workspace, now: datetime, *, span: timedelta = LONGEST_ACTION
) -> StartedLocate:
    """Turns `location` on for a device of a tenant from now on, and off after the time span. Records both at once.

    An active action for the device gets the new end. Takes a span of at most 24 hours, and the workspace with the pipeline whose
    policy applies.

    Raises RefusedError if the action would have no effect:

    - the policy does not decide the feature per subject
    - the policy releases no field of the feature for the pipeline's purpose
    - the policy does not let an administrator turn it on
    - the tenant's own setting is not on
    - another holder has turned it off

    Raises PolicyError for blank names, LedgerError, KeyringError.
    """
    workspace.require(_PERMISSION, tenant=tenant)
    if not timedelta() < span <= LONGEST_ACTION:
        raise RefusedError("a device can be located for at most 24 hours", hint="Pass a shorter time.")
    job, switch = _check_pipeline(workspace.loaded_pipeline)
    tenant, device = _canonical_names(tenant, device)
    keys, end = workspace.keyring(), now + span
    with workspace.open_ledger(create=True) as ledger:
        rows = ledger.find(SETTING)
        known = list(_device_tokens(rows, keys, tenant, device, job.policy.folding))
        tokens = known or [(tenant, subject_token(keys, tenant, device))]
        new = [each for name, token in tokens for each in _action_rows(rows, name, token, now, end)]
        _check_effect([*rows, *new], switch, tenant, device, keys, job.policy.folding, now)
        shown = {HOLDER: "on", "until": time_text(end)}
        record_settings(ledger, new, SETTING.event("locate", *new, properties=shown))
    warn_if_not_read(job)
    return StartedLocate(LocateAction(*tokens[0], now, end), position_conditions(workspace))


def end_locate(device: str, tenant: str, workspace: Workspace, now: datetime) -> EndedLocate:
    """Turns `location` off for a device from now on.

    Without a pipeline, ids that differ only in case count as one device. Raises PolicyError for blank names, LedgerError,
    KeyringError.
    """
    workspace.require(_PERMISSION, tenant=tenant)
    tenant, device = _canonical_names(tenant, device)
    folding = (
        CaseFolding(subject=True) if workspace.loaded_pipeline is None else workspace.loaded_pipeline.policy.folding
    )
    keys = workspace.keyring()
    with workspace.open_ledger() as ledger:
        rows = ledger.find(SETTING)
        tokens = list(_device_tokens(rows, keys, tenant, device, folding))
        new = [each for name, token in tokens for each in _ending_rows(rows, name, token, now)]
        if new:
            record_settings(ledger, new, SETTING.event("end_locate", *new, properties={HOLDER: "off"}))
    return EndedLocate(tenant, bool(new), any(each.tenant_id == tenant for each in rows))


def list_locate_actions(workspace: Workspace, now: datetime, *, tenant: str | None = None) -> list[LocateAction]:
    """The devices located now, of all tenants or of one. Devices are tokens."""
    workspace.require(_PERMISSION, tenant=tenant)
    tenant = canonical_id(tenant)
    with workspace.open_ledger() as ledger:
        rows = ledger.find(SETTING)
    pairs = dict.fromkeys((row.tenant_id, row.subject) for row in rows if row.setting == FEATURE and row.subject)
    actions = (_current_action(rows, name, str(token), now) for name, token in pairs if tenant in (None, name))
    return sorted(
        (each for each in actions if each is not None), key=lambda action: (action.tenant, action.since, action.device)
    )


def position_conditions(workspace: Workspace) -> dict[str, str]:
    """The policy's conditions, in words, for each field that the pipeline releases about a located device."""
    job = workspace.loaded_pipeline
    if job is None:
        return {}
    fields = [field for field in _location_fields(job.policy) if can_leave(field, job.purpose)]
    return {field.key: words for field in fields if (words := _field_conditions(job, field))}


def _field_conditions(job: Pipeline, field: Field) -> str:
    policy, pipeline_condition = job.policy, None if job.records is None else job.records.collect_if
    gated: list[Field | RecordsGate] = [field, *_source_fields(policy, field), policy.records]
    texts = [text for each in gated for text in gate_texts(each, policy)]
    return "; ".join(
        dict.fromkeys([*texts, *([] if pipeline_condition is None else [condition_text(pipeline_condition)])])
    )


def _check_pipeline(job: Pipeline | None) -> tuple[Pipeline, FeatureSwitch]:
    """The pipeline, and how settings decide its feature. Raises RefusedError if no action can have an effect."""
    if job is None:
        raise RefusedError(
            "a pipeline whose policy has a location feature is required", hint="Pass --pipeline PIPELINE."
        )
    switch = job.policy.switch(FEATURE)
    if switch is None or not switch.per_subject:
        message = f"the policy {job.policy.policy} has no feature `{FEATURE}` with `per_subject: true`"
        raise RefusedError(
            message, hint=f"Add `features: {{{FEATURE}: {{per_subject: true, retention: 24h}}}}` to the policy."
        )
    if switch.holders and HOLDER not in switch.holders:
        message = f"the policy {job.policy.policy} does not let an administrator turn `{FEATURE}` on"
        raise RefusedError(message, hint=f"Add {HOLDER} to the feature's `holders`.")
    _check_purpose(job)
    return job, switch


def _check_purpose(job: Pipeline) -> None:
    """Raises RefusedError if no field that depends on the feature is released for the pipeline's purpose."""
    fields = _location_fields(job.policy)
    if any(can_leave(field, job.purpose) for field in fields):
        return
    purposes = [name for name in job.policy.purposes if any(can_leave(field, name) for field in fields)]
    message = f"the policy {job.policy.policy} releases no field of `{FEATURE}` for the purpose {job.purpose}"
    released = f"Pass a pipeline with one of these purposes: {', '.join(purposes)}."
    raise RefusedError(
        message, hint=released if purposes else "Release a field of the feature for this purpose in the policy."
    )


def _location_fields(policy: Policy) -> list[Field]:
    """The fields that depend on the feature."""
    return [field for field in policy.fields.values() if _depends_on_location(policy, field)]


def _source_fields(policy: Policy, field: Field) -> list[Field]:
    return [policy.fields[key] for key in field.from_ if key in policy.fields]


def _depends_on_location(policy: Policy, field: Field) -> bool:
    """Whether a field depends on the feature: by the gate of the records, of the field, or of a source field."""
    gates = [gate_condition(policy.records), *map(gate_condition, (field, *_source_fields(policy, field)))]
    return any(FeatureOn(FEATURE) in atoms(each) for each in (*gates, *(case.when for case in field.cases)))


def _canonical_names(tenant: str, device: str) -> tuple[str, str]:
    check_subject(device)
    if not canonical_text(tenant):
        raise missing_name_error()
    return canonical_text(tenant), canonical_text(device)


def _check_effect(
    rows: Sequence[RecordedSetting],
    switch: FeatureSwitch,
    tenant: str,
    device: str,
    keys: Keyring,
    folding: CaseFolding,
    now: datetime,
) -> None:
    """Raises RefusedError if the device would not be located with these rows."""
    effective = ledger_rows(rows, keys, LEDGER_SETTINGS).with_folding(folding).effective_at(now)
    tenants, devices = pa.array([tenant]), pa.array([device])
    if not effective.feature_on(switch.of_tenants, tenants, None, None)[0].as_py():
        _refuse_opt_out(effective, "the tenant", tenant, None, now)
        hint = f"Run `minimize settings set TENANT {FEATURE} on --pipeline PIPELINE`."
        raise RefusedError(f"the tenant's own setting `{FEATURE}` is not on in the ledger", hint=hint)
    if not effective.feature_on(switch, tenants, devices, None)[0].as_py():
        _refuse_opt_out(effective, "this device", tenant, device, now)
        hint = f"Run `minimize settings explain TENANT {FEATURE} TIME --subject DEVICE --settings ledger --pipeline PIPELINE`."
        raise RefusedError(f"the settings of this device do not turn `{FEATURE}` on", hint=hint)


def _refuse_opt_out(
    effective: ExplainableSettings, subject_name: str, tenant: str, device: str | None, now: datetime
) -> None:
    """Raises RefusedError if a holder other than that of locate actions has turned the feature off; names the holder."""
    rows = effective.deciding_rows(tenant, FEATURE, now, device)
    holders = sorted({row.holder for row in rows if row.value != "on"} - {HOLDER})
    if holders:
        subject = "" if device is None else " --subject DEVICE"
        message = (
            f"the holder `{'`, `'.join(holders)}` has turned `{FEATURE}` off for {subject_name}, and any opt-out wins"
        )
        raise RefusedError(
            message,
            hint=f"Run `minimize settings explain TENANT {FEATURE} TIME{subject} --settings ledger --pipeline PIPELINE`.",
        )


def _device_tokens(
    rows: Sequence[RecordedSetting], keys: Keyring, tenant: str, device: str, folding: CaseFolding = NO_FOLDING
) -> Iterator[tuple[str, str]]:
    """The tokens under which a device has settings, each with its tenant as recorded."""
    known: dict[str, set[str]] = {}
    for row in rows:
        if row.subject:
            known.setdefault(row.tenant_id, set()).add(row.subject)
    secrets = token_secrets(keys, token_versions(token for tokens in known.values() for token in tokens))
    yield from TokenIndex(known, folding).find(secrets, tenant, device)


def _action_rows(
    rows: Sequence[RecordedSetting], tenant: str, token: str, now: datetime, end: datetime
) -> Iterator[RecordedSetting]:
    """The rows of an action: on from now on, overriding changes before its end, and off at its end."""
    within = (moment for moment in _holder_values(rows, tenant, token) if now < moment < end)
    yield from (_setting_row(tenant, token, "on", moment, now) for moment in (now, *within))
    yield _setting_row(tenant, token, "off", end, now)


def _ending_rows(rows: Sequence[RecordedSetting], tenant: str, token: str, now: datetime) -> Iterator[RecordedSetting]:
    """The rows that end an action: off from now on and at each later start; none if the device is not located and will not be.

    The administrator's `off` also ends the `on` of another holder: any opt-out wins.
    """
    values = _holder_values(rows, tenant, token)
    holders = _by_holder(rows, tenant, token)
    later = [moment for each in holders for moment in each if moment > now]
    others_on = (
        _value_in_effect(values, when) != "off" and any(_value_in_effect(each, when) == "on" for each in holders)
        for when in (now, *later)
    )
    if _last_value(values, now) == "on" or any(others_on):
        yield _setting_row(tenant, token, "off", now, now)
    yield from (
        _setting_row(tenant, token, "off", moment, now)
        for moment, each in values.items()
        if each == "on" and moment > now
    )


def _current_action(rows: Sequence[RecordedSetting], tenant: str, token: str, now: datetime) -> LocateAction | None:
    values = _effective_values([row for row in rows if row.recorded_at <= now], tenant, token)
    if _last_value(values, now) != "on":
        return None
    since = now
    for moment in sorted((each for each in values if each <= now), reverse=True):
        if values[moment] != "on":
            break
        since = moment
    until = next((moment for moment, value in values.items() if moment > now and value != "on"), None)
    return LocateAction(tenant, token, since, until)


def _effective_values(rows: Sequence[RecordedSetting], tenant: str, token: str) -> Mapping[datetime, str]:
    """The effective value of all holders' settings for a device from each moment on. Any opt-out wins; an `on` can run out."""
    holders = _by_holder(rows, tenant, token)
    starts = {moment for values in holders for moment in values}
    ends = {moment + LONGEST_ACTION for values in holders for moment, value in values.items() if value == "on"}
    return {
        moment: _combine_values([_value_in_effect(values, moment) for values in holders])
        for moment in sorted(starts | ends)
    }


def _by_holder(rows: Sequence[RecordedSetting], tenant: str, token: str) -> list[Mapping[datetime, str]]:
    """The value of each holder's setting for a device from each moment on."""
    own_rows = [row for row in rows if (row.tenant_id, row.subject, row.setting) == (tenant, token, FEATURE)]
    return [_holder_values(own_rows, tenant, token, holder) for holder in dict.fromkeys(row.holder for row in own_rows)]


def _value_in_effect(values: Mapping[datetime, str], when: datetime) -> str | None:
    """The value of one holder at a time; None if there is none, or if an `on` has run out."""
    since = max((moment for moment in values if moment <= when), default=None)
    if since is None or (values[since] == "on" and when - since >= LONGEST_ACTION):
        return None
    return values[since]


def _combine_values(values: Sequence[str | None]) -> str:
    return "on" if set(values) - {None} == {"on"} else "off"


def _holder_values(
    rows: Sequence[RecordedSetting], tenant: str, token: str, holder: str = HOLDER
) -> Mapping[datetime, str]:
    """The value of a holder's setting for a device from each moment on, in time order."""
    setting_key = (tenant, token, FEATURE, holder)
    holder_rows = [row for row in rows if (row.tenant_id, row.subject, row.setting, row.holder) == setting_key]
    ordered = sorted(holder_rows, key=lambda row: (row.valid_from, row.recorded_at, row.value != "on"))
    return {row.valid_from: row.value for row in ordered}


def _last_value(values: Mapping[datetime, str], now: datetime) -> str | None:
    return next((value for moment, value in reversed(list(values.items())) if moment <= now), None)


def _setting_row(tenant: str, token: str, value: str, valid_from: datetime, now: datetime) -> RecordedSetting:
    return RecordedSetting(
        tenant_id=tenant,
        subject=token,
        setting=FEATURE,
        value=value,
        holder=HOLDER,
        valid_from=valid_from,
        recorded_at=now,
    )
