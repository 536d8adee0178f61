#!/usr/bin/env python3
"""Lists the checks that a test run skipped, each with its reason.

usage: report_skipped.py FOLDER

Reads what test.sh left in FOLDER: RUN.junit.xml of ctest, python.log of unittest -v, and
skipped.txt with a line "check<TAB>reason" for each check of test.sh itself.
"""

import pathlib
import re
import sys
import xml.etree.ElementTree

UNITTEST_SKIP = re.compile(r"^(.*?) \.\.\. skipped (['\"])(.*)\2$", re.MULTILINE)


def gtest_reason(output):
    """GTEST_SKIP() << "reason" prints "FILE:LINE: Skipped" and then the reason."""
    match = re.search(r"^\S*:\d+: Skipped\n(.*?)\n*^\[  SKIPPED \]", output, re.M | re.S)
    reason = " ".join(match[1].split()) if match else ""
    return reason or "no reason given"


def skipped_by_ctest(path):
    for case in xml.etree.ElementTree.parse(path).getroot().iter("testcase"):
        if case.get("status") == "disabled":
            yield case.get("name"), "disabled"
        elif case.find("skipped") is not None and not case.get("name").endswith("_NOT_BUILT"):
            output = case.findtext("system-out") or ""
            said = re.search(r"^skipped: (.*)", output, re.M)
            if "[  SKIPPED ]" in output:
                yield case.get("name"), gtest_reason(output)
            elif said:
                yield case.get("name"), said[1]
            else:
                yield case.get("name"), case.find("skipped").get("message") or "no reason given"


def main():
    folder = pathlib.Path(sys.argv[1])
    skipped = []
    for path in sorted(folder.glob("*.junit.xml")):
        preset = path.name.removesuffix(".junit.xml")
        skipped += [(f"{preset}: {name}", reason) for name, reason in skipped_by_ctest(path)]
    log = folder / "python.log"
    if log.exists():
        for name, _, reason in UNITTEST_SKIP.findall(log.read_text(errors="replace")):
            skipped.append((f"python: {name}", reason))
    own = folder / "skipped.txt"
    if own.exists():
        skipped += [tuple(line.split("\t", 1)) for line in own.read_text().splitlines()]
    print(f"skipped checks: {len(skipped)}")
    for name, reason in skipped:
        print(f"   {name}: {reason}")


if __name__ == "__main__":
    main()
