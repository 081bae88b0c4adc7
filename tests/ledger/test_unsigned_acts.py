"""Acts that no known key signed: where they decide about erasures they are refused, elsewhere `audit verify` finds them."""

from __future__ import annotations

from typing import Any, Final

import pytest

from minimize.errors import RefusedError
from minimize.keys import Keyring, new_keyring
from minimize.ledger.acts import ActKind
from minimize.ledger.kinds import SETTING, TENANT_SHARE, RecordedSetting, TenantShare
from minimize.ledger.ledger import Ledger
from minimize.ledger.subject_kinds import LIFECYCLE_EVENT, LifecycleEvent
from minimize.settings.erasures import RecordedErasures
from tests.acts import plant_acts
from tests.ledger.ledgers import NOW, errors, opened

TOKEN: Final = "subject/1:" + 64 * "0"
WITHDRAWN: Final = LifecycleEvent("north", TOKEN, "erasure", NOW, "withdrawn", "[]", NOW, "ann")
FORGED: Final[list[tuple[ActKind[Any], Any]]] = [
    (SETTING, RecordedSetting("north", None, "location", "on", "admin", NOW, NOW)),
    (TENANT_SHARE, TenantShare("d1", "north", 1, "c1")),
    (LIFECYCLE_EVENT, WITHDRAWN),
]


def stranger(keys: Keyring) -> Keyring:
    return new_keyring(keys.path.with_name("other.keys"), now=NOW)


def test_a_forged_withdrawal_of_an_erasure_stops_what_reads_erasures(ledger: Ledger, keys: Keyring) -> None:
    plant_acts(ledger, stranger(keys), LIFECYCLE_EVENT, WITHDRAWN)
    with (
        opened(ledger.address, create=False, verifier=keys) as reading,
        pytest.raises(RefusedError, match="is not signed by a known key"),
    ):
        RecordedErasures.from_ledger(reading)


@pytest.mark.parametrize(("kind", "record"), FORGED, ids=lambda each: getattr(each, "name", None))
def test_a_forged_act_is_found(ledger: Ledger, keys: Keyring, kind: ActKind[Any], record: Any) -> None:
    plant_acts(ledger, stranger(keys), kind, record)
    assert {code for code, _ in errors(ledger, keys)} == {"H004", "H019"}
