import random

from aiortc.rate import RateCounter, RemoteBitrateEstimator

from ingest.webrtc.receiving.bandwidth import BandwidthEstimate, ByteRate


def test_the_rate_is_that_of_the_counter_which_it_replaces():
    ours, theirs, chance = ByteRate(), RateCounter(1_000, 8_000), random.Random(3)
    now = 1_000
    for _ in range(300):
        now += chance.choice([0, 1, 5, 30, 900, 2_500])
        assert ours.rate(now) == theirs.rate(now)
        if chance.random() < 0.05:
            ours.reset()
            theirs.reset()
        size = chance.randrange(1_500)
        ours.add(size, now)
        theirs.add(size, now)


def sent(now_ms):
    """abs-send-time of an instant."""
    return (now_ms << 18) // 1_000 & 0xFFFFFF


def estimates(feed, *, delay_growth):
    """Bits a second told, for 4 packets at once 30 times a second, each later by ``delay_growth`` ms than the last."""
    told = []
    for frame in range(300):
        at = frame * 33
        for number in range(4):
            answer = feed(sent(at), round(at + 20 + frame * delay_growth) + number // 3, 1_000, 7)
            if answer is not None:
                told.append(answer)
    return told


def test_what_is_told_is_close_to_the_estimate_of_every_packet():
    theirs = RemoteBitrateEstimator()

    def every_packet(sent_24, arrived_ms, size, ssrc):
        return theirs.add(arrived_ms, sent_24, size, ssrc)

    ours = estimates(BandwidthEstimate().add, delay_growth=1.5)
    whole = estimates(every_packet, delay_growth=1.5)
    assert ours[-1][1] == whole[-1][1] == [7]
    assert 0.8 < ours[-1][0] / whole[-1][0] < 1.25


def test_growing_delays_lower_it():
    steady = estimates(BandwidthEstimate().add, delay_growth=0)[-1][0]
    congested = estimates(BandwidthEstimate().add, delay_growth=4)[-1][0]
    assert congested < steady
