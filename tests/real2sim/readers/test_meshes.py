"""Mesh files keep their triangles, UV and colours, and stand upright."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import trimesh
from PIL import Image
from pocketworlds.real2sim.capture import CaptureMesh
from pocketworlds.real2sim.readers import open_capture

from . import convert
from .checks import assert_capture


def textured_quad(seed: int = 0) -> tuple[trimesh.Trimesh, convert.Array]:
    """A 1 x 2 m quad in the XY plane with a picture of four colours."""
    rng = np.random.default_rng(seed)
    picture = np.kron(rng.integers(0, 255, (2, 2, 3), dtype=np.uint8), np.ones((8, 8, 1), np.uint8))
    vertices = [[0, 0, 0], [1, 0, 0], [1, 2, 0], [0, 2, 0]]
    uv = [[0, 0], [1, 0], [1, 1], [0, 1]]
    visual = trimesh.visual.TextureVisuals(
        uv=uv, material=trimesh.visual.material.PBRMaterial(baseColorTexture=Image.fromarray(picture))
    )
    return trimesh.Trimesh(vertices, [[0, 1, 2], [0, 2, 3]], visual=visual, process=False), picture


def sample(mesh: CaptureMesh, face: int, weights: tuple[float, float, float]) -> convert.Array:
    """Texture colour at a point of a face, as MuJoCo or any OBJ viewer looks it up."""
    assert mesh.uv is not None
    assert mesh.texture is not None
    u, v = np.array(weights) @ mesh.uv[face]
    height, width = mesh.texture.shape[:2]
    return np.asarray(mesh.texture[int((1 - v) * height), int(u * width)])


def test_glb_texture_and_axes(tmp_path: Path) -> None:
    quad, picture = textured_quad()
    path = tmp_path / "scan.glb"
    path.write_bytes(trimesh.Scene(quad).export(file_type="glb"))
    capture = open_capture(path)
    assert capture.format == "mesh-glb"
    assert_capture(capture)
    mesh = capture.mesh
    assert mesh is not None
    np.testing.assert_allclose(mesh.vertices.min(axis=0), [0, 0, 0], atol=1e-6)
    np.testing.assert_allclose(mesh.vertices.max(axis=0), [1, 0, 2], atol=1e-6)  # 2 m high
    # near the lower left corner (vertex 0) is the picture's lower left block
    np.testing.assert_array_equal(sample(mesh, 0, (0.9, 0.05, 0.05)), picture[-1, 0])
    np.testing.assert_array_equal(sample(mesh, 1, (0.05, 0.05, 0.9)), picture[0, 0])


def test_glb_with_two_textures_becomes_one(tmp_path: Path) -> None:
    one, first = textured_quad(1)
    two, second = textured_quad(2)
    two.apply_translation([3, 0, 0])
    scene = trimesh.Scene()
    scene.add_geometry(one, "one")
    scene.add_geometry(two, "two")
    path = tmp_path / "scan.glb"
    path.write_bytes(scene.export(file_type="glb"))
    mesh = open_capture(path).mesh
    assert mesh is not None
    assert len(mesh.faces) == 4
    for face in range(4):
        picture = first if mesh.vertices[mesh.faces[face], 0].max() < 2 else second
        corner = (0.9, 0.05, 0.05)
        expected = picture[-1, 0]
        np.testing.assert_array_equal(sample(mesh, face, corner), expected)


def test_node_transforms_are_applied(tmp_path: Path) -> None:
    scene = trimesh.Scene()
    place = trimesh.transformations.translation_matrix([5, 1, 0])
    scene.add_geometry(trimesh.creation.box((1, 1, 1)), transform=place)
    path = tmp_path / "scan.glb"
    path.write_bytes(scene.export(file_type="glb"))
    mesh = open_capture(path).mesh
    assert mesh is not None
    np.testing.assert_allclose(mesh.vertices.mean(axis=0), [5, 0, 1], atol=1e-6)


def test_ply_colours(tmp_path: Path) -> None:
    box = trimesh.creation.box((1, 2, 3))
    box.visual.vertex_colors = np.arange(32).reshape(8, 4)
    for encoding in ("ascii", "binary"):
        path = tmp_path / f"{encoding}.ply"
        path.write_bytes(box.export(file_type="ply", encoding=encoding))
        mesh = open_capture(path).mesh
        assert mesh is not None
        assert mesh.colors is not None
        np.testing.assert_allclose(np.ptp(mesh.vertices, axis=0), [1, 3, 2])
        np.testing.assert_array_equal(mesh.colors, np.arange(32).reshape(8, 4)[:, :3])


def test_obj_with_two_materials_and_polygons(tmp_path: Path) -> None:
    red, green = np.zeros((4, 8, 3), np.uint8), np.zeros((16, 4, 3), np.uint8)
    red[..., 0], green[..., 1] = 250, 250
    files = {
        "scan.obj": b"mtllib scan.mtl\n"
        b"v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nv 2 0 0\nv 2 1 0\nvt 0 0\nvt 1 0\nvt 1 1\nvt 0 1\n"
        b"usemtl a\nf 1/1 2/2 3/3 4/4\nusemtl b\nf 2/1/1 5/2/1 6/3/1 3/4/1\nf -5/1 -2/2 -4/3\n",
        "scan.mtl": b"newmtl a\nmap_Kd red.png\nnewmtl b\nmap_Kd green.png\n",
        "red.png": convert.png(red),
        "green.png": convert.png(green),
    }
    for path in (convert.write(tmp_path / "f", files), tmp_path / "f" / "scan.obj", tmp_path / "scan.zip"):
        if path.suffix == ".zip":
            path.write_bytes(convert.zipped(files))
        capture = open_capture(path)
        assert capture.format == "mesh-obj"
        mesh = capture.mesh
        assert mesh is not None
        assert_capture(capture)
        assert len(mesh.faces) == 5
        for face in range(5):
            color = sample(mesh, face, (0.4, 0.3, 0.3))
            np.testing.assert_array_equal(color, [250, 0, 0] if face < 2 else [0, 250, 0])


def test_usd_units_axes_and_transforms(tmp_path: Path) -> None:
    from pxr import Gf, Usd, UsdGeom

    path = tmp_path / "scan.usda"
    stage = Usd.Stage.CreateNew(str(path))
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.z)
    UsdGeom.SetStageMetersPerUnit(stage, 0.01)
    parent = UsdGeom.Xform.Define(stage, "/scan")
    parent.AddTranslateOp().Set(Gf.Vec3d(100, 0, 0))
    mesh = UsdGeom.Mesh.Define(stage, "/scan/mesh")
    mesh.AddRotateZOp().Set(90)
    mesh.CreatePointsAttr([(0, 0, 0), (100, 0, 0), (100, 0, 200), (0, 0, 200)])
    mesh.CreateFaceVertexCountsAttr([4])
    mesh.CreateFaceVertexIndicesAttr([0, 1, 2, 3])
    stage.Save()
    del stage
    capture = open_capture(path)
    assert capture.mesh is not None
    np.testing.assert_allclose(capture.mesh.vertices, [[1, 0, 0], [1, 1, 0], [1, 1, 2], [1, 0, 2]], atol=1e-6)
    assert capture.mesh.faces.tolist() == [[0, 1, 2], [0, 2, 3]]
    assert capture.is_metric
