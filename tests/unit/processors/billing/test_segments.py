"""How many segments a text takes: at every boundary, and for any text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messaging_processors.billing.segments import segments

GSM = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENSION = "\f^{}\\[~]|€"
EMOJI = "\N{GRINNING FACE}"


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 1),
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 306, 2),
        ("a" * 307, 3),
        ("€" * 80, 1),
        ("€" * 80 + "a", 2),
        ("a" * 158 + "€", 1),
        ("a" * 159 + "€", 2),
        ("a" * 152 + "€" + "a" * 151, 2),
        ("a" * 152 + "€" + "a" * 152, 3),  # the pair moves as a whole and leaves a septet empty
        ("a" * 151 + "€" + "a" * 153, 2),
        ("Ω" * 160, 1),
        ("ç" * 70, 1),  # the small one is not in the alphabet, its capital is
        ("ç" * 71, 2),
        ("Ç" * 160, 1),
        ("`" * 71, 2),
        ("ї" * 134, 2),
        ("ї" * 135, 3),
        (EMOJI * 35, 1),
        (EMOJI * 35 + "a", 2),
        ("ї" * 66 + EMOJI + "ї" * 65, 2),
        ("ї" * 66 + EMOJI + "ї" * 66, 3),  # the same with a surrogate pair
        ("a" * 1600, 11),
        ("ї" * 1600, 24),
    ],
)
def test_boundaries(text: str, count: int) -> None:
    assert segments(text) == count


def test_every_character_of_the_alphabet_takes_one_septet_and_of_its_extension_two() -> None:
    assert len(set(GSM)) == 127, "and the escape itself"
    assert [letter for letter in GSM if segments(letter * 160) != 1] == []
    assert [letter for letter in EXTENSION if (segments(letter * 80), segments(letter * 81)) != (1, 2)] == []


def parts(units: list[int], alone: int, of_several: int) -> int:
    """The definition: as many units as fit into each segment, whole characters only."""
    if sum(units) <= alone:
        return 1
    count = 0
    while units:
        fitting = max(number for number in range(len(units) + 1) if sum(units[:number]) <= of_several)
        units, count = units[fitting:], count + 1
    return count


@given(st.text(st.sampled_from(GSM + EXTENSION), max_size=700))
def test_gsm_texts(text: str) -> None:
    assert segments(text) == parts([1 + (letter in EXTENSION) for letter in text], 160, 153)


@given(st.text(max_size=400).map(lambda text: text + "ї"))
def test_other_texts_as_utf_16_has_them(text: str) -> None:
    units = [len(letter.encode("utf-16-le")) // 2 for letter in text]
    assert segments(text) == parts(units, 70, 67)


@given(st.text(max_size=400), st.text(max_size=400))
def test_more_text_never_takes_fewer_segments(text: str, more: str) -> None:
    assert 1 <= segments(text) <= segments(text + more)
