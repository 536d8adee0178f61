#!/usr/bin/env python3
"""Compiles published shapes for TPUs that are not here, and prints what docs/performance.md has of them.

usage: bench/tpu_table.py [--program build/release/thresher]

Needs the plug-in (scripts/fetch_plugins.sh build/release/thresher tpu). About five minutes on two
quiet cores. A line that could not be compiled says why on the standard error stream.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGETS = ["tpu:v4:2x2x1", "tpu:v5e:2x2", "tpu:v5p:2x2x1", "tpu:v6e:2x2"]
# Shape, tokens of a batch, chips that share one.
PROGRAMS = [
    ("qwen2.5-0.5b", 2048, 1),
    ("qwen2.5-0.5b", 8192, 1),
    ("qwen2.5-7b", 2048, 1),
    ("qwen2.5-7b", 8192, 1),
    ("qwen2.5-7b", 2048, 4),
    ("qwen2.5-7b", 8192, 4),
]
COLUMNS = [
    "shape",
    "target",
    "chips",
    "tokens",
    "compile s",
    "counted / useful FLOPs",
    "GB a chip",
    "compute ms",
    "memory ms",
    "compute / others (all of attention in main memory)",
    "links ms",
    "tokens/s a chip, roofline",
    "at 0.5",
    "to host GB/s",
]


def compile_for(program: str, target: str, shape: str, tokens: int, chips: int) -> dict | None:
    """The report of `thresher compile`; None if it failed."""
    command = [program, "compile", "--target", target, "--shape", shape]
    command += ["--batch-tokens", str(tokens), "--chips", str(chips), "--json"]
    environment = {"THRESHER_PLUGINS": str(ROOT / ".cache/plugins"), **os.environ}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        print(f"{shape} {target} {tokens}: {done.stderr.strip()}", file=sys.stderr)
        return None
    return json.loads(done.stdout)[0]


def cells(shape: str, tokens: int, report: dict) -> list[str]:
    """One line of the table; of a size that does not fit, the largest half of it that does."""
    roofline = report["roofline"]
    fitting = report["batch_tokens"]
    return [
        shape,
        report["target"],
        str(report["chips_a_batch"]),
        f"{fitting:,}" if fitting == tokens else f"{fitting:,} ({tokens:,} do not fit)",
        f"{report['compile_seconds']:.1f}",
        f"{report['counted_over_useful_flops']:.3f}",
        f"{report['memory']['two_batches_in_flight_bytes'] / 1e9:.1f}",
        f"{1000 * roofline['compute_seconds']:.1f}",
        f"{1000 * roofline['memory_seconds']:.1f}",
        f"{roofline['compute_margin']:.2f} ({roofline['compute_margin_with_on_chip_bytes']:.2f})",
        f"{1000 * roofline['link_seconds']:.1f}",
        f"{report['chip_tokens_per_second_at_roofline']:,.0f}",
        f"{report['chip_tokens_per_second'] * 0.5 / report['efficiency']:,.0f}",
        f"{report['chip_to_host_bytes_per_second'] * 0.5 / report['efficiency'] / 1e9:.2f}",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--program", default=str(ROOT / "build/release/thresher"))
    program = parser.parse_args().program
    print("| " + " | ".join(COLUMNS) + " |")
    print("|" + " --- |" * len(COLUMNS))
    for shape, tokens, chips in PROGRAMS:
        for target in TARGETS:
            report = compile_for(program, target, shape, tokens, chips)
            if report is not None:
                print("| " + " | ".join(cells(shape, tokens, report)) + " |", flush=True)


if __name__ == "__main__":
    main()
