"""`share`: the call before any export to a third party."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from minimize.errors import ConfigurationError, without_values
from minimize.governance.access.gate import gate
from minimize.governance.sharing.act import Act, act
from minimize.governance.sharing.asked import PathLike, Places, resolve
from minimize.governance.sharing.connecting import Connector
from minimize.policy.pipeline import CategoryName
from minimize.recipients import Recipient
from minimize.switching import House
from minimize.times import moment


@without_values
def share(
    data: Any,
    *,
    recipient: str | Recipient,
    function: str,
    policy: Any = None,
    pipeline: Any = None,
    purpose: str | None = None,
    settings: Any = None,
    keys: Any = None,
    ledger: PathLike | None = None,
    recipients: Any = None,
    fields: Collection[str] | None = None,
    existing: Collection[str] = (),
    must_be: CategoryName | None = None,
    at: datetime | str | None = None,
    to: PathLike | None = None,
    connector: Connector | None = None,
    dry_run: bool = False,
) -> Any:
    """What may go to a recipient for a function: manifest, contract, consent, collection settings and policy all let it out.

    Takes data in memory (what `apply` takes), a file of records, or the output folder of a pipeline (its records in force);
    a policy or a pipeline; `fields` to send fewer than all that may leave; in `existing` what is there of what functions
    require; the ledger with the consents; the folder of recipients; `to`, the new Parquet, NDJSON or CSV file; and a
    `connector`, which is called once with a table of the payload and the secrets that only pass through (`pass_through` in
    the manifest): they stand in no result, file, digest, count or record.
    Gives the kind of `data` (a Table for files), or the path of the file; with `dry_run` an account of what would leave and
    why the rest would not, and nothing is recorded. Rows of tenants that do not agree are left out. An `at` before now
    is for a dry run alone; one that is yet to come must be fine then and now.
    Raises ConfigurationError for an `at` in the past without `dry_run`.
    Raises NotPermitted with every reason at once where nothing may leave, or a consent ends while the payload is made.
    Leaves a signed record of the act in the ledger, before anything is handed over. Raises
    ConfigurationError (E212) if the connector fails: the act stays recorded, and what arrived is not known.
    """
    found = acting(
        data,
        recipient,
        function,
        Places(policy, pipeline, settings, keys, ledger, recipients),
        at=at,
        dry=dry_run,
        purpose=purpose,
        fields=fields,
        existing=existing,
        must_be=must_be,
        connector=connector,
    )
    return found.dry() if dry_run else found.wet(data, None if to is None else Path(to)).given


def acting(
    data: Any,
    recipient: str | Recipient,
    function: str,
    places: Places,
    *,
    at: datetime | str | None = None,
    dry: bool = False,
    purpose: str | None = None,
    fields: Collection[str] | None = None,
    existing: Collection[str] = (),
    must_be: CategoryName | None = None,
    connector: Connector | None = None,
) -> Act:
    """The same, planned and not done: who needs the account and the record beside the payload starts here."""
    when = moment(at, "at")
    if not dry:
        _check_not_past(when)
        house = House(ledger=places.ledger, pipeline=places.pipeline, keys=places.keys)
        gate("share/send", house, datetime.now(UTC), about=_name(recipient))
    asked = resolve(
        recipient,
        function,
        places,
        whens=moments(when, datetime.now(UTC), dry=dry),
        purpose=purpose,
        fields=fields,
        existing=existing,
        must_be=must_be,
        connector=connector,
    )
    return act(asked, data, lambda: datetime.now(UTC))


def _check_not_past(at: datetime | None) -> None:
    """Whoever asks as of a time that is past would think that what was agreed to then counted."""
    if at is not None and at < datetime.now(UTC):
        hint = "leave `at` out: that is now"
        raise ConfigurationError(
            "an `at` in the past goes with a dry run alone: what is sent is sent as of now", hint=hint
        )


def _name(recipient: str | Recipient) -> str:
    return recipient if isinstance(recipient, str) else recipient.recipient


def moments(at: datetime | None, now: datetime, *, dry: bool) -> tuple[datetime, ...]:
    """The moments at which all must hold: now, and a later one that was asked for; a dry run asks of any time."""
    if at is not None and (dry or at > now):
        return (at,) if dry else (now, at)
    return (now,)
