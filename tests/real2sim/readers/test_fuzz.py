"""Corrupted captures of every format: a `CaptureError`, or a capture that holds its promises; nothing else, ever.

`POCKETWORLDS_FUZZ_EXAMPLES` sets the number of corrupted inputs for each reader (100 by default, always the same
ones; any other number draws new ones).
"""

from __future__ import annotations

import json
import multiprocessing
import os
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from pocketworlds.cli import app
from pocketworlds.errors import CaptureError
from pocketworlds.real2sim import pipeline
from pocketworlds.real2sim.readers import open_capture, usd_dump, usdz
from typer.testing import CliRunner

from . import convert
from .checks import assert_capture

EXAMPLES = int(os.environ.get("POCKETWORLDS_FUZZ_EXAMPLES", "100"))

FUZZ = settings(
    max_examples=EXAMPLES,
    derandomize=EXAMPLES == 100,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)

SURVIVED = "survived its damage"

Files = dict[str, bytes]


class Corrupted(Files):
    """Files of a capture, shown by their sizes."""

    def __repr__(self) -> str:
        return ", ".join(f"{name}: {len(data)} bytes" for name, data in self.items())


NASTY_JSON: list[Any] = [
    None, True, "", "x", "../../etc/passwd", [], {}, [[]], {"a": {}}, 0, -1, 1, 2, 0.5, 1e-9, -0.0, 1e9, 1e308, -1e308,
    float("nan"), float("inf"), 2**31, 2**63, 10**400, "1", "nan", "\0", "\ud800", [1] * 1000,
    ["a"] * 16, [0] * 16, [0] * 9,
]  # fmt: skip

NASTY_TEXT = [
    b"", b"0", b"-1", b"nan", b"inf", b"-inf", b"1e309", b"1e-300", b"x", b"999999999999999999999", b",", b",,", b" ",
    b"\n", b"\0", b"\xff\xfe", b"-", b"1/0", b"0x10", b"1_0", "\N{ARABIC-INDIC DIGIT THREE}".encode(), b"/", b"//",
]  # fmt: skip


def textured_box() -> trimesh.Trimesh:
    picture = Image.fromarray(np.random.default_rng(1).integers(0, 255, (8, 8, 3), dtype=np.uint8))
    box: trimesh.Trimesh = trimesh.creation.box((1, 1, 1))
    material = trimesh.visual.material.PBRMaterial(baseColorTexture=picture)
    box.visual = trimesh.visual.TextureVisuals(uv=np.random.default_rng(2).random((8, 2)), material=material)
    return box


def obj_files() -> Files:
    lines = ["mtllib a.mtl", "usemtl m"]
    box = textured_box()
    lines += ["v " + " ".join(map(str, vertex)) for vertex in box.vertices]
    lines += ["vt " + " ".join(map(str, uv)) for uv in box.visual.uv]
    lines += ["f " + " ".join(f"{i + 1}/{i + 1}" for i in face) for face in box.faces]
    picture = convert.png(np.full((4, 4, 3), 99, np.uint8))
    return {"a.obj": "\n".join(lines).encode(), "a.mtl": b"newmtl m\nmap_Kd a.png\n", "a.png": picture}


def usd_files(suffix: str) -> Files:
    from pxr import Sdf, Usd, UsdGeom, UsdShade

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"scan.{suffix}"
        stage = Usd.Stage.CreateNew(str(path))
        UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.y)
        UsdGeom.SetStageMetersPerUnit(stage, 1)
        mesh = UsdGeom.Mesh.Define(stage, "/scan")
        box = textured_box()
        mesh.CreatePointsAttr(box.vertices.tolist())
        mesh.CreateFaceVertexCountsAttr([3] * len(box.faces))
        mesh.CreateFaceVertexIndicesAttr(box.faces.ravel().tolist())
        st_values = UsdGeom.PrimvarsAPI(mesh).CreatePrimvar(
            "st", Sdf.ValueTypeNames.TexCoord2fArray, UsdGeom.Tokens.faceVarying
        )
        st_values.Set(box.visual.uv.tolist())
        st_values.SetIndices(box.faces.ravel().tolist())
        material = UsdShade.Material.Define(stage, "/material")
        surface, texture = (UsdShade.Shader.Define(stage, f"/material/{name}") for name in ("surface", "texture"))
        surface.CreateIdAttr("UsdPreviewSurface")
        texture.CreateIdAttr("UsdUVTexture")
        texture.CreateInput("file", Sdf.ValueTypeNames.Asset).Set("a.png")
        color = texture.CreateOutput("rgb", Sdf.ValueTypeNames.Float3)
        surface.CreateInput("diffuseColor", Sdf.ValueTypeNames.Color3f).ConnectToSource(color)
        output = surface.CreateOutput("surface", Sdf.ValueTypeNames.Token)
        material.CreateSurfaceOutput().ConnectToSource(output)
        UsdShade.MaterialBindingAPI.Apply(mesh.GetPrim()).Bind(material)
        stage.Save()
        del stage
        return {path.name: path.read_bytes(), "a.png": convert.png(np.full((4, 4, 3), 99, np.uint8))}


