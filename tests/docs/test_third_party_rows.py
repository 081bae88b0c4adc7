"""The page of all rows of the lists is what the manifests and pipelines say, row by row."""

from __future__ import annotations

import re
from collections import Counter

from tests.docs.pages import ROOT
from tests.docs.scripts import script

PAGE = ROOT / "docs" / "reference" / "third-party-data.md"
LISTED = {
    "Sent to Apple": 27,
    "Received from Apple": 60,
    "Sent to Google": 7,
    "Received from Google": 3,
    "Received from Jamf Pro": 40,
    "Sent to a vendor of mobile threat defense": 8,
}


def rows() -> list[tuple[str, list[str]]]:
    """Each row of the page with the title of its section."""
    found, title = [], ""
    for line in PAGE.read_text().splitlines():
        if line.startswith("## "):
            title = re.sub(r": \d+ rows$", "", line[3:])
        elif line.startswith("| ") and not line.startswith(("| row ", "| --- ")):
            found.append((title, line.strip("| ").split(" | ")))
    return found


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == script("third_party_rows").page(), "python docs/third_party_rows.py"


def test_every_row_of_the_lists_is_there_once() -> None:
    counts = Counter(title for title, _ in rows())
    assert {title: counts[title] for title in LISTED} == LISTED
    assert sum(LISTED.values()) == 145
    keyed = [(title, cells[1], cells[0]) for title, cells in rows()]
    assert len(set(keyed)) == len(keyed)


def own_pipelines(cells: list[str]) -> set[str]:
    """The pipelines of a row, whose folders begin with the name of its recipient: tests send and receive with each of them."""
    return {name for name in cells[3].split(", ") if (ROOT / "pipelines" / name / "pipeline.yaml").is_file()}


def test_every_row_that_is_sent_has_a_pipeline() -> None:
    sent = [cells for title, cells in rows() if title.startswith("Sent")]
    assert len(sent) == 27 + 7 + 8 + 8
    assert [cells[0] for cells in sent if not own_pipelines(cells)] == []


def test_every_row_that_is_received_has_a_pipeline() -> None:
    received = [cells for title, cells in rows() if title.startswith("Received")]
    assert len(received) == 60 + 3 + 40 + 3
    assert [cells[0] for cells in received if not own_pipelines(cells)] == []
