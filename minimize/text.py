"""Text for messages: numbers with commas, singular and plural, "Did you mean" hints, Markdown; versions of packages.

A `Registry` holds names, and the objects behind them in the modules of a package, each imported when it is first used.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence
from functools import cache
from importlib import import_module
from textwrap import wrap
from typing import Any, Final, Literal, TextIO, TypeVar
from unicodedata import combining, normalize


def format_number(count: int) -> str:
    """A count with commas.

    >>> format_number(1234567)
    '1,234,567'
    """
    return f"{count:,}"


def count_noun(count: int, noun: str, many: str = "") -> str:
    """A count and its noun; `many` is the plural if it is not formed with `s`.

    >>> count_noun(1, "row"), count_noun(2345, "row"), count_noun(2, "entry", "entries")
    ('1 row', '2,345 rows', '2 entries')
    """
    return f"{format_number(count)} {noun if count == 1 else many or noun + 's'}"


MOST_JOINED: Final = 12
"""The names that a sentence has at most."""


def join_names(names: Sequence[str]) -> str:
    """The names with commas; of many, the first and the number of the others.

    >>> join_names(["a", "b"]), join_names([*"abcdefghijklmn"])[-18:]
    ('a, b', 'j, k, l and 2 more')
    """
    more = f" and {len(names) - MOST_JOINED} more" if len(names) > MOST_JOINED else ""
    return ", ".join(names[:MOST_JOINED]) + more


def brief_number(number: float) -> str:
    """A number with two significant digits.

    >>> brief_number(2.828), brief_number(14142.1), brief_number(0.0123)
    ('2.8', '14,000', '0.012')
    """
    brief = float(f"{number:.1e}")
    return f"{brief:,.0f}" if abs(brief) >= 10 else f"{brief:g}"


def bytes_text(count: int) -> str:
    """A number of bytes as a size, in powers of 1,000.

    >>> bytes_text(64_000_000_000), bytes_text(48_211_456), bytes_text(512), bytes_text(1_500_000_000_000)
    ('64 GB', '48.2 MB', '512 bytes', '1.5 TB')
    """
    for unit, size in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{count / size:.1f}".removesuffix(".0") + f" {unit}"
    return f"{count} bytes"


MOST_MARKS: Final = 30
"""How many combining marks may follow each other in the Stream-Safe Text Format."""
_MORE_MARKS: Final = frozenset("\u0f73\u0f75\u0f81\uff9e\uff9f")
"""The characters with the combining class 0 that decompose into marks."""
JOINER: Final = "\u034f"
"""The character that divides a longer row of marks."""


def normal_form(form: Literal["NFC", "NFKC"], text: str) -> str:
    """A Unicode normal form of the Stream-Safe Text Format, in which U+034F divides each row of more than 30 combining marks.

    Without that, the time for a row of marks grows with the square of its length. Source: UAX #15, sections 1.2 and 13.

    >>> normal_form("NFC", "e\u0301"), len(normal_form("NFC", "x" + "\u0301" * 60))
    ('é', 62)
    """
    if len(text) > MOST_MARKS and not text.isascii() and any(map(_is_mark, text)):
        text = "".join(_divided_marks(text))
    return normalize(form, text)


def _divided_marks(text: str) -> Iterator[str]:
    marks = 0
    for letter in text:
        marks = marks + 1 if _is_mark(letter) else 0
        if marks > MOST_MARKS:
            marks = 1
            yield JOINER
        yield letter


def _is_mark(letter: str) -> bool:
    return combining(letter) > 0 or letter in _MORE_MARKS


def single_line(text: str) -> str:
    r"""Text with escaped line breaks and characters that control a terminal.

    >>> single_line("contoso\n1  forged"), single_line("Zürich 株")
    ('contoso\\n1  forged', 'Zürich 株')
    """
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii") for letter in text
    )


class TerminalNames:
    """Names of input files that a terminal shows, in place of the hashes that messages and records contain.

    There is one table for the process, because a message refers to no source. It is empty until a command that prints on a
    terminal starts to collect.
    """

    def __init__(self) -> None:
        self.is_collecting = False
        self._names: dict[str, str] = {}

    def add(self, token: str, name: str) -> None:
        """Records the name that a hash (`#4f9d0c2b6a1e8835`) replaces."""
        if self.is_collecting:
            self._names[token] = single_line(name)

    def restore(self, text: str, stream: TextIO) -> str:
        """Text for a stream: with names on a terminal; unchanged elsewhere, where it may be stored."""
        if not self._names or not stream.isatty():
            return text
        return _HASHED_NAME.sub(lambda match: self._names.get(match[0], match[0]), text)


_HASHED_NAME: Final = re.compile(r"#[0-9a-f]{16}")
TERMINAL_NAMES: Final = TerminalNames()


def text_or_none(value: object) -> str | None:
    """A value as text; None for None and for an empty text."""
    return None if value is None or str(value) == "" else str(value)


def json_text(body: object) -> str:
    """An object as indented JSON with a final line end; characters beyond ASCII are not escaped."""
    return json.dumps(body, indent=2, ensure_ascii=False) + "\n"


def labelled_lines(pairs: Iterable[tuple[str, str]], label_width: int, width: int) -> Iterator[str]:
    """Lines of at most `width` characters, each text after its label. A text that is empty has no line.

    >>> list(labelled_lines([("rows", "10 read = 9 written + 1 gated"), ("policy", "")], 6, 30))
    ['  rows  10 read = 9 written +', '        1 gated']
    """
    indent = " " * (label_width + 2)
    for label, text in pairs:
        words = wrap(text, max(20, width - len(indent)), break_long_words=False, break_on_hyphens=False)
        if words:
            yield f"  {label:<{label_width - 1}} {words[0]}"
            yield from (indent + line for line in words[1:])


def place_text(file: str | None, line: int | None) -> str:
    """A place in a file, in the form that compilers use; unknown parts are omitted.

    >>> place_text("policy.yaml", 24), place_text("policy.yaml", None), place_text(None, None)
    ('policy.yaml:24', 'policy.yaml', '')
    """
    return ":".join(str(part) for part in (file, line) if part is not None)


def percent_text(share: float | None) -> str:
    """A share in words.

    >>> [percent_text(share) for share in (None, 0.0, 0.004, 0.256, 0.997, 1.0)]
    ['', '0%', 'under 1%', '26%', 'over 99%', '100%']
    """
    if share is None:
        return ""
    if 0 < share < 0.01:
        return "under 1%"
    return "over 99%" if 0.99 < share < 1 else f"{share:.0%}"


_MARKUP: Final = re.compile(r"[\\|`*\[\]<>#~!&$]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
"""Characters that Markdown would interpret; an underscore within a word is left as it is."""


def escape_markdown(text: str) -> str:
    r"""Text escaped for Markdown, on one line: no cell ends early, nothing becomes markup.

    >>> print(escape_markdown("a|b\n# c <i>"))
    a\|b \# c \<i\>
    """
    plain = "".join(char if char.isprintable() else " " for char in text)
    return _MARKUP.sub(r"\\\g<0>", " ".join(plain.split()))


def markdown_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown. All of its texts are escaped."""
    head, *lines = (f"| {' | '.join(map(escape_markdown, row))} |" for row in [heads, *rows])
    return "\n".join([head, f"|{' --- |' * len(heads)}", *lines])


