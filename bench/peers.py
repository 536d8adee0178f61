#!/usr/bin/env python3
"""One peer of compare.py: peers.py torch|torch-padded|openvino MODEL TOKENS.jsonl

A pass keeps all layers and leaves them in the folder that it is given (peer_loop.py).
"""

import os
import sys

import torch
from peer_loop import serve
from transformers import AutoModel

BATCH, PADDED_LENGTH = 4, 2048


def load(model):
    return AutoModel.from_pretrained(
        model, dtype=torch.bfloat16, attn_implementation="sdpa"
    ).eval()


def write(folder, name, layers):
    """The layers' rows, bf16, in one file; nothing without a folder."""
    if not folder:
        return
    with open(os.path.join(folder, f"{name}.bin"), "wb") as file:
        for layer in layers:
            file.write(layer.to(torch.bfloat16).contiguous().view(torch.int16).numpy().tobytes())


class LayerOutputs:
    """Runs a transformers model and keeps what each layer puts out."""

    def __init__(self, model):
        self.model = model
        self.kept = []
        for layer in model.layers:
            layer.register_forward_hook(self.keep)

    def keep(self, module, inputs, output):
        self.kept.append(output[0] if isinstance(output, tuple) else output)

    def run(self, ids, mask=None):
        self.kept = []
        self.model(ids, attention_mask=mask, use_cache=False)
        return self.kept


def torch_pass(model_folder, sequences):
    layers = LayerOutputs(load(model_folder))

    def run(folder):
        with torch.inference_mode():
            for number, ids in enumerate(sequences):
                write(folder, number, [kept[0] for kept in layers.run(torch.tensor([ids]))])

    return run


def torch_padded_pass(model_folder, sequences):
    layers = LayerOutputs(load(model_folder))

    def run(folder):
        with torch.inference_mode():
            for first in range(0, len(sequences), BATCH):
                batch = sequences[first : first + BATCH]
                ids = torch.zeros(len(batch), PADDED_LENGTH, dtype=torch.long)
                mask = torch.zeros(len(batch), PADDED_LENGTH, dtype=torch.long)
                for row, sequence in enumerate(batch):
                    ids[row, : len(sequence)] = torch.tensor(sequence)
                    mask[row, : len(sequence)] = 1
                write(folder, first, layers.run(ids, mask))

    return run


class Layers(torch.nn.Module):
    """The decoder's layers as a function of token ids, for OpenVINO's converter."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, ids):
        hidden = self.model.embed_tokens(ids)
        positions = torch.arange(ids.shape[1])[None]
        angles = self.model.rotary_emb(hidden, positions)
        kept = []
        for layer in self.model.layers:
            output = layer(
                hidden, attention_mask=None, position_embeddings=angles, position_ids=positions
            )
            hidden = output[0] if isinstance(output, tuple) else output
            kept.append(hidden)
        return tuple(kept)


def openvino_pass(model_folder, sequences):
    import openvino

    model = load(model_folder).to(torch.float32)
    with torch.no_grad():
        converted = openvino.convert_model(
            Layers(model), example_input=torch.tensor([sequences[0]])
        )
    del model
    compiled = openvino.Core().compile_model(
        converted, "CPU", {"INFERENCE_PRECISION_HINT": "bf16", "PERFORMANCE_HINT": "LATENCY"}
    )
    request = compiled.create_infer_request()

    def run(folder):
        for number, ids in enumerate(sequences):
            request.infer({0: torch.tensor([ids]).numpy()})
            kept = [
                torch.from_numpy(request.get_output_tensor(i).data)[0]
                for i in range(len(compiled.outputs))
            ]
            write(folder, number, kept)

    return run


PASSES = {"torch": torch_pass, "torch-padded": torch_padded_pass, "openvino": openvino_pass}


if __name__ == "__main__":
    serve(PASSES[sys.argv[1]])
