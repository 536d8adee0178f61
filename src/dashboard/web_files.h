#ifndef THRESHER_DASHBOARD_WEB_FILES_H_
#define THRESHER_DASHBOARD_WEB_FILES_H_

#include <span>
#include <string_view>

namespace thresher {

struct WebFile {
  std::string_view path;  // "/index.html"
  std::string_view content_type;
  std::string_view content;
};

// src/dashboard/web/ as it was when the program was built.
std::span<const WebFile> WebFiles();

}  // namespace thresher

#endif  // THRESHER_DASHBOARD_WEB_FILES_H_
