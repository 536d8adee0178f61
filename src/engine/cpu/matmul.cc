#include "engine/cpu/matmul.h"

#include <algorithm>
#include <unordered_map>

#include "base/check.h"

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

Matmul::Matmul(const dnnl::engine& engine, const MatmulShape& shape)
    : engine_(engine), descriptor_(Describe(engine, shape)), primitive_(descriptor_) {}

int64_t Matmul::scratchpad_bytes() const {
  return static_cast<int64_t>(descriptor_.scratchpad_desc().get_size());
}

void Matmul::Execute(const MatmulOperands& operands, std::byte* scratchpad) const {
  // oneDNN takes inputs as pointers to non-const; it does not write to them.
  const auto view = [&](const memory::desc& desc, const void* data) {
    return memory(desc, engine_, const_cast<void*>(data));
  };
  std::unordered_map<int, memory> arguments = {
      {DNNL_ARG_SRC, view(descriptor_.src_desc(), operands.left)},
      {DNNL_ARG_WEIGHTS, view(descriptor_.weights_desc(), operands.right)},
      {DNNL_ARG_DST, view(descriptor_.dst_desc(), operands.out)},
      {DNNL_ARG_SCRATCHPAD, view(descriptor_.scratchpad_desc(), scratchpad)},
  };
  if (operands.bias != nullptr) {
    arguments.emplace(DNNL_ARG_BIAS, view(descriptor_.bias_desc(), operands.bias));
  }
  dnnl::stream stream(engine_);
  primitive_.execute(stream, arguments);
  stream.wait();
}

const Matmul& MatmulCache::Get(const MatmulShape& shape) {
  const auto found = primitives_.find(shape);
  if (found != primitives_.end()) return found->second;
  const Matmul& made = primitives_.emplace(shape, Matmul(engine_, shape)).first->second;
  scratchpad_bytes_ = std::max(scratchpad_bytes_, made.scratchpad_bytes());
  return made;
}

}  // namespace thresher
