"""What third parties send is kept as the inbound manifest says, and secrets go through and nowhere else."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

import minimize
from minimize.errors import NotPermitted
from minimize.governance.sharing import receive
from minimize.keys import Keyring
from minimize.recipients import Recipient, load_recipient, recipient_from
from tests.governance.sharing.sender import VENDOR, Sender, changed

SECRET = "unlock-me-4711"
INBOUND = {
    "udid": {"role": "identifier", "do": {"pseudonymize": {"key": "device"}}},
    "os_version": {"do": {"truncate_version": {"parts": 2}}},
    "ram": {"type": "integer", "do": "drop"},
    "UnlockToken": {"role": "secret", "do": "pass_through"},
}
MESSAGES = pa.table(
    {
        "udid": ["u-1", "u-2"],
        "os_version": ["14.5.1", "15.0"],
        "ram": [8, 16],
        "UnlockToken": [SECRET, None],
        "surprise": ["x", "y"],
    }
)
PIPELINES = Path(minimize.__file__).parent.parent / "pipelines"


@pytest.fixture(name="source")
def _source() -> Recipient:
    hook = {"direction": "inbound", "purpose": "operations", "text_version": 1, "text": "…", "fields": INBOUND}
    return recipient_from(changed(VENDOR, "functions", {"hook": hook}))


def received(sender: Sender, source: Recipient, data: Any = MESSAGES, **asked: Any) -> Any:
    return receive(data, sender=source, function="hook", keys=sender.keys, recipients=sender.recipients, **asked)


def test_only_what_the_manifest_keeps_is_left(sender: Sender, source: Recipient) -> None:
    given = received(sender, source)
    assert given.column_names == ["udid", "os_version"]
    assert given.column("os_version").to_pylist() == ["14.5", "15.0"]
    assert {len(value) for value in given.column("udid").to_pylist()} == {32}


def test_the_kind_that_comes_in_goes_out(sender: Sender, source: Recipient) -> None:
    assert isinstance(received(sender, source, MESSAGES.to_pandas()), pd.DataFrame)


def test_a_message_need_not_have_every_field(sender: Sender, source: Recipient) -> None:
    assert received(sender, source, MESSAGES.select(["os_version"])).column("udid").null_count == 2


def test_secrets_go_to_the_connector_and_nowhere_else(
    sender: Sender, source: Recipient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    seen: list[pa.Table] = []
    given = received(sender, source, connector=seen.append)
    assert seen[0].to_pydict() == {"UnlockToken": [SECRET, None]}
    assert SECRET not in str(given.to_pydict()) + str(given.schema) + caplog.text
    assert not [path for path in sender.folder.iterdir() if SECRET.encode() in path.read_bytes()]


def test_a_stream_is_read_once_for_both(sender: Sender, source: Recipient) -> None:
    seen: list[pa.Table] = []
    given = received(sender, source, MESSAGES.to_reader(max_chunksize=1), connector=seen.append)
    assert (given.num_rows, seen[0].num_rows) == (2, 2)


def test_without_a_connector_secrets_are_gone(sender: Sender, source: Recipient) -> None:
    assert "UnlockToken" not in received(sender, source).column_names


@pytest.mark.parametrize(
    ("function", "purpose", "rule"),
    [("sink", None, "not_in_manifest"), ("hook", "customer_support", "purpose")],
)
def test_what_the_manifest_does_not_have_is_refused(
    sender: Sender, source: Recipient, function: str, purpose: str | None, rule: str
) -> None:
    with pytest.raises(NotPermitted) as caught:
        receive(
            MESSAGES, sender=source, function=function, purpose=purpose, keys=sender.keys, recipients=sender.recipients
        )
    assert [each.rule for each in caught.value.reasons] == [rule]


def test_an_outbound_function_is_refused(sender: Sender) -> None:
    with pytest.raises(NotPermitted) as caught:
        receive(MESSAGES, sender=sender.recipient, function="sync", keys=sender.keys, recipients=sender.recipients)
    assert [each.rule for each in caught.value.reasons] == ["direction"]


def test_hardware_without_a_compliance_purpose_is_dropped_of_what_jamf_sends(keys: Keyring) -> None:
    jamf = load_recipient(PIPELINES / "recipients/jamf.yaml")
    (function,) = (each for each in jamf.inbound)
    kept = set(function.shared)
    data = pa.table({key: pa.nulls(1, pa.string()) for key, each in function.fields.items() if each.type == "string"})
    given = minimize.receive(data, sender=jamf, function=function.name, keys=keys, recipients=PIPELINES / "recipients")
    assert set(given.column_names) <= kept
    assert len(kept) < len(function.fields)


@pytest.fixture(name="keys")
def _keys(sender: Sender) -> Keyring:
    return sender.keys
