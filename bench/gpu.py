#!/usr/bin/env python3
"""Thresher beside PyTorch on the GPUs of this machine, in one session, and what goes with it.

For each case (N sequences of L tokens, a batch each) on a model with random weights, both on the
same token ids, in passes of about two seconds, of which the best of three counts in each round:

  thresher        thresher bench: every layer's residual stream brought to host memory
  ... no rows     the same batches with nothing brought back
  torch           the layers of transformers in bf16, SDPA attention, a hook behind each layer that
                  copies its output to pinned host memory; the copies run beside the computation
  ... no rows     the same with hooks that copy nothing

The cost of the rows is the time with them by the time without, less 1. The ratio is the median over
the rounds of thresher's tokens/s by torch's, rows brought back by both. MFU is of the published bf16
peak of the device where thresher knows it. Then the golden models of the tests on the device, in
f32 (needs the test programs: ninja -C build/release), and the largest shape of --mesh-shapes that
fits when all devices share a batch. A part that fails ends the program with status 1, after the
report.

examples:
  bench/gpu.py --markdown gpu.md --json gpu.json
  bench/gpu.py --device-attention cudnn --markdown gpu-cudnn.md
  bench/gpu.py --engine cuda13 --cases 8x2048,4x8192 --repeat 5
  bench/gpu.py --quick                  # XLA's CPU plug-in and a tiny model: only to see that it works

Needs the plug-in (thresher plugins install cuda) and, for the peer, PyTorch with CUDA and
transformers: pip install -r bench/requirements.txt
"""

import argparse
import importlib.util
import json
import math
import os
import platform
import re
import statistics
import subprocess
import sys

import compare

# As the tests have them; the larger ones only for --mesh-shapes.
SHAPES = {
    **compare.SHAPES,
    "qwen2.5-7b": compare.shape(compare.QWEN, 3584, 18944, 28, 28, 4, 152064),
}


PASSES = 3
PASS_SECONDS = 2


def thresher_bench(options, *flags):
    """The command that measures thresher on the device in bf16."""
    command = [options.thresher, "bench", "--engine", options.engine, "--compute", "bf16"]
    return [*command, "--quiet", "--json", *flags]


def thresher_figures(options, case, tokens):
    """What `thresher bench --json` says of the passes of each kind over the sequences of a file."""
    length = case.partition("x")[2]
    command = thresher_bench(options, "--shape", options.shape, "--token-ids", tokens)
    command += ["--batch-tokens", length, "--mesh", "data=1", "--repeat", str(PASSES)]
    command += ["--device-attention", options.device_attention]
    (figures,) = compare.run_json(command)
    return figures


class TorchPeer:
    """A process of gpu_peer.py: asked for a pass by a line, it answers with its seconds."""

    def __init__(self, options, tokens):
        config = os.path.join(options.work, f"{options.shape}.json")
        with open(config, "w") as file:
            json.dump(SHAPES[options.shape], file)
        command = [sys.executable, os.path.join(compare.HERE, "gpu_peer.py")]
        command += [options.torch_device, config, tokens]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.about = self.answer()

    def answer(self):
        for line in self.process.stdout:
            if line.startswith("{"):
                return json.loads(line)
        compare.fail(f"gpu_peer.py ended with status {self.process.wait()}; see above")

    def seconds(self, what, times):
        """Of all sequences `times` times; `what`: "rows" or "no rows"."""
        self.process.stdin.write(f"{times} {what}\n")
        self.process.stdin.flush()
        return self.answer()["seconds"]

    def tokens_per_second(self):
        """[with rows, without], as `thresher bench` measures: passes in turns, the best counts."""
        times = max(1, math.ceil(PASS_SECONDS / self.seconds("rows", 1)))
        seconds = {"rows": [], "no rows": []}
        for _ in range(PASSES):
            for what, passes in seconds.items():
                passes.append(self.seconds(what, times))
        return [times * self.about["tokens"] / min(passes) for passes in seconds.values()]

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def measure(options, case):
    """Tokens/s in each round: {"thresher": [with rows, without], "torch": ...}, and last figures.

    The two have the device in turns: each loads, measures and leaves, so that neither's memory is
    in the other's way.
    """
    tokens = os.path.join(options.work, "gpu-tokens.jsonl")
    vocabulary = SHAPES[options.shape]["vocab_size"]
    compare.write_tokens(tokens, compare.random_tokens(case, vocabulary))
    rounds, figures, about = {"thresher": []}, {}, {}
    if options.with_torch:
        rounds["torch"] = []
    for number in range(1, options.repeat + 1):
        figures = thresher_figures(options, case, tokens)
        rounds["thresher"].append(
            [figures["tokens_per_second"], figures["tokens_per_second_without_rows"]]
        )
        if options.with_torch:
            peer = TorchPeer(options, tokens)
            about = peer.about
            rounds["torch"].append(peer.tokens_per_second())
            peer.close()
        speeds = ", ".join(f"{name} {of[-1][0]:.0f}" for name, of in rounds.items())
        compare.say(f"{case}: round {number} of {options.repeat}: tokens/s with rows: {speeds}")
    return {"case": case, "rounds": rounds, "thresher": figures, "torch": about}