FORMULA: Final = r"\A(?:[\t\r]|\s*[=+\-@])"
NUMBER: Final = r"\A[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?\z"


def without_formula(text: str) -> str:
    """A text for a CSV file: an apostrophe precedes what a spreadsheet would execute as a formula (CWE-1236). Numbers stay.

    >>> without_formula("=1+1"), without_formula("-1.5"), without_formula("ann@example.com")
    ("'=1+1", '-1.5', 'ann@example.com')
    """
    number = re.search(NUMBER.replace(r"\z", r"\Z"), text)
    return f"'{text}" if re.search(FORMULA, text) and number is None else text


def did_you_mean(word: str, names: Iterable[str], otherwise: str = "") -> str:
    """A hint for an unknown word: the nearest names, names that contain the word, or the whole list if it is short.

    If no name is near, `otherwise` follows: a sentence that says how the word becomes a known one.

    >>> did_you_mean("id", ["event_id", "device_id", "/apps/*/name"])
    'Did you mean `event_id` or `device_id`?'
    >>> did_you_mean("analysis", ["operations"], "Add it under `purposes:`.")
    'Use one of: operations. Add it under `purposes:`.'
    """
    words = sorted(set(names))
    suggestion = did_you_mean_any(_suggested_words(word, words))
    if suggestion:
        return suggestion
    listed_words = f"Use one of: {', '.join(words)}." if 0 < len(words) <= 25 else ""
    return f"{listed_words} {otherwise}".strip()


