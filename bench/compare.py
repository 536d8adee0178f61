#!/usr/bin/env python3
"""Thresher's CPU engine beside what one would run instead, in one go.

Makes models with random weights and real shapes, and runs Thresher and the peers in turns on the
same token ids. Everybody keeps the residual stream behind every layer, as bf16, and writes it to a
file; loading and a first pass do not count; nobody computes a language-model head.

  thresher      thresher bench: batches of whole sequences, no padding
  extract       thresher extract: the whole pipeline, from the token ids to a committed shard
  torch         transformers, one sequence at a time, SDPA attention, bf16
  torch-padded  transformers, batches of 4 padded to 2048 tokens; only real tokens are counted
  openvino      the same layers in OpenVINO, one sequence at a time, bf16
  llama.cpp     prompt evaluation in bf16, one sequence at a time; a yardstick: it stores nothing

A case is NxL (N sequences of L tokens), raggedN (N sequences of the lengths of ARC prompts, 300 to
2048) or arcN (the first N ARC-AGI-1 training tasks as prompts for SmolLM2-135M-Instruct, cut at
2048 tokens; wants scripts/fetch_assets.sh). The ratio of a peer is the median over the rounds of
thresher's tokens/s by the peer's.

examples:
  bench/compare.py --thresher build/release/thresher --markdown compare.md --plot compare.svg
  bench/compare.py --shapes smollm2-135m --cases ragged64 --peers torch --repeat 5
  bench/compare.py --quick              # a tiny model, some seconds: only to see that it works

The peers need: pip install -r bench/requirements.txt
"""

import argparse
import importlib.metadata
import importlib.util
import json
import math
import os
import platform
import random
import shutil
import statistics
import subprocess
import sys
import tempfile

import numpy

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
ARC_MODEL = os.path.join(ROOT, ".cache/models/smollm2-135m-instruct")
ARC_TASKS = os.path.join(ROOT, ".cache/data/arc-agi-1-training.jsonl")
ARC_SHAPE = "smollm2-135m"
PADDED_LENGTH = 2048

QWEN = {
    "architectures": ["Qwen2ForCausalLM"],
    "model_type": "qwen2",
    "rope_theta": 1e6,
    "rms_norm_eps": 1e-6,
    "max_position_embeddings": 32768,
}
LLAMA = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "rope_theta": 1e5,
    "rms_norm_eps": 1e-5,
    "max_position_embeddings": 8192,
}


def shape(family, hidden, intermediate, layers, heads, kv_heads, vocabulary):
    return {
        **family,
        "hidden_size": hidden,
        "intermediate_size": intermediate,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "vocab_size": vocabulary,
        "hidden_act": "silu",
        "tie_word_embeddings": True,
        "torch_dtype": "bfloat16",
    }


SHAPES = {
    "qwen2.5-0.5b": shape(QWEN, 896, 4864, 24, 14, 2, 151936),
    "qwen2.5-1.5b": shape(QWEN, 1536, 8960, 28, 12, 2, 151936),
    "smollm2-135m": shape(LLAMA, 576, 1536, 30, 9, 3, 49152),
    "tiny": shape(QWEN, 64, 128, 2, 4, 2, 512),
}


def fail(message):
    sys.exit(f"compare.py: {message}")


def say(message):
    print(message, file=sys.stderr, flush=True)


def parameter_shapes(config):
    """Names and shapes of a checkpoint in Hugging Face layout."""
    hidden, intermediate = config["hidden_size"], config["intermediate_size"]
    head_dim = hidden // config["num_attention_heads"]
    kv_width = config["num_key_value_heads"] * head_dim
    shapes = {
        "model.embed_tokens.weight": (config["vocab_size"], hidden),
        "model.norm.weight": (hidden,),
    }
    for layer in range(config["num_hidden_layers"]):
        name = f"model.layers.{layer}."
        shapes[name + "input_layernorm.weight"] = (hidden,)
        shapes[name + "post_attention_layernorm.weight"] = (hidden,)
        for part, width in (("q", hidden), ("k", kv_width), ("v", kv_width)):
            shapes[f"{name}self_attn.{part}_proj.weight"] = (width, hidden)
            if config["model_type"] == "qwen2":
                shapes[f"{name}self_attn.{part}_proj.bias"] = (width,)
        shapes[name + "self_attn.o_proj.weight"] = (hidden, hidden)
        shapes[name + "mlp.gate_proj.weight"] = (intermediate, hidden)
        shapes[name + "mlp.up_proj.weight"] = (intermediate, hidden)
        shapes[name + "mlp.down_proj.weight"] = (hidden, intermediate)
    return shapes


