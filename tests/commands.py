"""The command, run in this process as a shell would run it."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import sys
from collections.abc import Callable
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any

import pytest

from minimize.cli import main


@dataclass(frozen=True)
class Result:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The result that `--json` prints."""
        return json.loads(self.out)

    @property
    def error(self) -> Any:
        """The error that `--json` prints."""
        return json.loads(self.err)["error"]

    def get(self, *path: str | int) -> str:
        """A value of its JSON; `missing` if there is none."""
        try:
            value = self.json
            for key in path:
                value = value[key]
        except (ValueError, LookupError, TypeError):
            return "missing"
        return str(value)


Command = Callable[..., Result]


def command(*arguments: object) -> Result:
    """Runs a `minimize` command. The log is as before when it has ended."""
    logger = logging.getLogger("minimize")
    before = (logger.handlers, logger.level, logger.propagate)
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        patch.setattr(sys, "argv", ["minimize", *map(str, arguments)])
        try:
            with pytest.raises(SystemExit) as ended:
                copy_context().run(main)
        finally:
            logger.handlers, logger.level, logger.propagate = before
    printed, reported = (stream.buffer.getvalue().decode() for stream in (out, err))
    assert "Traceback" not in printed + reported, reported
    return Result(int(ended.value.code or 0), printed, reported)
