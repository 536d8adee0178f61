#!/usr/bin/env python3
"""Holds the messages that docs/guides/troubleshooting.md quotes against the source.

usage: check_messages.py

Every `message` in the first column of the page's tables must be what the program can say: its parts between
"..." must occur, in this order, in the texts of one statement of the source. And every message of the source
must have a row, but for those that no user can cause or that only name a place (NOT_OF_USERS), and those whose words are the system's.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "guides" / "troubleshooting.md"
TEXT = re.compile(r'"((?:[^"\\\n]|\\.)*)"')
# What makes a message that a person sees.
CALL = re.compile(
    r"\b(InvalidArgument|NotFound|FailedPrecondition|DataLoss|ResourceExhausted|PermissionDenied"
    r"|Unavailable|Internal|Event)\("
)
# Said by the system or by shell scripts.
FROM_ELSEWHERE = {"No space left on device"}
# Mistakes of callers inside of the program, and what only names the place of another message: the file, and what
# the message says.
NOT_OF_USERS = [
    ("src/cli/launch_command.cc", "cannot find the program's own file"),
    ("src/dataset/record_scanner.cc", "pieces of documents"),
    ("src/engine/common/engine_checks.cc", ""),
    ("src/engine/cpu/graph_engine.cc", "must not be negative"),
    ("src/engine/cpu/graph_engine.cc", "must be positive"),
    ("src/engine/cpu/graph_engine.cc", "on_tiles"),
    ("src/engine/cpu/parallel.cc", "oneDNN: "),
    ("src/engine/cpu/parallel.cc", "engine: "),
    ("src/engine/pjrt/pjrt_engine.cc", "a mesh has at least one device"),
    ("src/engine/pjrt/pjrt_engine.cc", "must be positive"),
    ("src/engine/pjrt/stablehlo_writer.cc", "in the program for the device"),
    ("src/hub/hub.cc", "the pieces of a download"),
    ("src/model/reference_forward.cc", ""),
    ("src/settings/settings.cc", "{}{}: {}: {}environment variable "),
    ("src/store/cloud_store.cc", "store options"),
]


def statements(source):
    """The texts of each statement, joined; adjacent literals are one text, as for the compiler."""
    for statement in re.split(r";\s*\n", re.sub(r"(?m)^\s*//.*$", "", source)):
        texts = TEXT.findall(statement)
        if texts:
            text = "".join(texts).replace('\\"', '"').replace("{{", "{").replace("}}", "}")
            yield " ".join(re.sub(r'"\s*\n\s*"', "", statement).split()), text


def program_texts():
    texts = []
    for path in sorted((ROOT / "src").rglob("*.cc")):
        if not path.name.endswith("_test.cc"):
            texts += [text for _, text in statements(path.read_text())]
    return texts


def quoted_messages():
    messages = []
    for line in PAGE.read_text().splitlines():
        cell = re.match(r"\| `([^`]+)` \|", line)
        if cell and cell[1] != "message":
            messages.append(cell[1])
    return messages


def pattern_of(message):
    parts = [re.escape(part.strip()) for part in re.split(r"\.\.\.", message)]
    return re.compile(r".*?".join(part for part in parts), re.DOTALL)


def is_frame(text):
    """Whether it has no words of its own."""
    return not re.search(r"[A-Za-z]{3}", text)


def uncovered(messages):
    patterns = [pattern_of(message) for message in messages]
    for path in sorted((ROOT / "src").rglob("*.cc")):
        name = str(path.relative_to(ROOT))
        if name.endswith("_test.cc"):
            continue
        for whole, text in statements(path.read_text()):
            if not CALL.search(whole) or is_frame(text):
                continue
            if any(name == file and part in text for file, part in NOT_OF_USERS):
                continue
            if not any(pattern.search(text) for pattern in patterns):
                yield f"{name}: {text[:160]}"


def main():
    messages = quoted_messages()
    if len(messages) < 20:
        sys.exit(f"{PAGE}: only {len(messages)} messages were found")
    texts = program_texts()
    unknown = [
        message
        for message in messages
        if message not in FROM_ELSEWHERE
        and not any(pattern_of(message).search(text) for text in texts)
    ]
    for message in unknown:
        print(f"the program never says: {message}")
    missing = list(uncovered(messages))
    for message in missing:
        print(f"no row of {PAGE.name} covers {message}")
    repeated = {message for message in messages if messages.count(message) > 1}
    for message in repeated:
        print(f"two rows for: {message}")
    if unknown or missing or repeated:
        sys.exit(1)
    print(f"{len(messages)} messages stand in the source, and every message has its row")


if __name__ == "__main__":
    main()
