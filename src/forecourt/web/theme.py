"""The look as tokens: every colour, size and distance of pages, for light and dark, in one style sheet.

A maker sets the accent (site setting ``Theme/Accent``, ``#rrggbb``) and any other token by its name
(``Theme/Token/radius`` for ``--fc-radius``; ``Theme/Light/page``, ``Theme/Dark/page`` for a colour of one palette).
The accent's lightness is moved until text in it reaches a contrast of 4.5:1 on the page (WCAG 2.2, 1.4.3), in each
palette. Which palette is shown is the browser's preference, or what the person chose (``data-theme``).

Leaves out what pages do with tokens: ``forecourt.css``.
"""

from __future__ import annotations

import colorsys
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

DEFAULT: Final = "#0f6b5c"

_CONTRAST = 4.8

Rgb = tuple[int, int, int]

LIGHT: Final[Mapping[str, str]] = {
    "page": "#f6f7f8",
    "surface": "#ffffff",
    "raised": "#ffffff",
    "sunken": "#eef0f2",
    "line": "#dfe3e7",
    "line-strong": "#7d8690",
    "text": "#171c22",
    "quiet": "#59636e",
    "good": "#176639",
    "good-bg": "#e3f3e9",
    "warn": "#7d4e00",
    "warn-bg": "#fdf1d8",
    "bad": "#a8211c",
    "bad-bg": "#fdeae8",
    "info": "#1d5286",
    "info-bg": "#e5f0fb",
    "plain": "#4a535d",
    "plain-bg": "#edeff2",
}
DARK: Final[Mapping[str, str]] = {
    "page": "#14181d",
    "surface": "#1c2128",
    "raised": "#252b33",
    "sunken": "#232931",
    "line": "#333b45",
    "line-strong": "#7f8a96",
    "text": "#e8ebee",
    "quiet": "#a3adb8",
    "good": "#7fd6a2",
    "good-bg": "#173526",
    "warn": "#f0c064",
    "warn-bg": "#3a2d11",
    "bad": "#ff9c94",
    "bad-bg": "#43201e",
    "info": "#90c4f7",
    "info-bg": "#17304a",
    "plain": "#c2cad2",
    "plain-bg": "#2c333c",
}
_SHADOWS: Final[Mapping[str, Mapping[str, str]]] = {
    "light": {"shadow": "0 1px 2px rgb(20 28 36 / 6%)", "shadow-menu": "0 8px 24px rgb(20 28 36 / 16%)"},
    "dark": {"shadow": "none", "shadow-menu": "0 8px 24px rgb(0 0 0 / 48%)"},
}

_PAPER: Final = (
    "--fc-page:#fff;--fc-surface:#fff;--fc-sunken:#fff;--fc-text:#000;--fc-quiet:#333;--fc-line:#bbb;--fc-shadow:none;"
)

#: Everything that is no colour; the same in both palettes.
SHAPE: Final[Mapping[str, str]] = {
    "font": 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", sans-serif',
    "font-size": "0.9375rem",
    "line-height": "1.6",
    "radius": "8px",
    "radius-small": "6px",
    "space": "8px",
    "width": "1280px",
    "gutter": "16px",
}

#: Which colours stand upon which, with the contrast that each pair must have: 4.5 for text, 3 for what marks a control.
PAIRS: Final[tuple[tuple[str, str, float], ...]] = (
    *((text, ground, 4.5) for text in ("text", "quiet", "accent") for ground in ("page", "surface", "raised")),
    *((text, "sunken", 4.5) for text in ("text", "quiet")),
    *((tone, f"{tone}-bg", 4.5) for tone in ("good", "warn", "bad", "info", "plain")),
    ("on-accent", "accent", 4.5),
    *(("line-strong", ground, 3.0) for ground in ("page", "surface", "raised")),
)

_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
_VALUE = re.compile(r"[A-Za-z0-9 .,%\"'#/-]{1,200}")
_PORTAL = re.compile(r"--portalThemeColor1\s*:\s*(#[0-9a-fA-F]{6})\b")


