#include "extract/run_readme.h"

#include <fmt/format.h>

#include <cmath>

#include "base/byte_size.h"
#include "shard/statistics.h"

namespace thresher {
namespace {

constexpr const char* kDecoders = R"(def to_float32(name, tensors):
    data, shape = tensors[name]["data"], tensors[name]["shape"]
)";

// Lines of Python that decode the stored elements of a hook point with numpy alone.
std::string DecodingLines(const std::string& dtype) {
  if (dtype == "f32") return "    return np.frombuffer(data, np.float32).reshape(shape)\n";
  if (dtype == "f16") {
    return "    return np.frombuffer(data, np.float16).reshape(shape).astype(np.float32)\n";
  }
  if (dtype == "bf16") {
    return "    bits = np.frombuffer(data, np.uint16).astype(np.uint32) << 16\n"
           "    return bits.view(np.float32).reshape(shape)\n";
  }
  const std::string scaled =
      "    scale = np.frombuffer(tensors[name + \".scale\"][\"data\"], np.float32)\n"
      "    return values.reshape(shape) * scale[:, None]\n";
  if (dtype == "int8") {
    return "    values = np.frombuffer(data, np.int8).astype(np.float32)\n" + scaled;
  }
  return "    bits = np.frombuffer(data, np.uint8)  # 1 sign, 4 exponent and 3 fraction bits\n"
         "    exponent, fraction = (bits >> 3) & 15, (bits & 7) / np.float32(8)\n"
         "    values = np.where(exponent == 0, fraction * 2.0**-6,\n"
         "                      (1 + fraction) * 2.0 ** (exponent.astype(np.float32) - 7))\n"
         "    values = np.where(bits & 127 == 127, np.nan, values) * np.where(bits > 127, -1, 1)\n"
         "    values = values.astype(np.float32)\n" +
         scaled;
}

// In a table cell or a heading; names come from other people's files.
std::string InLine(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '|' || c == '`' || c == '\\') out += '\\';
    out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  return out;
}

std::string Setting(const RunSpec& spec, const char* name) {
  const auto found = spec.prompts.settings.find(name);
  return found == spec.prompts.settings.end() ? "" : found->second;
}

std::string TokensStored(const RunSpec& spec, const RunSummary& summary) {
  std::string text = FormatCount(summary.tokens);
  if (summary.tokens != summary.forward_tokens) {
    text += fmt::format(" stored (`{}`), of {} that the model read",
                        InLine(Setting(spec, "tokens")), FormatCount(summary.forward_tokens));
  }
  return text;
}

std::string Facts(const RunSpec& spec, const RunSummary& summary) {
  std::string text = "| | |\n| --- | --- |\n";
  const auto add = [&](const char* name, const std::string& value) {
    text += fmt::format("| {} | {} |\n", name, value);
  };
  add("model",
      fmt::format("{}: {}, {} layers, width {}", InLine(spec.model.path),
                  InLine(spec.model.architecture), spec.model.layer_count, spec.model.hidden_size));
  add("data set", fmt::format("{}: {} samples", InLine(spec.dataset.path),
                              FormatCount(spec.dataset.sample_count)));
  for (const RunSpec::Part& part : spec.dataset.parts) {
    add("merged from", fmt::format("{}: {} samples in {} units", InLine(part.path),
                                   FormatCount(part.sample_count), FormatCount(part.unit_count)));
  }
  add("samples",
      fmt::format("{} stored, {} rejected, {} set aside, {} cut at `max_tokens` {}",
                  FormatCount(summary.samples_stored), FormatCount(summary.samples_rejected),
                  FormatCount(summary.samples_set_aside), FormatCount(summary.samples_truncated),
                  InLine(Setting(spec, "max_tokens"))));
  add("sequences", FormatCount(summary.sequences));
  add("tokens", TokensStored(spec, summary));
  add("hook points", FormatCount(static_cast<int64_t>(summary.statistics.size())));
  add("stored as", fmt::format("{}, computed in {} by engine {}", InLine(spec.capture.dtype),
                               InLine(spec.capture.compute), InLine(spec.capture.engine)));
  add("size", fmt::format("{} in {} shards", FormatBytes(static_cast<double>(summary.bytes)),
                          FormatCount(summary.committed_count)));
  add("run", spec.Fingerprint());
  add("written by", "thresher " + InLine(spec.program_version));
  return text;
}

