"""SafetensorsFile: hostile files, and agreement with the reference implementation."""

import json
import pathlib
import struct
import tempfile
import unittest

import numpy as np

from run_for_test import safetensors_bytes, with_header
from thresher.errors import ReadError
from thresher.safetensors import SafetensorsFile

try:
    import safetensors
except ImportError:
    safetensors = None


def entry(begin, end, shape, dtype="I8"):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def file_of(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return with_header(text, data)


HUGE = 2**62
HOSTILE = {
    "empty file": (b"", "shorter than 8 bytes"),
    "seven bytes": (b"\0" * 7, "shorter than 8 bytes"),
    "header longer than the file": (struct.pack("<Q", 3) + b"{}", "truncated"),
    "header above the limit": (struct.pack("<Q", 2**63) + b"{}", "at most 100000000"),
    "largest header length": (b"\xff" * 8 + b"{}", "at most 100000000"),
    "no header": (struct.pack("<Q", 0), "does not begin with"),
    "array": (file_of([]), "does not begin with"),
    "space first": (file_of(b" {}"), "does not begin with"),
    "not JSON": (file_of(b"{"), "not JSON"),
    "zero bytes behind": (file_of(b"{}\0\0"), "not JSON"),
    "not UTF-8": (file_of(b'{"\xff":{}}'), "not JSON"),
    "nested deeply": (file_of(b'{"a":' + b"[" * 200_000), "not JSON"),
    "long number": (file_of(b'{"a":' + b"1" * 10_000 + b"}"), "not JSON"),
    "duplicate name": (
        file_of(b'{"a":{"dtype":"I8","shape":[0],"data_offsets":[0,0]},"a":1}'),
        "key 'a' twice",
    ),
    "metadata is a number": (file_of({"__metadata__": 1}), "__metadata__"),
    "metadata of numbers": (file_of({"__metadata__": {"a": 1}}), "__metadata__"),
    "tensor is a number": (file_of({"a": 1}), "'a': expected the fields"),
    "field missing": (file_of({"a": {"dtype": "I8", "shape": [0]}}), "'a': expected the fields"),
    "unknown dtype": (file_of({"a": entry(0, 0, [0], "Q9")}), "'a': unknown dtype 'Q9'"),
    "dtype is a list": (file_of({"a": entry(0, 0, [0], ["I8"])}), "'a': unknown dtype"),
    "negative extent": (file_of({"a": entry(0, 1, [-1, -1])}, b"x"), "list of counts"),
    "extent is a fraction": (file_of({"a": entry(0, 1, [1.0])}, b"x"), "list of counts"),
    "extent is a truth value": (file_of({"a": entry(0, 1, [True])}, b"x"), "list of counts"),
    "33 dimensions": (file_of({"a": entry(0, 1, [1] * 33)}, b"x"), "list of counts"),
    "product overflows to 0": (file_of({"a": entry(0, 0, [HUGE, 4], "I32")}), "takes"),
    "one offset": (
        file_of({"a": {"dtype": "I8", "shape": [0], "data_offsets": [0]}}),
        "not two ascending",
    ),
    "offsets fall": (file_of({"a": entry(1, 0, [1])}, b"x"), "not two ascending"),
    "too few bytes": (file_of({"a": entry(0, 3, [1], "F32")}, b"xxx"), "takes 4 bytes"),
    "beyond the end": (file_of({"a": entry(0, 8, [8])}, b"x"), "truncated"),
    "bytes behind the end": (file_of({"a": entry(0, 1, [1])}, b"xx"), "bytes behind"),
    "hole": (
        file_of({"a": entry(0, 1, [1]), "b": entry(2, 3, [1])}, b"xxx"),
        "'b' leaves a hole before it",
    ),
    "overlap": (
        file_of({"a": entry(0, 2, [2]), "b": entry(1, 3, [2])}, b"xxx"),
        "'b' overlaps",
    ),
}

SOUND = safetensors_bytes(
    [
        ("x", "BF16", [2, 3], bytes(range(12))),
        ("y", "F32", [1, 2], struct.pack("<2f", 1.5, -2)),
        ("z", "I64", [0], b""),
        ("scalar", "I32", [], struct.pack("<i", -7)),
        ("fp8", "F8_E4M3", [3], b"\x01\x7f\xff"),
    ],
    {"format_version": "1"},
)


class SafetensorsTest(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.path = pathlib.Path(temporary.name) / "file.safetensors"

    def open(self, data):
        self.path.write_bytes(data)
        return SafetensorsFile(self.path)

    def test_hostile_files_are_refused(self):
        for name, (data, pattern) in HOSTILE.items():
            with self.subTest(name):
                with self.assertRaisesRegex(ReadError, "file.safetensors: .*" + pattern):
                    self.open(data)

    def test_every_truncation_is_refused(self):
        for length in range(len(SOUND)):
            with self.assertRaises(ReadError, msg=f"of {length} bytes"):
                self.open(SOUND[:length])

    def test_sound_file(self):
        file = self.open(SOUND)
        self.assertEqual(file.names(), ["x", "y", "z", "scalar", "fp8"])
        self.assertEqual(file.metadata, {"format_version": "1"})
        self.assertEqual((file.dtype("x"), file.shape("x")), ("BF16", (2, 3)))
        np.testing.assert_array_equal(file.array("y"), [[1.5, -2]])
        self.assertEqual(file.array("z").shape, (0,))
        self.assertEqual(file.array("scalar"), -7)

    @unittest.skipUnless(safetensors, "the package safetensors is not installed")
    def test_agrees_with_the_reference_implementation(self):
        file = self.open(SOUND)
        reference = dict(safetensors.deserialize(SOUND))
        self.assertEqual(set(reference), set(file.names()))
        for name, tensor in reference.items():
            self.assertEqual(list(file.shape(name)), tensor["shape"])
            self.assertEqual(file.dtype(name), tensor["dtype"])
            self.assertEqual(file.array(name).tobytes(), bytes(tensor["data"]))

    @unittest.skipUnless(safetensors, "the package safetensors is not installed")
    def test_refuses_all_that_the_reference_implementation_refuses(self):
        refused = 0
        for name, (data, _) in HOSTILE.items():
            try:
                safetensors.deserialize(data)
            except safetensors.SafetensorError:
                refused += 1
            except Exception as error:  # a crash of its own is no verdict
                self.fail(f"{name}: {error!r}")
        # So the table does test what the format forbids, and not only our own taste.
        self.assertGreaterEqual(refused, len(HOSTILE) - 5)


if __name__ == "__main__":
    unittest.main()
