"""`minimize verify`: checks an output against its receipts, independently of the run."""

from __future__ import annotations

import json

import click

from minimize.cli import options
from minimize.cli.options import quiet
from minimize.cli.printing import print_findings


@click.command()
@click.argument("output", type=click.Path(file_okay=False))
@options.keys
@click.option("--public-key", type=click.Path(dir_okay=False), metavar="FILE", help="A public key (PEM) instead.")
@click.option(
    "--from-receipt",
    type=click.IntRange(min=1),
    default=1,
    metavar="N",
    help="Check what receipt N and later ones wrote; what was not checked is said (V070).",
)
@options.only_ledger
@quiet
@options.as_json
def verify_command(
    output: str, keys: str | None, public_key: str | None, from_receipt: int, ledger: str | None, as_json: bool
) -> int:
    """Re-check the set in force of OUTPUT against the chain of receipts and the policies they carry.

    The ledger, where there is one, says where the chain ends.
    """
    from minimize.runs.verify import check_output, verified_extent  # it imports Arrow, which `--help` does without

    findings = check_output(output, keys=keys, public_key=public_key, ledger=ledger, from_receipt=from_receipt)
    failed = any(finding.severity == "error" for finding in findings)
    if as_json:
        click.echo(json.dumps({"ok": not failed, "findings": [finding.as_json() for finding in findings]}, indent=2))
    else:
        print_findings(findings)
        click.echo("not verified" if failed else f"verified: {verified_extent(output, from_receipt)}")
    return 1 if failed else 0
