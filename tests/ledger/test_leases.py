"""One run at a time writes to an output; who died is not waited for, who lives loses nothing."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial

import pytest

from minimize.errors import LedgerError
from minimize.ledger.database import Connection
from minimize.ledger.leases import (
    Heartbeat,
    Lease,
    LeaseClock,
    LeaseHolder,
    LeaseTiming,
    heartbeat_thread_name,
    lease_held_error,
    lease_holder,
    record_heartbeat,
    release_lease,
    renew_lease,
    take_lease,
)
from minimize.ledger.ledger import Ledger
from tests.ledger.ledgers import NOW

PACE = LeaseTiming(timedelta(seconds=10), timedelta(seconds=60), timedelta(seconds=25))


@dataclass
class Hands:
    """A clock whose hands a test moves; `meanwhile` happens each time somebody waits."""

    time: datetime = NOW
    passed: float = 0.0
    meanwhile: Callable[[], object] = field(default=lambda: None)
    over: threading.Event = field(default_factory=threading.Event)

    def sleep(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)
        self.passed += seconds
        self.meanwhile()

    @property
    def clock(self) -> LeaseClock:
        return LeaseClock(lambda: self.time, lambda: self.passed, self.sleep)


def taken(ledger: Ledger, run_id: str, hands: Hands, output: str | None = None) -> Lease:
    """The lease. As in a run it has a thread for heartbeats, which never sends one: without it the run counts as ended."""

    def begun(connection: Connection, lease: Lease) -> None:
        name = heartbeat_thread_name(lease.output, lease.token)
        threading.Thread(target=hands.over.wait, name=name, daemon=True).start()

    return take_lease(ledger, output or here(ledger), run_id, begun, pace=PACE, clock=hands.clock)


def here(ledger: Ledger) -> str:
    """An output that no other test has."""
    return hashlib.sha256(str(ledger.address).encode()).hexdigest()[:32]


def holder(ledger: Ledger) -> LeaseHolder | None:
    return ledger.read(partial(lease_holder, output=here(ledger)))


def elsewhere(ledger: Ledger) -> None:
    """Lets the holder be on another host, where nobody sees whether it lives."""
    ledger.write(lambda connection: connection.execute("UPDATE leases SET host = 'far', machine = 'another boot'"))


def died(ledger: Ledger) -> None:
    """Lets the holder be a process of this machine that has ended."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    ledger.write(lambda connection: connection.execute("UPDATE leases SET pid = :pid", pid=ended.pid))


def test_a_lease_is_taken_and_let_go(ledger: Ledger) -> None:
    lease = taken(ledger, "one", Hands())
    assert (lease.token, lease.before) == (1, None)
    ledger.write(partial(release_lease, lease=lease))
    assert holder(ledger) is None
    assert taken(ledger, "two", Hands()).token == 2


def test_a_second_run_is_refused_with_the_holder_of_the_lease(ledger: Ledger) -> None:
    taken(ledger, "one", Hands())
    with pytest.raises(LedgerError) as raised:
        taken(ledger, "two", Hands(NOW + timedelta(seconds=5)))
    found = holder(ledger)
    assert found is not None
    assert (raised.value.code, raised.value.exit_code) == ("E207", 2)
    host = found.process.host
    expected = (
        f"another run is writing to this output: one on {host} (process {os.getpid()}), since 2026-11-25T00:00:00Z"
    )
    assert raised.value.message == expected
    assert str(lease_held_error(found)) == str(raised.value)


def test_another_output_is_free(ledger: Ledger) -> None:
    taken(ledger, "one", Hands())
    assert taken(ledger, "two", Hands(), "b" * 32).token == 1


def test_a_dead_process_of_this_machine_is_recognized_immediately(ledger: Ledger) -> None:
    taken(ledger, "one", Hands())
    died(ledger)
    hands = Hands(NOW + timedelta(seconds=1))
    lease = taken(ledger, "two", hands)
    assert (lease.token, lease.before, hands.passed) == (2, "one", 0.0)


def test_a_pid_that_came_again_is_not_the_holder(ledger: Ledger) -> None:
    taken(ledger, "one", Hands())
    ledger.write(lambda connection: connection.execute("UPDATE leases SET born = born - 1"))
    assert taken(ledger, "two", Hands()).before == "one"


def test_a_holder_elsewhere_that_beat_lately_is_not_doubted(ledger: Ledger) -> None:
    taken(ledger, "one", Hands())
    elsewhere(ledger)
    hands = Hands(NOW + timedelta(seconds=59))
    with pytest.raises(LedgerError, match="one on far"):
        taken(ledger, "two", hands)
    assert hands.passed == 0.0


