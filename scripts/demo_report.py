#!/usr/bin/env python3
"""The demo's last screen: what was made, how fast, and how to read it, tried out as it is printed.

usage: demo_report.py FOLDER    (with the interpreter of .cache/venv)
"""

import json
import pathlib
import sys

import thresher

READ_ME = """\
import thresher
run = thresher.open_run("{folder}")
sample, token_ids, rows = next(run.rows("{hook}"))
"""


def show(title, *lines):
    for line in lines:
        print(f"   {title:<9}{line}")
        title = ""


def describe(array):
    return f"{array.dtype}{list(array.shape)}"


def main():
    folder = pathlib.Path(sys.argv[1])
    facts = json.loads((folder / "logs" / "demo.json").read_text())
    run = thresher.open_run(folder)
    stored_bytes = sum(commit["bytes"] for commit in run.commits)
    truncated = sum(commit["truncated_count"] for commit in run.commits)
    seconds = facts["seconds"]

    successors = " and ".join(f"worker {w}" for w in sorted(set(facts["taken_over"].values())))
    show(
        "made",
        f"{len(run)} samples ({truncated} of them cut to {run.spec['prompts']['max_tokens']} "
        f"tokens), {run.token_count:,} tokens",
        f"{len(run.hooks)} hook points, {run.hooks[0]} to {run.hooks[-1]}, stored as {run.dtype}",
        f"{stored_bytes / 1e9:.2f} GB in {len(run.commits)} units (shards) of about "
        f"{stored_bytes / 1e6 / len(run.commits):.0f} MB",
    )
    show("where", f"{folder}/ (the logs of the workers: {folder}/logs/)")
    show(
        "speed",
        f"{run.token_count / seconds:,.0f} tokens/s and {stored_bytes / 1e6 / seconds:,.0f} MB/s "
        f"over all workers: {seconds:.0f} s",
        f"from nothing to the last commit, the first after {facts['seconds_to_first_commit']:.0f} s",
    )
    show(
        "killed",
        f"worker {facts['killed_worker']}, in mid-unit, after it had committed "
        f"{facts['committed_by_killed_worker']} units, which count;",
        f"units that it held and that were taken over: {len(facts['held_by_killed_worker'])} "
        f"(by {successors})",
    )
    show(
        "weights",
        "SmolLM2-135M-Instruct, dequantised from 4 bits: fine for a demo, but not the weights",
        "that its authors published",
    )

    code = READ_ME.format(folder=folder, hook=run.hooks[len(run.hooks) // 2])
    names = {}
    exec(code, names)  # the lines that are printed, so that they are sure to work
    show("read it", "with .cache/venv/bin/python, or any Python after pip install ./python:")
    print()
    for line in code.splitlines():
        print(f"       {line}")
    print()
    show(
        "",
        f"which gave sample {names['sample']} just now: token_ids {describe(names['token_ids'])}, "
        f"rows {describe(names['rows'])}",
    )


if __name__ == "__main__":
    main()
