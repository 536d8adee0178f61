#ifndef THRESHER_ENGINE_CPU_PROCESSOR_H_
#define THRESHER_ENGINE_CPU_PROCESSOR_H_

#include <string>

namespace thresher {

// The widest instruction set that matters here, for people: "amx-bf16", "avx512-bf16", "avx512",
// "avx2", "sse4" or "x86-64".
std::string ProcessorFeatures();

// Whether oneDNN uses AVX-512 here (the environment variable DNNL_MAX_CPU_ISA=AVX2 makes it believe
// in an older processor). Without it there are no bf16 products, and the last bits of a row of a
// product depend on the number of rows.
bool OneDnnHasAvx512();

// The same for AMX in bf16.
bool OneDnnHasAmx();

}  // namespace thresher

#endif  // THRESHER_ENGINE_CPU_PROCESSOR_H_
