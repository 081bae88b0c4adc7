"""Taking on what was proposed: remarks of a policy become what it says, line by line; everything else stays as it is written."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from minimize.errors import ConfigurationError, PolicyError, without_values
from minimize.io import durable
from minimize.policy.faults import Faults, did_you_mean
from minimize.policy.load import policy_from
from minimize.policy.purposes import house_purposes
from minimize.policy.yaml import content_of, parse

ALL: Final = "all"
_HEAD: Final = ("tenant", "subject", "time", "record")
_PROPOSED: Final = re.compile(r"  # proposed: \{(?:type: (?P<type>[a-z]+), )?(?P<said>role: .*)\}")
_REMARK: Final = re.compile(r"  # .*")
_DROPPED: Final = re.compile(
    r"  (?P<key>\"(?:[^\"\\]|\\.)*\"|[A-Za-z_/][A-Za-z0-9_/*.~-]*): "
    r"\{type: (?P<type>[a-z]+|\"decimal\([0-9]+,[0-9]+\)\"), (?:role: [a-z_]+, )?(?P<more>.*)do: drop\}"
)
_PART: Final = re.compile(r"# (?P<part>tenant|subject|time|record): (?P<key>(?!FIELD ).+?) +# .*")


@dataclass(frozen=True, slots=True)
class Open:
    """A proposal that nobody has accepted yet: for a field, or for what a field is to its record.

    name   the field's key, as people type it; or `tenant`, `subject`, `time`, `record`
    lines  the lines of the file that change, with what they become
    """

    name: str
    lines: tuple[tuple[int, str], ...]


@without_values
def accept(folder: Path, names: Collection[str]) -> list[str]:
    """Takes on the proposals for these fields (or `all`) in a folder's policy.

    A field that is called `time`, say, is accepted with what it is to its record. A field's line must still be as it was
    proposed for: dropped. Gives the names that were accepted. Raises ConfigurationError where a name has no proposal,
    PolicyError where the policy would have faults; then nothing is written.
    """
    path = Path(folder) / "policy.yaml"
    text = _text_of(path)
    proposals: dict[str, list[Open]] = {}
    for each in opened(text):
        proposals.setdefault(each.name, []).append(each)
    wanted = list(proposals) if ALL in names else list(dict.fromkeys(names))
    missing = [name for name in wanted if name not in proposals]
    if missing:
        hint = _why_not(missing[0], text, proposals)
        raise ConfigurationError(f"nothing is proposed for {', '.join(f'`{name}`' for name in missing)}", hint=hint)
    changed = _changed(text, [each for name in wanted for each in proposals[name]])
    _check(changed, path)
    durable.written(durable.write_file, path, changed.encode())
    return wanted


def _why_not(name: str, text: str, proposals: Collection[str]) -> str:
    """A hint for a name without a proposal: what it may have been, unless the policy knows it as it is."""
    root = parse(text, Faults())
    said = {} if root is None else root.plain()
    fields = said.get("fields") if isinstance(said, dict) else None
    if isinstance(fields, dict) and name in fields:
        return "it was accepted already, or edited by hand, or nothing was proposed: see its line in the policy"
    return did_you_mean(name, proposals) or "what is open stands in the policy as `# proposed:`"


def opened(text: str) -> list[Open]:
    """The proposals that a policy's text holds, in its order."""
    lines = text.split("\n")
    return [*_parts(lines), *_fields(lines)]


def _parts(lines: Sequence[str]) -> Iterator[Open]:
    for number, line in enumerate(lines):
        found = _PART.fullmatch(line)
        if found is not None:
            yield Open(found["part"], ((number, line.removeprefix("# ")),))


def _fields(lines: Sequence[str]) -> Iterator[Open]:
    for number, line in enumerate(lines):
        proposed = _PROPOSED.fullmatch(line)
        at = _next(lines, number) if proposed is not None else None
        dropped = None if at is None else _DROPPED.fullmatch(lines[at])
        if proposed is not None and dropped is not None and at is not None:
            type_, more = proposed["type"] or dropped["type"], dropped["more"]
            said = f"  {dropped['key']}: {{type: {type_}, {more}{proposed['said']}}}"
            accepted = line.replace("# proposed:", "# accepted:", 1)
            yield Open(_name(dropped["key"]), ((number, accepted), (at, said)))


def _next(lines: Sequence[str], number: int) -> int | None:
    """The first line after a remark that is none."""
    return next((at for at in range(number + 1, len(lines)) if not _REMARK.fullmatch(lines[at])), None)


def _name(key: str) -> str:
    """The key without the quotes and escapes of YAML."""
    root = parse(f"{key}: x", Faults())
    return key if root is None else next(iter(root.entries), key)


def _changed(text: str, proposals: Sequence[Open]) -> str:
    lines = text.split("\n")
    for proposal in proposals:
        for number, said in proposal.lines:
            lines[number] = said
    return "\n".join(lines)


def _check(text: str, path: Path) -> None:
    """Raises PolicyError where this text is no sound policy."""
    faults = Faults(str(path))
    root = parse(text, faults)
    if root is None:
        raise PolicyError("the policy cannot be read", findings=faults.found)
    policy_from(root.plain(), house_purposes(path.parent, faults), path.parent)


def _text_of(path: Path) -> str:
    faults = Faults(str(path))
    content = content_of(path, faults)
    if content is None:
        hint = "minimize init DATA DIR writes one"
        raise ConfigurationError(f"there is no policy to read at {path}", hint=hint, findings=faults.found)
    return content.decode("utf-8")
