#ifndef THRESHER_WORK_COMMIT_TEXT_H_
#define THRESHER_WORK_COMMIT_TEXT_H_

#include <optional>
#include <string_view>

#include "work/records.h"

namespace thresher {

// Reads a commit whose text is, byte for byte, laid out as Commit::ToText lays it out, in a tenth
// of the time that a parser of any JSON takes: a run has up to a million of them. Nothing for every
// other text, also for one that is as good (other white space, escapes, letters beyond ASCII) and
// for one whose checksum is wrong: Commit::FromText reads all of them, and says what is wrong.
std::optional<Commit> ReadCommitAsWritten(std::string_view text);

}  // namespace thresher

#endif  // THRESHER_WORK_COMMIT_TEXT_H_
