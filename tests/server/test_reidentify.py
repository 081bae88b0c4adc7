"""Tokens turned back: under a grant that names the incident, for rows in its scope, each value told to the log first."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest

from minimize.errors import RefusedError
from minimize.keys import add_key
from minimize.ledger.ledger import open_ledger
from tests.server.home import PURPOSE, Home, changes_of
from tests.world import INCIDENT, PHONE

REVERSE = "dataset/reidentify"


def turned(
    home: Home, tokens: list[str], user: str = "sam", column: str = "phone", incident: str = INCIDENT
) -> pa.Table:
    return home.reader(user).reidentify(None, column, tokens, incident=incident, purpose=PURPOSE)


def tokens_of(home: Home, tenant: str, count: int = 3) -> list[str]:
    import minimize

    rows = minimize.read(home.project.out, keys=home.keys, mixed_keys=True).to_pylist()
    return [row["phone"] for row in rows if row["tenant_id"] == tenant][:count]


@pytest.fixture(name="reversible")
def _reversible(home: Home) -> Home:
    """Sam may turn back the tokens of one tenant."""
    home.granted("sam", operation="reidentify", columns=("phone",))
    return home


def test_a_token_in_scope_gives_its_value(reversible: Home) -> None:
    tokens = tokens_of(reversible, "north")
    found = turned(reversible, tokens)
    assert found["token"].to_pylist() == tokens
    assert all(value.startswith(PHONE) for value in found["value"].to_pylist())


def test_tokens_of_other_tenants_and_unknown_tokens_are_not_reversed(reversible: Home) -> None:
    (ours,), theirs = tokens_of(reversible, "north", 1), tokens_of(reversible, "south", 2)
    found = turned(reversible, [*theirs, "x" * 43, ours])["value"].to_pylist()
    assert found[:3] == [None, None, None]
    assert found[3].startswith(PHONE)


def test_each_value_is_counted_and_named_in_the_log_by_a_key(reversible: Home) -> None:
    tokens = tokens_of(reversible, "north", 2)
    turned(reversible, [*tokens, "nobody's"])
    turned(reversible, tokens[:1])
    first, second = reversible.told(REVERSE)
    assert (changes_of(first)["tokens"], changes_of(first)["values"]) == (3, 2)
    assert changes_of(first)["incident"] == INCIDENT
    names = [each["id"] for each in first["resources"][1:]]
    assert len(set(names)) == 2
    assert [each["id"] for each in second["resources"][1:]] == [names[0]] or second["resources"][1]["id"] in names
    assert not any(token in json.dumps([first, second]) for token in tokens)
    assert PHONE not in json.dumps([first, second])


def test_without_a_grant_for_it_no_token_is_turned_back(home: Home) -> None:
    tokens = tokens_of(home, "north")
    for user in ("ann", "ian", "sam", "pia"):
        with pytest.raises(RefusedError) as error:
            turned(home, tokens, user)
        assert error.value.code == "B005"
    home.granted("sam")
    with pytest.raises(RefusedError):
        turned(home, tokens)
    with pytest.raises(RefusedError):
        turned(home, tokens, incident="INC-8")
    assert [each["result"] for each in home.told(REVERSE)] == ["refused"] * 6


def test_a_grant_that_is_over_turns_nothing_back(reversible: Home) -> None:
    tokens = tokens_of(reversible, "north")
    reversible.time.passes(hours=8)
    with pytest.raises(RefusedError):
        turned(reversible, tokens)


def test_a_column_that_was_not_tokenized_cannot_be_turned_back(home: Home) -> None:
    home.granted("sam", operation="reidentify", columns=("device_id", "owner"))
    for column in ("device_id", "owner"):
        with pytest.raises(RefusedError) as error:
            turned(home, ["x"], column=column)
        assert error.value.code == "B004"


def test_tokens_of_an_older_key_are_turned_back_too(reversible: Home) -> None:
    tokens = tokens_of(reversible, "north", 1)
    reversible.keys = add_key(reversible.project.keys, "support", now=reversible.time.at)
    reversible.ledger = open_ledger(reversible.ledger.address, verifier=reversible.keys)
    reversible.run(10, first=200, day="2026-11-23")
    newer = sorted({*tokens_of(reversible, "north", 1000)} - {*tokens})[0]
    found = turned(reversible, [tokens[0], newer])["value"].to_pylist()
    assert all(value.startswith(PHONE) for value in found)


def test_a_reader_of_tokens_can_choose_rows_by_them(home: Home) -> None:
    home.granted("sam")
    (token,) = tokens_of(home, "north", 1)
    found = home.read("sam", columns=["phone", "model"], where={"phone": token}, incident=INCIDENT)
    assert found.num_rows == 1
