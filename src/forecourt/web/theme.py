"""The site's accent colour, made readable: the one colour that a maker chooses (setting ``Theme/Accent``, ``#rrggbb``).

From it come a colour for light and one for dark pages, its lightness moved until text in it reaches a contrast of
4.5:1 on the page (WCAG 2.2, 1.4.3), and the colour of text upon it.
"""

from __future__ import annotations

import colorsys
import re

DEFAULT = "#0f6b5c"

_LIGHT_PAGE = (0xF6, 0xF7, 0xF8)
_DARK_PAGE = (0x1E, 0x23, 0x29)
_CONTRAST = 4.8

Rgb = tuple[int, int, int]


def stylesheet(accent: str) -> str:
    """The style sheet that sets the accent; the default one for what is no ``#rrggbb``."""
    colour = accent.strip() if re.fullmatch(r"#[0-9a-fA-F]{6}", accent.strip()) else DEFAULT
    base = _parse(colour)
    light = _readable(base, _LIGHT_PAGE, 0.0)
    dark = _readable(base, _DARK_PAGE, 1.0)
    return (
        f":root{{{_tokens(light)}}}\n"
        f"@media (prefers-color-scheme: dark){{:root{{{_tokens(dark)}}}}}\n"
        f"@media print{{:root{{{_tokens(light)}}}}}\n"
    )


def _tokens(colour: Rgb) -> str:
    red, green, blue = colour
    on = "#ffffff" if contrast(colour, (255, 255, 255)) >= 4.5 else "#10151a"
    return (
        f"--fc-accent:#{red:02x}{green:02x}{blue:02x};--fc-accent-rgb:{red},{green},{blue};--fc-on-accent:{on};"
        f"--bs-link-color-rgb:{red},{green},{blue};--bs-link-hover-color-rgb:{red},{green},{blue}"
    )


def contrast(one: Rgb, other: Rgb) -> float:
    """The contrast ratio of two colours.

    >>> round(contrast((0, 0, 0), (255, 255, 255)), 1)
    21.0
    """
    high, low = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: Rgb) -> float:
    parts = [value / 255 for value in colour]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _readable(colour: Rgb, page: Rgb, lightest: float) -> Rgb:
    """The colour, its lightness moved towards ``lightest`` (0 black, 1 white) as far as it must."""
    hue, lightness, saturation = colorsys.rgb_to_hls(*(value / 255 for value in colour))
    for step in range(51):
        moved = lightness + (lightest - lightness) * step / 50
        red, green, blue = (round(part * 255) for part in colorsys.hls_to_rgb(hue, moved, saturation))
        if contrast((red, green, blue), page) >= _CONTRAST:
            return red, green, blue
    return (0, 0, 0) if lightest < 0.5 else (255, 255, 255)


def _parse(text: str) -> Rgb:
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)
