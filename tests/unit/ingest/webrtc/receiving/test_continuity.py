from ingest.webrtc.receiving.continuity import ASK_EVERY_US, PATIENCE_US, Continuity


def test_a_stream_begins_with_a_key_frame():
    stream = Continuity()
    assert not stream.admits(False, 0)
    assert stream.should_ask(0)
    assert stream.admits(True, 10)
    assert stream.admits(False, 20)
    assert not stream.should_ask(20)


def test_after_a_loss_nothing_is_decoded_until_a_key_frame():
    stream = Continuity()
    stream.admits(True, 0)
    stream.lost(100)
    assert stream.should_ask(100)
    assert not stream.admits(False, 200)
    assert stream.admits(True, 300)
    assert stream.admits(False, 400)


def test_it_asks_again_but_not_at_once():
    stream = Continuity()
    stream.admits(True, 0)
    stream.lost(0)
    asked = [stream.should_ask(at) for at in range(0, ASK_EVERY_US * 2 + 1, ASK_EVERY_US // 2)]
    assert asked == [True, False, True, False, True]


def test_patience_ends_with_senders_that_send_no_key_frames():
    stream = Continuity()
    stream.admits(True, 0)
    stream.lost(0)
    assert not stream.admits(False, PATIENCE_US - 1)
    assert stream.admits(False, PATIENCE_US)
    assert stream.admits(False, PATIENCE_US + 1)
    assert not stream.should_ask(PATIENCE_US + 1)


def test_patience_with_a_stream_without_a_beginning_ends_too():
    stream = Continuity()
    assert not stream.admits(False, 1_000)
    assert stream.admits(False, 1_000 + PATIENCE_US)
    assert not stream.broken


def test_a_clock_that_is_set_back_does_not_prolong_anything():
    stream = Continuity()
    stream.admits(True, 10**9)
    stream.lost(10**9)
    assert stream.should_ask(10**9)
    assert stream.should_ask(0)
    assert stream.admits(False, 0)
