#!/usr/bin/env python3
"""Turns a Llama-architecture GGUF file into a model folder in Hugging Face layout.

usage: convert_gguf.py FILE.gguf FOLDER

Writes model.safetensors (bf16), config.json, generation_config.json, tokenizer.json and
tokenizer_config.json. Quantised tensors are dequantised: the result has the precision that the
GGUF file has, not that of the original checkpoint.

Needs numpy, gguf, safetensors and tokenizers; not torch.
GGUF: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import argparse
import json
import pathlib
import sys

import gguf
import numpy as np
import safetensors
import tokenizers

TOP_LEVEL_NAMES = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}
# Of "blk.N.NAME.weight".
LAYER_NAMES = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
CONTROL_TOKEN = 3  # gguf.TokenType.CONTROL: a special token


class Metadata:
    """The key-value pairs of a GGUF file."""

    def __init__(self, reader):
        self._fields = reader.fields

    def __getitem__(self, key):
        if key not in self._fields:
            raise ValueError(f"the GGUF file has no field '{key}'")
        return self._fields[key].contents()

    def expect(self, key, expected):
        if self[key] != expected:
            raise ValueError(f"GGUF field '{key}': expected {expected!r}, found {self[key]!r}")


def half_split_rotary(weight, head_count):
    """Reorders the rows of a query or key projection [heads * head_dim, hidden].

    GGUF stores the two values that rotary embedding turns together side by side (0, 1), (2, 3), ..;
    Hugging Face stores them half a head apart: (0, head_dim / 2), (1, head_dim / 2 + 1), ..
    """
    rows, hidden = weight.shape
    pairs = weight.reshape(head_count, rows // head_count // 2, 2, hidden)
    return pairs.swapaxes(1, 2).reshape(rows, hidden)


def hugging_face_name(name):
    if name in TOP_LEVEL_NAMES:
        return TOP_LEVEL_NAMES[name]
    parts = name.split(".")
    if len(parts) == 4 and parts[0] == "blk" and parts[2] in LAYER_NAMES and parts[3] == "weight":
        return f"model.layers.{int(parts[1])}.{LAYER_NAMES[parts[2]]}.weight"
    raise ValueError(f"do not know the tensor '{name}' of the GGUF file")


def bf16_bits(values):
    """float32 values to bf16 bit patterns (uint16), rounded to nearest, ties to even."""
    values = np.ascontiguousarray(values, dtype=np.float32)
    if not np.isfinite(values).all():
        raise ValueError("a weight is not finite")
    bits = values.view(np.uint32)
    return ((bits + (np.uint32(0x7FFF) + ((bits >> 16) & 1))) >> 16).astype(np.uint16)


def convert_weights(reader, metadata):
    """Hugging Face name -> bf16 bits [out, in] or [size]."""
    head_counts = {
        "attn_q": metadata["llama.attention.head_count"],
        "attn_k": metadata["llama.attention.head_count_kv"],
    }
    weights = {}
    for tensor in reader.tensors:
        shape = tuple(int(extent) for extent in reversed(tensor.shape))  # fastest extent first
        weight = gguf.dequantize(tensor.data, tensor.tensor_type).astype(np.float32).reshape(shape)
        name = hugging_face_name(tensor.name)
        parts = tensor.name.split(".")
        if parts[0] == "blk" and parts[2] in head_counts:
            weight = half_split_rotary(weight, head_counts[parts[2]])
        weights[name] = bf16_bits(weight)
    return weights


def write_weights(weights, path):
    specs = {
        name: safetensors.TensorSpec(
            dtype="bfloat16",
            shape=list(bits.shape),
            data_ptr=bits.ctypes.data,  # `weights` keeps the memory alive
            data_len=bits.nbytes,
        )
        for name, bits in weights.items()
    }
    safetensors.serialize_file(specs, path, metadata={"format": "pt"})


def special_token_ids(metadata):
    return {
        f"{name}_token_id": metadata[f"tokenizer.ggml.{key}_token_id"]
        for name, key in (("bos", "bos"), ("eos", "eos"), ("pad", "padding"))
    }


def model_config(metadata, tied):
    hidden_size = metadata["llama.embedding_length"]
    head_count = metadata["llama.attention.head_count"]
    # GGUF stores a float32; the shortest decimal that is the same float32 is what was meant.
    epsilon = np.float32(metadata["llama.attention.layer_norm_rms_epsilon"])
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": hidden_size,
        "intermediate_size": metadata["llama.feed_forward_length"],
        "num_hidden_layers": metadata["llama.block_count"],
        "num_attention_heads": head_count,
        "num_key_value_heads": metadata["llama.attention.head_count_kv"],
        "head_dim": hidden_size // head_count,
        "hidden_act": "silu",
        "rms_norm_eps": float(str(epsilon)),
        "rope_theta": metadata["llama.rope.freq_base"],
        "rope_scaling": None,
        "max_position_embeddings": metadata["llama.context_length"],
        "vocab_size": len(metadata["tokenizer.ggml.tokens"]),
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": tied,
        **special_token_ids(metadata),
        "torch_dtype": "bfloat16",
    }


def build_tokenizer(metadata):
    """Byte-level BPE with SmolLM's pre-tokenizer: digits one by one, then GPT-2's splitting."""
    metadata.expect("tokenizer.ggml.model", "gpt2")
    metadata.expect("tokenizer.ggml.pre", "smollm")
    tokens = metadata["tokenizer.ggml.tokens"]
    merges = [tuple(merge.split(" ", 1)) for merge in metadata["tokenizer.ggml.merges"]]
    vocabulary = {token: index for index, token in enumerate(tokens)}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Sequence(
        [
            tokenizers.pre_tokenizers.Digits(individual_digits=True),
            tokenizers.pre_tokenizers.ByteLevel(
                add_prefix_space=False, trim_offsets=True, use_regex=True
            ),
        ]
    )
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    tokenizer.add_special_tokens(
        [
            tokenizers.AddedToken(token, special=True, normalized=False)
            for token, kind in zip(tokens, metadata["tokenizer.ggml.token_type"])
            if kind == CONTROL_TOKEN
        ]
    )
    return tokenizer


def tokenizer_config(metadata):
    tokens = metadata["tokenizer.ggml.tokens"]
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "add_prefix_space": False,
        "bos_token": tokens[metadata["tokenizer.ggml.bos_token_id"]],
        "eos_token": tokens[metadata["tokenizer.ggml.eos_token_id"]],
        "unk_token": tokens[metadata["tokenizer.ggml.unknown_token_id"]],
        "pad_token": tokens[metadata["tokenizer.ggml.padding_token_id"]],
        "model_max_length": metadata["llama.context_length"],
        "clean_up_tokenization_spaces": False,
        "chat_template": metadata["tokenizer.chat_template"],
    }


def write_json(value, path):
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def convert(gguf_path, folder):
    reader = gguf.GGUFReader(gguf_path)
    metadata = Metadata(reader)
    metadata.expect("general.architecture", "llama")
    folder.mkdir(parents=True, exist_ok=True)
    weights = convert_weights(reader, metadata)
    write_weights(weights, folder / "model.safetensors")
    write_json(model_config(metadata, "lm_head.weight" not in weights), folder / "config.json")
    write_json(special_token_ids(metadata), folder / "generation_config.json")
    build_tokenizer(metadata).save(str(folder / "tokenizer.json"))
    write_json(tokenizer_config(metadata), folder / "tokenizer_config.json")
    return len(weights), sum(bits.size for bits in weights.values())


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("gguf", type=pathlib.Path, help="the GGUF file")
    parser.add_argument("folder", type=pathlib.Path, help="the model folder to write")
    arguments = parser.parse_args()
    try:
        tensor_count, parameter_count = convert(arguments.gguf, arguments.folder)
    except (OSError, ValueError) as error:
        sys.exit(f"convert_gguf: {arguments.gguf}: {error}")
    print(f"{tensor_count} tensors, {parameter_count / 1e6:.1f} M parameters, bf16")


if __name__ == "__main__":
    main()
