"""Acts and their kinds: what is signed, and records that come back as they were recorded."""

from __future__ import annotations

import io
import json
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import minimize.ledger
from minimize.keys import Keyring, new_keyring
from minimize.ledger.acts import TOMBSTONE, Act, ActKind, BodyRemoval, Decision, NewAct
from minimize.ledger.audit_check import export_entries
from minimize.ledger.audit_event import ALL_ENTRIES, EMPTY_LOG
from minimize.ledger.ledger import Ledger
from minimize.receipts import sha256_text
from tests.acts import RECORDED_AT, record_acts
from tests.ledger.ledgers import NOW, errors, event
from tests.project import write_keyring

MODULES: Final = [import_module(f"minimize.ledger.{each.name}") for each in iter_modules(minimize.ledger.__path__)]
KINDS: Final[list[ActKind[Any]]] = sorted(
    {id(kind): kind for module in MODULES for kind in vars(module).values() if isinstance(kind, ActKind)}.values(),
    key=lambda kind: kind.name,
)
TEXT: Final = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
JSON: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
VALUES: Final[Mapping[Any, st.SearchStrategy[Any]]] = {
    str: TEXT,
    datetime: st.datetimes(timezones=st.just(UTC)),
    Mapping[str, Any]: st.dictionaries(TEXT, JSON, max_size=3),
}


def values(hint: Any) -> st.SearchStrategy[Any]:
    """Values of a field."""
    if isinstance(hint, types.UnionType):
        return st.one_of(*map(values, typing.get_args(hint)))
    return VALUES[hint] if hint in VALUES else st.from_type(hint)


def records(kind: ActKind[Any]) -> st.SearchStrategy[Any]:
    """Records of a kind."""
    hints = typing.get_type_hints(kind.record)
    return st.builds(kind.record, **{each.name: values(hints[each.name]) for each in fields(kind.record)})


@pytest.fixture(name="shared_keys", scope="module")
def _shared_keys(tmp_path_factory: pytest.TempPathFactory) -> Keyring:
    return write_keyring(tmp_path_factory.mktemp("keys") / "test.keys")


def test_kinds_are_named_once() -> None:
    names = [kind.name for kind in KINDS]
    assert len(names) == len(set(names)) > 10


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
@given(data=st.data())
def test_the_record_of_an_act_is_read_back(shared_keys: Keyring, kind: ActKind[Any], data: st.DataObject) -> None:
    record = data.draw(records(kind))
    act = Act.after(EMPTY_LOG, kind.act(record, recorded_at=NOW, actor="ann")).signed_by(shared_keys)
    assert kind.read(act) == record
    assert act.is_signed(shared_keys)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_records_are_read_back_from_the_ledger(ledger: Ledger, keys: Keyring, data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from([each for each in KINDS if each is not TOMBSTONE]))
    recorded, before = data.draw(st.lists(records(kind), min_size=1, max_size=3)), ledger.last_id(kind)
    record_acts(ledger, keys, kind, *recorded)
    assert ledger.find(kind, verifier=keys, after=before) == recorded
    assert errors(ledger, keys) == set()


def test_a_value_without_a_json_form_is_refused() -> None:
    @dataclass(frozen=True)
    class Note:
        text: Any

    with pytest.raises(TypeError, match="set has no JSON form in an act"):
        ActKind("note", Note, key="note").act(Note({1}), recorded_at=NOW)


NEW: Final = NewAct("note", "n1", "north", "subject/1:ab", NOW, NOW + timedelta(seconds=1), "ann", '{"text": "ü"}')


@pytest.fixture(name="act")
def _act(keys: Keyring) -> Act:
    return Act.after(EMPTY_LOG, NEW).signed_by(keys)


def test_the_digest_covers_the_columns_and_the_digest_of_the_body(act: Act) -> None:
    body = sha256_text('{"text": "ü"}'.encode())
    times = ("2026-11-25T00:00:00.000000Z", "2026-11-25T00:00:01.000000Z")
    content = [1, 1, "note", "n1", "north", "subject/1:ab", *times, "ann", body, None]
    assert act.digest == sha256_text(json.dumps(content).encode())
    assert act.signed_bytes == json.dumps({"act": 1, "digest": act.digest}, separators=(",", ":")).encode()


def test_an_act_carries_the_digest_of_the_act_before_it(act: Act, keys: Keyring) -> None:
    after = Act.after(act.head, NEW).signed_by(keys)
    assert (after.id, after.previous) == (2, act.digest)
    assert after.digest != act.digest


CHANGES: Final[list[dict[str, Any]]] = [
    {"id": 2},
    {"kind": "grant"},
    {"key": "n2"},
    {"tenant_id": "south"},
    {"tenant_id": None},
    {"subject": None},
    {"valid_from": None},
    {"recorded_at": NOW},
    {"actor": "bob"},
    {"body": '{"text": "u"}'},
    {"body_digest": "sha256:other"},
    {"previous": "sha256:other"},
    {"signing_key": "signing/2"},
    {"signature": "AAAA"},
    {"signature": "not base64"},
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: "-".join(change))
def test_an_act_that_was_changed_is_not_signed(act: Act, keys: Keyring, change: dict[str, Any]) -> None:
    assert act.is_signed(keys)
    assert not replace(act, **change).is_signed(keys)


def test_an_act_without_its_body_is_signed(act: Act, keys: Keyring) -> None:
    assert replace(act, body=None).is_signed(keys)
    assert replace(act, body=None).digest == act.digest


def test_an_act_of_another_keyring_is_not_signed(act: Act, keys: Keyring) -> None:
    assert not act.is_signed(new_keyring(keys.path.with_name("other.keys"), now=NOW))


@dataclass(frozen=True, slots=True)
class Inspection:
    """A record of a kind that the package does not have."""

    place: str
    tenant_id: str
    subject: str
    inspected_at: datetime
    passed: bool | None
    notes: tuple[str, ...] = ()
    photo: bytes | None = None


INSPECTION: Final = ActKind(
    "inspection",
    Inspection,
    key="{0.place}",
    tenant="tenant_id",
    subject="subject",
    valid_from="inspected_at",
    removable=True,
)


def test_a_new_kind_needs_its_dataclass_and_its_kind_only(ledger: Ledger, keys: Keyring) -> None:
    first = Inspection("cellar", "north", "d1", NOW - timedelta(days=1), None)
    second = Inspection("attic", "south", "d2", NOW, True, ("dry", "clean"), b"\x00\xff")
    record_acts(ledger, keys, INSPECTION, first, second, event=event(activity="inspection"))
    assert ledger.find(INSPECTION) == [first, second]
    assert ledger.find(INSPECTION, key="attic", tenant="south", verifier=keys) == [second]
    assert (ledger.last_id(INSPECTION), sorted(ledger.tenants())) == (2, ["north", "south"])
    assert errors(ledger, keys) == set()
    exported = io.StringIO()
    export_entries(ledger, ALL_ENTRIES, exported)
    (line,) = map(json.loads, exported.getvalue().splitlines())
    assert (line["event"]["activity"], line["acts"]["sequence"]) == ("inspection", 2)
    removal = BodyRemoval(INSPECTION, "north", frozenset({"d1"}), RECORDED_AT, event(1))
    ledger.record(lambda _: Decision(None, removals=[removal]), keys)
    assert ledger.find(INSPECTION) == [second]
    assert errors(ledger, keys) == set()
