from __future__ import annotations

import pytest

from minimize.interop.documents import kind_by_format


@pytest.mark.parametrize(
    ("pattern", "kind"),
    [
        ("^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$", "uuid"),
        ("^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$", "uuid"),
        (r"\w{8}-\w{4}-\w{4}-\w{4}-\w{12}", "uuid"),
        ("^[a-f0-9]{32}$", "hash"),
        ("^(sha256:)?[A-Fa-f0-9]{64}$", "hash"),
        ("^[[:xdigit:]]{40}$", "hash"),
        (r"^eyJ[\w-]+\.eyJ[\w-]+\.[\w-]+$", "token"),
        ("^[A-Z]{2}$", None),
        ("^[0-9]{32}$", None),
        ("^.{8}$", None),
        ("(a+)+$" * 2000, None),
    ],
)
def test_a_pattern_determines_the_kind_of_values(pattern: str, kind: str | None) -> None:
    assert kind_by_format([], [pattern])[0] == kind


@pytest.mark.parametrize(
    ("format_", "kind"), [("uuid", "uuid"), ("sha256", "hash"), ("jwt", "token"), ("hostname", None)]
)
def test_a_format_determines_the_kind_of_values(format_: str, kind: str | None) -> None:
    assert kind_by_format([format_])[0] == kind
