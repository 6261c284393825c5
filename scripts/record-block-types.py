"""Records what blocks of every GGUF block type stand for, for native/test/block-types.test.ts.

    python scripts/record-block-types.py native/test/fixtures

Random bytes with scales that are usual, zero, negative, subnormal and large; the values are those of the `gguf` package's own
dequantisation (f32). Rows of 256 values. Needs Python 3.10 or later with gguf and numpy.
"""

import base64
import json
import pathlib
import sys

import gguf
import numpy

# Type, values and bytes of a block, byte offsets of its f16 scales.
TYPES = [
    ("Q8_0", 32, 34, [0]),
    ("Q4_0", 32, 18, [0]),
    ("Q4_1", 32, 20, [0, 2]),
    ("Q5_0", 32, 22, [0]),
    ("Q5_1", 32, 24, [0, 2]),
    ("IQ4_NL", 32, 18, [0]),
    ("Q4_K", 256, 144, [0, 2]),
    ("Q5_K", 256, 176, [0, 2]),
    ("Q6_K", 256, 210, [208]),
]
ROWS = 5
COLS = 256
SCALES = [0.0, -0.03, 6e-8, 2e-5, 60000.0]


def record(name, values, size, scale_offsets, random):
    count = ROWS * COLS // values
    blocks = random.integers(0, 256, (count, size), dtype=numpy.uint8)
    for index in range(count):
        for at in scale_offsets:
            scale = SCALES[index // 2 % len(SCALES)] if index % 2 else random.uniform(0.001, 0.1)
            blocks[index, at : at + 2] = numpy.frombuffer(numpy.float16(scale).tobytes(), numpy.uint8)
    stored = blocks.reshape(ROWS, -1)
    decoded = gguf.quants.dequantize(stored, gguf.GGMLQuantizationType[name]).astype(numpy.float32)
    assert numpy.isfinite(decoded).all() and decoded.shape == (ROWS, COLS)
    encode = lambda array: base64.b64encode(array.tobytes()).decode()
    return {"type": name, "rows": ROWS, "cols": COLS, "bytes": encode(stored), "values": encode(decoded)}


def main():
    random = numpy.random.default_rng(20261126)
    out = pathlib.Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    cases = [record(*entry, random) for entry in TYPES]
    (out / "block-types.json").write_text(json.dumps(cases, indent=1) + "\n")


main()
