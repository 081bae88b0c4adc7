"""Messages of third parties: the fields of their manifests, and the envelope."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from minimize.policy.load import load_pipeline
from minimize.recipients import Function, load_recipient
from minimize.samples import DATASETS
from minimize.samples.dataset import ReceivedDataset, Slice
from tests.golden.runner import ROOT

from .made import DAY, dataset, records

NAMES = [name for name, kind in DATASETS.items() if issubclass(kind, ReceivedDataset)]
ENVELOPE = {"message_id": "string", "tenant_id": "string", "received_at": "timestamp"}
TYPES = {
    "string": pa.string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
    "timestamp": pa.timestamp("ms", "UTC"),
}


def function_of(name: str) -> Function:
    source = load_pipeline(ROOT / "pipelines" / name).source
    found = load_recipient(ROOT / "pipelines" / "recipients" / f"{source.recipient}.yaml").function(
        str(source.function)
    )
    assert found is not None
    return found


def test_there_is_one_dataset_for_each_function_that_receives() -> None:
    assert len(NAMES) == 9


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("count", [0, 50])
def test_a_table_has_the_fields_of_the_function_and_their_types(name: str, count: int) -> None:
    made = dataset(name).records(Slice(DAY, 0, count, count), np.random.default_rng(1)).table()
    fields = ENVELOPE | {key: each.type for key, each in function_of(name).fields.items()}
    assert {field.name: field.type for field in made.schema} == {key: TYPES[each] for key, each in fields.items()}


@pytest.mark.parametrize("name", NAMES)
def test_each_field_is_there_and_a_null_is_not(name: str) -> None:
    made = records(name)
    assert {field for record in made for field in record} == {*ENVELOPE, *function_of(name).fields}
    assert None not in [value for record in made for value in record.values()]


@pytest.mark.parametrize("name", NAMES)
def test_each_message_has_its_own_id_the_tenant_the_subject_and_the_time_of_its_arrival(name: str) -> None:
    made = records(name)
    assert all({*ENVELOPE, DATASETS[name].subject} <= record.keys() for record in made)
    assert len({record["message_id"] for record in made}) == len(made)


@pytest.mark.parametrize("name", NAMES)
def test_a_field_has_a_value_of_another_type_by_mistake(name: str) -> None:
    assert DATASETS[name].wrong
    assert {field for field, _ in DATASETS[name].wrong} <= set(function_of(name).fields)
