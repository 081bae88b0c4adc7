"""What an incident names and nothing matches: a word that is written wrong must not look like nobody being affected."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from minimize.errors import MinimizeError
from minimize.governance.incidents.exposed import Exposed, Exposure
from minimize.governance.incidents.ground import Ground
from minimize.governance.incidents.incident import Incident
from minimize.governance.incidents.reached import means
from minimize.switching import House


def nothing_matches(this: Incident, house: House) -> tuple[Exposed, ...]:
    """What an incident names and nothing matches, as far as receipts, disclosures and the audit log tell, without reading files.

    Where these cannot be asked, nothing is said: `scope` looks closer.
    """
    try:
        ground = Ground.of(this.exposure, this.window, house)
        return tuple(Matching(ground, ground.columns()).unmatched(this.exposure))
    except (MinimizeError, OSError):
        return ()


@dataclass(frozen=True)
class Matching:
    """What there is of an incident, and the columns that were found to be there; None where nobody can tell them."""

    ground: Ground
    columns: frozenset[str] | None

    def unmatched(self, exposure: Exposure) -> Iterator[Exposed]:
        """What the incident names and nothing here matches, in its order."""
        yield from (each for each in exposure.each if not self._is_matched(each))

    def _is_matched(self, each: Exposed) -> bool:
        files = [reach for reach in self.ground.reaches if reach.read is None]
        if each.kind == "output":
            return any(means(each, reach.output) and each.detail in ("", reach.name) for reach in files)
        if each.kind == "run":
            return any(reach.written.receipt.run_id == each.name for reach in files)
        if each.kind == "date":
            return any(reach.date == each.name for reach in files)
        if each.kind == "column":
            return self.columns is None or each.name in self.columns
        if each.kind == "recipient":
            return any(copy.recipient == each.name for copy in self.ground.copies)
        return str(each) in self.ground.acts if each.kind in ("grant", "actor") else self._is_key(each.name)

    def _is_key(self, key: str) -> bool:
        """Whether there is such a key, or something was ever made with it, or encrypted under it."""
        ground = self.ground
        there = {f"{each.name}/{each.version}" for each in ground.keys.listing()}
        used = {each for output in ground.outputs for receipt in output.chain for each in receipt.keys}
        return key in there | used or any(copy.columns(frozenset({key}), keyed=True) for copy in ground.copies)
