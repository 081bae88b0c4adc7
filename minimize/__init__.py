"""Data minimization for device telemetry: collect what is allowed, keep it coarse, prove it with a receipt.

Layers, top down; each imports only what is listed below it:

    cli · pandas                          command line; data frame accessor
    codes                                 all stable codes
    report                                reports, data catalogue, record of processing
    server · review · interop             data access server; review of policies; formats of other tools
    governance                            consent, access, sharing, lifecycle events, data subjects, incidents
    removal                               removal from published outputs: expire, retract, key rotation, rewrites
    runs                                  resolve, execute and publish a run; backfill, replay, data in memory
    workspace                             ledger, output, pipeline, keyring and permission of a command
    linting · drafting                    lint of policies; drafts of policies
    datasets                              published outputs as everyone reads them
    access                                roles, grants, and the decision on one request
    verification                          independent re-check of an output
    engines · observability               move batches through a plan; emit lineage events and metrics
    stages                                gate → deduplicate → transform → release
    consent                               consents of tenants over time
    recipients                            third parties as files, and their rules
    plan                                  policy × schema × purpose, and every check that needs no data
    policy                                policy and pipeline files: model, load, checks
    settings                              collection settings over time
    aggregates · disclosure_risk          one measure of groups per file; one measure of disclosure risk per file
    output                                publication, recovery, readers, quarantine, subject index
    sources                               one source format per module
    ledger                                one database of everything that concerns more than one output
    receipts                              signed and chained receipts
    forms                                 YAML files as models
    techniques                            one technique per file
    spill                                 memory budget and encrypted spill files
    keys                                  keyring, master keys, encryption of Parquet columns
    records                               what passes between source, stages, sink and receipt
    arrow                                 work on columns that knows neither policies nor files
    config_search                         where `minimize.yaml` is found
    config                                `minimize.yaml`
    results                               results of commands, and their JSON form
    pages                                 pages and documents from templates
    stores                                folders on disk and prefixes in object stores
    patterns · identifiers                patterns of personal data in texts; canonical names of tenants and subjects
    times
    checkpoints · errors
    text
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from minimize.text import load_object

if TYPE_CHECKING:
    from minimize.datasets.reader import files, read
    from minimize.disclosure_risk.risk import risk
    from minimize.errors import MinimizeError, VerificationError
    from minimize.governance.sharing import receive, share
    from minimize.keys import Keyring
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
    "risk",
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
    "files": "minimize.datasets.reader.files",
    "lint": "minimize.runs.inspection.lint",
    "load_pipeline": "minimize.policy.load.load_pipeline",
    "load_policy": "minimize.policy.load.load_policy",
    "open": "minimize.server.open",
    "plan_for": "minimize.runs.inspection.plan_for",
    "prepare": "minimize.runs.minimizer.prepare",
    "read": "minimize.datasets.reader.read",
    "receive": "minimize.governance.sharing.receive",
    "risk": "minimize.disclosure_risk.risk.risk",
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
