"""The version of a package is the one that Python tells."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distributions
from importlib.metadata import version as told

import pytest

from minimize.text import installed_version


def test_every_installed_package_has_the_version_that_python_reports() -> None:
    names = {each.metadata["Name"] for each in distributions()}
    assert {name: installed_version(name) for name in names} == {name: told(name) for name in names}


def test_a_package_that_is_not_there_is_not_found() -> None:
    with pytest.raises(PackageNotFoundError):
        installed_version("no-such-package-as-this")
