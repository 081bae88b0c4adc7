"""The search for `minimize.yaml`: the nearest one upwards from the folder of a pipeline or an output.

The `pipelines/` of each folder is also searched. What was found is handed on as a `Config`.
"""

from __future__ import annotations

import os
from pathlib import Path

from minimize.config import Config, candidate_files, parse_config

ConfigStart = Config | str | os.PathLike[str] | None
"""Where the search for `minimize.yaml` starts, or a configuration that was read before."""


def load_config(start: ConfigStart = None, candidate: Config | None = None) -> Config:
    """The nearest `minimize.yaml` upwards from the folder of a pipeline or an output; the defaults if there is none.

    Pass None if a command names neither a pipeline nor an output on disk; the search then starts from the current folder. If no
    folder above the path has one, the search continues from the target of a symbolic link. A configuration is returned as it is;
    so is a candidate whose file is the one that is found, which is not read again.
    """
    if isinstance(start, Config):
        return start
    folder = Path.cwd() if start is None else Path(os.path.abspath(start))
    path = next((path for each in (folder, folder.resolve()) for path in candidate_files(each) if path.is_file()), None)
    if candidate is not None and path is not None and path == candidate.path:
        return candidate
    if path is None:
        return Config(start=None if start is None else Path(start))
    try:
        content = path.read_bytes()
    except OSError:
        return Config(path, is_readable=False)
    return parse_config(path, content)
