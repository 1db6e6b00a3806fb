"""Measure the eight wooden objects of the ChArUco tabletop capture from its pictures and printed markers alone.

No LiDAR depth and no mesh is read: only ``frame_*.jpg`` and, for each, the intrinsics and the camera pose in its JSON.

1. Detect the corners of the large ChArUco board (8 x 11, 22 mm, 6x6 dictionary) and of the markers on the blocks (5x5).
2. Adjust all camera poses and corner positions together; the printed 22 mm grid sets the scale, not the phone.
3. Find the rotation, translation and scale that bring this printed-millimetre model into the phone's world.
4. Fit the top plane of each object to its corners. In every picture find the silhouette (light wood against dark floor)
   along the four sides, and fit one box to all of them: a side turned away from the camera shows its upper edge, a side
   turned towards it shows its lower edge, and both edges are rounded.
5. Find the floor as the plane on which the pictures of its bare patches agree best; it gives the thickness.

Uncertainties are one standard deviation: leave out stretches of the recording in turn (neighbouring pictures share
their errors), then add what all pictures share (edge model, print scale).

Run ``python -m pocketworlds.benchmarks.measure_tabletop <capture> --out truth.json`` (needs the ``dev`` extra).
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

Array = NDArray[np.float64]
Key = tuple[str, int, int]  # sheet (board, large, small), marker, corner

GRID_MM, ROWS, COLS = 22.0, 8, 11
PRINTED = {"large": 31.0, "small": 23.0}  # marker edges, mm, as written on the sheets
STRETCHES = 6  # consecutive groups of pictures for the uncertainty
ZUP = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])  # ARKit (x, y up, z) -> our (x, -z, y)
KEYS = {
    "name": "sheet the markers were printed on and the marker numbers seen on the object",
    "length_mm, width_mm": "outline of the box in true (printed) mm, longer side first, at its widest (side faces)",
    "thickness_mm": "top plane (paper) above the floor plane at the centre",
    "thickness_silhouette_mm": "from the silhouettes alone; low by the rounding and shadow of the lower edge",
    "yaw_deg": "direction of the longer side about +Z, modulo 180",
    "*_zup_m": "phone world turned Z-up by (x, y, z) -> (x, -z, y); the model is laid in rigidly, at true size",
    "*_arkit_m": "the same in the phone's own axes, +Y up",
    "shift_if_phone_scale_mm": "add to centre_top_zup_m to let the phone's poses set the scale instead",
    "outline_error_mm": "median and 95th percentile distance of silhouette points from the box: how rectangular it is",
    "lens": "focal length over the phone's, and the radial distortion k1, k2 that the phone's intrinsics leave out",
    "phone_scale": "phone metres per printed metre, from corners seen under the phone's own poses",
    "print_check_mm": "sizes on paper in printed mm beside their nominal values: were the sheets printed at 100 %?",
    "*_sd*": "one standard deviation",
}


@dataclass
class View:
    """One picture: pixels (BGR), intrinsics, the phone's camera-to-world pose (OpenCV axes), corners seen."""

    image: NDArray[np.uint8]
    k: Array
    pose: Array
    seen: dict[Key, Array]


@dataclass
class Model:
    """The adjusted cameras and corners, in printed millimetres (board frame, Z up)."""

    views: list[View]
    rot: Array  # (n, 3, 3) world to camera
    trans: Array  # (n, 3)
    lens: Array  # focal factor, k1, k2
    points: dict[Key, Array]
    rms_px: float

    def colours(self, v: int, points: Array) -> Array:
        """Colours (.., 3) of picture ``v`` at model points (.., 3), bilinear."""
        import cv2

        px = project(points, self.rot[v], self.trans[v], self.views[v].k, self.lens).astype(np.float32)
        return np.asarray(cv2.remap(self.views[v].image, px[..., 0], px[..., 1], cv2.INTER_LINEAR), float)


@dataclass
class Top:
    """The top plane of an object: origin and axes (rows; the third points up) in the model frame."""

    name: str
    origin: Array
    axes: Array
    rms_mm: float

    def lift(self, plane: Array) -> Array:
        """Points (.., 2) of the plane in the model frame."""
        return np.asarray(self.origin + plane @ self.axes[:2])


