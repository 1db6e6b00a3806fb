"""Writes `docs/environments.md`, and its pictures, from the registry and from the experts' benchmark.

    pocketworlds bench experts --episodes 200 --scenes 50 --json > docs/data/experts.json
    pocketworlds bench experts --episodes 200 --scenes 50 --ids Lift-v0 --merge docs/data/experts.json --json  # one id
    python -m pocketworlds.benchmarks.environments_page            # the page; --pictures draws the pictures too

What the page says of an id is read off the environment: spaces, lengths and weights from `envs.catalogue`, the meaning
of reward terms from the docstrings of the tasks. A test compares the page with what this module would write.
"""

from __future__ import annotations

import argparse
import inspect
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..envs.catalogue import Description, catalogue, known_ids
from ..envs.control import POSITION_STEP, ROTATION_STEP
from ..envs.robots import HAND
from ..envs.tasks import Task, task_type
from ..errors import TaskError
from ..registry import ENVIRONMENTS, JITTER
from .statistics import wilson

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGE, DATA, PICTURES = DOCS / "environments.md", DOCS / "data" / "experts.json", DOCS / "images" / "envs"

PARTS = {
    "joint_pos": "joint positions [rad], of slides [m]",
    "joint_vel": "joint velocities [rad/s], [m/s]",
    "gripper_width": "distance between the pads [m]",
    "pad_contact": "whether each pad touches something",
    "grip_pos": "point between the pads [m]",
    "grip_axes": "first two columns of the hand's frame",
    "tip_contact": "whether each fingertip touches something, thumb first",
    "tip_from_palm": "the fingertips in the palm's frame [m]",
    "palm_pos": "centre of the palm's surface [m]",
    "palm_axes": "first two columns of the palm's frame: along the fingers, towards the thumb",
    "object_from_palm": "the target in the palm's frame [m]",
    "object_spin": "its angular velocity in its own frame [rad/s]",
    "goal": "what is left: the way to the goal [m], or sine and cosine of the angle",
    "goal_pos": "the goal [m]",
    "goal_from_grip": "the goal, seen from the point between the pads [m]",
    "object_pos": "the target [m]",
    "object_axes": "first two columns of its frame",
    "object_vel": "its velocity [m/s]",
    "object_size": "edges of its bounding box [m]",
    "object_from_grip": "the target, seen from the point between the pads [m]",
    "goal_from_object": "where it is to be, seen from where it is [m]",
    "share_left": "share of the things that are still to be put away",
    "handle_pos": "the handle [m]",
    "handle_axes": "first two columns of the frame of a hand that takes it",
    "handle_from_grip": "the handle, seen from the point between the pads [m]",
    "part_share": "how far the joint is, as a share of its range",
    "part_vel": "its velocity [rad/s] or [m/s]",
    "part_left": "how far it still has to go [rad] or [m]",
}
"""What the parts of state observations mean; positions and axes are in the frame of the robot's base."""

_HEAD = """\
# Environments

Written by `python -m pocketworlds.benchmarks.environments_page --pictures` from what is registered; do not edit.
`pocketworlds envs` prints the short form.

{summary}

Steps are control steps of 50 ms, after which an episode is truncated; success does not end it (unless
`terminate_on_success=True`). Expert and chance: {counted}

## What all of them share

**Action**, `Box(-1, 1, (n,), float32)`, what it means depends on the robot and on `control_mode`; see below.

**Observation**, `Box(-inf, inf, (n,), float32)` with the default `obs_mode="state"`; `unwrapped.state_layout` says
where each part lies. All of one kind of robot begin alike; see below.

**Reward**, in [0, 1]: with the default `reward_mode="dense"` the weighted sum of the terms below, each in [0, 1] and
reported as `info["reward/<term>"]`; `task_config={{"scales": {{...}}}}` changes the weights. With
`reward_mode="sparse"` it is 1 at success and 0 elsewhere. The term `success` is `info["is_success"]`.

**Start.** The robot stands near its home, objects are moved by up to {jitter:.0f} cm from their places, never into each
other, and target and goal are drawn. `scene=` puts any of these tasks into another scene, a scanned one too; what does
not suit it is refused with the reason. `scene=[...]` takes several, built-in or scanned: worlds of all of them step in
one batch, each episode in the one that its seed and index draw (or `reset(options={{"scene": i}})`), which
`info["scene_index"]` names.
"""

_ARM = """\
## The arm

**Action** ({actions},) with the default `control_mode="ee_delta"`: three of translation (a full one moves the hand by
{move:.1f} cm), three of rotation ({turn:.2f} rad), in the axes of the robot's base, and one for the gripper (-1 closed,
1 open). `joint_delta` and `joint_pos` take one a joint and the gripper's. Observations begin with {size} numbers:

{common}
"""

