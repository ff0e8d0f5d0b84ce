from collections import Counter

from benchmarks.system.accounts import Log, dropped, mistakes

EXACT = Log(
    Counter(
        {
            ("ingest", "face", "used"): 90,
            ("ingest", "face", "shed"): 10,
            ("ingest", "speech", "used"): 80,
            ("fusion", "face", "used"): 88,
            ("fusion", "face", "late"): 2,
            ("fusion", "speech", "used"): 80,
            ("egress", "avatar", "used"): 85,
        }
    ),
    Counter(face=90, speech=80),
    87,
)
SENT = {"face": 100, "speech": 80}


def test_what_balances_has_no_mistakes():
    assert mistakes(EXACT, SENT, 85) == []
    assert dropped(EXACT) == {"fusion face late": 2, "ingest face shed": 10}


def test_what_does_not_is_said():
    assert len(mistakes(EXACT, {"face": 101, "speech": 80}, 85)) == 1
    assert "frames at the clients" in mistakes(EXACT, SENT, 84)[0]