def read_views(capture: Path) -> list[View]:
    """Read every picture with its pose and detect its corners."""
    import cv2

    aruco = cv2.aruco
    params = aruco.DetectorParameters()
    params.cornerRefinementMethod = aruco.CORNER_REFINE_SUBPIX
    blocks = aruco.ArucoDetector(aruco.getPredefinedDictionary(aruco.DICT_5X5_250), params)
    board = aruco.CharucoBoard((COLS, ROWS), GRID_MM, 17.0, aruco.getPredefinedDictionary(aruco.DICT_6X6_250))
    board.setLegacyPattern(True)
    detector = aruco.CharucoDetector(board)
    grid = np.asarray(board.getChessboardCorners())[:, :2]
    views = []
    for path in sorted(capture.glob("frame_*.jpg")):
        meta = json.loads(path.with_suffix(".json").read_text())
        image = np.asarray(cv2.imread(str(path)), np.uint8)
        corners, ids, _, _ = detector.detectBoard(image)
        seen = {("board", 0, int(i)): c.reshape(2).astype(float) for i, c in zip(ids.ravel(), corners, strict=True)}
        flat = cv2.findHomography(corners.reshape(-1, 2), grid[ids.ravel()])[0]
        quads, found, _ = blocks.detectMarkers(image)
        for marker, quad in zip(found.ravel(), quads, strict=True):
            mm = cv2.perspectiveTransform(quad, flat)[0]  # the same numbers were printed in two sizes: tell them apart
            edge = np.linalg.norm(mm - np.roll(mm, 1, axis=0), axis=1).mean()
            seen |= {("large" if edge > 27 else "small", int(marker), j): quad[0, j].astype(float) for j in range(4)}
        pose = np.array(meta["cameraPoseARFrame"]).reshape(4, 4) @ np.diag([1.0, -1, -1, 1])
        views.append(View(image, np.array(meta["intrinsics"]).reshape(3, 3), pose, seen))
    return views


def project(points: Array, rot: Array, trans: Array, k: Array, lens: Array) -> Array:
    """Pixels of points (.., 3) in cameras (broadcast over the leading axes)."""
    cam = np.einsum("...ij,...j->...i", rot, points) + trans
    xy = cam[..., :2] / cam[..., 2:]
    r2 = (xy**2).sum(-1, keepdims=True)
    focal = np.stack([k[..., 0, 0], k[..., 1, 1]], -1) * lens[0]
    return np.asarray(xy * (1 + lens[1] * r2 + lens[2] * r2**2) * focal + k[..., :2, 2])


def adjust(views: list[View]) -> Model:
    """Adjust cameras and corners together; the printed grid (0.1 mm in, 0.5 mm out of plane) fixes frame and scale."""
    import cv2

    keys = sorted({key for view in views for key in view.seen})
    board = np.array([key[0] == "board" for key in keys])
    row, col = np.divmod(np.array([key[2] for key in keys if key[0] == "board"]), COLS - 1)
    grid = np.stack([col - (COLS - 2) / 2, (ROWS - 2) / 2 - row, 0.0 * row], -1) * GRID_MM
    obs = [(v, keys.index(key), px) for v, view in enumerate(views) for key, px in view.seen.items()]
    vi, pi, px = (np.array([o[j] for o in obs]) for j in range(3))
    ks = np.stack([view.k for view in views])[vi]
    poses, guess, n = [], np.zeros((len(keys), 3)), len(views)
    guess[board] = grid
    for v, view in enumerate(views):
        mine = (vi == v) & board[pi]
        _, turn, shift = cv2.solvePnP(guess[pi[mine]], px[mine], view.k, None)
        poses.append(np.r_[turn.ravel(), shift.ravel()])
        rot = Rotation.from_rotvec(turn.ravel()).as_matrix()
        for j in np.flatnonzero((vi == v) & ~board[pi]):  # first guess: where the ray meets the board plane
            ray, eye = rot.T @ np.linalg.solve(view.k, np.r_[px[j], 1]), -rot.T @ shift.ravel()
            guess[pi[j]] = eye - ray * eye[2] / ray[2]

    def unpack(x: Array) -> tuple[Array, Array, Array, Array]:
        pose = x[: 6 * n].reshape(n, 6)
        points = x[6 * n + 3 :].reshape(-1, 3)
        return Rotation.from_rotvec(pose[:, :3]).as_matrix(), pose[:, 3:], x[6 * n : 6 * n + 3], points

    def miss(x: Array) -> Array:
        rot, trans, lens, points = unpack(x)
        return np.asarray(project(points[pi], rot[vi], trans[vi], ks, lens) - px)

    def residual(x: Array) -> Array:
        return np.concatenate([miss(x).ravel() / 0.3, ((unpack(x)[3][board] - grid) / [0.1, 0.1, 0.5]).ravel()])

    start = np.r_[np.concatenate(poses), 1.0, 0.0, 0.0, guess.ravel()]
    steps = np.r_[np.tile([0.01, 0.01, 0.01, 1, 1, 1], n), 0.01, 0.1, 0.1, np.ones(guess.size)]
    x = least_squares(residual, start, loss="soft_l1", x_scale=steps, max_nfev=25).x
    rot, trans, lens, points = unpack(x)
    rms = float(np.sqrt((miss(x) ** 2).sum(1).mean()))
    return Model(views, rot, trans, lens, dict(zip(keys, points, strict=True)), rms)