std::string HookTable(const RunSummary& summary) {
  std::string text =
      "| hook point | width | mean | standard deviation | norm of a row | largest |\n"
      "| --- | --: | --: | --: | --: | --: |\n";
  for (const HookStatistics& hook : summary.statistics) {
    const Moments moments = MomentsOf(hook.statistics);
    const int64_t width = summary.WidthOf(hook);
    const double row_norm = moments.root_mean_square * std::sqrt(static_cast<double>(width));
    text +=
        fmt::format("| `{}` | {} | {:.4g} | {:.4g} | {:.4g} | {:.4g} |\n", hook.name, width,
                    moments.mean, moments.standard_deviation, row_norm, hook.statistics.max_abs);
  }
  return text;
}

std::string HowToRead(const RunSpec& spec) {
  const std::string hook = spec.capture.hooks.empty() ? "" : spec.capture.hooks.back();
  return fmt::format(R"(## How to read it

With the reader of Thresher (`pip install ./python` in its source; it needs numpy alone), in this folder, or with its path
in place of the dot. A folder in a cloud is copied to a disk first.

```python
import thresher

run = thresher.open_run(".")
for sample_index, token_ids, rows in run.rows("{0}"):
    print(sample_index, token_ids.shape, rows.shape)  # rows: float32 [tokens, width]
```

With safetensors and numpy:

```python
import glob
import json

import numpy as np
import safetensors


{1}{2}

for name in sorted(glob.glob("commits/unit-*.json")):
    with open(name) as file:
        commit = json.load(file)
    with open(commit["shard"], "rb") as file:
        tensors = dict(safetensors.deserialize(file.read()))
    rows = to_float32("{0}", tensors)  # [tokens, width]
    offsets = np.frombuffer(tensors["sequence_offsets"]["data"], np.int64)
    samples = np.frombuffer(tensors["sample_index"]["data"], np.int64)
    for sequence, sample in enumerate(samples):
        print(sample, rows[offsets[sequence] : offsets[sequence + 1]].shape)
```

A shard counts exactly when a file in `commits/` names it: other files in `tpu_N/` mean nothing. `thresher verify` compares all of
this folder with its checksums, `thresher inspect` shows what is in it.
)",
                     hook, kDecoders, DecodingLines(spec.capture.dtype));
}

constexpr const char* kFiles = R"(
## Files

| | |
| --- | --- |
| `run.json` | what was computed: model, data set, prompts, hook points, with their fingerprints |
| `manifest.json` | every shard with its samples, tokens, size and checksum |
| `summary.json` | totals, rejected samples with reasons, statistics of each hook point with all digits, machine hours |
| `commits/` | one record for each shard: checksums, statistics, rejected samples |
| `tpu_N/` | the shards that worker N made: one tensor `[tokens, width]` a hook point, `token_ids`, `positions`, `sequence_offsets`, `sample_index` |
| `quarantine/` | units that were set aside, with their errors; not there if there are none |
| `plan/`, `leases/`, `workers/`, `index/`, ... | how the workers shared the work |
)";

}  // namespace

std::string RunReadme(const RunSpec& spec, const RunSummary& summary) {
  const bool has_exceptions = summary.samples_rejected > 0 || summary.quarantined_count > 0;
  return fmt::format(
      "# Activations of a language model\n\n"
      "What the model {} computed inside for each token of {}, stored by Thresher. The run is "
      "{}.\n\n"
      "{}\n{}\n## Hook points\n\n"
      "In the order of computation; all rows of one hook point lie together in a shard. Over all "
      "stored values:\n\n{}{}",
      InLine(spec.model.path), InLine(spec.dataset.path),
      has_exceptions ? "complete with exceptions: `summary.json` says which" : "complete",
      Facts(spec, summary), HowToRead(spec), HookTable(summary), kFiles);
}

}  // namespace thresher
