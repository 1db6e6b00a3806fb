"""`pocketworlds demo`: from the embedded capture to a scene, and to an arm lifting an object of it.

Nothing is prepared: the capture (made by the simulated phone, see `examples/make_demo_capture.py`) goes through the
pipeline as any other does, the lift is simulated contact by contact, and a failed lift is told as such.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import SceneError

if TYPE_CHECKING:
    from .agents.record import EpisodeSummary
    from .real2sim.report import SceneReport

SCENE = "scene"
FILM = "episode.mp4"
MOST_TRIES = 3
"""Objects tried, best seen first, before the demo gives up."""


@dataclass(frozen=True)
class Demo:
    """What the demo did.

    Attributes:
        scene: the scene folder, with report.html and preview.png. film: the mp4, of the last try.
        report: of the scan. tries: (object, what happened) in order. seconds: wall time.
    """

    scene: Path
    film: Path
    report: SceneReport
    tries: tuple[tuple[str, EpisodeSummary], ...]
    seconds: float

    @property
    def success(self) -> bool:
        """Whether the last try ended with the object held up."""
        return self.tries[-1][1].success

    def lines(self) -> list[str]:
        """What happened, in plain words."""
        lines = [f"Scanned the embedded capture: {self.report.summary}"]
        for _, episode in self.tries:
            if episode.success:
                lines.append(
                    f"The arm was told to {episode.instruction}, and did, after {episode.success_step} steps of 50 ms."
                )
            else:
                lines.append(f"The arm was told to {episode.instruction}, and failed in {episode.steps} steps.")
        if len(self.tries) > 1:
            lines.append(f"That took {len(self.tries)} tries with different objects; the film shows the last.")
        lines += [
            "",
            f"scene    {self.scene}",
            f"report   {self.scene / 'report.html'}",
            f"preview  {self.scene / 'preview.png'}",
            f"film     {self.film}",
            f"time     {self.seconds:.0f} s",
            f"next     pocketworlds view {self.scene}",
        ]
        return lines

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "success": self.success,
            "scene_folder": str(self.scene),
            "report": str(self.scene / "report.html"),
            "preview": str(self.scene / "preview.png"),
            "film": str(self.film),
            "tries": [
                {
                    "object": name,
                    "instruction": episode.instruction,
                    "success": episode.success,
                    "steps": episode.steps,
                    "reward": episode.reward,
                }
                for name, episode in self.tries
            ],
            "objects": [item.name for item in self.report.objects],
            "seconds": self.seconds,
        }


def demo_capture() -> Path:
    """The embedded capture, a folder in Stray Scanner's layout."""
    return Path(__file__).parent / "real2sim" / "demo-capture"


def run_demo(out: str | Path, *, notify: Callable[[str, float], None] | None = None) -> Demo:
    """Scans the embedded capture into `out/scene` and films a lift as `out/episode.mp4`; both may be there already.

    Raises:
        SceneError: `out/scene` is something else than a scene, or cannot be written.
        TaskError: no object of the scene can be lifted; the message gives the reasons.
    """
    import gymnasium as gym

    from .agents.experts import make_expert
    from .agents.record import record_episode
    from .envs import WorldEnv
    from .real2sim.pipeline import scan

    start = time.perf_counter()
    notify = notify or (lambda stage, share: None)
    capture = demo_capture()
    if not capture.is_dir():
        raise SceneError(f"{capture} is not there; install PocketWorlds again, or run examples/make_demo_capture.py")
    out = Path(out).absolute()
    result = scan(capture, out / SCENE, replace_existing=True, notify=notify)

    env = gym.make("PocketWorlds/Scan-v0", scene=out / SCENE, task="lift")
    inner = env.unwrapped
    assert isinstance(inner, WorldEnv)
    liftable = [inner.vector.world.objects[index] for index in inner.vector.task.targets]
    env.close()
    seen = {item.name: item.observed_fraction or 0.0 for item in result.report.objects}
    tries = []
    for name in sorted(liftable, key=lambda name: -seen[name])[:MOST_TRIES]:
        stage = f"lift {name}"
        notify(stage, 0.0)
        env = gym.make("PocketWorlds/Scan-v0", scene=out / SCENE, task="lift", object=name)
        try:
            tries.append((name, record_episode(env, make_expert(env), out / FILM)))
        finally:
            env.close()
        notify(stage, 1.0)
        if tries[-1][1].success:
            break
    return Demo(out / SCENE, out / FILM, result.report, tuple(tries), time.perf_counter() - start)
