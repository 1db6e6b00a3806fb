"""Whether training on cousins pays: policies trained on the twin and on cousins of it, held against the distance.

    python -m pocketworlds.benchmarks.cousin_claim kitchen mid randomised --test near --test far

With the same budget and algorithm (PPO from the state), policies are trained in four ways: on the twin; on the twin and
64 cousins that only physics, looks and rig tell from it (domain randomisation: `randomised` is a set made with
`--set instance.on=false --set shape.on=false --set scale.on=false --set clutter.on=false`); on the twin and 8 cousins;
on the twin and 64. All play the twin and held-out cousins: those of the test split of `mid` and of the sets
after `--test`, in bins of their distance to the twin. As in Dai et al., "ACDC: Automated Creation of Digital Cousins
for Robust Policy Learning", 2024, which says what to expect.

A policy that is trained and a result that is there are not made again: a run that was interrupted goes on, and so does
one that is to have more seeds. A folder that holds another comparison is refused.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..agents.ppo import SETTINGS, Settings, train_ppo
from ..agents.sb3 import make_sb3_env
from ..agents.sb3_policy import SB3Policy
from ..digital_cousins.cousin_set import CousinSet, load_cousins
from ..envs.catalogue import known_ids
from ..envs.config import resolve_scene
from ..errors import PocketWorldsError, TaskError
from ..folders import new_folder
from ..progress import StageProgress
from .cousin_claim_page import plot
from .cousin_play import Notify, play_cousins, play_scene
from .statistics import wilson
from .tables import Table
from .throughput_result import host

REPORT, PLAN = "claim.json", "plan.json"
FEW, MANY = 8, 64
WAYS = ("twin", "randomised", f"{FEW} cousins", f"{MANY} cousins")
"""What policies are trained on."""
JITTER = 0.04
"""Objects start up to so far [m] from where a scene has them, in training and when tried."""
FIRST_SEED = 1_000_000
"""Of the episodes that policies are tried in: nobody trains on these."""


@dataclass(frozen=True)
class Claim:
    """What is compared.

    Attributes:
        twin: a scene folder or the name of a built-in scene. cousins, randomised: the sets trained on.
        tests: the sets whose test splits are played. env_id: the task; object: its target, None for any.
        seeds: trainings of each way. episodes: in the twin, and in each bin of held-out cousins. bins: of distances.
        settings: budget and algorithm.
    """

    twin: str
    cousins: CousinSet
    randomised: CousinSet
    tests: Sequence[CousinSet]
    env_id: str
    object: str | None
    seeds: int
    episodes: int
    bins: int
    settings: Settings

    @property
    def keywords(self) -> dict[str, Any]:
        """Of all environments but their scenes."""
        return {"object": self.object, "object_jitter": JITTER}

    @property
    def plan(self) -> dict[str, Any]:
        """All that results depend on but the number of seeds: what a folder of results is for."""
        return {
            "twin": self.twin,
            "env_id": self.env_id,
            **self.keywords,
            "trained_on": [_of(each) for each in (self.cousins, self.randomised)],
            "tested_on": [_of(each) for each in self.tests],
            "episodes": self.episodes,
            "bins": self.bins,
            "settings": json.loads(json.dumps(asdict(self.settings))),
        }

    def scenes(self, way: str) -> list[Any]:
        """What policies are trained on; see `chosen`."""
        found, positions = self.chosen(way)
        return [resolve_scene(self.twin)[0][0], *(found.load(position) for position in positions)]

    def chosen(self, way: str) -> tuple[CousinSet, list[int]]:
        """The set, and the positions in it, of what policies are trained on beside the twin.

        Raises:
            SceneError: the set has no cousins for training. TaskError: it has too few.
        """
        if way == "twin":
            return self.cousins, []
        chosen, count = (self.randomised, MANY) if way == "randomised" else (self.cousins, int(way.split()[0]))
        found = chosen.indices("train")
        if len(found) < count:
            raise TaskError(f"{chosen.folder} has {len(found)} cousins for training, {count} are needed; make more")
        return chosen, [int(position) for position in found[:count]]


def _of(cousins: CousinSet) -> dict[str, Any]:
    """A set's name, and what tells it from any other."""
    digest = hashlib.sha256("".join(entry.sha256 for entry in cousins.manifest.entries).encode()).hexdigest()
    return {"name": cousins.folder.name, "cousins": len(cousins), "sha256": digest}


