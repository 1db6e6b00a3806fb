"""Watching a model: films show physics and dreams as they were, signals are those of `bench dream`, and bad input."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import av
import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pocketworlds.agents.wam.course import read_course
from pocketworlds.agents.wam.training import look
from pocketworlds.benchmarks.dream import dreamer, listen
from pocketworlds.benchmarks.watch import Alarm, read_alarm, watch
from pocketworlds.benchmarks.watch_film import HEIGHT
from pocketworlds.benchmarks.watch_page import alarm_told
from pocketworlds.cli import app
from pocketworlds.envs import WorldVectorEnv
from pocketworlds.envs.state_pictures import StatePictures
from pocketworlds.errors import TaskError
from pocketworlds.world_models.wam.cloning import Cloning
from pocketworlds.world_models.wam.model import save_model
from pocketworlds.world_models.wam.network import Wam
from typer.testing import CliRunner, Result

from .conftest import TINY

pytestmark = pytest.mark.usefixtures("opengl")
ID, SEED, STEPS, CHUNK = "PocketWorlds/Reach-v0", 50, 12, 4
KEYWORDS = {"max_episode_steps": STEPS, "num_threads": 1}


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["watch", *(str(each) for each in arguments)])


def quiet(stage: str, share: float) -> None:
    assert 0 <= share <= 1, stage


def physics(**keywords: Any) -> WorldVectorEnv:
    env = gym.make_vec(ID, num_envs=1, autoreset_mode=AutoresetMode.DISABLED, **{**KEYWORDS, **keywords}).unwrapped
    assert isinstance(env, WorldVectorEnv)
    return env


@pytest.fixture(scope="module")
def heard(wam_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `bench dream` of other episodes might have written, with thresholds from the middle of what is watched."""
    told = listen(dreamer(wam_file, env_id=None, keywords={}), episodes=2, num_envs=2, seed=SEED, notify=lambda _: None)
    thresholds = {}
    for name, signal in told.signals.items():
        mean = np.cumsum(signal, axis=0) / np.arange(1, len(signal) + 1)[:, None]
        thresholds[name] = float(np.median(mean.max(axis=0)))
    facts = {**dreamer(wam_file, env_id=None, keywords={}).facts(), "first seed": 7, "episodes": 40}
    file = tmp_path_factory.mktemp("heard") / "dream.json"
    signals = {name: {"alarm": {"threshold": value}} for name, value in thresholds.items()}
    file.write_text(json.dumps({"facts": facts, "signals": signals}), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def watched(wam_file: Path, heard: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of two episodes."""
    out = tmp_path_factory.mktemp("watch") / "out"
    result = run(wam_file, "-n", 2, "--seed", SEED, "--alarm", heard, "-o", out, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == {"folder": str(out), **json.loads((out / "watch.json").read_text())}
    return out


def frames(file: Path) -> NDArray[np.uint8]:
    with av.open(str(file)) as container:
        assert container.streams.video[0].average_rate == 20  # control steps a second
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def panels(film: NDArray[np.uint8], width: int) -> Iterator[NDArray[np.int64]]:
    """The two pictures of a film: 6 pixels of frame, four lines of 22, 4 pixels between the pictures."""
    for left in (6, 6 + width + 4):
        yield film[:, 94 : 94 + HEIGHT, left : left + width].astype(np.int64)


def test_signals_and_outcomes_are_those_of_bench_dream(wam_file: Path, watched: Path) -> None:
    told = listen(dreamer(wam_file, env_id=None, keywords={}), episodes=2, num_envs=2, seed=SEED, notify=lambda _: None)
    report = json.loads((watched / "watch.json").read_text())
    assert [each["seed"] for each in report["episodes"]] == [SEED, SEED + 1]
    for k, each in enumerate(report["episodes"]):
        assert each["success"] == (not told.failed[k])
        assert set(each["signals"]) == set(told.signals)
        for name, signal in told.signals.items():
            np.testing.assert_array_equal(each["signals"][name]["signal"], signal[:, k])
        dream, copy = (abs(told.signals[name][:, k].sum()) for name in ("dream error", "stillness"))
        assert each["skill"] == pytest.approx(1 - dream / copy)


def test_a_film_shows_physics_and_the_dream_of_the_chunk_that_is_played(wam_file: Path, watched: Path) -> None:
    """Against the same episode played once more, without anybody looking on."""
    from pocketworlds.agents.wam.telling import Teller

    film = frames(watched / "episode_000.mp4")
    assert len(film) == 1 + STEPS + 20  # the start, a picture a step, a second of the end
    left, right = panels(film, 320)
    env, teller = physics(), Teller(dreamer(wam_file, env_id=None, keywords={}).net)
    pictures, begun = StatePictures(env), np.ones(1, dtype=bool)
    observation, info = env.reset(seed=[SEED])
    teller.reset(1)
    one = np.arange(1)
    for decision in range(STEPS // CHUNK):
        actions = teller.act(observation, list(info["instruction"]), begun=begun)
        dream = pictures.draw(one, teller.dreamed.state.numpy(), width=320, height=HEIGHT)[0]
        first = decision * CHUNK + 1
        for k in range(first, first + CHUNK):
            assert np.abs(right[k] - dream).mean() < 2  # what compression leaves
        observation, *_, info = env.step_chunk(actions)
        true = env.simulator.images(one, "front", ("rgb",), width=320, height=HEIGHT, fine=True)["rgb"][0]
        assert np.abs(left[first + CHUNK - 1] - true).mean() < 2
        begun = ~begun & False
    np.testing.assert_array_less(np.abs(left[-1] - left[STEPS]).mean(), 2)
    for each in (pictures, env):
        each.close()


@pytest.mark.parametrize("signal", ["dream error", "excess error of things", "dreams apart"])
def test_the_frame_is_red_from_when_the_alarm_can_know(
    wam_file: Path, heard: Path, tmp_path: Path, signal: str
) -> None:
    """How far dreams are apart is known before a chunk is played, what is wrong with one after its last step."""
    report = watch(
        dreamer(wam_file, env_id=None, keywords={}),
        tmp_path / "out",
        episodes=2,
        seed=SEED,
        heard=heard,
        signal=signal,
        notify=quiet,
    )
    rang = []
    for number, each in enumerate(report["episodes"]):
        values = np.array(each["signals"][signal]["signal"])
        mean = np.cumsum(values) / np.arange(1, len(values) + 1)
        over = np.flatnonzero(mean > report["alarm"]["threshold"])
        assert each["alarm"] == (over[0] + 1 if len(over) else None)
        edge = frames(tmp_path / "out" / f"episode_{number:03d}.mp4")[:, 2:4, 100:200].mean(axis=(1, 2))
        red = edge[:, 0] > edge[:, 1] + 80
        if each["alarm"] is None:
            assert not red.any()
            continue
        first = (each["alarm"] - 1) * CHUNK + 1 if signal == "dreams apart" else each["alarm"] * CHUNK
        first = 0 if first == 1 else first  # the first decision is made at the start
        np.testing.assert_array_equal(red, np.arange(len(red)) >= first)
        rang.append(number)
    assert len(rang) == 1  # the threshold is from between the two


def test_a_model_of_pictures_shows_those_it_dreams(tmp_path: Path) -> None:
    """As made, it repeats the present: beside every chunk stands what it saw when it decided."""
    course = read_course(["env=Reach-v0", *TINY, "model.pictures=true", "model.image_size=16"])
    keywords = {"max_episode_steps": STEPS + 2, "num_threads": 1, "obs_mode": "state+rgb", "image_size": 16}
    net = Wam(look(ID, dict(keywords), course))
    save_model(tmp_path / "a.safetensors", net, trained_on={"env_id": ID, "keywords": keywords})
    result = run(tmp_path / "a.safetensors", "-n", 1, "--seed", SEED, "--calibrate", 0, "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "There is no alarm: no episodes calibrate it." in result.output
    film = frames(tmp_path / "out" / "episode_000.mp4")
    assert len(film) == 1 + STEPS + 2 + 20  # the last two steps are no whole chunk
    _, right = panels(film, HEIGHT)
    env = physics(**keywords)
    seen = env.reset(seed=[SEED])[0]["rgb"][0]
    large = np.kron(seen, np.ones((HEIGHT // 16, HEIGHT // 16, 1))).astype(np.int64)
    assert np.abs(right[CHUNK] - large).mean() < 4
    env.close()


def test_calibration_is_on_other_episodes_and_needs_nine_successes(wam_file: Path, tmp_path: Path) -> None:
    result = run(wam_file, "-n", 1, "--calibrate", 3, "--seed", SEED, "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    source = json.loads((tmp_path / "out" / "watch.json").read_text())["alarm"]["source"]
    assert (source["episodes"], source["first seed"]) == (3, SEED + 1)
    assert "There is no alarm: too few of 3 episodes succeed." in result.output
    mark = (tmp_path / "out" / "index.html").stat().st_mtime_ns
    again = run(wam_file, "-n", 1, "--calibrate", 0, "-o", tmp_path / "out")
    assert again.exit_code == 2
    assert "exists already" in again.stderr
    assert (tmp_path / "out" / "index.html").stat().st_mtime_ns == mark
    assert run(wam_file, "-n", 1, "--calibrate", 0, "-o", tmp_path / "out", "--replace").exit_code == 0


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.sources: list[str] = []
        self.names: list[str] = []
        self.labels: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = dict(attrs)
        self.names.append(tag)
        self.sources += [value for name in ("src", "href", "poster") if (value := told.get(name))]
        if tag == "svg":
            self.labels.append(told["aria-label"] or "")
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_needs_nothing_from_elsewhere(watched: Path) -> None:
    text, reader = (watched / "index.html").read_text(encoding="utf-8"), _Reader()
    reader.feed(text)
    assert reader.open == []
    assert "script" not in reader.names
    assert "link" not in reader.names
    assert 'name="viewport"' in text
    files = [source for source in reader.sources if not source.startswith("#")]
    assert sorted(files) == sorted(path.name for path in watched.iterdir() if path.suffix in (".mp4", ".jpg"))
    report = json.loads((watched / "watch.json").read_text())
    assert sorted(reader.labels) == sorted(2 * list(report["episodes"][0]["signals"]))
    for each in report["episodes"]:
        assert f"<td>{each['seed']}</td>" in text
        assert each["instruction"] in text
    assert alarm_told(report["alarm"]) in text


def test_bad_input_is_told_in_a_sentence(wam_file: Path, heard: Path, tmp_path: Path) -> None:
    broken, cloned, list_, other = (tmp_path / name for name in ("b.safetensors", "c.safetensors", "l.json", "o.json"))
    broken.write_bytes(wam_file.read_bytes()[:-9])
    size = look(ID, dict(KEYWORDS), read_course(["env=Reach-v0", *TINY]))
    save_model(cloned, Cloning(size), trained_on={"env_id": ID})
    list_.write_text("[]", encoding="utf-8")
    told = json.loads(heard.read_text())
    told["facts"]["model sha256"] = "0"
    other.write_text(json.dumps(told), encoding="utf-8")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "diary.txt").write_text("mine", encoding="utf-8")
    out = ("-o", tmp_path / "out", "-n", "1")
    for arguments, sentence in (
        ((tmp_path / "none.safetensors", *out), "there is no checkpoint"),
        ((broken, *out), "is damaged"),
        ((cloned, *out), "is a model of kind 'cloning', not 'wam'"),
        ((wam_file, "--env", "Push-v0", *out), "the model is for state="),
        ((wam_file, "--set", "backend=neural", *out), "leave backend='neural' out"),
        ((wam_file, "--set", "sceen=tabletop", *out), "did you mean 'scene'"),
        ((wam_file, "--signal", "gut feeling", *out), "there is no signal 'gut feeling'; there are actions apart"),
        ((wam_file, "--replace", "-n", "1", "-o", tmp_path / "mine"), "is not a folder of `watch`"),
        ((wam_file, "--alarm", tmp_path / "none.json", *out), "cannot read"),
        ((wam_file, "--alarm", list_, *out), "is not what `bench dream` writes"),
        ((wam_file, "--alarm", other, *out), "is of another model"),
        ((wam_file, "--alarm", heard, "--seed", "26", *out), "seeds 7 to 26 calibrated the alarm"),
        ((wam_file, "--alarm", heard, "--calibrate", "9", *out), "exclude each other"),
    ):
        result = run(*arguments)
        assert result.exit_code == 2, (sentence, result.output)
        assert re.search(f"^pocketworlds: .*{re.escape(sentence)}", result.stderr, re.MULTILINE), result.stderr
        assert not (tmp_path / "out").exists()
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["diary.txt"]


ANY = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
WHERE = {"environment": ID, "keywords": {}, "model sha256": "1", "first seed": 0, "episodes": 2}


@settings(deadline=None)
@given(
    facts=ANY | st.fixed_dictionaries({name: ANY | st.just(value) for name, value in WHERE.items()}),
    signals=ANY | st.dictionaries(st.just("dream error"), ANY | st.fixed_dictionaries({"alarm": ANY})),
    threshold=ANY,
)
def test_whatever_is_in_the_file_of_an_alarm_is_taken_or_refused(
    tmp_path_factory: pytest.TempPathFactory, facts: Any, signals: Any, threshold: Any
) -> None:
    file = tmp_path_factory.getbasetemp() / "alarm.json"
    for told in (signals, {"dream error": {"alarm": {"threshold": threshold}}}):
        file.write_text(json.dumps({"facts": facts, "signals": told}), encoding="utf-8")
        found = _read(file)
        if isinstance(found, TaskError):
            assert str(file) in str(found)
        else:
            assert found.threshold is None or np.isfinite(found.threshold)
            assert alarm_told({"threshold": found.threshold, "averaged": True, **vars(found)})


def _read(file: Path) -> Alarm | TaskError:
    try:
        return read_alarm(file, "dream error", {**WHERE, "first seed": 100, "episodes": 1})
    except TaskError as error:
        return error


def test_an_alarm_without_a_threshold_never_rings() -> None:
    signals = {"dream error": np.array([1.0, 9.0, 2.0])}
    assert Alarm("dream error").rings(signals) is None
    assert Alarm("dream error", {"dream error": 5.0}).rings(signals) is None  # means: 1, 5, 4
    assert Alarm("dream error", {"dream error": 4.9}).rings(signals) == 2
