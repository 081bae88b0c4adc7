"""Compare two models of one form: one walk finds every difference, and a table of rules grades and describes it.

A rule belongs to the path of a key, such as `fields.*.do`; `*` is any entry of a mapping. A change of a key without a rule
loosens, so a key that is added to a form is never ignored. The form declares the order of the values of a key.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import chain
from typing import Any, Final

from pydantic import BaseModel

from minimize.forms import Form
from minimize.review.changes import Comparison, Grade, GradedChange, change_text, join_grades, value_text
from minimize.techniques.parameters import UNORDERED, Order, orders_of


@dataclass(frozen=True, slots=True)
class FormSides:
    """The old and the new content of a form, with the name of the file on each side."""

    old: Any
    new: Any
    old_file: str | None = None
    new_file: str | None = None


USUAL_LABEL: Final = "{path}{change}"


@dataclass(frozen=True, slots=True)
class Rule:
    """How a change of a value is graded and described. An entry that one side does not have is None.

    Texts are templates or functions. Labels are templates with `change`, which is the old and the new text, `text` (that of the
    only value), `path` (the keys below the last entry) and `entry`.
    """

    code: str
    order: Comparison | None = None
    """Instead of the order that the form declares for the key: a comparison of the old with the new value."""
    text: str | Callable[[Any], str] = value_text
    """A value in words; `missing` if there is none."""
    label: str = USUAL_LABEL
    """The message; `added` and `removed` if only one side has the entry, and the label differs."""
    added: str = ""
    removed: str = ""
    form_order: Callable[[FormSides, Any, Any], Grade] | None = None
    """Instead of `order`: a comparison that also reads other parts of the form."""
    keys: tuple[str, ...] = ()
    """Keys of a model that are compared together; the rule then gets the model instead of a value."""
    read: Callable[[Any], Any] | None = None
    """Reads the part of a value that is compared."""
    change: Callable[[Any, Any], str] | None = None
    """Instead of the old and the new text: a change in words."""
    missing: str = "nothing"
    from_old: bool = False
    """Whether a removed entry is shown in the old file."""

    def value_text(self, value: Any) -> str:
        """A value in words."""
        if value is None:
            return self.missing
        return self.text.format(value) if isinstance(self.text, str) else self.text(value)

    def label_of(self, old: Any, new: Any) -> str:
        """The label for a change, an added entry or a removed one."""
        return (self.added if old is None else self.removed if new is None else "") or self.label


Rules = Mapping[str, Rule | None]
"""Rules by path. None for what is not compared: it is not a key of the file, or is compared elsewhere."""
UNKNOWN: Final = Rule("J002", text=str, label="{path}changed")
"""The rule of a key that has none."""
_NO_LINES: Final[Mapping[Any, int]] = {}


@dataclass(frozen=True, slots=True)
class Difference:
    """Two values at one place of a form, and the rule for them."""

    rule: Rule
    old: Any
    new: Any
    path: tuple[Any, ...] = ()
    """Keys and entries in the file."""
    pattern: str = ""
    """The path of the rule."""
    order: Order = UNORDERED
    """The order that the form declares for the key."""
    entries: tuple[Any, ...] = ()
    """The entries on the path; if one is a tuple, its first part is the subject of the change."""
    line: int | None = None


def compare_forms(sides: FormSides, rules: Rules) -> Iterator[GradedChange]:
    """The graded changes between two models of one form."""
    for difference in find_differences(sides, rules):
        grade = _grade(sides, difference)
        if grade != "neutral" or not _is_same(difference):
            yield _graded_change(sides, difference, grade)


def _grade(sides: FormSides, difference: Difference) -> Grade:
    rule, old, new = difference.rule, difference.old, difference.new
    if rule.form_order is not None:
        return rule.form_order(sides, old, new)
    if rule.order is not None:
        return rule.order(old, new)
    return keys_grade(old, new, rule.keys) if rule.keys else value_grade(difference.order, old, new)


def value_grade(order: Order, old: Any, new: Any) -> Grade:
    """Grade of a change of a value: by the orders of its keys if it is a form, else by its order."""
    return keys_grade(old, new) if isinstance(old, Form) and isinstance(new, Form) else order.grade(old, new)


def keys_grade(old: Form, new: Form, keys: Collection[str] = ()) -> Grade:
    """Grade of a change of these keys of a form, or of all, each by the order that the form declares."""
    return join_grades(
        value_grade(order, getattr(old, key), getattr(new, key))
        for key, order in orders_of(type(new)).items()
        if not keys or key in keys
    )


def _graded_change(sides: FormSides, difference: Difference, grade: Grade) -> GradedChange:
    rule, path = difference.rule, difference.pattern.rpartition("*")[2].lstrip(".")
    texts = rule.value_text(difference.old), rule.value_text(difference.new)
    names = [entry if isinstance(entry, tuple) else (entry,) for entry in difference.entries]
    message = rule.label_of(difference.old, difference.new).format(
        change=change_text(*texts) if rule.change is None else rule.change(difference.old, difference.new),
        text=texts[0] if difference.new is None else texts[1],
        path=f"{path}: " if path else "",
        entry=names[-1][-1] if names else "",
    )
    file, line = sides.new_file, difference.line
    if rule.from_old and difference.new is None:
        file, line = sides.old_file, _line(sides.old, [difference.path], difference.old)
    return GradedChange(
        code=rule.code,
        grade=grade,
        message=message,
        file=file,
        line=line,
        about=": ".join(name[0] for name in names) or None,
    )


def _is_same(difference: Difference) -> bool:
    """Whether the values are equal. Equal techniques may differ in what they computed, so their texts are compared, too."""
    old, new = difference.old, difference.new
    if difference.rule.keys and difference.rule.read is None:
        old, new = ([getattr(side, key) for key in difference.rule.keys] for side in (old, new))
    if isinstance(old, Mapping) and isinstance(new, Mapping) and [*old] != [*new]:
        return False
    return repr(old) == repr(new) or (type(old) is type(new) and bool(old == new))


def find_differences(sides: FormSides, rules: Rules) -> Iterator[Difference]:
    """Every pair of values that a rule compares. The values of a pair may be equal."""
    return _differences(Difference(UNKNOWN, sides.old, sides.new), sides.new, rules)


def _differences(pair: Difference, root: Any, rules: Rules) -> Iterator[Difference]:
    rule = rules.get(pair.pattern, UNKNOWN)
    if rule is None:
        return
    if rule.read is not None:
        values = [None if value is None else rule.read(value) for value in (pair.old, pair.new)]
        pair = replace(pair, old=values[0], new=values[1])
    if pair.pattern and not any(path.startswith(f"{pair.pattern}.") for path in rules):
        yield replace(pair, rule=rule)
    elif isinstance(pair.old, Mapping) and isinstance(pair.new, Mapping):
        for key in {**pair.old, **pair.new}:
            entry = _below(pair, "*", (key,), (pair.old.get(key), pair.new.get(key)), root)
            yield from _differences(replace(entry, entries=(*pair.entries, key), order=UNORDERED), root, rules)
    elif pair.old is None or pair.new is None:
        yield replace(pair, rule=rule)
    else:
        yield from _key_differences(pair, root, rules)


def _key_differences(pair: Difference, root: Any, rules: Rules) -> Iterator[Difference]:
    """The differences of two models, key by key. Keys that are compared together are one difference."""
    rule_by_key = {name: rules.get(f"{pair.pattern}.{name}".lstrip(".")) for name in model_keys(type(pair.new))}
    groups = {name: rule.keys for name, rule in rule_by_key.items() if rule is not None and rule.keys}
    order_by_key = orders_of(type(pair.new)) if isinstance(pair.new, BaseModel) else {}
    grouped = set(chain.from_iterable(groups.values())) - groups.keys()
    for name in (each for each in rule_by_key if each not in grouped):
        keys = groups.get(name, ())
        values = [side if keys else getattr(side, name) for side in (pair.old, pair.new)]
        below = _below(pair, name, [key.rstrip("_") for key in keys or (name,)], values, root)
        yield from _differences(replace(below, order=order_by_key.get(name, UNORDERED)), root, rules)


def _below(pair: Difference, name: str, keys: Sequence[Any], values: Sequence[Any], root: Any) -> Difference:
    """The pair of values below a key, or below several. The line is that of the nearest key on the path that has one."""
    paths = [(*pair.path, key) for key in keys]
    line = _line(root, paths, values[1])
    return replace(
        pair,
        old=values[0],
        new=values[1],
        path=paths[0],
        pattern=f"{pair.pattern}.{name}".lstrip("."),
        line=pair.line if line is None else line,
    )


def _line(root: Any, paths: Sequence[tuple[Any, ...]], value: Any) -> int | None:
    """The line of the first key that has one, as the form or the value itself records it."""
    lines = getattr(root, "lines", _NO_LINES)
    line: int | None = getattr(value, "line", None)
    return next((lines[path] for path in paths if path in lines), line)


def model_keys(kind: Any) -> tuple[str, ...]:
    """The keys of a model or a dataclass."""
    return tuple(kind.model_fields) if issubclass(kind, BaseModel) else tuple(each.name for each in fields(kind))
