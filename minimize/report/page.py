"""A report as one page of HTML that fetches nothing: its style, its pictures and its words stand in it."""

from __future__ import annotations

from datetime import datetime
from importlib.util import find_spec
from typing import Any, Final

from minimize.counts import counted
from minimize.errors import ConfigurationError
from minimize.recipients.leaflet import BASE
from minimize.report.facts import Facts
from minimize.report.rounding import percent

_WANTED: Final = ("jinja2", "matplotlib")
_PAGE: Final = "page.html"


def page(facts: Facts) -> str:
    """The page; every text of a file or of data is escaped. Raises ConfigurationError without `minimize[report]`."""
    missing = [name for name in _WANTED if find_spec(name) is None]
    if missing:
        raise ConfigurationError(f"a page needs {' and '.join(missing)}", hint="pip install 'minimize[report]'")
    from minimize.report.plots import pictures

    return str(_environment().get_template(_PAGE).render(facts=facts, base=BASE, pictures=pictures(facts)))


def _environment() -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    found = Environment(
        loader=PackageLoader("minimize.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {"day": _day, "minute": _minute, "percent": percent, "words": _words, "of": counted}
    return found


def _day(when: datetime | None) -> str:
    return "" if when is None else f"{when:%Y-%m-%d}"


def _minute(when: datetime) -> str:
    return f"{when:%Y-%m-%d %H:%M} UTC"


def _words(name: str) -> str:
    """A word of the code as people write it."""
    return name.replace("_", " ")
