"""Reads the activations that Thresher stored.

    import thresher
    run = thresher.open_run("demo-run")
    for sample_index, token_ids, rows in run.rows("blocks.3.hook_resid_post"):
        ...  # rows: float32 [tokens, width]
"""

from thresher.errors import ReadError
from thresher.reader import Run, Shard, StoredSequence, open_run

__all__ = ["ReadError", "Run", "Shard", "StoredSequence", "open_run"]
