"""The guide's page of datasets is what the shipped pipelines say."""

from __future__ import annotations

from tests.docs.pages import ROOT
from tests.docs.scripts import script

PAGE = ROOT / "docs" / "guide" / "datasets.md"


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == script("datasets").page(), "python docs/datasets.py"


def test_every_shipped_pipeline_is_linked_once() -> None:
    names = sorted(path.parent.name for path in (ROOT / "pipelines").glob("*/pipeline.yaml"))
    text = PAGE.read_text()
    assert [text.count(f"](../../pipelines/{name}/pipeline.yaml)") for name in names] == [1] * len(names)


def test_the_figure_of_the_service_is_the_same_in_readme_and_concepts() -> None:
    readme, concepts = (ROOT / "README.md").read_text(), (ROOT / "docs" / "concepts.md").read_text()
    figure = readme.partition("<!-- service -->\n")[2].partition("<!-- /service -->")[0]
    assert figure.startswith("```text")
    assert figure in concepts
