"""Random sequences of steps over the service, each of which is done on disk and told to the model of the truth."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from tests.commands import Result
from tests.leak.canary import Canary
from tests.leak.sweep import found
from tests.organization.people import (
    DEVICE_FIELDS,
    PERSON_FIELDS,
    TENANTS,
    Device,
    Person,
    Subject,
    devices,
    persons,
)
from tests.organization.raw_records import LATE_DATE, LIST_SPACES, NOW, datasets, late_record
from tests.organization.remains import needles, remains
from tests.organization.service import PIPELINES, Service
from tests.organization.truth import SERVICE_SPACES, Removal, Truth, rows_by_key
from tests.project import write_lines

FIELDS: Final = {**PERSON_FIELDS, **DEVICE_FIELDS, **LIST_SPACES}
REMOVING: Final = ("reset", "subject_left")
"""Events after which no record of the subject may be left."""
DEVICE_EVENTS: Final = ("reset", "became_personal", "company_data_removed", "subject_left")


@dataclass(frozen=True)
class Step:
    """One step: what is done, to whom, and how. Its text is what a failure prints."""

    kind: str
    subject: Subject | None = None
    pipeline: str | None = None
    word: str | None = None
    linked: bool = False

    def __str__(self) -> str:
        subject = None if self.subject is None else f"{type(self.subject).__name__}({self.subject.number})"
        parts = [self.kind, self.word, subject, self.pipeline, "linked" if self.linked else None]
        return " ".join(each for each in parts if each)


def sequence(seed: int, length: int, pipelines: list[str]) -> list[Step]:
    """The steps of a seed. Deletions are more frequent than other steps."""
    chosen = random.Random(seed)
    kinds = [
        *(["delete"] * 4),
        *(["event"] * 4),
        *(["expire", "restrict", "late"] * 2),
        *["lift", "correct", "rerun", "view", "export", "retract", "close"],
    ]
    return [_step(chosen, chosen.choice(kinds), pipelines) for _ in range(length)]


def _step(chosen: random.Random, kind: str, pipelines: list[str]) -> Step:
    subject: Subject = chosen.choice(persons()) if chosen.random() < 0.5 else chosen.choice(devices())
    pipeline = chosen.choice(sorted(pipelines))
    if kind == "event":
        word = chosen.choice(DEVICE_EVENTS) if isinstance(subject, Device) else "subject_left"
        return Step(kind, subject, chosen.choice([None, None, pipeline]), word)
    if kind == "close":
        return Step(kind, word=chosen.choice(TENANTS))
    if kind in ("rerun", "retract", "expire"):
        return Step(kind, pipeline=None if kind == "expire" else pipeline)
    if kind == "correct":
        return Step(kind, chosen.choice(devices()))
    if kind == "late":
        return Step(kind, subject, pipeline)
    return Step(kind, subject, linked=isinstance(subject, Person) and chosen.random() < 0.7)


@dataclass
class Walk:
    """A sequence on its way: the service, the truth, the clock, and what was found wrong.

    due       removals that the next expiry must make, because of events
    requests  each deletion request, with what was asked and the exit code
    by_field  whether ids are asked for by the name of each field (`--id-field FIELD`), and not under every kind
    """

    service: Service
    truth: Truth
    by_field: bool = False
    now: datetime = NOW + timedelta(hours=1)
    faults: list[str] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    due: list[Removal] = field(default_factory=list)
    requests: dict[str, tuple[Removal, int]] = field(default_factory=dict)
    numbers: int = 0

    @property
    def pipelines(self) -> list[str]:
        return sorted(self.truth.baseline)

    def command(self, allowed: tuple[int, ...], *arguments: object) -> Result:
        """Runs a command a minute later. Its exit code must be one of those that the documentation gives."""
        self.now += timedelta(minutes=1)
        ended = self.service.command(self.now, *arguments)
        self.service.log(arguments[0], ended)
        if ended.code not in allowed or "E900" in ended.err:
            shown = " ".join(str(each) for each in arguments)
            self.faults.append(f"exit {ended.code}: {shown}: {ended.err.strip()[-300:]}")
        return ended

    def do(self, step: Step) -> None:
        """Does a step."""
        self.done.append(str(step))
        before = len(self.faults)
        STEPS[step.kind](self, step)
        self.faults[before:] = [f"[{len(self.done)}: {step}] {each}" for each in self.faults[before:]]

    def check(self) -> None:
        """Compares all outputs with the truth, and verifies them."""
        self.faults += self.truth.faults(self.service)
        for pipeline in self.pipelines:
            self.command((0,), "verify", self.service.output(pipeline))

    def forget(self, subject: Subject) -> None:
        """Deletes a subject under every id that it has, and looks for what is left of it anywhere."""
        file = self._request_file(subject, SPACES_OF[type(subject)])
        arguments = ["subject", "delete", "--file", file, "--yes", "--json"]
        own = self.own_devices(subject, linked=isinstance(subject, Person))
        ended = self.command((0, 1), *arguments, *(["--linked"] if isinstance(subject, Person) else []))
        self._judge(ended, Removal(subject, "", frozenset()))
        self.truth.gone.add(subject)
        self.truth.removed += [Removal(subject, space, frozenset(FIELDS), own) for space in subject.ids]

    def check_states(self) -> None:
        """A request whose state is `done` has left nothing of its subject."""
        ended = self.command((0,), "subject", "status", "--json")
        for request in ended.json["requests"] if ended.code == 0 else []:
            subject = self._subject_of(request)
            if subject is None or request["kind"] != "delete" or request["state"] != "done":
                continue
            left = self.truth.outputs_with(self.service, subject)
            if left:
                self.faults.append(f"a request is done, and its subject is left in {', '.join(sorted(left))}")

    def _subject_of(self, request: dict[str, Any]) -> Subject | None:
        asked = self.requests.get(request["request"])
        return None if asked is None else asked[0].subject

    def sweep(self) -> None:
        """Looks below compression for what is left of those who are gone."""
        left = remains(self.service, self.gone_needles())
        self.faults += [f"{file}: left of the deleted: {', '.join(what[:4])}" for file, what in left.items()]

    def own_devices(self, subject: Subject, *, linked: bool) -> frozenset[Subject]:
        """With --linked, the devices that belong to a person alone."""
        return self.truth.own_devices(self.service, subject) if linked else frozenset()

    def gone_needles(self) -> list[Canary]:
        """What must not be found of those who are gone."""
        forms = {each: self.truth.forms(each) for each in self.truth.gone}
        return needles(self.truth.gone, self.truth.marked_as_gone(), forms)

    def _request_file(self, subject: Subject, spaces: tuple[str, ...]) -> str:
        """A file with one row for each id, and in `by_field` one for each field that has it in a policy."""
        rows: list[dict[str, Any]] = []
        for space in spaces:
            row = {"subject": subject.ids[space], "tenant_id": subject.tenant}
            names = list(self._declared(space)) if self.by_field else [None]
            rows += [{**row, **({} if name is None else {"field": name})} for name in names]
        self.numbers += 1
        path = self.service.folder / "requests" / f"{self.numbers}.ndjson"
        write_lines(path, rows)
        return str(path)

    def _declared(self, space: str) -> list[str]:
        used = {name for each in self.pipelines for name in datasets()[PIPELINES[each]]["fields"]}
        return sorted(name for name, found in FIELDS.items() if found == space and name in used)

    def _as(self, subject: Subject) -> list[str]:
        """The options that say what an id is."""
        if not self.by_field:
            return []
        return ["--id-field", "user_id" if isinstance(subject, Person) else "device_id"]

    def _fields(self, subject: Subject) -> frozenset[str]:
        """The fields in which a request by the service's own id looks."""
        name = "user_id" if isinstance(subject, Person) else "device_id"
        return frozenset([name]) if self.by_field else frozenset(FIELDS)

    def _judge(self, ended: Result, asked: Removal) -> None:
        """A request that is done has left nothing of its subject; else it says what was not searched."""
        for request in ended.json["requests"] if ended.code == 0 else []:
            self.requests[request] = asked, ended.code
        if ended.code == 0:
            left = self.truth.outputs_with(self.service, asked.subject)
            if left:
                self.faults.append(f"done, but left in {', '.join(sorted(left))}")
        elif ended.code == 1:
            unsearched = set(re.findall(r"\w+", ended.err + ended.out))
            unnamed = self.truth.outputs_with(self.service, asked.subject) - unsearched
            if unnamed:
                self.faults.append(f"open, and does not name {', '.join(sorted(unnamed))}")


