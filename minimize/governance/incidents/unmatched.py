"""What an incident names and nothing matches: a word that is written wrong must not look like nobody being affected."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from minimize.governance.incidents.copies import Copy
from minimize.governance.incidents.counting import Counted
from minimize.governance.incidents.exposed import Exposed, Exposure
from minimize.governance.incidents.reached import Reach, means
from minimize.governance.subjects.outputs import Output


@dataclass(frozen=True)
class Matching:
    """What was found of an incident.

    outputs  that could be looked at
    reaches  the files that it reached
    counted  those whose contents are known
    copies   those that were out
    acts     what of the incident the audit log has acts of: grants, actors
    keys     the versions of keys that there are
    """

    outputs: Sequence[Output]
    reaches: Sequence[Reach]
    counted: Sequence[Counted]
    copies: Sequence[Copy]
    acts: Collection[str]
    keys: Collection[str] = ()

    def unmatched(self, exposure: Exposure) -> Iterator[Exposed]:
        """What the incident names and nothing here matches, in its order."""
        yield from (each for each in exposure.each if not self._is_matched(each))

    def _is_matched(self, each: Exposed) -> bool:
        files = [reach for reach in self.reaches if reach.read is None]
        if each.kind == "output":
            return any(means(each, reach.output) and each.detail in ("", reach.name) for reach in files)
        if each.kind == "run":
            return any(reach.written.receipt.run_id == each.name for reach in files)
        if each.kind == "date":
            return any(reach.date == each.name for reach in files)
        if each.kind == "column":
            return any(
                column.name == each.name for one in self.counted for some in one.columns.values() for column in some
            )
        if each.kind == "recipient":
            return any(copy.recipient == each.name for copy in self.copies)
        return str(each) in self.acts if each.kind in ("grant", "actor") else self._is_key(each.name)

    def _is_key(self, key: str) -> bool:
        """Whether there is such a key, or something was ever made with it, or encrypted under it."""
        used = {each for output in self.outputs for receipt in output.chain for each in receipt.keys}
        return (
            key in self.keys or key in used or any(copy.columns(frozenset({key}), keyed=True) for copy in self.copies)
        )
