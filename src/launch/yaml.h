#ifndef THRESHER_LAUNCH_YAML_H_
#define THRESHER_LAUNCH_YAML_H_

#include <nlohmann/json.hpp>
#include <string>

namespace thresher {

// The same value as a YAML document in block style that YAML 1.1 and 1.2 parsers read alike; ends
// with a newline. A string stands plain only where nobody can take it for anything else, otherwise
// in double quotes with escapes, so that no text can become structure. Strings are valid UTF-8. The
// only place where the project quotes for YAML.
std::string WriteYaml(const nlohmann::ordered_json& document);

}  // namespace thresher

#endif  // THRESHER_LAUNCH_YAML_H_