def _remove(walk: Walk, step: Step) -> None:
    assert step.subject is not None
    space = SERVICE_SPACES[type(step.subject)]
    linked = ["--linked"] if step.linked else []
    own = walk.own_devices(step.subject, linked=step.linked)
    asked = Removal(step.subject, space, walk._fields(step.subject), own)
    more = ["--allow-unknown-subject"] if step.kind == "restrict" else []
    ended = walk.command(
        (0, 1),
        *("subject", step.kind, step.subject.ids[space], *walk._as(step.subject)),
        *("--tenant", step.subject.tenant, *linked, *more, "--yes", "--json"),
    )
    if ended.code not in (0, 1):
        walk.truth.loose |= asked.affected
        return
    if step.kind == "delete":
        walk.truth.removed.append(asked)
        walk._judge(ended, asked)
    else:
        walk.truth.restricted.append(asked)
        walk.truth.once_restricted |= asked.affected


def _lift(walk: Walk, step: Step) -> None:
    """Lifts the oldest restriction."""
    if not walk.truth.restricted:
        return
    asked = walk.truth.restricted.pop(0)
    walk.truth.restricted = [each for each in walk.truth.restricted if each.subject != asked.subject]
    subject = asked.subject
    walk.command(
        (0, 1),
        *("subject", "lift", subject.ids[asked.space], *walk._as(subject), "--tenant", subject.tenant, "--yes"),
    )


