"""Printed text as a terminal shows it."""

from __future__ import annotations

import time

import pytest

from airflow_provider_datalore.notebooks.terminal import MAX_TERMINAL_CHARS, displayed

BAR = "".join(f"\r{done:3}%|{'█' * (done // 10):10}| {done}/100" for done in range(101))


@pytest.mark.parametrize(
    ("printed", "shown"),
    [
        ("one\ntwo\n", "one\ntwo\n"),
        ("one\r\ntwo\r\n", "one\ntwo\n"),
        ("one\r\r\ntwo", "one\ntwo"),
        ("\r25 %\r50 %\rdone: 42", "done: 42"),
        ("100 %\r42", "420 %"),
        ("100 %\r\x1b[K42", "42"),
        ("100 %\r     \r42", "42"),
        ("100 %\x1b[2K\r42", "42"),
        ("-\b\\\b|\b/\bok", "ok"),
        ("\b\bok", "ok"),
        ("N\bNA\bA", "NA"),
        (BAR, "100%|██████████| 100/100"),
        ("start\n" + BAR + "\nend\n", "start\n100%|██████████| 100/100\nend\n"),
        ("outer 0\ninner 0\x1b[A\router 1\n\rinner 1", "outer 1\ninner 1"),
        ("a\nb\n\x1b[2A\x1b[Jc\n", "c\n"),
        ("a\x1b[3Cb", "a   b"),
        ("abc\x1b[2DX", "aXc"),
        ("abc\x1b[1GX", "Xbc"),
        ("abc\x1b[1F\x1b[EX", "Xbc"),
        ("a\x1b7bc\x1b8X", "aXc"),
        ("abc\r\x1b[2Xd", "d c"),
        ("\x1b[1;31mred\x1b[0m \x1b]8;;https://x\x07link\x1b]8;;\x1b\\ \x1b(B\x1b[?25l", "red link "),
        ("kept\x1b[2J\x1b[Hmore", "keptmore"),
        ("page\x0cnext", "page\nnext"),
        ("tab\tstays\a\x00", "tab\tstays"),
        ("unfinished \x1b]title", "unfinished title"),
        ("\x1b[9999999999999999999Cx", " " * 4096 + "x"),
    ],
)
def test_control_characters_are_obeyed(printed: str, shown: str) -> None:
    assert displayed(printed) == shown


def test_of_a_longer_text_the_last_state_of_each_line_remains() -> None:
    assert displayed("first\r\n" + "working \r" * MAX_TERMINAL_CHARS + "done") == "first\ndone"


@pytest.mark.parametrize(
    "piece",
    [
        *("x\x1b[1K", "\x1b[4096Gx\n", "x\n\x1b[200A\x1b[J", "\x1b[A\x1b[B", "a\r", "\x1b[", "\x1b]", "\x1bP", "\b"),
        *("x" * 500 + "\x1b[500D\x1b[9999X", "\x1b[1;1;1;1;1;1;1m", "\x1b7\x1b8\n", "数\r"),
    ],
)
@pytest.mark.parametrize("length", [MAX_TERMINAL_CHARS - 100, 8 * MAX_TERMINAL_CHARS])
def test_hostile_text_takes_little_time_and_memory(piece: str, length: int) -> None:
    began = time.process_time()
    shown = displayed((piece * (length // len(piece) + 1))[:length])
    assert time.process_time() - began < 10
    assert len(shown) <= 4 * length
