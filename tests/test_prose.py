"""What people read is plain English: pages, help, messages and docstrings have few words of the old dialect.

The list is a symptom. A reader who has not seen the code is the test.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Final

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "minimize"
PAGES = [ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")] + sorted(
    (ROOT / "docs").rglob("*.md")
)

DENIED: Final = re.compile(
    r"\b(whoever|somebody|nobody|whatever|he|him|his|beforehand|house|houses|told|tells|stands|lies|anew|at hand|beside)\b",
    re.IGNORECASE,
)
"""Words of the dialect: metaphors, indefinite subjects, and "he" for every person."""
MOST_PER_THOUSAND: Final = {"pages": 1.0, "messages": 1.0, "docstrings": 1.0}
LONGEST_AVERAGE: Final = 20
"""Words per sentence of a page, on average."""
HABITS: Final[dict[str, tuple[str, float, float]]] = {
    "an example": (r"for example|such as", 2.5, 100),
    "you": (r"your?s?", 7.5, 100),
    "of": (r"of", 0, 24),
    "too at the end": (r"(?<=, )too", 0, 0),
    "a word out of use": (r"in force|in clear|nevertheless|at once|by itself", 0, 0.15),
}
"""Habits of writing: the words that show them, with the fewest and the most per 1,000 words of the documentation."""
_BLOCK = re.compile(r"```.*?```|<!--.*?-->|^\s*(?:\||#).*?$", re.DOTALL | re.MULTILINE)
_SPAN = re.compile(r"`[^`\n]*`")
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")
_SENTENCE = re.compile(r"(?<=[.!?:;])\s+|\n\s*(?:[-*]|\d+\.)\s+|\n\s*\n")


def prose(page: Path) -> str:
    """The sentences of a page: without code, tables, headings and addresses. A code span counts as one word."""
    return _LINK.sub(r"\1", _SPAN.sub("code", _BLOCK.sub("\n\n", page.read_text())))


def docstrings(nodes: Iterable[ast.AST]) -> Iterator[ast.Constant]:
    """The docstrings of a module's nodes, and the strings below its constants and fields."""
    for node in nodes:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.value


@cache
def package_texts() -> dict[str, list[tuple[str, str]]]:
    """The texts of the package by kind, each with its place: docstrings, or strings of four words and more, help included."""
    found: dict[str, list[tuple[str, str]]] = {"docstrings": [], "messages": []}
    for file in sorted(PACKAGE.rglob("*.py")):
        nodes = list(ast.walk(ast.parse(file.read_text())))
        commands = {
            id(node.body[0].value)
            for node in nodes
            if isinstance(node, ast.FunctionDef)
            and any("command" in ast.unparse(each) or "group" in ast.unparse(each) for each in node.decorator_list)
            and isinstance(node.body[0], ast.Expr)
        }
        documented = {id(each) for each in docstrings(nodes)} - commands
        place = str(file.relative_to(ROOT))
        for node in nodes:
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value.split()) > 3:
                kind = "docstrings" if id(node) in documented else "messages"
                found[kind].append((f"{place}:{node.lineno}", node.value))
    return found


def texts(kind: str) -> list[tuple[str, str]]:
    if kind == "pages":
        return [(str(page.relative_to(ROOT)), page.read_text()) for page in PAGES]
    return package_texts()[kind]


@pytest.mark.parametrize("kind", MOST_PER_THOUSAND)
def test_texts_have_few_words_of_the_dialect(kind: str) -> None:
    read = texts(kind)
    found = [(place, word) for place, text in read for word in DENIED.findall(text)]
    words = sum(len(text.split()) for _, text in read)
    assert 1000 * len(found) / words <= MOST_PER_THOUSAND[kind], f"{len(found)} in {words} words, e.g. {found[:40]}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_sentences_of_a_page_are_short(page: Path) -> None:
    lengths = [len(sentence.split()) for sentence in _SENTENCE.split(prose(page)) if len(sentence.split()) > 2]
    assert sum(lengths) <= LONGEST_AVERAGE * len(lengths), f"{sum(lengths) / len(lengths):.1f} words per sentence"


def per_thousand(habit: str, text: str) -> float:
    """How often a habit is found in 1,000 words."""
    return 1000 * len(re.findall(rf"\b(?:{HABITS[habit][0]})\b", text, re.IGNORECASE)) / len(text.split())


@pytest.mark.parametrize("habit", HABITS)
def test_the_documentation_is_written_for_its_reader(habit: str) -> None:
    _, fewest, most = HABITS[habit]
    pages = [page for page in PAGES if page.name not in ("CHANGELOG.md", "CONTRIBUTING.md")]
    assert fewest <= per_thousand(habit, "\n".join(map(prose, pages))) <= most


@pytest.mark.parametrize(
    ("habit", "text", "count"),
    [
        ("an example", "For example, a name such as Ann", 2),
        ("you", "You see yours; youth", 2),
        ("of", "The end of the list, often", 1),
        ("too at the end", "It is too long, too.", 1),
        ("a word out of use", "The setting in force stops by itself.", 2),
    ],
)
def test_a_habit_is_found_in_whole_words(habit: str, text: str, count: int) -> None:
    assert per_thousand(habit, text) == pytest.approx(1000 * count / len(text.split()))


@pytest.mark.parametrize(
    ("text", "count"), [("He told nobody.", 3), ("The server reads a file.", 0), ("hist and houseboat", 0)]
)
def test_the_list_finds_whole_words_in_any_case(text: str, count: int) -> None:
    assert len(DENIED.findall(text)) == count