def _look(walk: Walk, step: Step) -> None:
    assert step.subject is not None
    space = SERVICE_SPACES[type(step.subject)]
    linked = ["--linked"] if step.linked else []
    own = walk.own_devices(step.subject, linked=step.linked)
    walk.numbers += 1
    folder = walk.service.folder / "exports" / str(walk.numbers)
    to = ["--to", folder] if step.kind == "export" else []
    ended = walk.command(
        (0, 1),
        *("subject", step.kind, step.subject.ids[space], *walk._as(step.subject)),
        *("--tenant", step.subject.tenant, *linked, *to, "--json"),
    )
    if ended.code in (0, 1) and to:
        _check_export(walk, folder, Removal(step.subject, space, walk._fields(step.subject), own))


def _check_export(walk: Walk, folder: Path, asked: Removal) -> None:
    """An export has the records that show the id, no record that does not concern its subject, and nothing of the deleted."""
    left = found(walk.gone_needles(), folder)
    if left:
        walk.faults.append(f"the export has values of the deleted: {', '.join(sorted(left)[:4])}")
    exported = sum(
        len(path.read_text().splitlines()) for path in folder.rglob("*.ndjson") if path.name != "audit.ndjson"
    )
    shown = concerned = 0
    for pipeline in walk.pipelines:
        rows, _ = rows_by_key(walk.service, pipeline)
        for record in walk.truth.records(pipeline):
            if record.key in rows:
                shown += asked.reaches(walk.truth, pipeline, record)
                concerned += bool(asked.affected & walk.truth.shows(pipeline, record))
    if exported < shown or (exported > concerned and not walk.truth.restricted):
        walk.faults.append(f"the export has {exported} records; {shown} show the id, {concerned} concern the subject")


def _correct(walk: Walk, step: Step) -> None:
    """Corrects the name of a device's owner, which the help desk's lookup shows."""
    device = step.subject
    assert isinstance(device, Device)
    if "device_lookup" not in walk.truth.baseline:
        return
    value = f"corrected-{len(walk.done):02}-{device.number:02}"
    ended = walk.command(
        (0, 3),
        *("subject", "correct", device.ids["device"], "--tenant", device.tenant, "--set", f"user_display_name={value}"),
        *(
            "--origin",
            "source",
            "--evidence",
            f"TICKET-{len(walk.done)}",
            "--also",
            walk.service.output("device_lookup"),
            "--yes",
        ),
    )
    if ended.code == 0:
        for record in walk.truth.records("device_lookup"):
            if device in record.subjects:
                walk.truth.corrected[("device_lookup", record.key)] = {"user_display_name": value}


