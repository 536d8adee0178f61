"""A memory-mapped safetensors file.

Format: 8 bytes little-endian header length N, N bytes of JSON, then the tensors' bytes
(https://github.com/huggingface/safetensors, README "Format").
"""

import json
import math
import os

import numpy as np

from thresher.dtypes import STORAGE
from thresher.errors import ReadError

_LENGTH_BYTES = 8
_MAX_HEADER_BYTES = 100_000_000  # the limit of the reference implementation
_MAX_DIMENSIONS = 32


class SafetensorsFile:
    """The tensors of one file. Everything the format demands is checked when it is opened."""

    def __init__(self, path):
        """Maps `path`. Raises ReadError, which names the file, if it is not sound."""
        self.path = path
        try:
            self._bytes = _map(path)
            self.metadata, self._tensors = _parse(self._bytes)
        except ReadError as error:
            raise ReadError(f"{path}: {error}") from None
        except OSError as error:
            raise ReadError(f"{path}: {error.strerror}") from error

    def names(self):
        return list(self._tensors)

    def __contains__(self, name):
        return name in self._tensors

    def dtype(self, name):
        """The name of the dtype in the header: "BF16"."""
        return self._tensors[name][0]

    def shape(self, name):
        return self._tensors[name][1]

    def array(self, name):
        """The stored elements: a read-only view of the file, which is not copied."""
        dtype, shape, begin, end = self._tensors[name]
        return self._bytes[begin:end].view(STORAGE[dtype]).reshape(shape)


def _map(path):
    if os.path.getsize(path) < _LENGTH_BYTES:
        raise ReadError("not a safetensors file: shorter than 8 bytes")
    # As a plain array: views of np.memmap drag its bookkeeping along.
    return np.asarray(np.memmap(path, dtype=np.uint8, mode="r"))


def _parse(data):
    """(metadata, {name: (dtype, shape, begin, end)}); begin and end count from the file's start."""
    header_bytes = int.from_bytes(data[:_LENGTH_BYTES].tobytes(), "little")
    data_begin = _LENGTH_BYTES + header_bytes
    if header_bytes > _MAX_HEADER_BYTES:
        raise ReadError(
            f"header of {header_bytes} bytes: at most {_MAX_HEADER_BYTES} are allowed"
        )
    if data_begin > len(data):
        raise ReadError(
            f"header of {header_bytes} bytes in a file of {len(data)}: truncated, or not safetensors"
        )
    header = _parse_json(data[_LENGTH_BYTES:data_begin].tobytes())
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise ReadError("__metadata__: expected an object of strings")
    tensors = {name: _parse_tensor(name, entry) for name, entry in header.items()}
    _check_cover(tensors, len(data) - data_begin)
    return metadata, {
        name: (dtype, shape, data_begin + begin, data_begin + end)
        for name, (dtype, shape, begin, end) in tensors.items()
    }


def _parse_json(text):
    if not text.startswith(b"{"):
        raise ReadError("not a safetensors file: the header does not begin with '{'")
    try:
        return json.loads(text.decode("utf-8"), object_pairs_hook=_unique_keys)
    except ReadError:
        raise
    except (ValueError, RecursionError) as error:
        raise ReadError(f"the header is not JSON: {error}") from None


def _unique_keys(pairs):
    result = {}
    for key, value in pairs:
        if key in result:
            raise ReadError(f"the header has the key '{key}' twice")
        result[key] = value
    return result


def _is_count(value):
    return type(value) is int and value >= 0


def _parse_tensor(name, entry):
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise ReadError(f"tensor '{name}': expected the fields dtype, shape and data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in STORAGE:
        raise ReadError(f"tensor '{name}': unknown dtype {dtype!r}")
    if (
        not isinstance(shape, list)
        or len(shape) > _MAX_DIMENSIONS
        or not all(_is_count(extent) for extent in shape)
    ):
        raise ReadError(f"tensor '{name}': the shape is not a list of counts")
    if (
        not isinstance(offsets, list)
        or len(offsets) != 2
        or not all(_is_count(offset) for offset in offsets)
        or offsets[0] > offsets[1]
    ):
        raise ReadError(f"tensor '{name}': data_offsets are not two ascending counts")
    expected_bytes = math.prod(shape) * STORAGE[dtype].itemsize
    if expected_bytes != offsets[1] - offsets[0]:
        raise ReadError(
            f"tensor '{name}': {dtype} {shape} takes {expected_bytes} bytes, "
            f"the data_offsets span {offsets[1] - offsets[0]}"
        )
    return dtype, tuple(shape), offsets[0], offsets[1]


def _check_cover(tensors, data_bytes):
    position = 0
    ordered = sorted(tensors.items(), key=lambda item: item[1][2:])
    for name, (_, _, begin, end) in ordered:
        if begin != position:
            kind = "overlaps another tensor" if begin < position else "leaves a hole before it"
            raise ReadError(
                f"tensor '{name}' {kind}: expected to begin at {position}, found {begin}"
            )
        position = end
    if position != data_bytes:
        raise ReadError(
            f"the tensors end at byte {position} of the data, but the file holds {data_bytes}: "
            "truncated, or with bytes behind the end"
        )
