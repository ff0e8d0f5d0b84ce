import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.mailbox import Mailbox, MailboxFull, Overflow


def test_the_newest_is_kept():
    mailbox = Mailbox(1, Overflow.KEEP_NEWEST)
    assert mailbox.put("a") is None
    assert mailbox.room()
    assert mailbox.put("b") == "a"
    assert (mailbox.take(), mailbox.take()) == ("b", None)


def test_a_full_mailbox_that_waits_takes_nothing():
    mailbox = Mailbox(2, Overflow.WAIT)
    mailbox.put(1)
    mailbox.put(2)
    assert not mailbox.room()
    with pytest.raises(MailboxFull):
        mailbox.put(3)
    assert mailbox.empty() == [1, 2]
    assert mailbox.room()


@given(st.integers(1, 5), st.sampled_from(Overflow), st.lists(st.booleans()))
def test_nothing_appears_or_disappears(capacity, overflow, steps):
    mailbox = Mailbox(capacity, overflow)
    put, taken, replaced = 0, [], []
    for is_put in steps:
        if is_put and mailbox.room():
            out = mailbox.put(put)
            put += 1
            if out is not None:
                replaced.append(out)
        elif not is_put and (item := mailbox.take()) is not None:
            taken.append(item)
        assert len(mailbox) <= capacity
    rest = mailbox.empty()
    assert sorted(taken + replaced + rest) == list(range(put))
    assert taken + rest == sorted(taken + rest)
    assert overflow is Overflow.KEEP_NEWEST or not replaced
