"""Pages and documents: typed content, rendered as an HTML page, as HTML for a notebook, or as Markdown.

All templates, the layout and the style sheet of pages are in `templates/`. The template engine escapes every value. A page has
no scripts and loads nothing; it fits screens of any width, dark mode and paper.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeAlias
from unicodedata import category

from minimize.text import count_noun, escape_markdown, markdown_table, percent_text
from minimize.times import minute_text

if TYPE_CHECKING:
    from jinja2 import Environment


@dataclass(frozen=True, slots=True)
class Table:
    """A table; one without rows is not shown. Columns from the position `numbers` on are aligned as numbers."""

    kind: ClassVar = "table"
    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: int | None = None

    def __bool__(self) -> bool:
        return bool(self.rows)


@dataclass(frozen=True, slots=True)
class TermList:
    """A list of terms, each with texts that explain it. A term without texts is not shown."""

    kind: ClassVar = "terms"
    items: Sequence[tuple[str, Sequence[str]]]

    def __bool__(self) -> bool:
        return any(any(texts) for _, texts in self.items)


@dataclass(frozen=True, slots=True)
class BulletList:
    """A list of texts."""

    kind: ClassVar = "bullets"
    texts: Sequence[str]

    def __bool__(self) -> bool:
        return bool(self.texts)


@dataclass(frozen=True, slots=True)
class Section:
    """A title with paragraphs, tables, lists and further sections. The outermost section is the document."""

    kind: ClassVar = "section"
    title: str
    blocks: Sequence[Block]


Block: TypeAlias = "str | Table | TermList | BulletList | Section"


def html_page(document: Section) -> str:
    """The document as a complete HTML page."""
    return render_page("document.html", document=document)


def html_fragment(*blocks: str | Table) -> str:
    r"""Paragraphs and tables as HTML for a notebook, with styles on each element.

    >>> html_fragment("1 < 2", Table("no rows", ("a",), ()))
    '<div>\n<p>1 &lt; 2</p>\n</div>'
    """
    return _templates().get_template("fragment.html").render(blocks=blocks)


def markdown_page(document: Section) -> str:
    r"""The document in Markdown.

    >>> markdown_page(Section("Title", ("text", Table("", ("a", "b"), [("1", "x|y")]))))
    '# Title\n\ntext\n\n| a | b |\n| --- | --- |\n| 1 | x\\|y |\n'
    """
    return "\n\n".join(_markdown_parts([document], 1)) + "\n"


def _markdown_parts(blocks: Sequence[Block], level: int) -> Iterator[str]:
    for block in filter(None, blocks):
        match block:
            case Section():
                yield f"{'#' * level} {escape_markdown(block.title)}"
                yield from _markdown_parts(block.blocks, level + 1)
            case Table():
                yield markdown_table(block.head, block.rows)
            case TermList():
                items = [(term, [*filter(None, texts)]) for term, texts in block.items]
                yield "\n".join(
                    f"- **{escape_markdown(t)}:** {'; '.join(map(escape_markdown, texts))}"
                    for t, texts in items
                    if texts
                )
            case BulletList():
                yield "\n".join(f"- {escape_markdown(text)}" for text in block.texts)
            case str():
                yield escape_markdown(block)


def render_page(template: str, **values: Any) -> str:
    """A page from its template and the values that the template names."""
    return _templates().get_template(template).render(values) + "\n"


def _without_controls(value: Any) -> Any:
    """A text without characters that control a terminal or the direction of text; other values unchanged."""
    if not isinstance(value, str) or value.isprintable() or hasattr(value, "__html__"):
        return value
    return "".join("\ufffd" if category(char) in ("Cc", "Cf") and char not in _HARMLESS else char for char in value)


_HARMLESS: Final = "\n\t\u200c\u200d"
"""Line break and tabulator, and the joiners of Persian and Indic scripts."""


@cache
def _templates() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined  # late: `import minimize` needs no templates

    loader = PackageLoader("minimize.pages")
    environment = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_without_controls,
    )
    environment.filters |= {
        "day": lambda when: "" if when is None else f"{when:%Y-%m-%d}",
        "minute": minute_text,
        "percent": percent_text,
        "words": lambda name: name.replace("_", " "),
        "of": count_noun,
    }
    return environment
