"""Training of the hybrid simulator's dynamics.

The robot learns one period at a time from recorded states, and both robot and things over stretches of several: they
start from a recorded state, and what was predicted is what they go on from, so that networks see their own mistakes and
learn to mend them. In every other stretch the robot moves as recorded. Stretches get longer as training goes on; most
are such where something moves.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from ..resuming import Means, restore_training, training_state
from .dynamics import MOVES, SPEED, STEP, TURN, WHIRL, Dynamics, Motion
from .experience import SLOW, Experience, rotation, standing
from .geometry import Geometry, Hand, Sight, State
from .kinematics import from_vector, matmul, matmul_back, orthonormal, to_vector, turn

Notify = Callable[[int, dict[str, float]], None]
"""Is told the number of steps made and the mean losses since it was told last."""


@dataclass(frozen=True)
class TrainConfig:
    """How long and how.

    Attributes:
        steps: of the optimiser. rate: its highest learning rate; it rises for `warmup` steps and falls as a cosine.
        stages: what part of the steps has which stretch [control periods] and how many stretches in a batch.
        robot_batch: single periods of the robot in a batch. lively: share of stretches in which something moves.
        joint_noise, speed_noise: [rad], [rad/s] on the robot's state, so that it learns to come back.
    """

    steps: int = 6000
    rate: float = 1.5e-3
    warmup: int = 200
    stages: tuple[tuple[float, int, int], ...] = ((0.4, 1, 1024), (0.3, 4, 320), (0.3, 8, 192))
    robot_batch: int = 2048
    lively: float = 0.8
    joint_noise: float = 5e-4
    speed_noise: float = 5e-3
    seed: int = 0

    def stage(self, step: int) -> tuple[int, int]:
        """Stretch and number of stretches at a step."""
        share = step / self.steps
        for part, stretch, count in self.stages:
            share -= part
            if share < 0:
                return stretch, count
        return self.stages[-1][1:]


class Trainer:
    """Trains networks on episodes; `advance` goes on, `state` and `restore` keep and bring back where it was.

    Attributes:
        done: steps made. chief: it writes files.
    """

    chief = True

    def __init__(self, dynamics: Dynamics, geometry: Geometry, experience: Experience, config: TrainConfig) -> None:
        self._net, self._geometry, self._data, self._config = dynamics, geometry, experience, config
        self._random = torch.Generator().manual_seed(config.seed)
        self._lively, self._age = experience.lively(4), experience.age
        self._optimizer = torch.optim.AdamW(dynamics.parameters(), lr=config.rate, betas=(0.9, 0.99), weight_decay=1e-5)
        self._means = Means()
        self.done = 0
        self._measure()

    def advance(self, notify: Notify | None = None, *, every: int = 100, until: float | None = None) -> bool:
        """Goes on to the end, or until a time (`time.monotonic`) is reached; says whether it is finished."""
        self._net.train()
        while self.done < self._config.steps:
            if until is not None and time.monotonic() > until:
                return False
            for group in self._optimizer.param_groups:
                group["lr"] = self._rate()
            losses = {"robot": self._robot_loss(), **self._stretch_loss()}
            total = torch.stack(list(losses.values())).sum()
            self._optimizer.zero_grad(set_to_none=True)
            total.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(self._net.parameters(), 1.0)
            self._optimizer.step()
            self.done += 1
            self._means.add(losses)
            if notify is not None and self.done % every == 0:
                notify(self.done, self._means.take())
        self._net.eval()
        return True

    def state(self) -> dict[str, Tensor]:
        """Where it is, as numbers: give it to `restore` of a trainer made of the same, to go on as if never stopped."""
        return training_state(self._net, self._optimizer, self.done, self._random)

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Goes back to where `state` was taken."""
        self.done = restore_training(state, self._net, self._optimizer, self._random)

    def _rate(self) -> float:
        config = self._config
        fall = 0.5 * (1 + math.cos(math.pi * self.done / config.steps))
        return config.rate * min(1.0, (self.done + 1) / config.warmup) * (0.01 + 0.99 * fall)

    # -- what to learn from ----------------------------------------------------------------------------------------

    def _starts(self, count: int, stretch: int) -> Tensor:
        """Frames (count,) at which stretches begin."""
        lively = round(self._config.lively * count) if len(self._lively) else 0
        chosen = self._lively[self._integers(len(self._lively), lively)] if lively else self._lively[:0]
        frame = torch.cat([chosen, self._integers(len(self._data), count - lively)])
        back = torch.minimum(self._integers(max(stretch // 2, 1), count), self._age[frame])
        frame = frame - back
        return frame - (stretch - self._data.left[frame]).clamp_min(0)

    def _integers(self, end: int, count: int) -> Tensor:
        return torch.randint(0, end, (count,), generator=self._random)

    def _noisy(self, values: Tensor, noise: float) -> Tensor:
        return values + noise * torch.randn(values.shape, generator=self._random)

    @torch.no_grad()
    def _measure(self) -> None:
        """Fits what is linear, and the scales of all inputs."""
        net, data, geometry = self._net, self._data, self._geometry
        net.meet(geometry.traits[geometry.real], geometry.servos)
        frame = self._starts(min(40_000, len(data)), 1)
        state = data.state(frame)
        target, sight = net.heard(geometry, state, data.targets[frame]), geometry.see(state)
        inputs = net.robot_inputs(geometry, state, target, sight)
        wanted = self._robot_wanted(frame, state)
        size = net.robot_linear.in_features
        known = torch.cat([inputs[:, :size], torch.ones(len(inputs), 1)], 1).double()
        square = known.T @ known + 1e-6 * torch.eye(size + 1, dtype=torch.float64)
        found = torch.linalg.solve(square, known.T @ wanted.double()).float()
        net.robot_linear.weight.copy_(found[:-1].T)
        net.robot_linear.bias.copy_(found[-1])
        net.robot_scale.copy_((wanted - net.robot_linear(inputs[:, :size])).std(0).clamp_min(1e-5))
        net.measure("robot", inputs, least=1e-3)
        net.measure("force", net.force_inputs(state, target, sight), least=0.05)
        after = geometry.hand(data.joints[frame + 1])
        for name, mine in self._kinds(sight).items():
            if len(mine.around.world):
                net.measure(name, self._inputs(name, state, target, mine, after), least=0.05)

    # -- losses ----------------------------------------------------------------------------------------------------

    def _robot_wanted(self, frame: Tensor, state: State) -> Tensor:
        return torch.cat([self._data.joints[frame + 1] - state.joints, self._data.speeds[frame + 1]], 1)

    def _robot_loss(self) -> Tensor:
        config, net = self._config, self._net
        frame = self._starts(config.robot_batch, 1)
        state = self._data.state(frame)
        state = replace(
            state,
            joints=self._noisy(state.joints, config.joint_noise),
            speeds=self._noisy(state.speeds, config.speed_noise),
        )
        geometry = self._geometry
        with torch.no_grad():
            target = net.heard(geometry, state, self._data.targets[frame])
            inputs = net.robot_inputs(geometry, state, target, geometry.see(state))
        wanted = self._robot_wanted(frame, state)
        return _huber((net.move_robot(inputs) - wanted) / net.robot_scale, 0.3)

    def _stretch_loss(self) -> dict[str, Tensor]:
        """Losses of all that moves, and of forces, over a batch of stretches."""
        net, data, geometry = self._net, self._data, self._geometry
        stretch, count = self._config.stage(self.done)
        frame = self._starts(count, stretch)
        state = data.state(frame)
        losses: dict[str, list[Tensor]] = {}
        hand, target = geometry.hand(state.joints), state.told
        alone = torch.arange(count) % 2 == 1
        for k in range(stretch):
            at = frame + k
            sight = geometry.see(state, hand)
            if k:
                forces = net.forces(net.force_inputs(state, target, sight))
                _add(losses, "force", _huber(forces - torch.log1p(data.force[at]), 0.3))
                state = replace(state, force=net.newtons(forces.detach()))
            target = net.heard(geometry, state, data.targets[at])
            robot = net.move_robot(net.robot_inputs(geometry, state, target, sight).detach())
            if k:
                _add(losses, "arm", _huber((robot - self._robot_wanted(at, state)) / net.robot_scale, 0.3))
            joints, speeds = self._led(state, robot.detach().mean(0), at, alone)
            hand = geometry.hand(joints)
            moved: dict[str, Motion] = {}
            for name, mine in self._kinds(sight).items():
                if len(mine.around.world):
                    inputs = self._inputs(name, state, target, mine, hand)
                    move = net.move_free if name == "free" else net.move_part
                    motion = move(inputs, geometry, state, mine, hand)
                    learn = self._free_loss if name == "free" else self._part_loss
                    for term, loss in learn(motion, mine, state, at).items():
                        _add(losses, term, loss)
                    moved[name] = motion
            state = replace(self._moved(state, sight, moved, at), joints=joints, speeds=speeds)
        return {name: torch.stack(values).mean() for name, values in losses.items()}

    def _led(self, state: State, moved: Tensor, frame: Tensor, alone: Tensor) -> tuple[Tensor, Tensor]:
        """The robot's next joint positions and speeds: its own where it is `alone` (n,), elsewhere as recorded."""
        links, after = self._net.shape.links, frame + 1
        own = alone[:, None]
        joints = torch.where(own, state.joints + moved[:, :links], self._data.joints[after])
        return joints, torch.where(own, moved[:, links:], self._data.speeds[after])

    def _kinds(self, sight: Sight) -> dict[str, Sight]:
        """What may move, apart by kind."""
        free = sight.around.body < self._geometry.free
        found = {"free": replace(sight, around=sight.around[free])}
        if self._geometry.parts:
            found["part"] = replace(sight, around=sight.around[~free])
        return found

    def _inputs(self, name: str, state: State, target: Tensor, sight: Sight, after: Hand) -> Tensor:
        inputs = self._net.free_inputs if name == "free" else self._net.part_inputs
        return inputs(self._geometry, state, target, sight, after)

    def _free_loss(self, motion: Motion, sight: Sight, state: State, frame: Tensor) -> dict[str, Tensor]:
        around, data, geometry = sight.around, self._data, self._geometry
        rows = (frame[around.world] + 1, around.body)
        pose, velocity = data.poses[rows], data.velocity[rows]
        turned = rotation(pose[:, 3:])
        center = pose[:, :3] + turn(turned, geometry.center[around.scene, around.body])
        spin = turn(around.rotation, to_vector(matmul_back(around.rotation, turned)))
        before = data.poses[rows[0] - 1, rows[1], :3]
        moves = ~standing(velocity) | ((pose[:, :3] - before).norm(dim=-1) > 1e-4)
        go = motion.moves.sigmoid()[..., None]
        assert motion.spin is not None
        shift = center - around.center
        speed, whirl = velocity[:, :3], velocity[:, 3:]
        return {
            "shift": 4 * _huber((motion.shift * go - shift) / _size(shift, STEP), 0.1),
            "spin": 2 * _huber((motion.spin * go - spin) / _size(spin, TURN), 0.1),
            "speed": 0.25 * _huber((motion.speed[..., :3] - speed) / _size(speed, SPEED), 0.1),
            "whirl": 0.25 * _huber((motion.speed[..., 3:] - whirl) / _size(whirl, WHIRL), 0.1),
            "moves": 0.2 * _binary(motion.moves, moves),
        }

    def _part_loss(self, motion: Motion, sight: Sight, state: State, frame: Tensor) -> dict[str, Tensor]:
        around, data = sight.around, self._data
        part = around.body - self._geometry.free
        rows = (frame[around.world] + 1, part)
        lever = self._net.handle(self._geometry, around)[2]
        wanted = data.part[rows] - state.part[around.world, part]
        before, speed = data.part[rows[0] - 1, part], data.part_speed[rows]
        moves = (speed.abs() > SLOW) | ((data.part[rows] - before).abs() > 1e-4)
        go = motion.moves.sigmoid()
        return {
            "joint": 4 * _huber((motion.shift * go - wanted) * lever / (STEP + (wanted * lever).abs()), 0.1),
            "joint_speed": 0.5 * _huber((motion.speed - speed) * lever / (SPEED + (speed * lever).abs()), 0.1),
            "joint_moves": 0.2 * _binary(motion.moves, moves),
        }

    def _moved(self, state: State, sight: Sight, motions: dict[str, Motion], frame: Tensor) -> State:
        """The next state of all but the robot, as the networks think on average."""
        data, geometry = self._data, self._geometry
        position, rotated, velocity = (x.clone() for x in (state.position, state.rotation, state.velocity))
        part, part_speed = state.part.clone(), state.part_speed.clone()
        kinds = self._kinds(sight)
        for name, motion in motions.items():
            around = kinds[name].around
            go = motion.moves.sigmoid()
            likely = motion.moves.mean(0) > MOVES
            if motion.spin is not None:
                rows = (around.world, around.body)
                turned = orthonormal(matmul(from_vector((motion.spin * go[..., None]).mean(0)), around.rotation))
                at = around.center + (motion.shift * go[..., None]).mean(0)
                position[rows] = at - turn(turned, geometry.center[around.scene, around.body])
                rotated[rows] = turned
                velocity[rows] = motion.speed.mean(0) * likely[:, None]
            else:
                rows = (around.world, around.body - geometry.free)
                part[rows] = part[rows] + (motion.shift * go).mean(0)
                part_speed[rows] = motion.speed.mean(0) * likely
        return replace(
            state,
            filtered=data.filtered[frame + 1],
            told=data.targets[frame],
            position=position,
            rotation=rotated,
            velocity=velocity,
            part=part,
            part_speed=part_speed,
        )


def _huber(error: Tensor, beta: float) -> Tensor:
    return nn.functional.smooth_l1_loss(error, torch.zeros_like(error), beta=beta)


def _size(vector: Tensor, usual: float) -> Tensor:
    """Lengths (N, 1) that errors of vectors (N, 3) are measured in: what falls or is hit must not drown the rest."""
    found: Tensor = usual + vector.norm(dim=-1, keepdim=True)
    return found


def _binary(logits: Tensor, wanted: Tensor) -> Tensor:
    return nn.functional.binary_cross_entropy_with_logits(logits, wanted.to(logits.dtype).expand_as(logits))


def _add(losses: dict[str, list[Tensor]], name: str, loss: Tensor) -> None:
    losses.setdefault(name, []).append(loss)
