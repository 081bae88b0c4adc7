"""Data minimization for device telemetry: collect what is allowed, keep it coarse, prove it with a receipt.

The rooms of the house, from the door down; each may use what stands below it:

    cli · pandas                            thin faces: parse, one call, print; the data frame accessor
    catalog                                 what is processed: a data catalogue, the record of processing
    door                                    outputs read by those who hold no key, through a server or in the process
    report                                  what came in and went out, for people: a page, facts, a few lines
    exchange                                policies from, and in, the formats of others: JSON Schema, ODCS, OpenLineage
    governance                              outputs after they were written: what must go, and when
    job · minimizer · inspection · codes    pipeline → receipt; data in memory; what can be said before a run; all codes
    verifying · indexing                    what a crash left is settled, then verification; the index of runs
    anchoring · auditing                    the end of a chain of receipts beside the ledger; the audit log
    verification                            an output re-checked, sharing no code with the techniques
    drafting                                a first policy from data that was found: everything dropped, and proposals
    engines                                 they only move batches
    stages                                  gate → deduplicate → generalize → release
    consent                                 what tenants agreed to, over time
    recipients                              third parties as files, and what may go to them or come from them
    plan                                    policy × schema × purpose, and every check that needs no data
    policy                                  policy and pipeline files: model, load, lint
    techniques · aggregates · samples       one technique a file; measures as tallies; generated data
    settings                                who may be collected when
    io                                      sources, sinks, crash-safe publication, quarantine
    ledger                                  runs, leases, and the audit log that only grows
    receipt                                 signed and chained accounts
    spill                                   a budget for tallies, and sealed space on disk beyond it
    keys                                    the keyring
    scrub · stage · nested                  no hidden bytes; a batch on its way; leaves of nested columns
    stores                                  folders on disk and prefixes in object stores
    pointer · times · errors · records      JSON Pointer; aware UTC; the tree of errors; how frozen dataclasses are made
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from minimize.registry import load_object

if TYPE_CHECKING:
    from minimize.errors import MinimizeError, VerificationError
    from minimize.governance.sharing import receive, share
    from minimize.keys import Keyring
    from minimize.output.read_api import files, read
    from minimize.policy.load import load_pipeline, load_policy
    from minimize.policy.model import Policy
    from minimize.receipts import Receipt
    from minimize.runs.inspection import lint, plan_for
    from minimize.runs.minimizer import Account, Minimizer, apply, prepare
    from minimize.runs.runner import run
    from minimize.runs.verify import verify
    from minimize.server import connect, open

__version__ = "0.1.0"

__all__ = [
    "Account",
    "Keyring",
    "MinimizeError",
    "Minimizer",
    "Policy",
    "Receipt",
    "VerificationError",
    "apply",
    "connect",
    "files",
    "lint",
    "load_pipeline",
    "load_policy",
    "open",
    "plan_for",
    "prepare",
    "read",
    "receive",
    "run",
    "share",
    "verify",
]

_HOMES = {
    "Account": "minimize.runs.minimizer.Account",
    "Keyring": "minimize.keys.Keyring",
    "MinimizeError": "minimize.errors.MinimizeError",
    "Minimizer": "minimize.runs.minimizer.Minimizer",
    "Policy": "minimize.policy.model.Policy",
    "Receipt": "minimize.receipts.Receipt",
    "VerificationError": "minimize.errors.VerificationError",
    "apply": "minimize.runs.minimizer.apply",
    "connect": "minimize.server.connect",
    "files": "minimize.output.read_api.files",
    "lint": "minimize.runs.inspection.lint",
    "load_pipeline": "minimize.policy.load.load_pipeline",
    "load_policy": "minimize.policy.load.load_policy",
    "open": "minimize.server.open",
    "plan_for": "minimize.runs.inspection.plan_for",
    "prepare": "minimize.runs.minimizer.prepare",
    "read": "minimize.output.read_api.read",
    "receive": "minimize.governance.sharing.receive",
    "run": "minimize.runs.run",
    "share": "minimize.governance.sharing.share",
    "verify": "minimize.runs.verify.verify",
}


def __getattr__(name: str) -> Any:
    """A public name, imported when it is first asked for, so that `import minimize` stays cheap."""
    if name not in _HOMES:
        raise AttributeError(f"module 'minimize' has no attribute {name!r}")
    value = load_object(_HOMES[name])
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
