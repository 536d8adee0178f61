#ifndef THRESHER_BASE_CHECK_H_
#define THRESHER_BASE_CHECK_H_

#include <cstdio>
#include <cstdlib>

// A check of a programmer's assumption; it stays on in release builds. Expected failures (bad
// input, failing stores) are never checks: they return Status or Result.
#define THRESHER_CHECK(condition)                                                        \
  do {                                                                                   \
    if (!(condition)) {                                                                  \
      std::fprintf(stderr, "%s:%d: check failed: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                      \
    }                                                                                    \
  } while (false)

#endif  // THRESHER_BASE_CHECK_H_
