"""The audit itself: sections one after another, each kept as JSON until something it depends on changes."""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from ...agents.keeping import contents
from ...agents.ppo import SETTINGS, Settings
from ...agents.snapshots import train
from ...errors import TaskError
from . import exploit, films, ood, ranking, speed, transfer
from .control import control
from .horizon import write_card
from .ranking import Entrant, rank, scripted, trained
from .record import FIRST_SEED, Notify, Record, record
from .replay import replay
from .report import Audit, plain
from .subject import Subject, length

SECTIONS = ("replay", "control", "ranking", "ood", "speed", "films", "exploit", "transfer")
USUAL = SECTIONS[:-2]
"""Those that are run where none is named: the others train for long, `transfer` for hours."""
VIEWS = ("state", "rgb")
"""What policies of `transfer` may see."""
LEAST = 64
"""Episodes from which on a card says what an audit found."""
_ROOM = 900_000  # seeds of the last section, 4 million on, are still below those that models are trained on
_VERSIONS = ("pocketworlds", "mujoco", "gymnasium", "numpy", "torch")


@dataclass(frozen=True)
class Plan:
    """What is audited, and how thoroughly.

    Attributes:
        subject: the environment and the model. sections: of `SECTIONS`.
        episodes: that are replayed, of seeds from `seed` on. windows: stretches of each. num_envs: worlds at once,
            which changes nothing but the speed. size: of pictures [pixels], 0: none. camera: that they are from.
        starts: of every ranked policy. policies: folder of policies (agents.ppo) to rank beside the scripted ones;
            None: some are trained in physics and in the model, `ppo_steps` control steps each, 0: none.
        cousins: set whose test split is ranked on, and is a shift, too. shift_episodes: of each shift.
        sizes: worlds at once that are timed. seconds, turns: of timing.
        transfer_seeds, transfer_steps: trainings, and control steps of each, None: as many as the task takes.
            snapshots: policies kept along a training. transfer_view: what policies see there, "state" or "rgb"
            (pictures of `size` pixels). exploit_steps: control steps of each exploiter.
    """

    subject: Subject
    sections: Sequence[str] = USUAL
    seed: int = FIRST_SEED
    episodes: int = 128
    windows: int = 4
    num_envs: int = 64
    size: int = 64
    camera: str = "front"
    starts: int = 100
    policies: Path | None = None
    ppo_steps: int = 60_000
    cousins: Path | None = None
    shift_episodes: int = 64
    sizes: tuple[int, ...] = speed.SIZES
    seconds: float = 0.5
    turns: int = 5
    transfer_seeds: int = 5
    transfer_steps: int | None = None
    snapshots: int = 8
    transfer_view: str = "state"
    exploit_steps: int = 300_000

    def __post_init__(self) -> None:
        unknown = sorted(set(self.sections) - set(SECTIONS))
        if unknown:
            raise TaskError(f"the audit has no section {unknown[0]!r}; it has {list(SECTIONS)}")
        if self.transfer_view not in VIEWS:
            raise TaskError(f"policies learn from {' or '.join(VIEWS)}, not from {self.transfer_view!r}")
        least = {
            "episodes": 2,
            "windows": 1,
            "num_envs": 1,
            "starts": 2,
            "shift_episodes": 2,
            "turns": 1,
            "snapshots": 1,
        }
        for name, bound in least.items():
            if getattr(self, name) < bound:
                raise TaskError(f"{name} must be from {bound}, got {getattr(self, name)}")
        if not FIRST_SEED <= self.seed < FIRST_SEED + _ROOM:
            raise TaskError(
                f"seed must be from {FIRST_SEED:,} to {FIRST_SEED + _ROOM - 1:,}, got {self.seed:,}: policies are "
                "trained on episodes of lower seeds, models on those of higher ones"
            )

    def quick(self) -> Plan:
        """The same in a minute: its figures only show that the audit works."""
        return replace(
            self,
            episodes=8,
            windows=2,
            starts=8,
            ppo_steps=0,
            shift_episodes=4,
            sizes=(1, 16),
            seconds=0.05,
            turns=2,
            transfer_seeds=2,
            transfer_steps=min(self.transfer_steps or 2048, 2048),
            exploit_steps=2048,
            snapshots=2,
        )


