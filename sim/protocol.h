#ifndef THRESHER_SIM_PROTOCOL_H_
#define THRESHER_SIM_PROTOCOL_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/clock.h"
#include "extract/ledger.h"
#include "extract/publish.h"
#include "extract/run_store.h"
#include "store/store.h"
#include "work/records.h"

namespace thresher::sim {

// The product's own protocol as simulated workers run it. Mutants override one step each, to show
// that the checks find what is wrong with them. One object serves one session.
class Protocol {
 public:
  virtual ~Protocol() = default;

  // The store that the session works with. `store` outlives the result.
  virtual std::unique_ptr<Store> Wrap(Store& store);
  virtual Result<Published> Publish(Store& store, Clock& clock, Ledger& ledger,
                                    const Commit& commit, std::span<const std::byte> file);
  // Called before each wait for units that others hold.
  virtual void WhileWaiting(Store& store, const Run& run);
};

}  // namespace thresher::sim

#endif  // THRESHER_SIM_PROTOCOL_H_
