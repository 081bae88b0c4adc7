#!/usr/bin/env python3
"""Writes sample data: `python sample_data/generate.py device_telemetry --rows 3000 --out data`, or with `--all` this folder."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from minimize_samples import FORMATS, NAMES, SEED, generate

HERE = Path(__file__).parent
ROWS = {
    "device_telemetry": 880,
    "usage_events": 2800,
    "device_inventory": 806,
    "hardware_inventory": 1800,
    "app_inventory": 4400,
    "enrollments": 1600,
    "managed_apps": 1000,
    "audit_events": 1200,
    "administrators": 800,
    "console_usage": 1600,
    "support_cases": 1600,
    "site_summary": 1000,
    "apple_device_enrollment": 252,
    "apple_push": 250,
    "apple_volume_purchase": 250,
    "google_android_management": 250,
    "support_desk_cases": 250,
    "threat_defense_app_sync": 1600,
    "apple_push_authenticate": 250,
    "apple_push_token_update": 250,
    "apple_push_checkout": 250,
    "apple_push_commands": 250,
    "apple_device_enrollment_sync": 252,
    "apple_volume_purchase_sync": 250,
    "google_android_management_sync": 250,
    "jamf_compliance": 90,
    "threat_defense_threat_state": 110,
}
"""The records of each sample that is part of the repository."""


def main(argv: Sequence[str] | None = None) -> None:
    """Parses, generates, prints the files written."""
    parser = argparse.ArgumentParser(description="Seeded sample data: the same arguments give the same bytes.")
    parser.add_argument("name", nargs="?", choices=NAMES)
    parser.add_argument("--all", action="store_true", help="the samples of this folder, each in a folder of its name")
    parser.add_argument("--rows", type=int, default=10_000, help="in all, spread over the dates (default: 10000)")
    parser.add_argument("--out", metavar="DIR", help="required without --all")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument(
        "--date", action="append", default=[], metavar="YYYY-MM-DD", help="a batch date; may be given again"
    )
    parser.add_argument("--format", choices=FORMATS, default="ndjson.gz")
    asked = parser.parse_args(argv)
    if asked.all:
        for name, rows in ROWS.items():
            _print(generate(name, rows, Path(asked.out or HERE) / name))
    elif asked.name and asked.out:
        _print(generate(asked.name, asked.rows, asked.out, seed=asked.seed, dates=asked.date, format=asked.format))
    else:
        parser.error("give a name and --out, or --all")


def _print(paths: Sequence[Path]) -> None:
    sys.stdout.writelines(f"{path}\n" for path in paths)


if __name__ == "__main__":
    main()
