#!/usr/bin/env python3
"""llama.cpp as a yardstick for compare.py: llama_cpp_peer.py MODEL TOKENS.jsonl

Evaluates the prompts as llama.cpp does before it generates; it has no hook points, so nothing is
stored. The model is written to MODEL/model.gguf first, in bf16. For speed alone: rows of Q and K
are not permuted, as a checkpoint for generating text would need.
"""

import json
import os

import gguf
import llama_cpp
import numpy
from peer_loop import serve

# Names of a layer's tensors: Hugging Face, GGUF.
LAYER_TENSORS = {
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
OTHER_TENSORS = {"model.embed_tokens": "token_embd", "model.norm": "output_norm"}


def gguf_name(name):
    stem, kind = name.rsplit(".", 1)
    if stem in OTHER_TENSORS:
        return f"{OTHER_TENSORS[stem]}.{kind}"
    layer, part = stem.removeprefix("model.layers.").split(".", 1)
    return f"blk.{layer}.{LAYER_TENSORS[part]}.{kind}"


def read_tensors(path):
    """Name, and elements as uint16 bit patterns of bf16, of each tensor of a safetensors file."""
    with open(path, "rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
    header.pop("__metadata__", None)
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        bits = numpy.memmap(path, numpy.uint16, "r", 8 + size + begin, ((end - begin) // 2,))
        yield name, bits.reshape(entry["shape"])


def write_gguf(folder, path):
    with open(os.path.join(folder, "config.json")) as file:
        config = json.load(file)
    writer = gguf.GGUFWriter(path + ".tmp", config["model_type"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_rope_freq_base(config["rope_theta"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_vocab_size(config["vocab_size"])
    writer.add_tokenizer_model("none")
    for name, bits in read_tensors(os.path.join(folder, "model.safetensors")):
        if bits.ndim == 1:
            values = (bits.astype(numpy.uint32) << 16).view(numpy.float32)
            writer.add_tensor(gguf_name(name), values)
        else:
            writer.add_tensor(
                gguf_name(name),
                numpy.ascontiguousarray(bits).view(numpy.uint8),
                raw_dtype=gguf.GGMLQuantizationType.BF16,
            )
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    os.replace(path + ".tmp", path)


def load(folder, sequences):
    path = os.path.join(folder, "model.gguf")
    if not os.path.exists(path):
        write_gguf(folder, path)
    longest = max(map(len, sequences))
    threads = len(os.sched_getaffinity(0))
    model = llama_cpp.Llama(
        path,
        n_ctx=longest,
        n_batch=longest,
        n_threads=threads,
        n_threads_batch=threads,
        verbose=False,
    )

    def run(folder):
        for ids in sequences:
            model.reset()
            model.eval(ids)

    return run


if __name__ == "__main__":
    serve(load)