def median_cost(rounds):
    return statistics.median(without / with_rows - 1 for with_rows, without in rounds)


def table(options, results):
    head = ["case", "thresher", "no rows", "rows cost", "MFU", "of matmul peak"]
    head += ["torch", "no rows", "rows cost", "thresher / torch"]
    lines = ["| " + " | ".join(head) + " |", "| --- " * len(head) + "|"]
    for result in results:
        figures, ours = result["thresher"], result["rounds"]["thresher"]
        speed = statistics.median(r[0] for r in ours)
        gflops = figures["gflops_per_second"] / figures["tokens_per_second"] * speed
        peak = figures["published_peak_gflops_per_second"]
        cells = [
            result["case"],
            f"{speed:.0f}",
            f"{statistics.median(r[1] for r in ours):.0f}",
            f"{100 * median_cost(ours):.1f} %",
            f"{gflops / peak:.3f}" if peak else "not known",
            f"{gflops / figures['matmul_peak_gflops_per_second']:.3f}",
        ]
        peer = result["rounds"].get("torch")
        if peer:
            ratios = [a[0] / b[0] for a, b in zip(ours, peer)]
            cells += [
                f"{statistics.median(r[0] for r in peer):.0f}",
                f"{statistics.median(r[1] for r in peer):.0f}",
                f"{100 * median_cost(peer):.1f} %",
                f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
            ]
        else:
            cells += ["not run"] * 4
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def header(options, results):
    figures, torch = results[0]["thresher"], results[0]["torch"]
    text = f"{options.shape}, random weights, bf16, on {figures['device_kind']}"
    text += f" ({figures['platform']}: {figures['plugin_version']}; {figures['device']}; attention by"
    text += f" {options.device_attention})"
    if torch:
        text += f"; torch {torch['torch']}, transformers {torch['transformers']}"
        text += f" on {torch['device']}"
    return f"{text}; Python {platform.python_version()}. Tokens/s are medians."


