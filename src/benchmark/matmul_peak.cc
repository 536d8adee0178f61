#include "benchmark/matmul_peak.h"

#include <cmath>
#include <utility>

#include "base/clock.h"
#include "base/random.h"
#include "engine/pjrt/host_array.h"
#include "engine/pjrt/stablehlo_writer.h"
#include "shard/convert.h"

namespace thresher {
namespace {

constexpr int kChain = 8;

// Rows and columns: 140 GFLOP a run on a processor, 9 TFLOP on an accelerator.
int64_t SizeFor(const PjrtClient& client) { return client.platform() == "cpu" ? 2048 : 8192; }

Result<std::string> ChainModule(const TensorType& matrix) {
  StablehloWriter writer;
  const HloValue weight = writer.Argument(matrix);
  HloValue value = weight;
  for (int i = 0; i < kChain; ++i) {
    const HloValue product = writer.Dot(value, weight, {.left_summed = {1}, .right_summed = {0}});
    value = writer.Convert(product, matrix.dtype);
  }
  return writer.Finish({value});
}

// Signs at random, and a magnitude that keeps products of products of that size: zeros, or one
// number everywhere, would cost less power than real data.
HostArray Matrix(const TensorType& type) {
  HostArray array(type);
  const auto count = static_cast<size_t>(type.element_count());
  const float magnitude = 1 / std::sqrt(static_cast<float>(type.shape[0]));
  Random random(3);
  std::vector<float> values(count);
  for (float& value : values) value = random.Below(2) == 0 ? magnitude : -magnitude;
  EncodeRows(values.data(), 1, std::ssize(values), std::ssize(values), type.dtype, array.data(),
             nullptr);
  return array;
}

}  // namespace

Result<std::unique_ptr<MatmulPeak>> MatmulPeak::Make(const PjrtClient& client, int64_t device_count,
                                                     DType compute) {
  const int64_t size = SizeFor(client);
  const TensorType type{compute, {size, size}};
  ASSIGN_OR_RETURN(const std::string module, ChainModule(type));
  ASSIGN_OR_RETURN(PjrtExecutable executable, client.Compile(module, {}));
  std::unique_ptr<MatmulPeak> peak(new MatmulPeak(std::move(executable)));
  const HostArray matrix = Matrix(type);
  for (int64_t d = 0; d < device_count; ++d) {
    peak->devices_.push_back(client.devices()[static_cast<size_t>(d)]);
    ASSIGN_OR_RETURN(PjrtBuffer buffer, client.UploadNow(matrix.view(), peak->devices_.back()));
    peak->matrices_.push_back(std::move(buffer));
  }
  const auto edge = static_cast<double>(size);
  peak->flops_ = 2 * edge * edge * edge * kChain * static_cast<double>(device_count);
  ASSIGN_OR_RETURN(const double warm, peak->Measure());  // the first run is slower than the others
  static_cast<void>(warm);
  return peak;
}

Result<double> MatmulPeak::Measure() const {
  const int64_t begin = Clock::Real().MonotonicUs();
  std::vector<PjrtExecutable::Execution> executions;
  for (size_t d = 0; d < devices_.size(); ++d) {
    const std::vector<std::vector<PJRT_Buffer*>> arguments = {{matrices_[d].get()}};
    ASSIGN_OR_RETURN(PjrtExecutable::Execution execution,
                     executable_.Execute(arguments, devices_[d].device));
    executions.push_back(std::move(execution));
  }
  Status status;
  for (PjrtExecutable::Execution& execution : executions) {
    for (PjrtEvent& event : execution.done) {
      Status ended = AwaitPjrtEvent(std::move(event), "multiplying matrices");
      if (status.ok()) status = std::move(ended);
    }
  }
  RETURN_IF_ERROR(status);
  return flops_ / (static_cast<double>(Clock::Real().MonotonicUs() - begin) / 1e6);
}

}  // namespace thresher
