#include "benchmark/row_writer.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace thresher {

Result<RowWriter> RowWriter::Create(const std::string& folder) {
  const int descriptor = open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (descriptor < 0) return ErrnoStatus(errno, "--write " + folder + ": no file can be made");
  std::FILE* file = fdopen(descriptor, "w+");
  if (file == nullptr) {
    const int error = errno;
    close(descriptor);
    return ErrnoStatus(error, "--write " + folder);
  }
  // Blocks are large: they go to the file as they are.
  std::setvbuf(file, nullptr, _IONBF, 0);
  return RowWriter(file);
}

RowWriter::~RowWriter() {
  if (writing_.valid()) writing_.wait();
}

void RowWriter::Begin(ByteBlocks blocks) {
  writing_ = std::async(std::launch::async, [file = file_.get(), blocks = std::move(blocks)] {
    for (const std::span<const std::byte> block : blocks) {
      if (std::fwrite(block.data(), 1, block.size(), file) != block.size()) {
        return ErrnoStatus(errno, "--write: writing rows");
      }
    }
    return OkStatus();
  });
}

Status RowWriter::Wait() { return writing_.valid() ? writing_.get() : OkStatus(); }

Status RowWriter::Finish() {
  RETURN_IF_ERROR(Wait());
  if (fdatasync(fileno(file_.get())) != 0) return ErrnoStatus(errno, "--write: writing rows");
  std::rewind(file_.get());
  return OkStatus();
}

}  // namespace thresher
