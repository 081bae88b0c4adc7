"""Which files of which outputs an incident reached, and whose rows and which columns of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Final

from minimize.governance.access.tenants import EVERYBODY, Tenants
from minimize.governance.incidents.exposed import Exposed, Exposure
from minimize.governance.incidents.reads import Read
from minimize.governance.retention.written import Reading, Written, writers
from minimize.governance.subjects.outputs import Output
from minimize.io.identity import identity_of
from minimize.io.places import place_of
from minimize.receipt import OutputFile, Receipt, with_companions
from minimize.stores import output_at

Window = tuple[datetime, datetime]
_EVER: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Reach:
    """One file that was exposed, in part or whole.

    via      what of the incident exposed it
    columns  these alone; None for all
    tenants  the tenants whose rows were exposed, as far as that is known
    read     the read that showed it; None where the file itself was exposed
    keyed    whether only what was made with leaked keys is meant
    """

    output: Output
    written: Written
    file: OutputFile
    name: str
    via: str
    columns: frozenset[str] | None = None
    tenants: Tenants = EVERYBODY
    read: Read | None = None
    keyed: bool = False

    @property
    def date(self) -> str | None:
        """The partition."""
        return place_of(self.file.path)[1]


@dataclass(frozen=True)
class Standing:
    """An output's files, each with the time from which it stood, and the time at which it was taken away."""

    output: Output
    known: dict[str, Written] = field(default_factory=dict, repr=False)

    def files(self, window: Window) -> Iterator[tuple[str, Receipt, OutputFile]]:
        """The files that stood at some time within a window, by output name, with the receipt that wrote each."""
        for receipt in self.output.chain:
            for name, made in receipt.outputs.items():
                yield from (
                    (name, receipt, each) for each in with_companions(made) if self.stood(receipt, each, window)
                )

    def stood(self, receipt: Receipt, file: OutputFile, window: Window) -> bool:
        """Whether a file that a receipt wrote stood at some time within a window."""
        until = self.gone.get(file.path)
        return receipt.finished <= window[1] and (until is None or until > window[0])

    @cached_property
    def gone(self) -> dict[str, datetime]:
        """By path of a file when it was taken away."""
        chain = self.output.chain
        return {file.path: each.finished for each in chain for file in (*each.replaces, *each.removes)}

    def written(self, file: OutputFile) -> Written:
        """Who wrote a file."""
        if not self.known:
            reading = Reading(self.output.purposes)
            by = {each.run_id: Written(self.output.folder, each, reading) for each in self.output.chain}
            self.known.update({path: by[receipt.run_id] for path, receipt in writers(self.output.chain).items()})
        return self.known[file.path]


def reached(exposure: Exposure, outputs: Sequence[Output], reads: Sequence[Read], window: Window) -> Iterator[Reach]:
    """Every file that an incident reached, once for each way in which it did."""
    for output in outputs:
        standing = Standing(output)
        yield from _of_files(exposure, standing, window)
        for read in reads:
            yield from _of_read(read, standing)


def _of_files(exposure: Exposure, standing: Standing, window: Window) -> Iterator[Reach]:
    if not exposure.of_files and not exposure.only_keys:
        return
    output, columns = standing.output, exposure.names("column") or None
    dates, runs = exposure.names("date"), exposure.names("run")
    named, everywhere = _places(exposure, output), not exposure.named("output") and not runs
    for name, receipt, file in standing.files((_EVER, max(window[1], output.chain[-1].finished))):
        via = [f"run:{receipt.run_id}"] if receipt.run_id in runs else []
        if standing.stood(receipt, file, window):
            via += [str(each) for each in named if each.detail in ("", name)]
            via += [", ".join(map(str, exposure.each))] if everywhere else []
        if via and (not dates or place_of(file.path)[1] in dates):
            yield Reach(output, standing.written(file), file, name, via[0], columns, keyed=exposure.only_keys)


def _places(exposure: Exposure, output: Output) -> list[Exposed]:
    """The exposed outputs that mean this one."""
    return [each for each in exposure.named("output") if means(each, output)]


def means(each: Exposed, output: Output) -> bool:
    """Whether an exposed output is this one: by its folder, or by its pipeline."""
    by_name = each.name == output.pipeline or output_at(each.name) == output.folder
    return by_name or _same(each.name, identity_of(output.folder))


def _same(path: str, mine: str | None) -> bool:
    return mine is not None and identity_of(output_at(path)) == mine


def _of_read(read: Read, standing: Standing) -> Iterator[Reach]:
    """The files that stood when a read was made of their output."""
    output = standing.output
    if not read.is_of(output.pipeline):
        return
    for name, _, file in standing.files((read.at, read.at)):
        if name == read.name:
            yield Reach(output, standing.written(file), file, name, read.via, read.columns, read.tenants, read)
