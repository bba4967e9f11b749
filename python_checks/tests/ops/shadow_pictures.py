"""Reads the report's pictures as a person does: by the labels of their axes."""

from __future__ import annotations

import re
from xml.etree import ElementTree

_POINT = re.compile(r"M\s*(-?[\d.]+)[ ,](-?[\d.]+)")


class Picture:
    """One SVG. Values come from pixel positions and the axis labels alone, never from the code that drew them."""

    def __init__(self, svg: str) -> None:
        self.root = ElementTree.fromstring(svg)
        self.width, self.height = (float(part) for part in self.root.attrib["viewBox"].split()[2:])

    def labels(self, kind: str, axis: str) -> list[tuple[float, float]]:
        """(pixel, number) of each axis label; a label's text stands 4 below its value."""
        shift = 4.0 if axis == "y" else 0.0
        return [
            (float(one.attrib[axis]) - shift, float(str(one.text)))
            for one in self.root.findall(f"text[@class='{kind}']")
        ]

    def value(self, pixel: float, axis: str) -> float:
        """The number at a pixel, by the two outermost labels (with one label alone, that label's)."""
        labels = self.labels(f"tick-{axis}", axis)
        (first, low), (last, high) = labels[0], labels[-1]
        return low if first == last else low + (pixel - first) / (last - first) * (high - low)

    def pixels(self, kind: str) -> list[tuple[float, float]]:
        """Where the marks of a class are, in their order."""
        found = []
        for one in self.root.iter():
            if one.attrib.get("class") != kind:
                continue
            if one.tag == "circle":
                found.append((float(one.attrib["cx"]), float(one.attrib["cy"])))
            elif one.tag == "path":
                found += [(float(x), float(y)) for x, y in _POINT.findall(one.attrib["d"])]
        return found

    def points(self, kind: str) -> list[tuple[float, float]]:
        """The marks of a class as values of both axes."""
        return [(self.value(x, "x"), self.value(y, "y")) for x, y in self.pixels(kind)]

    def titles(self, kind: str) -> list[str]:
        """What is said of each mark of a class."""
        return [str(one.findtext("title")) for one in self.root.iter() if one.attrib.get("class") == kind]

    def numbers(self) -> list[float]:
        """Every number of the picture's geometry."""
        texts = [
            value
            for one in self.root.iter()
            for name, value in one.attrib.items()
            if name not in ("class", "role", "aria-label", "text-anchor", "viewBox")
        ]
        return [float(number) for text in texts for number in re.findall(r"-?(?:\d+\.?\d*|nan|inf)", text)]
