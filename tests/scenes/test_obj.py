"""OBJ text: what is written is what is read, by us and by trimesh; edges are shaded as edges."""

from __future__ import annotations

import io

import numpy as np
import trimesh
from pocketworlds.scenes.obj import corner_normals, obj_text, read_obj


def test_mesh_comes_back() -> None:
    box = trimesh.creation.box((0.3, 0.2, 0.1))
    uv = np.random.default_rng(0).random((len(box.faces), 3, 2))
    for coordinates in (None, uv):
        for normals in (None, corner_normals(box.vertices, box.faces)):
            text = obj_text(box.vertices, box.faces, coordinates, normals)
            vertices, faces = read_obj(text)
            np.testing.assert_allclose(vertices, box.vertices, atol=1e-8)
            np.testing.assert_array_equal(faces, box.faces)
            other = trimesh.load_mesh(io.StringIO(text), file_type="obj")
            np.testing.assert_allclose(other.volume, 0.006)


def test_box_has_flat_faces_and_a_sphere_is_smooth() -> None:
    box = trimesh.creation.box((0.3, 0.2, 0.1))
    np.testing.assert_allclose(corner_normals(box.vertices, box.faces), np.repeat(box.face_normals[:, None], 3, axis=1))
    ball = trimesh.creation.icosphere(subdivisions=3)
    found = corner_normals(ball.vertices, ball.faces)
    np.testing.assert_allclose(found, ball.vertices[ball.faces], atol=0.02)
