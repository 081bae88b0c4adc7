"""Indexes hold neither subjects nor their pseudonyms, nor what they are hashed to, in any form."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import minimize
from minimize.keys import Keyring
from minimize.output.subject_index import IndexKey
from tests.leak.canary import Canary
from tests.leak.sweep import found
from tests.project import Project, event, new_project

DEVICES = [f"CANARY-device-{number:04}-5e1f77" for number in range(300)]


@pytest.fixture(name="project", scope="module", params=["pseudonymize", "keep"])
def _project(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = new_project(tmp_path_factory.mktemp("project"))
    do = {"pseudonymize": {"key": "device"}} if request.param == "pseudonymize" else "keep"
    project.policy({"device_id": {"type": "string", "role": "identifier", "do": do}})
    project.pipeline(aggregates=None, records={})
    project.records(event(number, device_id=device) for number, device in enumerate(DEVICES))
    project.run()
    return project


def released(project: Project) -> list[str]:
    return sorted(set(minimize.read(project.out)["device_id"].to_pylist()))


def planted(project: Project) -> list[Canary]:
    return [Canary(value, value) for value in {*DEVICES, *released(project)}]


def test_no_subject_and_no_released_value_is_in_an_index(project: Project) -> None:
    assert found(planted(project), project.out / "index") == set()


def test_no_prefix_of_a_hash_is_in_an_index(project: Project) -> None:
    [path] = (project.out / "index").rglob("*.index")
    prefixes = IndexKey.from_keys(Keyring.load(project.keys)).prefixes(pa.array(released(project)))
    assert len(prefixes) == len(DEVICES)
    stored = path.read_bytes()
    assert not any(word.tobytes() in stored or word.byteswap().tobytes() in stored for word in prefixes)


def test_the_control_finds_them_where_the_index_is_not_sealed(project: Project, tmp_path: Path) -> None:
    (tmp_path / "open.index").write_bytes("\n".join(released(project)).encode())
    assert found(planted(project), tmp_path) == set(released(project))


def test_bytes_of_an_index_are_as_good_as_random(project: Project) -> None:
    [path] = (project.out / "index").rglob("*.index")
    counts = np.bincount(np.frombuffer(path.read_bytes()[8:-16], np.uint8), minlength=256)
    expected = counts.sum() / 256
    assert float(((counts - expected) ** 2 / expected).sum()) < 400
