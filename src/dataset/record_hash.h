#ifndef THRESHER_DATASET_RECORD_HASH_H_
#define THRESHER_DATASET_RECORD_HASH_H_

#include <cstdint>
#include <memory>
#include <string_view>

namespace thresher {

// XXH3-128 of bytes. Not for secrets.
struct RecordHash {
  uint64_t low = 0;
  uint64_t high = 0;
  bool operator==(const RecordHash&) const = default;
};

RecordHash HashOf(std::string_view bytes);

// The same for bytes that come in pieces. Not thread-safe.
class RecordHasher {
 public:
  RecordHasher();
  ~RecordHasher();
  RecordHasher(const RecordHasher&) = delete;
  RecordHasher& operator=(const RecordHasher&) = delete;

  void Reset();
  void Add(std::string_view bytes);
  RecordHash Finish() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace thresher

#endif  // THRESHER_DATASET_RECORD_HASH_H_
