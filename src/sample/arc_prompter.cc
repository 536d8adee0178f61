#include "sample/arc_prompter.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "arc/augmentation_random.h"
#include "arc/grid_encoder_spec.h"
#include "base/fingerprint.h"
#include "base/json.h"
#include "sample/augment_setting.h"
#include "sample/wrong_output.h"

namespace thresher {
namespace {

using Json = nlohmann::json;

constexpr uint64_t kCandidates = 2;  // of which one is right

// Beside those of augmentation.h, whose generator this is.
constexpr uint64_t kCandidatesKind = 6;

Json NestedLists(const ArcGrid& grid) {
  Json rows = Json::array();
  for (int row = 0; row < grid.rows; ++row) {
    Json& cells = rows.emplace_back(Json::array());
    for (int column = 0; column < grid.columns; ++column) cells.push_back(grid.At(row, column));
  }
  return rows;
}

// Writes the variables of a template.
class ContextWriter {
 public:
  ContextWriter(const GridEncoder& encoder, bool with_grids)
      : encoder_(encoder), with_grids_(with_grids) {}

  // Members NAME and NAME_grid.
  void AddGrid(const std::string& name, const ArcGrid& grid, Json& object) const {
    object[name] = encoder_.Encode(grid);
    if (with_grids_) object[name + "_grid"] = NestedLists(grid);
  }

  Json Pairs(const std::vector<ArcPair>& pairs) const {
    Json list = Json::array();
    for (const ArcPair& pair : pairs) {
      Json& entry = list.emplace_back(Json::object());
      AddGrid("input", pair.input, entry);
      if (pair.output) AddGrid("output", *pair.output, entry);
    }
    return list;
  }

  // "candidates" and "right": the right output among wrong ones. Draws the wrong ones first, then
  // the place of the right one.
  void AddCandidates(const ArcGrid& right, AugmentationRandom random, Json& context) const {
    std::vector<ArcGrid> outputs;
    for (uint64_t i = 1; i < kCandidates; ++i) outputs.push_back(WrongOutput(right, random));
    const uint64_t place = random.Below(kCandidates);
    outputs.insert(outputs.begin() + static_cast<ptrdiff_t>(place), right);
    Json& list = context["candidates"] = Json::array();
    for (const ArcGrid& output : outputs) {
      AddGrid("output", output, list.emplace_back(Json::object()));
    }
    context["right"] = place;
  }

 private:
  const GridEncoder& encoder_;
  const bool with_grids_;
};

}  // namespace

Result<ArcPrompter> ArcPrompter::Create(const SampleSettings& settings) {
  std::string_view text = settings.prompt_template;
  if (text.empty()) {
    ASSIGN_OR_RETURN(text, BuiltInPromptText(settings.prompt));
  }
  Result<PromptTemplate> compiled = PromptTemplate::Compile(text, settings.prompt);
  if (!compiled.ok()) return compiled.status().WithContext("--prompt");
  ArcPrompter prompter(*std::move(compiled));
  Result<std::unique_ptr<GridEncoder>> encoder = ParseGridEncoder(settings.grid_encoder);
  if (!encoder.ok()) return encoder.status().WithContext("--grid-encoder");
  prompter.encoder_ = *std::move(encoder);
  ASSIGN_OR_RETURN(prompter.augmentation_, ParseAugmentSetting(settings.augment));
  const AugmentationOptions& augmentation = prompter.augmentation_;
  prompter.uses_code_ = PromptUses(text, "code");
  if (prompter.uses_code_ && (augmentation.flip || augmentation.rotate || augmentation.colors)) {
    return InvalidArgument(
        fmt::format("--augment {}: flip, rotate and colors change the grids and not the program "
                    "that prompt {} shows; use order, swap or none",
                    settings.augment, Quoted(settings.prompt)));
  }
  prompter.seed_ = static_cast<uint64_t>(settings.seed);
  prompter.prompt_name_ = settings.prompt;
  prompter.uses_grids_ = text.find("_grid") != text.npos;
  prompter.uses_candidates_ = PromptUses(text, "candidates") || PromptUses(text, "right");
  Fingerprinter fingerprinter;
  fingerprinter.AddField(text);
  prompter.fingerprint_ = fingerprinter.Finish();
  return prompter;
}

std::string ArcPrompter::DescribeMissing(const ArcContent& content) const {
  std::string missing;
  if (uses_code_ && !content.code) missing += "; " + content.why_no_code;
  if (!content.task.test.front().output) {
    missing += "; the record has no output of its first test pair";
  }
  return missing;
}

Result<ArcPrompter::Prompt> ArcPrompter::Make(const Request& request) const {
  const ArcTask task =
      Augment(request.content.task, augmentation_, seed_, request.task_id, request.variant);
  const ContextWriter writer(*encoder_, uses_grids_);
  Json context = {{"task_id", request.task_id},
                  {"variant", request.variant},
                  {"grid_encoder", encoder_->Spec()},
                  {"task", {{"train", writer.Pairs(task.train)}}},
                  {"test", writer.Pairs(task.test)}};
  if (request.content.code) context["code"] = *request.content.code;
  const std::optional<ArcGrid>& right = task.test.front().output;
  if (right && uses_candidates_) {
    writer.AddCandidates(
        *right, AugmentationRandom(seed_, request.task_id, request.variant, kCandidatesKind),
        context);
  }
  const std::string json = context.dump();
  const auto explained = [&](const Status& status, const std::string& what) {
    return Status(status.code(), what + ": " + status.message() + DescribeMissing(request.content));
  };
  Prompt prompt;
  Result<std::string> text = template_.RenderPrompt(json);
  if (!text.ok()) return explained(text.status(), "prompt " + Quoted(prompt_name_));
  prompt.text = *std::move(text);
  if (!request.with_answer) return prompt;
  Result<std::string> answer = template_.RenderAnswer(json);
  if (!answer.ok()) {
    return explained(answer.status(), "--prompt-end answer: the answer to prompt " +
                                          Quoted(prompt_name_) + " is not known");
  }
  prompt.answer = *std::move(answer);
  return prompt;
}

}  // namespace thresher
