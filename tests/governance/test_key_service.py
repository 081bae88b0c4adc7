"""The key service of an output is that of its pipeline's configuration, wherever the output is."""

from __future__ import annotations

from pathlib import Path

import pytest

from minimize.datasets.published_output import PublishedOutput
from minimize.datasets.reader import load_receipts
from minimize.errors import KeyringError
from minimize.keys import Keyring
from minimize.policy.load import load_pipeline
from minimize.removal.decision import RewriteRequest
from tests.project import AT, Project, events

UNREACHABLE = "kms: vault+http://127.0.0.1:1/transit\n"


@pytest.mark.parametrize("is_configured", [True, False])
def test_the_configuration_of_the_pipeline_names_it(
    project: Project, tmp_path_factory: pytest.TempPathFactory, is_configured: bool
) -> None:
    output = tmp_path_factory.mktemp("elsewhere") / "out"
    project.records(events(5))
    project.run(output=output)
    if is_configured:
        (project.folder / "minimize.yaml").write_text(UNREACHABLE)
    keys, job = Keyring.load(project.keys), load_pipeline(project.folder)
    published = PublishedOutput(output, load_receipts(output), keys, job)
    request = RewriteRequest(output, job.policy, AT, keys)
    for kms in (published.kms, request.kms):
        with pytest.raises(KeyringError) as raised:
            kms.newest("encrypt.identified")
        assert ("127.0.0.1:1" in raised.value.message) is is_configured, raised.value.message
    assert not [*Path(output).parent.glob("minimize.yaml")]
