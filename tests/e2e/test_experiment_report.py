"""An experiment's report in a real browser: whole, alone, and within the screen, light, dark and small."""

from pathlib import Path

from analytics.experiments.page import page
from analytics.experiments.pairing import compare_pairs
from tests.support.browser import require_browser
from tests.support.report_pictures import look
from tests.unit.analytics.experiments.test_analysis import observations, report
from tests.unit.analytics.experiments.test_page import tracks


def test_the_report_stands_alone_and_fits_every_screen(tmp_path: Path) -> None:
    require_browser()
    pairs = {"other": compare_pairs(tracks(0.02), tracks(0.01, seed=2))}
    file = tmp_path / "report.html"
    file.write_text(page(report(observations(effect=0.7)), pairs), encoding="utf-8")
    assert look(file, tmp_path) == {"requests": [], "errors": [], "wide": []}
    assert {path.name for path in tmp_path.glob("*.png")} == {"report.png", "report-dark.png", "report-small.png"}
