from __future__ import annotations

import pytest

from minimize.errors import ConfigurationError
from minimize.interop.json_schema_import import SCHEMA_DIALECTS, dialect_of_schema


@pytest.mark.parametrize("dialect", SCHEMA_DIALECTS, ids=lambda each: each.name)
def test_a_draft_is_known_by_its_uri_with_or_without_its_fragment(dialect: object) -> None:
    uri = getattr(dialect, "uri", "")
    assert dialect_of_schema({"$schema": uri}) == dialect_of_schema({"$schema": f"{uri}#"}) == dialect


def test_what_says_nothing_is_of_the_newest_draft() -> None:
    assert dialect_of_schema({}).name == dialect_of_schema(True).name == "2020-12"


@pytest.mark.parametrize("uri", ["http://json-schema.org/draft-03/schema#", "http://json-schema.org/schema#", "x", 7])
def test_another_draft_is_refused(uri: object) -> None:
    with pytest.raises(ConfigurationError, match="not known"):
        dialect_of_schema({"$schema": uri})
