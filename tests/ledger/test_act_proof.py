"""Acts that were changed, removed, moved, inserted or put in another order past the ledger: each read of acts is refused."""

from __future__ import annotations

import collections.abc
import types
import typing
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import fields, replace
from datetime import datetime, timedelta
from typing import Any, Final
from unittest.mock import ANY, patch

import pytest

from minimize.checkpoints import at_checkpoint
from minimize.errors import RefusedError
from minimize.keys import Keyring, new_keyring
from minimize.ledger import Address
from minimize.ledger.act_log import ActLog, act_from_row
from minimize.ledger.acts import TOMBSTONE, Act, ActKind, BodyRemoval, Decision, UntrustedActError
from minimize.ledger.audit_event import EMPTY_LOG, LogEntry, LogHead, entry_digest, entry_event
from minimize.ledger.audit_log import read_entries
from minimize.ledger.database import Connection
from minimize.ledger.kinds import SETTING, RecordedSetting
from minimize.ledger.ledger import Ledger
from minimize.ledger.subject_kinds import CORRECTION
from tests.acts import record_acts
from tests.ledger.ledgers import NOW, by_hand, event, leave_out_of_indexes, opened, tells, unguarded, without_guards
from tests.ledger.test_acts import KINDS

DECIDING: Final = [kind for kind in KINDS if kind is not TOMBSTONE]
SAMPLES: Final[Mapping[Any, Any]] = {
    str: "a",
    int: 1,
    bytes: b"",
    datetime: NOW,
    tuple: (),
    bool: True,
    collections.abc.Mapping: {},
}
COLUMNS: Final = (
    "kind, key, tenant_id, subject, valid_from, recorded_at, actor, body, body_digest, previous, signing_key"
)
SETTINGS: Final = [
    RecordedSetting("north", None, "location", value, "admin", NOW + timedelta(hours=hour), NOW)
    for hour, value in enumerate(["on", "off", "on"])
]


def sample(kind: ActKind[Any], number: int) -> Any:
    """A record of a kind. Records of different numbers differ in their first text."""
    hints = typing.get_type_hints(kind.record)
    values = {each.name: sample_value(hints[each.name]) for each in fields(kind.record)}
    text = next((name for name, value in values.items() if value == "a"), None)
    return kind.record(**values | ({} if text is None else {text: f"a{number}"}))


def sample_value(hint: Any) -> Any:
    if isinstance(hint, types.UnionType):
        return sample_value(typing.get_args(hint)[0])
    if typing.get_origin(hint) is typing.Literal:
        return typing.get_args(hint)[0]
    return SAMPLES[typing.get_origin(hint) or hint]


def insert_copy(address: Address, number: int) -> None:
    copy = f"INSERT INTO acts (id, {COLUMNS}, signature) SELECT {number}, {COLUMNS}, signature FROM acts WHERE id = 1"
    unguarded(address, copy)


def swap(address: Address) -> None:
    steps = [(9, 1), (1, 2), (2, 9)]
    unguarded(address, *(f"UPDATE acts SET id = {new} WHERE id = {old}" for new, old in steps))


def change_body(address: Address) -> None:
    body = "SELECT body, body_digest FROM acts WHERE id = 1"
    unguarded(address, f"UPDATE acts SET (body, body_digest) = ({body}), key = 'other' WHERE id = 2")


ATTACKS: Final[Mapping[str, Callable[[Address], None]]] = {
    "delete": lambda address: unguarded(address, "DELETE FROM acts WHERE id = 2"),
    "delete_first": lambda address: unguarded(address, "DELETE FROM acts WHERE id = 1"),
    "delete_last": lambda address: unguarded(address, "DELETE FROM acts WHERE id = 3"),
    "delete_all": lambda address: unguarded(address, "DELETE FROM acts"),
    "delete_and_close_the_gap": lambda address: unguarded(
        address, "DELETE FROM acts WHERE id = 2", "UPDATE acts SET id = 2 WHERE id = 3"
    ),
    "move_to_another_tenant": lambda address: unguarded(address, "UPDATE acts SET tenant_id = 'x' WHERE id = 2"),
    "move_to_another_kind": lambda address: unguarded(address, "UPDATE acts SET kind = 'x' WHERE id = 2"),
    "insert_at_the_end": lambda address: insert_copy(address, 4),
    "insert_before_the_first": lambda address: insert_copy(address, -1),
    "change_a_time": lambda address: unguarded(
        address, "UPDATE acts SET recorded_at = '2020-01-01T00:00:00.000000Z' WHERE id = 2"
    ),
    "change_a_body": change_body,
    "remove_a_body": lambda address: unguarded(address, "UPDATE acts SET body = NULL WHERE id = 2"),
    "reorder": swap,
}


