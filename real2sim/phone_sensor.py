"""The phone's sensors: what ARKit's depth map, confidence map and picture show of an ideal rendering.

The constants come from two real walk-arounds of an iPhone with LiDAR, recorded with 3D Scanner App (256x192 depth in
whole millimetres): blocks and a board of 17 to 20 mm lying on a floor seen from 0.52 m (92 frames), and a chair on
concrete seen from 1.7 m (70 frames). The same analysis of this model, in two scenes built alike, gives the last column
("rel." is relative to the depth z; low confidence means below 2):

    quantity                                              real: blocks | chair          simulated: blocks | chair
    residual to a plane, floor, rel. (rms)                0.42 % | 0.31 %               0.38 % | 0.32 %
    ... of it fixed to the image                          - | 0.26 %                    - | 0.25 %
    residual to a plane, board of 20 x 30 cm (rms)        0.9 mm | -                    1.1 mm | -
    ... its correlation 1, 4, 8, 16 px apart              0.82, 0.62, 0.43, 0.23 | -    0.85, 0.78, 0.60, 0.18 | -
    ... pixel noise, rounding to 1 mm included            0.44 mm | -                   0.40 mm | -
    correlation of the floor's residual, 1, 10, 40        - | 0.67, 0.50, 0.40          - | 0.74, 0.47, 0.46
        frames apart (about 5 frames a second)
    level of the floor from frame to frame                1.1 mm | 2.9 mm               1.3 mm | 2.1 mm
    median height of the 17 to 20 mm board, one frame     12 mm | -                     12 mm | - (18 mm in truth)
    10-90 % width of an edge of 17 mm                     6 to 7 px | -                 6 to 8 px | -
    10-90 % width of an edge over 25 % of z,              - | 1, 1, 3 px                - | 1, 2, 3 px
        median, 75th, 90th percentile
    confidence 0 / 1 / 2, %                               2 / 4 / 93 | 12 / 12 / 76     1 / 7 / 92 | 6 / 16 / 78
    P(low confidence) where z steps by 2-3, 3-5, 5-10,    0 | 28, 34, 53, 65, 83,       0 | 27, 51, 67, 73, 79,
        10-20, 20-50, > 50 % of z within 3x3 pixels           96 %                          90 %
    P(low confidence) at 3 to 4 m                         - | 15 %                      - | 14 %
    P(low confidence) 0, 4, 8, 16 px from the border      48, 33, 20, 4 % |             72, 43, 18, 1 % |
                                                          80, 60, 52, 31 %              75, 51, 34, 24 %
    pixels without depth                                  none | none                   none within `max_range`

So ARKit's map has no holes: where the laser got no good answer the network fills in, and the confidence map says so.
Edges of large steps are sharp but in a slightly wrong place; small steps are smeared over half a dozen pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Float = NDArray[np.float64]
Image = NDArray[np.uint8]

DEPTH_WIDTH, DEPTH_HEIGHT = 256, 192
"""ARKit's `sceneDepth` resolution (Apple ARKit documentation; the real captures agree)."""

_MIDDLE_GREY = 118.0
"""Picture mean (of 255) that automatic exposure aims at: 18 % grey in sRGB."""