def run_audit(
    plan: Plan,
    out: Path,
    *,
    card: bool = False,
    anew: bool = False,
    notify: Notify = lambda stage, share: None,
) -> Audit:
    """Runs what is not there yet, and writes the report into `out`; see docs/audit.md.

    Args:
        plan: what is audited. out: folder, which may hold an audit that was interrupted.
        card: write the horizon and the figures into the checkpoint's card. anew: make everything again.
        notify: told what is going on.

    Raises:
        TaskError: a keyword, or the environment, makes no sense. CheckpointError: the model cannot be used.
    """
    if card and plan.subject.file() is None:
        raise TaskError("there is no checkpoint to write a card into; give one")
    if card and plan.episodes < LEAST:
        raise TaskError(f"a card says what at least {LEAST} episodes found, not {plan.episodes}; replay more of them")
    plan = replace(plan, subject=plan.subject.pinned())
    work = _Work(plan, out, notify)
    facts = work.facts
    out.mkdir(parents=True, exist_ok=True)
    found: dict[str, Any] = {}
    with warnings.catch_warnings():
        # Environments warn of episodes beyond the audited horizon: that is what is being found out.
        warnings.filterwarnings("ignore", message=".*was audited")
        for name in SECTIONS:
            found |= _there(name, work, out) or {}
        if card and "replay" not in {*plan.sections, *found}:
            raise TaskError("the audited horizon comes from the section replay; run it too")
        for name in SECTIONS:
            if name in plan.sections:
                found |= _kept(name, work, out, anew)
                Audit(facts, found, work.steps).write(out)
    audit = Audit(facts, found, work.steps)
    if card:
        file = plan.subject.file()
        assert file is not None
        assert audit.horizon is not None
        write_card(file, plan.subject.env_id, plan.subject.keywords, audit.horizon, audit.figures())
    return audit


class _Work:
    """What sections share: facts, and the recorded episodes, which are played when first asked for."""

    def __init__(self, plan: Plan, out: Path, notify: Notify) -> None:
        self.plan, self.out, self.notify = plan, out, notify
        env = plan.subject.physics(1)
        self.steps = length(env)
        env.world.camera(plan.camera)
        self.radius = env.task.settings.get("radius")
        env.close()
        plan.subject.model(1).close()
        self.facts = {
            **plan.subject.facts(),
            "episodes": plan.episodes,
            "stretches of each": plan.windows,
            "seeds": f"{plan.seed} to {plan.seed + plan.episodes - 1}",
            "control steps of an episode": self.steps,
        }

    @cached_property
    def record(self) -> Record:
        """The held-out episodes."""
        plan = self.plan
        return record(
            plan.subject,
            episodes=plan.episodes,
            num_envs=plan.num_envs,
            windows=plan.windows,
            seed=plan.seed,
            notify=self.notify,
        )

    def key(self, *names: str) -> str:
        """Changes with the subject, the versions of what it is made with, and the plan's values of these names."""
        told = {name: self.facts.get(name) for name in ("environment", "keywords", "backend", "weights", *_VERSIONS)}
        told |= {name: getattr(self.plan, name) for name in names}
        folders = [*told.values(), *self.plan.subject.keywords.values()]
        told["inside"] = [contents(Path(each), deep=True) for each in folders if isinstance(each, (str, Path))]
        if "turns" in names:  # what is timed is timed on a machine
            told |= {name: self.facts.get(name) for name in ("processor", "processors", "system")}
        return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()[:16]


Section = Callable[[_Work], dict[str, Any]]


def _replay(work: _Work) -> dict[str, Any]:
    found = replay(work.plan.subject, work.record, size=work.plan.size, camera=work.plan.camera, notify=work.notify)
    return {"replay": {**found, "radius": None if work.radius is None else float(work.radius)}}


def _control(work: _Work) -> dict[str, Any]:
    return {"control": control(work.plan.subject, work.record, work.notify)}


def _ranking(work: _Work) -> dict[str, Any]:
    plan, kept = work.plan, work.out / "ranking"
    key = work.key("starts", "seed")
    entrants = [*scripted(), *_learned(work)]
    seed = plan.seed + ranking.SEED_SHIFT
    found = {
        "ranking": rank(
            plan.subject, entrants, starts=plan.starts, seed=seed, kept=kept / "train", key=key, notify=work.notify
        )
    }
    if plan.cousins is not None:
        moved, told = ranking.on_cousins(plan.subject, plan.cousins)
        ranked = rank(
            moved,
            entrants,
            starts=plan.starts,
            seed=seed,
            kept=kept / "cousins",
            key=f"{key} {plan.cousins}",
            notify=work.notify,
            stage="ranking on cousins",
        )
        found["ranking on cousins"] = {**ranked, "cousins": told}
    return found


