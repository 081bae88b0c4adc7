"""An approval in the text of a policy: written where the head of the policy stands, and not another byte is touched."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Final

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.nodes import CollectionNode, MappingNode, Node

from minimize.policy.approval import KEY
from minimize.policy.model import Approved

HEAD: Final = ("policy", "version", "owner", "purposes")
"""An approval stands behind these, as far as they come first."""


def with_approval(text: str, approved: Approved) -> str:
    """The text of a policy with an approval in it, in place of one that is there.

    Comments, order and layout stay as they are; a policy that is written as one JSON-like mapping is laid out anew.
    """
    root = YAML(typ="safe", pure=True).compose(text)
    if not isinstance(root, MappingNode) or root.flow_style:
        return _anew(text, approved)
    newline = "\r\n" if "\r\n" in text else "\n"
    line = f"{KEY}: {_flow(approved)}{newline}"
    entries = dict(_entries(root))
    if KEY in entries:
        start, end = entries[KEY]
        return text[:start] + line.removesuffix(newline) + text[end:]
    at = _behind(text, _head_end(text, entries, root))
    before = text[:at]
    return before + ("" if not before or before.endswith("\n") else newline) + line + text[at:]


def _flow(approved: Approved) -> str:
    """The approval on one line; its texts quoted as JSON has them, which YAML reads alike."""
    by = json.dumps(approved.by, ensure_ascii=False)
    return f'{{by: {by}, on: "{approved.on}", digest: "{approved.digest}"}}'


def _entries(root: MappingNode) -> Iterator[tuple[str, tuple[int, int]]]:
    """Each key, and from where to where its entry goes in the text."""
    for key, value in root.value:
        yield str(key.value), (key.start_mark.index, _end(value))


def _end(node: Node) -> int:
    """Where the last character of a node stands: a block ends where the last thing in it does."""
    if isinstance(node, CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _end(last[1] if isinstance(last, tuple) else last)
    return int(node.end_mark.index)


def _head_end(text: str, entries: dict[str, tuple[int, int]], root: MappingNode) -> int:
    """Where the head ends: behind those of its keys that stand before any other."""
    end = root.start_mark.index
    for name, (_, last) in entries.items():
        if name not in HEAD:
            break
        end = last
    return int(end)


def _behind(text: str, place: int) -> int:
    """The start of the line behind a place; the place itself where it begins a line."""
    if place == 0 or text[place - 1] == "\n":
        return place
    end = text.find("\n", place)
    return len(text) if end < 0 else end + 1


def _anew(text: str, approved: Approved) -> str:
    yaml = YAML()
    yaml.preserve_quotes, yaml.width = True, 4096
    document = yaml.load(text)
    document[KEY] = CommentedMap(approved.model_dump())
    written = io.StringIO()
    yaml.dump(document, written)
    return written.getvalue()
