"""The disclosure guard: which figures of a date may be published together.

It knows the tables of one date in one run. `minimize/aggregates/relations.py` states what is compared, and what gives way.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from minimize.aggregates.definition import Definition
from minimize.aggregates.relations import PublishedTable, withhold_related
from minimize.aggregates.table import AggregateResult
from minimize.counts import counted

log = logging.getLogger("minimize")


def guarded(
    definitions: Mapping[str, Definition], results: Mapping[str, AggregateResult], date: str | None
) -> dict[str, AggregateResult]:
    """The results of one date without the rows that another table's rows would give away, and without their sketches.

    Rows that are withheld count as suppressed. The log says how many, by aggregate and date.
    """
    tables = {
        name: PublishedTable(definitions[name], result.table, result.subjects, result.sketches)
        for name, result in results.items()
    }
    withhold_related(list(tables.values()))
    for name, table in tables.items():
        withheld = int((~table.kept).sum())
        if withheld:
            message = "%s%s: %s withheld, because other tables of this run would give a small group away"
            log.warning(message, name, f" of {date}" if date else "", counted(withheld, "row"), extra={"code": "W032"})
    return {name: result.published(tables[name].kept) for name, result in results.items()}
