#ifndef THRESHER_ENGINE_PJRT_STABLEHLO_WRITER_H_
#define THRESHER_ENGINE_PJRT_STABLEHLO_WRITER_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "engine/pjrt/tensor_type.h"

namespace thresher {

// A value of the module that is being written. Copy freely.
struct HloValue {
  std::string name;  // "%12"
  TensorType type;
};

// A tensor of truth values, which only masks are made of.
struct HloMask {
  std::string name;
  std::vector<int64_t> shape;
};

// How a value lies on the devices of the mesh, by axis: true where it is split over all of them.
// Empty: each has the whole of it.
using Sharding = std::vector<bool>;

enum class Comparison { kEqual, kGreaterOrEqual, kLess };

// Of a product of two values: axes that both share, and axes that are summed over. The result has
// the batch axes, then the left value's other axes, then the right one's.
struct DotAxes {
  std::vector<int64_t> left_batch = {};
  std::vector<int64_t> right_batch = {};
  std::vector<int64_t> left_summed;
  std::vector<int64_t> right_summed;
};

// A call of something that the device's compiler knows by name.
struct HloCompilerCall {
  std::string target;
  std::string config;  // a text that tells it more
  TensorType result;
  std::vector<int64_t> minor_to_major;  // axes of the result as they lie in memory
};

// Writes a StableHLO module of one function, "main", as text in MLIR's generic form, which every
// version of StableHLO since 1.0 reads. Shapes are inferred and checked before anything is printed:
// the first operation whose operands do not fit is what Finish reports, and what comes after it is
// garbage. Operation names and their meaning: the StableHLO specification (openxla/stablehlo).
class StablehloWriter {
 public:
  // `mesh_devices`: how many devices run the module together.
  explicit StablehloWriter(int64_t mesh_devices = 1) : mesh_devices_(mesh_devices) {}

  // All arguments come before the first operation.
  HloValue Argument(const TensorType& type, const Sharding& sharding = {});

  HloValue Constant(float value, DType dtype = DType::kF32);  // a scalar; may be infinite or NaN
  HloValue Integer(int32_t value);                            // a scalar
  HloValue Integers(const std::vector<int32_t>& values);      // [values]
  HloValue Iota(int64_t count);                               // i32 [count]: 0, 1, 2, ...

  // Elementwise; both operands of one type.
  HloValue Add(const HloValue& a, const HloValue& b) { return Binary("add", a, b); }
  HloValue Subtract(const HloValue& a, const HloValue& b) { return Binary("subtract", a, b); }
  HloValue Multiply(const HloValue& a, const HloValue& b) { return Binary("multiply", a, b); }
  HloValue Divide(const HloValue& a, const HloValue& b) { return Binary("divide", a, b); }
  HloValue Maximum(const HloValue& a, const HloValue& b) { return Binary("maximum", a, b); }
  HloValue Exponential(const HloValue& value) { return Unary("exponential", value); }
  HloValue Rsqrt(const HloValue& value) { return Unary("rsqrt", value); }
  HloValue Logistic(const HloValue& value) { return Unary("logistic", value); }

  // The value itself if it has that dtype already.
  HloValue Convert(const HloValue& value, DType dtype);

  HloMask Compare(const HloValue& a, const HloValue& b, Comparison direction);
  HloMask And(const HloMask& a, const HloMask& b);
  HloValue Select(const HloMask& mask, const HloValue& if_true, const HloValue& if_false);

  // Axis i of the value becomes axis axes[i] of `shape`; the others repeat it.
  HloValue Broadcast(const HloValue& value, const std::vector<int64_t>& shape,
                     const std::vector<int64_t>& axes);
  HloMask Broadcast(const HloMask& mask, const std::vector<int64_t>& shape,
                    const std::vector<int64_t>& axes);

