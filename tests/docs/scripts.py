"""The scripts of `docs`, which is no package, as modules."""

from __future__ import annotations

import importlib.util
import sys
from typing import Any

from tests.docs.pages import ROOT


def script(name: str) -> Any:
    """A script, loaded. It can import the scripts next to it."""
    if str(ROOT / "docs") not in sys.path:
        sys.path.append(str(ROOT / "docs"))
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
