"""What follows acts that no known key signed: reproductions of what is found by `audit verify` only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Final

import pytest

from minimize.errors import LedgerError
from minimize.governance.subjects.disclosures import load_disclosures
from minimize.keys import Keyring, new_keyring
from minimize.ledger.acts import ActKind
from minimize.ledger.ledger import Ledger
from minimize.ledger.settings import SETTING, RecordedSetting
from minimize.ledger.sharing import DISCLOSURE, TENANT_SHARE, Disclosure, TenantShare
from minimize.ledger.subjects import LIFECYCLE_EVENT, LifecycleEvent
from minimize.settings.erasures import RecordedErasures
from minimize.settings.tokenized import load_ledger_settings
from tests.acts import record_acts
from tests.ledger.ledgers import NOW, errors

TOKEN: Final = "subject/1:" + 64 * "0"
FORGED: Final[Mapping[str, list[tuple[ActKind[Any], Any]]]] = {
    "setting": [(SETTING, RecordedSetting("north", None, "location", "on", "admin", NOW, NOW))],
    "event": [(LIFECYCLE_EVENT, LifecycleEvent("north", TOKEN, "erasure", NOW, "withdrawn", "[]", NOW, "ann"))],
    "disclosure": [
        (DISCLOSURE, Disclosure("d1", NOW, "vendor", "sync", 1, "sha256:0", NOW + timedelta(days=1), {})),
        (TENANT_SHARE, TenantShare("d1", "north", 1, "c1")),
    ],
}
READERS: Final[Mapping[str, Callable[[Ledger, Keyring], Any]]] = {
    "setting": load_ledger_settings,
    "event": lambda ledger, keys: RecordedErasures.from_ledger(ledger, keys, ()),
    "disclosure": lambda ledger, _: load_disclosures(ledger),
}


@pytest.mark.xfail(
    strict=True, reason="only grants, access files, consents and API tokens are checked when they are read"
)
@pytest.mark.parametrize("what", list(FORGED))
def test_an_act_that_no_known_key_signed_is_refused_where_it_decides(ledger: Ledger, keys: Keyring, what: str) -> None:
    stranger = new_keyring(keys.path.with_name("other.keys"), now=NOW)
    for kind, record in FORGED[what]:
        record_acts(ledger, stranger, kind, record)
    assert {code for code, _ in errors(ledger, keys)} == {"H004", "H019"}
    with pytest.raises(LedgerError, match="is not signed by a known key"):
        READERS[what](ledger, keys)