  HloValue Reshape(const HloValue& value, const std::vector<int64_t>& shape);
  HloValue Transpose(const HloValue& value, const std::vector<int64_t>& permutation);
  HloValue Slice(const HloValue& value, int64_t axis, int64_t begin, int64_t end);
  HloValue Concatenate(const std::vector<HloValue>& values, int64_t axis);

  // Over the last axis, which goes. Of f32.
  HloValue ReduceSum(const HloValue& value) { return Reduce("add", value, 0); }
  HloValue ReduceMax(const HloValue& value);

  // In f32 whatever the operands' dtype; f32 operands are multiplied in f32, on every device.
  HloValue Dot(const HloValue& left, const HloValue& right, const DotAxes& axes);

  // Element `index` (an i32 scalar) of the first axis, which goes.
  HloValue DynamicElement(const HloValue& stacked, const HloValue& index);
  // `stacked` with that element replaced.
  HloValue ReplaceElement(const HloValue& stacked, const HloValue& element, const HloValue& index);

  // [rows, width]: the rows of `value` [n, width] whose numbers `rows` [rows] has, i32 from 0 to
  // n - 1 that never fall.
  HloValue PickRows(const HloValue& value, const HloValue& rows);

  // The operands are row-major. Beside its result the call has working memory, of a size that the
  // compiler chooses.
  HloValue CompilerCall(const HloCompilerCall& call, const std::vector<HloValue>& operands);

  // Runs `body` `count` times. It is given the number of the iteration and the values that the last
  // one returned (first: `initial`), and returns as many of the same types. Constants and arguments
  // of the function that it uses must be among them.
  using LoopBody = std::function<std::vector<HloValue>(const HloValue& index,
                                                       const std::vector<HloValue>& carried)>;
  std::vector<HloValue> Loop(int64_t count, const std::vector<HloValue>& initial,
                             const LoopBody& body);
  // For `first`, first + 1, ... below `end`, i32 scalars that may be known only when it runs.
  std::vector<HloValue> Loop(const HloValue& first, const HloValue& end,
                             const std::vector<HloValue>& initial, const LoopBody& body);

  // The module's text; an error if an operation had operands that do not fit.
  Result<std::string> Finish(const std::vector<HloValue>& results,
                             const std::vector<Sharding>& shardings = {});

 private:
  HloValue Unary(std::string_view operation, const HloValue& value);
  HloValue Binary(std::string_view operation, const HloValue& a, const HloValue& b);
  HloValue Reduce(std::string_view operation, const HloValue& value, float initial);
  std::string BroadcastLine(const std::string& name, const std::vector<int64_t>& from,
                            std::string_view from_type, const std::vector<int64_t>& shape,
                            std::string_view to_type, const std::vector<int64_t>& axes);

  // A loop over what `starts` begins with: the index, then what the body is not given, then what it
  // is.
  std::vector<HloValue> While(const std::vector<HloValue>& starts, size_t hidden,
                              const std::function<HloMask(const std::vector<HloValue>&)>& goes_on,
                              const LoopBody& body);

  std::string NewName();
  // Prints an operation; the name of its result.
  std::string Print(std::string_view operation, std::string_view operands,
                    std::string_view attributes, std::string_view regions,
                    std::string_view operand_types, std::string_view result_type);
  HloValue Emit(std::string_view operation, const std::vector<HloValue>& operands,
                std::string_view attributes, TensorType type, std::string_view regions = "");
  // False, and noted, unless it holds.
  bool Check(bool holds, std::string_view operation, const std::vector<HloValue>& operands,
             std::string_view reason);
  std::string ShardingText(const Sharding& sharding, size_t rank) const;

  const int64_t mesh_devices_;
  std::vector<std::pair<HloValue, Sharding>> arguments_;
  std::string body_;
  int64_t next_name_ = 0;
  Status status_;
};

}  // namespace thresher

#endif  // THRESHER_ENGINE_PJRT_STABLEHLO_WRITER_H_
