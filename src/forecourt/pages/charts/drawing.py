"""The geometry of a figure: where bars, points and slices stand in a drawing of 400 units' width.

Numbers only; colours, type and words are the template's and the style sheet's. Values below zero hang from the line.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from forecourt.pages.charts.figures import Figure, Point

WIDTH = 400
TALL = 240
_TOP, _BOTTOM = 24, 32
_ROW = 28
_NAMES = 136

#: Units of a sign's width in words and in figures, and of the room that a name needs at least.
_SIGN, _FIGURE, _ROOM = 6.4, 7.6, 54


@dataclass(frozen=True, slots=True)
class Mark:
    """A bar, or the point of a line: its rectangle, its middle, and the texts beside it ('' where there is no room)."""

    x: float
    y: float
    width: float
    height: float
    name: str
    shown: str
    text_x: float
    text_y: float

    @property
    def middle(self) -> float:
        return round(self.x + self.width / 2, 1)


@dataclass(frozen=True, slots=True)
class Slice:
    """A slice of a pie. ``path``: as SVG has it; ``number``: which one, at ``x``, ``y``; ``share``: in percent."""

    path: str
    number: int
    x: float
    y: float
    point: Point
    share: int


def upright(figure: Figure) -> tuple[tuple[Mark, ...], float]:
    """Columns, or points of a line, and the height of the line that they stand on. A value is written where its text
    meets no column beside it; texts stay within the drawing."""
    points = figure.points
    low, high = _span(points)
    room = WIDTH / max(len(points), 1)
    every = max(1, math.ceil(_ROOM / room))
    wide = min(40.0, room * 0.7)
    scale = (TALL - _TOP - _BOTTOM) / (high - low)
    zero = _TOP + high * scale
    tops = [zero - float(point.value) * scale for point in points]
    marks = []
    for place, (point, top) in enumerate(zip(points, tops, strict=True)):
        middle = room * (place + 0.5)
        named = place % every == 0
        name = _short(point.label, room * every, _FIGURE) if named else ""
        half = len(point.shown) * _FIGURE / 2
        beside = math.ceil((half + wide / 2) / room) - 1
        covered = any(other < top for other in tops[max(place - beside, 0) : place + beside + 1])
        shown = point.shown if named and 2 * half <= room * every and not covered else ""
        text = max(len(name), len(shown)) * _FIGURE / 2
        marks.append(
            Mark(
                round(middle - wide / 2, 1),
                round(min(top, zero), 1),
                round(wide, 1),
                round(max(abs(zero - top), 1.0), 1),
                name,
                shown,
                round(min(max(middle, text), WIDTH - text), 1),
                round(top - 6 if top <= zero else top + 14, 1),
            )
        )
    return tuple(marks), round(zero, 1)


def lying(figure: Figure) -> tuple[tuple[Mark, ...], float]:
    """Bars one below the other, and the height of all."""
    low, high = _span(figure.points)
    longest = max((len(point.shown) for point in figure.points), default=0) * _FIGURE + 8
    scale = max(WIDTH - _NAMES - longest, 60) / (high - low)
    zero = _NAMES - low * scale
    marks = []
    for place, point in enumerate(figure.points):
        value = float(point.value)
        length = max(abs(value) * scale, 1.0)
        left = zero if value >= 0 else zero - length
        y = place * _ROW + 4
        name = _short(point.label, _NAMES - 8)
        marks.append(
            Mark(round(left, 1), y, round(length, 1), _ROW - 8, name, point.shown, round(left + length + 6, 1), y + 15)
        )
    return tuple(marks), len(figure.points) * _ROW + 8


def slices(figure: Figure, hollow: bool) -> tuple[Slice, ...]:
    """A pie's slices, in a square of 200 units; values below zero have none."""
    points = [point for point in figure.points if point.value > 0]
    total = float(sum(point.value for point in points)) or 1.0
    found: list[Slice] = []
    at = -math.pi / 2
    for number, point in enumerate(points, 1):
        share = float(point.value) / total
        end = at + share * 2 * math.pi
        middle = (at + end) / 2
        inner = 52.0 if hollow else 0.0
        reach = 74.0 if hollow else 62.0
        x, y = 100 + reach * math.cos(middle), 100 + reach * math.sin(middle)
        found.append(Slice(_sector(at, end, inner), number, round(x, 1), round(y, 1), point, round(share * 100)))
        at = end
    return tuple(found)


def _sector(start: float, end: float, inner: float) -> str:
    outer = 94.0
    if end - start >= 2 * math.pi - 1e-9:
        end = start + 2 * math.pi - 1e-4  # an arc that ends where it begins is none
    large = 1 if end - start > math.pi else 0

    def at(angle: float, radius: float) -> str:
        return f"{100 + radius * math.cos(angle):.2f} {100 + radius * math.sin(angle):.2f}"

    arc = f"M{at(start, outer)}A{outer:g} {outer:g} 0 {large} 1 {at(end, outer)}"
    if not inner:
        return f"{arc}L100 100Z"
    return f"{arc}L{at(end, inner)}A{inner:g} {inner:g} 0 {large} 0 {at(start, inner)}Z"


def _span(points: Sequence[Point]) -> tuple[float, float]:
    """From the least to the greatest value, zero included; never empty."""
    values = [float(point.value) for point in points]
    low, high = min([0.0, *values]), max([0.0, *values])
    return (low, high) if high > low else (0.0, 1.0)


def _short(text: str, room: float, sign: float = _SIGN) -> str:
    most = max(3, int(room / sign))
    return text if len(text) <= most else f"{text[: most - 1].rstrip()}…"
