"""What goes wrong on the way: a few lines are spoilt so that each code of the quarantine, and drift, is seen."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from minimize.samples.values import Random

Record = dict[str, Any]
Fault = Callable[[Record], bytes]


@dataclass(frozen=True, slots=True)
class Faults:
    """What may befall the records of one dataset.

    missing    fields that get lost
    wrong      values of another type, by field
    time       the field that holds a time
    forbidden  fields that must not arrive, with a value
    strange    fields that no policy declares, with a value
    """

    missing: tuple[str, ...]
    wrong: Mapping[str, Any]
    time: str
    forbidden: Mapping[str, Any]
    strange: Mapping[str, Any]

    def fatal(self) -> list[Fault]:
        """Those that send a record to quarantine; the first five have a code each."""
        missing, wrong, forbidden = (
            [_without(name) for name in self.missing],
            [_with(name, value) for name, value in self.wrong.items()],
            [_with(name, value) for name, value in self.forbidden.items()],
        )
        first = [_cut, *forbidden[:1], *missing[:1], *wrong[:1], _with(self.time, "yesterday evening")]
        return [*first, _undecodable, _twice, _listed, *missing[1:], *wrong[1:], *forbidden[1:]]

    def harmless(self) -> list[Fault]:
        """Those that a record survives: an undeclared field, a time with another offset."""
        return [*(_with(name, value) for name, value in self.strange.items()), _eastern(self.time)]


FATAL_SHARE = 0.008
HARMLESS_SHARE = 0.01


def spoil(lines: pa.StringArray, faults: Faults, random: Random, sequence: int = 0) -> pa.BinaryArray:
    """The lines as bytes, some of them spoilt: `FATAL_SHARE` for good, `HARMLESS_SHARE` a little. Loops over those only.

    The kinds of faults go on, from one slice to the next in sequence, where they ended.
    """
    count = len(lines)
    fatal, harmless = int(count * FATAL_SHARE), int(count * HARMLESS_SHARE)
    rows = random.permutation(count)
    kinds = [
        *_in_turn(faults.fatal(), fatal, sequence * fatal),
        *_in_turn(faults.harmless(), harmless, sequence * harmless),
    ]
    return _replace(lines, dict(zip(rows.tolist(), kinds, strict=False)))


def _replace(lines: pa.StringArray, kinds: Mapping[int, Fault]) -> pa.BinaryArray:
    rows = sorted(kinds)
    mask = np.zeros(len(lines), np.bool_)
    mask[rows] = True
    spoilt = [kinds[row](json.loads(lines[row].as_py())) for row in rows]
    return pc.replace_with_mask(lines.cast(pa.binary()), pa.array(mask), pa.array(spoilt, pa.binary()))


def _in_turn(faults: Sequence[Fault], count: int, start: int) -> list[Fault]:
    return [faults[index % len(faults)] for index in range(start, start + count)]


def _line(record: Any) -> bytes:
    return json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode()


def _without(name: str) -> Fault:
    return lambda record: _line({key: value for key, value in record.items() if key != name})


def _with(name: str, value: Any) -> Fault:
    return lambda record: _line({**record, name: value})


def _eastern(name: str) -> Fault:
    def shifted(record: Record) -> bytes:
        time = datetime.fromisoformat(record[name]).astimezone(timezone(timedelta(hours=1)))
        return _line({**record, name: time.isoformat(timespec="milliseconds")})

    return shifted


def _cut(record: Record) -> bytes:
    line = _line(record)
    return line[: len(line) * 2 // 3]


def _twice(record: Record) -> bytes:
    line = _line(record)
    first = _line({next(iter(record)): "again"})
    return line[:-1] + b"," + first[1:]


def _undecodable(record: Record) -> bytes:
    return _line(record).replace(b'":"', b'":"\xff\xfe', 1)


def _listed(record: Record) -> bytes:
    return _line([record])
