#include "engine/cpu/processor.h"

#include <cpuid.h>

#include <dnnl.hpp>

#include "engine/cpu/cpu_engine.h"

namespace thresher {
namespace {

// CPUID leaf 7, sub-leaf 0, EDX bit 22 (Intel SDM volume 2A, CPUID).
bool HasAmxBf16() {
  unsigned a = 0;
  unsigned b = 0;
  unsigned c = 0;
  unsigned d = 0;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (d & (1U << 22)) != 0;
}

bool OneDnnHas(dnnl::cpu_isa isa) {
  const auto wanted = static_cast<unsigned>(isa);
  return (static_cast<unsigned>(dnnl::get_effective_cpu_isa()) & wanted) == wanted;
}

}  // namespace

std::string ProcessorFeatures() {
  if (__builtin_cpu_supports("avx512bf16")) return HasAmxBf16() ? "amx-bf16" : "avx512-bf16";
  if (__builtin_cpu_supports("avx512bw")) return "avx512";
  if (__builtin_cpu_supports("avx2")) return "avx2";
  if (__builtin_cpu_supports("sse4.2")) return "sse4";
  return "x86-64";
}

bool OneDnnHasAvx512() { return OneDnnHas(dnnl::cpu_isa::avx512_core); }

bool OneDnnHasAmx() { return OneDnnHas(dnnl::cpu_isa::avx512_core_amx); }

bool ProcessorHasBf16() { return __builtin_cpu_supports("avx512bf16") != 0; }

}  // namespace thresher
