"""A fault of a step does not end the thread, and is counted."""

import threading

from keelwatch.kit.worker import Worker


def test_a_fault_does_not_end_the_thread(monkeypatch):
    monkeypatch.setattr("keelwatch.kit.worker.AFTER_FAULT", 0.0)
    steps, enough = [], threading.Event()

    def step() -> bool:
        steps.append(len(steps))
        if len(steps) < 4:
            raise ValueError("broken")
        enough.set()
        return False

    worker = Worker("test", step, idle=0.01)
    worker.start()
    assert enough.wait(5)
    worker.stop()
    assert worker.faults == 3
