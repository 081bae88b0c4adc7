"""Pages and documents: typed content, rendered as an HTML page, as HTML for a notebook, or as Markdown.

All templates, the layout and the style sheet of pages are in `templates/`. The template engine escapes every value. A page has
no scripts and loads nothing; it fits screens of any width, dark mode and paper.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, TypeAlias
from unicodedata import category

from minimize.text import count_noun, escape_markdown, markdown_table, percent_text
from minimize.times import minute_text

if TYPE_CHECKING:
    from jinja2 import Environment


_LINE_WIDTH, _MOST_WIDTH, _LONG_WORD, _PADDING, _MEASURED_ROWS = 120, 36, 16, 4, 200
"""In characters: the width of a table, the greatest width of a column, the length from which a word may be broken, and the
padding of a column; then the number of rows by which columns are measured."""
_DIGEST: Final = re.compile(r"\b(?:sha256|blake3):[0-9a-f]{64}\b")
_DIGEST_LENGTH: Final = 12


def _shown_length(text: str) -> int:
    return len(_short(text))


def _longest_word(text: str) -> int:
    return max(map(len, _short(text).split()), default=0)


def _short(text: str) -> str:
    """A text with its digests as short as they are shown."""
    return _DIGEST.sub(lambda match: match[0][: _DIGEST_LENGTH + len("sha256:…")], text) if ":" in text else text


StatusLevel = Literal["good", "attention", "bad"]
STATUS_ICONS: Final[dict[StatusLevel, str]] = {"good": "✓", "attention": "!", "bad": "✕"}


@dataclass(frozen=True, slots=True)
class StatusLine:
    """The first line of a page: whether its reader must decide something, and the facts that matter for it.

    >>> print(StatusLine.of_needs(["policy not approved", "1 notice overdue"]))
    2 things need you: policy not approved · 1 notice overdue
    >>> print(StatusLine.of_needs([], ["nothing overdue"]))
    No action needed: nothing overdue
    """

    kind: ClassVar = "status"
    level: StatusLevel
    headline: str
    items: Sequence[str] = ()

    @classmethod
    def of_needs(cls, needs: Sequence[str], others: Sequence[str] = (), *, urgent: bool = False) -> StatusLine:
        """What needs a decision; if nothing does, the other facts. `urgent`: something is overdue or unprotected."""
        if not needs:
            return cls("good", "No action needed", others)
        verb = "things need you" if len(needs) > 1 else "thing needs you"
        return cls("bad" if urgent else "attention", f"{len(needs)} {verb}", needs)

    @property
    def icon(self) -> str:
        """The sign of the level, for readers who do not see its color."""
        return STATUS_ICONS[self.level]

    def __str__(self) -> str:
        return ": ".join(filter(None, (self.headline, " · ".join(self.items))))


@dataclass(frozen=True, slots=True)
class Table:
    """A table; one without rows is not shown. Columns from the position `numbers` on are aligned as numbers."""

    kind: ClassVar = "table"
    caption: str
    """Empty if the title of the section says the same."""
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: int | None = None
    is_literal: bool = False
    """Whether the cells are values of data, in which a backtick is no markup."""

    @classmethod
    def filled(cls, caption: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
        """A table without the columns that are empty in every row."""
        places = [place for place in range(len(head)) if any(row[place] for row in rows)]
        return cls(caption, [head[place] for place in places], [[row[place] for place in places] for row in rows])

    def __bool__(self) -> bool:
        return bool(self.rows)

    @property
    def widths(self) -> list[int]:
        """The width of each column in percent: room for its words, and more for longer texts."""
        columns = [[head, *(row[place] for row in self.rows[:_MEASURED_ROWS])] for place, head in enumerate(self.head)]
        least = [min(max(map(_longest_word, texts)), _LONG_WORD) + _PADDING for texts in columns]
        full_widths = [
            max(few, min(max(map(_shown_length, texts)), _MOST_WIDTH) + _PADDING)
            for few, texts in zip(least, columns, strict=True)
        ]
        more = max(0, min(sum(full_widths), _LINE_WIDTH) - sum(least)) / max(1, sum(full_widths) - sum(least))
        weights = [few + (many - few) * more for few, many in zip(least, full_widths, strict=True)]
        return [round(100 * weight / sum(weights)) for weight in weights]


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
class Columns:
    """Lists next to each other, each with a title; on a narrow screen below each other. Long lists end with how many follow."""

    kind: ClassVar = "columns"
    lists: Sequence[tuple[str, Sequence[str]]]
    most: int = 15

    def __bool__(self) -> bool:
        return any(texts for _, texts in self.lists)

    @property
    def visible_lists(self) -> Iterator[tuple[str, Sequence[str]]]:
        """The lists as they are shown."""
        for title, texts in self.lists:
            more = [f"and {len(texts) - self.most:,} more"] if len(texts) > self.most else []
            yield title, [*texts[: self.most], *more] if texts else ["nothing"]


@dataclass(frozen=True, slots=True)
class Section:
    """A title with paragraphs, tables, lists and further sections. The outermost section is the document.

    A folded section shows only its title until its reader opens it; on paper it is open.
    """

    kind: ClassVar = "section"
    title: str
    blocks: Sequence[Block]
    is_folded: bool = False


Block: TypeAlias = "str | StatusLine | Columns | Table | TermList | BulletList | Section"


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
            case StatusLine():
                yield f"**{block.icon} {escape_markdown(str(block))}**"
            case Table():
                yield markdown_table(block.head, block.rows)
            case Columns():
                for title, texts in block.visible_lists:
                    yield f"**{escape_markdown(title)}**"
                    yield "\n".join(f"- {escape_markdown(text)}" for text in texts)
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


def without_controls(value: Any) -> Any:
    """A text without characters that control a terminal or the direction of text; other values unchanged."""
    if not isinstance(value, str) or value.isprintable() or hasattr(value, "__html__"):
        return value
    return "".join("\ufffd" if category(char) in ("Cc", "Cf") and char not in _HARMLESS else char for char in value)


_RICH_PARTS: Final = re.compile(rf"`(?P<code>[^`\n]+)`|(?P<digest>{_DIGEST.pattern})")


def _rich_text(value: Any) -> Any:
    """A text in which names between backticks are code, and digests are short until their reader opens them."""
    from markupsafe import Markup  # late: comes with the template engine

    if not isinstance(value, str) or hasattr(value, "__html__"):
        return value
    parts, end = [], 0
    for match in _RICH_PARTS.finditer(value):
        parts.append(Markup.escape(without_controls(value[end : match.start()])))
        parts.append(_rich_part(match))
        end = match.end()
    return Markup("").join([*parts, Markup.escape(without_controls(value[end:]))])


def _rich_part(match: re.Match[str]) -> Any:
    from markupsafe import Markup

    if match["code"]:
        return Markup("<code>{}</code>").format(without_controls(match["code"]))
    name, _, digits = match["digest"].partition(":")
    template = Markup('<details class="digest"><summary>{}</summary>{}</details>')
    return template.format(f"{name}:{digits[:_DIGEST_LENGTH]}…", match["digest"])


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
        finalize=without_controls,
    )
    environment.filters |= {
        "rich": _rich_text,
        "day": lambda when: "" if when is None else f"{when:%Y-%m-%d}",
        "minute": minute_text,
        "percent": percent_text,
        "words": lambda name: name.replace("_", " "),
        "of": count_noun,
    }
    environment.tests["digested"] = lambda text: any(match["digest"] for match in _RICH_PARTS.finditer(text))
    return environment
