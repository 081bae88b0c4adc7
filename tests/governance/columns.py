"""A column with ids as a source has them, for tests of searches by id."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from minimize.stages.identifier_forms import AS_RECEIVED


@dataclass(frozen=True)
class PlainColumn:
    """A column whose values are ids as received. Two tenants may have the same id."""

    chain_names = frozenset({AS_RECEIVED})
    shows_tenant = False

    @property
    def is_injective(self) -> bool:
        return True

    def forms(self, value: str, tenant: str) -> frozenset[str]:
        return frozenset({value})

    def forms_of_all(self, pairs: Sequence[tuple[str, str]]) -> list[frozenset[str]]:
        return [self.forms(*pair) for pair in pairs]
