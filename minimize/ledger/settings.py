"""Acts of collection settings: one for each row."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from minimize.ledger.acts import ActKind, ActReader


@dataclass(frozen=True, slots=True)
class RecordedSetting:
    """One recorded setting. `subject` is a token; None for a whole tenant.

    reference  the holder's own record of the choice; the same choice with another reference is not a new setting
    field      the field of the subject's id; None for the subject of the policy
    """

    tenant_id: str
    subject: str | None
    setting: str
    value: str
    holder: str
    valid_from: datetime
    recorded_at: datetime
    reference: str = dataclasses.field(default="", compare=False)
    field: str | None = None


SETTING: Final = ActKind(
    "setting", RecordedSetting, key="{0.setting}", tenant="tenant_id", subject="subject", valid_from="valid_from"
)


def new_settings(acts: ActReader, rows: Iterable[RecordedSetting]) -> list[RecordedSetting]:
    """The rows that are not recorded yet, each once."""
    distinct = list(dict.fromkeys(rows))
    tenants = {row.tenant_id for row in distinct}
    known = {row for tenant in tenants for row in acts.find(SETTING, tenant=tenant)}
    return [row for row in distinct if row not in known]