_HAND = """\
## The hand

Ids named `Hand...` have `robot="hand"`: {fingers} finger joints on a gantry of {base} joints (three slides
and a turn about the vertical).

**Action** ({actions},) with the default `control_mode="joint_delta"`: one a joint, the gantry's first, then thumb,
index, middle, ring and little finger; a full one moves a slide by {move:.1f} cm and turns a joint by {turn:.2f} rad.
`joint_pos` takes positions between the joints' limits. Observations begin with {size} numbers:

{common}
"""


def page(found: Sequence[Description], data: Mapping[str, Any]) -> str:
    """The whole page as Markdown.

    Args:
        found: from `catalogue()`. data: what `pocketworlds bench experts --scenes 50 --json` printed.
    """
    scores = {(score["env_id"], score["policy"]): score for score in data["scores"]}
    head = _HEAD.format(summary=_summary(found, scores), counted=_counted(data), jitter=100 * JITTER)
    common = {kind: _common([d for d in found if d.kind == kind]) for kind in ("arm", "hand")}
    sizes = {d.kind: d.action_size for d in found}
    step = dict(zip(HAND.joints, HAND.steps, strict=True))
    arm = _ARM.format(
        actions=sizes["arm"],
        move=100 * POSITION_STEP,
        turn=ROTATION_STEP,
        size=sum(common["arm"].values()),
        common=_parts_table(common["arm"]),
    )
    hand = _HAND.format(
        fingers=len(HAND.finger_joints),
        base=len(HAND.base_joints),
        actions=sizes["hand"],
        move=100 * step["base_x"],
        turn=step["index_middle"],
        size=sum(common["hand"].values()),
        common=_parts_table(common["hand"]),
    )
    sections = [_section(description, common[description.kind], scores) for description in found]
    return "\n".join([head, arm, hand, *sections, _scenes(data), ""])


def reward_terms(task: type[Task]) -> dict[str, str]:
    """What a task's docstring, or that of the class it refers to, says of each reward term."""
    for cls in inspect.getmro(task):
        told = " ".join((cls.__doc__ or "").split())
        _, found, after = told.partition("Reward terms: ")
        if not found or after.startswith("see `"):
            continue
        terms = re.findall(r"`(\w+)`(?: \(([^)]*)\))?", re.split(r"\.(?: [A-Z]|$)", after)[0])
        return {name: meaning or "see above" for name, meaning in terms} | {"success": "the task is done"}
    raise TaskError(f"the docstring of {task.__name__} does not say 'Reward terms: ...'; describe them there")


def _summary(found: Sequence[Description], scores: Mapping[tuple[str, str], Mapping[str, Any]]) -> str:
    rows = [
        [
            f"[`{_short(d.env_id)}`](#{_anchor(d.env_id)})",
            d.instruction,
            d.scene,
            str(d.steps),
            str(d.observation_size),
            _share(scores.get((d.env_id, "expert"))),
            _share(scores.get((d.env_id, "random"))),
        ]
        for d in found
    ]
    return _table(["id `PocketWorlds/...`", "for example", "scene", "steps", "state", "expert", "chance"], rows)


def _section(
    description: Description, common: Mapping[str, int], scores: Mapping[tuple[str, str], Mapping[str, Any]]
) -> str:
    d, task = description, task_type(description.task)
    parts = {name: size for name, size in d.observation.items() if name not in common}
    terms = reward_terms(task)
    rewards = [[f"`{name}`", f"{scale:g}", terms[name]] for name, scale in d.rewards.items()]
    targets = "" if len(d.targets) < 2 else f" Targets: {', '.join(name.replace('_', ' ') for name in d.targets)}."
    lines = [
        f"## `{_short(d.env_id)}`",
        f"![{d.instruction}](images/envs/{_short(d.env_id)}.png)",
        _purpose(d, task),
        f"For example *{d.instruction}*.{targets} Scene `{d.scene}`, {d.steps} steps ({d.seconds:g} s). "
        f"Action `({d.action_size},)`, state `({d.observation_size},)`: the {sum(common.values())} numbers of the "
        f"[{d.kind}](#the-{d.kind}) and",
        _parts_table(parts),
        _table(["reward term", "weight", "meaning"], rewards),
    ]
    expert = scores.get((d.env_id, "expert"))
    if expert is not None:
        lines.append(f"{_in_words(expert, 'The scripted expert')} {_in_words(scores[d.env_id, 'random'], 'Chance')}")
    return "\n\n".join(lines) + "\n"


