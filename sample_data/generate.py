#!/usr/bin/env python3
"""Writes sample data: `python sample_data/generate.py device_telemetry --rows 3000 --out sample_data/device_telemetry`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from minimize.samples import FORMATS, NAMES, SEED, generate


def main(argv: Sequence[str] | None = None) -> None:
    """Parses, generates, prints the files written."""
    parser = argparse.ArgumentParser(description="Seeded sample data: the same arguments give the same bytes.")
    parser.add_argument("name", choices=NAMES)
    parser.add_argument("--rows", type=int, default=10_000, help="in all, spread over the dates (default: 10000)")
    parser.add_argument("--out", required=True, metavar="DIR")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument(
        "--date", action="append", default=[], metavar="YYYY-MM-DD", help="a batch date; may be given again"
    )
    parser.add_argument("--format", choices=FORMATS, default="ndjson.gz")
    asked = parser.parse_args(argv)
    paths = generate(asked.name, asked.rows, asked.out, seed=asked.seed, dates=asked.date, format=asked.format)
    sys.stdout.writelines(f"{path}\n" for path in paths)


if __name__ == "__main__":
    main()
