"""What every peer of compare.py does: load, one pass that does not count, then a pass a line."""

import json
import sys
import time


def serve(load):
    """Runs `program [NAME] MODEL TOKENS.jsonl`.

    `load(model folder, sequences of token ids)` returns a function that makes one pass and leaves
    what it stores in a folder ("" for nowhere). Prints {"ready": true} after a pass that does not
    count; then, for each line on the standard input, which names a folder, {"seconds": ..}.
    """
    model, tokens = sys.argv[-2:]
    with open(tokens) as file:
        sequences = [json.loads(line)["token_ids"] for line in file]
    run = load(model, sequences)
    run("")
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        begin = time.perf_counter()
        run(line.strip())
        print(json.dumps({"seconds": time.perf_counter() - begin}), flush=True)
