"""Shades of a share, one hue from light to dark, so that who sees no colours sees them; and ink that stands out."""

from __future__ import annotations

_LIGHT, _DARK = (0xEE, 0xF4, 0xFB), (0x08, 0x30, 0x6B)
_INKS = ("#000000", "#ffffff")


def shade(share: float) -> tuple[str, str]:
    """Background and ink, "#rrggbb", of a share in [0, 1]."""
    paper = tuple(round(a + (b - a) * share) for a, b in zip(_LIGHT, _DARK, strict=True))
    told = "#" + "".join(f"{each:02x}" for each in paper)
    return told, max(_INKS, key=lambda ink: contrast(told, ink))


def contrast(first: str, second: str) -> float:
    """Contrast ratio of two colours "#rrggbb", from 1 to 21 (WCAG 2.2, 1.4.3: text needs 4.5)."""
    dark, light = sorted((_luminance(first), _luminance(second)))
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    """Relative luminance in [0, 1] of sRGB (WCAG 2.2)."""
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    red, green, blue = (each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
