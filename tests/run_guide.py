#!/usr/bin/env python3
"""Runs the commands of a guide in docs/guides/, as a reader would: in order, with the variables that they export.

usage: run_guide.py [--have NAME]... --program THRESHER GUIDE.md

Every ```bash block of the guide is run, in a temporary folder that looks like the project's (docs,
deploy, scripts, tests and so on are links to it, build/release/thresher is the program), unless the line
before it says otherwise:

  <!-- needs: gcloud and kubectl -->   left out, unless each NAME is given with --have; its syntax is checked
  <!-- checked by: demo.sh -->         left out; each of its lines must stand in that file
  <!-- fails: TEXT -->                 must fail with TEXT in what it prints

A block that fails ends the run. Exit status 77 if a folder that the guide works on is missing: .cache/ of
scripts/fetch_assets.sh.
"""

import argparse
import dataclasses
import os
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
SKIPPED = 77
LIMIT_SECONDS = 300
LINKS = ("docs", "deploy", "scripts", "tests", "python", "demo.sh", "test.sh", "CMakeLists.txt")


@dataclasses.dataclass
class Block:
    line: int  # of the guide, 1-based
    text: str
    mark: str = ""  # "needs", "checked by", "fails" or empty
    value: str = ""


def blocks_of(text):
    """The ```bash blocks with their marks. Any other fenced block that is not plain text is an error."""
    blocks = []
    lines = text.splitlines()
    index = 0
    while index < len(lines):
        fence = re.fullmatch(r"```(\w*)", lines[index])
        if not fence:
            index += 1
            continue
        end = next(i for i in range(index + 1, len(lines)) if lines[i] == "```")
        if fence[1] == "bash":
            block = Block(index + 2, "\n".join(lines[index + 1 : end]) + "\n")
            mark = re.fullmatch(r"<!-- (needs|checked by|fails): (.*) -->", lines[index - 1])
            if mark:
                block.mark, block.value = mark[1], mark[2]
            blocks.append(block)
        elif fence[1] not in ("text", "toml"):
            sys.exit(f"line {index + 1}: a block is ```bash, ```toml or ```text")
        index = end + 1
    return blocks


def check_syntax(block):
    result = subprocess.run(["bash", "-n"], input=block.text, text=True, capture_output=True)
    if result.returncode != 0:
        sys.exit(f"line {block.line}: {result.stderr}")


def check_stands_in(block, path):
    known = path.read_text()
    for line in block.text.splitlines():
        if line.strip() and line.strip() not in known:
            sys.exit(f"line {block.line}: '{line.strip()}' does not stand in {path.name}")


def make_folder(folder, program):
    for name in (*LINKS, ".cache"):
        if (ROOT / name).exists():
            (folder / name).symlink_to(ROOT / name)
    (folder / "build" / "release").mkdir(parents=True)
    (folder / "build" / "release" / "thresher").symlink_to(program)


class Shell:
    """A bash for each block; exported variables go on from block to block."""

    def __init__(self, folder, program):
        self.folder = folder
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("THRESHER_")
        }
        environment["PATH"] = f"{program.parent}:{environment['PATH']}"
        # The cache of unpacked files and hubs is the guide's own.
        environment["XDG_CACHE_HOME"] = str(folder / "cache")
        self.state = folder / ".state"
        self.environment = environment

    def run(self, block):
        """The exit status and what was printed."""
        restore = f"if [[ -e {self.state} ]]; then . {self.state}; fi\n"
        keep = f"\nexport -p >{self.state}\n"
        script = f"set -e\n{restore}set -x\n{block.text}{{ set +x; }} 2>/dev/null\n{keep}"
        result = subprocess.run(
            ["bash", "-c", script],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=LIMIT_SECONDS,
        )
        print(result.stdout, flush=True)
        return result


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--have", action="append", default=[])
    parser.add_argument("--program", type=pathlib.Path, required=True)
    parser.add_argument("guide", type=pathlib.Path)
    arguments = parser.parse_args()
    text = arguments.guide.read_text()
    if ".cache/" in text and not (ROOT / ".cache" / "data").exists():
        print("skipped: .cache/ is missing: scripts/fetch_assets.sh makes it")
        sys.exit(SKIPPED)
    blocks = blocks_of(text)
    if not blocks:
        sys.exit(f"{arguments.guide}: no ```bash block")
    counts = {"run": 0, "needs": 0, "checked by": 0}
    with tempfile.TemporaryDirectory(prefix="thresher-guide-") as name:
        folder = pathlib.Path(name)
        make_folder(folder, arguments.program.resolve())
        shell = Shell(folder, arguments.program.resolve())
        for block in blocks:
            check_syntax(block)
            needed = re.split(r" and |, ", block.value) if block.mark == "needs" else []
            if not set(needed) <= set(arguments.have):
                counts["needs"] += 1
                continue
            if block.mark == "checked by":
                check_stands_in(block, ROOT / block.value)
                counts["checked by"] += 1
                continue
            print(f"--- line {block.line}", flush=True)
            result = shell.run(block)
            if block.mark == "fails":
                if result.returncode == 0 or block.value not in result.stdout:
                    sys.exit(f"{arguments.guide}, line {block.line}: did not fail with '{block.value}'")
            elif result.returncode != 0:
                sys.exit(f"{arguments.guide}, line {block.line}: status {result.returncode}")
            counts["run"] += 1
    print(
        f"{arguments.guide.name}: {counts['run']} blocks run, {counts['checked by']} checked by other"
        f" scripts, {counts['needs']} need what is not here"
    )


if __name__ == "__main__":
    main()