def begin(claim: Claim, out: Path) -> None:
    """Makes `out` the folder of this comparison.

    Raises:
        SceneError, TaskError: a set has too few cousins, or the folder holds another comparison.
    """
    for way in WAYS:
        claim.chosen(way)
    for each in claim.tests:
        each.indices("test")
    path = out / PLAN
    if path.exists():
        there = json.loads(path.read_text())
        other = sorted(name for name, value in claim.plan.items() if there.get(name) != value)
        if other:
            raise TaskError(
                f"{out} holds a comparison with another {', '.join(other)} (see {PLAN}); choose another folder"
            )
        return
    if out.exists() and any(out.iterdir()):
        raise TaskError(f"{out} is there and holds no comparison; choose another folder")
    out.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(claim.plan, indent=1) + "\n")


def train(claim: Claim, way: str, seed: int, out: Path, notify: Notify) -> None:
    """Trains one policy into `out`, unless it is there."""
    if out.exists():
        return
    stage = f"training on {way}, seed {seed}"
    with new_folder(out, replace=False, marks=[], noun="policy", error=TaskError) as folder:
        notify(stage, 0.0)
        worlds = make_sb3_env(claim.env_id, claim.settings.num_envs, scene=claim.scenes(way), **claim.keywords)

        def tell(line: Mapping[str, float]) -> None:
            notify(stage, min(line["steps"] / claim.settings.total_steps, 0.999))

        steps, seconds = train_ppo(worlds, claim.settings, seed=seed, out=folder, tell=tell)
        (folder / "training.json").write_text(json.dumps({"steps": steps, "seconds": round(seconds, 1)}) + "\n")
    notify(stage, 1.0)


