"""A curriculum shifts practice to where a policy fails, forgets nothing, and says where that is."""

from __future__ import annotations

import numpy as np
import pytest
from pocketworlds.digital_cousins.curriculum import Curriculum
from pocketworlds.errors import SceneError
from scipy import stats

COUSINS = 100


def table(seed: int = 0) -> dict[str, list]:
    rng = np.random.default_rng(seed)
    found: dict[str, list] = {f"f{k}.x": rng.uniform(0.5, 2, COUSINS).tolist() for k in range(20)}
    found["mass.cube"] = rng.uniform(0.5, 2, COUSINS).tolist()
    found["instance.cube"] = rng.choice(["twin", "block_1", "block_2"], COUSINS).tolist()
    return found


def heavy(columns: dict[str, list]) -> np.ndarray:
    return np.array(columns["mass.cube"]) > 1.5


def played(curriculum: Curriculum, bad: np.ndarray, scenes: np.ndarray, seed: int = 0) -> None:
    rng = np.random.default_rng(seed)
    curriculum.record(scenes, rng.random(len(scenes)) < np.where(bad[scenes], 0.1, 0.95))


def test_it_begins_evenly_and_stays_so_while_nothing_is_known():
    curriculum = Curriculum(table())
    np.testing.assert_allclose(curriculum.weights(), np.full(COUSINS, 1 / COUSINS))
    assert curriculum.told() == []
    drawn = curriculum.draw(5000)
    assert stats.chisquare(np.bincount(drawn, minlength=COUSINS)).pvalue > 0.01


@pytest.mark.parametrize("seed", range(3))
def test_it_shifts_to_where_the_policy_fails_and_names_it_first(seed: int):
    columns = table(seed)
    curriculum, bad = Curriculum(columns, floor=0.3), heavy(columns)
    played(curriculum, bad, np.repeat(np.arange(COUSINS), 3), seed)
    assert curriculum.effects()[0].factor == "mass.cube"
    assert curriculum.told()[0].startswith("it fails most where mass.cube is")
    weights = curriculum.weights()
    assert weights.sum() == pytest.approx(1)
    assert weights.min() >= 0.3 / COUSINS
    assert weights[bad].mean() > 3 * weights[~bad].mean()


def test_it_knows_of_cousins_that_it_never_saw():
    columns = table(1)
    curriculum, bad = Curriculum(columns), heavy(columns)
    played(curriculum, bad, np.repeat(np.arange(COUSINS // 2), 4))
    weights = curriculum.weights()[COUSINS // 2 :]
    unseen = bad[COUSINS // 2 :]
    assert weights[unseen].mean() > 2 * weights[~unseen].mean()


def test_what_is_learned_since_counts_more():
    columns = table(2)
    bad = heavy(columns)
    everywhere = np.repeat(np.arange(COUSINS), 3)
    lasting, fading = Curriculum(columns), Curriculum(columns, half_life=300)
    for curriculum in (lasting, fading):
        played(curriculum, bad, everywhere)
        for _ in range(4):
            curriculum.record(everywhere, np.ones(len(everywhere), dtype=bool))
    failing = [curriculum.failure()[bad].mean() for curriculum in (lasting, fading)]
    assert failing[1] < 0.6 * failing[0]
    assert fading.trials.sum() == pytest.approx(300 * sum(0.5**k for k in range(5)))


def test_the_same_seed_draws_the_same():
    one, two, other = (Curriculum(table(), seed=seed) for seed in (1, 1, 2))
    first = one.draw(50)
    np.testing.assert_array_equal(first, two.draw(50))
    assert (first != other.draw(50)).any()
    assert (first != one.draw(50)).any()


def test_all_weight_on_the_floor_is_even():
    columns = table()
    curriculum = Curriculum(columns, floor=1.0)
    played(curriculum, heavy(columns), np.arange(COUSINS))
    np.testing.assert_allclose(curriculum.weights(), np.full(COUSINS, 1 / COUSINS))


def test_what_makes_no_sense_is_refused():
    for options in ({"floor": 0.0}, {"floor": 1.5}, {"half_life": 0.0}):
        with pytest.raises(SceneError, match=next(iter(options))):
            Curriculum(table(), **options)
    for columns in ({}, {"a.x": []}, {"a.x": [1.0], "b.x": [1.0, 2.0]}):
        with pytest.raises(SceneError, match="needs a value of every factor"):
            Curriculum(columns)
    curriculum = Curriculum(table())
    for scenes, success in ([[0, COUSINS], [True, True]], [[-1], [True]], [[0, 1], [True]]):
        with pytest.raises(SceneError, match=f"from 0 to {COUSINS - 1}"):
            curriculum.record(np.array(scenes), np.array(success))
    curriculum.record(np.array([], dtype=np.int64), np.array([], dtype=bool))
    assert curriculum.trials.sum() == 0
