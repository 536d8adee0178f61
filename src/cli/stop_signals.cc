#include "cli/stop_signals.h"

#include <signal.h>
#include <unistd.h>

#include "cli/command.h"

namespace thresher {
namespace {

StopRequest* stop_request = nullptr;
unsigned hard_limit_seconds = 0;

// Runs inside a signal handler: only async-signal-safe calls.
void OnSignal(int signal_number) {
  if (signal_number == SIGALRM) _exit(kExitStopped);
  if (signal_number == SIGINT && stop_request->requested()) _exit(kExitStopped);
  stop_request->Request();
  alarm(hard_limit_seconds);
}

}  // namespace

void StopOnSignals(StopRequest& stop, int64_t grace_ms) {
  constexpr int64_t kMarginMs = 5'000;
  stop_request = &stop;
  hard_limit_seconds = static_cast<unsigned>((grace_ms + kMarginMs + 999) / 1000);
  struct sigaction action {};
  action.sa_handler = OnSignal;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  for (const int signal_number : {SIGTERM, SIGINT, SIGUSR1, SIGALRM}) {
    sigaction(signal_number, &action, nullptr);
  }
}

}  // namespace thresher
