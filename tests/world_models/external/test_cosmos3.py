"""Cosmos 3 through diffusers: a pipeline of the same classes with a few thousand random numbers, saved and opened."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pocketworlds import CheckpointError
from pocketworlds.errors import MissingDependencyError
from pocketworlds.world_models.external import cosmos3
from pocketworlds.world_models.external.cosmos3 import Cosmos3Model, Cosmos3Options, read_stats
from pocketworlds.world_models.external.poses import poses10
from pocketworlds.world_models.external.registry import open_external
from pocketworlds.world_models.simulator import Context, NeuralSimulator

LAYOUT = {"joint_pos": 2, "grip_mat": 6}
OPTIONS = Cosmos3Options(stats="none", chunk=4, size=32, steps=1, device="cpu")


def context(count: int, size: int = 32) -> Context:
    draws = torch.Generator().manual_seed(0)
    image = torch.randint(0, 256, (count, 1, size, size, 3), generator=draws).to(torch.uint8)
    frame = torch.tensor([1.0, 0, 0, 0, 1, 0])
    state = torch.cat([torch.zeros(2), frame]).expand(count, 1, 8)
    scene = torch.cat([torch.zeros(3), frame]).expand(count, 9)
    return Context(image, state, torch.zeros(count, 0, 7), scene, torch.arange(count) + 3)


class Pipeline:
    """Says what it was asked, and makes pictures brighter by what it was told of x."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []

    def __call__(self, prompt: str, **asked: Any) -> Any:
        self.asked.append({"prompt": prompt, **asked})
        action = asked["action"]
        image = np.asarray(action.image, dtype=np.float64) / 255
        places = np.concatenate([[0], np.cumsum(action.raw_actions[:, 0].numpy())])
        frames = np.clip(image[None] + places[:, None, None, None], 0, 1)
        return type("Out", (), {"video": frames})


