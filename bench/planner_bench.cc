// How long it takes to plan the units of a large data set, and how far shards then are from the
// wished size.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <fstream>
#include <string>
#include <variant>
#include <vector>

#include "base/byte_size.h"
#include "base/random.h"
#include "base/temporary_folder_for_test.h"
#include "extract/planner.h"

namespace thresher {
namespace {

double Now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// JSONL of token ids, log-normal lengths around `median`.
void WriteRecords(const std::string& path, int64_t count, double median) {
  Random random(1);
  std::ofstream file(path);
  std::string line;
  for (int64_t i = 0; i < count; ++i) {
    double normal = -6;
    for (int k = 0; k < 12; ++k) normal += random.Uniform();
    line = "{\"token_ids\": [1";
    for (int64_t t = std::llround(median * std::exp(0.75 * normal)); t > 1; --t) {
      line += ',';
      line += std::to_string(random.Below(500));
    }
    file << line << "]}\n";
  }
}

Status Run(int64_t count) {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/d.jsonl";
  WriteRecords(path, count, 40);
  SampleReaderOptions options;
  options.settings.max_tokens = 200;
  options.vocabulary_size = 512;
  const double begin = Now();
  ASSIGN_OR_RETURN(const SampleSet samples, SampleSet::Open(path, folder.path(), options));
  const double opened = Now();
  const UnitSize size{.shard_bytes = count * 50 / 100, .bytes_per_row = 1};
  ASSIGN_OR_RETURN(const Plan plan, PlanUnits(samples, {0, count}, size));
  const double planned = Now();
  double largest = 0;
  for (int64_t unit = 0; unit + 1 < plan.unit_count(); ++unit) {
    const SampleRange range = plan.Samples(unit);
    ASSIGN_OR_RETURN(const std::vector<SampleOrRejection> read,
                     samples.Read(range.first, range.count));
    int64_t bytes = 0;
    for (const SampleOrRejection& sample : read) bytes += size.BytesOf(std::get<Sample>(sample));
    largest = std::max(
        largest, std::abs(static_cast<double>(bytes) / static_cast<double>(size.shard_bytes) - 1));
  }
  fmt::print(
      "{} samples: opened in {:.2f} s, {} units planned in {:.2f} s; shards off by at most "
      "{:.2f} %\n",
      FormatCount(count), opened - begin, plan.unit_count(), planned - opened, 100 * largest);
  return OkStatus();
}

}  // namespace
}  // namespace thresher

int main(int argc, char** argv) {
  CLI::App app("Speed and accuracy of planning units");
  int64_t samples = 1'000'000;
  bool tiny = false;
  app.add_option("--samples", samples, "records of the data set");
  app.add_flag("--tiny", tiny, "a small data set: only to see that it works");
  CLI11_PARSE(app, argc, argv);
  const thresher::Status status = thresher::Run(tiny ? 30'000 : samples);
  if (!status.ok()) fmt::print(stderr, "{}\n", status.message());
  return status.ok() ? 0 : 1;
}
