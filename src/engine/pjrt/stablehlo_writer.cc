#include "engine/pjrt/stablehlo_writer.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <limits>
#include <span>

#include "base/check.h"
#include "engine/pjrt/stablehlo_text.h"

namespace thresher {
namespace {

bool IsFloat(DType dtype) {
  return dtype == DType::kF32 || dtype == DType::kBf16 || dtype == DType::kF16;
}

// Whether `axes` are different axes of a value of that rank.
bool AreAxes(const std::vector<int64_t>& axes, size_t rank) {
  std::vector<bool> seen(rank, false);
  for (const int64_t axis : axes) {
    if (axis < 0 || static_cast<size_t>(axis) >= rank || seen[static_cast<size_t>(axis)]) {
      return false;
    }
    seen[static_cast<size_t>(axis)] = true;
  }
  return true;
}

bool Contains(const std::vector<int64_t>& axes, size_t axis) {
  for (const int64_t each : axes) {
    if (static_cast<size_t>(each) == axis) return true;
  }
  return false;
}

std::string Joined(const std::vector<HloValue>& values, bool types) {
  std::string text;
  for (const HloValue& value : values) {
    if (!text.empty()) text += ", ";
    text += types ? value.type.ToString() : value.name;
  }
  return text;
}

std::string BlockHeader(const std::vector<HloValue>& values) {
  std::string text = "^bb0(";
  for (size_t i = 0; i < values.size(); ++i) {
    text += fmt::format("{}{}: {}", i == 0 ? "" : ", ", values[i].name, values[i].type.ToString());
  }
  return text + "):\n";
}

}  // namespace

std::string StablehloWriter::NewName() { return fmt::format("%{}", next_name_++); }

std::string StablehloWriter::Print(std::string_view operation, std::string_view operands,
                                   std::string_view attributes, std::string_view regions,
                                   std::string_view operand_types, std::string_view result_type) {
  std::string name = NewName();
  body_ +=
      fmt::format("{} = \"stablehlo.{}\"({}){}{} : ({}) -> {}\n", name, operation, operands,
                  attributes.empty() ? "" : fmt::format(" <{{{}}}>", attributes),
                  regions.empty() ? "" : fmt::format(" ({})", regions), operand_types, result_type);
  return name;
}

HloValue StablehloWriter::Emit(std::string_view operation, const std::vector<HloValue>& operands,
                               std::string_view attributes, TensorType type,
                               std::string_view regions) {
  std::string name = Print(operation, Joined(operands, false), attributes, regions,
                           Joined(operands, true), type.ToString());
  return {std::move(name), std::move(type)};
}

bool StablehloWriter::Check(bool holds, std::string_view operation,
                            const std::vector<HloValue>& operands, std::string_view reason) {
  if (!holds && status_.ok()) {
    status_ = Internal(fmt::format("in the program for the device: {} of {}: {}", operation,
                                   Joined(operands, true), reason));
  }
  return holds;
}

HloValue StablehloWriter::Argument(const TensorType& type, const Sharding& sharding) {
  THRESHER_CHECK(body_.empty());
  THRESHER_CHECK(sharding.empty() || sharding.size() == type.shape.size());
  HloValue value = {NewName(), type};
  for (size_t axis = 0; axis < sharding.size(); ++axis) {
    Check(!sharding[axis] || type.shape[axis] % mesh_devices_ == 0, "argument", {value},
          fmt::format("axis {} cannot be split over {} devices", axis, mesh_devices_));
  }
  arguments_.emplace_back(value, sharding);
  return value;
}

HloValue StablehloWriter::Constant(float value, DType dtype) {
  Check(IsFloat(dtype), "constant", {}, "of a dtype that is no floating-point one");
  TensorType type{dtype, {}};
  const std::string attribute =
      fmt::format("value = dense<{}> : {}", FloatText(value, dtype), type.ToString());
  return Emit("constant", {}, attribute, std::move(type));
}

HloValue StablehloWriter::Integer(int32_t value) {
  return Emit("constant", {}, fmt::format("value = dense<{}> : tensor<i32>", value),
              {DType::kI32, {}});
}

HloValue StablehloWriter::Integers(const std::vector<int32_t>& values) {
  TensorType type{DType::kI32, {static_cast<int64_t>(values.size())}};
  const std::string attribute =
      fmt::format("value = dense<[{}]> : {}", fmt::join(values, ", "), type.ToString());
  return Emit("constant", {}, attribute, std::move(type));
}

HloValue StablehloWriter::Iota(int64_t count) {
  return Emit("iota", {}, "iota_dimension = 0 : i64", {DType::kI32, {count}});
}

HloValue StablehloWriter::Unary(std::string_view operation, const HloValue& value) {
  Check(IsFloat(value.type.dtype), operation, {value}, "not of floating-point values");
  return Emit(operation, {value}, "", value.type);
}

HloValue StablehloWriter::Binary(std::string_view operation, const HloValue& a, const HloValue& b) {
  Check(a.type == b.type, operation, {a, b}, "the operands differ in type");
  return Emit(operation, {a, b}, "", a.type);
}

HloValue StablehloWriter::Convert(const HloValue& value, DType dtype) {
  if (value.type.dtype == dtype) return value;
  return Emit("convert", {value}, "", {dtype, value.type.shape});
}

HloMask StablehloWriter::Compare(const HloValue& a, const HloValue& b, Comparison direction) {
  Check(a.type == b.type, "compare", {a, b}, "the operands differ in type");
  const std::string_view name = direction == Comparison::kEqual            ? "EQ"
                                : direction == Comparison::kGreaterOrEqual ? "GE"
                                                                           : "LT";
  return {Print("compare", Joined({a, b}, false),
                fmt::format("comparison_direction = #stablehlo<comparison_direction {}>", name), "",
                Joined({a, b}, true), MaskType(a.type.shape)),
          a.type.shape};
}

HloMask StablehloWriter::And(const HloMask& a, const HloMask& b) {
  Check(a.shape == b.shape, "and", {},
        fmt::format("{} and {} differ", MaskType(a.shape), MaskType(b.shape)));
  const std::string type = MaskType(a.shape);
  return {Print("and", a.name + ", " + b.name, "", "", type + ", " + type, type), a.shape};
}

HloValue StablehloWriter::Select(const HloMask& mask, const HloValue& if_true,
                                 const HloValue& if_false) {
  Check(if_true.type == if_false.type && mask.shape == if_true.type.shape, "select",
        {if_true, if_false}, "a mask " + MaskType(mask.shape) + " does not fit both");
  return {Print("select", fmt::format("{}, {}, {}", mask.name, if_true.name, if_false.name), "", "",
                fmt::format("{}, {}", MaskType(mask.shape), Joined({if_true, if_false}, true)),
                if_true.type.ToString()),
          if_true.type};
}

std::string StablehloWriter::BroadcastLine(
    const std::string& name, const std::vector<int64_t>& from, std::string_view from_type,
    const std::vector<int64_t>& shape, std::string_view to_type, const std::vector<int64_t>& axes) {
  bool fits = axes.size() == from.size() && AreAxes(axes, shape.size());
  for (size_t i = 0; fits && i < axes.size(); ++i) {
    fits = from[i] == 1 || from[i] == shape[static_cast<size_t>(axes[i])];
  }
  Check(fits, "broadcast", {},
        fmt::format("{} does not become {} along axes [{}]", from_type, to_type,
                    fmt::join(axes, ", ")));
  return Print("broadcast_in_dim", name, "broadcast_dimensions = " + ArrayText(axes), "", from_type,
               to_type);
}

HloValue StablehloWriter::Broadcast(const HloValue& value, const std::vector<int64_t>& shape,
                                    const std::vector<int64_t>& axes) {
  TensorType type{value.type.dtype, shape};
  std::string name = BroadcastLine(value.name, value.type.shape, value.type.ToString(), shape,
                                   type.ToString(), axes);
  return {std::move(name), std::move(type)};
}

HloMask StablehloWriter::Broadcast(const HloMask& mask, const std::vector<int64_t>& shape,
                                   const std::vector<int64_t>& axes) {
  return {BroadcastLine(mask.name, mask.shape, MaskType(mask.shape), shape, MaskType(shape), axes),
          shape};
}

HloValue StablehloWriter::Reshape(const HloValue& value, const std::vector<int64_t>& shape) {
  TensorType type{value.type.dtype, shape};
  Check(type.element_count() == value.type.element_count(), "reshape", {value},
        "not as many elements as " + type.ToString());
  return Emit("reshape", {value}, "", std::move(type));
}

HloValue StablehloWriter::Transpose(const HloValue& value,
                                    const std::vector<int64_t>& permutation) {
  TensorType type{value.type.dtype, {}};
  if (Check(permutation.size() == value.type.shape.size() &&
                AreAxes(permutation, value.type.shape.size()),
            "transpose", {value},
            fmt::format("[{}] permutes other axes", fmt::join(permutation, ", ")))) {
    for (const int64_t axis : permutation) {
      type.shape.push_back(value.type.shape[static_cast<size_t>(axis)]);
    }
  }
  return Emit("transpose", {value}, "permutation = " + ArrayText(permutation), std::move(type));
}

HloValue StablehloWriter::Slice(const HloValue& value, int64_t axis, int64_t begin, int64_t end) {
  const size_t rank = value.type.shape.size();
  if (!Check(AreAxes({axis}, rank) && 0 <= begin && begin < end &&
                 end <= value.type.shape[static_cast<size_t>(axis)],
             "slice", {value}, fmt::format("{} to {} of axis {}", begin, end, axis))) {
    return value;
  }
  std::vector<int64_t> starts(rank, 0);
  std::vector<int64_t> limits = value.type.shape;
  starts[static_cast<size_t>(axis)] = begin;
  limits[static_cast<size_t>(axis)] = end;
  TensorType type = value.type;
  type.shape[static_cast<size_t>(axis)] = end - begin;
  if (type == value.type) return value;
  return Emit("slice", {value},
              fmt::format("limit_indices = {}, start_indices = {}, strides = {}", ArrayText(limits),
                          ArrayText(starts), ArrayText(std::vector<int64_t>(rank, 1))),
              std::move(type));
}

HloValue StablehloWriter::Concatenate(const std::vector<HloValue>& values, int64_t axis) {
  THRESHER_CHECK(!values.empty());
  if (values.size() == 1) return values.front();
  TensorType type = values.front().type;
  const auto joined = static_cast<size_t>(axis);
  if (!Check(AreAxes({axis}, type.shape.size()), "concatenate", values, "no such axis")) {
    return values.front();
  }
  type.shape[joined] = 0;
  for (const HloValue& value : values) {
    TensorType other = value.type;
    const bool same_rank = other.shape.size() == type.shape.size();
    const int64_t extent = same_rank ? other.shape[joined] : 0;
    if (same_rank) other.shape[joined] = type.shape[joined];
    Check(other == type, "concatenate", values, "they differ in more than the joined axis");
    type.shape[joined] += extent;
  }
  return Emit("concatenate", values, fmt::format("dimension = {} : i64", axis), std::move(type));
}

HloValue StablehloWriter::ReduceMax(const HloValue& value) {
  return Reduce("maximum", value, -std::numeric_limits<float>::infinity());
}

HloValue StablehloWriter::Reduce(std::string_view operation, const HloValue& value, float initial) {
  if (!Check(value.type.dtype == DType::kF32 && !value.type.shape.empty(), operation, {value},
             "only f32 with an axis is reduced")) {
    return value;
  }
  const HloValue start = Constant(initial);
  TensorType type = value.type;
  type.shape.pop_back();
  const std::string a = NewName();
  const std::string b = NewName();
  const std::string sum = NewName();
  const std::string region = fmt::format(
      "{{\n^bb0({0}: tensor<f32>, {1}: tensor<f32>):\n"
      "{2} = \"stablehlo.{3}\"({0}, {1}) : (tensor<f32>, tensor<f32>) -> tensor<f32>\n"
      "\"stablehlo.return\"({2}) : (tensor<f32>) -> ()\n}}",
      a, b, sum, operation);
  const std::vector<int64_t> axes = {static_cast<int64_t>(type.shape.size())};
  return Emit("reduce", {value, start}, "dimensions = " + ArrayText(axes), std::move(type), region);
}

HloValue StablehloWriter::Dot(const HloValue& left, const HloValue& right, const DotAxes& axes) {
  const std::vector<int64_t>& l = left.type.shape;
  const std::vector<int64_t>& r = right.type.shape;
  bool fits = left.type.dtype == right.type.dtype && IsFloat(left.type.dtype) &&
              axes.left_batch.size() == axes.right_batch.size() &&
              axes.left_summed.size() == axes.right_summed.size();
  for (const auto& [of_left, of_right] : {std::pair(axes.left_batch, axes.right_batch),
                                          std::pair(axes.left_summed, axes.right_summed)}) {
    fits = fits && AreAxes(of_left, l.size()) && AreAxes(of_right, r.size());
    for (size_t i = 0; fits && i < of_left.size(); ++i) {
      fits = l[static_cast<size_t>(of_left[i])] == r[static_cast<size_t>(of_right[i])];
    }
  }
  if (!Check(fits, "dot", {left, right}, "the operands do not fit each other")) return left;
  TensorType type{DType::kF32, {}};
  for (const int64_t axis : axes.left_batch) type.shape.push_back(l[static_cast<size_t>(axis)]);
  for (size_t i = 0; i < l.size(); ++i) {
    if (!Contains(axes.left_batch, i) && !Contains(axes.left_summed, i)) type.shape.push_back(l[i]);
  }
  for (size_t i = 0; i < r.size(); ++i) {
    if (!Contains(axes.right_batch, i) && !Contains(axes.right_summed, i)) {
      type.shape.push_back(r[i]);
    }
  }
  // Without HIGHEST, accelerators multiply f32 in fewer bits.
  const std::string_view precision = left.type.dtype == DType::kF32 ? "HIGHEST" : "DEFAULT";
  return Emit("dot_general", {left, right},
              fmt::format("dot_dimension_numbers = #stablehlo.dot<lhs_batching_dimensions = [{}], "
                          "rhs_batching_dimensions = [{}], lhs_contracting_dimensions = [{}], "
                          "rhs_contracting_dimensions = [{}]>, precision_config = "
                          "[#stablehlo<precision {}>, #stablehlo<precision {}>]",
                          fmt::join(axes.left_batch, ", "), fmt::join(axes.right_batch, ", "),
                          fmt::join(axes.left_summed, ", "), fmt::join(axes.right_summed, ", "),
                          precision, precision),
              std::move(type));
}

HloValue StablehloWriter::DynamicElement(const HloValue& stacked, const HloValue& index) {
  if (!Check(!stacked.type.shape.empty() && index.type == TensorType{DType::kI32, {}}, "element of",
             {stacked, index}, "needs an axis and an i32 scalar")) {
    return stacked;
  }
  TensorType type = stacked.type;
  type.shape[0] = 1;
  std::vector<HloValue> operands = {stacked, index};
  if (type.shape.size() > 1) {
    const HloValue zero = Integer(0);
    operands.resize(type.shape.size() + 1, zero);
  }
  const std::vector<int64_t> element(type.shape.begin() + 1, type.shape.end());
  const std::string sizes = "slice_sizes = " + ArrayText(type.shape);
  return Reshape(Emit("dynamic_slice", operands, sizes, std::move(type)), element);
}

HloValue StablehloWriter::ReplaceElement(const HloValue& stacked, const HloValue& element,
                                         const HloValue& index) {
  std::vector<int64_t> shape = {1};
  shape.insert(shape.end(), element.type.shape.begin(), element.type.shape.end());
  bool fits = stacked.type.dtype == element.type.dtype && stacked.type.shape.size() == shape.size();
  for (size_t i = 1; fits && i < shape.size(); ++i) fits = stacked.type.shape[i] == shape[i];
  if (!Check(fits && index.type == TensorType{DType::kI32, {}}, "replacement of",
             {stacked, element, index}, "it is no element, or the index no i32 scalar")) {
    return stacked;
  }
  std::vector<HloValue> operands = {stacked, Reshape(element, shape), index};
  if (shape.size() > 1) {
    const HloValue zero = Integer(0);
    operands.resize(shape.size() + 2, zero);
  }
  return Emit("dynamic_update_slice", operands, "", stacked.type);
}

HloValue StablehloWriter::PickRows(const HloValue& value, const HloValue& rows) {
  const std::vector<int64_t>& shape = value.type.shape;
  if (!Check(shape.size() == 2 && rows.type.shape.size() == 1 && rows.type.dtype == DType::kI32,
             "picked rows", {value, rows}, "needs a matrix and a list of i32 row numbers")) {
    return value;
  }
  return Emit("gather", {value, rows},
              fmt::format("dimension_numbers = #stablehlo.gather<offset_dims = [1], "
                          "collapsed_slice_dims = [0], start_index_map = [0], "
                          "index_vector_dim = 1>, indices_are_sorted = true, slice_sizes = {}",
                          ArrayText(std::vector<int64_t>{1, shape[1]})),
              {value.type.dtype, {rows.type.shape[0], shape[1]}});
}

HloValue StablehloWriter::CompilerCall(const HloCompilerCall& call,
                                       const std::vector<HloValue>& operands) {
  Check(AreAxes(call.minor_to_major, call.result.shape.size()) &&
            call.minor_to_major.size() == call.result.shape.size(),
        call.target, operands, "the layout has other axes than the result");
  std::vector<std::string> layouts;
  layouts.reserve(operands.size());
  for (const HloValue& operand : operands) {
    layouts.push_back(RowMajorText(operand.type.shape.size()));
  }
  constexpr int kReturnsStatus = 2;  // how the call tells of errors
  const std::string attributes = fmt::format(
      "api_version = {} : i32, backend_config = {}, call_target_name = {}, called_computations = "
      "[], has_side_effect = false, operand_layouts = [{}], result_layouts = [{}, {}]",
      kReturnsStatus, QuotedText(call.config), QuotedText(call.target), fmt::join(layouts, ", "),
      LayoutText(call.minor_to_major), LayoutText({0}));
  const std::string name = NewName();
  body_ += fmt::format("{}:2 = \"stablehlo.custom_call\"({}) <{{{}}}> : ({}) -> ({}, {})\n", name,
                       Joined(operands, false), attributes, Joined(operands, true),
                       call.result.ToString(), "tensor<0xui8>");
  return {name + "#0", call.result};
}

std::vector<HloValue> StablehloWriter::Loop(int64_t count, const std::vector<HloValue>& initial,
                                            const LoopBody& body) {
  std::vector<HloValue> starts = {Integer(0)};
  starts.insert(starts.end(), initial.begin(), initial.end());
  const auto goes_on = [&](const std::vector<HloValue>& values) {
    return Compare(values[0], Integer(static_cast<int32_t>(count)), Comparison::kLess);
  };
  return While(starts, 1, goes_on, body);
}

std::vector<HloValue> StablehloWriter::Loop(const HloValue& first, const HloValue& end,
                                            const std::vector<HloValue>& initial,
                                            const LoopBody& body) {
  const TensorType scalar{DType::kI32, {}};
  Check(first.type == scalar && end.type == scalar, "loop", {first, end}, "bounds are i32 scalars");
  std::vector<HloValue> starts = {first, end};
  starts.insert(starts.end(), initial.begin(), initial.end());
  const auto goes_on = [&](const std::vector<HloValue>& values) {
    return Compare(values[0], values[1], Comparison::kLess);
  };
  return While(starts, 2, goes_on, body);
}

std::vector<HloValue> StablehloWriter::While(
    const std::vector<HloValue>& starts, size_t hidden,
    const std::function<HloMask(const std::vector<HloValue>&)>& goes_on, const LoopBody& body) {
  const auto inside = [&] {
    std::vector<HloValue> values;
    values.reserve(starts.size());
    for (const HloValue& start : starts) values.push_back({NewName(), start.type});
    return values;
  };
  const auto returned = [&](const std::string& names, const std::string& types) {
    return fmt::format("{}\"stablehlo.return\"({}) : ({}) -> ()\n", body_, names, types);
  };
  std::string outside = std::exchange(body_, "");
  std::vector<HloValue> values = inside();
  const HloMask mask = goes_on(values);
  const std::string condition = BlockHeader(values) + returned(mask.name, "tensor<i1>");

  body_.clear();
  values = inside();
  const auto visible = static_cast<std::ptrdiff_t>(hidden);
  std::vector<HloValue> next =
      body(values[0], std::vector<HloValue>(values.begin() + visible, values.end()));
  next.insert(next.begin(), values.begin() + 1, values.begin() + visible);
  next.insert(next.begin(), Add(values[0], Integer(1)));
  bool fits = next.size() == starts.size();
  for (size_t i = 0; fits && i < next.size(); ++i) fits = next[i].type == starts[i].type;
  Check(fits, "loop", next, "the body returns other types than it was given");
  const std::string iteration =
      BlockHeader(values) + returned(Joined(next, false), Joined(next, true));

  body_ = std::move(outside);
  const std::string name = NewName();
  const std::string types = Joined(starts, true);
  body_ +=
      fmt::format("{}:{} = \"stablehlo.while\"({}) ({{\n{}}}, {{\n{}}}) : ({}) -> ({})\n", name,
                  starts.size(), Joined(starts, false), condition, iteration, types, types);
  std::vector<HloValue> results;
  for (size_t i = hidden; i < starts.size(); ++i) {
    results.push_back({fmt::format("{}#{}", name, i), starts[i].type});
  }
  return results;
}

std::string StablehloWriter::ShardingText(const Sharding& sharding, size_t rank) const {
  std::string axes;
  for (size_t axis = 0; axis < rank; ++axis) {
    const bool is_split = !sharding.empty() && sharding[axis];
    axes += fmt::format("{}{}", axis == 0 ? "" : ", ", is_split ? R"({"model"})" : "{}");
  }
  return fmt::format("{{sdy.sharding = #sdy.sharding<@mesh, [{}]>}}", axes);
}

Result<std::string> StablehloWriter::Finish(const std::vector<HloValue>& results,
                                            const std::vector<Sharding>& shardings) {
  THRESHER_CHECK(shardings.empty() || shardings.size() == results.size());
  if (!status_.ok()) return status_;
  std::vector<HloValue> arguments;
  std::string attributes;
  std::string mesh;
  for (const auto& [argument, sharding] : arguments_) arguments.push_back(argument);
  if (mesh_devices_ > 1) {
    mesh = fmt::format(
        "\"sdy.mesh\"() <{{mesh = #sdy.mesh<[\"model\"={}]>, sym_name = \"mesh\"}}> "
        ": () -> ()\n",
        mesh_devices_);
    std::vector<std::string> of_arguments;
    std::vector<std::string> of_results;
    for (const auto& [argument, sharding] : arguments_) {
      of_arguments.push_back(ShardingText(sharding, argument.type.shape.size()));
    }
    for (size_t i = 0; i < results.size(); ++i) {
      of_results.push_back(ShardingText(shardings.empty() ? Sharding() : shardings[i],
                                        results[i].type.shape.size()));
    }
    attributes = fmt::format("arg_attrs = [{}], res_attrs = [{}], ", fmt::join(of_arguments, ", "),
                             fmt::join(of_results, ", "));
  }
  return fmt::format(
      "\"builtin.module\"() <{{sym_name = \"thresher\"}}> ({{\n{}"
      "\"func.func\"() <{{{}function_type = ({}) -> ({}), sym_name = \"main\"}}> ({{\n{}{}"
      "\"func.return\"({}) : ({}) -> ()\n}}) : () -> ()\n"
      "}}) {{mhlo.num_partitions = {} : i32, mhlo.num_replicas = 1 : i32}} : () -> ()\n",
      mesh, attributes, Joined(arguments, true), Joined(results, true), BlockHeader(arguments),
      body_, Joined(results, false), Joined(results, true), mesh_devices_);
}

}  // namespace thresher
