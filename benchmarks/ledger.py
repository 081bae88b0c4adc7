"""A ledger with many acts: opening, decisions, a history, recording and verification, on SQLite and PostgreSQL.

`python -m benchmarks.ledger` fills a ledger with a year of acts and measures. A filled ledger is kept and used again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any, Final

import click
import pyarrow as pa
from numpy.random import Generator, default_rng

from benchmarks.data.fleet import AT
from benchmarks.data.generate import SEED
from benchmarks.given import Given
from benchmarks.handing import recipient
from benchmarks.report import goal_table
from minimize.access import AccessRequest, DatasetColumn, UserAccount, decide_access
from minimize.access.entitlements import GrantRequest
from minimize.consent import Consents, current_terms
from minimize.keys import Keyring, new_keyring
from minimize.ledger import Actor, Address, AuditActivity, Resource, find_ledger
from minimize.ledger.act_log import check_acts
from minimize.ledger.acts import Decision, NewAct
from minimize.ledger.audit_check import check_whole_log
from minimize.ledger.audit_event import utc_text
from minimize.ledger.kinds import CONSENT, GRANT, SETTING, ConsentAct, GrantAct, RecordedSetting, find_consents
from minimize.ledger.ledger import Ledger, open_ledger
from minimize.ledger.subject_kinds import LIFECYCLE_EVENT, LifecycleEvent
from minimize.server.authorizer import Authorizer
from minimize.times import utc_now

ACTS_PER_TENANT, USERS, STEPS, BATCH = 200, 2_000, 3, 10_000
SINCE: Final = AT - timedelta(days=365)
FUNCTIONS: Final = tuple(f"function{number}" for number in range(20))
VENDOR: Final = recipient(["tenant_id", "event_time", "device_id", "model"], FUNCTIONS)
TERMS: Final = current_terms(VENDOR, FUNCTIONS[0]).text
CONSENT_STATES: Final = ("requested", "given", "given", "renewed", "withdrawn", "refused")
OPERATORS: Final = {"support_engineer": [f"user{number}" for number in range(USERS)], "privacy_officer": ["pia"]}
RULES: Final = {
    "version": 1,
    "assignments": [
        {"role": role, "members": {"users": users}, "scope": {"tenants": "all", "datasets": "all"}}
        for role, users in OPERATORS.items()
    ],
}
EVENT: Final = AuditActivity("benchmark", component="benchmark", category="configuration").event(
    "record", Actor("user", user="ann"), AT, Resource("acts", "acts", "acts")
)
WANTED: Final = AccessRequest("telemetry", (DatasetColumn("phone_number", "identified"),), "customer_support")
GOALS: Final = {"decision by a consent": 5.0, "consents of a tenant": 10.0}
"""Milliseconds at most, by what is measured."""
Figures = dict[str, list[float]]
"""Milliseconds of each repetition, by what is measured."""


def seeded_acts(count: int) -> Iterator[NewAct]:
    """Of 20 acts 13 are about consents, 4 about settings, 2 about grants and 1 about a subject."""
    drawn = default_rng(SEED).integers(0, 2**31, (count, 2)).tolist()
    for number, (one, other) in enumerate(drawn):
        at, place = SINCE + timedelta(days=365) * number / count, number % 20
        tenant = f"tenant{one % (count // ACTS_PER_TENANT)}"
        if place < 13:
            state = CONSENT_STATES[other % len(CONSENT_STATES)]
            yield CONSENT.act(consent_act(tenant, FUNCTIONS[other // 100 % len(FUNCTIONS)], state, at))
        elif place < 17:
            feature, value = f"feature{other % 10}", ("on", "off")[other % 2]
            yield SETTING.act(RecordedSetting(tenant, None, feature, value, "admin", at, at), actor="ann")
        elif place < 19:
            yield GRANT.act(grant_act(number // 20 * 2 + place - 17))
        else:
            token = f"subject/1:{other:032x}"
            yield LIFECYCLE_EVENT.act(LifecycleEvent(tenant, token, "offboarded", at, "recorded", "[]", at, "ann"))


def consent_act(tenant: str, function: str, state: str, at: datetime) -> ConsentAct:
    """An act about the consent of a tenant, without an end."""
    return ConsentAct(tenant, "vendor", function, state, TERMS, "ann", at, None, at)


def grant_act(number: int) -> GrantAct:
    """One of the steps of a grant: of the first grant, of the second, and so on."""
    grant, step = divmod(number, STEPS)
    at = AT - timedelta(hours=1)
    request = GrantRequest(
        incident=f"INC-{grant}",
        justification="a device does not report",
        dataset="telemetry",
        tenants=("tenant0",),
        duration=timedelta(hours=8),
        category="identified",
        role="support_engineer",
    )
    steps: tuple[tuple[str, str, dict[str, Any]], ...] = (
        ("requested", f"user{grant % USERS}", {"asked": request.to_json(), "answer_by": utc_text(AT)}),
        ("approved", "pia", {"ends_at": utc_text(at + timedelta(hours=8))}),
        ("reviewed", "pia", {}),
    )
    return GrantAct(f"grant{grant}", *steps[step], at)


def record(ledger: Ledger, acts: Iterable[NewAct], keys: Keyring) -> None:
    """Records acts and an audit event in one transaction."""
    ledger.record(lambda _: Decision(None, list(acts), [EVENT]), keys)


@dataclass(frozen=True)
class FilledLedger:
    """An open ledger of so many acts. Each method does one piece of work, for tenants and users that are drawn anew."""

    ledger: Ledger
    keys: Keyring
    authorizer: Authorizer
    acts: int
    draw: Generator

    @classmethod
    def of(cls, ledger: Ledger, folder: Path, acts: int) -> FilledLedger:
        """Fills a ledger, unless it has acts already."""
        keys = ledger.keyring
        new = seeded_acts(0 if ledger.last_id(CONSENT) else acts)
        while batch := list(islice(new, BATCH)):
            record(ledger, batch, keys)
        return cls(ledger, keys, Authorizer(folder / "access.yaml", ledger, utc_now), acts, default_rng(SEED))

    def open(self) -> None:
        """Opens the ledger once more."""
        open_ledger(self.ledger.address).close()

    def prove(self) -> None:
        """Proves all acts, as each command does that reads some."""
        self.ledger.read(partial(check_acts, verifier=self.keys))

    def decide_by_consent(self) -> None:
        """Decides whether a tenant agreed to a function."""
        tenant, function = self.tenant(), self.function()
        found = self.ledger.find(CONSENT, key=f"vendor/{function}", tenant=tenant, verifier=self.keys)
        Consents(tuple(found)).effective_at(AT).evaluate(VENDOR, function, pa.array([tenant]))

    def find_consents(self) -> None:
        """Reads all acts about consents of a tenant."""
        assert find_consents(self.ledger, tenant=self.tenant())

    def record_consent(self) -> None:
        """Records one act about a consent."""
        record(self.ledger, [CONSENT.act(consent_act(self.tenant(), self.function(), "given", AT))], self.keys)

    def decide_by_grant(self) -> None:
        """Decides about data by a grant."""
        grant = self.draw.integers(self.acts // 10 // STEPS)
        access, grants = self.authorizer.access(), self.authorizer.grants()
        wanted = replace(WANTED, incident=f"INC-{grant}")
        assert decide_access(access, grants, UserAccount(f"user{grant % USERS}"), wanted, AT).allowed

    def request_grant(self) -> None:
        """Records a request for access."""
        record(self.ledger, [GRANT.act(grant_act(int(self.draw.integers(10**9)) * STEPS))], self.keys)

    def verify(self) -> None:
        """Verifies the audit log and the acts."""
        assert check_whole_log(self.ledger, self.keys).ok

    def tenant(self) -> str:
        """A tenant, drawn anew."""
        return f"tenant{self.draw.integers(self.acts // ACTS_PER_TENANT)}"

    def function(self) -> str:
        """A function of the recipient, drawn anew."""
        return FUNCTIONS[self.draw.integers(len(FUNCTIONS))]


WORK: Final[Mapping[str, Callable[[FilledLedger], None]]] = {
    "opening": FilledLedger.open,
    "proof of all acts": FilledLedger.prove,
    "decision by a consent, first": FilledLedger.decide_by_consent,
    "decision by a consent": FilledLedger.decide_by_consent,
    "consents of a tenant, first": FilledLedger.find_consents,
    "consents of a tenant": FilledLedger.find_consents,
    "recording of a consent": FilledLedger.record_consent,
    "decision by a grant": FilledLedger.decide_by_grant,
}
"""Each piece of work begins with the same tenants, so that what was read first from the disk is in memory the second time."""


def measured(address: Address, folder: Path, acts: int, repeats: int) -> Figures:
    """Milliseconds of each repetition, by what is measured."""
    with open_ledger(address, create=True, verifier=Keyring.load(folder / "keys")) as ledger:
        filled = FilledLedger.of(ledger, folder, acts)
        verified = milliseconds(filled.verify)
        times = {
            "verification of 1,000 acts": [1_000 * verified / acts],
            "first decision by a grant": [milliseconds(filled.decide_by_grant)],
        }
        for name, work in WORK.items():
            same = replace(filled, draw=default_rng(SEED))
            times[name] = [milliseconds(partial(work, same)) for _ in range(repeats)]
        after = times["decision by a grant after a request"] = []
        for _ in range(repeats):
            filled.request_grant()
            after.append(milliseconds(filled.decide_by_grant))
        return times


def milliseconds(work: Callable[[], None]) -> float:
    """The wall time of a piece of work."""
    start = time.perf_counter()
    work()
    return (time.perf_counter() - start) * 1_000


def goals(figures: Mapping[str, Figures]) -> list[dict[str, Any]]:
    """The goals of each database, with the medians that were reached."""
    return [
        {"about": f"{database}: {name}, ms", "goal": goal, "reached": median(times[name])}
        for database, times in figures.items()
        for name, goal in GOALS.items()
    ]


def lines(figures: Mapping[str, Figures]) -> str:
    """The medians, with the smallest and the largest figure."""
    told = [f"{'milliseconds':40}" + "".join(f"{database:>38}" for database in figures)]
    for name in next(iter(figures.values())):
        cells = (
            f"{median(times[name]):,.2f} ({min(times[name]):,.2f} to {max(times[name]):,.2f})"
            for times in figures.values()
        )
        told.append(f"{name:40}" + "".join(f"{cell:>38}" for cell in cells))
    return "\n".join(told)


@click.command()
@click.option("--acts", default=1_000_000, show_default=True, help="Acts in the ledger.")
@click.option("--repeats", default=200, show_default=True, help="Repetitions of each piece of work.")
@click.option("--postgres", help="URL of a database for a second ledger, empty or filled by an earlier call.")
@click.option("--data", default="out/benchmarks", show_default=True, type=click.Path(path_type=Path))
def main(acts: int, repeats: int, postgres: str | None, data: Path) -> None:
    """Measures a ledger with many acts."""
    given = Given(data.absolute() / f"ledger-{acts}")
    if not given.done:
        with given.made():
            new_keyring(given.folder / "keys", now=AT)
            (given.folder / "access.yaml").write_text(json.dumps(RULES))
    places = {"SQLite": find_ledger(given.folder / "ledger.db")}
    if postgres is not None:
        places["PostgreSQL"] = find_ledger(postgres)
    figures = {name: measured(place, given.folder, acts, repeats) for name, place in places.items()}
    click.echo(lines(figures) + "\n\n" + goal_table(goals(figures)))


if __name__ == "__main__":
    main()
