#include "sample/prompt_template.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <filesystem>

#include "base/json.h"
#include "base/mapped_file.h"
#include "text/utf8.h"

namespace thresher {
namespace {

constexpr std::string_view kAnswerLine = "{# answer #}";

// The offset of the line that is exactly `line`, or npos.
size_t FindLine(std::string_view text, std::string_view line) {
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    std::string_view found = text.substr(begin, end - begin);
    if (found.ends_with('\r')) found.remove_suffix(1);
    if (found == line) return begin;
    begin = end + 1;
  }
  return text.npos;
}

const BuiltInPrompt* FindBuiltIn(std::string_view name) {
  const auto prompts = BuiltInPrompts();
  const auto found = std::find_if(prompts.begin(), prompts.end(),
                                  [&](const BuiltInPrompt& p) { return p.name == name; });
  return found == prompts.end() ? nullptr : &*found;
}

}  // namespace

Result<std::string_view> BuiltInPromptText(std::string_view name) {
  if (const BuiltInPrompt* prompt = FindBuiltIn(name)) return prompt->text;
  std::string names;
  for (const BuiltInPrompt& prompt : BuiltInPrompts()) {
    if (!names.empty()) names += ", ";
    names += prompt.name;
  }
  return InvalidArgument(
      fmt::format("--prompt: expected the file of a Jinja template that exists, or one of {}; "
                  "found {}",
                  names, Quoted(name)));
}

std::string_view PromptDescription(std::string_view text) {
  std::string_view line = text.substr(0, text.find('\n'));
  if (!line.starts_with("{#")) return {};
  const size_t end = line.find("#}");
  if (end == line.npos) return {};
  line = line.substr(2, end - 2);
  if (line.starts_with('-')) line.remove_prefix(1);
  if (line.ends_with('-')) line.remove_suffix(1);
  while (line.starts_with(' ')) line.remove_prefix(1);
  while (line.ends_with(' ')) line.remove_suffix(1);
  return line;
}

bool PromptUses(std::string_view text, std::string_view variable) {
  const auto is_letter = [&](size_t at) {
    return at < text.size() &&
           (std::isalnum(static_cast<unsigned char>(text[at])) != 0 || text[at] == '_');
  };
  for (size_t open = text.find('{'); open != text.npos; open = text.find('{', open + 1)) {
    const char kind = open + 1 < text.size() ? text[open + 1] : '\0';
    if (kind != '{' && kind != '%') continue;
    const size_t close = std::min(text.find(kind == '{' ? "}}" : "%}", open), text.size());
    for (size_t at = text.find(variable, open); at < close; at = text.find(variable, at + 1)) {
      if (!is_letter(at - 1) && !is_letter(at + variable.size())) return true;
    }
  }
  return false;
}

Status LoadPromptFile(SampleSettings& settings) {
  constexpr int64_t kMaxBytes = int64_t{1} << 20;
  if (FindBuiltIn(settings.prompt) != nullptr) return OkStatus();
  const std::string path = settings.prompt;
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) return BuiltInPromptText(path).status();
  const Result<MappedFile> file = MappedFile::Open(path);
  if (!file.ok()) return file.status().WithContext("--prompt");
  if (static_cast<int64_t>(file->bytes().size()) > kMaxBytes) {
    return InvalidArgument(fmt::format("--prompt: {} has {} bytes, more than the limit of {}", path,
                                       file->bytes().size(), kMaxBytes));
  }
  settings.prompt_template.assign(reinterpret_cast<const char*>(file->bytes().data()),
                                  file->bytes().size());
  settings.prompt = std::filesystem::path(path).filename().string();
  RETURN_IF_ERROR(CheckUtf8(settings.prompt_template).WithContext("--prompt: " + path));
  // An empty text in the settings stands for a built-in template.
  if (!settings.prompt_template.empty()) return OkStatus();
  return InvalidArgument("--prompt: " + path + " is empty");
}

Result<PromptTemplate> PromptTemplate::Compile(std::string_view text, const std::string& name) {
  const size_t answer_line = FindLine(text, kAnswerLine);
  ASSIGN_OR_RETURN(JinjaTemplate prompt, JinjaTemplate::Compile(text.substr(0, answer_line), name));
  PromptTemplate compiled(std::move(prompt));
  if (answer_line == text.npos) return compiled;
  // Line breaks in front keep the line numbers of messages right.
  std::string answer(static_cast<size_t>(std::count(
                         text.begin(), text.begin() + static_cast<ptrdiff_t>(answer_line), '\n')),
                     '\n');
  answer.insert(0, "{#");
  answer += "#}";
  answer += text.substr(answer_line + kAnswerLine.size());
  ASSIGN_OR_RETURN(compiled.answer_, JinjaTemplate::Compile(answer, name));
  return compiled;
}

Result<std::string> PromptTemplate::RenderAnswer(std::string_view context_json) const {
  if (answer_) return answer_->Render(context_json);
  return InvalidArgument(
      "the template says no answer: give it after a line that is exactly {# answer #}");
}

}  // namespace thresher
