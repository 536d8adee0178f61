"""open_run, Run and Shard."""

import json
import math
import pathlib
import struct
import tempfile
import unittest

import numpy as np

import thresher
from run_for_test import Unit, write_json, write_run

HOOKS = ["blocks.0.hook_resid_post", "blocks.1.hook_resid_post"]
WIDTH = 3


class RunTestCase(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = pathlib.Path(temporary.name) / "run"


def pack(letter, values):
    return struct.pack(f"<{len(values)}{letter}", *values)


def values_of(unit, hook):
    """Different for every row and hook; small integers are exact in every float dtype."""
    tokens = len(unit_samples(unit)[0][1]) + len(unit_samples(unit)[1][1])
    return [
        float(unit * 64 + HOOKS.index(hook) * 32 + token * WIDTH + i)
        for token in range(tokens)
        for i in range(WIDTH)
    ]


def unit_samples(unit):
    return [(2 * unit, [10 + unit, 11, 12]), (2 * unit + 1, [20 + unit, 21])]


def f32_units(count):
    return [
        Unit(u, unit_samples(u), {hook: pack("f", values_of(u, hook)) for hook in HOOKS})
        for u in range(count)
    ]


def write_f32_run(folder, units, unit_count=None):
    return write_run(folder, units, HOOKS, "f32", "F32", WIDTH, unit_count)


class RunTest(RunTestCase):
    def test_describes_itself(self):
        run = thresher.open_run(write_f32_run(self.folder, f32_units(2), unit_count=3))
        self.assertEqual(run.hooks, HOOKS)
        self.assertEqual(run.dtype, "f32")
        self.assertEqual((len(run), run.token_count), (4, 10))
        self.assertEqual((len(run.commits), run.unit_count, run.is_complete), (2, 3, False))
        self.assertIn("4 samples, 10 tokens", repr(run))

    def test_is_complete_with_every_unit(self):
        run = thresher.open_run(write_f32_run(self.folder, f32_units(2)))
        self.assertTrue(run.is_complete)

    def test_rows_are_those_of_each_sample(self):
        run = thresher.open_run(write_f32_run(self.folder, f32_units(2)))
        for hook in HOOKS:
            seen = list(run.rows(hook))
            self.assertEqual([sample for sample, _, _ in seen], [0, 1, 2, 3])
            for sample, token_ids, rows in seen:
                unit, second = divmod(sample, 2)
                self.assertEqual(token_ids.tolist(), unit_samples(unit)[second][1])
                all_values = np.array(values_of(unit, hook)).reshape(-1, WIDTH)
                expected = all_values[3:] if second else all_values[:3]
                self.assertEqual(rows.dtype, np.float32)
                np.testing.assert_array_equal(rows, expected)

    def test_shards_have_the_small_tensors(self):
        run = thresher.open_run(write_f32_run(self.folder, f32_units(2)))
        shard = list(run.shards())[1]
        self.assertEqual(shard.token_ids.tolist(), [11, 11, 12, 21, 21])
        self.assertEqual(shard.positions.tolist(), [0, 1, 2, 0, 1])
        self.assertEqual(shard.sequence_offsets.tolist(), [0, 3, 5])
        self.assertEqual(shard.sample_index.tolist(), [2, 3])
        self.assertEqual(shard.sample_keys, ["sample 2", "sample 3"])
        self.assertEqual(len(shard), 2)
        self.assertIsNone(shard.scale(HOOKS[0]))

    def test_only_committed_shards_are_read(self):
        units = f32_units(3)
        write_f32_run(self.folder, units)
        (self.folder / "commits/unit-000001.json").unlink()
        (self.folder / "commits/.unit-000001.json.tmp").write_text("{")
        run = thresher.open_run(self.folder)
        self.assertEqual([sample for sample, _, _ in run.rows(HOOKS[0])], [0, 1, 4, 5])
        self.assertFalse(run.is_complete)

    def test_run_without_commits_is_empty(self):
        run = thresher.open_run(write_f32_run(self.folder, [], unit_count=3))
        self.assertEqual((len(run), list(run.shards())), (0, []))

    def test_rejected_samples_are_told(self):
        unit = Unit(0, [], {hook: b"" for hook in HOOKS}, rejected=[(0, "too long"), (1, "empty")])
        run = thresher.open_run(write_f32_run(self.folder, [unit]))
        self.assertEqual(run.rejected, {0: "too long", 1: "empty"})
        self.assertEqual(list(run.rows(HOOKS[0])), [])
        self.assertEqual(next(run.shards())[HOOKS[0]].shape, (0, WIDTH))

    def test_selected_rows_have_their_positions(self):
        # Sample 3 was split into three sequences, of which the second has no stored row.
        samples = [(3, [7, 8]), (3, []), (3, [9]), (4, [5])]
        values = {hook: pack("f", range(4 * WIDTH)) for hook in HOOKS}
        unit = Unit(0, samples, values, rejected=[(5, "bad")], positions=[1, 4, 0, 6], forward=30)
        run = thresher.open_run(write_f32_run(self.folder, [unit]))
        self.assertEqual((len(run), run.sample_count), (4, 2))
        self.assertEqual((run.token_count, run.forward_token_count), (4, 30))
        self.assertIn("2 samples, 4 tokens", repr(run))
        seen = list(run.rows(HOOKS[0]))
        self.assertEqual([sample for sample, _, _ in seen], [3, 3, 3, 4])
        self.assertEqual([sequence.part for sequence in seen], [0, 1, 2, 0])
        self.assertEqual([s.positions.tolist() for s in seen], [[1, 4], [], [0], [6]])
        self.assertEqual([s.token_ids.tolist() for s in seen], [[7, 8], [], [9], [5]])
        self.assertEqual([s.rows[:, 0].tolist() for s in seen], [[0, 3], [], [6], [9]])
        self.assertTrue(all(len(sequence) == 3 for sequence in seen))

    def test_all_tokens_have_positions_from_0(self):
        run = thresher.open_run(write_f32_run(self.folder, f32_units(1)))
        seen = list(run.rows(HOOKS[0]))
        self.assertEqual([s.positions.tolist() for s in seen], [[0, 1, 2], [0, 1]])
        self.assertEqual([s.part for s in seen], [0, 0])
        self.assertEqual(run.forward_token_count, run.token_count)

    def test_file_url(self):
        write_f32_run(self.folder, f32_units(1))
        self.assertEqual(len(thresher.open_run(f"file://{self.folder}")), 2)

    def test_unknown_hook_point_names_those_there_are(self):
        run = thresher.open_run(write_f32_run(self.folder, f32_units(1)))
        for read in (
            lambda: list(run.rows("blocks.9.hook_z")),
            lambda: next(run.shards())["blocks.9.hook_z"],
            lambda: next(run.shards())["token_ids"],
        ):
            with self.assertRaisesRegex(KeyError, HOOKS[1]):
                read()

    def test_arrays_are_maps_of_the_file(self):
        run = thresher.open_run(write_f32_run(self.folder, f32_units(1)))
        rows = next(run.shards())[HOOKS[0]]
        self.assertFalse(rows.flags.writeable)
        self.assertFalse(rows.flags.owndata)


class DTypeTest(RunTestCase):
    """Every stored dtype against an obvious decoder of one element."""

    def read(self, stored_dtype, dtype, data, width, scales=None):
        tokens = len(data) // width // {"BF16": 2, "F16": 2}.get(dtype, 1)
        unit = Unit(0, [(0, list(range(tokens)))], {HOOKS[0]: data}, scales)
        folder = write_run(self.folder, [unit], HOOKS[:1], stored_dtype, dtype, width)
        shard = next(thresher.open_run(folder).shards())
        ((_, _, rows),) = thresher.open_run(folder).rows(HOOKS[0])
        np.testing.assert_array_equal(shard[HOOKS[0]], rows)
        self.assertEqual(rows.dtype, np.float32)
        self.assertEqual(shard.tensor(HOOKS[0], raw=True).tobytes(), data)
        return shard, rows

    def test_bf16_is_the_upper_half_of_a_float32(self):
        codes = range(65536)
        shard, rows = self.read("bf16", "BF16", pack("H", codes), 256)
        expected = np.frombuffer(
            b"".join(b"\0\0" + struct.pack("<H", code) for code in codes), "<f4"
        )
        np.testing.assert_array_equal(
            rows.ravel().view(np.uint32), expected.view(np.uint32)
        )
        self.assertEqual(shard.tensor(HOOKS[0], raw=True).dtype, np.uint16)

    def test_f16(self):
        data = pack("H", range(65536))
        _, rows = self.read("f16", "F16", data, 256)
        np.testing.assert_array_equal(rows.ravel(), struct.unpack("<65536e", data))

    def test_fp8_e4m3(self):
        def value(code):
            sign = -1.0 if code & 0x80 else 1.0
            exponent, mantissa = (code & 0x78) >> 3, code & 7
            if exponent == 15 and mantissa == 7:
                return math.nan
            if exponent == 0:
                return sign * mantissa * 2.0**-9
            return sign * (8 + mantissa) * 2.0 ** (exponent - 10)

        scales = [0.5, 3.0]
        shard, rows = self.read(
            "fp8_e4m3", "F8_E4M3", bytes(range(256)), 128, {HOOKS[0]: scales}
        )
        expected = [value(code) * scales[code // 128] for code in range(256)]
        np.testing.assert_array_equal(rows.ravel(), np.array(expected, np.float32))
        self.assertEqual(value(0x7E), 448.0)  # the largest, from the specification
        np.testing.assert_array_equal(shard.scale(HOOKS[0]), scales)

    def test_int8_of_an_odd_width(self):
        # The scales then lie unaligned in the file.
        data = struct.pack("6b", -127, 0, 127, 1, -1, 64)
        scales = [0.25, math.nan]
        shard, rows = self.read("int8", "I8", data, 3, {HOOKS[0]: scales})
        np.testing.assert_array_equal(rows[0], [-31.75, 0, 31.75])
        self.assertTrue(np.isnan(rows[1]).all())
        np.testing.assert_array_equal(
            shard.tensor(HOOKS[0], raw=True), [[-127, 0, 127], [1, -1, 64]]
        )


class DamageTest(RunTestCase):
    """Each kind of damage is a ReadError that names the file."""

    def setUp(self):
        super().setUp()
        self.unit = f32_units(1)[0]
        write_f32_run(self.folder, [self.unit])
        self.shard = self.folder / self.unit.shard
        self.commit = self.folder / "commits/unit-000000.json"

    def expect_error(self, pattern):
        with self.assertRaisesRegex(thresher.ReadError, pattern):
            list(thresher.open_run(self.folder).shards())

    def edit(self, path, **changes):
        record = json.loads(path.read_text())
        record.update(changes)
        write_json(path, record)

    def rewrite_shard(self, data):
        self.shard.write_bytes(data)
        self.edit(self.commit, bytes=len(data))

    def test_sound_before_the_damage(self):
        self.assertEqual(len(list(thresher.open_run(self.folder).shards())), 1)

    def test_no_run(self):
        with self.assertRaisesRegex(thresher.ReadError, "nothing/run.json: not a run"):
            thresher.open_run(self.folder / "nothing")

    def test_remote_store(self):
        with self.assertRaisesRegex(thresher.ReadError, "only local folders"):
            thresher.open_run("gs://bucket/run")

    def test_run_json(self):
        run_json = self.folder / "run.json"
        good = run_json.read_text()
        for text, pattern in (
            ("{", "run.json: not JSON"),
            ("[]", "run.json: expected a JSON object"),
            ("[" * 100_000, "run.json: not JSON"),
            (good.replace("1", "2", 1), "format version 2"),
            (good.replace('"f32"', '"f64"'), "unknown dtype 'f64'"),
            (good.replace("hooks", "hoks"), "field 'hooks'"),
            (good.replace(json.dumps(HOOKS[0]), "7"), "field 'hooks': expected strings"),
        ):
            run_json.write_text(text)
            self.expect_error(pattern)

    def test_plan_is_missing(self):
        next((self.folder / "plan").iterdir()).unlink()
        self.expect_error("the run has no plan")

    def test_commit(self):
        good = self.commit.read_text()
        for changes, pattern in (
            ({"unit": 1}, "000000.json: is the record of unit 1"),
            ({"run": "xxh3:0"}, "belongs to another run"),
            ({"token_count": -1}, "field 'token_count'"),
            ({"token_count": True}, "field 'token_count'"),
            ({"sample_count": None}, "field 'sample_count'"),
            ({"forward_token_count": "x"}, "field 'forward_token_count'"),
            ({"rejected": [3]}, "field 'sample'"),
            ({"shard": "../secret.safetensors"}, "not the name of a shard"),
            ({"shard": "/etc/passwd"}, "not the name of a shard"),
            ({"shard": "tpu_0/../../unit-000000-e1-a.safetensors"}, "not the name of a shard"),
            ({"token_count": 6}, "tensor 'token_ids': expected I32 \\[6\\], found I32 \\[5\\]"),
            ({"sequence_count": 1}, "tensor 'sequence_offsets'"),
        ):
            self.commit.write_text(good)
            self.edit(self.commit, **changes)
            self.expect_error(pattern)

    def test_shard_is_missing(self):
        self.shard.unlink()
        self.expect_error("e1-0badcafe.safetensors: No such file")

    def test_shard_of_another_length(self):
        self.shard.write_bytes(self.shard.read_bytes() + b"\0")
        self.expect_error("0badcafe.safetensors: ")
        data = self.unit.file("F32", WIDTH)
        self.shard.write_bytes(data[:-1])
        self.expect_error("0badcafe.safetensors: ")

    def test_shard_of_another_unit(self):
        other = Unit(1, unit_samples(0), self.unit.rows)
        self.rewrite_shard(other.file("F32", WIDTH))
        self.expect_error("metadata 'unit': expected '0', found '1'")

    def test_shard_without_a_hook_point(self):
        other = Unit(0, unit_samples(0), {HOOKS[0]: self.unit.rows[HOOKS[0]]})
        self.rewrite_shard(other.file("F32", WIDTH))
        self.expect_error(f"has no tensor '{HOOKS[1]}'")

    def test_shard_of_another_dtype(self):
        self.rewrite_shard(
            Unit(0, unit_samples(0), {hook: bytes(30) for hook in HOOKS}).file("BF16", WIDTH)
        )
        self.expect_error("expected F32 \\[5, None\\], found BF16 \\[5, 3\\]")

    def test_offsets_that_fall(self):
        data = self.unit.file("F32", WIDTH)
        good = struct.pack("<3q", 0, 3, 5)
        self.assertEqual(data.count(good), 1)
        for bad in ((0, 6, 5), (1, 3, 5), (0, 3, 4), (0, -(2**63), 5)):
            self.rewrite_shard(data.replace(good, struct.pack("<3q", *bad)))
            self.expect_error("sequence_offsets: expected values that rise from 0 to 5")

    def test_sample_keys(self):
        data = self.unit.file("F32", WIDTH)
        self.rewrite_shard(data.replace(b"sample_keys", b"sample_kexs"))
        self.expect_error("sample_keys")


if __name__ == "__main__":
    unittest.main()
