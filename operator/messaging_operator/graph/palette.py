"""The colours of a picture, by kind of node; `mermaid` and `svg` draw with the same ones."""

from dataclasses import dataclass

from messaging_operator.graph.model import Kind


@dataclass(frozen=True)
class Colors:
    """Of one box."""

    fill: str
    stroke: str
    text: str


_OURS = Colors("#dafbe1", "#2da44e", "#0b4a1e")
_OUTSIDE = Colors("#f6f8fa", "#8c959f", "#32383f")
_OURS_IN_THE_DARK = Colors("#12261e", "#2ea043", "#aff5b4")
_OUTSIDE_IN_THE_DARK = Colors("#161b22", "#6e7681", "#c9d1d9")

LIGHT = {
    Kind.CLIENT: _OUTSIDE,
    Kind.GATEWAY: _OURS,
    Kind.MESSAGING: _OURS,
    Kind.TOPIC: Colors("#ddf4ff", "#218bff", "#0a3069"),
    Kind.BILLING: _OURS,
    Kind.SINK: _OURS,
    Kind.DEAD_LETTER: Colors("#fff5f4", "#cf222e", "#82071e"),
    Kind.STORE: Colors("#fff8c5", "#bf8700", "#4d2d00"),
    Kind.THIRD_PARTY: _OUTSIDE,
}
DARK = {
    Kind.CLIENT: _OUTSIDE_IN_THE_DARK,
    Kind.GATEWAY: _OURS_IN_THE_DARK,
    Kind.MESSAGING: _OURS_IN_THE_DARK,
    Kind.TOPIC: Colors("#121d2f", "#388bfd", "#cae8ff"),
    Kind.BILLING: _OURS_IN_THE_DARK,
    Kind.SINK: _OURS_IN_THE_DARK,
    Kind.DEAD_LETTER: Colors("#25171c", "#f85149", "#ffc1ba"),
    Kind.STORE: Colors("#272115", "#bb8009", "#f8e3a1"),
    Kind.THIRD_PARTY: _OUTSIDE_IN_THE_DARK,
}