@pytest.fixture
def condition(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stands in for the one class of diffusers that a call needs."""
    import sys
    import types

    class Condition:
        def __init__(self, **told: Any) -> None:
            self.__dict__.update(told)

    module = types.ModuleType("diffusers")
    module.CosmosActionCondition = Condition  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "diffusers", module)


@pytest.mark.usefixtures("condition")
def test_what_is_asked_of_the_pipeline(tmp_path: Path):
    stats = tmp_path / "bridge_orig_lerobot_stats.json"
    low, high = np.linspace(-0.2, -0.1, 10), np.linspace(0.1, 1.2, 10)
    stats.write_text(json.dumps({"q01": low.tolist(), "q99": high.tolist()}))
    pipeline = Pipeline()
    options = OPTIONS.model_copy(update={"stats": str(stats), "prompt": "Push the cup."})
    model = Cosmos3Model(pipeline, 2, options, layout=LAYOUT, scene_size=9)
    both = torch.arange(2)
    model.reset(both, context(2))
    action = torch.rand(2, 4, 7, generator=torch.Generator().manual_seed(1)) * 2 - 1
    made = model.step_chunk(both, action)
    assert made.image.shape == (2, 4, 32, 32, 3)
    assert made.state is None
    assert len(pipeline.asked) == 2  # one prompt a call
    asked = pipeline.asked[1]
    told = asked["action"]
    assert (told.mode, told.chunk_size, told.domain_name) == ("forward_dynamics", 4, "bridge_orig_lerobot")
    assert (asked["prompt"], asked["fps"], asked["num_inference_steps"]) == ("Push the cup.", 20.0, 1)
    poses, frames = poses10(action, torch.eye(3, dtype=torch.float64).expand(2, 3, 3), closed_is_one=False)
    expected = np.clip(2 * (poses[1].numpy() - low) / (high - low) - 1, -1, 1)
    np.testing.assert_allclose(told.raw_actions, expected, atol=1e-6)
    np.testing.assert_array_equal(np.asarray(told.image), context(2).image[1, 0])
    model.step_chunk(both, action)  # goes on from the last picture and the frame that was asked for
    np.testing.assert_array_equal(np.asarray(pipeline.asked[3]["action"].image), made.image[1, -1])
    poses, _ = poses10(action, frames[:, -1], closed_is_one=False)
    expected = np.clip(2 * (poses[1].numpy() - low) / (high - low) - 1, -1, 1)
    np.testing.assert_allclose(pipeline.asked[3]["action"].raw_actions, expected, atol=1e-6)
    assert pipeline.asked[0]["generator"].initial_seed() != pipeline.asked[2]["generator"].initial_seed()


@pytest.mark.usefixtures("condition")
def test_what_never_changed_in_the_data_is_sent_as_zero(tmp_path: Path):
    stats = tmp_path / "stats.json"
    low = [-0.2] * 3 + [-1.0] * 6 + [0.3]
    stats.write_text(json.dumps({"q01": low, "q99": [0.2] * 3 + [-1.0] + [1.0] * 5 + [0.3]}))
    pipeline = Pipeline()
    model = Cosmos3Model(pipeline, 1, OPTIONS.model_copy(update={"stats": str(stats)}), layout=LAYOUT, scene_size=9)
    one = torch.zeros(1, dtype=torch.int64)
    model.reset(one, context(1))
    action = torch.zeros(1, 4, 7)
    action[..., 0], action[..., 6] = 0.8, 1.0
    model.step_chunk(one, action)
    told = pipeline.asked[0]["action"].raw_actions
    assert not told[:, 3].any()
    assert not told[:, 9].any()
    np.testing.assert_allclose(told[:, 0], 0.8 * 0.025 / 0.2, atol=1e-6)
    np.testing.assert_allclose(told[:, 4:9], [[0, 0, 0, 1, 0]] * 4, atol=1e-6)


def test_options_that_make_no_sense_are_refused(tmp_path: Path):
    with pytest.raises(CheckpointError, match=r"'pusht'.*bridge_orig_lerobot"):
        Cosmos3Model(None, 1, OPTIONS.model_copy(update={"domain": "pusht"}))
    for told in ('{"q01": [0]}', "[]", '{"q01": [1], "q99": [2]}', "no json"):
        file = tmp_path / "stats.json"
        file.write_text(told)
        with pytest.raises(CheckpointError, match="q01 and q99"):
            read_stats(OPTIONS.model_copy(update={"stats": str(file)}))


@pytest.mark.usefixtures("condition")
def test_without_a_probe_nothing_says_where_the_gripper_points():
    model = Cosmos3Model(Pipeline(), 1, OPTIONS)
    with pytest.raises(CheckpointError, match="#probe=FILE"):
        model.reset(torch.zeros(1, dtype=torch.int64), context(1))


def test_what_is_missing_is_told(monkeypatch: pytest.MonkeyPatch):
    import sys

    monkeypatch.setitem(sys.modules, "diffusers", None)
    with pytest.raises(MissingDependencyError, match=r"pip install pocketworlds\[cosmos3\]"):
        open_external("cosmos3:nvidia/Cosmos3-Nano?stats=none", 1)


# -- the classes of diffusers ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved pipeline of random numbers."""
    diffusers = pytest.importorskip("diffusers", reason="diffusers is not installed: pip install pocketworlds[cosmos3]")
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    if not hasattr(diffusers, "Cosmos3OmniPipeline"):
        pytest.skip("diffusers is too old for Cosmos 3")
    tokenizers = pytest.importorskip("tokenizers")
    pytest.importorskip("accelerate", reason="accelerate is not installed: pip install pocketworlds[cosmos3]")
    words = ["<unk>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|endoftext|>", *map(chr, range(33, 126))]
    vocabulary = tokenizers.models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="<unk>")
    tokenizer = tokenizers.Tokenizer(vocabulary)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Split("", "isolated")
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", eos_token="<|im_end|>", pad_token="<|endoftext|>"
    )
    fast.chat_template = "{% for message in messages %}{{ message['role'] }} {{ message['content'] }}{% endfor %}"
    torch.manual_seed(0)
    transformer = diffusers.Cosmos3OmniTransformer(
        head_dim=6,
        hidden_size=6,
        intermediate_size=12,
        hidden_act="relu2",
        num_hidden_layers=1,
        num_attention_heads=1,
        num_key_value_heads=1,
        latent_channel=16,
        latent_patch_size=1,
        patch_latent_dim=16,
        qk_norm_for_text=False,
        rope_axes_dim=[1, 1, 1],
        vocab_size=98,
        action_gen=True,
        action_dim=10,
    )
    vae = diffusers.AutoencoderKLWan(
        base_dim=3, z_dim=16, dim_mult=[1, 1, 1, 1], num_res_blocks=1, temperal_downsample=[False, True, True]
    )
    pipeline = diffusers.Cosmos3OmniPipeline(
        transformer=transformer,
        text_tokenizer=fast,
        vae=vae,
        scheduler=diffusers.UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True),
        enable_safety_checker=False,
    )
    path = tmp_path_factory.mktemp("cosmos3")
    pipeline.save_pretrained(path, safe_serialization=True)
    return path


def test_a_saved_pipeline_is_opened_and_played(folder: Path):
    options = OPTIONS.model_copy(update={"size": 64})
    model = cosmos3.open_cosmos3(str(folder), 2, options, layout=LAYOUT, scene_size=9)
    both = torch.arange(2)
    started = context(2, 64)
    action = torch.rand(2, 4, 7, generator=torch.Generator().manual_seed(1)) * 2 - 1
    found = []
    for _ in range(2):
        model.reset(both, started)
        found.append(model.step_chunk(both, action).image)
    assert found[0].shape == (2, 4, 64, 64, 3)
    assert torch.equal(*found)  # seeds make it
    model.reset(torch.tensor([1]), Context(*(None if v is None else v[1:] for v in vars(started).values())))
    alone = model.step_chunk(torch.tensor([1]), action[1:]).image
    assert torch.equal(alone[0], found[0][1])
    assert model.spec.licence == "OpenMDW-1.1"
    buffered = open_external(f"cosmos3:{folder}?stats=none&chunk=4&size=64&steps=1&device=cpu", 1)
    assert isinstance(buffered, NeuralSimulator)
    assert dict(buffered.spec.state) == {}


def test_weights_that_are_not_there_are_told_of(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    with pytest.raises(CheckpointError, match=r"`hf download nvidia/Cosmos3-Nano` \(licence OpenMDW-1.1"):
        open_external("cosmos3:nvidia/Cosmos3-Nano?stats=none", 1)
    with pytest.raises(CheckpointError, match="there is no folder"):
        open_external(f"cosmos3:{tmp_path / 'missing'}?stats=none", 1)
    with pytest.raises(CheckpointError, match="holds no Cosmos 3 pipeline"):
        open_external(f"cosmos3:{tmp_path}?stats=none", 1)