def _learned(work: _Work) -> list[Entrant]:
    """Trained policies: those of the plan's folder, or a few that are trained now, in physics and in the model."""
    plan = work.plan
    if plan.policies is not None:
        return trained(plan.policies, "given")
    if plan.ppo_steps == 0:
        return []
    settings = _settings(plan, plan.ppo_steps)
    found = []
    for name, keywords in list(transfer.ways(plan.subject).items())[:2]:
        folder = work.out / "policies" / f"{name}-{work.key('ppo_steps')}"
        stage = f"learning in {name}"
        train(
            plan.subject.env_id,
            {**plan.subject.keywords, **keywords},
            settings,
            seed=0,
            count=4,
            out=folder,
            notify=lambda share, stage=stage: work.notify(stage, share),  # type: ignore[misc]
        )
        work.notify(stage, 1.0)
        found += trained(folder, f"PPO in {name}")
    return found


def _ood(work: _Work) -> dict[str, Any]:
    plan = work.plan
    file = plan.subject.file()
    seen: frozenset[str] = frozenset()
    if file is not None:
        from ...world_models.checkpoint import load_checkpoint

        seen = ood.seen_scenes(load_checkpoint(file)[0].trained_on)
    chosen = ood.shifts(plan.subject, seen, plan.cousins)
    return {
        "ood": ood.measure_ood(
            plan.subject,
            chosen,
            episodes=plan.shift_episodes,
            num_envs=plan.num_envs,
            seed=plan.seed + ood.SEED_SHIFT,
            notify=work.notify,
        )
    }


def _speed(work: _Work) -> dict[str, Any]:
    plan = work.plan
    return {
        "speed": speed.measure_speed(
            plan.subject,
            sizes=plan.sizes,
            size=plan.size,
            seconds=plan.seconds,
            turns=plan.turns,
            notify=work.notify,
        )
    }


def _films(work: _Work) -> dict[str, Any]:
    plan = work.plan
    return {
        "films": films.film(
            plan.subject, seed=plan.seed, folder=work.out / "films", camera=plan.camera, notify=work.notify
        )
    }


def _transfer(work: _Work) -> dict[str, Any]:
    plan = work.plan
    settings = _settings(plan, plan.transfer_steps)
    view: dict[str, Any] = {"obs_mode": plan.transfer_view}
    if plan.transfer_view == "rgb":
        view |= {"camera": plan.camera, "image_size": plan.size}
    return {
        "transfer": transfer.transfer(
            plan.subject,
            settings,
            view=view,
            seeds=plan.transfer_seeds,
            snapshots=plan.snapshots,
            episodes=plan.starts,
            seed=plan.seed + transfer.SEED_SHIFT,
            kept=work.out / "transfer" / work.key("transfer_steps", "snapshots", "transfer_view", "size", "camera"),
            notify=work.notify,
        )
    }


def _exploit(work: _Work) -> dict[str, Any]:
    plan = work.plan
    return {
        "exploit": exploit.exploit(
            plan.subject,
            _settings(plan, plan.exploit_steps),
            episodes=plan.starts,
            seed=plan.seed + exploit.SEED_SHIFT,
            kept=work.out / "exploit" / work.key("exploit_steps"),
            notify=work.notify,
        )
    }


_MAKERS: Mapping[str, tuple[Section, tuple[str, ...]]] = {
    "replay": (_replay, ("seed", "episodes", "windows", "size", "camera")),
    "control": (_control, ("seed", "episodes", "windows")),
    "ranking": (_ranking, ("seed", "starts", "policies", "ppo_steps", "cousins")),
    "ood": (_ood, ("seed", "shift_episodes", "cousins")),
    "speed": (_speed, ("sizes", "size", "seconds", "turns")),
    "films": (_films, ("seed", "camera")),
    "exploit": (_exploit, ("seed", "starts", "exploit_steps")),
    "transfer": (
        _transfer,
        ("seed", "starts", "transfer_seeds", "transfer_steps", "snapshots", "transfer_view", "size", "camera"),
    ),
}


def _there(name: str, work: _Work, out: Path) -> dict[str, Any] | None:
    """What a section found before, if it still holds."""
    file = out / "sections" / f"{name}.json"
    there = json.loads(file.read_text()) if file.is_file() else {}
    return dict(there["found"]) if there.get("key") == work.key(*_MAKERS[name][1]) else None


def _kept(name: str, work: _Work, out: Path, anew: bool) -> dict[str, Any]:
    """What a section found, now or before."""
    make, names = _MAKERS[name]
    before = None if anew else _there(name, work, out)
    if before is not None:
        return before
    file, key = out / "sections" / f"{name}.json", work.key(*names)
    found = dict(plain(make(work)))
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".partial")
    partial.write_text(json.dumps({"key": key, "found": found}, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    os.replace(partial, file)
    return found


def _settings(plan: Plan, steps: int | None) -> Settings:
    settings = SETTINGS.get(plan.subject.env_id, Settings())
    total = steps or settings.total_steps
    worlds = min(settings.num_envs, max(total // (4 * settings.rollout), 1))
    return replace(settings, total_steps=total, num_envs=worlds)
