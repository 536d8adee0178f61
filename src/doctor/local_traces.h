#ifndef THRESHER_DOCTOR_LOCAL_TRACES_H_
#define THRESHER_DOCTOR_LOCAL_TRACES_H_

#include <string>
#include <string_view>
#include <vector>

namespace thresher {

// The folders that a local store makes for the keys of `folder` and leaves behind when the objects
// are deleted: remembers which were there before, and removes the others if they are empty. Does
// nothing for other stores.
class LocalTraces {
 public:
  // `url`: of a store; `folder`: a key's form.
  LocalTraces(std::string_view url, std::string_view folder);

  void Remove() const;

 private:
  std::string folder_;                // to be removed with all that is below, as far as empty
  std::vector<std::string> created_;  // above it and not there at first, the deepest first
};

}  // namespace thresher

#endif  // THRESHER_DOCTOR_LOCAL_TRACES_H_