def record_samples(ledger: Ledger, keys: Keyring, kind: ActKind[Any]) -> list[Any]:
    """Records three acts of a kind, each in a transaction of its own."""
    records = [sample(kind, number) for number in range(3)]
    for each in records:
        record_acts(ledger, keys, kind, each)
    return records


@pytest.mark.parametrize("kind", DECIDING, ids=lambda kind: kind.name)
def test_untouched_acts_are_read(ledger: Ledger, keys: Keyring, address: Address, kind: ActKind[Any]) -> None:
    records = record_samples(ledger, keys, kind)
    with opened(address, verifier=keys) as again:
        assert again.find(kind) == records
        assert again.last_id(kind) == 3


@pytest.mark.parametrize("kind", DECIDING, ids=lambda kind: kind.name)
def test_acts_that_were_changed_past_the_ledger_are_refused(
    ledger: Ledger, keys: Keyring, address: Address, kind: ActKind[Any]
) -> None:
    """Each attack in turn. Between them, the acts are as they were, and are read."""
    records, refused = record_samples(ledger, keys, kind), list[str]()
    attach, kept = ([], "kept") if address.path is None else ([f"ATTACH '{address.path}.kept' AS other"], "other.kept")
    by_hand(address, *attach, f"CREATE TABLE {kept} AS SELECT * FROM acts")
    with opened(address, verifier=keys) as again, patch("minimize.ledger.act_log.REUSE_S", -1):
        for name, attack in ATTACKS.items():
            attack(address)
            for read in (lambda: again.find(kind), lambda: again.last_id(kind), again.tenants):
                with pytest.raises(UntrustedActError, match="one was changed, removed, moved or inserted") as raised:
                    read()
                assert (raised.value.code, raised.value.exit_code) == ("E315", 3)
            unguarded(address, *attach, "DELETE FROM acts", f"INSERT INTO acts SELECT * FROM {kept}")
            assert again.find(kind) == records
            refused.append(name)
    assert refused == [*ATTACKS]


@pytest.mark.parametrize("attack", ATTACKS)
def test_without_the_proof_an_attack_would_have_an_effect(
    ledger: Ledger, keys: Keyring, address: Address, attack: str
) -> None:
    """The control: each attack changes what is read, or makes its act unreadable."""
    record_acts(ledger, keys, SETTING, *SETTINGS)
    ATTACKS[attack](address)
    unproven = patch("minimize.ledger.act_log._recorded_head", return_value=ANY)
    with unproven, patch("minimize.ledger.act_log.ProvenActs.require_act"), opened(address) as again:
        effect: object = None
        with suppress(UntrustedActError):
            effect = again.find(SETTING)
        assert effect != SETTINGS


@pytest.mark.parametrize("attack", ATTACKS)
def test_later_acts_do_not_hide_an_attack(ledger: Ledger, keys: Keyring, address: Address, attack: str) -> None:
    record_acts(ledger, keys, SETTING, *SETTINGS)
    ATTACKS[attack](address)
    with opened(address, verifier=keys) as again:
        with suppress(RefusedError):
            record_acts(again, keys, SETTING, replace(SETTINGS[0], setting="usage"))
        with suppress(RefusedError):
            tells(again, keys, event(7))
        with pytest.raises(RefusedError, match="one was changed, removed, moved or inserted"):
            again.find(SETTING)


def chain_anew(connection: Connection, keys: Keyring) -> LogHead:
    """Removes the second act, and makes the chain of the others anew, signed with another key."""
    acts = [act_from_row(row) for row in connection.rows("SELECT * FROM acts ORDER BY id")]
    connection.execute("DELETE FROM acts")
    head = EMPTY_LOG
    for act in (acts[0], acts[2]):
        chained = replace(act, id=head.sequence + 1, previous=head.digest).signed_by(keys)
        connection.insert("acts", {each.name: getattr(chained, each.name) for each in fields(Act)})
        head = chained.head
    return head


