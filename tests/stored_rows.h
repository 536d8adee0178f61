#ifndef THRESHER_TESTS_STORED_ROWS_H_
#define THRESHER_TESTS_STORED_ROWS_H_

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "run_reader.h"

namespace thresher {

// Where a row is from: sample, sequence of the sample, position in it.
using RowPlace = std::tuple<int64_t, int64_t, int64_t>;

// What is stored of a token: its id and, by tensor, the bytes of its row or its scale.
struct StoredRow {
  int64_t token_id = 0;
  std::map<std::string, std::string> bytes;

  bool operator==(const StoredRow&) const = default;
};

using StoredRows = std::map<RowPlace, StoredRow>;

// Those of all hook points of a run, each once.
inline StoredRows RowsOf(const RunContent& run) {
  StoredRows rows;
  for (const UnitContent& unit : run.units) {
    const std::vector<int64_t> samples = unit.tensors.at("sample_index").Integers();
    const std::vector<int64_t> offsets = unit.tensors.at("sequence_offsets").Integers();
    const std::vector<int64_t> token_ids = unit.tensors.at("token_ids").Integers();
    const std::vector<int64_t> positions = unit.tensors.at("positions").Integers();
    int64_t part = 0;
    for (size_t s = 0; s < samples.size(); ++s) {
      part = s > 0 && samples[s] == samples[s - 1] ? part + 1 : 0;
      for (auto row = static_cast<size_t>(offsets[s]); row < static_cast<size_t>(offsets[s + 1]);
           ++row) {
        StoredRow stored{.token_id = token_ids[row], .bytes = {}};
        for (const auto& [name, tensor] : unit.tensors) {
          const bool is_of_hook = name.starts_with("blocks.");
          if (!is_of_hook) continue;
          const size_t row_bytes = tensor.bytes.size() / token_ids.size();
          stored.bytes[name] = tensor.bytes.substr(row * row_bytes, row_bytes);
        }
        EXPECT_TRUE(rows.emplace(RowPlace{samples[s], part, positions[row]}, stored).second);
      }
    }
  }
  return rows;
}

}  // namespace thresher

#endif  // THRESHER_TESTS_STORED_ROWS_H_
