"""Ctrl+C is the parent's to answer, whatever its workers are at."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pocketworlds.workers import WorkerPool, unwanted

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
