"""Runs the Python of a run's README.md and compares what it reads with what the reader gives.

    python read_me_check.py RUN

Prints "ok" and the number of sequences that each of the two programs printed.
"""

import contextlib
import io
import os
import re
import sys

import numpy as np

import thresher


def run_block(code):
    """The names that the program leaves behind, and the lines that it printed."""
    names = {}
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(code, names)  # pylint: disable=exec-used
    return names, printed.getvalue().splitlines()


def main():
    os.chdir(sys.argv[1])
    with open("README.md", encoding="utf-8") as file:
        text = file.read()
    with_reader, with_safetensors = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    _, reader_lines = run_block(with_reader)
    names, safetensors_lines = run_block(with_safetensors)

    run = thresher.open_run(".")
    assert len(reader_lines) == len(safetensors_lines) == len(run) > 0
    # The second program ends with the last shard in hand.
    last = list(run.shards())[-1]
    expected = last[run.hooks[-1]]
    assert names["rows"].dtype == np.float32
    assert np.array_equal(names["rows"], expected, equal_nan=True)
    assert np.array_equal(names["offsets"], last.sequence_offsets)
    print("ok", len(run))


main()