def room() -> dict[str, Any]:
    place = [0.0, 0, -1, 0, 0, 1, 0, 0, 1, 0, 0, 0, 1, 2, 3, 1]

    def box(name: str, category: dict[str, Any], **fields: Any) -> dict[str, Any]:
        common = {"dimensions": [4.0, 2.4, 0.5], "transform": place, "confidence": {"high": {}}}
        return {**common, "identifier": name, "category": category, "parentIdentifier": None, **fields}

    corners = [[-2, -1, 0], [2, -1, 0], [2, 1, 0]]
    return {
        "walls": [box("w", {"wall": {}})],
        "doors": [box("d", {"door": {"isOpen": True}}, parentIdentifier="w")],
        "windows": [],
        "openings": [],
        "floors": [box("f", {"floor": {}}, polygonCorners=corners)],
        "objects": [box("o", {"storage": {}}, attributes={"StorageType": "cabinet"})],
        "version": 2,
    }


def room_usd() -> Files:
    with tempfile.TemporaryDirectory() as folder:
        return convert.roomplan_usdz(room(), Path(folder))


def stray_k() -> Files:
    return convert.stray(convert.synthetic(), per_frame_k=True)


def stray_npy() -> Files:
    return convert.stray(convert.synthetic(), npy=True)


def pair() -> Files:
    frame = convert.synthetic(1)[0]
    return {"image.jpg": convert.jpeg(frame.color), "arkit_depth.png": convert.png(frame.depth_mm)}


def of_frames(converter: Callable[[list[convert.Original]], Files]) -> Callable[[], Files]:
    return lambda: converter(convert.synthetic())


SAMPLES: dict[str, Callable[[], Files]] = {
    "scanner_app": of_frames(convert.scanner_app),
    "stray": stray_k,
    "stray_npy": stray_npy,
    "record3d": of_frames(convert.record3d),
    "record3d_exr": of_frames(convert.record3d_exr),
    "polycam": of_frames(convert.polycam),
    "arkitscenes": of_frames(convert.arkitscenes),
    "nerfcapture": of_frames(convert.nerfcapture),
    "roomplan_json": lambda: {"room.json": json.dumps(room()).encode()},
    "roomplan_usdz": room_usd,
    "usda": lambda: usd_files("usda"),
    "usdc": lambda: usd_files("usdc"),
    "obj": obj_files,
    "glb": lambda: {"a.glb": trimesh.Scene(textured_box()).export(file_type="glb")},
    "ply": lambda: {"a.ply": trimesh.creation.box().export(file_type="ply")},
    "ply_text": lambda: {"a.ply": trimesh.creation.box().export(file_type="ply", encoding="ascii")},
    "rgbd_pair": pair,
}

PACKED = {"record3d", "roomplan_usdz", "usda", "usdc"}
"""Formats whose files travel in a zip; the others are tried as folders and as zips."""

TEXT = (".csv", ".traj", ".pincam", ".obj", ".mtl", ".usda", ".ply")


