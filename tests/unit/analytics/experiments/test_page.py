import re
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from analytics.experiments import plots
from analytics.experiments.page import DARK, LIGHT, page, pairs_page
from analytics.experiments.pairing import compare_pairs, pair_up
from tests.unit.analytics.experiments.test_analysis import observations, report
from tests.unit.analytics.experiments.test_metrics import moving, track


def tracks(noise, n=6, seed=1):
    rng = np.random.default_rng(seed)
    return {f"s{i}": track(shapes=moving(rng, noise * (1 + i / 10))) for i in range(n)}


@pytest.fixture(scope="module")
def shown():
    pairs = {"other": compare_pairs(tracks(0.02), tracks(0.01, seed=2))}
    return page(report(observations(effect=0.7)), pairs, note="From <nowhere>")


def test_the_page_stands_alone(shown):
    assert not re.search(r"(src|href)\s*=\s*['\"]?(https?:|//)", shown)
    assert "<script" not in shown
    assert shown.startswith("<!doctype html>")
    assert "From &lt;nowhere&gt;" in shown


def test_it_says_what_matters(shown):
    for text in (
        "better",
        "as drawn",
        "Perceptual rating",
        "anytime-valid",
        "on the same sessions",
        "Fairness",
        "What is measured",
    ):
        assert text in shown


def test_pictures_are_drawn_and_take_the_page_s_colours(shown):
    pictures = re.findall(r"<svg viewBox.*?</svg>", shown, flags=re.DOTALL)
    assert len(pictures) == 3
    for picture in pictures:
        ET.fromstring(picture.replace("xlink:href", "href"))
        assert not set(plots.VARIABLES) & set(re.findall(r"#[0-9a-f]{6}", picture))
        assert 'role="img" aria-label=' in picture


def test_both_themes_know_every_colour():
    for theme in (LIGHT, DARK):
        names = set(re.findall(r"(--[a-z-]+):", theme))
        assert set(plots.VARIABLES.values()) <= names


@pytest.mark.parametrize("found", [[], observations(n=30)])
def test_a_page_of_little_says_so(found):
    told = page(report(found))
    assert "too few units tell" in told


def test_the_report_is_the_same_each_time():
    found = report(observations(effect=0.7))
    assert page(found) == page(found)


# the same sessions


def test_pairs_are_ticks_that_both_have():
    a, b = track(100), track(100)
    b = type(b)(**{name: getattr(b, name)[20:] for name in b.__slots__})
    left, right, alone = pair_up(a, b)
    assert (len(left), len(right), alone) == (80, 80, 20)
    assert left.sequence.tolist() == right.sequence.tolist()
    assert not left.joined[0]


def test_a_calmer_variant_is_found_on_few_sessions():
    found = compare_pairs(tracks(0.02, n=12), tracks(0.01, n=12, seed=2))
    rows = {row["name"]: row for row in found["metrics"]}
    assert rows["jitter"]["difference"] < 0
    assert rows["jitter"]["significant"]
    assert rows["jitter"]["high"] < 0
    assert "responsiveness" not in rows, "no Action Unit moves"
    assert found["sessions"] == 12
    assert found["paired_ticks"] == 12 * 600
    assert found["unpaired_ticks"] == 0


def test_the_same_variant_twice_differs_in_nothing():
    same = tracks(0.02)
    found = compare_pairs(same, same)
    assert {row["difference"] for row in found["metrics"]} == {0}
    assert not any(row["significant"] for row in found["metrics"])
    assert {row["mean_size"] for row in found["channels"]} == {0}


def test_two_sessions_are_too_few():
    found = compare_pairs(tracks(0.02, n=2), tracks(0.01, n=2))
    assert (found["metrics"], found["channels"]) == ([], [])
    assert "Too few sessions" in pairs_page("e", {"other": found})
