#include "work/commit_text.h"

#include <charconv>
#include <cstdint>
#include <span>
#include <string>
#include <system_error>

#include "base/crc32c.h"

namespace thresher {
namespace {

// Reads from the front, and keeps what it has read without the white space between: what the
// record's checksum is of. Everything returns false where the text is not what is expected.
class WrittenText {
 public:
  explicit WrittenText(std::string_view text) : rest_(text) { compact_.reserve(text.size()); }

  // A new line that is indented so far. No part of the compact text.
  bool Line(size_t indent) {
    constexpr std::string_view kLine = "\n    ";
    return Skip(kLine.substr(0, 1 + indent));
  }

  // Punctuation.
  bool Mark(std::string_view mark) {
    if (!Skip(mark)) return false;
    compact_ += mark;
    return true;
  }

  bool Key(std::string_view key) {
    const size_t bytes = key.size() + 4;
    if (rest_.size() < bytes || rest_[0] != '"' || rest_.substr(1, key.size()) != key ||
        rest_.substr(key.size() + 1, 3) != "\": ") {
      return false;
    }
    Take(bytes - 1);
    return Skip(" ");
  }
  bool AnyKey(std::string& key) { return String(key) && Mark(":") && Skip(" "); }

  bool String(std::string& value) {
    if (!rest_.starts_with('"')) return false;
    size_t end = 1;
    for (; end < rest_.size() && rest_[end] != '"'; ++end) {
      if (rest_[end] < ' ' || rest_[end] == '\\') return false;  // or not ASCII
    }
    if (end == rest_.size()) return false;
    value = rest_.substr(1, end - 1);
    Take(end + 1);
    return true;
  }

  bool Integer(int64_t& value, int64_t minimum) { return Number(value) && value >= minimum; }

  template <typename T>
  bool Number(T& value) {
    const size_t sign = rest_.starts_with('-') ? 1 : 0;
    if (rest_.size() <= sign || rest_[sign] < '0' || rest_[sign] > '9') return false;
    const char* begin = rest_.data();
    const auto [end, error] = std::from_chars(begin, begin + rest_.size(), value);
    if (error != std::errc()) return false;
    Take(static_cast<size_t>(end - begin));
    return true;
  }

  // The members of an object or list at this indentation, each with `read`; also none.
  template <typename Read>
  bool Members(char open, char close, size_t indent, Read read) {
    if (!Mark({&open, 1})) return false;
    if (Mark({&close, 1})) return true;
    do {
      if (!Line(indent + 1) || !read()) return false;
    } while (Mark(","));
    return Line(indent) && Mark({&close, 1});
  }

  bool is_empty() const { return rest_.empty(); }
  const std::string& compact() const { return compact_; }

 private:
  bool Skip(std::string_view expected) {
    if (!rest_.starts_with(expected)) return false;
    rest_.remove_prefix(expected.size());
    return true;
  }
  void Take(size_t bytes) {
    compact_ += rest_.substr(0, bytes);
    rest_.remove_prefix(bytes);
  }

  std::string_view rest_;
  std::string compact_;
};

bool ReadStatistics(WrittenText& text, HookStatistics& hook) {
  TensorStatistics& s = hook.statistics;
  return text.AnyKey(hook.name) && text.Mark("{") &&                                         //
         text.Line(3) && text.Key("count") && text.Integer(s.count, 0) && text.Mark(",") &&  //
         text.Line(3) && text.Key("not_finite") && text.Integer(s.not_finite, 0) &&
         text.Mark(",") &&                                                           //
         text.Line(3) && text.Key("sum") && text.Number(s.sum) && text.Mark(",") &&  //
         text.Line(3) && text.Key("sum_squares") && text.Number(s.sum_squares) &&
         text.Mark(",") &&                                                 //
         text.Line(3) && text.Key("max_abs") && text.Number(s.max_abs) &&  //
         text.Line(2) && text.Mark("}");
}

bool ReadRejected(WrittenText& text, RejectedSample& rejected) {
  return text.Mark("{") &&                                                          //
         text.Line(3) && text.Key("sample") && text.Integer(rejected.sample, 0) &&  //
         text.Mark(",") && text.Line(3) && text.Key("reason") && text.String(rejected.reason) &&
         text.Line(2) && text.Mark("}");
}

// In the order in which Commit::ToText writes them; each with the comma that follows.
bool ReadFields(WrittenText& text, Commit& commit) {
  const auto integer = [&](std::string_view key, int64_t& value, int64_t minimum) {
    return text.Line(1) && text.Key(key) && text.Integer(value, minimum) && text.Mark(",");
  };
  const auto string = [&](std::string_view key, std::string& value) {
    return text.Line(1) && text.Key(key) && text.String(value) && text.Mark(",");
  };
  const auto members = [&](std::string_view key, std::string_view marks, const auto& read) {
    return text.Line(1) && text.Key(key) && text.Members(marks[0], marks[1], 1, read) &&
           text.Mark(",");
  };
  int64_t format_version = 0;
  return text.Mark("{") && integer("format_version", format_version, 1) &&
         string("run", commit.run_fingerprint) && integer("unit", commit.unit, 0) &&
         integer("epoch", commit.epoch, 1) && integer("worker", commit.worker_id, 0) &&
         string("session", commit.session) && integer("first_sample", commit.first_sample, 0) &&
         integer("sample_count", commit.sample_count, 1) &&
         integer("sequence_count", commit.sequence_count, 0) &&
         integer("token_count", commit.token_count, 0) &&
         integer("forward_token_count", commit.forward_token_count, 0) &&
         integer("truncated_count", commit.truncated_count, 0) && string("shard", commit.shard) &&
         integer("bytes", commit.bytes, 1) && string("checksum", commit.checksum) &&
         string("header_checksum", commit.header_checksum) &&
         members("tensors", "{}",
                 [&] {
                   TensorRecord& tensor = commit.tensors.emplace_back();
                   return text.AnyKey(tensor.name) && text.String(tensor.checksum);
                 }) &&
         members("statistics", "{}",
                 [&] { return ReadStatistics(text, commit.statistics.emplace_back()); }) &&
         members("rejected", "[]",
                 [&] { return ReadRejected(text, commit.rejected.emplace_back()); }) &&
         text.Line(1) && text.Key("committed_unix_ms") && text.Integer(commit.committed_unix_ms, 0);
}

}  // namespace

std::optional<Commit> ReadCommitAsWritten(std::string_view written) {
  WrittenText text(written);
  Commit commit;
  if (!ReadFields(text, commit)) return std::nullopt;
  const std::string compact = text.compact() + "}";
  std::string checksum;
  const bool is_whole = text.Mark(",") && text.Line(1) && text.Key("record_checksum") &&
                        text.String(checksum) && text.Line(0) && text.Mark("}") && text.Line(0) &&
                        text.is_empty();
  const auto bytes = std::as_bytes(std::span(compact.data(), compact.size()));
  if (!is_whole || FormatCrc32c(ExtendCrc32c(0, bytes)) != checksum) return std::nullopt;
  return commit;
}

}  // namespace thresher
