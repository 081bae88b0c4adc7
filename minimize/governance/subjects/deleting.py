"""`subject delete`: records of people, devices and tenants go from every output, do not come back, and recipients are told.

The request and its events are recorded first, so that whatever happens then is gone on with by the same command: a run that
begins from now on gates what happened before, and an output of which nothing is due any more is passed over.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Final

from minimize.errors import CheckFailed, ConfigurationError, MinimizeError, quietly
from minimize.governance.retention.carry import Carrying
from minimize.governance.retention.events import Event
from minimize.governance.retention.expire import Expiry
from minimize.governance.retention.kept import kept_events
from minimize.governance.retention.ordered import Asked
from minimize.governance.retention.plan import Plan
from minimize.governance.retention.recording import Wish, add_events
from minimize.governance.retention.written import times_read
from minimize.governance.subjects.asked import Subject
from minimize.governance.subjects.deletion import Deletion, Recalls, outcome, portions
from minimize.governance.subjects.finding import Blind, Found, Held, Search
from minimize.governance.subjects.meant import behind, check_fields, check_tenants
from minimize.governance.subjects.outputs import ELSEWHERE, Output, Unreached, outputs
from minimize.governance.subjects.requests import SHORT, begun, due_of, step_of, taken_down
from minimize.governance.subjects.rescan import hidden
from minimize.governance.subjects.shared import acts, by_recipient, shared
from minimize.io.published import receipts
from minimize.job.erasure_list import store
from minimize.job.ledgers import check_open_ledger
from minimize.keys import Keyring
from minimize.ledger import actor_of
from minimize.ledger.ledger import Ledger
from minimize.ledger.tenants import tenants_named
from minimize.ledger.tokens import subject_token
from minimize.policy.pipeline import Pipeline
from minimize.receipt import Receipt
from minimize.stores import Anywhere
from minimize.switching import House

if TYPE_CHECKING:
    from minimize.ledger.requests import Request

KIND: Final = "erasure"


def delete(
    subjects: Sequence[Subject],
    house: House,
    now: datetime,
    *,
    named: Sequence[Anywhere] = (),
    yes: bool = False,
    unseen: bool = False,
    allow_unreached: bool = False,
) -> Deletion:
    """Deletes what is held of these subjects in every output; without `yes` only the plan is made.

    A subject without a tenant is sought in every tenant that is known; one that is named by another field than the policy's
    subject takes with him the records that hold his identifier. Raises ConfigurationError for a field that no policy has, a
    form that only outputs have, or a tenant that nothing names, unless it is `unseen`; CheckFailed if records are left
    afterwards, or if an output of this machine cannot be reached, unless that is allowed because it is gone for good; and what
    `expire` raises: then the request stays open, and the same command goes on with it.
    """
    with house.opened(create=yes) as ledger:
        found = outputs(ledger, named)
        made = _Deleting(house, ledger, house.keyring(), now, *found)
        check_fields(subjects, found[0])
        if not unseen:
            check_tenants(subjects, found[0], made.keys, tenants_named(ledger))
        whose = tuple(dict.fromkeys(one for each in subjects for one in made.of_tenants(each)))
        made = replace(made, begun=begun(ledger, made.keys, "delete", whose))
        plan = made.planned(whose)
        return made.done(plan, allow_unreached=allow_unreached) if yes else plan


@dataclass(frozen=True)
class _Deleting:
    house: House
    ledger: Ledger
    keys: Keyring = field(repr=False)
    now: datetime
    found: tuple[Output, ...] = ()
    missed: tuple[Unreached, ...] = ()
    begun: Mapping[Subject, Request] = field(default_factory=dict, repr=False)

    def of_tenants(self, subject: Subject) -> Iterator[Subject]:
        """The subject in each tenant in which it stands."""
        if subject.is_form:
            yield from self._behind(subject)
            return
        if subject.tenant is not None:
            yield subject
            return
        known = tenants_named(self.ledger) | self._shown(subject)
        there = [one for one in (replace(subject, tenant=name) for name in sorted(known)) if self._holds(one)]
        if not there:
            raise ConfigurationError(
                "somebody who is named stands in no output, and no tenant is given",
                hint="--tenant T; then what arrives late of him is kept out, too",
            )
        yield from there

    def planned(self, whose: Sequence[Subject]) -> Deletion:
        """What goes, who has to be told, and where nobody can be looked for."""
        events = tuple(map(self._event, whose))
        plans = {str(output.folder): self._expiry(output, events)[0].plan() for output in self.found}
        due = {name: plan for name, plan in plans.items() if plan.due}
        blind, resumed = tuple(self._blind(whose)), len(self.begun.keys() & set(whose))
        return Deletion(tuple(whose), due, self._recalls(whose), blind, self.missed, resumed=resumed)

    def done(self, plan: Deletion, *, allow_unreached: bool = False) -> Deletion:
        """The deletion, carried out: recorded first, then output by output, then looked for once more.

        Raises RefusedError before anything is recorded if the ledger is not the one that the receipts of an output name.
        """
        for output in self.found:
            check_open_ledger(self.ledger, output.chain)
        steps = [self._request(each, plan.recalls[each]) for each in plan.whose]
        taken_down(self.ledger, self.house, [each for each in steps if each.asked_at == self.now], self.now)
        self._told_of(plan.whose)
        made: list[Receipt] = []
        wrong: MinimizeError | None = None
        try:
            self._store_lists()
            for output in self.found:
                made.extend(self._carried_out(output, plan))
            self._check(plan.whose, made)
            if not allow_unreached:
                self._check_reached()
        except MinimizeError as error:
            wrong = error
        new = [each.run_id for each in made]
        body = {step: outcome(step, new, recalls) for step, recalls in zip(steps, plan.recalls.values(), strict=True)}
        if wrong is not None:
            failed = [step_of(step, "failed", self.now, error=wrong.code, **body[step]) for step in steps]
            taken_down(self.ledger, self.house, failed, self.now)
            raise wrong
        done = [step_of(step, "done", self.now, **body[step]) for step in steps]
        taken_down(self.ledger, self.house, done, self.now)
        return replace(plan, receipts=tuple(made), requests=tuple(each.id[:SHORT] for each in steps))

    def _carried_out(self, output: Output, made: Deletion) -> Iterator[Receipt]:
        """What was planned, portion by portion; planned anew where something was published meanwhile."""
        chain = receipts(output.folder)
        expiry, job = self._expiry(replace(output, chain=chain), [self._event(each) for each in made.whose])
        same = len(chain) == len(output.chain)
        plan = made.plans.get(str(output.folder), Plan(self.now)) if same else quietly(expiry.plan)
        carrying = Carrying(expiry.asked, job, at_given=False, ledger=self.house.ledger, kind="delete")
        for each in portions(plan):
            yield from quietly(partial(carrying.out, each))

    def _check(self, whose: Sequence[Subject], made: Sequence[Receipt]) -> None:
        """Raises CheckFailed where a record is left, or a dictionary of what was written anew knows somebody who has none."""
        now, events = (
            tuple(replace(each, chain=receipts(each.folder)) for each in self.found),
            [*map(self._event, whose)],
        )
        left = {each.file.path for output in now for each in self._expiry(output, events)[0].plan().due}
        new = [file.path for each in made for one in each.outputs.values() for file in one.files]
        left |= set(hidden(now, new, self.keys, {each.field for each in whose if each.field is not None}))
        left |= {held.file.path for each in whose for held in self._search(each).over(now) if self._goes(held, each)}
        if left:
            hint = "a run may have published meanwhile: the same command goes on"
            raise CheckFailed(f"{len(left)} files still hold records of somebody who was deleted", hint=hint)

    def _check_reached(self) -> None:
        """Raises CheckFailed if an output of this machine could not be reached: it may still hold records."""
        missed = [each.folder for each in self.missed if each.why != ELSEWHERE]
        if missed:
            hint = "bring it back, and run the same command; if it is gone for good: --allow-unreached (allow_unreached=True)"
            raise CheckFailed(
                f"{len(missed)} outputs that the ledger knows were not reached: {', '.join(missed)}", hint=hint
            )

    def _goes(self, held: Found, subject: Subject) -> bool:
        """Whether records that a search found are part of the request; what was collected of the subject since is not."""
        if not isinstance(held, Held):
            return False
        asked = self._expiry(held.output, ())[0].asked
        return held.since is None or held.since <= asked.until(self._event(subject), held.date)

    def _told_of(self, whose: Sequence[Subject]) -> None:
        """Puts down that they are gone, so that no run brings them back."""
        wishes = [Wish(str(each.tenant), KIND, each.id, self._until(each), each.field) for each in whose]
        add_events(wishes, replace(self.house, keys=self.keys), self.now)

    def _store_lists(self) -> None:
        """Stores the erasures with every output. Raises OutputError: a request is not done before."""
        from minimize.ledger.happened import recorded

        rows = recorded(self.ledger)
        for output in self.found:
            store(output.folder, rows, self.keys)

    def _request(self, subject: Subject, recalls: Recalls) -> Request:
        """The request of a subject that is to be gone on with, else a new one."""
        from minimize.ledger.requests import Request

        if subject in self.begun:
            return self.begun[subject]
        tenant, id_ = str(subject.tenant), subject.id
        token = None if id_ is None else subject_token(self.keys, tenant, id_, field=subject.field)
        due, who = due_of(subject.is_tenant, self.now), actor_of().user or ""
        body = json.dumps({"recalls": recalls}, sort_keys=True)
        return Request("delete", tenant, token, self.now, due, "open", body, self.now, who)

    def _until(self, subject: Subject) -> datetime:
        """Up to when his records go: what happened after he asked is not part of it."""
        return self.begun[subject].asked_at if subject in self.begun else self.now

    def _expiry(self, output: Output, events: Sequence[Event]) -> tuple[Expiry, Pipeline]:
        job = output.pipeline_of_today()
        known = tuple(each for each in kept_events(self.ledger.address, self.keys, events) if each.kind == KIND)
        read = times_read(output.chain)
        asked = Asked(
            output.folder,
            job.policy,
            self.now,
            self.keys,
            tuple(events),
            ages=False,
            earlier=known,
            read=read,
            spans=job.own_retentions,
        )
        return Expiry(asked, job, output.chain, output.reading), job

    def _event(self, subject: Subject) -> Event:
        return Event(str(subject.tenant), KIND, self._until(subject), subject.id, named_by=subject.field)

    def _recalls(self, whose: Sequence[Subject]) -> dict[Subject, Recalls]:
        """Per subject and recipient the disclosures that name it, in the form that came in, or one that an output has."""
        told = acts(self.ledger)
        forms = self._forms(whose) if told else {}
        return {each: by_recipient(shared(told, each, (), self.keys, forms.get(each, ()))) for each in whose}

    def _forms(self, whose: Sequence[Subject]) -> dict[Subject, frozenset[str]]:
        sought = ((each, list(self._search(each).over(self.found))) for each in whose)
        return {
            each: frozenset(form for one in found if isinstance(one, Held) for form in one.subjects)
            for each, found in sought
        }

    def _blind(self, whose: Sequence[Subject]) -> Iterator[Blind]:
        """The files in which none of them can be looked for."""
        firsts = {(each.is_tenant, each.field): each for each in reversed(whose)}
        blind = (one for each in firsts.values() for one in self._search(each).blind(self.found))
        yield from {(one.output.folder, one.file.path, one.why): one for one in blind}.values()

    def _behind(self, subject: Subject) -> Iterator[Subject]:
        """Whoever stands behind a form, in each tenant; a pseudonym opens for nobody."""
        found = [each for each in self._search(subject).over(self.found) if isinstance(each, Held)]
        there = dict.fromkeys(one for each in found for one in behind(each, self.keys))
        if not there:
            hint = "`subject view --form` shows what is held; delete by the id, so that what arrives late is kept out"
            raise ConfigurationError("nobody can tell who stands behind a pseudonym", hint=hint)
        yield from there

    def _holds(self, subject: Subject) -> bool:
        return any(isinstance(each, Held) for each in self._search(subject).over(self.found))

    def _shown(self, subject: Subject) -> frozenset[str]:
        """The tenants that files show beside the subject."""
        held = (each for each in self._search(subject).over(self.found) if isinstance(each, Held))
        return frozenset(name for each in held for name in each.tenants)

    def _search(self, subject: Subject) -> Search:
        return Search(subject, self.keys, tenants_named(self.ledger))