def _paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths to every value inside a JSON value."""
    found = [path]
    if isinstance(value, dict):
        for key, item in value.items():
            found += _paths(item, (*path, key))
    elif isinstance(value, list):
        for key, item in enumerate(value[:40]):
            found += _paths(item, (*path, key))
    return found


def _mutate_json(draw: Callable[..., Any], data: bytes) -> bytes:
    value = json.loads(data)
    path = draw(st.sampled_from(_paths(value)))
    if not path:
        return json.dumps(draw(st.sampled_from(NASTY_JSON))).encode()
    holder = value
    for key in path[:-1]:
        holder = holder[key]
    action = draw(st.sampled_from(["set", "set", "set", "delete", "copy"]))
    if action == "delete":
        del holder[path[-1]]
    elif action == "copy" and isinstance(holder, list):
        holder.insert(0, holder[path[-1]])
    else:
        holder[path[-1]] = draw(st.sampled_from(NASTY_JSON) | st.floats() | st.integers())
    return json.dumps(value).encode("utf-8", "surrogatepass")


def _mutate_bytes(draw: Callable[..., Any], data: bytes, *, text: bool) -> bytes:
    actions = ["flip", "flip", "cut", "insert", "remove", "repeat", "header", *(["token"] * 6 * text)]
    action = draw(st.sampled_from(actions))
    size = len(data)
    at = draw(st.integers(0, max(size - 1, 0)))
    if action == "flip" and size:
        changed = bytearray(data)
        for _ in range(draw(st.integers(1, 8))):
            changed[draw(st.integers(0, size - 1))] = draw(st.integers(0, 255))
        return bytes(changed)
    if action == "header" and size:  # sizes, counts and offsets mostly stand at the beginning
        changed = bytearray(data)
        for _ in range(draw(st.integers(1, 4))):
            changed[draw(st.integers(0, min(size, 96) - 1))] = draw(st.sampled_from([0, 1, 0x7F, 0x80, 0xFF]))
        return bytes(changed)
    if action == "cut":
        return data[:at]
    if action == "insert":
        return data[:at] + bytes(draw(st.binary(max_size=16))) + data[at:]
    if action == "remove":
        return data[:at] + data[at + draw(st.integers(1, 64)) :]
    if action == "repeat":
        return data[:at] + data[max(0, at - 50) : at] * int(draw(st.integers(1, 20))) + data[at:]
    start = at
    while start and data[start - 1 : start] not in (b" ", b",", b"\n", b"/"):
        start -= 1
    end = at
    while end < size and data[end : end + 1] not in (b" ", b",", b"\n", b"/"):
        end += 1
    return data[:start] + bytes(draw(st.sampled_from(NASTY_TEXT))) + data[end:]


@st.composite
def corrupted(draw: Callable[..., Any], files: Files) -> Corrupted:
    """One to three corruptions of a capture's files."""
    changed = dict(files)
    for _ in range(draw(st.integers(1, 3))):
        if not changed:
            break
        name = draw(st.sampled_from(sorted(changed)))
        data = changed[name]
        action = draw(st.sampled_from(["content"] * 8 + ["delete", "empty", "duplicate", "swap"]))
        if action == "delete":
            del changed[name]
        elif action == "empty":
            changed[name] = b""
        elif action == "duplicate":
            stem = "".join(str((int(c) + 1) % 10) if c.isdigit() else c for c in name)
            changed[stem] = data
        elif action == "swap":
            other = draw(st.sampled_from(sorted(changed)))
            changed[name], changed[other] = changed[other], data
        elif data[:1] == b"{" and draw(st.integers(0, 3)):
            try:
                changed[name] = _mutate_json(draw, data)
            except (ValueError, RecursionError):
                changed[name] = _mutate_bytes(draw, data, text=True)
        else:
            changed[name] = _mutate_bytes(draw, data, text=name.endswith(TEXT))
    return Corrupted(changed)


def _outcome(path: Path, *, color: bool = True) -> str:
    try:
        capture = open_capture(path)
    except CaptureError as error:
        if str(path.name) not in str(error) and str(path.resolve().name) not in str(error):
            raise AssertionError(f"the message does not say where: {error}") from error
        return "refused"
    loaded = assert_capture(capture, color=color)
    if capture.skipped or loaded < len(capture.frames):
        return "opened, some frames left out"
    return "opened"


def _dump_forked(folder: Path, root: str, output: Path) -> str | None:
    """`usdz.run_dump` in a process forked from one that has OpenUSD loaded: several times faster."""
    context = multiprocessing.get_context("forkserver")
    process = context.Process(target=usd_dump.main, args=(str(folder), root, str(output)))
    process.start()
    process.join(60)
    if process.exitcode is None:
        process.kill()
        return "OpenUSD does not end"
    return None if process.exitcode == 0 else "OpenUSD cannot read it"


