"""`verify`: checks an output again and compares it with the ledger."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from minimize.checkpoints import checkpoint
from minimize.datasets.ledger_check import ledger_disagreement
from minimize.datasets.reader import ensure_recovered, load_receipts, output_ledger
from minimize.errors import Finding, LedgerError, OutputError, describe_os_error, redact_errors
from minimize.keys import Keyring, PublicKeys, Verifier
from minimize.ledger import Address, find_ledger
from minimize.ledger.ledger import open_ledger
from minimize.ledger.runs import (
    REPUBLICATION,
    compare_receipts,
    find_location,
    find_recorded_output,
    is_anchor_signed,
    missing_receipts,
)
from minimize.ledger.schema import ledger_identity
from minimize.output.folder import identity_of
from minimize.receipts import Receipt, files_in_force
from minimize.results import JsonResult, Line
from minimize.stores import Location, LocationLike, PathText, parse_output_location
from minimize.text import count_noun
from minimize.verification import find_faults, require_no_errors, verifier_for
from minimize.verification.evidence import new_finding

if TYPE_CHECKING:
    from minimize.ledger.ledger import Ledger
    from minimize.ledger.runs import LogAgreement

NOT_ANCHORED = "V008"
_LEDGER_HINT = "Pass the output's own ledger. If it is lost, run `minimize runs adopt-ledger OUTPUT --reason TEXT`."
_MISSING_HINT: Final = (
    "Receipts were removed, or the output was restored from an older copy. Restore the newest copy. If there is none, run"
    " `minimize expire OUTPUT --yes` and `minimize subject status`, repeat what they name, and accept this copy with"
    " `minimize runs --rebuild --output OUTPUT`."
)
_NAMED: Final = 10
"""The number of missing receipts that a finding names."""


@dataclass(frozen=True, slots=True)
class OutputCheck:
    """A check of an output: the keys that verify signatures, the ledger that was passed, and the first receipt to check."""

    output: Location
    verifier: Verifier
    ledger: PathText | None = None
    from_receipt: int = 1

    def published_runs(self) -> frozenset[str]:
        """The ids of the published runs. A publication that a crash interrupted is first completed or undone."""
        return ensure_recovered(self.output, partial(output_ledger, self.output, self.ledger))

    def findings(self) -> list[Finding] | None:
        """The findings; None if a file was removed during the check. Raises OutputError if a file must not be read."""
        try:
            checkpoint("output.checked")
            return self._anchored(find_faults(self.output, self.verifier, self.from_receipt))
        except FileNotFoundError:
            return None
        except OSError as error:
            what, hint = describe_os_error(error)
        raise OutputError(f"the output cannot be checked: {what}", hint=hint)

    def _anchored(self, findings: list[Finding]) -> list[Finding]:
        """The findings, with the ledger's statement about the end of the chain instead of the warning that none was consulted
        (V008).

        The ledger is the one that was passed, else the one in effect for the output, if there is one. Raises LedgerError if a
        ledger was passed and cannot be used.
        """
        address = find_ledger(self.ledger, start=self.output, output=self.output)
        if self.ledger is None and not address.exists:
            return findings
        try:
            chain = load_receipts(self.output)
        except OutputError:
            chain = ()
        if not chain:  # already an error
            return findings
        return [finding for finding in findings if finding.code != NOT_ANCHORED] + self._compare(address, chain)

    def _compare(self, address: Address, chain: tuple[Receipt, ...]) -> list[Finding]:
        """The findings of a comparison with the ledger at an address."""
        try:
            with open_ledger(address, verifier=self.verifier) as ledger:
                return self._compare_open_ledger(ledger, chain)
        except LedgerError as error:
            if self.ledger is not None:
                raise
            message = f"no ledger confirms the last receipt: {error.message}"
        return [new_finding(NOT_ANCHORED, message, hint="Repair the ledger, and verify again.")]

    def _compare_open_ledger(self, ledger: Ledger, chain: tuple[Receipt, ...]) -> list[Finding]:
        known, stored_identity = ledger.read(partial(find_recorded_output, receipts=chain)), identity_of(self.output)
        copied = stored_identity is not None and ledger.read(partial(find_location, output=stored_identity)) is not None
        if known is not None and known != stored_identity and not copied:
            message = "the identity of the output differs from the one in the ledger"
            return [
                new_finding(
                    "V009",
                    message,
                    file="runs/.id",
                    hint="Restore the file. If the output is a copy, the next run gives it its own identity.",
                )
            ]
        identity = stored_identity if copied else known or stored_identity
        if identity is None:
            return [_unknown_output(ledger)]
        agreement = ledger.read(partial(compare_receipts, output=identity, chain=chain, verifier=self.verifier))
        if agreement.anchor is not None and not is_anchor_signed(agreement.anchor, self.verifier):
            entry = agreement.anchor.entry.sequence
            message = f"entry {entry} of the audit log, which concerns this output, is not signed with a known key"
            return [new_finding("V009", message, hint="Run `minimize audit verify` to check the whole log.")]
        wrong = ledger_disagreement(ledger, chain)
        if wrong:
            return [new_finding("V009", f"the ledger {ledger.address} {wrong}", hint=_LEDGER_HINT)]
        missing = ledger.read(partial(missing_receipts, output=identity, chain=chain))
        if missing:
            missing_text = _missing_text(sorted(missing.values()))
            agreed = [new_finding("V009", missing_text, file="runs", hint=_MISSING_HINT)]
        else:
            agreed = _agreement_findings(ledger, agreement)
        return [*agreed, *_republication_findings(ledger, chain)]


def _republication_findings(ledger: Ledger, chain: Sequence[Receipt]) -> Iterator[Finding]:
    """V053: void receipts that permit another release of exact statistics, although no second person confirmed it in the ledger
    that they name."""
    permits = [receipt for receipt in chain if receipt.republish]
    ledger_id = ledger.read(ledger_identity) if permits else ""
    for receipt in permits:
        acts = ledger.find(REPUBLICATION, key=receipt.voids)
        if (
            receipt.audit is not None
            and receipt.audit.ledger == ledger_id
            and not any(act.is_confirmed for act in acts)
        ):
            message = "the receipt permits another release of exact statistics, but the ledger has no act of two persons for it"
            yield new_finding("V053", message, file=f"runs/{receipt.run_id}/receipt.json")


def _missing_text(missing: Sequence[int]) -> str:
    numbers = ", ".join(map(str, missing[:_NAMED])) + (", …" if len(missing) > _NAMED else "")
    verb = "is" if len(missing) == 1 else "are"
    return f"{count_noun(len(missing), 'receipt')} that the ledger records {verb} missing from the output: {numbers}"


def _agreement_findings(ledger: Ledger, agreement: LogAgreement) -> list[Finding]:
    if agreement.state == "told":
        return []
    if agreement.state == "other":
        message = "receipts name entries of an audit log that the ledger does not have"
        return [
            new_finding(
                "V009", message, hint=f"Check that {ledger.address} is the output's ledger and not an older copy."
            )
        ]
    if agreement.state == "behind":
        missing = len(agreement.unrecorded)
        message = f"the ledger does not have the last {missing} receipts yet, so it does not confirm the last one"
        return [
            new_finding(
                NOT_ANCHORED, message, hint="Run the pipeline again; the run records the receipts in the ledger."
            )
        ]
    return [_unknown_output(ledger)]


def _unknown_output(ledger: Ledger) -> Finding:
    message = f"the ledger {ledger.address} does not have this output, so it does not confirm the last receipt"
    return new_finding(NOT_ANCHORED, message, hint="Run `minimize runs --rebuild --output DIR` to add it.")


TRIES: Final = 5


@redact_errors
def verify(
    output: LocationLike,
    *,
    keys: Keyring | PathText | None = None,
    public_key: PublicKeys | PathText | None = None,
    ledger: PathText | None = None,
    from_receipt: int = 1,
) -> None:
    """Checks the current files of an output against its receipts and the policies stored with them.

    The check shares no code with the run: it checks each signature and digest, the chain of receipts, the schema, and each value
    against the form that the policy states. It cannot find a result that is valid but belongs to another value.

    Args:
        output: The output folder, or the URI of an object store.
        keys: The keyring or its path. It or a public key is needed, because a receipt cannot prove its own origin.
        public_key: The public keys, or the path of a PEM file (`minimize keys public`), for a check without the keyring.
        ledger: The ledger that states where the chain of receipts ends (default: the one of the output). Without it, a removal
            of the last receipts is not detected.
        from_receipt: The sequence of the first receipt to check, for an output whose earlier receipts were already verified. The
            check then covers the signatures from this receipt on, the digests of the whole chain, and the content of the files
            that this and later receipts wrote. Of all other files only their existence is checked. A warning (V070) lists what
            was not checked.

    Raises:
        VerificationError: A check failed. The findings list all that failed, with codes `V…`.
        ConfigurationError: There is neither a keyring nor a public key.
        OutputError: The folder is no output, or another process is publishing into it.

    Example:
        In the folder that `minimize sample demo --out demo` makes:

        >>> import minimize
        >>> receipt = minimize.run("pipelines/device_telemetry", date=day)
        >>> minimize.verify("out/device_telemetry", keys="demo.keys")
    """
    require_no_errors(check_output(output, keys=keys, public_key=public_key, ledger=ledger, from_receipt=from_receipt))


def check_output(
    output: LocationLike,
    *,
    keys: Keyring | PathText | None = None,
    public_key: PublicKeys | PathText | None = None,
    ledger: PathText | None = None,
    from_receipt: int = 1,
) -> list[Finding]:
    """All findings about an output, including warnings; see `verify`. If a run publishes during the check, the output is checked
    again."""
    check = OutputCheck(parse_output_location(output), verifier_for(output, keys, public_key), ledger, from_receipt)
    for _ in range(TRIES):
        before = check.published_runs()
        findings = check.findings()
        if findings is not None and (not _has_errors(findings) or check.published_runs() == before):
            return findings
    raise OutputError("the output was changed during the check", hint="Wait until the run has ended, and check again.")


@dataclass(frozen=True, slots=True)
class Verification(JsonResult):
    """Result of a verification: the findings about an output, and the first receipt that was checked."""

    output: LocationLike
    findings: Sequence[Finding]
    from_receipt: int = 1
    json_names = "ok findings"

    @property
    def ok(self) -> bool:
        """Whether no check failed."""
        return not _has_errors(self.findings)

    @property
    def exit_code(self) -> int:
        """The exit code of `minimize verify`."""
        return 0 if self.ok else 1

    def lines(self) -> Iterator[Line]:
        """The findings and the verdict."""
        yield from self.findings
        yield f"verified: {self._extent()}" if self.ok else "not verified"

    def _extent(self) -> str:
        """The number of receipts, and of the files in force that they wrote."""
        chain = load_receipts(parse_output_location(self.output))
        checked = [receipt for receipt in chain if receipt.sequence >= self.from_receipt]
        written = {file.path for receipt in checked for output in receipt.outputs.values() for file in output.files}
        files = [file for group in files_in_force(chain).values() for file in group if file.path in written]
        since = "" if self.from_receipt == 1 else f" from {self.from_receipt} on"
        rows = count_noun(sum(file.rows for file in files), "row")
        return f"{count_noun(len(checked), 'receipt')}{since}, {count_noun(len(files), 'file')} in force, {rows}"


def verify_output(output: LocationLike, *, from_receipt: int = 1, **options: Any) -> Verification:
    """Checks an output like `check_output`, with the same arguments. Returns the result, which can be printed."""
    return Verification(output, check_output(output, from_receipt=from_receipt, **options), from_receipt)


def _has_errors(findings: Iterable[Finding]) -> bool:
    return any(finding.severity == "error" for finding in findings)
