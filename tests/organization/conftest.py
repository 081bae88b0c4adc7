"""The published service, built once per session, and copies of it for tests that write."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import pytest

from minimize.forms import yaml_nodes
from tests.organization.service import PIPELINES, Service, build_service
from tests.organization.truth import Truth

FEW = (
    "apple_device_enrollment_sync",
    "device_lookup",
    "device_telemetry",
    "support_cases",
    "usage_events",
)
"""Few pipelines among which every kind of subject, of file and of fault occurs: for the fast tests."""


@pytest.fixture(scope="session", autouse=True)
def _parsed_once() -> Iterator[None]:
    """Parses each YAML text once: the commands of a test share a process, and each reads the files of all pipelines."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(yaml_nodes, "_parse_cached", lru_cache(maxsize=2000)(yaml_nodes._parse_cached.__wrapped__))
        yield


@pytest.fixture(scope="session", name="whole")
def _whole(tmp_path_factory: pytest.TempPathFactory, _parsed_once: None) -> tuple[Service, Truth]:
    """All shipped pipelines, published."""
    service = build_service(tmp_path_factory.mktemp("organization"))
    return service, Truth.of(service, PIPELINES)


@pytest.fixture(scope="session", name="part")
def _part(tmp_path_factory: pytest.TempPathFactory, _parsed_once: None) -> tuple[Service, Truth]:
    """A few of the shipped pipelines, published."""
    service = build_service(tmp_path_factory.mktemp("part"), FEW)
    return service, Truth.of(service, FEW)


@pytest.fixture(name="copy_of_whole")
def _copy_of_whole(whole: tuple[Service, Truth], tmp_path: Path) -> tuple[Service, Truth]:
    service, truth = whole
    return service.copy(tmp_path / "organization"), Truth(truth.baseline)


@pytest.fixture(name="copy_of_part")
def _copy_of_part(part: tuple[Service, Truth], tmp_path: Path) -> tuple[Service, Truth]:
    service, truth = part
    return service.copy(tmp_path / "part"), Truth(truth.baseline)
