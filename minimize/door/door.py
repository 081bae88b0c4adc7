"""The door of one process that holds the keys: who asks, what for, and what leaves."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pyarrow as pa

from minimize.door.asking import Ask, Reversal
from minimize.door.deciding import Clock, Request, Rules
from minimize.door.facts import Facts, Opened, Outputs
from minimize.door.flow import Flow, check_joins
from minimize.door.names import parts
from minimize.door.refusing import DATASET, REFUSED, not_let, said
from minimize.door.reversing import answer, value_name, values_of
from minimize.door.shaping import shape
from minimize.door.standing import Standing
from minimize.door.telling import Caller, read_event, refused_event, reversal_event
from minimize.door.tokens import still_stands
from minimize.door.where import Condition
from minimize.errors import MinimizeError, quietly
from minimize.governance.access import Account, Decision
from minimize.keys import Keyring, find_kms
from minimize.ledger import Event
from minimize.stores import Place

if TYPE_CHECKING:
    from minimize.ledger.ledger import Ledger

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Stream:
    """What leaves: its schema, and its batches, the first of them without rows; closed where it is not read to its end."""

    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]
    source: Generator[pa.RecordBatch]

    def close(self) -> None:
        """Ends the read."""
        self.source.close()


class Door:
    """Datasets, and who may read them. Threads share it."""

    def __init__(
        self, datasets: Mapping[str, Place], access: Path, ledger: Ledger, keys: Keyring, clock: Clock
    ) -> None:
        self._datasets, self._ledger, self._keys, self._clock = dict(datasets), ledger, keys, clock
        self._rules, self._outputs = Rules(access, ledger, keys), Outputs(find_kms(keys))

    @property
    def held(self) -> int:
        """How many files are held open for reads that go on."""
        return self._outputs.held

    def check(self) -> None:
        """Raises PolicyError where the access file has faults, LedgerError where grants in the ledger are not ours."""
        self._rules.access()
        self._rules.grants()

    def settle(self) -> int:
        """Tells the audit log of reads that a process which is gone left without an end; gives how many. Raises LedgerError."""
        from minimize.ledger.readings import settle

        return settle(self._ledger, self._clock(), self._keys)

    def read(self, caller: Caller, ask: Ask) -> Stream:
        """What an account may see of what it asks for; the read is begun with this.

        Raises RefusedError and ConfigurationError with a code of the door (B…), once the audit log was told; and what goes wrong
        inside.
        """
        request = Request(Account(caller.user), ask.dataset, ask.named, ask.purpose, ask.incident)
        return self._told(caller, request, lambda: self._begun(caller, ask, request))

    def reidentify(self, caller: Caller, reversal: Reversal) -> pa.Table:
        """What tokens of a column stand for, in the order in which they were asked; null for one that stands in no row in scope.

        Every value is told to the audit log before it leaves. Raises as `read` does.
        """
        given = Account(caller.user), reversal.dataset, (reversal.column,), reversal.purpose, reversal.incident
        request = Request(*given, operation="reidentify")
        return self._told(caller, request, lambda: self._reversed(caller, reversal, request))

    def refuse(self, caller: Caller, error: MinimizeError) -> None:
        """Tells the audit log of a request that was not understood."""
        self._tell(refused_event(caller, "-", self._clock(), error.code, "dataset/read"))

    def _begun(self, caller: Caller, ask: Ask, request: Request) -> Stream:
        with ExitStack() as stack:
            opened = self._opened(stack, ask.dataset)
            decision = self._decided(caller, request, opened.facts, ask.where)
            seen = shape(opened.facts, decision, ask.columns, ask.where, decision.at)
            if not ask.mixed_keys:
                check_joins(opened.facts, seen)
            standing = self._standing(caller, request, decision, opened.facts)
            flow = Flow(caller, ask, decision, seen, standing, self._ledger, self._keys, self._clock)
            batches = flow.batches(opened, stack.pop_all())
        return Stream(seen.schema, chain([next(batches)], batches), batches)

    def _reversed(self, caller: Caller, reversal: Reversal, request: Request) -> pa.Table:
        with ExitStack() as stack:
            opened = self._opened(stack, reversal.dataset)
            decision = self._decided(caller, request, opened.facts, ())
            found = values_of(opened, decision, reversal.column, reversal.tokens, self._keys)
        digests = [value_name(self._keys, reversal, token) for token in found]
        self._tell(reversal_event(caller, decision, self._clock(), len(reversal.tokens), digests))
        return answer(reversal.tokens, found)

    def _opened(self, stack: ExitStack, dataset: str) -> Opened:
        pipeline, output = parts(dataset)
        if pipeline not in self._datasets:
            raise said(DATASET)
        return stack.enter_context(self._outputs.opened(self._datasets[pipeline], output))

    def _decided(self, caller: Caller, request: Request, facts: Facts, where: Sequence[Condition]) -> Decision:
        """The decision, which lets it through. What does not is told with all that it says."""
        decision = self._rules.decide(request, facts, self._clock())
        if not decision.allowed:
            self._tell(read_event(caller, decision, where, decision.at))
            raise not_let(decision.reasons)
        return decision

    def _standing(self, caller: Caller, request: Request, decision: Decision, facts: Facts) -> Standing:
        def again(now: datetime) -> Decision | None:
            if caller.token is not None and not still_stands(self._ledger, caller.token, now):
                return None
            return self._rules.decide(request, facts, now)

        return Standing(decision, again, self._clock)

    def _told(self, caller: Caller, request: Request, work: Callable[[], T]) -> T:
        """What the work gives. What it raises is told, unless its decision was."""
        try:
            return quietly(work)
        except MinimizeError as error:
            ended = error
        if ended.code != REFUSED:
            operation = f"dataset/{request.operation}"
            self._tell(refused_event(caller, request.dataset, self._clock(), ended.code, operation))
        raise ended

    def _tell(self, event: Event) -> None:
        from minimize.ledger.readings import tell

        tell(self._ledger, event, self._keys)
