"""Ctrl-C waits for a safe moment."""

import signal
import threading

import pytest

from archlab.interrupt import Pause


def test_an_interrupt_is_held_back_until_asked_for() -> None:
    done = []
    with Pause() as pause:
        signal.raise_signal(signal.SIGINT)
        done.append("the write")
        with pytest.raises(KeyboardInterrupt):
            pause.check()
        pause.check()
    assert done == ["the write"]


def test_it_comes_at_once_where_that_is_safe() -> None:
    with Pause() as pause:
        with pytest.raises(KeyboardInterrupt), pause.interruptible():
            signal.raise_signal(signal.SIGINT)
            raise AssertionError("not reached")
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt), pause.interruptible():
            raise AssertionError("not reached")


def test_the_handler_of_before_comes_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    with Pause():
        assert signal.getsignal(signal.SIGINT) != before
    assert signal.getsignal(signal.SIGINT) == before


def test_ignored_interrupts_stay_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Pause() as pause:
            signal.raise_signal(signal.SIGINT)
            pause.check()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_other_threads_are_left_alone() -> None:
    seen = []

    def run() -> None:
        with Pause() as pause, pause.interruptible():
            seen.append("ran")

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == ["ran"]
