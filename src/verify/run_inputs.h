#ifndef THRESHER_VERIFY_RUN_INPUTS_H_
#define THRESHER_VERIFY_RUN_INPUTS_H_

#include <functional>
#include <optional>
#include <string>

#include "base/result.h"
#include "model/model.h"
#include "verify/finding.h"
#include "verify/run_samples.h"
#include "work/run_spec.h"

namespace thresher {

// What a run was made from, as far as it can be found and is still the same.
struct RunInputs {
  std::optional<Model> model;
  bool weights_fit = false;           // the model's weights are those of the run
  std::optional<RunSamples> samples;  // set if rows can be compared with them

  struct Wanted {
    std::string dataset_path;     // empty: as run.json says
    std::string model_directory;  // empty: as run.json says
    bool weights = true;          // compare the weights, too: reads all of them
  };

  // Opens and compares fingerprints. What cannot be used leaves its part empty, with a note that
  // says why and what is therefore not checked; but what `wanted` names and cannot be used is an
  // error. `before_weights` is called before the weights are read.
  static Result<RunInputs> Open(const Wanted& wanted, const RunSpec& spec, FindingLog& log,
                                const std::function<void()>& before_weights);
};

}  // namespace thresher

#endif  // THRESHER_VERIFY_RUN_INPUTS_H_
