"""How many segments a text takes as SMS, pure. Called by `handling`.

A text of the GSM 7 bit default alphabet and its extension table (3GPP TS 23.038 §6.2.1, §6.2.1.1) fills 160 septets, an
extension character takes two of them; any other goes as UCS-2, 70 code units of UTF-16. Where one segment is too small
each one carries a header of six octets (3GPP TS 23.040 §9.2.3.24.1, 8 bit reference), which leaves room for 153 septets
or 67 code units. What takes two, an escape and its character or a surrogate pair, is never parted.
"""

from collections.abc import Iterable

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENSION = frozenset("\f^{}\\[~]|€")
_GSM = _BASIC | _EXTENSION
_SEPTETS, _SEPTETS_OF_SEVERAL = 160, 153
_UNITS, _UNITS_OF_SEVERAL = 70, 67


def segments(text: str) -> int:
    """At least one: a text of nothing is sent, too."""
    if _GSM.issuperset(text):
        return _segments((2 if letter in _EXTENSION else 1 for letter in text), _SEPTETS, _SEPTETS_OF_SEVERAL)
    return _segments((2 if letter > "\uffff" else 1 for letter in text), _UNITS, _UNITS_OF_SEVERAL)


def _segments(widths: Iterable[int], alone: int, of_several: int) -> int:
    total, count, free = 0, 1, of_several
    for width in widths:
        total += width
        if width > free:
            count, free = count + 1, of_several
        free -= width
    return 1 if total <= alone else count
