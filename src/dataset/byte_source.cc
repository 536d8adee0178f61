#include "dataset/byte_source.h"

#include <algorithm>

namespace thresher {

ByteSource::~ByteSource() = default;

Status MappedSource::Read(int64_t offset, std::span<std::byte> to) const {
  if (offset < 0 || offset > bytes() || to.size() > static_cast<size_t>(bytes() - offset)) {
    return DataLoss(name() + ": the file is cut off: " + std::to_string(to.size()) +
                    " bytes at byte " + std::to_string(offset) + " are wanted, it has " +
                    std::to_string(bytes()));
  }
  std::ranges::copy(file_.bytes().subspan(static_cast<size_t>(offset), to.size()), to.begin());
  return OkStatus();
}

}  // namespace thresher
