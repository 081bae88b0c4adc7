"""A bound on disclosure risk over published records: its columns in a file, and the combinations of several files.

Persons are the subjects as released. If the records do not show subjects, each record counts as a person.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pyarrow as pa

from minimize.arrow.dictionaries import Bools, decode_dictionary
from minimize.arrow.nested import leaf
from minimize.arrow.pointers import Pointer
from minimize.disclosure_risk.combinations import CombinationTally
from minimize.policy.model import Policy
from minimize.policy.risk_forms import RiskModel
from minimize.stages.risk_bound import PERSON, comparable_values


@dataclass(frozen=True, slots=True)
class ReleasedBound:
    """A bound, as it reads published files."""

    model: RiskModel
    pointers: Mapping[str, Pointer]
    """The columns of quasi-identifiers and sensitive fields, by key."""
    person: Pointer | None
    """The column of the subjects; None if rows are counted, or if the records do not show subjects."""

    @classmethod
    def of_columns(cls, model: RiskModel, policy: Policy, pointers: Mapping[str, Pointer]) -> ReleasedBound:
        """The bound over files with these columns, by key."""
        subject = policy.subject if model.counting == "persons" else None
        keys = (*model.quasi_identifiers, *model.sensitive)
        return cls(model, {key: pointers[key] for key in keys}, None if subject is None else pointers.get(subject))

    @property
    def column_names(self) -> set[str]:
        """The names of the columns that it reads."""
        persons = () if self.person is None else (self.person,)
        return {pointer.top for pointer in (*self.pointers.values(), *persons)}

    def tally(self) -> CombinationTally:
        """An empty tally of the combinations."""
        person = None if self.person is None else PERSON
        return CombinationTally(self.model.quasi_identifiers, self.model.sensitive, person)

    def columns(
        self,
        batch: pa.RecordBatch,
        keys: Iterable[str],
        values: Mapping[str, pa.Array] | None = None,
        keep: Bools | None = None,
    ) -> pa.RecordBatch:
        """The values of a batch by key, and its persons. `values` replace those of the batch; `keep` selects records."""
        replaced = values or {}
        columns = {key: comparable_values(replaced.get(key, leaf(batch, self.pointers[key]).values)) for key in keys}
        if self.person is not None:
            columns[PERSON] = decode_dictionary(leaf(batch, self.person).values)
        released = pa.RecordBatch.from_pydict(columns)
        return released if keep is None else released.filter(pa.array(keep))
