"""A project whose master keys are kept by a key service: runs, reading, rotation and shredding."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

import minimize
from minimize.errors import KeyringError
from minimize.keys import Keyring, MasterKey
from minimize.removal.keys import rotate_keys, shred_keys
from minimize.workspace import Workspace as Where
from tests.project import AT, Project, events
from tests.vaulting import TOKEN, openbao, small

NOW = AT + timedelta(hours=1)
KINDS = ["small", pytest.param("openbao", marks=pytest.mark.nightly)]


@pytest.fixture(name="kept", params=KINDS)
def _kept(project: Project, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    monkeypatch.setenv("VAULT_TOKEN", TOKEN)
    with small() if request.param == "small" else openbao(project.folder) as server:
        (project.folder / "minimize.yaml").write_text(f"keys: test.keys\nledger: ledger.db\nkms: {server.address}\n")
        project.records(events(40))
        project.run()
        yield project


def test_a_run_is_encrypted_by_keys_that_never_come_here(kept: Project) -> None:
    assert kept.master_keys() == {"encrypt.pseudonymized/1"}
    assert not any(name.startswith("encrypt.") for name in Keyring.load(kept.keys).names())
    assert len(kept.rows()) == 40
    minimize.verify(kept.out, keys=kept.keys)


def test_without_a_token_nothing_is_read(kept: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAULT_TOKEN", "another")
    with pytest.raises(KeyringError, match="does not permit the operation for this token"):
        kept.rows()


def test_files_are_re_encrypted_under_a_new_version(kept: Project) -> None:
    before = kept.rows()
    done = rotate_keys(Where(keys=kept.keys), NOW, outputs=[kept.out])
    assert done.versions == (MasterKey("encrypt.footer", 2), MasterKey("encrypt.pseudonymized", 2))
    assert kept.master_keys() == {"encrypt.pseudonymized/2"}
    assert kept.rows() == before
    minimize.verify(kept.out, keys=kept.keys)


def test_a_shredded_version_opens_nothing(kept: Project) -> None:
    found = shred_keys(Where(keys=kept.keys), NOW, key="encrypt.pseudonymized/1", yes=True)
    assert [each.rows for each in found.unreadable] == [40]
    with pytest.raises(KeyringError, match="was destroyed"):
        kept.rows()


def test_versions_before_it_are_listed_for_they_go_too(kept: Project) -> None:
    rotate_keys(Where(keys=kept.keys), NOW)
    found = shred_keys(Where(keys=kept.keys), NOW, key="encrypt.pseudonymized/2")
    assert found.masters == (MasterKey("encrypt.pseudonymized", 1), MasterKey("encrypt.pseudonymized", 2))
    assert [each.rows for each in found.unreadable] == [40]
