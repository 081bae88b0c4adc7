"""Bearer tokens: forged, expired, replayed, revoked and planted ones open nothing, and nobody is told which of these it was."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from minimize.checkpoints import at_checkpoint
from minimize.errors import ConfigurationError, RefusedError
from minimize.keys import add_key, new_keyring
from minimize.ledger.kinds import API_TOKEN
from minimize.ledger.ledger import open_ledger
from minimize.server.api_tokens import (
    TokenBearer,
    authenticate,
    create_token,
    find_token,
    may_continue,
    revoke_token,
)
from tests.acts import plant_acts
from tests.ledger.ledgers import UncheckedKeyring, unguarded
from tests.server.home import Home


def bearer(home: Home, text: str) -> TokenBearer:
    return authenticate(home.ledger, text, home.time.at)


def refused(home: Home, text: str) -> None:
    with pytest.raises(RefusedError) as error:
        bearer(home, text)
    assert (error.value.code, error.value.message) == ("B001", "the data server does not accept this token")


def made(home: Home, user: str = "ann", *, once: bool = False, hours: float = 8) -> str:
    return create_token(home.ledger, user, home.time.at, lasts=timedelta(hours=hours), once=once)[0]


def test_a_token_identifies_its_account_until_it_expires(home: Home) -> None:
    text = made(home)
    assert bearer(home, text).user == "ann"
    home.time.passes(hours=8, seconds=-1)
    assert bearer(home, text).user == "ann"
    home.time.passes(seconds=1)
    refused(home, text)


def test_forged_tokens_are_refused(home: Home) -> None:
    text = made(home)
    name, secret = text.split("_")[1:]
    other = made(home, "ian").split("_")[2]
    last = "0" if secret[-1] != "0" else "1"
    for forged in (
        "",
        "x",
        text.upper(),
        text + "0",
        f"mzd_{name}_{secret[:-1]}{last}",
        f"mzd_{name}_{other}",
        f"mzd_{'0' * 16}_{secret}",
        f"mzd_{'0' * 16}_{'0' * 64}",
        f"{text}\n",
        text.replace("mzd", "mzd "),
    ):
        refused(home, forged)


def test_a_token_that_opens_once_is_refused_when_it_comes_again(home: Home) -> None:
    text = made(home, once=True)
    assert bearer(home, text).user == "ann"
    refused(home, text)


def test_of_many_callers_with_a_token_for_one_call_one_is_accepted(home: Home) -> None:
    text = made(home, once=True)

    def accepted(_: int) -> bool:
        try:
            return bearer(home, text).user == "ann"
        except RefusedError:
            return False

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(accepted, range(6))) == 1


def test_account_and_expiry_are_those_that_a_token_was_issued_with(home: Home) -> None:
    token = create_token(home.ledger, "ann", home.time.at)[1]
    later = replace(token, state="spent", user="ian", expires_at=token.expires_at + timedelta(days=900))
    plant_acts(home.ledger, home.keys, API_TOKEN, later)
    assert find_token(home.ledger, token.token) == replace(token, state="spent")


def test_a_revoked_token_is_refused_and_what_it_began_ends(home: Home) -> None:
    text = made(home)
    name = bearer(home, text).token
    assert may_continue(home.ledger, name, home.time.at)
    assert revoke_token(home.ledger, name, home.time.at)
    assert not revoke_token(home.ledger, name, home.time.at)
    assert not may_continue(home.ledger, name, home.time.at)
    refused(home, text)


def test_a_read_begun_with_a_single_use_token_continues(home: Home) -> None:
    name = bearer(home, made(home, once=True)).token
    assert may_continue(home.ledger, name, home.time.at)


def test_a_token_made_with_another_keyring_is_refused(home: Home) -> None:
    other = new_keyring(home.folder / "other.keys", now=home.time.at)
    with open_ledger(home.ledger.address, verifier=UncheckedKeyring.load(other.path)) as ledger:
        text, _ = create_token(ledger, "ian", home.time.at)
    refused(home, text)


def test_a_keyring_that_does_not_know_the_ledger_makes_no_token(home: Home) -> None:
    made(home)
    other = new_keyring(home.folder / "other.keys", now=home.time.at)
    with (
        open_ledger(home.ledger.address, verifier=other) as ledger,
        pytest.raises(RefusedError, match="is not signed by a known key"),
    ):
        create_token(ledger, "ian", home.time.at)


@pytest.mark.parametrize(
    "change",
    [
        "'$.user', 'ian'",
        "'$.expires_at', '2036-01-01T00:00:00.000000Z'",
        "'$.once', json('true')",
        "'$.digest', 'signing/1:ü'",
    ],
)
def test_an_act_that_was_changed_by_hand_opens_nothing(home: Home, change: str) -> None:
    text = made(home)
    unguarded(home.ledger.address, f"UPDATE acts SET body = json_set(body, {change}) WHERE kind = 'api_token'")
    refused(home, text)


@pytest.mark.parametrize("is_copy", [True, False])
def test_a_planted_act_does_not_put_a_revoked_token_into_force(home: Home, is_copy: bool) -> None:
    """Without the keyring, an act can be copied, or signed with another key."""
    text = made(home)
    token = text.split("_")[1]
    (issued,) = home.ledger.find(API_TOKEN, key=token)
    assert revoke_token(home.ledger, token, home.time.at)
    if is_copy:
        columns = "kind, key, tenant_id, subject, valid_from, recorded_at, actor, body, body_digest"
        copy = f"INSERT INTO acts SELECT 3, {columns}, '{'x' * 71}', signing_key, signature FROM acts WHERE id = 1"
        unguarded(home.ledger.address, copy)
    else:
        plant_acts(home.ledger, new_keyring(home.folder / "other.keys", now=home.time.at), API_TOKEN, issued)
    refused(home, text)
    assert not may_continue(home.ledger, token, home.time.at)
    with pytest.raises(RefusedError, match="one was changed" if is_copy else "is not signed by a known key"):
        revoke_token(home.ledger, token, home.time.at)


def test_a_token_for_one_call_that_is_revoked_while_it_is_checked_is_refused(home: Home) -> None:
    """The check finds it in force, and the revocation is recorded before its use is."""
    text = made(home, once=True)
    token = text.split("_")[1]

    passed = list[str]()

    def revoked_meanwhile(name: str) -> None:
        passed.append(name)
        if len(passed) == 1:
            assert revoke_token(home.ledger, token, home.time.at)

    with at_checkpoint("ledger.record", revoked_meanwhile):
        refused(home, text)
    assert not may_continue(home.ledger, token, home.time.at)
    assert [act.state for act in home.ledger.find(API_TOKEN, key=token)] == ["issued", "revoked"]


def test_a_token_outlives_a_new_signing_key(home: Home) -> None:
    text = made(home)
    home.keys = add_key(home.project.keys, "signing", now=home.time.at)
    assert bearer(home, text).user == "ann"
    assert bearer(home, made(home)).user == "ann"


def test_the_ledger_contains_no_secret(home: Home) -> None:
    secret = made(home).split("_")[2]
    files = [path for path in home.folder.glob("ledger.db*") if path.is_file()]
    assert files
    assert not any(secret.encode() in path.read_bytes() for path in files)


@pytest.mark.parametrize("hours", [0, -1, 24 * 91])
def test_a_token_lasts_some_time_and_not_forever(home: Home, hours: float) -> None:
    with pytest.raises(ConfigurationError):
        made(home, hours=hours)
    with pytest.raises(ConfigurationError):
        made(home, "a\nb")
