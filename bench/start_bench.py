#!/usr/bin/env python3
"""How long a worker takes from its start to its first forward pass.

Makes a model of real shape with random weights, reads it once so that it is in the page cache, and
starts `thresher extract` a few times, each in a new run. The moment comes from the worker's own
trace. Needs numpy.

  bench/start_bench.py
  bench/start_bench.py --shape qwen2.5-1.5b --repeat 5
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time

from compare import SHAPES, write_model

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def first_forward(trace):
    """Seconds of the monotonic clock."""
    with open(trace) as file:
        events = json.load(file)
    return min(event["ts"] for event in events if event.get("name") == "forward") / 1e6


def measure(options, model, dataset):
    with tempfile.TemporaryDirectory(dir=options.work) as folder:
        trace = os.path.join(folder, "trace.json")
        command = [options.thresher, "extract", "--model", model, "--dataset", dataset]
        command += ["--output", os.path.join(folder, "run"), "--trace", trace]
        begin = time.clock_gettime(time.CLOCK_MONOTONIC)
        subprocess.run(command, check=True, capture_output=True)
        return first_forward(trace) - begin


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shape", default="qwen2.5-0.5b", choices=SHAPES)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--work", default=tempfile.gettempdir(), help="for the model and the runs")
    parser.add_argument("--thresher", default=os.path.join(ROOT, "build/release/thresher"))
    options = parser.parse_args()
    model = os.path.join(options.work, options.shape)
    write_model(model, SHAPES[options.shape])
    weights = os.path.join(model, "model.safetensors")
    with open(weights, "rb") as file:
        while file.read(1 << 24):
            pass
    dataset = os.path.join(options.work, "start_bench.jsonl")
    with open(dataset, "w") as file:
        json.dump({"token_ids": list(range(1, 33))}, file)
        file.write("\n")
    seconds = sorted(measure(options, model, dataset) for _ in range(options.repeat))
    print(
        f"{options.shape}, {os.path.getsize(weights) / 1e9:.2f} GB: start to first forward pass "
        f"{seconds[0]:.2f} to {seconds[-1]:.2f} s, median {seconds[len(seconds) // 2]:.2f} s"
    )


if __name__ == "__main__":
    sys.exit(main())