@dataclass(frozen=True)
class Theme:
    """What a maker has set. ``accent``: ``#rrggbb``; ``light``, ``dark``: colours by token; ``shape``: other tokens."""

    accent: str = DEFAULT
    light: Mapping[str, str] = field(default_factory=dict)
    dark: Mapping[str, str] = field(default_factory=dict)
    shape: Mapping[str, str] = field(default_factory=dict)

    def palette(self, *, dark: bool) -> Mapping[str, str]:
        """The colours of light or dark pages, the accent and what stands on it among them."""
        colours = {**(DARK if dark else LIGHT), **(self.dark if dark else self.light)}
        grounds = [_parse(colours[name]) for name in ("page", "surface", "raised")]
        accent = _readable(_parse(self.accent), grounds, 1.0 if dark else 0.0)
        on = "#ffffff" if contrast(accent, (255, 255, 255)) >= 4.5 else "#10151a"
        return {**colours, "accent": _text(accent), "on-accent": on}

    @property
    def faults(self) -> tuple[str, ...]:
        """Pairs of colours that cannot be read well enough, as sentences."""
        found = []
        for name, dark in (("light", False), ("dark", True)):
            colours = self.palette(dark=dark)
            for upper, ground, least in PAIRS:
                ratio = contrast(_parse(colours[upper]), _parse(colours[ground]))
                if ratio < least:
                    found.append(f"{name}: {upper} on {ground} has a contrast of {ratio:.1f}, below {least}")
        return tuple(found)


def from_settings(settings: Mapping[str, str], style_sheets: tuple[str, ...] = ()) -> Theme:
    """The theme of a site: its settings, else the first colour of a theme that was made with the original's editor
    (``--portalThemeColor1`` in ``style_sheets``). What is no colour, or no plain value, is passed over."""
    known = {name.lower(): value.strip() for name, value in settings.items()}
    accent = known.get("theme/accent", "")
    if not _COLOUR.fullmatch(accent):
        accent = next((found[-1] for text in style_sheets if (found := _PORTAL.findall(text))), DEFAULT)

    def given(kind: str, names: Mapping[str, str], pattern: re.Pattern[str]) -> dict[str, str]:
        values = ((name, known.get(f"theme/{kind}/{name}", "")) for name in names)
        return {name: value for name, value in values if pattern.fullmatch(value)}

    return Theme(accent, given("light", LIGHT, _COLOUR), given("dark", DARK, _COLOUR), given("token", SHAPE, _VALUE))


def stylesheet(theme: Theme) -> str:
    """The style sheet of all tokens: light, dark where the browser or the person wants it, light on paper."""
    light = _declared({**theme.palette(dark=False), **_SHADOWS["light"]}, "light")
    dark = _declared({**theme.palette(dark=True), **_SHADOWS["dark"]}, "dark")
    shape = "".join(f"--fc-{name}:{value};" for name, value in {**SHAPE, **theme.shape}.items())
    return (
        f":root{{{shape}{light}}}\n"
        f"@media (prefers-color-scheme: dark){{:root:not([data-theme=light]){{{dark}}}}}\n"
        f":root[data-theme=dark]{{{dark}}}\n"
        f"@media print{{:root:root{{{light}{_PAPER}}}}}\n"
    )


def _declared(tokens: Mapping[str, str], scheme: str) -> str:
    red, green, blue = _parse(tokens["accent"])
    colours = "".join(f"--fc-{name}:{value};" for name, value in tokens.items())
    names = ("--fc-accent-rgb", "--bs-link-color-rgb", "--bs-link-hover-color-rgb")
    rgb = "".join(f"{name}:{red},{green},{blue};" for name in names)
    return f"{colours}{rgb}color-scheme:{scheme};"


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


def _readable(colour: Rgb, grounds: list[Rgb], lightest: float) -> Rgb:
    """The colour, its lightness moved towards ``lightest`` (0 black, 1 white) as far as it must."""
    hue, lightness, saturation = colorsys.rgb_to_hls(*(value / 255 for value in colour))
    for step in range(51):
        moved = lightness + (lightest - lightness) * step / 50
        red, green, blue = (round(part * 255) for part in colorsys.hls_to_rgb(hue, moved, saturation))
        if all(contrast((red, green, blue), ground) >= _CONTRAST for ground in grounds):
            return red, green, blue
    return (0, 0, 0) if lightest < 0.5 else (255, 255, 255)


def _parse(text: str) -> Rgb:
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)


def _text(colour: Rgb) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)