def examine(claim: Claim, policy: Path, result: Path, notify: Notify) -> dict[str, Any]:
    """Plays the twin and the held-out cousins with a policy, or reads what came of it."""
    if result.exists():
        return dict(json.loads(result.read_text()))
    player = SB3Policy(policy)
    held_out = sum(len(each.indices("test")) for each in claim.tests)
    each = -(-claim.bins * claim.episodes // held_out)
    twin = play_scene(
        resolve_scene(claim.twin)[0][0],
        env_id=claim.env_id,
        policy=player,
        episodes=claim.episodes,
        seed=FIRST_SEED,
        **claim.keywords,
    )
    cousins = []
    for number, chosen in enumerate(claim.tests):
        played = play_cousins(
            chosen,
            env_id=claim.env_id,
            policy=player,
            episodes=each,
            split="test",
            seed=FIRST_SEED + (number + 1) * 100_000,
            notify=notify,
            **claim.keywords,
        )
        cousins += [
            {"set": chosen.folder.name, "distance": float(distance), "solved": int(solved), "played": int(trials)}
            for distance, solved, trials in zip(played.distances, played.successes, played.trials, strict=True)
            if trials
        ]
    found = {"twin": {"solved": twin, "played": claim.episodes}, "cousins": cousins}
    result.parent.mkdir(parents=True, exist_ok=True)
    partial = result.with_suffix(".partial")
    partial.write_text(json.dumps(found, indent=1) + "\n")
    os.replace(partial, result)
    return found


def edges(distances: Sequence[float], bins: int) -> list[float]:
    """Bounds (bins + 1) of ranges with about equally many distances in each."""
    return [float(v) for v in np.quantile(np.array(distances), np.linspace(0, 1, bins + 1))]


def summary(results: Mapping[str, Sequence[Mapping[str, Any]]], bins: int) -> list[dict[str, Any]]:
    """For every way and range of distance (the twin alone has 0) the share of success, over seeds and of each.

    Args:
        results: by way, what `examine` gave for each seed. bins: ranges of distance.
    """
    first = next(iter(results.values()))[0]
    bounds = edges([each["distance"] for each in first["cousins"]], bins)
    found = []
    for way, runs in results.items():
        counts = [(0.0, 0.0, [(run["twin"]["solved"], run["twin"]["played"]) for run in runs])]
        for k in range(bins):
            low, high = bounds[k], bounds[k + 1]
            inside = [
                [c for c in run["cousins"] if low <= c["distance"] and (c["distance"] < high or k == bins - 1)]
                for run in runs
            ]
            counts.append(
                (low, high, [(sum(c["solved"] for c in run), sum(c["played"] for c in run)) for run in inside])
            )
        for low, high, pairs in counts:
            solved, played = (sum(pair[k] for pair in pairs) for k in (0, 1))
            if not played:
                continue  # many cousins at one distance leave a range empty
            found.append(
                {
                    "way": way,
                    "low": low,
                    "high": high,
                    "solved": solved,
                    "played": played,
                    "rate": solved / played,
                    "interval": list(wilson(solved, played)),
                    "seeds": [a / b for a, b in pairs],
                }
            )
    return found


def table(rows: Sequence[Mapping[str, Any]], claim: Claim) -> Table:
    """The summary in words."""
    spans = list(dict.fromkeys((row["low"], row["high"]) for row in rows))
    lines = []
    for way in dict.fromkeys(row["way"] for row in rows):
        own = {(row["low"], row["high"]): row for row in rows if row["way"] == way}
        cells = []
        for span in spans:
            row = own[span]
            low, high = row["interval"]
            cells.append(f"{row['rate']:.2f} ({low:.2f}-{high:.2f})")
        lines.append([way, *cells])
    columns = ["trained on", "twin", *(f"{low:.2f}-{high:.2f}" for low, high in spans[1:])]
    note = (
        f"{claim.env_id}, PPO from the state, {claim.settings.total_steps:,} control steps, {claim.seeds} seeds, about "
        f"{claim.episodes} episodes a seed and column; objects start up to {100 * JITTER:g} cm from their places; "
        "columns are distances to the twin; in brackets 95 % Wilson intervals of all episodes together."
    )
    return Table(f"Success in {Path(claim.twin).name} and in held-out cousins of it", columns, lines, note)


def run_claim(claim: Claim, out: Path, notify: Notify, say: Callable[[str], None] = lambda line: None) -> Table:
    """Trains what is missing, plays, and writes `claim.json`, `claim.md` and `claim.svg` into `out`; see `begin`.

    Raises:
        TaskError: also where the task cannot be played.
    """
    begin(claim, out)
    results: dict[str, list[dict[str, Any]]] = {way: [] for way in WAYS}
    for seed in range(claim.seeds):
        for way in WAYS:
            name = f"{way.replace(' ', '_')}-{seed}"
            start = time.perf_counter()
            train(claim, way, seed, out / "policies" / name, notify)
            found = examine(claim, out / "policies" / name, out / "results" / f"{name}.json", notify)
            results[way].append(found)
            solved, played = (sum(each[key] for each in found["cousins"]) for key in ("solved", "played"))
            say(
                f"{way}, seed {seed}: twin {found['twin']['solved']}/{found['twin']['played']}, "
                f"held-out cousins {solved}/{played}, {time.perf_counter() - start:.0f} s"
            )
    rows = summary(results, claim.bins)
    facts = {
        **claim.plan,
        "seeds": claim.seeds,
        "machine": host(),
        "rows": rows,
    }
    (out / REPORT).write_text(json.dumps(facts, indent=1) + "\n")
    (out / "claim.svg").write_text(plot(rows))
    found_table = table(rows, claim)
    (out / "claim.md").write_text(found_table.markdown() + "\n")
    return found_table


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m pocketworlds.benchmarks.cousin_claim", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("twin", help="scene folder, or the name of a built-in scene")
    parser.add_argument("cousins", type=Path, help="set that is trained on; its test split is played too")
    parser.add_argument("randomised", type=Path, help="set of domain randomisation alone")
    parser.add_argument("--test", type=Path, action="append", default=[], help="another set to play; repeatable")
    parser.add_argument("--env-id", default="PocketWorlds/OpenDrawer-v0")
    parser.add_argument("--object", help="the task's target; by default any that suits")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--episodes", type=int, default=200)
    parser.add_argument("--bins", type=int, default=4, help="ranges of distance")
    parser.add_argument("--total-steps", type=int, help="of each training; the task's by default")
    parser.add_argument("--num-envs", type=int, help="worlds trained in; the task's by default")
    parser.add_argument("--out", type=Path, default=Path("out/cousin-claim"), help="folder, filled as it goes on")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    try:
        (env_id,) = known_ids([given.env_id])
        settings = SETTINGS.get(env_id, Settings())
        cousins = load_cousins(given.cousins)
        claim = Claim(
            twin=given.twin,
            cousins=cousins,
            randomised=load_cousins(given.randomised),
            tests=[cousins, *(load_cousins(folder) for folder in given.test)],
            env_id=env_id,
            object=given.object,
            seeds=given.seeds,
            episodes=given.episodes,
            bins=given.bins,
            settings=replace(
                settings,
                total_steps=given.total_steps or settings.total_steps,
                num_envs=given.num_envs or settings.num_envs,
            ),
        )
        with StageProgress() as progress:
            found = run_claim(claim, given.out, progress.notify, lambda line: print(line, flush=True))
    except PocketWorldsError as error:
        print(error, file=sys.stderr)
        return 2
    print(found.text())
    print(f"written to {given.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
