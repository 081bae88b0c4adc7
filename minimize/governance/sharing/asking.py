"""What consents say of the tenants of an act, at every moment at which they must hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

from minimize.consent import Consents
from minimize.governance.sharing.asked import Asked
from minimize.governance.sharing.consented import Verdict
from minimize.governance.sharing.planning import Planned
from minimize.recipients import Recipient


@dataclass(frozen=True, slots=True)
class Asking:
    """Whom consents are asked about: a recipient, its function, the fields that are to leave, the moments."""

    recipient: Recipient
    function: str
    fields: tuple[str, ...]
    consents: Consents
    whens: tuple[datetime, ...]

    def __call__(self, names: Sequence[str]) -> Mapping[str, Verdict]:
        """The verdicts of these tenants: of the last moment, where they agree at all of them."""
        found: dict[str, Verdict] = {}
        for when in self.whens:
            at_once = self._at(when, names)
            found = {name: found[name] if name in found and found[name].why else at_once[name] for name in names}
        return found

    def _at(self, when: datetime, names: Sequence[str]) -> dict[str, Verdict]:
        seen = self.consents.at(when)
        answer = seen.valid(self.recipient, self.function, pa.array(names, pa.string()), self.fields)
        pairs = zip(answer.ids.to_pylist(), answer.why.to_pylist(), strict=True)
        return {name: Verdict(None if why else consent, why) for name, (consent, why) in zip(names, pairs, strict=True)}


def asking_of(asked: Asked, planned: Planned, consents: Consents) -> Asking:
    """Whom an act asks, about the fields that are to leave."""
    sent = () if planned.composed is None else planned.composed.sent
    return Asking(asked.recipient, asked.party.function, sent, consents, asked.whens)
