#ifndef THRESHER_ENGINE_PJRT_PLUGIN_FOR_TEST_H_
#define THRESHER_ENGINE_PJRT_PLUGIN_FOR_TEST_H_

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include "base/source_folder_for_test.h"
#include "engine/pjrt/pjrt_client.h"
#include "plugins/plugin_library.h"

namespace thresher {

// XLA's CPU plug-in, from .cache/plugins of this tree unless THRESHER_PLUGINS names another folder.
inline Result<std::string> CpuPluginPath() {
  setenv("THRESHER_PLUGINS", (SourceFolderForTest() / ".cache/plugins").c_str(), 0);
  return FindPlugin("xla-cpu");
}

// A client of its own; it offers 4 devices. Tests that cannot have one are skipped:
//   Result<std::unique_ptr<PjrtClient>> client = CpuClient();
//   if (!client.ok()) GTEST_SKIP() << client.status().message();
inline Result<std::unique_ptr<PjrtClient>> CpuClient() {
  ASSIGN_OR_RETURN(const std::string path, CpuPluginPath());
  ASSIGN_OR_RETURN(const PjrtPlugin* plugin, PjrtPlugin::Load(path));
  return PjrtClient::Create(*plugin);
}

}  // namespace thresher

#endif  // THRESHER_ENGINE_PJRT_PLUGIN_FOR_TEST_H_
