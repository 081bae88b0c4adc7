"""A padded id has the settings and the consent of its subject and tenant when records are shared, too."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from tests.governance.sharing.sender import RECORDS, Sender

LATITUDE = {"type": "double", "do": "keep", "about": "where"}
COLUMNS = ("tenant_id", "subject", "setting", "value", "holder", "valid_from", "recorded_at")
SINCE = ("2026-01-01T00:00:00Z",) * 2


def rows(*given: tuple[str | None, ...]) -> pa.Table:
    return pa.Table.from_pylist([dict(zip(COLUMNS, row, strict=True)) for row in given])


def records(**columns: list[str]) -> pa.Table:
    data: Any = RECORDS
    for name, values in columns.items():
        data = data.set_column(data.schema.names.index(name), name, pa.array(values))
    return data


def test_a_padded_id_has_the_settings_of_its_subject(sender: Sender) -> None:
    own = rows(("north", None, "location", "on", "admin", *SINCE), ("north", "d-1", "location", "off", "user", *SINCE))
    shares = sender.vendor_with("functions.sync.fields.latitude", LATITUDE).with_(settings=own)
    shares.agree("north")
    shared = shares.share(records(tenant_id=["north"] * 4, device_id=["d-1", "d-1 ", "\u00a0d-1", "d-1\u200b"]))
    assert shared["latitude"].to_pylist() == [None] * 4
    assert len(set(shared["device_id"].to_pylist())) == 1


def test_a_padded_tenant_has_the_consent_of_the_tenant(sender: Sender) -> None:
    sender.agree("north\u2003")
    data = records(tenant_id=["north", " north", "north\u200b", "west "])
    assert sender.share(data).num_rows == 3
    sender.consent("north", "withdrawn")
    assert sender.dry(data).rows == 0


def test_a_recipient_that_folds_does_not_change_our_pseudonyms(sender: Sender) -> None:
    folding = {"type": "string", "role": "identifier", "do": {"pseudonymize": {"key": "other", "fold": True}}}
    plain = {**folding, "do": {"pseudonymize": {"key": "other"}}}
    data = records(tenant_id=["north"] * 4, device_id=["D-1", "d-1", "D-1 ", "d-2"])
    sender.agree("north")
    for field in (folding, plain):
        shares = sender.vendor_with("functions.sync.fields.device_id", field)
        shares.agree("north")
        shared = shares.share(data)["device_id"].to_pylist()
        assert [shared.index(each) for each in shared] == [0, 1, 0, 3]
