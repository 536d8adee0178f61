#include "engine/pjrt/batch_run.h"

#include <utility>

namespace thresher {

BatchRun::~BatchRun() {
  for (std::vector<PjrtEvent>* events : {&uploads_, &execution_.done, &downloads_}) {
    for (PjrtEvent& event : *events) {
      // How it went was said by Wait, or does not matter any more.
      if (event) static_cast<void>(AwaitPjrtEvent(std::move(event), "ending a batch"));
    }
  }
  for (std::byte* memory : staging_) p_.staging.Return(memory);
}

Status BatchRun::Start(std::vector<HostArray> inputs) {
  inputs_ = std::move(inputs);
  std::vector<std::vector<PJRT_Buffer*>> arguments(p_.devices.size());
  for (size_t d = 0; d < p_.devices.size(); ++d) {
    for (const PjrtBuffer& weight : p_.weights[d]) arguments[d].push_back(weight.get());
  }
  RETURN_IF_ERROR(StartInputs(arguments));
  PJRT_Device* device = p_.devices.size() == 1 ? p_.devices.front().device : nullptr;
  ASSIGN_OR_RETURN(execution_, p_.executable.Execute(arguments, device));
  return p_.brings_results ? StartDownloads() : OkStatus();
}

Status BatchRun::StartInputs(std::vector<std::vector<PJRT_Buffer*>>& arguments) {
  for (const HostArray& input : inputs_) {
    for (size_t d = 0; d < p_.devices.size(); ++d) {
      ASSIGN_OR_RETURN(Upload upload, p_.client.StartUpload(input.view(), p_.devices[d]));
      arguments[d].push_back(upload.buffer.get());
      buffers_.push_back(std::move(upload.buffer));
      uploads_.push_back(std::move(upload.done));
    }
  }
  return OkStatus();
}

Status BatchRun::StartDownloads() {
  const auto devices = static_cast<int64_t>(p_.devices.size());
  // Where every device has all rows, one of them gives them.
  const bool is_split = p_.program.results_are_split;
  for (size_t r = 0; r < p_.program.results.size(); ++r) {
    const TensorType& type = p_.program.results[r];
    const auto bytes = static_cast<size_t>(type.bytes() / (is_split ? devices : 1));
    results_.emplace_back();
    for (size_t d = 0; d < (is_split ? p_.devices.size() : 1); ++d) {
      std::byte* memory = p_.staging.Take(bytes);
      if (memory == nullptr) {
        return ResourceExhausted("this machine has no memory for the results of a batch");
      }
      staging_.push_back(memory);
      results_.back().push_back(memory);
      ASSIGN_OR_RETURN(PjrtEvent event,
                       StartDownload(execution_.outputs[d][r], type.shape.size(), {memory, bytes}));
      downloads_.push_back(std::move(event));
    }
  }
  return OkStatus();
}

Status BatchRun::Wait() {
  Status status;
  for (auto [events, what] : {std::pair(&execution_.done, "running a batch"),
                              std::pair(&downloads_, "copying results from the device")}) {
    for (PjrtEvent& event : *events) {
      Status ended = AwaitPjrtEvent(std::move(event), what, p_.timeout_ms);
      if (IsTimeout(ended)) return ended;
      if (status.ok()) status = std::move(ended);
    }
    events->clear();
  }
  return status;
}

}  // namespace thresher
