#ifndef THRESHER_SAMPLE_ARC_PROMPTER_H_
#define THRESHER_SAMPLE_ARC_PROMPTER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "arc/augmentation.h"
#include "arc/grid_encoder.h"
#include "base/result.h"
#include "sample/prompt_template.h"
#include "sample/record_content.h"
#include "sample/sample_settings.h"

namespace thresher {

// Makes prompts of ARC tasks: augmentation, grid encoder, template. Immutable; thread-safe.
class ArcPrompter {
 public:
  // Checks the settings prompt, prompt_template, grid_encoder and augment; messages name the flag.
  static Result<ArcPrompter> Create(const SampleSettings& settings);

  // Which prompt to make. Its randomness depends on nothing but this and the seed.
  struct Request {
    const ArcContent& content;
    std::string_view task_id;
    int64_t variant = 0;
    bool with_answer = false;
  };
  struct Prompt {
    std::string text;
    std::string answer;  // empty unless asked for
  };

  // kInvalidArgument if the template needs what the record does not have.
  Result<Prompt> Make(const Request& request) const;

  // Of what is not in the settings: the text of the template.
  const std::string& fingerprint() const { return fingerprint_; }

 private:
  explicit ArcPrompter(PromptTemplate prompt) : template_(std::move(prompt)) {}

  // What is missing in the record and may be why the template cannot be rendered.
  std::string DescribeMissing(const ArcContent& content) const;

  PromptTemplate template_;
  std::unique_ptr<GridEncoder> encoder_;
  AugmentationOptions augmentation_;
  uint64_t seed_ = 0;
  std::string prompt_name_;
  bool uses_code_ = false;
  bool uses_grids_ = false;
  bool uses_candidates_ = false;
  std::string fingerprint_;
};

}  // namespace thresher

#endif  // THRESHER_SAMPLE_ARC_PROMPTER_H_
