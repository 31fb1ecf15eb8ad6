"""Two texts, compared: what differs is found, and noise is told apart from it."""

from __future__ import annotations

import pytest

from airflow_provider_datalore.notebooks import text_diff
from airflow_provider_datalore.notebooks.noise import page_without_noise, without_noise
from airflow_provider_datalore.notebooks.text_diff import DiffState, Piece, compare

NOISE = [
    ("2026-11-25 02:00:01 started", "2026-11-26 02:00:07 started"),
    ("at 2026-11-25T02:00:01.123Z", "at 2026-11-26T02:11:01.5+00:00"),
    ("[08:15:01] read", "[09:17:22] read"),
    ("<Model object at 0x7f3a5c1b2d30>", "<Model object at 0x7fb01c1b2990>"),
    ("Wall time: 1min 3s", "Wall time: 2min 9s"),
    ("1.23 ms ± 4.5 µs per loop", "1.31 ms ± 6.1 µs per loop"),
    ("took 12.5 seconds", "took 9 seconds"),
    (" 45%|████▌     | 45/100 [00:01<00:02, 30.1it/s]", "100%|██████████| 100/100 [00:03<00:00, 31.0it/s]"),
    ("10/10 [==============================] - 2s 15ms/step", "10/10 [=============>................] - 3s 9ms/step"),
    ("━━━━━━━━━━━━ 1.2 MB/s", "━━━━━━━━ 800 kB/s"),
    ("run 0b5f3a52-5d8e-4b0c-9a5e-0f4a52c0b7aa", "run 99999999-5d8e-4b0c-9a5e-0f4a52c0b7bb"),
    ("File /tmp/ipykernel_12/34.py", "File /tmp/ipykernel_99/11.py"),
]
DIFFERENCES = [
    ("revenue 10", "revenue 12"),
    ("2026-11-25", "2026-11-26"),
    ("version 1.2.3", "version 1.2.4"),
    ("5 stores", "6 stores"),
    (
        "100%|██████████| 100/100 [00:03<00:00, 31.0it/s, loss=0.5]",
        "100%|██████████| 100/100 [00:04<00:00, 29it/s, loss=0.7]",
    ),
    ("0x7f", "0x8f"),
    ("took 3 s, 4 rows", "took 4 s, 5 rows"),
]


@pytest.mark.parametrize(("before", "now"), NOISE)
def test_noise_is_marked_and_shown(before: str, now: str) -> None:
    found = compare(before, now)
    assert found.state is DiffState.NOISE
    [row] = found.blocks[0].rows
    assert row.state is DiffState.NOISE
    assert ("".join(piece.text for piece in row.before or ()), "".join(piece.text for piece in row.now or ())) == (
        before,
        now,
    )
    assert {piece.state for piece in row.now or ()} <= {DiffState.SAME, DiffState.NOISE}


@pytest.mark.parametrize(("before", "now"), DIFFERENCES)
def test_what_means_something_is_not_noise(before: str, now: str) -> None:
    assert compare(before, now).state is DiffState.CHANGED


@pytest.mark.parametrize(("before", "now"), NOISE)
def test_in_code_nothing_is_noise(before: str, now: str) -> None:
    assert compare(before, now, knows_noise=False).state is DiffState.CHANGED


def test_noise_in_a_line_that_differs_is_marked_as_noise() -> None:
    [block] = compare("took 3 s, 4 rows", "took 5 s, 6 rows").blocks
    assert block.rows[0].now == (
        Piece("took "),
        Piece("5 s", DiffState.NOISE),
        Piece(", "),
        Piece("6", DiffState.CHANGED),
        Piece(" rows"),
    )


def test_lines_are_added_and_removed() -> None:
    rows = [row for block in compare("a\nb\nc", "a\nc\nd").blocks for row in block.rows]
    assert [row.state for row in rows] == [DiffState.SAME, DiffState.REMOVED, DiffState.SAME, DiffState.ADDED]
    assert (rows[1].now, rows[3].before) == (None, None)


def test_unchanged_lines_far_from_others_are_folded() -> None:
    lines = [f"line {number}" for number in range(40)]
    found = compare("\n".join(lines), "\n".join([*lines[:20], "another", *lines[21:]]))
    assert [(block.is_folded, len(block.rows)) for block in found.blocks] == [(True, 17), (False, 7), (True, 16)]


def test_line_ends_are_not_a_difference() -> None:
    assert compare("a\r\nb\r\n", "a\nb").state is DiffState.SAME


def test_long_texts_are_compared_in_part_and_say_so() -> None:
    lines = ["same"] * (text_diff.MAX_COMPARED_LINES + 5)
    found = compare("\n".join(lines), "\n".join([*lines[:-1], "other"]))
    assert found.state is DiffState.CHANGED
    assert found.left_out == 5
    assert sum(len(block.rows) for block in found.blocks) == text_diff.MAX_COMPARED_LINES


@pytest.mark.parametrize(
    "text", ["0x" * 50_000, "1" * 100_000, "9%|" * 30_000, "1:" * 50_000, "=" * 100_000, "a-" * 50_000]
)
def test_a_text_made_to_be_slow_is_not(text: str) -> None:
    import time

    began = time.process_time()
    without_noise(text)
    assert time.process_time() - began < 5


def test_generated_identifiers_of_tables_and_figures_are_noise() -> None:
    before = '<table id="T_1a2b3"><td id="T_1a2b3_row0">1</td></table>'
    assert page_without_noise(before) == page_without_noise(before.replace("T_1a2b3", "T_9f9f9"))
    assert page_without_noise(before) != page_without_noise(before.replace(">1<", ">2<"))
