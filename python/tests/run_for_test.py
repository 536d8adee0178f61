"""Writes small runs by hand, from the description of the format and not with the code under test."""

import json
import pathlib
import struct

FINGERPRINT = "xxh3:00112233445566778899aabbccddeeff"
ELEMENT_BYTES = {"F32": 4, "F16": 2, "BF16": 2, "F8_E4M3": 1, "I8": 1, "I32": 4, "I64": 8}


def safetensors_bytes(tensors, metadata):
    """A file with `tensors`, (name, dtype, shape, bytes) in the order of the file."""
    header = {"__metadata__": metadata}
    position = 0
    for name, dtype, shape, data in tensors:
        header[name] = {
            "dtype": dtype,
            "shape": shape,
            "data_offsets": [position, position + len(data)],
        }
        position += len(data)
    return with_header(json.dumps(header).encode(), b"".join(tensor[3] for tensor in tensors))


def with_header(header, data):
    """`header` is padded with spaces so that `data` begin at a multiple of 64."""
    header += b" " * (-(8 + len(header)) % 64)
    return struct.pack("<Q", len(header)) + header + data


class Unit:
    """What goes into one shard. `rows` is {hook: bytes of the stored elements, [tokens, width]}."""

    def __init__(self, unit, samples, rows, scales=None, rejected=(), positions=None, forward=None):
        self.unit = unit
        self.samples = samples  # of each sequence, [(sample index, [token id, ..])]
        self.positions = positions  # of all rows; None: from 0 in each sequence
        self.forward = forward  # tokens that the model read; None: as a record of old, without it
        self.rows = rows
        self.scales = scales or {}  # {hook: [scale, ..]}
        self.rejected = list(rejected)  # [(sample index, reason)]

    @property
    def shard(self):
        return f"tpu_0/unit-{self.unit:06}-e1-0badcafe.safetensors"

    @property
    def token_ids(self):
        return [token for _, tokens in self.samples for token in tokens]

    def file(self, dtype, width):
        tokens = len(self.token_ids)
        lengths = [len(token_ids) for _, token_ids in self.samples]
        offsets = [sum(lengths[:i]) for i in range(len(lengths) + 1)]
        positions = self.positions
        if positions is None:
            positions = [position for length in lengths for position in range(length)]
        tensors = [(hook, dtype, [tokens, width], data) for hook, data in self.rows.items()]
        tensors += [
            (hook + ".scale", "F32", [tokens], struct.pack(f"<{tokens}f", *scale))
            for hook, scale in self.scales.items()
        ]
        for name, kind, letter, values in (
            ("sample_index", "I64", "q", [index for index, _ in self.samples]),
            ("sequence_offsets", "I64", "q", offsets),
            ("token_ids", "I32", "i", self.token_ids),
            ("positions", "I32", "i", positions),
        ):
            data = struct.pack(f"<{len(values)}{letter}", *values)
            tensors.append((name, kind, [len(values)], data))
        metadata = {
            "format": "thresher",
            "format_version": "1",
            "run": FINGERPRINT,
            "unit": str(self.unit),
            "sample_keys": json.dumps([f"sample {index}" for index, _ in self.samples]),
        }
        return safetensors_bytes(tensors, metadata)

    def commit(self, file_bytes):
        forward = {} if self.forward is None else {"forward_token_count": self.forward}
        return forward | {
            "format_version": 1,
            "run": FINGERPRINT,
            "unit": self.unit,
            "sample_count": len({index for index, _ in self.samples}) + len(self.rejected),
            "sequence_count": len(self.samples),
            "token_count": len(self.token_ids),
            "shard": self.shard,
            "bytes": file_bytes,
            "rejected": [{"sample": index, "reason": reason} for index, reason in self.rejected],
        }


def write_json(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


def write_run(folder, units, hooks, stored_dtype, dtype, width, unit_count=None):
    """A run of `units` under `folder`; dtype by its name in run.json and in shards."""
    folder = pathlib.Path(folder)
    write_json(
        folder / "run.json",
        {
            "format_version": 1,
            "capture": {"hooks": hooks, "dtype": stored_dtype},
            "run_fingerprint": FINGERPRINT,
        },
    )
    boundaries = list(range((unit_count or len(units)) + 1))
    plan = f"plan/{FINGERPRINT.split(':')[1]}.json"
    write_json(folder / plan, {"format_version": 1, "boundaries": boundaries})
    for unit in units:
        data = unit.file(dtype, width)
        path = folder / unit.shard
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        write_json(folder / f"commits/unit-{unit.unit:06}.json", unit.commit(len(data)))
    return folder
