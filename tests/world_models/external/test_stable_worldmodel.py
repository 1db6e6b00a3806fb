"""Models of latents: a small one with the same protocol, the library's own LeWM where it is installed, refusals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from pocketworlds import CheckpointError
from pocketworlds.agents.train_probe import ProbeCourse, train_probe
from pocketworlds.errors import MissingDependencyError
from pocketworlds.world_models.external.probe import PixelSettings, load_probe
from pocketworlds.world_models.external.probe_training import rolled_out
from pocketworlds.world_models.external.stable_worldmodel import (
    Latents,
    StableWorldModelOptions,
    StableWorldModelSimulator,
    check_classes,
    load_latents,
    read_config,
)
from pocketworlds.world_models.frames.training import TrainConfig
from pocketworlds.world_models.simulator import Context, NeuralSimulator
from safetensors.torch import save_file
from torch import Tensor, nn

from ..squares import SIDE, recorded, squares

PIXELS = PixelSettings(size=SIDE, mean=(0.0,) * 3, spread=(1.0,) * 3)


class Places(nn.Module):
    """Latents are where the square is, in quarters of the picture; it moves as it truly does."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(4.0 / SIDE))

    def encode(self, info: dict[str, Any]) -> dict[str, Any]:
        weight = info["pixels"][:, :, 0] * 255 - 20
        middle = torch.arange(SIDE) + 0.5
        total = weight.sum((2, 3))
        x, y = (weight.sum(2) * middle).sum(2) / total, (weight.sum(3) * middle).sum(2) / total
        return info | {"emb": torch.stack([x, y], -1) * self.scale}

    def rollout(self, info: dict[str, Any], action_sequence: Tensor) -> dict[str, Any]:
        assert info["pixels"].size(2) == action_sequence.shape[2]
        place = info["emb"][:, :, -1] / self.scale + 2 * action_sequence[:, :, -1]
        after = place.clamp(2.5, SIDE - 2.5) * self.scale
        return info | {"predicted_emb": torch.cat([info["emb"], after[:, :, None]], 2)}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], Latents]:
    folder = tmp_path_factory.mktemp("latents")
    latents = Latents(Places(), PIXELS, weights="abc")
    train = TrainConfig(steps=150, rate=4e-3, batch=10, length=5, warmup=5, average=0.9, device="cpu", lively=0.0)
    course = ProbeCourse("latent", train, history=1, width=32, members=2, channels=8)
    lesson, held_out = recorded(folder / "a", 30, 10), recorded(folder / "b", 8, 10, seed=1)
    out = folder / "probe.safetensors"
    _, measured = train_probe(
        course, lesson, held_out, folder / "work", out, lambda stage, share: None, latents=latents
    )
    return out, measured, latents


def test_a_probe_tells_what_latents_mean(trained: tuple[Path, dict[str, Any], Latents]):
    path, measured, latents = trained
    assert measured["share"] > 0.97
    assert measured["foretold"]["place"] < 0.3 * measured["mean_parts"]["place"]
    assert measured["psnr"] > 15
    probe, card = load_probe(path)
    model = StableWorldModelSimulator(latents, probe, card, 3, licence="a licence", device="cpu")
    assert isinstance(model, NeuralSimulator)
    spec = model.spec
    assert (spec.kind, spec.context, spec.licence, spec.weights) == ("stable-worldmodel", 3, "a licence", "abc")
    assert (dict(spec.state), spec.image_size) == ({"place": 2}, (SIDE, SIDE))
    assert spec.uncertainty
    episodes = squares(3, 10, seed=5)
    everyone = torch.arange(3)
    context = Context(
        episodes["image"][:, :3], episodes["state"][:, :3], episodes["action"][:, :2], episodes["scene"], everyone
    )
    model.reset(everyone, context)
    for t in range(2, 8):
        kept = model.get_state(torch.tensor([1]))
        made = model.step(everyone, episodes["action"][:, t])
        assert made.state is not None
        assert float((made.state - episodes["state"][:, t + 1]).abs().max()) * SIDE < 2
        assert made.image.shape == (3, SIDE, SIDE, 3)
        model.set_state(torch.tensor([1]), kept)
        again = model.step(torch.tensor([1]), episodes["action"][1:2, t])
        assert torch.equal(again.state[0], made.state[1])


def test_latents_roll_out_from_their_history():
    latents = Latents(Places(), PIXELS)
    episodes = squares(2, 7, seed=2)
    encoded = latents.encode(episodes["image"])
    rolled = rolled_out(latents, encoded, episodes["action"])
    assert torch.equal(rolled[:, :3], encoded[:, :3])
    torch.testing.assert_close(rolled, encoded, atol=0.02, rtol=0)


def test_probes_of_other_weights_are_refused(trained: tuple[Path, dict[str, Any], Latents]):
    probe, card = load_probe(trained[0])
    other = Latents(Places(), PIXELS, weights="def")
    with pytest.raises(CheckpointError, match="other weights"):
        StableWorldModelSimulator(other, probe, card, 1, licence="", device="cpu")


def test_actions_that_a_model_of_ones_own_cannot_take_are_refused(trained: tuple[Path, dict[str, Any], Latents]):
    probe, card = load_probe(trained[0])
    pixels = PIXELS.model_copy(update={"action_mean": (0.0,) * 5})
    with pytest.raises(CheckpointError, match="action_mean has 5 numbers, and actions have 2"):
        StableWorldModelSimulator(Latents(Places(), pixels, weights="abc"), probe, card, 1, licence="", device="cpu")


