"""`python -m tests.differential`: the last landed version and the working tree on the same random cases, compared."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.differential.compare import Difference, Intended, applicable, intended
from tests.differential.pair import Compared, Pair, pair
from tests.differential.random_cases import Case, make_case
from tests.differential.shrink import shrunk
from tests.differential.versions import default_revision, version_of, working_tree

LINES = 10
"""How many differences of a case are printed."""
MOST_PATHS = 20
"""How many paths the summary lists, the most frequent first."""
SHRUNK = 3
"""How many cases are shrunk."""


@dataclass
class Tally:
    """What was found in all cases."""

    cases: int = 0
    failed: list[int] = field(default_factory=list)
    paths: Counter[str] = field(default_factory=Counter)
    """In how many cases a path differs."""
    covered: Counter[Intended] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    refusals: int = 0
    internal: dict[str, list[int]] = field(default_factory=dict)
    cross: dict[str, list[int]] = field(default_factory=dict)


def main(words: Sequence[str] | None = None) -> int:
    """Compares, prints what differs, and gives the exit code: 1 if something does."""
    asked = _parser().parse_args(words)
    against = asked.against or default_revision()
    keep = None if asked.keep is None else Path(asked.keep).resolve()
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
    numbers = asked.only or range(asked.cases)
    with tempfile.TemporaryDirectory(prefix="differential-") as name:
        folder = Path(name)
        old, new = version_of(against, folder / "old"), working_tree()
        entries = applicable(intended(), old.revision)
        say(f"old: {old.label}; new: {new.label}; seed {asked.seed}, {len(numbers)} cases")
        started = time.monotonic()
        with pair(old, new, folder / "work") as both:
            tally = Tally()
            with suppress(KeyboardInterrupt):  # what was found until then is printed
                for number in numbers:
                    case = make_case(asked.seed, number)
                    found = _compared(both, case, entries, tally, cross=asked.cross, keep=keep)
                    if found and asked.shrink and len(tally.failed) <= SHRUNK:
                        _shrink(both, case, found[0], keep)
        summary(tally, entries, time.monotonic() - started)
    return 1 if tally.failed else 0


def _compared(
    both: Pair, case: Case, entries: Sequence[Intended], tally: Tally, *, cross: bool, keep: Path | None
) -> list[Difference]:
    """Compares one case and prints its differences. Gives those that are not intended."""
    compared = both.compare(case, cross=cross, keep=keep)
    note(compared, case.number, tally)
    tally.cases += 1
    found = []
    for difference in compared.differences:
        entry = next((entry for entry in entries if entry.covers(difference, case.traits)), None)
        if entry is None:
            found.append(difference)
        else:
            tally.covered[entry] += 1
    if found:
        tally.failed.append(case.number)
        tally.paths.update({difference.path for difference in found})
        describe(case, found)
    return found


def _shrink(both: Pair, case: Case, difference: Difference, keep: Path | None) -> None:
    smaller = shrunk(case, lambda less: any(each.path == difference.path for each in both.compare(less).differences))
    fields = ", ".join(smaller.policy["fields"])
    say(
        f"  shrunk to {smaller.rows} records, {len(smaller.runs)} runs, {len(smaller.settings)} settings; fields: {fields}"
    )
    again = both.compare(smaller, keep=None if keep is None else keep / "shrunk")
    for each in again.differences[:LINES]:
        say(f"    {each}")


def note(compared: Compared, number: int, tally: Tally) -> None:
    """Takes down what is no difference: refusals, internal errors, what one version says of the other's output."""
    if compared.refused:
        tally.refusals += 1
        tally.refused.update(compared.refused)
    for each in compared.internal:
        tally.internal.setdefault(each, []).append(number)
    for each in compared.cross:
        tally.cross.setdefault(each, []).append(number)


def describe(case: Case, found: Sequence[Difference]) -> None:
    """Prints the differences of a case, and what is in it."""
    say(f"case {case.number} of seed {case.seed} differs ({len(found)} parts); {', '.join(case.traits)}")
    for each in found[:LINES]:
        say(f"  {each}")
    if len(found) > LINES:
        say(f"  … and {len(found) - LINES} more")


def summary(tally: Tally, entries: Sequence[Intended], seconds: float) -> None:
    """Prints the figures of all cases."""
    codes = ", ".join(f"{code} {times}" for code, times in tally.refused.most_common())
    say(f"{tally.cases} cases in {seconds:.0f} s; both versions refused {tally.refusals} ({codes or 'none'})")
    for title, notes in (("internal error", tally.internal), ("cross verification", tally.cross)):
        for text, numbers in notes.items():
            say(f"{title} in {len(numbers)} cases ({', '.join(map(str, numbers[:8]))}): {text}")
    for entry in entries:
        if not tally.covered[entry]:
            say(f"stale: no difference matches the intended entry since {entry.since}: {entry.why}")
    for entry, times in tally.covered.items():
        say(f"intended, {times} differences: {entry.why}")
    for path, times in tally.paths.most_common(MOST_PATHS):
        say(f"differs in {times} cases: {path}")
    say(f"{len(tally.failed)} cases differ: {', '.join(map(str, tally.failed)) or 'none'}")


def say(text: str) -> None:
    """Prints a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.differential", description=__doc__)
    parser.add_argument(
        "--against", metavar="REF_OR_WHEEL", help="a git revision or a wheel (the last landed revision)"
    )
    parser.add_argument("--cases", type=int, default=200, metavar="N", help="how many cases (200)")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="what they are made from (1)")
    parser.add_argument("--only", type=int, nargs="+", metavar="NUMBER", help="only these of the cases")
    parser.add_argument("--keep", metavar="DIR", help="keep the folders of cases that differ")
    parser.add_argument(
        "--shrink", action=argparse.BooleanOptionalAction, default=True, help="shrink the first cases that differ (yes)"
    )
    parser.add_argument(
        "--cross", action=argparse.BooleanOptionalAction, default=True, help="verify each other's output (yes)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
