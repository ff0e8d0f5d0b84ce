from ingest.webrtc.receiving.statistics import ReceptionStatistics


def fed(sequences, *, rate=8_000, us=20_000):
    statistics = ReceptionStatistics(rate)
    for n, sequence in enumerate(sequences):
        statistics.add(sequence & 0xFFFF, sequence * rate * us // 1_000_000 & 0xFFFFFFFF, n * us)
    return statistics


def test_nothing_lost():
    report = fed(range(10)).report()
    assert (report.fraction_lost, report.packets_lost, report.highest_sequence, report.jitter) == (0, 0, 9, 0)


def test_wraps_are_counted():
    assert fed(range(65_530, 65_540)).report().highest_sequence == 65_539


def test_the_fraction_is_of_the_time_since_the_last_report():
    statistics = fed([0, 1, 2, 4, 5, 6, 7])
    assert statistics.report().fraction_lost == 256 // 8
    assert statistics.lost == 1
    assert statistics.report().fraction_lost == 0


def test_duplicates_make_the_loss_negative():
    report = fed([0, 1, 1, 1, 2]).report()
    assert (report.packets_lost, report.fraction_lost) == (-2, 0)


def test_a_new_numbering_is_no_loss():
    statistics = fed([60_000, 60_001, 20_000, 20_001])
    assert statistics.lost == 0


def test_jitter_follows_the_spread_of_transit_times():
    statistics = ReceptionStatistics(8_000)
    for n in range(200):
        statistics.add(n, n * 160, n * 20_000 + (n % 2) * 5_000)
    # Transit times alternate by 5 ms, 40 units of the clock (RFC 3550, appendix A.8).
    assert 38 <= statistics.report().jitter <= 40
