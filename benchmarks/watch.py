"""`watch`: episodes of a World Action Model as films, physics beside what it dreamed, with an alarm that may ring.

Every decision is played out in physics, a picture a control step; beside it stands what the model dreamed that its
chunk of actions would lead to: its own picture, if it dreams pictures, or else one that is drawn from the state it
dreamed (`envs.state_pictures`). The signals are those of `bench dream`, and so is the alarm: it rings when a signal's
running mean passes a threshold that other episodes gave, which at most a tenth of successes should pass.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..agents.wam.telling import EXCESS, Teller
from ..envs import WorldVectorEnv
from ..envs.state_pictures import StatePictures
from ..errors import TaskError
from ..folders import check_free, new_folder, write_texts
from .audit.record import Notify
from .audit.report import plain
from .dream import PROGRESS, Dreamer, Told, alarm, listen, played, scores, skill
from .watch_film import HEIGHT, Footage, Telling, write_film
from .watch_page import page

REPORT = "watch.json"
_NOUN = "folder of `watch`"
_WIDTH = 320  # of each picture of a model without pictures of its own

Signal = NDArray[np.float64]
Played = tuple[Any, NDArray[Any], Any, Any, dict[str, Any]]


@dataclass(frozen=True)
class Alarm:
    """When to ring.

    Attributes:
        signal: the one that rings. thresholds: of all signals; None where too few successes were seen.
        source: what was run to find them: "episodes", "first seed", whether that was "elsewhere"; nothing: none were.
    """

    signal: str
    thresholds: Mapping[str, float | None] = field(default_factory=dict)
    source: Mapping[str, Any] = field(default_factory=dict)

    @property
    def threshold(self) -> float | None:
        """Of the signal that rings; None: there is no alarm."""
        return self.thresholds.get(self.signal)

    def rings(self, signals: Mapping[str, Signal]) -> int | None:
        """The first decision, counted from 1, whose score passes, of signals (T,) of one episode; None: never."""
        if self.threshold is None:
            return None
        over = np.flatnonzero(_score(self.signal, signals) > self.threshold)
        return int(over[0]) + 1 if len(over) else None


@dataclass(frozen=True)
class Episode:
    """One that was watched.

    Attributes:
        seed, instruction, success: of it; success at its end. alarm: the decision, counted from 1, at which it rang, or
            None. skill: see `dream.skill`. signals: by name (T,), one number a decision. film: the file's name.
    """

    seed: int
    instruction: str
    success: bool
    alarm: int | None
    skill: float
    signals: Mapping[str, Signal]
    film: str


def watch(
    who: Dreamer,
    out: Path,
    *,
    episodes: int,
    seed: int,
    calibrate: int = 50,
    heard: Path | None = None,
    signal: str | None = None,
    num_envs: int = 50,
    replace: bool = False,
    notify: Notify,
) -> dict[str, Any]:
    """Plays, films, and writes the folder `out`; gives what `watch.json` says.

    Args:
        who: the model, and where. out: see the module. episodes: of seeds from `seed` on.
        calibrate: episodes that the alarm is calibrated on first, of the seeds that follow; 0: no alarm.
        heard: the `dream.json` of an earlier `bench dream` of the model, whose alarm is taken instead.
        signal: that rings; None: the excess error, of things if there are any.
        num_envs: worlds at once while calibrating. replace: whether an earlier folder may go.

    Raises:
        TaskError: see `Dreamer.env`; there is no such signal; `out` is there already, or `heard` is of another model.
    """
    check_free(out, replace=replace, marks=(REPORT,), noun=_NOUN, error=TaskError)
    teller = Teller(who.net)
    known = (*teller.names, PROGRESS)
    signal = signal or next(name for name in (f"{EXCESS} of things", EXCESS) if name in known)
    if signal not in known:
        raise TaskError(f"there is no signal {signal!r}; there are {', '.join(known)}")
    facts = {**who.facts(), "episodes": episodes, "first seed": seed}
    bell = None if heard is None else read_alarm(heard, signal, facts)
    env = who.env(1)
    try:
        camera = _Camera(env, teller)
        bell = bell or _calibrated(who, signal, calibrate, seed + episodes, num_envs, notify)
        try:
            with new_folder(out, replace=replace, marks=(REPORT,), noun=_NOUN, error=TaskError) as partial:
                found: list[Episode] = []
                for number in range(episodes):
                    notify("filming", number / episodes)
                    teller.reset(1, first=number)
                    told = played(env, teller, seed + number, camera.play)
                    footage = camera.taken()
                    episode = _episode(number, seed + number, told, footage, bell)
                    write_film(partial / episode.film, footage, _telling(episode, bell, who.net.settings.chunk))
                    found.append(episode)
                notify("filming", 1.0)
                report = _report(facts, bell, found, camera.shown)
                words = json.dumps(report, indent=1, allow_nan=False, default=str) + "\n"
                write_texts(partial, {REPORT: words, "index.html": page(report)})
        finally:
            camera.close()
    finally:
        env.close()
    return report


def read_alarm(file: Path, signal: str, facts: Mapping[str, Any]) -> Alarm:
    """The alarm that an earlier `bench dream` calibrated.

    Args:
        file: its `dream.json`. signal: that rings. facts: of what is watched.

    Raises:
        TaskError: it cannot be read, says nothing of the signal, is of another model, or of the same episodes.
    """
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        told: dict[str, Any] = dict(found["facts"])
        thresholds = {str(name): each["alarm"]["threshold"] for name, each in found["signals"].items()}
        if not all(value is None or math.isfinite(value) for value in thresholds.values()):
            raise ValueError("a threshold is no number")
        first, count = int(told["first seed"]), int(told["episodes"]) // 2
        same = all(told[name] == facts[name] for name in ("environment", "keywords"))
    except OSError as error:
        raise TaskError(f"cannot read {file}: {error.strerror}; give the dream.json of a `bench dream`") from error
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise TaskError(f"{file} is not what `bench dream` writes ({error!r}); give its dream.json") from error
    if signal not in thresholds:
        raise TaskError(f"{file} tells nothing of the signal {signal!r}; it has {', '.join(thresholds)}")
    if told.get("model sha256") != facts["model sha256"]:
        raise TaskError(f"{file} is of another model ({told.get('model')}); run `bench dream` with this one")
    if same and first < facts["first seed"] + facts["episodes"] and facts["first seed"] < first + count:
        raise TaskError(
            f"the seeds {first} to {first + count - 1} calibrated the alarm of {file}; choose another --seed"
        )
    return Alarm(signal, thresholds, {**told, "file": str(file), "elsewhere": not same, "episodes": count})


def _calibrated(who: Dreamer, signal: str, episodes: int, seed: int, num_envs: int, notify: Notify) -> Alarm:
    if not episodes:
        return Alarm(signal)
    told = listen(
        who, episodes=episodes, num_envs=num_envs, seed=seed, notify=lambda share: notify("calibrating", share)
    )
    thresholds = {}
    for name, values in told.signals.items():
        score = scores(name, values)
        thresholds[name] = alarm(score, told.failed, score, told.failed)["threshold"]
    count = int((~told.failed).sum())
    source = {"elsewhere": False, "episodes": episodes, "first seed": seed, "successes": count}
    return Alarm(signal, thresholds, source)


def _episode(number: int, seed: int, told: Told, footage: Footage, bell: Alarm) -> Episode:
    signals = {name: values[:, 0] for name, values in told.signals.items()}
    return Episode(
        seed=seed,
        instruction=footage.instruction,
        success=not told.failed[0],
        alarm=bell.rings(signals),
        skill=skill(told),
        signals=signals,
        film=f"episode_{number:03d}.mp4",
    )


def _telling(episode: Episode, bell: Alarm, chunk: int) -> Telling:
    return Telling(
        signals=episode.signals,
        signal=bell.signal,
        score=_score(bell.signal, episode.signals),
        threshold=bell.threshold,
        rang=episode.alarm,
        chunk=chunk,
        success=episode.success,
    )


def _score(name: str, signals: Mapping[str, Signal]) -> Signal:
    """What is judged of a signal of one episode (T,)."""
    return scores(name, signals[name][:, None])[:, 0]


def _report(facts: Mapping[str, Any], bell: Alarm, found: Sequence[Episode], shown: str) -> dict[str, Any]:
    """What `watch.json` says."""
    rows = []
    for each in found:
        told = {
            name: {"signal": values.tolist(), "score": _score(name, each.signals).tolist()}
            for name, values in each.signals.items()
        }
        rows.append({**asdict(each), "signals": told})
    told_bell = {**asdict(bell), "threshold": bell.threshold, "averaged": bell.signal != PROGRESS}
    report: dict[str, Any] = plain({"facts": facts, "dream": shown, "alarm": told_bell, "episodes": rows})
    return report


class _Camera:
    """Looks on while a chunk is played: a picture of physics a control step, one of the dream a decision.

    Attributes:
        shown: how the pictures of dreams are made, in words.
    """

    def __init__(self, env: WorldVectorEnv, teller: Teller) -> None:
        """Of the one world of an environment, and of the dreams of who acts in it.

        Raises:
            TaskError: the environment is not physics. MissingDependencyError: nothing on this machine can draw.
        """
        if env.config.backend != "physics":
            raise TaskError(f"films show physics beside dreams; leave backend={env.config.backend!r} out")
        self._teller, self._footage = teller, Footage()
        settings = teller.policy.settings
        self._states: StatePictures | None = None
        if settings.cameras:
            height, width = settings.image_size
            self._width = 2 * max(round(HEIGHT * width / height / 2), 8)
            self.shown = "the picture that the model dreamed"
        else:
            self._width, self._states = _WIDTH, StatePictures(env)
            self.shown = f"drawn from the state that the model dreamed: {', '.join(self._states.shown)}"
        env.simulator.renderer_info(width=self._width, height=HEIGHT)  # before anything is played that takes its time

    def play(self, env: WorldVectorEnv, chunk: NDArray[np.float32]) -> Played:
        """What `step_chunk` does, for one world; see `dream.Play`."""
        footage = self._footage
        decision = len(footage.dreams)
        footage.dreams.append(self._dream())
        if not footage.physics:
            self._take(env, 0, success=False)
        total = np.zeros(1)
        with env.without_pictures():
            for action in chunk.swapaxes(0, 1):
                _, reward, terminated, truncated, info = env.step(action)
                total = total + reward
                self._take(env, decision, success=bool(info["is_success"][0]))
                if terminated[0] or truncated[0]:
                    break
        footage.known[-1] += 1
        footage.instruction = str(info["instruction"][0])
        return env.observe(), total, terminated, truncated, info

    def taken(self) -> Footage:
        """What was seen since this was last asked for."""
        footage, self._footage = self._footage, Footage()
        return footage

    def close(self) -> None:
        """Frees graphics contexts."""
        if self._states is not None:
            self._states.close()

    def _take(self, env: WorldVectorEnv, decision: int, *, success: bool) -> None:
        camera, footage = env.config.camera, self._footage
        seen = env.simulator.images(np.arange(1), camera, ("rgb",), width=self._width, height=HEIGHT, fine=True)
        footage.physics.append(seen["rgb"][0])
        footage.decision.append(decision)
        footage.known.append(decision)
        footage.success.append(success)

    def _dream(self) -> NDArray[np.uint8]:
        dreamed = self._teller.dreamed
        assert dreamed is not None
        if self._states is None:
            return np.asarray(dreamed.image[0, 0].cpu().numpy(), dtype=np.uint8)
        state = dreamed.state.cpu().numpy()
        return np.asarray(self._states.draw(np.arange(1), state, width=self._width, height=HEIGHT)[0])
