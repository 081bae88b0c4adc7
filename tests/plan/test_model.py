"""What a plan says of encryption at rest, and what stands in its way.
Which plans have an index of their records, and what they say where they have none.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from minimize.arrow.pointers import Pointer
from minimize.errors import PolicyError, RefusedError
from minimize.pages import Table
from minimize.plan import Plan, model
from minimize.plan.columns import columns_markdown
from minimize.plan.model import describe_encryption, plan_subject_index, planned_encryption
from minimize.policy.model import Field
from minimize.policy.roles import states_plain
from tests.plan.make import pipeline_plan, plan

SHUT: dict[str, Any] = {"records": {"encrypt": "by_category"}}
MASKED: dict[str, Any] = {
    "phone": {"type": "string", "role": "identifier", "do": {"mask": {"keep_last": 4}}},
}
COLUMNS = ["tenant_id", "event_time", "device_id", "ip_address", "owner_type"]


def encrypted_columns(plan: Plan, name: str) -> list[str]:
    return [field.name for field in model.encrypted_columns(plan, name)]


def test_nothing_is_encrypted_by_default(tmp_path: Path) -> None:
    made = pipeline_plan(tmp_path)
    assert (planned_encryption(made, "records").by, encrypted_columns(made, "records")) == ("off", [])
    assert "encrypt" not in made.to_json()["outputs"]["records"]


def test_it_lists_the_encrypted_columns_and_states_that_select_star_needs_the_keys(tmp_path: Path) -> None:
    made = pipeline_plan(tmp_path, **SHUT)
    words = describe_encryption(made, "records")
    assert encrypted_columns(made, "records") == COLUMNS
    assert words == (f"encrypted by category (pseudonymized keys): {', '.join(COLUMNS)}; `SELECT *` needs the keys")
    assert made.to_json()["outputs"]["records"]["encrypt"] == words
    assert "needs the keys" in made._repr_html_()


def test_only_identified_columns_are_encrypted(tmp_path: Path) -> None:
    made = pipeline_plan(tmp_path, MASKED, records={"encrypt": "identified"})
    assert encrypted_columns(made, "records") == ["phone"]
    assert describe_encryption(made, "records") == (
        "identified columns are encrypted (identified keys): phone; `SELECT *` needs the keys"
    )


def test_columns_md_explains_how_to_read_encrypted_columns(tmp_path: Path) -> None:
    page = columns_markdown(pipeline_plan(tmp_path, MASKED, records={"encrypt": "identified"}))
    assert "Identified columns are encrypted (identified keys): phone" in page
    assert "Read these columns with `minimize.read(…, keys=…)`" in page
    assert "minimize.read" not in columns_markdown(pipeline_plan(tmp_path, records={"encrypt": "identified"}))


@pytest.mark.parametrize(
    ("configured", "records", "found"),
    [
        ("encrypt: identified\n", {}, ["phone"]),
        ("encrypt: identified\n", {"encrypt": "off"}, []),
        ("encrypt: identified\n", {"encrypt": "by_category"}, [*COLUMNS, "phone"]),
        ("encrypt: identified\naccess: {encrypt: by_category}\n", {}, [*COLUMNS, "phone"]),
        ("encrypt: off\naccess: {encrypt: identified}\n", {}, ["phone"]),
    ],
)
def test_the_default_of_the_configuration_applies_if_the_pipeline_sets_none(
    tmp_path: Path, configured: str, records: Any, found: list[str]
) -> None:
    (tmp_path / "minimize.yaml").write_text(configured)
    assert encrypted_columns(pipeline_plan(tmp_path, MASKED, records=records), "records") == found


def test_a_pipeline_cannot_encrypt_less_than_required(tmp_path: Path) -> None:
    (tmp_path / "minimize.yaml").write_text("access: {encrypt: by_category}\n")
    with pytest.raises(RefusedError) as caught:
        pipeline_plan(tmp_path, MASKED, records={"encrypt": "identified"})
    assert [each.code for each in caught.value.findings] == ["R005"]


def test_columns_that_are_folders_stay_open(tmp_path: Path) -> None:
    records = {"partition_by": ["tenant_id"], "encrypt": {"by_category": {"per": "tenant_id"}}}
    made = pipeline_plan(tmp_path, records=records)
    assert encrypted_columns(made, "records") == COLUMNS[1:]
    assert "separate for each tenant_id" in describe_encryption(made, "records")


def test_aggregates_stay_unencrypted_under_any_setting(tmp_path: Path) -> None:
    daily = {"group_by": {"day": {"event_time": "day"}}, "measures": {"events": "count"}, "encrypt": "by_category"}
    made = pipeline_plan(tmp_path, aggregates={"daily": daily})
    assert encrypted_columns(made, "daily") == []
    assert "are not encrypted" in describe_encryption(made, "daily")


def test_another_way_to_encrypt_is_another_plan(tmp_path: Path) -> None:
    assert pipeline_plan(tmp_path).digest != pipeline_plan(tmp_path, **SHUT).digest


def test_columns_md_names_the_encrypted_columns(tmp_path: Path) -> None:
    assert "Encrypted by category (pseudonymized keys): tenant_id" in columns_markdown(pipeline_plan(tmp_path, **SHUT))


@pytest.mark.parametrize("said", [{}, {"records": {"encrypt": "by_category"}}])
def test_the_required_encryption_of_the_configuration_is_the_default(tmp_path: Path, said: Any) -> None:
    (tmp_path / "minimize.yaml").write_text("access: {encrypt: by_category}\n")
    assert encrypted_columns(pipeline_plan(tmp_path, **said), "records") == COLUMNS


def test_encryption_required_by_the_configuration_cannot_be_left_out(tmp_path: Path) -> None:
    (tmp_path / "minimize.yaml").write_text("access: {file: access.yaml, encrypt: by_category}\n")
    with pytest.raises(RefusedError) as caught:
        pipeline_plan(tmp_path, records={"encrypt": "off"})
    assert [(each.code, each.severity) for each in caught.value.findings] == [("R005", "error")]


def test_a_name_that_arrow_cannot_encrypt_by_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(PolicyError) as caught:
        pipeline_plan(tmp_path, {"a:b": {"type": "string", "do": "keep"}}, **SHUT)
    assert [(each.code, each.field) for each in caught.value.findings] == [("P117", "a:b")]


DEVICE: dict[str, Any] = {"type": "string", "role": "identifier"}


def test_records_are_indexed_by_the_subject_that_they_hold(tmp_path: Path) -> None:
    found = plan_subject_index(pipeline_plan(tmp_path))
    assert found.subject == Pointer.parse("device_id")
    assert found.explanation == "an encrypted index by device_id; reading it needs the keyring"


@pytest.mark.parametrize(
    ("extra", "more", "why"),
    [
        ({}, {"records": {"index": False}}, "the pipeline has `index: false`"),
        ({"device_id": DEVICE | {"do": "drop"}}, {}, "device_id is not released"),
        ({"device_id": DEVICE | {"do": "presence"}}, {}, "device_id is released as bool"),
        (
            {"device_id": {"type": "string", "do": "keep"}},
            {"records": {"partition_by": ["device_id"]}},
            "the records of each device_id have their own folder",
        ),
    ],
)
def test_the_plan_explains_why_there_is_no_subject_index(
    tmp_path: Path, extra: dict[str, Any], more: dict[str, Any], why: str
) -> None:
    found = plan_subject_index(pipeline_plan(tmp_path, extra, **more))
    assert (found.subject, found.explanation) == (None, f"no index: {why}")


def test_a_plan_without_a_pipeline_has_none() -> None:
    assert plan_subject_index(plan()).explanation == "no index: no records are written"


def test_the_plan_includes_it_as_json_and_as_html(tmp_path: Path) -> None:
    made = pipeline_plan(tmp_path)
    assert made.to_json()["outputs"]["records"]["index"] == plan_subject_index(made).explanation
    assert "an encrypted index by device_id" in made._repr_html_()


def table_of(made: Plan) -> dict[str, tuple[str, ...]]:
    """The cells of each field in the printed plan, by its key."""
    table = next(line for line in made.lines() if isinstance(line, Table))
    assert tuple(table.head) == ("field", "role", "action", "residual", "treatment and reason")
    return {row[0]: tuple(row[1:4]) for row in table.rows}


def test_a_plan_shows_a_role_only_if_the_policy_states_it() -> None:
    fields = {
        "stated": {"type": "string", "role": "plain", "do": "keep"},
        "silent": {"type": "string", "do": "keep"},
        "gone": {"type": "string", "do": "drop"},
    }
    made = plan(fields)
    shown = table_of(made)
    assert [shown[key] for key in fields] == [
        ("plain", "keep", "original"),
        ("–", "keep", "original"),
        ("–", "drop", "–"),
    ]
    said = made.to_json()["fields"]
    assert [(said[key]["role"], said[key]["role_stated"]) for key in fields] == [
        ("plain", True),
        ("plain", False),
        ("plain", False),
    ]
    page = next(line for line in re.split(r"<tr>", made._repr_html_()) if ">silent<" in line)
    assert ">plain<" not in page


@pytest.mark.parametrize(
    ("field", "residual", "leaves"),
    [
        ({"type": "string", "do": "keep"}, "original", "everything"),
        ({"type": "string", "do": {"tokenize": {"key": "k"}}}, "reversible", "reversible"),
        ({"type": "string", "do": {"mask": {"keep_last": 4}}}, "guessable", "guessable"),
        ({"type": "string", "do": {"pseudonymize": {"key": "k"}}}, "linkable", "linkable"),
        ({"type": "string", "do": {"truncate_ip": {}}}, "coarse", "nothing"),
        ({"type": "string", "do": "drop"}, None, None),
    ],
)
def test_json_has_the_residual_and_its_earlier_word(field: dict[str, Any], residual: str, leaves: str) -> None:
    said = plan({"value": field}).to_json()["fields"]["value"]
    assert (said["residual"], said["leaves"]) == (residual, leaves)


def test_keys_of_a_map_have_the_stated_role_of_the_map() -> None:
    maps = (Field(key="/a/*", type="string", keys="drop"), Field(key="/b/*", type="string", keys="drop", role="plain"))
    keys = [each.keys_field for each in maps]
    assert [None if each is None else each.stated_role for each in keys] == [None, "plain"]
    assert all(each is not None and states_plain(each) for each in keys)
