#ifndef THRESHER_EXTRACT_RUN_README_H_
#define THRESHER_EXTRACT_RUN_README_H_

#include <string>

#include "extract/run_summary.h"
#include "work/run_spec.h"

namespace thresher {

// README.md of a finished run, for whoever finds the folder: what it is and how to read it. A pure
// function of run.json and the commits.
std::string RunReadme(const RunSpec& spec, const RunSummary& summary);

}  // namespace thresher

#endif  // THRESHER_EXTRACT_RUN_README_H_
