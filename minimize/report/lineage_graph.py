"""Lineage as a graph: from sources over datasets and outputs to recipients, laid out in columns for an inline SVG.

A graph has a text alternative with the same nodes and edges, for screen readers, paper and narrow screens.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

NODE_WIDTH: Final = 184
NODE_HEIGHT: Final = 44
COLUMN_GAP: Final = 44
ROW_GAP: Final = 14
MARGIN: Final = 4
HEADING_HEIGHT: Final = 28
LABEL_LENGTH: Final = 22
NOTE_LENGTH: Final = 27
"""Characters of a label, and of the smaller note below it, that fit into a node."""


@dataclass(frozen=True, slots=True)
class LineageNode:
    """A source, dataset, output or recipient. `link` is an address within the site; empty if the node has no page."""

    key: str
    label: str
    note: str = ""
    link: str = ""


@dataclass(frozen=True, slots=True)
class PlacedNode:
    """A node with the position of its top left corner, and its texts, cut to the width of the node."""

    node: LineageNode
    x: int
    y: int
    label: str
    note: str
    width: int = NODE_WIDTH
    height: int = NODE_HEIGHT


@dataclass(frozen=True, slots=True)
class LineageGraph:
    """Columns of nodes with their headings, and edges between the keys of nodes."""

    title: str
    headings: tuple[str, ...]
    columns: tuple[tuple[LineageNode, ...], ...]
    edges: tuple[tuple[str, str], ...]

    def __bool__(self) -> bool:
        return any(self.columns)

    @property
    def width(self) -> int:
        """The width of the picture."""
        return len(self.columns) * NODE_WIDTH + (len(self.columns) - 1) * COLUMN_GAP + 2 * MARGIN

    @property
    def height(self) -> int:
        """The height of the picture."""
        return HEADING_HEIGHT + max(map(_column_height, self.columns), default=0) + 2 * MARGIN

    @property
    def placed_headings(self) -> list[tuple[str, int]]:
        """The heading of each column, with its position."""
        return [(heading, _column_x(number)) for number, heading in enumerate(self.headings)]

    @property
    def placed_nodes(self) -> tuple[PlacedNode, ...]:
        """The nodes with their positions. Each column is centered."""
        return tuple(self._place_nodes())

    @property
    def curves(self) -> tuple[str, ...]:
        """The path of each edge, from the right side of a node to the left side of another one."""
        places = {placed.node.key: placed for placed in self.placed_nodes}
        return tuple(_curve(places[start], places[end]) for start, end in self.edges)

    @property
    def sentences(self) -> tuple[str, ...]:
        """The text alternative: what each node supplies. A node without an edge is named alone."""
        nodes = {node.key: node for column in self.columns for node in column}
        targets: dict[str, list[str]] = {}
        for start, end in self.edges:
            targets.setdefault(start, []).append(_node_text(nodes[end]))
        reached = {end for _, end in self.edges}
        return tuple(_sentence(node, targets) for key, node in nodes.items() if key in targets or key not in reached)

    def _place_nodes(self) -> Iterator[PlacedNode]:
        whole = max(map(_column_height, self.columns), default=0)
        for number, column in enumerate(self.columns):
            top = MARGIN + HEADING_HEIGHT + (whole - _column_height(column)) // 2
            for row, node in enumerate(column):
                y = top + row * (NODE_HEIGHT + ROW_GAP)
                yield PlacedNode(
                    node, _column_x(number), y, _shortened(node.label, LABEL_LENGTH), _shortened(node.note, NOTE_LENGTH)
                )


def _column_x(number: int) -> int:
    return MARGIN + number * (NODE_WIDTH + COLUMN_GAP)


def _column_height(column: Sequence[LineageNode]) -> int:
    return max(len(column) * (NODE_HEIGHT + ROW_GAP) - ROW_GAP, 0)


def _curve(start: PlacedNode, end: PlacedNode) -> str:
    x, y = start.x + NODE_WIDTH, start.y + NODE_HEIGHT // 2
    to_x, to_y = end.x, end.y + NODE_HEIGHT // 2
    bend = (to_x - x) // 2
    return f"M{x} {y}C{x + bend} {y} {to_x - bend} {to_y} {to_x} {to_y}"


def _shortened(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _node_text(node: LineageNode) -> str:
    return f"{node.label} ({node.note})" if node.note else node.label


def _sentence(node: LineageNode, targets: Mapping[str, Sequence[str]]) -> str:
    supplied = targets.get(node.key, ())
    return f"{_node_text(node)} → {', '.join(supplied)}" if supplied else f"{_node_text(node)}: nothing follows"