def _event(walk: Walk, step: Step) -> None:
    assert step.subject is not None
    assert step.word is not None
    space = SERVICE_SPACES[type(step.subject)]
    ended = walk.command(
        (0,),
        *("events", "add", step.subject.tenant, step.word, "--subject", step.subject.ids[space]),
        *walk._as(step.subject),
        *([] if step.pipeline is None else ["--pipeline", step.pipeline]),
    )
    if ended.code == 0:
        walk.truth.loose.add(step.subject)
        if step.word in REMOVING:
            walk.due.append(Removal(step.subject, space, walk._fields(step.subject)))


def _close(walk: Walk, step: Step) -> None:
    """A tenant leaves, and the next expiry removes all of it."""
    assert step.word is not None
    walk.command((0,), "events", "add", step.word, "tenant_closed")
    walk.truth.leaving.add(step.word)


def _expire(walk: Walk, step: Step) -> None:
    for pipeline in walk.pipelines:
        walk.command((0,), "expire", walk.service.output(pipeline), "--yes")
    walk.truth.removed_by_event += walk.due
    walk.due = []
    walk.truth.closed |= walk.truth.leaving


def _rerun(walk: Walk, step: Step) -> None:
    assert step.pipeline is not None
    walk.command((0,), "run", walk.service.pipelines / step.pipeline, "--json", "--date", LATE_DATE)


def _late(walk: Walk, step: Step) -> None:
    """A record of the first date comes late, and the date is run again."""
    assert step.subject is not None
    assert step.pipeline is not None
    subject, dataset = step.subject, PIPELINES[step.pipeline]
    if isinstance(subject, Device):
        person, device = subject.users[0], subject
    else:
        own = [each for each in devices() if subject in each.users]
        if not own:
            return
        person, device = subject, own[0]
    came = walk.truth.late.setdefault(dataset, [])
    number = len(came)
    if number >= 12:
        return
    record = late_record(dataset, person, device, number)
    walk.service.write_records(dataset, f"late-{number}", [record])
    came.append(record)
    for pipeline in walk.pipelines:
        if PIPELINES[pipeline] == dataset:
            _rerun(walk, Step("rerun", pipeline=pipeline))


def _retract(walk: Walk, step: Step) -> None:
    assert step.pipeline is not None
    walk.command((0,), "retract", walk.service.output(step.pipeline), "--yes")


STEPS: Final[dict[str, Callable[[Walk, Step], None]]] = {
    "delete": _remove,
    "restrict": _remove,
    "lift": _lift,
    "view": _look,
    "export": _look,
    "correct": _correct,
    "event": _event,
    "close": _close,
    "expire": _expire,
    "rerun": _rerun,
    "late": _late,
    "retract": _retract,
}


def _searchable(kind: type[Subject]) -> tuple[str, ...]:
    fields = PERSON_FIELDS if kind is Person else {**DEVICE_FIELDS, **LIST_SPACES}
    return tuple(dict.fromkeys(fields.values()))


SPACES_OF: Final[dict[type[Any], tuple[str, ...]]] = {
    Person: ("user", "directory_user", "principal", "apple_id", "managed_apple_id", "apple_number", "google_user"),
    Device: ("device", "directory_device", "serial", "udid", "imei", "meid", "jamf", "management"),
}
"""The id spaces under which a deletion of everything asks."""


def walked(service: Service, truth: Truth, steps: list[Step], *, by_field: bool = False) -> Walk:
    """A sequence from its first step to the deletion of all whose deletion was asked, with every check."""
    walk = Walk(service, truth, by_field)
    for step in steps:
        walk.do(step)
    for subject in dict.fromkeys(each.subject for each in truth.removed):
        walk.done.append(f"forget {type(subject).__name__}({subject.number})")
        walk.forget(subject)
    walk.check()
    walk.check_states()
    walk.sweep()
    return walk
