#!/usr/bin/env python3
"""Holds the messages that docs/guides/troubleshooting.md quotes against the source.

usage: check_messages.py [--missing]

Every `message` in the first column of the page's tables must be what the program can say: its parts between
"..." must occur, in this order, in the texts of one statement of the source. --missing also prints the
messages of the source that no row covers.
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
    r"|Unavailable|Internal|ErrnoStatus|Event)\("
)
# Said by the system or by shell scripts.
FROM_ELSEWHERE = {"No space left on device"}


def statements(source):
    """The texts of each statement, joined; adjacent literals are one text, as for the compiler."""
    for statement in re.split(r";\s*\n", re.sub(r"(?m)^\s*//.*$", "", source)):
        texts = TEXT.findall(statement)
        if texts:
            yield " ".join(re.sub(r'"\s*\n\s*"', "", statement).split()), "".join(texts)


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
    if "--missing" in sys.argv[1:]:
        patterns = [pattern_of(message) for message in messages]
        for path in sorted((ROOT / "src").rglob("*.cc")):
            if path.name.endswith("_test.cc"):
                continue
            for whole, text in statements(path.read_text()):
                if CALL.search(whole) and not any(p.search(text) for p in patterns):
                    print(f"{path.relative_to(ROOT)}: {text[:160]}")
    if unknown:
        sys.exit(1)
    print(f"{len(messages)} messages stand in the source")


if __name__ == "__main__":
    main()