def to_phone(model: Model, use: NDArray[np.int64], rigid: bool) -> tuple[Array, Array, float, float]:
    """Rotation, translation (m) and scale (1 if rigid) into the phone's world; rms pixels under the phone's poses."""
    seen = [(view, key) for view in (model.views[v] for v in use) for key in view.seen]
    inv, ks = np.linalg.inv(np.stack([view.pose for view, _ in seen])), np.stack([view.k for view, _ in seen])
    pts, px = np.stack([model.points[key] for _, key in seen]), np.stack([view.seen[key] for view, key in seen])
    pose, v = model.views[use[0]].pose, use[0]
    first, shift = pose[:3, :3] @ model.rot[v], pose[:3, :3] @ model.trans[v] / 1000 + pose[:3, 3]

    def residual(x: Array) -> Array:
        world = (1.0 if rigid else x[6]) / 1000 * pts @ (Rotation.from_rotvec(x[:3]).as_matrix() @ first).T + x[3:6]
        return np.ravel(project(world, inv[:, :3, :3], inv[:, :3, 3], ks, model.lens) - px)

    x = least_squares(residual, np.r_[0, 0, 0, shift, 1.0], loss="soft_l1", f_scale=5.0).x
    rms = float(np.sqrt(2 * (residual(x) ** 2).mean()))
    return Rotation.from_rotvec(x[:3]).as_matrix() @ first, x[3:6], 1.0 if rigid else float(x[6]), rms


def top_planes(model: Model) -> list[Top]:
    """Group the corners into objects (markers of one sheet that lie together) and fit their top planes."""
    groups: dict[str, Array] = {}
    for sheet, marker in sorted({key[:2] for key in model.points}):
        pts = np.stack([p for key, p in model.points.items() if key[:2] == (sheet, marker)])
        near = [n for n, g in groups.items() if n.startswith(sheet) and np.linalg.norm(g.mean(0) - pts.mean(0)) < 62]
        name = f"{near[0]}_{marker}" if near else "board" if sheet == "board" else f"{sheet}_{marker}"
        groups[name] = np.concatenate([groups.pop(near[0]), pts]) if near else pts
    tops = []
    for name, pts in groups.items():
        normal = np.linalg.svd(pts - pts.mean(0))[2][2]
        normal *= np.sign(normal[2])
        ex = np.cross([0.0, 1.0, 0.0], normal)
        ex /= np.linalg.norm(ex)
        rms = float(np.sqrt((((pts - pts.mean(0)) @ normal) ** 2).mean()))
        tops.append(Top(name, pts.mean(0), np.stack([ex, np.cross(normal, ex), normal]), rms))
    return tops


