"""The guide's page of datasets is what the shipped pipelines say."""

from __future__ import annotations

import importlib.util
from typing import Any

from tests.docs.pages import ROOT

PAGE = ROOT / "docs" / "guide" / "datasets.md"


def generator() -> Any:
    spec = importlib.util.spec_from_file_location("datasets", ROOT / "docs" / "datasets.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == generator().page(), "python docs/datasets.py"


def test_every_shipped_pipeline_is_linked_once() -> None:
    names = sorted(path.parent.name for path in (ROOT / "pipelines").glob("*/pipeline.yaml"))
    text = PAGE.read_text()
    assert [text.count(f"](../../pipelines/{name}/pipeline.yaml)") for name in names] == [1] * len(names)
