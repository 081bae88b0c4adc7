"""Roll-ups of exact statistics: coarser tables that are sums over the rows of a table that are shown.

A roll-up is a function of published statistics, so it shows nothing that they hide. Suppressed groups are in no sum.
A subject that is in several rows counts in each of them: the number of distinct ones would show how many are in several.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from minimize.aggregates import MEASURES
from minimize.aggregates.base import MeasureTerms
from minimize.aggregates.definition import AggregateDefinition, GroupKey
from minimize.aggregates.dictionaries import GroupDictionary
from minimize.arrow.dictionaries import Codes


def rolled_up(table: pa.Table, definition: AggregateDefinition) -> pa.Table:
    """The sums of the measures of a table for each combination of the keys of a roll-up, in their order, nulls last.

    A statistic that the table does not show adds nothing. A sum is null if none of its statistics is shown, or if it does
    not fit the type.
    """
    table = table.combine_chunks()
    groups = GroupDictionary([GroupKey(name, table.schema.field(name).type) for name in definition.keys])
    columns = [groups.encode_key(at, _column(table, name)) for at, name in enumerate(definition.keys)]
    codes = groups.encode(columns, table.num_rows)
    sums = [_sums(codes, _column(table, name), len(groups)) for name in definition.measures]
    typed_columns = zip([*groups.columns(), *sums], definition.schema.types, strict=True)
    rows = pa.table([column.cast(type_) for column, type_ in typed_columns], schema=definition.schema)
    keys = [(name, "ascending") for name in definition.keys]
    return rows.take(pc.sort_indices(rows, sort_keys=keys)).combine_chunks() if keys else rows


def _column(table: pa.Table, name: str) -> pa.Array:
    column = table.column(name)
    return column.chunk(0) if column.num_chunks else pa.array([], column.type)


def _sums(groups: Codes, figures: pa.Array, count: int) -> pa.Array:
    """The exact sum of the statistics of each group, in their type, rounded once."""
    tally, shown = MEASURES["sum"](of="_").start(figures.type, MeasureTerms()), pc.is_valid(figures)
    places = groups[shown.to_numpy(zero_copy_only=False)]
    tally.observe(places, figures.filter(shown), np.zeros(len(places), np.uint64))
    sums = tally.settle(np.arange(count))
    has_figure = np.bincount(places, minlength=count) > 0
    return pc.if_else(pa.array(has_figure), sums, pa.nulls(count, sums.type))
