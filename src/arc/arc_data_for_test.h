#ifndef THRESHER_ARC_ARC_DATA_FOR_TEST_H_
#define THRESHER_ARC_ARC_DATA_FOR_TEST_H_

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "arc/arc_task.h"
#include "base/check.h"
#include "base/source_folder_for_test.h"
#include "base/temporary_folder_for_test.h"

namespace thresher {

// tests/data/arc/NAME of this repository.
inline nlohmann::json ReadArcTestData(const std::string& name) {
  const auto path = SourceFolderForTest() / "tests" / "data" / "arc" / name;
  return nlohmann::json::parse(ReadFileForTest(path.string()));
}

// A grid of a test, which must be valid.
inline ArcGrid GridOf(const nlohmann::json& rows) {
  const nlohmann::json pair = {{"input", rows}, {"output", rows}};
  const auto pairs = nlohmann::json::array({pair});
  const Result<ArcTask> task = ParseArcTask({{"train", pairs}, {"test", pairs}});
  THRESHER_CHECK(task.ok());
  return task->train.front().input;
}

}  // namespace thresher

#endif  // THRESHER_ARC_ARC_DATA_FOR_TEST_H_