def test_modules_that_cannot_roll_out_are_refused():
    with pytest.raises(CheckpointError, match="Linear, which cannot encode"):
        Latents(nn.Linear(2, 2), PIXELS)


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"_target_": "os.system", "command": "true"}, "os.system"),
        ({"_target_": "stable_worldmodel.wm.lewm.LeWM", "encoder": {"_target_": "subprocess.run"}}, "subprocess.run"),
        ({"_target_": "torch.nn.Sequential", "_args_": [{"_target_": "builtins.eval"}]}, "builtins.eval"),
        ({"_target_": "torch.nn.Linear", "in_features": "${oc.env:HOME}"}, "oc.env"),
        ({"_target_": "hydra.utils.get_class", "path": "os.system"}, "os.system"),
        ({"a": 1}, "no _target_"),
        ([], "no _target_"),
    ],
)
def test_configurations_that_would_run_something_are_refused(config: Any, says: str, tmp_path: Path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=says):
        read_config(path)


@pytest.mark.parametrize("name", ["torch.nn.functional.importlib.import_module", "torch.nn.init.xavier_uniform_"])
def test_what_libraries_import_is_refused(name: str):
    check_classes({"_target_": "torch.nn.Linear"}, Path("config.json"))
    with pytest.raises(CheckpointError, match="no network"):
        check_classes({"_target_": name}, Path("config.json"))


def test_what_is_missing_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    import sys

    options = StableWorldModelOptions()
    with pytest.raises(CheckpointError, match="there is no folder"):
        load_latents(str(tmp_path / "missing"), PIXELS, options)
    with pytest.raises(CheckpointError, match=r"config\.json cannot be read"):
        load_latents(str(tmp_path), PIXELS, options)
    (tmp_path / "config.json").write_text(json.dumps({"_target_": "stable_worldmodel.wm.lewm.LeWM"}))
    with pytest.raises(CheckpointError, match="no weights"):
        load_latents(str(tmp_path), PIXELS, options)
    (tmp_path / "weights.pt").write_bytes(b"no numbers")
    with pytest.raises(CheckpointError, match="pickle"):
        load_latents(str(tmp_path), PIXELS, options)
    (tmp_path / "weights.safetensors").write_bytes(b"no numbers")
    monkeypatch.setitem(sys.modules, "stable_worldmodel", None)
    with pytest.raises(MissingDependencyError, match=r"pip install pocketworlds\[stable-worldmodel\]"):
        load_latents(str(tmp_path), PIXELS, options)


def test_lewm_itself_rolls_out_as_it_does_alone(tmp_path: Path):
    library = pytest.importorskip(
        "stable_worldmodel.wm.lewm", reason="stable-worldmodel is not installed", exc_type=ImportError
    )
    pytest.importorskip("transformers", reason="transformers is not installed")
    from hydra.utils import instantiate
    from omegaconf import OmegaConf

    size, history = 16, 3
    config = {
        "_target_": f"{library.LeWM.__module__}.LeWM",
        "encoder": {
            "_target_": "transformers.ViTModel",
            "config": {
                "_target_": "transformers.ViTConfig",
                "hidden_size": size,
                "num_hidden_layers": 1,
                "num_attention_heads": 2,
                "intermediate_size": 32,
                "image_size": 32,
                "patch_size": 16,
            },
            "add_pooling_layer": False,
        },
        "predictor": {
            "_target_": "stable_worldmodel.wm.lewm.module.Predictor",
            "num_frames": history,
            "depth": 1,
            "heads": 2,
            "mlp_dim": 32,
            "input_dim": size,
            "hidden_dim": size,
            "dim_head": 8,
        },
        "action_encoder": {"_target_": "stable_worldmodel.wm.lewm.module.Embedder", "input_dim": 7, "emb_dim": size},
    }
    torch.manual_seed(0)
    model = instantiate(OmegaConf.create(config)).eval()
    for values in model.parameters():
        nn.init.normal_(values, std=0.2)
    (tmp_path / "config.json").write_text(json.dumps(config))
    save_file(model.state_dict(), tmp_path / "weights.safetensors")
    latents = load_latents(str(tmp_path), PixelSettings(size=32), StableWorldModelOptions())
    assert latents.history == history
    image = torch.randint(0, 256, (2, history, 24, 24, 3), dtype=torch.uint8)
    action = torch.rand(2, 8, 7) * 2 - 1
    rolled = latents.encode(image)
    for t in range(history, 9):
        rolled = torch.cat([rolled, latents.step(rolled[:, t - history : t], action[:, t - history : t])[:, None]], 1)
    info = {"pixels": latents.pixels.pictures(image)[:, None]}
    with torch.no_grad():
        expected = model.rollout(info, action[:, None])["predicted_emb"][:, 0]
    torch.testing.assert_close(rolled, expected, atol=1e-5, rtol=1e-5)
    latents._split = False  # through `rollout` alone
    again = latents.step(rolled[:, :history], action[:, :history])
    torch.testing.assert_close(again, rolled[:, history], atol=1e-5, rtol=1e-5)
