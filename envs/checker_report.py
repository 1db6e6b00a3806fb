"""What a check of a vector environment says: the error that names the broken rule, warnings, and the report."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from ..errors import PocketWorldsError

RULES: dict[str, str] = {
    "spaces": "batched spaces are the single ones, num_envs times",
    "metadata": "metadata['autoreset_mode'] is this instance's AutoresetMode; the class's metadata stay as they were",
    "observations": "observations have the space's structure, shapes and dtypes, and lie in it",
    "rewards": "rewards are a finite floating-point array (num_envs,)",
    "flags": "terminated and truncated are bool arrays (num_envs,)",
    "infos": "infos are arrays of num_envs entries, each key with a bool mask _key",
    "copies": "what a step returned is not overwritten by the next one",
    "actions": "actions given are not modified",
    "next-step": "the step after the end resets: the action is not looked at, reward 0, both flags False",
    "same-step": "the ending step returns the next episode, and the end in final_obs and final_info with exact masks",
    "disabled": "reset(options={'reset_mask': m}) resets the worlds in m and leaves the others untouched",
    "seeds": "the same seed gives the same episodes whatever ran before; each world has its own",
    "batch": "a batch of N is N single environments, also across the ends of episodes",
    "state": "set_state(get_state()) goes on exactly as before",
    "render": "rgb_array gives num_envs uint8 pictures (height, width, 3)",
    "close": "close() may be called twice",
}
"""Every rule by its name, as errors and reports call it."""


class VectorEnvError(PocketWorldsError, AssertionError):
    """A vector environment breaks a rule of Gymnasium's.

    Attributes:
        rule: its name, a key of `RULES`. worlds: the worlds concerned, empty if all or none in particular.
    """

    def __init__(self, rule: str, what: str, fix: str, worlds: Iterable[int] = ()) -> None:
        """Words the message: rule, what was seen, in which worlds, what to do."""
        self.rule = rule
        self.worlds = tuple(int(world) for world in worlds)
        where = f" (world {', '.join(map(str, self.worlds[:5]))})" if self.worlds else ""
        super().__init__(f"[{rule}] {what}{where}. {fix}.")


class VectorEnvWarning(UserWarning):
    """A vector environment is weaker than it could be, or a rule could not be checked."""


@dataclass
class CheckReport:
    """What `check_vector_env` found where it found no error.

    Attributes:
        passed: rules that were checked and hold, in the order of `RULES`.
        unchecked: rules that were not, with the reason.
        warnings: weaker points, each also given as a `VectorEnvWarning`.
        ended: episodes that ended while checking.
    """

    passed: list[str] = field(default_factory=list)
    unchecked: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    ended: int = 0

    def __str__(self) -> str:
        """One line a rule."""
        lines = [f"ok         {rule}: {RULES[rule]}" for rule in self.passed]
        lines += [f"unchecked  {rule}: {reason}" for rule, reason in self.unchecked.items()]
        lines += [f"warning    {text}" for text in self.warnings]
        return "\n".join(lines)


class Session:
    """One run of the checker: which rules it looks at, and what it has found."""

    def __init__(self, skip: Collection[str], tolerance: float) -> None:
        """See `check_vector_env`."""
        self.skip = frozenset(skip)
        self.tolerance = tolerance
        self.report = CheckReport()
        self._held: set[str] = set()

    def wants(self, rule: str) -> bool:
        """Whether to look at a rule at all."""
        return rule not in self.skip

    def fail(self, rule: str, what: str, fix: str, worlds: Iterable[int] = ()) -> None:
        """Raises, unless the rule is skipped."""
        if self.wants(rule):
            raise VectorEnvError(rule, what, fix, worlds)

    def held(self, rule: str) -> None:
        """Notes that a rule was checked and holds."""
        if self.wants(rule):
            self._held.add(rule)

    def cannot(self, rule: str, reason: str) -> None:
        """Notes why a rule was not checked."""
        if self.wants(rule):
            self.report.unchecked[rule] = reason

    def warn(self, text: str) -> None:
        """Warns, once a text."""
        if text not in self.report.warnings:
            self.report.warnings.append(text)
            warnings.warn(text, VectorEnvWarning, stacklevel=4)

    def finish(self) -> CheckReport:
        """The report; a rule that held anywhere counts as checked."""
        report = self.report
        report.passed = [rule for rule in RULES if rule in self._held]
        for rule in RULES:
            if rule in self._held:
                report.unchecked.pop(rule, None)
            elif rule in self.skip:
                report.unchecked[rule] = "skipped on request"
            else:
                report.unchecked.setdefault(rule, "nothing to check")
        return report
