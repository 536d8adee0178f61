#!/usr/bin/env python3
"""PyTorch's part of gpu.py: gpu_peer.py DEVICE CONFIG.json TOKENS.jsonl

Makes a model of random weights on the device, runs a pass that does not count, prints what it runs
on, and then, for each line on the standard input, "TIMES rows" or "TIMES no rows", runs the
sequences of the file, one a batch, TIMES times over and prints {"seconds": ..}. Lines of the file:
{"token_ids": [..]}, all of one length.
"""

import json
import sys
import time

import torch
import transformers


def make_model(device, config_path):
    with open(config_path) as file:
        config = json.load(file)
    settings = transformers.AutoConfig.for_model(**config)
    settings._attn_implementation = "sdpa"
    torch.set_default_dtype(torch.bfloat16)
    with torch.device(device):
        return transformers.AutoModel.from_config(settings).eval()


class RowCopies:
    """Hooks that copy each layer's output to host memory while the next layers are computed.

    Two sets of buffers: one is filled while the other could still be read by whoever stores rows.
    """

    def __init__(self, model, tokens):
        layers = model.layers
        self.on_gpu = next(model.parameters()).is_cuda
        shape = (tokens, model.config.hidden_size)
        self.buffers = [
            [torch.empty(shape, dtype=torch.bfloat16, pin_memory=self.on_gpu) for _ in layers]
            for _ in range(2)
        ]
        self.stream = torch.cuda.Stream() if self.on_gpu else None
        self.filled = [None, None]  # events: the copies into that set are done
        self.batch = 0
        self.copies = True
        for number, layer in enumerate(layers):
            layer.register_forward_hook(
                lambda module, inputs, output, number=number: self.keep(number, output)
            )

    def keep(self, number, output):
        rows = output[0] if isinstance(output, tuple) else output
        if not self.copies:
            return
        target = self.buffers[self.batch % 2][number]
        rows = rows.reshape(target.shape)
        if not self.on_gpu:
            target.copy_(rows)
            return
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            target.copy_(rows, non_blocking=True)
        rows.record_stream(self.stream)

    def begin_batch(self):
        filled = self.filled[self.batch % 2]
        if filled is not None:
            filled.synchronize()

    def end_batch(self):
        if self.on_gpu:
            self.filled[self.batch % 2] = self.stream.record_event()
        self.batch += 1


def main():
    device, config_path, tokens_path = sys.argv[1:]
    torch.manual_seed(0)
    model = make_model(device, config_path)
    with open(tokens_path) as file:
        ids = torch.tensor([json.loads(line)["token_ids"] for line in file], device=device)
    copies = RowCopies(model, ids.shape[1])

    def one_pass(times, brings_rows):
        copies.copies = brings_rows
        with torch.inference_mode():
            for _ in range(times):
                for sequence in ids:
                    copies.begin_batch()
                    model(sequence[None], use_cache=False)
                    copies.end_batch()
        if copies.on_gpu:
            torch.cuda.synchronize()

    one_pass(1, True)
    name = torch.cuda.get_device_name() if copies.on_gpu else "cpu"
    about = {
        "device": name,
        "tokens": ids.numel(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }
    print(json.dumps(about), flush=True)
    for line in sys.stdin:
        times, what = line.strip().split(" ", 1)
        begin = time.perf_counter()
        one_pass(int(times), what == "rows")
        print(json.dumps({"seconds": time.perf_counter() - begin}), flush=True)


if __name__ == "__main__":
    main()
