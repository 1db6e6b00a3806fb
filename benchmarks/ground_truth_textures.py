"""Procedural pictures for the benchmark's surfaces: wood, stone, plaster, packages, labels, glaze; uint8 RGB."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
Image = NDArray[np.uint8]


def noise(rng: np.random.Generator, height: int, width: int, scale: tuple[float, float], octaves: int = 4) -> Float:
    """Tileable fractal noise in [0, 1], float64 [height, width]; `scale` is the coarsest feature in pixels (y, x)."""
    fy, fx = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)
    total = np.zeros((height, width))
    for k in range(octaves):  # white noise through Gaussian filters, in the frequency domain: wide ones cost no more
        sy, sx = (max(s / 2**k / 2, 0.4) for s in scale)
        spectrum = np.fft.rfft2(rng.standard_normal((height, width)))
        spectrum *= np.exp(-2 * np.pi**2 * ((sy * fy) ** 2 + (sx * fx) ** 2))
        layer = np.fft.irfft2(spectrum, (height, width))
        total += layer / layer.std() / 1.6**k
    low, high = np.percentile(total, [1, 99])
    return np.asarray(np.clip((total - low) / (high - low), 0, 1))


def wood_texture(rng: np.random.Generator) -> Image:
    """Wood with long grain and growth rings, 512 x 512."""
    grain = noise(rng, 512, 512, (6, 160), 4)
    rings = 0.5 + 0.5 * np.sin(2 * np.pi * (np.linspace(0, 7, 512)[:, None] + 2.0 * noise(rng, 512, 512, (90, 400), 2)))
    light = np.array([rng.uniform(150, 215), rng.uniform(105, 150), rng.uniform(60, 95)]) * rng.uniform(0.55, 1.0)
    blend = 0.6 * grain + 0.4 * rings
    return _to_image(light * (0.62 + 0.45 * blend[..., None]))


def stone_texture(rng: np.random.Generator) -> Image:
    """Marble veins on a light or dark ground with fine speckle, 512 x 512."""
    veins = np.abs(noise(rng, 512, 512, (90, 90), 5) - 0.5) * 2
    base = rng.uniform(90, 225) * np.array([1.0, rng.uniform(0.95, 1.0), rng.uniform(0.88, 1.0)])
    speckle = rng.standard_normal((512, 512, 1)) * 7
    return _to_image(base * (0.7 + 0.3 * np.sqrt(veins))[..., None] + speckle)


def plaster_texture(rng: np.random.Generator) -> Image:
    """A painted wall, 256 x 256."""
    tone = rng.uniform(170, 230) * np.array([1.0, rng.uniform(0.95, 1.0), rng.uniform(0.88, 1.0)])
    return _to_image(tone * (0.93 + 0.1 * noise(rng, 256, 256, (60, 60), 5))[..., None])


def package_texture(rng: np.random.Generator) -> Image:
    """Three sides of a package: ground colour, and print, stripes, speckle or nothing on it, 128 x 384."""
    ground, ink = 255 * np.array(colour(rng)), 255 * np.array(colour(rng))
    image = np.tile(ground, (128, 384, 1))
    style = rng.integers(4)
    for side in range(3):
        panel = image[:, 128 * side : 128 * side + 128]
        if style == 0:  # print
            top = int(rng.integers(10, 50))
            panel[top : top + int(rng.integers(20, 45))] = ink
            for _ in range(int(rng.integers(4, 9))):
                y, x = rng.integers(8, 115, 2)
                panel[y : y + 5, x : x + int(rng.integers(10, 60))] = 255 * np.array(colour(rng))
        elif style == 1:  # stripes
            period = int(rng.integers(12, 30))
            panel[:, (np.arange(128) // (period // 2)) % 2 == 0] = ink
        elif style == 2:  # speckle
            panel[noise(rng, 128, 128, (10, 10), 2) > 0.7] = ink
        # style 3: plain
    return _to_image(image * (0.96 + 0.08 * noise(rng, 128, 384, (20, 20), 3))[..., None])


def label_texture(rng: np.random.Generator) -> Image:
    """What is wrapped around a can or bottle, 128 (along the profile) x 256 (around)."""
    ground, band, ink = (255 * np.array(colour(rng)) for _ in range(3))
    image = np.tile(ground, (128, 256, 1))
    low = int(rng.integers(30, 55))
    if rng.random() < 0.8:
        image[low : low + int(rng.integers(25, 50))] = band
        for _ in range(int(rng.integers(4, 10))):
            y, x = int(rng.integers(low, low + 30)), int(rng.integers(0, 220))
            image[y : y + int(rng.integers(3, 12)), x : x + int(rng.integers(8, 36))] = ink
    return _to_image(image * (0.97 + 0.06 * noise(rng, 128, 256, (12, 12), 2))[..., None])


def ceramic_texture(rng: np.random.Generator) -> Image:
    """Glaze: plain, with a painted ring, or speckled, 128 x 128."""
    pale = rng.random() < 0.6
    ground = rng.uniform(190, 240) * np.array([1, 0.98, 0.94]) if pale else 255 * np.array(colour(rng))
    image = np.tile(ground, (128, 128, 1))
    style = rng.integers(3)
    if style == 1:
        start = int(rng.integers(30, 55))
        image[start : start + int(rng.integers(4, 14))] = 255 * np.array(colour(rng))
    elif style == 2:
        image[noise(rng, 128, 128, (4, 4), 2) > 0.85] *= 0.6
    return _to_image(image * (0.97 + 0.06 * noise(rng, 128, 128, (16, 16), 2))[..., None])


def colour(rng: np.random.Generator) -> tuple[float, float, float]:
    """A random paint or print colour, RGB in [0, 1]."""
    import colorsys

    return colorsys.hsv_to_rgb(rng.random(), rng.uniform(0.15, 0.85), rng.uniform(0.3, 0.95))


def _to_image(values: Float) -> Image:
    return np.asarray(np.clip(np.rint(values), 0, 255).astype(np.uint8))
