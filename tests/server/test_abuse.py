"""Attacks on the door: by tokens, names, filters, roles, grants, malformed requests, and by going around it."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import flight

from minimize.errors import AccessDenied, KeyringError, MinimizeError, PolicyError, RefusedError
from minimize.governance.grants import NewGrant, answer_grant, request_grant
from minimize.keys.parquet_encryption import open_parquet
from tests.server.home import ACCESS, PURPOSE, ROWS, Home, changes_of
from tests.server.server import Running
from tests.world import INCIDENT, PHONE, assignment

COMMAND = json.dumps({"read": "checkins", "purpose": PURPOSE}).encode()
SECRETS = ("owner-", PHONE, "@example.com", "pytest-of", ".py", "Traceback", "parquet", "sqlite")


def refused(call: Callable[[], Any]) -> MinimizeError:
    with pytest.raises(MinimizeError) as error:
        call()
    assert not [word for word in SECRETS if word in str(error.value)]
    return error.value


def calls(client: Any, options: Any) -> tuple[Callable[[], Any], ...]:
    """Everything that a client may try."""
    descriptor = flight.FlightDescriptor.for_command(COMMAND)
    return (
        lambda: client.do_get(flight.Ticket(COMMAND), options).read_all(),
        lambda: client.get_flight_info(descriptor, options),
        lambda: client.get_schema(descriptor, options),
        lambda: list(client.list_flights(options=options)),
        lambda: list(client.do_action("x", options)),
        lambda: client.list_actions(options),
    )


def test_without_a_good_token_no_call_opens_anything(server: Running) -> None:
    good = server.token()
    name, secret = good.split("_")[1:]
    bad = [
        (),
        ((b"authorization", b""),),
        ((b"authorization", good.encode()),),
        ((b"authorization", b"Basic " + good.encode()),),
        ((b"authorization", f"Bearer mzd_{name}_{secret[::-1]}".encode()),),
        ((b"authorization", f"Bearer mzd_{secret[:16]}_{secret}".encode()),),
        ((b"authorization", f"Bearer {good}".encode()), (b"authorization", b"Bearer x")),
        ((b"authorization-bin", f"Bearer {good}".encode()),),
    ]
    with server.plain() as client:
        for headers in bad:
            options = flight.FlightCallOptions(timeout=60, headers=[*headers])
            for call in calls(client, options):
                with pytest.raises((flight.FlightUnauthenticatedError, OSError), match="B001") as error:
                    call()
                assert not [word for word in (*SECRETS, good) if word in str(error.value)]
        with pytest.raises(flight.FlightUnauthenticatedError):
            client.authenticate_basic_token("ann", "password")


def test_an_expired_or_replayed_token_opens_nothing(server: Running, home: Home) -> None:
    once, old = server.token(once=True), server.token()
    assert server.get(COMMAND, once).num_rows == ROWS
    with pytest.raises(flight.FlightUnauthenticatedError):
        server.get(COMMAND, once)
    home.time.passes(hours=8)
    with pytest.raises(flight.FlightUnauthenticatedError):
        server.get(COMMAND, old)


def test_a_ticket_of_one_account_gives_no_access_to_another(server: Running) -> None:
    with server.plain() as client:
        command = json.dumps({"read": "checkins", "columns": ["owner"], "purpose": PURPOSE}).encode()
        info = client.get_flight_info(flight.FlightDescriptor.for_command(command), server.options(server.token("ian")))
        with pytest.raises(flight.FlightUnauthorizedError, match="B005"):
            client.do_get(info.endpoints[0].ticket, server.options(server.token("ann"))).read_all()


@pytest.mark.parametrize(
    "dataset",
    [
        "../checkins",
        "checkins/../quarantine",
        "checkins/runs",
        "checkins/quarantine",
        "checkins/index",
        "/etc/passwd",
        "checkins/records/..",
        "checkins%2frecords",
        "CHECKINS",
        "out",
        "ledger",
        "checkins\x00",
        "file:///etc/passwd",
    ],
)
def test_no_name_of_a_dataset_leads_anywhere_else(home: Home, dataset: str) -> None:
    error = refused(lambda: home.read("ann", dataset))
    assert error.code in ("B002", "B003")


@pytest.mark.parametrize(
    "column", ["owner", "OWNER", "owner ", "*", "owner.x", "tenant_id, owner", "__index_level_0__", "phone"]
)
def test_no_column_name_opens_a_closed_column(home: Home, column: str) -> None:
    for words in ({"columns": [column]}, {"columns": ["model", column]}, {"where": {column: "x"}}):
        error = refused(partial(home.read, "ann", **words))
        assert error.code in ("B002", "B004", "B005")


def test_a_filter_on_a_denied_column_reveals_no_value(home: Home) -> None:
    owner, errors = "owner-3@example.com", set()
    for value in (owner, "owner-99@example.com", None, ["x"]):
        for where in ({"owner": value}, {"model": "A", "owner": value}):
            error = refused(partial(home.read, "ann", columns=["model"], where=where))
            errors.add((error.code, str(error)))
    assert len(errors) == 1


def test_a_filter_reveals_no_finer_form_than_the_view(home: Home) -> None:
    hours = {each.hour for each in home.read("ann")["event_time"].to_pylist()}
    assert len(hours) > 1
    day = home.read("dan")["event_time"][0].as_py()
    for hour in range(1, 24):
        found = home.read("dan", columns=["model"], where={"event_time": {">=": day.replace(hour=hour)}})
        assert found.num_rows == 0
    assert home.read("cora", columns=["battery"], where={"model": "B"}).num_rows == 0


def test_no_filter_leads_out_of_the_scope(home: Home) -> None:
    for where in (
        {"tenant_id": "south"},
        {"tenant_id": ["north", "south"]},
        {"tenant_id": {"!=": "north"}},
        {"tenant_id": None},
    ):
        assert set(home.read("nora", where=where)["tenant_id"].to_pylist()) <= {"north"}
    assert home.read("nora", where={"tenant_id": "south"}).num_rows == 0


def test_nothing_of_other_tenants_is_in_the_released_bytes(home: Home) -> None:
    home.project.records([], name="a")
    batches = [*home.reader("nora").batches(purpose=PURPOSE)]
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batches[0].schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
    content = sink.getvalue().to_pybytes()
    assert b"north" in content
    assert b"south" not in content
    theirs = {row["device_id"] for row in home.read("ann").to_pylist() if row["tenant_id"] == "south"}
    assert not [each for each in theirs if each.encode() in content]


def test_two_roles_together_show_no_column_of_one_for_the_tenants_of_the_other(home: Home) -> None:
    both = [assignment("analyst", "eve"), assignment("insider", "eve", tenants=["north"])]
    home.rules(assignments=[*ACCESS["assignments"], *both])
    found = home.read("eve", columns=["owner", "tenant_id"])
    assert set(found["tenant_id"].to_pylist()) == {"north"}
    assert home.read("eve", columns=["tenant_id"]).num_rows == ROWS


def test_two_roles_together_show_the_coarser_view(home: Home) -> None:
    home.rules(assignments=[*ACCESS["assignments"], assignment("by_day", "eve"), assignment("analyst", "eve")])
    assert {each.hour for each in home.read("eve")["event_time"].to_pylist()} == {0}


def test_a_denial_wins_over_every_other_role(home: Home) -> None:
    roles = {**ACCESS["roles"], "not_here": {"copy": "analyst", "deny": ["dataset/read:aggregated"]}}
    home.rules(roles=roles, assignments=[assignment("analyst", "eve"), assignment("not_here", "eve")])
    assert refused(lambda: home.read("eve")).code == "B005"


def test_no_role_comes_from_the_content_of_a_request(server: Running, home: Home) -> None:
    for more in ({"user": "ian"}, {"role": "insider"}, {"groups": ["support"]}, {"grant": "*"}, {"tenants": ["north"]}):
        body = {"read": "checkins", "columns": ["owner"], "purpose": PURPOSE, **more}
        with pytest.raises(flight.FlightServerError, match="B002"):
            server.get(json.dumps(body).encode())
    headers = [(b"authorization", f"Bearer {server.token()}".encode()), (b"x-user", b"ian"), (b"user", b"ian")]
    body = {"read": "checkins", "columns": ["owner"], "purpose": PURPOSE}
    with server.plain() as client, pytest.raises(flight.FlightUnauthorizedError, match="B005"):
        client.do_get(flight.Ticket(json.dumps(body).encode()), server.options(None, *headers)).read_all()


def test_a_second_account_in_the_same_group_cannot_approve_a_request(home: Home) -> None:
    groups = {"support": ["sam", "sue"], "desk": ["sam", "pit"]}
    home.rules(groups=groups)
    home.acts("sam")
    home.incident()
    wish = NewGrant(INCIDENT, "it is needed", "checkins", ("north",), category="identified")
    grant = request_grant(wish, home.places(), home.time.at)
    for account in ("sam", "sue", "pit"):
        home.acts(account)
        with pytest.raises(AccessDenied):
            answer_grant("approve", grant.id, home.places(), home.time.at)
        assert refused(lambda: home.read("sam", columns=["owner"], incident=INCIDENT)).code == "B005"
    home.acts("pia")
    answer_grant("approve", grant.id, home.places(), home.time.at)
    assert home.read("sam", columns=["owner"], incident=INCIDENT).num_rows == ROWS // 2
    home.rules(groups={**groups, "desk": ["sam", "pia"]})
    assert refused(lambda: home.read("sam", columns=["owner"], incident=INCIDENT)).code == "B005"


def test_a_file_that_gives_one_person_both_duties_opens_nothing(home: Home) -> None:
    home.rules(
        people={"Sam": ["sam", "sam2"]}, assignments=[*ACCESS["assignments"], assignment("privacy_officer", "sam2")]
    )
    for user in ("sam", "sam2", "ann"):
        with pytest.raises(PolicyError):
            home.read(user)


def test_a_token_that_is_revoked_ends_a_read_on_its_way(home: Home) -> None:
    from minimize.server.api_tokens import authenticate, create_token, revoke_token
    from minimize.server.authorizer import Caller
    from minimize.server.request import read_request

    home.run(40, day="2026-11-23")
    text, made = create_token(home.ledger, "ann", home.time.at)
    bearer = authenticate(home.ledger, text, home.time.at)
    stream = home.door().read(Caller(bearer.user, bearer.token), read_request("checkins", purpose=PURPOSE))
    assert [next(stream.batches).num_rows, next(stream.batches).num_rows][0] == 0
    revoke_token(home.ledger, made.token, home.time.at)
    home.time.passes(seconds=1)
    with pytest.raises(RefusedError) as error:
        next(stream.batches)
    assert error.value.code == "B007"


def malformed(seed: int, count: int) -> Iterator[bytes]:
    """Requests that are none, and some that nearly are: cut, spliced, with other bytes, names and types."""
    chance = random.Random(seed)
    whole = json.dumps(
        {"read": "checkins", "columns": ["owner"], "where": [["owner", "==", PHONE]], "purpose": PURPOSE}
    )
    odd: list[Any] = [
        None,
        1,
        -1,
        1e308,
        True,
        "",
        "x" * 5000,
        [],
        {},
        [[]],
        {"": {}},
        "../..",
        "\u0000",
        PHONE,
        "owner-1@example.com",
    ]
    for _ in range(count):
        kind, content = chance.randrange(6), bytearray(whole.encode())
        if kind == 0:
            yield chance.randbytes(chance.randrange(300))
        elif kind == 1:
            yield bytes(content[: chance.randrange(len(content))])
        elif kind == 2:
            for _ in range(chance.randrange(1, 8)):
                content[chance.randrange(len(content))] = chance.randrange(256)
            yield bytes(content)
        elif kind == 3:
            yield b"[" * chance.randrange(20_000)
        else:
            body = json.loads(whole)
            body[chance.choice([*body, "x", "reidentify", "tokens", "incident"])] = chance.choice(odd)
            yield json.dumps(body).encode()


@pytest.mark.parametrize("count", [200, pytest.param(1000, marks=pytest.mark.slow)])
def test_malformed_requests_leave_the_server_alive_and_show_nothing(server: Running, count: int) -> None:
    token, said = server.token(), []
    with server.plain() as client:
        for content in malformed(7, count):
            with pytest.raises((pa.ArrowException, flight.FlightError)) as error:
                client.do_get(flight.Ticket(content), server.options(token)).read_all()
            said.append(str(error.value))
        assert server.get(COMMAND, token).num_rows == ROWS
    assert len(said) == count
    assert not [text for text in said if any(word in text for word in SECRETS)]
    assert all(any(code in text for code in ("B002", "B003", "B004", "B005")) for text in said)


def test_unknown_descriptors_and_actions_are_refused(server: Running) -> None:
    with server.plain() as client:
        for descriptor in (
            flight.FlightDescriptor.for_path("..", "etc", "passwd"),
            flight.FlightDescriptor.for_command(b""),
            flight.FlightDescriptor.for_command(b"\xff" * 100),
        ):
            with pytest.raises(flight.FlightServerError, match="B002"):
                client.get_flight_info(descriptor, server.options())
        assert server.get(COMMAND).num_rows == ROWS


def test_files_reveal_nothing_above_open_columns_without_a_key(home: Home) -> None:
    (path,) = (home.project.out / "records").rglob("*.parquet")
    names = pq.read_schema(path).names
    assert "owner" in names
    for column in names:
        with pytest.raises(KeyringError):
            open_parquet(path, None, columns=[column])
    content = path.read_bytes()
    assert not [word for word in ("owner-", "north", PHONE) if word.encode() in content]
    (counts,) = (home.project.out / "per_model").rglob("*.parquet")
    assert pq.read_table(counts).num_rows == 3


def test_every_attack_is_in_the_log(server: Running, home: Home) -> None:
    with server.plain() as client:
        for command in (
            b"{",
            b'{"read": "../x"}',
            b'{"read": "elsewhere"}',
            COMMAND.replace(b"customer_support", b"marketing"),
        ):
            with pytest.raises(flight.FlightError):
                client.do_get(flight.Ticket(command), server.options()).read_all()
    told = home.told()
    assert [each["result"] for each in told] == ["refused"] * 4
    assert [changes_of(each).get("ended") for each in told[:3]] == ["B002", "B002", "B003"]
