#include "text/chat_template.h"

#include <filesystem>
#include <optional>
#include <utility>

#include "base/fingerprint.h"
#include "base/json.h"
#include "base/mapped_file.h"
#include "base/rust_memory.h"
#include "text/utf8.h"

namespace thresher {
namespace {

using Json = nlohmann::json;

// Some templates write today's date into the prompt. A sample must give the same tokens on every
// worker and on every day, so the date stands still: 26 July 2024, which Llama's own templates
// write when they are given no clock.
constexpr int64_t kTemplateNowUnixSeconds = 1721952000;

constexpr std::string_view kConfigName = "tokenizer_config.json";

// The file's text, or nothing if it does not exist.
Result<std::optional<std::string>> ReadIfExists(const std::string& path) {
  Result<MappedFile> file = MappedFile::Open(path);
  if (!file.ok()) {
    if (file.status().code() == Code::kNotFound) return std::optional<std::string>();
    return file.status();
  }
  const auto* data = reinterpret_cast<const char*>(file->bytes().data());
  std::string text(data, file->bytes().size());
  RETURN_IF_ERROR(CheckUtf8(text).WithContext(path));
  return std::optional<std::string>(std::move(text));
}

Result<Json> ReadConfig(const std::string& path) {
  ASSIGN_OR_RETURN(const std::optional<std::string> text, ReadIfExists(path));
  if (!text) return Json::object();
  Result<Json> config = ParseJson(*text);
  if (!config.ok()) return config.status().WithContext(path);
  if (!config->is_object()) {
    return InvalidArgument(path + ": expected a JSON object, found " + DescribeJson(&*config));
  }
  return config;
}

// "bos_token" and its like: a string, or an object with the string as "content".
Json SpecialTokens(const Json& config) {
  constexpr std::string_view kSuffix = "_token";
  Json tokens = Json::object();
  for (const auto& [name, value] : config.items()) {
    if (!name.ends_with(kSuffix)) continue;
    if (value.is_string()) {
      tokens[name] = value;
    } else if (value.is_object() && value.contains("content") && value["content"].is_string()) {
      tokens[name] = value["content"];
    }
  }
  return tokens;
}

// The template's text in tokenizer_config.json, or nothing.
Result<std::optional<std::string>> TemplateOf(const Json& config, const std::string& path) {
  const auto found = config.find("chat_template");
  if (found == config.end() || found->is_null()) return std::optional<std::string>();
  if (found->is_string()) return std::optional<std::string>(found->get<std::string>());
  if (!found->is_array()) {
    return FieldError(config, "chat_template", "a string or a list of named templates")
        .WithContext(path);
  }
  for (const Json& named : *found) {
    if (named.is_object() && named.value("name", Json()) == "default" &&
        named.value("template", Json()).is_string()) {
      return std::optional<std::string>(named["template"].get<std::string>());
    }
  }
  return InvalidArgument(path +
                         ": field 'chat_template': no template named \"default\" among the " +
                         std::to_string(found->size()) + " of the list");
}

}  // namespace

struct ChatTemplate::Handle {
  explicit Handle(ThresherChatTemplate* made) : rust(made) {}
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  ~Handle() { thresher_chat_template_free(rust); }

  ThresherChatTemplate* const rust;
};

ChatTemplate::ChatTemplate(std::unique_ptr<Handle> handle) : handle_(std::move(handle)) {}
ChatTemplate::ChatTemplate(ChatTemplate&&) noexcept = default;
ChatTemplate& ChatTemplate::operator=(ChatTemplate&&) noexcept = default;
ChatTemplate::~ChatTemplate() = default;

Result<ChatTemplate> ChatTemplate::Load(const std::string& model_directory) {
  const std::filesystem::path directory(model_directory);
  const std::string config_path = directory / kConfigName;
  std::string source_path = directory / "chat_template.jinja";
  ASSIGN_OR_RETURN(const Json config, ReadConfig(config_path));
  ASSIGN_OR_RETURN(std::optional<std::string> source, ReadIfExists(source_path));
  if (!source) {
    source_path = config_path;
    ASSIGN_OR_RETURN(source, TemplateOf(config, config_path));
  }
  if (!source) {
    return NotFound(model_directory +
                    " has no chat template: neither chat_template.jinja nor "
                    "'chat_template' in tokenizer_config.json");
  }
  const std::string special_tokens = SpecialTokens(config).dump();
  RustBytes error;
  ThresherChatTemplate* made = nullptr;
  RETURN_IF_ERROR(
      RustStatus(thresher_chat_template_new(RustData(*source), source->size(),
                                            RustData(special_tokens), special_tokens.size(),
                                            kTemplateNowUnixSeconds, &made, error.out()),
                 error)
          .WithContext("chat template of " + source_path));
  ChatTemplate chat_template(std::make_unique<Handle>(made));
  Fingerprinter fingerprinter;
  fingerprinter.AddField(*source);
  fingerprinter.AddField(special_tokens);
  chat_template.fingerprint_ = fingerprinter.Finish();
  return chat_template;
}

Result<std::string> ChatTemplate::Render(std::string_view messages_json,
                                         bool add_generation_prompt) const {
  RustBytes error;
  RustBytes text;
  RETURN_IF_ERROR(RustStatus(thresher_chat_template_render(
                                 handle_->rust, RustData(messages_json), messages_json.size(),
                                 add_generation_prompt, text.out(), error.out()),
                             error)
                      .WithContext("chat template"));
  return std::string(text.view());
}

}  // namespace thresher
