#!/usr/bin/env python3
"""The ARC augmentation, a second time: written from the description in src/arc/augmentation.h alone.

usage: arc_augmentation_reference.py --check FILE   compare FILE with what this program computes
       arc_augmentation_reference.py --write FILE   write the test vectors (a new name of the
                                                    algorithm needs them; the old ones never change)
"""

import argparse
import json
import sys

MASK = 2**64 - 1
KINDS = {"flip": 1, "rotate": 2, "colors": 3, "order": 4, "swap": 5}


class SplitMix64:
    def __init__(self, state):
        self.state = state & MASK

    def next(self):
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return z ^ (z >> 31)

    def below(self, bound):
        limit = 2**64 - 2**64 % bound
        while True:
            value = self.next()
            if value < limit:
                return value % bound

    def shuffle(self, entries):
        for i in range(len(entries) - 1, 0, -1):
            j = self.below(i + 1)
            entries[i], entries[j] = entries[j], entries[i]


def fnv1a(data):
    value = 0xCBF29CE484222325
    for byte in data:
        value = ((value ^ byte) * 0x100000001B3) & MASK
    return value


def generator(seed, task_id, variant, kind):
    k = SplitMix64(seed).next()
    k = SplitMix64(k ^ fnv1a(task_id.encode())).next()
    k = SplitMix64(k ^ (variant & MASK)).next()
    return SplitMix64(SplitMix64(k ^ KINDS[kind]).next())


def draw(kinds, keep_background, seed, task_id, variant, train_count):
    result = {
        "flip": False,
        "quarter_turns": 0,
        "colors": list(range(10)),
        "order": [],
        "swap_with": None,
    }

    def new_generator(kind):
        return generator(seed, task_id, variant, kind)

    if "flip" in kinds:
        result["flip"] = new_generator("flip").below(2) == 1
    if "rotate" in kinds:
        result["quarter_turns"] = new_generator("rotate").below(4)
    if "colors" in kinds:
        random = new_generator("colors")
        background = 0
        if (random.next() >> 11) / 2**53 >= keep_background:
            background = 1 + random.below(9)
        others = [color for color in range(10) if color != background]
        random.shuffle(others)
        result["colors"] = [background] + others
    if "order" in kinds:
        result["order"] = list(range(train_count))
        new_generator("order").shuffle(result["order"])
    if "swap" in kinds:
        partner = new_generator("swap").below(train_count + 1)
        result["swap_with"] = partner if partner < train_count else None
    return result


def change_grid(grid, drawn):
    if drawn["flip"]:
        grid = [row[::-1] for row in grid]
    for _ in range(drawn["quarter_turns"]):
        grid = [list(column) for column in zip(*grid)][::-1]
    return [[drawn["colors"][cell] for cell in row] for row in grid]


def apply(drawn, task):
    train, test = (
        [{name: change_grid(grid, drawn) for name, grid in pair.items()} for pair in task[part]]
        for part in ("train", "test")
    )
    if drawn["swap_with"] is not None and "output" in test[0]:
        test[0], train[drawn["swap_with"]] = train[drawn["swap_with"]], test[0]
    if drawn["order"]:
        train = [train[place] for place in drawn["order"]]
    return {"train": train, "test": test}


def example_task(train_count, has_output):
    def grid(number, rows, columns):
        return [[(7 * number + 3 * r + c * c) % 10 for c in range(columns)] for r in range(rows)]

    pairs = [
        {"input": grid(n, 2 + n % 2, 3), "output": grid(n + 5, 1, 2 + n % 3)}
        for n in range(train_count + 1)
    ]
    if not has_output:
        del pairs[-1]["output"]
    return {"train": pairs[:-1], "test": pairs[-1:]}


def vectors():
    every = list(KINDS)
    draws = []
    for seed in (0, 1, 42, 2**63, MASK):
        for task_id in ("", "007bbfb7", "task_00000017", "gr\u00fcn \U0001f600", "x" * 300):
            for variant in (0, 1, 7, 2**40, -1):
                train_count = 1 + len(draws) % 11
                drawn = draw(every, 0.9, seed, task_id, variant, train_count)
                draws.append(
                    {
                        "seed": seed,
                        "task_id": task_id,
                        "variant": variant,
                        "train_count": train_count,
                        "drawn": drawn,
                    }
                )
    tasks = []
    choices = [[kind] for kind in every] + [[], ["flip", "rotate", "colors"], every, every, every]
    for number, kinds in enumerate(choices):
        task = example_task(1 + number % 4, number % 5 != 4)
        task_id = f"task_{number:08d}"
        keep = (0.9, 0.0, 1.0, 0.5)[number % 4]
        drawn = draw(kinds, keep, 42, task_id, number, len(task["train"]))
        tasks.append(
            {
                "kinds": kinds,
                "keep_background": keep,
                "seed": 42,
                "task_id": task_id,
                "variant": number,
                "task": task,
                "augmented": apply(drawn, task),
            }
        )
    first_values = []
    for kind in every:
        random = generator(42, "007bbfb7", 3, kind)
        first_values.append({"kind": KINDS[kind], "values": [random.next() for _ in range(3)]})
    # Bounds that refuse many values.
    refused = []
    for bound in (3, 10, 2**63 + 1, 3 * 2**62, MASK):
        random = generator(42, "007bbfb7", 3, "order")
        refused.append({"bound": bound, "values": [random.below(bound) for _ in range(8)]})
    return {
        "name": "arc-augmentation-v1",
        "generator": {"seed": 42, "task_id": "007bbfb7", "variant": 3},
        "first_values": first_values,
        "below_of_kind_4": refused,
        "draws": draws,
        "tasks": tasks,
    }


def as_text(value):
    """One entry a line, so that the file can be read and compared."""
    parts = []
    for name, member in value.items():
        if isinstance(member, list):
            body = ",\n".join("  " + json.dumps(entry) for entry in member)
            parts.append(f" {json.dumps(name)}: [\n{body}\n ]")
        else:
            parts.append(f" {json.dumps(name)}: {json.dumps(member)}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def main():
    parser = argparse.ArgumentParser(description="Test vectors of the ARC augmentation.")
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--check", metavar="FILE")
    action.add_argument("--write", metavar="FILE")
    arguments = parser.parse_args()
    if arguments.write:
        with open(arguments.write, "w", encoding="utf-8") as file:
            file.write(as_text(vectors()))
        return
    with open(arguments.check, encoding="utf-8") as file:
        if file.read() != as_text(vectors()):
            sys.exit(f"{arguments.check} differs from what this program computes")
    print(f"{arguments.check}: as computed here")


if __name__ == "__main__":
    main()
