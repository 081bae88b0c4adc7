"""Options that are a time or a date: a word that is none is answered with the option that it was given to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import click
from click.types import StringParamType

from minimize.times import day, moment


class When(StringParamType):
    """A text that can be read so. It stays a text: the library reads it again, as it does for callers of its functions."""

    def __init__(self, name: str, read: Callable[[str, str], object]) -> None:
        self.name = name
        self._read = read

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The text. Raises ConfigurationError, which names the option or the argument."""
        self._read(value, _word(param))
        return value


TIME: Final = When("time", moment)
DATE: Final = When("date", day)


def _word(param: click.Parameter | None) -> str:
    """The option as it is written, or the argument's name."""
    if param is None:
        return "this"
    return param.opts[0] if isinstance(param, click.Option) else param.human_readable_name
