"""Names in the package are nouns of the field, or verbs with an object (docs/glossary.md has the terms).

A bare participle or pronoun, such as `given` or `whose`, is found by no search and says nothing of the value that it names.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple

import pytest

Kind = Literal["module", "class", "function", "method", "field", "parameter"]

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "minimize"

DENIED_NAMES = frozenset(
    """
    abroad again agreed alike among anew anything aside ask asked asking asks beside beyond booked booking crowd door doors
    elsewhere everything fate fates given gives giving going gone happened held hold hollow house houses how instead kept known
    lately lies look looked looking looks made meant nobody orders remains roster room rooms said say says seen shelf somebody
    something stand standing stands stranger strangers sure tell telling tells thing things told undecided veil veiled want
    wanted wants way ways whatever who whoever whom whose why wish
    """.split()  # noqa: SIM905 - a list of words reads better without quotes
)
"""Names that no module, class, function, method, field or parameter has."""

DENIED_WORDS = frozenset(
    [
        "abroad",
        "anew",
        "booked",
        "booking",
        "crowd",
        "elsewhere",
        "fate",
        "hollow",
        "house",
        "lately",
        "meant",
        "roster",
        "shelf",
        "stranger",
        "strangers",
        "telling",
        "told",
        "undecided",
        "veil",
        "veiled",
        "whose",
        "wish",
    ]
)
"""Words that are no part of a name either."""

DENIED_PARTICIPLES = frozenset(
    """
    answered applied arrived bound changed chosen closed collected consented counted decided denied done found hidden leaving
    left lost merged met missing moved moving named needed opened ordered planned published released remaining removed resolved
    settled shown started stopped stored taken written
    """.split()  # noqa: SIM905
)
"""Participles that are no name of a module, class, function or method. A field may be one: a count or a flag, as in a receipt."""

EXCEPTIONS = {
    ("method", "report/facts.py", "lost"): "key of `report --json`",
    ("field", "consent/terms.py", "standing"): "key of a recipient file and of recorded consents",
    ("field", "recipients/model.py", "standing"): "key of a recipient file",
    ("field", "report/documentation.py", "standing"): "key of `docs --json`",
    ("field", "report/documentation.py", "house"): "key of `docs --json`",
    ("field", "report/catalogue.py", "kept"): "key of `docs --json`",
    ("field", "governance/sharing/disclosures.py", "held"): "attribute of the summary that `share` returns",
    (
        "field",
        "governance/sharing/recipient_fields.py",
        "why",
    ): "attribute of what `share` returns, and key of its JSON",
    ("field", "plan/model.py", "gives"): "attribute of the plan that `make_plan` returns",
    ("field", "plan/model.py", "why"): "attribute of the plan that `make_plan` returns, and key of `plan --json`",
    ("field", "report/facts.py", "why"): "key of `report --json`",
    ("field", "report/facts.py", "standing"): "key of `report --json`",
    ("field", "review/explain.py", "why"): "key of `explain --json`",
    ("method", "stores/durable_files.py", "tell"): "method of a binary file that pyarrow calls",
}
"""Established names, by kind, module and name, with the reason for which they stay."""


class Name(NamedTuple):
    """One name that a module defines."""

    kind: Kind
    path: str
    line: int
    name: str

    @property
    def bare(self) -> str:
        return self.name.strip("_").lower()

    @property
    def words(self) -> set[str]:
        """
        >>> sorted(Name("class", "a.py", 1, "_EventTimeBounds").words)
        ['bounds', 'event', 'time']
        """
        return {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", self.name)}

    @property
    def is_denied(self) -> bool:
        if (self.kind, self.path, self.name) in EXCEPTIONS:
            return False
        participle = self.kind not in {"field", "parameter"} and self.bare in DENIED_PARTICIPLES
        return participle or self.bare in DENIED_NAMES or bool(self.words & DENIED_WORDS)

    def __str__(self) -> str:
        return f"minimize/{self.path}:{self.line}: {self.kind} {self.name}"


def defined_names(path: str, text: str) -> Iterator[Name]:
    """The names that a module defines: its own, and those of classes, functions, methods, fields and parameters in it."""
    yield Name("module", path, 1, path.rpartition("/")[2].removesuffix(".py"))
    yield from _names_below(ast.parse(text), path, within_class=False)


def _names_below(node: ast.AST, path: str, *, within_class: bool) -> Iterator[Name]:
    for child in ast.iter_child_nodes(node):
        match child:
            case ast.ClassDef():
                yield Name("class", path, child.lineno, child.name)
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                yield Name("method" if within_class else "function", path, child.lineno, child.name)
            case ast.AnnAssign(target=ast.Name(id=name)) if within_class:
                yield Name("field", path, child.lineno, name)
            case ast.arg() if not isinstance(node, ast.Lambda):
                yield Name("parameter", path, child.lineno, child.arg)
            case ast.Lambda():
                continue
        yield from _names_below(child, path, within_class=isinstance(child, ast.ClassDef))


@cache
def package_names() -> tuple[Name, ...]:
    """All names of the package, in the order of its files."""
    files = sorted(PACKAGE.rglob("*.py"))
    return tuple(
        name for file in files for name in defined_names(file.relative_to(PACKAGE).as_posix(), file.read_text())
    )


def _faults(*kinds: Kind) -> list[Name]:
    return [name for name in package_names() if name.kind in kinds and name.is_denied]


def test_modules_classes_functions_methods_and_fields_are_named_by_what_they_are() -> None:
    faults = _faults("module", "class", "function", "method", "field")
    assert not faults, "\n".join(map(str, faults))


def test_parameters_are_named_by_what_they_hold() -> None:
    faults = list(_faults("parameter"))
    assert not faults, "\n".join(map(str, faults))


def test_an_exception_is_still_needed() -> None:
    defined = {(name.kind, name.path, name.name) for name in package_names()}
    assert not EXCEPTIONS.keys() - defined


def test_a_class_name_is_defined_once() -> None:
    counts = Counter(name.name for name in package_names() if name.kind == "class")
    places = [str(name) for name in package_names() if name.kind == "class" and counts[name.name] > 1]
    assert not places, "\n".join(places)


def test_a_folder_has_no_module_and_no_folder_of_the_same_name() -> None:
    doubled = [file for file in PACKAGE.rglob("*.py") if any(file.with_suffix("").glob("*.py"))]
    assert not doubled


@pytest.mark.parametrize(
    ("text", "denied"),
    [
        ("def told(): ...", ["told"]),
        ("class _Veiled: ...", ["_Veiled"]),
        ("class Output:\n    def _opened(self): ...", ["_opened"]),
        ("class Output:\n    written: int", []),
        ("class Output:\n    whose: str", ["whose"]),
        ("def open_output(house, *, again=False): ...", ["house", "again"]),
        ("def open_output(house_purposes): ...", ["house_purposes"]),
        ("def open_output(path):\n    def read(given): ...", ["given"]),
        ("def open_output(path, known_keys): ...", []),
    ],
)
def test_the_deny_list_finds(text: str, denied: list[str]) -> None:
    assert [name.name for name in defined_names("outputs.py", text) if name.is_denied] == denied


PRONOUNS = frozenset(
    """
    all_ against asked book by done each every found given held here house left lens looked made mine of one orders other own rest
    seen then there wanted whose
    """.split()  # noqa: SIM905 - a list of words reads better without quotes
)
"""Names that say nothing of the value: no variable, loop target or argument has one of them."""
MATCH_FUNCTIONS = frozenset({"match", "search", "fullmatch"})
"""Functions of `re` whose result may have the name `found`."""
PRONOUNS_LEFT: Mapping[str, int] = {
    "review": 1,
}
"""How many are left, by package or module: this list only shrinks."""


def _is_match_result(node: ast.AST) -> bool:
    """Whether a node binds `found` to what a function of `re` returns."""
    match node:
        case ast.Assign(targets=[ast.Name(id="found")], value=ast.Call(func=ast.Attribute(attr=function))):
            return function in MATCH_FUNCTIONS
    return False


def bound_names(node: ast.AST) -> Iterator[str]:
    """The names that an assignment, a loop or an argument binds."""
    if isinstance(node, ast.arg):
        yield node.arg
        return
    if _is_match_result(node):
        return
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.For) else []
    for target in targets:
        yield from (
            name.id for name in ast.walk(target) if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store)
        )


def test_variables_are_named_by_what_they_hold() -> None:
    counts = Counter[str]()
    for path in PACKAGE.rglob("*.py"):
        package = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        counts[package] += sum(name in PRONOUNS for node in nodes for name in bound_names(node))
    assert +counts == Counter(PRONOUNS_LEFT)


def test_pronouns_are_found_where_a_name_is_bound() -> None:
    code = "found, rows = 1, 2\nfor each in rows: pass\ndef f(own, *, rows): return [one for one in rows]\nx.left = 3\n"
    code += "found = re.match('a', text)\nown = re.match('a', text)\n"
    names = [name for node in ast.walk(ast.parse(code)) for name in bound_names(node)]
    assert sorted(name for name in names if name in PRONOUNS) == ["each", "found", "own", "own"]
