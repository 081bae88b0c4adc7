"""`minimize sample`: generated sample data."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from functools import partial
from typing import Any, Final

import click

from minimize.cli.options import OPTIONS
from minimize.cli.printing import with_write_errors
from minimize.cli.usage_errors import USAGE_ERROR
from minimize.cli.verb import examples, verb
from minimize.errors import ConfigurationError
from minimize.results import Printable, WrittenFiles
from minimize.text import did_you_mean

DEMO: Final = "demo"
"""The name of the invented organization, next to the names of samples."""
LEAST_DEMO_ROWS: Final = 200
"""With fewer records, the user and the devices that the organization names may have none."""


@examples(
    "minimize sample demo --output demo",
    "minimize sample device_telemetry --rows 10000 --date 2026-11-24 --output data",
)
@verb(
    "sample",
    click.Argument(["name"]),
    click.Option(["--rows"], type=click.IntRange(min=0), help="Number of records. [default: 10000; 3000 for demo]"),
    OPTIONS["--output"](param_decls=["--output", "out"], required=True, help="Write to this folder."),
    click.Option(["--seed"], type=int, default=1, show_default=True, help="Seed of the generator."),
    OPTIONS["--date"](param_decls=["--date", "dates"], multiple=True, help="Batch date, YYYY-MM-DD. Repeatable."),
    click.Option(
        ["--format"],
        metavar="SUFFIX",
        default="ndjson.gz",
        show_default=True,
        help="Format of the files, by their suffix.",
    ),
)
def sample_command(
    now: datetime, name: str, out: str, rows: int | None, dates: Sequence[date], **arguments: Any
) -> Printable:
    """Generate the sample data NAME. The same seed gives the same data.

    All samples have the same tenants, users and devices. The name `demo` stands for a whole invented organization: a keyring, the
    configuration, all shipped pipelines with records of yesterday, settings, consents and contacts.

    \b
    device_telemetry    check-ins of managed devices
    usage_events        actions of users in the client application
    device_inventory    identity of each device
    hardware_inventory  hardware of devices
    app_inventory       the applications on devices
    enrollments         attempts to enrol devices
    managed_apps        check-ins of managed applications
    audit_events        actions of administrators
    administrators      the accounts of administrators
    console_usage       actions of administrators in the console
    support_cases       messages to and from the help desk
    site_summary        weekly summaries of the on-premises product

    Records sent to third parties, by recipient and function:

    \b
    apple_device_enrollment    apple_push               apple_volume_purchase
    google_android_management  support_desk_cases       threat_defense_app_sync

    Records received from third parties, by recipient and function:

    \b
    apple_push_authenticate       apple_push_token_update     apple_push_checkout
    apple_push_commands           apple_volume_purchase_sync  apple_device_enrollment_sync
    google_android_management_sync  jamf_compliance           threat_defense_threat_state
    """
    from minimize_samples import FORMATS, NAMES, generate

    _check_word("NAME", name, (DEMO, *NAMES))
    _check_word("`--format`", arguments["format"], FORMATS)
    if name == DEMO:
        return _write_demo(out, now, rows, dates)
    request = partial(generate, name, out=out, rows=10_000 if rows is None else rows, dates=dates, **arguments)
    return WrittenFiles(with_write_errors(out, request), prefix="")


def _check_word(kind: str, word: str, choices: Sequence[str]) -> None:
    if word not in choices:
        hint = did_you_mean(word, choices, f"Use one of: {', '.join(choices)}." if len(choices) > 25 else "")
        raise ConfigurationError(f"unknown {kind} `{word}`", code=USAGE_ERROR, hint=hint)


def _write_demo(out: str, now: datetime, rows: int | None, dates: Sequence[date]) -> Printable:
    from minimize_samples.demo import create_demo

    if rows is not None and rows < LEAST_DEMO_ROWS:
        message = f"`--rows` must be a whole number from {LEAST_DEMO_ROWS} for {DEMO}"
        raise ConfigurationError(message, code=USAGE_ERROR, hint="Its user and devices need records.")
    chosen = {} if rows is None else {"rows": rows}
    return with_write_errors(out, partial(create_demo, out, now=now, day=max(dates, default=None), **chosen))
