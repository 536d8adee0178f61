#include "engine/cpu/matmul.h"

#include <array>

#include "base/check.h"
#include "engine/cpu/amx_product.h"

namespace thresher {
namespace {

using dnnl::memory;

memory::format_tag RightTag(RightLayout layout) {
  switch (layout) {
    case RightLayout::kPacked:
      return memory::format_tag::any;
    case RightLayout::kRows:
      return memory::format_tag::ab;
    case RightLayout::kTransposed:
      return memory::format_tag::ba;
  }
  return memory::format_tag::undef;
}

dnnl::matmul::primitive_desc Describe(const dnnl::engine& engine, const MatmulShape& shape) {
  const memory::data_type in = OneDnnType(shape.in);
  const auto ab = memory::format_tag::ab;
  const memory::desc left({shape.rows, shape.inner}, in, ab);
  const memory::desc right({shape.inner, shape.columns}, in, RightTag(shape.right));
  const memory::desc out({shape.rows, shape.columns}, OneDnnType(shape.out), ab);
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  if (shape.accumulates) {
    dnnl::post_ops operations;
    operations.append_sum(1.0F);
    attributes.set_post_ops(operations);
  }
  if (!shape.has_bias) {
    return {dnnl::matmul::desc(left, right, out), attributes, engine};
  }
  const memory::desc bias({1, shape.columns}, memory::data_type::f32, ab);
  return {dnnl::matmul::desc(left, right, bias, out), attributes, engine};
}

}  // namespace

memory::data_type OneDnnType(DType dtype) {
  THRESHER_CHECK(dtype == DType::kF32 || dtype == DType::kBf16);
  return dtype == DType::kF32 ? memory::data_type::f32 : memory::data_type::bf16;
}

Matmul::Matmul(const dnnl::engine& engine, const MatmulShape& shape) : shape_(shape) {
  if (shape.on_tiles) {
    THRESHER_CHECK(AmxCanMultiply(shape.in, shape.inner));
    THRESHER_CHECK(shape.right == RightLayout::kPacked);
    return;
  }
  engine_ = engine;
  const dnnl::matmul::primitive_desc descriptor = Describe(engine, shape);
  primitive_ = dnnl::matmul(descriptor);
  left_desc_ = descriptor.src_desc();
  right_desc_ = descriptor.weights_desc();
  out_desc_ = descriptor.dst_desc();
  scratchpad_desc_ = descriptor.scratchpad_desc();
  if (shape.has_bias) bias_desc_ = descriptor.bias_desc();
}

int64_t Matmul::packed_bytes() const {
  if (shape_.on_tiles) return AmxPackedBytes(shape_.inner, shape_.columns);
  return static_cast<int64_t>(right_desc_.get_size());
}

void Matmul::Pack(const std::byte* transposed, std::byte* packed) const {
  if (shape_.on_tiles) {
    const Rows rows = {
        .data = const_cast<std::byte*>(transposed), .dtype = DType::kBf16, .stride = shape_.inner};
    if (shape_.is_gated) return AmxPackGated(rows, shape_.inner, shape_.columns / 2, packed);
    return AmxPackColumns(rows, shape_.inner, shape_.columns, AmxPanelBytes(shape_.inner), packed);
  }
  const memory::desc form({shape_.inner, shape_.columns}, OneDnnType(shape_.in),
                          memory::format_tag::ba);
  memory from(form, engine_, const_cast<std::byte*>(transposed));
  memory to(right_desc_, engine_, packed);
  dnnl::stream stream(engine_);
  dnnl::reorder(from, to).execute(stream, from, to);
  stream.wait();
}

void Matmul::ExecuteOnTiles(const MatmulOperands& operands) const {
  AmxMultiply({.rows = shape_.rows,
               .inner = shape_.inner,
               .columns = shape_.columns,
               .left = static_cast<const std::byte*>(operands.left),
               .right = static_cast<const std::byte*>(operands.right),
               .panel_bytes = AmxPanelBytes(shape_.inner),
               .bias = operands.bias,
               .accumulates = shape_.accumulates,
               .is_gated = shape_.is_gated,
               .out_dtype = shape_.out,
               .out = static_cast<std::byte*>(operands.out)});
}

MatmulCaller::Call Matmul::MakeCall() const {
  // Without memory of its own: it is given with each call.
  const auto make = [&](const memory::desc& desc) { return memory(desc, engine_, nullptr); };
  return {.left = make(left_desc_),
          .right = make(right_desc_),
          .bias = bias_desc_.is_zero() ? memory() : make(bias_desc_),
          .out = make(out_desc_),
          .scratchpad = make(scratchpad_desc_)};
}

void Matmul::Execute(const MatmulOperands& operands, MatmulCaller& caller) const {
  if (shape_.on_tiles) return ExecuteOnTiles(operands);
  const auto [entry, is_new] = caller.calls_.try_emplace(this);
  MatmulCaller::Call& call = entry->second;
  if (is_new) call = MakeCall();
  caller.scratchpad_.Reserve(static_cast<int64_t>(scratchpad_desc_.get_size()));
  // oneDNN takes inputs as pointers to non-const; it does not write to them.
  const auto point = [&](memory& object, const void* data) {
    object.set_data_handle(const_cast<void*>(data), caller.stream_);
    return object.get();
  };
  // The C call: the C++ one wants a hash map, which costs attention's small products a microsecond.
  std::array<dnnl_exec_arg_t, 5> arguments = {
      {{DNNL_ARG_SRC, point(call.left, operands.left)},
       {DNNL_ARG_WEIGHTS, point(call.right, operands.right)},
       {DNNL_ARG_DST, point(call.out, operands.out)},
       {DNNL_ARG_SCRATCHPAD, point(call.scratchpad, caller.scratchpad_.data())}}};
  int count = 4;
  if (operands.bias != nullptr) {
    arguments[static_cast<size_t>(count++)] = {DNNL_ARG_BIAS, point(call.bias, operands.bias)};
  }
  dnnl::error::wrap_c_api(
      dnnl_primitive_execute(primitive_.get(), caller.stream_.get(), count, arguments.data()),
      "a matrix product could not be executed");
  caller.stream_.wait();
}

const Matmul& MatmulCache::Get(const MatmulShape& shape) {
  const auto found = primitives_.find(shape);
  if (found != primitives_.end()) return found->second;
  return primitives_.emplace(shape, Matmul(engine_, shape)).first->second;
}

}  // namespace thresher
