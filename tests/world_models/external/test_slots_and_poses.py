"""DreamDojo's slots, and actions as other people's models want them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pocketworlds import CheckpointError
from pocketworlds.envs import control
from pocketworlds.world_models.external import poses, slots
from pocketworlds.world_models.simulator import Context
from scipy.spatial.transform import Rotation

PUBLISHED = {"gr1": 29, "gr1_retargeted": 29, "g1": 43, "yam": 46, "agibot": 22, "mano": 132, "latent": 32}


def test_slots_cover_everything_once():
    edges = sorted(slots.SLOTS.values())
    assert edges[0][0] == 0
    assert edges[-1][1] == slots.SIZE
    assert all(first[1] == second[0] for first, second in itertools.pairwise(edges))
    assert {name: end - first for name, (first, end) in slots.SLOTS.items() if name != "own"} == PUBLISHED


@pytest.mark.parametrize("embodiment", list(PUBLISHED))
def test_actions_go_into_their_slots(embodiment: str):
    size = PUBLISHED[embodiment]
    values = torch.arange(1.0, 2 * 12 * size + 1).reshape(2, 12, size)
    found = slots.packed(values, embodiment)
    assert found.shape == (2, 12, 384)
    first = slots.SLOTS[embodiment][0]
    assert torch.equal(found.nonzero()[:, 2].unique(), torch.arange(first, first + size))
    assert torch.equal(found[..., first : first + size], values)


@given(st.integers(1, 51), st.integers(1, 5))
def test_a_robot_of_ones_own_has_the_first_of_its_slots(size: int, rows: int):
    values = torch.randn(rows, size, generator=torch.Generator().manual_seed(size))
    found = slots.packed(values, "own")
    first = slots.SLOTS["own"][0]
    assert torch.equal(found[:, first : first + size], values)
    assert float(found.abs().sum()) == pytest.approx(float(values.abs().sum()), rel=1e-5)


def test_wrong_sizes_and_names_are_refused():
    with pytest.raises(CheckpointError, match=r"22 numbers, got 7.*'own'"):
        slots.packed(torch.zeros(7), "agibot")
    with pytest.raises(CheckpointError, match="at most 51 numbers, got 52"):
        slots.packed(torch.zeros(52), "own")
    with pytest.raises(CheckpointError, match=r"no embodiment 'panda'.*gr1"):
        slots.packed(torch.zeros(7), "panda")


def test_commands_are_relative_to_the_one_before_their_group():
    commands = torch.randn(3, 12, 5, generator=torch.Generator().manual_seed(0))
    before = torch.randn(3, 5, generator=torch.Generator().manual_seed(1))
    found = slots.relative(commands, before)
    absolute = torch.cat([before[:, None], commands], 1)  # as DreamDojo's data loader goes through it
    expected = [absolute[:, t : t + 4] - absolute[:, t - 1 : t] for t in range(1, 13, 4)]
    torch.testing.assert_close(found, torch.cat(expected, 1))


def test_steps_are_those_of_control():
    assert (poses.POSITION_STEP, poses.ROTATION_STEP) == (control.POSITION_STEP, control.ROTATION_STEP)


@given(st.lists(st.floats(-3, 3), min_size=3, max_size=3))
def test_rotation_vectors_are_scipys(vector: list[float]):
    found = poses.rotation(torch.tensor(vector, dtype=torch.float64))
    np.testing.assert_allclose(found, Rotation.from_rotvec(vector).as_matrix(), atol=1e-12)


@pytest.mark.parametrize("closed_is_one", [False, True])
def test_pose_steps_add_up_to_where_actions_lead(closed_is_one: bool):
    draws = np.random.default_rng(0)
    action = draws.uniform(-1, 1, (2, 6, 7))
    start = Rotation.random(2, random_state=1)
    found, frames = poses.poses10(
        torch.from_numpy(action), torch.from_numpy(start.as_matrix()), closed_is_one=closed_is_one
    )
    assert found.shape == (2, 6, 10)
    for row in range(2):
        pose = np.eye(4)
        pose[:3, :3] = start[row].as_matrix()
        position, turned = np.zeros(3), start[row]
        for t in range(6):
            position = position + 0.025 * action[row, t, :3]
            turned = Rotation.from_rotvec(0.15 * action[row, t, 3:6]) * turned
            step = np.eye(4)
            step[:3, 3] = found[row, t, :3]
            step[:3, 0], step[:3, 1] = found[row, t, 3:6], found[row, t, 6:9]
            step[:3, 2] = np.cross(step[:3, 0], step[:3, 1])
            pose = pose @ step  # "backward framewise": T_(i+1) = T_i delta
            np.testing.assert_allclose(pose[:3, 3], position, atol=1e-9)
            np.testing.assert_allclose(pose[:3, :3], turned.as_matrix(), atol=1e-9)
            np.testing.assert_allclose(frames[row, t + 1], turned.as_matrix(), atol=1e-9)
    opened = (action[..., 6] + 1) / 2
    np.testing.assert_allclose(found[..., 9], 1 - opened if closed_is_one else opened, atol=1e-12)


def test_the_grippers_frame_is_found_in_state_and_scene():
    grip, base = (Rotation.random(random_state=seed).as_matrix() for seed in (0, 1))

    def columns(frame: np.ndarray) -> torch.Tensor:
        return torch.tensor(frame[:, :2].T.ravel(), dtype=torch.float32)

    state = torch.cat([torch.zeros(4), columns(grip), torch.zeros(2)])[None, None]
    scene = torch.cat([torch.zeros(8), columns(base)])[None]
    context = Context(None, state, torch.zeros(1, 0, 7), scene, torch.zeros(1, dtype=torch.int64))
    found = poses.gripper_frame(context, {"joint_pos": 4, "grip_mat": 6, "part_pos": 2})
    np.testing.assert_allclose(found[0], base.T @ grip, atol=1e-6)
    with pytest.raises(CheckpointError, match="#probe=FILE"):
        poses.gripper_frame(context, {"joint_pos": 12})
