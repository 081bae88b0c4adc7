"""Checks the golden corpus, or with --update writes anew what it expects: python -m tests.golden [--update] [SCENARIO…]."""

from __future__ import annotations

import argparse
import sys
import time

from tests.golden.compare import EXPECTED, expected, report, update
from tests.golden.runner import SCENARIOS, play


def main() -> int:
    """Runs the scenarios named, else all. Exits with 1 if one of them differs from what is expected."""
    parser = argparse.ArgumentParser(prog="python -m tests.golden", description=__doc__)
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=", ".join(SCENARIOS))
    parser.add_argument("--update", action="store_true", help="write what the scenarios do now as what is expected")
    options = parser.parse_args()
    unknown = set(options.scenarios) - set(SCENARIOS)
    if unknown:
        parser.error(f"no such scenario: {', '.join(sorted(unknown))}")
    differ = 0
    for name in options.scenarios or SCENARIOS:
        started = time.perf_counter()
        record = play(name)
        seconds = time.perf_counter() - started
        if options.update:
            say = "updated" if update(name, record) else "as it was"
        else:
            say = report(name, expected(name), record) or "as expected"
            differ += say != "as expected"
        sys.stdout.write(f"{name} ({seconds:.1f} s): {say}\n")
    if options.update and not options.scenarios:
        for path in EXPECTED.glob("*.json"):
            if path.stem not in SCENARIOS:
                path.unlink()
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main())
