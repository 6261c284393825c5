"""Writes datasets/fixtures/records-*.parquet, which datasets/parquet.test.ts reads, with pyarrow (tested with 26.0).

Run: python scripts/record-parquet.py
"""
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

FOLDER = Path(__file__).parent.parent / "datasets" / "fixtures"

# parquet.test.ts repeats these rows in words of its own.
rows = pa.table(
    {
        "id": pa.array(range(1200), pa.int64()),
        "text": pa.array([None if i % 7 == 3 else f"Zeile {i}: é, 漢字, \"quoted\"\n" for i in range(1200)], pa.string()),
        "answers": pa.array([[f"a{i}", f"b{i}"][: i % 3] for i in range(1200)], pa.list_(pa.string())),
        "context": pa.array(
            [{"title": [f"T{i % 5}"], "sentences": [["One.", "Two."], []]} for i in range(1200)],
            pa.struct([("title", pa.list_(pa.string())), ("sentences", pa.list_(pa.list_(pa.string())))]),
        ),
        "score": pa.array([i / 4 for i in range(1200)], pa.float64()),
        "yes": pa.array([i % 2 == 0 for i in range(1200)], pa.bool_()),
    }
)
for compression in ["snappy", "zstd", "gzip", "none"]:
    # Several row groups and pages, dictionaries where they pay; a few rows where bytes are not compressed.
    table = rows if compression != "none" else rows.slice(0, 40)
    pq.write_table(table, FOLDER / f"records-{compression}.parquet", compression=compression, row_group_size=500)
