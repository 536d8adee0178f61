"""The published vectors of the ARC augmentation are what its second program computes."""

import pathlib
import subprocess
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]


class ArcAugmentationTest(unittest.TestCase):
    def test_vectors(self):
        program = ROOT / "scripts" / "arc_augmentation_reference.py"
        vectors = ROOT / "tests" / "data" / "arc" / "augmentation_vectors.json"
        subprocess.run([sys.executable, program, "--check", vectors], check=True,
                       stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    unittest.main()
