import re
from dataclasses import replace
from xml.etree import ElementTree as ET

from analytics.recordings.container import Header, RecordedSession
from analytics.recordings.diffing import EXACT, Tolerances, compare
from analytics.recordings.frames import Frames
from analytics.recordings.regression import Case, junit, page, plot
from schemas.codec import Codec
from tests.support.frames import avatar_frame

CODEC = Codec()
RECORDED = Frames({("s1", n): CODEC.encode(avatar_frame("s1", n)) for n in range(30)})
CHANGED = Frames(
    {
        key: CODEC.encode(replace(avatar_frame(*key), face_live=key[1] < 20, visemes=bytes(15)))
        for key in RECORDED.values
    }
)
HEADER = Header("0.1.0", 0, [RecordedSession("<s1>", 0, "live", {"mapping": "blend"}, {}, ended=True)], ["face@1"])


def case(replayed=RECORDED, **changes):
    difference = compare(RECORDED, replayed)
    values = {"header": HEADER, "difference": difference, "recorded": RECORDED, "replayed": replayed, **changes}
    return Case("a.afr", 0.25, **values)


CASES = [case(), case(CHANGED), Case("b.afr", 0.0, error="b.afr: the recording was cut \x00 & more")]


def test_verdicts():
    assert [each.passed for each in CASES] == [True, False, False]
    assert CASES[0].verdict == "identical: 30 frames"
    assert CASES[1].verdict.startswith("first divergence: session s1, frame 0, visemes.aa")
    tolerated = compare(RECORDED, CHANGED, Tolerances([("visemes.*", 1.0), ("face_live", 1.0)]))
    assert case(difference=tolerated).verdict == "within tolerance: 30 frames, 3 channels differ"


def test_junit_is_what_ci_servers_read():
    suite = ET.fromstring(junit(CASES))
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("3", "1", "1")
    kinds = [[child.tag for child in each] for each in suite]
    assert kinds == [[], ["failure"], ["error"]]
    assert "frame 0" in suite[1][0].get("message")
    assert "face_live: up to 1" in suite[1][0].text


def test_the_page_shows_what_changed_and_holds_everything():
    shown = page(CASES, EXACT)
    assert "1 of 3 recordings replay as recorded" in shown
    assert shown.count("data:image/png;base64,") == 1
    assert "&lt;s1&gt;" in shown
    assert "<s1>" not in shown
    assert not re.search(r"(src|href)='(?!#|data:)", shown)


def test_plots_are_pictures():
    assert plot(RECORDED, CHANGED, compare(RECORDED, CHANGED)).startswith(b"\x89PNG")
