"""Reads and writes expected files, and says in which places two records differ."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

EXPECTED = Path(__file__).parent / "expected"
WIDTH = 240
MOST_LINES = 40


def expected(name: str) -> Any:
    """What a scenario is expected to do."""
    return json.loads((EXPECTED / f"{name}.json").read_text())


def update(name: str, record: Any) -> bool:
    """Writes the expected file of a scenario; whether it changed."""
    path, text = EXPECTED / f"{name}.json", pretty(record) + "\n"
    changed = not path.exists() or path.read_text() != text
    path.write_text(text)
    return changed


def pretty(value: Any, indent: int = 0) -> str:
    """JSON with what is short on one line, so that a change of one item changes one line."""
    flat = json.dumps(value, ensure_ascii=False)
    if len(flat) + indent <= WIDTH or not isinstance(value, dict | list):
        return flat
    inner = " " * (indent + 1)
    if isinstance(value, dict):
        members = [f"{json.dumps(k, ensure_ascii=False)}: {pretty(v, indent + 1)}" for k, v in value.items()]
    elif all(not isinstance(member, dict | list) for member in value):
        return flat  # a row of a table
    else:
        members = [pretty(member, indent + 1) for member in value]
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    return f"{opening}\n" + ",\n".join(inner + member for member in members) + f"\n{' ' * indent}{closing}"


def report(name: str, before: Any, after: Any) -> str:
    """The differences, one a line: path, expected, actual. Empty where there is none."""
    lines = [f"{path}: {_short(old)} → {_short(new)}" for path, old, new in differences(before, after)]
    if not lines:
        return ""
    shown = lines[:MOST_LINES]
    more = [f"… and {len(lines) - len(shown)} more"] if len(lines) > len(shown) else []
    hint = f"If this change is meant: python -m tests.golden --update {name}"
    return "\n".join([f"{name}: {len(lines)} differences (expected → actual)", *shown, *more, hint])


_MISSING = object()


def differences(before: Any, after: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Path, expected and actual value of each place in which two records differ."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in [*before, *(key for key in after if key not in before)]:
            yield from differences(before.get(key, _MISSING), after.get(key, _MISSING), f"{path}.{key}".lstrip("."))
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for number, (old, new) in enumerate(zip(before, after, strict=True)):
            yield from differences(old, new, f"{path}[{_label(old, number)}]")
    elif isinstance(before, list) and isinstance(after, list):
        yield f"{path}.length", len(before), len(after)
        texts = [{json.dumps(member, sort_keys=True): member for member in side} for side in (before, after)]
        for side, other, pair in ((0, 1, lambda m: (m, _MISSING)), (1, 0, lambda m: (_MISSING, m))):
            for text, member in texts[side].items():
                if text not in texts[other]:
                    yield f"{path}[]", *pair(member)
    elif before != after or type(before) is not type(after):
        yield path, before, after


def _label(value: Any, number: int) -> str:
    """The command of a step, else the number of an item."""
    name = (value.get("command") or value.get("call")) if isinstance(value, dict) else None
    return f"{number}: {name}" if name else str(number)


def _short(value: Any) -> str:
    if value is _MISSING:
        return "(nothing)"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 120 else text[:117] + "..."
