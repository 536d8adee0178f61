#include "model/reference_forward.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <numeric>
#include <type_traits>
#include <utility>

#include "base/check.h"

namespace thresher {
namespace {

using Matrix = std::vector<double>;  // [tokens, width], row after row

// The element at `data`, as IEEE 754 and the bfloat16 definition (the upper half of a float) say.
double ReadElement(DType dtype, const std::byte* data) {
  if (dtype == DType::kF32) {
    float value;
    std::memcpy(&value, data, sizeof(value));
    return value;
  }
  uint16_t bits;
  std::memcpy(&bits, data, sizeof(bits));
  if (dtype == DType::kBf16) return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
  THRESHER_CHECK(dtype == DType::kF16);
  const double sign = (bits & 0x8000) != 0 ? -1.0 : 1.0;
  const int exponent = (bits >> 10) & 0x1f;
  const int mantissa = bits & 0x3ff;
  if (exponent == 0) return sign * std::ldexp(mantissa, -24);
  if (exponent == 31) return mantissa == 0 ? sign * INFINITY : NAN;
  return sign * std::ldexp(1024 + mantissa, exponent - 25);
}

// Computes the graph's values one node after another.
class Interpreter {
 public:
  Interpreter(const Graph& graph, const ParameterLookup& lookup, std::span<const int32_t> token_ids)
      : graph_(graph),
        lookup_(lookup),
        token_ids_(token_ids),
        tokens_(static_cast<int64_t>(token_ids.size())),
        values_(graph.values().size()) {}

  Status Run(const Node& node) {
    Result<Matrix> output = std::visit(
        [&](const auto& operation) {
          return Compute(operation, static_cast<size_t>(graph_.width(node.output)));
        },
        node.operation);
    if (!output.ok()) return output.status();
    THRESHER_CHECK(static_cast<int64_t>(output->size()) == tokens_ * graph_.width(node.output));
    values_[static_cast<size_t>(node.output)] = std::move(*output);
    return OkStatus();
  }

  const Matrix& value(ValueId id) const { return values_[static_cast<size_t>(id)]; }
  void Forget(ValueId id) { values_[static_cast<size_t>(id)] = Matrix(); }

 private:
  Result<Matrix> Load(ParameterId id) {
    const Parameter& parameter = graph_.parameter(id);
    ASSIGN_OR_RETURN(Matrix elements, lookup_(parameter));
    const int64_t expected = std::accumulate(parameter.shape.begin(), parameter.shape.end(),
                                             int64_t{1}, std::multiplies<>());
    THRESHER_CHECK(static_cast<int64_t>(elements.size()) == expected);
    return elements;
  }

  Result<Matrix> Compute(const Embed& embed, size_t width) {
    ASSIGN_OR_RETURN(const Matrix table, Load(embed.table));
    const int64_t vocabulary = graph_.parameter(embed.table).shape[0];
    Matrix output;
    for (const int32_t token : token_ids_) {
      if (token < 0 || token >= vocabulary) {
        return InvalidArgument(
            fmt::format("token id {} is outside the model's vocabulary: expected 0 to {}", token,
                        vocabulary - 1));
      }
      const auto row = table.begin() + static_cast<int64_t>(token) * static_cast<int64_t>(width);
      output.insert(output.end(), row, row + static_cast<int64_t>(width));
    }
    return output;
  }

  Result<Matrix> Compute(const RmsNorm& norm, size_t width) {
    ASSIGN_OR_RETURN(const Matrix weight, Load(norm.weight));
    Matrix output = value(norm.input);
    for (size_t begin = 0; begin < output.size(); begin += width) {
      double sum = 0;
      for (size_t i = 0; i < width; ++i) sum += output[begin + i] * output[begin + i];
      const double scale = 1.0 / std::sqrt(sum / static_cast<double>(width) + norm.epsilon);
      for (size_t i = 0; i < width; ++i) output[begin + i] *= scale * weight[i];
    }
    return output;
  }

  Result<Matrix> Compute(const Linear& linear, size_t width) {
    ASSIGN_OR_RETURN(const Matrix weight, Load(linear.weight));
    Matrix bias(width, 0.0);
    if (linear.bias) {
      ASSIGN_OR_RETURN(bias, Load(*linear.bias));
    }
    const Matrix& input = value(linear.input);
    const auto input_width = static_cast<size_t>(graph_.width(linear.input));
    Matrix output;
    output.reserve(token_ids_.size() * width);
    for (size_t row = 0; row < input.size(); row += input_width) {
      for (size_t o = 0; o < width; ++o) {
        double sum = bias[o];
        for (size_t i = 0; i < input_width; ++i) {
          sum += input[row + i] * weight[o * input_width + i];
        }
        output.push_back(sum);
      }
    }
    return output;
  }

