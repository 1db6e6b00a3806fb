"""Ctrl+C is the parent's to answer, whatever its workers are at."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest
from pocketworlds.workers import Notify, WorkerPool, processors, unwanted, work_off

SCRIPT = """
import sys, time
from pathlib import Path

if __name__ != "__main__":  # a worker that starts imports this file, slowly
    Path(sys.argv[1]).touch()
    time.sleep(1)

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pocketworlds.workers import WorkerPool

def square(n):
    return n * n

if __name__ == "__main__":
    with {pool} as pool:
        print(pool.submit(square, 3).result())
"""


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 60
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert path.exists()


@pytest.mark.parametrize(
    ("pool", "heard"), [("WorkerPool(2)", False), ("ProcessPoolExecutor(2, get_context('spawn'))", True)]
)
def test_a_worker_that_starts_does_not_hear_ctrl_c(pool: str, heard: bool, tmp_path: Path) -> None:
    """Beside it the plain pool, whose workers do: so that the test is known to see it."""
    (tmp_path / "script.py").write_text(SCRIPT.format(pool=pool))
    command = [sys.executable, str(tmp_path / "script.py"), str(tmp_path / "begun")]
    child = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # Who runs the tests in the background may have told them not to hear it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    wait_for(tmp_path / "begun")
    os.killpg(child.pid, signal.SIGINT)
    stdout, stderr = child.communicate(timeout=60)
    assert child.returncode == -signal.SIGINT
    assert stdout == ""
    assert ("spawn_main" in stderr) == heard


def work_on(path: str) -> int:
    Path(path).touch()
    steps = 0
    while not unwanted() and steps < 6000:
        time.sleep(0.01)
        steps += 1
    return steps


def test_what_nobody_waits_for_ends(tmp_path: Path) -> None:
    assert not unwanted()
    with WorkerPool(1) as pool:
        running = pool.submit(work_on, str(tmp_path / "begun"))
        waiting = [pool.submit(work_on, str(tmp_path / f"begun{k}")) for k in range(5)]
        wait_for(tmp_path / "begun")
    assert 0 < running.result() < 6000
    assert any(future.cancelled() for future in waiting)
    assert not unwanted()


def test_workers_are_made_ready_and_tell_what_went_wrong(tmp_path: Path) -> None:
    with WorkerPool(1, os.chdir, (str(tmp_path),)) as pool:
        assert pool.submit(os.getcwd).result() == str(tmp_path)
        with pytest.raises(ZeroDivisionError):
            pool.submit(divmod, 1, 0).result()
    assert os.getcwd() != str(tmp_path)


def tell_thrice(job: str, notify: Notify) -> None:
    for share in (0.0, 0.5, 1.0):
        notify(job, share)


def fail(job: str, notify: Notify) -> None:
    raise ValueError(job)


def die(job: str, notify: Notify) -> None:
    notify(job, 0.0)
    os._exit(1)


def fail_beside(job: str, notify: Notify) -> None:
    """The first job fails when the second has begun, which tells on and on."""
    if not job:
        raise ValueError("nothing to do")
    for step in range(6000):
        notify(job, step / 6000)
        time.sleep(0.01)
    Path(job).touch()


def test_what_workers_tell_comes_through_whole_and_in_order() -> None:
    told: list[tuple[str, float]] = []
    jobs = [f"job {k}" for k in range(5)]
    work_off(jobs, tell_thrice, 2, lambda stage, share: told.append((stage, share)))
    assert len(told) == 15
    for job in jobs:
        assert [share for stage, share in told if stage == job] == [0.0, 0.5, 1.0]


def test_failures_of_workers_come_through(tmp_path: Path) -> None:
    work_off([], fail, 2, print)
    with pytest.raises(ValueError, match="what"):
        work_off(["what"], fail, 2, print)
    with pytest.raises(BrokenProcessPool):
        work_off(["a", "b"], die, 2, lambda stage, share: None)
    with pytest.raises(ValueError, match="nothing to do"):
        work_off(["", str(tmp_path / "finished")], fail_beside, 2, lambda stage, share: None)
    assert not list(tmp_path.iterdir())  # what nobody waits for is not finished


def test_workers_share_the_processors() -> None:
    assert 1 <= processors() <= (os.cpu_count() or 1)
    with WorkerPool(2) as pool:
        assert pool.submit(processors).result() == max(processors() // 2, 1)