@dataclass(frozen=True, slots=True)
class PhoneModel:
    """An iPhone with LiDAR as ARKit apps record it; the module docstring lists the measurements behind the constants.

    Attributes:
        width: colour width, pixels (Stray Scanner itself records 1920; 960 keeps software rendering fast).
        height: colour height, pixels.
        focal: focal length over image width. 1448 to 1454 px at 1920 px in the real captures (67 degrees across).
        principal: principal point over (width, height), measured from the image's corner as ARKit gives it
            (the centre of pixel u lies at u + 0.5); the real captures have (0.5035, 0.480).
        supersample: depth is rendered this many times finer than 256x192 and reduced.
        static_bias: rel. standard deviation of the smooth depth error that stays with the image through a capture.
        drifting_bias: rel. standard deviation of the smooth depth error that changes while walking.
        bias_px: correlation lengths (Gaussian sigma, depth pixels) of the two smooth errors.
        drift_memory: correlation of the drifting error from one frame to the next.
        scale_bias: rel. standard deviation of one scale error per capture (laser against visual-inertial scale).
        scale_wander: rel. standard deviation of the slowly changing scale error of a frame.
        white_noise: rel. standard deviation of the independent error of a pixel.
        border_gain: how many times larger the smooth errors are at the very border of the image.
        guided_blur_px: Gaussian sigma with which small depth steps are smeared, depth pixels.
        guided_blur_keep: rel. step above which the colour-guided upsampling keeps the edge sharp.
        edge_wander_px: standard deviation of the wrong place of a sharp edge, depth pixels.
        step_risk: rel. depth step (in 3x3 pixels) at which half of the pixels have confidence below 2.
        step_floor: absolute depth step below which confidence stays 2, metres.
        grazing_deg: incidence angle at which half of the pixels have confidence below 2.
        far: range at which half of the pixels have confidence below 2, metres.
        border_px: width of the doubtful band along left, top, right and bottom image border, mean over captures.
        max_range: no depth (0) beyond it, metres; Apple states 5 m for the LiDAR scanner.
        exposure_time: seconds the shutter is open; 1/61 s in every frame of the real captures. 0 disables motion blur.
        exposure_wander: largest relative change of brightness by automatic exposure, slow.
        pixel_noise: standard deviation of picture noise after compression-friendly denoising, of 255.
        drift: standard deviation of ARKit's position drift at the end of a scan, metres. A study of iPad LiDAR finds
            below 1 mm at rest and about 1 cm while moving; 5 mm over a 3 m orbit lies between.
        yaw_drift_deg: standard deviation of ARKit's yaw drift at the end of a scan.
        tilt_deg: standard deviation of the constant gravity error about each horizontal axis; floors fused from the
            real captures lean 0.1 to 0.5 degrees.
        jitter: standard deviation of frame-to-frame position noise, metres.
        jitter_deg: standard deviation of frame-to-frame rotation noise, degrees.
    """

    width: int = 960
    height: int = 720
    focal: float = 0.755
    principal: tuple[float, float] = (0.503, 0.485)
    supersample: int = 3
    static_bias: float = 0.0022
    drifting_bias: float = 0.0020
    bias_px: tuple[float, float] = (28.0, 8.0)
    drift_memory: float = 0.6
    scale_bias: float = 0.002
    scale_wander: float = 0.002
    white_noise: float = 0.0005
    border_gain: float = 2.5
    guided_blur_px: float = 2.3
    guided_blur_keep: float = 0.03
    edge_wander_px: float = 0.6
    step_risk: float = 0.11
    step_floor: float = 0.025
    grazing_deg: float = 82.0
    far: float = 4.2
    border_px: tuple[float, float, float, float] = (11.0, 5.0, 4.0, 1.0)
    max_range: float = 5.0
    exposure_time: float = 1 / 61
    exposure_wander: float = 0.2
    pixel_noise: float = 1.6
    drift: float = 0.004
    yaw_drift_deg: float = 0.35
    tilt_deg: float = 0.15
    jitter: float = 0.0004
    jitter_deg: float = 0.03

    def camera_matrix(self, width: int, height: int) -> Float:
        """The 3x3 pinhole matrix for an image of this phone at `width` x `height` pixels."""
        focal = self.focal * width
        return np.array([[focal, 0, self.principal[0] * width], [0, focal, self.principal[1] * height], [0, 0, 1]])


