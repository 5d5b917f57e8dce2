"""A worker has as many items in hand as it has threads, and finishes what it began."""

import threading

from isocenter.worker import Crew


class Items:
    """Work that stays in hand until it is let go."""

    def __init__(self):
        self.begun, self.ended = [], []
        self.go, self._lock = threading.Event(), threading.Lock()
        self.in_hand = threading.Semaphore(0)

    def run(self):
        with self._lock:
            number = len(self.begun)
            self.begun.append(number)
        self.in_hand.release()
        assert self.go.wait(10)
        self.ended.append(number)
        if number == 0:
            raise ConnectionError("the database is away")


def test_items_begin_while_there_are_threads_and_are_finished():
    items = Items()
    crew = Crew(items.run, 2)
    crew.work()
    crew.work()
    for _ in range(2):
        assert items.in_hand.acquire(timeout=10)
    third = threading.Thread(target=crew.work)
    third.start()
    third.join(0.05)
    assert third.is_alive()

    items.go.set()
    third.join(10)
    crew.finish()
    assert sorted(items.ended) == items.begun == [0, 1, 2]


def test_nothing_begins_after_the_stop():
    items = Items()
    items.go.set()
    crew = Crew(items.run, 1)
    crew.stop()
    crew.work()
    crew.finish()
    assert items.begun == []