def did_you_mean_any(words: Sequence[str]) -> str:
    """A hint that suggests these words; empty if there are none.

    >>> did_you_mean_any(["a", "b", "c"])
    'Did you mean `a`, `b` or `c`?'
    """
    *others, last = (f"`{each}`" for each in words) if words else ("",)
    return f"Did you mean {', '.join(others)}{' or ' if others else ''}{last}?" if last else ""


def similar_words(word: str, names: Iterable[str], *, most: int = 1, cutoff: float = 0.6) -> list[str]:
    """The names with the most similar spelling, ignoring case; `cutoff` is the least similarity (0 to 1).

    >>> similar_words("Contosso", {"contoso", "fabrikam"})
    ['contoso']
    """
    from difflib import get_close_matches  # late: only a mistake needs it

    folded = {name.lower(): name for name in sorted(names)}
    return [folded[each] for each in get_close_matches(word.lower(), folded, most, cutoff)]


def _suggested_words(word: str, candidates: Sequence[str]) -> list[str]:
    """The name with nearly the same spelling; otherwise up to three names that contain the word or its last step."""
    from difflib import SequenceMatcher

    close = similar_words(word, candidates)
    step = re.split("[/.]", word.lower())[-1]
    having = [
        each
        for each in candidates
        if step in re.findall(r"\w+", each.lower()) or step in re.findall(r"[^\W_]+", each.lower())
    ]
    if having and not (close and SequenceMatcher(None, word.lower(), close[0].lower()).ratio() >= _CLEARLY_MEANT):
        return similar_words(word, having, most=3, cutoff=0)
    return close


_CLEARLY_MEANT: Final = 0.8
"""From this similarity on, the nearest name is the only suggestion."""


@cache
def installed_version(package: str) -> str:
    """The version of an installed package. Faster than `importlib.metadata.version`, which parses the whole description.

    Raises PackageNotFoundError if it is not installed.
    """
    from importlib.metadata import distribution  # late: `--help` does not need it, and it takes half of its time

    installed = distribution(package)
    head, _, _ = (installed.read_text("METADATA") or "").partition("\n\n")
    versions = [line.removeprefix("Version: ") for line in head.splitlines() if line.startswith("Version: ")]
    return versions[0].strip() if len(versions) == 1 else installed.version


T = TypeVar("T")


def load_object(path: str) -> Any:
    """The object at a dotted path, its module imported now.

    >>> load_object("json.decoder.JSONDecoder").__name__
    'JSONDecoder'
    """
    module, _, name = path.rpartition(".")
    return getattr(import_module(module), name)


class Registry(MutableMapping[str, T]):
    """Names, and the objects behind them in the modules of a package. A caller can add an object of its own.

    >>> table: Registry[type] = Registry("json", {"reader": "decoder.JSONDecoder", "writer": "encoder.JSONEncoder"})
    >>> list(table), table["reader"]
    (['reader', 'writer'], <class 'json.decoder.JSONDecoder'>)
    """

    def __init__(self, package: str, paths: Mapping[str, str]) -> None:
        self._package = package
        self._rows: dict[str, str | T] = dict(paths)

    def __getitem__(self, name: str) -> T:
        """The object behind a name, imported when it is first used. Raises KeyError for an unknown name."""
        row = self._rows[name]
        if isinstance(row, str):
            row = load_object(f"{self._package}.{row}")
            self._rows[name] = row
        return row

    def __setitem__(self, name: str, value: T) -> None:
        self._rows[name] = value

    def __delitem__(self, name: str) -> None:
        del self._rows[name]

    def __contains__(self, name: object) -> bool:
        return name in self._rows

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)
