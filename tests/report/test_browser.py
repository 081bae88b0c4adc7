"""A report in a real browser: on a laptop and a phone, light and dark, on paper, and for a screen reader."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from minimize.pages import BulletList, Section, Table, TermList, html_page
from minimize.recipients import Recipient
from minimize.recipients.pages import recipient_document
from minimize.report.written_documentation import write_documentation
from tests.project import AGGREGATES, AT, events, new_project, without_none
from tests.report.browsing import WIDTHS, chromium, shown, violations
from tests.report.telling import report
from tests.world import World

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = [pytest.mark.browser, pytest.mark.slow]
SCHEMES = ("light", "dark")
PIPELINES = Path(__file__).parents[2] / "pipelines"


@pytest.fixture(scope="module", name="browser")
def _browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture(scope="module", name="page")
def _page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = new_project(tmp_path_factory.mktemp("project"))
    noisy = without_none({**AGGREGATES["per_model"], "exact": None, "per_subject": {"rows": 9}})
    project.pipeline(aggregates={"per_model": noisy})
    project.records([*events(60), *["broken"] * 6])
    project.run()
    path = project.folder / "report.html"
    path.write_text(report(project, ledger=project.folder / "none.db", tables=["per_model"]).html(), encoding="utf-8")
    return path


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
def test_the_page_has_no_accessibility_violations(browser: Browser, page: Path, width: int, scheme: str) -> None:
    found, _ = shown(browser, page, width, color_scheme=scheme)
    found.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    assert violations(found) == []


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
def test_a_long_name_breaks_in_every_part_of_a_document(browser: Browser, tmp_path: Path, width: int) -> None:
    name = "x" * 300
    table = Table(name, (name[:10], "b"), [(name, name)])
    parts = (name, BulletList([name]), TermList([(name, (name,))]), table, Section(name, (name,), is_folded=True))
    path = tmp_path / "page.html"
    path.write_text(html_page(Section(name, parts)), encoding="utf-8")
    found, _ = shown(browser, path, width)
    assert found.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
def test_nothing_sticks_out_at_the_side(browser: Browser, page: Path, width: int) -> None:
    found, _ = shown(browser, page, width)
    assert found.evaluate("document.documentElement.scrollWidth") <= width
    outside = "each => each.getBoundingClientRect().right > innerWidth + 1 && !each.closest('thead')"
    assert found.evaluate(f"[...document.querySelectorAll('body *')].filter({outside}).length") == 0


def test_it_asks_the_network_for_nothing_and_complains_of_nothing(browser: Browser, page: Path) -> None:
    _, asked = shown(browser, page, 1280)
    assert asked == [page.as_uri()]


def test_injected_scripts_are_not_run(browser: Browser, page: Path) -> None:
    evil = page.with_name("evil.html")
    text = "<img src=x onerror=\"document.title='run'\"><script>document.title='run'</script></main>"
    evil.write_text(page.read_text("utf-8").replace("</main>", text), encoding="utf-8")
    found, _ = shown(browser, evil, 1280)
    assert found.title() != "run"


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
def test_error_bars_are_inside_their_chart(browser: Browser, page: Path, width: int) -> None:
    found, _ = shown(browser, page, width)
    sizes = found.evaluate(
        "[...document.querySelectorAll('rect.deviation')].map(each => [each, each.parentNode].map("
        "part => [part.getBoundingClientRect().left, part.getBoundingClientRect().right]))"
    )
    assert len(sizes) > 3
    assert all(chart[0] - 1 <= bar[0] < bar[1] <= chart[1] + 1 for bar, chart in sizes)


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
def test_every_chart_fills_its_width_and_stays_inside(browser: Browser, page: Path, width: int) -> None:
    found, _ = shown(browser, page, width)
    bars = found.evaluate(
        "[...document.querySelectorAll('.chart svg')].map(each => each.getBoundingClientRect().width)"
    )
    assert min(bars) > width / 3
    assert max(bars) < width


def test_on_paper_the_tables_are_unfolded(browser: Browser, page: Path) -> None:
    found, _ = shown(browser, page, 800)
    found.emulate_media(media="print")
    rows = found.evaluate(
        "[...document.querySelectorAll('details table')].map(each => each.getBoundingClientRect().height)"
    )
    assert rows
    assert min(rows) > 0
    assert len(found.pdf(format="A4")) > 10_000


def test_a_recipient_page_fits_a_phone_and_is_accessible(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "leaflet.html"
    path.write_text(
        html_page(recipient_document(Recipient(recipient="vendor", standing="independent_controller", functions={}))),
        encoding="utf-8",
    )
    found, _ = shown(browser, path, 375)
    assert found.evaluate("document.documentElement.scrollWidth") <= 375
    assert violations(found) == []


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
def test_a_leaflet_and_a_report_about_a_tenant_fit_every_screen(browser: Browser, world: World, width: int) -> None:
    for words in (("leaflet", PIPELINES / "device_support"), ("tenant", "report", "north")):
        page = world.folder / "page.html"
        assert world.command("pia", *words, "--html", page).code == 0
        found, asked = shown(browser, page, width)
        assert asked == [page.as_uri()]
        assert found.evaluate("document.documentElement.scrollWidth") <= width
        assert violations(found) == []


@pytest.fixture(scope="module", name="catalogue")
def _catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    names = ("device_telemetry", "google_android_management", "enrollments")
    folder = tmp_path_factory.mktemp("catalogue")
    write_documentation([str(PIPELINES / name) for name in names], folder, AT.date())
    return folder


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
def test_the_catalogue_fits_every_screen_and_is_accessible(
    browser: Browser, catalogue: Path, width: int, scheme: str
) -> None:
    for path in sorted(catalogue.rglob("*.html")):
        if path.name in ("catalogue.html", "processing.html"):
            continue
        found, asked = shown(browser, path, width, color_scheme=scheme)
        found.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
        assert asked == [path.as_uri()]
        assert found.evaluate("document.documentElement.scrollWidth") <= width
        assert violations(found) == []


def test_the_search_of_the_catalogue_finds_a_field_and_leads_to_it(browser: Browser, catalogue: Path) -> None:
    found, asked = shown(browser, catalogue / "datasets" / "enrollments.html", 1280)
    found.fill("#search", "google imei")
    found.press("#search", "Enter")
    found.wait_for_url("**/index.html#search=*")
    assert found.inner_text("#search-status") == "1 found"
    found.click("#results a")
    assert found.url.endswith("datasets/google_android_management.html#field-imei")
    assert not [text for text in asked if not text.startswith("file:")]


def test_filters_of_the_catalogue_hide_rows_and_count_the_others(browser: Browser, catalogue: Path) -> None:
    found, _ = shown(browser, catalogue / "datasets" / "google_android_management.html", 1280)
    found.check("#only-unchanged")
    found.check("#only-identifier")
    visible = found.evaluate("[...document.querySelectorAll('tr.field')].filter(row => row.checkVisibility()).length")
    assert 0 < visible < found.locator("tr.field").count()
    assert found.inner_text(".filters output").startswith(f"{visible} of ")