def rewrite_last_entry(connection: Connection, head: LogHead) -> None:
    """Names another head of the acts in the last audit entry, with the digest that it then has and the old signature."""
    entry: LogEntry = list(read_entries(connection))[-1]
    digest = entry_digest(LogHead(entry.sequence - 1, entry.previous), entry_event(entry), head)
    connection.execute(
        "UPDATE audit SET acts = :acts, acts_digest = :acts_digest, digest = :digest WHERE sequence = :sequence",
        acts=head.sequence,
        acts_digest=head.digest,
        digest=digest,
        sequence=entry.sequence,
    )


def test_a_rebuilt_chain_needs_a_signature(ledger: Ledger, keys: Keyring, address: Address) -> None:
    """An attacker without the keyring removes an act, chains the others and changes the entry that names them."""
    record_acts(ledger, keys, SETTING, *SETTINGS)
    stranger = new_keyring(keys.path.with_name("other.keys"), now=NOW)
    with without_guards(address):
        ledger.write(lambda connection: rewrite_last_entry(connection, chain_anew(connection, stranger)))
    with opened(address, verifier=keys) as again, pytest.raises(UntrustedActError) as raised:
        again.find(SETTING)
    assert (raised.value.code, raised.value.exit_code) == ("E316", 3)
    with opened(address) as again, pytest.raises(UntrustedActError) as raised:
        record_acts(again, keys, SETTING, SETTINGS[0])
    assert raised.value.code == "E316"


def test_an_entry_that_was_changed_is_refused(ledger: Ledger, keys: Keyring, address: Address) -> None:
    record_acts(ledger, keys, SETTING, *SETTINGS)
    unguarded(address, "UPDATE audit SET acts = 2")
    with opened(address) as again, pytest.raises(UntrustedActError, match="last entry of the audit log was changed"):
        again.find(SETTING)


def test_a_removed_body_is_proven_by_its_tombstone(ledger: Ledger, keys: Keyring, address: Address) -> None:
    first = record_samples(ledger, keys, CORRECTION)[0]
    removal = BodyRemoval(CORRECTION, first.tenant_id, frozenset({first.subject}), NOW, event(9))
    ((body,),) = by_hand(address, "SELECT body FROM acts WHERE id = 1")
    ledger.record(lambda _: Decision(None, removals=[removal]), keys)
    with opened(address, verifier=keys) as again:
        again.find(CORRECTION)
    unguarded(address, f"UPDATE acts SET body = '{body}' WHERE id = 1")
    with opened(address, verifier=keys) as again, pytest.raises(UntrustedActError, match="one was changed"):
        again.find(CORRECTION)


def test_an_act_that_is_inserted_after_the_proof_has_no_effect(ledger: Ledger, keys: Keyring, address: Address) -> None:
    """Within the time for which an open ledger relies on its proof."""
    record_acts(ledger, keys, SETTING, *SETTINGS)
    with opened(address, verifier=keys) as again, patch("minimize.ledger.act_log.REUSE_S", 1e9):
        assert again.find(SETTING) == SETTINGS
        insert_copy(address, 4)
        assert again.find(SETTING) == SETTINGS
        assert again.last_id(SETTING) == 3


@pytest.mark.parametrize(
    "attack", ["DELETE FROM acts WHERE id = 2", "UPDATE acts SET actor = 'eve' WHERE id = 2"], ids=["delete", "change"]
)
def test_an_act_that_is_changed_after_the_proof_is_refused(
    ledger: Ledger, keys: Keyring, address: Address, attack: str
) -> None:
    record_acts(ledger, keys, SETTING, *SETTINGS)
    with opened(address, verifier=keys) as again, patch("minimize.ledger.act_log.REUSE_S", 1e9):
        assert again.find(SETTING) == SETTINGS
        unguarded(address, attack)
        with pytest.raises(UntrustedActError, match="one was changed"):
            again.find(SETTING)


def test_an_open_ledger_proves_its_acts_again_after_a_while(ledger: Ledger, keys: Keyring, address: Address) -> None:
    record_acts(ledger, keys, SETTING, *SETTINGS)
    with opened(address, verifier=keys) as again:
        assert again.find(SETTING) == SETTINGS
        ATTACKS["delete"](address)
        with patch("minimize.ledger.act_log.REUSE_S", 0), pytest.raises(UntrustedActError, match="one was changed"):
            again.find(SETTING)