class DepthSensor:
    """Turns rendered depth into ARKit's depth and confidence maps, frame after frame (the errors have a memory)."""

    def __init__(self, phone: PhoneModel, rng: np.random.Generator) -> None:
        self._phone, self._rng = phone, rng
        self._static = phone.static_bias * self._field(phone.bias_px[0])
        self._drifting = phone.drifting_bias * self._field(phone.bias_px[1])
        self._scale = phone.scale_bias * rng.standard_normal()
        self._wander = phone.scale_wander * rng.standard_normal()
        v, u = np.mgrid[:DEPTH_HEIGHT, :DEPTH_WIDTH].astype(np.float64)
        from_border = np.minimum.reduce([u, v, DEPTH_WIDTH - 1 - u, DEPTH_HEIGHT - 1 - v])
        self._gain = 1 + (phone.border_gain - 1) * np.exp(-from_border / 10.0)
        band = np.maximum(0.0, np.asarray(phone.border_px) + 3.0 * rng.standard_normal(4))
        beyond = [band[0] - u, band[1] - v, band[2] - (DEPTH_WIDTH - 1 - u), band[3] - (DEPTH_HEIGHT - 1 - v)]
        self._border_risk = 1 + np.max(beyond, axis=0) / 8.0
        k = phone.camera_matrix(DEPTH_WIDTH, DEPTH_HEIGHT)
        self._rays = np.stack([(u + 0.5 - k[0, 2]) / k[0, 0], (v + 0.5 - k[1, 2]) / k[1, 1], np.ones_like(u)], axis=-1)
        n = phone.supersample
        self._fine_index = np.mgrid[: DEPTH_HEIGHT * n, : DEPTH_WIDTH * n].astype(np.int32)

    def read(self, rendered: NDArray[np.float32], luminance: Float) -> tuple[NDArray[np.uint16], Image]:
        """One frame.

        Args:
            rendered: float32 [192 * supersample, 256 * supersample], true z in metres.
            luminance: float64 [192, 256] in [0, 1], the picture at depth resolution: dark surfaces return little light.

        Returns:
            depth uint16 [192, 256] in millimetres (0: nothing within range), confidence uint8 [192, 256] in {0, 1, 2}.
        """
        phone, rng = self._phone, self._rng
        # Everything that averages does so in inverse depth, in which planes stay planes.
        inverse = 1.0 / np.clip(rendered.astype(np.float64), 0.05, 50.0)
        inverse = _reduce(self._move_edges(inverse), phone.supersample)
        inverse = self._smear_small_steps(inverse)
        clean = 1.0 / inverse

        memory = phone.drift_memory
        fresh = np.sqrt(1 - memory**2)
        self._drifting = memory * self._drifting + fresh * phone.drifting_bias * self._field(phone.bias_px[1])
        self._wander = 0.9 * self._wander + np.sqrt(1 - 0.81) * phone.scale_wander * rng.standard_normal()
        error = self._scale + self._wander + self._gain * (self._static + self._drifting)
        depth = clean * (1 + error + phone.white_noise * rng.standard_normal(clean.shape))
        depth[clean > phone.max_range] = 0.0
        return np.rint(depth * 1000).astype(np.uint16), self._confidence(clean, luminance)

    def _move_edges(self, inverse: Float) -> Float:
        """Displace large steps by a smooth random field: the upsampling follows the picture's edges only roughly."""
        n = self._phone.supersample
        size = (DEPTH_HEIGHT, DEPTH_WIDTH)
        reach = n * self._phone.edge_wander_px
        fields = np.stack([self._field(2.0), self._field(2.0)])
        shift = np.rint(np.repeat(np.repeat(reach * fields, n, axis=1), n, axis=2)).astype(np.int32)
        y = np.clip(self._fine_index[0] + shift[0], 0, size[0] * n - 1)
        x = np.clip(self._fine_index[1] + shift[1], 0, size[1] * n - 1)
        moved = inverse[y, x]
        is_step = np.abs(moved / inverse - 1) > 2 * self._phone.guided_blur_keep
        return np.where(is_step, moved, inverse)

    def _smear_small_steps(self, inverse: Float) -> Float:
        smooth = ndimage.gaussian_filter(inverse, self._phone.guided_blur_px, mode="nearest")
        weight = np.exp(-(((smooth - inverse) / inverse / self._phone.guided_blur_keep) ** 2))
        return np.asarray(weight * smooth + (1 - weight) * inverse)

    def _confidence(self, clean: Float, luminance: Float) -> Image:
        """Risk below 1 is confidence 2, below 2 is 1, else 0; each cause has its own risk and the largest counts."""
        phone = self._phone
        fine, coarse = self._field(3.0), self._field(6.0)
        bend = np.maximum(_second_difference(clean, 0), _second_difference(clean, 1))
        step = ndimage.maximum_filter(bend, 3)
        relative = np.maximum(step / clean, 1e-4)
        # Fitted to the four measured probabilities: one decade of step is 0.61 of risk, spread 0.47.
        risk = np.where(step > phone.step_floor, 1 + 0.61 * np.log10(relative / phone.step_risk) + 0.47 * fine, 0.0)
        risk = np.maximum(risk, self._border_risk + 0.6 * coarse)
        risk = np.maximum(risk, 1 + (self._incidence_deg(clean) - phone.grazing_deg) / 8.0 + 0.5 * coarse)
        risk = np.maximum(risk, 1 + (clean - phone.far) / 1.0 + 0.6 * coarse)
        # Black paint, or a highlight that blinds the receiver, makes a doubtful pixel worse but spoils no good one:
        # the near-black floor of the real table top had confidence 2 throughout.
        doubtful = (luminance < 0.03) | (luminance > 0.98)
        risk = risk + np.where(doubtful & (risk > 0.6), 0.4, 0.0)
        confidence = np.where(risk < 1, 2, np.where(risk < 2, 1, 0))
        confidence[clean > phone.max_range] = 0
        return confidence.astype(np.uint8)

    def _incidence_deg(self, clean: Float) -> Float:
        points = self._rays * clean[..., None]
        normal = np.cross(np.gradient(points, axis=1), np.gradient(points, axis=0))
        length = np.linalg.norm(normal, axis=-1) * np.linalg.norm(points, axis=-1)
        cosine = np.abs(np.sum(normal * points, axis=-1)) / np.maximum(length, 1e-12)
        near_step = ndimage.maximum_filter(_second_difference(clean, 0) + _second_difference(clean, 1), 3) > 0.01
        return np.where(
            near_step, 0.0, np.degrees(np.arccos(np.clip(cosine, 0, 1)))
        )  # normals across a step mean nothing

    def _field(self, sigma: float) -> Float:
        """A smooth random field, unit variance, float64 [192, 256], correlated over `sigma` pixels."""
        # Filtered on a coarser grid and interpolated: the same field, cheaply.
        stride = max(1, int(sigma / 2))
        margin = 2
        shape = (DEPTH_HEIGHT // stride + 2 * margin, DEPTH_WIDTH // stride + 2 * margin)
        scaled = sigma / stride
        noise = ndimage.gaussian_filter(self._rng.standard_normal(shape), scaled, mode="wrap")
        noise *= 2 * np.sqrt(np.pi) * scaled  # the filter lowers the variance of white noise by 4 pi sigma^2
        if stride > 1:
            noise = ndimage.zoom(noise, stride, order=1)
        start = (noise.shape[0] - DEPTH_HEIGHT) // 2, (noise.shape[1] - DEPTH_WIDTH) // 2
        return np.asarray(noise[start[0] : start[0] + DEPTH_HEIGHT, start[1] : start[1] + DEPTH_WIDTH])


class ColorSensor:
    """Automatic exposure, motion blur and noise on rendered pictures."""

    def __init__(self, phone: PhoneModel, rng: np.random.Generator) -> None:
        self._phone, self._rng = phone, rng
        self._rate = rng.uniform(0.02, 0.08, 3)
        self._phase = rng.uniform(0, 2 * np.pi, 3)
        self._exposure: float | None = None
        # One tile of noise, cropped at random: fresh noise for every pixel costs more than the rendering.
        self._noise = (phone.pixel_noise * rng.standard_normal((phone.height + 64, phone.width + 64, 3))).astype(
            np.float32
        )

    def read(self, rendered: Image, time: float, blur: Float) -> Image:
        """One picture.

        Args:
            rendered: uint8 [H, W, 3].
            time: seconds since the start; exposure changes slowly with it.
            blur: float64 [2], pixels (x, y) by which the picture moves while the shutter is open.
        """
        # Automatic exposure follows the brightness of the picture, slowly and not all the way.
        wanted = np.log(_MIDDLE_GREY / max(float(rendered.mean()), 8.0)) * 2.2 * 0.7
        self._exposure = wanted if self._exposure is None else 0.85 * self._exposure + 0.15 * wanted
        wander = 1 + self._phone.exposure_wander * float(np.mean(np.sin(2 * np.pi * self._rate * time + self._phase)))
        gain = np.exp(np.clip(self._exposure, -1.5, 1.5)) * wander
        image = rendered.astype(np.float32)
        taps = int(np.ceil(np.hypot(*blur))) + 1
        if taps > 1:
            steps = np.rint(np.linspace(-0.5, 0.5, taps)[:, None] * blur).astype(int)
            image = np.mean([np.roll(image, (dy, dx), axis=(0, 1)) for dx, dy in steps], axis=0, dtype=np.float32)
        image *= gain ** (1 / 2.2)  # a gain of light is a power of it on a gamma-encoded picture
        y, x = self._rng.integers(0, 64, 2)
        image += self._noise[y : y + image.shape[0], x : x + image.shape[1]]
        return np.asarray(np.clip(np.rint(image), 0, 255).astype(np.uint8))


def _reduce(fine: Float, n: int) -> Float:
    """Mean over n x n blocks."""
    h, w = fine.shape
    return np.asarray(fine.reshape(h // n, n, w // n, n).mean(axis=(1, 3)))


def _second_difference(z: Float, axis: int) -> Float:
    """|z[i-1] - 2 z[i] + z[i+1]|: a step without the slope of the surface it stands on."""
    padded = np.pad(z, [(1, 1) if a == axis else (0, 0) for a in range(2)], mode="edge")
    ahead = np.take(padded, range(2, padded.shape[axis]), axis=axis)
    behind = np.take(padded, range(0, padded.shape[axis] - 2), axis=axis)
    return np.asarray(np.abs(ahead + behind - 2 * z))