def _purpose(description: Description, task: type[Task]) -> str:
    if "task" not in description.keywords:
        return (
            "For scenes of your own: `scene=` and `task=` choose what to do where, and objects start exactly where the "
            f"scan saw them. Without either it is `{description.task}` in `{description.scene}`."
        )
    return " ".join((task.__doc__ or "").split("\n\n")[0].split())


def _scenes(data: Mapping[str, Any]) -> str:
    everywhere = [s for s in (*data["scores"], *data["elsewhere"]) if s["policy"] == "expert"]
    if not data["elsewhere"]:
        return ""
    scenes = sorted({s["scene"] for s in everywhere} | {row["scene"] for row in data["unsuitable"]})
    shares = {(s["task"], s["scene"]): f"{s['solved'] / s['episodes']:.2f}" for s in everywhere}
    tasks = dict.fromkeys(s["task"] for s in everywhere)
    rows = [[f"`{task}`", *(shares.get((task, scene), "-") for scene in scenes)] for task in tasks]
    return (
        "## Every task in every built-in scene\n\n"
        f"{_table(['task', *(f'`{scene}`' for scene in scenes)], rows)}\n\n"
        f"Share of {min(s['episodes'] for s in everywhere)} or more episodes that the expert ends in success; "
        "-: nothing in the scene suits the task,\nand `gym.make` says why."
    )


def _counted(data: Mapping[str, Any]) -> str:
    return (
        f"share of {data['episodes']} episodes that end in success, with the scripted\nexpert and with uniformly "
        f"random actions, and its 95 % interval (Wilson);\n`{data['command']}`, MuJoCo {data['versions']['mujoco']}."
    )


def _in_words(score: Mapping[str, Any], who: str) -> str:
    low, high = score["interval"]
    told = f"{who} ends {score['solved']} of {score['episodes']} episodes in success ({low:.3f} to {high:.3f})"
    if score["ever"] > score["solved"]:
        told += f" and sees it in {score['ever']}"
    median = score["median_seconds"]
    return told + ("." if median is None else f"; it first comes after {median:.1f} s (median).")


def _common(found: Sequence[Description]) -> dict[str, int]:
    """The parts that every state observation begins with."""
    shared: dict[str, int] = {}
    for columns in zip(*(d.observation.items() for d in found), strict=False):
        if len(set(columns)) > 1:
            break
        shared[columns[0][0]] = columns[0][1]
    return shared


def _parts_table(parts: Mapping[str, int]) -> str:
    return _table(["part", "size", "meaning"], [[f"`{name}`", str(size), PARTS[name]] for name, size in parts.items()])


def _share(score: Mapping[str, Any] | None) -> str:
    if score is None:
        return ""
    low, high = wilson(score["solved"], score["episodes"])
    return f"{score['solved'] / score['episodes']:.2f} ({low:.2f}-{high:.2f})"


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join("| " + " | ".join(line) + " |" for line in (columns, ["---"] * len(columns), *rows))


def _short(env_id: str) -> str:
    return env_id.partition("/")[2]


def _anchor(env_id: str) -> str:
    return _short(env_id).lower()


def draw_pictures(folder: Path, env_ids: Iterable[str]) -> None:
    """One small picture of each id: the moment at which the expert first succeeds, in episode 0 of seed 0."""
    import gymnasium as gym
    from PIL import Image

    from ..agents.experts import make_expert

    folder.mkdir(parents=True, exist_ok=True)
    for env_id in env_ids:
        env: Any = gym.make_vec(env_id, num_envs=1, render_size=(640, 480))
        _, info = env.reset(seed=0)
        expert = make_expert(env)
        for _ in range(ENVIRONMENTS[env_id].steps - 1):
            if info["is_success"][0]:
                break
            *_, info = env.step(expert.act())
        picture = Image.fromarray(env.picture(0)).resize((320, 240), Image.Resampling.LANCZOS)
        env.close()
        file = folder / f"{_short(env_id)}.png"
        picture.quantize(255, Image.Quantize.MAXCOVERAGE, kmeans=1).save(file, optimize=True)
        print(f"{file}: {file.stat().st_size / 1000:.0f} kB")


def main() -> None:
    """Writes the page, and with `--pictures` the pictures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--pictures", nargs="*", metavar="ID", help="draw the pictures too: all, or those of some ids")
    ids = parser.parse_args().pictures
    if ids is not None:
        draw_pictures(PICTURES, known_ids(ids or ENVIRONMENTS))
    PAGE.write_text(page(catalogue(), json.loads(DATA.read_text(encoding="utf-8"))), encoding="utf-8")
    print(PAGE)


if __name__ == "__main__":
    main()