def write_model(folder, config):
    """Random weights in bf16; the file appears whole or not at all."""
    path = os.path.join(folder, "model.safetensors")
    if os.path.exists(path):
        return
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "config.json"), "w") as file:
        json.dump(config, file, indent=1)
    shapes = parameter_shapes(config)
    header, offset = {}, 0
    for name, extents in shapes.items():
        size = 2 * math.prod(extents)
        header[name] = {
            "dtype": "BF16",
            "shape": list(extents),
            "data_offsets": [offset, offset + size],
        }
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    generator = numpy.random.default_rng(0)
    with open(path + ".tmp", "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name, extents in shapes.items():
            # A gain of about one through each layer, as trained weights have it.
            size = 1 / math.sqrt(extents[1]) if len(extents) == 2 else 1
            values = generator.standard_normal(math.prod(extents), dtype=numpy.float32) * size
            if name.endswith("norm.weight"):
                values = 1 + values / 10
            file.write((values.view(numpy.uint32) >> 16).astype(numpy.uint16).tobytes())
    os.replace(path + ".tmp", path)


def numbered(case, word):
    """N of a case `wordN`; 0 if it is none."""
    rest = case.removeprefix(word)
    return int(rest) if case.startswith(word) and rest.isdigit() else 0


def check_case(case):
    if numbered(case, "ragged") or numbered(case, "arc"):
        return
    count, cross, length = case.partition("x")
    if not (cross and count.isdigit() and length.isdigit() and int(count) * int(length) > 0):
        fail(f"--cases: expected NxL, raggedN or arcN, such as 4x512 or ragged12, found {case!r}")


def random_tokens(case, vocabulary):
    """Sequences of random token ids."""
    draw = random.Random(0)
    if numbered(case, "ragged"):
        lengths = [
            max(300, min(PADDED_LENGTH, int(draw.lognormvariate(6.8, 0.55))))
            for _ in range(numbered(case, "ragged"))
        ]
    else:
        count, _, length = case.partition("x")
        lengths = [int(length)] * int(count)
    draw = random.Random(1)
    return [[draw.randrange(vocabulary) for _ in range(length)] for length in lengths]


def arc_tokens(options, case):
    """The prompts of ARC tasks as token ids."""
    command = [options.thresher, "prompts", "--model", ARC_MODEL, "--dataset", ARC_TASKS]
    command += ["--variants", "1", "--count", str(numbered(case, "arc")), "--json"]
    command += ["--max-tokens", str(PADDED_LENGTH)]
    return [sample["token_ids"] for sample in run_json(command)]


def write_tokens(path, sequences):
    with open(path, "w") as file:
        for ids in sequences:
            file.write(json.dumps({"token_ids": ids}) + "\n")


def run_json(command):
    """The JSON objects that a command prints, a line each."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        fail(f"{' '.join(command)} ended with status {done.returncode}:\n{done.stderr[-2000:]}")
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


class Thresher:
    """One pass of `thresher bench` a round."""

    def __init__(self, options, model, tokens, sequences):
        self.command = [options.thresher, "bench", "--model", model, "--dataset", tokens]
        self.command += ["--max-samples", str(sequences), "--repeat", "1", "--quiet", "--json"]

    def run(self, scratch):
        (figures,) = run_json(self.command + ["--write", scratch])
        return figures

    def close(self):
        pass


class Extract:
    """One run of `thresher extract` a round, from its first unit to its last commit."""

    def __init__(self, options, model, tokens, sequences):
        self.command = [options.thresher, "extract", "--model", model, "--dataset", tokens]
        self.command += ["--no-checkpointing", "--json"]

    def run(self, scratch):
        output = os.path.join(scratch, "run")
        progress = [
            line
            for line in run_json(self.command + ["--output", output])
            if line.get("event") == "progress"
        ]
        shutil.rmtree(output)
        last = progress[-1]
        seconds = (last["engine_busy_ms"] + last["engine_wait_ms"]) / 1000
        return {"tokens_per_second": last["tokens_computed"] / max(seconds, 1e-3)}

    def close(self):
        pass


class Peer:
    """A process of peers.py, which loads once and makes a pass when asked to."""

    def __init__(self, name, model, tokens):
        self.name = name
        self.process = subprocess.Popen(
            [sys.executable, os.path.join(HERE, PEER_PROGRAMS[name]), name, model, tokens],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.answer()

    def answer(self):
        for line in self.process.stdout:
            if line.startswith("{"):
                return json.loads(line)
        fail(f"the peer {self.name} ended with status {self.process.wait()}; see above")

    def run(self, scratch):
        self.process.stdin.write(scratch + "\n")
        self.process.stdin.flush()
        return self.answer()

    def close(self):
        self.process.stdin.close()
        self.process.wait()


PEER_PACKAGES = {
    "torch": ["torch", "transformers"],
    "torch-padded": ["torch", "transformers"],
    "openvino": ["torch", "transformers", "openvino"],
    "llama.cpp": ["llama_cpp", "gguf"],
}
PEER_PROGRAMS = {name: "peers.py" for name in PEER_PACKAGES} | {"llama.cpp": "llama_cpp_peer.py"}


def usable_peers(names, quick):
    usable = []
    for name in names:
        if name not in PEER_PACKAGES:
            fail(f"--peers: expected some of {', '.join(PEER_PACKAGES)}, found {name!r}")
        missing = [p for p in PEER_PACKAGES[name] if importlib.util.find_spec(p) is None]
        if not missing:
            usable.append(name)
        elif quick:
            say(f"skipped: {name}: {missing[0]} is not installed")
        else:
            fail(
                f"{name} needs {missing[0]}: pip install -r bench/requirements.txt, "
                f"or leave it out of --peers"
            )
    return usable


def start(name, options, model, tokens, sequences):
    if name == "thresher":
        return Thresher(options, model, tokens, sequences)
    if name == "extract":
        return Extract(options, model, tokens, sequences)
    return Peer(name, model, tokens)


def measure(options, model_name, case, peers):
    """Tokens/s of each contender in each round, and the last figures of thresher bench."""
    config = SHAPES[model_name]
    if numbered(case, "arc"):
        model, sequences = ARC_MODEL, arc_tokens(options, case)
    else:
        model, sequences = os.path.join(options.work, model_name), random_tokens(
            case, config["vocab_size"]
        )
        write_model(model, config)
    tokens = os.path.join(options.work, f"{model_name}-{case}.jsonl")
    write_tokens(tokens, sequences)
    token_count = sum(map(len, sequences))
    names = ["thresher", "extract", *peers]
    say(f"{model_name} {case}: loading {', '.join(names)}")
    contenders = {name: start(name, options, model, tokens, len(sequences)) for name in names}
    rounds = {name: [] for name in names}
    engine = {}
    try:
        with tempfile.TemporaryDirectory(dir=options.work) as scratch:
            for number in range(1, options.repeat + 1):
                for name, contender in contenders.items():
                    figures = contender.run(scratch)
                    speed = figures.get("tokens_per_second") or token_count / figures["seconds"]
                    if not (math.isfinite(speed) and speed > 0):
                        fail(f"{name}: {speed} tokens/s is no speed")
                    rounds[name].append(speed)
                    if name == "thresher":
                        engine = figures
                    say(f"{model_name} {case}: round {number} of {options.repeat}: "
                        f"{name} {speed:.0f} tokens/s")
    finally:
        for contender in contenders.values():
            contender.close()
    return {"shape": model_name, "case": case, "tokens_per_second": rounds, "engine": engine}


def ratios(result, peer):
    ours = result["tokens_per_second"]["thresher"]
    return [a / b for a, b in zip(ours, result["tokens_per_second"][peer])]


def machine():
    with open("/proc/cpuinfo") as file:
        fields = dict(line.split(":", 1) for line in file if ":" in line)
    fields = {name.strip(): value.strip() for name, value in fields.items()}
    flags = fields.get("flags", "").split()
    wanted = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")
    versions = {"python": platform.python_version()}
    for package in ("torch", "transformers", "openvino", "llama_cpp_python"):
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "processor": fields.get("model name", platform.machine()),
        "cores": os.cpu_count(),
        "features": [flag for flag in wanted if flag in flags],
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "versions": versions,
    }


def table(results, about):
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    lines = [
        f"{about['processor']}, {about['cores']} cores ({', '.join(about['features'])}), "
        f"{about['memory_gib']} GiB; {versions}. Tokens/s are medians; in brackets thresher's "
        f"by it: median (smallest to largest of the rounds).",
        "",
    ]
    peers = [p for p in results[0]["tokens_per_second"] if p != "thresher"]
    lines.append("| shape | case | of GEMM peak | of oneDNN's | thresher | " + " | ".join(peers) + " |")
    lines.append("| --- " * (5 + len(peers)) + "|")
    for result in results:
        speeds = result["tokens_per_second"]
        cells = [
            result["shape"],
            result["case"],
            f"{result['engine']['fraction_of_gemm_peak']:.2f}",
            f"{result['engine']['fraction_of_onednn_gemm_peak']:.2f}",
            f"{statistics.median(speeds['thresher']):.0f}",
        ]
        for peer in peers:
            r = ratios(result, peer)
            cells.append(
                f"{statistics.median(speeds[peer]):.0f} "
                f"[{statistics.median(r):.2f} ({min(r):.2f} to {max(r):.2f})]"
            )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def plot(results, path):
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    names = list(results[0]["tokens_per_second"])
    figure, axes = pyplot.subplots(figsize=(2 + 1.8 * len(results), 4.2))
    width = 0.8 / len(names)
    for n, name in enumerate(names):
        # Each group by its own fastest, so that small and large models share an axis.
        heights = []
        for r in results:
            speeds = {k: statistics.median(v) for k, v in r["tokens_per_second"].items()}
            heights.append(speeds[name] / max(speeds.values()))
        places = [i + (n - (len(names) - 1) / 2) * width for i in range(len(results))]
        bars = axes.bar(places, heights, width * 0.92, label=name)
        labels = [f"{statistics.median(r['tokens_per_second'][name]):.0f}" for r in results]
        axes.bar_label(bars, labels, fontsize=7, rotation=90, padding=2)
    axes.set_xticks(range(len(results)), [f"{r['shape']}\n{r['case']}" for r in results])
    axes.set_ylabel("speed, the fastest of each group = 1")
    axes.set_title("Tokens/s (on the bars), all layers stored")
    axes.set_ylim(0, 1.25)
    axes.legend(ncol=len(names), fontsize=8, loc="upper center")
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path)


def parse_options():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--thresher", default=os.path.join(ROOT, "build/release/thresher"))
    parser.add_argument("--shapes", default="qwen2.5-0.5b,smollm2-135m")
    parser.add_argument("--cases", default="1x2048,4x512,ragged12,arc32")
    parser.add_argument("--peers", default=",".join(PEER_PACKAGES))
    parser.add_argument("--repeat", type=int, default=3, help="rounds [3]")
    parser.add_argument("--work", default=os.path.join(ROOT, ".cache/compare"),
                        help="folder for models and scratch files [.cache/compare]")
    parser.add_argument("--json", help="file for all figures")
    parser.add_argument("--markdown", help="file for the table")
    parser.add_argument("--plot", help="SVG file for the picture")
    parser.add_argument("--quick", action="store_true", help="a tiny model, one round")
    options = parser.parse_args()
    if options.quick:
        options.shapes, options.cases, options.repeat = "tiny", "2x50,ragged2", 1
    if options.repeat < 1:
        fail(f"--repeat: expected a number from 1, found {options.repeat}")
    if not os.access(options.thresher, os.X_OK):
        fail(f"--thresher: {options.thresher} is no program; build it, or name another")
    return options


def report(options, text, figures):
    """Prints the text; writes it and the figures to the files that were asked for."""
    print(text)
    if options.markdown:
        with open(options.markdown, "w") as file:
            file.write(text)
    if options.json:
        with open(options.json, "w") as file:
            json.dump(figures, file, indent=1)


def main():
    options = parse_options()
    shapes = options.shapes.split(",")
    for name in shapes:
        if name not in SHAPES:
            fail(f"--shapes: expected some of {', '.join(SHAPES)}, found {name!r}")
    peers = usable_peers([p for p in options.peers.split(",") if p], options.quick)
    os.makedirs(options.work, exist_ok=True)
    cases = options.cases.split(",")
    for case in cases:
        check_case(case)
        if numbered(case, "arc") and not os.path.exists(ARC_MODEL):
            fail(f"--cases: {case} needs {ARC_MODEL}; scripts/fetch_assets.sh makes it")
    results = [
        measure(options, name, case, peers)
        for name in shapes
        for case in cases
        if name == ARC_SHAPE or not numbered(case, "arc")
    ]
    about = machine()
    text = table(results, about)
    report(options, text, {"machine": about, "results": results})
    if options.plot:
        plot(results, options.plot)


if __name__ == "__main__":
    main()