  Result<Matrix> Compute(const Rope& rope, size_t width) {
    Matrix output = value(rope.input);
    const size_t pairs = rope.inverse_frequencies.size();
    for (size_t t = 0; t < token_ids_.size(); ++t) {
      for (size_t head = 0; head < static_cast<size_t>(rope.heads); ++head) {
        double* x = &output[t * width + head * static_cast<size_t>(rope.head_dim)];
        for (size_t c = 0; c < pairs; ++c) {
          const double angle = static_cast<double>(t) * rope.inverse_frequencies[c];
          const double first = x[c];
          const double second = x[c + pairs];
          x[c] = first * std::cos(angle) - second * std::sin(angle);
          x[c + pairs] = second * std::cos(angle) + first * std::sin(angle);
        }
      }
    }
    return output;
  }

  Result<Matrix> Compute(const Attention& attention, size_t) {
    const Matrix& q = value(attention.q);
    const Matrix& k = value(attention.k);
    const Matrix& v = value(attention.v);
    const int64_t head_dim = attention.head_dim;
    const int64_t queries_per_kv = attention.heads / attention.kv_heads;
    Matrix z(q.size(), 0.0);
    for (int64_t i = 0; i < tokens_; ++i) {
      const int64_t first = attention.window ? std::max<int64_t>(0, i - *attention.window + 1) : 0;
      for (int64_t head = 0; head < attention.heads; ++head) {
        const double* query = &q[static_cast<size_t>((i * attention.heads + head) * head_dim)];
        const auto kv_row = [&](const Matrix& matrix, int64_t j) {
          const int64_t row = j * attention.kv_heads + head / queries_per_kv;
          return &matrix[static_cast<size_t>(row * head_dim)];
        };
        std::vector<double> scores;
        for (int64_t j = first; j <= i; ++j) {
          const double* key = kv_row(k, j);
          scores.push_back(std::inner_product(query, query + head_dim, key, 0.0) * attention.scale);
        }
        const double largest = *std::max_element(scores.begin(), scores.end());
        double sum = 0;
        for (double& score : scores) sum += (score = std::exp(score - largest));
        double* out = &z[static_cast<size_t>((i * attention.heads + head) * head_dim)];
        for (int64_t j = first; j <= i; ++j) {
          const double* val = kv_row(v, j);
          const double probability = scores[static_cast<size_t>(j - first)] / sum;
          for (int64_t c = 0; c < head_dim; ++c) out[c] += probability * val[c];
        }
      }
    }
    return z;
  }

  Result<Matrix> Compute(const GatedSilu& gated, size_t) {
    Matrix output = value(gated.gate);
    const Matrix& up = value(gated.up);
    for (size_t i = 0; i < output.size(); ++i) {
      output[i] = output[i] / (1.0 + std::exp(-output[i])) * up[i];
    }
    return output;
  }

  Result<Matrix> Compute(const Add& add, size_t) {
    Matrix output = value(add.a);
    const Matrix& b = value(add.b);
    for (size_t i = 0; i < output.size(); ++i) output[i] += b[i];
    return output;
  }

  const Graph& graph_;
  const ParameterLookup& lookup_;
  const std::span<const int32_t> token_ids_;
  const int64_t tokens_;
  std::vector<Matrix> values_;
};

}  // namespace

ParameterLookup LookupIn(const Weights& weights) {
  return [&weights](const Parameter& parameter) -> Result<std::vector<double>> {
    ASSIGN_OR_RETURN(const WeightView view, weights.Find(parameter.name, parameter.shape));
    int64_t count = 1;
    for (const int64_t extent : view.shape) count *= extent;
    std::vector<double> elements;
    elements.reserve(static_cast<size_t>(count));
    for (int64_t i = 0; i < count; ++i) {
      elements.push_back(ReadElement(view.dtype, view.data + i * DTypeBytes(view.dtype)));
    }
    return elements;
  };
}

Result<std::map<HookPoint, std::vector<double>>> ReferenceForward(
    const Graph& graph, const ParameterLookup& lookup, std::span<const int32_t> token_ids,
    const std::vector<HookPoint>& hooks) {
  std::multimap<ValueId, HookPoint> wanted;
  for (const HookPoint& hook : hooks) {
    ASSIGN_OR_RETURN(const ValueId value, graph.FindHook(hook));
    wanted.emplace(value, hook);
  }
  std::vector<size_t> last_reader(graph.values().size(), 0);
  for (size_t n = 0; n < graph.nodes().size(); ++n) {
    for (const ValueId input : Inputs(graph.nodes()[n].operation)) {
      last_reader[static_cast<size_t>(input)] = n;
    }
  }

  Interpreter interpreter(graph, lookup, token_ids);
  std::map<HookPoint, std::vector<double>> found;
  for (size_t n = 0; n < graph.nodes().size() && !wanted.empty(); ++n) {
    const Node& node = graph.nodes()[n];
    RETURN_IF_ERROR(interpreter.Run(node));
    const auto [begin, end] = wanted.equal_range(node.output);
    for (auto it = begin; it != end; ++it) found[it->second] = interpreter.value(node.output);
    wanted.erase(begin, end);
    for (const ValueId input : Inputs(node.operation)) {
      if (last_reader[static_cast<size_t>(input)] == n) interpreter.Forget(input);
    }
  }
  return found;
}

}  // namespace thresher
