"""The operator's command of `notify:` in `minimize.yaml`, which delivers a message to the contacts of a tenant."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final

from minimize.config import Config
from minimize.errors import ConfigurationError

NOTIFY_TIMEOUT: Final = timedelta(minutes=1)
"""The longest duration of the operator's command for one message."""


def find_notify_command(config: Config) -> list[str] | None:
    """The words of the operator's command; None if the nearest configuration names none.

    Raises ConfigurationError if the command cannot be found.
    """
    config.checked("notify", ConfigurationError)
    words = [str(each.value) for each in config.notify]
    if not words:
        return None
    program = str(config.folder / words[0]) if os.sep in words[0] else words[0]
    program_path = shutil.which(program)
    if program_path is None:
        raise ConfigurationError("the command of `notify:` cannot be found", hint="Check `notify:` in minimize.yaml.")
    return [program_path, *words[1:]]


def run_notify_command(command: Sequence[str], message: Path) -> int | None:
    """Runs the command, without a shell, with the message as its last argument. Its output is not part of the result.

    Returns its exit code; None if it could not be started or did not end in time. After the timeout, the command and the
    processes that it started are killed, so that no message is sent later unrecorded.
    """
    try:
        process = subprocess.Popen(  # noqa: S603  the operator names the command
            [*command, str(message)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError:
        return None
    try:
        return process.wait(NOTIFY_TIMEOUT.total_seconds())
    except subprocess.TimeoutExpired:
        return None
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
