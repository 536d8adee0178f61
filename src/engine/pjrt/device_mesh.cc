#include "engine/pjrt/device_mesh.h"

#include <charconv>
#include <string>

namespace thresher {

Result<DeviceMesh> ParseDeviceMesh(std::string_view text) {
  DeviceMesh mesh;
  std::string_view rest = text;
  bool has_data = false;
  bool has_model = false;
  while (true) {
    const size_t comma = rest.find(',');
    const std::string_view part = rest.substr(0, comma);
    const size_t equals = part.find('=');
    const std::string_view name = part.substr(0, equals);
    const std::string_view number =
        equals == std::string_view::npos ? std::string_view() : part.substr(equals + 1);
    int64_t count = 0;
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), count);
    bool& has = name == "data" ? has_data : has_model;
    if (error != std::errc() || end != number.data() + number.size() || count < 1 || count > 4096 ||
        has || (name != "data" && name != "model")) {
      return InvalidArgument("expected data=N, model=N, or both with a comma between, found '" +
                             std::string(text) + "'");
    }
    has = true;
    (name == "data" ? mesh.data : mesh.model) = count;
    if (comma == std::string_view::npos) return mesh;
    rest.remove_prefix(comma + 1);
  }
}

}  // namespace thresher
