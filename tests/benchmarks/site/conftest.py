"""A site of runs that were never played."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from pocketworlds.benchmarks.leaderboard.results import Results
from pocketworlds.benchmarks.site.write import SiteTold, write_site
from pocketworlds.benchmarks.suites.manifest import Suite

from ..leaderboard.boards import kept, small_results, small_suite

SUITE = small_suite(episodes=12)
SUITES = {SUITE.name: SUITE}


@dataclass(frozen=True)
class Site:
    """A site, and what it was made from.

    Attributes:
        folder: of the pages. told: what `write_site` gave. runs: by name of the agent.
    """

    folder: Path
    told: SiteTold
    runs: dict[str, Results]
    suite: Suite = SUITE

    def page(self, run: Results) -> Path:
        """Of a run."""
        return next(
            self.folder / page for page in self.told.shown.values() if run.sha256[:8] in page.rpartition("/")[0]
        )


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Five runs, two of them of agents of the same name, and three files that are refused."""
    folder = tmp_path_factory.mktemp("site")
    runs = {
        "expert": small_results(SUITE, "expert", share=0.95, seed=1, agent={"privileged": True, "address": "expert"}),
        "flow": small_results(SUITE, "flow", share=0.7, seed=2, agent={"keywords": {"obs_mode": "state+rgb"}}),
        "twice a": small_results(SUITE, "twice", share=0.5, seed=3),
        "twice b": small_results(SUITE, "twice", share=0.4, seed=4),
        "never": small_results(SUITE, "never", share=0.0, seed=5, command=""),
    }
    for number, results in enumerate(runs.values()):
        kept(results, folder / "runs" / f"{number}")
    bad = folder / "runs" / "bad"
    bad.mkdir()
    (bad / "results.json").write_text("{}")
    kept(runs["flow"].model_copy(update={"seconds": 1.0}), folder / "runs" / "changed")
    kept(runs["flow"], folder / "runs" / "again")
    told = write_site([folder / "runs"], folder / "site", suites=SUITES)
    return Site(folder / "site", told, runs)
