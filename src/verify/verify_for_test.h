#ifndef THRESHER_VERIFY_VERIFY_FOR_TEST_H_
#define THRESHER_VERIFY_VERIFY_FOR_TEST_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "engine/cpu/cpu_engine.h"
#include "verify/run_for_test.h"
#include "verify/verify_run.h"

namespace thresher {

inline VerifyReport Verify(RunForTest& run, double recompute_fraction = 0) {
  VerifyOptions options;
  options.recompute_fraction = recompute_fraction;
  options.threads = 1;
  options.create_engine = [&](const Model&, const std::vector<HookPoint>&) {
    return Result<std::unique_ptr<Engine>>(
        std::make_unique<MadeUpEngine>(run.format().hooks, DType::kF32));
  };
  Result<VerifyReport> report = VerifyRun(run.store(), options);
  EXPECT_TRUE(report.ok()) << report.status().message();
  return report.ok() ? *std::move(report) : VerifyReport();
}

inline std::vector<Finding> DamageOf(const VerifyReport& report) {
  std::vector<Finding> damage;
  for (const Finding& finding : report.findings) {
    if (finding.severity == Severity::kDamage) damage.push_back(finding);
  }
  return damage;
}

inline auto IsAbout(int64_t unit, const std::string& tensor) {
  return testing::AllOf(testing::Field(&Finding::unit, std::optional<int64_t>(unit)),
                        testing::Field(&Finding::tensor, tensor));
}
inline auto IsAbout(int64_t unit, const std::string& tensor, const std::string& text) {
  return testing::AllOf(IsAbout(unit, tensor),
                        testing::Field(&Finding::what, testing::HasSubstr(text)));
}
inline auto Says(const std::string& text) {
  return testing::Field(&Finding::what, testing::HasSubstr(text));
}

inline std::string Lines(const VerifyReport& report) {
  std::string lines;
  for (const Finding& finding : report.findings) lines += FindingLine(finding) + "\n";
  return lines;
}

}  // namespace thresher

#endif  // THRESHER_VERIFY_VERIFY_FOR_TEST_H_
