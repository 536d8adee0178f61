#include "extract/checkpoint.h"

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "work/json_fields.h"

namespace thresher {

Status WriteCheckpoint(const std::string& folder, const Checkpoint& checkpoint) {
  Json json;
  json["worker_id"] = checkpoint.worker_id;
  json["last_processed_sample_idx"] = checkpoint.last_processed_sample_idx;
  json["total_samples_processed"] = checkpoint.total_samples_processed;
  json["total_shards"] = checkpoint.total_shards;
  json["dataset_path"] = checkpoint.dataset_path;
  json["model_path"] = checkpoint.model_path;
  json["status"] = checkpoint.status;
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return ErrnoStatus(error.value(), "making the folder " + folder);
  const std::string path =
      folder + "/checkpoint_worker_" + std::to_string(checkpoint.worker_id) + ".json";
  const std::string temporary = path + ".tmp";
  {
    std::ofstream file(temporary, std::ios::trunc);
    file << json.dump(2, ' ', false, Json::error_handler_t::replace) << "\n";
    file.flush();
    if (!file) return ErrnoStatus(errno, "writing " + temporary);
  }
  if (std::rename(temporary.c_str(), path.c_str()) != 0) return ErrnoStatus(errno, path);
  return OkStatus();
}

}  // namespace thresher
