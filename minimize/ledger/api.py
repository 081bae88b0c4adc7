"""The functions and classes of the ledger that use its database, each imported when it is first used.

Importing SQLAlchemy takes longer than most work on data. Other packages import this module, and the modules of the ledger that
do not import SQLAlchemy. So a command that needs no ledger does not load it:

    from minimize.ledger import api
    with api.open_ledger(address) as ledger:
        consents = ledger.find(CONSENT, tenant="acme")

Functions whose first argument is a connection are passed to `Ledger.read` or `Ledger.write`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from minimize.ledger.access_log import begin_read, end_lost_reads, finish_read, read_begun_reads
    from minimize.ledger.audit_check import ExternalHead, check_whole_log, export_entries, find_entries
    from minimize.ledger.audit_truncation import export_truncated_entries, plan_truncation, truncate_log
    from minimize.ledger.database import server_time
    from minimize.ledger.leases import (
        Heartbeat,
        LeaseClock,
        LeaseTiming,
        SessionRun,
        release_lease,
        renew_lease,
        start_session,
        take_lease,
    )
    from minimize.ledger.ledger import open_ledger
    from minimize.ledger.runs import (
        IndexedOutput,
        compare_receipts,
        find_location,
        find_recorded_output,
        is_anchor_signed,
        ledger_difference,
        output_locations,
        rebuild_index,
        record_location,
        select_runs,
        select_runs_by_id,
    )

__all__ = [
    "ExternalHead",
    "Heartbeat",
    "IndexedOutput",
    "LeaseClock",
    "LeaseTiming",
    "SessionRun",
    "begin_read",
    "check_whole_log",
    "compare_receipts",
    "end_lost_reads",
    "export_entries",
    "export_truncated_entries",
    "find_entries",
    "find_location",
    "find_recorded_output",
    "finish_read",
    "is_anchor_signed",
    "ledger_difference",
    "open_ledger",
    "output_locations",
    "plan_truncation",
    "read_begun_reads",
    "rebuild_index",
    "record_location",
    "release_lease",
    "renew_lease",
    "select_runs",
    "select_runs_by_id",
    "server_time",
    "start_session",
    "take_lease",
    "truncate_log",
]

_MODULES: Final = ("ledger", "database", "runs", "leases", "access_log", "audit_check", "audit_truncation")


def __getattr__(name: str) -> Any:
    """Imports modules until one has the name. Later uses find it as a global."""
    for module in map(import_module, (f"minimize.ledger.{each}" for each in _MODULES if name in __all__)):
        if hasattr(module, name):
            found = globals()[name] = getattr(module, name)
            return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
