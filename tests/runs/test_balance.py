"""Rows read = written + gated + quarantined + suppressed + deduplicated, whatever comes in and whatever is asked."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

import minimize
from minimize.receipts import Receipt
from tests.hypothesis_profiles import examples
from tests.ledger.ledgers import empty
from tests.project import BEFORE, DAY, Builds, Project, event, new_project

GOOD, OLD, OFF, BLANK = "good", "old", "off", "blank"
BAD = {
    "malformed": "{no json",
    "forbidden_field": json.dumps(event(0, contacts=[])),
    "wrong_type": json.dumps(event(0, storage="many")),
    "bad_time": json.dumps(event(0, event_time="yesterday")),
    "missing_field": json.dumps(event(0, device_id=None)),
}
kinds = st.sampled_from([GOOD, GOOD, GOOD, OLD, OFF, BLANK, *BAD])
batches = st.dictionaries(
    st.sampled_from([DAY, BEFORE]), st.lists(st.tuples(kinds, st.integers(0, 12)), max_size=40), min_size=1
)


def line(kind: str, number: int) -> str:
    if kind in BAD or kind == BLANK:
        return BAD.get(kind, "")
    when = {"event_time": "2026-01-01T00:00:00Z"} if kind == OLD else {}
    return json.dumps(event(number, model="C" if kind == OFF else "A", **when))


def fates(batch: list[tuple[str, int]], deduplicate: bool) -> Counter[str]:
    """What should become of the rows of one date."""
    counts = Counter({"read": sum(kind != BLANK for kind, _ in batch)})
    counts["quarantined"] = sum(kind in BAD for kind, _ in batch)
    counts["gated"] = sum(kind in (OLD, OFF) for kind, _ in batch)
    good = [event(number)["device_id"] for kind, number in batch if kind == GOOD]
    counts["deduplicated"] = len(good) - len(set(good)) if deduplicate else 0
    counts["written"] = len(good) - counts["deduplicated"]
    return counts


def pipeline(project: Project, records: bool, deduplicate: bool, partition: bool) -> None:
    said: dict[str, Any] = {"deduplicate": {"by": ["device_id"], "per": "day"}} if deduplicate else {}
    said |= {"partition_by": ["tenant_id"]} if partition else {}
    project.policy({"model": {"type": "string", "do": "keep"}}, records={"collect_if": {"model": "A"}})
    project.pipeline(records=said if records else False)


def by_fate(receipt: Receipt) -> Counter[str]:
    names = ("read", "written", "gated", "quarantined", "deduplicated", "suppressed")
    return Counter({name: getattr(receipt.rows, name) for name in names})


@settings(max_examples=examples(25))
@given(batches, st.booleans(), st.booleans(), st.booleans())
def test_every_row_has_one_fate_and_the_files_agree(
    builds: Builds,
    given_batches: dict[str, list[tuple[str, int]]],
    records: bool,
    deduplicate: bool,
    partition: bool,
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        project = new_project(Path(folder))
        builds.copy(empty, project.out)
        pipeline(project, records, deduplicate and records, partition)
        for day, batch in given_batches.items():
            project.records([line(*each) for each in batch], day=day)
        receipt = project.exact(project.run())
        expected = sum((fates(batch, deduplicate and records) for batch in given_batches.values()), Counter())
        found = by_fate(receipt)
        suppressed = found.pop("suppressed")
        assert suppressed == 0 or not records
        found["written"] += suppressed
        assert +found == +expected
        assert receipt.quarantine.by_code == +Counter(
            kind for batch in given_batches.values() for kind, _ in batch if kind in BAD
        )
        assert (receipt.gated_by.retention, receipt.gated_by.condition) == (
            sum(kind == OLD for batch in given_batches.values() for kind, _ in batch),
            sum(kind == OFF for batch in given_batches.values() for kind, _ in batch),
        )
        agree(project, receipt, records)


def agree(project: Project, receipt: Receipt, records: bool) -> None:
    """The files hold what the receipt says, and verification finds nothing."""
    minimize.verify(project.out, keys=project.keys)
    lost = (receipt.outputs["per_model"].rows_suppressed or 0) if records else 0
    assert sum(row["events"] for row in project.rows("per_model")) + lost == receipt.rows.written
    assert not records or len(project.rows()) == receipt.rows.written
    if receipt.rows.quarantined:
        assert Counter(row["code"] for row in project.rows("quarantine")) == receipt.quarantine.by_code
