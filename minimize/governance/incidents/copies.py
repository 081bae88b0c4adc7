"""Copies at third parties: what disclosures say that they got of whom, and have not confirmed to be gone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from minimize.governance.incidents.columns import FORMS, Column, Form
from minimize.governance.incidents.counting import SHAPE
from minimize.governance.incidents.persons import Space
from minimize.governance.sharing.keyed import MARK
from minimize.ledger.disclosures import WIDTH, Disclosure, TenantShare, disclosures, tenants_of
from minimize.ledger.recalls import recalls
from minimize.receipt import time_text

if TYPE_CHECKING:
    from minimize.ledger.ledger import Ledger

_KEY: Final = re.compile(r"\bkey ([^\s,()]+)")
"""The key that a form names."""


@dataclass(frozen=True)
class Copy:
    """What one recipient got of one tenant in one act of sharing."""

    act: Disclosure
    share: TenantShare = field(repr=False)

    @property
    def tenant(self) -> str:
        """Whose records."""
        return self.share.tenant_id

    @property
    def recipient(self) -> str:
        """Who has them."""
        return self.act.recipient

    @property
    def policy(self) -> str:
        """The policy of the records."""
        return str(self.act.body["policy"]["name"])

    @property
    def space(self) -> Space | None:
        """In which space the ledger names the persons."""
        version = self.share.key_version
        return None if version is None else Space(f"disclosed/{version}", exact=True)

    def persons(self) -> pa.Table:
        """The records by person, as far as the ledger tells: of each person one at least; the last line has the rest."""
        tokens = self.share.tokens
        names: list[str | None] = [tokens[at : at + WIDTH].hex() for at in range(0, len(tokens), WIDTH)]
        rows = [1 for _ in names]
        rest = self.share.rows - len(rows)
        if not names:
            names, rows = [None], [self.share.rows]
        elif rest > 0:
            rows[-1] += rest
        until = int(self.act.recorded_at.timestamp() * 1_000_000)
        lines = {"tenant": [self.tenant] * len(names), "person": names, "rows": rows, "since": [None] * len(names)}
        return pa.Table.from_pydict({**lines, "until": [until] * len(names)}, SHAPE)

    def columns(self, keys: frozenset[str], *, keyed: bool = False) -> frozenset[Column]:
        """The fields that were sent, in the form that is left once these keys are known; `keyed`: only what they made."""
        category = str(self.act.body["category"])
        return frozenset(
            Column(name, category, _form(category, str(form), opened=self._is_made(str(form), keys)), str(form))
            for name, form in self.act.body["fields"].items()
            if not keyed or self._is_made(str(form), keys)
        )

    def _is_made(self, form: str, keys: frozenset[str]) -> bool:
        """Whether a field was made with one of these keys, or with one of the recipient's own that comes from one.

        Acts of before their keys were recorded: any version that is known counts.
        """
        names = set(_KEY.findall(form))
        told = self.act.body.get("keys")
        used = [each for each in told or () if each.rpartition("/")[0] in names]
        if told is None:
            return bool({each for name in names for each in _from(name)} & {key.rpartition("/")[0] for key in keys})
        return bool({each for key in used for each in _from(key)} & keys)

    def as_json(self) -> dict[str, Any]:
        """The copy, as a scope names it."""
        return {
            "recipient": self.recipient,
            "function": self.act.function,
            "disclosure": self.act.disclosure,
            "at": time_text(self.act.recorded_at),
            "rows": self.share.rows,
        }


def copies(ledger: Ledger, window: tuple[datetime, datetime]) -> Iterator[Copy]:
    """Every copy that was out at some time within the window: sent before its end, and not confirmed to be gone at its start."""
    gone = {
        (each.disclosure, each.tenant_id)
        for each in recalls(ledger)
        if each.state == "confirmed" and each.recorded_at < window[0]
    }
    for act in disclosures(ledger):
        if act.recorded_at <= window[1]:
            for share in tenants_of(ledger, act.disclosure):
                if share.rows and (act.disclosure, share.tenant_id) not in gone:
                    yield Copy(act, share)


def _form(category: str, technique: str, *, opened: bool) -> Form:
    """A pseudonym is one whatever else was sent."""
    if "pseudonymize" in technique:
        return "identified" if opened else "pseudonymized"
    return next((form for form in FORMS if form == category), "identified")


def _from(key: str) -> frozenset[str]:
    """A key, and the one that it comes from: a recipient's own comes from ours.

    >>> sorted(_from("device@vendor/2"))
    ['device/2', 'device@vendor/2']
    """
    name, slash, version = key.partition("/")
    return frozenset({key, f"{name.partition(MARK)[0]}{slash}{version}"})