def test_acts_are_proven_once_for_several_reads(ledger: Ledger, keys: Keyring, address: Address) -> None:
    record_acts(ledger, keys, SETTING, *SETTINGS)
    with opened(address, verifier=keys) as again, patch("minimize.ledger.act_log.REUSE_S", 1e9):
        again.find(SETTING)
        proofs: list[str] = []
        with at_checkpoint("acts.proven", proofs.append):
            assert again.find(SETTING, tenant="north", verifier=keys) == SETTINGS
        assert proofs == []


def test_an_act_and_the_entry_that_proves_it_are_recorded_together(
    ledger: Ledger, keys: Keyring, address: Address
) -> None:
    """A crash between them leaves neither, and the ledger can be used."""

    def crash(_: str) -> None:
        raise KeyboardInterrupt

    record_acts(ledger, keys, SETTING, *SETTINGS)
    with at_checkpoint("acts.appended", crash), pytest.raises(KeyboardInterrupt):
        record_acts(ledger, keys, SETTING, replace(SETTINGS[0], setting="usage"))
    with opened(address, verifier=keys) as again:
        assert again.find(SETTING) == SETTINGS
        record_acts(again, keys, SETTING, replace(SETTINGS[0], setting="usage"))
        assert len(again.find(SETTING)) == 4


FILTERS: Final[Mapping[str, dict[str, Any]]] = {
    "kind": {},
    "key": {"key": "location"},
    "start of the key": {"key_start": "loc"},
    "end of the key": {"key_end": "tion"},
    "tenant": {"tenant": "north"},
    "tenants": {"tenants": ["north", "south"]},
    "key and tenant": {"key": "location", "tenant": "north"},
    "key and tenants": {"key": "location", "tenants": ["north"]},
    "ids": {"after": 0, "until": 3},
}


@pytest.mark.parametrize("name", FILTERS)
def test_an_act_that_is_left_out_of_the_indexes_is_found(
    ledger: Ledger, keys: Keyring, address: Address, name: str
) -> None:
    record_acts(ledger, keys, SETTING, *SETTINGS)
    leave_out_of_indexes(address, 3)
    assert by_hand(address, "SELECT max(id) FROM acts WHERE kind = 'setting' AND key > ''") == [(2,)], "the control"
    with opened(address, verifier=keys) as again:
        assert again.find(SETTING, **FILTERS[name]) == SETTINGS
        assert again.find(SETTING, **FILTERS[name] | {"after": 2}) == SETTINGS[2:]
        assert again.last_id(SETTING) == 3


@pytest.mark.parametrize(
    "conditions",
    [{"key": "x"}, {"key_start": "x"}, {"key_end": "x"}, {"tenant": "x"}, {"tenants": []}, {"after": 3}, {"until": 0}],
    ids=str,
)
def test_acts_that_do_not_match_are_left_out(ledger: Ledger, keys: Keyring, conditions: dict[str, Any]) -> None:
    record_acts(ledger, keys, SETTING, *SETTINGS)
    assert ledger.find(SETTING, **conditions) == []


def test_the_tenant_of_an_act_that_is_left_out_of_the_indexes_is_known(
    ledger: Ledger, keys: Keyring, address: Address
) -> None:
    record_acts(ledger, keys, SETTING, SETTINGS[0], replace(SETTINGS[1], tenant_id="south"))
    leave_out_of_indexes(address, 2)
    with opened(address, verifier=keys) as again:
        assert again.tenants() == {"north", "south"}


def test_the_body_of_an_act_that_is_left_out_of_the_indexes_is_removed(
    ledger: Ledger, keys: Keyring, address: Address
) -> None:
    first = record_samples(ledger, keys, CORRECTION)[0]
    leave_out_of_indexes(address, 1)
    removal = BodyRemoval(CORRECTION, first.tenant_id, frozenset({first.subject}), NOW, event(9))
    ledger.record(lambda _: Decision(None, removals=[removal]), keys)
    assert by_hand(address, "SELECT id FROM acts WHERE body IS NULL") == [(1,)]


def test_acts_without_any_audit_entry_are_refused(ledger: Ledger, keys: Keyring) -> None:
    ledger.write(lambda connection: ActLog(connection).append([SETTING.act(SETTINGS[0], actor="ann")], keys))
    with pytest.raises(UntrustedActError, match="one was changed"):
        ledger.find(SETTING)
