#include "base/trace.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <nlohmann/json.hpp>

namespace thresher {
namespace {

std::string Quoted(std::string_view text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace

Result<std::unique_ptr<TraceWriter>> TraceWriter::Create(const std::string& path, Clock& clock,
                                                         std::string_view process_name,
                                                         int64_t max_bytes) {
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (file < 0) return ErrnoStatus(errno, path);
  std::unique_ptr<TraceWriter> trace(new TraceWriter(file, clock, max_bytes));
  trace->Write(fmt::format(R"({{"ph":"M","name":"process_name","pid":1,"args":{{"name":{}}}}})",
                           Quoted(process_name)));
  return trace;
}

TraceWriter::~TraceWriter() {
  // A trace that cannot be closed is read all the same.
  (void)!write(file_, "\n]\n", 3);
  close(file_);
}

int64_t TraceWriter::ThreadNumber() {
  const std::lock_guard lock(mutex_);
  const auto next = static_cast<int64_t>(threads_.size()) + 1;
  return threads_.emplace(std::this_thread::get_id(), next).first->second;
}

void TraceWriter::NameThread(std::string_view name) {
  const int64_t thread = ThreadNumber();
  Write(fmt::format(R"({{"ph":"M","name":"thread_name","pid":1,"tid":{},"args":{{"name":{}}}}})",
                    thread, Quoted(name)));
}

void TraceWriter::AddSpan(std::string_view name, int64_t begin_us, int64_t end_us, int64_t unit) {
  const std::string arguments = unit < 0 ? "" : fmt::format(R"(,"args":{{"unit":{}}})", unit);
  Write(fmt::format(R"({{"ph":"X","name":{},"pid":1,"tid":{},"ts":{},"dur":{}{}}})", Quoted(name),
                    ThreadNumber(), begin_us, end_us - begin_us, arguments));
}

void TraceWriter::Write(const std::string& event) {
  const std::lock_guard lock(mutex_);
  if (is_full_) return;
  std::string line = (bytes_ == 0 ? "[\n" : ",\n") + event;
  if (bytes_ + static_cast<int64_t>(line.size()) > max_bytes_) {
    is_full_ = true;
    line = (bytes_ == 0 ? "[\n" : ",\n") +
           std::string(R"({"ph":"M","name":"process_labels","pid":1,)"
                       R"("args":{"labels":"the trace is full: later events are left out"}})");
  }
  // One call for the whole event. A full disk ends the trace, not the run.
  const ssize_t written = write(file_, line.data(), line.size());
  if (written != static_cast<ssize_t>(line.size())) is_full_ = true;
  bytes_ += static_cast<int64_t>(line.size());
}

}  // namespace thresher
