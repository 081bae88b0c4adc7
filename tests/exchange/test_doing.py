from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from minimize.errors import ConfigurationError
from minimize.interop import EXPORTS, FORMATS, IMPORTS
from minimize.interop.convert import export_document, import_into, import_policy
from minimize.interop.model import ExportRequest
from minimize.policy.load import load_policy
from minimize.registry import load_object


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_a_module_that_does_what_its_row_says(name: str) -> None:
    row = FORMATS[name]
    assert row.reads is None or callable(load_object(row.reads))
    assert row.writes is None or callable(load_object(row.writes))
    assert row.reads or row.writes


def test_no_format_is_loaded_before_it_is_asked_for() -> None:
    modules = [each.rpartition(".")[0] for row in FORMATS.values() for each in (row.reads, row.writes) if each]
    text = f"import sys, minimize.interop, minimize.interop.convert; print([m for m in {modules} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_policy_is_written_once_and_loads(tmp_path: Path) -> None:
    schema = tmp_path / "s.json"
    schema.write_text(json.dumps({"title": "check ins", "properties": {"a": {"type": "string"}}}))
    [path] = import_into("jsonschema", schema, tmp_path / "p")
    assert path.read_text() == import_policy("jsonschema", schema)
    assert load_policy(tmp_path / "p").policy == "check_ins"
    assert (tmp_path / "p" / ".schema" / "policy.json").exists()
    with pytest.raises(ConfigurationError, match="exists"):
        import_into("jsonschema", schema, tmp_path / "p")


def test_a_format_that_is_not_there_or_goes_the_other_way_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no such format"):
        import_policy("openlineage", tmp_path / "x")
    with pytest.raises(ConfigurationError, match="no such format"):
        export_document("allowlist", ExportRequest(str(tmp_path)))
    assert set(IMPORTS) | set(EXPORTS) == set(FORMATS)
