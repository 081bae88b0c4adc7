"""Attacks in `test`: what the released records of fixtures disclose, and which limits of `fixtures.yaml` are exceeded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from minimize.disclosure_risk.attacks.base import AttackedRecords, AttackResult
from minimize.forms import examine_file
from minimize.forms.yaml_nodes import require_sound
from minimize.policy.fixture_forms import FixtureAttacks, FixtureFile
from minimize.policy.model import Policy
from minimize.review.published_attacks import attack_fields, single_pointers, table_of_fields

FIXTURE_FILE: Final = "fixtures.yaml"


def load_fixture_file(folder: Path) -> FixtureFile | None:
    """The file of a folder of fixtures; None if there is none. Raises PolicyError with every fault as a finding."""
    path = folder / FIXTURE_FILE
    return require_sound(*examine_file(FixtureFile, path), "file of fixtures") if path.is_file() else None


def fixture_records(attacks: FixtureAttacks, policy: Policy, released: pa.Table) -> AttackedRecords:
    """The released rows of fixtures, as they are attacked. Raises ConfigurationError for fields that are not released.

    Data subjects are numbered by their first record, because a test has other keys, and so other pseudonyms, each time.
    """
    pointers = single_pointers(policy, released.schema)
    fields = attack_fields(
        policy,
        pointers,
        quasi_identifiers=attacks.quasi_identifiers,
        sensitive=attacks.sensitive,
        person=attacks.person,
    )
    table = table_of_fields(((batch, pointers) for batch in released.to_batches()), fields.keys)
    if fields.person is not None:
        place = table.column_names.index(fields.person)
        table = table.set_column(place, fields.person, _numbered(table.column(fields.person)))
    return AttackedRecords(table, fields.quasi_identifiers, fields.sensitive, fields.person)


def _numbered(persons: pa.ChunkedArray) -> pa.Array:
    """The number of each data subject, in the order of their first records; null without one."""
    return pc.index_in(persons, pc.unique(persons.drop_null())).combine_chunks()


def broken_limits(attacks: FixtureAttacks, results: Sequence[AttackResult]) -> Iterator[tuple[str, str]]:
    """The attacks that succeed more often than they may, and the reason in words."""
    for name, limit in attacks.at_most.limits().items():
        measured = [result for result in results if result.name == name]
        if not measured:
            yield name, "no field is sensitive, so nothing was attacked"
        for result in measured:
            interval, risk = result.risk_interval, result.risk
            if risk is None or interval is None:
                yield name, "no record is released, so nothing was attacked"
            elif risk > limit:
                learned = "" if result.sensitive is None else f" for {result.sensitive}"
                words = f"the risk{learned} is {risk:.3f} ({interval[0]:.3f} to {interval[1]:.3f})"
                yield name, f"{words} over {result.attack.attempts:,} {result.targets}, above the limit of {limit:g}"
