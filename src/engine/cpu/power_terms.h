#ifndef THRESHER_ENGINE_CPU_POWER_TERMS_H_
#define THRESHER_ENGINE_CPU_POWER_TERMS_H_

#include <array>

namespace thresher {

inline constexpr float kLog2E = 1.4426950408889634F;

// 2^f for 0 <= f < 1, the highest power first: the best polynomial of degree 4 that is 1 at 0. Its
// relative error is below 3e-6, enough for a result that is rounded to bf16.
inline constexpr std::array<float, 5> kFractionPowerTerms = {
    1.3426685705780983e-2F,
    5.2242472767829895e-2F,
    2.4128021299839020e-1F,
    6.9304484128952026e-1F,
    1.0F,
};

}  // namespace thresher

#endif  // THRESHER_ENGINE_CPU_POWER_TERMS_H_
