#ifndef THRESHER_ARC_GRID_ENCODER_SPEC_H_
#define THRESHER_ARC_GRID_ENCODER_SPEC_H_

#include <memory>
#include <string_view>

#include "arc/grid_encoder.h"
#include "base/result.h"

namespace thresher {

// Deeper nesting of encoders than this is refused.
inline constexpr int kMaxGridEncoderDepth = 16;

// Makes the encoder that `spec` describes; nothing in it is evaluated.
//
//   encoder  = name ["(" [argument {"," argument} [","]] ")"]
//   argument = [parameter "="] (encoder | string | integer)
//
//   MinimalGridEncoder()                minimal
//   GridWithSeparationEncoder(sep)      separation    sep: a string
//   RepeatNumberEncoder(n=3)            repeat        n: an integer, 1 to 100
//   GridCodeBlockEncoder(inner)         code_block    inner: an encoder
//   GridShapeEncoder(inner)             shape
//   RowNumberEncoder(inner)             row_number
//   ReplaceNumberEncoder(inner)         replace
//
// The second column has names that are quicker to type; parentheses without an argument may be left
// out. Strings stand in single or double quotes, with the escapes \\ \' \" \n \r \t \xHH \uHHHH,
// which mean what they mean in Python. White space may stand between any two parts.
//
// kInvalidArgument says where: "grid encoder 'shape(x)': at character 7: expected ..., found 'x'".
Result<std::unique_ptr<GridEncoder>> ParseGridEncoder(std::string_view spec);

}  // namespace thresher

#endif  // THRESHER_ARC_GRID_ENCODER_SPEC_H_