def plugin_folder():
    """Where thresher looks for plug-ins; the tests would look into this repository's .cache."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.environ.get("THRESHER_PLUGINS") or os.path.join(cache, "thresher/plugins")


def golden_models(options):
    """The golden models of the tests on the device: whether they passed, and a line about it."""
    program = os.path.join(os.path.dirname(options.thresher), "tests/accelerator_test")
    if not os.access(program, os.X_OK):
        return False, f"golden models: NOT RUN: {program} is not built"
    environment = {"THRESHER_TEST_ENGINE": options.engine, "THRESHER_PLUGINS": plugin_folder()}
    models = "*" + ("/qwen2" if options.quick else "")
    command = [program, f"--gtest_filter=Models/AcceleratorGoldenTest.{models}"]
    done = subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True
    )
    passed = done.returncode == 0 and "OK ]" in done.stdout and "SKIPPED" not in done.stdout
    if not passed:
        compare.say(done.stdout[-4000:] + done.stderr[-2000:])
    worst = {}
    for hook, error in re.findall(r"^ +(\S+) +worst relative L2 error (\S+)$", done.stdout, re.M):
        worst[hook] = max(float(error), worst.get(hook, 0))
    verdict = "passed" if passed else "FAILED"
    text = f"Golden models on {options.engine} in f32 (bound 1e-5): {verdict}"
    if worst:
        hook = max(worst, key=worst.get)
        text += f"; the worst relative L2 error is {worst[hook]:.2g}, of {hook}"
    return passed, text + "."


def largest_model(options, devices):
    """The first of --mesh-shapes, largest first, that runs when all devices share a batch."""
    for shape in options.mesh_shapes.split(","):
        command = thresher_bench(options, "--shape", shape, "--mesh", f"model={devices}")
        command += ["--lengths", options.mesh_length, "--batch-tokens", options.mesh_length]
        done = subprocess.run([*command, "--repeat", "1"], capture_output=True, text=True)
        if done.returncode == 0:
            figures = json.loads(done.stdout)
            text = f"--mesh model={devices}: {shape} fits: {figures['tokens_per_second']:.0f} tokens/s"
            if figures["published_peak_gflops_per_second"]:
                text += f", MFU {figures['mfu']:.3f}"
            return True, text + "."
        compare.say(f"{shape} with model={devices}: {done.stderr.strip()[-400:]}")
    return False, f"--mesh model={devices}: none of {options.mesh_shapes} runs; see above."


def device_count(options):
    command = [options.thresher, "devices", "--engine", options.engine, "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        compare.fail(f"{' '.join(command)} ended with status {done.returncode}:\n{done.stderr}")
    return len(json.loads(done.stdout)[0]["devices"])


def parse_options():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--thresher", default=os.path.join(compare.ROOT, "build/release/thresher"))
    parser.add_argument("--engine", default="cuda", help="of thresher [cuda]")
    parser.add_argument("--device-attention", default="blocks",
                        help="of thresher in the cases: blocks or cudnn [blocks]")
    parser.add_argument("--torch-device", default="cuda", help="of the peer [cuda]")
    parser.add_argument("--shape", default="qwen2.5-7b", help="[qwen2.5-7b]")
    parser.add_argument("--cases", default="8x2048,2x8192", help="NxL [8x2048,2x8192]")
    parser.add_argument("--mesh-shapes", default="qwen2.5-72b,qwen2.5-32b,qwen2.5-14b,qwen2.5-7b",
                        help="tried in this order on all devices [72b, 32b, 14b, 7b of Qwen2.5]")
    parser.add_argument("--mesh-length", default="2048", help="tokens of a batch there [2048]")
    parser.add_argument("--repeat", type=int, default=3, help="rounds [3]")
    parser.add_argument("--work", default=os.path.join(compare.ROOT, ".cache/compare"),
                        help="folder for scratch files [.cache/compare]")
    parser.add_argument("--json", help="file for all figures")
    parser.add_argument("--markdown", help="file for the report")
    parser.add_argument("--quick", action="store_true",
                        help="XLA's CPU plug-in, a tiny model, one round, one golden model")
    options = parser.parse_args()
    if options.quick:
        options.engine, options.torch_device = "xla-cpu", "cpu"
        options.shape, options.cases, options.repeat = "tiny", "2x50", 1
        options.mesh_shapes, options.mesh_length = "tiny", "64"
    if options.shape not in SHAPES:
        compare.fail(f"--shape: expected one of {', '.join(SHAPES)}, found {options.shape!r}")
    if not os.access(options.thresher, os.X_OK):
        compare.fail(f"--thresher: {options.thresher} is no program; build it, or name another")
    missing = [p for p in ("torch", "transformers") if importlib.util.find_spec(p) is None]
    options.with_torch = not missing
    if missing and options.quick:
        compare.say(f"skipped: torch: {missing[0]} is not installed")
    elif missing:
        compare.fail(f"the peer needs {missing[0]}: pip install -r bench/requirements.txt")
    return options


def main():
    options = parse_options()
    os.makedirs(options.work, exist_ok=True)
    cases = options.cases.split(",")
    for case in cases:
        compare.check_case(case)
        if "x" not in case:
            compare.fail(f"--cases: expected NxL, such as 8x2048, found {case!r}")
    devices = device_count(options)
    results = [measure(options, case) for case in cases]
    parts = [golden_models(options), largest_model(options, devices)]
    text = f"{header(options, results)}\n\n{table(options, results)}\n"
    text += "".join(f"\n{line}\n" for _, line in parts)
    compare.report(options, text, results)
    if not all(passed for passed, _ in parts):
        sys.exit(1)


if __name__ == "__main__":
    main()
