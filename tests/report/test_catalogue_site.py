"""The catalogue's site: complete, readable and safe, also for pipelines that never ran, many fields and hostile names."""

from __future__ import annotations

import hashlib
import json
import re
from base64 import b64encode
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest

from minimize.report.catalogue import pipelines_in, stated_processing
from minimize.report.catalogue_site import is_site_page, site_pages
from minimize.report.documentation import document_pipelines
from minimize.report.written_documentation import write_documentation
from tests.cli.conftest import _command, _project
from tests.commands import Command
from tests.project import AT, Project, event, events

__all__ = ["_command", "_project"]

DAY = AT.date()
PIPELINES = Path(__file__).parents[2] / "pipelines"
MARKUP = "</script><script>alert(1)</script><img src=x onerror=alert(1)>&quot;' \u2028"


def site(*paths: Path | str) -> dict[str, str]:
    pipelines = pipelines_in([str(path) for path in paths], DAY)
    stated = stated_processing(pipelines)
    return site_pages(pipelines, document_pipelines(pipelines, stated), stated)


class Page(HTMLParser):
    """What a browser sees of a page: elements, links, anchors, and the content of scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.lasttag == "script" and data.strip():
            self.scripts.append(data)

    @property
    def links(self) -> list[str]:
        return [str(attributes["href"]) for tag, attributes in self.elements if tag == "a" and "href" in attributes]

    @property
    def anchors(self) -> list[str]:
        return [str(attributes["id"]) for _, attributes in self.elements if "id" in attributes]

    @property
    def search(self) -> list[dict[str, str]]:
        entries: list[dict[str, str]] = json.loads(self.scripts[0])["search"]
        return entries


def rows(page: str) -> dict[str, set[str]]:
    """The fields of a page in its order, with what the filters select them by."""
    found = re.findall(
        r'<tr role="row" id="[^"]+" class="field([^"]*)">\n<th[^>]*><a class="anchor key"[^>]*>(.*?)</a>', page
    )
    return {unescape(key): set(words.split()) for words, key in found}


@pytest.fixture(scope="module", name="pages")
def _pages() -> dict[str, str]:
    return site(PIPELINES)


def test_each_dataset_has_a_page_and_each_field_an_anchor(pages: dict[str, str]) -> None:
    known = pipelines_in([str(PIPELINES)], DAY)
    assert list(pages) == ["index.html", "record.html", *(f"datasets/{each.pipeline.pipeline}.html" for each in known)]
    for each in known:
        shown = rows(pages[f"datasets/{each.pipeline.pipeline}.html"])
        assert set(shown) == set(each.plan.fields)


def test_every_link_leads_to_a_page_and_an_anchor_of_the_site(pages: dict[str, str]) -> None:
    parsed = {name: Page(text) for name, text in pages.items()}
    for name, page in parsed.items():
        targets = [*page.links, *(each["link"] for each in (page.search or ()))]
        folder = Path(name).parent
        for link in targets:
            path, _, anchor = link.partition("#")
            target = name if not path else str((folder / path).as_posix()).replace("datasets/../", "")
            assert target in parsed, f"{name}: {link}"
            assert not anchor or anchor in parsed[target].anchors, f"{name}: {link}"
        assert len(page.anchors) == len(set(page.anchors)), name


def test_the_search_finds_datasets_and_fields(pages: dict[str, str]) -> None:
    entries = Page(pages["index.html"]).search
    assert {"device_telemetry", "imei"} <= {each["title"] for each in entries}
    telemetry = [each for each in entries if each["link"].startswith("datasets/device_telemetry.html")]
    assert len(telemetry) == 1 + len(rows(pages["datasets/device_telemetry.html"]))
    assert all(Page(text).search is None for name, text in pages.items() if name != "index.html")


def test_filters_select_identifiers_unchanged_and_shared_fields(pages: dict[str, str]) -> None:
    fields = rows(pages["datasets/google_android_management.html"])
    assert fields["google_user"] == {"identifier", "unchanged", "shared", "released"}
    assert fields["imei"] == {"identifier", "shared", "released"}
    telemetry = rows(pages["datasets/device_telemetry.html"])
    assert telemetry["imei"] == {"identifier", "absent"}
    assert telemetry["model"] & {"identifier", "shared"} == set()
    assert "unchanged" not in telemetry["device_id"]
    for word in ("identifier", "unchanged", "shared", "released"):
        assert f'id="only-{word}"' in pages["datasets/device_telemetry.html"]


def test_fields_that_identify_come_first_and_dropped_ones_last(pages: dict[str, str]) -> None:
    fields = list(rows(pages["datasets/google_android_management.html"]).items())
    assert fields[0][0] == "google_user"
    absent = ["absent" in words for _, words in fields]
    assert absent == sorted(absent)


def test_lineage_is_a_graph_with_the_same_as_text(pages: dict[str, str]) -> None:
    page = pages["datasets/google_android_management.html"]
    labels = re.findall(r"<title>(.*?)</title>\n<rect", page)
    assert labels == [
        "ndjson only for google (android_management): source",
        "google_android_management: policy version 1",
        "records: identified",
        "android_management: payload, if authorized",
        "google: recipient",
    ]
    assert "<li>android_management (payload, if authorized) → google (recipient)</li>" in page
    assert page.count("<path d=") == 4
    assert (
        "imei in the source → pseudonymize (key device, per tenant_id, link device.imei) → records, sent to google"
        in page
    )


def test_only_the_script_of_the_site_may_run(pages: dict[str, str]) -> None:
    for text in pages.values():
        page = Page(text)
        script = page.scripts[-1]
        digest = b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; base-uri 'none'" in text
        assert not [pair for pair in page.elements if {"src", "srcset", "action"} & pair[1].keys() or pair[0] == "link"]
        assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]
        assert not re.search(r"https?://(?!www\.w3\.org)", re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL))


def test_a_pipeline_that_never_ran_says_so(project: Project) -> None:
    pages = site(project.folder)
    page = pages["datasets/checkins.html"]
    assert "nothing was published" in page
    assert '<td role="cell" data-label="last published">never</td>' in pages["index.html"]


def test_what_was_published_comes_from_the_ledger(project: Project) -> None:
    project.records(events(20))
    run = project.run(at=AT)
    page = site(project.folder)["datasets/checkins.html"]
    published = page.partition('<h2 id="published">')[2]
    assert run.run_id in published
    assert "1 change of the output according to the ledger" in published
    assert "2026-11-24" in published
    assert "20" not in re.sub(r"2026|[0-9T:-]{5,}|<[^>]*>", "", published.partition("</table>")[0])


def test_an_output_whose_ledger_is_gone_is_not_an_error(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.records(events(20))
    project.run(at=AT)
    monkeypatch.setenv("MINIMIZE_LEDGER", str(project.folder / "gone.db"))
    pages = site(project.folder)
    assert "The ledger does not exist, but the output has 1 receipt." in pages["datasets/checkins.html"]
    assert not (project.folder / "gone.db").exists()


def test_what_needs_a_decision_is_first(project: Project) -> None:
    project.records(events(20))
    project.run(at=AT)
    project.policy(retention=None)
    pages = site(project.folder)
    needs = pages["datasets/checkins.html"].partition("site-status")[2].partition("</div>")[0]
    for text in (
        "3 things need your decision",
        "no retention is set",
        "the policy names no owner",
        "the policy was changed since the last publication",
    ):
        assert text in needs
    assert "checkins: no retention is set" in pages["index.html"]
    assert "statements missing in the record of processing" in pages["index.html"]


def test_purposes_have_their_legal_basis(project: Project) -> None:
    stated = "legal_basis: 'Art. 6(1)(f)', legal_basis.customer_support: 'Art. 6(1)(b)'"
    (project.folder / "minimize.yaml").write_text(f"processing: {{{stated}}}\n")
    pages = site(project.folder)
    page = pages["datasets/checkins.html"].partition('<h2 id="purposes">')[2]
    for purpose, basis in (("service_maintenance", "Art. 6(1)(f)"), ("customer_support", "Art. 6(1)(b)")):
        assert f'>{purpose}</th>\n<td role="cell" data-label="legal basis"><span>{basis}</span>' in page
    assert "<dt>Legal basis of customer support</dt>\n<dd>Art. 6(1)(b)</dd>" in pages["record.html"]


def test_names_with_markup_stay_text(project: Project) -> None:
    key = f"x{MARKUP.replace('/', '|')}"
    project.policy({key: {"type": "string", "about": MARKUP, "do": "keep"}}, owner=MARKUP)
    for name, page in site(project.folder).items():
        loaded = [tag for tag, _ in Page(page).elements if tag in ("script", "img")]
        assert loaded == ["script", "script"], name
        assert "\u2028" not in page.partition('id="data"')[2]
    entries = Page(site(project.folder)["index.html"]).search
    assert [each["title"] for each in entries if "alert" in each["title"]] == [key]


def test_the_search_shows_no_characters_that_reverse_text(project: Project) -> None:
    project.policy({"x": {"type": "string", "about": "\u202egnp.exe\u2066", "do": "keep"}})
    assert not [name for name, page in site(project.folder).items() if re.search("[\u202a-\u202e\u2066-\u2069]", page)]


def test_names_between_backticks_are_code(project: Project) -> None:
    for name, page in site(project.folder).items():
        assert "`" not in re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL), name


def test_the_record_counts_receipts_and_has_times_to_the_minute(project: Project) -> None:
    project.records(events(20))
    project.run(at=AT)
    assert re.search(r"1 receipt \(run 1\), [0-9-]{10} [0-9:]{5} UTC to", site(project.folder)["record.html"])


def test_five_hundred_fields_fit_on_a_page(project: Project) -> None:
    project.policy({f"field_{number}": {"type": "string", "do": "keep"} for number in range(500)})
    pages = site(project.folder)
    assert len(rows(pages["datasets/checkins.html"])) > 500
    assert len(pages["datasets/checkins.html"]) < 1_500_000


def test_no_tenant_and_no_value_is_on_a_page(project: Project) -> None:
    records = [event(number, tenant_id=f"secret-tenant-{number % 40}", model="canary") for number in range(80)]
    project.records(records)
    project.run(at=AT)
    assert not [name for name, text in site(project.folder).items() if "secret-tenant" in text or "canary" in text]


def test_two_pipelines_of_one_name_have_two_pages(project: Project, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    for name in ("policy.yaml", "pipeline.yaml"):
        (other / name).write_text((project.folder / name).read_text())
    pages = site(project.folder, other)
    assert [name for name in pages if name.startswith("datasets/")] == [
        "datasets/checkins.html",
        "datasets/checkins-2.html",
    ]


def test_a_later_site_removes_pages_of_datasets_that_are_gone_and_nothing_else(tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = write_documentation([str(PIPELINES / name) for name in ("usage_events", "enrollments")], out, DAY)
    assert all(is_site_page(path.read_text()) for path in first.site)
    own = out / "datasets" / "notes.html"
    own.write_text("<p>ours</p>")
    second = write_documentation([str(PIPELINES / "enrollments")], out, DAY)
    assert sorted(out.rglob("*")) == sorted([*second.documents, *second.site, own, out / "datasets"])


def test_the_command_names_the_start_page(project: Project, command: Command) -> None:
    said = command("docs", project.folder, "--to", "told")
    assert said.code == 0, said.err
    assert said.out.splitlines()[-2:] == ["wrote told/index.html", "2 further pages next to it"]
    assert command("docs", project.folder, "--to", "told", "--json").json["files"][-1] == "told/index.html"
