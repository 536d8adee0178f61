#include "hub/hub_settings.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <fstream>
#include <iterator>

namespace thresher {
namespace {

std::string Variable(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  return value == nullptr ? "" : value;
}

bool IsOn(const std::string& name) {
  std::string value = Variable(name);
  for (char& c : value) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return value == "1" || value == "ON" || value == "YES" || value == "TRUE";
}

std::string FirstOf(const std::string& first, const std::string& second) {
  return first.empty() ? second : first;
}

// "$NAME" and "${NAME}" of a set variable become its value.
std::string WithVariables(const std::string& text) {
  std::string expanded;
  for (size_t at = 0; at < text.size();) {
    const bool braced = text.compare(at, 2, "${") == 0;
    const size_t start = at + (braced ? 2 : 1);
    size_t end = start;
    while (end < text.size() &&
           (std::isalnum(static_cast<unsigned char>(text[end])) != 0 || text[end] == '_')) {
      ++end;
    }
    const std::string name = text[at] == '$' ? text.substr(start, end - start) : "";
    const bool is_whole = !braced || (end < text.size() && text[end] == '}');
    if (!name.empty() && is_whole && std::getenv(name.c_str()) != nullptr) {
      expanded += Variable(name);
      at = end + (braced ? 1 : 0);
    } else {
      expanded += text[at++];
    }
  }
  return expanded;
}

std::string Expanded(const std::string& path) {
  const bool is_home = path == "~" || path.starts_with("~/");
  return WithVariables(is_home ? Variable("HOME") + path.substr(1) : path);
}

std::string WithoutLineEnds(std::string text) {
  std::erase_if(text, [](char c) { return c == '\r' || c == '\n'; });
  const size_t start = text.find_first_not_of(" \t");
  if (start == text.npos) return "";
  return text.substr(start, text.find_last_not_of(" \t") + 1 - start);
}

std::string TokenOf(const std::string& home) {
  if (IsOn("HF_HUB_DISABLE_IMPLICIT_TOKEN")) return "";
  std::string token = FirstOf(Variable("HF_TOKEN"), Variable("HUGGING_FACE_HUB_TOKEN"));
  if (token.empty()) {
    std::ifstream file(Expanded(FirstOf(Variable("HF_TOKEN_PATH"), home + "/token")));
    token.assign(std::istreambuf_iterator<char>(file), {});
  }
  return WithoutLineEnds(std::move(token));
}

}  // namespace

HubSettings HubSettings::FromEnvironment() {
  HubSettings settings;
  if (std::string endpoint = Variable("HF_ENDPOINT"); !endpoint.empty()) {
    while (endpoint.ends_with('/')) endpoint.pop_back();
    settings.endpoint = endpoint;
  }
  const std::string caches = FirstOf(Variable("XDG_CACHE_HOME"), "~/.cache");
  const std::string home = Expanded(FirstOf(Variable("HF_HOME"), caches + "/huggingface"));
  settings.cache_folder = Expanded(
      FirstOf(Variable("HF_HUB_CACHE"), FirstOf(Variable("HUGGINGFACE_HUB_CACHE"), home + "/hub")));
  settings.token = TokenOf(home);
  settings.offline = IsOn("HF_HUB_OFFLINE") || IsOn("TRANSFORMERS_OFFLINE");
  return settings;
}

}  // namespace thresher
