"""Tests of Spark skip where it cannot be had, with a clear word; in CI they fail."""

from __future__ import annotations

import pytest

from tests import sparking


@pytest.fixture(autouse=True)
def _without_pyspark(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)


def test_without_spark_they_skip_with_a_clear_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no Spark: pyspark is not installed"):
        sparking.want_spark()


def test_in_ci_they_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="pyspark is not installed"):
        sparking.want_spark()