def first_box(model: Model, top: Top, eyes: Array) -> Array:
    """Rough box (see `off_box`) from the picture taken most nearly from above, by thresholding."""
    import cv2

    v = int(np.argmin(np.linalg.norm(eyes[:, :2], axis=1) / eyes[:, 2]))
    reach = 190.0 if top.name == "board" else 75.0
    axis = np.arange(-reach, reach, 0.5)
    red = model.colours(v, top.lift(np.stack(np.meshgrid(axis, axis), -1)))[..., 2]
    _, mask = cv2.threshold(gaussian_filter(red, 2.0).astype(np.uint8), 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    shapes, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    mid = (len(axis) / 2, len(axis) / 2)
    shape = max(shapes, key=lambda c: (cv2.pointPolygonTest(cv2.convexHull(c), mid, False), cv2.contourArea(c)))
    (cx, cy), (w, h), angle = cv2.minAreaRect(shape)
    quarter = round(angle / 90)
    w, h = (h, w) if quarter % 2 else (w, h)
    yaw = np.deg2rad(angle - 90 * quarter)
    return np.array([cx / 2 - reach, cy / 2 - reach, yaw, w / 4, h / 4, 19.0, 2.0, 2.0])


def overhang(away: Array, depth: float, upper: float, lower: float) -> Array:
    """How far outside a side its silhouette falls on the top plane.

    ``away`` is the tangent of the viewing angle from vertical: positive for a side on the far side of the object, of
    which only the rounded upper edge is seen; negative for one whose face is seen down to its rounded lower edge.
    """
    rounding = np.sqrt(1 + away**2) - 1 - np.abs(away)
    return np.asarray(np.where(away > 0, upper, lower) * rounding + depth * np.maximum(-away, 0))


def axes_at(yaw: float) -> Array:
    """The x and y axes (rows) of a box turned by ``yaw``."""
    return np.array([[np.cos(yaw), np.sin(yaw)], [-np.sin(yaw), np.cos(yaw)]])


def off_box(points: Array, box: Array) -> Array:
    """Signed distance (mm) of silhouette points from where a box would show them.

    A row of ``points`` is picture, side (0 to 3: +x -x +y -y), x, y, eye x, y, z in the frame of the top plane; ``box``
    is centre x, y, yaw, half x, half y, depth, radius of the upper and of the lower edges.
    """
    side = points[:, 1].astype(int)
    normal = axes_at(box[2])[side // 2] * (1 - 2 * (side[:, None] % 2))
    out, eye = (((xy - box[:2]) * normal).sum(1) - box[3 + side // 2] for xy in (points[:, 2:4], points[:, 4:6]))
    return np.asarray(out - overhang(-eye / points[:, 6], *box[5:]))


def silhouettes(model: Model, top: Top, eyes: Array, box: Array, reach: float, channel: int = 2) -> Array:
    """Points (see `off_box`) where light gives way to dark within ``reach`` mm of where ``box`` expects its sides."""
    turn = axes_at(box[2])
    across = np.arange(-reach - 2, reach + 2.05, 0.1)
    found = []
    for v, side in np.ndindex(len(eyes), 4):
        i, sign = side // 2, 1 - 2 * (side % 2)
        along = np.linspace(-0.8, 0.8, int(box[4 - i])) * box[4 - i]
        away = -(sign * (turn[i] @ (eyes[v, :2] - box[:2])) - box[3 + i]) / eyes[v, 2]
        out = box[3 + i] + float(overhang(away, *box[5:])) + across
        normal, tangent = sign * turn[i], turn[1 - i]
        colours = model.colours(v, top.lift(box[:2] + out[:, None] * normal + along[:, None, None] * tangent))
        drop = -np.gradient(gaussian_filter(colours[..., channel], (1.0, 4.0)), axis=1)[:, 20:-20]
        # the outermost fall at least half as steep as the steepest: not the edge between top and side face
        best = drop.max(1, keepdims=True)
        peak = (drop >= 0.5 * best) & (drop >= np.roll(drop, 1, 1)) & (drop >= np.roll(drop, -1, 1))
        last = drop.shape[1] - 1 - peak[:, ::-1].argmax(1)
        good = (best[:, 0] > 1.5) & (last > 0) & (last < drop.shape[1] - 1)
        # where dark paper is folded over a side, parts of it show only a fall further in: the outer ones count
        good &= np.abs(last - np.percentile(last[good], 75)) < 15 if good.any() else good
        xy = box[:2] + out[20:-20][last, None] * normal + along[:, None] * tangent
        found.append(np.c_[np.tile([v, side], (len(xy), 1)), xy, np.tile(eyes[v], (len(xy), 1))][good])
    return np.concatenate(found)


def fit(points: Array, box: Array, mean: list[float], sd: list[float], views: NDArray[np.int64] | None = None) -> Array:
    """Fit the box to silhouettes (of some pictures); depth and edge radii are held near ``mean`` +- ``sd``."""
    use = points if views is None else points[np.isin(points[:, 0], views)]
    weight = 0.2 * np.sqrt(len(use))

    def residual(x: Array) -> Array:
        return np.concatenate([off_box(use, x), weight * (x[5:] - mean) / sd])

    return np.asarray(least_squares(residual, box, loss="soft_l1", f_scale=0.5).x)


def floor_plane(model: Model, objects: list[tuple[Top, Array]]) -> tuple[Array, dict[str, float]]:
    """Floor z = a x + b y + c (model frame, mm): the height at which pictures of each bare patch agree best."""
    axis, heights, spots = np.arange(-12, 12, 0.6), np.arange(-28.0, -7.0, 0.75), []
    patch = np.stack([*np.meshgrid(axis, axis), np.zeros((40, 40))], -1)
    for spot in np.stack(np.meshgrid(np.arange(-310, 311, 26.0), np.arange(-290, 200, 26.0)), -1).reshape(-1, 2):
        if min((np.abs(spot - top.origin[:2] - box[:2]) - box[3:5]).max() for top, box in objects) < 32:
            continue  # no room for the patch beside an object, its side faces and its shadow
        scores = np.zeros(len(heights))
        for i, height in enumerate(heights):
            seen = []
            for v in range(0, len(model.views), 2):
                gray = model.colours(v, patch + np.array([*spot, height])).mean(-1)
                gray = gaussian_filter(gray, 0.7) - gaussian_filter(gray, 6.0)
                if gray.std() > 0.3:  # texture, inside the picture
                    seen.append((gray - gray.mean()) / gray.std())
            scores[i] = (np.mean(seen, axis=0) ** 2).mean() if len(seen) >= 8 else 0.0  # 1 where all agree
        at = int(np.argmax(scores))
        if 0 < at < len(heights) - 1 and scores[at] > 0.3:
            lo, mid, hi = scores[at - 1 : at + 2]
            spots.append([*spot, 1.0, heights[at] + 0.375 * (lo - hi) / (lo - 2 * mid + hi)])
    design, z = np.array(spots)[:, :3], np.array(spots)[:, 3]
    solve = least_squares(lambda x: design @ x - z, [0, 0, -17.0], "3-point", loss="soft_l1", f_scale=0.5)
    plane = np.asarray(solve.x)
    rest = (design @ plane - z)[np.abs(design @ plane - z) < 2.0]
    return plane, {"patches": len(z), "within_2_mm": len(rest), "rms_mm": round(float(rest.std()), 3)}


def outline(top: Top, box: Array, world: tuple[Array, Array, float, float]) -> Array:
    """Centre and the four top corners in the phone's world, turned Z-up, in metres."""
    signs = np.array([[0, 0], [-1, -1], [1, -1], [1, 1], [-1, 1]])
    points = top.lift(box[:2] + (signs * box[3:5]) @ axes_at(box[2]))
    return np.asarray((world[2] * points / 1000 @ world[0].T + world[1]) @ ZUP.T)


def spread(values: list[Any]) -> Array:
    """One standard deviation from leave-one-stretch-out results."""
    return np.asarray(np.sqrt((len(values) - 1) * np.var(values, axis=0)))


def measure(capture: Path) -> dict[str, Any]:
    """Measure everything and return it as JSON-ready values."""
    model = adjust(read_views(capture))
    every = np.arange(len(model.views))
    without = [np.setdiff1d(every, part) for part in np.array_split(every, STRETCHES)]
    tops = top_planes(model)
    centres = -np.einsum("nji,nj->ni", model.rot, model.trans)
    eyes = [(centres - top.origin) @ top.axes.T for top in tops]
    found = []
    for top, eye in zip(tops, eyes, strict=True):
        box = first_box(model, top, eye)
        for reach in (9.0, 5.0, 3.5):
            points = silhouettes(model, top, eye, box, reach)
            box = fit(points, box, [19.0, 2, 2], [10.0, 1, 1])
        found.append((top, points, box))
    floor, quality = floor_plane(model, [(top, box) for top, _, box in found])
    rigid, scaled = (to_phone(model, every, r) for r in (True, False))
    rigids = [to_phone(model, w, True) for w in without]
    sheet = np.array([1.0, -4, 0, 139.7, 100, 0, 0, 0])  # US letter, 279.4 mm wide, whatever the printer did
    sheet_x = 2 * fit(silhouettes(model, tops[0], eyes[0], sheet, 4.0, 0), sheet, [0.0] * 3, [1e-3] * 3)[3]
    checks = {"letter_width": {"measured": round(float(sheet_x), 2), "nominal": 279.4}}
    for kind, nominal in PRINTED.items():
        quads = np.stack([p for key, p in sorted(model.points.items()) if key[0] == kind]).reshape(-1, 4, 3)
        edge = np.linalg.norm(quads - np.roll(quads, 1, axis=1), axis=-1).mean()
        checks[f"{kind}_marker_edge"] = {"measured": round(float(edge), 2), "nominal": nominal}
    objects = []
    for top, points, rough in found:
        at = top.lift(rough[:2])
        depth = float(at[2] - floor @ [at[0], at[1], 1.0])
        box, *boxes = (fit(points, rough, [depth, 2, 2], [0.2, 1, 1], w) for w in (every, *without))
        where, *moved = (outline(top, b, w) for b, w in zip([box, *boxes], [rigid, *rigids], strict=True))
        long = int(box[4] > box[3])
        order = [3 + long, 4 - long]
        side = [pts[[2, 4][long]] - pts[1] for pts in (where, *moved)]
        yaw, *yaws = ((np.degrees(np.arctan2(d[1], d[0])) + 90) % 180 - 90 for d in side)
        median, p95 = np.percentile(np.abs(off_box(points, box)), [50, 95])
        # what all pictures share: the edge model, a side that is not straight, the print scale
        shared = np.sqrt(0.5**2 + p95**2 / 4 + (0.004 * box[order]) ** 2)
        size_sd = np.hypot(spread([2 * b[order] for b in boxes]), shared)
        values = {
            "length_mm": 2 * box[order[0]],
            "width_mm": 2 * box[order[1]],
            "length_sd_mm": size_sd[0],
            "width_sd_mm": size_sd[1],
            "thickness_mm": depth,
            "thickness_sd_mm": np.hypot(quality["rms_mm"], top.rms_mm),
            "thickness_silhouette_mm": rough[5],
            "yaw_deg": yaw,
            "yaw_sd_deg": spread(yaws),
            "outline_error_mm": np.array([median, p95]),
            "centre_sd_mm": 1000 * spread([m[0] for m in moved]),
            "shift_if_phone_scale_mm": 1000 * (outline(top, box, scaled) - where)[0],
        }
        metres = {"centre_top_zup_m": where[0], "corners_top_zup_m": where[1:], "centre_top_arkit_m": where[0] @ ZUP}
        rounded = {key: np.round(x, 2).tolist() for key, x in values.items()}
        objects.append({"name": top.name, **rounded, **{key: x.round(4).tolist() for key, x in metres.items()}})
    # a flat grid seen from above fixes the focal length, and with it the phone's scale, no better than 0.3 %
    scale_sd = float(np.hypot(spread([to_phone(model, w, False)[2] for w in without]), 0.003))
    phone = {"ratio": round(scaled[2], 4), "sd": round(scale_sd, 4), "rms_px": round(scaled[3], 2)}
    figures = {"pictures": len(every), "reprojection_rms_px": round(model.rms_px, 3), "phone_scale": phone}
    figures |= {"lens": model.lens.round(4).tolist(), "rigid_rms_px": round(rigid[3], 2)}
    figures |= {"print_check_mm": checks, "floor": quality}
    return {"how": str(__doc__).split("\n\nRun ")[0], "keys": KEYS, **figures, "objects": objects}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Measure the tabletop capture's objects from its pictures alone.")
    parser.add_argument("capture", type=Path)
    parser.add_argument("--out", type=Path, default=Path("truth.json"))
    args = parser.parse_args()
    truth = measure(args.capture)
    args.out.write_text(json.dumps(truth, indent=1) + "\n")
    for o in truth["objects"]:
        print("{name:10} {length_mm:6.1f} x {width_mm:6.1f} x {thickness_mm:4.1f} mm, yaw {yaw_deg:6.1f}".format(**o))


if __name__ == "__main__":
    main()