def _write(folder: Path, name: str, changed: Corrupted, as_zip: bool, spare_zip: int, spot: int) -> Path:
    """The corrupted capture as a folder or an archive, itself corrupted unless `spare_zip`."""
    path = folder / "scan"
    if as_zip or name in PACKED:
        data = bytearray(convert.zipped(changed, stored=name in PACKED))
        if not spare_zip:
            data[spot % len(data)] ^= 1 + spot % 255
        path.write_bytes(data)
    else:
        path.mkdir()
        convert.write(path, changed)
    return path


def _command_outcome(path: Path) -> str:
    """What `pocketworlds scan` says of a corrupted capture; a sentence and nothing else may be left."""
    result = CliRunner().invoke(app, ["scan", str(path), "--out", str(path.parent / "scene"), "--max-frames", "10"])
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    assert sum(line.startswith("pocketworlds: ") for line in result.stderr.splitlines()) == 1, result.stderr
    assert [item.name for item in path.parent.iterdir()] == [path.name]
    return "opened" if SURVIVED in result.stderr else "refused"


@pytest.mark.parametrize("entry", ["reader", "command line"])
@pytest.mark.parametrize("name", list(SAMPLES))
def test_corrupted_files(name: str, entry: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Through the command line all is real up to the decoded frames; what survives is stopped there, to save time."""

    def stop(*_: object, **__: object) -> None:
        raise CaptureError(SURVIVED)

    for stage in ("fuse", "view_mesh", "_settled"):
        monkeypatch.setattr(pipeline, stage, stop)
    monkeypatch.setenv("POCKETWORLDS_CACHE", str(tmp_path))
    files = SAMPLES[name]()
    examples = EXAMPLES
    if EXAMPLES == 100:  # three samples share the USD reader, each example of which starts a process
        examples = 34 if "usd" in name else 100
        examples = examples if entry == "reader" else examples // 5
    if "usd" in name:
        multiprocessing.set_forkserver_preload([usd_dump.__name__])
        monkeypatch.setattr(usdz, "run_dump", _dump_forked)
    outcomes: Counter[str] = Counter()

    @settings(FUZZ, max_examples=examples)
    @given(corrupted(files), st.booleans(), st.integers(0, 5), st.integers(0))
    def run(changed: Corrupted, as_zip: bool, spare_zip: int, spot: int) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = _write(Path(folder), name, changed, as_zip, spare_zip, spot)
            outcomes[(_outcome if entry == "reader" else _command_outcome)(path)] += 1

    run()
    print(f"{name}, {entry}: {sum(outcomes.values())} corrupted captures: {dict(outcomes)}")
    assert outcomes


def test_corrupted_photo(captures: Path) -> None:
    """Of a photo mostly the boxes at the beginning are corrupted: the rest is one compressed stream."""
    data = (captures / "iphone_heic_depth" / "pug.heic").read_bytes()
    outcomes: Counter[str] = Counter()

    @FUZZ
    @given(st.data(), st.integers(0, 9))
    def run(choices: st.DataObject, kind: int) -> None:
        head, tail = data[:6000], data[6000:]
        changed = (
            _mutate_bytes(choices.draw, data, text=False)
            if kind == 0
            else _mutate_bytes(choices.draw, head, text=False) + tail
        )
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "photo.heic"
            path.write_bytes(changed)
            outcomes[_outcome(path, color=kind == 0 and len(changed) % 4 == 0)] += 1

    run()
    print(f"photo: {sum(outcomes.values())} corrupted captures: {dict(outcomes)}")


@pytest.mark.parametrize("name", list(SAMPLES))
def test_samples_open_whole(name: str, tmp_path: Path) -> None:
    """The samples that are corrupted above are good."""
    path = convert.write(tmp_path / "scan", SAMPLES[name]())
    assert _outcome(path) == "opened"
    path = tmp_path / "scan.zip"
    path.write_bytes(convert.zipped(SAMPLES[name](), under="scan/" if name not in PACKED else ""))
    assert _outcome(path) == "opened"
