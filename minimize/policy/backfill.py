"""What a backfill says, typed: which dates of a pipeline are run anew, why, and under which policy. A file for git.

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
from minimize.policy.faults import Faults
from minimize.policy.model import Model
from minimize.policy.policies import read_name
from minimize.policy.scope import Scope
from minimize.policy.shape import Shape, build
from minimize.policy.yaml import Node, content_of, parse
from minimize.receipt import BackfillRef, sha256_text

LONGEST: Final = 20_000
"""Days that a span may have: more is a slip of the pen."""


class Backfill(Model):
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
    def wanted(self) -> tuple[date, ...]:
        """The dates to be run."""
        return tuple(day for day in self.dates if day not in self.except_)

    @property
    def pipeline_path(self) -> Path:
        """Where the pipeline lies."""
        return (Path() if self.path is None else self.path.parent) / self.pipeline


def load_backfill(path: str | Path) -> Backfill:
    """The backfill in a file. Raises PolicyError with every fault as a finding."""
    file, faults = Path(path), Faults(str(path))
    content = content_of(file, faults)
    root = None if content is None else parse(content.decode("utf-8-sig"), faults)
    found = None if root is None or content is None else _read(root, file, content, faults)
    if found is None or faults.found:
        count = len(faults.found)
        raise PolicyError(f"the backfill has {count} fault{'' if count == 1 else 's'}", findings=faults.found)
    return found


def _read(root: Node, file: Path, content: bytes, faults: Faults) -> Backfill | None:
    readers = {
        "backfill": lambda node: read_name(node, "backfill", Scope(faults, file.parent, None, {})),
        "dates": lambda node: _days(node, "dates", faults),
        "except": lambda node: _days(node, "except", faults),
    }
    shape = Shape(
        "a backfill",
        readers,
        {"path": file, "content": content},
        spelled={"except": "except_"},
        hidden=frozenset({"path", "content"}),
    )
    found = build(Backfill, root, faults, shape)
    if found is not None and not found.reason.strip():
        faults.add("P006", "a backfill says why", line=root.at(["reason"]).line, hint="reason: one sentence")
    if found is not None and not found.wanted and not faults.found:
        faults.add("P006", "no date is left", line=root.at(["dates"]).line, hint="`except` takes them all away")
    return found


def _days(node: Node, word: str, faults: Faults) -> tuple[date, ...]:
    """The days of a list of dates and spans, of one span or of one date; ascending, each once."""
    items = node.items if node.is_list else (node,)
    return tuple(sorted({day for item in items for day in _each(item, word, faults)}))


def _each(node: Node, word: str, faults: Faults) -> Iterator[date]:
    if not node.is_mapping:
        found = _date(node, word, faults)
        yield from () if found is None else (found,)
        return
    if set(node.entries) != {"from", "to"}:
        faults.add("P006", f"a span of `{word}` has `from` and `to`", line=node.line, hint="{from: D, to: D}")
        return
    first, last = (_date(node.entries[end], word, faults) for end in ("from", "to"))
    if first is not None and last is not None:
        yield from _span(first, last, node, faults)


def _span(first: date, last: date, node: Node, faults: Faults) -> Iterator[date]:
    length = (last - first).days
    if not 0 <= length < LONGEST:
        faults.add("P006", "a span ends after it begins, and within a lifetime", line=node.line)
        return
    yield from (first + timedelta(day) for day in range(length + 1))


def _date(node: Node, word: str, faults: Faults) -> date | None:
    with suppress(ValueError, TypeError):
        return date.fromisoformat(node.value if isinstance(node.value, str) else "")
    faults.add("P006", f"`{word}` wants dates", line=node.line, hint="write YYYY-MM-DD")
    return None
