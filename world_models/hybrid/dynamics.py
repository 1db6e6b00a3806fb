"""The learned part of the hybrid simulator's state: a robot that answers to its servos, and things that it moves.

Nothing here knows an object or a scene: networks see what a hand sees. What is near it or moves is described in the
frame of the hand, by distances from points on the hand to its surface, by its mass and size, and by what stands beside
it; so one model serves scenes and cousins that differ. A network does not say where a thing goes, but how much of its
motion is the hand's, how much is its own, and what is left of it; what nobody touches and does not move stays where it
is, exactly.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from .geometry import SERVO_TRAITS, TRAITS, Around, Geometry, Hand, Sight, State
from .kinematics import dot, from_vector, matmul, matmul_back, orthonormal, to_vector, turn, turn_back
from .networks import Ensemble, Normaliser
from .scene import PROBES

PERIOD = 0.05
"""Length [s] of a control period."""
STEP, TURN = 0.01, 0.1
"""Usual motion [m] and turn [rad] in a control period: the scales of what networks see and say."""
SPEED, WHIRL = 0.2, 2.0
"""Usual speed [m/s] and angular speed [rad/s]."""
MOVES = -1.0
"""Logit above which a thing counts as moving: what moves and is told to stay is worse than the other way round."""

_ANYTHING = 1e6  # what traits are within before any were seen
_TOUCH, _CLOSE, _FAR = 0.001, 0.004, 0.03  # scales [m] on which distances are felt
_FREE_OUT, _PART_OUT = 19, 9
_TUNED = 12  # numbers a servo whose tuning is seen: what pulls at its joint, to first order in how it differs


@dataclass(frozen=True)
class Shape:
    """Sizes of a model; what a checkpoint must agree in with a robot and its scenes.

    Attributes:
        links, points, actuators, forces: of the robot, see `State` and `Hand`. fingers: links beyond the hand's frame,
            grips: actuators that move them. keep: share of a servo's filtered target that is left after a period.
        parts: whether there are any. members: networks of an ensemble. width: of their hidden layers, two of them, of
            the robot's `depth`: in contact its motion hangs on more than anything else's.
        servos: of each actuator the link whose joint it moves alone, or -1; empty: what servos lag behind is not seen.
        tuned: whether how servos differ between scenes is seen.
    """

    links: int
    points: int
    actuators: int
    forces: int
    fingers: tuple[int, ...]
    grips: tuple[int, ...]
    keep: float
    parts: bool
    members: int = 3
    width: int = 192
    depth: int = 2
    servos: tuple[int, ...] = ()
    tuned: bool = False


@dataclass(frozen=True)
class Motion:
    """How M networks think N things move in a period.

    Attributes:
        shift: (M, N, 3) of the centre of mass [m], (M, N) of a part's joint [rad], [m]. spin: (M, N, 3) turn [rad],
            none of parts. speed: (M, N, 6) or (M, N) afterwards. moves: (M, N) whether at all, as a logit.
    """

    shift: Tensor
    spin: Tensor | None
    speed: Tensor
    moves: Tensor


class Dynamics(nn.Module):
    """The networks. All work on what `Geometry` makes of states."""

    robot_scale: Tensor
    seen: Tensor
    seen_servos: Tensor

    def __init__(self, shape: Shape, *, seed: int = 0) -> None:
        super().__init__()
        self.shape = shape
        generator = torch.Generator().manual_seed(seed)
        points = shape.points
        self._fingers, self._grips = list(shape.fingers), list(shape.grips)
        self._servos = [number for number, link in enumerate(shape.servos) if link >= 0]
        self._served = [shape.servos[number] for number in self._servos]
        linear = 2 * shape.links + 2 * shape.actuators + (_TUNED * len(self._served) if shape.tuned else 0)
        grip = 2 * len(shape.fingers) + 2 * len(shape.grips) + shape.forces
        common = 6 + 3 + 3 + 6 * points + 6 + grip
        lag = 2 * len(self._served) + (SERVO_TRAITS if shape.tuned else 0)
        sizes = {
            "robot": (linear + 3 * points + shape.forces + lag, 2 * shape.links),
            "free": (common + 3 + 2 + 6 + 3 * PROBES + 6, _FREE_OUT),
            "part": (common + 6 + 1 + 2 * points + 8, _PART_OUT),
            "force": (4 * points + grip, shape.forces),
        }
        if not shape.parts:
            del sizes["part"]
        self.robot_linear = nn.Linear(linear, 2 * shape.links)  # fitted, before anything is learned
        nn.init.zeros_(self.robot_linear.weight)
        nn.init.zeros_(self.robot_linear.bias)
        self.register_buffer("robot_scale", torch.ones(2 * shape.links))
        self.register_buffer("seen", torch.stack([torch.full((TRAITS,), -_ANYTHING), torch.full((TRAITS,), _ANYTHING)]))
        self.register_buffer("seen_servos", torch.zeros(2, SERVO_TRAITS))
        self.inputs = nn.ModuleDict({name: Normaliser(size) for name, (size, _) in sizes.items()})
        self.networks = nn.ModuleDict(
            {
                # Forces are told and lead to nothing: how sure they are is not asked.
                name: Ensemble(
                    1 if name == "force" else shape.members,
                    [size, *[shape.width] * (shape.depth if name == "robot" else 2), out],
                    generator,
                )
                for name, (size, out) in sizes.items()
            }
        )

    @property
    def size(self) -> int:
        """Numbers that are learned."""
        return sum(parameter.numel() for parameter in self.parameters())

    def filter(self, filtered: Tensor, target: Tensor) -> Tensor:
        """Servo targets (n, U) behind their low-pass filters after a period."""
        return target + (filtered - target) * self.shape.keep

    def measure(self, name: str, inputs: Tensor, *, least: float) -> None:
        """Takes the scales of the inputs (N, ...) of one of the ensembles; see `Normaliser`."""
        normaliser = self.inputs[name]
        assert isinstance(normaliser, Normaliser)
        normaliser.measure(inputs, least=least)

    def heard(self, geometry: Geometry, state: State, target: Tensor) -> Tensor:
        """What servos make of targets (n, U) that come late: the constant ones by which their filters get in a period
        to where they get with those of the period before for a while, and then with these."""
        if not geometry.late:
            return target
        keep = self.shape.keep
        share: Tensor = (keep ** (1 - geometry.latency[state.scene] / PERIOD) - keep) / (1 - keep)
        return target + share * (state.told - target)

    def meet(self, traits: Tensor, servos: Tensor) -> None:
        """Takes what the things (N, TRAITS) and the servos (M, SERVO_TRAITS) are like that it learns from; see
        `Geometry`."""
        self.seen.copy_(torch.stack([traits.amin(0), traits.amax(0)]))
        if self.shape.tuned:
            self.seen_servos.copy_(torch.stack([servos.amin(0), servos.amax(0)]))

    def novelty(self, traits: Tensor) -> Tensor:
        """How unlike (N,) all that it learned from things with such traits (N, TRAITS) are: 1 is too much."""
        return _beyond(self.seen, traits)

    def servo_novelty(self, servos: Tensor) -> Tensor:
        """How unlike (n,) all that it learned from servos (n, SERVO_TRAITS) are: 1 is too much."""
        return _beyond(self.seen_servos, servos)

    def unrest(self, state: State) -> Tensor:
        """How far (n,) the position or the speed of any of the robot's joints is from the mean of those that it learned
        from, in squares of their spreads: what is usual must not drown what else is strange."""
        usual, count = self.inputs["robot"], 2 * self.shape.links
        assert isinstance(usual, Normaliser)
        motion = torch.cat([state.joints, state.speeds], 1)
        farthest: Tensor = ((motion - usual.mean[:count]) * usual.scale[:count]).square().amax(1)
        return farthest

    def run(self, name: str, inputs: Tensor) -> Tensor:
        """Outputs (M, N, ...) of one of the ensembles."""
        found: Tensor = self.networks[name](self.inputs[name](inputs))
        return found

    # -- the robot -------------------------------------------------------------------------------------------------

    def robot_inputs(self, geometry: Geometry, state: State, target: Tensor, sight: Sight) -> Tensor:
        """What the robot's motion depends on, with targets as they are `heard`: first what it depends on almost
        linearly."""
        own = [state.joints, state.speeds, target, state.filtered]
        felt = [_felt(sight.near, _CLOSE), _felt(sight.near, _FAR), _felt(sight.still, _CLOSE)]
        # Joints and targets vary by a radian, what lies between them by a hundredth of that, and that is what moves.
        lag = [each[:, self._servos] - state.joints[:, self._served] for each in (target, state.filtered)]
        if self.shape.tuned:
            latency, gains = geometry.latency[state.scene] / PERIOD, geometry.gains[state.scene]
            late = (state.told - target)[:, self._servos] * latency
            pulls = torch.cat([*lag, state.speeds[:, self._served]], 1)
            own += [late, pulls * latency]
            own += [torch.cat([pulls, late], 1) * gain for gain in (gains[:, :1], gains[:, 1:])]
            lag.append(geometry.servos[state.scene])
        return torch.cat([*own, *felt, _loud(state.force), *lag], 1)

    def move_robot(self, inputs: Tensor) -> Tensor:
        """How far joints go, and their speeds afterwards: (M, n, 2 L)."""
        linear = self.robot_linear(inputs[:, : self.robot_linear.in_features])
        found: Tensor = linear + self.run("robot", inputs) * self.robot_scale
        return found

    # -- free bodies -----------------------------------------------------------------------------------------------

    def free_inputs(self, geometry: Geometry, state: State, target: Tensor, sight: Sight, after: Hand) -> Tensor:
        """What the motion of free bodies, those of `sight.around`, depends on: (N, inputs)."""
        around = sight.around
        world, body, scene = around.world, around.body, around.scene
        at, frame = sight.hand.at[world], sight.hand.frame[world]
        probes = around.position[:, None] + turn(around.rotation[:, None], geometry.probes[scene, body])
        still, _ = geometry.statics(scene, probes)
        others, side, speed = geometry.beside(state, around, probes)
        touching = _contact(others.amin(1))[:, None]
        velocity = state.velocity[world, body]
        return torch.cat(
            [
                *self._body_inputs(geometry, state, target, sight, after),
                turn_back(frame, around.center - at) / 0.05,
                geometry.matter[scene, body],
                turn_back(frame, velocity[:, :3]) / SPEED,
                turn_back(frame, velocity[:, 3:]) / WHIRL,
                _felt(still, _CLOSE),
                _felt(still, _FAR),
                _felt(others, _CLOSE),
                turn_back(frame, side) * touching,
                turn_back(frame, speed) * touching / SPEED,
            ],
            1,
        )

    def move_free(self, inputs: Tensor, geometry: Geometry, state: State, sight: Sight, after: Hand) -> Motion:
        """How free bodies move: each stays, goes with the hand, or flies on, in shares, and something is left."""
        out, around = self.run("free", inputs), sight.around
        hand, frame = sight.hand, sight.hand.frame[around.world]
        swing = matmul(after.frame[around.world], frame.transpose(1, 2))
        held = after.at[around.world] + turn(swing, around.center - hand.at[around.world]) - around.center
        turned = to_vector(swing)
        velocity = state.velocity[around.world, around.body]
        fall = geometry.gravity[around.scene]
        flown = velocity[:, :3] * PERIOD + fall * (0.5 * PERIOD**2)
        share = out[..., 0:3].softmax(-1)
        shift = share[..., 1:2] * held + share[..., 2:3] * flown + turn(frame, out[..., 3:6] * STEP)
        spin = share[..., 1:2] * turned + share[..., 2:3] * velocity[:, 3:] * PERIOD
        spin = spin + turn(frame, out[..., 6:9] * TURN)
        share = out[..., 9:12].softmax(-1)
        speed = share[..., 1:2] * held / PERIOD + share[..., 2:3] * (velocity[:, :3] + fall * PERIOD)
        whirl = share[..., 1:2] * turned / PERIOD + share[..., 2:3] * velocity[:, 3:]
        speed, whirl = speed + turn(frame, out[..., 12:15] * SPEED), whirl + turn(frame, out[..., 15:18] * WHIRL)
        return Motion(shift, spin, torch.cat([speed, whirl], -1), out[..., 18])

    # -- parts -----------------------------------------------------------------------------------------------------

    def part_inputs(self, geometry: Geometry, state: State, target: Tensor, sight: Sight, after: Hand) -> Tensor:
        """What the motion of parts, those of `sight.around`, depends on, in metres at their handles: (N, inputs)."""
        around, hand = sight.around, sight.hand
        world, scene, part = around.world, around.scene, around.body - geometry.free
        frame = hand.frame[world]
        handle, way, lever = self.handle(geometry, around)
        joint, speed = state.part[world, part], state.part_speed[world, part] * lever
        swing = geometry.swing(scene, part, hand.points[world]) / lever[:, None, None]
        moved = after.points[world] - hand.points[world]
        close = _contact(around.distance)
        spring = geometry.part_stiffness[scene, part] * (geometry.part_rest[scene, part] - joint)
        numbers = [
            torch.log1p(geometry.part_damping[scene, part] / lever**2),
            torch.log1p(geometry.part_loss[scene, part] / lever),
            torch.log1p(geometry.part_inertia[scene, part] / lever**2),
            _felt(spring / lever, 10.0),
            _felt((joint - geometry.part_low[scene, part]) * lever, _CLOSE),
            _felt((geometry.part_high[scene, part] - joint) * lever, _CLOSE),
            _felt(speed, 1.0),
            _felt(speed, 0.05),
        ]
        return torch.cat(
            [
                *self._body_inputs(geometry, state, target, sight, after),
                turn_back(frame, handle - hand.at[world]) / 0.05,
                turn_back(frame, way),
                geometry.matter[scene, around.body, :1],
                dot(around.normal, swing) * close,
                dot(moved, swing) * close / STEP,
                torch.stack(numbers, 1),
            ],
            1,
        )

    def move_part(self, inputs: Tensor, geometry: Geometry, state: State, sight: Sight, after: Hand) -> Motion:
        """How parts move: each stays, goes with the point of the hand that is nearest to it, or swings on."""
        out, around, hand = self.run("part", inputs), sight.around, sight.hand
        world, part = around.world, around.body - geometry.free
        lever = self.handle(geometry, around)[2]
        nearest = around.distance.argmin(1)
        place = hand.points[world, nearest]
        swing = geometry.swing(around.scene, part, place[:, None])[:, 0]
        held = dot(swing, after.points[world, nearest] - place) / dot(swing, swing).clamp_min(1e-3)
        speed = state.part_speed[world, part]
        share = out[..., 0:3].softmax(-1)
        shift = share[..., 1] * held + share[..., 2] * speed * PERIOD + out[..., 3] * STEP / lever
        share = out[..., 4:7].softmax(-1)
        afterwards = share[..., 1] * held / PERIOD + share[..., 2] * speed + out[..., 7] * SPEED / lever
        return Motion(shift, None, afterwards, out[..., 8])

    def handle(self, geometry: Geometry, around: Around) -> tuple[Tensor, Tensor, Tensor]:
        """Where handles of parts are (N, 3), the way they go (N, 3), and how far (N,) per unit of the joint."""
        part = around.body - geometry.free
        at = around.position + turn(around.rotation, geometry.part_handle[around.scene, part])
        swing = geometry.swing(around.scene, part, at[:, None])[:, 0]
        lever = dot(swing, swing).sqrt().clamp_min(0.02)
        return at, swing / lever[:, None], lever

    # -- forces ----------------------------------------------------------------------------------------------------

    def force_inputs(self, state: State, target: Tensor, sight: Sight) -> Tensor:
        """What forces on pads or fingertips depend on, after a period with servo targets (n, U)."""
        felt = [_felt(distance, scale) for distance in (sight.near, sight.still) for scale in (_TOUCH, _CLOSE)]
        return torch.cat([*felt, self._grip(state, target)], 1)

    def forces(self, inputs: Tensor) -> Tensor:
        """Logarithms log(1 + f) of forces f [N]: (M, n, F)."""
        return self.run("force", inputs)

    def newtons(self, forces: Tensor) -> Tensor:
        """Forces (n, F) [N] that M networks agree on."""
        return torch.expm1(forces.mean(0).clamp(0.0, 6.0))

    # -- one period ------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def step(self, geometry: Geometry, state: State, target: Tensor, sight: Sight) -> tuple[State, Sight, Tensor]:
        """One control period.

        Args:
            geometry: of the scenes. state: n worlds. target: (n, U) servo targets. sight: what `Geometry.see` says of
                the state.

        Returns:
            The next state and what is seen then; and (n, 5) how far the networks disagree about where things go [m],
            and about the robot, in parts of what is usually left of its motion by a linear model; how near the hand
            is to things, 1 in contact; how unlike those that they learned from the things around it, or the servos,
            are; and how unusual the robot's motion is, see `unrest`.
        """
        told, target = target, self.heard(geometry, state, target)
        guesses = self.move_robot(self.robot_inputs(geometry, state, target, sight))
        unrest = self.unrest(state)
        found = guesses.mean(0)
        links = self.shape.links
        joints, speeds = state.joints + found[:, :links], found[:, links:]
        after = geometry.hand(joints)
        doubt = found.new_zeros(len(found))
        about_robot = ((guesses - found) / self.robot_scale).square().mean((0, 2)).sqrt()
        position, rotation, velocity = (x.clone() for x in (state.position, state.rotation, state.velocity))
        part, part_speed = state.part.clone(), state.part_speed.clone()
        everything = sight.around
        novelty = self.servo_novelty(geometry.servos[state.scene]).scatter_reduce(
            0, everything.world, self.novelty(geometry.traits[everything.scene, everything.body]), "amax"
        )
        free = everything.body < geometry.free
        mine = replace(sight, around=everything[free]) if geometry.parts else sight
        if len(mine.around.world):
            motion = self.move_free(
                self.free_inputs(geometry, state, target, mine, after), geometry, state, mine, after
            )
            around = mine.around
            shift, spin, go = still_or_moved(motion)
            assert spin is not None
            turned = orthonormal(matmul(from_vector(spin), around.rotation))
            at = around.center + shift - turn(turned, geometry.center[around.scene, around.body])
            rows = (around.world, around.body)
            position[rows] = torch.where(go[:, None], at, around.position)
            rotation[rows] = torch.where(go[:, None, None], turned, around.rotation)
            velocity[rows] = motion.speed.mean(0) * go[:, None]
            doubt.scatter_reduce_(0, around.world, _spread(motion.shift) * go, "amax")
        mine = replace(sight, around=everything[~free] if geometry.parts else everything[:0])
        if len(mine.around.world):
            motion = self.move_part(
                self.part_inputs(geometry, state, target, mine, after), geometry, state, mine, after
            )
            around = mine.around
            shift, _, go = still_or_moved(motion)
            rows = (around.world, around.body - geometry.free)
            limits = (around.scene, rows[1])
            moved = state.part[rows] + shift * go
            part[rows] = torch.minimum(torch.maximum(moved, geometry.part_low[limits]), geometry.part_high[limits])
            part_speed[rows] = motion.speed.mean(0) * go
            lever = self.handle(geometry, around)[2]
            doubt.scatter_reduce_(0, around.world, _spread((motion.shift * lever)[..., None]) * go, "amax")
        state = replace(
            state,
            joints=joints,
            speeds=speeds,
            filtered=self.filter(state.filtered, target),
            told=told,
            position=position,
            rotation=rotation,
            velocity=velocity,
            part=part,
            part_speed=part_speed,
        )
        sight = geometry.see(state, after)
        force = self.newtons(self.forces(self.force_inputs(state, target, sight)))
        near = _contact(sight.near.amin(1))
        return replace(state, force=force), sight, torch.stack([doubt, about_robot, near, novelty, unrest], 1)

    # -- what several networks see ---------------------------------------------------------------------------------

    def _body_inputs(self, geometry: Geometry, state: State, target: Tensor, sight: Sight, after: Hand) -> list[Tensor]:
        """What the motion of any body depends on, seen from the hand."""
        around, hand = sight.around, sight.hand
        world, frame = around.world, hand.frame[around.world]
        moved = after.points[world] - hand.points[world]
        relative = matmul_back(frame, around.rotation)
        close = _contact(around.distance)
        normal = turn_back(frame[:, None], around.normal)
        return [
            relative[..., 0],
            relative[..., 1],
            turn_back(frame, geometry.gravity[around.scene]) / 9.81,
            geometry.extent[around.scene, around.body] / 0.05,
            _felt(around.distance, _CLOSE),
            _felt(around.distance, _FAR),
            (normal * close[..., None]).flatten(1),
            dot(around.normal, moved) * close / STEP,
            turn_back(frame, after.at[world] - hand.at[world]) / STEP,
            to_vector(matmul_back(frame, after.frame[world])) / TURN,
            self._grip(state, target)[world],
        ]

    def _grip(self, state: State, target: Tensor) -> Tensor:
        """What the fingers do (n, ...): positions, speeds, what their servos are told, and what they feel."""
        own = [state.joints[:, self._fingers], state.speeds[:, self._fingers]]
        told = [target[:, self._grips], state.filtered[:, self._grips]]
        return torch.cat([*own, *told, _loud(state.force)], 1)


def still_or_moved(motion: Motion) -> tuple[Tensor, Tensor | None, Tensor]:
    """What M networks agree on: shift and spin, their means, and (N,) whether things move at all."""
    spin = None if motion.spin is None else motion.spin.mean(0)
    return motion.shift.mean(0), spin, motion.moves.mean(0) > MOVES


def _spread(shift: Tensor) -> Tensor:
    """How far (N,) M shifts (M, N, d) are apart: the root of the mean square of their distances from their mean."""
    apart = shift - shift.mean(0)
    return (apart * apart).sum(-1).mean(0).sqrt()


def _beyond(known: Tensor, numbers: Tensor) -> Tensor:
    """How far (N,) any of the numbers (N, d) is outside of ranges (2, d)."""
    low, high = known
    found: Tensor = torch.maximum(low - numbers, numbers - high).amax(1).clamp_min(0.0)
    return found


def _felt(distance: Tensor, scale: float) -> Tensor:
    return torch.tanh(distance / scale)


def _contact(distance: Tensor) -> Tensor:
    """1 in contact, 0 a few centimetres away."""
    return torch.exp(-(distance / 0.01).clamp(0.0, 10.0))


def _loud(force: Tensor) -> Tensor:
    return torch.log1p(force.clamp_min(0.0))
