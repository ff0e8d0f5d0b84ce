import json
import os
import select
import signal
import subprocess
import sys

import pytest

from runtime.guardian import (
    GIVEN_UP,
    MOST_CHARGED_S,
    MOST_FRUITLESS,
    MOST_SUSPECTS,
    WITHIN_S,
    Ends,
    Patience,
    Thread,
    Watch,
    charge,
)
from tests.support.prerequisites import REPOSITORY

ASLEEP = {1: Thread("S", 5.0), 2: Thread("S", 1.0)}


def threads(*each):
    return {number: Thread(state, used_s) for number, (state, used_s) in enumerate(each, 1)}


def test_a_process_in_which_everybody_sleeps_is_charged_all_the_time():
    assert charge(ASLEEP, ASLEEP, 0.05) == 0.05


def test_who_runs_is_charged_what_the_busiest_thread_was_given():
    assert charge(ASLEEP, threads(("R", 5.04), ("S", 1.01)), 0.05) == pytest.approx(0.04)
    assert charge(ASLEEP, threads(("S", 5.0), ("R", 1.02)), 0.05) == pytest.approx(0.02), "it waits for another thread"
    assert charge(threads(("R", 1.0)), threads(("R", 1.06)), 0.05) == 0.05, "ticks are coarse"


@pytest.mark.parametrize("state", ["R", "D", "T", "t", "Z", "X", "W", "I"])
def test_who_is_given_no_processor_or_waits_for_a_disk_or_is_stopped_is_charged_nothing(state):
    assert charge(ASLEEP, threads((state, 5.0), ("S", 1.0)), 0.05) == 0.0
    assert charge(ASLEEP, threads(("S", 5.0), (state, 1.0)), 0.05) == 0.0, "somebody else may be waited for"


def test_who_cannot_be_looked_at_is_charged_nothing():
    assert charge(ASLEEP, {}, 0.05) == 0.0


def test_threads_that_were_born_between_two_looks_are_charged_from_the_next_on():
    assert charge(threads(("S", 5.0)), threads(("S", 5.0), ("R", 0.03)), 0.05) == 0.0


def test_time_in_which_the_guardian_slept_is_not_held_against_the_call():
    assert charge(ASLEEP, ASLEEP, 3_600.0) == MOST_CHARGED_S
    assert charge(ASLEEP, threads(("R", 3_000.0), ("S", 1.0)), 3_600.0) == MOST_CHARGED_S


def looks(patience, *calls):
    return [patience.hangs(call, 0.05, lambda: ASLEEP) for call in calls]


def test_a_call_that_lasts_hangs_and_one_that_ends_does_not():
    assert looks(Patience(0.19), *[1] * 6) == [False, False, False, False, False, True]
    assert not any(looks(Patience(0.19), *[call for call in range(40) for _ in range(3)]))
    assert not any(looks(Patience(0.19), *[2] * 40)), "between calls anything may take as long as it likes"


def test_nobody_is_looked_at_in_calls_that_are_short():
    def never():
        raise AssertionError("looked")

    patience = Patience(0.2)
    assert not any(patience.hangs(call, 0.05, never) for call in range(100))


def test_ends_at_new_items_are_progress_and_others_are_not():
    ends = Ends()
    assert not any(ends.are_too_many([f"ann {n}"], n * 0.1) for n in range(100))
    assert ends.suspects == {f"ann {n}" for n in range(100)}
    assert [ends.are_too_many(["ann 3"], 10.0) for _ in range(MOST_FRUITLESS + 1)] == [False] * MOST_FRUITLESS + [True]
    assert ends.replaced == 106


def test_ends_that_are_far_apart_are_not_given_up():
    ends = Ends()
    assert not any(ends.are_too_many([], n * WITHIN_S / MOST_FRUITLESS) for n in range(100))


def test_the_oldest_suspects_are_forgotten():
    ends = Ends()
    ends.are_too_many(["first"], 0.0)
    ends.are_too_many([str(n) for n in range(MOST_SUSPECTS)], 1.0)
    assert "first" not in ends.suspects
    assert len(ends.suspects) == MOST_SUSPECTS


def test_without_a_guardian_nothing_is_suspected():
    watch = Watch()
    with watch.over(["ann 3"]):
        assert not watch.suspected("ann 3")
    assert watch.replaced == 0


PROGRAM = """
import json, os, signal, sys, time
from runtime.guardian import Guardian
fate = sys.argv[1]

def work(watch):
    print(json.dumps({"pid": os.getpid(), "replaced": watch.replaced, "suspect": watch.suspected("ann 3")}), flush=True)
    if fate == "fails":
        raise SystemExit(3)
    if fate == "waits":
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(5))
        while True:
            time.sleep(0.02)  # signal.pause() misses what comes just before it, for ever
    if fate == "crashes at once":
        os.kill(os.getpid(), signal.SIGSEGV)
    if fate == "crashes while it stops":
        signal.signal(signal.SIGTERM, lambda *_: os.kill(os.getpid(), signal.SIGSEGV))
        print("{}", flush=True)
        while True:
            time.sleep(0.02)  # signal.pause() misses what comes just before it, for ever
    if not watch.suspected("ann 3"):
        with watch.over(["ann 3", "ben 4"]):
            if fate == "hangs":
                time.sleep(60)
            while fate == "spins":
                pass
            if fate == "hangs and holds the lock":
                import ctypes
                ctypes.PyDLL(None).sleep(60)
            os.kill(os.getpid(), signal.SIGSEGV)
    with watch.over(["cid 1"]):
        pass

Guardian(hang_s=0.2).run(work)
print("done", flush=True)
"""


def run(fate):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, fate], cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=False
    )
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return done, lines


@pytest.mark.parametrize("fate", ["hangs", "hangs and holds the lock", "spins", "crashes"])
def test_what_hangs_or_crashes_is_replaced_and_its_successor_knows_where(fate):
    done, lines = run(fate)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("done\n")
    assert [(each["replaced"], each["suspect"]) for each in lines] == [(0, False), (1, True)]
    assert lines[0]["pid"] != lines[1]["pid"]
    said = "crashed (SIGSEGV)" if fate == "crashes" else "did not come back from its engine for 0.2 s"
    assert f"the worker {said}, at 2 items: another goes on without them" in done.stderr


def test_an_end_of_its_own_is_the_supervisors_affair():
    done, lines = run("fails")
    assert (done.returncode, len(lines)) == (3, 1)


def test_what_crashes_again_and_again_at_nothing_is_given_up():
    done, lines = run("crashes at once")
    assert (done.returncode, len(lines)) == (GIVEN_UP, MOST_FRUITLESS + 1)
    assert "giving up" in done.stderr


def waiting(fate="waits"):
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, fate], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
    )  # fmt: skip
    return process, json.loads(process.stdout.readline())["pid"]


def test_a_request_to_stop_is_passed_on_and_the_code_passed_back():
    process, _ = waiting()
    with process:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) in {0, 5}  # 0: it came before the child had its handler


def test_a_crash_while_it_stops_is_no_reason_for_another_and_is_told():
    process, _ = waiting("crashes while it stops")
    with process:
        assert process.stdout.readline() == "{}\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 128 + signal.SIGSEGV


def test_with_the_guardian_the_child_ends():
    process, child = waiting()
    with process:
        end = os.pidfd_open(child)
        process.kill()
        process.wait(20)
    assert select.select([end], [], [], 20)[0], "the child lives on"
    os.close(end)
