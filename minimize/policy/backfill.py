"""Backfill files: which dates of a pipeline are run again, why, and under which policy.

backfill: recount_storage
pipeline: ../pipelines/device_telemetry
reason: the bins of free storage were wrong until version 2
dates: [{from: 2026-11-01, to: 2026-11-20}, 2026-11-23]
except: [2026-11-07]
policy: now
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import date, timedelta
from pathlib import Path
from typing import Final, Literal

from minimize.errors import PolicyError
from minimize.policy.faults import FaultList
from minimize.policy.mapping_reader import DeclaredNames, MappingShape, read_mapping
from minimize.policy.model import FrozenModel
from minimize.policy.policy_reader import read_name
from minimize.policy.yaml_nodes import YamlNode, parse_yaml, read_utf8
from minimize.receipts import BackfillRef, sha256_text

LONGEST_SPAN_DAYS: Final = 20_000
"""Days that a span may have: more is a slip of the pen."""


class Backfill(FrozenModel):
    """Dates of a pipeline that are run anew.

    pipeline  the path as written, relative to the file's folder
    dates     every date that is named, ascending, without those of `except`
    policy    `now`, or `then`: for each date the policy of its last receipt. Settings are always today's
    """

    backfill: str
    pipeline: str
    reason: str
    dates: tuple[date, ...]
    except_: tuple[date, ...] = ()
    policy: Literal["now", "then"] = "now"
    path: Path | None = None
    content: bytes = b""

    @property
    def ref(self) -> BackfillRef:
        """What receipts say of it: its name, and the digest of the file's bytes."""
        return BackfillRef(self.backfill, sha256_text(self.content))

    @property
    def run_dates(self) -> tuple[date, ...]:
        """The dates to be run."""
        return tuple(day for day in self.dates if day not in self.except_)

    @property
    def pipeline_path(self) -> Path:
        """Where the pipeline lies."""
        return (Path() if self.path is None else self.path.parent) / self.pipeline


def load_backfill(path: str | Path) -> Backfill:
    """The backfill in a file. Raises PolicyError with every fault as a finding."""
    file, faults = Path(path), FaultList(str(path))
    content = read_utf8(file, faults)
    root = None if content is None else parse_yaml(content.decode("utf-8-sig"), faults)
    found = None if root is None or content is None else _read_backfill(root, file, content, faults)
    if found is None or faults.found:
        count = len(faults.found)
        raise PolicyError(f"the backfill has {count} fault{'' if count == 1 else 's'}", findings=faults.found)
    return found


def _read_backfill(root: YamlNode, file: Path, content: bytes, faults: FaultList) -> Backfill | None:
    readers = {
        "backfill": lambda node: read_name(node, "backfill", DeclaredNames(faults, file.parent, None, {})),
        "dates": lambda node: _read_dates(node, "dates", faults),
        "except": lambda node: _read_dates(node, "except", faults),
    }
    shape = MappingShape(
        "a backfill",
        readers,
        {"path": file, "content": content},
        aliases={"except": "except_"},
        hidden=frozenset({"path", "content"}),
    )
    found = read_mapping(Backfill, root, faults, shape)
    if found is not None and not found.reason.strip():
        faults.add("P006", "a backfill says why", line=root.descend(["reason"]).line, hint="reason: one sentence")
    if found is not None and not found.run_dates and not faults.found:
        faults.add("P006", "no date is left", line=root.descend(["dates"]).line, hint="`except` takes them all away")
    return found


def _read_dates(node: YamlNode, word: str, faults: FaultList) -> tuple[date, ...]:
    """The days of a list of dates and spans, of one span or of one date; ascending, each once."""
    items = node.items if node.is_list else (node,)
    return tuple(sorted({day for item in items for day in _dates_of_item(item, word, faults)}))


def _dates_of_item(node: YamlNode, word: str, faults: FaultList) -> Iterator[date]:
    if not node.is_mapping:
        found = _read_date(node, word, faults)
        yield from () if found is None else (found,)
        return
    if set(node.entries) != {"from", "to"}:
        faults.add("P006", f"a span of `{word}` has `from` and `to`", line=node.line, hint="{from: D, to: D}")
        return
    first, last = (_read_date(node.entries[end], word, faults) for end in ("from", "to"))
    if first is not None and last is not None:
        yield from _dates_of_span(first, last, node, faults)


def _dates_of_span(first: date, last: date, node: YamlNode, faults: FaultList) -> Iterator[date]:
    length = (last - first).days
    if not 0 <= length < LONGEST_SPAN_DAYS:
        faults.add("P006", "a span ends after it begins, and within a lifetime", line=node.line)
        return
    yield from (first + timedelta(day) for day in range(length + 1))


def _read_date(node: YamlNode, word: str, faults: FaultList) -> date | None:
    with suppress(ValueError, TypeError):
        return date.fromisoformat(node.value if isinstance(node.value, str) else "")
    faults.add("P006", f"`{word}` wants dates", line=node.line, hint="write YYYY-MM-DD")
    return None
