"""`subject correct`: what somebody put right about himself, in the ledger, in outputs, in later runs, and told to recipients.

An output shows a value as its policy made it: the corrected one goes the same way. Where that cannot be told from it alone
(cases, values that depend on others, `top`), the old value goes and none stands in its place, until the date is run anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from minimize.encryption import unless_shredded
from minimize.errors import ConfigurationError, quietly
from minimize.governance.retention.carry import Carrying
from minimize.governance.retention.due import Due, counts_of
from minimize.governance.retention.ordered import Asked
from minimize.governance.retention.plan import Plan, planned
from minimize.governance.subjects.asked import Subject
from minimize.governance.subjects.finding import Held, Search
from minimize.governance.subjects.instead import Instead
from minimize.governance.subjects.outputs import Output, outputs
from minimize.governance.subjects.requests import SHORT, due_of, step_of, taken_down
from minimize.governance.subjects.shared import acts, by_recipient, shared
from minimize.io.stored import open_stored
from minimize.io.text import one
from minimize.keys import Keyring, find_kms
from minimize.ledger import Event, Resource, actor_of
from minimize.ledger.ledger import Ledger
from minimize.ledger.tokens import known_token, secrets_of, subject_token, versions_in
from minimize.policy.pipeline import Pipeline
from minimize.receipt import Receipt
from minimize.stages.corrected import correctable, sealed
from minimize.stores import Anywhere, local
from minimize.switching import House

if TYPE_CHECKING:
    from minimize.ledger.requests import Request

KIND: Final = "correct"
Values = Mapping[str, str | None]
"""By field the right value as it would come in; None for none at all."""


@dataclass(frozen=True, slots=True)
class Correction:
    """What is corrected, or was: per output what changes, the recipients to be told, the receipts and the request."""

    plans: Mapping[str, Plan]
    notices: Mapping[str, Sequence[str]] = field(default_factory=dict)
    receipts: tuple[Receipt, ...] = ()
    request: str | None = None

    @property
    def values(self) -> int:
        """How many values."""
        return sum(sum(each.values.values()) for plan in self.plans.values() for each in plan.due)

    def as_json(self) -> dict[str, Any]:
        """The correction as `subject correct --json` prints it."""
        return {
            "values": self.values,
            "outputs": {name: plan.as_json() for name, plan in self.plans.items()},
            "notices": {name: list(acts) for name, acts in self.notices.items()},
            "receipts": [each.run_id for each in self.receipts],
            "request": self.request,
        }


def correct(
    subject: Subject,
    values: Values,
    house: House,
    now: datetime,
    *,
    named: Sequence[Anywhere] = (),
    yes: bool = False,
) -> Correction:
    """Puts values of a subject right in every output, and in whatever is run later; without `yes` only the plan is made.

    Takes the subject with its tenant, and the values by field. They hold for what happened up to now: later records come from
    where it was corrected, too. Raises ConfigurationError for a tenant that is not named, a field that no policy lets anybody
    correct, or a value that is none of its type (never naming it); and what a rewrite raises.
    """
    if subject.id is None or subject.tenant is None or subject.field is not None:
        raise ConfigurationError("a correction is about one subject of one tenant", hint="give one ID and --tenant T")
    with house.opened(create=yes) as ledger:
        made = _Correcting(ledger, house, house.keyring(), subject, values, now, outputs(ledger, named)[0])
        made.check()
        found = Correction(made.plans(), made.notices())
        return made.done(found) if yes else found


@dataclass(frozen=True)
class _Correcting:
    ledger: Ledger
    house: House
    keys: Keyring = field(repr=False)
    subject: Subject
    values: Values = field(repr=False)
    now: datetime
    found: tuple[Output, ...] = ()

    def check(self) -> None:
        """Raises ConfigurationError for a field that cannot be corrected, or a value that is none of its type."""
        policies = [self._job(output).policy for output in self.found]
        for name, value in self.values.items():
            types = {policy.fields[name].type for policy in policies if name in set(correctable(policy))}
            if not types:
                raise ConfigurationError(
                    f"no policy has a column {name} that can be corrected", hint="is it spelled so?"
                )
            if value is not None and any(type_ != "string" and one(value, type_) is None for type_ in types):
                raise ConfigurationError(f"the value is no {' or '.join(sorted(types))}", hint=f"{name} is one")

    def plans(self) -> dict[str, Plan]:
        """Per output what changes."""
        found = {str(output.folder): planned(self.now, list(self._looked(output))) for output in self.found}
        return {name: plan for name, plan in found.items() if plan.due}

    def notices(self) -> dict[str, list[str]]:
        """The recipients that got records of the subject, with the disclosures: as he came in, or in a form that outputs have."""
        told = acts(self.ledger)
        held = Search(self.subject, self.keys).over(self.found) if told else ()
        forms = {form for each in held if isinstance(each, Held) for form in each.subjects}
        return by_recipient(shared(told, self.subject, (), self.keys, forms))

    def done(self, found: Correction) -> Correction:
        """The correction, carried out; recorded before anything is changed."""
        request = self._recorded()
        made = tuple(receipt for output in self.found for receipt in self._carried_out(output))
        step = step_of(request, "done", self.now, receipts=[each.run_id for each in made], recalls=found.notices)
        taken_down(self.ledger, self.house, [step], self.now)
        return replace(found, receipts=made, request=request.id[:SHORT])

    def _recorded(self) -> Request:
        from minimize.ledger.corrections import Corrected, record, recorded
        from minimize.ledger.requests import Request

        tenant, id_, who = str(self.subject.tenant), str(self.subject.id), actor_of().user or ""
        known = {row.subject for row in recorded(self.ledger) if row.tenant_id == tenant}
        token = known_token(secrets_of(self.keys, versions_in(known)), tenant, id_, known)
        token = token or subject_token(self.keys, tenant, id_)
        rows = [
            Corrected(tenant, token, name, sealed(self.keys, token, name, value), self.now, self.now, who)
            for name, value in self.values.items()
        ]
        resources = tuple(Resource(name, "correction", f"subjects/{tenant}/{token}/{name}") for name in self.values)
        event = Event(
            component="subjects",
            category="subjects",
            activity="subject",
            operation=KIND,
            actor=actor_of(),
            time=self.now,
            resources=resources,
        )
        record(self.ledger, rows, event, self.keys)
        request = Request(KIND, tenant, token, self.now, due_of(False, self.now), "open", "{}", self.now, who)
        taken_down(self.ledger, self.house, [request], self.now)
        return request

    def _looked(self, output: Output) -> Iterator[Due]:
        for written, file in output.files():
            kms = find_kms(self.keys, local(output.folder))
            stored = unless_shredded(partial(open_stored, output.folder, file.path, kms))
            if stored is None:
                continue
            for judging in Instead.of(written, stored, self.subject, self.values, self.now, self.keys):
                counts = counts_of(judging, stored, judging.columns)
                changed = {key: each.gated + each.changed for key, each in counts.fields.items()}
                yield Due(file, written, judging, values={key: count for key, count in changed.items() if count})

    def _carried_out(self, output: Output) -> tuple[Receipt, ...]:
        job = self._job(output)
        asked = Asked(output.folder, job.policy, self.now, self.keys)
        plan = planned(self.now, quietly(lambda: list(self._looked(output))))
        carrying = Carrying(asked, job, at_given=False, ledger=self.house.ledger, kind=KIND)
        return quietly(lambda: carrying.out(plan)) if plan.due else ()

    def _job(self, output: Output) -> Pipeline:
        return output.pipeline_of_today()
