#ifndef THRESHER_ARC_GRID_ENCODER_H_
#define THRESHER_ARC_GRID_ENCODER_H_

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "arc/arc_task.h"
#include "base/result.h"

namespace thresher {

// How a grid is written in a prompt. The text never ends in a line break. Immutable; thread-safe.
class GridEncoder {
 public:
  virtual ~GridEncoder() = default;

  // `grid` must have 1 to 30 rows and columns.
  virtual std::string Encode(const ArcGrid& grid) const = 0;

  // The grid that Encode makes exactly this text of. kInvalidArgument if there is none: "line 3:
  // expected 10 cells as in the first row, found 9" (lines counted from 1).
  Result<ArcGrid> Decode(std::string_view text) const { return DecodeFrom(text, 1); }

  // The text that ParseGridEncoder makes this encoder of, every argument written out: encoders that
  // are alike have equal texts.
  virtual std::string Spec() const = 0;

  // Decode of a part of a larger text; `first_line` is the number of its first line, for messages.
  virtual Result<ArcGrid> DecodeFrom(std::string_view text, int first_line) const = 0;
};

// Rows of digits: "012\n345".
class MinimalGridEncoder final : public GridEncoder {
 public:
  std::string Encode(const ArcGrid& grid) const override;
  std::string Spec() const override;
  Result<ArcGrid> DecodeFrom(std::string_view text, int first_line) const override;
};

// Digits with a separator between neighbours of a row: "0|1|2\n3|4|5".
class GridWithSeparationEncoder final : public GridEncoder {
 public:
  // What Decode needs of a separator: 1 to 32 bytes of valid UTF-8 without control characters,
  // digits, and the symbols of ReplaceNumberEncoder. kInvalidArgument otherwise.
  static Status CheckSeparator(std::string_view separator);

  // CheckSeparator must hold.
  explicit GridWithSeparationEncoder(std::string separator);

  std::string Encode(const ArcGrid& grid) const override;
  std::string Spec() const override;
  Result<ArcGrid> DecodeFrom(std::string_view text, int first_line) const override;

 private:
  std::string separator_;
};

// Each digit n times: "000111222\n333444555". A number of several equal digits is often one token.
class RepeatNumberEncoder final : public GridEncoder {
 public:
  static constexpr int kMaxRepeats = 100;

  // 1 to kMaxRepeats.
  explicit RepeatNumberEncoder(int repeats = 3);

  std::string Encode(const ArcGrid& grid) const override;
  std::string Spec() const override;
  Result<ArcGrid> DecodeFrom(std::string_view text, int first_line) const override;

 private:
  int repeats_;
};

// Between fences: "```grid\n" + inner + "\n```".
class GridCodeBlockEncoder final : public GridEncoder {
 public:
  explicit GridCodeBlockEncoder(std::unique_ptr<GridEncoder> inner) : inner_(std::move(inner)) {}

  std::string Encode(const ArcGrid& grid) const override;
  std::string Spec() const override;
  Result<ArcGrid> DecodeFrom(std::string_view text, int first_line) const override;

 private:
  std::unique_ptr<GridEncoder> inner_;
};

// Between fences, with rows x columns: "```grid shape: 2x3\n" + inner + "\n```".
class GridShapeEncoder final : public GridEncoder {
 public:
  explicit GridShapeEncoder(std::unique_ptr<GridEncoder> inner) : inner_(std::move(inner)) {}

  std::string Encode(const ArcGrid& grid) const override;
  std::string Spec() const override;
  Result<ArcGrid> DecodeFrom(std::string_view text, int first_line) const override;

 private:
  std::unique_ptr<GridEncoder> inner_;
};

// Each line of the inner text with its number in front, from 1: "1 012\n2 345".
class RowNumberEncoder final : public GridEncoder {
 public:
  explicit RowNumberEncoder(std::unique_ptr<GridEncoder> inner) : inner_(std::move(inner)) {}

  std::string Encode(const ArcGrid& grid) const override;
  std::string Spec() const override;
  Result<ArcGrid> DecodeFrom(std::string_view text, int first_line) const override;

 private:
  std::unique_ptr<GridEncoder> inner_;
};

// Every digit of the inner text, whatever it stands for, becomes a letter or sign that tokenizers
// keep apart: 0123456789 -> U+00F1 F2 F7 FB, U+0105 107 10F 119 11A 11E. The inner encoder must not
// hold another ReplaceNumberEncoder: its symbols could not be told from this one's.
class ReplaceNumberEncoder final : public GridEncoder {
 public:
  explicit ReplaceNumberEncoder(std::unique_ptr<GridEncoder> inner) : inner_(std::move(inner)) {}

  std::string Encode(const ArcGrid& grid) const override;
  std::string Spec() const override;
  Result<ArcGrid> DecodeFrom(std::string_view text, int first_line) const override;

 private:
  std::unique_ptr<GridEncoder> inner_;
};

}  // namespace thresher

#endif  // THRESHER_ARC_GRID_ENCODER_H_
