"""`check_vector_env`: passes what is right, names the rule that is broken."""

from __future__ import annotations

import warnings
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from pocketworlds import PocketWorldsError, TaskError
from pocketworlds.envs import CheckReport, VectorEnvError, VectorEnvWarning, check_vector_env
from pocketworlds.envs.checker_report import RULES

from . import walks

ID = "PocketWorlds/Scan-v0"
MODES = list(AutoresetMode)


def sync(num_envs: int, *, name: str, autoreset_mode: AutoresetMode, copy: bool = True, **keywords: Any) -> Any:
    return SyncVectorEnv([lambda: gym.make(name, **keywords)] * num_envs, autoreset_mode=autoreset_mode, copy=copy)


def single(*, name: str, **keywords: Any) -> Any:
    return gym.make(name, **keywords)


def check(make: Any, **keywords: Any) -> CheckReport:
    with warnings.catch_warnings():
        warnings.simplefilter("error", VectorEnvWarning)
        return check_vector_env(make, **keywords)


@pytest.mark.parametrize("task", ["lift", "push"])
def test_our_environment_passes_in_every_mode(task: str):
    report = check(ID, task=task, max_episode_steps=4, steps=11, render_mode="rgb_array", render_size=32)
    assert report.passed == list(RULES)
    assert report.unchecked == {}
    assert report.ended >= 3 * 3 * 2


@pytest.mark.parametrize("obs_mode", ["state+rgb", "depth"])
def test_our_environment_passes_with_images(obs_mode: str):
    report = check(
        ID, num_envs=2, obs_mode=obs_mode, image_size=16, object="can", max_episode_steps=3, steps=8, modes=["SameStep"]
    )
    assert {"observations", "same-step", "copies", "batch"} <= set(report.passed)


@pytest.mark.parametrize(("name", "keywords"), [("CartPole-v1", {}), ("Pendulum-v1", {"max_episode_steps": 5})])
def test_gymnasiums_own_batch_passes_in_every_mode(name: str, keywords: dict):
    report = check(sync, make_single=single, modes=MODES, name=name, **keywords)
    assert set(RULES) - set(report.passed) == {"render", "state"}


def test_gymnasiums_own_batch_passes_with_pictures_and_statistics():
    def make(num_envs: int, **keywords: Any) -> Any:
        env = sync(num_envs, name="CartPole-v1", **keywords)
        return gym.wrappers.vector.RecordEpisodeStatistics(env)

    check(make, modes=["SameStep"])


def test_live_buffers_of_gymnasiums_own_batch_are_found():
    with pytest.raises(VectorEnvError, match="copies") as caught:
        check(sync, modes=["NextStep"], name="CartPole-v1", copy=False)
    assert caught.value.rule == "copies"


def test_gymnasiums_fast_cart_pole_is_not_a_batch_of_cart_poles():
    with pytest.raises(VectorEnvError, match="batch"), pytest.warns(VectorEnvWarning, match="list"):
        check_vector_env("CartPole-v1")


def test_the_small_right_one_passes():
    report = check(walks.Walks, make_single=walks.Walk, modes=MODES)
    assert report.passed == list(RULES)
    assert str(report).count("ok ") == len(RULES)


