"""Stored elements and how they become float32."""

import numpy as np


def _fp8_e4m3_values():
    """The float32 value of each of the 256 codes of OCP FP8 E4M3.

    Sign, 4 bits of exponent with bias 7, 3 bits of mantissa; no infinities; 0x7f and 0xff are NaN.
    Source: OCP 8-bit Floating Point Specification (OFP8) 1.0, section 5.
    """
    codes = np.arange(256)
    exponent = (codes >> 3) & 15
    mantissa = (codes & 7) / 8.0
    magnitude = np.where(
        exponent == 0, mantissa * 2.0**-6, (1.0 + mantissa) * 2.0 ** (exponent - 7.0)
    )
    magnitude[(codes & 0x7F) == 0x7F] = np.nan
    return np.where(codes & 0x80, -magnitude, magnitude).astype(np.float32)


_FP8_E4M3_VALUES = _fp8_e4m3_values()

# Name in safetensors headers -> how an element lies in the file, little-endian. bf16 and fp8, which
# numpy does not have, are unsigned integers of their size.
STORAGE = {
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype("<u2"),
    "F8_E4M3": np.dtype("u1"),
    "I8": np.dtype("i1"),
    "I32": np.dtype("<i4"),
    "I64": np.dtype("<i8"),
}

# Name in run.json -> name in safetensors headers.
STORED_DTYPES = {
    "f32": "F32",
    "f16": "F16",
    "bf16": "BF16",
    "fp8_e4m3": "F8_E4M3",
    "int8": "I8",
}

# Those with one float32 scale per token.
SCALED = frozenset(["F8_E4M3", "I8"])


def decode(elements, dtype, scale=None):
    """Stored elements [tokens, width] to float32 of the same shape.

    `dtype` is the name in safetensors headers; `scale` is float32 [tokens] for the dtypes in SCALED.
    float32 comes back as it is, every other dtype as a new array.
    """
    if dtype == "F32":
        return elements
    if dtype == "F16":
        return elements.astype(np.float32)
    if dtype == "BF16":
        # A bf16 is the upper half of a float32.
        return (elements.astype(np.uint32) << 16).view(np.float32)
    if dtype == "F8_E4M3":
        return _FP8_E4M3_VALUES[elements] * scale[:, np.newaxis]
    if dtype == "I8":
        return elements.astype(np.float32) * scale[:, np.newaxis]
    raise ValueError(f"{dtype} is not a dtype of activations")
