"""Work items beside each other in one process wait for each other where they must."""

import threading

from inference.company import Company


def begun(enter) -> tuple[threading.Thread, threading.Event, threading.Event]:
    """A thread that stays in `enter()` until it is let go."""
    inside, go = threading.Event(), threading.Event()

    def stay():
        with enter():
            inside.set()
            assert go.wait(10)

    thread = threading.Thread(target=stay)
    thread.start()
    return thread, inside, go


def test_who_is_to_be_alone_waits_for_the_others_and_they_for_him():
    company = Company(100)
    first, first_inside, let_first_go = begun(lambda: company.joined(alone=False))
    assert first_inside.wait(10)
    alone, alone_inside, let_alone_go = begun(lambda: company.joined(alone=True))
    assert not alone_inside.wait(0.05)
    let_first_go.set()
    assert alone_inside.wait(10)
    later, later_inside, let_later_go = begun(lambda: company.joined(alone=False))
    assert not later_inside.wait(0.05)
    let_alone_go.set()
    assert later_inside.wait(10)
    let_later_go.set()
    for thread in (first, alone, later):
        thread.join()


def test_what_is_too_big_for_the_room_is_there_alone():
    company = Company(100)
    small, small_inside, let_small_go = begun(lambda: company.holding(60))
    assert small_inside.wait(10)
    big, big_inside, let_big_go = begun(lambda: company.holding(1000))
    assert not big_inside.wait(0.05)
    let_small_go.set()
    assert big_inside.wait(10)
    let_big_go.set()
    small.join()
    big.join()