BROKEN = [
    (walks.WrongBatchSpace, "spaces", "batch_space"),
    (walks.ModeAsWord, "metadata", "AutoresetMode belongs"),
    (walks.OtherMode, "metadata", "asked for"),
    (walks.ModeInClass, "metadata", "changed"),
    (walks.SingleObservationDtype, "observations", "float32"),
    (walks.OutOfBounds, "observations", r"outside of the space \(world 1\)"),
    (walks.RewardColumn, "rewards", r"\(3, 1\)"),
    (walks.RewardNotFinite, "rewards", r"not finite \(world 2\)"),
    (walks.FlagsAsNumbers, "flags", "terminated int64"),
    (walks.InfoWithoutMask, "infos", "'far' without the mask '_far'"),
    (walks.InfoAsList, "infos", "list"),
    (walks.LiveObservations, "copies", "observations returned"),
    (walks.LiveAtReset, "copies", r"reset\(\) returned"),
    (walks.LiveInfos, "copies", r"infos\['x'\] returned"),
    (walks.ClipsActionsInPlace, "actions", "modified"),
    (walks.ResetStepMoves, "next-step", "another action"),
    (walks.ResetStepPays, "next-step", "gave a reward"),
    (walks.NeverResets, "batch", "differs"),
    (walks.NoFinalInfo, "same-step", "no 'final_info'"),
    (walks.FinalMaskOfAll, "same-step", "_final_obs"),
    (walks.ReturnsFinalObservation, "same-step", "same as final_obs"),
    (walks.ResetsAllWorlds, "disabled", r"outside of its mask \(world 1, 2\)"),
    (walks.PartialResetDrawsForAll, "disabled", "went on differently"),
    (walks.IgnoresSeeds, "seeds", "after other episodes"),
    (walks.OneSeedForAll, "seeds", "all worlds start alike"),
    (walks.SharedGenerator, "seeds", "another world"),
    (walks.KeepsStateOverResets, "seeds", "same seed and actions"),
    (walks.StateWithoutCounters, "state", "differs"),
    (walks.LiveState, "state", "differs"),
    (walks.OnePicture, "render", "of 8"),
    (walks.FloatPictures, "render", r"float64 \(8, 8, 3\) \(world 0\)"),
    (walks.ClosesOnce, "close", "second close"),
    (walks.OtherThanTheSingle, "batch", "differs from the single"),
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("make", "rule", "words"), BROKEN, ids=[make.__name__ for make, _, _ in BROKEN])
def test_a_broken_rule_is_named(make: Any, rule: str, words: str):
    walks.ModeInClass.metadata.pop("autoreset_mode", None)
    with pytest.raises(VectorEnvError, match=words) as caught:
        check_vector_env(make, make_single=walks.Walk, modes=MODES)
    assert caught.value.rule == rule
    assert str(caught.value).startswith(f"[{rule}] ")
    assert isinstance(caught.value, AssertionError)
    assert isinstance(caught.value, PocketWorldsError)


def test_every_rule_has_a_broken_environment():
    assert {rule for _, rule, _ in BROKEN} == set(RULES)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("make", "rule", "words"), BROKEN, ids=[make.__name__ for make, _, _ in BROKEN])
def test_a_skipped_rule_is_not_told(make: Any, rule: str, words: str):
    walks.ModeInClass.metadata.pop("autoreset_mode", None)
    try:
        report = check_vector_env(make, make_single=walks.Walk, modes=MODES, skip=[rule])
    except VectorEnvError as error:
        assert error.rule != rule  # noqa: PT017 - one fault may break a second rule
    else:
        assert report.unchecked[rule] == "skipped on request"
        assert rule not in report.passed


def test_what_was_not_checked_is_told():
    def endless(num_envs: int) -> Any:
        return sync(num_envs, name="Pendulum-v1", autoreset_mode=AutoresetMode.SAME_STEP)

    with pytest.warns(VectorEnvWarning, match="no episode ended"):
        report = check_vector_env(endless)
    assert "same-step" in report.unchecked
    assert "same-step" not in report.passed
    assert report.ended == 0


def test_weaker_points_are_warnings():
    class WholeRewards(walks.Changed):
        def change(self, observation: Any, reward: Any, terminated: Any, truncated: Any, info: dict) -> tuple:
            return observation, reward.astype(int), terminated, truncated, info

    class SilentAfterTheEnd(walks.Walks):
        def step(self, actions: np.ndarray) -> tuple:
            self.ended[:] &= self.mode is not AutoresetMode.DISABLED
            return super().step(actions)

    with pytest.warns(VectorEnvWarning, match="int64"):
        check_vector_env(WholeRewards)
    with pytest.warns(VectorEnvWarning, match="not refused"):
        check_vector_env(SilentAfterTheEnd, modes=["Disabled"])


def test_masks_are_seen_though_all_episodes_are_of_one_length():
    class Level(walks.Walks):
        """Ends by length only, as most robot environments do; the mask is wrong where only some worlds end."""

        def finals(self, done: np.ndarray, info: dict) -> dict:
            return super().finals(done, info) | {"_final_obs": np.ones(self.num_envs, bool)}

        def move(self, ids: Any, actions: np.ndarray) -> None:
            super().move(ids, actions)
            self.at[ids, 0] -= 10

    with pytest.raises(VectorEnvError, match=r"_final_obs.*world"):
        check_vector_env(Level, modes=["SameStep"])


def test_tolerance_lets_small_differences_pass():
    check(walks.OtherThanTheSingle, make_single=walks.Walk, modes=MODES, tolerance=1e-9)


def test_bad_arguments():
    with pytest.raises(TaskError, match="no rule 'seed'"):
        check_vector_env(walks.Walks, skip=["seed"])
    with pytest.raises(TaskError, match="num_envs"):
        check_vector_env(walks.Walks, num_envs=1)
