"""What was exposed, as people name it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimize.errors import ConfigurationError
from minimize.governance.incidents import ExposedItem, Exposure
from minimize.governance.incidents.exposure import EXPOSURE_KINDS, ExposureKind

WORD = st.text("abcdefgh-./", min_size=1, max_size=12)
DETAILS = {"output": "records", "actor": "2026-11-24T00:00Z/2026-11-25T00:00Z"}


@given(st.sampled_from(EXPOSURE_KINDS), WORD, st.booleans())
def test_a_written_exposure_is_parsed_again(kind: ExposureKind, name: str, detailed: bool) -> None:
    names = {"date": "2026-11-24", "key": "device/1"}
    one = ExposedItem(kind, names.get(kind, name), DETAILS.get(kind, "") if detailed else "")
    assert ExposedItem.parse(str(one)) == one


@pytest.mark.parametrize(
    "text", ["", "output:", "date:tomorrow", "key:device", "key:device/0", "actor:ann@now/then", "all:x", "output"]
)
def test_an_exposure_without_content_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError):
        ExposedItem.parse(text)


def test_an_actor_has_a_window() -> None:
    window = ExposedItem.parse("actor:sam@2026-11-24T08:00Z/2026-11-25T08:00Z").window
    assert window == (datetime(2026, 11, 24, 8, tzinfo=UTC), datetime(2026, 11, 25, 8, tzinfo=UTC))


def test_an_account_may_be_an_address() -> None:
    assert ExposedItem.parse("actor:sam@example.com").name == "sam@example.com"


@pytest.mark.parametrize(
    ("texts", "of_files", "only_keys"),
    [
        (["output:out"], True, False),
        (["run:a", "key:device/1"], True, False),
        (["date:2026-11-24"], True, False),
        (["column:model", "key:device/1"], True, False),
        (["recipient:vendor", "date:2026-11-24"], False, False),
        (["grant:g"], False, False),
        (["key:device/1"], False, True),
    ],
)
def test_an_exposure_states_whether_files_are_meant(texts: list[str], of_files: bool, only_keys: bool) -> None:
    found = Exposure.parse(texts)
    assert (found.includes_files, found.only_keys) == (of_files, only_keys)