def test_a_holder_elsewhere_that_fell_silent_is_taken_over(ledger: Ledger) -> None:
    first = taken(ledger, "one", Hands())
    elsewhere(ledger)
    hands = Hands(NOW + timedelta(seconds=61))
    lease = taken(ledger, "two", hands)
    assert (lease.token, lease.before) == (2, "one")
    assert hands.passed >= 25.0
    with pytest.raises(LedgerError, match="was lost to the run two"):
        ledger.write(partial(renew_lease, lease=first, now=NOW))


@pytest.mark.parametrize("jump", [timedelta(days=1), timedelta(days=-1)])
def test_a_clock_that_jumps_takes_no_lease_from_who_beats(ledger: Ledger, jump: timedelta) -> None:
    first = taken(ledger, "one", Hands())
    elsewhere(ledger)
    hands = Hands(NOW + jump)
    hands.meanwhile = lambda: ledger.write(partial(record_heartbeat, lease=first, now=NOW))
    with pytest.raises(LedgerError, match="another run is writing"):
        taken(ledger, "two", hands)
    ledger.write(partial(renew_lease, lease=first, now=NOW))


def test_a_clock_that_went_back_does_not_keep_a_dead_holder(ledger: Ledger) -> None:
    taken(ledger, "one", Hands())
    elsewhere(ledger)
    assert taken(ledger, "two", Hands(NOW - timedelta(days=1))).before == "one"


def test_of_two_that_find_a_dead_holder_one_takes_the_lease(ledger: Ledger) -> None:
    taken(ledger, "one", Hands())
    died(ledger)

    def tries(number: int) -> str:
        try:
            return taken(ledger, f"run {number}", Hands()).run_id
        except LedgerError as error:
            return "" if error.code == "E207" else error.code

    with ThreadPoolExecutor(6) as pool:
        winners = [name for name in pool.map(tries, range(6)) if name]
    found = holder(ledger)
    assert found is not None
    assert winners == [found.run_id]


def test_of_many_that_come_first_one_takes_the_lease(ledger: Ledger) -> None:
    def tries(number: int) -> bool:
        try:
            return taken(ledger, f"run {number}", Hands()).token == 1
        except LedgerError as error:
            return error.code != "E207"

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(tries, range(6))) == 1


def test_a_process_that_lost_the_lease_neither_renews_nor_releases_it(ledger: Ledger) -> None:
    first = taken(ledger, "one", Hands())
    died(ledger)
    taken(ledger, "two", Hands())
    assert not ledger.write(partial(record_heartbeat, lease=first, now=NOW))
    ledger.write(partial(release_lease, lease=first))
    found = holder(ledger)
    assert found is not None
    assert found.run_id == "two"


def test_a_lease_that_a_run_of_this_process_could_not_let_go_is_taken_over(ledger: Ledger) -> None:
    hands = Hands()
    first = taken(ledger, "one", hands)
    hands.over.set()
    while heartbeat_thread_name(here(ledger), 1) in {thread.name for thread in threading.enumerate()}:
        pass
    lease = taken(ledger, "two", Hands())
    assert (lease.token, lease.before) == (2, "one")
    assert not ledger.write(partial(record_heartbeat, lease=first, now=NOW))


def test_work_begun_with_a_lease_is_undone_with_it(ledger: Ledger) -> None:
    def stopped(connection: Connection, lease: Lease) -> None:
        raise LookupError

    with pytest.raises(LookupError):
        take_lease(ledger, here(ledger), "one", stopped, pace=PACE, clock=Hands().clock)
    assert holder(ledger) is None


def test_a_heart_beats_until_its_block_ends(ledger: Ledger) -> None:
    lease = taken(ledger, "one", Hands())
    pace = replace(PACE, beat=timedelta(milliseconds=20))
    with Heartbeat(ledger, lease, pace, LeaseClock()):
        while (found := holder(ledger)) is None or found.beat < 3:
            pass
    found = holder(ledger)
    assert found is not None
    assert found.beat_at > NOW


def test_a_heart_whose_lease_was_lost_stops(ledger: Ledger) -> None:
    lease = taken(ledger, "one", Hands())
    died(ledger)
    taken(ledger, "two", Hands())
    with Heartbeat(ledger, lease, replace(PACE, beat=timedelta(milliseconds=5)), LeaseClock()) as heart:
        heart._thread.join(60)
        assert not heart._thread.is_alive()
    found = holder(ledger)
    assert found is not None
    assert found.beat == 0
