"""Today's consents in the terms of a file: whose tenant agreed in every instant that a released time may stand for, and now."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
import pyarrow as pa

from minimize.consent import ConsentPeriods
from minimize.governance.retention.clock import UNKNOWN, Bools, Clock
from minimize.governance.retention.whose import Named
from minimize.nested import leaf


@dataclass(frozen=True, slots=True)
class Agreed:
    """The consents that count for one file, tenants in the forms that the file has of them. When in doubt there is none."""

    periods: ConsentPeriods = field(repr=False)
    tenant: Named | None
    clock: Clock | None

    @classmethod
    def of(cls, periods: ConsentPeriods, tenant: Named | None, clock: Clock | None) -> Self:
        """The consents as a file shows tenants."""
        forms = [] if tenant is None else list(_forms(periods, tenant))
        places = np.array([place for place, _ in forms], np.int64)
        own = replace(
            periods,
            tenants=tuple(form for _, form in forms),
            starts=periods.starts[places],
            ends=periods.ends[places],
            fold=False,
        )
        return cls(own, tenant, clock)

    def __call__(self, batch: pa.RecordBatch) -> Bools:
        """Per record whether the consent surely held when it happened, and holds now."""
        if self.tenant is None or self.clock is None:
            return np.zeros(batch.num_rows, np.bool_)
        oldest, newest = self.clock.oldest(batch), self.clock.newest(batch)
        tenants = leaf(batch, self.tenant.pointer).values
        return np.asarray(self.periods.agreed_throughout(tenants, oldest, newest) & (oldest != UNKNOWN), np.bool_)


def _forms(periods: ConsentPeriods, tenant: Named) -> Iterator[tuple[int, str]]:
    for place, name in enumerate(periods.tenants):
        yield from ((place, form) for form in sorted(tenant.column.forms(name, name) or ()))
