"""Ctrl-C stops a long call, and soon."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

PROGRAM = """
import sys
from viterbi_sampling import Tokenizer
tokenizer = {tokenizer}
text = {text}
print("begun", flush=True)
try:
    while True:
        {call}
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""

TEXTS = {
    "one text without a cut": (
        'Tokenizer.from_pieces({"a": -1.0, "aa": -2.1, "aaa": -3.3}, unk_score=-9.0)',
        '"a" * 40_000_000',
    ),
    "one text that is divided": ("Tokenizer.default()", '"the river was high " * 2_500_000'),
}
CALLS = {
    "encode": "tokenizer.encode_batch([text], num_threads={threads})",
    "perfect": "tokenizer.sample_batch([text], alpha=0.1, num_threads={threads})",
    "ffbs": "tokenizer.sample_batch([text], alpha=0.1, algorithm='ffbs', num_threads={threads})",
}


@pytest.mark.skipif(sys.platform == "win32", reason="sends a POSIX signal")
@pytest.mark.parametrize(
    ("text", "call"),
    [
        *(("one text without a cut", call) for call in CALLS),
        *(("one text that is divided", call) for call in ("encode", "perfect")),
    ],
)
def test_interrupt(text: str, call: str) -> None:
    """Of 40 MB and more, in one thread or in two."""
    tokenizer, source = TEXTS[text]
    call = CALLS[call].format(threads=2 if text == "one text that is divided" else 1)
    interrupt(PROGRAM.format(tokenizer=tokenizer, text=source, call=call))


def interrupt(program: str) -> None:
    """Send the program Ctrl-C while it is in its call."""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        time.sleep(0.5)
        start = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "interrupted\n"
        assert time.monotonic() - start < 2


OBJECTS = {
    "lists": "tokenizer.encode_lists([text] * 200_000, num_threads={threads})",
    "few lists": "tokenizer.encode_lists([text] * 20_000, num_threads={threads})",
    "texts": "tokenizer.decode_batch([ids] * 200_000, num_threads={threads})",
}


@pytest.mark.skipif(sys.platform == "win32", reason="sends a POSIX signal")
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("call", OBJECTS)
def test_interrupt_while_objects_are_made(call: str, threads: int) -> None:
    call = f"ids = tokenizer.encode(text); {OBJECTS[call].format(threads=threads)}"
    interrupt(PROGRAM.format(tokenizer="Tokenizer.default()", text='"the river was high " * 20', call=call))


AFTERWARDS = """
import os, signal, threading
from viterbi_sampling import Tokenizer
slow = Tokenizer.from_pieces({"a" * k: -1.0 - k * 0.01 for k in (1, 2, 3, 500, 7999)})
threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
try:
    while True:
        slow.encode_batch(["a" * 20_000] * 16, num_threads=2)
except KeyboardInterrupt:
    pass
tokenizer = Tokenizer.default()
rows = ["the river was high " * 100] * 100
expected = tokenizer.encode_batch(rows).to_list()
assert all(tokenizer.encode_batch(rows).to_list() == expected for _ in range(20))
print("survived")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="sends a POSIX signal")
def test_what_comes_after_an_interrupt() -> None:
    """No thread of the interrupted call is left that writes to memory which is no longer its own."""
    result = subprocess.run([sys.executable, "-c", AFTERWARDS], capture_output=True, text=True, timeout=60)
    assert result.stdout == "survived\n", result.stderr
